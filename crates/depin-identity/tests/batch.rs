//! A batch says of each signature what the single check says of it, whatever somebody put together to make them differ.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    scalar::clamp_integer,
};
use depin_core::{KeyType, TypedKey};
use depin_identity::{PublicKey, SigPolicy, Signature, SignatureBatch, SoftwareKey};
use proptest::prelude::*;
use sha2::{Digest, Sha512};

/// So many that the batch is more than single checks.
const MANY: usize = 300;
/// The fewest that are checked together.
const SMALL: usize = 256;

struct Signed {
    key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
}

/// What is wrong with a signature, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Right,
    OtherMessage,
    OtherKey,
    /// By the signer, with a point of small order added to R: right but for that.
    Torsion(usize),
    /// By the signer, R itself is of small order.
    SmallOrder(usize),
    /// As the neutral element, in its second encoding.
    NotCanonical,
    /// S above the group order.
    LargeS,
    /// R is no point.
    NoPoint,
}

const KINDS: [Kind; 22] = [
    Kind::Right,
    Kind::OtherMessage,
    Kind::OtherKey,
    Kind::Torsion(1),
    Kind::Torsion(2),
    Kind::Torsion(3),
    Kind::Torsion(4),
    Kind::Torsion(5),
    Kind::Torsion(6),
    Kind::Torsion(7),
    Kind::SmallOrder(0),
    Kind::SmallOrder(1),
    Kind::SmallOrder(2),
    Kind::SmallOrder(3),
    Kind::SmallOrder(4),
    Kind::SmallOrder(5),
    Kind::SmallOrder(6),
    Kind::SmallOrder(7),
    Kind::NotCanonical,
    Kind::LargeS,
    Kind::NoPoint,
    Kind::Right,
];

/// A signature of the signer with `seed`, who chooses R as it likes.
fn signed_with(seed: [u8; 32], message: &[u8], r: Scalar, r_bytes: [u8; 32]) -> Signature {
    let expanded: [u8; 64] = Sha512::digest(seed).into();
    let secret = Scalar::from_bytes_mod_order(clamp_integer(*expanded.first_chunk().unwrap()));
    let public = (secret * ED25519_BASEPOINT_POINT).compress();
    let k =
        Sha512::new().chain_update(r_bytes).chain_update(public.as_bytes()).chain_update(message).finalize();
    let s = r + Scalar::from_bytes_mod_order_wide(&k.into()) * secret;
    Signature([r_bytes, s.to_bytes()].concat().try_into().unwrap())
}

fn signed(number: usize, kind: Kind) -> Signed {
    let seed: [u8; 32] = Sha512::digest(number.to_le_bytes())[..32].try_into().unwrap();
    let key = SoftwareKey::from_seed(seed);
    let mut message = format!("report {number}").into_bytes();
    let mut signature = key.signature(&message);
    let mut public = *key.public();
    let r = Scalar::from(u64::try_from(number).unwrap() + 2);
    let bytes = |point: EdwardsPoint| point.compress().to_bytes();
    match kind {
        Kind::Right => {}
        Kind::OtherMessage => message.push(0),
        Kind::OtherKey => public = *SoftwareKey::from_seed([9; 32]).public(),
        Kind::Torsion(at) => {
            let point = r * ED25519_BASEPOINT_POINT + EIGHT_TORSION[at];
            signature = signed_with(seed, &message, r, bytes(point));
        }
        Kind::SmallOrder(at) => {
            signature = signed_with(seed, &message, Scalar::ZERO, bytes(EIGHT_TORSION[at]));
        }
        Kind::NotCanonical => {
            let mut second = [0xff; 32];
            (second[0], second[31]) = (0xee, 0x7f);
            signature = signed_with(seed, &message, Scalar::ZERO, second);
        }
        Kind::LargeS => signature.0[63] |= 0xf0,
        Kind::NoPoint => {
            signature.0[..32].fill(0);
            signature.0[0] = 2;
        }
    }
    Signed { key: public, message, signature }
}

/// What the batch says, which has to be what each single check says.
fn verdicts(all: &[Signed]) -> Vec<bool> {
    let mut batch = SignatureBatch::new(SigPolicy::Strict);
    assert!(batch.is_empty());
    for Signed { key, message, signature } in all {
        batch.push(key, message, signature);
    }
    assert_eq!(batch.len(), all.len());
    let together = batch.verify();
    let single: Vec<bool> =
        all.iter().map(|one| one.key.verify(&one.message, &one.signature).is_ok()).collect();
    assert_eq!(together, single);
    together
}

#[test]
fn every_kind_of_wrong_signature_is_wrong_alone() {
    for (number, kind) in KINDS.into_iter().enumerate() {
        assert_eq!(verdicts(&[signed(number, kind)]), [kind == Kind::Right], "{kind:?}");
    }
}

#[test]
fn what_is_crafted_is_right_but_for_a_point_of_small_order() {
    for at in 1..8 {
        let Signed { key, message, signature } = signed(1, Kind::Torsion(at));
        let (r, s) = signature.0.split_at(32);
        let r = curve25519_dalek::edwards::CompressedEdwardsY(r.try_into().unwrap()).decompress().unwrap();
        let s = Scalar::from_canonical_bytes(s.try_into().unwrap()).unwrap();
        let public = key.typed().key().to_vec();
        let k = Sha512::new().chain_update(&signature.0[..32]).chain_update(&public).chain_update(&message);
        let k = Scalar::from_bytes_mod_order_wide(&k.finalize().into());
        let public = curve25519_dalek::edwards::CompressedEdwardsY(public.try_into().unwrap());
        let left = s * ED25519_BASEPOINT_POINT - k * public.decompress().unwrap() - r;
        assert!(left != EdwardsPoint::default() && left.is_small_order(), "torsion {at}");
    }
}

