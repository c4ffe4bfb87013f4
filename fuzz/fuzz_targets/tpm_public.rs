#![no_main]

use depin_core::sha256;
use depin_fuzz::hardware::HARDWARE;
use depin_identity::attestation::tpm::{ActivatedKey, AttestationKey, Quote};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(key) = AttestationKey::parse(bytes) else { return };
    assert_eq!(key.name()[2..], sha256(&[&bytes[2..]]).0);
    let hardware = &*HARDWARE;
    let (name, typed) = (*key.name(), key.public_key().typed());
    let of_fixture = hardware.activated.key().public_key() == key.public_key();
    let Ok(activated) = ActivatedKey::activated_before(&hardware.endorsement, key, &name) else { return };
    // No other key has signed anything. RSA keys get a signature as long as they are.
    let mut signatures = vec![hardware.signature.clone()];
    if typed.is_none() {
        let len = u16::from_be_bytes([bytes[16], bytes[17]]) / 8;
        let head = [&bytes[12..16], &len.to_be_bytes()].concat();
        signatures.push([head, vec![0x5a; usize::from(len)]].concat());
    }
    for signature in signatures {
        let quote = Quote { attest: &hardware.attest, signature: &signature };
        let mut challenges = hardware.challenges.clone();
        let (challenge, now) = (&hardware.challenge, hardware.now());
        let verdict = activated.quote(&quote, challenge, &hardware.pcrs, &mut challenges, now);
        assert_eq!(verdict.is_ok(), of_fixture);
    }
});
