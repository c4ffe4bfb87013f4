//! What devices and customers send, and what they need to know for that.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension, Json,
    extract::{FromRequest, Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
};
use depin_core::{Address, DeviceId, SignedDeal, Text, cbor};
use depin_identity::{
    Envelope, SignedBinding,
    grant::{Holder, Right},
};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Failure;
use crate::{
    admission::device_of,
    api::{self, MEMBER_HEADER, NetworkInfo, ReportResults},
    node::{
        Inner,
        grants::{GrantRefused, Grants},
        intake::{Item, Refused, Work},
        showing::{Revoking, Showing},
    },
    state::{DealState, DeviceState},
};

/// Most bytes of a request's body: eight of the largest reports.
pub(in crate::node) const MAX_BODY: usize = 8 << 20;
/// Most reports in one request.
const MAX_REPORTS: usize = 1024;
/// Longest a status request waits.
const MAX_WAIT: Duration = Duration::from_secs(30);

pub(super) async fn network(State(inner): State<Arc<Inner>>) -> Json<NetworkInfo> {
    Json(inner.info.clone())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    #[serde(default)]
    after: Option<u64>,
}

pub(super) async fn status(
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

/// A body within its limits of size and time, with the room that it takes.
pub(super) struct Sent {
    bytes: Vec<u8>,
    room: OwnedSemaphorePermit,
}

impl FromRequest<Arc<Inner>> for Sent {
    type Rejection = Failure;

    /// Reads the body piece by piece. Each piece takes room when it is there, so a client that only promises a large body takes none.
    async fn from_request(request: Request, inner: &Arc<Inner>) -> Result<Self, Failure> {
        let too_large = || {
            let message = format!("more than {MAX_BODY} bytes");
            Err(Failure::body(StatusCode::PAYLOAD_TOO_LARGE, message))
        };
        let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
        if http_body::Body::size_hint(request.body()).lower() > limit {
            return too_large();
        }
        let mut room = Arc::clone(&inner.room).try_acquire_many_owned(1).map_err(|_| Failure::busy())?;
        let mut bytes = Vec::new();
        let mut pieces = request.into_body().into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| Failure::unread(StatusCode::BAD_REQUEST, &error))?;
            if bytes.len().saturating_add(piece.len()) > MAX_BODY {
                return too_large();
            }
            bytes.extend_from_slice(&piece);
            let wanted = bytes.capacity().div_ceil(1024).saturating_sub(room.num_permits());
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            room.merge(Arc::clone(&inner.room).try_acquire_many_owned(wanted).map_err(|_| Failure::busy())?);
        }
        Ok(Sent { bytes, room })
    }
}

/// Hands work to the door and waits for the answer.
pub(in crate::node) async fn enter<T>(
    inner: &Inner,
    member: Option<u32>,
    room: OwnedSemaphorePermit,
    item: impl FnOnce(oneshot::Sender<Result<T, Refused>>) -> Item,
) -> Result<T, Failure> {
    let (reply, answer) = oneshot::channel();
    let place = inner.intake.try_reserve().map_err(|_| Failure::busy())?;
    place.send(Work { member, item: item(reply), _room: room });
    // Counted only once it is in the queue: see the intake.
    if let Some(member) = member {
        inner.gate.begin(member);
    }
    let gone = |_| {
        let message = "the node is stopping";
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message, "send it again later")
    };
    Ok(answer.await.map_err(gone)??)
}

pub(super) async fn reports(
    State(inner): State<Arc<Inner>>,
    Extension(grants): Extension<Option<Grants>>,
    headers: HeaderMap,
    Sent { bytes, room }: Sent,
) -> Result<Json<ReportResults>, Failure> {
    let begun = Instant::now();
    let envelopes = split(&bytes)?;
    drop(bytes);
    if let Some(grants) = grants {
        may_submit(&inner, &grants, &headers, &envelopes).await?;
    }
    let member = member(&inner, &headers);
    let results = enter(&inner, member, room, |reply| Item::Reports(envelopes, reply)).await?;
    inner.metrics.answered("http", &results, begun.elapsed());
    Ok(Json(ReportResults { results }))
}

