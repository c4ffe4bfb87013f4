//! Every store of ours passes the suite, and the suite can fail.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use async_trait::async_trait;
use depin_core::{Digest, NetworkId, Timestamp};
use depin_index::{
    Answer, At, Batch, BlockRef, Cursor, MemoryStore, Page, Query, SqliteStore, Store, StoreError, View,
    conformance,
};

const NETWORK: NetworkId = NetworkId(Digest([7; 32]));

#[tokio::test]
async fn the_memory_store_conforms() {
    conformance::store(async || MemoryStore::default()).await.unwrap();
}

#[tokio::test]
async fn the_sqlite_store_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicU64::new(0);
    let make = async || {
        let name = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        SqliteStore::open(folder.path().join(name.to_string()), NETWORK).unwrap()
    };
    conformance::store(make).await.unwrap();
}

/// A store with one fault.
#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    LosesTheCursor,
    KeepsHalfABatch,
    ForgetsToRewind,
    RepeatsARow,
    SkipsAClaim,
    OverwritesQuietly,
}

#[async_trait]
impl Store for Broken {
    async fn apply(&self, batch: Batch, cursor: Cursor) -> Result<(), StoreError> {
        match self.fault {
            Fault::LosesTheCursor => self.inner.apply(batch, Cursor::default()).await,
            Fault::KeepsHalfABatch => {
                let (blocks, events) = (batch.blocks.clone(), batch.events.clone());
                let events = Batch { blocks, events, ..Batch::default() };
                let _ = self.inner.apply(events, Cursor::default()).await;
                self.inner.apply(batch, cursor).await
            }
            Fault::OverwritesQuietly => {
                let _ = self.inner.apply(batch, cursor).await;
                Ok(())
            }
            _ => self.inner.apply(batch, cursor).await,
        }
    }

    async fn cursor(&self) -> Result<Cursor, StoreError> {
        self.inner.cursor().await
    }

    async fn rewind(&self, to: BlockRef, seen: Timestamp) -> Result<(), StoreError> {
        if self.fault == Fault::ForgetsToRewind { Ok(()) } else { self.inner.rewind(to, seen).await }
    }

    async fn read(&self, view: View, query: Query) -> Result<(At, Answer), StoreError> {
        let second = matches!(&query, Query::Events(_, seek) if seek.after.is_some());
        let (at, mut answer) = self.inner.read(view, query).await?;
        match (&mut answer, self.fault) {
            (Answer::Events(Page { items, .. }), Fault::RepeatsARow) if second && !items.is_empty() => {
                items.insert(0, items[0].clone());
            }
            (Answer::Claims(Page { items, .. }), Fault::SkipsAClaim) => {
                items.pop();
            }
            _ => {}
        }
        Ok((at, answer))
    }
}

#[tokio::test]
async fn a_broken_store_fails_the_suite() {
    for (fault, law) in [
        (Fault::LosesTheCursor, "a batch is read back"),
        (Fault::KeepsHalfABatch, "a refused batch leaves nothing behind"),
        (Fault::ForgetsToRewind, "another hash of a known block is refused as a reorganisation"),
        (Fault::RepeatsARow, "pages of any size make up the list"),
        (Fault::SkipsAClaim, "a batch is read back"),
        (Fault::OverwritesQuietly, "facts that contradict what is stored are refused"),
    ] {
        let broken =
            conformance::store(async || Broken { inner: MemoryStore::default(), fault }).await.unwrap_err();
        assert_eq!(broken.law, law, "{fault:?}");
    }
}
