//! What the file survives, and what it refuses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "the writer that is killed says how far it came")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use depin_core::{Address, Digest, Epoch, NetworkId, Timestamp};
use depin_index::{
    Batch, Cursor, DeviceFilter, EventKind, Limit, OpenError, RefusalRow, Seek, SqliteStore, Store,
    StoreError, conformance::sample,
};
use rusqlite::{Connection, types::Value};

const NETWORK: NetworkId = NetworkId(Digest([7; 32]));
const TABLES: [&str; 9] =
    ["progress", "events", "devices", "epochs", "earnings", "verdicts", "claims", "customers", "refusals"];

/// A file in a folder that goes away with it.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("index.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(self.path(), NETWORK).unwrap()
    }

    /// Another program at the same file.
    fn other(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

/// Every row of every table.
fn rows(connection: &Connection) -> Vec<(&'static str, Vec<Vec<Value>>)> {
    let read = |table| {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        let mut rows: Vec<Vec<Value>> =
            statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap();
        rows.sort_by_key(|row| format!("{row:?}"));
        (table, rows)
    };
    TABLES.into_iter().map(read).collect()
}

fn all<K>() -> Seek<K> {
    Seek { after: None, limit: Limit::new(Limit::MAX).unwrap() }
}

#[tokio::test]
async fn what_was_stored_is_there_after_opening_again() {
    let scratch = Scratch::new();
    let (batch, cursor) = sample::batch(32, 5, 0);
    let store = scratch.open();
    store.apply(batch, cursor).await.unwrap();
    let before = store.events(None, all()).await.unwrap();
    drop(store);
    let store = scratch.open();
    assert_eq!(store.cursor().await.unwrap(), cursor);
    assert_eq!(store.events(None, all()).await.unwrap(), before);
    let mode: String = scratch.other().pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_failure_at_any_table_leaves_nothing_behind() {
    let (scratch, fresh) = (Scratch::new(), Scratch::new());
    let store = scratch.open();
    let (first, cursor) = sample::batch(8, 2, 0);
    store.apply(first, cursor).await.unwrap();
    let other = scratch.other();
    let before = rows(&other);
    let (batch, next) = sample::batch(32, 5, 0);
    for table in TABLES {
        // The devices and the progress are there already.
        let when = if matches!(table, "progress" | "devices") { "UPDATE" } else { "INSERT" };
        let hook = format!(
            "CREATE TRIGGER hook BEFORE {when} ON {table} BEGIN SELECT RAISE(ABORT, 'the disk'); END"
        );
        other.execute_batch(&hook).unwrap();
        let failed = store.apply(batch.clone(), next).await;
        assert!(matches!(failed, Err(StoreError::Backend(_))), "{table}: {failed:?}");
        other.execute_batch("DROP TRIGGER hook").unwrap();
        assert_eq!(rows(&other), before, "{table}");
    }
    store.apply(batch.clone(), next).await.unwrap();
    fresh.open().apply(batch, next).await.unwrap();
    assert_eq!(rows(&other), rows(&fresh.other()));
}

#[tokio::test]
async fn a_failure_while_rewinding_leaves_everything() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let (batch, cursor) = sample::batch(32, 5, 0);
    store.apply(batch, cursor).await.unwrap();
    let other = scratch.other();
    let before = rows(&other);
    for (when, table) in [
        ("DELETE", "events"),
        ("INSERT", "devices"),
        ("INSERT", "customers"),
        ("INSERT", "reorgs"),
        ("UPDATE", "progress"),
    ] {
        let hook = format!(
            "CREATE TRIGGER hook BEFORE {when} ON {table} BEGIN SELECT RAISE(ABORT, 'the disk'); END"
        );
        other.execute_batch(&hook).unwrap();
        assert!(
            matches!(store.rewind(sample::block(4, 0), Timestamp(1)).await, Err(StoreError::Backend(_))),
            "{table}"
        );
        other.execute_batch("DROP TRIGGER hook").unwrap();
        assert_eq!(rows(&other), before, "{table}");
    }
}

#[tokio::test]
async fn a_rewound_file_holds_the_rows_of_one_that_never_saw_the_blocks() {
    for to in [0, 1, 5, 17, 31] {
        let (scratch, fresh) = (Scratch::new(), Scratch::new());
        let (batch, cursor) = sample::batch(32, 5, 0);
        let store = scratch.open();
        store.apply(batch.clone(), cursor).await.unwrap();
        store.rewind(sample::block(to, 0), Timestamp(1)).await.unwrap();
        let low = sample::batch(to, 0, 0).0;
        let low = Batch { blocks: low.blocks, events: low.events, ..batch };
        fresh.open().apply(low, Cursor { block: Some(sample::block(to, 0)), ..cursor }).await.unwrap();
        assert_eq!(rows(&scratch.other()), rows(&fresh.other()), "{to}");
    }
}

/// Set in the process that writes until it is killed.
const VICTIM: &str = "DEPIN_INDEX_VICTIM";

/// One block with two events and one epoch, whose number is that of the block.
fn step(number: u64) -> (Batch, Cursor) {
    let block = sample::block(number, 0);
    let batch = Batch {
        blocks: vec![sample::header(number, 0)],
        events: (0..2).map(|log| sample::located(block, log, sample::event(number * 2 + log))).collect(),
        epochs: vec![sample::epoch(number, 8)],
        claims: sample::claims(number),
        ..Batch::default()
    };
    (batch, Cursor { block: Some(block), final_block: None, journal: number })
}

async fn write_until_killed(path: &Path) {
    let store = SqliteStore::open(path, NETWORK).unwrap();
    let from = store.cursor().await.unwrap().journal;
    for number in from + 1.. {
        let (batch, cursor) = step(number);
        store.apply(batch, cursor).await.unwrap();
        println!("applied {number}");
    }
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_batches() {
    if let Some(path) = std::env::var_os(VICTIM) {
        return write_until_killed(Path::new(&path)).await;
    }
    let scratch = Scratch::new();
    let mut reached = 0;
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_writer_leaves_whole_batches", "--nocapture"])
            .env(VICTIM, scratch.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = lines
            .map(Result::unwrap)
            .filter_map(|line| {
                line.rsplit_once("applied ").and_then(|(_, number)| number.parse::<u64>().ok())
            })
            .nth(3 + round * 2)
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let store = scratch.open();
        let cursor = store.cursor().await.unwrap();
        assert!(cursor.journal >= acknowledged && acknowledged > reached, "{cursor:?} {acknowledged}");
        reached = cursor.journal;
        let fresh = Scratch::new();
        let expected = fresh.open();
        for number in 1..=reached {
            let (batch, cursor) = step(number);
            expected.apply(batch, cursor).await.unwrap();
        }
        assert_eq!(rows(&scratch.other()), rows(&fresh.other()));
    }
}

#[tokio::test]
async fn while_another_process_writes_reads_go_on_and_writes_are_refused_in_words() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let (batch, cursor) = sample::batch(8, 2, 0);
    store.apply(batch, cursor).await.unwrap();
    let other = scratch.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (batch, next) = sample::batch(32, 5, 0);
    let (refused, read) = tokio::join!(store.apply(batch.clone(), next), store.epochs(all()));
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("try again"));
    assert_eq!(read.unwrap().items.len(), 2);
    other.execute_batch("ROLLBACK").unwrap();
    store.apply(batch, next).await.unwrap();
    assert_eq!(store.epochs(all()).await.unwrap().items.len(), 5);
}

