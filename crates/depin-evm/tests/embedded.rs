//! The embedded chain as alloy and other clients see it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod common;

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEnvelope, TxLegacy},
    eips::{BlockId, eip2718::Encodable2718},
    network::{EthereumWallet, TransactionBuilder, TxSignerSync},
    primitives::{Address, B256, Bytes, TxKind, U64, U256, keccak256},
    providers::{DynProvider, Provider},
    rpc::types::{Filter, TransactionRequest},
    transports::TransportError,
};
use common::{GENESIS, Network, Stage, ether, key};
use depin_core::Epoch;
use depin_evm::embedded::{Clock, Config, EMBEDDED_CHAIN_ID, EmbeddedChain};
use serde_json::{Value, json};

fn config() -> Config {
    Config { accounts: vec![(key(1).address(), ether(100))], ..common::config() }
}

fn chain() -> (EmbeddedChain, DynProvider) {
    let chain = EmbeddedChain::open(None, &config()).unwrap();
    let provider = chain.reader();
    (chain, provider)
}

/// A raw transfer with gas to spare.
fn transfer(nonce: u64, value: u64) -> Bytes {
    signed(1, TxEip1559 { nonce, value: U256::from(value), ..eip1559() })
}

fn eip1559() -> TxEip1559 {
    TxEip1559 {
        chain_id: EMBEDDED_CHAIN_ID,
        gas_limit: 50_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(Address::repeat_byte(7)),
        ..TxEip1559::default()
    }
}

fn signed<T: SignableTransaction<alloy::primitives::Signature>>(byte: u8, mut tx: T) -> Bytes
where
    TxEnvelope: From<alloy::consensus::Signed<T>>,
{
    let signature = key(byte).sign_transaction_sync(&mut tx).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

async fn send(provider: &DynProvider, raw: &Bytes) -> Result<B256, TransportError> {
    provider.raw_request("eth_sendRawTransaction".into(), [raw.clone()]).await
}

async fn refusal(provider: &DynProvider, raw: &Bytes) -> (i64, String) {
    let error = send(provider, raw).await.unwrap_err();
    let payload = error.as_error_resp().unwrap();
    (payload.code, payload.message.to_string())
}

#[tokio::test]
async fn alloys_fillers_send_over_the_embedded_chain() {
    let (chain, _) = chain();
    let provider = chain.provider(EthereumWallet::from(key(1)));
    let to = Address::repeat_byte(7);
    let request = TransactionRequest::default().with_to(to).with_value(U256::from(5));
    let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.gas_used, 21_000);
    assert_eq!(provider.get_balance(to).await.unwrap(), U256::from(5));
    assert_eq!(provider.get_block_number().await.unwrap(), 1);
    let block = provider.get_block_by_number(1.into()).full().await.unwrap().unwrap();
    assert_eq!(block.header.hash, block.header.inner.hash_slow());
    assert_eq!(receipt.block_hash, Some(block.header.hash));
    assert!(block.header.inner.transaction_root_matches(&block));
}

/// The header's transaction root, computed from the transactions a block shows.
trait RootCheck {
    fn transaction_root_matches(&self, block: &alloy::rpc::types::Block) -> bool;
}

impl RootCheck for alloy::consensus::Header {
    fn transaction_root_matches(&self, block: &alloy::rpc::types::Block) -> bool {
        let txs: Vec<_> = block.transactions.txns().map(|tx| tx.inner.inner().clone()).collect();
        alloy::consensus::proofs::calculate_transaction_root(&txs) == self.transactions_root
    }
}

