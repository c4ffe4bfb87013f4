//! A node that lies, and one that treats transactions badly: the embedded chain with some of its answers changed on the way.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod common;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, U256},
    providers::{Provider, ProviderBuilder},
    rpc::{
        client::RpcClient,
        json_rpc::{ErrorPayload, RequestPacket, ResponsePacket, ResponsePayload},
        types::TransactionRequest,
    },
    signers::SignerSync,
    transports::{TransportError, TransportFut},
};
use common::{Network, Stage, ether, key};
use depin_core::{DeviceId, Epoch, Timestamp};
use depin_evm::{
    Client, Deployment, EventsError, EvmRegistry, HeaderError, Options, SendError,
    contracts::{Reverted, RewardDistributor},
    embedded::{Config, EmbeddedChain},
    events,
};
use depin_identity::{Action, Binding, DeviceRegistry, OwnerSignature, SignedBinding, SoftwareKey};
use serde_json::{Value, json, value::to_raw_value};
use tower::Service;

/// What a node does to an answer.
type Lie = fn(&mut Value);

/// Changes the n-th answer to a method, from 0, or replaces it by an error.
type Edit = Arc<dyn Fn(usize, Value) -> Result<Value, ErrorPayload> + Send + Sync>;

#[derive(Clone)]
struct Tamper {
    inner: EmbeddedChain,
    method: &'static str,
    edit: Edit,
    counts: Arc<Mutex<HashMap<String, usize>>>,
}

impl Tamper {
    fn client(
        inner: &EmbeddedChain,
        options: Options,
        method: &'static str,
        edit: impl Fn(usize, Value) -> Result<Value, ErrorPayload> + Send + Sync + 'static,
    ) -> Client {
        let this = Self { inner: inner.clone(), method, edit: Arc::new(edit), counts: Arc::default() };
        let provider = ProviderBuilder::new().connect_client(RpcClient::new(this, true)).erased();
        Client::new(provider, inner.chain_id(), options)
    }
}

impl Service<RequestPacket> for Tamper {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let mut this = self.clone();
        Box::pin(async move {
            let method = packet.as_single().unwrap().method().to_owned();
            let ResponsePacket::Single(mut response) = this.inner.call(packet).await? else { panic!() };
            if method == this.method {
                let count = {
                    let mut counts = this.counts.lock().unwrap();
                    let count = counts.entry(method).or_default();
                    *count += 1;
                    *count - 1
                };
                let honest = match &response.payload {
                    ResponsePayload::Success(result) => serde_json::from_str(result.get()).unwrap(),
                    ResponsePayload::Failure(_) => Value::Null,
                };
                response.payload = match (this.edit)(count, honest) {
                    Ok(result) => ResponsePayload::Success(to_raw_value(&result).unwrap()),
                    Err(error) => ResponsePayload::Failure(error),
                };
            }
            Ok(ResponsePacket::Single(response))
        })
    }
}

fn refusal(message: &'static str) -> ErrorPayload {
    ErrorPayload { code: -32000, message: message.into(), data: None }
}

/// A network with a few events, and the chain it is on.
async fn network() -> (EmbeddedChain, Deployment, u64) {
    let stage = Stage::embedded().await.unwrap();
    let network = Network::on(&stage).await;
    network.pay(500).await;
    network.pay(600).await;
    network.run_epoch(&stage, Epoch(0)).await;
    let height = stage.height().await;
    let common::Host::Embedded(chain) = stage.host else { panic!() };
    (chain, network.deployment, height)
}

