//! Tables, and what a file must be before it is used.

use std::{path::Path, time::Duration};

use depin_core::{Digest, NetworkId};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::value::Sql;

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// "depn": tells our files from other SQLite files.
const APPLICATION_ID: i64 = 0x6465_706e;

/// Version of the tables below. An older file is emptied, to be filled again; a newer one is refused.
pub(super) const VERSION: i64 = 3;

/// Amounts and sums are 32 bytes, big-endian: SQLite compares blobs bytewise, which is then numerically.
/// Keys are natural, so that nothing can be stored twice, and every list is read along an index.
const TABLES: &str = "
CREATE TABLE progress (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    network BLOB NOT NULL,
    block INTEGER,
    block_hash BLOB,
    final_block INTEGER,
    journal INTEGER NOT NULL
) STRICT;

CREATE TABLE blocks (
    number INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    parent BLOB NOT NULL,
    time INTEGER NOT NULL,
    kept INTEGER NOT NULL  -- whether it has an event; other headers go when they are old
) STRICT;
CREATE INDEX blocks_without_events ON blocks (number) WHERE kept = 0;

CREATE TABLE reorgs (
    id INTEGER PRIMARY KEY,
    seen INTEGER NOT NULL,
    old_number INTEGER NOT NULL,
    old_hash BLOB NOT NULL,
    common_number INTEGER NOT NULL,
    common_hash BLOB NOT NULL,
    events INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    block INTEGER NOT NULL,
    log_index INTEGER NOT NULL,
    block_hash BLOB NOT NULL,
    kind INTEGER NOT NULL,
    device BLOB,   -- what names the device on the chain
    account BLOB,  -- who paid, or was paid
    epoch INTEGER,
    body BLOB NOT NULL,
    PRIMARY KEY (block, log_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX events_by_kind ON events (kind, block, log_index);
CREATE INDEX events_by_device ON events (device, kind, block, log_index) WHERE device IS NOT NULL;
CREATE INDEX events_by_account ON events (account, kind, epoch) WHERE account IS NOT NULL;
CREATE INDEX events_by_epoch ON events (epoch, kind, block, log_index) WHERE epoch IS NOT NULL;

-- What follows from the facts is kept twice, by view: 0 for everything that is in, 1 for what is final.

CREATE TABLE devices (
    view INTEGER NOT NULL,
    on_chain BLOB NOT NULL,
    device BLOB NOT NULL,
    did TEXT NOT NULL,
    status INTEGER NOT NULL,
    outcome INTEGER NOT NULL,  -- of the last epoch; -1 before the first
    owner BLOB,                -- by the registry, else by the last epoch
    registered_owner BLOB,
    epoch_owner BLOB,
    registered_at INTEGER,
    registered_time INTEGER,
    activated INTEGER,         -- when it first had an owner
    deactivated INTEGER,       -- when it was switched off, at the earliest when it had an owner
    earned BLOB NOT NULL,
    refused INTEGER NOT NULL,
    first_epoch INTEGER,
    seen INTEGER,              -- when that closed
    last_epoch INTEGER,
    reports INTEGER NOT NULL,
    last_report INTEGER,
    UNIQUE (view, on_chain),
    UNIQUE (view, did)
) STRICT;
CREATE INDEX devices_by_state ON devices (view, status, outcome, did);
CREATE INDEX devices_by_owner ON devices (view, owner, status, outcome, did) WHERE owner IS NOT NULL;

CREATE TABLE epochs (
    epoch INTEGER PRIMARY KEY,
    bundle BLOB NOT NULL,
    root BLOB NOT NULL,
    pool BLOB NOT NULL,
    paid BLOB NOT NULL,
    dust BLOB NOT NULL,
    burned BLOB NOT NULL,
    minted BLOB NOT NULL,
    revenue BLOB NOT NULL,
    spent BLOB NOT NULL,
    unit TEXT NOT NULL,
    quantity BLOB NOT NULL,
    opened INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    accept INTEGER NOT NULL,
    reject INTEGER NOT NULL,
    inconclusive INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    released INTEGER NOT NULL,  -- whether its root is final
    decided INTEGER NOT NULL    -- whether that itself is final
) STRICT;
CREATE INDEX epochs_decided ON epochs (epoch) WHERE decided = 1;

CREATE TABLE earnings (
    device BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    owner BLOB NOT NULL,
    unit TEXT NOT NULL,
    quantity BLOB NOT NULL,
    earned BLOB NOT NULL,
    outcome INTEGER NOT NULL,
    lines BLOB NOT NULL,  -- deal by deal, in CBOR
    PRIMARY KEY (device, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX earnings_by_epoch ON earnings (epoch, device);

CREATE TABLE verdicts (
    device BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    body BLOB NOT NULL,  -- the verdict with every finding, texts cleaned, in CBOR
    PRIMARY KEY (device, epoch)
) STRICT;

CREATE TABLE reports (
    device BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    first INTEGER,
    last INTEGER,
    missing INTEGER NOT NULL,
    PRIMARY KEY (device, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE claims (
    account BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    amount BLOB NOT NULL,
    proof BLOB NOT NULL,
    open INTEGER NOT NULL,          -- whether it can be taken
    open_finally INTEGER NOT NULL,  -- whether it could be at the final block
    PRIMARY KEY (account, epoch)
) STRICT;
CREATE INDEX claims_by_epoch ON claims (epoch);

CREATE TABLE owners (
    view INTEGER NOT NULL,
    address BLOB NOT NULL,
    devices INTEGER NOT NULL,
    earned BLOB NOT NULL,
    claimed BLOB NOT NULL,
    claimable BLOB NOT NULL,
    PRIMARY KEY (view, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE customers (
    view INTEGER NOT NULL,
    address BLOB NOT NULL,
    paid BLOB NOT NULL,
    burned BLOB NOT NULL,
    payments INTEGER NOT NULL,
    first_block INTEGER,  -- of its first payment
    first_time INTEGER,
    spent BLOB NOT NULL,
    spent_burned BLOB NOT NULL,
    epochs INTEGER NOT NULL,
    PRIMARY KEY (view, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE customer_epochs (
    address BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    spent BLOB NOT NULL,
    burned BLOB NOT NULL,
    PRIMARY KEY (address, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX customer_epochs_by_epoch ON customer_epochs (epoch, address);

CREATE TABLE refusals (
    epoch INTEGER NOT NULL,
    device BLOB NOT NULL,  -- empty when nobody registered signed
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (epoch, device, reason)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_by_device ON refusals (device, epoch, reason);

CREATE TABLE rollups (
    view INTEGER NOT NULL,
    span INTEGER NOT NULL,  -- 0 hour, 1 day, 2 everything
    start INTEGER NOT NULL,
    epochs INTEGER NOT NULL,
    accept INTEGER NOT NULL,
    reject INTEGER NOT NULL,
    inconclusive INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    activated INTEGER NOT NULL,
    deactivated INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    customers INTEGER NOT NULL,
    units BLOB NOT NULL,
    earned BLOB NOT NULL,
    minted BLOB NOT NULL,
    burned BLOB NOT NULL,
    revenue BLOB NOT NULL,
    bought BLOB NOT NULL,
    bought_burned BLOB NOT NULL,
    claimed BLOB NOT NULL,
    PRIMARY KEY (view, span, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE earned_rollups (
    view INTEGER NOT NULL,
    who BLOB NOT NULL,      -- a device or an owner, whose lengths differ
    span INTEGER NOT NULL,  -- 0 hour, 1 day
    start INTEGER NOT NULL,
    epochs INTEGER NOT NULL,
    units BLOB NOT NULL,
    earned BLOB NOT NULL,
    PRIMARY KEY (view, who, span, start)
) STRICT, WITHOUT ROWID;
";

/// Why a file cannot serve as an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A later version of this crate wrote it.
    #[error(
        "the index {path} has version {found} and this program knows {expected}; update the program, or delete the index and let it be rebuilt"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
        /// The latest version known.
        expected: i64,
    },
    /// A SQLite file of another program.
    #[error("{path} is no index: its application id is {found:#x}; name another file")]
    OtherProgram {
        /// The file.
        path: String,
        /// Its application id.
        found: i64,
    },
    /// The index of another network.
    #[error(
        "{path} is the index of network {found}, not of {expected}; name another file, or delete it and let it be rebuilt"
    )]
    OtherNetwork {
        /// The file.
        path: String,
        /// The network it was opened for.
        expected: NetworkId,
        /// The network it belongs to.
        found: NetworkId,
    },
    /// SQLite cannot read or make it.
    #[error(
        "{path} cannot be opened as an index; see the cause, and check the path, its permissions and the space left"
    )]
    Sqlite {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// No thread could be started.
    #[error("no thread could be started for the index; raise the limit of threads")]
    Thread(#[source] std::io::Error),
}

/// The connection that writes. Makes the tables in a new file.
pub(super) fn writer(path: &Path, network: NetworkId) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.display().to_string(), source };
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    check(&mut connection, path, network)?;
    // The index is not the only copy: a power cut may cost the last transactions, never their atomicity.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(failed)?;
    // 64 MiB: keys are hashes, so a batch touches pages all over the indexes; with the usual 2 MiB each is read again.
    connection.pragma_update(None, "cache_size", -65_536).map_err(failed)?;
    // The log goes back into the file every 16 MiB, and is cut to 64 MiB when a reader made it grow longer.
    connection.pragma_update(None, "wal_autocheckpoint", 4_096).map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Else a range that is bound to a new value makes SQLite parse and plan its statement again, which takes longer than running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let failed = |source| OpenError::Sqlite { path: path.display().to_string(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Else a range that is bound to a new value makes SQLite parse and plan its statement again, which takes longer than running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    Ok(connection)
}

fn check(connection: &mut Connection, path: &Path, network: NetworkId) -> Result<(), OpenError> {
    let name = || path.display().to_string();
    let failed = |source| OpenError::Sqlite { path: path.display().to_string(), source };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let pragma = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let (version, application) =
        (pragma("user_version").map_err(failed)?, pragma("application_id").map_err(failed)?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(OpenError::OtherProgram { path: name(), found: application });
    }
    if version > VERSION {
        return Err(OpenError::Newer { path: name(), found: version, expected: VERSION });
    }
    if tables != 0 && version < VERSION {
        empty(&transaction).map_err(failed)?;
    }
    if tables == 0 || version < VERSION {
        transaction.execute_batch(TABLES).map_err(failed)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
        transaction
            .execute("INSERT INTO progress (id, network, journal) VALUES (0, ?1, 0)", [Sql(network.0)])
            .map_err(failed)?;
    }
    let found: Sql<Digest> = transaction
        .query_row("SELECT network FROM progress WHERE id = 0", [], |row| row.get(0))
        .map_err(failed)?;
    if found.0 != network.0 {
        return Err(OpenError::OtherNetwork { path: name(), expected: network, found: NetworkId(found.0) });
    }
    transaction.commit().map_err(failed)?;
    // Readers do not wait for the writer, nor it for them. Only now, so that a file of somebody else stays as it was.
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)
}

/// Drops all tables: an index is no more than what can be read again.
fn empty(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let names: Vec<String> =
        connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for name in names {
        connection.execute_batch(&format!("DROP TABLE \"{}\"", name.replace('"', "\"\"")))?;
    }
    Ok(())
}
