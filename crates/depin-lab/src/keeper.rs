//! Where a provider takes pieces: a private service of its device.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path as UrlPath, State},
    http::StatusCode,
    routing::put,
};
use depin::node::{GrantAuthority, GrantLayer, Grants, Standing};
use depin_core::{DeviceId, NetworkId, Timestamp};
use depin_identity::grant::Right;
use depin_proof::commp::PieceCommitment;

use crate::{
    attack::Attack,
    client::NodeClient,
    data::MAX_DATA,
    pieces::{PieceStore, StoreError},
};

/// The service by its name: who hands over pieces needs a grant of the device to use it.
pub const PIECES: &str = "storage.pieces";

/// Takes pieces from those whom `device` granted it, and loses some of them if it cheats.
pub(crate) fn door(
    store: PieceStore,
    attack: Option<Attack>,
    client: NodeClient,
    network: NetworkId,
    device: DeviceId,
) -> Router {
    let grants = Grants::new(Arc::new(Registry { client, network }), [], BTreeSet::new());
    Router::new()
        .route("/pieces/{cid}", put(take_piece))
        .layer(DefaultBodyLimit::max(usize::try_from(MAX_DATA).unwrap_or(usize::MAX)))
        .layer(GrantLayer::new(grants, device, Right::Use(PIECES.into())))
        .with_state(Arc::new(Keeper { store, attack }))
}

/// The registry, as the node has it: whose grants count at this provider's door.
#[derive(Debug)]
struct Registry {
    client: NodeClient,
    network: NetworkId,
}

#[async_trait]
impl GrantAuthority for Registry {
    fn network(&self) -> NetworkId {
        self.network
    }

    async fn standing(&self, device: &DeviceId) -> Result<Option<Standing>, String> {
        let work = self.client.work(device).await.map_err(|error| error.to_string())?;
        Ok(work.record.as_ref().map(Standing::of))
    }

    async fn now(&self) -> Result<Timestamp, String> {
        let status = self.client.status_now().await.map_err(|error| error.to_string())?;
        Ok(Timestamp(status.now))
    }
}

/// Takes pieces from customers.
#[derive(Debug)]
struct Keeper {
    store: PieceStore,
    attack: Option<Attack>,
}

async fn take_piece(
    State(keeper): State<Arc<Keeper>>,
    UrlPath(cid): UrlPath<String>,
    bytes: Bytes,
) -> Result<StatusCode, (StatusCode, String)> {
    let bad = |error: &dyn std::fmt::Display| (StatusCode::BAD_REQUEST, error.to_string());
    let expected: PieceCommitment = cid.parse().map_err(|error| bad(&error))?;
    let take = tokio::task::spawn_blocking(move || keeper.take(expected, &bytes));
    match take.await {
        Ok(Ok(())) => Ok(StatusCode::CREATED),
        Ok(Err(error @ StoreError::Io { .. })) => Err((StatusCode::INSUFFICIENT_STORAGE, error.to_string())),
        Ok(Err(error)) => Err(bad(&error)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

impl Keeper {
    fn take(&self, expected: PieceCommitment, bytes: &[u8]) -> Result<(), StoreError> {
        let piece = self.store.put(expected, bytes)?;
        let path = self.store.path(&piece);
        let lost = match self.attack {
            Some(Attack::PartialStorage) => delete_a_twentieth(&path, piece.size()),
            // Nothing is kept; the file only looks as if.
            Some(Attack::Uptime) => File::create(&path).and_then(|file| file.set_len(piece.size())),
            _ => Ok(()),
        };
        lost.map_err(|error| StoreError::Io { path, error })
    }
}

/// Overwrites every twentieth block of 32 bytes with zeros, or the last byte of a smaller file.
fn delete_a_twentieth(path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    let mut at = 0_u64;
    let mut step = 608_u64;
    if size <= 640 {
        at = size.saturating_sub(size.div_ceil(20));
        step = size;
    }
    while at < size {
        let len = usize::try_from(size.saturating_sub(at).min(32)).unwrap_or(32);
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&vec![0; len])?;
        at = at.saturating_add(32).saturating_add(step);
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cheater_loses_a_twentieth_of_what_it_keeps() {
        let dir = tempfile::tempdir().unwrap();
        for size in [1_usize, 100, 640, 64_000, 100_001] {
            let path = dir.path().join("piece");
            std::fs::write(&path, vec![1; size]).unwrap();
            delete_a_twentieth(&path, u64::try_from(size).unwrap()).unwrap();
            let after = std::fs::read(&path).unwrap();
            let lost = after.iter().filter(|byte| **byte == 0).count();
            assert_eq!(after.len(), size);
            assert!(lost >= (size / 20).max(1) && lost <= size / 19 + 33, "{size}: {lost}");
        }
    }
}
