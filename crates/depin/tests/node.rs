//! A node in process, over the embedded chain: what it takes, what it acknowledges, and what survives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

mod common;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use alloy::{primitives::U256, signers::SignerSync};
use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use common::*;
use depin::{
    Bundle, Catalogue, Network, NetworkParams,
    api::{ApiError, Contracts, NetworkInfo, ReportResult, ReportResults, Work, paths},
    audit, audit_excerpt, audit_receipts,
    close::CloseError,
    entry::Entry,
    evm::{
        DeployConfig, Deployment, Finality, Sender,
        contracts::NetworkToken,
        credits, deploy,
        embedded::{self, EmbeddedChain},
    },
    excerpt::Excerpt,
    node::{
        Chain, Clock, FileJournal, Node, NodeError, NodeParts, bundle_path,
        journal::{Journal, JournalError},
    },
};
use depin_core::{Amount, Epoch, SignedDeal, Timestamp, cbor, sha256};
use depin_identity::{Action, Envelope, OwnerSignature, Receipt, SignedBinding};
use depin_proof::possession::{ANSWER_KIND, SET_KIND};
use futures_util::future::join_all;
use tower::ServiceExt;

const SUPPLY: u128 = 1_000_000_000;

/// A chain with our contracts, and a directory for a node.
struct Stage {
    dir: tempfile::TempDir,
    chain: EmbeddedChain,
    deployment: Deployment,
    clock: Clock,
}

impl Stage {
    async fn new() -> Self {
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

    fn sender(&self, name: &str) -> Sender {
        self.chain.client().sender(wallet(name))
    }

    fn params(&self) -> NetworkParams {
        NetworkParams { distributor: self.deployment.distributor, ..params() }
    }

    fn parts(&self) -> NodeParts {
        let params = self.params();
        let Deployment { token, registry, credits, distributor } = self.deployment;
        let info = NetworkInfo {
            params: params.clone(),
            contracts: Contracts { token, registry, credits, distributor },
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
        }
    }

    async fn open(&self) -> Node {
        Node::open(self.parts()).await.unwrap()
    }

    /// Ends `node` and opens its directory again.
    async fn reopen(&self, node: Node) -> Node {
        drop(node);
        // What the old one was still doing gets its turn.
        for _ in 0..1_000 {
            match Node::open(self.parts()).await {
                Err(NodeError::Journal(_)) => tokio::task::yield_now().await,
                other => return other.unwrap(),
            }
        }
        panic!("the journal is never let go of");
    }

    async fn reach(&self, moment: u64) {
        self.clock.reach(Timestamp(moment)).await;
        self.chain.set_time(self.clock.now().0 / 1000);
    }

    async fn pay(&self, amount: u128) {
        let customer = wallet("customer").address();
        credits::pay(&self.sender("customer"), &self.deployment, customer, Amount(amount)).await.unwrap();
    }

    fn journal(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join("journal")).unwrap()
    }
}

fn deploy_config() -> DeployConfig {
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
        resolver: operator,
        guardian: operator,
        registrar: operator,
    }
}

async fn call(node: &Node, method: &str, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>, Option<String>) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let response = node.router().oneshot(request).await.unwrap();
    let status = response.status();
    let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
    (status, to_bytes(response.into_body(), 1 << 24).await.unwrap().to_vec(), retry)
}

async fn post(node: &Node, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
    let (status, body, _) = call(node, "POST", path, body).await;
    (status, body)
}

/// What becomes of reports sent in one body.
async fn send(node: &Node, body: Vec<u8>) -> Vec<ReportResult> {
    let (status, body) = post(node, paths::REPORTS, body).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice::<ReportResults>(&body).unwrap().results
}

/// The receipt for an envelope that is accepted.
async fn accepted(node: &Node, envelope: Vec<u8>) -> Vec<u8> {
    match send(node, envelope).await.as_slice() {
        [ReportResult::Accepted { receipt }] => receipt.clone(),
        other => panic!("{other:?}"),
    }
}

fn reason(result: &ReportResult) -> &str {
    match result {
        ReportResult::Refused { reason, .. } => reason.as_str(),
        ReportResult::Accepted { .. } => "accepted",
    }
}