#[test]
fn right_ones_are_right_together() {
    let all: Vec<Signed> = (0..MANY).map(|number| signed(number, Kind::Right)).collect();
    assert_eq!(verdicts(&all), vec![true; MANY]);
    assert_eq!(SignatureBatch::new(SigPolicy::Strict).verify(), Vec::<bool>::new());
}

#[test]
fn one_wrong_one_among_many_is_found_wherever_it_is() {
    for (kind, at) in KINDS.into_iter().filter(|kind| *kind != Kind::Right).zip((0..MANY).step_by(13).cycle())
    {
        let all: Vec<Signed> =
            (0..MANY).map(|number| signed(number, if number == at { kind } else { Kind::Right })).collect();
        let wrong: Vec<usize> =
            verdicts(&all).into_iter().enumerate().filter(|(_, right)| !right).map(|(at, _)| at).collect();
        assert_eq!(wrong, [at], "{kind:?}");
    }
}

#[test]
fn points_of_small_order_that_cancel_each_other_are_found() {
    // Order two twice, order four and its negative, order eight eight times.
    for crafted in [vec![4, 4], vec![2, 6], vec![1, 7], vec![1; 8], vec![4; 64]] {
        let kind = |number: usize| {
            crafted
                .get(number / 2)
                .filter(|_| number.is_multiple_of(2))
                .copied()
                .map_or(Kind::Right, Kind::Torsion)
        };
        let all: Vec<Signed> = (0..MANY).map(|number| signed(number, kind(number))).collect();
        assert_eq!(verdicts(&all).into_iter().filter(|right| !right).count(), crafted.len());
    }
}

/// `a·B` and a point of small order as a public key that somebody says was checked.
fn unfit(a: u64, torsion: usize) -> PublicKey {
    let point = Scalar::from(a) * ED25519_BASEPOINT_POINT + EIGHT_TORSION[torsion];
    PublicKey::checked_before(TypedKey::ed25519(&point.compress().to_bytes())).unwrap()
}

#[test]
fn with_an_unfit_key_it_is_still_what_the_single_check_says() {
    for torsion in 0..8 {
        for a in [0, 1, 1000] {
            let key = unfit(a, torsion);
            let bytes: [u8; 32] = key.typed().key().try_into().unwrap();
            let signed = |number: usize| {
                let message = number.to_le_bytes().to_vec();
                // Nonces until the hash is odd, so that a point of order two is in the way of each.
                let signature = (1..).find_map(|nonce: u64| {
                    let r = Scalar::from(nonce);
                    let r_bytes = (r * ED25519_BASEPOINT_POINT).compress().to_bytes();
                    let k = Sha512::new().chain_update(r_bytes).chain_update(bytes).chain_update(&message);
                    let k = Scalar::from_bytes_mod_order_wide(&k.finalize().into());
                    let s = r + k * Scalar::from(a);
                    let odd = k.as_bytes()[0] % 2 == 1;
                    odd.then(|| Signature([r_bytes, s.to_bytes()].concat().try_into().unwrap()))
                });
                Signed { key, message, signature: signature.unwrap() }
            };
            verdicts(&[signed(1)]);
            let right = verdicts(&(0..SMALL).map(signed).collect::<Vec<_>>());
            assert!(right.iter().all(|right| *right == (torsion == 0 && a > 0)), "{a}, {torsion}");
        }
    }
}

#[test]
fn many_keys_get_the_verdict_that_each_gets_alone() {
    let fit =
        |number: usize| SoftwareKey::from_seed([u8::try_from(number % 251).unwrap(); 32]).public().typed();
    let mut encoded = [0xff; 32];
    (encoded[0], encoded[31]) = (0xf0, 0x7f);
    let strange = [
        unfit(0, 0).typed(),
        unfit(0, 4).typed(),
        unfit(7, 1).typed(),
        unfit(7, 4).typed(),
        unfit(9, 4).typed(),
        TypedKey::ed25519(&encoded),
        TypedKey::ed25519(&[2; 32]),
        TypedKey::new(KeyType::P256, &[2; 33]).unwrap(),
    ];
    for every in [1, 37, 1000] {
        let keys: Vec<TypedKey> = (0..MANY)
            .map(|number| {
                if (number + 1).is_multiple_of(every) { strange[number % strange.len()] } else { fit(number) }
            })
            .collect();
        let together = PublicKey::new_all(keys.iter().copied());
        let alone: Vec<_> = keys.into_iter().map(PublicKey::new).collect();
        assert_eq!(together, alone);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batch_and_single_say_the_same(kinds in prop::collection::vec(0..KINDS.len(), 256..600), rare: bool) {
        let all: Vec<Signed> = kinds
            .into_iter()
            .enumerate()
            // Where nearly all are right, large parts of the batch stand.
            .map(|(number, kind)| signed(number, if rare && number % 97 != 5 { Kind::Right } else { KINDS[kind] }))
            .collect();
        verdicts(&all);
    }
}
