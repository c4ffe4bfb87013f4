//! The embedded chain for other processes: JSON-RPC over HTTP on loopback, for wallets, ethers and a network's own parts.

use std::net::{Ipv4Addr, SocketAddr};

use alloy::rpc::json_rpc::{Id, Request, Response, ResponsePayload};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response as HttpResponse},
    routing::post,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{EmbeddedChain, failure::RpcFailure};

/// Largest request body, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Most requests in a batch.
const MAX_BATCH: usize = 200;

/// A chain that is being served. It stops when this is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// Why a chain cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port is taken, or may not be used.
    #[error("port {port} cannot be used: {source}; name another one, or 0 for any")]
    Bind {
        /// The port.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Served {
    /// Where it listens: on 127.0.0.1.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `chain` on 127.0.0.1 at `port`; 0 takes any free one. Needs a tokio runtime.
///
/// It is for programs on this machine only, which may also move its time and take blocks back. A request whose `Origin` is neither
/// of this machine nor a browser extension is refused, and so is one whose `Host` is not of this machine, so that no web page from
/// elsewhere can reach it through a browser.
///
/// # Errors
/// [`ServeError::Bind`].
pub async fn serve(chain: EmbeddedChain, port: u16) -> Result<Served, ServeError> {
    let bind = |source| ServeError::Bind { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let router = Router::new()
        .route("/", post(answer).options(preflight))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(chain);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the chain is no longer served");
        }
    });
    Ok(Served { address, task })
}

async fn answer(State(chain): State<EmbeddedChain>, headers: HeaderMap, body: Bytes) -> HttpResponse {
    let Some(allowed) = admit(&headers) else { return foreign() };
    let answered = tokio::task::spawn_blocking(move || respond(&chain, &body)).await;
    match answered {
        Ok(Some(json)) => (allowed, [(header::CONTENT_TYPE, "application/json")], json).into_response(),
        // Nothing but notifications: nothing to say.
        Ok(None) => (allowed, StatusCode::NO_CONTENT).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What a browser asks before it lets a page of this machine send a request.
async fn preflight(headers: HeaderMap) -> HttpResponse {
    let Some(allowed) = admit(&headers) else { return foreign() };
    let terms = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
    ];
    (StatusCode::NO_CONTENT, allowed, terms).into_response()
}

fn foreign() -> HttpResponse {
    (StatusCode::FORBIDDEN, "only programs on this machine may ask\n").into_response()
}

/// Whether a request comes from this machine and is meant for it: a browser names the page's origin, and the name it looked up. Gives
/// the header that tells the browser so.
fn admit(headers: &HeaderMap) -> Option<HeaderMap> {
    let is_local = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        matches!(name, "localhost" | "127.0.0.1" | "[::1]")
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_local) {
        return None;
    }
    let mut allowed = HeaderMap::new();
    if let Some(origin) = headers.get(header::ORIGIN) {
        let (scheme, host) = origin.to_str().ok()?.split_once("://")?;
        let extension = matches!(scheme, "chrome-extension" | "moz-extension" | "safari-web-extension");
        if !extension && !is_local(host) {
            return None;
        }
        allowed.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        allowed.insert(header::VARY, header::ORIGIN.into());
    }
    Some(allowed)
}

fn respond(chain: &EmbeddedChain, body: &[u8]) -> Option<Vec<u8>> {
    let answer = match serde_json::from_slice(body) {
        Err(_) => json::<Response>(&Response::parse_error(Id::None)),
        Ok(Value::Array(requests)) if requests.is_empty() || requests.len() > MAX_BATCH => {
            let failure = RpcFailure {
                code: -32600,
                message: format!("a batch of {} requests; send 1 to {MAX_BATCH}", requests.len()),
                data: None,
            };
            json(&refusal(Id::None, failure))
        }
        Ok(Value::Array(requests)) => {
            let answers: Vec<_> = requests.into_iter().filter_map(|request| one(chain, request)).collect();
            if answers.is_empty() {
                return None;
            }
            json(&answers)
        }
        Ok(request) => json(&one(chain, request)?),
    };
    Some(answer)
}

/// Answers one request; a notification, which has no id, gets no answer.
fn one(chain: &EmbeddedChain, request: Value) -> Option<Response> {
    let Some(method) = request.get("method").and_then(Value::as_str).map(str::to_owned) else {
        return Some(Response::invalid_request(Id::None));
    };
    let id = match request.get("id") {
        None => return None,
        Some(id) => match serde_json::from_value::<Id>(id.clone()) {
            Ok(id) => id,
            Err(_) => return Some(Response::invalid_request(Id::None)),
        },
    };
    let params = request.get("params").cloned().unwrap_or(Value::Array(Vec::new()));
    match Request::new(method, id.clone(), params).serialize() {
        Ok(request) => Some(chain.answer(&request)),
        Err(_) => Some(Response::internal_error(id)),
    }
}

fn refusal(id: Id, failure: RpcFailure) -> Response {
    Response { id, payload: ResponsePayload::Failure(failure.into_payload()) }
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