#[tokio::test]
async fn legacy_eip2930_and_eip1559_transactions_are_taken() {
    let (_, provider) = chain();
    let to = TxKind::Call(Address::repeat_byte(7));
    let gas_price = 10_000_000_000;
    let legacy = TxLegacy {
        chain_id: Some(EMBEDDED_CHAIN_ID),
        gas_price,
        gas_limit: 50_000,
        to,
        ..TxLegacy::default()
    };
    let eip2930 = TxEip2930 {
        chain_id: EMBEDDED_CHAIN_ID,
        nonce: 1,
        gas_price,
        gas_limit: 50_000,
        to,
        ..TxEip2930::default()
    };
    for (raw, kind) in [(signed(1, legacy), 0), (signed(1, eip2930), 1), (transfer(2, 1), 2)] {
        let hash = send(&provider, &raw).await.unwrap();
        assert_eq!(hash, keccak256(&raw));
        let receipt = provider.get_transaction_receipt(hash).await.unwrap().unwrap();
        assert_eq!(u8::from(receipt.inner.tx_type()), kind);
        let shown = provider.get_transaction_by_hash(hash).await.unwrap().unwrap();
        assert_eq!(shown.inner.inner().encoded_2718(), raw.to_vec());
        assert_eq!(shown.inner.signer(), key(1).address());
    }
}

#[tokio::test]
async fn what_a_chain_refuses_is_refused_with_the_usual_words() {
    let (_, provider) = chain();
    send(&provider, &transfer(0, 1)).await.unwrap();
    let unprotected = TxLegacy { gas_limit: 50_000, gas_price: 10_000_000_000, ..TxLegacy::default() };
    let cases = [
        (transfer(0, 1), "already known"),
        (transfer(0, 2), "nonce too low"),
        (transfer(5, 1), "nonce too high"),
        (signed(1, TxEip1559 { nonce: 1, chain_id: 1, ..eip1559() }), "invalid chain id"),
        (signed(1, TxEip1559 { nonce: 1, gas_limit: 20_000, ..eip1559() }), "intrinsic gas too low"),
        (signed(1, TxEip1559 { nonce: 1, gas_limit: 30_000_001, ..eip1559() }), "exceeds block gas limit"),
        (
            signed(1, TxEip1559 { nonce: 1, max_fee_per_gas: 1, max_priority_fee_per_gas: 1, ..eip1559() }),
            "max fee per gas less than block base fee",
        ),
        (signed(2, eip1559()), "insufficient funds"),
        (signed(1, TxEip1559 { nonce: 1, value: ether(1_000), ..eip1559() }), "insufficient funds"),
        (signed(1, unprotected), "replay-protected"),
        (Bytes::from_static(b"\x02\xc0"), "not a signed transaction"),
        (Bytes::from(vec![0; 200_000]), "oversized data"),
    ];
    for (raw, words) in cases {
        let (code, message) = refusal(&provider, &raw).await;
        assert_eq!(code, -32000, "{message}");
        assert!(message.contains(words), "{message:?} does not contain {words:?}");
    }
    assert_eq!(provider.get_block_number().await.unwrap(), 1, "a refused transaction makes no block");
}

#[tokio::test]
async fn a_flipped_bit_of_a_transaction_never_spends_its_senders_money() {
    let raw = transfer(0, 1);
    for bit in 0..raw.len() * 8 {
        let (_, provider) = chain();
        let mut flipped = raw.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = send(&provider, &flipped.into()).await;
        let nonce = provider.get_transaction_count(key(1).address()).await.unwrap();
        assert_eq!(nonce, 0, "bit {bit}");
    }
    for len in 0..raw.len() {
        let (_, provider) = chain();
        assert!(send(&provider, &raw.slice(..len)).await.is_err());
    }
}

