//! How many leaves catch how much.

use depin_core::{Bps, cbor};
use depin_proof::possession::{PossessionParams, samples_needed};
use proptest::prelude::*;

use crate::fixture::params;

fn samples(loss: u16, confidence: u16) -> u32 {
    samples_needed(Bps::new(loss).unwrap(), Bps::new(confidence).unwrap()).unwrap()
}

#[test]
fn one_percent_at_99_percent_needs_459() {
    assert_eq!(samples(100, 9_900), 459);
    assert_eq!(PossessionParams::default(), params(100, 9_900));
    // Ateniese et al., Provable Data Possession (CCS 2007), 5.1, says 300 and 460 for 95 % and 99 %, rounded up to tens.
    assert_eq!(samples(100, 9_500), 299);
}

/// A number in base 2^32, least significant first.
fn times(number: &mut Vec<u64>, factor: u64) {
    let mut carry = 0;
    for digit in number.iter_mut() {
        let product = *digit * factor + carry;
        (*digit, carry) = (product & 0xffff_ffff, product >> 32);
    }
    if carry > 0 {
        number.push(carry);
    }
}

/// Whether `(1 - loss)^samples <= 1 - confidence`, in whole numbers.
fn enough(loss: u16, confidence: u16, samples: u32) -> bool {
    let (mut undetected, mut allowed) = (vec![10_000], vec![u64::from(10_000 - confidence)]);
    for _ in 0..samples {
        times(&mut undetected, u64::from(10_000 - loss));
        times(&mut allowed, 10_000);
    }
    allowed.resize(allowed.len().max(undetected.len()), 0);
    undetected.resize(allowed.len(), 0);
    undetected.iter().rev().le(allowed.iter().rev())
}

#[test]
fn the_number_is_the_smallest_that_is_enough() {
    for loss in [10, 33, 100, 500, 777, 1_000, 2_000] {
        for confidence in [9_000, 9_375, 9_900, 9_999] {
            let samples = samples(loss, confidence);
            assert!(enough(loss, confidence, samples), "{loss} {confidence}: {samples}");
            assert!(!enough(loss, confidence, samples - 1), "{loss} {confidence}: {samples}");
        }
    }
    assert_eq!(samples(10, 9_999), 9_206);
}

#[test]
fn parameters_have_bounds() {
    for (loss, confidence, name) in [
        (9, 9_900, "possession.loss"),
        (2_001, 9_900, "possession.loss"),
        (100, 8_999, "possession.confidence"),
        (100, 10_000, "possession.confidence"),
    ] {
        let error =
            PossessionParams::new(Bps::new(loss).unwrap(), Bps::new(confidence).unwrap()).unwrap_err();
        assert_eq!(error.name, name);
        let json = format!("{{\"loss\":{loss},\"confidence\":{confidence}}}");
        assert!(serde_json::from_str::<PossessionParams>(&json).is_err());
        assert!(cbor::from_slice::<PossessionParams>(&cbor::to_vec(&(loss, confidence))).is_err());
    }
}

proptest! {
    #[test]
    fn parameters_are_read_back(loss in 10u16..=2_000, confidence in 9_000u16..=9_999) {
        let params = params(loss, confidence);
        prop_assert_eq!(cbor::from_slice::<PossessionParams>(&cbor::to_vec(&params)).unwrap(), params);
        prop_assert_eq!(serde_json::from_str::<PossessionParams>(&serde_json::to_string(&params).unwrap()).unwrap(), params);
    }
}
