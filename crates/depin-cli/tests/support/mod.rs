//! Running the real binary.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use depin_lab::client::NodeClient;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// Longest that anything may take on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(150);

/// `depin`, free of what the environment of the tests says.
pub fn depin<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_depin"));
    for name in ["DEPIN_RPC", "DEPIN_NODE", "DEPIN_CHAIN_KEY", "DEPIN_KEY_PASSWORD", "DEPIN_LOG"] {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// `depin dev` in the directory `state` on any free port.
pub fn dev(state: &Path, arguments: &str) -> Command {
    let mut command = depin(["dev", "--port", "0", "--state"]);
    command.arg(state).args(arguments.split_whitespace());
    command
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The one JSON object on standard output: anything beside it is a failure.
    pub fn json(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert!(value.is_object(), "{self:?}");
        value
    }

    /// It ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// It ended with 1, and standard error has each of `words`.
    #[track_caller]
    pub fn fails(self, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.stderr);
        }
        self
    }
}

/// Runs a command to its end.
pub async fn run(mut command: Command) -> Run {
    let output = timeout(PATIENCE, command.output()).await;
    let Output { status, stdout, stderr } =
        output.unwrap_or_else(|_| panic!("{command:?} takes too long")).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// A network that runs in the background, until this is dropped.
pub struct Network {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    said: String,
    /// The node's URL.
    pub url: String,
    /// The chain's URL.
    pub rpc: String,
}

impl Network {
    /// Starts it.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, lines, said: String::new(), url: String::new(), rpc: String::new() }
    }

    /// Starts it and waits until the node answers.
    pub async fn start(command: Command) -> Self {
        let mut network = Self::spawn(command);
        let url = network.line("node ").await;
        let rpc = network.line("chain ").await;
        (network.url, network.rpc) = (url.trim().to_owned(), rpc.trim().to_owned());
        network
    }

    /// Waits for a line that begins so; returns the rest of it.
    pub async fn line(&mut self, beginning: &str) -> String {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("no line {beginning:?} after {}", self.said)).unwrap();
            let line = line.unwrap_or_else(|| panic!("no line {beginning:?} after {}", self.said));
            self.said.push_str(&line);
            self.said.push('\n');
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.to_owned();
            }
        }
    }

    /// A client of the node.
    pub fn client(&self) -> NodeClient {
        NodeClient::new(&self.url, None).unwrap()
    }

    /// Waits for a phase of this name in epoch `epoch` or later.
    pub async fn phase(&self, name: &str, epoch: u64) {
        let client = self.client();
        let mut after = 0;
        let reached = async {
            loop {
                let status = client.status(after).await.unwrap();
                let phase = serde_json::to_value(status.phase).unwrap();
                if phase["name"] == name && status.epoch.0 >= epoch {
                    return;
                }
                after = status.number;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("no phase {name}"));
    }

    /// The processes that it started.
    pub fn members(&self) -> Vec<u32> {
        let own = self.child.id().unwrap();
        let tasks = std::fs::read_dir(format!("/proc/{own}/task")).unwrap();
        let children = |task: PathBuf| std::fs::read_to_string(task.join("children")).unwrap_or_default();
        let listed: String = tasks.map(|task| children(task.unwrap().path())).collect();
        listed.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    /// Kills it with SIGKILL, so that it can clean up nothing.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop, as a service manager does, and waits until it has.
    pub async fn terminate(self) -> Run {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success());
        self.end().await
    }

    /// Waits until it ends by itself.
    pub async fn end(mut self) -> Run {
        let mut stdout = String::new();
        let ended = async {
            self.child.stdout.take().unwrap().read_to_string(&mut stdout).await.unwrap();
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.said.push_str(&line);
                self.said.push('\n');
            }
            self.child.wait().await.unwrap()
        };
        let status = timeout(PATIENCE, ended).await.expect("the network does not end");
        Run { code: status.code(), stdout, stderr: self.said }
    }
}

/// The receipts, pieces and other files below `folder`: name and content.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let content = std::fs::read(&path).unwrap();
                found.insert(path, content);
            }
        }
    }
    found
        .into_iter()
        .map(|(path, content)| (path.strip_prefix(folder).unwrap().to_owned(), content))
        .collect()
}

/// The names of an object's fields, sorted.
pub fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// An amount or a count of units: a string of decimal digits.
#[track_caller]
pub fn amount(value: &Value) -> u128 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no string"));
    assert!(!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
    text.parse().unwrap()
}

/// A count: a JSON number.
#[track_caller]
pub fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// The hex string of `bytes` bytes.
#[track_caller]
pub fn hex(value: &Value, bytes: usize) -> &str {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no string"));
    let digits = text.strip_prefix("0x").unwrap_or_else(|| panic!("{text} has no 0x"));
    assert_eq!(digits.len(), 2 * bytes, "{text}");
    assert!(digits.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()), "{text}");
    text
}

/// What was printed for the device with this number.
pub fn device(report: &Value, at: usize) -> &Value {
    &report["devices"][at]
}

/// Says that a test was skipped and why; in CI that is a failure.
pub fn skip(test: &str, why: &str) {
    assert!(std::env::var("CI").is_err(), "{test}: {why}");
    eprintln!("skipped {test}: {why}");
}

/// A script of the workspace's folder `folder`, with the packages of its lock file installed.
///
/// # Errors
/// What is missing.
pub async fn script(folder: &str, name: &str) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let time = |path: PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let installed = time(folder.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < time(folder.join("package-lock.json")) {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        let output = npm.stdin(Stdio::null()).output().await.map_err(|error| format!("npm: {error}"))?;
        if !output.status.success() {
            return Err(format!("npm ci: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    let node = Command::new("node").arg("--version").stdin(Stdio::null()).output().await;
    node.map_err(|error| format!("node: {error}"))?;
    Ok(folder.join(name))
}

/// Has the maker of the network in `state` vouch for the new device in `dir`.
pub async fn vouch(state: &Path, dir: &Path) {
    let device = depin_lab::device::Device::open(dir).unwrap().id().to_string();
    let maker = state.join("maker").display().to_string();
    let shown = run(depin(["device", "vouch", "--maker", &maker, "--device", &device])).await.ok().stdout;
    std::fs::write(dir.join("credential.json"), shown).unwrap();
}
