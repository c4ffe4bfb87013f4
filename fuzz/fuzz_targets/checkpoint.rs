#![no_main]

use depin_fuzz::{FIXTURE, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|note: &str| {
    let Some(checkpoint) = open(note) else { return };
    assert!(FIXTURE.heads.contains(&checkpoint.head), "nobody signed this head");
    assert!(note.starts_with(&checkpoint.text()), "a head has one spelling");
});
