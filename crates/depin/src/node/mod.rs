//! A running node: intake, journal, chain, closing, settling, index, HTTP.
//!
//! Everything it knows follows from its journal, which it folds again when it starts. It trusts neither devices nor the chain's RPC, and nobody
//! needs to trust it: whoever holds a bundle and receipts can check what it did.

mod chain;
mod clock;
mod core;
pub mod dev;
mod drive;
mod facts;
mod gate;
mod health;
mod http;
mod intake;
pub mod journal;
pub mod launch;
pub mod page;
mod metrics;
#[cfg(feature = "mqtt")]
pub mod mqtt;
mod room;
mod serve;
mod settle;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, PoisonError},
};

use depin_core::{Digest, Epoch, Text, Timestamp};
use depin_evm::{ContractCallError, EventsError, HeaderError, events, final_block, header};
use depin_identity::{Domain, SoftwareKey};
use depin_index::{Batch, BlockFacts, BlockRef, Cursor, OpenError, ReportFacts, SqliteStore, Store, StoreError};
use depin_proof::{BeaconError, BeaconSource};
use depin_rewards::LedgerError;
use tokio::sync::{Mutex, Semaphore, mpsc};

pub use self::{
    chain::Chain,
    clock::Clock,
    drive::{block_beacon, catalogue},
    gate::Gate,
    health::{Degraded, Health, Part},
    http::Readiness,
    journal::FileJournal,
    launch::Launch,
    metrics::Metrics,
    serve::{Limits, bind, serve},
    settle::payout,
};
use self::{
    core::{Core, entry_bytes},
    journal::{Journal, JournalError},
};
use crate::{
    api::{BeaconStatus, NetworkInfo, Phase, Status},
    audit::AuditError,
    bundle::{Bundle, BundleError},
    close::{CloseError, EpochInput},
    entry::Entry,
    network::Network,
    state::{Place, State},
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
    /// How it keeps its files.
    pub options: NodeOptions,
}

/// How a node keeps its files.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The journal keeps the entries of this many closed epochs; older ones are removed once their bundle is final on chain and lies on disk.
    /// None keeps all.
    pub keep_epochs: Option<u64>,
    /// Size in bytes at which the journal goes on in another segment.
    pub segment_bytes: u64,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { keep_epochs: None, segment_bytes: 64 << 20 }
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
    core: Mutex<Core>,
    journal: Arc<dyn Journal>,
    store: Arc<SqliteStore>,
    intake: mpsc::Sender<intake::Work>,
    metrics: Arc<Metrics>,
    health: health::Monitor,
    /// What may wait at the door, in kibibytes.
    room: Arc<Semaphore>,
    /// Refusals by reason that are counted, not kept.
    strangers: StdMutex<BTreeMap<Text, u64>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("dir", &self.dir).field("network", &self.network).finish_non_exhaustive()
    }
}

/// Why a node could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The journal.
    #[error("journal: {0}")]
    Journal(String),
    /// An entry of the journal that cannot be read.
    #[error("entry {index} of the journal cannot be read: {reason}; restore the journal from a copy")]
    Entry {
        /// Its position.
        index: u64,
        /// Why.
        reason: String,
    },
    /// The epoch.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// The chain's events.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The chain's headers.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The distributor.
    #[error(transparent)]
    Contract(#[from] ContractCallError),
    /// Posting and claiming.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The beacon.
    #[error(transparent)]
    Beacon(#[from] BeaconError),
    /// No beacon yet.
    #[error("the beacon of epoch {0} is not known yet; the epoch is postponed")]
    NoBeacon(Epoch),
    /// The index.
    #[error("index: {0}")]
    Index(#[from] StoreError),
    /// The index cannot be opened.
    #[error("index: {0}")]
    OpenIndex(#[from] OpenError),
    /// A file.
    #[error("{path}: {error}; check that the disk has space and the directory is writable")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A stored bundle.
    #[error("{path}: {error}")]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: BundleError,
    },
    /// An audit of one's own.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl From<JournalError> for NodeError {
    fn from(error: JournalError) -> Self {
        Self::from_journal(&error)
    }
}

impl NodeError {
    /// Whether trying again later may help.
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Events(_)
                | Self::Header(_)
                | Self::Contract(_)
                | Self::Ledger(_)
                | Self::Beacon(_)
                | Self::NoBeacon(_)
                | Self::Index(_)
                // The event that escrowed the caps is not final yet.
                | Self::Close(CloseError::NoCaps(_))
        )
    }

    fn from_journal(error: &JournalError) -> Self {
        Self::Journal(error.to_string())
    }
}

