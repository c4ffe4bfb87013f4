//! Whether a report by a key of a device counts, and who was allowed what at a moment.

use alloc::{format, string::String};

use alloy_primitives::Address;
use depin_core::{Epoch, Millis, Timestamp};

use super::{DeviceRecord, KeyEnd, KeyEpoch, Pause, Status};

/// What of a report decides whether its key was good: nothing that the device's clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it was received.
    pub received: Timestamp,
    /// The epoch it was received in.
    pub epoch: Epoch,
    /// The device's boot counter.
    pub boot: u32,
    /// The sequence within the boot.
    pub sequence: u64,
}

/// Why a report under a right signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCounted {
    /// The device was only bound to its owner.
    #[error("received at {received}, and the device was never activated; activate it first")]
    NotActivated {
        /// When it was received.
        received: Timestamp,
    },
    /// It came before the end of pauses that are no longer known one by one.
    #[error("received at {received}; which moments before {until} fell into a pause is no longer known")]
    PausesForgotten {
        /// When it was received.
        received: Timestamp,
        /// The end of the latest of them.
        until: Timestamp,
    },
    /// The device was suspended.
    #[error("received at {received}, and the device is suspended since {}; resume it first", .pause.from)]
    Suspended {
        /// When it was received.
        received: Timestamp,
        /// The pause.
        pause: Pause,
    },
    /// The device was switched off for ever.
    #[error("received at {received}, and the device was deactivated at {at}; register another one")]
    Deactivated {
        /// When it was received.
        received: Timestamp,
        /// When the device was switched off.
        at: Timestamp,
    },
    /// The key had given way to another.
    #[error(
        "boot {boot}, sequence {sequence}, received at {received}: the key was rotated after boot {last_boot}, sequence {last_sequence}, \
         and counts until {until}; sign with the new key"
    )]
    Rotated {
        /// When it was received.
        received: Timestamp,
        /// The report's boot.
        boot: u32,
        /// The report's sequence.
        sequence: u64,
        /// The boot of the key's last report.
        last_boot: u32,
        /// The sequence of the key's last report.
        last_sequence: u64,
        /// The last moment at which reports up to that one are received.
        until: Timestamp,
    },
    /// Somebody else has the key's secret.
    #[error(
        "received at {received}, and the key is compromised since {since}; rotate to a new key as its owner"
    )]
    Compromised {
        /// When it was received.
        received: Timestamp,
        /// From when on nothing counts.
        since: Timestamp,
    },
    /// The device changes hands, and this is the key of the other owner.
    #[error("received in epoch {epoch}, and the key counts {}; sign with the key of that epoch", cut_over(.from, .until))]
    CutOver {
        /// The epoch.
        epoch: Epoch,
        /// The first epoch in which the key counts.
        from: Epoch,
        /// The first epoch in which it does not any more.
        until: Option<Epoch>,
    },
}

/// Who was allowed what at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where the device was in its life; none for a time whose pauses were forgotten.
    pub status: Option<Status>,
    /// Who owned what it earned.
    pub owner: Address,
    /// How often it had changed hands: grants of the owners before were dead.
    pub ownership_epoch: u32,
    /// The key it signed with; none when that was compromised.
    pub key: Option<KeyEpoch>,
}

impl NotCounted {
    /// The reason in one word, as findings and refusals have it.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotActivated { .. } => "not-activated",
            Self::PausesForgotten { .. } => "pauses-forgotten",
            Self::Suspended { .. } => "suspended",
            Self::Deactivated { .. } => "deactivated",
            Self::Rotated { .. } => "rotated",
            Self::Compromised { .. } => "compromised",
            Self::CutOver { .. } => "cut-over",
        }
    }

    /// What counts instead, in words.
    pub const fn limit(&self) -> &'static str {
        match self {
            Self::NotActivated { .. } => "reports once the activation is known",
            Self::PausesForgotten { .. } => "reports from after the pauses that were forgotten",
            Self::Suspended { .. } => "none while the device is suspended",
            Self::Deactivated { .. } => "none: the device was switched off for ever",
            Self::Rotated { .. } => "reports up to the last one of the rotation, within its grace",
            Self::Compromised { .. } => "reports from before the compromise",
            Self::CutOver { .. } => "the key of the owner of the epoch",
        }
    }
}

