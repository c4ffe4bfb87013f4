//! `depin node`: the node of a network on any chain.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, Result, bail};
use depin::{
    Network,
    api::{Contracts, NetworkInfo},
    node::{Chain, Clock, Launch, Node, NodeOptions, NodeParts, block_beacon, catalogue},
};
use depin_core::{Millis, Timestamp};
use depin_evm::{
    BlockBeacon, Deployment, Finality, Moments, Sender, deploy, signer_from_env, signer_from_keystore,
};
use depin_identity::SoftwareKey;
use depin_lab::device;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The node's directory: journal, bundles, index, key, and the network it serves (network.json).
    #[arg(long)]
    state: PathBuf,
    /// Where the node listens.
    #[arg(long, default_value = "127.0.0.1:8600", env = "DEPIN_LISTEN")]
    listen: SocketAddr,
    /// Deploy a new storage network on the chain first.
    #[arg(long)]
    launch: bool,
    /// Length of an epoch in seconds, for --launch.
    #[arg(long, default_value_t = 3_600, requires = "launch", value_parser = clap::value_parser!(u64).range(1..=31_622_400))]
    epoch_length: u64,
    /// How long a root can be disputed in seconds, for --launch.
    #[arg(long, default_value_t = 172_800, requires = "launch", value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    challenge_window: u64,
    /// An encrypted keystore file with the operator's key, its password in DEPIN_KEYSTORE_PASSWORD; without it the key is in DEPIN_CHAIN_KEY.
    #[arg(long)]
    keystore: Option<PathBuf>,
    /// How many blocks make an event final.
    #[arg(long, default_value_t = 2)]
    finality_depth: u64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let url = std::env::var(super::RPC_VARIABLE)
        .with_context(|| format!("{} is not set; set it to the URL of the chain", super::RPC_VARIABLE))?;
    let operator = match &arguments.keystore {
        Some(path) => signer_from_keystore(path, "DEPIN_KEYSTORE_PASSWORD")?,
        None => signer_from_env("DEPIN_CHAIN_KEY")?,
    };
    std::fs::create_dir_all(&arguments.state)
        .with_context(|| format!("{} cannot be made", arguments.state.display()))?;
    let key_path = arguments.state.join("node.key");
    device::make_key(&key_path, None, "node")?;
    let key = SoftwareKey::from_seed(device::read_secret(&key_path)?);
    let network_path = arguments.state.join("network.json");
    if arguments.launch {
        if network_path.exists() {
            bail!("{} holds a network already; start it without --launch", arguments.state.display());
        }
        let client = super::chain(&url, super::chain_id(&url).await?).await?;
        let info = launch(&arguments, &client.sender(operator.clone()), &key).await?;
        device::replace(&network_path, &serde_json::to_vec_pretty(&info)?)?;
        eprintln!("launched network {} on chain {}", info.params.network(), info.params.chain_id);
    }
    let info: NetworkInfo =
        serde_json::from_slice(&super::read(&network_path).context("launch one with --launch")?)
            .with_context(|| format!("{} describes no network", network_path.display()))?;
    if info.params.node != key.public().typed() {
        bail!("{} is not the key of this network's node; restore it from a copy", key_path.display());
    }
    let client = super::chain(&url, info.params.chain_id).await?;
    let Contracts { token, registry, credits, distributor } = info.contracts;
    let deployment = Deployment { token, registry, credits, distributor };
    deployment.check(&client).await?;
    let finality = Finality::Depth(arguments.finality_depth);
    let network = Network::new(info.params.clone(), &catalogue())?;
    let beacons =
        BlockBeacon::new(client.clone(), finality, moments(info.params.genesis, info.params.epoch_length)?);
    let node = Node::open(NodeParts {
        dir: arguments.state.clone(),
        network,
        info,
        key,
        chain: Chain::new(client.sender(operator), deployment, finality),
        beacons: Arc::new(beacons),
        clock: Clock::Wall,
        tamper: None,
        options: NodeOptions::default(),
    })
    .await?;
    let listener = tokio::net::TcpListener::bind(arguments.listen).await.with_context(|| {
        format!("{} cannot be used; choose another address with --listen", arguments.listen)
    })?;
    eprintln!("node   http://{}", listener.local_addr()?);
    let router = node.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    node.run(super::stopped()).await?;
    Ok(ExitCode::SUCCESS)
}

/// When each epoch's beacon falls: where its commitments end.
fn moments(genesis: Timestamp, length: Millis) -> Result<Moments> {
    let offset = Launch::commit()?.floor_of(depin_core::Amount(u128::from(length.0))).0;
    Ok(Moments { first: genesis.saturating_add(Millis(u64::try_from(offset)?)), length })
}

async fn launch(arguments: &Arguments, operator: &Sender, key: &SoftwareKey) -> Result<NetworkInfo> {
    let genesis = Clock::Wall.now().0.div_euclid(1000).saturating_add(60);
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
    };
    let first_nonce = operator.client().next_nonce(operator.address()).await?;
    let deployment = deploy(operator, &launch.deploy_config(first_nonce, operator.address())?).await?;
    let chain_id = operator.client().chain_id();
    let Deployment { token, registry, credits, distributor } = deployment;
    Ok(NetworkInfo {
        params: launch.params(chain_id, &deployment, key.public().typed())?,
        contracts: Contracts { token, registry, credits, distributor },
        chain: format!("chain {chain_id}"),
        // A URL may hold a secret, so the node does not tell its own.
        rpc: None,
    })
}
