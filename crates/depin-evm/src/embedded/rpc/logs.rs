//! Searching logs.

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    rpc::types::{Filter, FilterBlockOption, Log},
};

use super::{Answer, json, number, views};
use crate::embedded::{chain::Block, failure::RpcFailure, node::Node};

/// Most blocks one search covers.
const MAX_RANGE: u64 = 100_000;
/// Most logs one answer holds.
const MAX_LOGS: usize = 10_000;

pub(super) fn find(node: &Node, filter: &Filter) -> Answer {
    let blocks: Vec<&Block> = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let block = node.chain.block_by_hash(&hash);
            vec![block.ok_or_else(|| RpcFailure::rejected(format!("block {hash} not found")))?]
        }
        FilterBlockOption::Range { from_block, to_block } => range(node, from_block, to_block)?,
    };
    let mut found: Vec<Log> = Vec::new();
    for block in blocks {
        if !filter.matches_bloom(block.header.logs_bloom) {
            continue;
        }
        for (index, log_index, mined, log) in block.logs() {
            if filter.matches(log) {
                found.push(views::log(block, index, log_index, mined, log));
            }
        }
        if found.len() > MAX_LOGS {
            return Err(RpcFailure::too_much(format!(
                "query returned more than {MAX_LOGS} results; ask for fewer blocks"
            )));
        }
    }
    json(&found)
}

fn range(
    node: &Node,
    from: Option<BlockNumberOrTag>,
    to: Option<BlockNumberOrTag>,
) -> Result<Vec<&Block>, RpcFailure> {
    let height = node.chain.height();
    let at = |tag: Option<BlockNumberOrTag>| {
        number(node, BlockId::Number(tag.unwrap_or_default())).map(|number| number.unwrap_or(height))
    };
    let (from, to) = (at(from)?, at(to)?);
    if from > to {
        return Err(RpcFailure::invalid(format!("invalid block range: from {from} to {to}")));
    }
    let to = to.min(height);
    if to.saturating_sub(from) >= MAX_RANGE {
        return Err(RpcFailure::too_much(format!("the range {from} to {to} exceeds {MAX_RANGE} blocks")));
    }
    Ok((from..=to).filter_map(|number| node.chain.block(number)).collect())
}