#[tokio::test]
async fn the_same_transactions_at_the_same_times_give_the_same_hashes() {
    let mut hashes = Vec::new();
    for _ in 0..2 {
        let (chain, provider) = chain();
        for nonce in 0..5 {
            chain.set_time(GENESIS + nonce * 10);
            send(&provider, &transfer(nonce, nonce)).await.unwrap();
        }
        let tip = provider.get_block_by_number(5.into()).await.unwrap().unwrap();
        assert_eq!(tip.header.timestamp, GENESIS + 40);
        hashes.push(tip.header.hash);
    }
    assert_eq!(hashes[0], hashes[1]);
    let (other, provider) = chain();
    other.set_time(GENESIS + 1);
    send(&provider, &transfer(0, 0)).await.unwrap();
    assert_ne!(provider.get_block_by_number(1.into()).await.unwrap().unwrap().header.hash, hashes[0]);
    let funded = Config { accounts: vec![(key(1).address(), ether(99))], ..config() };
    assert_ne!(EmbeddedChain::open(None, &funded).unwrap().genesis_hash(), other.genesis_hash());
}

#[tokio::test]
async fn past_states_are_read_and_taken_back() {
    let (_, provider) = chain();
    let to = Address::repeat_byte(7);
    for nonce in 0..4 {
        send(&provider, &transfer(nonce, 1 << nonce)).await.unwrap();
    }
    let balance_at = |block: u64| {
        let provider = provider.clone();
        async move { provider.get_balance(to).block_id(block.into()).await.unwrap() }
    };
    for (block, balance) in [(0, 0u64), (1, 1), (2, 3), (3, 7), (4, 15)] {
        assert_eq!(balance_at(block).await, U256::from(balance));
    }
    assert!(provider.get_balance(to).block_id(5u64.into()).await.is_err(), "no state of a block to come");
    let by_hash = provider.get_block_by_number(2.into()).await.unwrap().unwrap().header.hash;
    let then = provider.get_balance(to).block_id(BlockId::from(by_hash)).await.unwrap();
    assert_eq!(then, U256::from(3));

    // Three blocks are replaced; the second of the new ones takes a transaction along.
    let kept = provider.get_block_by_number(1.into()).await.unwrap().unwrap().header;
    let pairs = json!([[transfer(1, 100), 1]]);
    let _: Value = provider.raw_request("anvil_reorg".into(), json!([3, pairs])).await.unwrap();
    assert_eq!(provider.get_block_number().await.unwrap(), 4);
    assert_eq!(provider.get_block_by_number(1.into()).await.unwrap().unwrap().header, kept);
    for (block, balance) in [(1, 1u64), (2, 1), (3, 101), (4, 101)] {
        assert_eq!(balance_at(block).await, U256::from(balance));
    }
    assert_eq!(provider.get_transaction_count(key(1).address()).await.unwrap(), 2);
    assert!(provider.get_block_by_hash(by_hash).await.unwrap().is_none());
    let gone = keccak256(transfer(3, 8));
    assert!(provider.get_transaction_receipt(gone).await.unwrap().is_none());
    // An empty block that replaces an empty one at the same time is another block all the same.
    let before = provider.get_block_by_number(4.into()).await.unwrap().unwrap().header;
    let _: Value = provider.raw_request("anvil_reorg".into(), json!([1, []])).await.unwrap();
    let after = provider.get_block_by_number(4.into()).await.unwrap().unwrap().header;
    assert_eq!((before.timestamp, before.state_root), (after.timestamp, after.state_root));
    assert_ne!(before.hash, after.hash);
    let too_deep: Result<Value, _> = provider.raw_request("anvil_reorg".into(), json!([5, []])).await;
    assert!(too_deep.is_err());
}

#[tokio::test]
async fn a_test_balance_survives_a_refused_transaction_and_goes_with_its_block() {
    let (_, provider) = chain();
    let rich = key(5).address();
    let _: Value = provider.raw_request("anvil_setBalance".into(), json!([rich, ether(3)])).await.unwrap();
    assert!(send(&provider, &transfer(9, 0)).await.is_err());
    assert_eq!(provider.get_balance(rich).await.unwrap(), ether(3));
    send(&provider, &transfer(0, 0)).await.unwrap();
    assert_eq!(provider.get_balance(rich).await.unwrap(), ether(3));
    let _: Value = provider.raw_request("anvil_reorg".into(), json!([1, []])).await.unwrap();
    assert_eq!(provider.get_balance(rich).await.unwrap(), U256::ZERO);
}

