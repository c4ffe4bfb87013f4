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

    /// 1 January 2026, and the limit that networks have.
    const NOW: u64 = 1_767_225_600_000;
    const LIMIT: Millis = Millis(60_000);

    fn reason(device: u64, received: u64) -> String {
        clock_skew(Timestamp(device), Timestamp(received), LIMIT).finding().reason.to_string()
    }

    #[test]
    fn a_clock_that_started_at_1970_is_behind_until_it_is_set() {
        for uptime in [0, 1, 3_600_000, 86_400_000 * 365] {
            assert_eq!(reason(uptime, NOW + uptime), "clock-behind", "{uptime}");
        }
        assert_eq!(reason(NOW + 5_000, NOW + 5_000), "ok");
    }

    #[test]
    fn a_clock_far_in_the_future_is_ahead_and_nothing_overflows() {
        let year = 86_400_000 * 365;
        for device in [NOW + year, NOW + 1_000 * year, u64::from(u32::MAX) * 1_000, u64::MAX >> 1, u64::MAX] {
            assert_eq!(reason(device, NOW), "clock-ahead", "{device}");
        }
        assert_eq!((reason(u64::MAX, u64::MAX), reason(0, u64::MAX)), ("ok".into(), "clock-behind".into()));
        assert!(clock_skew(Timestamp(u64::MAX), Timestamp(0), Millis(u64::MAX)).is_within());
    }

    #[test]
    fn a_clock_that_jumps_is_judged_at_each_report_alone() {
        // Never set, set by a server, thrown back, an hour ahead in summer, and right again: no report is judged by the one before.
        let minute = 60_000;
        let jumps = [(0, "clock-behind"), (NOW, "ok"), (NOW - 30 * minute, "clock-behind")];
        let later = [(NOW + 60 * minute, "clock-ahead"), (NOW + minute, "ok"), (NOW - minute, "ok")];
        for (device, expected) in jumps.into_iter().chain(later) {
            assert_eq!(reason(device, NOW), expected, "{device}");
        }
    }

    #[test]
    fn a_clock_that_drifts_is_within_until_the_drift_is_more_than_the_limit() {
        // 50 parts in a million, as a cheap crystal: 60 s in 1,200,000 s.
        for (elapsed, fast, slow) in
            [(0, "ok", "ok"), (1_200_000_000, "ok", "ok"), (1_200_020_000, "clock-ahead", "clock-behind")]
        {
            let (received, drift) = (NOW + elapsed, elapsed / 20_000);
            assert_eq!(reason(received + drift, received), fast, "{elapsed}");
            assert_eq!(reason(received - drift, received), slow, "{elapsed}");
        }
    }

    proptest::proptest! {
        #[test]
        fn only_the_distance_of_the_two_moments_decides(device: u64, received: u64, limit: u64) {
            let skew = clock_skew(Timestamp(device), Timestamp(received), Millis(limit));
            proptest::prop_assert_eq!(skew.is_within(), device.abs_diff(received) <= limit);
            let back = clock_skew(Timestamp(received), Timestamp(device), Millis(limit));
            proptest::prop_assert_eq!(skew.is_within(), back.is_within());
            proptest::prop_assert_eq!(
                matches!(skew, ClockSkew::Ahead { .. }),
                matches!(back, ClockSkew::Behind { .. })
            );
        }
    }

    #[test]
    fn a_finding_shows_distance_and_limit() {
        let finding = clock_skew(Timestamp(90), Timestamp(10), Millis(50)).finding();
        assert_eq!((finding.observed.as_str(), finding.limit.as_str()), ("80 ms ahead", "50 ms"));
        assert_eq!(finding.side, Side::Device);
    }
}
