//! How long answers take over HTTP, from an index of twenty million rows.
//!
//! `cargo bench -p depin-index --all-features --bench reading -- [FOLDER]`. Makes an index of 10,000,000 earnings and 10,000,000 events in FOLDER (about
//! 5 GB; a folder in /tmp without one, deleted afterwards), serves it from a process of its own, and asks at fixed moments, whether or not earlier
//! answers are there: an answer's time counts from the moment at which it should have been asked for, so a server that stalls is charged with
//! everything that had to wait.
//!
//! Rows are made by a store and then copied under other keys, so every row is as a store writes it; sums over them are not, and nothing here reads them.
#![allow(
    clippy::unwrap_used,
    clippy::float_arithmetic,
    clippy::as_conversions,
    clippy::panic,
    reason = "a bench measures"
)]
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64ct::{Base64UrlUnpadded, Encoding};
use depin_core::{Amount, ChainEvent, Digest, Epoch, NetworkId, cbor, sha256};
use depin_index::{Batch, Cursor, Reading, SqliteStore, Store, conformance::sample, router};
use rusqlite::Connection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    time::{Instant, sleep_until},
};

const NETWORK: NetworkId = NetworkId(Digest([1; 32]));
/// Every device earned something in every epoch: 10,000,000 earnings.
const DEVICES: u64 = 10_000;
const EPOCHS: u64 = 1_000;
/// Devices with a verdict for every epoch: 100,000 verdicts.
const JUDGED: u64 = 100;
/// Blocks with so many events each: 10,000,000 events.
const BLOCKS: u64 = 10_000;
const LOGS: u64 = 1_000;
/// Connections that stay open.
const CONNECTIONS: u64 = 64;

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

/// One epoch with all devices, the others with none, the roots of all, and a block full of payments and claims.
fn seed() -> (Batch, Cursor) {
    let root = |number: u64| {
        let (root, bundle) =
            (sha256(&[b"root", &number.to_be_bytes()]), sha256(&[b"bundle", &number.to_be_bytes()]));
        let epoch = Epoch(number);
        [
            ChainEvent::RootProposed { epoch, root, bundle },
            ChainEvent::RootFinal { epoch, root, bundle, total: Amount::MAX },
        ]
    };
    let payment = |number: u64| {
        let (account, amount) = (sample::account(number), Amount(u128::from(number) << 40));
        if number.is_multiple_of(2) {
            ChainEvent::CreditsPaid { customer: account, amount, burned: Amount(1) }
        } else {
            ChainEvent::Claimed { epoch: Epoch(number % EPOCHS), account, amount }
        }
    };
    let (first, second) = (sample::block(1, 0), sample::block(2, 0));
    let roots = (0..EPOCHS).flat_map(root).zip(0..).map(|(event, log)| sample::located(first, log, event));
    let payments = (0..LOGS).map(|log| sample::located(second, log, payment(log)));
    let epochs = (0..EPOCHS).map(|number| sample::epoch(number, if number == 0 { DEVICES } else { 0 }));
    let batch = Batch {
        blocks: vec![sample::header(1, 0), sample::header(2, 0)],
        events: roots.chain(payments).collect(),
        epochs: epochs.collect(),
        ..Batch::default()
    };
    (batch, Cursor { block: Some(second), final_block: Some(2), journal: 1 })
}

/// Copies what [`seed`] says under other keys, in the order of the keys; indexes are made when everything is there.
fn multiply(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let run = |sql: &str| connection.execute_batch(sql).unwrap();
    run(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY;",
    );
    let indexes: Vec<String> = {
        let sql = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('events', 'earnings') AND sql IS NOT NULL";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    for index in &indexes {
        let name = index.split_whitespace().nth(2).unwrap();
        run(&format!("DROP INDEX {name}"));
    }
    let last_block = BLOCKS + 1;
    run(&format!(
        "CREATE TEMP TABLE earned AS SELECT * FROM earnings ORDER BY device;
         DELETE FROM earnings;
         INSERT INTO earnings SELECT device, epochs.epoch, owner, earned.unit, earned.quantity, earned, outcome, lines
             FROM earned CROSS JOIN epochs ORDER BY earned.rowid, epochs.epoch;
         CREATE TEMP TABLE judged AS SELECT device, body FROM verdicts ORDER BY rowid LIMIT {JUDGED};
         INSERT INTO verdicts SELECT device, epochs.epoch, body FROM judged CROSS JOIN epochs WHERE epochs.epoch > 0;
         WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < {last_block})
             INSERT INTO blocks SELECT i, randomblob(32), randomblob(32), i * 2000, 1 FROM n;
         CREATE TEMP TABLE logged AS SELECT * FROM events WHERE block = 2 ORDER BY log_index;
         INSERT INTO events SELECT number, log_index, hash, kind, device, account, logged.epoch, body
             FROM blocks CROSS JOIN logged WHERE number > 2;
         UPDATE progress SET block = {last_block}, final_block = {last_block},
             block_hash = (SELECT hash FROM blocks WHERE number = {last_block});"
    ));
    for index in indexes {
        run(&index);
    }
    run("PRAGMA journal_mode = WAL;");
}

fn build(path: &Path) {
    let store = SqliteStore::open(path, NETWORK).unwrap();
    let (batch, cursor) = seed();
    runtime(1).block_on(store.apply(batch, cursor)).unwrap();
    drop(store);
    // The threads of the store end when they notice.
    std::thread::sleep(Duration::from_secs(1));
    multiply(path);
}

/// The other process.
fn server(path: &Path) {
    let store = Arc::new(SqliteStore::open(path, NETWORK).unwrap());
    let app = router(Reading::new(store, serde_json::Value::Null));
    runtime(2).block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        axum::serve(listener, app).await.unwrap();
    });
}