impl Node {
    /// Opens the node's directory, folds its journal and starts to take requests, which come in through [`Node::router`]. It stops when the
    /// last clone and the last router are gone.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn open(parts: NodeParts) -> Result<Self, NodeError> {
        std::fs::create_dir_all(&parts.dir)
            .map_err(|error| NodeError::Io { path: parts.dir.clone(), error })?;
        let journal = FileJournal::open(&parts.dir.join("journal"))?;
        Self::open_on(parts, Arc::new(journal)).await
    }

    /// The same with another journal than the file in the node's directory.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn open_on(parts: NodeParts, journal: Arc<dyn Journal>) -> Result<Self, NodeError> {
        let NodeParts { dir, network, info, key, chain, beacons, clock, tamper, options: _ } = parts;
        let bundles = dir.join("bundles");
        std::fs::create_dir_all(&bundles).map_err(|error| NodeError::Io { path: bundles, error })?;
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
        let (intake, queue) = mpsc::channel(intake::QUEUE);
        let inner = Arc::new(Inner {
            core: Mutex::new(Core::new(State::new(domain))),
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
            room: Arc::new(Semaphore::new(intake::ROOM)),
        });
        {
            let mut core = inner.core.lock().await;
            *core = inner.fold_journal(true).await?;
            inner.clock.reach(inner.now().max(core.fold.latest)).await;
        }
        tokio::spawn(intake::run(Arc::downgrade(&inner), Arc::clone(&inner.gate), queue));
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
        self.0.health.degrade(Part::Shutdown, self.0.now(), &"the node is stopping");
        drop(self.0.core.lock().await);
        Ok(())
    }

    /// The current epoch.
    pub async fn epoch(&self) -> Epoch {
        self.0.core.lock().await.epoch
    }

    /// How far the current epoch has come: whether it is open, and whether its beacon is known.
    pub async fn progress(&self) -> (bool, bool) {
        let core = self.0.core.lock().await;
        (core.fold.opened.is_some(), core.fold.beacon.is_some())
    }

    /// Opens a phase for everybody to see.
    pub async fn announce(&self, phase: Phase) {
        let core = self.0.core.lock().await;
        let params = self.0.network.params();
        let schedule = core.fold.opened.map(|opened| params.schedule(opened).into());
        let beacon = core.fold.beacon.as_ref().map(|beacon| BeaconStatus {
            kind: beacon.kind.clone(),
            round: beacon.round,
            value: Digest(beacon.value),
        });
        let (epoch, now) = (core.epoch, self.0.now().0);
        self.0.gate.advance(|status| {
            *status = Status { number: status.number, phase, epoch, now, schedule, beacon };
        });
    }

    /// Starts the epoch on chain, which escrows its cap, and opens it in the journal.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn open_epoch(&self) -> Result<(), NodeError> {
        let inner = &self.0;
        // Reports go on coming in while this waits for the clock and the chain.
        let (epoch, params) = (self.epoch().await, inner.network.params());
        let earliest = params.genesis.0.saturating_add(params.epoch_length.0.saturating_mul(epoch.0));
        inner.clock.reach(Timestamp(earliest)).await;
        inner.chain.ledger().start(epoch).await?;
        let mut core = inner.core.lock().await;
        inner.follow(&mut core).await?;
        let at = inner.time(&core);
        inner.write(&mut core, vec![Entry::Opened { epoch, at, params: params.digest() }]).await
    }

    /// Takes in what became final on the chain.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn follow(&self) -> Result<(), NodeError> {
        let mut core = self.0.core.lock().await;
        self.0.follow(&mut core).await
    }

    /// The deadlines of the open epoch; none while none is open.
    pub async fn schedule(&self) -> Option<depin_proof::Schedule> {
        let opened = self.0.core.lock().await.fold.opened?;
        Some(self.0.network.params().schedule(opened))
    }

    /// Makes the epoch's beacon known.
    ///
    /// # Errors
    /// [`NodeError::NoBeacon`] while there is none.
    pub async fn reveal_beacon(&self) -> Result<(), NodeError> {
        let inner = &self.0;
        let mut core = inner.core.lock().await;
        let beacon = inner.beacons.beacon(core.epoch).await?.ok_or(NodeError::NoBeacon(core.epoch))?;
        let received = inner.time(&core);
        inner.write(&mut core, vec![Entry::Beacon { received, beacon }]).await
    }

    /// Cuts and closes the epoch, keeps its bundle, and posts its root.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn close_epoch(&self) -> Result<Bundle, NodeError> {
        let inner = &self.0;
        let mut core = inner.core.lock().await;
        inner.follow(&mut core).await?;
        let bundle = inner.cut(&mut core).await?;
        inner.keep(&bundle)?;
        inner.index(&core, Some(&bundle)).await?;
        drop(core);
        inner.post(&bundle).await?;
        Ok(bundle)
    }

    /// The bundle of a closed epoch.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn bundle(&self, epoch: Epoch) -> Result<Bundle, NodeError> {
        self.0.bundle(epoch)
    }
}

