#![no_main]

use std::collections::BTreeSet;

use depin_fuzz::papers::{PAPERS, owner, request};
use depin_identity::grant::{Grant, Narrowing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if Grant::check(bytes, &[owner().public().typed()], &request(), &BTreeSet::new()).is_ok() {
        assert!(PAPERS.grants.iter().any(|token| token == bytes), "nobody granted this");
    }
    let narrowing = Narrowing { expires: Some(request().time), ..Narrowing::default() };
    let _ = Grant::narrow(bytes, &narrowing, &[6; 32]);
});
