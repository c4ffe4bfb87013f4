//! The node's clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use depin_core::Timestamp;

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
