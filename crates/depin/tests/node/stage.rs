//! A chain, a directory, and how to talk to a node.

use std::{path::PathBuf, sync::Arc};

use alloy::{primitives::U256, signers::SignerSync};
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use depin::{
    Catalogue, Network, NetworkParams,
    api::{ApiError, NetworkInfo, ReportResult, ReportResults, paths},
    entry::Entry,
    evm::{
        DeployConfig, Deployment, Finality, Sender,
        contracts::NetworkToken,
        credits, deploy,
        embedded::{self, EmbeddedChain},
    },
    node::{Chain, Clock, FileJournal, Node, NodeError, NodeOptions, NodeParts, journal::Journal},
};
use depin_core::{Amount, Timestamp, cbor};
use depin_identity::{Action, OwnerSignature, SignedBinding};
use depin_proof::possession::SET_KIND;
use tower::ServiceExt;

use crate::common::*;

pub(crate) const SUPPLY: u128 = 1_000_000_000;

/// A chain with our contracts, and a directory for a node.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) chain: EmbeddedChain,
    pub(crate) deployment: Deployment,
    pub(crate) clock: Clock,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let ether = U256::from(10).pow(U256::from(20));
        let config = embedded::Config {
            chain_id: CHAIN,
            genesis_time: Some(GENESIS / 1000),
            clock: embedded::Clock::Manual,
            accounts: ["operator", "customer"].map(|name| (wallet(name).address(), ether)).to_vec(),
        };
        let chain = EmbeddedChain::open(None, &config).unwrap();
        let operator = chain.client().sender(wallet("operator"));
        let deployment = deploy(&operator, &deploy_config()).await.unwrap();
        assert_eq!(deployment.registry, registry_address());
        let token = NetworkToken::new(deployment.token, operator.client().provider());
        let gift = token.transfer(wallet("customer").address(), U256::from(1_000_000));
        operator.send(gift.into_transaction_request()).await.unwrap();
        let clock = Clock::manual(Timestamp(GENESIS));
        Self { dir: tempfile::tempdir().unwrap(), chain, deployment, clock }
    }

    pub(crate) fn sender(&self, name: &str) -> Sender {
        self.chain.client().sender(wallet(name))
    }

    pub(crate) fn params(&self) -> NetworkParams {
        NetworkParams { distributor: self.deployment.distributor, ..params() }
    }

    pub(crate) fn parts(&self) -> NodeParts {
        let params = self.params();
        let info = NetworkInfo {
            params: params.clone(),
            contracts: self.deployment.into(),
            start_block: self.deployment.start_block,
            chain: "embedded".into(),
            rpc: None,
        };
        NodeParts {
            dir: self.dir.path().to_owned(),
            network: Network::new(params, &Catalogue::standard()).unwrap(),
            info,
            key: node_key(),
            chain: Chain::new(self.sender("operator"), self.deployment, Finality::Depth(0)),
            beacons: Arc::new(beacons()),
            clock: self.clock.clone(),
            tamper: None,
            options: NodeOptions::default(),
        }
    }

    pub(crate) async fn open(&self) -> Node {
        Node::open(self.parts()).await.unwrap()
    }

    /// Ends `node` and opens its directory again.
    pub(crate) async fn reopen(&self, node: Node) -> Node {
        drop(node);
        self.reopen_with(|| self.parts()).await
    }

    /// Opens its directory again once the node before, which was dropped, has let go of it.
    pub(crate) async fn reopen_with(&self, parts: impl Fn() -> NodeParts) -> Node {
        // What the old one was still doing gets its turn.
        for _ in 0..1_000 {
            match Node::open(parts()).await {
                Err(NodeError::Journal(_)) => tokio::task::yield_now().await,
                other => return other.unwrap(),
            }
        }
        panic!("the journal is never let go of");
    }

    pub(crate) async fn reach(&self, moment: u64) {
        self.clock.reach(Timestamp(moment)).await;
        self.chain.set_time(self.clock.now().0 / 1000);
    }

    pub(crate) async fn pay(&self, amount: u128) {
        let customer = wallet("customer").address();
        credits::pay(&self.sender("customer"), &self.deployment, customer, Amount(amount)).await.unwrap();
    }

    /// The bytes of the journal's only segment.
    pub(crate) fn journal(&self) -> Vec<u8> {
        std::fs::read(self.segment()).unwrap()
    }

    pub(crate) fn segment(&self) -> PathBuf {
        self.dir.path().join("journal").join(format!("{:020}.seg", 0))
    }
}

pub(crate) fn deploy_config() -> DeployConfig {
    let operator = wallet("operator").address();
    DeployConfig {
        first_nonce: 0,
        token_name: "Test".into(),
        token_symbol: "TST".into(),
        initial_holder: operator,
        initial_supply: Amount(SUPPLY),
        mint_cap: Amount(SUPPLY),
        burn: bps(5_000),
        genesis: GENESIS / 1000,
        epoch_length: EPOCH / 1000,
        initial_emission: Amount(1_000_000),
        halving_interval: 0,
        mint_per_burn: bps(9_000),
        max_revenue_per_epoch: Amount(1_000_000),
        challenge_window: 2,
        evidence_period: 2,
        resolution_period: 2,
        proposal_bond: Amount(100),
        challenge_bond: Amount(100),
        max_voids: 2,
        unbonding_delay: 20,
        resolver: operator,
        guardian: operator,
        registrar: operator,
    }
}

