#![no_main]

use depin_core::{Millis, sha256};
use depin_fuzz::hardware::{HARDWARE, phone};
use depin_identity::attestation::{
    android::{AndroidError, AndroidPolicy, RevocationList, SecurityLevel, attest},
    x509::Pin,
};
use libfuzzer_sys::fuzz_target;

// What stands in the extension of a certificate that is pinned: no signature is before it.
fuzz_target!(|description: &[u8]| {
    let (hardware, now) = (&*HARDWARE, HARDWARE.now());
    let leaf = phone(description);
    let revocations = RevocationList::parse(br#"{"entries":{}}"#, now).expect("an empty list");
    let policy = AndroidPolicy {
        pins: &[Pin::Certificate(sha256(&[&leaf]))],
        security: SecurityLevel::TrustedEnvironment,
        patch_level: 202_000,
        app_signers: &[],
        revocations: &revocations,
        revocations_age: Millis(1),
    };
    let mut challenges = hardware.challenges.clone();
    let verdict = attest(&[&leaf], &hardware.challenge, &policy, &mut challenges, now);
    assert_eq!(challenges == hardware.challenges, verdict.is_err(), "only an answer closes a challenge");
    match verdict {
        Ok(_) => {
            let nonce = hardware.challenge.nonce().0;
            assert!(description.windows(32).any(|window| window == nonce));
        }
        // A certificate this long is not read, and the rest of it is right.
        Err(AndroidError::Chain(_)) => assert!(leaf.len() > 16_384),
        Err(_) => {}
    }
});