fn error(body: &[u8]) -> String {
    let ApiError { error } =
        serde_json::from_slice(body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(body)));
    assert!(!error.next.is_empty());
    error.code
}

fn envelope(node: &Node, device: &mut Device, kind: &'static str, body: Vec<u8>) -> Vec<u8> {
    let report = device.report(kind, body, node.clock().now());
    device.sign(&report)
}

/// The report in which `device` names what it keeps.
fn set_of(node: &Node, device: &mut Device) -> Vec<u8> {
    let set = device.set.to_bytes();
    envelope(node, device, SET_KIND, set)
}

async fn register(node: &Node, device: &Device) {
    register_until(node, device, GENESIS).await;
}

async fn register_until(node: &Node, device: &Device, deadline: u64) {
    let binding = depin_identity::Binding { deadline, ..device.binding(Action::Register, 0) };
    let owner_signature =
        OwnerSignature(device.owner.sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes());
    let device_proof = Some(device.key.signature(&binding.device_proof_message()));
    let signed = SignedBinding { binding, owner_signature, new_owner_signature: None, device_proof };
    let (status, body) = post(node, paths::REGISTRATIONS, serde_json::to_vec(&signed).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
}

/// A node with a registered device in an open epoch.
async fn ready() -> (Stage, Node, Device) {
    let stage = Stage::new().await;
    let node = stage.open().await;
    let device = Device::new("a");
    register(&node, &device).await;
    node.open_epoch().await.unwrap();
    (stage, node, device)
}

/// What is in the journal, read from a copy, since the file is the node's.
async fn entries(stage: &Stage) -> Vec<Entry> {
    let copy = stage.dir.path().join("copy");
    std::fs::write(&copy, stage.journal()).unwrap();
    let read = FileJournal::open(&copy).unwrap().read(0).await.unwrap();
    read.iter().map(|bytes| cbor::from_slice(bytes).unwrap()).collect()
}

async fn reports(stage: &Stage) -> usize {
    entries(stage).await.iter().filter(|entry| matches!(entry, Entry::Report { .. })).count()
}

async fn refused(stage: &Stage) -> usize {
    entries(stage).await.iter().filter(|entry| matches!(entry, Entry::Refused { .. })).count()
}

#[tokio::test]
async fn a_report_is_acknowledged_by_a_receipt_that_proves_its_place() {
    let (stage, node, mut device) = ready().await;
    let one = set_of(&node, &mut device);
    let receipt = accepted(&node, one.clone()).await;
    let key = node_key();
    let receipt = Receipt::parse_and_verify(&receipt, key.public(), params().network()).unwrap();
    receipt.check_inclusion().unwrap();
    assert_eq!((receipt.report, receipt.epoch), (sha256(&[&one]), Epoch(0)));
    let all = entries(&stage).await;
    let entry = &all[usize::try_from(receipt.index).unwrap()];
    assert_eq!(receipt.leaf, entry.leaf());
    assert!(matches!(entry, Entry::Report { envelope, .. } if *envelope == one));
    let slots: Vec<_> = all.into_iter().map(depin::close::Slot::Entry).collect();
    assert_eq!(
        receipt.head,
        head_of(&Default::default(), &slots[..=usize::try_from(receipt.index).unwrap()])
    );
}

#[tokio::test]
async fn a_batch_gets_one_answer_for_each_report() {
    let (stage, node, mut device) = ready().await;
    let mut stranger = Device::new("stranger");
    let envelopes = [
        set_of(&node, &mut device),
        envelope(&node, &mut stranger, SET_KIND, vec![0x80]),
        envelope(&node, &mut device, "storage.telemetry", vec![1]),
    ];
    let results = send(&node, envelopes.concat()).await;
    assert_eq!(results.iter().map(reason).collect::<Vec<_>>(), ["accepted", "unknown-device", "accepted"]);
    let single: Vec<u8> = accepted(&node, envelopes[2].clone()).await;
    assert_eq!(results[2], ReportResult::Accepted { receipt: single });
    assert_eq!(reports(&stage).await, 2);
    let key = node_key();
    for result in &results {
        if let ReportResult::Accepted { receipt } = result {
            Receipt::parse_and_verify(receipt, key.public(), params().network())
                .unwrap()
                .check_inclusion()
                .unwrap();
        }
    }
}

#[tokio::test]
async fn sending_again_gives_the_same_receipt_and_leaves_no_trace() {
    let (stage, node, mut device) = ready().await;
    let one = set_of(&node, &mut device);
    let first = accepted(&node, one.clone()).await;
    let other = envelope(&node, &mut device, "storage.telemetry", vec![1]);
    accepted(&node, other).await;
    let before = stage.journal();
    for _ in 0..3 {
        assert_eq!(accepted(&node, one.clone()).await, first);
    }
    // Twice in one body.
    let results = send(&node, [one.clone(), one].concat()).await;
    assert!(results.iter().all(|result| *result == ReportResult::Accepted { receipt: first.clone() }));
    assert_eq!(stage.journal(), before);
}

#[tokio::test]
async fn what_is_no_report_is_refused_and_leaves_no_trace() {
    let (stage, node, mut device) = ready().await;
    let right = set_of(&node, &mut device);
    let before = stage.journal();
    // Nothing, too much, and too many.
    assert_eq!(post(&node, paths::REPORTS, Vec::new()).await.0, StatusCode::BAD_REQUEST);
    let (status, body) =
        post(&node, paths::REPORTS, cbor::to_vec(&minicbor::bytes::ByteVec::from(vec![0; Envelope::MAX])))
            .await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
    assert_eq!(post(&node, paths::REPORTS, vec![0; (8 << 20) + 1]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, body) = post(&node, paths::REPORTS, vec![0; 1025]).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::BAD_REQUEST, "bad-request"));
    // Every truncation.
    for end in 1..right.len() {
        let (status, body) = post(&node, paths::REPORTS, right[..end].to_vec()).await;
        assert_eq!((status, error(&body).as_str()), (StatusCode::BAD_REQUEST, "bad-request"), "{end}");
    }
    // Another tag, and none.
    for tagged in [[&[0xd1], &right[1..]].concat(), right[1..].to_vec()] {
        let results = send(&node, tagged).await;
        assert_eq!(results.iter().map(reason).collect::<Vec<_>>(), ["malformed"]);
    }
    assert_eq!(stage.journal(), before);
    assert!(node.strangers().values().sum::<u64>() >= 2);
    accepted(&node, right).await;
}