#[tokio::test]
async fn fee_history_and_estimates_are_what_fee_fillers_expect() {
    let (_, provider) = chain();
    for nonce in 0..3 {
        send(&provider, &transfer(nonce, 0)).await.unwrap();
    }
    let history = provider.get_fee_history(10, Default::default(), &[10.0, 90.0]).await.unwrap();
    assert_eq!(history.oldest_block, 0);
    assert_eq!(history.base_fee_per_gas.len(), 5);
    assert_eq!(history.gas_used_ratio.len(), 4);
    assert!((history.gas_used_ratio[1] - 0.0007).abs() < 1e-9);
    assert!(history.reward.unwrap().iter().all(|block| block.len() == 2));
    for pair in history.base_fee_per_gas.windows(2) {
        assert!(pair[1] < pair[0], "nearly empty blocks make the next one cheaper");
    }
    let next = provider.get_block_by_number(3.into()).await.unwrap().unwrap();
    assert_eq!(
        history.base_fee_per_gas[4],
        u128::from(next.header.next_block_base_fee(alloy::eips::eip1559::BaseFeeParams::ethereum()).unwrap())
    );
    let estimate = provider
        .estimate_gas(TransactionRequest::default().with_from(key(1).address()).with_to(Address::ZERO))
        .await
        .unwrap();
    assert_eq!(estimate, 21_000);
    let beyond: Result<Value, _> =
        provider.raw_request("eth_feeHistory".into(), json!(["0x1", "0x9", []])).await;
    assert!(beyond.is_err());
}

#[tokio::test]
async fn an_estimate_is_enough_and_hardly_more_than_that() {
    let stage = Stage::embedded().await.unwrap();
    let network = Network::on(&stage).await;
    network.pay(10_000).await;
    stage.reach(network.config.genesis).await;
    let ledger = network.ledger(&network.operator);
    let request =
        ledger.contract().startEpoch().into_transaction_request().with_from(network.operator.address());
    let provider = stage.client.provider();
    let estimate = provider.estimate_gas(request.clone()).await.unwrap();
    let with = |gas| provider.call(request.clone().with_gas_limit(gas));
    assert!(with(estimate).await.is_ok());
    assert!(with(estimate - estimate / 50).await.is_err());
    let receipt = network.operator.send(request).await.unwrap();
    assert!(receipt.gas_used <= estimate);
}

#[tokio::test]
async fn logs_are_found_by_address_topics_range_and_block() {
    let stage = Stage::embedded().await.unwrap();
    let network = Network::on(&stage).await;
    network.pay(500).await;
    network.run_epoch(&stage, Epoch(0)).await;
    let provider = stage.client.provider();
    let count = |filter: Filter| async move { provider.get_logs(&filter).await.unwrap().len() };
    let all = Filter::new().from_block(0);
    let every = provider.get_logs(&all).await.unwrap();
    let token = network.deployment.token;
    let transfers = keccak256("Transfer(address,address,uint256)");
    let expected = |address: Option<Address>, topic: Option<B256>| {
        every
            .iter()
            .filter(|log| address.is_none_or(|address| log.address() == address))
            .filter(|log| topic.is_none_or(|topic| log.topic0() == Some(&topic)))
            .count()
    };
    assert_eq!(count(all.clone().address(token)).await, expected(Some(token), None));
    assert_eq!(count(all.clone().event_signature(transfers)).await, expected(None, Some(transfers)));
    let either =
        all.clone().event_signature(vec![transfers, keccak256("Paid(address,address,uint256,uint256)")]);
    assert_eq!(count(either).await, expected(None, Some(transfers)) + 1);
    let customer = network.customer.address().into_word();
    let from_customer = every
        .iter()
        .filter(|log| log.topic0() == Some(&transfers) && log.topics().get(1) == Some(&customer))
        .count();
    assert!(from_customer > 0);
    assert_eq!(count(all.clone().event_signature(transfers).topic1(customer)).await, from_customer);
    assert_eq!(count(all.clone().address(Address::ZERO)).await, 0);
    let last = every.last().unwrap();
    let in_block = every.iter().filter(|log| log.block_hash == last.block_hash).count();
    assert_eq!(count(Filter::new().at_block_hash(last.block_hash.unwrap())).await, in_block);
    for (index, log) in every.iter().filter(|log| log.block_hash == last.block_hash).enumerate() {
        assert_eq!(log.log_index, Some(u64::try_from(index).unwrap()));
    }
    assert!(provider.get_logs(&Filter::new().at_block_hash(B256::ZERO)).await.is_err());
    assert!(provider.get_logs(&Filter::new().from_block(9).to_block(3)).await.is_err());
    let far = Filter::new().from_block(0).to_block(u64::MAX);
    assert_eq!(count(far).await, every.len());
}