impl DeviceRecord {
    /// Whether a report under `key`, one of this device's, counts. A rotated key counts for `grace` after its rotation, up to its last report.
    ///
    /// # Errors
    /// [`NotCounted`]: the first reason that holds.
    pub fn judge(&self, key: &KeyEpoch, arrival: Arrival, grace: Millis) -> Result<(), NotCounted> {
        let Arrival { received, epoch, boot, sequence } = arrival;
        if let Some(at) = self.deactivated().filter(|at| received >= *at) {
            return Err(NotCounted::Deactivated { received, at });
        }
        // Known or not, and no moment: a chain's clock may be ahead of the node's, and the journal's order says what came first.
        if self.activated.is_none() {
            return Err(NotCounted::NotActivated { received });
        }
        // Whoever makes so many pauses that one is forgotten gains nothing by it.
        if let Some(until) =
            self.past.as_deref().and_then(|past| past.forgotten).filter(|until| received < *until)
        {
            return Err(NotCounted::PausesForgotten { received, until });
        }
        if let Some(pause) = self.pauses().iter().find(|pause| pause.holds(received)) {
            return Err(NotCounted::Suspended { received, pause: *pause });
        }
        if let Some(since) = key.compromised.filter(|since| received >= *since) {
            return Err(NotCounted::Compromised { received, since });
        }
        let until = match key.end {
            Some(KeyEnd::Transferred { cut_over }) => Some(cut_over),
            _ => None,
        };
        if epoch < key.from || until.is_some_and(|until| epoch >= until) {
            return Err(NotCounted::CutOver { epoch, from: key.from, until });
        }
        if let Some(KeyEnd::Rotated { at, last_boot, last_sequence }) = key.end {
            let until = at.saturating_add(grace);
            if (boot, sequence) > (last_boot, last_sequence) || received > until {
                return Err(NotCounted::Rotated {
                    received,
                    boot,
                    sequence,
                    last_boot,
                    last_sequence,
                    until,
                });
            }
        }
        Ok(())
    }

    /// Who was allowed what at the moment `at` in `epoch`; none before the device was registered. What is compromised since before `at` counts as
    /// such, even if nobody knew it then.
    pub fn standing(&self, at: Timestamp, epoch: Epoch) -> Option<Standing> {
        if at < self.registered {
            return None;
        }
        let past = self.past.as_deref();
        let forgotten = past.and_then(|past| past.forgotten).is_some_and(|until| at < until);
        let status = match () {
            () if self.deactivated().is_some_and(|off| off <= at) => Some(Status::Deactivated),
            () if self.activated.is_none_or(|activated| at < activated) => Some(Status::Bound),
            () if forgotten => None,
            () if self.pauses().iter().any(|pause| pause.holds(at)) => Some(Status::Suspended),
            () => Some(Status::Active),
        };
        let sales = self.owners().skip(1).filter(|tenure| tenure.at <= at).count();
        let key = self.keys().rev().find(|key| key.from <= epoch && key.since <= at);
        Some(Standing {
            status,
            owner: self.owner_at(epoch),
            ownership_epoch: u32::try_from(sales).unwrap_or(u32::MAX),
            key: key.filter(|key| key.compromised.is_none_or(|since| at < since)),
        })
    }
}

impl KeyEpoch {
    /// Whether no report that is received after `now`, in an epoch after `epoch`, can count under this key.
    pub fn is_over(&self, now: Timestamp, epoch: Epoch, grace: Millis) -> bool {
        let ended = match self.end {
            Some(KeyEnd::Rotated { at, .. }) => now > at.saturating_add(grace),
            Some(KeyEnd::Transferred { cut_over }) => epoch.next().is_none_or(|next| next >= cut_over),
            None => false,
        };
        ended || self.compromised.is_some_and(|since| now >= since)
    }
}

impl Pause {
    /// Whether `at` is inside.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

fn cut_over(from: &Epoch, until: &Option<Epoch>) -> String {
    match until {
        Some(until) => format!("from epoch {from} until before epoch {until}"),
        None => format!("from epoch {from} on"),
    }
}