#[tokio::test]
async fn logs_that_do_not_fit_together_are_refused() {
    let (chain, deployment, height) = network().await;
    let honest = events(&chain.client(), &deployment, 0, height).await.unwrap();
    assert_eq!(honest.len(), 3);
    let tampered = |edit: Lie| {
        Tamper::client(&chain, Options::local(), "eth_getLogs", move |_, mut logs| {
            edit(&mut logs);
            Ok(logs)
        })
    };
    let cases: [(&str, Lie); 13] = [
        ("of another contract", |logs| logs[0]["address"] = json!(Address::repeat_byte(9))),
        ("out of order", |logs| logs.as_array_mut().unwrap().reverse()),
        ("out of order", |logs| {
            let twice = logs[1].clone();
            logs.as_array_mut().unwrap().insert(1, twice);
        }),
        ("not asked for", |logs| logs[2]["blockNumber"] = json!("0xffff")),
        ("no place", |logs| logs[0]["blockHash"] = Value::Null),
        ("no place", |logs| logs[0]["logIndex"] = Value::Null),
        ("replaced", |logs| logs[0]["removed"] = json!(true)),
        ("replaced", |logs| logs[0]["blockHash"] = json!(alloy::primitives::B256::repeat_byte(1))),
        ("no such event", |logs| logs[0]["topics"][0] = json!(alloy::primitives::B256::repeat_byte(1))),
        ("no signature", |logs| logs[0]["topics"] = json!([])),
        ("not those of its event", |logs| logs[0]["data"] = json!("0x01")),
        ("not those of its event", |logs| {
            logs[0]["topics"].as_array_mut().unwrap().pop();
        }),
        ("exceeds 128 bits", |logs| logs[0]["data"] = json!(format!("0x{}", "f".repeat(128)))),
    ];
    for (words, edit) in cases {
        let error = events(&tampered(edit), &deployment, 0, height).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error} does not contain {words:?}");
    }
}

#[tokio::test]
async fn a_header_that_is_not_its_hash_is_refused() {
    let (chain, deployment, height) = network().await;
    let tampered = |edit: Lie| {
        Tamper::client(&chain, Options::local(), "eth_getBlockByNumber", move |_, mut block| {
            edit(&mut block);
            Ok(block)
        })
    };
    // Another state root under the true hash, and a whole other block.
    let forged = tampered(|block| block["stateRoot"] = json!(alloy::primitives::B256::repeat_byte(1)));
    let error = events(&forged, &deployment, 0, height).await.unwrap_err();
    assert!(matches!(error, EventsError::Header(HeaderError::Invalid { .. })), "{error}");
    let error = depin_evm::header(&forged, 1).await.unwrap_err();
    assert!(matches!(error, HeaderError::Invalid { .. }), "{error}");
    let gone = tampered(|block| *block = Value::Null);
    let error = depin_evm::header(&gone, 1).await.unwrap_err();
    assert!(matches!(error, HeaderError::Missing { .. }), "{error}");
    let first =
        serde_json::to_value(chain.reader().get_block_by_number(1.into()).await.unwrap().unwrap()).unwrap();
    let other =
        Tamper::client(&chain, Options::local(), "eth_getBlockByNumber", move |_, _| Ok(first.clone()));
    let error = depin_evm::header(&other, 2).await.unwrap_err();
    assert!(error.to_string().contains("another block"), "{error}");
}

#[tokio::test]
async fn a_node_that_does_not_answer_so_much_at_once_is_told_from_one_that_does_not_answer() {
    let (chain, deployment, height) = network().await;
    let says = |code, message: &'static str| {
        Tamper::client(&chain, Options::local(), "eth_getLogs", move |_, _| {
            Err(ErrorPayload { code, message: message.into(), data: None })
        })
    };
    for (code, message) in [(-32005, "query exceeds max results 10000"), (-32602, "block range too wide")] {
        let error = events(&says(code, message), &deployment, 0, height).await.unwrap_err();
        assert!(matches!(&error, EventsError::TooMuch { said } if said.contains(message)), "{error}");
    }
    for (code, message) in [(429, "slow down"), (-32601, "no such method"), (-32000, "rate limit reached")] {
        let error = events(&says(code, message), &deployment, 0, height).await.unwrap_err();
        assert!(matches!(error, EventsError::Unavailable(_)), "{error}");
    }
    assert_eq!(events(&chain.client(), &deployment, 5, 4).await.unwrap(), []);
}

#[tokio::test]
async fn a_node_that_lacks_the_last_block_is_not_believed_that_it_is_empty() {
    let (chain, deployment, height) = network().await;
    let error = events(&chain.client(), &deployment, 0, height + 1).await.unwrap_err();
    assert!(matches!(error, EventsError::Header(HeaderError::Missing { .. })), "{error}");
}

