//! A chain to read from and to send to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use alloy::{
    consensus::TxEnvelope,
    eips::{BlockId, eip2718::Encodable2718},
    network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder},
    primitives::{Address, B256},
    providers::{DynProvider, Provider},
    rpc::{
        json_rpc::RpcError,
        types::{TransactionReceipt, TransactionRequest},
    },
    signers::local::PrivateKeySigner,
    transports::TransportError,
};
use tokio::{
    sync::{Mutex as AsyncMutex, Notify},
    time::{Instant, sleep},
};

use crate::{Options, contracts::Reverted};

/// Why a transaction did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The contract refused. Nothing changed, except that the gas may be gone.
    #[error("the contract refused: {0}")]
    Reverted(Box<Reverted>),
    /// The node refused the transaction, for lack of funds for example.
    #[error("the node refused a transaction of {from}: {message}")]
    Refused {
        /// Who sent it.
        from: Address,
        /// What the node said.
        message: String,
    },
    /// The node asks for more than the account is allowed to offer. Nothing was sent.
    #[error(
        "the node asks for {found} wei per gas and at most {limit} are offered; wait, or raise `max_fee_per_gas`"
    )]
    Fees {
        /// What it would take.
        found: u128,
        /// The limit.
        limit: u128,
    },
    /// Another transaction of the same account took its place.
    #[error("another transaction of {from} took the place of {hash}; look at the chain before sending again")]
    Displaced {
        /// Who sent it.
        from: Address,
        /// The transaction.
        hash: B256,
    },
    /// It was sent and is in no block yet. It may still come.
    #[error(
        "the transaction {hash} was not confirmed within {} s; look at the chain before sending again",
        waited.as_secs()
    )]
    TimedOut {
        /// The transaction.
        hash: B256,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The transaction could not be signed.
    #[error("the transaction cannot be signed: {0}")]
    Sign(String),
    /// The chain cannot be read. Whether anything was sent shows when it can.
    #[error("the chain cannot be reached: {0}; look at it before sending again")]
    Unavailable(#[from] TransportError),
}

impl SendError {
    /// Why the contract refused, if it did.
    pub fn reverted(&self) -> Option<&Reverted> {
        match self {
            Self::Reverted(reverted) => Some(reverted),
            _ => None,
        }
    }
}

/// A chain. Clones share the connection and the order of each account's transactions.
#[derive(Clone, Debug)]
pub struct Client {
    provider: DynProvider,
    chain_id: u64,
    options: Options,
    turns: Arc<Mutex<HashMap<Address, Arc<AsyncMutex<()>>>>>,
    changed: Arc<Notify>,
}

impl Client {
    /// A chain behind any of alloy's providers. The caller vouches for the chain id; [`crate::connect()`] checks it.
    pub fn new(provider: DynProvider, chain_id: u64, options: Options) -> Self {
        Self { provider, chain_id, options, turns: Arc::default(), changed: Arc::default() }
    }

    /// The provider, for everything this crate does not wrap.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// The chain id.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Notified whenever a transaction sent through this client, or one of its clones, came into a block. For one listener.
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// How the chain is waited for.
    pub const fn options(&self) -> Options {
        self.options
    }

    /// An account of this chain that `key` signs for.
    pub fn sender(&self, key: PrivateKeySigner) -> Sender {
        let address = key.address();
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turns.entry(address).or_default().clone();
        Sender { client: self.clone(), address, wallet: EthereumWallet::from(key), turn }
    }
}

/// An account that sends transactions, one after the other. Any number of them, and of their clones, may share a [`Client`].
#[derive(Clone)]
pub struct Sender {
    client: Client,
    address: Address,
    wallet: EthereumWallet,
    /// Held from asking for a nonce until the transaction is in a block, by whoever sends for this account.
    turn: Arc<AsyncMutex<()>>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("address", &self.address).finish_non_exhaustive()
    }
}

/// How often a nonce is asked for again when another program sends for the same account.
const NONCE_ATTEMPTS: u32 = 5;

