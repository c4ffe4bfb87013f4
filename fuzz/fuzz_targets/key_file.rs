#![no_main]

use std::sync::LazyLock;

use depin_core::KeyType;
use depin_fuzz::keyfile::{is_costly, password};
use depin_identity::{
    SoftwareKey,
    signer::{Password, decrypt_key},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    static PASSWORD: LazyLock<Password> = LazyLock::new(password);
    if is_costly(text) {
        return;
    }
    let Ok(key) = decrypt_key(text.as_bytes(), &PASSWORD) else { return };
    // Only the did:key before it protects a file from changes: CBC does not.
    if text.starts_with("did:key:") {
        let mut known =
            KeyType::ALL.into_iter().filter_map(|kind| SoftwareKey::from_secret(kind, [3; 32]).ok());
        assert!(known.any(|known| known.public() == key.public()), "nobody encrypted this key");
    }
});
