//! What is carried from one epoch to the next.

use depin_core::{Digest, Epoch};
use minicbor::{Decode, Encode};

use super::PieceSet;

/// The memory of one device, as a CBOR array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Memory {
    /// The set that was in force in the last epoch; none before the first.
    #[n(0)]
    pub(super) set: Option<PieceSet>,
    /// The last set received after the beacon of that epoch: in force in the next one.
    #[n(1)]
    pub(super) next: Option<PieceSet>,
    /// The last answer that was accepted.
    #[n(2)]
    pub(super) answered: Option<Answered>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Answered {
    #[n(0)]
    pub(super) epoch: Epoch,
    #[n(1)]
    pub(super) challenge: Digest,
    #[n(2)]
    pub(super) openings: Digest,
}

impl Memory {
    /// The set in force when nothing newer arrives in time.
    pub(super) fn carried(&self) -> Option<&PieceSet> {
        self.next.as_ref().or(self.set.as_ref())
    }
}
