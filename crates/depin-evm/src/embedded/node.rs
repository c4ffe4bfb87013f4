//! The chain and its file as one: nothing counts before it is on the disk.

use std::path::Path;

use alloy::{
    consensus::transaction::SignerRecoverable,
    consensus::{TxEnvelope, transaction::Recovered},
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{Address, B256, U256},
};
use depin_core::Digest;

use super::{
    Clock, Config, OpenError,
    chain::{Block, Chain, unix_now},
    failure::RpcFailure,
    log::{BlocksFile, Genesis, Prefunded, RawTx, Record},
};

/// Largest transaction accepted, in bytes; go-ethereum's limit.
const MAX_TX_BYTES: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) chain: Chain,
    file: Option<BlocksFile>,
}

impl Node {
    /// Starts a chain, or goes on with the one in `dir`.
    pub(super) fn open(dir: Option<&Path>, config: &Config) -> Result<Self, OpenError> {
        let accounts = config
            .accounts
            .iter()
            .map(|(address, balance)| Prefunded { address: *address, balance: balance.to_be_bytes() })
            .collect();
        let mut genesis =
            Genesis::new(config.chain_id, config.genesis_time.unwrap_or_else(unix_now), accounts);
        let Some(dir) = dir else {
            return Ok(Self { chain: Chain::new(config, genesis.time), file: None });
        };
        let (mut file, records) = BlocksFile::open(dir)?;
        let mut records = records.into_iter();
        match records.next() {
            None => {
                let path = dir.to_owned();
                file.append(&Record::Genesis(genesis.clone()))
                    .map_err(|source| OpenError::Io { path, source })?;
            }
            Some(Record::Genesis(found)) => {
                if config.genesis_time.is_none() {
                    genesis.time = found.time;
                }
                same_genesis(dir, &genesis, &found)?;
            }
            Some(_) => return Err(OpenError::NotBlocks { path: dir.to_owned() }),
        }
        Self::go_on(dir, config, genesis.time, file, records)
    }

    /// Goes on with the chain that `dir` holds, whatever it was started with.
    pub(super) fn resume(dir: &Path, clock: Clock) -> Result<Self, OpenError> {
        // Looking must not leave an empty chain behind.
        if !BlocksFile::exists(dir) {
            return Err(OpenError::NotBlocks { path: dir.to_owned() });
        }
        let (file, records) = BlocksFile::open(dir)?;
        let mut records = records.into_iter();
        let Some(Record::Genesis(found)) = records.next() else {
            return Err(OpenError::NotBlocks { path: dir.to_owned() });
        };
        let balance = |account: &Prefunded| (account.address, U256::from_be_bytes(account.balance));
        let config = Config {
            chain_id: found.chain_id,
            genesis_time: Some(found.time),
            clock,
            accounts: found.accounts.iter().map(balance).collect(),
        };
        Self::go_on(dir, &config, found.time, file, records)
    }

    fn go_on(
        dir: &Path,
        config: &Config,
        time: u64,
        file: BlocksFile,
        records: impl Iterator<Item = Record>,
    ) -> Result<Self, OpenError> {
        let mut this = Self { chain: Chain::new(config, time), file: None };
        for record in records {
            this.replay(dir, record)?;
        }
        this.file = Some(file);
        Ok(this)
    }

    /// Executes a record again and checks that it has the same outcome.
    fn replay(&mut self, dir: &Path, record: Record) -> Result<(), OpenError> {
        let block = self.chain.height().saturating_add(1);
        let refused = |why: String| OpenError::Replay { path: dir.to_owned(), block, why };
        match record {
            Record::Genesis(_) => Err(refused("a second genesis".to_owned())),
            Record::Block { timestamp, txs, hash } => {
                let txs: Result<Vec<_>, _> = txs.iter().map(|tx| decode(&tx.0)).collect();
                let txs = txs.map_err(|failure| refused(failure.message))?;
                let found = self.chain.seal(txs, timestamp).map_err(|failure| refused(failure.message))?.hash;
                if found.0 == hash.0 {
                    Ok(())
                } else {
                    Err(refused(format!("its hash was {hash} and is {found} now")))
                }
            }
            Record::Rewind(number) => {
                self.chain.rewind(number).map(drop).map_err(|failure| refused(failure.message))
            }
            Record::Balance { address, balance } => {
                self.chain.set_balance(address, U256::from_be_bytes(balance));
                Ok(())
            }
        }
    }

    /// Accepts a raw transaction: a block of its own.
    pub(super) fn submit(&mut self, raw: &[u8]) -> Result<B256, RpcFailure> {
        let tx = decode(raw)?;
        let hash = *tx.tx_hash();
        if self.chain.transaction(&hash).is_some() {
            return Err(RpcFailure::rejected("already known"));
        }
        self.seal(vec![tx])?;
        Ok(hash)
    }