#[tokio::test]
async fn time_moves_as_the_clock_and_the_test_methods_say() {
    let (chain, provider) = chain();
    let tip = || async { provider.get_block_by_number(Default::default()).await.unwrap().unwrap().header };
    chain.mine().unwrap();
    assert_eq!(tip().await.timestamp, GENESIS);
    let _: Value = provider.raw_request("evm_increaseTime".into(), json!([30])).await.unwrap();
    let _: Value = provider.raw_request("evm_mine".into(), json!([])).await.unwrap();
    assert_eq!(tip().await.timestamp, GENESIS + 30);
    let set: Result<Value, _> =
        provider.raw_request("evm_setNextBlockTimestamp".into(), json!([GENESIS + 29])).await;
    assert!(set.is_err(), "time does not go back");
    let set = json!([U64::from(GENESIS + 100)]);
    let _: Value = provider.raw_request("evm_setNextBlockTimestamp".into(), set).await.unwrap();
    let _: Value = provider.raw_request("anvil_mine".into(), json!([3])).await.unwrap();
    assert_eq!((tip().await.timestamp, tip().await.number), (GENESIS + 100, 5));
    chain.set_time(GENESIS);
    chain.mine().unwrap();
    assert_eq!(tip().await.timestamp, GENESIS + 100);
    let many: Result<Value, _> = provider.raw_request("anvil_mine".into(), json!([1_000_000])).await;
    assert!(many.is_err());

    let wall = Config { genesis_time: None, clock: Clock::Wall, ..config() };
    let wall = EmbeddedChain::open(None, &wall).unwrap();
    wall.mine().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let block = wall.reader().get_block_by_number(1.into()).await.unwrap().unwrap();
    assert!(now - block.header.timestamp < 5);
}

#[tokio::test]
async fn unknown_methods_and_bad_parameters_have_their_codes() {
    let (_, provider) = chain();
    let code = |method: &'static str, params: Value| {
        let provider = provider.clone();
        async move {
            let error = provider.raw_request::<_, Value>(method.into(), params).await.unwrap_err();
            error.as_error_resp().unwrap().code
        }
    };
    assert_eq!(code("eth_mining_nothing", json!([])).await, -32601);
    assert_eq!(code("eth_getBalance", json!([])).await, -32602);
    assert_eq!(code("eth_getBalance", json!(["0x12"])).await, -32602);
    assert_eq!(code("eth_getBlockByNumber", json!(["yesterday", false])).await, -32602);
    assert_eq!(code("eth_sendRawTransaction", json!(["zz"])).await, -32602);
    assert_eq!(code("eth_call", json!({"to": 1})).await, -32602);
    let version: String = provider.raw_request("net_version".into(), ()).await.unwrap();
    assert_eq!(version, EMBEDDED_CHAIN_ID.to_string());
    assert_eq!(provider.get_chain_id().await.unwrap(), EMBEDDED_CHAIN_ID);
}