struct Server(Child, SocketAddr);

impl Server {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("server")
            .arg(path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self(child, address.trim().parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A number that looks random; the same one for the same `seed`.
fn random(seed: u64) -> u64 {
    let digest = sha256(&[&seed.to_be_bytes()]);
    u64::from_be_bytes(digest.as_bytes().get(..8).unwrap().try_into().unwrap())
}

fn cursor<K: minicbor::Encode<()>>(list: &str, key: K) -> String {
    Base64UrlUnpadded::encode_string(&cbor::to_vec(&(list, key)))
}

/// One row, of many.
fn point(some: u64) -> String {
    match some >> 62 {
        0 | 1 => format!("/api/v1/devices/{}", sample::device(some % DEVICES)),
        2 => format!("/api/v1/epochs/{}", some % EPOCHS),
        _ => format!("/api/v1/customers/{}", sample::account(some % LOGS / 2 * 2)),
    }
}

/// An epoch with a hundred before it.
fn epoch(some: u64) -> Epoch {
    Epoch(100 + some % (EPOCHS - 100))
}

/// What each list is called, and the path of a page of 100 of its rows somewhere in it.
type List = (&'static str, fn(u64) -> String);

const LISTS: [List; 6] = [
    ("earnings of a device", |some| {
        let after = cursor("earnings", epoch(some));
        format!("/api/v1/devices/{}/earnings?cursor={after}", sample::device(some / EPOCHS % DEVICES))
    }),
    ("devices of an epoch", |some| {
        let after = cursor("epoch-devices", sample::device(some / EPOCHS % DEVICES));
        format!("/api/v1/epochs/{}/devices?cursor={after}", some % EPOCHS)
    }),
    ("verdicts of a device", |some| {
        let after = cursor("verdicts", epoch(some));
        format!("/api/v1/devices/{}/verdicts?cursor={after}", sample::device(some / EPOCHS % JUDGED))
    }),
    ("events", |some| {
        let after = cursor("events", (some % BLOCKS + 2, some / BLOCKS % LOGS));
        format!("/api/v1/events?cursor={after}")
    }),
    ("events of a type", |some| {
        let after = cursor("events", (some % BLOCKS + 2, some / BLOCKS % LOGS));
        format!("/api/v1/events?type=claimed&cursor={after}")
    }),
    ("devices", |some| {
        let after = cursor("devices", sample::device(some % DEVICES));
        format!("/api/v1/devices?cursor={after}")
    }),
];

/// Asks on an open connection; how many bytes the answer has.
async fn ask(stream: &mut TcpStream, path: &str, buffer: &mut Vec<u8>) -> usize {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    buffer.clear();
    let mut length = None;
    loop {
        if length.is_some_and(|length| buffer.len() >= length) {
            return buffer.len();
        }
        assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "the server closed the connection");
        if length.is_none()
            && let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = std::str::from_utf8(buffer.get(..end).unwrap()).unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(buffer));
            let body = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            length = Some(end + 4 + body.parse::<usize>().unwrap());
        }
    }
}

/// Asks for `count` paths, `rate` a second, at moments fixed beforehand; how long each took, sorted, and the mean size of an answer.
async fn load(to: SocketAddr, rate: u64, count: u64, path: fn(u64) -> String) -> (Vec<Duration>, usize) {
    let all: Arc<Mutex<(Vec<Duration>, usize)>> = Arc::default();
    let begin = Instant::now() + Duration::from_millis(100);
    let asking: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(to).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut own, mut bytes, mut buffer) = (Vec::new(), 0, Vec::new());
                for number in (connection..count).step_by(CONNECTIONS as usize) {
                    let path = path(random(number));
                    let moment = begin + Duration::from_nanos(number * 1_000_000_000 / rate);
                    sleep_until(moment).await;
                    bytes += ask(&mut stream, &path, &mut buffer).await;
                    own.push(moment.elapsed());
                }
                let mut all = all.lock().unwrap();
                all.0.extend(own);
                all.1 += bytes;
            })
        })
        .collect();
    for task in asking {
        task.await.unwrap();
    }
    let (mut took, bytes) = std::mem::take(&mut *all.lock().unwrap());
    took.sort_unstable();
    (took, bytes / count as usize)
}

fn report(what: &str, rate: u64, (took, bytes): &(Vec<Duration>, usize)) {
    let at = |share: usize| {
        took.get((took.len() * share / 1_000).min(took.len() - 1)).unwrap().as_secs_f64() * 1e3
    };
    println!(
        "{what}: {} at {rate}/s, {bytes} bytes each: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
        took.len(),
        at(500),
        at(990),
        at(999),
        at(1_000),
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [order, path] = arguments.as_slice()
        && order == "server"
    {
        return server(Path::new(path));
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = arguments.first().map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let path = folder.join("index.db");
    if !path.exists() {
        let begun = Instant::now();
        build(&path);
        println!("built in {:.0} s", begun.elapsed().as_secs_f64());
    }
    println!("{:.1} GB in one file", std::fs::metadata(&path).unwrap().len() as f64 / 1e9);
    let server = Server::start(&path);
    let runtime = runtime(1);
    let run = |rate, count, path| runtime.block_on(load(server.1, rate, count, path));
    // Once, so that pages and plans are there that any server has after its first minute.
    run(2_000, 10_000, point);
    report("one row", 2_000, &run(2_000, 60_000, point));
    for (what, path) in LISTS {
        report(&format!("100 rows, {what}"), 100, &run(100, 2_000, path));
    }
}
