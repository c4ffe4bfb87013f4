//! Freshness for devices without a clock: a challenge of the node takes the place of time.

use crate::{Commitment, NetworkId, report::commitment};

/// What a node gave: 32 bytes that nobody could know before, and the epoch they are for.
///
/// A report carries it as a commitment labelled `challenge`, so that every kind of report can: the nonce is its salt, the epoch in eight big-endian bytes
/// its value. A report that does was signed after the challenge was given and before the report was received; that is what replaces a clock. The host's
/// side is `depin_identity::Challenge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The epoch it is for.
    pub epoch: u64,
    /// The bytes nobody could know.
    pub nonce: [u8; 32],
}

impl Challenge {
    /// The label; for nothing else.
    pub const LABEL: &'static str = "challenge";

    /// The commitment to be put among those of the report, at the place of its label.
    pub fn commitment(&self, network: &NetworkId) -> Commitment<'static> {
        let digest = commitment(Self::LABEL, &self.nonce, &self.epoch.to_be_bytes(), network);
        Commitment { label: Self::LABEL, digest }
    }
}

/// The time of a report when the device has no clock but counts milliseconds from its start.
///
/// A node says what time it is, best with each challenge; from then on the count carries it forward. Before that the time is 0, which says "unknown". Either
/// way it is a claim, on which nothing is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    told: Option<(u64, u64)>,
}

impl Clock {
    /// A clock that nobody has told the time.
    pub const fn unknown() -> Self {
        Self { told: None }
    }

    /// A node said that it is `time`, in milliseconds since 1970, when the device counted `uptime` milliseconds since its start.
    pub const fn told(&mut self, time: u64, uptime: u64) {
        self.told = Some((time, uptime));
    }

    /// The time of a report made at `uptime`; 0 as long as nobody has told.
    pub const fn at(&self, uptime: u64) -> u64 {
        match self.told {
            Some((time, then)) => time.saturating_add(uptime.saturating_sub(then)),
            None => 0,
        }
    }
}
