#![no_main]

use depin_fuzz::hardware::HARDWARE;
use depin_identity::attestation::x509::certificates_from_pem;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = certificates_from_pem(text);
    }
    // Pinned, a certificate needs no signature.
    let Some(chain) = HARDWARE.pinned(bytes) else { return };
    let (leaf, subject) = (chain.leaf(), chain.leaf().subject());
    let _ = (leaf.serial(), subject, leaf.public_key().typed(), leaf.public_key().fingerprint());
    if let Some(issued) = HARDWARE.issued(bytes) {
        let known = HARDWARE.issued(&HARDWARE.leaf).expect("the fixture's own");
        assert_eq!(issued.leaf(), known.leaf(), "nobody signed this");
    }
});
