//! A whole network on one machine: a chain with our contracts, customers who pay, providers who keep real files, cheaters who try.

mod chain;
mod factory;
mod members;
mod operator;
mod report;
mod state;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use depin::{
    Bundle, Catalogue, Network,
    api::{NetworkInfo, Phase},
    network::NetworkError,
    node::{Clock, Launch, Limits, Node, NodeError, NodeOptions, NodeParts, launch::TOKEN, serve},
    params::BeaconParams,
};
use depin_core::{Address, Epoch, Millis, OutOfBounds, Timestamp, sha256};
use depin_evm::{Deployment, Finality};
use depin_identity::SoftwareKey;
use depin_proof::SeedBeacon;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{chain::DevChain, factory::Factory, members::Members, state::DeployedNetwork};
pub use self::{
    chain::{ChainChoice, ChainError, ask_chain_id},
    members::{MembersError, Ready},
    operator::{Operator, UnknownOperator},
    report::{
        AuditReport, CustomerReport, DeviceReport, EpochReport, NetworkReport, RejectionReport, Report,
    },
    state::lock,
};
use crate::{
    attack::Attack,
    device::{self, DeviceError},
    maker::MakerError,
};

/// What a simulated network is to be.
#[derive(Clone, Debug)]
pub struct DevConfig {
    /// Honest devices.
    pub devices: usize,
    /// Cheaters on top of them: each attack once, then from the start.
    pub cheaters: usize,
    /// Epochs to run; none to run until stopped.
    pub epochs: Option<u64>,
    /// What keys, data and time are derived from; none for a network by the wall clock.
    pub seed: Option<u64>,
    /// Length of an epoch.
    pub seconds_per_epoch: u64,
    /// Where the node listens on loopback; 0 for any free port.
    pub port: u16,
    /// The network's directory. A network that is there goes on where it stopped.
    pub state: PathBuf,
    /// The data to keep; made from the seed if none.
    pub data: Option<PathBuf>,
    /// The chain.
    pub chain: ChainChoice,
    /// Whether the operator cheats.
    pub operator: Operator,
    /// The attacks that cheaters take up in turn; each of them if empty.
    pub attacks: Vec<Attack>,
    /// Whether the node claims for everybody as soon as an epoch is final. Without it, claims stay open until somebody takes them.
    pub relay: bool,
    /// The program to run devices, customers and audits with: `depin`.
    pub program: PathBuf,
}

/// What is going on, for whoever watches.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// A step of the preparation.
    Step(String),
    /// The node answers at this address.
    Ready {
        /// The node's URL.
        url: String,
        /// The chain's URL.
        rpc: String,
    },
    /// An epoch's phase began.
    Phase {
        /// The epoch.
        epoch: Epoch,
        /// The phase.
        phase: Phase,
    },
    /// An epoch closed.
    Closed(Box<Bundle>),
}

