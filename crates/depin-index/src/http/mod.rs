//! The API under `/api/v1`: read only, amounts as strings, keyset cursors, typed errors.

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::Response,
};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Store;

mod answer;
mod csv;
mod error;
mod live;
mod params;
mod routes;
pub(crate) mod schema;
mod stream;
mod terms;

pub use error::{ApiError, ErrorBody, ErrorDetail};
pub use live::{FollowStatus, Following, Live, StreamLimits};
pub use terms::{Terms, Windows};

/// What the routes answer from.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The index.
    pub store: Arc<dyn Store>,
    /// What the node says about itself: parameters, contracts, chain.
    pub network: serde_json::Value,
    /// What the contracts were deployed with. Whoever asks the chain sets it once it answers; until then nothing has a deadline.
    pub terms: Arc<OnceLock<Terms>>,
    /// Who listens to changes, and how well the index follows.
    pub live: Live,
}

impl Reading {
    /// From `store`, within the usual limits.
    pub fn new(store: Arc<dyn Store>, network: serde_json::Value) -> Self {
        Self { store, network, terms: Arc::default(), live: Live::new(StreamLimits::default()) }
    }
}

/// The routes of an index.
///
/// Merge it into the node's own router. It has no fallback: [`not_found`] is one that speaks as these routes do. Streams are counted by address
/// where the server says who asks (axum's `ConnectInfo<SocketAddr>`).
pub fn router(reading: Reading) -> Router {
    let Reading { store, network, terms, live } = reading;
    // The store tells as long as these routes are there.
    let listener = live.listener();
    store.listen(Arc::downgrade(&listener));
    let api = Api { store, network: Arc::new(network), terms, live };
    let (router, _) = documented().split_for_parts();
    router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::map_response(as_data))
        .with_state(api)
}

/// The OpenAPI document of these routes.
pub fn openapi() -> OpenApi {
    documented().into_openapi()
}

/// The answer for a path that leads nowhere.
pub async fn not_found() -> ApiError {
    ApiError::unknown("nothing is here", "see /api/v1/openapi.json for what is")
}

/// What the routes share.
#[derive(Clone, Debug)]
struct Api {
    store: Arc<dyn Store>,
    network: Arc<serde_json::Value>,
    terms: Arc<OnceLock<Terms>>,
    live: Live,
}

/// Each route with its part of the document: none without.
fn documented() -> OpenApiRouter<Api> {
    let info = InfoBuilder::new()
        .title("depin index")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "What happened in this network. Amounts are decimal digits in strings, in base units.",
        ))
        .build();
    let api = OpenApiRouter::new()
        .routes(routes!(routes::network))
        .routes(routes!(routes::overview))
        .routes(routes!(routes::epochs))
        .routes(routes!(routes::epoch))
        .routes(routes!(routes::demand))
        .routes(routes!(routes::owner))
        .routes(routes!(routes::rollups))
        .routes(routes!(routes::epoch_devices))
        .routes(routes!(routes::roots))
        .routes(routes!(routes::devices))
        .routes(routes!(routes::device))
        .routes(routes!(routes::device_rollups))
        .routes(routes!(routes::earnings))
        .routes(routes!(routes::verdicts))
        .routes(routes!(routes::reports))
        .routes(routes!(routes::device_refusals))
        .routes(routes!(routes::owners))
        .routes(routes!(routes::owner_rollups))
        .routes(routes!(routes::claims))
        .routes(routes!(routes::customers))
        .routes(routes!(routes::customer))
        .routes(routes!(routes::customer_epochs))
        .routes(routes!(routes::events))
        .routes(routes!(routes::refusals))
        .routes(routes!(routes::reorgs))
        .routes(routes!(stream::health))
        .routes(routes!(stream::stream))
        .routes(routes!(routes::openapi));
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build()).nest("/api/v1", api)
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this can only be read", "send GET")
}

/// Whatever a device wrote stays data: no browser may take an answer for a page.
async fn as_data(mut response: Response) -> Response {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
