//! Blocks: sealing them, finding them, taking them back.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::{
    consensus::{
        EMPTY_ROOT_HASH, Eip658Value, Header, Receipt, ReceiptEnvelope, Transaction, TxEnvelope, TxReceipt,
        constants::EMPTY_WITHDRAWALS,
        proofs::{calculate_receipt_root, calculate_transaction_root},
        transaction::Recovered,
    },
    eips::{eip1559::BaseFeeParams, eip7685::EMPTY_REQUESTS_HASH},
    primitives::{Address, B256, Bloom, Bytes, Log, U256, keccak256},
};
use revm::context_interface::result::{ExecutionResult, Output};

use super::{
    Clock, Config,
    exec::{self, BLOCK_GAS_LIMIT, BlockContext},
    failure::RpcFailure,
    state::{Changes, Step, View, World},
};

/// Base fee of the first block, in wei per gas.
const INITIAL_BASE_FEE: u64 = 1_000_000_000;

/// How many blocks back the state is kept. Blocks, receipts and logs are kept for ever.
const STATE_HISTORY: usize = 4096;

/// A sealed block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) header: Header,
    pub(super) hash: B256,
    pub(super) txs: Vec<Mined>,
    /// The way back to the state before it, for the last [`STATE_HISTORY`] blocks.
    undo: Option<Changes>,
}

/// A transaction in its block.
#[derive(Debug)]
pub(super) struct Mined {
    pub(super) tx: Recovered<TxEnvelope>,
    pub(super) receipt: ReceiptEnvelope,
    pub(super) gas_used: u64,
    /// The contract it created.
    pub(super) created: Option<Address>,
    /// Position of its first log among those of the block.
    pub(super) first_log: u64,
}

/// The blocks of the chain. The first one is never taken back.
#[derive(Debug)]
pub(super) struct Blocks {
    genesis: Block,
    /// Block 1 and those after it.
    later: Vec<Block>,
}

impl Blocks {
    pub(super) fn get(&self, number: u64) -> Option<&Block> {
        match number.checked_sub(1) {
            None => Some(&self.genesis),
            Some(index) => self.later.get(usize::try_from(index).ok()?),
        }
    }
}

/// The chain in memory.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) chain_id: u64,
    clock: Clock,
    world: World,
    blocks: Blocks,
    by_hash: HashMap<B256, u64>,
    by_tx: HashMap<B256, (u64, usize)>,
    /// What changed since the last block without one: balances that a test set.
    pending: Step,
    /// How often blocks were taken back. It goes into later headers, so that a replaced block never keeps its hash.
    branch: u64,
    /// Seconds between the wall clock and the chain's.
    offset: i64,
    /// The manual clock, in seconds.
    manual: u64,
    next_timestamp: Option<u64>,
}

impl Chain {
    pub(super) fn new(config: &Config, genesis_time: u64) -> Self {
        let mut world = World::default();
        let mut step = Step::default();
        for (address, balance) in &config.accounts {
            world.set_balance(*address, *balance, &mut step);
        }
        let header = Header {
            state_root: step.commitment(keccak256(config.chain_id.to_be_bytes())),
            transactions_root: EMPTY_ROOT_HASH,
            receipts_root: EMPTY_ROOT_HASH,
            gas_limit: BLOCK_GAS_LIMIT,
            timestamp: genesis_time,
            base_fee_per_gas: Some(INITIAL_BASE_FEE),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        };
        let hash = header.hash_slow();
        Self {
            chain_id: config.chain_id,
            clock: config.clock,
            world,
            blocks: Blocks {
                genesis: Block { header, hash, txs: Vec::new(), undo: None },
                later: Vec::new(),
            },
            by_hash: HashMap::from([(hash, 0)]),
            by_tx: HashMap::new(),
            pending: Step::default(),
            branch: 0,
            offset: 0,
            manual: genesis_time,
            next_timestamp: None,
        }
    }

    pub(super) fn tip(&self) -> &Block {
        self.blocks.later.last().unwrap_or(&self.blocks.genesis)
    }

    pub(super) fn height(&self) -> u64 {
        self.tip().header.number
    }

