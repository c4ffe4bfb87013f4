//! The node over HTTP: intake, reading and administration, each a router of its own so that each can have a listener of its own.

mod admin;
mod intake;
mod openapi;
mod reading;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use depin_identity::grant::Right;

use super::{Inner, Node, grants::GuardedDoor, intake::Refused, page, serve::Late};
use crate::api::{ApiError, ApiErrorBody, paths};

pub use self::admin::Readiness;
use self::intake::MAX_BODY;
#[cfg(feature = "mqtt")]
pub(super) use self::intake::{enter, split};

impl Node {
    /// Intake and reading on one router, as a network for development serves them.
    pub fn router(&self) -> Router {
        let sending = intake_routes(self).merge(relay_routes(self)).with_state(Arc::clone(&self.0));
        finish(sending.merge(self.readable()).fallback(nothing))
    }

    /// What devices and customers send: reports, registrations, credentials, deals; and what they need to know for that: network, status, work, credit.
    pub fn intake(&self) -> Router {
        let routes = intake_routes(self)
            .route(paths::NETWORK, get(intake::network))
            .route(OPENAPI, get(openapi::document));
        finish(routes.with_state(Arc::clone(&self.0)).fallback(depin_index::http::not_found))
    }

    /// What everybody may read: the index, its stream, bundles, the page; and the relay that takes claims.
    pub fn reading(&self) -> Router {
        finish(relay_routes(self).with_state(Arc::clone(&self.0)).merge(self.readable()).fallback(nothing))
    }

    /// Everything that is read, behind the layer that asks for grants, if any.
    fn readable(&self) -> Router {
        let routes = reading_routes().with_state(Arc::clone(&self.0)).merge(index(&self.0));
        match self.grant_layer(GuardedDoor::Reading, Right::Use(INDEX.into())) {
            Some(layer) => routes.layer(layer),
            None => routes,
        }
    }

    /// What operators and their monitoring ask: `/healthz`, `/readyz`, `/metrics`. Not for the public.
    pub fn administration(&self) -> Router {
        let routes = Router::new()
            .route("/healthz", get(admin::alive))
            .route("/readyz", get(admin::ready))
            .route("/metrics", get(admin::metrics));
        let routes = routes.with_state(Arc::clone(&self.0)).fallback(admin::nothing);
        let routes = match self.grant_layer(GuardedDoor::Administration, Right::Administer) {
            Some(layer) => routes.layer(layer),
            None => routes,
        };
        routes.layer(middleware::from_fn(harmless))
    }
}

/// The private service whose use a grant allows that lets read.
const INDEX: &str = "index";

fn intake_routes(node: &Node) -> Router<Arc<Inner>> {
    Router::new()
        .route(paths::STATUS, get(intake::status))
        .route(paths::REPORTS, post(intake::reports))
        .route(paths::REGISTRATIONS, post(intake::registration))
        .route(paths::CREDENTIALS, post(intake::credentials))
        .route(paths::REVOCATIONS, post(intake::revocation))
        .route(paths::DEALS, post(intake::deal))
        .route(&format!("{}/{{device}}", paths::WORK), get(intake::work))
        .route(&format!("{}/{{customer}}", paths::CREDIT), get(intake::credit))
        .layer(Extension(node.grants(GuardedDoor::Reports)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

fn relay_routes(node: &Node) -> Router<Arc<Inner>> {
    Router::new()
        .route(paths::RELAY, post(reading::relay))
        .layer(Extension(node.grants(GuardedDoor::Claims)))
        .layer(DefaultBodyLimit::max(reading::MAX_CLAIMS_BODY))
}

fn reading_routes() -> Router<Arc<Inner>> {
    Router::new()
        .route(&format!("{}/{{epoch}}", paths::BUNDLES), get(reading::bundle))
        .route(&format!("{}/{{epoch}}/devices/{{device}}", paths::BUNDLES), get(reading::excerpt))
}

fn index(inner: &Inner) -> Router {
    let network = serde_json::to_value(&inner.info).unwrap_or_default();
    let store = Arc::<depin_index::SqliteStore>::clone(&inner.store);
    let reading = depin_index::Reading {
        live: inner.follower.live.clone(),
        terms: Arc::clone(&inner.follower.terms),
        ..depin_index::Reading::new(store, network)
    };
    depin_index::router(reading).merge(page::router())
}

/// The path of the OpenAPI document.
const OPENAPI: &str = "/api/v1/openapi.json";

/// The document covers the routes of index and node, whichever listener is asked; the index alone knows only its own.
async fn document(request: Request, next: Next) -> Response {
    let asked =
        request.method() == Method::GET && request.uri().path() == OPENAPI && request.uri().query().is_none();
    if asked { openapi::document().await.into_response() } else { next.run(request).await }
}

fn finish(router: Router) -> Router {
    router.layer(middleware::from_fn(document)).layer(middleware::from_fn(harmless))
}

/// Under the API nothing but JSON; elsewhere are people with a browser.
async fn nothing(uri: Uri) -> Response {
    let path = uri.path();
    if path == "/api" || path.starts_with("/api/") {
        depin_index::http::not_found().await.into_response()
    } else {
        page::lost().await
    }
}

/// Whatever a device wrote stays data: no browser may take an answer for a page, frame it, or tell others where it came from. A page of ours
/// says for itself what it may do.
async fn harmless(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// An error in words.
pub(super) struct Failure(StatusCode, ApiErrorBody);

impl Failure {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>, next: &str) -> Self {
        Self(status, ApiErrorBody { code: code.into(), message: message.into(), next: next.into() })
    }

    fn bad(message: impl std::fmt::Display, next: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message.to_string(), next)
    }

    /// A body that is not taken.
    fn body(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, "body", message, "send less at once, and all of it")
    }

    /// A body that could not be read: it came too late, or `status` says why.
    fn unread(status: StatusCode, error: &(dyn std::error::Error + 'static)) -> Self {
        match Late::of(error) {
            Some(late) => Self::body(StatusCode::REQUEST_TIMEOUT, late.to_string()),
            None => Self::body(status, error.to_string()),
        }
    }

    /// What went wrong, in words.
    #[cfg(feature = "mqtt")]
    pub(super) fn message(&self) -> &str {
        &self.1.message
    }

    /// The node has as much to do as it can.
    fn busy() -> Self {
        let message = "the node has more requests than it can take";
        let next = "send it again after the time in Retry-After";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message, next)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let retry = self.0 == StatusCode::TOO_MANY_REQUESTS || self.0 == StatusCode::SERVICE_UNAVAILABLE;
        let status = self.0;
        let mut response = (status, Json(ApiError { error: self.1 })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let status = match refused.code.as_ref() {
            "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            "busy" => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, &refused.code, refused.message, &refused.next)
    }
}
