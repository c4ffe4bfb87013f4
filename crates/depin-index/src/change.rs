//! What a store tells those who listen, so that they know what to read again.

use std::{collections::BTreeSet, fmt, str::FromStr};

use depin_core::{Address, ChainEvent, DeviceId};

use crate::{Batch, Cursor};

/// Something that can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Topic {
    /// The network in numbers.
    Overview,
    /// Closed epochs and their roots.
    Epochs,
    /// Events of the chain.
    Events,
    /// How well the index follows.
    Health,
    /// The phase of the current epoch.
    Status,
    /// A device.
    Device(DeviceId),
    /// An owner.
    Owner(Address),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview => f.write_str("overview"),
            Self::Epochs => f.write_str("epochs"),
            Self::Events => f.write_str("events"),
            Self::Health => f.write_str("health"),
            Self::Status => f.write_str("status"),
            Self::Device(device) => write!(f, "device:{device}"),
            Self::Owner(owner) => write!(f, "owner:{owner:#x}"),
        }
    }
}

impl FromStr for Topic {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "overview" => Self::Overview,
            "epochs" => Self::Epochs,
            "events" => Self::Events,
            "health" => Self::Health,
            "status" => Self::Status,
            text => match text.split_once(':') {
                Some(("device", did)) => Self::Device(did.parse().map_err(|_| ())?),
                Some(("owner", address)) if address.len() == 42 => {
                    Self::Owner(address.parse().map_err(|_| ())?)
                }
                _ => return Err(()),
            },
        })
    }
}

/// A change of a store, after it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What changed.
    pub topics: BTreeSet<Topic>,
    /// Whether earnings became final, which concerns any device and owner.
    pub decided: bool,
    /// Whether a part of the chain was undone, so that anything may read differently.
    pub undone: bool,
    /// How far the store has read.
    pub cursor: Cursor,
}

/// Somebody who wants to know when a store changes. Called in the order of the changes; must not block.
pub trait Listener: Send + Sync + fmt::Debug {
    /// Takes notice.
    fn changed(&self, change: &Change);
}

impl Change {
    /// What `batch` changes.
    pub fn of(batch: &Batch, cursor: Cursor) -> Self {
        let mut topics = BTreeSet::new();
        if cursor.block.is_some() {
            topics.insert(Topic::Health);
        }
        for located in &batch.events {
            topics.extend([Topic::Events, Topic::Overview]);
            match &located.event {
                ChainEvent::DeviceRegistered { device, owner, .. } => {
                    topics.extend([Topic::Device(*device), Topic::Owner(*owner)]);
                }
                ChainEvent::DeviceTransferred { from, to, .. } => {
                    topics.extend([Topic::Owner(*from), Topic::Owner(*to)]);
                }
                ChainEvent::EpochStarted { .. }
                | ChainEvent::RootProposed { .. }
                | ChainEvent::RootFinal { .. }
                | ChainEvent::RootChallenged { .. }
                | ChainEvent::EpochContested { .. }
                | ChainEvent::RootSupported { .. }
                | ChainEvent::RootVoided { .. }
                | ChainEvent::RootUndecided { .. }
                | ChainEvent::RootRevived { .. } => {
                    topics.insert(Topic::Epochs);
                }
                ChainEvent::Claimed { account, .. } => {
                    topics.insert(Topic::Owner(*account));
                }
                _ => {}
            }
        }
        for facts in &batch.epochs {
            topics.extend([Topic::Epochs, Topic::Overview]);
            for row in &facts.devices {
                topics.extend([Topic::Device(row.device), Topic::Owner(row.owner)]);
            }
            topics.extend(facts.refusals.iter().filter_map(|row| row.device).map(Topic::Device));
        }
        topics.extend(batch.claims.iter().map(|claim| Topic::Owner(claim.account)));
        topics.extend(batch.reports.iter().map(|report| Topic::Device(report.device)));
        Self { topics, decided: false, undone: false, cursor }
    }
}
