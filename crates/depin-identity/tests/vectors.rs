//! Material made by others: Ed25519 edge cases, COSE examples, Merkle inclusion proofs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use depin_core::{Digest, KeyType, TypedKey};
use depin_identity::{
    Envelope, EnvelopeError, Head, PublicKey, PublicKeyError, SigPolicy, Sign1Error, Signature,
    SignatureBatch, check_inclusion,
};
use serde_json::Value;

fn json(path: &str) -> Option<Value> {
    depin_vectors::file(path).map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

#[test]
fn strict_accepts_43_of_914_edge_cases_and_registered_keys_fewer() {
    let Some(vectors) = json("identity/ed25519-cctv/VALIDATIONVECTORS") else { return };
    let vectors = vectors.as_array().unwrap();
    assert_eq!(vectors.len(), 914);
    let (mut strict, mut registered, mut fit_keys) = (0, 0, Vec::new());
    for vector in vectors {
        let key: [u8; 32] = hex::decode(text(vector, "key")).unwrap().try_into().unwrap();
        let signature: [u8; 64] = hex::decode(text(vector, "sig")).unwrap().try_into().unwrap();
        let message = text(vector, "msg").as_bytes();
        let by_library = ed25519_dalek::VerifyingKey::from_bytes(&key).is_ok_and(|key| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature)).is_ok()
        });
        let key = PublicKey::new(TypedKey::ed25519(&key));
        let ours = key.as_ref().is_ok_and(|key| key.verify(message, &Signature(signature)).is_ok());
        fit_keys.extend(key.ok().map(|key| (key, message, Signature(signature), ours)));
        strict += usize::from(by_library);
        registered += usize::from(ours);
        // The vectors' own flags say which keys are unfit.
        let flags = vector["flags"].as_array().map(Vec::as_slice).unwrap_or_default();
        let unfit = ["low_order_A", "low_order_component_A", "non_canonical_A"];
        let fit = !flags.iter().any(|flag| unfit.iter().any(|unfit| flag == unfit));
        assert_eq!(ours, by_library && fit, "{vector}");
    }
    assert_eq!((strict, registered), (43, 1));
    // Often enough that they are checked together.
    let often: Vec<_> = fit_keys.iter().cycle().take(1_000).collect();
    let mut batch = SignatureBatch::new(SigPolicy::Strict);
    for (key, message, signature, _) in &often {
        batch.push(key, message, signature);
    }
    assert_eq!(batch.verify(), often.iter().map(|(.., right)| *right).collect::<Vec<_>>());
}

#[test]
fn of_914_edge_cases_43_are_right_strictly_and_826_by_zip_215_alone_and_in_batches() {
    let Some(vectors) = json("identity/ed25519-cctv/VALIDATIONVECTORS") else { return };
    for (policy, expected) in [(SigPolicy::Strict, 43), (SigPolicy::Zip215, 826)] {
        let (mut batch, mut alone) = (SignatureBatch::new(policy), Vec::new());
        for vector in vectors.as_array().unwrap() {
            let key: [u8; 32] = hex::decode(text(vector, "key")).unwrap().try_into().unwrap();
            let signature: [u8; 64] = hex::decode(text(vector, "sig")).unwrap().try_into().unwrap();
            let message = text(vector, "msg").as_bytes();
            // Most of these keys would not register.
            let typed = PublicKey::checked_before(TypedKey::ed25519(&key)).unwrap();
            let right = typed.verify_under(policy, message, &Signature(signature)).is_ok();
            let by_library = match policy {
                SigPolicy::Strict => ed25519_dalek::VerifyingKey::from_bytes(&key).is_ok_and(|key| {
                    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature)).is_ok()
                }),
                SigPolicy::Zip215 => ed25519_zebra::VerificationKey::try_from(key)
                    .is_ok_and(|key| key.verify(&signature.into(), message).is_ok()),
            };
            assert_eq!(right, by_library, "{policy}: {vector}");
            batch.push(&typed, message, &Signature(signature));
            alone.push(right);
        }
        assert_eq!(alone.iter().filter(|right| **right).count(), expected);
        assert_eq!(batch.verify(), alone);
    }
}

