//! Places as cells of the H3 grid: checked, and blurred to what a policy needs to know, by arithmetic on the index alone.
//!
//! Layout of an index (h3geo.org, "H3 Index Bit Layout"): a zero bit, four bits of mode, three zero bits, four bits of resolution, seven bits
//! of base cell, fifteen digits of three bits. Turning coordinates into cells is geometry, which is done outside.

use alloc::vec::Vec;

use depin_core::{Cell, Text};

use crate::Opening;

/// The finest resolution of the grid.
pub const MAX_RESOLUTION: u8 = 15;

/// The twelve base cells that are pentagons: they have no subsequence of digits that begins with 1.
const PENTAGONS: [u64; 12] = [4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117];

/// Why a cell cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Not the index of a cell.
    #[error("{found} is no cell of the H3 grid: {expected}")]
    Cell {
        /// What was read.
        found: Cell,
        /// What an index has there.
        expected: &'static str,
    },
    /// A resolution beyond the grid, or finer than the cell.
    #[error("resolution {found} was asked of a place known at {available}; ask for that or a coarser one")]
    Resolution {
        /// The resolution asked for.
        found: u8,
        /// The resolution of the cell.
        available: u8,
    },
}

/// The resolution of `cell`, 0 (coarsest) to 15.
///
/// # Errors
/// [`PlaceError::Cell`] when it is no cell of the grid.
pub fn resolution(cell: Cell) -> Result<u8, PlaceError> {
    let refused = |expected| Err(PlaceError::Cell { found: cell, expected });
    let bits = cell.0;
    if bits >> 63 != 0 || (bits >> 59) & 0xf != 1 || (bits >> 56) & 7 != 0 {
        return refused("mode 1, and zeros in the reserved bits");
    }
    let base = (bits >> 45) & 0x7f;
    if base > 121 {
        return refused("a base cell from 0 to 121");
    }
    let resolution = u8::try_from((bits >> 52) & 0xf).unwrap_or(MAX_RESOLUTION);
    let mut first = 0;
    for at in 1..=MAX_RESOLUTION {
        let digit = digit(bits, at);
        match digit {
            7 if at > resolution => {}
            0..=6 if at <= resolution => first = if first == 0 { digit } else { first },
            _ => return refused("digits from 0 to 6 up to its resolution, and 7 beyond"),
        }
    }
    if first == 1 && PENTAGONS.contains(&base) {
        return refused("no digit 1 first in a pentagon");
    }
    Ok(resolution)
}

/// The cell at the coarser `resolution` that holds `cell`.
///
/// # Errors
/// [`PlaceError`].
pub fn blur(cell: Cell, to: u8) -> Result<Cell, PlaceError> {
    let available = resolution(cell)?;
    if to > available {
        return Err(PlaceError::Resolution { found: to, available });
    }
    let beyond = (1_u64 << shift(to)) - 1;
    let bits = cell.0 & !(0xf_u64 << 52);
    Ok(Cell(bits | (u64::from(to) << 52) | beyond))
}

/// The private field `place`: `cell` blurred to `resolution`, as the eight big-endian bytes of its index, to be opened with `salt`.
///
/// # Errors
/// [`PlaceError`].
pub fn private(cell: Cell, resolution: u8, salt: Vec<u8>) -> Result<Opening, PlaceError> {
    let value = blur(cell, resolution)?.0.to_be_bytes().to_vec();
    Ok(Opening { label: Text::from("place"), salt, value })
}

/// Where the digit of `resolution` begins.
fn shift(resolution: u8) -> u32 {
    u32::from(MAX_RESOLUTION.saturating_sub(resolution)).saturating_mul(3)
}

fn digit(bits: u64, resolution: u8) -> u64 {
    (bits >> shift(resolution)) & 7
}
