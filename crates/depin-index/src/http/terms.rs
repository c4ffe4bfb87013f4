//! What the chain fixed when the network was deployed, and what follows from that for reading.

use serde::Serialize;

use crate::{EpochRow, RootStatus};

/// What the contracts of the network were deployed with, as far as reading needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How many digits of an amount stand behind the point: the decimals of the token. By ERC-20 that is for showing amounts only.
    pub decimals: u8,
    /// How long roots and disputes wait.
    pub windows: Windows,
}

/// How long roots and disputes wait on the chain: what the network's distributor was deployed with. A pause of the distributor makes a wait
/// longer by as much of it as it covers, which is not in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// How long a proposed root can be challenged, in seconds.
    pub challenge: u64,
    /// How long a dispute takes evidence, in seconds.
    pub evidence: u64,
    /// How long the resolver then has, in seconds.
    pub resolution: u64,
    /// After how many rounds without a root stake decides instead of the resolver, when the evidence is in.
    pub max_voids: u8,
}

impl Windows {
    /// Until when, in seconds since the Unix epoch, the root of `epoch` can be challenged, or the dispute about it can be resolved; none while
    /// nothing waits.
    pub(super) fn deadline(&self, epoch: &EpochRow) -> Option<u64> {
        let (since, wait) = match epoch.status {
            RootStatus::Proposed => (epoch.proposed_at?, self.challenge),
            RootStatus::Challenged if epoch.voids >= self.max_voids => (epoch.contested_at?, self.evidence),
            RootStatus::Challenged => (epoch.contested_at?, self.evidence.checked_add(self.resolution)?),
            RootStatus::Closed | RootStatus::Voided | RootStatus::Final => return None,
        };
        since.0.div_euclid(1000).checked_add(wait)
    }
}

#[cfg(test)]
mod tests {
    use depin_core::{Amount, Digest, Epoch, Timestamp, Units};

    use super::*;
    use crate::{Total, VerdictCounts};

    fn epoch(status: RootStatus, voids: u8) -> EpochRow {
        EpochRow {
            epoch: Epoch(0),
            bundle: Digest([1; 32]),
            root: Digest([2; 32]),
            status,
            root_on_chain: None,
            bundle_on_chain: None,
            pool: Amount::ZERO,
            paid: Amount::ZERO,
            dust: Amount::ZERO,
            burned: Amount::ZERO,
            minted: Amount::ZERO,
            revenue: Amount::ZERO,
            spent: Total::default(),
            units: Units::new("byte-seconds".into(), 0),
            opened: Timestamp(0),
            closed: Timestamp(0),
            verdicts: VerdictCounts::default(),
            proposed_block: Some(1),
            proposed_at: Some(Timestamp(10_999)),
            challenges: 0,
            contested_at: Some(Timestamp(20_000)),
            voids,
            decided: false,
        }
    }

    #[test]
    fn deadlines_are_those_of_the_contract() {
        let windows = Windows { challenge: 100, evidence: 30, resolution: 7, max_voids: 2 };
        for (status, voids, expected) in [
            (RootStatus::Closed, 0, None),
            (RootStatus::Proposed, 0, Some(110)),
            (RootStatus::Challenged, 1, Some(57)),
            // In the last round stake decides, as soon as the evidence is in.
            (RootStatus::Challenged, 2, Some(50)),
            (RootStatus::Voided, 1, None),
            (RootStatus::Final, 0, None),
        ] {
            assert_eq!(windows.deadline(&epoch(status, voids)), expected, "{status} after {voids}");
        }
    }
}
