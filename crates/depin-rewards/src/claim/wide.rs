//! Keccak-256 of independent blocks side by side, one in each lane of a wide register.
//!
//! No library at hand does this for Keccak with the registers found at run time, and it makes claim trees several times as fast. It
//! is the permutation of FIPS 202 and nothing else; which instructions there are, and all that would be unsafe, is `pulp`'s part.
#![allow(
    clippy::indexing_slicing,
    reason = "constant indices into arrays of constant length: the compiler checks them"
)]

use alloy_primitives::B256;
use pulp::{
    Simd, WithSimd,
    bytemuck::{cast_slice, cast_slice_mut},
    u64x4, u64x8,
    x86::{V3, V4},
};

use super::hash::{Block, Times};

/// Round constants (FIPS 202, 3.2.5).
const ROUND: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Rotations (FIPS 202, 3.2.2), in the order in which the words of the state are moved.
const ROTATION: [u64; 24] =
    [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44];

/// Where each moved word goes (FIPS 202, 3.2.3).
const MOVE: [usize; 24] =
    [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1];

/// Last word of a block of 1,088 bits, which ends the padding of Keccak-256.
const LAST: usize = 16;

/// Hashes as many of `blocks` as fill whole registers, and returns how many.
pub(super) fn hash(blocks: &[Block], times: Times, digests: &mut [B256]) -> usize {
    if let Some(simd) = V4::try_new() {
        hash_with(simd, blocks, times, digests)
    } else if let Some(simd) = V3::try_new() {
        hash_with(simd, blocks, times, digests)
    } else {
        0
    }
}

fn hash_with<S: Wide>(simd: S, blocks: &[Block], times: Times, digests: &mut [B256]) -> usize {
    simd.vectorize(Hash { simd, blocks, times, digests });
    blocks.len().saturating_sub(blocks.chunks_exact(S::U64_LANES).remainder().len())
}

/// Registers of 64-bit lanes that can be rotated.
trait Wide: Simd {
    fn rotate(self, a: Self::u64s, left: u64) -> Self::u64s;
}

impl Wide for V4 {
    #[inline(always)]
    fn rotate(self, a: u64x8, left: u64) -> u64x8 {
        let right = 64_u64.wrapping_sub(left);
        self.or_u64s(
            self.shl_dyn_u64x8(a, self.splat_u64x8(left)),
            self.shr_dyn_u64x8(a, self.splat_u64x8(right)),
        )
    }
}

impl Wide for V3 {
    #[inline(always)]
    fn rotate(self, a: u64x4, left: u64) -> u64x4 {
        let right = 64_u64.wrapping_sub(left);
        self.or_u64s(
            self.shl_dyn_u64x4(a, self.splat_u64x4(left)),
            self.shr_dyn_u64x4(a, self.splat_u64x4(right)),
        )
    }
}

struct Hash<'a, S> {
    simd: S,
    blocks: &'a [Block],
    times: Times,
    digests: &'a mut [B256],
}

impl<S: Wide> WithSimd for Hash<'_, S> {
    type Output = ();

    /// Everything below is inlined here, where the compiler may use the instructions of `S`.
    #[inline(always)]
    fn with_simd<T: Simd>(self, _: T) {
        let simd = self.simd;
        let lanes = S::U64_LANES;
        for (blocks, digests) in self.blocks.chunks_exact(lanes).zip(self.digests.chunks_exact_mut(lanes)) {
            let mut state = absorb(simd, blocks);
            permute(simd, &mut state);
            if self.times == Times::Twice {
                state = absorb_digest(simd, &state);
                permute(simd, &mut state);
            }
            squeeze::<S>(&state, digests);
        }
    }
}

/// The state before the permutation of messages of 64 bytes, padded.
#[inline(always)]
fn absorb<S: Wide>(simd: S, blocks: &[Block]) -> [S::u64s; 25] {
    let mut state = [simd.splat_u64s(0); 25];
    for (at, word) in state.iter_mut().take(8).enumerate() {
        let lanes: &mut [u64] = cast_slice_mut(core::slice::from_mut(word));
        for (lane, block) in lanes.iter_mut().zip(blocks) {
            let (words, _) = block.as_chunks::<8>();
            *lane = words.get(at).copied().map_or(0, u64::from_le_bytes);
        }
    }
    state[8] = simd.splat_u64s(1);
    state[LAST] = simd.splat_u64s(1 << 63);
    state
}

