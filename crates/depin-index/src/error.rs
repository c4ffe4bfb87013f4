//! Why a store could not do what it was asked to.

use std::error::Error;

use depin_core::{Digest, Epoch};

/// Why a store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The same key with other contents: two histories, or a store of another one.
    #[error(
        "{what} is stored as {expected} and came again as {found}; delete the index and let it be rebuilt"
    )]
    Conflict {
        /// The key.
        what: String,
        /// What is stored.
        expected: String,
        /// What came.
        found: String,
    },
    /// Another block of a known number.
    #[error(
        "block {block} is stored with hash {expected} and came with {found}; rewind below it, then apply again"
    )]
    Reorganised {
        /// Its number.
        block: u64,
        /// The hash that is stored.
        expected: Digest,
        /// The hash that came.
        found: Digest,
    },
    /// A rewind below what is final.
    #[error(
        "block {to} lies below block {final_block}, which was final; delete the index and let it be rebuilt from a chain you trust"
    )]
    Final {
        /// Where to.
        to: u64,
        /// The final block.
        final_block: u64,
    },
    /// An event of a block whose header is unknown.
    #[error("block {block} has an event and no header is known; give its header in the same batch")]
    NoHeader {
        /// The block.
        block: u64,
    },
    /// A number that no database holds.
    #[error("{what} is {found}, above what can be indexed; look at where it came from")]
    OutOfRange {
        /// What it counts.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// The same key twice in one epoch.
    #[error("epoch {epoch} names the {what} {key} twice; merge them before indexing")]
    Twice {
        /// What is named.
        what: &'static str,
        /// The epoch.
        epoch: Epoch,
        /// Its key.
        key: String,
    },
    /// A verdict that belongs to another device or epoch.
    #[error("a verdict on {found} came for {expected}; index each verdict with its own device and epoch")]
    Foreign {
        /// The device or epoch it came for.
        expected: String,
        /// The device or epoch it is on.
        found: String,
    },
    /// An event type this crate does not know.
    #[error("the event {found} is of an unknown type; update depin-index together with depin-core")]
    UnknownEvent {
        /// The event.
        found: String,
    },
    /// A sum outside 0 to 2^256 - 1.
    #[error("a sum left the range of 0 to 2^256 - 1; delete the index and let it be rebuilt")]
    Sum,
    /// A row that cannot be read back.
    #[error("the stored {what} cannot be read ({detail}); delete the index and let it be rebuilt")]
    Corrupt {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Somebody else holds the store, or too many wait for it.
    #[error("the index is busy; try again in a moment, and see that only one node writes to it")]
    Busy,
    /// The store was shut down.
    #[error("the index is closed; open it again")]
    Closed,
    /// The store answered another question.
    #[error("the store gave no answer of type {expected}; run the conformance suite against it")]
    Answer {
        /// The answer expected.
        expected: &'static str,
    },
    /// Whatever lies behind the store failed.
    #[error("the index failed; see the cause, then try again")]
    Backend(#[source] Box<dyn Error + Send + Sync>),
}