/// Why a simulated network stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevError {
    /// Its directory is in use, or belongs to something else.
    #[error("{path} {problem}; choose another directory with --state")]
    State {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file.
    #[error(transparent)]
    Files(#[from] DeviceError),
    /// The data to keep.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The parameters.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The parameters.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Devices and customers.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// Their maker.
    #[error(transparent)]
    Maker(#[from] MakerError),
    /// The port.
    #[error("port {port} on 127.0.0.1 cannot be used: {error}; choose another one with --port, or 0 for any")]
    Port {
        /// The port.
        port: u16,
        /// What the system says.
        error: std::io::Error,
    },
    /// The audit.
    #[error("the audit cannot be run: {0}")]
    Audit(String),
    /// Asked to stop.
    #[error("stopped; run it again with the same --state to go on")]
    Stopped,
}

/// When a seeded network begins: 2026-01-01T00:00:00Z, in seconds.
const SEEDED_GENESIS: u64 = 1_767_225_600;
/// What exists before anything is minted, in tokens.
const SUPPLY: u128 = 1_000_000_000;
/// What each customer starts with, in tokens.
const ALLOWANCE: u128 = 1_000_000;

/// Runs the network, and audits it in separate processes. `watch` is told what happens; `stop` ends it early.
///
/// # Errors
/// [`DevError`].
pub async fn run(
    config: DevConfig,
    watch: impl Fn(Progress) + Send + Sync,
    stop: impl Future<Output = ()> + Send,
) -> Result<Report, DevError> {
    let world = World::build(&config, &watch).await?;
    let outcome = tokio::select! {
        outcome = world.live(&watch) => outcome,
        () = stop => Err(DevError::Stopped),
    };
    outcome?;
    watch(Progress::Step("auditing every epoch in a process of its own".into()));
    report::report(&world).await
}

/// A network that runs.
struct World {
    config: DevConfig,
    chain: DevChain,
    deployment: Deployment,
    node: Node,
    members: Members,
    rpc: String,
    /// The first epoch of this run.
    first: Epoch,
    /// Ends the listener with this.
    _stop: DropGuard,
    /// Ends with this.
    _lock: std::fs::File,
}

impl World {
    async fn build(config: &DevConfig, watch: &(impl Fn(Progress) + Send + Sync)) -> Result<Self, DevError> {
        let (mut manifest, lock) = config.open_state()?;
        let seed = config.seed_bytes();
        let key = node_key(&config.state, seed.as_ref())?;
        watch(Progress::Step("making keys, credentials and data".into()));
        let genesis = if seed.is_some() { SEEDED_GENESIS } else { Clock::Wall.now().0.div_euclid(1000) };
        let first = manifest.network.as_ref().map_or(genesis, |deployed| deployed.genesis);
        let factory = Factory::open(&config.state, seed.as_ref(), Timestamp(first.saturating_mul(1000)))?;
        let cast = members::cast(config, seed.as_ref(), &factory)?;
        watch(Progress::Step(format!("starting the chain: {}", config.chain)));
        let chain = DevChain::start(config, genesis, &cast.wallets).await?;
        let deployed = match &manifest.network {
            Some(deployed) => {
                chain.check(deployed.chain_id, &deployed.deployment).await?;
                deployed.clone()
            }
            None => {
                watch(Progress::Step("deploying the contracts".into()));
                let launch = launch(config, &factory, genesis, chain.operator().address());
                let deployment = chain.deploy(&launch, &cast.wallets).await?;
                let deployed = DeployedNetwork { chain_id: chain.chain_id(), genesis, deployment };
                manifest.network = Some(deployed.clone());
                config.save(&manifest)?;
                deployed
            }
        };
        let launch = launch(config, &factory, deployed.genesis, chain.operator().address());
        let params = launch.params(deployed.chain_id, &deployed.deployment, key.public().typed())?;
        let network = Network::new(params.clone(), &Catalogue::standard())?;
        let clock = match seed {
            Some(_) => Clock::manual(Timestamp(deployed.genesis.saturating_mul(1000))),
            None => Clock::Wall,
        };
        let rpc = chain.url();
        // A URL may hold a secret: only one that is a host and nothing more is told to others.
        let public_rpc = config.chain.is_public().then(|| rpc.clone());
        let info = NetworkInfo {
            params,
            contracts: deployed.deployment.into(),
            start_block: deployed.deployment.start_block,
            chain: config.chain.to_string(),
            rpc: public_rpc.clone(),
        };
        let node = Node::open(NodeParts {
            dir: config.state.clone(),
            network,
            info,
            key,
            chain: depin::node::Chain::new(chain.operator(), deployed.deployment, Finality::Depth(0)),
            beacons: Arc::new(SeedBeacon::new(beacon_seed(config))),
            clock,
            tamper: config.operator.tamper(),
            options: NodeOptions::default(),
        })
        .await?;
        chain.set_time(node.clock());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
        let port = |error| DevError::Port { port: config.port, error };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(port)?;
        let url = format!("http://{}", listener.local_addr().map_err(port)?);
        let stop = CancellationToken::new();
        tokio::spawn(serve(
            "all",
            listener,
            node.router(),
            limits(),
            Arc::clone(node.metrics()),
            stop.clone(),
        ));
        let shown = public_rpc.unwrap_or_else(|| config.chain.to_string());
        watch(Progress::Ready { url: url.clone(), rpc: shown });
        let first = node.epoch().await;
        watch(Progress::Step("starting devices and customers, each a process of its own".into()));
        let members = Members::start(config, cast, &node, &url, &rpc).await?;
        let deployment = deployed.deployment;
        let stop = stop.drop_guard();
        Ok(Self {
            config: config.clone(),
            chain,
            deployment,
            node,
            members,
            rpc,
            first,
            _stop: stop,
            _lock: lock,
        })
    }

    /// Runs the epochs.
    async fn live(&self, watch: &(impl Fn(Progress) + Send + Sync)) -> Result<(), DevError> {
        self.everyone(watch, Phase::Register { turn: 0 }).await?;
        self.everyone(watch, Phase::Register { turn: 1 }).await?;
        for turn in 0..self.members.customers() {
            self.everyone(watch, Phase::Deal { turn }).await?;
        }
        let last = self.config.epochs.map(|epochs| self.first.0.saturating_add(epochs));
        loop {
            let next = self.node.epoch().await;
            if last.is_some_and(|last| next.0 >= last) {
                break;
            }
            let bundle = self.epoch(watch).await?;
            watch(Progress::Closed(Box::new(bundle)));
            self.settle().await?;
        }
        self.node.announce(Phase::Finished).await;
        loop {
            let open = self.settle().await?;
            let Some(epoch) = open.first() else { return Ok(()) };
            // Dev windows are seconds long. A manual clock is moved to their end, the wall clock gets there by itself.
            if let Some(end) = self.node.window_end(*epoch).await? {
                self.reach(Timestamp(end.saturating_mul(1000))).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    async fn settle(&self) -> Result<Vec<Epoch>, NodeError> {
        let open = if self.config.relay { self.node.settle().await } else { self.node.finalise().await }?;
        // Whoever asks next, the owners for what they can claim and people for what happened, asks the index.
        self.node.caught_up().await?;
        Ok(open)
    }

    /// One epoch, or what is left of one that was interrupted.
    async fn epoch(&self, watch: &(impl Fn(Progress) + Send + Sync)) -> Result<Bundle, DevError> {
        let (open, known) = self.node.progress().await;
        if !open {
            for turn in 0..self.members.customers() {
                self.everyone(watch, Phase::Pay { turn }).await?;
                self.node.follow().await?;
            }
            let params = self.node.network().params();
            let earliest = params
                .genesis
                .0
                .saturating_add(params.epoch_length.0.saturating_mul(self.node.epoch().await.0));
            self.reach(Timestamp(earliest)).await;
            self.node.open_epoch().await?;
        }
        let schedule = self.node.schedule().await;
        let (commit_until, answer_until, closes) = schedule
            .map(|schedule| (schedule.commit_until, schedule.answer_until, schedule.closes))
            .unwrap_or_default();
        if !known {
            self.phase(watch, Phase::Commit, commit_until).await?;
            self.node.reveal_beacon().await?;
        }
        self.phase(watch, Phase::Answer, answer_until.saturating_add(Millis(1))).await?;
        self.phase(watch, Phase::Report, closes).await?;
        Ok(self.node.close_epoch().await?)
    }

    /// A phase that ends at a moment: by the wall clock, or, in a seeded network, when everybody is done.
    async fn phase(
        &self,
        watch: &(impl Fn(Progress) + Send + Sync),
        phase: Phase,
        until: Timestamp,
    ) -> Result<(), DevError> {
        if self.node.clock().is_manual() {
            self.everyone(watch, phase).await?;
        } else {
            self.announce(watch, phase).await;
            self.members.check()?;
        }
        self.reach(until).await;
        Ok(())
    }

    /// A phase that ends when everybody is done.
    async fn everyone(
        &self,
        watch: &(impl Fn(Progress) + Send + Sync),
        phase: Phase,
    ) -> Result<(), DevError> {
        self.announce(watch, phase).await;
        tokio::select! {
            () = self.node.gate().everyone_waits() => Ok(()),
            error = self.members.failure() => Err(error.into()),
        }
    }

    async fn announce(&self, watch: &(impl Fn(Progress) + Send + Sync), phase: Phase) {
        self.node.announce(phase).await;
        watch(Progress::Phase { epoch: self.node.gate().status().epoch, phase });
    }

    async fn reach(&self, moment: Timestamp) {
        self.node.clock().reach(moment).await;
        self.chain.set_time(self.node.clock());
    }
}

/// A node's limits, except that everybody is one client: the members and the browser are all on this machine.
fn limits() -> Limits {
    let limits = Limits::default();
    let everybody = limits.connections;
    Limits { connections_per_client: everybody, rate: 1_000_000, burst: 1_000_000, ..limits }
}

fn node_key(state: &Path, seed: Option<&[u8; 32]>) -> Result<SoftwareKey, DevError> {
    let path = state.join("node.key");
    device::make_key(&path, seed, "node")?;
    Ok(SoftwareKey::from_seed(device::read_secret(&path)?))
}

/// Anybody may know it: it is for tests, and every bundle says so.
fn beacon_seed(config: &DevConfig) -> [u8; 32] {
    sha256(&[b"depin/dev-beacon/1", &config.seed.unwrap_or_default().to_be_bytes()]).0
}

/// Windows of seconds instead of days, so that a first epoch is paid while one watches.
fn launch(config: &DevConfig, factory: &Factory, genesis: u64, resolver: Address) -> Launch {
    Launch {
        genesis,
        epoch_length: config.seconds_per_epoch,
        challenge_window: 2,
        evidence_period: 2,
        resolution_period: 2,
        resolver,
        supply: SUPPLY,
        max_revenue: ALLOWANCE,
        bond: 100,
        beacon: BeaconParams { kind: SeedBeacon::KIND.into(), anchor: beacon_seed(config).to_vec() },
        admission: Some(factory.admission()),
    }
}
