//! Time is an argument: nothing in the pure crates reads a clock.

use core::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Timestamp(#[n(0)] pub u64);

/// A duration in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Millis(#[n(0)] pub u64);

/// The number of an accounting period; the first is 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
#[serde(transparent)]
pub struct Epoch(#[n(0)] pub u64);

/// A moment as people read it: see [`Timestamp::rfc3339`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(Timestamp);

impl Timestamp {
    /// The beginning of the second `seconds` after 1970-01-01T00:00:00Z; the end of time if that does not fit.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// This moment for people, in UTC (RFC 3339, 5.6): `2026-01-31T12:00:00Z`, with three digits of a second that is not whole. A moment after the year 9999, which that
    /// form cannot say, is shown as its milliseconds. Bytes that are signed or hashed have milliseconds, by [`fmt::Display`].
    #[must_use]
    pub const fn rfc3339(self) -> Rfc3339 {
        Rfc3339(self)
    }

    /// This moment and `later` after it; the end of time if that does not fit.
    #[must_use]
    pub const fn saturating_add(self, later: Millis) -> Self {
        Self(self.0.saturating_add(later.0))
    }

    /// How long ago `earlier` was; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// How far apart two moments are, whichever comes first.
    #[must_use]
    pub const fn distance(self, other: Self) -> Millis {
        Millis(self.0.abs_diff(other.0))
    }
}

impl Epoch {
    /// The epoch after this one; none after the last.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }

    /// The epoch before this one; none before the first.
    pub const fn previous(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(previous) => Some(Self(previous)),
            None => None,
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

const MILLIS_A_DAY: u64 = 86_400_000;
/// 10000-01-01T00:00:00Z.
const YEAR_10000: u64 = 253_402_300_800_000;

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Timestamp(millis)) = *self;
        if millis >= YEAR_10000 {
            return write!(f, "{millis} ms after 1970-01-01T00:00:00Z");
        }
        let (year, month, day) = civil(millis / MILLIS_A_DAY);
        let of_day = millis % MILLIS_A_DAY;
        let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match of_day % 1_000 {
            0 => f.write_str("Z"),
            part => write!(f, ".{part:03}Z"),
        }
    }
}

/// Year, month and day of the day that is `days` after 1970-01-01, in the Gregorian calendar.
///
/// Years begin in March here, so that a leap day ends one. 400 of them have 146,097 days, whatever they begin with.
const fn civil(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01 on.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    // Days without the leap days before them.
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, months of 31 and 30 days take turns so that five have 153.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year_of_era + later, month, day)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn moments_are_shown_as_rfc_3339_has_them() {
        for (millis, shown) in [
            (0, "1970-01-01T00:00:00Z"),
            (1, "1970-01-01T00:00:00.001Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_767_225_600_000, "2026-01-01T00:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "253402300800000 ms after 1970-01-01T00:00:00Z"),
            (u64::MAX, "18446744073709551615 ms after 1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(millis).rfc3339().to_string(), shown);
        }
        // What is signed or hashed stays as it is.
        assert_eq!(Timestamp(1_767_225_600_000).to_string(), "1767225600000");
        assert_eq!(Timestamp::from_seconds(1_767_225_600), Timestamp(1_767_225_600_000));
        assert_eq!(Timestamp::from_seconds(u64::MAX), Timestamp(u64::MAX));
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut expected = (1970, 1, 1);
        for days in 0..YEAR_10000 / MILLIS_A_DAY {
            assert_eq!(civil(days), expected);
            let (year, month, day) = expected;
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if is_leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
        assert_eq!(expected, (10_000, 1, 1));
    }
}
