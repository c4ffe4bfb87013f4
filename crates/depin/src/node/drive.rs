//! A node by the clock: epoch after epoch, without knowing who takes part.

use std::time::Duration;

use depin_core::{Millis, Timestamp};
use depin_evm::{BLOCK_BEACON, BlockBeaconRule, Moments};

use super::{Node, NodeError};
use crate::{api::Phase, network::Catalogue, params::BeaconParams};

/// How long to wait before trying again what a chain or beacon refused.
const RETRY: Duration = Duration::from_secs(5);
/// How often what became final is taken in between the steps of an epoch.
const FOLLOW: Duration = Duration::from_secs(5);

/// What a node and an auditor with a chain know: what is in the box, and the beacons of a chain's blocks.
pub fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::standard();
    catalogue.add_beacon(BLOCK_BEACON.into(), |anchor| {
        let (first, length): (u64, u64) =
            depin_core::cbor::from_slice(anchor).map_err(|error| error.to_string())?;
        let moments = Moments { first: Timestamp(first), length: Millis(length) };
        Ok(Box::new(BlockBeaconRule { moments }))
    });
    catalogue
}

/// The parameters of beacons from a chain's blocks.
pub fn block_beacon(moments: Moments) -> BeaconParams {
    let anchor = depin_core::cbor::to_vec(&(moments.first.0, moments.length.0));
    BeaconParams { kind: BLOCK_BEACON.into(), anchor }
}

impl Node {
    /// Runs epochs by the clock until `stop` ends, and takes in what becomes final on the chain meanwhile. What fails for the moment (the chain,
    /// the beacon) is tried again.
    ///
    /// An epoch whose commitments the node missed is closed without a beacon: what was wanted in it could not be checked, which is nobody's
    /// fault but the network's. It must not be opened late, when its beacon may be known already.
    ///
    /// # Errors
    /// [`NodeError`] that no later attempt can mend.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) -> Result<(), NodeError> {
        tokio::select! {
            () = stop => Ok(()),
            ended = self.epochs() => ended,
            () = self.keep_up() => Ok(()),
        }
    }

    /// Epoch after epoch, until something fails that no later attempt can mend.
    async fn epochs(&self) -> Result<(), NodeError> {
        loop {
            match self.turn().await {
                Ok(()) => {}
                Err(error) if error.is_temporary() => {
                    tracing::warn!(%error, "trying again in {} s", RETRY.as_secs());
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Follows the chain for ever: who registered or paid is known before the next epoch, and a chain that is back is seen to be.
    async fn keep_up(&self) {
        loop {
            tokio::time::sleep(FOLLOW).await;
            // Whoever needs it asks again; what is wrong is said by the health.
            drop(self.follow().await);
        }
    }

    /// The next step of the current epoch.
    async fn turn(&self) -> Result<(), NodeError> {
        let params = self.network().params();
        let (open, known) = self.progress().await;
        if !open {
            let epoch = self.epoch().await;
            let earliest = params.genesis.0.saturating_add(params.epoch_length.0.saturating_mul(epoch.0));
            self.0.reach(Timestamp(earliest)).await;
            self.open_epoch().await?;
            return Ok(());
        }
        let Some(schedule) = self.schedule().await else { return Ok(()) };
        let epoch = self.epoch().await;
        let earliest = params.genesis.0.saturating_add(params.epoch_length.0.saturating_mul(epoch.0));
        let due = params.schedule(Timestamp(earliest));
        let missed = schedule.opens > due.commit_until;
        if !missed && !known {
            self.announce(Phase::Commit).await;
            self.0.reach(schedule.commit_until).await;
            return self.reveal_beacon().await;
        }
        if !missed && self.0.now() <= schedule.answer_until {
            self.announce(Phase::Answer).await;
            self.0.reach(schedule.answer_until.saturating_add(Millis(1))).await;
        }
        self.announce(Phase::Report).await;
        self.0.reach(if missed { due.closes } else { schedule.closes }).await;
        let bundle = self.close_epoch().await?;
        tracing::info!(epoch = %bundle.header.epoch, digest = %bundle.digest(), paid = %bundle.result.paid, "epoch closed");
        // A chain that is down holds up what is paid, not the next epoch.
        if let Err(error) = self.settle().await {
            tracing::warn!(%error, "settled later");
        }
        Ok(())
    }
}