#[tokio::test]
async fn a_devices_record_is_not_read_from_half_its_events_or_anothers() {
    let (chain, deployment, _) = network().await;
    let honest = EvmRegistry::new(chain.client().sender(key(1)), &deployment);
    let born = SoftwareKey::from_seed([1; 32]);
    let binding = Binding {
        action: Action::Register { active: true },
        device: DeviceId(born.public().typed()),
        owner: key(7).address(),
        domain: honest.domain(),
        nonce: 0,
        deadline: u64::MAX,
    };
    let signed = SignedBinding {
        owner_signature: Some(OwnerSignature(
            key(7).sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes(),
        )),
        new_owner_signature: None,
        device_proof: Some(born.signature(&binding.device_proof_message())),
        new_key_proof: None,
        binding,
    };
    let accepted = signed.verify(Timestamp(0), born.public().typed()).unwrap();
    honest.submit(&accepted).await.unwrap();
    assert!(honest.device(&binding.device).await.unwrap().is_some());
    let lies: [(Lie, &str); 5] = [
        (|logs| *logs = json!([]), "tells 0 of them"),
        (|logs| *logs = json!([logs[0], logs[0]]), "out of order"),
        (|logs| logs[0]["topics"][1] = json!(format!("0x{:064x}", 5)), "not that of its key"),
        (|logs| logs[0]["blockHash"] = json!(format!("0x{:064x}", 5)), "not of it"),
        (|logs| logs[0]["address"] = json!(Address::ZERO), "another contract"),
    ];
    for (lie, expected) in lies {
        let lying = Tamper::client(&chain, Options::local(), "eth_getLogs", move |_, mut honest| {
            lie(&mut honest);
            Ok(honest)
        });
        let lying = EvmRegistry::new(lying.sender(key(1)), &deployment);
        let error = lying.device(&binding.device).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// A chain whose account 1 has ether.
fn funded() -> EmbeddedChain {
    let config = Config { accounts: vec![(key(1).address(), ether(1))], ..common::config() };
    EmbeddedChain::open(None, &config).unwrap()
}

fn to_nobody() -> TransactionRequest {
    TransactionRequest::default().with_to(Address::ZERO)
}

#[tokio::test]
async fn a_nonce_that_is_taken_is_asked_for_again() {
    let chain = funded();
    // The node first answers with the nonce of a transaction that another program has just sent.
    let client = Tamper::client(&chain, Options::local(), "eth_getTransactionCount", |count, honest| {
        Ok(if count < 2 { json!("0x0") } else { honest })
    });
    let other = chain.client().sender(key(1));
    other.send(to_nobody()).await.unwrap();
    client.sender(key(1)).send(to_nobody()).await.unwrap();
    assert_eq!(chain.reader().get_transaction_count(key(1).address()).await.unwrap(), 2);
    // And one that never tells gets an end.
    let stale = Tamper::client(&chain, Options::local(), "eth_getTransactionCount", |_, _| Ok(json!("0x0")));
    let error = stale.sender(key(1)).send(to_nobody()).await.unwrap_err();
    assert!(matches!(error, SendError::Displaced { .. }), "{error}");
}

#[tokio::test]
async fn a_transaction_that_is_known_already_is_not_an_error() {
    let chain = funded();
    let client = Tamper::client(&chain, Options::local(), "eth_sendRawTransaction", |_, _| {
        Err(refusal("already known"))
    });
    client.sender(key(1)).send(to_nobody()).await.unwrap();
}

#[tokio::test]
async fn a_transaction_nobody_takes_up_ends_in_time() {
    let chain = funded();
    let options = Options::local().send_timeout(Duration::from_millis(200));
    let client = Tamper::client(&chain, options, "eth_getTransactionReceipt", |_, _| Ok(Value::Null));
    let error = client.sender(key(1)).send(to_nobody()).await.unwrap_err();
    assert!(matches!(error, SendError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn a_transaction_nobody_takes_up_is_sent_again_with_higher_fees() {
    let chain = funded();
    let prices = Arc::new(Mutex::new(Vec::new()));
    // The node swallows two transactions and then takes what comes: the third form of the same one.
    let config = Config { accounts: vec![(key(1).address(), ether(1))], ..common::config() };
    let lossy = Lossy { chain: EmbeddedChain::open(None, &config).unwrap(), prices: prices.clone() };
    let provider = ProviderBuilder::new().connect_client(RpcClient::new(lossy.clone(), true)).erased();
    let options = Options::local().bump_after(Duration::from_millis(60));
    let client = Client::new(provider, chain.chain_id(), options);
    let receipt = client.sender(key(1)).send(to_nobody()).await.unwrap();
    let prices = prices.lock().unwrap().clone();
    assert_eq!(prices.len(), 3);
    for pair in prices.windows(2) {
        assert!(pair[1] >= pair[0] + pair[0] / 10, "{prices:?}");
    }
    assert!(receipt.status());
    assert_eq!(lossy.chain.reader().get_transaction_count(key(1).address()).await.unwrap(), 1);
}

/// Loses the first two transactions it is given.
#[derive(Clone)]
struct Lossy {
    chain: EmbeddedChain,
    prices: Arc<Mutex<Vec<u128>>>,
}

impl Service<RequestPacket> for Lossy {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        use alloy::{
            consensus::{Transaction, TxEnvelope},
            eips::eip2718::Decodable2718,
            primitives::{Bytes, keccak256},
            rpc::json_rpc::Response,
        };
        let request = packet.as_single().unwrap().clone();
        if request.method() != "eth_sendRawTransaction" {
            return self.chain.call(packet);
        }
        let [raw]: [Bytes; 1] = serde_json::from_str(request.params().unwrap().get()).unwrap();
        let tx = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
        let mut prices = self.prices.lock().unwrap();
        prices.push(tx.max_fee_per_gas());
        if prices.len() > 2 {
            return self.chain.call(packet);
        }
        let payload = ResponsePayload::Success(to_raw_value(&keccak256(&raw)).unwrap());
        let response = ResponsePacket::Single(Response { id: request.id().clone(), payload });
        Box::pin(async move { Ok(response) })
    }
}

#[tokio::test]
async fn a_failure_inside_a_block_is_told_with_its_reason() {
    let (chain, deployment, _) = network().await;
    // The estimate passed, and then the state changed: here, because the node's estimate is not one.
    let client = Tamper::client(&chain, Options::local(), "eth_estimateGas", |_, _| Ok(json!("0x30d40")));
    let contract = RewardDistributor::new(deployment.distributor, client.provider());
    let request = contract.finalize(U256::from(9)).into_transaction_request();
    let before = chain.reader().get_block_number().await.unwrap();
    let refused = client.sender(key(1)).send(request).await.unwrap_err();
    match refused.reverted().unwrap() {
        Reverted::Distributor(RewardDistributor::RewardDistributorErrors::EpochNotStarted(error)) => {
            assert_eq!(error.epoch, U256::from(9))
        }
        other => panic!("{other}"),
    }
    assert_eq!(chain.reader().get_block_number().await.unwrap(), before + 1, "it was in a block");
}

#[tokio::test]
async fn a_node_out_of_reach_is_told_from_a_refusal() {
    let chain = funded();
    let client = Tamper::client(&chain, Options::local(), "eth_sendRawTransaction", |_, _| {
        Err(refusal("rate limited"))
    });
    let error = client.sender(key(1)).send(to_nobody()).await.unwrap_err();
    assert!(matches!(&error, SendError::Refused { message, .. } if message == "rate limited"), "{error}");
}

#[tokio::test]
async fn a_node_cannot_spend_the_account_on_fees() {
    let chain = funded();
    let client = Tamper::client(&chain, Options::local(), "eth_feeHistory", |_, mut history| {
        let huge = json!("0x38d7ea4c68000");
        for block in history["reward"].as_array_mut().unwrap() {
            block[0] = huge.clone();
        }
        Ok(history)
    });
    let error = client.sender(key(1)).send(to_nobody()).await.unwrap_err();
    assert!(matches!(error, SendError::Fees { .. }), "{error}");
    assert_eq!(chain.reader().get_transaction_count(key(1).address()).await.unwrap(), 0);
}
