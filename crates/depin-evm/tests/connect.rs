//! Nodes that are down, slow, wrong, failing or lying.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::{
    network::TransactionBuilder, primitives::Address, providers::Provider, rpc::types::TransactionRequest,
};
use axum::{Router, body::Bytes, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use common::{ether, key};
use depin_evm::{
    ConnectError, Options, SendError, Url, connect,
    contracts::Reverted,
    embedded::{Config, EmbeddedChain},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const CHAIN: u64 = 84532;

/// What a node does with its n-th request, from 0.
type Script = Arc<dyn Fn(usize, &Value) -> Step + Send + Sync>;

enum Step {
    Answer(Value),
    Fail(u16),
    Hang,
    Huge,
    Garbage,
}

struct Node {
    url: Url,
    asked: Arc<AtomicUsize>,
}

impl Node {
    async fn new(script: impl Fn(usize, &Value) -> Step + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let script: Script = Arc::new(script);
        let router = Router::new().route("/", post(answer)).with_state((script, asked.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(
    State((script, asked)): State<(Script, Arc<AtomicUsize>)>,
    body: Bytes,
) -> axum::response::Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    match script(asked.fetch_add(1, Ordering::SeqCst), &request) {
        Step::Answer(result) => {
            json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string().into_response()
        }
        Step::Fail(status) => (StatusCode::from_u16(status).unwrap(), "sorry").into_response(),
        Step::Hang => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            "late".into_response()
        }
        Step::Huge => "x".repeat(33 << 20).into_response(),
        Step::Garbage => "<html>".into_response(),
    }
}

/// The chain id, and 7 for every other question.
fn healthy(request: &Value) -> Step {
    Step::Answer(match request["method"].as_str().unwrap() {
        "eth_chainId" => json!(format!("{CHAIN:#x}")),
        _ => json!("0x7"),
    })
}

/// An address where nobody listens.
async fn nobody() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

fn options() -> Options {
    Options::local().request_timeout(Duration::from_millis(300))
}

#[tokio::test]
async fn a_chain_that_is_down_is_unreachable() {
    let url = nobody().await;
    let error = connect(&[url], CHAIN, options()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { expected: CHAIN, .. }), "{error}");
}

#[tokio::test]
async fn no_address_and_other_schemes_are_refused() {
    assert!(matches!(connect(&[], CHAIN, options()).await.unwrap_err(), ConnectError::NoUrl));
    let url = "ws://127.0.0.1:1".parse().unwrap();
    assert!(matches!(connect(&[url], CHAIN, options()).await.unwrap_err(), ConnectError::Scheme { .. }));
}

#[tokio::test]
async fn a_chain_of_another_id_is_named_without_its_secrets() {
    let other = Node::new(|_, _| Step::Answer(json!("0x1"))).await;
    let mut url = other.url.clone();
    url.set_path("/v3/secret");
    url.set_path("/");
    url.set_query(Some("key=secret"));
    let error = connect(&[url], CHAIN, options()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("expected chain 84532, the node at http://127.0.0.1:"), "{text}");
    assert!(text.contains("answers 1") && !text.contains("secret"), "{text}");
    // Also as a fallback, while the preferred node works.
    let good = Node::new(|_, request| healthy(request)).await;
    let error = connect(&[good.url, other.url], CHAIN, options()).await.unwrap_err();
    assert!(matches!(error, ConnectError::OtherChain { found: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_slow_chain_is_given_up_in_time() {
    let slow = Node::new(|_, _| Step::Hang).await;
    let started = Instant::now();
    let error = connect(&[slow.url], CHAIN, options()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn failing_answers_are_asked_again() {
    for failure in [500, 502, 503, 429, 408] {
        let node = Node::new(move |count, request| match count {
            2 | 3 => Step::Fail(failure),
            _ => healthy(request),
        })
        .await;
        let client = connect(std::slice::from_ref(&node.url), CHAIN, options()).await.unwrap();
        assert_eq!(client.provider().get_block_number().await.unwrap(), 7, "HTTP {failure}");
        assert!(node.asked() >= 5);
    }
}

#[tokio::test]
async fn garbage_is_asked_again_and_refusals_are_not() {
    let node = Node::new(|count, request| if count == 3 { Step::Garbage } else { healthy(request) }).await;
    let client = connect(std::slice::from_ref(&node.url), CHAIN, options()).await.unwrap();
    assert_eq!(client.provider().get_block_number().await.unwrap(), 7);
    let refusing = Node::new(|_, request| match request["method"].as_str().unwrap() {
        "eth_chainId" => healthy(request),
        _ => Step::Fail(401),
    })
    .await;
    let client = connect(std::slice::from_ref(&refusing.url), CHAIN, options()).await.unwrap();
    let before = refusing.asked();
    assert!(client.provider().get_block_number().await.is_err());
    assert_eq!(refusing.asked(), before + 1, "an HTTP 401 is final");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let node = Node::new(|_, request| match request["method"].as_str().unwrap() {
        "eth_chainId" => healthy(request),
        _ => Step::Huge,
    })
    .await;
    let options = Options::local().request_timeout(Duration::from_secs(10));
    let client = connect(std::slice::from_ref(&node.url), CHAIN, options).await.unwrap();
    let error = client.provider().get_block_number().await.unwrap_err();
    assert!(error.to_string().contains("exceeds"), "{error}");
}

#[tokio::test]
async fn the_next_node_takes_over_and_the_first_is_not_forgotten() {
    let first = Node::new(|count, request| if count < 3 { healthy(request) } else { Step::Fail(500) }).await;
    let second = Node::new(|_, request| healthy(request)).await;
    let client = connect(&[first.url.clone(), second.url.clone()], CHAIN, options()).await.unwrap();
    assert_eq!(client.provider().get_block_number().await.unwrap(), 7);
    let (gone, took_over) = (first.asked(), second.asked());
    assert!(gone >= 4 && took_over >= 2);
    assert_eq!(client.provider().get_block_number().await.unwrap(), 7);
    assert_eq!(first.asked(), gone, "who answered last is asked first");
    // One that is down at the start is tolerated as well.
    let client = connect(&[nobody().await, second.url.clone()], CHAIN, options()).await.unwrap();
    assert_eq!(client.provider().get_block_number().await.unwrap(), 7);
}

#[tokio::test]
async fn a_node_that_comes_back_as_another_chain_is_not_used() {
    let changed = Node::new(|count, request| match count {
        // Down at the start, then back as another chain.
        0 => Step::Fail(500),
        _ if request["method"] == "eth_chainId" => Step::Answer(json!("0x1")),
        _ => Step::Answer(json!("0x9")),
    })
    .await;
    let error = connect(&[changed.url], CHAIN, options()).await.unwrap_err();
    assert!(error.to_string().contains("answers 1"), "{error}");
}

/// A served chain whose account 1 has ether.
#[cfg(feature = "serve")]
async fn served() -> (EmbeddedChain, depin_evm::embedded::serve::Served) {
    let config = Config { accounts: vec![(key(1).address(), ether(1))], ..common::config() };
    let chain = EmbeddedChain::open(None, &config).unwrap();
    let served = depin_evm::embedded::serve::serve(chain.clone(), 0).await.unwrap();
    (chain, served)
}

#[cfg(feature = "serve")]
mod served {
    use super::*;

    async fn ask(url: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> (u16, String) {
        let mut request = reqwest::Client::builder()
            .tls_backend_preconfigured(no_tls())
            .build()
            .unwrap()
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    fn no_tls() -> rustls::ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    }

    #[tokio::test]
    async fn another_process_sends_over_http() {
        let (chain, served) = served().await;
        let url = served.url().parse().unwrap();
        let client = connect(&[url], chain.chain_id(), Options::local()).await.unwrap();
        let sender = client.sender(key(1));
        sender.send(TransactionRequest::default().with_to(Address::ZERO)).await.unwrap();
        assert_eq!(chain.reader().get_block_number().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn batches_notifications_and_nonsense_are_answered_as_the_standard_says() {
        let (_, served) = served().await;
        let url = served.url();
        let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},{"jsonrpc":"2.0","method":"eth_chainId"},
            {"jsonrpc":"2.0","id":"b","method":"eth_nothing","params":[]}]"#;
        let (status, text) = ask(&url, &[], batch).await;
        let answers: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, answers.as_array().unwrap().len()), (200, 2));
        assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!(1), &json!("b")));
        assert_eq!(answers[1]["error"]["code"], -32601);
        let code = |text: &str| serde_json::from_str::<Value>(text).unwrap()["error"]["code"].clone();
        assert_eq!(code(&ask(&url, &[], "{").await.1), -32700);
        assert_eq!(code(&ask(&url, &[], "[]").await.1), -32600);
        assert_eq!(code(&ask(&url, &[], r#"{"id":1}"#).await.1), -32600);
        assert_eq!(ask(&url, &[], r#"{"method":"eth_chainId"}"#).await, (204, String::new()));
        let many = format!("[{}]", vec![r#"{"id":1,"method":"eth_chainId"}"#; 201].join(","));
        assert_eq!(code(&ask(&url, &[], many).await.1), -32600);
        assert_eq!(ask(&url, &[], vec![b' '; (1 << 20) + 1]).await.0, 413);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(code(&ask(&url, &[], deep).await.1), -32700);
    }

    #[tokio::test]
    async fn a_web_page_cannot_reach_it() {
        let (_, served) = served().await;
        let url = served.url();
        let body = r#"{"id":1,"method":"eth_chainId"}"#;
        for (headers, status) in [
            (&[("origin", "https://evil.example")][..], 403),
            (&[("origin", "http://localhost.evil.example")], 403),
            (&[("origin", "null")], 403),
            (&[("host", "evil.example")], 403),
            (&[("origin", "http://localhost:5173")], 200),
            (&[("origin", "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn")], 200),
            (&[("host", "localhost")], 200),
            (&[], 200),
        ] {
            assert_eq!(ask(&url, headers, body).await.0, status, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn a_busy_port_is_named() {
        let (chain, served) = served().await;
        let port = served.address().port();
        let error = depin_evm::embedded::serve::serve(chain.clone(), port).await.unwrap_err();
        assert!(error.to_string().contains(&port.to_string()), "{error}");
        drop(served);
        tokio::time::sleep(Duration::from_millis(50)).await;
        depin_evm::embedded::serve::serve(chain, port).await.unwrap();
    }
}

/// Waits until `holds`, for ten seconds at most.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(10), "it does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends over a chain that only mines when it is told to, with `confirmations`.
#[tokio::test]
async fn confirmations_are_waited_for() {
    let config = Config { accounts: vec![(key(1).address(), ether(1))], ..common::config() };
    let chain = EmbeddedChain::open(None, &config).unwrap();
    let client = depin_evm::Client::new(chain.reader(), chain.chain_id(), Options::local().confirmations(3));
    let sender = client.sender(key(1));
    let sending = tokio::spawn(async move {
        sender.send(TransactionRequest::default().with_to(Address::ZERO)).await.unwrap()
    });
    until(async || chain.reader().get_block_number().await.unwrap() == 1).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!sending.is_finished());
        chain.mine().unwrap();
    }
    assert_eq!(sending.await.unwrap().block_number, Some(1));
}

/// A reorganisation between inclusion and confirmation: the same transaction is sent again.
#[tokio::test]
async fn a_transaction_dropped_before_it_counts_is_sent_again() {
    let started = Instant::now();
    let config = Config { accounts: vec![(key(1).address(), ether(1))], ..common::config() };
    let chain = EmbeddedChain::open(None, &config).unwrap();
    let client = depin_evm::Client::new(chain.reader(), chain.chain_id(), Options::local().confirmations(2));
    let sender = client.sender(key(1));
    let sending = tokio::spawn(async move {
        sender.send(TransactionRequest::default().with_to(Address::ZERO)).await.unwrap()
    });
    until(async || chain.reader().get_block_number().await.unwrap() == 1).await;
    // Seen in its block first, or there would be nothing to miss.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _: Value = chain.reader().raw_request("anvil_reorg".into(), json!([1, []])).await.unwrap();
    until(async || chain.reader().get_transaction_count(key(1).address()).await.unwrap() == 1).await;
    chain.mine().unwrap();
    let receipt = sending.await.unwrap();
    assert_eq!(receipt.block_number, Some(2));
    assert!(started.elapsed() < Options::local().bump_after, "as it was, not with higher fees");
    assert_eq!(chain.reader().get_transaction_count(key(1).address()).await.unwrap(), 1);
}

#[tokio::test]
async fn reverts_are_read_whatever_they_are() {
    assert_eq!(Reverted::decode(&[]), Reverted::Unknown(Default::default()));
    assert!(matches!(Reverted::decode(&[1, 2, 3, 4]), Reverted::Unknown(data) if data.len() == 4));
    let text = alloy::sol_types::Revert::from("no").to_string();
    assert!(!text.is_empty());
    let long = vec![0xee; 1 << 20];
    assert!(matches!(Reverted::decode(&long), Reverted::Unknown(data) if data.len() == 1024));
    let error = SendError::Reverted(Box::new(Reverted::Panic(0x11)));
    assert_eq!(error.to_string(), "the contract refused: a Solidity panic with code 0x11");
}
