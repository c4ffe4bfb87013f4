//! How much an index costs over a bare insert loop. The bare loop writes the very rows that the index ends up with, into the same tables with the
//! same indexes and the same settings of SQLite, with statements prepared once and one transaction for each batch: the rows of events and headers batch by batch, those that are
//! derived from them once, at the end. It encodes nothing, checks nothing and derives nothing. In turns within one run.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, clippy::as_conversions, reason = "a bench measures")]
#![allow(clippy::print_stdout, reason = "the ratio is the result")]

use std::time::{Duration, Instant};

use depin_core::{Address, Amount, ChainEvent, Digest, Epoch, Located, NetworkId, Timestamp};
use depin_index::{Batch, Cursor, SqliteStore, Store, conformance::sample};
use rusqlite::{Connection, params_from_iter, types::Value};

const BATCHES: u64 = 50;
const BLOCKS: u64 = 4;
const EVENTS: u64 = 1_000;
const ROUNDS: usize = 5;

/// What a batch holds.
#[derive(Clone, Copy, Debug)]
enum Mix {
    /// Claims and payments by many accounts, as most of a chain's events are.
    Payments,
    /// All types in turns over few devices.
    All,
    /// A device for each event.
    Registrations,
}

fn event(mix: Mix, number: u64) -> ChainEvent {
    let account = || {
        let mut bytes = [0; 20];
        bytes.get_mut(12..).unwrap().copy_from_slice(&(number % 10_000).to_be_bytes());
        Address::from(bytes)
    };
    let amount = Amount(u128::from(number) << 40);
    match mix {
        Mix::All => sample::event(number),
        Mix::Registrations => ChainEvent::DeviceRegistered {
            device: sample::device(number),
            owner: account(),
            nonce: number,
            deadline: u64::MAX,
            proof: vec![0xab; 64],
            active: true,
            at: Timestamp::default(),
        },
        Mix::Payments if number.is_multiple_of(2) => {
            ChainEvent::CreditsPaid { customer: account(), amount, burned: Amount(1) }
        }
        Mix::Payments => ChainEvent::Claimed { epoch: Epoch(number / 10_000), account: account(), amount },
    }
}

fn batches(mix: Mix) -> Vec<(Batch, Cursor)> {
    let batch = |batch: u64| {
        let blocks: Vec<u64> = (batch * BLOCKS + 1..=(batch + 1) * BLOCKS).collect();
        let events = blocks.iter().flat_map(|number| {
            let block = sample::block(*number, 0);
            (0..EVENTS / BLOCKS).map(move |log| -> Located {
                sample::located(block, log, event(mix, number * (EVENTS / BLOCKS) + log))
            })
        });
        let cursor = Cursor {
            block: blocks.last().map(|number| sample::block(*number, 0)),
            final_block: None,
            journal: 0,
        };
        let headers = blocks.iter().map(|number| sample::header(*number, 0)).collect();
        (Batch { blocks: headers, events: events.collect(), ..Batch::default() }, cursor)
    };
    (0..BATCHES).map(batch).collect()
}

/// How long the index takes, and its file.
fn store(runtime: &tokio::runtime::Runtime, mix: Mix) -> (Duration, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("index.db"), NetworkId(Digest([1; 32]))).unwrap();
    let batches = batches(mix);
    let start = Instant::now();
    for (batch, cursor) in batches {
        runtime.block_on(store.apply(batch, cursor)).unwrap();
    }
    let took = start.elapsed();
    drop(store);
    (took, folder)
}

type Rows = Vec<Vec<Value>>;

fn read(connection: &Connection, sql: &str) -> Rows {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    statement.query_map([], read).unwrap().collect::<Result<_, _>>().unwrap()
}

fn insert(connection: &Connection, table: &str, rows: &[Vec<Value>]) {
    let Some(columns) = rows.first().map(Vec::len) else { return };
    let places = vec!["?"; columns].join(", ");
    let mut statement = connection.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})")).unwrap();
    for row in rows {
        statement.execute(params_from_iter(row)).unwrap();
    }
}

/// How long the bare loop takes for the rows in `folder`.
fn raw(folder: &tempfile::TempDir) -> Duration {
    let full = Connection::open(folder.path().join("index.db")).unwrap();
    let schema = read(
        &full,
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name",
    );
    let tables: Vec<String> = read(
        &full,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('events', 'blocks')",
    )
    .into_iter()
    .filter_map(|row| match row.into_iter().next() {
        Some(Value::Text(name)) => Some(name),
        _ => None,
    })
    .collect();
    let derived: Vec<(String, Rows)> = tables
        .into_iter()
        .map(|table| (table.clone(), read(&full, &format!("SELECT * FROM {table}"))))
        .collect();
    let by_batch: Vec<(Rows, Rows)> = (0..BATCHES)
        .map(|batch| {
            let range = format!("BETWEEN {} AND {}", batch * BLOCKS + 1, (batch + 1) * BLOCKS);
            let headers = read(&full, &format!("SELECT * FROM blocks WHERE number {range}"));
            (headers, read(&full, &format!("SELECT * FROM events WHERE block {range}")))
        })
        .collect();
    let scratch = tempfile::tempdir().unwrap();
    let mut bare = Connection::open(scratch.path().join("raw.db")).unwrap();
    bare.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4096;").unwrap();
    for row in schema {
        if let Some(Value::Text(sql)) = row.first() {
            bare.execute_batch(sql).unwrap();
        }
    }
    let start = Instant::now();
    for (headers, events) in &by_batch {
        let transaction = bare.transaction().unwrap();
        insert(&transaction, "blocks", headers);
        insert(&transaction, "events", events);
        transaction.commit().unwrap();
    }
    let transaction = bare.transaction().unwrap();
    for (table, rows) in &derived {
        insert(&transaction, table, rows);
    }
    transaction.commit().unwrap();
    start.elapsed()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for mix in [Mix::Payments, Mix::All, Mix::Registrations] {
        let mut rounds: Vec<(Duration, Duration)> = (0..ROUNDS)
            .map(|_| {
                let (index, folder) = store(&runtime, mix);
                (raw(&folder), index)
            })
            .collect();
        rounds.sort_by_key(|(raw, index)| raw.as_nanos() * 1_000_000 / index.as_nanos().max(1));
        let (raw, index) = rounds.get(ROUNDS / 2).copied().unwrap();
        let rate = |took: Duration| (BATCHES * EVENTS) as f64 / took.as_secs_f64();
        println!(
            "{mix:?}: bare loop {:.0} events/s, index {:.0} events/s: {:.2} of it (median of {ROUNDS})",
            rate(raw),
            rate(index),
            raw.as_secs_f64() / index.as_secs_f64(),
        );
    }
}
