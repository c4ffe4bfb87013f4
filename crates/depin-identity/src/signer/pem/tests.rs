use super::*;

const EACH: [KeyType; 3] = KeyType::ALL;

fn password(text: &str) -> Password {
    Password::new(text.as_bytes().to_vec()).unwrap()
}

/// As cheap as scrypt gets, since it is the reading that is tested.
fn cheap(kind: KeyType) -> (SoftwareKey, String) {
    let key = SoftwareKey::from_secret(kind, [7; 32]).unwrap();
    let cost = pkcs5::scrypt::Params::new(1, 1, 1, 32).unwrap();
    let text = encrypt(&key, &password("right"), &[1; 16], &[2; 16], cost).unwrap();
    (key, text)
}

/// The same text with scrypt parameters or an algorithm changed in its DER.
fn patched(patch: impl FnOnce(&mut Vec<u8>)) -> Result<SoftwareKey, PemKeyError> {
    let (_, text) = cheap(KeyType::Ed25519);
    let (_, document) = SecretDocument::from_pem(text.split_once('\n').unwrap().1).unwrap();
    let mut der = document.as_bytes().to_vec();
    patch(&mut der);
    let length = u8::try_from(der.len() - 3).unwrap();
    assert_eq!(der[..2], [0x30, 0x81]);
    der[2] = length;
    let pem = SecretDocument::try_from(der).unwrap();
    decrypt_key(pem.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().as_bytes(), &password("right"))
}

fn replace(der: &mut [u8], from: &[u8], to: &[u8]) {
    let at = der.windows(from.len()).position(|window| window == from).unwrap();
    der[at..at + to.len()].copy_from_slice(to);
}

#[test]
fn a_key_is_read_back_by_its_password_alone() {
    for kind in EACH {
        let (key, text) = cheap(kind);
        assert!(text.starts_with("did:key:z"));
        assert_eq!(decrypt_key(text.as_bytes(), &password("right")).unwrap().public(), key.public());
        // Enough of them that some give a right padding by chance.
        for wrong in 0..1000 {
            let error = decrypt_key(text.as_bytes(), &password(&format!("wrong {wrong}"))).unwrap_err();
            assert_eq!(error, PemKeyError::Password);
        }
    }
}

#[test]
fn no_flipped_bit_gives_another_key() {
    for kind in EACH {
        let (_, text) = cheap(kind);
        let right = password("right");
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert!(decrypt_key(&bytes, &right).is_err(), "{kind:?}: bit {bit} of byte {at}");
            }
        }
        // The line end after the PEM says nothing.
        for len in 0..text.len() - 1 {
            assert!(decrypt_key(&text.as_bytes()[..len], &right).is_err(), "{kind:?}: {len} bytes");
        }
    }
}

#[test]
fn scrypt_parameters_out_of_bounds_cost_nothing() {
    // N = 2, r = 1, p = 1, as DER integers.
    const COST: [u8; 9] = [2, 1, 2, 2, 1, 1, 2, 1, 1];
    assert!(patched(|_| {}).is_ok());
    for (cost, n, r, p) in [
        ([2, 1, 0, 2, 1, 1, 2, 1, 1], 0, 1, 1),
        ([2, 1, 1, 2, 1, 1, 2, 1, 1], 1, 1, 1),
        ([2, 1, 3, 2, 1, 1, 2, 1, 1], 3, 1, 1),
        ([2, 1, 2, 2, 1, 0, 2, 1, 1], 2, 0, 1),
        ([2, 1, 2, 2, 1, 1, 2, 1, 0], 2, 1, 0),
    ] {
        let found = patched(|der| replace(der, &COST, &cost)).unwrap_err();
        assert_eq!(found, PemKeyError::Cost { n, r, p });
    }
    for (n, r, p) in [(1 << 40, 8, 1), (1 << 21, 2, 1), (1 << 14, 8, u16::MAX), (1 << 14, u16::MAX, 1)] {
        let parameters = |salt| pbes2::Parameters {
            kdf: ScryptParams {
                salt,
                cost_parameter: n,
                block_size: r,
                parallelization: p,
                key_length: None,
            }
            .into(),
            encryption: pbes2::EncryptionScheme::Aes256Cbc { iv: &[0; 16] },
        };
        let found = check_encryption(&parameters(&[0; 16]).into()).unwrap_err();
        assert_eq!(found, PemKeyError::Cost { n, r, p });
    }
}

#[test]
fn a_foreign_cipher_or_derivation_is_named() {
    // AES-128-CBC, and PBKDF2 under scrypt's parameters.
    let cipher = patched(|der| replace(der, &[0x65, 3, 4, 1, 0x2a], &[0x65, 3, 4, 1, 2])).unwrap_err();
    assert!(
        matches!(&cipher, PemKeyError::Encryption { found } if found == "2.16.840.1.101.3.4.1.2"),
        "{cipher}"
    );
    let unknown = patched(|der| replace(der, &[0x65, 3, 4, 1, 0x2a], &[0x65, 3, 4, 1, 0x7f])).unwrap_err();
    assert!(matches!(&unknown, PemKeyError::Encryption { found } if found.ends_with(".127")), "{unknown}");
}

#[test]
fn what_stands_before_the_pem_must_be_the_key() {
    let (_, text) = cheap(KeyType::Ed25519);
    let (named, pem) = text.split_once('\n').unwrap();
    let right = password("right");
    assert!(decrypt_key(pem.as_bytes(), &right).is_ok());
    let (_, other) = cheap(KeyType::P256);
    let exchanged = format!("{}\n{pem}", other.split_once('\n').unwrap().0);
    for text in [exchanged, format!("{named}{pem}"), format!("a note\n{named}\n{pem}"), format!("\n{pem}")] {
        assert_eq!(decrypt_key(text.as_bytes(), &right).unwrap_err(), PemKeyError::Damaged);
    }
}

#[test]
fn what_is_no_encrypted_key_is_refused_by_what_it_is() {
    let right = password("right");
    let (_, text) = cheap(KeyType::Ed25519);
    let read = |text: &str| decrypt_key(text.as_bytes(), &right).unwrap_err();
    assert_eq!(read(""), PemKeyError::Pem);
    assert_eq!(read(&text.replace("ENCRYPTED ", "")), PemKeyError::Unencrypted);
    assert_eq!(
        read(&text.replace("ENCRYPTED PRIVATE", "PUBLIC")),
        PemKeyError::Label { found: "PUBLIC KEY".into() }
    );
    assert_eq!(read(&format!("{text}{text}")), PemKeyError::Pem);
    assert_eq!(read(&"a".repeat(MAX_TEXT + 1)), PemKeyError::TooLarge { found: MAX_TEXT + 1, max: MAX_TEXT });
}