impl Sender {
    /// The account.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The chain.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Sends `request` and waits until it counts: gas, fees and nonce are filled in, a transaction that is not taken up is sent again
    /// with higher fees, and one that a reorganisation dropped is sent again as it was.
    ///
    /// # Errors
    /// [`SendError`]. After [`SendError::TimedOut`], [`SendError::Displaced`] and [`SendError::Unavailable`] the transaction may still
    /// take effect: look at the chain before sending again.
    pub async fn send(&self, request: TransactionRequest) -> Result<TransactionReceipt, SendError> {
        let turn = self.turn.lock().await;
        let mut sent = self.launch(request.with_from(self.address)).await?;
        let started = Instant::now();
        let mut turn = Some(turn);
        loop {
            if let Some(receipt) = self.included(&sent).await? {
                self.client.changed.notify_one();
                // Others may go on while this one gathers confirmations.
                drop(turn.take());
                if self.confirmed(&receipt).await? {
                    return self.judged(&sent, receipt).await;
                }
            } else if sent.since.elapsed() >= self.client.options.bump_after {
                self.bump(&mut sent).await?;
            } else if turn.is_none() {
                // It was in a block and is in none now.
                self.again(&mut sent).await?;
            }
            if started.elapsed() >= self.client.options.send_timeout {
                return Err(SendError::TimedOut { hash: sent.hash(), waited: started.elapsed() });
            }
            sleep(self.client.options.poll).await;
        }
    }

    /// Fills in, signs and sends.
    async fn launch(&self, mut request: TransactionRequest) -> Result<Sent, SendError> {
        let provider = &self.client.provider;
        let gas = provider.estimate_gas(request.clone()).await.map_err(|error| self.failed(error))?;
        // The state may differ by the time it runs: a quarter more than needed now, of which the rest is not paid for.
        request.set_gas_limit(gas.saturating_add(gas.div_ceil(4)));
        request.set_chain_id(self.client.chain_id);
        let fees = provider.estimate_eip1559_fees().await?;
        let limit = self.client.options.max_fee_per_gas;
        if fees.max_fee_per_gas > limit {
            return Err(SendError::Fees { found: fees.max_fee_per_gas, limit });
        }
        request.set_max_fee_per_gas(fees.max_fee_per_gas);
        request.set_max_priority_fee_per_gas(fees.max_priority_fee_per_gas);
        let mut attempt = 1;
        loop {
            let nonce = provider.get_transaction_count(self.address).pending().await?;
            request.set_nonce(nonce);
            let signed = self.sign(&request).await?;
            match self.broadcast(&signed).await {
                Ok(()) => return Ok(Sent::new(request, signed)),
                // Somebody else sends for this account as well: take the next nonce.
                Err(Broadcast::NonceTaken) if attempt < NONCE_ATTEMPTS => {
                    attempt = attempt.saturating_add(1);
                    sleep(self.client.options.poll).await;
                }
                Err(Broadcast::NonceTaken) => {
                    return Err(SendError::Displaced { from: self.address, hash: *signed.tx_hash() });
                }
                Err(Broadcast::Failed(error)) => return Err(error),
            }
        }
    }

    async fn sign(&self, request: &TransactionRequest) -> Result<TxEnvelope, SendError> {
        request.clone().build(&self.wallet).await.map_err(|error| SendError::Sign(error.to_string()))
    }

    async fn broadcast(&self, signed: &TxEnvelope) -> Result<(), Broadcast> {
        match self.client.provider.send_raw_transaction(&signed.encoded_2718()).await {
            Ok(_) => Ok(()),
            Err(RpcError::ErrorResp(payload)) => {
                let message = payload.message.to_lowercase();
                if ["already known", "already imported", "known transaction", "alreadyknown"]
                    .iter()
                    .any(|known| message.contains(known))
                {
                    return Ok(());
                }
                if ["nonce too low", "replacement transaction underpriced", "oldnonce"]
                    .iter()
                    .any(|taken| message.contains(taken))
                {
                    return Err(Broadcast::NonceTaken);
                }
                Err(Broadcast::Failed(self.failed(RpcError::ErrorResp(payload))))
            }
            Err(error) => Err(Broadcast::Failed(error.into())),
        }
    }

    /// The receipt of whichever of the transactions sent is in a block.
    async fn included(&self, sent: &Sent) -> Result<Option<TransactionReceipt>, SendError> {
        for hash in &sent.hashes {
            if let Some(receipt) = self.client.provider.get_transaction_receipt(*hash).await? {
                return Ok(Some(receipt));
            }
        }
        Ok(None)
    }

