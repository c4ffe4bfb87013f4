//! A batch says of each signature what the single check says of it, whatever somebody put together to make them differ.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

#[path = "common/crafted.rs"]
#[allow(dead_code, unreachable_pub)]
mod crafted;

use crafted::{Kind, Signed, alone, kinds, signed, together};
use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
};
use depin_core::{KeyType, TypedKey};
use depin_identity::{PublicKey, SigPolicy, Signature, SignatureBatch, SoftwareKey};
use proptest::prelude::*;
use sha2::{Digest, Sha512};

/// So many that the batch is more than single checks.
const MANY: usize = 300;
/// The fewest that are checked together.
const SMALL: usize = 256;

/// What the batch says, which has to be what each single check says.
fn verdicts(all: &[Signed]) -> Vec<bool> {
    let together = together(SigPolicy::Strict, all);
    assert_eq!(together, all.iter().map(|one| alone(SigPolicy::Strict, one)).collect::<Vec<_>>());
    together
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
    let mut batch = SignatureBatch::new(SigPolicy::Strict);
    assert!(batch.is_empty());
    batch.push(&all[0].key, &all[0].message, &all[0].signature);
    assert_eq!((batch.len(), batch.verify(), batch.len()), (1, vec![true], 0));
    assert_eq!(batch.verify(), Vec::<bool>::new());
}

#[test]
fn one_wrong_one_among_many_is_found_wherever_it_is() {
    let wrong = |kind: &Kind| kind.is_right(SigPolicy::Strict) == Some(false);
    for (kind, at) in kinds().into_iter().filter(wrong).zip((0..MANY).step_by(13).cycle()) {
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
    fn batch_and_single_say_the_same(crafted in prop::collection::vec(prop::sample::select(kinds()), 256..600), rare: bool) {
        let all: Vec<Signed> = crafted
            .into_iter()
            .enumerate()
            // Where nearly all are right, large parts of the batch stand.
            .map(|(number, kind)| signed(number, if rare && number % 97 != 5 { Kind::Right } else { kind }))
            .collect();
        verdicts(&all);
    }
}
