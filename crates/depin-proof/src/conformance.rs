//! What every [`BeaconSource`] must do, for implementations of ours and of third parties.

use depin_core::Epoch;

use crate::{Beacon, BeaconError, BeaconRule, BeaconSource};

/// How a source fails the suite.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NonConformance {
    /// It failed.
    #[error("epoch {epoch}: {error}")]
    Failed {
        /// The epoch asked for.
        epoch: Epoch,
        /// How.
        error: BeaconError,
    },
    /// It knows no beacon for an epoch that is past.
    #[error("epoch {epoch} is past, but it has no beacon")]
    Missing {
        /// The epoch asked for.
        epoch: Epoch,
    },
    /// It changed its mind.
    #[error("epoch {epoch}: asked twice, it gave two beacons")]
    Changed {
        /// The epoch asked for.
        epoch: Epoch,
    },
    /// Two epochs have the same value, or a later epoch has an earlier round.
    #[error("epoch {epoch} repeats or precedes the randomness of epoch {before}")]
    Repeated {
        /// The later epoch.
        epoch: Epoch,
        /// The earlier epoch.
        before: Epoch,
    },
    /// A changed beacon still passes its rule.
    #[error("epoch {epoch}: the rule accepts a beacon with another {what}")]
    Gullible {
        /// The epoch asked for.
        epoch: Epoch,
        /// What was changed.
        what: &'static str,
    },
}

/// Checks `source` and the `rule` for its beacons over past `epochs`, given ascending: it answers for each, twice alike; every answer passes the
/// rule and no changed one does; values differ and rounds ascend.
///
/// # Errors
/// [`NonConformance`], the first one found.
pub async fn beacon_source(
    source: &dyn BeaconSource,
    rule: &dyn BeaconRule,
    epochs: &[Epoch],
) -> Result<(), NonConformance> {
    let mut before: Vec<Beacon> = Vec::new();
    for epoch in epochs.iter().copied() {
        let beacon = ask(source, epoch).await?;
        if ask(source, epoch).await? != beacon {
            return Err(NonConformance::Changed { epoch });
        }
        let checked = beacon.check(rule, epoch);
        checked.map_err(|error| NonConformance::Failed { epoch, error: error.into() })?;
        for earlier in &before {
            if earlier.value == beacon.value || earlier.round > beacon.round {
                return Err(NonConformance::Repeated { epoch, before: earlier.epoch });
            }
        }
        for (what, changed) in changes(&beacon) {
            if changed.check(rule, epoch).is_ok() {
                return Err(NonConformance::Gullible { epoch, what });
            }
        }
        before.push(beacon);
    }
    Ok(())
}

async fn ask(source: &dyn BeaconSource, epoch: Epoch) -> Result<Beacon, NonConformance> {
    match source.beacon(epoch).await {
        Ok(Some(beacon)) => Ok(beacon),
        Ok(None) => Err(NonConformance::Missing { epoch }),
        Err(error) => Err(NonConformance::Failed { epoch, error }),
    }
}

/// The beacon with one thing changed at a time.
fn changes(beacon: &Beacon) -> Vec<(&'static str, Beacon)> {
    let mut value = beacon.clone();
    value.value.iter_mut().take(1).for_each(|byte| *byte ^= 1);
    let mut round = beacon.clone();
    round.round = round.round.wrapping_add(1);
    let mut proof = beacon.clone();
    proof.proof.push(0);
    let mut cut = beacon.clone();
    let some = cut.proof.pop().is_some();
    let mut all = vec![("value", value), ("round", round), ("proof", proof)];
    if some {
        all.push(("proof", cut));
    }
    all
}
