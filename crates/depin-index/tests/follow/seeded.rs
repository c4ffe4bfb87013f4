//! Seeded runs. `FOLLOW_RUNS` says how many, `FOLLOW_SEED` where to begin: one seed repeats one run.

use std::{
    env,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use depin_core::{Digest, NetworkId};
use depin_index::{
    AdvanceError, Batch, ChainSource, Cursor, FollowConfig, Known, Progress, Pump, SqliteStore, Store,
    conformance::sample,
};

use super::chain::{Chain, Dice, Node};

pub fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, NetworkId(Digest([1; 32]))).unwrap()
}

pub fn source(node: Node) -> ChainSource<Node> {
    ChainSource::new(node, FollowConfig { patience: 2, ..FollowConfig::default() })
}

/// What happened in the runs, so that it shows that everything did.
#[derive(Default)]
struct Seen {
    rewinds: AtomicU64,
    deepest: AtomicU64,
    errors: AtomicU64,
    restarts: AtomicU64,
}

/// Where temporary stores lie: in memory where there is such a place, since nothing here is about disks.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// A network's epochs enter beside the chain, from the journal.
async fn journal(store: &SqliteStore, epochs: u64) {
    let (batch, _) = sample::batch(0, epochs, 0);
    let batch =
        Batch { epochs: batch.epochs, claims: batch.claims, reports: batch.reports, ..Batch::default() };
    store.apply(batch, Cursor { journal: epochs, ..Cursor::default() }).await.unwrap();
}

struct Run<'a> {
    dice: Dice,
    chain: Arc<Mutex<Chain>>,
    node: Node,
    seen: &'a Seen,
}

impl Run<'_> {
    /// Takes at most `steps` steps; whether the end was reached.
    async fn follow(&mut self, source: &ChainSource<Node>, store: &SqliteStore, steps: u64) -> bool {
        let mut pump = Pump::new(source, store);
        let mut idle = 0;
        for _ in 0..steps {
            let before = store.cursor().await.unwrap().block.map_or(0, |block| block.number);
            match pump.step().await {
                Ok(Progress::Idle) => {
                    idle += 1;
                    // Once more than a shorter chain is waited for.
                    if idle > 3 {
                        return true;
                    }
                    continue;
                }
                Ok(Progress::Rewound(cursor)) => {
                    let depth = before - cursor.block.unwrap().number;
                    self.seen.rewinds.fetch_add(1, Ordering::Relaxed);
                    self.seen.deepest.fetch_max(depth, Ordering::Relaxed);
                }
                Ok(Progress::Stored(_)) => {}
                Err(AdvanceError::Source(error)) if !error.is_fatal() => {
                    self.seen.errors.fetch_add(1, Ordering::Relaxed);
                }
                // Another fork was fetched ahead of a change: the next step sees it.
                Err(error) => panic!("{error}"),
            }
            idle = 0;
        }
        false
    }

    async fn run(&mut self, folder: &Path) {
        let path = folder.join("followed");
        let mut store = open(&path);
        let mut follower = source(self.node.clone());
        let rounds = 1 + self.dice.below(6);
        let mut epochs = 0;
        for _ in 0..rounds {
            for _ in 0..=self.dice.below(3) {
                self.chain.lock().unwrap().happen(&mut self.dice);
            }
            if self.dice.one_in(3) {
                epochs += 1;
                journal(&store, epochs).await;
            }
            let steps = if self.dice.one_in(2) { self.dice.below(6) } else { 10_000 };
            if self.follow(&follower, &store, steps).await {
                let mut chain = self.chain.lock().unwrap();
                chain.stored = chain.latest().number;
            }
            if self.dice.one_in(3) {
                self.seen.restarts.fetch_add(1, Ordering::Relaxed);
                drop(store);
                store = open(&path);
                follower = source(self.node.clone());
            }
        }
        // The node comes to its senses, and the follower to the end.
        let honest = source(Node { trouble: 0, ..self.node.clone() });
        assert!(self.follow(&honest, &store, 10_000).await, "it does not come to an end");
        let fresh = open(&folder.join("fresh"));
        if epochs > 0 {
            journal(&fresh, epochs).await;
        }
        assert!(self.follow(&honest, &fresh, 10_000).await, "a fresh one does not come to an end");
        same(&store, &fresh).await;
        let events = store.cursor().await.unwrap().block.unwrap().number;
        assert_eq!(events, self.chain.lock().unwrap().latest().number);
    }
}

/// Two stores hold the same, headers without events included.
pub async fn same(one: &SqliteStore, other: &SqliteStore) {
    assert_eq!(Known::of(one).await.unwrap(), Known::of(other).await.unwrap());
    assert_eq!(one.content_digest().await.unwrap(), other.content_digest().await.unwrap());
}

fn run(seed: u64, seen: &Seen) {
    let mut dice = Dice(seed);
    let chain = Arc::new(Mutex::new(Chain::new(seed ^ 0x5eed)));
    let first = if dice.one_in(4) { 200 + dice.below(200) } else { dice.below(60) };
    chain.lock().unwrap().grow(1 + first);
    let mut node = Node::honest(Arc::clone(&chain));
    node.dice = Arc::new(Mutex::new(Dice(seed ^ 0xd1ce)));
    node.trouble = if dice.one_in(2) { 0 } else { 4 + dice.below(20) };
    node.limit = if dice.one_in(2) { 1 + dice.below(50) } else { u64::MAX };
    let folder = folder();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(Run { dice, chain, node, seen }.run(folder.path()));
}

#[test]
fn a_followed_chain_leaves_what_a_fresh_index_of_it_holds() {
    let read = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = read("FOLLOW_SEED").unwrap_or(0);
    let runs = read("FOLLOW_RUNS").unwrap_or(if env::var_os("FOLLOW_SEED").is_some() { 1 } else { 600 });
    let (next, seen) = (AtomicU64::new(0), Seen::default());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                break;
            }
            let seed = first + number;
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed, &seen)));
            if let Err(panic) = outcome {
                eprintln!("repeat with FOLLOW_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let seen = [&seen.rewinds, &seen.deepest, &seen.errors, &seen.restarts]
        .map(|count| count.load(Ordering::Relaxed));
    eprintln!("{runs} runs: [rewinds, deepest, errors, restarts] = {seen:?}");
    if runs >= 500 {
        assert!(seen[0] > runs / 4 && seen[1] == 256 && seen[2] > runs && seen[3] > runs / 2, "{seen:?}");
    }
}
