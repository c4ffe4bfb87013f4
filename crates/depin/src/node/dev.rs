//! A network for development, as one call: a chain in this process, our contracts on it, and a node.

use std::{path::Path, sync::Arc};

use alloy_primitives::U256;
use depin_core::{Address, OutOfBounds, sha256};
use depin_evm::{
    DeployError, Deployment, Finality, PrivateKeySigner, SendError, Sender,
    contracts::NetworkToken,
    deploy,
    embedded::{self, EmbeddedChain, OpenError},
};
use depin_identity::SoftwareKey;
use depin_proof::SeedBeacon;

use super::{Chain, Clock, Launch, Node, NodeError, NodeOptions, NodeParts, launch::TOKEN};
use crate::{
    api::NetworkInfo,
    network::{Catalogue, Network, NetworkError},
    params::BeaconParams,
};

/// What each wallet of a development network starts with, in tokens.
const ALLOWANCE: u128 = 1_000_000;

/// A network for development. It stands still until its epochs are opened and closed.
#[derive(Debug)]
pub struct DevNetwork {
    /// The node.
    pub node: Node,
    /// Its chain.
    pub chain: EmbeddedChain,
    /// Where the contracts are.
    pub deployment: Deployment,
    /// The operator: it deployed the contracts, registers devices, proposes roots and relays claims.
    pub operator: Sender,
}

/// Why a network for development was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevNetworkError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] OpenError),
    /// The contracts.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// A transaction.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The parameters.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl Network {
    /// A storage network with a node in the new directory `dir`, epochs of `epoch_length` seconds, and a million test tokens for each of
    /// `wallets`. Keys, beacons and time follow from `seed`: time stands still until the node's clock is moved, and the chain's with it.
    ///
    /// For development only: the beacon can be foreseen, and the chain is nobody's but this process's.
    ///
    /// # Errors
    /// [`DevNetworkError`].
    pub async fn dev(
        dir: &Path,
        seed: [u8; 32],
        epoch_length: u64,
        wallets: &[Address],
    ) -> Result<DevNetwork, DevNetworkError> {
        /// 2026-01-01T00:00:00Z.
        const GENESIS: u64 = 1_767_225_600;
        let key = SoftwareKey::from_seed(sha256(&[b"depin/dev/node", &seed]).0);
        let operator = operator(&seed);
        let ether = U256::from(100_u64).saturating_mul(U256::from(TOKEN));
        let accounts =
            wallets.iter().copied().chain([operator.address()]).map(|wallet| (wallet, ether)).collect();
        let chain = EmbeddedChain::open(
            None,
            &embedded::Config {
                genesis_time: Some(GENESIS),
                clock: embedded::Clock::Manual,
                accounts,
                ..embedded::Config::default()
            },
        )?;
        let operator = chain.client().sender(operator);
        let launch = Launch {
            genesis: GENESIS,
            epoch_length,
            challenge_window: 2,
            evidence_period: 2,
            resolution_period: 2,
            resolver: operator.address(),
            supply: 1_000_000_000,
            max_revenue: ALLOWANCE,
            bond: 100,
            beacon: BeaconParams { kind: SeedBeacon::KIND.into(), anchor: seed.to_vec() },
            admission: None,
        };
        let deployment = deploy(&operator, &launch.deploy_config(0, operator.address())?).await?;
        let token = NetworkToken::new(deployment.token, operator.client().provider());
        for wallet in wallets {
            let gift = U256::from(ALLOWANCE).saturating_mul(U256::from(TOKEN));
            operator.send(token.transfer(*wallet, gift).into_transaction_request()).await?;
        }
        let params = launch.params(chain.chain_id(), &deployment, key.public().typed())?;
        let info = NetworkInfo {
            params: params.clone(),
            contracts: deployment.into(),
            start_block: deployment.start_block,
            chain: "embedded".into(),
            rpc: None,
        };
        let clock = Clock::manual(params.genesis);
        let node = Node::open(NodeParts {
            dir: dir.to_owned(),
            network: Self::new(params, &Catalogue::standard())?,
            info,
            key,
            chain: Chain::new(operator.clone(), deployment, Finality::Depth(0)),
            beacons: Arc::new(SeedBeacon::new(seed)),
            clock,
            tamper: None,
            options: NodeOptions::default(),
        })
        .await?;
        Ok(DevNetwork { node, chain, deployment, operator })
    }
}

/// One seed in 2^128 gives no key; the next attempt then does.
fn operator(seed: &[u8; 32]) -> PrivateKeySigner {
    let mut bytes = sha256(&[b"depin/dev/operator", seed]);
    loop {
        match PrivateKeySigner::from_bytes(&bytes.0.into()) {
            Ok(key) => return key,
            Err(_) => bytes = sha256(&[bytes.as_bytes()]),
        }
    }
}

impl DevNetwork {
    /// Moves the node's clock and the chain's to `moment`. Time never goes back.
    pub async fn reach(&self, moment: depin_core::Timestamp) {
        self.node.clock().reach(moment).await;
        self.chain.set_time(self.node.clock().now().0.div_euclid(1000));
    }
}