pub(crate) async fn call(
    node: &Node,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> (StatusCode, Vec<u8>, Option<String>) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let response = node.router().oneshot(request).await.unwrap();
    let status = response.status();
    let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    (status, to_bytes(response.into_body(), 1 << 24).await.unwrap().to_vec(), retry)
}

pub(crate) async fn post(node: &Node, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let (status, body, _) = call(node, "POST", path, body).await;
    (status, body)
}

/// What becomes of reports sent in one body.
pub(crate) async fn send(node: &Node, body: Vec<u8>) -> Vec<ReportResult> {
    let (status, body) = post(node, paths::REPORTS, body).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice::<ReportResults>(&body).unwrap().results
}

/// The receipt for an envelope that is accepted.
pub(crate) async fn accepted(node: &Node, envelope: Vec<u8>) -> Vec<u8> {
    match send(node, envelope).await.as_slice() {
        [ReportResult::Accepted { receipt }] => receipt.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn reason(result: &ReportResult) -> &str {
    match result {
        ReportResult::Refused { reason, .. } => reason.as_str(),
        ReportResult::Accepted { .. } => "accepted",
    }
}

pub(crate) fn error(body: &[u8]) -> String {
    let ApiError { error } =
        serde_json::from_slice(body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(body)));
    assert!(!error.next.is_empty());
    error.code
}

pub(crate) fn envelope(node: &Node, device: &mut Device, kind: &'static str, body: Vec<u8>) -> Vec<u8> {
    let report = device.report(kind, body, node.clock().now());
    device.sign(&report)
}

/// The report in which `device` names what it keeps.
pub(crate) fn set_of(node: &Node, device: &mut Device) -> Vec<u8> {
    let set = device.set.to_bytes();
    envelope(node, device, SET_KIND, set)
}

pub(crate) async fn register(node: &Node, device: &Device) {
    register_until(node, device, GENESIS).await;
}

pub(crate) async fn register_until(node: &Node, device: &Device, deadline: u64) {
    let (status, body) = ask_to_register(node, device, deadline).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
}

async fn ask_to_register(node: &Node, device: &Device, deadline: u64) -> (StatusCode, Vec<u8>) {
    post(node, paths::REGISTRATIONS, serde_json::to_vec(&registration(device, deadline)).unwrap()).await
}

/// What registers `device` for its owner.
pub(crate) fn registration(device: &Device, deadline: u64) -> SignedBinding {
    let binding =
        depin_identity::Binding { deadline, ..device.binding(Action::Register { active: true }, 0) };
    let signature = device.owner.sign_hash_sync(&binding.signing_hash()).unwrap();
    let owner_signature = Some(OwnerSignature(signature.as_bytes()));
    let device_proof = Some(device.key.signature(&binding.device_proof_message()));
    SignedBinding { binding, owner_signature, new_owner_signature: None, device_proof, new_key_proof: None }
}

/// Asks for a registration, whatever comes of it.
pub(crate) async fn try_register(node: &Node, device: &Device) -> (StatusCode, Vec<u8>) {
    ask_to_register(node, device, GENESIS).await
}

/// A node with a registered device in an open epoch.
pub(crate) async fn ready() -> (Stage, Node, Device) {
    let stage = Stage::new().await;
    let node = stage.open().await;
    let device = Device::new("a");
    register(&node, &device).await;
    node.open_epoch().await.unwrap();
    (stage, node, device)
}

/// Lets every closed epoch become final and claims for everybody.
pub(crate) async fn settle_all(stage: &Stage, node: &Node) {
    while let Some(epoch) = node.settle().await.unwrap().first() {
        if let Some(end) = node.window_end(*epoch).await.unwrap() {
            stage.reach(end * 1000).await;
        }
    }
}

/// What is in the journal, read from a copy, since the directory is the node's.
pub(crate) async fn entries(stage: &Stage) -> Vec<Entry> {
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join(stage.segment().file_name().unwrap()), stage.journal()).unwrap();
    let journal = FileJournal::open(copy.path(), params().network()).unwrap();
    let read = journal.read(0, usize::MAX).await.unwrap();
    read.iter().map(|bytes| cbor::from_slice(bytes).unwrap()).collect()
}

pub(crate) async fn reports(stage: &Stage) -> usize {
    entries(stage).await.iter().filter(|entry| matches!(entry, Entry::Report { .. })).count()
}

pub(crate) async fn refused(stage: &Stage) -> usize {
    entries(stage).await.iter().filter(|entry| matches!(entry, Entry::Refused { .. })).count()
}
