//! Emission curves, as differences of a cumulative function.

use depin_core::{Amount, Epoch};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// How much a network may emit, and when.
///
/// A curve says what all epochs before a given one emit together. An epoch's emission is the difference of two such sums, so
/// epochs that are missed, closed late or closed in batches cannot drift from the schedule.
pub trait Curve: Send + Sync {
    /// What the first `epochs` epochs emit together, in base units. Never decreases.
    ///
    /// Saturates at [`Amount::MAX`], beyond which no supply exists: a curve that has reached it emits nothing more.
    fn cumulative(&self, epochs: u64) -> Amount;

    /// What `epoch` emits, in base units.
    fn emission(&self, epoch: Epoch) -> Amount {
        match epoch.next() {
            Some(next) => self.cumulative(next.0).saturating_sub(self.cumulative(epoch.0)),
            // The last epoch there is: no sum can include it.
            None => Amount::ZERO,
        }
    }
}

/// The same emission in every epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Constant {
    /// What each epoch emits, in base units.
    #[n(0)]
    pub per_epoch: Amount,
}

impl Curve for Constant {
    fn cumulative(&self, epochs: u64) -> Amount {
        times(self.per_epoch, epochs)
    }
}

/// An emission that halves: epoch `e` emits `initial >> (e / interval)`, the rule of Bitcoin's subsidy and of the distributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Halving {
    /// What an epoch of the first era emits, in base units.
    #[n(0)]
    pub initial: Amount,
    /// Epochs per era; 0 never halves.
    #[n(1)]
    pub interval: u64,
}

impl Curve for Halving {
    fn cumulative(&self, epochs: u64) -> Amount {
        let (Some(full_eras), Some(rest)) =
            (epochs.checked_div(self.interval), epochs.checked_rem(self.interval))
        else {
            return times(self.initial, epochs);
        };
        let mut sum = Amount::ZERO;
        let mut reward = self.initial;
        for era in 0..=full_eras {
            // At most 128 rounds: by then every bit is shifted out.
            if reward == Amount::ZERO {
                break;
            }
            let length = if era == full_eras { rest } else { self.interval };
            sum = Amount(sum.0.saturating_add(times(reward, length).0));
            reward = Amount(reward.0 >> 1);
        }
        sum
    }
}

/// The curves that a network can be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(flat)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CurveParams {
    /// The same emission in every epoch.
    #[n(0)]
    Constant(#[n(0)] Constant),
    /// An emission that halves.
    #[n(1)]
    Halving(#[n(0)] Halving),
}

impl Curve for CurveParams {
    fn cumulative(&self, epochs: u64) -> Amount {
        match self {
            Self::Constant(curve) => curve.cumulative(epochs),
            Self::Halving(curve) => curve.cumulative(epochs),
        }
    }
}

fn times(reward: Amount, epochs: u64) -> Amount {
    Amount(reward.0.saturating_mul(u128::from(epochs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use depin_core::cbor;
    use proptest::prelude::*;

    const BITCOIN: Halving = Halving { initial: Amount(5_000_000_000), interval: 210_000 };

    #[test]
    fn bitcoin_ends_at_its_known_supply() {
        for (eras, satoshi) in [
            (1, 1_050_000_000_000_000),
            (2, 1_575_000_000_000_000),
            (3, 1_837_500_000_000_000),
            (4, 1_968_750_000_000_000),
            (33, 2_099_999_997_690_000),
            (34, 2_099_999_997_690_000),
        ] {
            assert_eq!(BITCOIN.cumulative(eras * 210_000), Amount(satoshi), "{eras} eras");
        }
        assert_eq!(BITCOIN.emission(Epoch(33 * 210_000 - 1)), Amount(1));
        assert_eq!(BITCOIN.emission(Epoch(33 * 210_000)), Amount::ZERO);
        assert_eq!(BITCOIN.cumulative(u64::MAX), Amount(2_099_999_997_690_000));
    }

    #[test]
    fn an_interval_of_zero_never_halves() {
        let curve = Halving { initial: Amount(7), interval: 0 };
        assert_eq!(curve.emission(Epoch(u64::MAX - 1)), Amount(7));
        assert_eq!(curve.cumulative(10), Constant { per_epoch: Amount(7) }.cumulative(10));
    }

    #[test]
    fn a_curve_that_reached_the_largest_supply_emits_nothing_more() {
        let curve = Constant { per_epoch: Amount(1 << 127) };
        assert_eq!(curve.emission(Epoch(0)), Amount(1 << 127));
        assert_eq!(curve.emission(Epoch(1)), Amount((1 << 127) - 1));
        assert_eq!(curve.emission(Epoch(2)), Amount::ZERO);
        assert_eq!(curve.emission(Epoch(u64::MAX)), Amount::ZERO);
    }

    fn curves() -> impl Strategy<Value = CurveParams> {
        prop_oneof![
            any::<u128>().prop_map(|x| CurveParams::Constant(Constant { per_epoch: Amount(x) })),
            (any::<u128>(), prop_oneof![0u64..200, any::<u64>()])
                .prop_map(|(x, interval)| CurveParams::Halving(Halving { initial: Amount(x), interval })),
        ]
    }

    proptest! {
        #[test]
        fn an_epoch_emits_what_the_contract_computes(initial in 0u128..1 << 100, interval in 0u64..50, epoch in 0u64..2_000) {
            // The distributor: `interval == 0 ? initial : initial >> (epoch / interval)`; a shift of 256 bits or more gives 0.
            let shift = epoch.checked_div(interval).unwrap_or(0);
            let expected = u32::try_from(shift).ok().and_then(|shift| initial.checked_shr(shift)).unwrap_or(0);
            prop_assert_eq!(Halving { initial: Amount(initial), interval }.emission(Epoch(epoch)), Amount(expected));
        }

        #[test]
        fn missed_and_batched_epochs_do_not_drift(curve in curves(), start in 0u64..500, length in 0u64..200) {
            let one_by_one = (start..start + length)
                .map(|epoch| curve.emission(Epoch(epoch)))
                .fold(0u128, |sum, emission| sum + emission.0);
            let batched = curve.cumulative(start + length).0 - curve.cumulative(start).0;
            prop_assert_eq!(one_by_one, batched);
        }

        #[test]
        fn a_cumulative_never_decreases(curve in curves(), a: u64, b: u64) {
            prop_assert!(curve.cumulative(a.min(b)) <= curve.cumulative(a.max(b)));
        }

        #[test]
        fn parameters_round_trip(curve in curves()) {
            prop_assert_eq!(cbor::from_slice::<CurveParams>(&cbor::to_vec(&curve)).unwrap(), curve);
            prop_assert_eq!(serde_json::from_str::<CurveParams>(&serde_json::to_string(&curve).unwrap()).unwrap(), curve);
        }
    }
}