    async fn confirmed(&self, receipt: &TransactionReceipt) -> Result<bool, SendError> {
        let Some(block) = receipt.block_number else { return Ok(false) };
        let head = self.client.provider.get_block_number().await?;
        let depth = head.saturating_add(1).saturating_sub(block);
        Ok(depth >= self.client.options.confirmations)
    }

    async fn judged(
        &self,
        sent: &Sent,
        receipt: TransactionReceipt,
    ) -> Result<TransactionReceipt, SendError> {
        if receipt.status() {
            return Ok(receipt);
        }
        // A receipt does not say why: the same call at the same block does, unless the block itself changed the answer.
        let mut request = sent.request.clone();
        request.nonce = None;
        let block = receipt.block_number.map(BlockId::number).unwrap_or_default();
        match self.client.provider.call(request).block(block).await {
            Err(error) => Err(self.failed(error)),
            Ok(_) => Err(SendError::Reverted(Box::new(Reverted::Unknown(Default::default())))),
        }
    }

    /// Sends the same action with fees a quarter higher, which every node takes for a replacement.
    async fn bump(&self, sent: &mut Sent) -> Result<(), SendError> {
        let limit = self.client.options.max_fee_per_gas;
        let raise = |fee: Option<u128>| fee.map(|fee| fee.saturating_add(fee.div_ceil(4)).clamp(1, limit));
        let mut request = sent.request.clone();
        request.max_fee_per_gas = raise(request.max_fee_per_gas);
        request.max_priority_fee_per_gas = raise(request.max_priority_fee_per_gas);
        let signed = self.sign(&request).await?;
        match self.broadcast(&signed).await {
            Ok(()) => sent.replace(request, signed),
            // Either it has just been taken up, or another transaction has its nonce: the next look tells.
            Err(Broadcast::NonceTaken) => return self.displaced(sent).await,
            Err(Broadcast::Failed(error)) => return Err(error),
        }
        Ok(())
    }

    async fn again(&self, sent: &mut Sent) -> Result<(), SendError> {
        match self.broadcast(&sent.signed).await {
            Ok(()) => Ok(()),
            Err(Broadcast::NonceTaken) => self.displaced(sent).await,
            Err(Broadcast::Failed(error)) => Err(error),
        }
    }

    async fn displaced(&self, sent: &mut Sent) -> Result<(), SendError> {
        sent.since = Instant::now();
        match self.included(sent).await? {
            Some(_) => Ok(()),
            None => Err(SendError::Displaced { from: self.address, hash: sent.hash() }),
        }
    }

    fn failed(&self, error: TransportError) -> SendError {
        match failure(error) {
            Failure::Reverted(reverted) => SendError::Reverted(Box::new(reverted)),
            Failure::Refused(message) => SendError::Refused { from: self.address, message },
            Failure::Unavailable(error) => SendError::Unavailable(error),
        }
    }
}

/// What an error of a node means.
pub(crate) enum Failure {
    Reverted(Reverted),
    Refused(String),
    Unavailable(TransportError),
}

/// Tells a revert from a refusal from a failed request.
pub(crate) fn failure(error: TransportError) -> Failure {
    match error {
        RpcError::ErrorResp(payload) => match payload.as_revert_data() {
            Some(data) => Failure::Reverted(Reverted::decode(&data)),
            None if payload.code == 3 => Failure::Reverted(Reverted::Unknown(Default::default())),
            None => Failure::Refused(payload.message.chars().take(512).collect()),
        },
        other => Failure::Unavailable(other),
    }
}

enum Broadcast {
    NonceTaken,
    Failed(SendError),
}

/// A transaction on its way: every form in which it was sent, the newest last.
struct Sent {
    request: TransactionRequest,
    signed: TxEnvelope,
    hashes: Vec<B256>,
    /// When it was last sent.
    since: Instant,
}

impl Sent {
    fn new(request: TransactionRequest, signed: TxEnvelope) -> Self {
        Self { request, hashes: vec![*signed.tx_hash()], signed, since: Instant::now() }
    }

    fn replace(&mut self, request: TransactionRequest, signed: TxEnvelope) {
        self.hashes.push(*signed.tx_hash());
        (self.request, self.signed, self.since) = (request, signed, Instant::now());
    }

    fn hash(&self) -> B256 {
        *self.signed.tx_hash()
    }
}
