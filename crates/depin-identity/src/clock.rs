//! A device's clock is a claim: it is compared with the moment of receipt, and only that moment decides anything.

use alloc::{format, string::ToString as _};

use depin_core::{Finding, Millis, Side, Timestamp};

/// How a device's clock stands to the moment its report was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSkew {
    /// Within the limit, either way.
    Within {
        /// Distance of the two moments.
        distance: Millis,
        /// The limit.
        limit: Millis,
    },
    /// The device claims a moment too far after the receipt.
    Ahead {
        /// By how much.
        distance: Millis,
        /// The limit.
        limit: Millis,
    },
    /// The device claims a moment too far before the receipt.
    Behind {
        /// By how much.
        distance: Millis,
        /// The limit.
        limit: Millis,
    },
}

/// Compares `device_time` with the moment of receipt. The limit itself is still within.
pub const fn clock_skew(device_time: Timestamp, received: Timestamp, limit: Millis) -> ClockSkew {
    let distance = device_time.distance(received);
    if distance.0 <= limit.0 {
        ClockSkew::Within { distance, limit }
    } else if device_time.0 > received.0 {
        ClockSkew::Ahead { distance, limit }
    } else {
        ClockSkew::Behind { distance, limit }
    }
}

impl ClockSkew {
    /// Whether the clock is within the limit.
    pub const fn is_within(self) -> bool {
        matches!(self, Self::Within { .. })
    }

    /// The check `report.clock` as a finding; a clock beyond the limit fails on the device's side.
    pub fn finding(self) -> Finding {
        let failed = |reason, distance: Millis, limit: Millis, word| {
            Finding::fail(
                "report.clock",
                reason,
                Side::Device,
                format!("{distance} {word}"),
                limit.to_string(),
            )
        };
        match self {
            Self::Within { distance, limit } => {
                Finding::pass("report.clock", distance.to_string(), limit.to_string())
            }
            Self::Ahead { distance, limit } => failed("clock-ahead", distance, limit, "ahead"),
            Self::Behind { distance, limit } => failed("clock-behind", distance, limit, "behind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use depin_core::CheckResult;

    #[test]
    fn the_limit_itself_is_within() {
        let received = Timestamp(1_000_000);
        let limit = Millis(5_000);
        for (device, within, reason) in [
            (1_000_000, true, "ok"),
            (1_005_000, true, "ok"),
            (995_000, true, "ok"),
            (1_005_001, false, "clock-ahead"),
            (994_999, false, "clock-behind"),
            (0, false, "clock-behind"),
            (u64::MAX, false, "clock-ahead"),
        ] {
            let skew = clock_skew(Timestamp(device), received, limit);
            assert_eq!(skew.is_within(), within, "{device}");
            let finding = skew.finding();
            assert_eq!(finding.reason, reason);
            assert_eq!(finding.result == CheckResult::Pass, within);
        }
    }

    #[test]
    fn a_finding_shows_distance_and_limit() {
        let finding = clock_skew(Timestamp(90), Timestamp(10), Millis(50)).finding();
        assert_eq!((finding.observed.as_str(), finding.limit.as_str()), ("80 ms ahead", "50 ms"));
        assert_eq!(finding.side, Side::Device);
    }
}
