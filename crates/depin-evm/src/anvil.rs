//! Foundry's anvil as a child process, for tests and for running a network on it.

use std::{
    env,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy::signers::local::PrivateKeySigner;
use tokio::time::{Instant, sleep};

use crate::{Client, ConnectError, Options, Url, connect};

/// How long anvil may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How anvil is started.
#[derive(Clone, Debug, Default)]
pub struct Anvil {
    binary: Option<PathBuf>,
    optimism: bool,
    chain_id: Option<u64>,
    timestamp: Option<u64>,
    block_time: Option<u64>,
}

/// A running anvil. It is killed when this is dropped.
#[derive(Debug)]
pub struct AnvilInstance {
    child: Child,
    url: Url,
    client: Client,
}

/// Why anvil did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnvilError {
    /// No binary.
    #[error("anvil was not found; run `npm ci` in contracts/, or put Foundry's anvil on the PATH")]
    NotFound,
    /// It cannot be started.
    #[error("{} cannot be started: {source}", binary.display())]
    Start {
        /// The binary.
        binary: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended, or does not answer.
    #[error("anvil does not answer after {} s: {reason}", START_TIMEOUT.as_secs())]
    Silent {
        /// What happened last.
        reason: String,
    },
}

impl Anvil {
    /// The defaults: Ethereum rules, chain id 31337, a block per transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rules of the OP Stack, as on Base, with `chain_id`.
    #[must_use]
    pub const fn optimism(mut self, chain_id: u64) -> Self {
        self.optimism = true;
        self.chain_id = Some(chain_id);
        self
    }

    /// Another chain id.
    #[must_use]
    pub const fn chain_id(mut self, chain_id: u64) -> Self {
        self.chain_id = Some(chain_id);
        self
    }

    /// The timestamp of the first block, in seconds since the Unix epoch.
    #[must_use]
    pub const fn timestamp(mut self, seconds: u64) -> Self {
        self.timestamp = Some(seconds);
        self
    }

    /// A block every so many seconds instead of one per transaction.
    #[must_use]
    pub const fn block_time(mut self, seconds: u64) -> Self {
        self.block_time = Some(seconds);
        self
    }

    /// The binary to run, instead of the one that [`Anvil::find`] finds.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// Looks for anvil: on the PATH, then among the npm packages of `contracts/` in or above the current directory.
    pub fn find() -> Option<PathBuf> {
        let on_path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&on_path).map(|dir| dir.join("anvil")).find(|path| path.is_file()).or_else(|| {
            let here = env::current_dir().ok()?;
            here.ancestors().find_map(|dir| in_packages(&dir.join("contracts/node_modules/@foundry-rs")))
        })
    }

    /// Starts anvil on a free port of 127.0.0.1 and waits until it answers.
    ///
    /// # Errors
    /// [`AnvilError`].
    pub async fn spawn(self) -> Result<AnvilInstance, AnvilError> {
        let binary = self.binary.clone().or_else(Self::find).ok_or(AnvilError::NotFound)?;
        let start = |source| AnvilError::Start { binary: binary.clone(), source };
        // The port is free now; should another process take it first, anvil ends and says so.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(start)?
            .port();
        let child = self.command(&binary, port).spawn().map_err(start)?;
        let mut child = Guard(Some(child));
        let silent = |reason: String| AnvilError::Silent { reason };
        let url: Url = format!("http://127.0.0.1:{port}")
            .parse()
            .map_err(|_| silent("its address is none".to_owned()))?;
        let chain_id = self.chain_id.unwrap_or(31337);
        let client = ready(&mut child, &url, chain_id).await.map_err(silent)?;
        let child = child.0.take().ok_or_else(|| silent("it ended".to_owned()))?;
        Ok(AnvilInstance { child, url, client })
    }

    fn command(&self, binary: &Path, port: u16) -> Command {
        let mut command = Command::new(binary);
        command.args(["--host", "127.0.0.1", "--silent", "--port", &port.to_string()]);
        if self.optimism {
            command.arg("--optimism");
        }
        for (flag, value) in [
            ("--chain-id", self.chain_id),
            ("--timestamp", self.timestamp),
            ("--block-time", self.block_time),
        ] {
            if let Some(value) = value {
                command.args([flag, &value.to_string()]);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl AnvilInstance {
    /// Where it listens.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// A connection to it.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Its first funded account: a key that everybody knows, worth nothing anywhere else.
    pub fn key(&self) -> Option<PrivateKeySigner> {
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".parse().ok()
    }
}

impl Drop for AnvilInstance {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills a child that is not handed on.
struct Guard(Option<Child>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself, and there is nobody left to tell.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits until anvil answers, or ends.
async fn ready(child: &mut Guard, url: &Url, chain_id: u64) -> Result<Client, String> {
    let started = Instant::now();
    loop {
        if let Some(Ok(Some(status))) = child.0.as_mut().map(Child::try_wait) {
            return Err(format!("it ended with {status}"));
        }
        let reason = match connect(std::slice::from_ref(url), chain_id, Options::local()).await {
            Ok(client) => return Ok(client),
            Err(error @ ConnectError::OtherChain { .. }) => return Err(error.to_string()),
            Err(error) => error.to_string(),
        };
        if started.elapsed() > START_TIMEOUT {
            return Err(reason);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// `anvil-*/bin/anvil` below `packages`.
fn in_packages(packages: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(packages).ok()?;
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("anvil"))
        .map(|entry| entry.path().join("bin/anvil"))
        .find(|path| path.is_file())
}
