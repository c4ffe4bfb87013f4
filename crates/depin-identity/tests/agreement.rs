//! One verdict for a signature: alone, in a batch, and by the libraries that define the two policies.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs, unreachable_pub)]

#[path = "common/crafted.rs"]
mod crafted;

use crafted::{Kind, MIXED_ORDER, POINTS, SCALARS, SMALL_ORDER, Signed, alone, kinds, signed, together};
use depin_core::KeyType;
use depin_identity::{SigPolicy, SoftwareKey};
use sha2::{Digest, Sha512};

const POLICIES: [SigPolicy; 2] = [SigPolicy::Strict, SigPolicy::Zip215];

/// `verify_strict` of ed25519-dalek, and ed25519-zebra.
fn judged(policy: SigPolicy, Signed { key, message, signature }: &Signed) -> bool {
    let bytes: [u8; 32] = key.typed().key().try_into().unwrap();
    match policy {
        SigPolicy::Strict => ed25519_dalek::VerifyingKey::from_bytes(&bytes).is_ok_and(|key| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
        }),
        SigPolicy::Zip215 => ed25519_zebra::VerificationKey::try_from(bytes)
            .is_ok_and(|key| key.verify(&signature.0.into(), message).is_ok()),
    }
}

#[test]
fn each_kind_is_judged_as_the_libraries_do() {
    for policy in POLICIES {
        for (number, kind) in kinds().into_iter().cycle().take(1_000).enumerate() {
            let one = signed(number, kind);
            let right = alone(policy, &one);
            assert_eq!(right, judged(policy, &one), "{kind:?}, {policy}");
            assert!(kind.is_right(policy).is_none_or(|expected| expected == right), "{kind:?}, {policy}");
            assert_eq!(together(policy, [&one]), [right], "{kind:?}, {policy}");
        }
    }
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64, u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.1 += 1;
        let hash =
            Sha512::new().chain_update(self.0.to_le_bytes()).chain_update(self.1.to_le_bytes()).finalize();
        let number = u64::from_le_bytes(hash[..8].try_into().unwrap());
        usize::try_from(number % u64::try_from(limit).unwrap()).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// Of 50,000 signatures one in `rare` is crafted, or random bytes: with few the batch as a whole is wrong, with none it is right.
fn fifty_thousand(policy: SigPolicy, rare: usize) -> usize {
    let kinds = kinds();
    let mut numbers = Numbers(u64::try_from(rare).unwrap(), 0);
    let mut right = 0;
    for batch in 0..50 {
        let all: Vec<Signed> = (0..1_000)
            .map(|at| {
                let number = batch * 1_000 + at;
                if numbers.below(rare) > 0 {
                    return signed(number, Kind::Right);
                }
                match numbers.below(kinds.len() + 1) {
                    random if random == kinds.len() => {
                        let mut one = signed(number, Kind::Right);
                        one.signature.0 = Sha512::digest(number.to_be_bytes()).into();
                        one
                    }
                    kind => signed(number, kinds[kind]),
                }
            })
            .collect();
        let single: Vec<bool> = all.iter().map(|one| alone(policy, one)).collect();
        assert_eq!(together(policy, &all), single, "batch {batch}");
        right += single.into_iter().filter(|right| *right).count();
    }
    right
}

#[test]
fn strict_batches_say_what_single_checks_say_of_50_000_that_are_all_crafted() {
    assert!((1_000..5_000).contains(&fifty_thousand(SigPolicy::Strict, 1)));
}

#[test]
fn strict_batches_say_what_single_checks_say_of_50_000_with_a_crafted_one_now_and_then() {
    assert!((49_000..50_000).contains(&fifty_thousand(SigPolicy::Strict, 600)));
}

#[test]
fn zip_215_batches_say_what_single_checks_say_of_50_000_that_are_all_crafted() {
    assert!((30_000..45_000).contains(&fifty_thousand(SigPolicy::Zip215, 1)));
}

#[test]
fn zip_215_batches_say_what_single_checks_say_of_50_000_with_a_crafted_one_now_and_then() {
    assert!((49_000..50_000).contains(&fifty_thousand(SigPolicy::Zip215, 600)));
}

/// 1,000 batches in which some of these kinds are among right ones, each time others at other places.
fn shuffled(policy: SigPolicy, crafted: &[Kind]) {
    // Enough that strict batches show the order of points in sums, and that halves of others are combined again.
    let (size, wrong) = match policy {
        SigPolicy::Strict => (256, 3),
        SigPolicy::Zip215 => (32, 3),
    };
    let pool = |kinds: &[Kind], count: usize, from: usize| -> Vec<(Signed, bool)> {
        let made = kinds.iter().cycle().take(count).enumerate();
        made.map(|(number, kind)| signed(from + number, *kind))
            .map(|one| {
                let right = alone(policy, &one);
                (one, right)
            })
            .collect()
    };
    let (right, crafted) = (pool(&[Kind::Right], 400, 0), pool(crafted, 60, 1_000));
    let mut numbers = Numbers(9, 0);
    let mut places: Vec<usize> = (0..right.len()).collect();
    for batch in 0..1_000 {
        numbers.shuffle(&mut places);
        let mut all: Vec<&(Signed, bool)> = places.iter().take(size).map(|place| &right[*place]).collect();
        for _ in 0..=numbers.below(wrong) {
            all.push(&crafted[numbers.below(crafted.len())]);
        }
        numbers.shuffle(&mut all);
        let expected: Vec<bool> = all.iter().map(|(_, right)| *right).collect();
        assert_eq!(together(policy, all.iter().map(|(one, _)| one)), expected, "batch {batch}");
    }
}

#[test]
fn shuffled_strict_batches_with_points_of_small_order() {
    shuffled(SigPolicy::Strict, &SMALL_ORDER);
}

#[test]
fn shuffled_strict_batches_with_points_of_mixed_order() {
    shuffled(SigPolicy::Strict, &MIXED_ORDER);
}

#[test]
fn shuffled_strict_batches_with_second_encodings() {
    shuffled(SigPolicy::Strict, &POINTS);
}

#[test]
fn shuffled_strict_batches_with_scalars_out_of_range() {
    shuffled(SigPolicy::Strict, &SCALARS);
}

#[test]
fn shuffled_zip_215_batches_with_points_of_small_order() {
    shuffled(SigPolicy::Zip215, &SMALL_ORDER);
}

#[test]
fn shuffled_zip_215_batches_with_points_of_mixed_order() {
    shuffled(SigPolicy::Zip215, &MIXED_ORDER);
}

#[test]
fn shuffled_zip_215_batches_with_second_encodings() {
    shuffled(SigPolicy::Zip215, &POINTS);
}

#[test]
fn shuffled_zip_215_batches_with_scalars_out_of_range() {
    shuffled(SigPolicy::Zip215, &SCALARS);
}

#[test]
fn keys_of_every_type_wait_in_one_batch() {
    for policy in POLICIES {
        let all: Vec<Signed> = (0..60_u8)
            .map(|number| {
                let key_type = KeyType::ALL[usize::from(number % 3)];
                let key = SoftwareKey::from_secret(key_type, [number + 1; 32]).unwrap();
                let (mut message, signature) = (vec![number], key.signature(&[number]));
                if number % 7 == 0 {
                    message.push(0);
                }
                Signed { key: *key.public(), message, signature }
            })
            .collect();
        let expected: Vec<bool> = (0..60).map(|number| number % 7 != 0).collect();
        assert_eq!(together(policy, &all), expected);
        assert_eq!(all.iter().map(|one| alone(policy, one)).collect::<Vec<_>>(), expected);
    }
}
