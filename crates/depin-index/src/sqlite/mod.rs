//! The store on one machine: a SQLite file in WAL mode, one thread that writes, a few that read.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
};

use async_trait::async_trait;
use depin_core::{Digest, NetworkId, Timestamp};
use rusqlite::Connection;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{Answer, At, Batch, BlockRef, Change, Cursor, Listener, Query, Store, StoreError, View};

mod derived;
mod digest;
mod epochs;
mod facts;
mod read;
mod schema;
mod value;
mod work;
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
    listeners: Mutex<Vec<Weak<dyn Listener>>>,
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
        Ok(Self { path: path.to_path_buf(), writer, readers, listeners: Mutex::default() })
    }
}

impl SqliteStore {
    /// SHA-256 of every row that says what happened: two indexes with equal digests hold the same, to the byte.
    ///
    /// The log of reorganisations is left out, which tells how an index came to hold it, and so are the headers of blocks without events,
    /// which are kept for followers only. It reads everything: for tests and for repairs.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub async fn content_digest(&self) -> Result<Digest, StoreError> {
        self.ask(digest::content).await
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
        self.write(move |connection| write::apply(connection, &batch, cursor))
            .await
            .map(|change| self.tell(&change))
    }

    async fn cursor(&self) -> Result<Cursor, StoreError> {
        self.ask(|connection| read::cursor(connection)).await
    }

    async fn rewind(&self, to: BlockRef, seen: Timestamp) -> Result<(), StoreError> {
        self.write(move |connection| write::rewind(connection, to, seen))
            .await
            .map(|change| self.tell(&change))
    }

    fn listen(&self, listener: Weak<dyn Listener>) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    async fn read(&self, view: View, query: Query) -> Result<(At, Answer), StoreError> {
        self.ask(move |connection| read::answer(connection, view, query)).await
    }
}

impl SqliteStore {
    /// Tells everybody who still listens.
    fn tell(&self, change: &Change) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| match listener.upgrade() {
            Some(listener) => {
                listener.changed(change);
                true
            }
            None => false,
        });
    }

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

#[cfg(test)]
mod tests {
    use depin_core::{Address, DeviceId, Epoch, KeyType, TypedKey};
    use rusqlite::{
        trace::{TraceEvent, TraceEventCodes},
        types::Null,
    };

    use super::*;
    use crate::{DeviceFilter, DeviceStatus, EventKind, Seek};

    fn seek<K>(after: K) -> [Seek<K>; 2] {
        [Seek::default(), Seek { after: Some(after), ..Seek::default() }]
    }

    fn every_query() -> Vec<Query> {
        let device = DeviceId(TypedKey::new(KeyType::Ed25519, &[9; 32]).unwrap());
        let account = Address::repeat_byte(1);
        let mut queries = vec![Query::Epoch(Epoch(3)), Query::Device(device)];
        for page in seek(Epoch(3)) {
            queries.push(Query::Epochs(page.clone()));
            queries.push(Query::Earnings(device, page.clone()));
            queries.push(Query::Verdicts(device, page.clone()));
            queries.push(Query::Reports(device, page.clone()));
            queries.push(Query::CustomerEpochs(account, page.clone()));
            queries.push(Query::Claims(account, page));
        }
        for page in seek(device) {
            queries.push(Query::EpochDevices(Epoch(3), page.clone()));
            let outcome = Some(depin_core::Outcome::Reject);
            let owner = Some(account);
            for filter in [
                DeviceFilter { outcome, ..DeviceFilter::default() },
                DeviceFilter { owner, ..DeviceFilter::default() },
                DeviceFilter { owner, outcome, status: Some(DeviceStatus::Active), prefix: None },
            ] {
                queries.push(Query::Devices(filter, page.clone()));
            }
            for status in [None, Some(DeviceStatus::Active)] {
                for prefix in [None, Some("did:key:z6".to_owned())] {
                    queries.push(Query::Devices(
                        DeviceFilter { status, prefix, ..DeviceFilter::default() },
                        page.clone(),
                    ));
                }
            }
        }
        queries.extend(seek(account).map(Query::Customers));
        for page in seek((1, 2)) {
            queries.push(Query::Events(None, page.clone()));
            queries.push(Query::Events(Some(EventKind::Claimed), page));
        }
        for page in seek((Epoch(1), Some(device), "late".into())) {
            queries.push(Query::Refusals(None, page.clone()));
            queries.push(Query::Refusals(Some(device), page));
        }
        for page in seek(Timestamp(7)) {
            queries.push(Query::Rollups(crate::Period::Hour, page.clone()));
            queries.push(Query::EarnedRollups(crate::Earner::Device(device), crate::Period::Day, page));
        }
        queries.push(Query::Overview);
        queries.push(Query::Owner(account));
        queries.push(Query::Customer(account));
        queries.extend(seek(account).map(Query::Owners));
        queries.extend(seek((1, 2)).map(Query::Roots));
        queries.push(Query::Window(crate::Limit::default()));
        queries.extend(seek(7).map(Query::Reorgs));
        queries
    }

    #[test]
    fn every_list_is_read_along_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection =
            schema::writer(&folder.path().join("index.db"), NetworkId(Digest([1; 32]))).unwrap();
        // One row, so that statements per row run too.
        connection
            .execute_batch(
                "INSERT INTO epochs VALUES (0, zeroblob(32), zeroblob(32), zeroblob(32), zeroblob(32), zeroblob(32),
                 zeroblob(32), zeroblob(32), zeroblob(32), zeroblob(32), 'watt-hours', zeroblob(32), 0, 0, 0, 0, 0, 0, 0, 0)",
            )
            .unwrap();
        let statements = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&statements);
        let listen = move |event: TraceEvent<'_>| {
            if let TraceEvent::Stmt(_, sql) = event {
                heard.lock().unwrap().push(sql.to_owned());
            }
        };
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(listen)).unwrap();
        for query in every_query() {
            for view in View::ALL {
                read::answer(&mut connection, view, query.clone()).unwrap();
            }
        }
        let statements = std::mem::take(&mut *statements.lock().unwrap());
        let selects: Vec<_> = statements.iter().filter(|sql| sql.starts_with("SELECT")).collect();
        assert!(selects.len() >= every_query().len(), "{statements:#?}");
        for sql in selects {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let nulls = rusqlite::params_from_iter(vec![Null; explain.parameter_count()]);
            let steps = explain.query_map(nulls, |row| row.get(3)).unwrap();
            let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
            for step in &steps {
                // The one row that says how far the index has read.
                let whole = step.starts_with("SCAN") && step != "SCAN progress";
                assert!(!whole && !step.contains("TEMP B-TREE"), "{step}\n{sql}");
            }
            // What must be equal is found by the index, not filtered out of a range of it.
            for column in ["device", "kind", "status", "owner", "account", "epoch"] {
                let searched = steps.iter().any(|step| step.contains(&format!("{column}=?")));
                assert!(searched || !sql.contains(&format!("{column} = ?")), "{column}: {steps:?}\n{sql}");
            }
        }
    }
}
