//! The node over HTTP: intake here, reading from the index.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use depin_core::{Address, DeviceId, Epoch, SignedDeal, cbor};
use depin_identity::{Envelope, SignedBinding};
use depin_rewards::{ClaimRequest, LedgerError, PayoutLedger};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    Inner,
    intake::{Item, Refused, Work},
};
use crate::{
    api::{self, ApiError, ApiErrorBody, MEMBER_HEADER, ReportResults, paths},
    state::DealState,
};

/// Most bytes of a request's body: eight of the largest reports.
const MAX_BODY: usize = 8 << 20;
/// Most reports in one request.
const MAX_REPORTS: usize = 1024;
/// Longest a status request waits.
const MAX_WAIT: Duration = Duration::from_secs(30);

pub(super) fn router(inner: Arc<Inner>) -> Router {
    let network = serde_json::to_value(&inner.info).unwrap_or_default();
    let store = Arc::clone(&inner.store);
    Router::new()
        .route(paths::STATUS, get(status))
        .route(paths::REPORTS, post(reports))
        .route(paths::REGISTRATIONS, post(registration))
        .route(paths::DEALS, post(deal))
        .route(&format!("{}/{{device}}", paths::WORK), get(work))
        .route(&format!("{}/{{customer}}", paths::CREDIT), get(credit))
        .route(paths::RELAY, post(relay))
        .route(&format!("{}/{{epoch}}", paths::BUNDLES), get(bundle))
        .route(&format!("{}/{{epoch}}/devices/{{device}}", paths::BUNDLES), get(excerpt))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(inner)
        .merge(depin_index::router(store, network))
        .fallback(depin_index::http::not_found)
}

/// An error in words.
struct Failure(StatusCode, ApiErrorBody);

impl Failure {
    fn new(status: StatusCode, code: &str, message: impl Into<String>, next: &str) -> Self {
        Self(status, ApiErrorBody { code: code.into(), message: message.into(), next: next.into() })
    }

