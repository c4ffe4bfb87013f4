//! `depin node` as an operator meets it: told by a file, on a chain reached over RPC, stopped by the system and started again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use depin_evm::{
    PrivateKeySigner,
    embedded::{Clock, Config, EmbeddedChain, serve},
};
use depin_vectors::token::{CONFIG, Token};
use serde_json::Value;
use support::{Network, Run, count, depin, files, run};
use tokio::{process::Command, time::sleep};

/// Blocks before the network's first.
const OLD: u64 = 600;

/// A chain that runs by itself: a block every fifth of a second.
struct Chain {
    served: serve::Served,
    key: String,
    miner: tokio::task::JoinHandle<()>,
}

impl Chain {
    async fn start() -> Self {
        let key = "0x".to_owned() + &"07".repeat(32);
        let operator: PrivateKeySigner = key.parse().unwrap();
        let ether = "100000000000000000000".parse().unwrap();
        let config =
            Config { clock: Clock::Wall, accounts: vec![(operator.address(), ether)], ..Config::default() };
        let chain = EmbeddedChain::open(None, &config).unwrap();
        for _ in 0..OLD {
            chain.mine().unwrap();
        }
        let served = serve::serve(chain.clone(), 0).await.unwrap();
        let miner = tokio::spawn(async move {
            loop {
                sleep(Duration::from_millis(200)).await;
                chain.mine().unwrap();
            }
        });
        Self { served, key, miner }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.miner.abort();
    }
}

/// An operator's directory: configuration, secret, state.
struct Operator {
    dir: tempfile::TempDir,
    chain: Chain,
}

impl Operator {
    async fn new() -> Self {
        let (dir, chain) = (tempfile::tempdir().unwrap(), Chain::start().await);
        let (url, state) = (dir.path().join("rpc-url"), dir.path().join("state"));
        std::fs::write(&url, chain.served.url() + "\n").unwrap();
        std::fs::set_permissions(&url, PermissionsExt::from_mode(0o600)).unwrap();
        // Free now: devices must find the node there after a restart.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "state = {state:?}\n[chain]\nrpc_file = {url:?}\npoll_ms = 20\nblocks_per_request = 50\n\
             [intake]\nlisten = \"127.0.0.1:{port}\"\n[reading]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n"
        );
        std::fs::write(dir.path().join("depin.toml"), text).unwrap();
        Self { dir, chain }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn command(&self, verb: &str, arguments: &str) -> Command {
        let mut command = depin([verb, "--config"]);
        command.arg(self.dir.path().join("depin.toml")).args(arguments.split_whitespace());
        command.env("DEPIN_CHAIN_KEY", &self.chain.key);
        command
    }

    async fn doctor(&self) -> Run {
        run(self.command("doctor", "--json")).await
    }
}

/// A node that runs, and where it listens.
struct Node {
    process: Network,
    intake: String,
    admin: String,
}

impl Node {
    async fn start(command: Command) -> Self {
        let mut process = Network::spawn(command);
        let intake = process.line("intake ").await.trim().to_owned();
        process.line("reading ").await;
        let admin = process.line("admin ").await.trim().to_owned();
        let node = Self { process, intake, admin };
        node.until("it is ready", |_| true).await;
        node
    }

