//! How much an index costs over a bare insert loop: the same events into one table with rusqlite, and into the store with its cursor,
//! its indexes and all it derives. Both in WAL mode, both in transactions of the same size, in turns within one run.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, clippy::as_conversions, reason = "a bench measures")]
#![allow(clippy::print_stdout, reason = "the ratio is the result")]

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use depin_core::{Digest, Located, NetworkId, cbor};
use depin_index::{Batch, BlockRef, Cursor, SqliteStore, Store, conformance::sample};
use rusqlite::{Connection, params};

const BATCHES: u64 = 20;
const EVENTS: u64 = 1_000;

/// One block of events, of all types.
fn events(block: BlockRef) -> Vec<Located> {
    (0..EVENTS).map(|log| sample::located(block, log, sample::event(block.number * EVENTS + log))).collect()
}

/// The bare loop: prepared once, nothing but the rows.
fn raw() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(folder.path().join("raw.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE events (block INTEGER, log_index INTEGER, block_hash BLOB, body BLOB,
                                  PRIMARY KEY (block, log_index)) STRICT, WITHOUT ROWID;",
        )
        .unwrap();
    let blocks: Vec<_> = (1..=BATCHES).map(|number| events(sample::block(number, 0))).collect();
    let start = Instant::now();
    for events in blocks {
        let transaction = connection.transaction().unwrap();
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4)").unwrap();
            for located in events {
                let body = cbor::to_vec(&located.event);
                let (block, log) = (located.block as i64, located.log_index as i64);
                insert.execute(params![block, log, located.block_hash.0, body]).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
    start.elapsed()
}

fn store(runtime: &tokio::runtime::Runtime) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let network = NetworkId(Digest([1; 32]));
    let store = SqliteStore::open(folder.path().join("index.db"), network).unwrap();
    let blocks: Vec<_> = (1..=BATCHES).map(|number| sample::block(number, 0)).collect();
    let blocks: Vec<_> = blocks.into_iter().map(|block| (block, events(block))).collect();
    let start = Instant::now();
    for (block, events) in blocks {
        let blocks = vec![sample::header(block.number, 0)];
        let batch = Batch { blocks, events, ..Batch::default() };
        runtime
            .block_on(store.apply(batch, Cursor { block: Some(block), final_block: None, journal: 0 }))
            .unwrap();
    }
    start.elapsed()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let spent = [Cell::new(Duration::ZERO), Cell::new(Duration::ZERO)];
    let rounds = [Cell::new(0_u64), Cell::new(0_u64)];
    let run = |which: usize, rounds_asked: u64, once: &dyn Fn() -> Duration| {
        let took: Duration = (0..rounds_asked).map(|_| once()).sum();
        if let (Some(spent), Some(rounds)) = (spent.get(which), rounds.get(which)) {
            spent.set(spent.get() + took);
            rounds.set(rounds.get() + rounds_asked);
        }
        took
    };
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("insert events");
    group.throughput(Throughput::Elements(BATCHES * EVENTS));
    group.bench_function("bare rusqlite loop", |bencher| bencher.iter_custom(|n| run(0, n, &raw)));
    group.bench_function("index", |bencher| bencher.iter_custom(|n| run(1, n, &|| store(&runtime))));
    group.finish();
    let mean = |which: usize| {
        let (spent, rounds) = (spent.get(which)?.get(), rounds.get(which)?.get());
        (rounds > 0).then(|| spent.as_secs_f64() / rounds as f64)
    };
    if let (Some(raw), Some(store)) = (mean(0), mean(1)) {
        println!("the index takes {:.2} times as long as the bare loop", store / raw);
    }
}
