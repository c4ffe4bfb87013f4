#![no_main]

use depin_fuzz::keyfile::{encrypted, password};
use depin_identity::signer::decrypt_key;
use libfuzzer_sys::fuzz_target;

// What a key file holds once it is decrypted.
fuzz_target!(|content: &[u8]| {
    let Ok(key) = decrypt_key(encrypted(content).as_bytes(), &password()) else { return };
    let secret = key.to_secret();
    assert!(content.windows(32).any(|window| window == secret.as_slice()));
});
