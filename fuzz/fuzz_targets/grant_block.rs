#![no_main]

use std::collections::BTreeSet;

use depin_fuzz::papers::{owner, request, token_with};
use depin_identity::grant::{Grant, GrantError};
use libfuzzer_sys::fuzz_target;

// A block of a token whose signatures are right: in the issuer's place or behind it, as the first byte says.
fuzz_target!(|bytes: &[u8]| {
    let Some((place, block)) = bytes.split_first() else { return };
    let token = token_with(block, place & 1 == 1);
    match Grant::check(&token, &[owner().public().typed()], &request(), &BTreeSet::new()) {
        Ok(granted) => assert_eq!(granted.ids().len(), 1 + usize::from(place & 1)),
        Err(GrantError::Issuer { .. }) => panic!("the owner issued it"),
        Err(_) => {}
    }
});
