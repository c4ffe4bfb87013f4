//! Running a transaction in the EVM.

use alloy::{
    consensus::{Transaction, TxEnvelope, transaction::Recovered},
    network::TransactionBuilder,
    primitives::{B256, U256},
    rpc::types::TransactionRequest,
};
use revm::{
    Context, Database, ExecuteEvm, MainBuilder, MainContext,
    context::{BlockEnv, TxEnv, result::EVMError},
    context_interface::{
        block::BlobExcessGasAndPrice,
        result::{ExecResultAndState, ExecutionResult, InvalidTransaction},
    },
    primitives::{TxKind, eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE, hardfork::SpecId},
};

use super::{failure::RpcFailure, state::View};

/// The rules: Prague, which the large L2s follow as well.
pub(super) const SPEC: SpecId = SpecId::PRAGUE;

/// Gas limit of a block, and so of a transaction and of a call.
pub(super) const BLOCK_GAS_LIMIT: u64 = 30_000_000;

/// What a transaction did.
pub(super) type Executed = ExecResultAndState<ExecutionResult>;

/// The block a transaction runs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockContext {
    pub(super) number: u64,
    pub(super) timestamp: u64,
    pub(super) base_fee: u64,
    pub(super) prev_randao: B256,
}

impl BlockContext {
    fn env(self) -> BlockEnv {
        BlockEnv {
            number: U256::from(self.number),
            timestamp: U256::from(self.timestamp),
            gas_limit: BLOCK_GAS_LIMIT,
            basefee: self.base_fee,
            prevrandao: Some(self.prev_randao),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(
                0,
                BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE,
            )),
            ..BlockEnv::default()
        }
    }
}

/// Runs a signed transaction with every check a chain makes.
pub(super) fn execute(
    view: View<'_>,
    block: BlockContext,
    chain_id: u64,
    tx: &Recovered<TxEnvelope>,
) -> Result<Executed, RpcFailure> {
    let env = TxEnv {
        tx_type: u8::from(tx.tx_type()),
        caller: tx.signer(),
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        ..TxEnv::default()
    };
    run(view, block, chain_id, env, false).map_err(|error| refusal(error, tx, block))
}

/// Runs a call: no signature, no nonce, no fee unless a gas price is named.
pub(super) fn call(
    view: View<'_>,
    block: BlockContext,
    chain_id: u64,
    request: &TransactionRequest,
    gas_limit: u64,
) -> Result<ExecutionResult, RpcFailure> {
    let price = request.max_fee_per_gas.or(request.gas_price).unwrap_or_default();
    let env = TxEnv {
        tx_type: if request.max_fee_per_gas.is_some() { 2 } else { 0 },
        caller: request.from.unwrap_or_default(),
        gas_limit,
        gas_price: price,
        gas_priority_fee: request.max_fee_per_gas.and(request.max_priority_fee_per_gas),
        kind: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        data: request.input().cloned().unwrap_or_default(),
        nonce: 0,
        chain_id: None,
        access_list: request.access_list.clone().unwrap_or_default(),
        ..TxEnv::default()
    };
    run(view, block, chain_id, env, true)
        .map(|executed| executed.result)
        .map_err(|error| RpcFailure::rejected(error.to_string()))
}

fn run(
    view: View<'_>,
    block: BlockContext,
    chain_id: u64,
    tx: TxEnv,
    is_call: bool,
) -> Result<Executed, EVMError<<View<'static> as Database>::Error>> {
    let free = is_call && tx.gas_price == 0;
    let mut evm = Context::mainnet()
        .modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SPEC);
            cfg.chain_id = chain_id;
            cfg.tx_chain_id_check = !is_call;
            cfg.disable_nonce_check = is_call;
            cfg.disable_eip3607 = is_call;
            cfg.disable_base_fee = free;
        })
        .with_block(block.env())
        .with_db(view)
        .build_mainnet();
    evm.transact(tx)
}

/// A refusal in the words that wallets look for: those of go-ethereum.
fn refusal(
    error: EVMError<std::convert::Infallible>,
    tx: &Recovered<TxEnvelope>,
    block: BlockContext,
) -> RpcFailure {
    let EVMError::Transaction(error) = error else { return RpcFailure::rejected(error.to_string()) };
    let from = tx.signer();
    RpcFailure::rejected(match error {
        InvalidTransaction::NonceTooLow { tx, state } => {
            format!("nonce too low: address {from}, tx: {tx} state: {state}")
        }
        InvalidTransaction::NonceTooHigh { tx, state } => {
            format!(
                "nonce too high: address {from}, tx: {tx} state: {state}; send the missing transactions first"
            )
        }
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            format!(
                "insufficient funds for gas * price + value: address {from} have {balance} want {fee}; fund it first"
            )
        }
        InvalidTransaction::GasPriceLessThanBasefee => format!(
            "max fee per gas less than block base fee: address {from}, maxFeePerGas: {}, baseFee: {}",
            tx.max_fee_per_gas(),
            block.base_fee
        ),
        InvalidTransaction::CallerGasLimitMoreThanBlock => {
            format!("exceeds block gas limit: {} of {BLOCK_GAS_LIMIT}", tx.gas_limit())
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
        }
        InvalidTransaction::InvalidChainId => {
            format!("invalid chain id for signer: have {:?}", tx.chain_id())
        }
        other => other.to_string(),
    })
}