/// The file of a bundle in a node's directory.
pub fn bundle_path(dir: &Path, epoch: Epoch) -> PathBuf {
    dir.join("bundles").join(format!("{epoch}.bundle"))
}

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn count_stranger(&self, reason: &Text) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = strangers.entry(reason.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// Folds the journal from its beginning, and tells the index about closed epochs if asked to.
    async fn fold_journal(&self, index: bool) -> Result<Core, NodeError> {
        let params = self.network.params();
        let domain = Domain { chain_id: params.chain_id, contract: params.registry };
        let mut fresh = Core::new(State::new(domain));
        for (position, bytes) in (0..).zip(self.journal.read(0).await?) {
            let entry: Entry = depin_core::cbor::from_slice(&bytes)
                .map_err(|error| NodeError::Entry { index: position, reason: error.to_string() })?;
            let cut = matches!(entry, Entry::Cut { .. });
            fresh.take(&self.network, entry)?;
            if cut {
                let bundle = self.close(&mut fresh)?;
                if !bundle_path(&self.dir, bundle.header.epoch).exists() {
                    self.keep(&bundle)?;
                }
                if index {
                    self.index(&fresh, Some(&bundle)).await?;
                }
            }
        }
        Ok(fresh)
    }

    /// Goes back to what the journal holds, if more was believed than could be written.
    async fn mend(&self, core: &mut Core) -> Result<(), NodeError> {
        if core.ahead {
            *core = self.fold_journal(false).await?;
        }
        Ok(())
    }

    fn close(&self, core: &mut Core) -> Result<Bundle, NodeError> {
        let input = core.input(&self.network, &self.key);
        let input = match &self.tamper {
            Some(tamper) => tamper(&self.network, &self.key, input),
            None => input,
        };
        Ok(core.close(&self.network, input)?)
    }

    /// Cuts the epoch and closes it. The cut is written down only once the epoch is known to close: a journal with a cut that nothing can be
    /// closed from would be the end of the network.
    async fn cut(&self, core: &mut Core) -> Result<Bundle, NodeError> {
        self.mend(core).await?;
        let cut = Entry::Cut { epoch: core.epoch, at: self.time(core) };
        let bytes = vec![entry_bytes(&cut)];
        let closed = match core.take(&self.network, cut) {
            Ok(()) => self.close(core),
            Err(error) => Err(error.into()),
        };
        if closed.is_err() {
            core.ahead = true;
            self.mend(core).await?;
        }
        let bundle = closed?;
        self.make_durable(core, bytes).await?;
        Ok(bundle)
    }

    /// The time to write down next: the clock's, but never before what was written last, should the clock have been set back.
    fn time(&self, core: &Core) -> Timestamp {
        self.now().max(core.fold.latest)
    }

    /// Writes entries: all of them, or none.
    async fn write(&self, core: &mut Core, entries: Vec<Entry>) -> Result<(), NodeError> {
        self.mend(core).await?;
        let bytes = entries.iter().map(entry_bytes).collect();
        // Nobody sees what was taken before it is durable: the core is locked until then.
        for entry in entries {
            if let Err(error) = core.take(&self.network, entry) {
                core.ahead = true;
                self.mend(core).await?;
                return Err(error.into());
            }
        }
        self.make_durable(core, bytes).await
    }

    /// Makes entries durable that were taken; if that fails, goes back to what the journal holds.
    async fn make_durable(&self, core: &mut Core, entries: Vec<Vec<u8>>) -> Result<(), NodeError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (count, begun) = (u32::try_from(entries.len()).unwrap_or(u32::MAX), std::time::Instant::now());
        let Err(error) = self.journal.append(entries).await else {
            self.metrics.appended(count, begun.elapsed());
            return Ok(());
        };
        tracing::error!(%error, "the journal cannot be written; going back to what it holds");
        core.ahead = true;
        // Should the journal not be readable either, nothing is believed before it is.
        if let Err(error) = self.mend(core).await {
            tracing::error!(%error, "the journal cannot be read");
        }
        Err(error.into())
    }

    /// Writes the events of blocks that became final since the last call.
    async fn follow(&self, core: &mut Core) -> Result<(), NodeError> {
        let client = self.chain.sender().client();
        let Some(last) = final_block(client, self.chain.finality()).await? else { return Ok(()) };
        if last.number < core.next_block {
            return Ok(());
        }
        let mut located = events(client, self.chain.deployment(), core.next_block, last.number).await?;
        // A write that was torn may have left the first events of a block.
        let known = core.fold.state.chain;
        located.retain(|located| known.is_none_or(|known| Place::of(located) > known));
        if located.is_empty() {
            return Ok(());
        }
        let mut entries: Vec<Entry> = located.into_iter().map(|located| Entry::Chain { located }).collect();
        entries.push(Entry::Block { number: last.number, hash: last.hash });
        self.write(core, entries).await
    }

    fn keep(&self, bundle: &Bundle) -> Result<(), NodeError> {
        let path = bundle_path(&self.dir, bundle.header.epoch);
        let partial = path.with_extension("partial");
        let write = || {
            let mut file = std::fs::File::create(&partial)?;
            std::io::Write::write_all(&mut file, &bundle.to_bytes())?;
            file.sync_all()?;
            std::fs::rename(&partial, &path)
        };
        write().map_err(|error| NodeError::Io { path: path.clone(), error })
    }

    fn bundle(&self, epoch: Epoch) -> Result<Bundle, NodeError> {
        let path = bundle_path(&self.dir, epoch);
        let bytes = std::fs::read(&path).map_err(|error| NodeError::Io { path: path.clone(), error })?;
        Bundle::from_bytes(&bytes).map_err(|error| NodeError::Bundle { path, error })
    }

    /// Tells the index what is new: a closed epoch, and the chain's events up to the journal's latest block.
    async fn index(&self, core: &Core, bundle: Option<&Bundle>) -> Result<(), NodeError> {
        let known = self.store.cursor().await?;
        let client = self.chain.sender().client();
        let mut batch = Batch::default();
        let mut block = known.block;
        if let Some(last) = final_block(client, self.chain.finality()).await? {
            let from = known.block.map_or(0, |block| block.number.saturating_add(1));
            batch.events = events(client, self.chain.deployment(), from, last.number).await?;
            let numbers: BTreeSet<u64> = batch.events.iter().map(|located| located.block).collect();
            for number in numbers {
                let header = header(client, number).await?;
                batch.blocks.push(BlockFacts {
                    number,
                    hash: Digest(header.hash_slow().0),
                    parent: Digest(header.parent_hash.0),
                    time: Timestamp(header.timestamp.saturating_mul(1000)),
                });
            }
            block = Some(BlockRef { number: last.number, hash: last.hash });
        }
        if let Some(bundle) = bundle {
            batch.epochs.push(facts::epoch_facts(bundle));
            batch.claims = facts::claim_facts(bundle);
        }
        let seen = core.seen.iter();
        batch.reports = seen
            .map(|(device, (count, last))| ReportFacts { device: *device, count: *count, last: *last })
            .collect();
        let final_block = block.map(|block| block.number);
        self.store.apply(batch, Cursor { block, final_block, journal: core.tree.size() }).await?;
        Ok(())
    }
}