    pub(super) fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(number)
    }

    pub(super) fn block_by_hash(&self, hash: &B256) -> Option<&Block> {
        self.by_hash.get(hash).and_then(|number| self.block(*number))
    }

    /// A transaction's block, and its position there.
    pub(super) fn transaction(&self, hash: &B256) -> Option<(&Block, usize)> {
        let (number, index) = self.by_tx.get(hash)?;
        Some((self.block(*number)?, *index))
    }

    /// The state after block `number`; fails when it is no longer, or not yet, known.
    pub(super) fn view(&self, number: u64) -> Result<View<'_>, RpcFailure> {
        let missing = || {
            RpcFailure::rejected(format!(
                "the state of block {number} is not kept; ask within {STATE_HISTORY} blocks of {}",
                self.height()
            ))
        };
        let start = usize::try_from(number).map_err(|_| missing())?;
        let later = self.blocks.later.get(start..).ok_or_else(missing)?;
        if later.iter().any(|block| block.undo.is_none()) {
            return Err(missing());
        }
        // What a test set since the last block is part of the newest state only.
        let pending = (!later.is_empty()).then(|| self.pending.undo());
        let undos = pending.into_iter().chain(later.iter().rev().filter_map(|block| block.undo.as_ref()));
        Ok(View::new(&self.world, undos, &self.blocks))
    }

    /// The context of block `number`, or of the next one.
    pub(super) fn context(&self, number: Option<u64>) -> BlockContext {
        match number.and_then(|number| self.block(number)) {
            Some(Block { header, .. }) => BlockContext {
                number: header.number,
                timestamp: header.timestamp,
                base_fee: header.base_fee_per_gas.unwrap_or_default(),
                prev_randao: header.mix_hash,
            },
            None => self.next_context(self.next_timestamp()),
        }
    }

    fn next_context(&self, timestamp: u64) -> BlockContext {
        let tip = self.tip();
        BlockContext {
            number: tip.header.number.saturating_add(1),
            timestamp,
            base_fee: tip.header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or(INITIAL_BASE_FEE),
            prev_randao: keccak256(tip.hash),
        }
    }

    /// The timestamp a block sealed now gets: what the clock says, never before its parent.
    pub(super) fn next_timestamp(&self) -> u64 {
        let clock = match self.clock {
            Clock::Wall => unix_now().saturating_add_signed(self.offset),
            Clock::Manual => self.manual,
        };
        self.next_timestamp.unwrap_or(clock).max(self.tip().header.timestamp)
    }

    /// Moves the clock forward by `seconds`.
    pub(super) fn increase_time(&mut self, seconds: u64) {
        self.manual = self.manual.saturating_add(seconds);
        self.offset = self.offset.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Sets the manual clock.
    pub(super) fn set_time(&mut self, seconds: u64) {
        self.manual = seconds;
    }

    /// Sets the timestamp of the next block; the clock goes on from there.
    pub(super) fn set_next_timestamp(&mut self, seconds: u64) -> Result<(), RpcFailure> {
        let earliest = self.tip().header.timestamp;
        if seconds < earliest {
            return Err(RpcFailure::invalid(format!(
                "the timestamp {seconds} is before that of the last block, {earliest}; name a later one"
            )));
        }
        self.next_timestamp = Some(seconds);
        Ok(())
    }

    pub(super) fn set_balance(&mut self, address: Address, balance: U256) {
        self.world.set_balance(address, balance, &mut self.pending);
    }

    /// Seals a block of `txs`; when one of them is refused, nothing changes.
    pub(super) fn seal(
        &mut self,
        txs: Vec<Recovered<TxEnvelope>>,
        timestamp: u64,
    ) -> Result<&Block, RpcFailure> {
        let context = self.next_context(timestamp);
        let mut step = Step::default();
        let mut mined = Vec::with_capacity(txs.len());
        let mut totals = (0, 0);
        for tx in txs {
            match self.run(tx, context, totals, &mut step) {
                Ok(done) => {
                    totals = (
                        done.receipt.cumulative_gas_used(),
                        totals.1.saturating_add(count(done.receipt.logs())),
                    );
                    mined.push(done);
                }
                Err(refused) => {
                    self.world.undo(step.into_undo());
                    return Err(refused);
                }
            }
        }
        self.consume_timestamp(timestamp);
        let step = std::mem::take(&mut self.pending).then(step);
        self.push(context, mined, totals.0, step);
        Ok(self.tip())
    }

    fn run(
        &mut self,
        tx: Recovered<TxEnvelope>,
        context: BlockContext,
        (gas_before, first_log): (u64, u64),
        step: &mut Step,
    ) -> Result<Mined, RpcFailure> {
        if gas_before.saturating_add(tx.gas_limit()) > BLOCK_GAS_LIMIT {
            return Err(RpcFailure::rejected(format!(
                "exceeds block gas limit: {} of {BLOCK_GAS_LIMIT}",
                tx.gas_limit()
            )));
        }
        let view = View::new(&self.world, std::iter::empty(), &self.blocks);
        let executed = exec::execute(view, context, self.chain_id, &tx)?;
        self.world.apply(executed.state, step);
        let result = executed.result;
        let gas_used = result.gas().tx_gas_used();
        let receipt = Receipt {
            status: Eip658Value::Eip658(result.is_success()),
            cumulative_gas_used: gas_before.saturating_add(gas_used),
            logs: if result.is_success() { result.logs().to_vec() } else { Vec::new() },
        };
        let created = match &result {
            ExecutionResult::Success { output: Output::Create(_, address), .. } => *address,
            _ => None,
        };
        let receipt = ReceiptEnvelope::from_typed(tx.tx_type(), receipt.with_bloom());
        Ok(Mined { tx, receipt, gas_used, created, first_log })
    }

    fn push(&mut self, context: BlockContext, txs: Vec<Mined>, gas_used: u64, step: Step) {
        let parent = self.tip();
        let receipts: Vec<_> = txs.iter().map(|mined| mined.receipt.clone()).collect();
        let envelopes: Vec<_> = txs.iter().map(|mined| mined.tx.inner().clone()).collect();
        let header = Header {
            parent_hash: parent.hash,
            state_root: step.commitment(parent.header.state_root),
            transactions_root: calculate_transaction_root(&envelopes),
            receipts_root: calculate_receipt_root(&receipts),
            logs_bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom()),
            number: context.number,
            gas_limit: BLOCK_GAS_LIMIT,
            gas_used,
            timestamp: context.timestamp,
            base_fee_per_gas: Some(context.base_fee),
            mix_hash: context.prev_randao,
            extra_data: branch_bytes(self.branch),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        };
        let hash = header.hash_slow();
        self.by_hash.insert(hash, header.number);
        for (index, mined) in txs.iter().enumerate() {
            self.by_tx.insert(*mined.tx.tx_hash(), (header.number, index));
        }
        let forgotten = self.blocks.later.len().checked_sub(STATE_HISTORY);
        if let Some(block) = forgotten.and_then(|index| self.blocks.later.get_mut(index)) {
            block.undo = None;
        }
        self.blocks.later.push(Block { header, hash, txs, undo: Some(step.into_undo()) });
    }

    /// Takes back every block above `number` and returns them, lowest first.
    pub(super) fn rewind(&mut self, number: u64) -> Result<Vec<Block>, RpcFailure> {
        self.view(number)?;
        let keep = usize::try_from(number).unwrap_or(usize::MAX);
        self.world.undo(std::mem::take(&mut self.pending).into_undo());
        let mut taken = Vec::new();
        while self.blocks.later.len() > keep {
            let Some(mut block) = self.blocks.later.pop() else { break };
            self.world.undo(block.undo.take().unwrap_or_default());
            self.by_hash.remove(&block.hash);
            for mined in &block.txs {
                self.by_tx.remove(mined.tx.tx_hash());
            }
            taken.push(block);
        }
        taken.reverse();
        self.branch = self.branch.saturating_add(1);
        Ok(taken)
    }

    /// After a block at a set timestamp, the clock goes on from there.
    fn consume_timestamp(&mut self, timestamp: u64) {
        self.manual = self.manual.max(timestamp);
        if self.next_timestamp.take().is_some() {
            let now = unix_now();
            let ahead = i64::try_from(timestamp.abs_diff(now)).unwrap_or(i64::MAX);
            self.offset = if timestamp >= now { ahead } else { ahead.saturating_neg() };
        }
    }
}

/// A count as the chain counts.
pub(super) fn count<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

fn branch_bytes(branch: u64) -> Bytes {
    if branch == 0 { Bytes::new() } else { Bytes::copy_from_slice(&branch.to_be_bytes()) }
}

/// The wall clock, in seconds since the Unix epoch: the one place that reads it.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

impl Block {
    /// The logs of the block with the position of their transaction and their own.
    pub(super) fn logs(&self) -> impl Iterator<Item = (usize, u64, &Mined, &Log)> {
        self.txs.iter().enumerate().flat_map(|(index, mined)| {
            (mined.first_log..)
                .zip(mined.receipt.logs())
                .map(move |(log_index, log)| (index, log_index, mined, log))
        })
    }
}
