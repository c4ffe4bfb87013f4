#![no_main]

use depin_core::{Millis, Timestamp};
use depin_fuzz::hardware::HARDWARE;
use depin_identity::attestation::{android::RevocationList, x509::VerifiedChain};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

fuzz_target!(|bytes: &[u8]| {
    static CHAIN: LazyLock<VerifiedChain> =
        LazyLock::new(|| HARDWARE.issued(&HARDWARE.leaf).expect("the fixture's own"));
    let now = Timestamp(1_000);
    let Ok(list) = RevocationList::parse(bytes, now) else { return };
    let leaf = CHAIN.leaf();
    if list.check(leaf, now, Millis(0)).is_err() {
        let text = String::from_utf8_lossy(bytes).to_lowercase();
        // A digit may be written as an escape.
        assert!(text.contains(&leaf.serial()) || text.contains("\\u"), "revoked by nobody");
    }
    assert!(list.check(leaf, Timestamp(1_001), Millis(0)).is_err(), "an old list");
});
