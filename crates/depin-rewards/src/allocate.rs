//! Dividing a pool by weights, with nothing lost.

use depin_core::{Amount, AmountError};
use serde::{Deserialize, Serialize};

/// What happens to the base units that do not divide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rounding {
    /// Every share is rounded down, and the rest is dust.
    ///
    /// Splitting a weight never gains, so this is what pays for work.
    Floor,
    /// Every share is rounded down, and the rest goes, one base unit each, to the largest remainders; among equal ones to the
    /// lower id. No dust, but whoever splits its weight can gain base units: only for recipients who cannot split.
    LargestRemainder,
}

/// A pool divided: the shares and the dust sum to the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation<Id> {
    /// What each id gets, in ascending order of ids, zeros included.
    pub shares: Vec<(Id, Amount)>,
    /// The sum of the shares.
    pub paid: Amount,
    /// What no share took.
    pub dust: Amount,
}

/// Why a pool could not be divided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError<Id: core::fmt::Debug> {
    /// An id with two weights.
    #[error("{id:?} has two weights; add them up before dividing the pool")]
    Duplicate {
        /// The id.
        id: Id,
    },
    /// The weights sum to more than 2^128 - 1.
    #[error("the sum of the weights exceeds 2^128 - 1; use a coarser unit")]
    WeightOverflow,
}

/// Divides `pool` (base units) by `weights`: id `i` gets `pool * w_i / W`, multiplied in 256 bits, divided once, rounded by
/// `rounding`.
///
/// The order of `weights` does not matter. If all weights are zero, the whole pool is dust.
///
/// # Errors
/// [`AllocateError`].
pub fn allocate<Id: Ord + Clone + core::fmt::Debug>(
    pool: Amount,
    weights: &[(Id, u128)],
    rounding: Rounding,
) -> Result<Allocation<Id>, AllocateError<Id>> {
    let mut sorted: Vec<&(Id, u128)> = weights.iter().collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (one, next) in sorted.iter().zip(sorted.iter().skip(1)) {
        if one.0 == next.0 {
            return Err(AllocateError::Duplicate { id: one.0.clone() });
        }
    }
    let total = sorted
        .iter()
        .try_fold(0u128, |sum, (_, weight)| sum.checked_add(*weight))
        .ok_or(AllocateError::WeightOverflow)?;

    let mut shares: Vec<(Id, Amount)> = Vec::with_capacity(sorted.len());
    let mut remainders: Vec<u128> = Vec::with_capacity(sorted.len());
    for (id, weight) in sorted {
        let (share, remainder) = portion(pool, *weight, total);
        shares.push((id.clone(), share));
        remainders.push(remainder);
    }
    let dust = shares.iter().fold(pool, |rest, (_, share)| rest.saturating_sub(*share));
    let dust = match rounding {
        Rounding::Floor => dust,
        Rounding::LargestRemainder => hand_out(dust, &mut shares, &remainders),
    };
    Ok(Allocation { shares, paid: pool.saturating_sub(dust), dust })
}

/// Quotient and remainder of `pool * weight / total`; nothing for a total of zero. A weight never exceeds the total, so the
/// quotient never exceeds the pool.
fn portion(pool: Amount, weight: u128, total: u128) -> (Amount, u128) {
    match pool.mul_div(weight, total) {
        Ok(portion) => portion,
        Err(AmountError::DivisionByZero | AmountError::Overflow | _) => (Amount::ZERO, 0),
    }
}

