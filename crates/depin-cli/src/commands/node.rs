//! `depin node`: the node of a network on any chain.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use depin::{
    AdmissionParams, Network,
    api::NetworkInfo,
    node::{Chain, Clock, Launch, Limits, Node, NodeParts, bind, block_beacon, catalogue, serve},
};
use depin_core::{Millis, Timestamp};
use depin_evm::{BlockBeacon, Finality, Moments, Sender, deploy};
use depin_identity::SoftwareKey;
use depin_lab::device;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Settings};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Deploy a new storage network on the chain first.
    #[arg(long)]
    launch: bool,
    /// Length of an epoch in seconds, for --launch.
    #[arg(long, default_value_t = 3_600, requires = "launch", value_parser = clap::value_parser!(u64).range(1..=31_622_400))]
    epoch_length: u64,
    /// When the first epoch opens, in seconds from now, for --launch.
    #[arg(long, default_value_t = 60, requires = "launch", value_parser = clap::value_parser!(u64).range(1..=31_622_400))]
    opens_in: u64,
    /// How long a root can be disputed in seconds, for --launch.
    #[arg(long, default_value_t = 172_800, requires = "launch", value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    challenge_window: u64,
    /// Whose devices count (JSON), for --launch; without it the network is open to all.
    #[arg(long, requires = "launch", value_name = "FILE")]
    admission: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let config = arguments.settings.load()?;
    // Whoever stops the node while it starts is heard.
    let stopped = super::stopped();
    tokio::pin!(stopped);
    let node = tokio::select! {
        () = &mut stopped => return Ok(ExitCode::SUCCESS),
        node = open(&arguments, &config) => node?,
    };
    // Every address is taken before anybody is served: a node that is half there misleads.
    let intake = bind(config.intake).await.context("intake.listen")?;
    let reading = bind(config.reading).await.context("reading.listen")?;
    let administration = bind(config.administration).await.context("admin.listen")?;
    let broker = config.broker()?;
    eprintln!("intake   http://{}", intake.local_addr()?);
    eprintln!("reading  http://{}", reading.local_addr()?);
    eprintln!("admin    http://{}", administration.local_addr()?);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let mut listen = |name, listener, router, limits| {
        tasks.spawn(serve(name, listener, router, limits, Arc::clone(node.metrics()), stop.clone()));
    };
    listen("intake", intake, node.intake(), config.limits());
    listen("reading", reading, node.reading(), config.limits());
    listen("admin", administration, node.administration(), Limits { connections: 64, ..Limits::default() });
    if let Some(broker) = broker {
        let (node, stop) = (node.clone(), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = node.mqtt(&broker, stop).await {
                tracing::error!(%error, "no reports are taken over MQTT");
            }
        });
    }
    let ended = node.run(stopped).await;
    tracing::info!("stopping");
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    node.shutdown().await?;
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the node, on a network that is launched first if asked for.
async fn open(arguments: &Arguments, config: &Config) -> Result<Node> {
    let url = config.rpc()?;
    let operator = config.operator()?;
    let state = &config.state;
    std::fs::create_dir_all(state).with_context(|| format!("{} cannot be made", state.display()))?;
    let key_path = state.join("node.key");
    device::make_key(&key_path, None, "node")?;
    let key = SoftwareKey::from_seed(device::read_secret(&key_path)?);
    let network_path = state.join("network.json");
    if arguments.launch {
        if network_path.exists() {
            bail!("{} holds a network already; start it without --launch", state.display());
        }
        let admission = arguments.admission.as_deref().map(admission).transpose()?;
        let client = super::chain(&url, super::chain_id(&url).await?, config.chain()).await?;
        let info = launch(arguments, admission, &client.sender(operator.clone()), &key).await?;
        device::replace(&network_path, &serde_json::to_vec_pretty(&info)?)?;
        eprintln!("launched network {} on chain {}", info.params.network(), info.params.chain_id);
    }
    let info = network(state)?;
    if info.params.node != key.public().typed() {
        bail!("{} is not the key of this network's node; restore it from a copy", key_path.display());
    }
    let client = super::chain(&url, info.params.chain_id, config.chain()).await?;
    let deployment = info.deployment();
    deployment.check(&client).await?;
    let finality = Finality::Depth(config.finality_depth);
    let beacons =
        BlockBeacon::new(client.clone(), finality, moments(info.params.genesis, info.params.epoch_length)?);
    let parts = NodeParts {
        dir: state.clone(),
        network: Network::new(info.params.clone(), &catalogue())?,
        info,
        key,
        chain: Chain::new(client.sender(operator), deployment, finality),
        beacons: Arc::new(beacons),
        clock: Clock::Wall,
        tamper: None,
        options: config.options(),
    };
    Ok(Node::open(parts).await?)
}

/// The network that a node's directory is for.
pub(crate) fn network(state: &Path) -> Result<NetworkInfo> {
    let path = state.join("network.json");
    serde_json::from_slice(&super::read(&path).context("launch one with --launch")?)
        .with_context(|| format!("{} describes no network", path.display()))
}

/// Whose devices count, as the file says.
fn admission(path: &Path) -> Result<AdmissionParams> {
    let params: AdmissionParams = serde_json::from_slice(&super::read(path)?)
        .with_context(|| format!("{} does not say whose devices count", path.display()))?;
    params.check().with_context(|| path.display().to_string())?;
    Ok(params)
}

/// When each epoch's beacon falls: where its commitments end.
fn moments(genesis: Timestamp, length: Millis) -> Result<Moments> {
    let offset = Launch::commit()?.floor_of(depin_core::Amount(u128::from(length.0))).0;
    Ok(Moments { first: genesis.saturating_add(Millis(u64::try_from(offset)?)), length })
}

async fn launch(
    arguments: &Arguments,
    admission: Option<AdmissionParams>,
    operator: &Sender,
    key: &SoftwareKey,
) -> Result<NetworkInfo> {
    let genesis = Clock::Wall.now().0.div_euclid(1000).saturating_add(arguments.opens_in);
    let length = Millis(arguments.epoch_length.saturating_mul(1000));
    let launch = Launch {
        genesis,
        epoch_length: arguments.epoch_length,
        challenge_window: arguments.challenge_window,
        evidence_period: arguments.challenge_window.div_ceil(2),
        resolution_period: arguments.challenge_window.saturating_mul(3).div_ceil(2).min(1_296_000),
        resolver: operator.address(),
        supply: 1_000_000_000,
        max_revenue: 1_000_000,
        bond: 1_000,
        beacon: block_beacon(moments(Timestamp(genesis.saturating_mul(1000)), length)?),
        admission,
    };
    let first_nonce = operator.client().next_nonce(operator.address()).await?;
    let deployment = deploy(operator, &launch.deploy_config(first_nonce, operator.address())?).await?;
    let chain_id = operator.client().chain_id();
    Ok(NetworkInfo {
        params: launch.params(chain_id, &deployment, key.public().typed())?,
        contracts: deployment.into(),
        start_block: deployment.start_block,
        chain: format!("chain {chain_id}"),
        // A URL may hold a secret, so the node does not tell its own.
        rpc: None,
    })
}
