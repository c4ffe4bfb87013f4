//! An EVM in process: the same contracts and the same code path as on a public chain, with nothing to install.
//!
//! [`EmbeddedChain`] is a transport for alloy's `Provider`. Each transaction becomes a block at once. Blocks live in memory and, given a
//! directory, in an append-only file there that is executed again at the next start, so a state directory goes on where it stopped.
//! The same transactions at the same times give the same block hashes.
//!
//! It is one node that its operator runs, not a network: whoever holds the directory decides the blocks. Headers carry real
//! transaction and receipt roots; `stateRoot` is a hash chain over each block's changes instead of a Merkle tree of all accounts, so
//! there is no `eth_getProof`.

mod chain;
mod exec;
mod failure;
mod log;
mod node;
mod rpc;
#[cfg(feature = "serve")]
pub mod serve;
mod state;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    network::EthereumWallet,
    primitives::{Address, B256, U256},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest},
    },
    transports::{TransportError, TransportFut},
};
use tower::Service;

use crate::{Client, Options};
use node::Node;

/// The chain id of an embedded chain unless another is configured: `depin` in ASCII, used by no public chain.
pub const EMBEDDED_CHAIN_ID: u64 = 0x64_6570_696e;

/// Where an embedded chain's time comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The wall clock.
    #[default]
    Wall,
    /// Stands still until it is set: for runs that must give the same bytes twice.
    Manual,
}

/// How an embedded chain starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Chain id.
    pub chain_id: u64,
    /// Timestamp of the first block, in seconds since the Unix epoch. `None` takes the wall clock for a new chain, and whatever the
    /// directory says for an existing one.
    pub genesis_time: Option<u64>,
    /// Where the time of later blocks comes from.
    pub clock: Clock,
    /// Accounts that have a balance from the start, in wei.
    pub accounts: Vec<(Address, U256)>,
}

impl Default for Config {
    fn default() -> Self {
        Self { chain_id: EMBEDDED_CHAIN_ID, genesis_time: None, clock: Clock::Wall, accounts: Vec::new() }
    }
}

/// Why an embedded chain could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// Another process has the directory.
    #[error("{} is in use by another process; stop it, or name another state directory", path.display())]
    Busy {
        /// The blocks file.
        path: PathBuf,
    },
    /// Some other file.
    #[error("{} does not hold the blocks of an embedded chain; name another state directory", path.display())]
    NotBlocks {
        /// The file.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error("{} has version {found}, and this program reads {supported}; update it", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version supported.
        supported: u32,
    },
    /// Another network's directory.
    #[error(
        "{} belongs to another network: its {what} is {found}, expected {expected}; name another state directory",
        path.display()
    )]
    OtherNetwork {
        /// The directory.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What was asked for.
        expected: String,
        /// What the directory says.
        found: String,
    },
    /// Damage that no interrupted write explains.
    #[error(
        "{} is damaged at byte {at}: {what}; restore it from a copy, or start again in an empty directory",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset of the damage.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A block that executes differently now.
    #[error("{}: block {block} cannot be executed again: {why}; use the version that wrote it", path.display())]
    Replay {
        /// The directory.
        path: PathBuf,
        /// Number of the block.
        block: u64,
        /// What differs.
        why: String,
    },
}

/// A chain in process. Clones share it.
#[derive(Clone)]
pub struct EmbeddedChain(Arc<Mutex<Node>>);

impl std::fmt::Debug for EmbeddedChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let node = self.lock();
        f.debug_struct("EmbeddedChain")
            .field("chain_id", &node.chain.chain_id)
            .field("height", &node.chain.height())
            .finish_non_exhaustive()
    }
}

impl EmbeddedChain {
    /// Starts a chain; with a directory, goes on with the one it holds.
    ///
    /// # Errors
    /// [`OpenError`] when the directory is busy, damaged, of a newer version or of another network.
    pub fn open(dir: Option<&Path>, config: &Config) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(Mutex::new(Node::open(dir, config)?))))
    }

    /// Goes on with the chain in the directory `dir`, whatever it was started with: for reading what a network did.
    ///
    /// # Errors
    /// As [`EmbeddedChain::open`]; also when there is no chain.
    pub fn resume(dir: &Path, clock: Clock) -> Result<Self, OpenError> {
        Ok(Self(Arc::new(Mutex::new(Node::resume(dir, clock)?))))
    }

    /// The chain to read from and to send to.
    pub fn client(&self) -> Client {
        Client::new(self.reader(), self.chain_id(), Options::local())
    }

    /// A provider without a wallet.
    pub fn reader(&self) -> DynProvider {
        ProviderBuilder::new().connect_client(self.rpc_client()).erased()
    }

    /// A provider that signs with `wallet` and fills in nonce, gas and fees.
    pub fn provider(&self, wallet: EthereumWallet) -> DynProvider {
        ProviderBuilder::new().wallet(wallet).connect_client(self.rpc_client()).erased()
    }

    /// The chain id.
    pub fn chain_id(&self) -> u64 {
        self.lock().chain.chain_id
    }

    /// The hash of the first block: the identity of this chain.
    pub fn genesis_hash(&self) -> B256 {
        self.lock().chain.block(0).map(|block| block.hash).unwrap_or_default()
    }

    /// Sets a manual clock to `seconds` since the Unix epoch. Blocks never go back in time, whatever it says.
    pub fn set_time(&self, seconds: u64) {
        self.lock().chain.set_time(seconds);
    }

    /// Seals an empty block: so that time passes on the chain when nobody sends anything.
    ///
    /// # Errors
    /// When the block cannot be stored.
    pub fn mine(&self) -> Result<(), TransportError> {
        self.lock().seal(Vec::new()).map_err(|failure| TransportError::ErrorResp(failure.into_payload()))
    }

    fn rpc_client(&self) -> RpcClient {
        let client = RpcClient::new(self.clone(), true);
        client.set_poll_interval(Duration::from_millis(20));
        client
    }

    fn lock(&self) -> MutexGuard<'_, Node> {
        // No code that holds the lock panics with the chain half changed; a poisoned lock is still a whole chain.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request.
    fn answer(&self, request: &SerializedRequest) -> Response {
        let params = request.params().map(|params| params.get()).unwrap_or("[]");
        let payload = match rpc::dispatch(&mut self.lock(), request.method(), params) {
            Ok(result) => ResponsePayload::Success(result),
            Err(failure) => ResponsePayload::Failure(failure.into_payload()),
        };
        Response { id: request.id().clone(), payload }
    }

    fn answer_packet(&self, packet: &RequestPacket) -> ResponsePacket {
        match packet {
            RequestPacket::Single(request) => ResponsePacket::Single(self.answer(request)),
            RequestPacket::Batch(requests) => {
                ResponsePacket::Batch(requests.iter().map(|request| self.answer(request)).collect())
            }
        }
    }
}

impl Service<RequestPacket> for EmbeddedChain {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let chain = self.clone();
        Box::pin(async move {
            // Executing and flushing block: not a thing to do on the threads that drive the network.
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => runtime
                    .spawn_blocking(move || chain.answer_packet(&packet))
                    .await
                    .map_err(TransportError::local_usage),
                Err(_) => Ok(chain.answer_packet(&packet)),
            }
        })
    }
}
