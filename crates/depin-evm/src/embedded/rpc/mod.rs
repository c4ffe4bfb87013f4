//! JSON-RPC over the chain: what alloy's fillers, ethers, viem and wallets ask for.

mod call;
mod logs;
mod views;

use alloy::{
    eips::{BlockId, BlockNumberOrTag, RpcBlockHash},
    primitives::{Address, B256, Bytes, U64, U256, keccak256},
    rpc::types::{Filter, TransactionRequest},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{
    chain::{Block, count},
    failure::RpcFailure,
    node::Node,
};

type Answer = Result<Box<RawValue>, RpcFailure>;

/// Most blocks one `evm_mine` or `anvil_mine` may add, and one `anvil_reorg` may replace.
const MAX_BLOCKS: u64 = 1024;

/// What a fee estimator is told to tip, in wei per gas: blocks are never full here, so hardly anything.
const PRIORITY_FEE: u64 = 1_000_000;

/// Answers one request. `params` is the JSON of its parameters.
pub(super) fn dispatch(node: &mut Node, method: &str, params: &str) -> Answer {
    let params = Params::parse(params)?;
    match method {
        "eth_chainId" => json(&U64::from(node.chain.chain_id)),
        "net_version" => json(&node.chain.chain_id.to_string()),
        "net_listening" => json(&true),
        "eth_syncing" => json(&false),
        "eth_accounts" => json(&[(); 0]),
        "web3_clientVersion" => json(&concat!("depin/", env!("CARGO_PKG_VERSION"))),
        "web3_sha3" => json(&keccak256(params.get::<Bytes>(0)?)),
        "eth_blockNumber" => json(&U64::from(node.chain.height())),
        "eth_gasPrice" => json(&U64::from(node.chain.context(None).base_fee.saturating_add(PRIORITY_FEE))),
        "eth_maxPriorityFeePerGas" => json(&U64::from(PRIORITY_FEE)),
        "eth_feeHistory" => {
            views::fee_history(node, params.get::<U64>(0)?.to(), params.get(1)?, params.optional(2)?)
        }
        "eth_sendRawTransaction" => json(&node.submit(&params.get::<Bytes>(0)?)?),
        "eth_call" => call::call(node, &params.get::<TransactionRequest>(0)?, params.block(1)?),
        "eth_estimateGas" => call::estimate(
            node,
            params.get::<TransactionRequest>(0)?,
            params.optional(1)?.unwrap_or(BlockId::pending()),
        ),
        "eth_getLogs" => logs::find(node, &params.get::<Filter>(0)?),
        _ => state(node, method, &params)
            .or_else(|| block(node, method, &params))
            .or_else(|| control(node, method, &params))
            .unwrap_or_else(|| Err(RpcFailure::unknown_method(method))),
    }
}

/// Methods that read accounts.
fn state(node: &Node, method: &str, params: &Params) -> Option<Answer> {
    let account = |block: usize| -> Result<_, RpcFailure> {
        let number = number(node, params.block(block)?)?;
        let view = node.chain.view(number.unwrap_or(node.chain.height()))?;
        Ok((params.get::<Address>(0)?, view))
    };
    let answer = match method {
        "eth_getBalance" => account(1).map(|(address, view)| {
            json(&view.account(&address).map(|account| account.balance).unwrap_or_default())
        }),
        "eth_getTransactionCount" => account(1).map(|(address, view)| {
            json(&U64::from(view.account(&address).map(|account| account.nonce).unwrap_or_default()))
        }),
        "eth_getCode" => account(1).map(|(address, view)| {
            json(&view.code_of(&address).map(|code| code.original_bytes()).unwrap_or_default())
        }),
        "eth_getStorageAt" => account(2)
            .and_then(|(address, view)| Ok(json(&B256::from(view.slot(address, params.get::<U256>(1)?))))),
        _ => return None,
    };
    Some(answer.and_then(|answer| answer))
}

/// Methods that read blocks and transactions.
fn block(node: &Node, method: &str, params: &Params) -> Option<Answer> {
    let by_number = || -> Result<Option<&Block>, RpcFailure> {
        let number = number(node, BlockId::Number(params.get(0)?))?;
        Ok(node.chain.block(number.unwrap_or(node.chain.height())))
    };
    let by_hash =
        || -> Result<Option<&Block>, RpcFailure> { Ok(node.chain.block_by_hash(&params.get::<B256>(0)?)) };
    let full = || Ok::<_, RpcFailure>(params.optional::<bool>(1)?.unwrap_or(false));
    let shown = |block: Result<Option<&Block>, RpcFailure>| match (block, full()) {
        (Ok(block), Ok(full)) => json(&block.map(|block| views::block(block, full))),
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    };
    let counted =
        |block: Result<Option<&Block>, RpcFailure>| json(&block?.map(|block| U64::from(count(&block.txs))));
    Some(match method {
        "eth_getBlockByNumber" => shown(by_number()),
        "eth_getBlockByHash" => shown(by_hash()),
        "eth_getBlockTransactionCountByNumber" => counted(by_number()),
        "eth_getBlockTransactionCountByHash" => counted(by_hash()),
        "eth_getBlockReceipts" => by_number().and_then(|block| json(&block.map(views::receipts))),
        "eth_getTransactionByHash" => params.get::<B256>(0).and_then(|hash| {
            json(&node.chain.transaction(&hash).and_then(|(block, index)| views::transaction(block, index)))
        }),
        "eth_getTransactionReceipt" => params.get::<B256>(0).and_then(|hash| {
            json(&node.chain.transaction(&hash).and_then(|(block, index)| views::receipt(block, index)))
        }),
        _ => return None,
    })
}

/// Methods that move time, seal blocks and take them back, by the names that anvil and hardhat gave them.
fn control(node: &mut Node, method: &str, params: &Params) -> Option<Answer> {
    let answer = match method {
        "evm_increaseTime" | "anvil_increaseTime" => params.number(0).and_then(|seconds| {
            node.chain.increase_time(seconds);
            json(&seconds)
        }),
        "evm_setNextBlockTimestamp" | "anvil_setNextBlockTimestamp" => params
            .number(0)
            .and_then(|seconds| node.chain.set_next_timestamp(seconds))
            .and_then(|()| json(&())),
        "evm_mine" => node.seal(Vec::new()).and_then(|()| json(&"0x0")),
        "anvil_mine" | "hardhat_mine" => mine(node, params),
        "anvil_setBalance" | "hardhat_setBalance" => params
            .get(0)
            .and_then(|address| node.set_balance(address, params.get(1)?))
            .and_then(|()| json(&())),
        "anvil_reorg" => reorg(node, params).and_then(|()| json(&())),
        _ => return None,
    };
    Some(answer)
}

fn mine(node: &mut Node, params: &Params) -> Answer {
    let blocks = if params.0.is_empty() { 1 } else { params.number(0)? };
    if blocks > MAX_BLOCKS {
        return Err(RpcFailure::too_much(format!("{blocks} blocks; ask for at most {MAX_BLOCKS} at once")));
    }
    for _ in 0..blocks {
        node.seal(Vec::new())?;
    }
    json(&())
}

/// Either `[depth, pairs]` or, as anvil has it, `[{depth, txBlockPairs}]`; a pair is a raw transaction and the offset of its block.
fn reorg(node: &mut Node, params: &Params) -> Result<(), RpcFailure> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Options {
        depth: u64,
        #[serde(default)]
        tx_block_pairs: Vec<(Bytes, u64)>,
    }
    let Options { depth, tx_block_pairs } = match params.0.first() {
        Some(Value::Object(_)) => params.get(0)?,
        _ => Options { depth: params.number(0)?, tx_block_pairs: params.optional(1)?.unwrap_or_default() },
    };
    if depth > MAX_BLOCKS {
        return Err(RpcFailure::too_much(format!("{depth} blocks; ask for at most {MAX_BLOCKS} at once")));
    }
    let txs: Vec<_> = tx_block_pairs.into_iter().map(|(raw, at)| (raw.to_vec(), at)).collect();
    node.reorg(depth, &txs)
}

