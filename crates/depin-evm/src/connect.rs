//! Reaching a chain over HTTP: several nodes in order of preference, retried, bounded, and never of another chain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use alloy::{
    primitives::U64,
    providers::{Provider, ProviderBuilder},
    rpc::{
        client::RpcClient,
        json_rpc::{Id, Request, RequestPacket, ResponsePacket},
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use reqwest::{StatusCode, header::RETRY_AFTER};
use tower::Service;

use crate::{Client, Options};

/// Addresses of nodes.
pub use reqwest::Url;

/// Largest answer read, in bytes.
const MAX_BODY: usize = 32 << 20;
/// Attempts on one node before the next one is tried.
const ATTEMPTS: u32 = 4;
/// The wait after the first failed attempt; it doubles with each one.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait a node may ask for.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Why no chain was reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No address was given.
    #[error("no node to connect to; name at least one URL")]
    NoUrl,
    /// An address that is neither http nor https.
    #[error("{url} is no http or https address; name one")]
    Scheme {
        /// The address.
        url: Box<str>,
    },
    /// A node of another chain.
    #[error("expected chain {expected}, the node at {url} answers {found}; name a node of chain {expected}")]
    OtherChain {
        /// The address, without its path and query: those often hold a secret.
        url: Box<str>,
        /// The chain id expected.
        expected: u64,
        /// The chain id found.
        found: u64,
    },
    /// TLS could not be set up.
    #[error("TLS cannot be used: {0}; install the system's CA certificates")]
    Tls(String),
    /// No node answered.
    #[error("no node of chain {expected} can be reached: {source}; check the addresses and the network")]
    Unreachable {
        /// The chain id expected.
        expected: u64,
        /// What the last one did.
        source: TransportError,
    },
}

/// Connects to the chain `expected` through `urls`, the preferred one first.
///
/// Transport errors, HTTP 408, 429 and 5xx are retried with growing waits, then the next address is tried; what a node answers
/// over JSON-RPC, a revert for example, is final. Before a node is asked anything, it must name the expected chain.
///
/// # Errors
/// [`ConnectError`]. Nodes that are down are tolerated as long as one answers; one of another chain is not.
pub async fn connect(urls: &[Url], expected: u64, options: Options) -> Result<Client, ConnectError> {
    if urls.is_empty() {
        return Err(ConnectError::NoUrl);
    }
    if let Some(url) = urls.iter().find(|url| !matches!(url.scheme(), "http" | "https")) {
        return Err(ConnectError::Scheme { url: place(url) });
    }
    let transport = Fallback::new(urls, expected, options.request_timeout)?;
    transport.check_all().await?;
    let client = RpcClient::new(transport, false);
    client.set_poll_interval(options.poll);
    // Asked once more through the finished transport: at least one node must answer.
    let provider = ProviderBuilder::new().connect_client(client).erased();
    provider.get_chain_id().await.map_err(|source| ConnectError::Unreachable { expected, source })?;
    Ok(Client::new(provider, expected, options))
}

/// An address without anything that may be secret.
fn place(url: &Url) -> Box<str> {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default()).into()
}

/// An answer larger than is read.
#[derive(Debug, thiserror::Error)]
#[error("the answer exceeds {MAX_BODY} bytes; ask for fewer blocks")]
pub(crate) struct TooLarge;

/// A transport over several nodes of one chain.
#[derive(Clone, Debug)]
struct Fallback {
    http: reqwest::Client,
    nodes: Arc<[Node]>,
    /// The node that answered last: asked first next time.
    preferred: Arc<AtomicUsize>,
    expected: u64,
}

#[derive(Debug)]
struct Node {
    url: Url,
    /// It has named the expected chain.
    checked: AtomicBool,
}

/// What one attempt on one node gave.
enum Attempt {
    Answer(ResponsePacket),
    /// Worth another attempt, after a wait if the node named one.
    Retry(TransportError, Option<Duration>),
    Final(TransportError),
}

impl Fallback {
    fn new(urls: &[Url], expected: u64, timeout: Duration) -> Result<Self, ConnectError> {
        let https = urls.iter().any(|url| url.scheme() == "https");
        let http = http_client(https)?
            .timeout(timeout)
            .connect_timeout(timeout)
            .build()
            .map_err(|error| ConnectError::Tls(error.to_string()))?;
        let nodes =
            urls.iter().map(|url| Node { url: url.clone(), checked: AtomicBool::new(false) }).collect();
        Ok(Self { http, nodes, preferred: Arc::default(), expected })
    }

    /// Asks every node for its chain once; those that do not answer are asked again before their first use.
    async fn check_all(&self) -> Result<(), ConnectError> {
        for node in self.nodes.iter() {
            if let Ok(found) = self.chain_of(node).await
                && found != self.expected
            {
                let url = place(&node.url);
                return Err(ConnectError::OtherChain { url, expected: self.expected, found });
            }
        }
        Ok(())
    }