#[tokio::test]
async fn a_newer_version_is_refused_and_left_as_it_was() {
    let scratch = Scratch::new();
    drop(scratch.open());
    scratch.other().pragma_update(None, "user_version", 9).unwrap();
    let error = SqliteStore::open(scratch.path(), NETWORK).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 9, expected: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("update the program"), "{error}");
    let version: i64 = scratch.other().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 9);
}

#[test]
fn files_of_others_are_refused() {
    let scratch = Scratch::new();
    drop(scratch.open());
    let elsewhere = NetworkId(Digest([8; 32]));
    let error = SqliteStore::open(scratch.path(), elsewhere).unwrap_err();
    assert!(matches!(error, OpenError::OtherNetwork { found, .. } if found == NETWORK), "{error:?}");

    let scratch = Scratch::new();
    scratch.other().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    let before = std::fs::read(scratch.path()).unwrap();
    let error = SqliteStore::open(scratch.path(), NETWORK).unwrap_err();
    assert!(matches!(error, OpenError::OtherProgram { found: 0, .. }), "{error:?}");
    assert_eq!(std::fs::read(scratch.path()).unwrap(), before);

    let scratch = Scratch::new();
    std::fs::write(scratch.path(), b"no database, but longer than the header of one would be, which is a hundred bytes of its first page").unwrap();
    assert!(matches!(SqliteStore::open(scratch.path(), NETWORK), Err(OpenError::Sqlite { .. })));
    let missing = scratch.folder.path().join("no/such/folder/index.db");
    assert!(matches!(SqliteStore::open(missing, NETWORK), Err(OpenError::Sqlite { .. })));
}

