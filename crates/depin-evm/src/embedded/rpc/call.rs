//! Calls without a transaction, and what a transaction would cost.

use alloy::{
    eips::BlockId,
    primitives::{Bytes, U64, U256},
    rpc::types::TransactionRequest,
};
use revm::context_interface::result::ExecutionResult;

use super::{Answer, json, number};
use crate::embedded::{
    exec::{self, BLOCK_GAS_LIMIT},
    failure::RpcFailure,
    node::Node,
};

pub(super) fn call(node: &Node, request: &TransactionRequest, block: BlockId) -> Answer {
    let gas = request.gas.unwrap_or(BLOCK_GAS_LIMIT).min(BLOCK_GAS_LIMIT);
    match run(node, request, block, gas)? {
        ExecutionResult::Success { output, .. } => json(output.data()),
        failed => Err(failure(failed)),
    }
}

/// The least gas with which the call succeeds, within 1.5 %, as go-ethereum searches it.
pub(super) fn estimate(node: &Node, request: TransactionRequest, block: BlockId) -> Answer {
    let mut high = request.gas.unwrap_or(BLOCK_GAS_LIMIT).min(BLOCK_GAS_LIMIT);
    if let Some(affordable) = affordable(node, &request, block)? {
        high = high.min(affordable);
    }
    let first = run(node, &request, block, high)?;
    let ExecutionResult::Success { gas, .. } = &first else { return Err(failure(first)) };
    let used = gas.tx_gas_used();
    if succeeds(node, &request, block, used) {
        return json(&U64::from(used));
    }
    let mut low = used;
    // A call may pass on only 63/64 of its gas (EIP-150) and needs what is refunded later: mostly this is enough.
    let likely = gas.total_gas_spent().saturating_add(2300).saturating_mul(64).div_ceil(63);
    if likely < high {
        if succeeds(node, &request, block, likely) { high = likely } else { low = likely }
    }
    while low.saturating_add(1) < high
        && high.saturating_sub(low).saturating_mul(1000) > high.saturating_mul(15)
    {
        let middle = low.midpoint(high).min(low.saturating_mul(2).max(1));
        if succeeds(node, &request, block, middle) { high = middle } else { low = middle }
    }
    json(&U64::from(high))
}

fn succeeds(node: &Node, request: &TransactionRequest, block: BlockId, gas: u64) -> bool {
    run(node, request, block, gas).is_ok_and(|result| result.is_success())
}

fn run(
    node: &Node,
    request: &TransactionRequest,
    block: BlockId,
    gas: u64,
) -> Result<ExecutionResult, RpcFailure> {
    let number = number(node, block)?;
    let view = node.chain.view(number.unwrap_or(node.chain.height()))?;
    exec::call(view, node.chain.context(number), node.chain.chain_id, request, gas)
}

/// How much gas the sender can pay for, when the request names a price.
fn affordable(node: &Node, request: &TransactionRequest, block: BlockId) -> Result<Option<u64>, RpcFailure> {
    let price = U256::from(request.max_fee_per_gas.or(request.gas_price).unwrap_or_default());
    let Some(from) = request.from.filter(|_| !price.is_zero()) else { return Ok(None) };
    let view = node.chain.view(number(node, block)?.unwrap_or(node.chain.height()))?;
    let balance = view.account(&from).map(|account| account.balance).unwrap_or_default();
    let spendable = balance.saturating_sub(request.value.unwrap_or_default());
    let gas = spendable.checked_div(price).unwrap_or_default();
    Ok(Some(u64::try_from(gas).unwrap_or(u64::MAX)))
}

fn failure(result: ExecutionResult) -> RpcFailure {
    match result {
        ExecutionResult::Revert { output, .. } => RpcFailure::reverted(output),
        ExecutionResult::Halt { reason, .. } => RpcFailure::rejected(format!("execution halted: {reason:?}")),
        ExecutionResult::Success { .. } => RpcFailure::reverted(Bytes::new()),
    }
}