    /// Seals a block of `txs` at the time of the chain's clock.
    pub(super) fn seal(&mut self, txs: Vec<Recovered<TxEnvelope>>) -> Result<(), RpcFailure> {
        let raw = txs.iter().map(|tx| RawTx(tx.inner().encoded_2718())).collect();
        let parent = self.chain.height();
        let timestamp = self.chain.next_timestamp();
        let hash = Digest(self.chain.seal(txs, timestamp)?.hash.0);
        if let Err(failure) = self.append(&Record::Block { timestamp, txs: raw, hash }) {
            self.chain.rewind(parent)?;
            return Err(failure);
        }
        Ok(())
    }

    pub(super) fn set_balance(&mut self, address: Address, balance: U256) -> Result<(), RpcFailure> {
        self.append(&Record::Balance { address, balance: balance.to_be_bytes() })?;
        self.chain.set_balance(address, balance);
        Ok(())
    }

    /// Takes back every block above `number`.
    pub(super) fn rewind(&mut self, number: u64) -> Result<Vec<Block>, RpcFailure> {
        // Asked first, so that nothing is written that cannot be done.
        self.chain.view(number)?;
        self.append(&Record::Rewind(number))?;
        self.chain.rewind(number)
    }

    /// Replaces the last `depth` blocks by as many others, empty but for `txs`, each with the offset of its block.
    pub(super) fn reorg(&mut self, depth: u64, txs: &[(Vec<u8>, u64)]) -> Result<(), RpcFailure> {
        let fork = self.chain.height().checked_sub(depth).ok_or_else(|| {
            RpcFailure::invalid(format!("a reorg of {depth} blocks; the chain has {}", self.chain.height()))
        })?;
        let decoded: Result<Vec<_>, RpcFailure> =
            txs.iter().map(|(raw, offset)| Ok((decode(raw)?, *offset))).collect();
        let decoded = decoded?;
        if decoded.iter().any(|(_, offset)| *offset >= depth) {
            return Err(RpcFailure::invalid(format!("a block offset reaches past the {depth} new blocks")));
        }
        let timestamps: Vec<u64> = self.rewind(fork)?.iter().map(|block| block.header.timestamp).collect();
        for (offset, timestamp) in (0..).zip(timestamps) {
            let block = decoded.iter().filter(|(_, at)| *at == offset).map(|(tx, _)| tx.clone()).collect();
            self.chain.set_next_timestamp(timestamp)?;
            self.seal(block)?;
        }
        Ok(())
    }

    fn append(&mut self, record: &Record) -> Result<(), RpcFailure> {
        match &mut self.file {
            None => Ok(()),
            Some(file) => file.append(record).map_err(|error| {
                tracing::error!(%error, "the blocks file cannot be written");
                RpcFailure::rejected(format!(
                    "the block could not be stored: {error}; free the disk and retry"
                ))
            }),
        }
    }
}

/// Reads a transaction of a kind this chain takes, and who signed it.
pub(super) fn decode(raw: &[u8]) -> Result<Recovered<TxEnvelope>, RpcFailure> {
    if raw.len() > MAX_TX_BYTES {
        return Err(RpcFailure::rejected(format!(
            "oversized data: transaction size {}, limit {MAX_TX_BYTES}",
            raw.len()
        )));
    }
    let mut rest = raw;
    let tx = TxEnvelope::decode_2718(&mut rest)
        .ok()
        .filter(|_| rest.is_empty())
        .ok_or_else(|| RpcFailure::rejected("not a signed transaction (EIP-2718)"))?;
    match tx {
        TxEnvelope::Eip4844(_) | TxEnvelope::Eip7702(_) => {
            Err(RpcFailure::rejected("transaction type not supported; send legacy, EIP-2930 or EIP-1559"))
        }
        TxEnvelope::Legacy(legacy) if legacy.tx().chain_id.is_none() => {
            Err(RpcFailure::rejected("only replay-protected (EIP-155) transactions allowed over RPC"))
        }
        // Recovery refuses a high s (EIP-2).
        other => other.try_into_recovered().map_err(|_| RpcFailure::rejected("invalid sender")),
    }
}

fn same_genesis(dir: &Path, expected: &Genesis, found: &Genesis) -> Result<(), OpenError> {
    let differs = |what, expected: String, found: String| OpenError::OtherNetwork {
        path: dir.to_owned(),
        what,
        expected,
        found,
    };
    if expected.chain_id != found.chain_id {
        return Err(differs("chain id", expected.chain_id.to_string(), found.chain_id.to_string()));
    }
    if expected.time != found.time {
        return Err(differs("genesis time", expected.time.to_string(), found.time.to_string()));
    }
    if expected.accounts != found.accounts {
        let first = |genesis: &Genesis| {
            let accounts = &genesis.accounts;
            format!("{} ({})", accounts.len(), accounts.first().map(|a| a.address).unwrap_or_default())
        };
        return Err(differs("set of accounts funded at genesis", first(expected), first(found)));
    }
    Ok(())
}
