//! Freshness of reports from devices without a clock: a challenge that the node gave takes the place of time.

use depin_core::{Epoch, NetworkId, Text};

use crate::{Commitment, Opening, Report};

/// What a node gives to devices: 32 bytes that nobody could know before, and the epoch they are for.
///
/// A report carries it as a commitment labelled `challenge`, whose salt is the nonce and whose value is the epoch in eight big-endian bytes. So any kind of
/// report can, and nothing is added to what is signed. Whoever holds such a report knows that it was signed after the challenge was given; with the moment
/// of its receipt that bounds when. Devices make it with `depin_device::Challenge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The epoch it is for.
    pub epoch: Epoch,
    /// The bytes nobody could know: random, or a beacon's value.
    pub nonce: [u8; 32],
}

/// Why a report answers none of the challenges that count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// No commitment labelled `challenge`.
    #[error("the report names no challenge; ask the node for one and commit to it under `challenge`")]
    Missing,
    /// A commitment to something else.
    #[error("the report answers none of the {given} challenges in force; ask the node for a new one")]
    Unknown {
        /// Challenges compared with.
        given: usize,
    },
}

impl Challenge {
    /// The label; for nothing else.
    pub const LABEL: &'static str = "challenge";

    /// What a report that answers this challenge commits to.
    pub fn opening(&self) -> Opening {
        let (salt, value) = (self.nonce.to_vec(), self.epoch.0.to_be_bytes().to_vec());
        Opening { label: Text::from(Self::LABEL), salt, value }
    }

    /// The one of `in_force` that `report` answers. Which are in force is up to the caller: this epoch's and, for reports on their way, the last one's.
    /// Each costs a hash, so keep them few.
    ///
    /// # Errors
    /// [`ChallengeError`].
    pub fn answered<'a>(
        report: &Report,
        in_force: &'a [Self],
        network: NetworkId,
    ) -> Result<&'a Self, ChallengeError> {
        let named = |commitment: &&Commitment| commitment.label == Self::LABEL;
        let commitment = report.commitments.iter().find(named).ok_or(ChallengeError::Missing)?;
        let answered = |challenge: &&Self| commitment.verify(&challenge.opening(), network).is_ok();
        in_force.iter().find(answered).ok_or(ChallengeError::Unknown { given: in_force.len() })
    }
}