    async fn chain_of(&self, node: &Node) -> Result<u64, Attempt> {
        let request = Request::new("eth_chainId", Id::Number(0), ())
            .serialize()
            .map_err(|error| Attempt::Final(TransportError::ser_err(error)))?;
        let answer = match self.attempt(node, &RequestPacket::Single(request)).await {
            Attempt::Answer(answer) => answer,
            failed => return Err(failed),
        };
        let found = answer
            .as_single()
            .and_then(|response| response.payload.as_success())
            .and_then(|payload| serde_json::from_str::<U64>(payload.get()).ok());
        match found {
            Some(found) => Ok(found.to()),
            None => Err(Attempt::Retry(
                TransportErrorKind::custom_str(&format!("{} does not say its chain id", place(&node.url))),
                None,
            )),
        }
    }

    async fn request(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = TransportErrorKind::custom_str("no node was asked");
        for offset in 0..self.nodes.len() {
            let index = first.saturating_add(offset).checked_rem(self.nodes.len()).unwrap_or_default();
            let Some(node) = self.nodes.get(index) else { continue };
            match self.ask(node, &packet).await {
                Attempt::Answer(answer) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Attempt::Final(error) => return Err(error),
                Attempt::Retry(error, _) => {
                    tracing::warn!(node = %place(&node.url), %error, "a node does not answer");
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Asks one node, with retries.
    async fn ask(&self, node: &Node, packet: &RequestPacket) -> Attempt {
        let mut backoff = FIRST_BACKOFF;
        let mut attempt = 1;
        loop {
            let outcome = match self.check(node).await {
                Ok(()) => self.attempt(node, packet).await,
                Err(failed) => failed,
            };
            let Attempt::Retry(error, wait) = outcome else { return outcome };
            if attempt >= ATTEMPTS {
                return Attempt::Retry(error, None);
            }
            tokio::time::sleep(wait.unwrap_or(backoff).min(MAX_BACKOFF)).await;
            backoff = backoff.saturating_mul(2);
            attempt = attempt.saturating_add(1);
        }
    }

    /// Before a node is trusted with anything, it names its chain.
    async fn check(&self, node: &Node) -> Result<(), Attempt> {
        if node.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let found = self.chain_of(node).await?;
        if found != self.expected {
            let other = ConnectError::OtherChain { url: place(&node.url), expected: self.expected, found };
            return Err(Attempt::Final(TransportErrorKind::custom(other)));
        }
        node.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn attempt(&self, node: &Node, packet: &RequestPacket) -> Attempt {
        let retry = |error: reqwest::Error| {
            // `without_url`: an address may hold a secret.
            Attempt::Retry(TransportErrorKind::custom(error.without_url()), None)
        };
        let mut response = match self.http.post(node.url.clone()).json(packet).send().await {
            Ok(response) => response,
            Err(error) => return retry(error),
        };
        let status = response.status();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > MAX_BODY => {
                    return Attempt::Final(TransportErrorKind::custom(TooLarge));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return retry(error),
            }
        }
        judge(status, wait, &body)
    }
}

/// Decides whether an answer is one.
fn judge(status: StatusCode, wait: Option<Duration>, body: &[u8]) -> Attempt {
    let excerpt = || String::from_utf8_lossy(body.get(..512).unwrap_or(body)).into_owned();
    let temporary = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    if temporary {
        return Attempt::Retry(TransportErrorKind::http_error(status.as_u16(), excerpt()), wait);
    }
    match serde_json::from_slice(body) {
        Ok(answer) => Attempt::Answer(answer),
        Err(_) if !status.is_success() => {
            Attempt::Final(TransportErrorKind::http_error(status.as_u16(), excerpt()))
        }
        Err(error) => Attempt::Retry(TransportError::deser_err(error, excerpt()), None),
    }
}

impl Service<RequestPacket> for Fallback {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().request(packet))
    }
}

/// An HTTP client as this crate uses them: no redirects, and, with `https`, TLS by ring against the system's certificates.
///
/// # Errors
/// [`ConnectError::Tls`] when the system has no certificates.
pub fn http_client(https: bool) -> Result<reqwest::ClientBuilder, ConnectError> {
    let tls = tls(https).map_err(ConnectError::Tls)?;
    Ok(reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).tls_backend_preconfigured(tls))
}

/// TLS with ring, and the system's certificates when any address needs them.
fn tls(https: bool) -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(if https {
        let verifier =
            rustls_platform_verifier::Verifier::new(provider).map_err(|error| error.to_string())?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    } else {
        // Machines without certificates can still reach a local node.
        builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    })
}