    fn bad(message: impl std::fmt::Display, next: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message.to_string(), next)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let retry = self.0 == StatusCode::TOO_MANY_REQUESTS || self.0 == StatusCode::SERVICE_UNAVAILABLE;
        let mut response = (self.0, Json(ApiError { error: self.1 })).into_response();
        if retry {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let status = match refused.code {
            "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, refused.code, refused.message, refused.next)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    #[serde(default)]
    after: Option<u64>,
}

async fn status(
    State(inner): State<Arc<Inner>>,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Json<api::Status> {
    let Some(after) = query.after else { return Json(inner.gate.status()) };
    let member = member(&inner, &headers);
    let waited = tokio::time::timeout(MAX_WAIT, inner.gate.wait(after, member)).await;
    Json(waited.unwrap_or_else(|_| inner.gate.status()))
}

fn member(inner: &Inner, headers: &HeaderMap) -> Option<u32> {
    let member = headers.get(MEMBER_HEADER)?.to_str().ok()?.parse().ok()?;
    inner.gate.is_member(member).then_some(member)
}

/// A body within its limit; one beyond it is refused in our words.
struct Body(Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let refused = |rejection: BytesRejection| {
            let next = "send less at once, and all of it";
            Failure::new(rejection.status(), "body", rejection.body_text(), next)
        };
        Bytes::from_request(request, state).await.map(Self).map_err(refused)
    }
}

/// Hands work to the door and waits for the answer.
async fn enter<T>(
    inner: &Inner,
    headers: &HeaderMap,
    size: usize,
    item: impl FnOnce(oneshot::Sender<Result<T, Refused>>) -> Item,
) -> Result<T, Failure> {
    let (reply, answer) = oneshot::channel();
    let member = member(inner, headers);
    let full = || {
        let message = "the node has more requests than it can take";
        Failure::new(
            StatusCode::TOO_MANY_REQUESTS,
            "busy",
            message,
            "send it again after the time in Retry-After",
        )
    };
    let size = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    let room = Arc::clone(&inner.room).try_acquire_many_owned(size).map_err(|_| full())?;
    let place = inner.intake.try_reserve().map_err(|_| full())?;
    place.send(Work { member, item: item(reply), _room: room });
    // Counted only once it is in the queue: see the intake.
    if let Some(member) = member {
        inner.gate.begin(member);
    }
    let gone = |_| {
        Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the node is stopping",
            "send it again later",
        )
    };
    Ok(answer.await.map_err(gone)??)
}

async fn reports(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<ReportResults>, Failure> {
    let envelopes = split(&body)?;
    let results = enter(&inner, &headers, body.len(), |reply| Item::Reports(envelopes, reply)).await?;
    Ok(Json(ReportResults { results }))
}

/// The envelopes of a CBOR sequence.
fn split(mut body: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let next = "send one envelope, or a CBOR sequence of envelopes";
    let mut envelopes = Vec::new();
    while !body.is_empty() {
        if envelopes.len() >= MAX_REPORTS {
            return Err(Failure::bad(format!("more than {MAX_REPORTS} reports"), "send fewer at once"));
        }
        let len = cbor::first_len(body).map_err(|error| Failure::bad(error, next))?;
        let (envelope, rest) = body.split_at_checked(len).unwrap_or((body, &[]));
        if envelope.len() > Envelope::MAX {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            let message =
                format!("an envelope of {} bytes; at most {} are taken", envelope.len(), Envelope::MAX);
            return Err(Failure::new(status, "too-large", message, "split the report"));
        }
        envelopes.push(envelope.to_vec());
        body = rest;
    }
    if envelopes.is_empty() { Err(Failure::bad("an empty body", next)) } else { Ok(envelopes) }
}

async fn registration(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<serde_json::Value>, Failure> {
    let binding: SignedBinding = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad(error, "send a signed binding as JSON"))?;
    let device =
        enter(&inner, &headers, body.len(), |reply| Item::Registration(Box::new(binding), reply)).await?;
    Ok(Json(json!({ "device": device })))
}

async fn deal(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Json<serde_json::Value>, Failure> {
    let deal: SignedDeal =
        serde_json::from_slice(&body).map_err(|error| Failure::bad(error, "send a signed deal as JSON"))?;
    let id = enter(&inner, &headers, body.len(), |reply| Item::Deal(Box::new(deal), reply)).await?;
    Ok(Json(json!({ "deal": id })))
}

async fn work(
    State(inner): State<Arc<Inner>>,
    Path(device): Path<String>,
) -> Result<Json<api::Work>, Failure> {
    let device: DeviceId =
        device.parse().map_err(|error| Failure::bad(error, "name a device by its did:key"))?;
    let core = inner.core.lock().await;
    let carried = core.fold.state.device(&device);
    let is_late = |deal: &&DealState| deal.signed.deal.covers(core.epoch) && !deal.is_due(core.epoch);
    let late = carried.deals.iter().filter(is_late).map(|deal| deal.signed.deal.id()).collect();
    let deals = carried.deals.into_iter().map(|deal| deal.signed).collect();
    Ok(Json(api::Work { record: carried.record, deals, late }))
}

async fn credit(
    State(inner): State<Arc<Inner>>,
    Path(customer): Path<String>,
) -> Result<Json<api::Credit>, Failure> {
    let customer: Address =
        customer.parse().map_err(|error| Failure::bad(error, "name a customer by its address"))?;
    let core = inner.core.lock().await;
    let available = core.fold.state.credits.get(customer).available(&inner.network.params().demand);
    Ok(Json(api::Credit { available }))
}

async fn relay(
    State(inner): State<Arc<Inner>>,
    Body(body): Body,
) -> Result<Json<serde_json::Value>, Failure> {
    let claims: Vec<ClaimRequest> = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad(error, "send a list of claims as JSON"))?;
    if claims.len() > 100 {
        return Err(Failure::bad(format!("{} claims", claims.len()), "send at most 100 at once"));
    }
    let refused = |error: LedgerError| {
        let next = "read the claims again, then retry";
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "claim", error.to_string(), next)
    };
    // What was taken before is left out: one such claim would fail all the others, and asking twice is no mistake.
    let ledger = inner.chain.ledger();
    let mut open = Vec::with_capacity(claims.len());
    for claim in claims {
        if !ledger.claimed(claim.epoch, claim.account).await.map_err(refused)? {
            open.push(claim);
        }
    }
    ledger.claim(&open).await.map_err(refused)?;
    Ok(Json(json!({ "claimed": open })))
}

async fn bundle(State(inner): State<Arc<Inner>>, Path(epoch): Path<u64>) -> Result<Response, Failure> {
    let path = super::bundle_path(&inner.dir, Epoch(epoch));
    let bytes = tokio::fs::read(path).await.map_err(|_| no_bundle(epoch))?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], bytes).into_response())
}

async fn excerpt(
    State(inner): State<Arc<Inner>>,
    Path((epoch, device)): Path<(u64, String)>,
) -> Result<Response, Failure> {
    let device: DeviceId =
        device.parse().map_err(|error| Failure::bad(error, "name a device by its did:key"))?;
    // A bundle may be large: reading and hashing it must not hold up other requests.
    let cut = tokio::task::spawn_blocking(move || {
        let bundle = inner.bundle(Epoch(epoch)).map_err(|_| no_bundle(epoch))?;
        let excerpt = bundle.excerpt(&device).ok_or_else(|| {
            let message = format!("{device} is not in the bundle of epoch {epoch}");
            let next = "see /api/v1/devices for the devices";
            Failure::new(StatusCode::NOT_FOUND, "unknown-device", message, next)
        })?;
        Ok(excerpt.to_bytes())
    });
    let bytes = cut.await.unwrap_or_else(|_| Err(no_bundle(epoch)))?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], bytes).into_response())
}

fn no_bundle(epoch: u64) -> Failure {
    let message = format!("epoch {epoch} has no bundle here");
    Failure::new(StatusCode::NOT_FOUND, "unknown-epoch", message, "see /api/v1/epochs for closed epochs")
}
