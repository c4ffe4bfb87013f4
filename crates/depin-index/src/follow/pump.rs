//! Source into store, the next step fetched while one is stored.

use futures_util::future;

use super::Known;
use crate::{AdvanceError, Cursor, EventSource, Limit, SourceError, Step, Store, WINDOW};

/// Takes steps from a source into a store. While a batch is being stored, the source is asked for the next one.
#[derive(Debug)]
pub struct Pump<'a, E: ?Sized, S: ?Sized> {
    source: &'a E,
    store: &'a S,
    /// What the source said of the state that the store is in now.
    ahead: Option<Result<Step, SourceError>>,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Facts were stored, up to here.
    Stored(Cursor),
    /// The store went back to this cursor.
    Rewound(Cursor),
    /// There was nothing to do.
    Idle,
}

impl Known {
    /// What `store` knows.
    ///
    /// # Errors
    /// [`crate::StoreError`].
    pub async fn of<S: Store + ?Sized>(store: &S) -> Result<Self, crate::StoreError> {
        let rows = u16::try_from(WINDOW.saturating_add(1)).unwrap_or(Limit::MAX);
        let limit = Limit::new(rows).unwrap_or_default();
        Ok(Self { window: store.window(limit).await?, cursor: store.cursor().await? })
    }
}

impl<'a, E: EventSource + ?Sized, S: Store + ?Sized> Pump<'a, E, S> {
    /// From `source` into `store`.
    pub const fn new(source: &'a E, store: &'a S) -> Self {
        Self { source, store, ahead: None }
    }

    /// Takes one step.
    ///
    /// # Errors
    /// [`AdvanceError`]. The store is as it was before this step; call again.
    pub async fn step(&mut self) -> Result<Progress, AdvanceError> {
        let known = Known::of(self.store).await?;
        let step = match self.ahead.take() {
            Some(Ok(step)) => step,
            // What failed ahead of its time is asked again.
            _ => self.source.next(&known).await?,
        };
        match step {
            Step::Apply(batch, cursor) => {
                let then = known.then(&batch, cursor);
                let (stored, ahead) =
                    future::join(self.store.apply(batch, cursor), self.source.next(&then)).await;
                stored?;
                self.ahead = Some(ahead);
                Ok(Progress::Stored(cursor))
            }
            Step::Rewind(to, seen) => {
                self.store.rewind(to, seen).await?;
                Ok(Progress::Rewound(self.store.cursor().await?))
            }
            Step::Idle => Ok(Progress::Idle),
        }
    }

    /// Takes steps until there is nothing to do.
    ///
    /// # Errors
    /// [`AdvanceError`].
    pub async fn catch_up(&mut self) -> Result<(), AdvanceError> {
        while self.step().await? != Progress::Idle {}
        Ok(())
    }
}
