//! A running node: intake, journal, chain, closing, settling, index, HTTP.
//!
//! Everything it knows follows from its journal and from the bundles it made of it: it starts from the latest bundle and folds what came later. It trusts neither devices nor the chain's RPC, and nobody
//! needs to trust it: whoever holds a bundle and receipts can check what it did.

mod bundles;
mod chain;
mod clock;
mod core;
pub mod dev;
mod drive;
mod error;
mod facts;
mod follow;
mod gate;
mod grants;
mod health;
mod http;
mod index;
mod intake;
pub mod journal;
pub mod launch;
mod metrics;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod page;
mod receipts;
mod record;
mod restore;
mod room;
mod serve;
mod settle;
mod showing;
mod steps;
mod upkeep;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex as StdMutex, PoisonError, atomic::AtomicBool},
};

use depin_core::{Epoch, Text, Timestamp};
use depin_identity::{Domain, SoftwareKey};
use depin_index::{FollowConfig, SqliteStore, StreamLimits, follow::Span};
use depin_proof::BeaconSource;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, Semaphore, mpsc, watch},
    task::JoinHandle,
};

pub use self::{
    bundles::bundle_path,
    chain::Chain,
    clock::Clock,
    drive::{block_beacon, catalogue},
    error::NodeError,
    gate::Gate,
    grants::{
        GrantAuthority, GrantLayer, GrantOptions, GrantRefused, Grants, Guarded, GuardedDoor, Standing,
        UnknownDoor,
    },
    health::{Degraded, Health, Part},
    http::Readiness,
    journal::FileJournal,
    launch::Launch,
    metrics::Metrics,
    restore::RestoreError,
    serve::{Limits, bind, serve},
    settle::payout,
};
use self::{
    core::Core,
    journal::{Disk, FileSystem, Journal},
};
use crate::{
    api::{NetworkInfo, Phase, Status},
    close::EpochInput,
    network::Network,
    state::State,
};

/// What a node is made of.
pub struct NodeParts {
    /// Its directory.
    pub dir: PathBuf,
    /// The network.
    pub network: Network,
    /// What it says about itself.
    pub info: NetworkInfo,
    /// The key that signs receipts and heads.
    pub key: SoftwareKey,
    /// Its chain.
    pub chain: Chain,
    /// Where beacons come from.
    pub beacons: Arc<dyn BeaconSource>,
    /// Its clock.
    pub clock: Clock,
    /// What a dishonest operator does to an epoch before closing it; simulations only.
    pub tamper: Option<Tamper>,
    /// How it keeps its files, follows its chain and tells what changed.
    pub options: NodeOptions,
}

/// How a node keeps its files, follows its chain and tells what changed.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The journal keeps the entries of this many closed epochs; older ones are removed once their bundle is final on chain and lies on disk.
    /// None keeps all.
    pub keep_epochs: Option<u64>,
    /// Size in bytes at which the journal goes on in another segment.
    pub segment_bytes: u64,
    /// The disk that holds journal and bundles.
    pub disk: Arc<dyn Disk>,
    /// The most blocks whose events the chain is asked for at once. What an RPC refuses is asked for in smaller parts.
    pub blocks_per_request: u64,
    /// How much the streams of changes may cost.
    pub streams: StreamLimits,
    /// Which doors take grants, and whose.
    pub grants: GrantOptions,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            keep_epochs: None,
            segment_bytes: 64 << 20,
            disk: Arc::new(FileSystem),
            blocks_per_request: FollowConfig::default().max_span,
            streams: StreamLimits::default(),
            grants: GrantOptions::default(),
        }
    }
}

impl std::fmt::Debug for NodeParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeParts")
            .field("dir", &self.dir)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

/// Changes an epoch's input before it is closed, with the key that signs heads: how a simulated operator cheats.
pub type Tamper = Box<dyn Fn(&Network, &SoftwareKey, EpochInput) -> EpochInput + Send + Sync>;

/// A running node. Clones are the same node.
#[derive(Clone, Debug)]
pub struct Node(Arc<Inner>);

