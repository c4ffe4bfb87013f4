//! Answers: one multiproof over everything that was asked for.

use depin_core::{DeviceId, Digest, Epoch, cbor, sha256};
use minicbor::{Decode, Encode};

use super::{Challenge, Opening};
use crate::commp::{Piece, join, zero_subtree};

/// The answer to a challenge: the leaves asked for and the hashes that lead from them to the commitments. Which leaves and which hashes these
/// are follows from the challenge, so no index is sent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Answer {
    /// The epoch it is for.
    #[n(0)]
    pub epoch: Epoch,
    /// The device it is for.
    #[n(1)]
    pub device: DeviceId,
    /// What it answers: [`Challenge::digest`].
    #[n(2)]
    pub challenge: Digest,
    /// The leaves, 32 bytes each: piece after piece in the order of the set, ascending in each piece.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub leaves: Vec<u8>,
    /// The sibling hashes, 32 bytes each: piece after piece, in each level by level from the leaves upward, in each level from left to right.
    /// Left out are those that follow from the leaves and those of subtrees beyond the last real leaf.
    #[n(4)]
    #[cbor(with = "minicbor::bytes")]
    pub siblings: Vec<u8>,
}

/// Why an answer shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It answers something else.
    #[error("it answers {found}; asked was {expected}")]
    Challenge {
        /// The challenge it names.
        found: Digest,
        /// The challenge of this epoch.
        expected: Digest,
    },
    /// Too few or too many leaves.
    #[error("it holds {found} bytes of leaves; asked were {expected}")]
    Leaves {
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// Too few sibling hashes, or some that nothing needs.
    #[error("it holds {found} bytes of sibling hashes, which are not those needed")]
    Siblings {
        /// Bytes found.
        found: usize,
    },
    /// Leaves that do not belong to a piece.
    #[error("the leaves do not hash to {piece}")]
    Root {
        /// The piece.
        piece: Piece,
    },
}

impl Answer {
    /// The canonical bytes: the body of a report.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// SHA-256 of leaves and siblings: tells whether two answers show the same.
    pub fn openings_digest(&self) -> Digest {
        sha256(&[&self.leaves, &self.siblings])
    }

    /// Checks that the device had the leaves that `challenge` asks for: recomputes the commitment of each piece that was hit. Whom and which
    /// epoch it names is for the caller to check.
    ///
    /// # Errors
    /// [`VerifyError`], the cheapest check first.
    pub fn verify(&self, challenge: &Challenge) -> Result<(), VerifyError> {
        if self.challenge != challenge.digest() {
            return Err(VerifyError::Challenge { found: self.challenge, expected: challenge.digest() });
        }
        let (leaves, rest) = self.leaves.as_chunks::<32>();
        if !rest.is_empty() || leaves.len() != challenge.samples() {
            let expected = challenge.samples().saturating_mul(32);
            return Err(VerifyError::Leaves { found: self.leaves.len(), expected });
        }
        let (siblings, rest) = self.siblings.as_chunks::<32>();
        let wrong_siblings = VerifyError::Siblings { found: self.siblings.len() };
        if !rest.is_empty() {
            return Err(wrong_siblings);
        }
        let (mut leaves, mut siblings) = (leaves.iter(), siblings.iter());
        for Opening { piece, leaves: indexes } in challenge.openings() {
            let layer = indexes.iter().copied().zip(leaves.by_ref().copied()).collect();
            let sibling = |_, _| siblings.next().copied();
            let Some(root) = climb(piece, layer, sibling, join, zero_subtree) else {
                return Err(wrong_siblings);
            };
            if root != *piece.commitment().as_bytes() {
                return Err(VerifyError::Root { piece: *piece });
            }
        }
        if siblings.next().is_some() { Err(wrong_siblings) } else { Ok(()) }
    }
}

/// Climbs from some leaves of `piece`, given ascending, to its root. Prover and verifier climb alike, one to learn which siblings it needs,
/// the other to hash, so there is one order of siblings. None when a sibling is missing, or there is no leaf.
pub(super) fn climb<N>(
    piece: &Piece,
    mut layer: Vec<(u64, N)>,
    mut sibling: impl FnMut(u32, u64) -> Option<N>,
    join: impl Fn(&N, &N) -> N,
    zero_subtree: impl Fn(u32) -> N,
) -> Option<N> {
    let mut above = Vec::with_capacity(layer.len());
    for level in 0..piece.height() {
        let mut nodes = layer.drain(..).peekable();
        while let Some((index, node)) = nodes.next() {
            let beside = index ^ 1;
            let parent = if beside < index {
                // Had the left one been known, it would have taken this one along.
                join(&sibling(level, beside)?, &node)
            } else if let Some((_, right)) = nodes.next_if(|(next, _)| *next == beside) {
                join(&node, &right)
            } else if beside << level >= piece.leaves() {
                join(&node, &zero_subtree(level))
            } else {
                join(&node, &sibling(level, beside)?)
            };
            above.push((index >> 1, parent));
        }
        drop(nodes);
        std::mem::swap(&mut layer, &mut above);
    }
    layer.into_iter().next().map(|(_, root)| root)
}

/// The siblings that an answer about `leaves` of `piece` needs, as level and index, in order.
pub(super) fn siblings(piece: &Piece, leaves: &[u64]) -> Vec<(u32, u64)> {
    let mut needed = Vec::new();
    let note = |level, index| {
        needed.push((level, index));
        Some(())
    };
    climb(piece, leaves.iter().map(|leaf| (*leaf, ())).collect(), note, |(), ()| (), |_| ());
    needed
}