    /// Waits until it is ready and `reached` what its metrics say; returns these.
    async fn until(&self, what: &str, reached: impl Fn(&Metrics) -> bool) -> Metrics {
        let client = depin_evm::http_client(false).unwrap().build().unwrap();
        for _ in 0..1_500 {
            let ready = client.get(format!("{}/readyz", self.admin)).send().await.unwrap();
            if ready.status() == 200 {
                let text = client.get(format!("{}/metrics", self.admin)).send().await.unwrap();
                let metrics = Metrics(text.text().await.unwrap());
                if reached(&metrics) {
                    return metrics;
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("never: {what}");
    }
}

struct Metrics(String);

impl Metrics {
    fn of(&self, series: &str) -> u64 {
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(value).unwrap_or_default()
    }
}

const ACCEPTED: &str = "depin_reports_total{way=\"http\",result=\"accepted\"}";

async fn device(verb: &str, dir: &Path, node: &str) -> Command {
    let mut command = depin(["device", verb, "--dir"]);
    command.arg(dir);
    if verb != "new" {
        command.args(["--node", node]);
    }
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_launched_takes_reports_stops_when_asked_and_goes_on() {
    let operator = Operator::new().await;
    let launch = "--launch --opens-in 3 --epoch-length 8 --challenge-window 2";
    let node = Node::start(operator.command("node", launch)).await;
    let network: Value =
        serde_json::from_slice(&std::fs::read(operator.state().join("network.json")).unwrap()).unwrap();
    let start = count(&network["start_block"]);
    assert!((OLD - 300..OLD + 100).contains(&start), "{start}: not the whole chain");

    let home = operator.dir.path().join("device");
    run(device("new", &home, "").await).await.ok();
    run(device("register", &home, &node.intake).await).await.ok();
    let mut reporting = device("run", &home, &node.intake).await.spawn().unwrap();
    let metrics = node.until("a report is acknowledged", |metrics| metrics.of(ACCEPTED) > 0).await;
    assert!(metrics.of("depin_journal_block") > OLD);
    let (before, entries) = (files(&operator.state().join("bundles")), metrics.of("depin_journal_entries"));
    assert!(!files(&home.join("receipts")).is_empty());
    assert_eq!(node.process.terminate().await.ok().stdout, "");

    let doctor = operator.doctor().await.ok().json();
    let checks = doctor["checks"].as_array().unwrap();
    for what in ["journal", "config", "operator", "network", "key", "chain", "contracts", "clock"] {
        assert!(
            checks.iter().any(|check| check["what"] == what && check["result"] == "ok"),
            "{what}: {doctor}"
        );
    }
    run(operator.command("node", launch)).await.fails(&["holds a network already", "without --launch"]);

    let node = Node::start(operator.command("node", "")).await;
    let metrics = node.until("the next epoch is closed", |_| {
        files(&operator.state().join("bundles")).len() > before.len() + 1
    });
    assert!(metrics.await.of("depin_journal_entries") > entries);
    // The device was left alone, and comes back by itself.
    node.until("the device reports again", |metrics| metrics.of(ACCEPTED) > 0).await;
    assert_eq!(reporting.try_wait().unwrap(), None);
    reporting.kill().await.unwrap();
    node.process.terminate().await.ok();
    let last = files(&operator.state().join("bundles")).len() - 1;
    for epoch in 0..=last {
        let mut audit = depin(["audit", &epoch.to_string(), "--json", "--state"]);
        audit.arg(operator.state()).arg("--receipts").arg(home.join("receipts"));
        run(audit).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_whose_key_is_on_a_token_registers_and_reports() {
    let Some(token) = Token::new() else { return };
    let operator = Operator::new().await;
    let node = Node::start(operator.command("node", "--launch --opens-in 3 --epoch-length 8")).await;
    let (home, key) = (operator.dir.path().join("device"), token.url("device"));
    let with_key = async |verb: &str| {
        let mut command = device(verb, &home, &node.intake).await;
        command.args(["--key", &key]).env(CONFIG, token.config());
        command
    };
    let mut new = with_key("new").await;
    new.args(["--type", "p256"]);
    let made = run(new).await.ok();
    let did = made.stdout.split_whitespace().nth(1).unwrap().to_owned();
    assert!(did.starts_with("did:key:zDn"), "{did} is no P-256 key");
    let registered = run(with_key("register").await).await.ok();
    assert!(registered.stdout.contains(&did));
    let mut reporting = with_key("run").await.spawn().unwrap();
    node.until("a report is acknowledged", |metrics| metrics.of(ACCEPTED) > 0).await;
    assert!(!files(&home.join("receipts")).is_empty());
    reporting.kill().await.unwrap();
    node.process.terminate().await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guarded_door_takes_the_reports_of_a_device_that_brings_a_grant() {
    let operator = Operator::new().await;
    let key = format!("file:{}", operator.dir.path().join("grants.pem").display());
    let with_key = |arguments: &[&str]| {
        let mut command = depin(["device"]);
        command.args(arguments).args(["--key", &key]).env("DEPIN_KEY_PASSWORD", "correct horse");
        command
    };
    let word = |text: &str| text.split_whitespace().nth(1).unwrap().to_owned();
    let issuer = word(&run(with_key(&["new", "--type", "ed25519"])).await.ok().stdout);
    let launch =
        format!("--launch --opens-in 3 --epoch-length 8 --grants-doors reports --grants-issuers {issuer}");
    let node = Node::start(operator.command("node", &launch)).await;
    let home = operator.dir.path().join("device");
    let did = word(&run(device("new", &home, "").await).await.ok().stdout);
    run(device("register", &home, &node.intake).await).await.ok();
    run(device("run", &home, &node.intake).await)
        .await
        .fails(&["this takes a grant", "`depin device grant`"]);

    let client = depin_lab::client::NodeClient::new(&node.intake, None).unwrap();
    let network = client.network().await.unwrap().params.network().0.to_string();
    let grant = [
        "grant",
        "--device",
        &did,
        "--network",
        &network,
        "--ownership-epoch",
        "0",
        "--until",
        "2099-01-01T00:00:00Z",
    ];
    let kinds = ["--action", "submit:storage.set", "--action", "submit:storage.telemetry"];
    let granted = run(with_key(&[grant.as_slice(), &kinds].concat())).await.ok().stdout;
    std::fs::write(home.join("grant"), granted).unwrap();
    let mut reporting = device("run", &home, &node.intake).await.spawn().unwrap();
    node.until("a report is acknowledged", |metrics| metrics.of(ACCEPTED) > 0).await;
    reporting.kill().await.unwrap();
    node.process.terminate().await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_becomes_final_is_taken_in_long_before_the_next_epoch() {
    let operator = Operator::new().await;
    // Nothing is final when the registration is answered, and nothing else happens for an hour.
    let launch = "--launch --opens-in 3600 --chain-finality-depth 20";
    let node = Node::start(operator.command("node", launch)).await;
    let home = operator.dir.path().join("device");
    run(device("new", &home, "").await).await.ok();
    run(device("register", &home, &node.intake).await).await.ok();
    let taken = node.until("the registration is taken in", |metrics| metrics.of("depin_journal_entries") > 0);
    assert!(taken.await.of("depin_journal_block") > OLD);
    node.process.terminate().await.ok();
}

#[tokio::test]
async fn a_doctor_names_every_wrong_value_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("depin.toml");
    let text = "state = \"nowhere\"\n\n[chain]\npoll_ms = 5\nblocks_per_request = \"many\"\n\n[reading]\nlistn = \"127.0.0.1:0\"\n";
    std::fs::write(&path, text).unwrap();
    let mut command = depin(["doctor", "--json", "--config"]);
    command.arg(&path).current_dir(dir.path());
    let doctor = run(command).await;
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    let checks = doctor.json();
    let wrong: Vec<&str> = checks["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["what"] == "config")
        .map(|check| check["detail"].as_str().unwrap())
        .collect();
    let expected = [
        (4, "chain.poll_ms", "from 10 to 60000"),
        (5, "chain.blocks_per_request", "a value of type string"),
        (8, "reading.listn", "`reading.listen`"),
    ];
    assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
    for (said, (line, key, words)) in wrong.iter().zip(expected) {
        assert!(said.starts_with(&format!("{}:{line}: ", path.display())), "{said}");
        assert!(said.contains(key) && said.contains(words), "{said}");
    }
}