pub(crate) struct Inner {
    dir: PathBuf,
    network: Network,
    info: NetworkInfo,
    key: SoftwareKey,
    chain: Chain,
    beacons: Arc<dyn BeaconSource>,
    clock: Clock,
    tamper: Option<Tamper>,
    gate: Arc<Gate>,
    core: Arc<Mutex<Core>>,
    disk: Arc<dyn Disk>,
    keep_epochs: Option<u64>,
    grants: GrantOptions,
    journal: Arc<dyn Journal>,
    store: Arc<SqliteStore>,
    intake: mpsc::Sender<intake::Work>,
    metrics: Arc<Metrics>,
    health: health::Monitor,
    /// Keeps the index at the head of the chain.
    follower: follow::Follower,
    /// How many blocks the journal's events are asked for at once.
    span: Mutex<Span>,
    /// What may wait at the door, in kibibytes.
    room: Arc<Semaphore>,
    /// Turns at being checked, of credentials and of lists.
    turns: showing::Turns,
    /// Refusals by reason that are counted, not kept.
    strangers: StdMutex<BTreeMap<Text, u64>>,
    /// Whose turn it is to feed the index, and to register devices.
    indexing: Mutex<()>,
    /// A write to the journal failed, and it is not known to work again.
    unwritable: AtomicBool,
    /// The index could not be told of everything.
    unindexed: AtomicBool,
    registering: Mutex<()>,
    /// How far settling has come.
    settled: StdMutex<settle::Settled>,
    steady: StdMutex<clock::Steady>,
    /// Set when the node stops.
    stop: watch::Sender<bool>,
    /// The intake.
    taking: StdMutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("dir", &self.dir).field("network", &self.network).finish_non_exhaustive()
    }
}

impl Node {
    /// Opens the node's directory, goes on from what it holds and starts to take requests. It stops when it is shut down, or when the last clone
    /// and the last router are gone.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn open(parts: NodeParts) -> Result<Self, NodeError> {
        let (dir, options) = (parts.dir.clone(), parts.options.clone());
        let network = parts.network.params().network();
        let journal = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&dir).map_err(|error| NodeError::Io { path: dir.clone(), error })?;
            let path = dir.join("journal");
            Ok(FileJournal::open_on(options.disk, &path, network, options.segment_bytes)?)
        });
        let journal = journal.await.unwrap_or(Err(NodeError::Stopped))?;
        Self::open_on(parts, Arc::new(journal)).await
    }

    /// The same with another journal than the one in the node's directory.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn open_on(parts: NodeParts, journal: Arc<dyn Journal>) -> Result<Self, NodeError> {
        let NodeParts { dir, network, info, key, chain, beacons, clock, tamper, options } = parts;
        let NodeOptions { keep_epochs, disk, blocks_per_request, streams, grants, .. } = options;
        let bundles = dir.join("bundles");
        let made = disk.create_dir(&bundles).and_then(|()| disk.sync_dir(&dir));
        made.map_err(|error| NodeError::Io { path: bundles, error })?;
        let store = Arc::new(SqliteStore::open(dir.join("index.sqlite"), network.params().network())?);
        let domain = Domain { chain_id: network.params().chain_id, contract: network.params().registry };
        let gate = Arc::new(Gate::new(Status {
            number: 0,
            phase: Phase::Starting,
            epoch: Epoch(0),
            now: clock.now().0,
            schedule: None,
            beacon: None,
        }));
        let follower = follow::Follower::new(&chain, blocks_per_request, streams);
        let (intake, queue) = mpsc::channel(intake::QUEUE);
        let inner = Arc::new(Inner {
            core: Arc::new(Mutex::new(Core::new(State::new(domain)))),
            disk,
            keep_epochs,
            grants,
            strangers: StdMutex::default(),
            dir,
            network,
            info,
            key,
            chain,
            beacons,
            clock,
            tamper,
            gate,
            journal,
            store,
            intake,
            metrics: Arc::new(Metrics::default()),
            health: health::Monitor::default(),
            follower,
            // As wide as can be from the start: where the steps end shows in the journal, and should depend on nothing but the chain.
            span: Mutex::new(Span::new(blocks_per_request, blocks_per_request)),
            room: Arc::new(Semaphore::new(intake::ROOM)),
            turns: showing::Turns::new(),
            indexing: Mutex::default(),
            unwritable: AtomicBool::default(),
            unindexed: AtomicBool::default(),
            registering: Mutex::default(),
            settled: StdMutex::default(),
            steady: StdMutex::default(),
            stop: watch::Sender::new(false),
            taking: StdMutex::default(),
        });
        let restored = inner.restore().await?;
        if inner.clock.is_manual() {
            inner.clock.reach(restored.fold.latest).await;
        }
        inner.metrics.recorded(restored.next_block);
        *inner.core.lock().await = restored;
        inner.index().await;
        let stop = inner.stop.subscribe();
        let taking = intake::run(Arc::downgrade(&inner), Arc::clone(&inner.gate), queue, stop.clone());
        *inner.taking.lock().unwrap_or_else(PoisonError::into_inner) = Some(tokio::spawn(taking));
        tokio::spawn(follow::run(Arc::downgrade(&inner)));
        tokio::spawn(upkeep::run(Arc::downgrade(&inner), stop));
        Ok(Self(inner))
    }

    /// How it is.
    pub fn health(&self) -> Health {
        self.0.health.health()
    }

    /// The node's phases, and who is waited for.
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.0.chain
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The index.
    pub fn store(&self) -> &Arc<SqliteStore> {
        &self.0.store
    }

    /// Refused reports that are not in the journal, by reason, since the node started: those that no registered key signed, and those beyond
    /// what one device may leave there.
    pub fn strangers(&self) -> BTreeMap<Text, u64> {
        self.0.strangers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops taking requests, answers those that were taken, and lets go of the directory. Nothing is written afterwards.
    ///
    /// # Errors
    /// [`NodeError`] when what was taken could not be made durable; whoever sent it got no receipt.
    pub async fn shutdown(&self) -> Result<(), NodeError> {
        let inner = &self.0;
        inner.health.degrade(Part::Shutdown, inner.now(), &"the node is stopping");
        inner.stop.send_replace(true);
        let taking = inner.taking.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(taking) = taking {
            taking.await.map_err(|_| NodeError::Stopped)?;
        }
        // Whoever has the core finishes first.
        let core = inner.lock().await;
        inner.journal.close().await?;
        drop(core);
        Ok(())
    }
}

