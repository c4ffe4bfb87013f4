#![no_main]

use depin::{
    Catalogue, audit_excerpt,
    excerpt::{Excerpt, is_excerpt},
};
use depin_fuzz::{FIXTURE, same};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(opened) = Excerpt::open(bytes) else { return };
    assert!(is_excerpt(bytes));
    assert!(same::<Excerpt>(bytes).is_some());
    // Under a digest that was posted there is but one bundle.
    if let Some(bundle) = FIXTURE.bundles.iter().find(|bundle| bundle.digest() == opened.digest) {
        assert_eq!(bundle.header, opened.header);
        assert_eq!(bundle.result, opened.result);
        assert!(bundle.devices.contains(&opened.device));
    }
    let _ = audit_excerpt(&opened, &Catalogue::standard());
});
