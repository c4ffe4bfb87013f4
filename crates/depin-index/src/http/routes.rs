//! The routes. Each asks the store one question.

use axum::{
    Json,
    extract::{OriginalUri, State},
    response::Response,
};
use depin_core::{Amount, Epoch};
use serde::Serialize;
use serde_json::json;

use super::{
    Api,
    answer::{Listing, Single, ask, list},
    error::{ApiError, ErrorBody},
    params::{
        self, AtParams, DeviceParams, EventParams, ListParams, NoParams, Params, PeriodParams, Segment,
    },
    schema,
};
use crate::{
    At, ClaimRow, CustomerEpochRow, CustomerRow, DeviceFilter, DeviceRow, EarnedRollupRow, Earner,
    EarningRow, EpochDeviceRow, EpochRow, EventRow, Overview, OwnerRow, Query, RefusalRow, ReorgRow,
    ReportRow, RollupRow, RootRow, Row, Total, VerdictRow, page::row,
};

type Answer<T> = Result<Json<T>, ApiError>;

/// What network this is: its chain and contracts, as the node says. Beside that the `decimals` of the token, and for how many seconds the
/// `windows` of roots and disputes are open; null until the node has it from the chain.
#[utoipa::path(get, path = "/network", responses((status = 200, body = Object), (status = 400, body = ErrorBody)))]
pub(super) async fn network(State(api): State<Api>, _: Params<NoParams>) -> Json<serde_json::Value> {
    let (mut network, terms) = (serde_json::Value::clone(&api.network), api.terms.get());
    if let Some(fields) = network.as_object_mut() {
        fields.insert("decimals".into(), json!(terms.map(|terms| terms.decimals)));
        fields.insert("windows".into(), json!(terms.map(|terms| terms.windows)));
    }
    Json(network)
}

/// The network in numbers, and how they compare with a day ago.
#[utoipa::path(get, path = "/overview", params(AtParams), responses(
    (status = 200, body = Single<Overview>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn overview(
    State(api): State<Api>,
    Params(params): Params<AtParams>,
) -> Answer<Single<Overview>> {
    let (at, row) = ask!(api, params::view(params.at.as_deref())?, Query::Overview, Overview);
    Ok(Json(Single { row, at }))
}

/// A closed epoch, and until when its root can be challenged or the dispute about it can last.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EpochAnswer {
    #[serde(flatten)]
    epoch: EpochRow,
    /// While a root is proposed, when its challenge window ends; while one is challenged, when the time for a ruling is up; in seconds since the
    /// Unix epoch. A pause of the contract pushes it back. Null otherwise, and until the node knows from the chain how long it waits.
    #[schema(required)]
    deadline: Option<u64>,
}

impl Row for EpochAnswer {
    type Key = Epoch;

    fn key(&self) -> Epoch {
        self.epoch.epoch
    }
}

impl Api {
    fn epoch(&self, epoch: EpochRow) -> EpochAnswer {
        let deadline = self.terms.get().and_then(|terms| terms.windows.deadline(&epoch));
        EpochAnswer { epoch, deadline }
    }
}

