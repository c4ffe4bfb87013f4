#![no_main]

use depin_fuzz::{
    FIXTURE,
    common::{node_key, params},
    same,
};
use depin_identity::Receipt;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let node = node_key();
    if let Ok(receipt) = Receipt::parse_and_verify(bytes, node.public(), params().network()) {
        assert!(FIXTURE.receipts.iter().any(|signed| signed == bytes), "nobody signed this");
        let _ = receipt.check_inclusion();
    }
    // The payload alone, which a signature keeps the fuzzer away from.
    if let Some(receipt) = same::<Receipt>(bytes) {
        assert!(receipt.proof.len() <= Receipt::MAX_PROOF);
        let _ = receipt.check_inclusion();
    }
});
