//! The node's clock.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use depin_core::{Millis, Timestamp};

/// Where a node's time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    Wall,
    /// Stands still until it is moved: for runs that must give the same bytes twice.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands at `start`.
    pub fn manual(start: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicU64::new(start.0)))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Wall => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Self::Manual(now) => Timestamp(now.load(Ordering::SeqCst)),
        }
    }

    /// Whether the clock moves only when told to.
    pub const fn is_manual(&self) -> bool {
        matches!(self, Self::Manual(_))
    }

    /// Waits until `moment`; a manual clock is moved there. Time never goes back.
    pub async fn reach(&self, moment: Timestamp) {
        match self {
            Self::Manual(now) => {
                now.fetch_max(moment.0, Ordering::SeqCst);
            }
            Self::Wall => loop {
                let left = moment.since(self.now()).0;
                if left == 0 {
                    return;
                }
                // Looked at again once a minute, because the system's clock may be set.
                tokio::time::sleep(Duration::from_millis(left.min(60_000))).await;
            },
        }
    }
}

/// Milliseconds since the program first asked, by a clock that nobody sets.
pub(super) fn elapsed() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A clock that does not jump.
///
/// What is written down never goes back in time. So a clock that jumps a year ahead for a second would have every report refused for a year. While
/// the system's clock is further from what it was plus the time that passed than anybody corrects a clock by, the node counts on by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Steady(Option<(Timestamp, u64)>);

/// What a steady clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The time.
    pub(super) now: Timestamp,
    /// How far the system's clock is off, if it jumped.
    pub(super) ahead: Option<Jump>,
}

/// How far a clock jumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    /// In milliseconds.
    by: u64,
    back: bool,
}

impl std::fmt::Display for Jump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let way = if self.back { "back" } else { "ahead" };
        write!(f, "the clock of this machine was set {way} by {} s", self.by.div_euclid(1000))
    }
}

impl Steady {
    /// Corrections that are followed, in milliseconds. A clock that is off by more is not being corrected but wrong.
    const CORRECTION: u64 = 30_000;

    /// The time, when the system's clock says `wall` and `elapsed` milliseconds have passed since some fixed moment.
    pub(super) fn now(&mut self, wall: Timestamp, elapsed: u64) -> Told {
        let (told, at) = *self.0.get_or_insert((wall, elapsed));
        let expected = told.saturating_add(Millis(elapsed.saturating_sub(at)));
        let by = wall.0.abs_diff(expected.0);
        let jumped = by > Self::CORRECTION;
        let now = if jumped { expected } else { wall };
        self.0 = Some((now, elapsed));
        Told { now, ahead: jumped.then_some(Jump { by, back: wall < expected }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_followed_and_one_that_comes_back_is() {
        let mut steady = Steady::default();
        let year = 365 * 86_400_000;
        assert_eq!(steady.now(Timestamp(year), 0), Told { now: Timestamp(year), ahead: None });
        let ahead = steady.now(Timestamp(2 * year), 1_000);
        assert_eq!((ahead.now, ahead.ahead.is_some()), (Timestamp(year + 1_000), true));
        assert!(ahead.ahead.unwrap().to_string().contains("ahead by 31535999 s"));
        let back = steady.now(Timestamp(5), 2_000);
        assert_eq!((back.now, back.ahead.map(|jump| jump.back)), (Timestamp(year + 2_000), Some(true)));
        assert_eq!(
            steady.now(Timestamp(year + 3_500), 3_000),
            Told { now: Timestamp(year + 3_500), ahead: None }
        );
    }

    proptest! {
        #[test]
        fn no_reading_moves_the_time_further_than_it_passed_and_a_correction(
            readings in prop::collection::vec((any::<u64>(), 0u64..100_000), 1..50),
        ) {
            let (mut steady, mut elapsed) = (Steady::default(), 0);
            let mut last: Option<Timestamp> = None;
            for (wall, passed) in readings {
                elapsed += passed;
                let told = steady.now(Timestamp(wall), elapsed).now;
                if let Some(last) = last {
                    let expected = last.0.saturating_add(passed);
                    prop_assert!(told.0.abs_diff(expected) <= Steady::CORRECTION);
                }
                last = Some(told);
            }
        }
    }
}