/// The number a block id names; `None` is the block to come.
fn number(node: &Node, block: BlockId) -> Result<Option<u64>, RpcFailure> {
    let height = node.chain.height();
    match block {
        BlockId::Hash(RpcBlockHash { block_hash, .. }) => node
            .chain
            .block_by_hash(&block_hash)
            .map(|block| Some(block.header.number))
            .ok_or_else(|| RpcFailure::rejected(format!("block {block_hash} not found"))),
        BlockId::Number(BlockNumberOrTag::Pending) => Ok(None),
        BlockId::Number(BlockNumberOrTag::Earliest) => Ok(Some(0)),
        // The only node there is never changes its mind by itself.
        BlockId::Number(BlockNumberOrTag::Latest | BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized) => {
            Ok(Some(height))
        }
        BlockId::Number(BlockNumberOrTag::Number(number)) => Ok(Some(number)),
    }
}

/// Positional parameters.
struct Params(Vec<Value>);

impl Params {
    fn parse(text: &str) -> Result<Self, RpcFailure> {
        match serde_json::from_str(text) {
            Ok(Value::Array(values)) => Ok(Self(values)),
            Ok(Value::Null) => Ok(Self(Vec::new())),
            _ => Err(RpcFailure::invalid("the parameters are not a list")),
        }
    }

    fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, RpcFailure> {
        let value =
            self.0.get(index).ok_or_else(|| RpcFailure::invalid(format!("parameter {index} is missing")))?;
        T::deserialize(value).map_err(|error| RpcFailure::invalid(format!("parameter {index}: {error}")))
    }

    fn optional<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, RpcFailure> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.get(index).map(Some),
        }
    }

    /// A number as a JSON number or as a hexadecimal quantity: test tools send both.
    fn number(&self, index: usize) -> Result<u64, RpcFailure> {
        match self.0.get(index).and_then(Value::as_u64) {
            Some(number) => Ok(number),
            None => self.get::<U64>(index).map(|number| number.to()),
        }
    }

    fn block(&self, index: usize) -> Result<BlockId, RpcFailure> {
        Ok(self.optional(index)?.unwrap_or(BlockId::latest()))
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Answer {
    to_raw_value(value).map_err(|error| RpcFailure {
        code: -32603,
        message: format!("the answer cannot be written as JSON: {error}"),
        data: None,
    })
}