#[test]
fn keys_anyone_can_sign_for_and_second_encodings_do_not_register() {
    let refused = |hexadecimal: &str| {
        let key = hex::decode(hexadecimal).unwrap();
        PublicKey::new(TypedKey::new(KeyType::Ed25519, &key).unwrap()).unwrap_err()
    };
    // The eight points of small order (RFC 7748 and Cremers, Jackson 2019), and second encodings of them.
    for small in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ] {
        assert_eq!(refused(small), PublicKeyError::SmallOrder, "{small}");
    }
    // From the edge cases above: a point of large order with a small-order component.
    let mixed = "10eb7c3acfb2bed3e0d6ab89bf5a3d6afddd1176ce4812e38d9fd485058fdb1f";
    assert_eq!(refused(mixed), PublicKeyError::MixedOrder);
    let off = "0200000000000000000000000000000000000000000000000000000000000000";
    assert_eq!(refused(off), PublicKeyError::NotOnCurve);
    // y = 3 is on the curve; p + 3 is the same point again. Whatever its order, the second encoding is refused.
    let again = "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    assert_eq!(refused(again), PublicKeyError::NotCanonical);
    // No square: 2^5·0x0101… and 7 are no y² there.
    for kind in [KeyType::P256, KeyType::Secp256k1] {
        for bytes in [[0; 33], [4; 33], [5; 33], [0xff; 33]] {
            let key = TypedKey::new(kind, &bytes).unwrap();
            assert_eq!(PublicKey::new(key), Err(PublicKeyError::NotOnCurve), "{kind:?} {bytes:?}");
        }
    }
}

#[test]
fn cose_examples_are_of_other_profiles_and_refused_with_a_reason() {
    let mut examples = depin_vectors::files("identity/cose-wg/eddsa-examples");
    examples.extend(depin_vectors::files("identity/cose-wg/ecdsa-examples"));
    if examples.is_empty() {
        return;
    }
    assert_eq!(examples.len(), 12);
    for (name, bytes) in examples {
        let example: Value = serde_json::from_slice(&bytes).unwrap();
        let message = hex::decode(text(&example["output"], "cbor")).unwrap();
        let expected = match Envelope::parse(&message) {
            Err(EnvelopeError::Sign1(Sign1Error::Profile { expected })) => expected,
            other => panic!("{name}: {other:?}"),
        };
        // Those with one signer have tag 18 and put the key id, which is shorter, where it is not protected.
        if name.contains("-sig-") {
            assert!(expected.starts_with("protected headers"), "{name}: {expected}");
        } else {
            assert_eq!(expected, "tag 18", "{name}");
        }
    }
}

#[test]
fn inclusion_proofs_are_judged_as_rfc_9162_says() {
    let files = depin_vectors::files("core/tlog/rfc6962-merkle-proofs/testdata/inclusion");
    if files.is_empty() {
        return;
    }
    let mut found = (0, 0);
    for (name, bytes) in files {
        let vector: Value = serde_json::from_slice(&bytes).unwrap();
        let digest = |value: &Value| {
            let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).unwrap();
            <[u8; 32]>::try_from(bytes).ok().map(Digest)
        };
        let number = |field: &str| vector[field].as_u64();
        let hashes = vector["proof"].as_array().map(Vec::as_slice).unwrap_or_default();
        let proof: Option<Vec<Digest>> = hashes.iter().map(digest).collect();
        let accepted = match (number("leafIdx"), number("treeSize"), digest(&vector["root"]), proof) {
            (Some(index), Some(size), Some(root), Some(proof)) => digest(&vector["leafHash"])
                .is_some_and(|leaf| check_inclusion(leaf, index, &proof, &Head { size, root }).is_ok()),
            // Not even digests and positions.
            _ => false,
        };
        assert_eq!(accepted, !vector["wantErr"].as_bool().unwrap(), "{name}");
        if accepted { found.0 += 1 } else { found.1 += 1 }
    }
    assert_eq!(found, (6, 92));
}