/// The state before the permutation of messages of 32 bytes, padded: the digests in `state`.
#[inline(always)]
fn absorb_digest<S: Wide>(simd: S, state: &[S::u64s; 25]) -> [S::u64s; 25] {
    let mut next = [simd.splat_u64s(0); 25];
    for (to, from) in next.iter_mut().zip(state.iter().take(4)) {
        *to = *from;
    }
    next[4] = simd.splat_u64s(1);
    next[LAST] = simd.splat_u64s(1 << 63);
    next
}

#[inline(always)]
fn squeeze<S: Wide>(state: &[S::u64s; 25], digests: &mut [B256]) {
    for (at, word) in state.iter().take(4).enumerate() {
        let lanes: &[u64] = cast_slice(core::slice::from_ref(word));
        for (digest, lane) in digests.iter_mut().zip(lanes) {
            let (words, _) = digest.0.as_chunks_mut::<8>();
            if let Some(word) = words.get_mut(at) {
                *word = lane.to_le_bytes();
            }
        }
    }
}

/// Repeats a block with a constant, so that every index and every rotation is known to the compiler.
macro_rules! unroll {
    ($name:ident in [$($value:literal)+] $body:block) => {
        $({
            const $name: usize = $value;
            $body
        })+
    };
}

/// Keccak-f\[1600\] in every lane.
#[inline(always)]
fn permute<S: Wide>(simd: S, state: &mut [S::u64s; 25]) {
    for constant in ROUND {
        let mut column = [simd.splat_u64s(0); 5];
        unroll!(X in [0 1 2 3 4] {
            let upper = simd.xor_u64s(state[X], state[X + 5]);
            let lower = simd.xor_u64s(state[X + 10], state[X + 15]);
            column[X] = simd.xor_u64s(simd.xor_u64s(upper, lower), state[X + 20]);
        });
        unroll!(X in [0 1 2 3 4] {
            let change = simd.xor_u64s(column[(X + 4) % 5], simd.rotate(column[(X + 1) % 5], 1));
            unroll!(Y in [0 5 10 15 20] {
                state[X + Y] = simd.xor_u64s(state[X + Y], change);
            });
        });
        let mut moved = state[1];
        unroll!(I in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23] {
            let next = state[MOVE[I]];
            state[MOVE[I]] = simd.rotate(moved, ROTATION[I]);
            moved = next;
        });
        // The last word taken out is the first one that was moved.
        let _ = moved;
        unroll!(Y in [0 5 10 15 20] {
            let row = [state[Y], state[Y + 1], state[Y + 2], state[Y + 3], state[Y + 4]];
            unroll!(X in [0 1 2 3 4] {
                let mask = simd.and_u64s(simd.not_u64s(row[(X + 1) % 5]), row[(X + 2) % 5]);
                state[X + Y] = simd.xor_u64s(row[X], mask);
            });
        });
        state[0] = simd.xor_u64s(state[0], simd.splat_u64s(constant));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    fn agrees<S: Wide>(simd: Option<S>) {
        let Some(simd) = simd else {
            println!("skipped: this machine lacks {}", core::any::type_name::<S>());
            return;
        };
        let blocks: Vec<Block> = (0..=255u8).map(|byte| [byte; 64]).collect();
        let mut digests = vec![B256::ZERO; blocks.len()];
        assert_eq!(hash_with(simd, &blocks, Times::Once, &mut digests), blocks.len());
        assert!(blocks.iter().zip(&digests).all(|(block, digest)| keccak256(block) == *digest));
        assert_eq!(hash_with(simd, &blocks, Times::Twice, &mut digests), blocks.len());
        assert!(blocks.iter().zip(&digests).all(|(block, digest)| keccak256(keccak256(block)) == *digest));
    }

    #[test]
    fn every_width_of_register_agrees_with_one_by_one() {
        agrees(V4::try_new());
        agrees(V3::try_new());
    }

    #[test]
    fn what_fills_no_register_is_left() {
        let mut digests = [B256::ZERO; 3];
        assert_eq!(hash(&[[0; 64]; 3], Times::Once, &mut digests), 0);
        assert_eq!(digests, [B256::ZERO; 3]);
    }
}
