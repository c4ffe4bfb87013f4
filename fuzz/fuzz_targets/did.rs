#![no_main]

use depin_identity::did::{Did, DidDocument, DidUrl, JwkMethod, KeyMethod, PkhMethod};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(url) = text.parse::<DidUrl>() {
        assert_eq!(url.to_string(), text, "a DID URL has one spelling");
        assert!(text.starts_with(url.did().as_str()));
    }
    let Ok(did) = text.parse::<Did>() else { return };
    assert_eq!((did.as_str(), did.to_string().as_str()), (text, text));
    for document in [KeyMethod::document(&did), JwkMethod::document(&did), PkhMethod::document(&did)] {
        let Ok(document) = document else { continue };
        assert_eq!(document.id, did);
        let Ok(json) = document.to_json() else { continue };
        assert_eq!(DidDocument::from_json(json.as_bytes()).expect("which can be read back"), document);
    }
});
