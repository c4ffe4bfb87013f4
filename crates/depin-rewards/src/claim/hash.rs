//! Keccak-256 of many blocks of 64 bytes at once.

use alloy_primitives::{B256, keccak256};

/// Two words of the ABI, or two nodes: all that a claim tree hashes.
pub(super) type Block = [u8; 64];

/// Blocks prepared on the stack before they are hashed.
const BATCH: usize = 64;

/// How often a block is hashed: an inner node once, a leaf twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    Twice,
}

/// Writes the hashes of `blocks`, as many as there are, to `digests`.
pub(super) fn hash_all(blocks: impl Iterator<Item = Block>, times: Times, digests: &mut [B256]) {
    let mut blocks = blocks;
    let mut batch = [[0; 64]; BATCH];
    for digests in digests.chunks_mut(BATCH) {
        for (slot, block) in batch.iter_mut().zip(blocks.by_ref().take(digests.len())) {
            *slot = block;
        }
        hash_batch(batch.get(..digests.len()).unwrap_or_default(), times, digests);
    }
}

/// Hashes with the widest registers there are, and the rest one by one.
fn hash_batch(blocks: &[Block], times: Times, digests: &mut [B256]) {
    #[cfg(all(feature = "simd", target_arch = "x86_64"))]
    let done = super::wide::hash(blocks, times, digests);
    #[cfg(not(all(feature = "simd", target_arch = "x86_64")))]
    let done = 0;
    for (block, digest) in blocks.iter().zip(digests).skip(done) {
        *digest = match times {
            Times::Once => keccak256(block),
            Times::Twice => keccak256(keccak256(block)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn many_hashes_at_once_equal_one_by_one(seeds in proptest::collection::vec(any::<[u8; 32]>(), 0..200)) {
            let blocks: Vec<Block> = seeds.iter().map(|seed| {
                let mut block = [0; 64];
                block[..32].copy_from_slice(seed);
                block[32..].copy_from_slice(keccak256(seed).as_slice());
                block
            }).collect();
            let mut digests = vec![B256::ZERO; blocks.len()];
            hash_all(blocks.iter().copied(), Times::Once, &mut digests);
            prop_assert!(blocks.iter().zip(&digests).all(|(block, digest)| keccak256(block) == *digest));
            hash_all(blocks.iter().copied(), Times::Twice, &mut digests);
            prop_assert!(blocks.iter().zip(&digests).all(|(block, digest)| keccak256(keccak256(block)) == *digest));
        }
    }
}
