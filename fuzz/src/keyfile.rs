//! Key files whose password costs nothing to check.

use depin_core::KeyType;
use depin_identity::{
    SoftwareKey,
    signer::{Password, encrypt_key},
};
use pkcs8::{
    EncryptedPrivateKeyInfo, LineEnding, SecretDocument,
    der::{Decode as _, Encode as _, pem::PemLabel as _},
    pkcs5::{EncryptionScheme, pbes2, scrypt},
};

/// The password of every key file here.
const PASSWORD: &str = "right";

pub fn password() -> Password {
    Password::new(PASSWORD.as_bytes().to_vec()).expect("a password")
}

/// The text of `inner`, encrypted with N = 2, r = 1, p = 1.
pub fn encrypted(inner: &[u8]) -> String {
    let cost = scrypt::Params::new(1, 1, 1, 32).expect("the least there is");
    let scheme = pbes2::Parameters::scrypt_aes256cbc(cost, &[1; 16], &[2; 16]).expect("a salt and an IV");
    let data = scheme.encrypt(PASSWORD, inner).expect("the cipher takes any length");
    let info = EncryptedPrivateKeyInfo {
        encryption_algorithm: EncryptionScheme::Pbes2(scheme),
        encrypted_data: &data,
    };
    let document = SecretDocument::try_from(info.to_der().expect("it has a DER form")).expect("as before");
    let pem = document.to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, LineEnding::LF).expect("and a PEM form");
    pem.as_str().to_owned()
}

/// Whether to check the password would cost more than a fuzzer has time for.
pub fn is_costly(text: &str) -> bool {
    let Some(start) = text.find("-----BEGIN ") else { return false };
    let Ok((_, document)) = SecretDocument::from_pem(&text[start..]) else { return false };
    match EncryptedPrivateKeyInfo::from_der(document.as_bytes()).map(|info| info.encryption_algorithm) {
        Ok(EncryptionScheme::Pbes2(pbes2::Parameters { kdf: pbes2::Kdf::Scrypt(found), .. })) => {
            let (n, r, p) = (found.cost_parameter, found.block_size, found.parallelization);
            // What is out of bounds is refused for that.
            (65..1 << 22).contains(&n.saturating_mul(r.into()).saturating_mul(p.into()))
        }
        _ => false,
    }
}

pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    for kind in KeyType::ALL {
        let key = SoftwareKey::from_secret(kind, [3; 32]).expect("3 is a secret key");
        let text = encrypt_key(&key, &password(), &[1; 16], &[2; 16]).expect("a key has a PEM form");
        let (_, document) = SecretDocument::from_pem(&text[text.find("-----").unwrap_or(0)..]).expect("PEM");
        let info = EncryptedPrivateKeyInfo::from_der(document.as_bytes()).expect("an encrypted key");
        let inner = info.decrypt(PASSWORD).expect("by its password");
        let cheap = encrypted(inner.as_bytes());
        seeds.push(("key_file", format!("{}\n{cheap}", key.public().typed().to_did()).into_bytes()));
        seeds.push(("key_file", cheap.into_bytes()));
        seeds.push(("key_content", inner.as_bytes().to_vec()));
    }
    seeds
}
