//! The health of the index, and the stream of its changes.

use std::net::SocketAddr;

use axum::{
    Json,
    body::Body,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    Api, FollowStatus,
    answer::ask,
    error::{ApiError, ErrorBody},
    live::Crowded,
    params::{NoParams, Params},
};
use crate::{At, Limit, Query, Seek, Topic, View, WINDOW, clean};

/// How well the index follows its chain.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// The block it has read up to.
    at: At,
    /// The newest block of the chain, as far as somebody said.
    #[schema(required)]
    head: Option<u64>,
    /// The newest block that is in.
    #[schema(required)]
    indexed: Option<u64>,
    /// The highest block that is final.
    #[serde(rename = "final")]
    #[schema(required)]
    final_block: Option<u64>,
    /// How much younger the newest block of the chain is than the newest that is in, in milliseconds.
    #[schema(required)]
    behind_ms: Option<u64>,
    /// How many blocks back a reorganisation can be undone.
    window: u64,
    /// How many were undone so far.
    reorgs: u64,
    /// In one word.
    status: FollowStatus,
    /// Why it is not live.
    #[schema(required)]
    reason: Option<String>,
    /// What to do about it.
    #[schema(required)]
    next: Option<String>,
}

/// How well the index follows its chain.
#[utoipa::path(get, path = "/health", responses(
    (status = 200, body = Health), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn health(State(api): State<Api>, _: Params<NoParams>) -> Result<Json<Health>, ApiError> {
    let newest = Seek { after: None, limit: Limit::new(1).unwrap_or_default() };
    let (at, reorgs) = ask!(api, View::Latest, Query::Reorgs(newest), Reorgs);
    let following = api.live.following();
    let behind = following.head.zip(at.time).map(|((_, head), time)| head.0.saturating_sub(time.0));
    Ok(Json(Health {
        head: following.head.map(|(number, _)| number),
        indexed: at.block,
        final_block: at.final_block,
        behind_ms: behind,
        window: WINDOW,
        // Each has the number after that of the one before.
        reorgs: reorgs.items.first().map_or(0, |row| row.id),
        status: following.status,
        reason: following.reason.map(|reason| clean(&reason)),
        next: following.next.map(|next| clean(&next)),
        at,
    }))
}

/// Which changes to tell.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamParams {
    /// At most 32 of `overview`, `epochs`, `events`, `health`, `status`, `device:` with a did:key, `owner:` with an address, with commas between.
    #[param(max_length = 4096)]
    topics: String,
}

/// Longest list of topics: 32 did:keys.
const MAX_TOPICS: usize = 4_096;

/// Who asks, if the server says so.
#[derive(Debug)]
pub(super) struct Peer(Option<SocketAddr>);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)))
    }
}

/// Changes as they happen: what to read again.
#[utoipa::path(get, path = "/stream", params(StreamParams), responses(
    (status = 200, content_type = "text/event-stream", body = String), (status = 400, body = ErrorBody), (status = 429, body = ErrorBody),
    (status = 503, body = ErrorBody)))]
pub(super) async fn stream(
    State(api): State<Api>,
    Peer(peer): Peer,
    headers: HeaderMap,
    Params(params): Params<StreamParams>,
) -> Result<Response, ApiError> {
    let topics = topics(&params.topics, api.live.limits().topics.min(32))?;
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let changes = api.live.subscribe(topics, peer.map(|peer| peer.ip()), last).map_err(|crowded| {
        let next =
            "close a stream you do not need, or ask again in a second; one stream takes up to 32 topics";
        match crowded {
            Crowded::All => {
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many streams are open", next)
            }
            Crowded::Address => {
                let message = "too many streams are open from your address";
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many-streams", message, next)
            }
        }
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy that gathers what it passes on would keep the news back.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(changes)).into_response())
}

fn topics(text: &str, most: usize) -> Result<Vec<Topic>, ApiError> {
    let next = "name 1 to 32 topics with commas between: overview, epochs, events, health, status, device:did:key:…, owner:0x…";
    let bad = |message: String| ApiError::bad("bad-topics", message, next);
    if text.len() > MAX_TOPICS {
        return Err(bad(format!("{} characters", text.len())));
    }
    let parse = |name: &str| name.parse().map_err(|()| bad(format!("`{}` is unknown", clean(name))));
    let mut topics: Vec<Topic> = text.split(',').map(parse).collect::<Result<_, _>>()?;
    topics.sort_unstable();
    topics.dedup();
    if topics.len() > most { Err(bad(format!("{} topics", topics.len()))) } else { Ok(topics) }
}
