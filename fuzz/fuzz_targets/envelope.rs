#![no_main]

use depin_fuzz::{FIXTURE, common::params, signers};
use depin_identity::Envelope;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(envelope) = Envelope::parse(bytes) else { return };
    assert_eq!(envelope.as_bytes(), bytes);
    let (fixture, params) = (&*FIXTURE, params());
    for key in signers(&fixture.device) {
        if envelope.verify(key.public(), params.network(), params.sig_policy).is_ok() {
            assert!(fixture.envelopes.iter().any(|signed| signed == bytes), "nobody signed this");
        }
    }
});
