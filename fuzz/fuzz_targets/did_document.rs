#![no_main]

use depin_identity::did::{DidDocument, MethodRef, Purpose};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = DidDocument::from_json(bytes) else { return };
    for purpose in Purpose::ALL {
        for entry in document.relationship(purpose) {
            let url = match entry {
                MethodRef::Reference(url) => url,
                MethodRef::Embedded(method) => &method.id,
            };
            if let Ok(method) = document.authorized(purpose, url) {
                assert_eq!((&method.id, &method.controller, url.did()), (url, &document.id, &document.id));
                let _ = method.typed_key();
            }
        }
    }
    // Names that were short get longer, so what fitted before may not fit again.
    let Ok(json) = document.to_json() else { return };
    if json.len() <= DidDocument::MAX_BYTES {
        assert_eq!(DidDocument::from_json(json.as_bytes()).expect("which can be read back"), document);
    }
});
