//! The journal: the only thing that must not be lost.

pub mod disk;
mod file;
mod frame;
mod segment;

use std::{io, path::PathBuf};

use async_trait::async_trait;
use depin_core::NetworkId;

pub use self::{
    disk::{Disk, DiskFile, FileSystem},
    file::{FileJournal, Summary},
};
use crate::log::Frontier;

/// Largest entry in bytes.
pub const MAX_ENTRY: usize = 1 << 26;

/// An append-only list of entries that survives whatever kills the process.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends entries in order. They are durable when this returns, all of them or none. After a failure nothing more is appended before
    /// [`Journal::recover`] succeeds.
    async fn append(&self, entries: Vec<Vec<u8>>) -> Result<(), JournalError>;

    /// Entries from position `from` on: at least one if there is any, and no more once they come to `bytes`.
    async fn read(&self, from: u64, bytes: usize) -> Result<Vec<Vec<u8>>, JournalError>;

    /// Number of entries over the life of the journal, those removed included.
    async fn size(&self) -> Result<u64, JournalError>;

    /// Positions from which reading is cheap, ascending, each as the log's right edge before it. The first is the first entry that is kept.
    async fn starts(&self) -> Result<Vec<Frontier>, JournalError>;

    /// Removes entries before position `before`, as far as that can be done cheaply: never more, often less.
    async fn prune(&self, before: u64) -> Result<(), JournalError>;

    /// Goes back to what was durable before an append failed, and makes sure that writing works again.
    async fn recover(&self) -> Result<(), JournalError> {
        Ok(())
    }

    /// Lets go of what is held. Nothing can be read or written afterwards.
    async fn close(&self) -> Result<(), JournalError> {
        Ok(())
    }
}

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk said no.
    #[error("{path}: {error}; check that the disk has space and the directory is writable")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process writes it.
    #[error("{path} is in use by another process; stop that, or choose another directory")]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// Damage that no interrupted write explains.
    #[error("{path} is damaged at byte {at}, entry {index}: {what}; restore the file from a copy")]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Offset of the damage.
        at: u64,
        /// Position of the first entry that cannot be read.
        index: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A segment is gone.
    #[error(
        "{path} is missing: entries {from} up to {to}, which it holds, are needed by the next segment; restore it from a copy"
    )]
    Missing {
        /// The segment.
        path: PathBuf,
        /// Its first entry.
        from: u64,
        /// The first entry after it.
        to: u64,
    },
    /// A segment of another network's journal.
    #[error("{path} belongs to the network {found}, expected {expected}; choose another directory")]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// Its network.
        found: NetworkId,
        /// The network expected.
        expected: NetworkId,
    },
    /// Another kind of file, or one of another version.
    #[error("{path} is no journal of this version; it starts with {found:?}, expected {expected:?}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// An entry, or all entries of one append, too large to write.
    #[error("{found} bytes are too many to write at once; at most {MAX_ENTRY} an entry are written")]
    TooLarge {
        /// Its size.
        found: usize,
    },
    /// An entry that was removed.
    #[error("entry {from} was removed, the first that is kept is {first}; take the bundles of older epochs")]
    Removed {
        /// The entry asked for.
        from: u64,
        /// The first that is kept.
        first: u64,
    },
    /// A write failed, and it is not known to work again.
    #[error("{path} cannot be written since a write failed; make room on the disk or repair it")]
    Failed {
        /// The directory.
        path: PathBuf,
    },
    /// It was closed.
    #[error("the journal was closed; start the node again")]
    Closed,
}

impl JournalError {
    /// Whether trying again later may help.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::Failed { .. })
    }
}
