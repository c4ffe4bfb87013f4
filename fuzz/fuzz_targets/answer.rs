#![no_main]

use depin_fuzz::{FIXTURE, same};
use depin_proof::possession::Answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let fixture = &*FIXTURE;
    // The fuzzer cannot guess digests: its bytes once as an answer, once as leaves and siblings of the right one.
    if let Some(answer) = same::<Answer>(bytes)
        && answer.verify(&fixture.challenge).is_ok()
    {
        assert_eq!(
            answer.openings_digest(),
            fixture.answer.openings_digest(),
            "two answers to one challenge"
        );
    }
    let Some((cut, rest)) = bytes.split_first() else { return };
    let mut answer = fixture.answer.clone();
    let at = (usize::from(*cut) * 32).min(rest.len());
    answer.leaves = rest[..at].to_vec();
    answer.siblings = rest[at..].to_vec();
    if answer.verify(&fixture.challenge).is_ok() {
        assert_eq!(answer, fixture.answer, "two answers to one challenge");
    }
});
