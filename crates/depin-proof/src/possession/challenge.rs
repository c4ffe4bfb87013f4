//! Which leaves the beacon asks for.

use std::{collections::BTreeSet, vec};

use depin_core::{DeviceId, Digest, Epoch, NetworkId, cbor, sha256};

use super::{PieceSet, PossessionParams};
use crate::commp::Piece;

/// What a device has to show in one epoch. The device computes it to answer, everyone else to check the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    device: DeviceId,
    epoch: Epoch,
    digest: Digest,
    openings: Vec<Opening>,
}

/// The leaves of one piece that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The piece.
    pub piece: Piece,
    /// Indexes of real leaves, ascending; at least one.
    pub leaves: Vec<u64>,
}

impl Challenge {
    /// The challenge to `device`, which committed to `set` before the beacon was known. Leaves are drawn from the pieces of the set that are
    /// also among `wanted`, the subjects of the active deals; all of them if there are fewer than the parameters ask for.
    pub fn new<'a>(
        params: &PossessionParams,
        network: NetworkId,
        device: DeviceId,
        epoch: Epoch,
        beacon: &[u8; 32],
        set: &PieceSet,
        wanted: impl IntoIterator<Item = &'a PieceSet>,
    ) -> Self {
        let mut wanted: Vec<&Piece> = wanted.into_iter().flat_map(PieceSet::as_slice).collect();
        wanted.sort_unstable();
        let pieces: Vec<Piece> =
            set.as_slice().iter().filter(|piece| wanted.binary_search(piece).is_ok()).copied().collect();
        let seed = sha256(&[
            b"depin/possession/v1",
            network.as_bytes(),
            beacon,
            device.key().as_bytes(),
            &epoch.0.to_be_bytes(),
            set.digest().as_bytes(),
        ]);
        let digest = sha256(&[
            b"depin/possession/challenge/v1",
            seed.as_bytes(),
            &params.samples().to_be_bytes(),
            &cbor::to_vec(&pieces),
        ]);
        let total = pieces.iter().map(Piece::leaves).sum();
        let drawn = draw(seed, total, u64::from(params.samples()));
        Self { device, epoch, digest, openings: spread(&pieces, &drawn) }
    }

    /// The device that is asked.
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The epoch it is asked in.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What an answer names to say what it answers: SHA-256 of `depin/possession/challenge/v1`, the seed, the number of leaves (4 bytes,
    /// big-endian) and the CBOR array of the pieces drawn from.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The pieces with the leaves asked for, in the order of the set. Pieces that were not hit are left out.
    pub fn openings(&self) -> &[Opening] {
        &self.openings
    }

    /// Leaves asked for in all.
    pub fn samples(&self) -> usize {
        self.openings.iter().map(|opening| opening.leaves.len()).sum()
    }
}

/// `count` distinct numbers below `total`, each set of them equally likely (R. Floyd's algorithm, CACM 30(9), 1987); all if there are no more.
fn draw(seed: Digest, total: u64, count: u64) -> BTreeSet<u64> {
    let mut words = Words { seed, counter: 0, block: Vec::new().into_iter() };
    let mut drawn = BTreeSet::new();
    for last in total.saturating_sub(count)..total {
        let number = words.up_to(last);
        if !drawn.insert(number) {
            drawn.insert(last);
        }
    }
    drawn
}

/// Assigns ascending numbers to the leaves of `pieces`, counted through all of them.
fn spread(pieces: &[Piece], drawn: &BTreeSet<u64>) -> Vec<Opening> {
    let mut drawn = drawn.iter().peekable();
    let mut openings = Vec::new();
    let mut start = 0;
    for piece in pieces {
        let end = start + piece.leaves();
        let leaves: Vec<u64> = std::iter::from_fn(|| drawn.next_if(|number| **number < end))
            .map(|number| number - start)
            .collect();
        if !leaves.is_empty() {
            openings.push(Opening { piece: *piece, leaves });
        }
        start = end;
    }
    openings
}

/// 64-bit words, big-endian, of SHA-256 of the seed and a counter (8 bytes, big-endian).
struct Words {
    seed: Digest,
    counter: u64,
    block: vec::IntoIter<u64>,
}

impl Words {
    fn word(&mut self) -> u64 {
        loop {
            if let Some(word) = self.block.next() {
                return word;
            }
            let digest = sha256(&[self.seed.as_bytes(), &self.counter.to_be_bytes()]);
            self.counter = self.counter.wrapping_add(1);
            let (words, _) = digest.as_bytes().as_chunks::<8>();
            self.block = words.iter().map(|word| u64::from_be_bytes(*word)).collect::<Vec<_>>().into_iter();
        }
    }

    /// A number from 0 to `last`, each equally likely: words beyond the largest multiple of the range are thrown away.
    fn up_to(&mut self, last: u64) -> u64 {
        let Some(range) = last.checked_add(1) else { return self.word() };
        // 2^64 mod range, so that `u64::MAX - excess` is the end of the last whole range.
        let excess = (u64::MAX % range + 1) % range;
        loop {
            let word = self.word();
            if word <= u64::MAX - excess {
                return word % range;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn draws_are_distinct_below_the_total_and_as_many_as_asked(seed: [u8; 32], total in 0u64..5_000, count in 0u64..1_000) {
            let drawn = draw(Digest(seed), total, count);
            prop_assert_eq!(u64::try_from(drawn.len()).unwrap(), count.min(total));
            prop_assert!(drawn.iter().all(|number| *number < total));
        }
    }

    #[test]
    fn every_number_is_drawn_equally_often() {
        // 20,000 draws of 5 of 16: each number 6,250 times, standard deviation 65.6. Five of them either way.
        let mut counts = [0u32; 16];
        for seed in 0..20_000u64 {
            for number in draw(sha256(&[&seed.to_be_bytes()]), 16, 5) {
                counts[usize::try_from(number).unwrap()] += 1;
            }
        }
        assert!(counts.iter().all(|count| count.abs_diff(6_250) < 330), "{counts:?}");
    }

    #[test]
    fn words_beyond_the_last_whole_range_are_thrown_away() {
        // A range just above half of all words: without rejection the low half would come twice as often.
        let range_end = 3 << 62;
        let mut words = Words { seed: Digest([7; 32]), counter: 0, block: Vec::new().into_iter() };
        let low = (0..30_000).filter(|_| words.up_to(range_end - 1) < 1 << 62).count();
        // A third of 30,000, standard deviation 81.6; with a plain remainder it would be half.
        assert!(low.abs_diff(10_000) < 410, "{low}");
    }
}
