#![no_main]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin_identity::did::{CurveKey, Did, Jwk, JwkMethod};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let by_did = Did::new("jwk", &URL_SAFE_NO_PAD.encode(bytes)).and_then(|did| JwkMethod::document(&did));
    let Ok(jwk) = serde_json::from_slice::<Jwk>(bytes) else { return };
    let Ok(key) = CurveKey::from_jwk(&jwk) else {
        assert!(by_did.is_err());
        return;
    };
    if let Ok(document) = by_did {
        assert_eq!(document.verification_method[0].public_key().ok(), Some(&key));
    }
    let again = key.to_jwk().expect("a key from a JWK has both coordinates");
    assert_eq!(CurveKey::from_jwk(&again).as_ref(), Ok(&key));
    assert_eq!(CurveKey::from_multibase(&key.to_multibase()), Ok(key));
});