impl Inner {
    /// The time. A clock that jumps is not followed: see [`clock::Steady`].
    pub(crate) fn now(&self) -> Timestamp {
        let wall = self.clock.now();
        if self.clock.is_manual() {
            return wall;
        }
        let told = self.steady.lock().unwrap_or_else(PoisonError::into_inner).now(wall, clock::elapsed());
        match told.ahead {
            None => self.health.recover(Part::Clock),
            Some(ahead) => self.health.degrade(Part::Clock, told.now, &ahead),
        }
        told.now
    }

    /// Waits until `moment`; a manual clock is moved there. Time never goes back.
    async fn reach(&self, moment: Timestamp) {
        if self.clock.is_manual() {
            return self.clock.reach(moment).await;
        }
        loop {
            let left = moment.since(self.now()).0;
            if left == 0 {
                return;
            }
            // Looked at again once a minute, because the clock may be set.
            tokio::time::sleep(std::time::Duration::from_millis(left.min(60_000))).await;
        }
    }

    fn count_stranger(&self, reason: &Text) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = strangers.entry(reason.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// The core, for as long as it takes.
    async fn lock(&self) -> OwnedMutexGuard<Core> {
        Arc::clone(&self.core).lock_owned().await
    }

    /// Works with the core where it holds up no other request than those that need it.
    async fn compute<T: Send + 'static>(
        self: &Arc<Self>,
        mut core: OwnedMutexGuard<Core>,
        work: impl FnOnce(&Self, &mut Core) -> T + Send + 'static,
    ) -> Result<(OwnedMutexGuard<Core>, T), NodeError> {
        let inner = Arc::clone(self);
        self.blocking(move || {
            core.torn = true;
            let done = work(&inner, &mut core);
            core.torn = false;
            Ok((core, done))
        })
        .await
    }

    /// Does what would hold up the threads that drive the network.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(NodeError::Stopped))
    }
}