#[tokio::test]
async fn no_flipped_bit_is_accepted() {
    let (stage, node, mut device) = ready().await;
    let right = envelope(&node, &mut device, SET_KIND, vec![0x80]);
    let before = stage.journal();
    for at in 0..right.len() {
        let mut flipped = right.clone();
        flipped[at] ^= 1 << (at % 8);
        let (status, body) = post(&node, paths::REPORTS, flipped).await;
        if status == StatusCode::OK {
            let results = serde_json::from_slice::<ReportResults>(&body).unwrap().results;
            assert!(
                results.iter().all(|result| matches!(
                    reason(result),
                    "malformed" | "unknown-device" | "wrong-signature"
                )),
                "{at}: {results:?}"
            );
        } else {
            assert_eq!(status, StatusCode::BAD_REQUEST, "{at}");
        }
    }
    assert_eq!(stage.journal(), before, "under no registered key, so nothing is written");
}

#[tokio::test]
async fn refusals_under_a_registered_key_are_written_down_within_bounds() {
    let (stage, node, mut device) = ready().await;
    let report = device.report(SET_KIND, vec![0x80], Timestamp(0));
    let late = device.sign(&report);
    let results = send(&node, late.clone()).await;
    assert_eq!(reason(&results[0]), "clock");
    assert_eq!(refused(&stage).await, 1);
    // Anybody who has seen it can send it again, and again.
    for _ in 0..4 {
        let results = send(&node, late.repeat(100)).await;
        assert!(results.iter().all(|result| reason(result) == "clock"));
    }
    assert_eq!(refused(&stage).await, 256);
    assert_eq!(node.strangers()[&text("clock")], 401 - 256);
    let right = envelope(&node, &mut device, SET_KIND, vec![0x80]);
    accepted(&node, right).await;
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let (_stage, node, mut device) = ready().await;
    let right = envelope(&node, &mut device, SET_KIND, vec![0x80]);
    // On one thread nobody empties the queue before every request has been looked at.
    let answers = join_all((0..1_030).map(|_| call(&node, "POST", paths::REPORTS, right.clone()))).await;
    let busy: Vec<_> =
        answers.iter().filter(|(status, ..)| *status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert_eq!(busy.len(), 1_030 - 1_024);
    for (_, body, retry) in busy {
        assert_eq!((error(body).as_str(), retry.as_deref()), ("busy", Some("1")));
    }
    let taken: Vec<_> = answers.iter().filter(|(status, ..)| *status == StatusCode::OK).collect();
    assert_eq!(taken.len(), 1_024);
    assert!(taken.iter().all(|(_, body, _)| *body == taken[0].1), "the same receipt for the same report");
    accepted(&node, right).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_long_for_company() {
    let (_stage, node, mut device) = ready().await;
    let start = std::time::Instant::now();
    let envelopes: Vec<_> = (0..100).map(|_| envelope(&node, &mut device, SET_KIND, vec![0x80])).collect();
    let mut tasks = Vec::new();
    // One request every other millisecond: a window that starts anew with each would wait for all of them.
    for one in envelopes {
        let node = node.clone();
        tasks.push(tokio::spawn(async move {
            accepted(&node, one).await;
            std::time::Instant::now()
        }));
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let sent = start.elapsed();
    let mut answered: Vec<_> =
        join_all(tasks).await.into_iter().map(|moment| moment.unwrap() - start).collect();
    answered.sort();
    assert!(answered[0] < sent / 2, "the first waited {:?} of {sent:?}", answered[0]);
}

/// A journal that fails when told to.
struct Frail {
    inner: FileJournal,
    unwritable: AtomicBool,
    unreadable: AtomicBool,
}

fn failure() -> JournalError {
    let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
    JournalError::Io { path: "journal".into(), error }
}

#[async_trait]
impl Journal for Frail {
    async fn append(&self, entries: Vec<Vec<u8>>) -> Result<(), JournalError> {
        if self.unwritable.load(Ordering::SeqCst) { Err(failure()) } else { self.inner.append(entries).await }
    }

    async fn read(&self, from: u64) -> Result<Vec<Vec<u8>>, JournalError> {
        if self.unreadable.load(Ordering::SeqCst) { Err(failure()) } else { self.inner.read(from).await }
    }

    async fn size(&self) -> Result<u64, JournalError> {
        self.inner.size().await
    }
}

async fn frail() -> (Stage, Arc<Frail>, Node, Device) {
    let stage = Stage::new().await;
    let journal = Arc::new(Frail {
        inner: FileJournal::open(&stage.dir.path().join("journal")).unwrap(),
        unwritable: AtomicBool::new(false),
        unreadable: AtomicBool::new(false),
    });
    let shared: Arc<dyn Journal> = journal.clone();
    let node = Node::open_on(stage.parts(), shared).await.unwrap();
    let device = Device::new("a");
    register(&node, &device).await;
    node.open_epoch().await.unwrap();
    (stage, journal, node, device)
}

#[tokio::test]
async fn what_cannot_be_written_is_not_acknowledged() {
    let (stage, journal, node, mut device) = frail().await;
    let kept = set_of(&node, &mut device);
    let receipt = accepted(&node, kept.clone()).await;
    let before = stage.journal();
    let lost = envelope(&node, &mut device, "storage.telemetry", vec![1]);
    for unreadable in [false, true] {
        journal.unwritable.store(true, Ordering::SeqCst);
        journal.unreadable.store(unreadable, Ordering::SeqCst);
        for _ in 0..3 {
            let (status, body, retry) = call(&node, "POST", paths::REPORTS, lost.clone()).await;
            assert_eq!((status, error(&body).as_str()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
            assert!(retry.is_some());
        }
        assert!(node.reveal_beacon().await.is_err());
        assert_eq!(stage.journal(), before);
    }
    // Writable again, but it cannot be known what is in it: nothing is acknowledged.
    journal.unwritable.store(false, Ordering::SeqCst);
    let (status, _) = post(&node, paths::REPORTS, lost.clone()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stage.journal(), before);
    journal.unreadable.store(false, Ordering::SeqCst);
    assert_eq!(accepted(&node, kept).await, receipt);
    let late = accepted(&node, lost).await;
    let key = node_key();
    let late = Receipt::parse_and_verify(&late, key.public(), params().network()).unwrap();
    late.check_inclusion().unwrap();
    assert_eq!(reports(&stage).await, 2);
    assert!(matches!(&entries(&stage).await[usize::try_from(late.index).unwrap()], Entry::Report { .. }));
}

#[tokio::test]
async fn a_clock_set_back_does_not_set_the_journal_back() {
    let (stage, node, mut device) = ready().await;
    stage.reach(GENESIS + 500).await;
    let one = envelope(&node, &mut device, SET_KIND, vec![0x80]);
    accepted(&node, one).await;
    let Clock::Manual(now) = &stage.clock else { panic!() };
    now.store(GENESIS + 100, Ordering::SeqCst);
    let two = envelope(&node, &mut device, "storage.telemetry", vec![1]);
    let receipt = accepted(&node, two.clone()).await;
    assert_eq!(reports(&stage).await, 2);
    let node = stage.reopen(node).await;
    assert_eq!(accepted(&node, two).await, receipt);
}

#[tokio::test]
async fn a_torn_write_of_chain_events_is_completed_and_nothing_counts_twice() {
    let stage = Stage::new().await;
    let node = stage.open().await;
    let events = stage.journal().len();
    stage.pay(1_000).await;
    stage.pay(2_000).await;
    node.follow().await.unwrap();
    let whole = stage.journal();
    drop(node);
    tokio::task::yield_now().await;
    let path = stage.dir.path().join("journal");
    // As a crash would leave it that came in the middle of that write.
    for end in (events..whole.len()).step_by(5) {
        std::fs::write(&path, &whole[..end]).unwrap();
        let node = stage.open().await;
        node.follow().await.unwrap();
        let (_, body, _) =
            call(&node, "GET", &format!("{}/{}", paths::CREDIT, wallet("customer").address()), Vec::new())
                .await;
        let credit: depin::api::Credit = serde_json::from_slice(&body).unwrap();
        assert_eq!(credit.available, Amount(3_000), "{end}");
        drop(node);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

/// A whole epoch, started again before the steps in `restarts`. Gives the journal, every receipt and the bundle.
async fn epoch(restarts: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>, Vec<u8>) {
    let stage = Stage::new().await;
    let mut node = stage.open().await;
    let mut device = Device::new("a");
    let deal: SignedDeal =
        signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 2), &device.set);
    let mut receipts = Vec::new();
    for step in 0..9 {
        if restarts.contains(&step) {
            node = stage.reopen(node).await;
        }
        match step {
            0 => register(&node, &device).await,
            1 => stage.pay(10 * PRICE).await,
            2 => {
                node.follow().await.unwrap();
                let (status, body) = post(&node, paths::DEALS, serde_json::to_vec(&deal).unwrap()).await;
                assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
                // The same deal is not made twice.
                let (status, body) = post(&node, paths::DEALS, serde_json::to_vec(&deal).unwrap()).await;
                assert_eq!((status, error(&body).as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "deal"));
            }
            3 => node.open_epoch().await.unwrap(),
            4 => {
                let set = set_of(&node, &mut device);
                receipts.push(accepted(&node, set).await);
                stage.reach(GENESIS + COMMIT).await;
            }
            5 => node.reveal_beacon().await.unwrap(),
            6 => {
                let challenge = challenge(&device, &device.set, Epoch(0), std::slice::from_ref(&deal));
                let answer = prove(&device, &challenge).to_bytes();
                let answer = envelope(&node, &mut device, ANSWER_KIND, answer);
                receipts.push(accepted(&node, answer.clone()).await);
                receipts.push(accepted(&node, answer).await);
                stage.reach(GENESIS + EPOCH).await;
            }
            7 => {
                let bundle = node.close_epoch().await.unwrap();
                assert_eq!(earned(&bundle, &device), EARNED);
            }
            _ => settled(&stage, &node, &device).await,
        }
    }
    let bundle = std::fs::read(bundle_path(stage.dir.path(), Epoch(0))).unwrap();
    (stage.journal(), receipts, bundle)
}

async fn settled(stage: &Stage, node: &Node, device: &Device) {
    for _ in 0..10 {
        let open = node.settle().await.unwrap();
        let Some(epoch) = open.first() else {
            let owner = device.owner.address();
            let balance = credits::balance(&stage.chain.client(), &stage.deployment, owner).await.unwrap();
            assert_eq!(balance, EARNED);
            return;
        };
        if let Some(end) = node.window_end(*epoch).await.unwrap() {
            stage.reach(end * 1000).await;
        }
    }
    panic!("never settled");
}

#[tokio::test]
async fn a_node_that_is_started_again_anywhere_goes_on_as_if_it_had_not_been() {
    let undisturbed = epoch(&[]).await;
    assert_eq!(undisturbed.1[1], undisturbed.1[2], "the same receipt for the same report");
    let bundle = Bundle::from_bytes(&undisturbed.2).unwrap();
    assert_eq!(audit(&bundle, &Catalogue::standard()).unwrap().withheld, 0);
    let named: Vec<_> = undisturbed.1.iter().map(|receipt| ("r".to_owned(), receipt.clone())).collect();
    assert_eq!(audit_receipts(&bundle, &named).unwrap().kept, 3);
    for restart in 1..9 {
        assert_eq!(epoch(&[restart]).await, undisturbed, "started again before step {restart}");
    }
    assert_eq!(epoch(&[1, 2, 3, 4, 5, 6, 7, 8]).await, undisturbed);
}

#[tokio::test]
async fn a_bundle_that_was_lost_is_made_again_from_the_journal() {
    let (stage, node, mut device) = ready().await;
    let set = set_of(&node, &mut device);
    accepted(&node, set).await;
    stage.reach(GENESIS + EPOCH).await;
    node.reveal_beacon().await.unwrap();
    node.close_epoch().await.unwrap();
    let path = bundle_path(stage.dir.path(), Epoch(0));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let node = stage.reopen(node).await;
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(node.epoch().await, Epoch(1));
    let (status, served, _) = call(&node, "GET", &format!("{}/0", paths::BUNDLES), Vec::new()).await;
    assert_eq!((status, served), (StatusCode::OK, bytes.clone()));
    let (status, excerpt, _) =
        call(&node, "GET", &format!("{}/0/devices/{}", paths::BUNDLES, device.id()), Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    let excerpt = Excerpt::open(&excerpt).unwrap();
    assert_eq!(excerpt.digest, Bundle::from_bytes(&bytes).unwrap().digest());
    audit_excerpt(&excerpt, &Catalogue::standard()).unwrap();
    let (status, body, _) = call(&node, "GET", &format!("{}/7", paths::BUNDLES), Vec::new()).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::NOT_FOUND, "unknown-epoch"));
}

#[tokio::test]
async fn an_epoch_is_not_closed_before_its_time() {
    let (stage, node, _) = ready().await;
    stage.reach(GENESIS + COMMIT).await;
    node.reveal_beacon().await.unwrap();
    let before = stage.journal();
    assert!(matches!(node.close_epoch().await, Err(NodeError::Close(_))));
    assert_eq!(stage.journal(), before, "what does not fit does not reach the journal");
    stage.reach(GENESIS + EPOCH).await;
    node.close_epoch().await.unwrap();
}

#[tokio::test]
async fn an_epoch_whose_caps_are_not_final_yet_is_closed_later() {
    let stage = Stage::new().await;
    let chain = Chain::new(stage.sender("operator"), stage.deployment, Finality::Depth(3));
    let node = Node::open(NodeParts { chain, ..stage.parts() }).await.unwrap();
    node.open_epoch().await.unwrap();
    stage.reach(GENESIS + COMMIT).await;
    node.reveal_beacon().await.unwrap();
    stage.reach(GENESIS + EPOCH).await;
    let before = stage.journal();
    for _ in 0..2 {
        let error = node.close_epoch().await.unwrap_err();
        assert!(matches!(error, NodeError::Close(CloseError::NoCaps(Epoch(0)))), "{error}");
        assert!(error.is_temporary());
    }
    assert_eq!(stage.journal(), before, "no cut that nothing can be closed from");
    for _ in 0..3 {
        stage.chain.mine().unwrap();
    }
    assert_eq!(node.close_epoch().await.unwrap().header.epoch, Epoch(0));
    drop(stage.reopen(node).await);
}

#[tokio::test]
async fn a_cut_that_cannot_be_written_closes_nothing() {
    let (stage, journal, node, _) = frail().await;
    stage.reach(GENESIS + COMMIT).await;
    node.reveal_beacon().await.unwrap();
    stage.reach(GENESIS + EPOCH).await;
    journal.unwritable.store(true, Ordering::SeqCst);
    assert!(matches!(node.close_epoch().await, Err(NodeError::Journal(_))));
    assert_eq!(node.epoch().await, Epoch(0));
    assert!(!bundle_path(stage.dir.path(), Epoch(0)).exists());
    journal.unwritable.store(false, Ordering::SeqCst);
    node.close_epoch().await.unwrap();
    assert_eq!(node.epoch().await, Epoch(1));
    assert!(bundle_path(stage.dir.path(), Epoch(0)).exists());
}

#[tokio::test]
async fn a_registration_is_relayed_once_and_shown() {
    let (_stage, node, device) = ready().await;
    let (_, body, _) = call(&node, "GET", &format!("{}/{}", paths::WORK, device.id()), Vec::new()).await;
    let work: Work = serde_json::from_slice(&body).unwrap();
    assert_eq!(work.record.unwrap().owner, device.owner.address());
    let (status, body) = post(&node, paths::REGISTRATIONS, b"{}".to_vec()).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::BAD_REQUEST, "bad-request"));
    // The thief who copied the key signs with an own wallet.
    let clone = Device { owner: wallet("thief"), ..device.clone() };
    let binding = clone.binding(Action::Register, 0);
    let binding = depin_identity::Binding { deadline: GENESIS, ..binding };
    let signed = SignedBinding {
        binding,
        owner_signature: OwnerSignature(
            clone.owner.sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes(),
        ),
        new_owner_signature: None,
        device_proof: Some(clone.key.signature(&binding.device_proof_message())),
    };
    let (status, body) = post(&node, paths::REGISTRATIONS, serde_json::to_vec(&signed).unwrap()).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "registry"));
    // And a binding nobody signed as it is.
    let mut wrong = signed.clone();
    wrong.binding.owner = wallet("other").address();
    let (status, body) = post(&node, paths::REGISTRATIONS, serde_json::to_vec(&wrong).unwrap()).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "binding"));
}

#[tokio::test]
async fn a_node_takes_reports_while_it_waits_for_an_epoch() {
    let stage = Stage::new().await;
    let clock = Clock::Wall;
    let now = clock.now().0;
    // An epoch that opens in an hour, by the clock on the wall.
    let later = NetworkParams { genesis: Timestamp(now + 3_600_000), ..stage.params() };
    let network = Network::new(later, &Catalogue::standard()).unwrap();
    let node = Node::open(NodeParts { network, clock, ..stage.parts() }).await.unwrap();
    let mut device = Device::new("a");
    register_until(&node, &device, u64::MAX).await;
    let waiting = node.clone();
    let waiting = tokio::spawn(async move { waiting.open_epoch().await });
    tokio::task::yield_now().await;
    let set = set_of(&node, &mut device);
    let taken = tokio::time::timeout(std::time::Duration::from_secs(20), accepted(&node, set)).await;
    assert!(taken.is_ok() && !waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn one_directory_has_one_node() {
    let (stage, node, _) = ready().await;
    assert!(matches!(Node::open(stage.parts()).await, Err(NodeError::Journal(_))));
    assert!(Path::new(stage.dir.path()).join("journal").exists());
    drop(stage.reopen(node).await);
}
