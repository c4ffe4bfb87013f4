//! Closed sets of words.

use std::{fmt, str::FromStr};

use depin_core::ChainEvent;
use serde::{Deserialize, Serialize};

use crate::{StoreError, clean};

/// Closed sets of words: one spelling in JSON, in a query and on disk.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What a database keeps for it; never given to another.
            pub const fn code(self) -> i64 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The one with this code.
            pub fn from_code(code: i64) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.code() == code)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(())
            }
        }
    };
}

words! {
    /// The types of chain events.
    EventKind {
        /// A device got its first owner.
        DeviceRegistered = 0 "device-registered",
        /// A device changed hands.
        DeviceTransferred = 1 "device-transferred",
        /// A device was switched off for ever.
        DeviceDeactivated = 2 "device-deactivated",
        /// A customer paid.
        CreditsPaid = 3 "credits-paid",
        /// An epoch started and its cap was escrowed.
        EpochStarted = 4 "epoch-started",
        /// A root was proposed.
        RootProposed = 5 "root-proposed",
        /// A root became final.
        RootFinal = 6 "root-final",
        /// A claim was paid.
        Claimed = 7 "claimed",
        /// A proposed root was challenged.
        RootChallenged = 8 "root-challenged",
        /// The dispute of a round began.
        EpochContested = 9 "epoch-contested",
        /// Somebody staked on a proposed root.
        RootSupported = 10 "root-supported",
        /// A round ended without a root.
        RootVoided = 11 "root-voided",
        /// The last round ended in a tie.
        RootUndecided = 12 "root-undecided",
        /// A root of an earlier round was proposed again.
        RootRevived = 13 "root-revived",
        /// A registered device may report from now on.
        DeviceActivated = 14 "device-activated",
        /// A device signs with another key.
        KeyRotated = 15 "key-rotated",
        /// Somebody else has the secret of a device's key.
        KeyCompromised = 16 "key-compromised",
        /// A device may not report until it is resumed.
        DeviceSuspended = 17 "device-suspended",
        /// A suspended device may report again.
        DeviceResumed = 18 "device-resumed",
    }
}

words! {
    /// Where a device stands with the registry, as far as its events are in.
    DeviceStatus {
        /// It has an owner, and may report.
        Active = 0 "active",
        /// It was switched off for ever.
        Deactivated = 1 "deactivated",
        /// It worked or reported, but no event of the registry names it yet.
        Unregistered = 2 "unregistered",
        /// It has an owner, who has not activated it.
        Bound = 3 "bound",
        /// It may not report until it is resumed.
        Suspended = 4 "suspended",
    }
}

words! {
    /// How far the root of a closed epoch has come on the chain, as far as its events are in.
    RootStatus {
        /// Nothing on the chain yet.
        Closed = 0 "closed",
        /// Proposed: it can still be challenged.
        Proposed = 1 "proposed",
        /// Final: it can be claimed from.
        Final = 2 "final",
        /// In dispute: it was challenged, or another one was proposed beside it.
        Challenged = 3 "challenged",
        /// The last dispute ended without a root: one has to be proposed again.
        Voided = 4 "voided",
    }
}

words! {
    /// What happened to a root on the chain.
    RootStep {
        /// It was proposed: its challenge window began.
        Proposed = 0 "proposed",
        /// It became final.
        Finalised = 1 "finalised",
        /// It was challenged, with a bond.
        Challenged = 2 "challenged",
        /// The dispute of the round began: over a challenge, or over a second root.
        Contested = 3 "contested",
        /// Somebody staked on it, in a round that stake decides.
        Supported = 4 "supported",
        /// The round ended without a root.
        Voided = 5 "voided",
        /// The last round ended in a tie.
        Undecided = 6 "undecided",
        /// It was proposed again, after a round that ended without a root.
        Revived = 7 "revived",
    }
}

impl EventKind {
    /// The types that say something about a root.
    pub(crate) const ROOTS: [Self; 8] = [
        Self::RootProposed,
        Self::RootFinal,
        Self::RootChallenged,
        Self::EpochContested,
        Self::RootSupported,
        Self::RootVoided,
        Self::RootUndecided,
        Self::RootRevived,
    ];

    /// The type of `event`.
    ///
    /// # Errors
    /// [`StoreError::UnknownEvent`] for a type younger than this crate.
    pub fn of(event: &ChainEvent) -> Result<Self, StoreError> {
        Ok(match event {
            ChainEvent::DeviceRegistered { .. } => Self::DeviceRegistered,
            ChainEvent::DeviceTransferred { .. } => Self::DeviceTransferred,
            ChainEvent::DeviceDeactivated { .. } => Self::DeviceDeactivated,
            ChainEvent::CreditsPaid { .. } => Self::CreditsPaid,
            ChainEvent::EpochStarted { .. } => Self::EpochStarted,
            ChainEvent::RootProposed { .. } => Self::RootProposed,
            ChainEvent::RootFinal { .. } => Self::RootFinal,
            ChainEvent::Claimed { .. } => Self::Claimed,
            ChainEvent::RootChallenged { .. } => Self::RootChallenged,
            ChainEvent::EpochContested { .. } => Self::EpochContested,
            ChainEvent::RootSupported { .. } => Self::RootSupported,
            ChainEvent::RootVoided { .. } => Self::RootVoided,
            ChainEvent::RootUndecided { .. } => Self::RootUndecided,
            ChainEvent::RootRevived { .. } => Self::RootRevived,
            ChainEvent::DeviceActivated { .. } => Self::DeviceActivated,
            ChainEvent::KeyRotated { .. } => Self::KeyRotated,
            ChainEvent::KeyCompromised { .. } => Self::KeyCompromised,
            ChainEvent::DeviceSuspended { .. } => Self::DeviceSuspended,
            ChainEvent::DeviceResumed { .. } => Self::DeviceResumed,
            other => return Err(StoreError::UnknownEvent { found: clean(&format!("{other:?}")) }),
        })
    }
}
