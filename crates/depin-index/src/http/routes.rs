//! The routes. Each asks the store one question.

use axum::{Json, extract::State};
use depin_core::Address;
use serde::Serialize;

use super::{
    Api,
    error::{ApiError, ErrorBody},
    params::{self, CursorKey, DeviceParams, EventParams, ListParams, NoParams, Params, Segment},
    schema,
};
use crate::{
    ClaimRow, CustomerRow, DeviceFilter, DeviceRow, EarningRow, EpochRow, EventRow, OwnerRow, Page,
    RefusalRow, Row, Total, VerdictRow,
};

type Answer<T> = Result<Json<T>, ApiError>;

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Listing<T> {
    /// The rows.
    items: Vec<T>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

impl<T: Row<Key: CursorKey>> Listing<T> {
    fn new(list: &'static str, page: Page<T>) -> Json<Self> {
        let next = params::next(list, &page);
        Json(Self { items: page.items, next })
    }
}

/// An owner and a page of its devices.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct OwnerPage {
    /// The owner.
    #[schema(schema_with = schema::address)]
    address: Address,
    /// Everything promised to it in closed epochs.
    #[schema(schema_with = schema::amount)]
    earned: Total,
    /// What of that was paid out.
    #[schema(schema_with = schema::amount)]
    claimed: Total,
    /// Its devices.
    devices: Vec<DeviceRow>,
    /// The cursor of the next page of devices; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// What network this is: its chain and contracts, as the node says.
#[utoipa::path(get, path = "/network", responses((status = 200, body = Object), (status = 400, body = ErrorBody)))]
pub(super) async fn network(State(api): State<Api>, _: Params<NoParams>) -> Json<serde_json::Value> {
    Json(serde_json::Value::clone(&api.network))
}

/// Closed epochs, newest first.
#[utoipa::path(get, path = "/epochs", params(ListParams), responses(
    (status = 200, body = Listing<EpochRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn epochs(
    State(api): State<Api>,
    Params(params): Params<ListParams>,
) -> Answer<Listing<EpochRow>> {
    let seek = params::seek("epochs", params.cursor.as_deref(), params.limit)?;
    Ok(Listing::new("epochs", api.store.epochs(seek).await?))
}

/// One closed epoch.
#[utoipa::path(get, path = "/epochs/{epoch}", params(("epoch" = u64, Path)), responses(
    (status = 200, body = EpochRow), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn epoch(State(api): State<Api>, segment: Segment, _: Params<NoParams>) -> Answer<EpochRow> {
    let row = api.store.epoch(segment.epoch()?).await?;
    row.map(Json)
        .ok_or_else(|| ApiError::unknown("this epoch is not closed", "see /api/v1/epochs for those that are"))
}

/// Devices by did:key, ascending.
#[utoipa::path(get, path = "/devices", params(DeviceParams), responses(
    (status = 200, body = Listing<DeviceRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn devices(
    State(api): State<Api>,
    Params(params): Params<DeviceParams>,
) -> Answer<Listing<DeviceRow>> {
    let seek = params::seek("devices", params.cursor.as_deref(), params.limit)?;
    let status = params::word(params.status, "bad-status", "use active, deactivated or unregistered")?;
    let filter = DeviceFilter { status, prefix: params::prefix(params.prefix)? };
    Ok(Listing::new("devices", api.store.devices(filter, seek).await?))
}

/// One device.
#[utoipa::path(get, path = "/devices/{did}", params(("did" = String, Path)), responses(
    (status = 200, body = DeviceRow), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn device(
    State(api): State<Api>,
    segment: Segment,
    _: Params<NoParams>,
) -> Answer<DeviceRow> {
    let row = api.store.device(segment.device()?).await?;
    row.map(Json).ok_or_else(|| {
        ApiError::unknown("this device is unknown", "see /api/v1/devices for those that are known")
    })
}

/// What a device earned, newest epoch first.
#[utoipa::path(get, path = "/devices/{did}/earnings", params(("did" = String, Path), ListParams), responses(
    (status = 200, body = Listing<EarningRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn earnings(
    State(api): State<Api>,
    segment: Segment,
    Params(params): Params<ListParams>,
) -> Answer<Listing<EarningRow>> {
    let seek = params::seek("earnings", params.cursor.as_deref(), params.limit)?;
    Ok(Listing::new("earnings", api.store.earnings(segment.device()?, seek).await?))
}

/// How a device was judged, with every finding, newest epoch first.
#[utoipa::path(get, path = "/devices/{did}/verdicts", params(("did" = String, Path), ListParams), responses(
    (status = 200, body = Listing<VerdictRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn verdicts(
    State(api): State<Api>,
    segment: Segment,
    Params(params): Params<ListParams>,
) -> Answer<Listing<VerdictRow>> {
    let seek = params::seek("verdicts", params.cursor.as_deref(), params.limit)?;
    Ok(Listing::new("verdicts", api.store.verdicts(segment.device()?, seek).await?))
}

/// An owner, what it earned, and its devices by did:key.
#[utoipa::path(get, path = "/owners/{address}", params(("address" = String, Path), ListParams), responses(
    (status = 200, body = OwnerPage), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn owner(
    State(api): State<Api>,
    segment: Segment,
    Params(params): Params<ListParams>,
) -> Answer<OwnerPage> {
    let seek = params::seek("owners", params.cursor.as_deref(), params.limit)?;
    let OwnerRow { address, earned, claimed, devices } = api.store.owner(segment.address()?, seek).await?;
    let next = params::next("owners", &devices);
    Ok(Json(OwnerPage { address, earned, claimed, devices: devices.items, next }))
}

/// The payouts of an account, each with the proof that takes it, newest epoch first.
#[utoipa::path(get, path = "/claims/{address}", params(("address" = String, Path), ListParams), responses(
    (status = 200, body = Listing<ClaimRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn claims(
    State(api): State<Api>,
    segment: Segment,
    Params(params): Params<ListParams>,
) -> Answer<Listing<ClaimRow>> {
    let seek = params::seek("claims", params.cursor.as_deref(), params.limit)?;
    Ok(Listing::new("claims", api.store.claims(segment.address()?, seek).await?))
}

/// Customers by address, ascending.
#[utoipa::path(get, path = "/customers", params(ListParams), responses(
    (status = 200, body = Listing<CustomerRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn customers(
    State(api): State<Api>,
    Params(params): Params<ListParams>,
) -> Answer<Listing<CustomerRow>> {
    let seek = params::seek("customers", params.cursor.as_deref(), params.limit)?;
    Ok(Listing::new("customers", api.store.customers(seek).await?))
}

/// Chain events, newest first.
#[utoipa::path(get, path = "/events", params(EventParams), responses(
    (status = 200, body = Listing<EventRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn events(
    State(api): State<Api>,
    Params(params): Params<EventParams>,
) -> Answer<Listing<EventRow>> {
    let seek = params::seek("events", params.cursor.as_deref(), params.limit)?;
    let kind = params::word(params.kind, "bad-type", "use a type that /api/v1/openapi.json names")?;
    Ok(Listing::new("events", api.store.events(kind, seek).await?))
}

/// Refused envelopes by epoch, device and reason, newest epoch first.
#[utoipa::path(get, path = "/refusals", params(ListParams), responses(
    (status = 200, body = Listing<RefusalRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn refusals(
    State(api): State<Api>,
    Params(params): Params<ListParams>,
) -> Answer<Listing<RefusalRow>> {
    let seek = params::seek("refusals", params.cursor.as_deref(), params.limit)?;
    Ok(Listing::new("refusals", api.store.refusals(seek).await?))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object), (status = 400, body = ErrorBody)))]
pub(super) async fn openapi(_: Params<NoParams>) -> Json<utoipa::openapi::OpenApi> {
    Json(super::openapi())
}
