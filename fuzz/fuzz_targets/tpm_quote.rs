#![no_main]

use depin_fuzz::hardware::HARDWARE;
use depin_identity::attestation::tpm::Quote;
use libfuzzer_sys::fuzz_target;

// A length, a TPMT_SIGNATURE of that length, then a TPMS_ATTEST.
fuzz_target!(|bytes: &[u8]| {
    let Some((len, rest)) = bytes.split_first() else { return };
    let Some((signature, attest)) = rest.split_at_checked(usize::from(*len)) else { return };
    let hardware = &*HARDWARE;
    let mut challenges = hardware.challenges.clone();
    let quote = Quote { attest, signature };
    let (challenge, pcrs) = (&hardware.challenge, &hardware.pcrs);
    match hardware.activated.quote(&quote, challenge, pcrs, &mut challenges, hardware.now()) {
        Ok(_) => {
            assert_eq!(attest, hardware.attest, "nobody quoted this");
            assert_ne!(challenges, hardware.challenges, "a quote is accepted once");
        }
        Err(_) => assert_eq!(challenges, hardware.challenges, "refused, and yet changed"),
    }
});
