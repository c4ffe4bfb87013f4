//! How a node is: what works less well than it should, why, and what to do about it.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
};

use depin_core::Timestamp;
use serde::{Deserialize, Serialize};

/// How a node is. A node that is degraded goes on with what it still can do, and has lost nothing that it acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is degraded, one item a part, in the order of [`Part`].
    pub degraded: Vec<Degraded>,
}

/// A part of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Part {
    /// The journal: while it is degraded, nothing is acknowledged.
    Journal,
    /// The clock: while it is degraded, the node goes by its own count of the time that passed.
    Clock,
    /// The bundles on disk: while they are degraded, no further epoch is closed.
    Bundles,
    /// The chain: while it is degraded, epochs are neither opened nor closed, and devices cannot register. Reports are taken.
    Chain,
    /// The operator's transactions: while they are degraded, epochs are neither opened nor paid. Reports are taken.
    Transactions,
    /// The beacon: while it is degraded, nobody is asked anything.
    Beacon,
    /// The index's view of the chain: while it is degraded, reading shows an older state.
    Index,
    /// The index's view of closed epochs: while it is degraded, reading shows older ones.
    Epochs,
    /// The MQTT broker: while it is degraded, reports that devices hand to it wait there. Those over HTTP are taken.
    Mqtt,
    /// The node stops.
    Shutdown,
}

/// What is wrong with one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// The part.
    pub part: Part,
    /// What is wrong, in words.
    pub reason: String,
    /// Since when, by the node's clock; it stays while the reason changes.
    pub since: Timestamp,
    /// What to do next.
    pub next: String,
}

impl Health {
    /// Whether reports are taken and acknowledged.
    pub fn takes_reports(&self) -> bool {
        !self.degraded.iter().any(|degraded| matches!(degraded.part, Part::Journal | Part::Shutdown))
    }

    /// What is wrong with `part`; none if nothing.
    pub fn of(&self, part: Part) -> Option<&Degraded> {
        self.degraded.iter().find(|degraded| degraded.part == part)
    }
}

impl Part {
    /// The name, as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Clock => "clock",
            Self::Bundles => "bundles",
            Self::Chain => "chain",
            Self::Transactions => "transactions",
            Self::Beacon => "beacon",
            Self::Index => "index",
            Self::Epochs => "epochs",
            Self::Mqtt => "mqtt",
            Self::Shutdown => "shutdown",
        }
    }

    const fn next(self) -> &'static str {
        match self {
            Self::Journal => {
                "make room on the disk of the node's directory, or repair it; the node goes on by itself"
            }
            Self::Clock => {
                "set the clock of this machine, and have it kept by NTP; start the node again if its new time is right"
            }
            Self::Bundles => "make room on the disk of the node's directory; the bundle is written by itself",
            Self::Chain => "check the RPC URL and whether the chain is up; the node tries again by itself",
            Self::Transactions => {
                "see whether the operator's account has ether and may do this, and whether the chain is up; the node tries again by itself"
            }
            Self::Beacon => "check the source of beacons; the node tries again by itself",
            Self::Index | Self::Epochs => {
                "see who else has the index open, and whether the disk has room; the node tries again by itself"
            }
            Self::Mqtt => {
                "check the broker, its URL, and what this user may do there; the node tries again by itself"
            }
            Self::Shutdown => "nothing: the node is stopping",
        }
    }
}

/// Keeps a node's health.
#[derive(Debug, Default)]
pub(crate) struct Monitor(Mutex<BTreeMap<Part, Degraded>>);

impl Monitor {
    pub(crate) fn health(&self) -> Health {
        Health { degraded: self.lock().values().cloned().collect() }
    }

    /// `part` does not do what it should, for this reason.
    pub(crate) fn degrade(&self, part: Part, now: Timestamp, reason: &dyn std::fmt::Display) {
        let reason = reason.to_string();
        let mut parts = self.lock();
        match parts.get_mut(&part) {
            Some(known) => known.reason = reason,
            None => {
                tracing::warn!(part = part.as_str(), %reason, "degraded");
                let next = part.next().to_owned();
                parts.insert(part, Degraded { part, reason, since: now, next });
            }
        }
    }

    /// `part` does what it should.
    pub(crate) fn recover(&self, part: Part) {
        if self.lock().remove(&part).is_some() {
            tracing::info!(part = part.as_str(), "recovered");
        }
    }

    /// Says of `part` what `result` says.
    pub(crate) fn note<T, E: Error>(&self, part: Part, now: Timestamp, result: &Result<T, E>) {
        match result {
            Ok(_) => self.recover(part),
            Err(error) => self.degrade(part, now, &causes(error)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Part, Degraded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Longest reason.
const MAX_REASON: usize = 512;

/// What went wrong, and behind each cause the one behind it, unless it was said already.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        cause = error.source();
    }
    said.chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Told(&'static str, #[source] Option<Box<Told>>);

    #[test]
    fn a_reason_names_every_cause_once() {
        let told = |text, cause: Option<Told>| Told(text, cause.map(Box::new));
        let refused = told("connection refused", None);
        let sent = told("not sent: connection refused", Some(refused));
        let read = told("the chain cannot be read", Some(sent));
        assert_eq!(causes(&read), "the chain cannot be read: not sent: connection refused");
    }

    #[test]
    fn a_part_is_degraded_since_its_first_failure_and_until_it_recovers() {
        let monitor = Monitor::default();
        monitor.degrade(Part::Index, Timestamp(5), &"locked");
        monitor.degrade(Part::Journal, Timestamp(6), &"full");
        monitor.degrade(Part::Index, Timestamp(7), &"still locked");
        let health = monitor.health();
        let index = health.of(Part::Index).unwrap();
        assert_eq!((index.since, index.reason.as_str()), (Timestamp(5), "still locked"));
        assert!(!health.takes_reports());
        monitor.recover(Part::Journal);
        assert!(monitor.health().takes_reports());
        monitor.recover(Part::Index);
        assert_eq!(monitor.health(), Health::default());
    }
}