/// Gives the dust to the largest remainders and returns what is left: nothing, unless all weights are zero.
fn hand_out<Id>(dust: Amount, shares: &mut [(Id, Amount)], remainders: &[u128]) -> Amount {
    // Each remainder is below the total, so there is less than one base unit of dust for each of them.
    let mut ranked: Vec<(&mut Amount, u128)> = shares
        .iter_mut()
        .map(|(_, share)| share)
        .zip(remainders.iter().copied())
        .filter(|(_, remainder)| *remainder > 0)
        .collect();
    // Stable, and the shares ascend by id: the lower id wins a tie.
    ranked.sort_by_key(|(_, remainder)| core::cmp::Reverse(*remainder));
    let mut rest = dust;
    for (share, _) in ranked {
        if rest == Amount::ZERO {
            break;
        }
        *share = Amount(share.0.saturating_add(1));
        rest = rest.saturating_sub(Amount(1));
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use depin_core::AmountError;
    use proptest::prelude::*;

    fn divide(pool: u128, weights: &[u128], rounding: Rounding) -> (Vec<u128>, u128) {
        let weights: Vec<(usize, u128)> = weights.iter().copied().enumerate().collect();
        let allocation = allocate(Amount(pool), &weights, rounding).unwrap();
        (allocation.shares.iter().map(|(_, share)| share.0).collect(), allocation.dust.0)
    }

    #[test]
    fn known_largest_remainders() {
        use Rounding::LargestRemainder;
        // POKT's determinism test, Superfluid's issue 155, Helium's ten bones over three.
        assert_eq!(divide(100, &[333, 333, 333], LargestRemainder), (vec![34, 33, 33], 0));
        assert_eq!(divide(9, &[3, 2], LargestRemainder), (vec![5, 4], 0));
        assert_eq!(divide(10, &[1, 1, 1], LargestRemainder), (vec![4, 3, 3], 0));
    }

    #[test]
    fn known_floors() {
        assert_eq!(divide(9, &[3, 2], Rounding::Floor), (vec![5, 3], 1));
        assert_eq!(divide(10, &[1, 1, 1], Rounding::Floor), (vec![3, 3, 3], 1));
        // Dividing before multiplying, in 28 decimal digits, pays a sole recipient nothing here.
        assert_eq!(divide(1, &[3], Rounding::Floor), (vec![1], 0));
    }

    #[test]
    fn the_extra_unit_goes_to_the_lowest_id_whatever_the_order() {
        let allocation =
            allocate(Amount(100), &[("c", 333), ("a", 333), ("b", 333)], Rounding::LargestRemainder).unwrap();
        assert_eq!(allocation.shares, [("a", Amount(34)), ("b", Amount(33)), ("c", Amount(33))]);
    }

    #[test]
    fn without_weight_the_whole_pool_is_dust() {
        for rounding in [Rounding::Floor, Rounding::LargestRemainder] {
            assert_eq!(divide(5, &[], rounding), (vec![], 5));
            assert_eq!(divide(5, &[0, 0], rounding), (vec![0, 0], 5));
        }
    }

    #[test]
    fn an_id_with_two_weights_is_refused() {
        let refused = allocate(Amount(1), &[(1, 1), (2, 1), (1, 1)], Rounding::Floor);
        assert_eq!(refused, Err(AllocateError::Duplicate { id: 1 }));
        let refused = allocate(Amount(1), &[(1, u128::MAX), (2, 1)], Rounding::Floor);
        assert_eq!(refused, Err(AllocateError::WeightOverflow));
    }

    #[test]
    fn largest_remainder_rewards_splitting_and_floor_does_not() {
        // Pool 2. Together, 14 of 20 is 1.4 and loses the second unit to 0.6. In two halves it is twice 0.7, and wins both.
        let together = |rounding| divide(2, &[14, 6], rounding).0[0];
        let split = |rounding| divide(2, &[7, 7, 6], rounding).0[..2].iter().sum::<u128>();
        assert_eq!((together(Rounding::LargestRemainder), split(Rounding::LargestRemainder)), (1, 2));
        assert_eq!((together(Rounding::Floor), split(Rounding::Floor)), (1, 0));
    }

    fn weights() -> impl Strategy<Value = Vec<u128>> {
        prop_oneof![
            proptest::collection::vec(0u128..100, 0..20),
            proptest::collection::vec(any::<u128>().prop_map(|weight| weight >> 5), 0..20),
        ]
    }

    proptest! {
        #[test]
        fn shares_and_dust_sum_to_the_pool(pool: u128, weights in weights()) {
            for rounding in [Rounding::Floor, Rounding::LargestRemainder] {
                let (shares, dust) = divide(pool, &weights, rounding);
                prop_assert_eq!(Amount::sum(shares.iter().copied().map(Amount)), Amount(pool).checked_sub(Amount(dust)));
                if weights.iter().any(|weight| *weight > 0) {
                    let bound = if rounding == Rounding::Floor { u128::try_from(weights.len()).unwrap() } else { 1 };
                    prop_assert!(dust < bound.max(1));
                }
            }
        }

        #[test]
        fn a_share_differs_from_the_exact_one_by_less_than_a_unit(pool: u128, weights in weights()) {
            let total: u128 = weights.iter().sum();
            prop_assume!(total > 0);
            let (floors, _) = divide(pool, &weights, Rounding::Floor);
            let (rounded, _) = divide(pool, &weights, Rounding::LargestRemainder);
            for ((floor, rounded), weight) in floors.iter().zip(&rounded).zip(&weights) {
                prop_assert_eq!(Ok(Amount(*floor)), Amount(pool).mul_div_floor(*weight, total));
                let ceiling: Result<Amount, AmountError> = Amount(pool).mul_div_ceil(*weight, total);
                prop_assert!(floor <= rounded && Amount(*rounded) <= ceiling.unwrap());
            }
        }

        #[test]
        fn splitting_a_weight_never_gains_under_floor(pool: u128, others in weights(), parts in proptest::collection::vec(0u128..1 << 120, 1..8)) {
            let whole: u128 = parts.iter().sum();
            let together = divide(pool, &[vec![whole], others.clone()].concat(), Rounding::Floor).0[0];
            let apart: u128 = divide(pool, &[parts.clone(), others].concat(), Rounding::Floor).0[..parts.len()].iter().sum();
            prop_assert!(apart <= together);
        }

        #[test]
        fn order_does_not_matter(pool: u128, weights in weights(), turn in 0usize..20) {
            let weights: Vec<(usize, u128)> = weights.into_iter().enumerate().collect();
            let mut turned = weights.clone();
            turned.rotate_left(turn.min(weights.len()));
            turned.reverse();
            for rounding in [Rounding::Floor, Rounding::LargestRemainder] {
                prop_assert_eq!(allocate(Amount(pool), &weights, rounding), allocate(Amount(pool), &turned, rounding));
            }
        }
    }
}
