//! Fills an index from a chain, and says how long that took; then writes the same rows with nothing but SQLite.
//! `benches/peers/backfill` compares it with others.
//!
//! `backfill URL CHAIN_ID CONTRACT DIRECTORY`
#![allow(clippy::print_stdout)] // what it is for

use std::{env, error::Error, path::Path, time::Instant};

use alloy::primitives::Address;
use depin_core::{Digest, NetworkId};
use depin_evm::{Deployment, EvmReader, Finality, Options, connect};
use depin_index::{ChainSource, FollowConfig, Limit, Pump, Seek, SqliteStore, Store};
use rusqlite::{Connection, params_from_iter, types::Value};

type Failure = Box<dyn Error + Send + Sync>;

/// Rows that enter in one transaction, by both.
const BATCH: usize = 20_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, chain_id, contract, directory] = arguments.as_slice() else {
        return Err("usage: backfill URL CHAIN_ID CONTRACT DIRECTORY".into());
    };
    let (directory, credits) = (Path::new(directory), contract.parse()?);
    let other = |byte| Address::repeat_byte(byte);
    let deployment = Deployment {
        token: other(1),
        registry: other(2),
        credits,
        distributor: other(3),
        bond: other(4),
        start_block: 0,
    };
    let client = connect(&[url.parse()?], chain_id.parse()?, Options::local()).await?;
    let file = directory.join("index.sqlite");

    let started = Instant::now();
    let store = SqliteStore::open(&file, NetworkId(Digest([1; 32])))?;
    let source =
        ChainSource::new(EvmReader::new(client, deployment, Finality::Depth(64)), FollowConfig::default());
    Pump::new(&source, &store).catch_up().await?;
    let seconds = started.elapsed();

    let limit = Limit::new(Limit::MAX).ok_or("no limit")?;
    let (mut paid, mut burned, mut after) = (0_u128, 0_u128, None);
    loop {
        let page = store.customers(Seek { after, limit }).await?;
        for row in &page.items {
            paid = paid.checked_add(row.paid.to_string().parse()?).ok_or("too much")?;
            burned = burned.checked_add(row.burned.to_string().parse()?).ok_or("too much")?;
        }
        after = page.next();
        if after.is_none() {
            break;
        }
    }
    drop(store);
    let (events, raw) = raw(&file, &directory.join("raw.sqlite"))?;
    println!(
        r#"{{"events":{events},"paid":"{paid}","burned":"{burned}","milliseconds":{},"raw_milliseconds":{}}}"#,
        seconds.as_millis(),
        raw.as_millis()
    );
    Ok(())
}

/// Writes the events of one index into a new file, with the same table and the same indices, by one prepared statement. Returns how many, and
/// how long the writing took.
fn raw(from: &Path, to: &Path) -> Result<(usize, std::time::Duration), Failure> {
    let source = Connection::open(from)?;
    let mut rows = source.prepare("SELECT * FROM events ORDER BY block, log_index")?;
    let columns = rows.column_count();
    let rows = rows
        .query_map([], |row| (0..columns).map(|column| row.get(column)).collect::<Result<Vec<Value>, _>>())?
        .collect::<Result<Vec<_>, _>>()?;
    let tables = source
        .prepare(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = 'events' AND sql IS NOT NULL ORDER BY type DESC",
        )?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut target = Connection::open(to)?;
    target.pragma_update(None, "journal_mode", "WAL")?;
    target.pragma_update(None, "synchronous", "NORMAL")?;
    for table in tables {
        target.execute_batch(&table)?;
    }
    let places = vec!["?"; columns].join(", ");
    let count = rows.len();
    let started = Instant::now();
    for some in rows.chunks(BATCH) {
        let transaction = target.transaction()?;
        {
            let mut insert = transaction.prepare_cached(&format!("INSERT INTO events VALUES ({places})"))?;
            for row in some {
                insert.execute(params_from_iter(row))?;
            }
        }
        transaction.commit()?;
    }
    Ok((count, started.elapsed()))
}