/// Closed epochs, newest first.
#[utoipa::path(get, path = "/epochs", params(ListParams), responses(
    (status = 200, body = Listing<EpochAnswer>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn epochs(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(list): Params<ListParams>,
) -> Result<Response, ApiError> {
    let epoch = {
        let api = api.clone();
        move |row| api.epoch(row)
    };
    list!(api, list, uri, "epochs", Epochs, |seek| Query::Epochs(seek), epoch)
}

/// One closed epoch.
#[utoipa::path(get, path = "/epochs/{epoch}", params(("epoch" = u64, Path), AtParams), responses(
    (status = 200, body = Single<EpochAnswer>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn epoch(
    State(api): State<Api>,
    segment: Segment,
    Params(params): Params<AtParams>,
) -> Answer<Single<EpochAnswer>> {
    let (at, row) = ask!(api, params::view(params.at.as_deref())?, Query::Epoch(segment.epoch()?), Epoch);
    row.map(|row| Json(Single { row: api.epoch(row), at }))
        .ok_or_else(|| ApiError::unknown("this epoch is not closed", "see /api/v1/epochs for those that are"))
}

/// What customers paid for in one epoch, and what that brought.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DemandRow {
    /// The epoch.
    #[schema(value_type = u64)]
    epoch: Epoch,
    /// What deals cost.
    #[schema(schema_with = schema::amount)]
    spent: Total,
    /// The part of it that had been burned.
    #[schema(schema_with = schema::amount)]
    burned: Amount,
    /// What was minted for it.
    #[schema(schema_with = schema::amount)]
    minted: Amount,
    /// What customers pay providers for it.
    #[schema(schema_with = schema::amount)]
    revenue: Amount,
    /// Accepted work.
    #[schema(schema_with = schema::amount)]
    units: Total,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    decided: bool,
}
row!(DemandRow, Epoch, epoch);

impl From<EpochRow> for DemandRow {
    fn from(row: EpochRow) -> Self {
        let EpochRow { epoch, spent, burned, minted, revenue, decided, .. } = row;
        Self { epoch, spent, burned, minted, revenue, units: row.units.quantity.into(), decided }
    }
}

/// Demand by epoch, newest first.
#[utoipa::path(get, path = "/demand", params(ListParams), responses(
    (status = 200, body = Listing<DemandRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn demand(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(list): Params<ListParams>,
) -> Result<Response, ApiError> {
    list!(api, list, uri, "demand", Epochs, |seek| Query::Epochs(seek), DemandRow::from)
}

/// An owner and a page of its devices.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct OwnerPage {
    /// Its address.
    #[schema(schema_with = schema::address)]
    address: depin_core::Address,
    /// Everything promised to it in closed epochs.
    #[schema(schema_with = schema::amount)]
    earned: Total,
    /// What was paid out to it.
    #[schema(schema_with = schema::amount)]
    claimed: Total,
    /// What it can take now.
    #[schema(schema_with = schema::amount)]
    claimable: Total,
    /// Its devices.
    devices: Vec<DeviceRow>,
    /// How many there are.
    count: u64,
    /// The cursor of the next page of devices; null on the last one.
    #[schema(required)]
    next: Option<String>,
    /// Whether its sums read the same at the final block.
    #[serde(rename = "final")]
    decided: bool,
    /// The block it was read at.
    at: At,
}

/// An owner, what it earned, and its devices by did:key.
#[utoipa::path(get, path = "/owners/{address}", params(("address" = String, Path), ListParams), responses(
    (status = 200, body = OwnerPage), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn owner(
    State(api): State<Api>,
    segment: Segment,
    Params(list): Params<ListParams>,
) -> Answer<OwnerPage> {
    let address = segment.address()?;
    let filter = DeviceFilter { owner: Some(address), ..DeviceFilter::default() };
    let (view, seek) = (list.view()?, list.seek("owner-devices")?);
    let (_, devices) = ask!(api, view, Query::Devices(filter, seek), Devices);
    let (at, row) = ask!(api, view, Query::Owner(address), Owner);
    let OwnerRow { address, devices: count, earned, claimed, claimable, decided } = row;
    let next = params::next("owner-devices", &devices);
    let devices = devices.items;
    Ok(Json(OwnerPage { address, earned, claimed, claimable, devices, count, next, decided, at }))
}

/// What happened in each hour or day, newest first.
#[utoipa::path(get, path = "/rollups", params(PeriodParams), responses(
    (status = 200, body = Listing<RollupRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn rollups(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<PeriodParams>,
) -> Result<Response, ApiError> {
    let period = params.period()?;
    list!(api, params.list(), uri, "rollups", Rollups, |seek| Query::Rollups(period, seek))
}

/// What the devices of an epoch did, by the bytes of their key, ascending.
#[utoipa::path(get, path = "/epochs/{epoch}/devices", params(("epoch" = u64, Path), ListParams), responses(
    (status = 200, body = Listing<EpochDeviceRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn epoch_devices(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let epoch = segment.epoch()?;
    list!(api, params, uri, "epoch-devices", EpochDevices, |seek| Query::EpochDevices(epoch, seek))
}

/// The steps of roots on the chain, newest first.
#[utoipa::path(get, path = "/roots", params(ListParams), responses(
    (status = 200, body = Listing<RootRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn roots(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    list!(api, params, uri, "roots", Roots, |seek| Query::Roots(seek))
}

/// Devices by did:key, ascending.
#[utoipa::path(get, path = "/devices", params(DeviceParams), responses(
    (status = 200, body = Listing<DeviceRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn devices(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<DeviceParams>,
) -> Result<Response, ApiError> {
    let status = params::word(
        params.status.clone(),
        "bad-status",
        "use active, bound, suspended, deactivated or unregistered",
    )?;
    let outcome = params::outcome(params.outcome.as_deref())?;
    let owner = params.owner.as_deref().map(params::address).transpose()?;
    let filter = DeviceFilter { status, outcome, owner, prefix: params::prefix(params.prefix.clone())? };
    list!(api, params.list(), uri, "devices", Devices, |seek| Query::Devices(filter.clone(), seek))
}

/// One device.
#[utoipa::path(get, path = "/devices/{did}", params(("did" = String, Path), AtParams), responses(
    (status = 200, body = Single<DeviceRow>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn device(
    State(api): State<Api>,
    segment: Segment,
    Params(params): Params<AtParams>,
) -> Answer<Single<DeviceRow>> {
    let (at, row) = ask!(api, params::view(params.at.as_deref())?, Query::Device(segment.device()?), Device);
    row.map(|row| Json(Single { row, at })).ok_or_else(|| {
        ApiError::unknown("this device is unknown", "see /api/v1/devices for those that are known")
    })
}

/// What a device earned in each hour or day, newest first.
#[utoipa::path(get, path = "/devices/{did}/rollups", params(("did" = String, Path), PeriodParams), responses(
    (status = 200, body = Listing<EarnedRollupRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn device_rollups(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<PeriodParams>,
) -> Result<Response, ApiError> {
    let device = segment.device()?;
    let period = params.period()?;
    list!(api, params.list(), uri, "device-rollups", EarnedRollups, |seek| Query::EarnedRollups(
        Earner::Device(device),
        period,
        seek
    ))
}

/// What a device earned, deal by deal, newest epoch first.
#[utoipa::path(get, path = "/devices/{did}/earnings", params(("did" = String, Path), ListParams), responses(
    (status = 200, body = Listing<EarningRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn earnings(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let device = segment.device()?;
    list!(api, params, uri, "earnings", Earnings, |seek| Query::Earnings(device, seek))
}

/// How a device was judged, with every finding and what to do about it, newest epoch first.
#[utoipa::path(get, path = "/devices/{did}/verdicts", params(("did" = String, Path), ListParams), responses(
    (status = 200, body = Listing<VerdictRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn verdicts(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let device = segment.device()?;
    list!(api, params, uri, "verdicts", Verdicts, |seek| Query::Verdicts(device, seek))
}

/// The reports of a device and the gaps between them, newest epoch first.
#[utoipa::path(get, path = "/devices/{did}/reports", params(("did" = String, Path), ListParams), responses(
    (status = 200, body = Listing<ReportRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn reports(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let device = segment.device()?;
    list!(api, params, uri, "reports", Reports, |seek| Query::Reports(device, seek))
}

/// What was refused of a device, newest epoch first.
#[utoipa::path(get, path = "/devices/{did}/refusals", params(("did" = String, Path), ListParams), responses(
    (status = 200, body = Listing<RefusalRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn device_refusals(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let device = segment.device()?;
    list!(api, params, uri, "device-refusals", Refusals, |seek| Query::Refusals(Some(device), seek))
}

/// Owners by address, ascending.
#[utoipa::path(get, path = "/owners", params(ListParams), responses(
    (status = 200, body = Listing<OwnerRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn owners(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    list!(api, params, uri, "owners", Owners, |seek| Query::Owners(seek))
}

/// What an owner's devices earned in each hour or day, newest first.
#[utoipa::path(get, path = "/owners/{address}/rollups", params(("address" = String, Path), PeriodParams), responses(
    (status = 200, body = Listing<EarnedRollupRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn owner_rollups(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<PeriodParams>,
) -> Result<Response, ApiError> {
    let address = segment.address()?;
    let period = params.period()?;
    list!(api, params.list(), uri, "owner-rollups", EarnedRollups, |seek| Query::EarnedRollups(
        Earner::Owner(address),
        period,
        seek
    ))
}

/// The payouts of an account, each with the proof that takes it, newest epoch first.
#[utoipa::path(get, path = "/claims/{address}", params(("address" = String, Path), ListParams), responses(
    (status = 200, body = Listing<ClaimRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn claims(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let address = segment.address()?;
    list!(api, params, uri, "claims", Claims, |seek| Query::Claims(address, seek))
}

/// Customers by address, ascending.
#[utoipa::path(get, path = "/customers", params(ListParams), responses(
    (status = 200, body = Listing<CustomerRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn customers(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    list!(api, params, uri, "customers", Customers, |seek| Query::Customers(seek))
}

/// One customer.
#[utoipa::path(get, path = "/customers/{address}", params(("address" = String, Path), AtParams), responses(
    (status = 200, body = Single<CustomerRow>), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn customer(
    State(api): State<Api>,
    segment: Segment,
    Params(params): Params<AtParams>,
) -> Answer<Single<CustomerRow>> {
    let (at, row) =
        ask!(api, params::view(params.at.as_deref())?, Query::Customer(segment.address()?), Customer);
    row.map(|row| Json(Single { row, at })).ok_or_else(|| {
        ApiError::unknown("this customer is unknown", "see /api/v1/customers for those that are known")
    })
}

/// What a customer spent, newest epoch first.
#[utoipa::path(get, path = "/customers/{address}/epochs", params(("address" = String, Path), ListParams), responses(
    (status = 200, body = Listing<CustomerEpochRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn customer_epochs(
    State(api): State<Api>,
    segment: Segment,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let address = segment.address()?;
    list!(api, params, uri, "customer-epochs", CustomerEpochs, |seek| Query::CustomerEpochs(address, seek))
}

/// Chain events, newest first.
#[utoipa::path(get, path = "/events", params(EventParams), responses(
    (status = 200, body = Listing<EventRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn events(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<EventParams>,
) -> Result<Response, ApiError> {
    let kind = params::word(params.kind.clone(), "bad-type", "use a type that /api/v1/openapi.json names")?;
    list!(api, params.list(), uri, "events", Events, |seek| Query::Events(kind, seek))
}

/// Refused envelopes by epoch, device and reason, newest epoch first.
#[utoipa::path(get, path = "/refusals", params(ListParams), responses(
    (status = 200, body = Listing<RefusalRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn refusals(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    list!(api, params, uri, "refusals", Refusals, |seek| Query::Refusals(None, seek))
}

/// Reorganisations of the chain that were undone, newest first.
#[utoipa::path(get, path = "/reorgs", params(ListParams), responses(
    (status = 200, body = Listing<ReorgRow>), (status = 400, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn reorgs(
    State(api): State<Api>,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    list!(api, params, uri, "reorgs", Reorgs, |seek| Query::Reorgs(seek))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = Object), (status = 400, body = ErrorBody)))]
pub(super) async fn openapi(_: Params<NoParams>) -> Json<utoipa::openapi::OpenApi> {
    Json(super::openapi())
}
