//! The store on one machine: a SQLite file in WAL mode, one thread that writes, a few that read.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use async_trait::async_trait;
use depin_core::NetworkId;
use rusqlite::Connection;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{Answer, Batch, BlockRef, Cursor, Query, Store, StoreError};

mod read;
mod schema;
mod value;
mod write;

pub use schema::OpenError;

/// Threads that read.
const READERS: usize = 4;

/// Batches that may wait for the writing thread before whoever feeds it has to wait.
const WRITES_WAITING: usize = 4;

/// Questions that may wait for a reading thread before the next one is refused.
const READS_WAITING: usize = 256;

/// Something to do with a connection.
type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A [`Store`] in a SQLite file. Works under any async runtime: the threads are its own.
///
/// The file can be deleted at any time the store is closed; it is rebuilt from the journal and the chain.
pub struct SqliteStore {
    path: PathBuf,
    writer: mpsc::Sender<Job>,
    readers: mpsc::Sender<Job>,
}

impl SqliteStore {
    /// Opens the index of `network` at `path`, or makes one. Blocks while it does.
    ///
    /// # Errors
    /// [`OpenError`] when the file is of a newer version, another network or another program, or cannot be opened.
    pub fn open(path: impl AsRef<Path>, network: NetworkId) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let writer = spawn("index-writer", vec![schema::writer(path, network)?], WRITES_WAITING)?;
        let connections: Result<Vec<_>, _> = (0..READERS).map(|_| schema::reader(path)).collect();
        let readers = spawn("index-reader", connections?, READS_WAITING)?;
        Ok(Self { path: path.to_path_buf(), writer, readers })
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn apply(&self, batch: Batch, cursor: Cursor) -> Result<(), StoreError> {
        batch.check(&cursor)?;
        self.write(move |connection| write::apply(connection, &batch, cursor)).await
    }

    async fn cursor(&self) -> Result<Cursor, StoreError> {
        self.ask(|connection| read::cursor(connection)).await
    }

    async fn rewind(&self, to: BlockRef) -> Result<(), StoreError> {
        self.write(move |connection| write::rewind(connection, to)).await
    }

    async fn read(&self, query: Query) -> Result<Answer, StoreError> {
        self.ask(move |connection| read::answer(connection, query)).await
    }
}

impl SqliteStore {
    /// Waits for its turn: whoever feeds an index can wait.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, result) = job(work);
        self.writer.send(job).await.map_err(|_| StoreError::Closed)?;
        result.await.map_err(|_| StoreError::Closed)?
    }

    /// Refuses when too many wait: whoever reads can come back.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, result) = job(move |connection: &mut Connection| work(connection));
        self.readers.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::Closed,
        })?;
        result.await.map_err(|_| StoreError::Closed)?
    }
}

type Receipt<T> = oneshot::Receiver<Result<T, StoreError>>;

/// `work` as a job, and where its result arrives.
fn job<T: Send + 'static>(
    work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
) -> (Job, Receipt<T>) {
    let (sender, receipt) = oneshot::channel();
    let job = Box::new(move |connection: &mut Connection| {
        // Nobody waits for it any more: a request was dropped before its turn came.
        if !sender.is_closed() {
            // That somebody stopped waiting in the meantime is no failure.
            let _ = sender.send(work(connection));
        }
    });
    (job, receipt)
}

/// One thread for each connection. They take jobs from one queue, and end with it.
fn spawn(name: &str, connections: Vec<Connection>, waiting: usize) -> Result<mpsc::Sender<Job>, OpenError> {
    let (sender, receiver) = mpsc::channel::<Job>(waiting);
    let receiver = Arc::new(Mutex::new(receiver));
    for mut connection in connections {
        let receiver = Arc::clone(&receiver);
        let work = move || {
            loop {
                // The lock is held while waiting, not while working.
                let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                match job {
                    Some(job) => job(&mut connection),
                    None => break,
                }
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(work).map_err(OpenError::Thread)?;
    }
    Ok(sender)
}
