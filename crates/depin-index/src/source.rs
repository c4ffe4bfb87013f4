//! Where facts come from.

use std::fmt::Debug;

use async_trait::async_trait;
use depin_core::Timestamp;

use crate::{Batch, BlockRef, Cursor, Known, ReadError, Store, StoreError, Untrue};

/// A feed of facts: a chain, a journal.
///
/// It keeps no position of its own: the store says what it knows. Asked twice of the same state it says the same, unless the chain changed
/// in between, or it learned to ask for more or fewer blocks at once.
#[async_trait]
pub trait EventSource: Send + Sync + Debug {
    /// What comes after what is known.
    ///
    /// # Errors
    /// [`SourceError`]; unless it [is fatal](SourceError::is_fatal), ask again later.
    async fn next(&self, known: &Known) -> Result<Step, SourceError>;
}

/// What a source has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Store this, then ask again from this cursor.
    Apply(Batch, Cursor),
    /// The block of the cursor is no longer on the chain, which was noticed at this time: go back to this block, then ask again.
    Rewind(BlockRef, Timestamp),
    /// Nothing yet.
    Idle,
}

/// Why a source has nothing to say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Whatever lies behind the source failed.
    #[error("the source failed; see the cause, then ask again")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody could be asked, or not for so much.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was said cannot be true.
    #[error(transparent)]
    Untrue(#[from] Untrue),
    /// The chain changed below what the source can compare.
    #[error(
        "block {found} is no longer on the chain and neither is anything known since block {oldest}: the reorganisation is deeper than the \
         window; check that the RPC is of the right chain, then delete the index and let it be rebuilt"
    )]
    TooDeep {
        /// The block of the cursor.
        found: u64,
        /// The oldest block that was compared.
        oldest: u64,
    },
    /// The chain changed below what was final.
    #[error(
        "the chain changed above block {common}, and block {final_block} had been final: what was counted cannot be taken back; check that \
         the RPC is of the right chain, let blocks be final later, then delete the index and let it be rebuilt"
    )]
    FinalReplaced {
        /// The block that was final.
        final_block: u64,
        /// The last block that is still there.
        common: u64,
    },
}

impl SourceError {
    /// Whether asking again cannot help: somebody has to decide.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::TooDeep { .. } | Self::FinalReplaced { .. })
    }
}

/// Why one step from a source into a store was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdvanceError {
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes one step from `source` into `store`; `false` when there was nothing to take.
///
/// # Errors
/// [`AdvanceError`]. The store is as it was; call again.
pub async fn advance(source: &dyn EventSource, store: &dyn Store) -> Result<bool, AdvanceError> {
    match source.next(&Known::of(store).await?).await? {
        Step::Apply(batch, cursor) => store.apply(batch, cursor).await?,
        Step::Rewind(to, seen) => store.rewind(to, seen).await?,
        Step::Idle => return Ok(false),
    }
    Ok(true)
}
