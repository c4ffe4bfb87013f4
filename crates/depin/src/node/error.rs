//! Why a node could not go on.

use std::{path::PathBuf, time::Duration};

use depin_core::Epoch;
use depin_evm::{ContractCallError, EventsError, HeaderError};
use depin_identity::SignError;
use depin_index::{OpenError, StoreError};
use depin_proof::BeaconError;
use depin_rewards::LedgerError;

use super::{journal::JournalError, restore::RestoreError};
use crate::{audit::AuditError, bundle::BundleError, close::CloseError};

/// Why a node could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The journal.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// An entry of the journal that cannot be read.
    #[error("entry {index} of the journal cannot be read: {reason}; restore the journal from a copy")]
    Entry {
        /// Its position.
        index: u64,
        /// Why.
        reason: String,
    },
    /// The node's directory.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The epoch.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// The chain's events.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The chain's events do not come.
    #[error("the chain gave no events for {} s; check the RPC, or name another node", .0.as_secs())]
    Stalled(Duration),
    /// The chain's headers.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The distributor.
    #[error(transparent)]
    Contract(#[from] ContractCallError),
    /// Posting and claiming.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The beacon.
    #[error(transparent)]
    Beacon(#[from] BeaconError),
    /// No beacon yet.
    #[error("the beacon of epoch {0} is not known yet; the epoch is postponed")]
    NoBeacon(Epoch),
    /// The index.
    #[error("index: {0}")]
    Index(#[from] StoreError),
    /// The index does not follow its chain.
    #[error("the index does not follow the chain: {0}")]
    Follow(String),
    /// The index cannot be opened.
    #[error("index: {0}")]
    OpenIndex(#[from] OpenError),
    /// A file.
    #[error("{path}: {error}; check that the disk has space and the directory is writable")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A stored bundle.
    #[error(
        "{path}: {error}; restore it from a copy, or move it away to have it made again from the journal"
    )]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: BundleError,
    },
    /// An audit of one's own.
    #[error("{0}; the bundle on disk is not what the epoch gives: restore it from a copy, or move it away")]
    Audit(#[from] AuditError),
    /// A receipt that cannot be signed.
    #[error(transparent)]
    Receipt(#[from] SignError),
    /// Work that was given up because the node stops.
    #[error("the node stopped in the middle of its work; start it again")]
    Stopped,
}

impl NodeError {
    /// Whether trying again later may help.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Events(_)
            | Self::Stalled(_)
            | Self::Header(_)
            | Self::Contract(_)
            | Self::Ledger(_)
            | Self::Beacon(_)
            | Self::NoBeacon(_)
            | Self::Index(_)
            | Self::Follow(_)
            | Self::Io { .. }
            // The event that escrowed the caps is not final yet.
            | Self::Close(CloseError::NoCaps(_)) => true,
            Self::Journal(error) => error.is_temporary(),
            _ => false,
        }
    }
}