async fn ask_everything(store: &SqliteStore) -> Vec<StoreError> {
    let mut errors = Vec::new();
    errors.extend(store.cursor().await.err());
    errors.extend(store.epochs(all()).await.err());
    errors.extend(store.devices(DeviceFilter::default(), all()).await.err());
    errors.extend(store.customers(all()).await.err());
    errors.extend(store.events(None, all()).await.err());
    errors.extend(store.refusals(None, all()).await.err());
    for number in 0..8 {
        errors.extend(store.verdicts(sample::device(number), all()).await.err());
        errors.extend(store.earnings(sample::device(number), all()).await.err());
        errors.extend(store.claims(sample::account(number), all()).await.err());
        errors.extend(store.owner(sample::account(number)).await.err());
    }
    errors
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_a_panic() {
    let scratch = Scratch::new();
    let (batch, cursor) = sample::batch(16, 2, 0);
    scratch.open().apply(batch, cursor).await.unwrap();
    scratch.other().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let whole = std::fs::read(scratch.path()).unwrap();
    let mut noticed = 0;
    for at in (0..whole.len()).step_by(whole.len() / 150) {
        let damaged = Scratch::new();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        std::fs::write(damaged.path(), &bytes).unwrap();
        let Ok(store) = SqliteStore::open(damaged.path(), NETWORK) else {
            noticed += 1;
            continue;
        };
        let errors = ask_everything(&store).await;
        // A closed store would mean that one of its threads panicked.
        assert!(!errors.iter().any(|error| matches!(error, StoreError::Closed)), "byte {at}: {errors:?}");
        noticed += usize::from(!errors.is_empty());
    }
    // SQLite has no checksums: a flipped bit in an amount is another amount. Structure, keys and types are noticed.
    assert!(noticed > 5, "{noticed}");
    for length in [0, 1, 99, 100, 4096, whole.len() / 2, whole.len() - 1] {
        let damaged = Scratch::new();
        std::fs::write(damaged.path(), &whole[..length]).unwrap();
        if let Ok(store) = SqliteStore::open(damaged.path(), NETWORK) {
            let errors = ask_everything(&store).await;
            assert!(!errors.iter().any(|error| matches!(error, StoreError::Closed)), "{length}: {errors:?}");
        }
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let (batch, cursor) = sample::batch(8, 1, 0);
    store.apply(batch, cursor).await.unwrap();
    scratch
        .other()
        .execute_batch(
            "UPDATE events SET body = x'00'; UPDATE verdicts SET body = x'';
             UPDATE epochs SET pool = x'01'; UPDATE devices SET status = 9;
             UPDATE claims SET amount = x'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'",
        )
        .unwrap();
    for error in [
        store.events(None, all()).await.unwrap_err(),
        store.verdicts(sample::device(0), all()).await.unwrap_err(),
        store.epochs(all()).await.unwrap_err(),
        store.devices(DeviceFilter::default(), all()).await.unwrap_err(),
        store.claims(sample::account(0), all()).await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("rebuilt"), "{error}");
    }
}

#[tokio::test]
async fn sql_in_a_value_is_a_value() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let mut facts = sample::epoch(0, 3);
    facts.refusals[0].reason = "');DROP/**/TABLE/**/events;--".into();
    facts.refusals[1].reason = "%_'\"`[]?1:x@y$z".into();
    let refusals = facts.refusals.clone();
    let batch = Batch { epochs: vec![facts], ..sample::batch(8, 0, 0).0 };
    store.apply(batch, Cursor::default()).await.unwrap();
    let stored = store.refusals(None, all()).await.unwrap().items;
    for refusal in refusals {
        let row = RefusalRow {
            epoch: Epoch(0),
            device: refusal.device,
            reason: refusal.reason,
            count: refusal.count,
            next: String::new(),
        };
        assert!(stored.contains(&row), "{row:?}");
    }
    assert_eq!(store.events(None, all()).await.unwrap().items.len(), 16);
    for prefix in ["%", "_", "did:key:z%", "' OR 1=1 --", "*", "did:key:z6Mk\u{0}"] {
        let filter = DeviceFilter { prefix: Some(prefix.to_owned()), ..DeviceFilter::default() };
        assert_eq!(store.devices(filter, all()).await.unwrap().items, [], "{prefix:?}");
    }
}

#[tokio::test]
async fn amounts_sort_as_numbers() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let batch = Batch { claims: sample::claims(0), ..Batch::default() };
    store.apply(batch, Cursor::default()).await.unwrap();
    let other = scratch.other();
    let mut statement = other.prepare("SELECT amount FROM claims GROUP BY amount ORDER BY amount").unwrap();
    let sorted: Vec<Vec<u8>> =
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let expected: Vec<Vec<u8>> =
        sample::EDGES.iter().map(|amount| [[0; 16], amount.0.to_be_bytes()].concat()).collect();
    assert_eq!(sorted, expected);
}

#[tokio::test]
async fn readers_see_whole_batches_only() {
    let scratch = Scratch::new();
    let store = std::sync::Arc::new(scratch.open());
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 1..60 {
                let (batch, cursor) = step(number);
                store.apply(batch, cursor).await.unwrap();
            }
        })
    };
    let mut last = 0;
    while !writer.is_finished() {
        // Each block has two events and each epoch one row for this account: seen together or not at all.
        let events = store.events(None, all()).await.unwrap().items;
        assert_eq!(events.len() % 2, 0);
        let claims = store.claims(sample::account(0), all()).await.unwrap().items.len();
        assert!(claims >= events.len() / 2 && claims >= last, "{claims} {}", events.len());
        last = claims;
    }
    writer.await.unwrap();
    let paid = store.events(Some(EventKind::Claimed), all()).await.unwrap().items.len();
    let owner: Address = sample::account(0);
    assert!(paid > 0 && store.owner(owner).await.unwrap().earned.to_string() != "0");
}
