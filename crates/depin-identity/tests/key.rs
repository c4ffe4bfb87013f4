//! Software keys: known answers of RFC 8032, and secrets that stay secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use depin_identity::{DeviceSigner, PublicKey, SoftwareKey};
use proptest::prelude::*;

/// RFC 8032, 7.1: secret, public key, message, signature of tests 1 to 3.
const RFC8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn known_answers_of_rfc_8032() {
    for [seed, public, message, signature] in RFC8032 {
        let key = SoftwareKey::from_seed(hex::decode(seed).unwrap().try_into().unwrap());
        assert_eq!(hex::encode(key.public().typed().key()), public);
        let message = hex::decode(message).unwrap();
        assert_eq!(hex::encode(key.signature(&message).0), signature);
        key.public().verify(&message, &key.signature(&message)).unwrap();
        let known = PublicKey::checked_before(key.public().typed()).unwrap();
        assert_eq!((&known, known.id()), (key.public(), key.public().id()));
        known.verify(&message, &key.signature(&message)).unwrap();
        assert!(known.verify(&[&message[..], &[0]].concat(), &key.signature(&message)).is_err());
        assert_eq!(hex::encode(*key.to_secret()), seed);
    }
}

#[test]
fn debug_output_shows_the_public_key_only() {
    let seed = [0xa5; 32];
    let shown = format!("{:?} {:#?}", SoftwareKey::from_seed(seed), SoftwareKey::from_seed(seed));
    assert!(shown.starts_with("SoftwareKey(did:key:z6Mk"), "{shown}");
    for secret in ["a5a5", "A5A5", "165, 165"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_software_key_is_fit_and_signs_strictly(seed: [u8; 32], message: Vec<u8>, bit in 0..512_usize) {
        let key = SoftwareKey::from_seed(seed);
        prop_assert_eq!(&PublicKey::new(key.public_key()).unwrap(), key.public());
        let mut signature = key.signature(&message);
        prop_assert_eq!(pollster::block_on(DeviceSigner::sign(&key, &message)).unwrap(), signature);
        prop_assert!(key.public().verify(&message, &signature).is_ok());
        signature.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(key.public().verify(&message, &signature).is_err());
    }
}
