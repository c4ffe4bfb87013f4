//! What stands before every request: who asks, how often, and how many at once.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Connections, Limits, Quiet, body::timed, budget::Budgets};
use crate::{
    api::{ApiError, ApiErrorBody, paths},
    node::Metrics,
};

/// Refused connections that are closed in order at once.
const FAREWELLS: usize = 256;
/// The longest path that is logged.
const MAX_PATH: usize = 200;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A listener's limits and what of them is in use.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) name: &'static str,
    pub(super) limits: Limits,
    pub(super) metrics: Arc<Metrics>,
    pub(super) farewells: Arc<Semaphore>,
    connections: Mutex<Connections>,
    budgets: Mutex<Budgets>,
    requests: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    stop: CancellationToken,
    start: Instant,
    /// Makes the ids of this process others than those of the one before.
    prefix: u64,
    number: AtomicU64,
    quiet: Quiet,
}

impl Guard {
    pub(super) fn new(
        name: &'static str,
        limits: Limits,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Self {
        let places = |count: u32| Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX >> 4)));
        Self {
            farewells: Arc::new(Semaphore::new(FAREWELLS)),
            connections: Mutex::default(),
            budgets: Mutex::new(Budgets::new(limits.rate, limits.burst)),
            requests: places(limits.requests),
            waiting: places(limits.connections),
            start: Instant::now(),
            prefix: RandomState::new().hash_one(name),
            number: AtomicU64::new(0),
            quiet: Quiet::default(),
            name,
            limits,
            metrics,
            stop,
        }
    }

    pub(super) fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who asks: the peer, or for a connection of a proxy of ours the address that the proxy wrote last.
    fn client(&self, request: &Request) -> Option<SocketAddr> {
        let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        if !self.limits.proxies.contains(&peer.ip().to_canonical()) {
            return Some(*peer);
        }
        let last = request.headers().get_all(FORWARDED).iter().next_back();
        let last =
            last.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
        Some(SocketAddr::new(last.unwrap_or_else(|| peer.ip()), peer.port()))
    }

    fn spend(&self, client: IpAddr) -> Result<(), u64> {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner).take(client, now)
    }

    fn next_id(&self) -> String {
        format!("{:016x}-{:x}", self.prefix, self.number.fetch_add(1, Ordering::Relaxed))
    }

    fn shed(&self, reason: &'static str, message: &str, microseconds: u64) -> Response {
        self.metrics.shed(self.name, reason);
        self.quiet.say(|more| tracing::warn!(listener = self.name, reason, more, "requests are turned away"));
        let seconds = microseconds.div_ceil(1_000_000).max(1);
        let error = ApiErrorBody {
            code: "busy".into(),
            message: message.into(),
            next: format!("send it again after {seconds} s"),
        };
        let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(ApiError { error })).into_response();
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        response
    }
}

/// `router` behind `guard`.
pub(super) fn protect(router: Router, guard: Arc<Guard>) -> Router {
    router.layer(middleware::from_fn_with_state(guard, watch))
}

/// Names the request, admits it or not, and records how it went.
async fn watch(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let (id, begun) = (guard.next_id(), Instant::now());
    let path: String = request.uri().path().chars().take(MAX_PATH).collect();
    let span = tracing::info_span!("request", id, listener = guard.name, method = %request.method(), path);
    let client = guard.client(&request);
    if let Some(client) = client {
        request.extensions_mut().insert(ConnectInfo(client));
    }
    let mut response = admit(&guard, client, request, next).instrument(span.clone()).await;
    let status = response.status();
    let took = begun.elapsed();
    guard.metrics.request(guard.name, status.as_u16(), took);
    span.in_scope(|| {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if status.is_server_error() {
            guard.quiet.say(|more| tracing::warn!(status = status.as_u16(), milliseconds, more, "answered"));
        } else {
            tracing::debug!(status = status.as_u16(), milliseconds, "answered");
        }
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn admit(guard: &Guard, client: Option<SocketAddr>, request: Request, next: Next) -> Response {
    if let Some(Err(wait)) = client.map(|client| guard.spend(client.ip())) {
        return guard.shed("rate", "this client asks more often than it may", wait);
    }
    let request = request.map(|body| timed(body, guard.limits.body_time));
    // Who waits for news costs a connection and nothing else.
    let waits = request.uri().path() == paths::STATUS && request.uri().query().is_some();
    let places = if waits { &guard.waiting } else { &guard.requests };
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        return guard.shed("requests", "the node has more requests than it can take", 0);
    };
    let response = tokio::select! {
        response = next.run(request) => response,
        () = guard.stop.cancelled(), if waits => {
            let error = ApiErrorBody {
                code: "stopping".into(),
                message: "the node is stopping".into(),
                next: "send it again later".into(),
            };
            return (StatusCode::SERVICE_UNAVAILABLE, Json(ApiError { error })).into_response();
        }
    };
    if is_stream(&response) {
        // A stream has limits of its own and would never end by itself.
        let stop = guard.stop.clone().cancelled_owned();
        return response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(stop))));
    }
    // The place is taken until the last byte is on its way, since the body lies in memory until then.
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &place;
            frame
        }))
    })
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
}
