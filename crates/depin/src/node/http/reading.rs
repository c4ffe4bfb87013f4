//! What everybody may read beside the index, and the relay that takes claims.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::{Body, Bytes},
    extract::{Path, Query, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use depin_core::{DeviceId, Epoch};
use depin_identity::grant::Right;
use depin_rewards::{ClaimRequest, LedgerError, PayoutLedger};
use serde::Deserialize;
use serde_json::json;
use tokio_util::io::ReaderStream;

use super::Failure;
use crate::node::{
    Inner, bundle_path,
    grants::{GrantRefused, Grants},
};

/// A hundred claims with the longest proofs take half of this.
pub(super) const MAX_CLAIMS_BODY: usize = 1 << 20;
/// Bytes of a bundle that are read at once.
const PIECE: usize = 64 << 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    device: Option<String>,
}

pub(super) async fn relay(
    State(inner): State<Arc<Inner>>,
    Extension(grants): Extension<Option<Grants>>,
    Query(About { device }): Query<About>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<serde_json::Value>, Failure> {
    let body = body.map_err(|rejection| Failure::unread(rejection.status(), &rejection))?;
    let claims: Vec<ClaimRequest> = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad(error, "send a list of claims as JSON"))?;
    if claims.len() > 100 {
        return Err(Failure::bad(format!("{} claims", claims.len()), "send at most 100 at once"));
    }
    if let Some(grants) = grants {
        let next = "name the device that the grant is about by its did:key: ?device=did:key:z…";
        let device = device.and_then(|text| text.parse().ok());
        let device =
            device.ok_or_else(|| Failure::bad("claims here take a grant, and no device is named", next))?;
        may_claim(&inner, &grants, &headers, device, &claims).await?;
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

/// Whether the grant allows to claim for the device, and every claim is for whoever owned it in the epoch.
async fn may_claim(
    inner: &Inner,
    grants: &Grants,
    headers: &HeaderMap,
    device: DeviceId,
    claims: &[ClaimRequest],
) -> Result<(), GrantRefused> {
    grants.check(headers, device, Right::Claim, None).await?;
    let core = inner.lock().await;
    let record = core.fold.state.registry.device(&device).ok_or(GrantRefused::Unknown { device })?;
    match claims.iter().find(|claim| record.owner_at(claim.epoch) != claim.account) {
        Some(ClaimRequest { account, epoch, .. }) => {
            Err(GrantRefused::Account { device, account: *account, epoch: *epoch })
        }
        None => Ok(()),
    }
}

pub(super) async fn bundle(
    State(inner): State<Arc<Inner>>,
    Path(epoch): Path<u64>,
) -> Result<Response, Failure> {
    let path = bundle_path(&inner.dir, Epoch(epoch));
    let file = tokio::fs::File::open(path).await.map_err(|_| no_bundle(epoch))?;
    let size = file.metadata().await.map_err(|_| no_bundle(epoch))?.len();
    // Piece by piece: a bundle may be large and a reader slow.
    let body = Body::from_stream(ReaderStream::with_capacity(file, PIECE));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/cbor")),
        (header::CONTENT_LENGTH, size.into()),
    ];
    Ok((headers, body).into_response())
}

pub(super) async fn excerpt(
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
