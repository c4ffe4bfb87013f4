//! Where facts come from.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Batch, BlockRef, Cursor, Store, StoreError};

/// A feed of facts: a chain, a journal.
///
/// It keeps no position of its own. Asked twice with the same cursor it says the same, unless the chain changed in between.
#[async_trait]
pub trait EventSource: Send + Sync + Debug {
    /// What comes after `after`.
    ///
    /// # Errors
    /// [`SourceError`]; ask again later, from the same cursor.
    async fn next(&self, after: Cursor) -> Result<Step, SourceError>;
}

/// What a source has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Store this, then ask again from this cursor.
    Apply(Batch, Cursor),
    /// The block of the cursor is no longer on the chain: go back to this one, then ask again.
    Rewind(BlockRef),
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
    /// The chain changed below what the source can compare.
    #[error(
        "block {found} is no longer on the chain and neither is anything since block {oldest}; delete the index and let it be rebuilt"
    )]
    TooDeep {
        /// The block of the cursor.
        found: u64,
        /// The oldest block that was compared.
        oldest: u64,
    },
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
    match source.next(store.cursor().await?).await? {
        Step::Apply(batch, cursor) => store.apply(batch, cursor).await?,
        Step::Rewind(to) => store.rewind(to).await?,
        Step::Idle => return Ok(false),
    }
    Ok(true)
}
