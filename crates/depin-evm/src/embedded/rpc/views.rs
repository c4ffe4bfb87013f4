//! Blocks, transactions and receipts as JSON-RPC shows them.

use alloy::{
    consensus::Transaction as _,
    eips::{BlockId, BlockNumberOrTag, eip1559::BaseFeeParams},
    network::primitives::BlockTransactions,
    primitives::{Log, U64, U256},
    rpc::types::{self as rpc, Transaction, TransactionReceipt},
};
use serde::Serialize;
use serde_json::Number;

use super::{Answer, PRIORITY_FEE, json, number};
use crate::embedded::{
    chain::{Block, Mined},
    failure::RpcFailure,
    node::Node,
};

/// Most blocks one fee history covers.
const MAX_FEE_BLOCKS: u64 = 1024;

pub(super) fn block(block: &Block, full: bool) -> rpc::Block {
    let transactions = if full {
        BlockTransactions::Full((0..block.txs.len()).filter_map(|index| transaction(block, index)).collect())
    } else {
        BlockTransactions::Hashes(block.txs.iter().map(|mined| *mined.tx.tx_hash()).collect())
    };
    let header = rpc::Header {
        hash: block.hash,
        inner: block.header.clone(),
        total_difficulty: Some(U256::ZERO),
        size: Some(U256::from(size(block))),
    };
    rpc::Block::new(header, transactions).with_withdrawals(Some(Default::default()))
}

pub(super) fn transaction(block: &Block, index: usize) -> Option<Transaction> {
    let mined = block.txs.get(index)?;
    Some(Transaction {
        inner: mined.tx.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        transaction_index: Some(position(index)),
        effective_gas_price: Some(mined.tx.effective_gas_price(block.header.base_fee_per_gas)),
        block_timestamp: Some(block.header.timestamp),
    })
}

pub(super) fn receipts(block: &Block) -> Vec<TransactionReceipt> {
    (0..block.txs.len()).filter_map(|index| receipt(block, index)).collect()
}

pub(super) fn receipt(block: &Block, index: usize) -> Option<TransactionReceipt> {
    let mined = block.txs.get(index)?;
    let mut log_index = mined.first_log;
    let inner = mined.receipt.clone().map_logs(|logged| {
        let shown = log(block, index, log_index, mined, &logged);
        log_index = log_index.saturating_add(1);
        shown
    });
    Some(TransactionReceipt {
        inner,
        transaction_hash: *mined.tx.tx_hash(),
        transaction_index: Some(position(index)),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        gas_used: mined.gas_used,
        effective_gas_price: mined.tx.effective_gas_price(block.header.base_fee_per_gas),
        blob_gas_used: None,
        blob_gas_price: None,
        from: mined.tx.signer(),
        to: mined.tx.to(),
        contract_address: mined.created,
    })
}

pub(super) fn log(block: &Block, index: usize, log_index: u64, mined: &Mined, log: &Log) -> rpc::Log {
    rpc::Log {
        inner: log.clone(),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: Some(*mined.tx.tx_hash()),
        transaction_index: Some(position(index)),
        log_index: Some(log_index),
        removed: false,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistory {
    oldest_block: U64,
    base_fee_per_gas: Vec<U64>,
    gas_used_ratio: Vec<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<Vec<Vec<U64>>>,
}

pub(super) fn fee_history(
    node: &Node,
    blocks: u64,
    newest: BlockNumberOrTag,
    percentiles: Option<Vec<Number>>,
) -> Answer {
    let newest = number(node, BlockId::Number(newest))?.unwrap_or(node.chain.height());
    if newest > node.chain.height() {
        return Err(RpcFailure::rejected(format!("request beyond head block: {newest}")));
    }
    let blocks = blocks.clamp(1, MAX_FEE_BLOCKS).min(newest.saturating_add(1));
    let oldest = newest.saturating_add(1).saturating_sub(blocks);
    let percentiles = percentiles.filter(|list| list.len() <= 100);
    let mut history = FeeHistory {
        oldest_block: U64::from(oldest),
        base_fee_per_gas: Vec::new(),
        gas_used_ratio: Vec::new(),
        reward: percentiles.as_ref().map(|_| Vec::new()),
    };
    for block in (oldest..=newest).filter_map(|number| node.chain.block(number)) {
        let header = &block.header;
        history.base_fee_per_gas.push(U64::from(header.base_fee_per_gas.unwrap_or_default()));
        history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit)?);
        if let (Some(rewards), Some(percentiles)) = (&mut history.reward, &percentiles) {
            // With one transaction a block there is nothing to sort by: each percentile is the same tip.
            rewards.push(vec![U64::from(PRIORITY_FEE); percentiles.len()]);
        }
        if header.number == newest {
            let next = header.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default();
            history.base_fee_per_gas.push(U64::from(next));
        }
    }
    json(&history)
}

/// A share as a decimal fraction with six places, made without floating point.
fn ratio(part: u64, whole: u64) -> Result<Number, RpcFailure> {
    let millionths = u128::from(part).saturating_mul(1_000_000).checked_div(u128::from(whole)).unwrap_or(0);
    let text = format!("{}.{:06}", millionths.checked_div(1_000_000).unwrap_or(0), millionths % 1_000_000);
    serde_json::from_str(&text).map_err(|error| RpcFailure::rejected(error.to_string()))
}

/// Bytes of the header and of the transactions: near enough for a block explorer.
fn size(block: &Block) -> u64 {
    let header = u64::try_from(alloy::rlp::Encodable::length(&block.header)).unwrap_or(u64::MAX);
    block
        .txs
        .iter()
        .map(|mined| u64::try_from(mined.tx.eip2718_encoded_length()).unwrap_or(u64::MAX))
        .fold(header, u64::saturating_add)
}

fn position(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}
