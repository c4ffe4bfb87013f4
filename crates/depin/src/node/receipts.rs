//! Receipts: what was acknowledged lately, and what it takes to say so again in the same words.

use std::collections::{HashMap, VecDeque};

use depin_core::{Digest, Epoch, NetworkId, Timestamp};
use depin_identity::{Receipt, SignError, SoftwareKey};

use crate::log::Frontier;

/// Entries between two right edges of the log that are kept.
const STRIDE: u64 = 16;

/// Where an acknowledged report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) received: Timestamp,
    pub(super) epoch: Epoch,
}

/// The reports that were acknowledged and could come again: until their own time is too far off for any clock.
#[derive(Debug, Default)]
pub(super) struct Recent {
    places: HashMap<Digest, Place>,
    /// In the order of the journal.
    order: VecDeque<Digest>,
    /// Right edges of the log at every [`STRIDE`]th entry, as far back as the oldest report known.
    edges: VecDeque<Frontier>,
}

impl Recent {
    /// The next entry goes onto the log `before`.
    pub(super) fn pass(&mut self, before: &Frontier) {
        let due = self.edges.back().is_none_or(|last| before.size() >= last.size().saturating_add(STRIDE));
        if due {
            self.edges.push_back(before.clone());
        }
    }

    /// That entry is the report with this digest.
    pub(super) fn add(&mut self, report: Digest, place: Place) {
        if self.places.insert(report, place).is_none() {
            self.order.push_back(report);
        }
    }

    /// Where the report is, and a right edge of the log not far before it.
    pub(super) fn find(&self, report: &Digest) -> Option<(Place, Frontier)> {
        let place = *self.places.get(report)?;
        let at = self.edges.partition_point(|edge| edge.size() <= place.index);
        Some((place, self.edges.get(at.checked_sub(1)?)?.clone()))
    }

    /// Forgets reports received before `moment`.
    pub(super) fn forget(&mut self, moment: Timestamp) {
        while let Some(report) = self.order.front() {
            if self.places.get(report).is_some_and(|place| place.received >= moment) {
                break;
            }
            self.places.remove(report);
            self.order.pop_front();
        }
        let oldest = self.order.front().and_then(|report| self.places.get(report)).map(|place| place.index);
        // The last edge stays, so that the next one keeps its distance.
        while let (Some(next), true) = (self.edges.get(1), self.edges.len() > 1) {
            if oldest.is_some_and(|oldest| next.size() > oldest) {
                break;
            }
            self.edges.pop_front();
        }
    }

    /// Position of the first entry that may be read again.
    pub(super) fn first(&self) -> Option<u64> {
        self.edges.front().map(Frontier::size)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.places.len(), self.edges.len())
    }
}

/// The receipt of the report at `place`, whose leaf goes onto the log `before`. Its head is the first that covers the entry, so it is the same
/// whenever it is asked for.
///
/// # Errors
/// [`SignError`] that no log shorter than 2^64 gives.
pub(super) fn receipt(
    key: &SoftwareKey,
    network: NetworkId,
    report: Digest,
    place: Place,
    before: &Frontier,
    leaf: Digest,
) -> Result<Vec<u8>, SignError> {
    let Place { index, received, epoch } = place;
    let mut after = before.clone();
    after.push(leaf);
    let receipt =
        Receipt { report, index, received, epoch, leaf, head: after.head(), proof: before.next_proof() };
    receipt.sign_with(key, network)
}

#[cfg(test)]
mod tests {
    use depin_core::sha256;

    use super::*;
    use crate::log::{Tree, check_inclusion};

    fn report(index: u64) -> Digest {
        sha256(&[&index.to_be_bytes()])
    }

    #[test]
    fn an_edge_makes_the_receipt_that_a_whole_tree_would() {
        let (mut log, mut tree, mut recent) = (Frontier::default(), Tree::default(), Recent::default());
        for index in 0..1_000 {
            recent.pass(&log);
            recent.add(report(index), Place { index, received: Timestamp(index), epoch: Epoch(0) });
            assert_eq!(log.next_proof(), {
                tree.push(report(index));
                tree.inclusion(index, index + 1).unwrap()
            });
            let proof = log.next_proof();
            log.push(report(index));
            check_inclusion(report(index), index, &proof, &log.head()).unwrap();
        }
        for index in 0..1_000 {
            let (place, edge) = recent.find(&report(index)).unwrap();
            assert_eq!(place.index, index);
            assert!(edge.size() <= index && index < edge.size() + STRIDE);
        }
    }

    #[test]
    fn what_can_no_longer_come_again_is_forgotten() {
        let (mut log, mut recent) = (Frontier::default(), Recent::default());
        for index in 0..10_000 {
            recent.pass(&log);
            recent.add(report(index), Place { index, received: Timestamp(index), epoch: Epoch(0) });
            log.push(report(index));
            recent.forget(Timestamp(index.saturating_sub(100)));
            let (places, edges) = recent.len();
            let apart = usize::try_from(STRIDE).unwrap();
            assert!(places <= 101 && edges <= 101 / apart + 2, "{places} {edges}");
        }
        assert!(recent.find(&report(9_898)).is_none());
        assert!(recent.find(&report(9_950)).is_some());
        recent.forget(Timestamp(u64::MAX));
        assert_eq!(recent.len(), (0, 1));
    }
}
