//! The API under `/api/v1`: read only, amounts as strings, keyset cursors, typed errors.

use std::sync::Arc;

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
mod params;
mod routes;
pub(crate) mod schema;

pub use error::{ApiError, ErrorBody, ErrorDetail};

/// The routes that answer from `store`, and `network` as what the node says about itself.
///
/// Merge it into the node's own router. It has no fallback: [`not_found`] is one that speaks as these routes do.
pub fn router(store: Arc<dyn Store>, network: serde_json::Value) -> Router {
    let api = Api { store, network: Arc::new(network), challenge_window: None };
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
    /// How long a root can be challenged, in seconds.
    challenge_window: Option<u64>,
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
