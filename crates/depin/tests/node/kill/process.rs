//! The node as a process of its own, and whoever kills it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    sync::atomic::{AtomicU32, AtomicU64},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use depin::{
    api::Phase,
    evm::{Options, connect},
    node::{Limits, bind, mqtt::Broker, serve},
};
use serde::{Deserialize, Serialize};
use tokio::{
    process::{Child, ChildStdin, Command},
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::*;

/// The test that starts the process. Its binary is both.
const TEST: &str = "kill::killed_fifty_times_a_node_gives_what_it_gives_undisturbed";
/// Where the process finds what it is to be.
const SETTINGS: &str = "DEPIN_KILLED_NODE";
/// Numbers of phases go on rising over restarts: each process has this many.
const PHASES: u64 = 1 << 32;

/// What a node's process is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) dir: PathBuf,
    pub(super) rpc: String,
    pub(super) deployment: Deployment,
    pub(super) port: u16,
    pub(super) broker: u16,
    /// Devices over HTTP, numbered from 1.
    pub(super) members: u32,
    /// How many processes there were before it.
    pub(super) generation: u64,
    /// The time when it starts. Nobody but the steps moves it.
    pub(super) now: u64,
}

/// A step of an epoch, which whoever drives the node asks for until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// Lets every member send once.
    Round,
    Follow,
    Open,
    Beacon,
    Close,
    Settle,
}

/// A step in an epoch, at a time.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) step: Step,
    pub(super) epoch: u64,
    pub(super) now: u64,
}

/// What came of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    /// The number of the phase.
    pub(super) number: u64,
    /// When the epoch's commitments, answers and everything end.
    pub(super) schedule: Option<(u64, u64, u64)>,
    /// When the window of the first epoch ends that is not final, if one is not.
    pub(super) open: Option<Option<u64>>,
}

/// What this process is to be, if it was started to be killed.
pub(super) fn asked() -> Option<Settings> {
    let settings = std::env::var(SETTINGS).ok()?;
    Some(serde_json::from_str(&settings).unwrap())
}

/// The node. It ends with the test that started it.
pub(super) async fn be_a_node(settings: Settings) {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
    let node = Node::open(parts(&settings).await).await.unwrap();
    for member in 1..=settings.members {
        node.gate().join(member);
    }
    node.gate().advance(|status| status.number = settings.generation * PHASES);
    let broker = Broker {
        url: format!("mqtt://127.0.0.1:{}", settings.broker),
        client_id: None,
        username: None,
        password: None,
        ca_file: None,
        in_flight: 8,
    };
    let over_mqtt = node.clone();
    tokio::spawn(async move { over_mqtt.mqtt(&broker, CancellationToken::new()).await.unwrap() });
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port))).await.unwrap();
    let steps = Router::new().route("/steps", post(take)).with_state(node.clone());
    let limits = Limits { rate: 1_000_000, burst: 1_000_000, ..Limits::default() };
    let (router, metrics) = (node.router().merge(steps), Arc::clone(node.metrics()));
    serve("all", listener, router, limits, metrics, CancellationToken::new()).await;
}

async fn parts(settings: &Settings) -> NodeParts {
    let client = connect(&[settings.rpc.parse().unwrap()], CHAIN, Options::local()).await.unwrap();
    let operator = client.sender(wallet("operator"));
    let params = NetworkParams { distributor: settings.deployment.distributor, ..params() };
    NodeParts {
        dir: settings.dir.clone(),
        network: Network::new(params.clone(), &Catalogue::standard()).unwrap(),
        info: NetworkInfo {
            params,
            contracts: settings.deployment.into(),
            start_block: settings.deployment.start_block,
            chain: "embedded".into(),
            rpc: None,
        },
        key: node_key(),
        chain: Chain::new(operator, settings.deployment, Finality::Depth(0)),
        beacons: Arc::new(beacons()),
        clock: Clock::manual(Timestamp(settings.now)),
        tamper: None,
        options: NodeOptions { segment_bytes: 20_000, ..NodeOptions::default() },
    }
}

async fn take(
    State(node): State<Node>,
    Json(order): Json<Order>,
) -> Result<Json<Done>, (StatusCode, String)> {
    let failed = |error: NodeError| (StatusCode::INTERNAL_SERVER_ERROR, format!("{order:?}: {error}"));
    node.clock().reach(Timestamp(order.now)).await;
    step(&node, order).await.map(Json).map_err(failed)
}

/// Takes the step unless the process before did.
async fn step(node: &Node, Order { step, epoch, .. }: Order) -> Result<Done, NodeError> {
    let current = node.epoch().await.0 == epoch;
    let (open, known) = node.progress().await;
    let mut done = Done::default();
    match step {
        Step::Round => {
            node.announce(Phase::Report).await;
            done.number = node.gate().status().number;
        }
        Step::Follow => node.follow().await?,
        Step::Open => {
            if current && !open {
                node.open_epoch().await?;
            }
            let schedule = node.schedule().await;
            done.schedule = schedule.map(|when| (when.commit_until.0, when.answer_until.0, when.closes.0));
        }
        Step::Beacon if current && !known => node.reveal_beacon().await?,
        Step::Close if current => drop(node.close_epoch().await?),
        Step::Beacon | Step::Close => {}
        Step::Settle => {
            if let Some(epoch) = node.settle().await?.first() {
                done.open = Some(node.window_end(*epoch).await?);
            }
        }
    }
    Ok(done)
}

/// A process that is killed when somebody says so, and started again at once.
pub(super) struct Victim {
    /// Each message kills it once, so much later.
    doom: mpsc::UnboundedSender<Vec<Duration>>,
    pub(super) kills: Arc<AtomicU32>,
    watching: tokio::task::JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Victim {
    pub(super) fn start(settings: Settings, now: Arc<AtomicU64>) -> Self {
        let (doom, mut due) = mpsc::unbounded_channel::<Vec<Duration>>();
        let (end, mut ended) = oneshot::channel();
        let kills = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&kills);
        let watching = tokio::spawn(async move {
            let mut settings = settings;
            let (mut child, mut input) = spawn(&settings);
            loop {
                let moments = tokio::select! {
                    Some(moments) = due.recv() => moments,
                    _ = &mut ended => break,
                    status = child.wait() => panic!("the node ended by itself: {status:?}"),
                };
                for moment in moments {
                    tokio::time::sleep(moment).await;
                    assert_eq!(child.try_wait().unwrap(), None, "the node ended by itself");
                    child.kill().await.unwrap();
                    counted.fetch_add(1, Ordering::SeqCst);
                    settings.generation += 1;
                    settings.now = now.load(Ordering::SeqCst);
                    drop(input);
                    (child, input) = spawn(&settings);
                }
            }
            child.kill().await.unwrap();
        });
        Self { doom, kills, watching, end }
    }

    /// Kills the process after each of these times, the second counted from the start after the first, and so on.
    pub(super) fn kill(&self, moments: Vec<Duration>) {
        self.doom.send(moments).unwrap();
    }

    pub(super) async fn end(self) {
        self.end.send(()).unwrap();
        self.watching.await.unwrap();
    }
}

/// The process, and what it lives as long as: waiting for a child would close its input.
fn spawn(settings: &Settings) -> (Child, ChildStdin) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", TEST, "--nocapture"])
        .env(SETTINGS, serde_json::to_string(settings).unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let input = child.stdin.take().unwrap();
    (child, input)
}
