//! Settling a deal, period by period.

use depin_core::{Amount, Epoch};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// How one period of a deal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(flat)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Period {
    /// Work was proven, in the deal's unit: it pays.
    #[n(0)]
    Proven(
        /// What was proven; in JSON a string of decimal digits.
        #[n(0)]
        #[cbor(with = "depin_core::cbor::u128")]
        #[serde(with = "depin_core::cbor::u128_string")]
        u128,
    ),
    /// The work was not done or not shown: it pays nothing, and the deal moves on.
    #[n(1)]
    Faulted,
    /// Not decided yet: the deal waits here.
    #[n(2)]
    Open,
}

/// What a settlement pays, and where the next one starts. Two outputs, because a faulted period moves on without paying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Settlement {
    /// What the provider is owed for the periods passed, before any burn.
    #[n(0)]
    pub pay: Amount,
    /// The first period that is not settled.
    #[n(1)]
    pub cursor: Epoch,
}

/// Why a deal could not be settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// A deal for nothing.
    #[error("full delivery is 0 units; refuse the deal, it has no price per unit")]
    NothingWanted,
    /// The sum does not fit.
    #[error("the pay exceeds 2^128 - 1 base units; settle fewer periods at once")]
    Overflow,
    /// No epoch follows.
    #[error("the periods run past the last epoch; start at an earlier cursor than {cursor}")]
    LastEpoch {
        /// Where the settlement started.
        cursor: Epoch,
    },
}

/// The pay for one period: `floor(price * min(proved, full) / full)`, so at most `price`.
///
/// # Errors
/// [`SettleError::NothingWanted`] when `full` is 0.
pub fn pay(price: Amount, full: u128, proved: u128) -> Result<Amount, SettleError> {
    price.mul_div_floor(proved.min(full), full).map_err(|_| SettleError::NothingWanted)
}

/// Settles the consecutive `periods` of a deal, of which the first is `cursor`, up to the first open one.
///
/// `price` is the price of `full` units in one period. Rounding happens per period, so it makes no difference in how many steps
/// a deal is settled.
///
/// # Errors
/// [`SettleError`].
pub fn settle(
    price: Amount,
    full: u128,
    cursor: Epoch,
    periods: &[Period],
) -> Result<Settlement, SettleError> {
    let start = cursor;
    let mut settlement = Settlement { pay: Amount::ZERO, cursor };
    for period in periods {
        let earned = match period {
            Period::Proven(proved) => pay(price, full, *proved)?,
            Period::Faulted => Amount::ZERO,
            Period::Open => break,
        };
        settlement.pay = settlement.pay.checked_add(earned).map_err(|_| SettleError::Overflow)?;
        settlement.cursor = settlement.cursor.next().ok_or(SettleError::LastEpoch { cursor: start })?;
    }
    Ok(settlement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn proven_pays_faulted_moves_on_open_waits() {
        let periods =
            [Period::Proven(50), Period::Faulted, Period::Proven(100), Period::Open, Period::Proven(100)];
        let settled = settle(Amount(10), 100, Epoch(7), &periods).unwrap();
        assert_eq!(settled, Settlement { pay: Amount(15), cursor: Epoch(10) });
    }

    #[test]
    fn faults_alone_move_the_cursor_and_pay_nothing() {
        let settled = settle(Amount(10), 100, Epoch(0), &[Period::Faulted; 3]).unwrap();
        assert_eq!(settled, Settlement { pay: Amount::ZERO, cursor: Epoch(3) });
    }

    #[test]
    fn more_than_full_delivery_pays_the_price_once() {
        assert_eq!(pay(Amount(10), 100, u128::MAX), Ok(Amount(10)));
        assert_eq!(pay(Amount::MAX, u128::MAX, u128::MAX), Ok(Amount::MAX));
        assert_eq!(pay(Amount(10), 0, 1), Err(SettleError::NothingWanted));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let two = [Period::Proven(1), Period::Proven(1)];
        assert_eq!(settle(Amount::MAX, 1, Epoch(0), &two), Err(SettleError::Overflow));
        let last = Epoch(u64::MAX);
        assert_eq!(settle(Amount(1), 1, last, &two), Err(SettleError::LastEpoch { cursor: last }));
    }

    fn periods() -> impl Strategy<Value = Vec<Period>> {
        let period = prop_oneof![
            4 => (0u128..2_000).prop_map(Period::Proven),
            2 => Just(Period::Faulted),
            1 => Just(Period::Open),
        ];
        proptest::collection::vec(period, 0..40)
    }

    proptest! {
        #[test]
        fn steps_make_no_difference(price in 0u128..1 << 100, full in 1u128..1_000, periods in periods(), step in 1usize..10) {
            let at_once = settle(Amount(price), full, Epoch(3), &periods).unwrap();
            let mut paid = Amount::ZERO;
            let mut cursor = Epoch(3);
            loop {
                let done = usize::try_from(cursor.0 - 3).unwrap();
                let next = &periods[done..(done + step).min(periods.len())];
                let settled = settle(Amount(price), full, cursor, next).unwrap();
                paid = paid.checked_add(settled.pay).unwrap();
                if settled.cursor == cursor {
                    break;
                }
                cursor = settled.cursor;
            }
            prop_assert_eq!(Settlement { pay: paid, cursor }, at_once);
        }

        #[test]
        fn never_more_than_the_price_of_each_period(price in 0u128..1 << 100, full in 1u128..1_000, periods in periods()) {
            let settled = settle(Amount(price), full, Epoch(0), &periods).unwrap();
            prop_assert!(settled.pay.0 <= price * u128::from(settled.cursor.0));
        }
    }
}
