//! What happened in an hour, a day, or since the beginning: numbers that only ever grow with what is added and shrink with what is undone.

use depin_core::{Amount, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{StoreError, Total};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// Counts and sums, by name: one list makes the type, its arithmetic and its columns.
macro_rules! tally {
    ($(#[$meta:meta])* $name:ident {
        counts { $($(#[$count_doc:meta])* $count:ident,)+ }
        totals { $($(#[$total_doc:meta])* $total:ident,)+ }
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
        pub struct $name {
            $($(#[$count_doc])* pub $count: u64,)+
            $($(#[$total_doc])* #[cfg_attr(feature = "http", schema(schema_with = schema::amount))] pub $total: Total,)+
        }

        impl $name {
            /// Both together.
            ///
            /// # Errors
            /// [`StoreError::Sum`] when a sum leaves its range.
            pub fn plus(self, other: &Self) -> Result<Self, StoreError> {
                Ok(Self {
                    $($count: self.$count.checked_add(other.$count).ok_or(StoreError::Sum)?,)+
                    $($total: self.$total.plus(other.$total)?,)+
                })
            }

            /// What is left without `other`.
            ///
            /// # Errors
            /// [`StoreError::Sum`] when a number would become negative.
            pub fn minus(self, other: &Self) -> Result<Self, StoreError> {
                Ok(Self {
                    $($count: self.$count.checked_sub(other.$count).ok_or(StoreError::Sum)?,)+
                    $($total: self.$total.minus(other.$total)?,)+
                })
            }
        }

        #[cfg(feature = "sqlite")]
        impl $name {
            /// Its columns in a database.
            pub(crate) const COLUMNS: &'static [&'static str] = &[$(stringify!($count),)+ $(stringify!($total),)+];

            /// Its numbers, in the order of the columns.
            pub(crate) fn values(&self) -> (Vec<u64>, Vec<Total>) {
                (vec![$(self.$count,)+], vec![$(self.$total,)+])
            }

            /// From its numbers, in the order of the columns.
            pub(crate) fn from_values<E>(
                mut count: impl FnMut() -> Result<u64, E>,
                mut total: impl FnMut() -> Result<Total, E>,
            ) -> Result<Self, E> {
                $(let $count = count()?;)+
                $(let $total = total()?;)+
                Ok(Self { $($count,)+ $($total,)+ })
            }
        }
    };
}

tally! {
    /// What happened in a network within a time: epochs by when they closed, payments and claims by the time of their block.
    Tally {
        counts {
            /// Epochs that closed.
            epochs,
            /// Verdicts that work happened.
            accept,
            /// Verdicts that it did not, or was not shown.
            reject,
            /// Verdicts that it could not be checked.
            inconclusive,
            /// Envelopes that were refused.
            refused,
            /// Devices that got their first owner.
            activated,
            /// Devices that had an owner and were switched off.
            deactivated,
            /// Devices that were judged for the first time.
            seen,
            /// Customers who paid for the first time.
            customers,
        }
        totals {
            /// Accepted work.
            units,
            /// What owners got for it.
            earned,
            /// The part of it that was minted.
            minted,
            /// What customers had burned behind it.
            burned,
            /// What customers pay providers for it.
            revenue,
            /// What customers paid for credits on the chain.
            bought,
            /// The part of that which was burned.
            bought_burned,
            /// What was paid out on the chain.
            claimed,
        }
    }
}

tally! {
    /// What a device or an owner earned within a time, by when its epochs closed.
    EarnedTally {
        counts {
            /// Epochs it was judged in.
            epochs,
        }
        totals {
            /// Accepted work.
            units,
            /// What it earned.
            earned,
        }
    }
}

impl From<u128> for Total {
    fn from(value: u128) -> Self {
        Amount(value).into()
    }
}

/// How long the times are over which one sums up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    /// From one full hour of UTC to the next.
    Hour,
    /// From one midnight of UTC to the next.
    Day,
}

impl Period {
    /// When the hour or day of `time` began.
    pub const fn start(self, time: Timestamp) -> Timestamp {
        let length = self.length();
        Timestamp(time.0 - time.0 % length)
    }

    /// Milliseconds.
    pub const fn length(self) -> u64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
        }
    }
}

/// An hour, a day, or everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    Of(Period, Timestamp),
    All,
}

impl Span {
    /// The three that `time` lies in.
    pub(crate) const fn around(time: Timestamp) -> [Self; 3] {
        [
            Self::Of(Period::Hour, Period::Hour.start(time)),
            Self::Of(Period::Day, Period::Day.start(time)),
            Self::All,
        ]
    }

    /// What a database keeps for it: code and beginning.
    pub(crate) const fn code(self) -> (i64, Timestamp) {
        match self {
            Self::Of(Period::Hour, start) => (0, start),
            Self::Of(Period::Day, start) => (1, start),
            Self::All => (2, Timestamp(0)),
        }
    }
}

/// The hours that began later than this are those of the day that `newest` ends.
pub(crate) const fn last_day(newest: Timestamp) -> Timestamp {
    Timestamp(Period::Hour.start(newest).0.saturating_sub(DAY))
}