/// Whether the grant allows every kind of report that was sent. It is about one device, so another's report ends this at once. Whether the device itself signed is
/// seen later: no grant makes up for a signature.
async fn may_submit(
    inner: &Inner,
    grants: &Grants,
    headers: &HeaderMap,
    envelopes: &[Vec<u8>],
) -> Result<(), GrantRefused> {
    // Whoever brings none costs no look at what was sent.
    Grants::token(headers)?;
    let named = |(report, envelope): (usize, &Vec<u8>)| {
        let read = || {
            let envelope = Envelope::parse(envelope).ok()?;
            Some((envelope.key_id(), Text::new(envelope.unverified_report_in_place().ok()?.kind).ok()?))
        };
        let (key, kind) = read().ok_or(GrantRefused::Stranger { report })?;
        Ok((report, key, kind))
    };
    let named: Vec<_> = envelopes.iter().enumerate().map(named).collect::<Result<_, GrantRefused>>()?;
    let core = inner.lock().await;
    let mut wanted = BTreeSet::new();
    for (report, key, kind) in named {
        let device = core.fold.state.registry.by_key(&key).ok_or(GrantRefused::Stranger { report })?;
        wanted.insert((device.record.device, kind));
    }
    drop(core);
    for (device, kind) in wanted {
        grants.check(headers, device, Right::Submit(kind), Some(Holder::Device(device))).await?;
    }
    Ok(())
}

/// The envelopes of a CBOR sequence.
pub(in crate::node) fn split(mut body: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
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

pub(super) async fn registration(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Sent { bytes, room }: Sent,
) -> Result<Json<serde_json::Value>, Failure> {
    let binding: SignedBinding = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::bad(error, "send a signed binding as JSON"))?;
    let device =
        enter(&inner, member(&inner, &headers), room, |reply| Item::Registration(Box::new(binding), reply))
            .await?;
    Ok(Json(json!({ "device": device })))
}

pub(super) async fn credentials(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Sent { bytes, room }: Sent,
) -> Result<Json<api::Admission>, Failure> {
    let device = device_of(&bytes).map_err(Refused::from)?;
    let member = member(&inner, &headers);
    let showing = Box::new(Showing::check(&inner, member, device, bytes.into()).await?);
    let admitted = enter(&inner, member, room, |reply| Item::Credentials(showing, reply)).await?;
    Ok(Json(api::Admission { device, admitted }))
}

pub(super) async fn revocation(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Sent { bytes, room }: Sent,
) -> Result<Json<api::Revocations>, Failure> {
    let api::Revocation { device, list } = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::bad(error, "send a `device` and the `list` that revokes its credentials")
    })?;
    let member = member(&inner, &headers);
    let list = list.get().as_bytes().into();
    let revoking = Box::new(Revoking::check(&inner, member, device, list).await?);
    let revoked = enter(&inner, member, room, |reply| Item::Revocation(revoking, reply)).await?;
    Ok(Json(api::Revocations { device, revoked }))
}

pub(super) async fn deal(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Sent { bytes, room }: Sent,
) -> Result<Json<serde_json::Value>, Failure> {
    let deal: SignedDeal =
        serde_json::from_slice(&bytes).map_err(|error| Failure::bad(error, "send a signed deal as JSON"))?;
    let id = enter(&inner, member(&inner, &headers), room, |reply| Item::Deal(Box::new(deal), reply)).await?;
    Ok(Json(json!({ "deal": id })))
}

pub(super) async fn work(
    State(inner): State<Arc<Inner>>,
    Path(device): Path<String>,
) -> Result<Json<api::Work>, Failure> {
    let device: DeviceId =
        device.parse().map_err(|error| Failure::bad(error, "name a device by its did:key"))?;
    let core = inner.core.lock().await;
    let carried = core.fold.state.device(&device);
    let is_late = |deal: &&DealState| deal.signed.deal.covers(core.epoch) && !deal.is_due(core.epoch);
    let late = carried.deals.iter().filter(is_late).map(|deal| deal.signed.deal.id()).collect();
    let deals = carried.deals.iter().map(|deal| deal.signed.clone()).collect();
    let DeviceState { record, admitted, .. } = carried;
    let firmware = core.fold.firmware(&inner.network, core.epoch, &device);
    Ok(Json(api::Work { record, deals, late, admitted, firmware }))
}

pub(super) async fn credit(
    State(inner): State<Arc<Inner>>,
    Path(customer): Path<String>,
) -> Result<Json<api::Credit>, Failure> {
    let customer: Address =
        customer.parse().map_err(|error| Failure::bad(error, "name a customer by its address"))?;
    let core = inner.core.lock().await;
    let available = core.fold.state.credits.get(customer).available(&inner.network.params().demand);
    Ok(Json(api::Credit { available }))
}
