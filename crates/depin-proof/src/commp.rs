//! Filecoin piece commitments, version 1 ("commP", multicodec `fil-commitment-unsealed`), as Lotus computes them.
//!
//! The bytes are padded with zeros to a multiple of 127 and spread so that every 254 bits get a leaf of 32 bytes whose two top bits are zero
//! (Fr32); leaves are paired by SHA-256 with the two top bits of the last byte cleared; missing subtrees are those of zero leaves, up to a
//! power of two of at least 128 padded bytes. A commitment says nothing about trailing zeros, so a [`Piece`] carries its size.

mod cid;
mod tree;

use std::{fmt, io};

use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

pub use cid::CidError;
pub(crate) use tree::{Node, Observe, Tree, join, zero_subtree};

/// Largest piece in bytes: what fits into a tree of 1 TiB.
pub const MAX_PIECE: u64 = (1 << 40) / 128 * 127;

/// The root of a piece's tree. Shown as its CID (`baga6ea4seaq…`: CIDv1, `fil-commitment-unsealed`, `sha2-256-trunc254-padded`, base32).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceCommitment([u8; 32]);

/// Bytes of a known size under their commitment. At least one byte, at most [`MAX_PIECE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "RawPiece", into = "RawPiece")]
pub struct Piece {
    commitment: PieceCommitment,
    size: u64,
}

/// Why there is no such piece.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PieceError {
    /// No byte at all: there is nothing whose possession could be shown.
    #[error("an empty file is no piece; leave it out")]
    Empty,
    /// More than [`MAX_PIECE`] bytes.
    #[error("a piece of {found} bytes; split it into pieces of at most {MAX_PIECE}")]
    TooLarge {
        /// Bytes found.
        found: u64,
    },
    /// A commitment with one of its two top bits set, which no bytes have.
    #[error(
        "the two top bits of a commitment are zero; its last byte is {found:#04x}: copy the commitment again"
    )]
    TopBits {
        /// The last byte.
        found: u8,
    },
}

/// The commitment of `bytes`.
///
/// # Errors
/// [`PieceError::Empty`], [`PieceError::TooLarge`].
pub fn commit(bytes: &[u8]) -> Result<Piece, PieceError> {
    let mut committer = Committer::new();
    committer.update(bytes);
    committer.finish()
}

/// Commits to bytes that arrive in chunks of any size, with less than 8 KiB of memory. `std::io::copy` writes into it.
#[derive(Clone, Default)]
pub struct Committer(Tree<()>);

impl Committer {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The piece made of everything read.
    ///
    /// # Errors
    /// [`PieceError::Empty`], [`PieceError::TooLarge`].
    pub fn finish(self) -> Result<Piece, PieceError> {
        self.0.finish().map(|(piece, ())| piece)
    }
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").field("size", &self.0.size()).finish()
    }
}

impl io::Write for Committer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PieceCommitment {
    /// A commitment of 32 bytes.
    ///
    /// # Errors
    /// [`PieceError::TopBits`] when no bytes can have it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Result<Self, PieceError> {
        let [.., last] = bytes;
        if last & 0xc0 == 0 { Ok(Self(bytes)) } else { Err(PieceError::TopBits { found: last }) }
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Piece {
    /// The piece of `size` bytes under `commitment`.
    ///
    /// # Errors
    /// [`PieceError::Empty`], [`PieceError::TooLarge`].
    pub const fn new(commitment: PieceCommitment, size: u64) -> Result<Self, PieceError> {
        match size {
            0 => Err(PieceError::Empty),
            1..=MAX_PIECE => Ok(Self { commitment, size }),
            _ => Err(PieceError::TooLarge { found: size }),
        }
    }

    /// The commitment.
    pub const fn commitment(&self) -> PieceCommitment {
        self.commitment
    }

    /// Bytes without any padding.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of the padded tree: a power of two of at least 128.
    pub const fn padded_size(&self) -> u64 {
        // At most 2^40: see `MAX_PIECE`.
        self.size.div_ceil(127).next_power_of_two() * 128
    }

    /// Real leaves: those that hold at least one bit of the bytes. Leaf `i` holds the bits from `254 i` to before `254 (i + 1)`.
    pub const fn leaves(&self) -> u64 {
        // 254 bits are 127/4 bytes; four times `MAX_PIECE` fits.
        (self.size * 4).div_ceil(127)
    }

    /// Levels between a leaf and the root.
    pub(crate) const fn height(&self) -> u32 {
        (self.padded_size() / 32).ilog2()
    }
}

impl fmt::Debug for PieceCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.commitment, self.size)
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<C> Encode<C> for PieceCommitment {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for PieceCommitment {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let refused = || minicbor::decode::Error::message("a piece commitment of 32 bytes").at(at);
        let bytes = <[u8; 32]>::try_from(d.bytes()?).map_err(|_| refused())?;
        Self::from_bytes(bytes).map_err(|_| refused())
    }
}

/// An array of commitment and size.
impl<C> Encode<C> for Piece {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?;
        self.commitment.encode(e, ctx)?;
        e.u64(self.size)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Piece {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let refused = || minicbor::decode::Error::message("an array of commitment and size").at(at);
        if d.array()? != Some(2) {
            return Err(refused());
        }
        let commitment = PieceCommitment::decode(d, ctx)?;
        Self::new(commitment, d.u64()?).map_err(|_| refused())
    }
}

/// The JSON form. A size stays far below 2^53, so a number holds it.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Piece")]
struct RawPiece {
    commitment: PieceCommitment,
    size: u64,
}

impl From<Piece> for RawPiece {
    fn from(piece: Piece) -> Self {
        Self { commitment: piece.commitment, size: piece.size }
    }
}

impl TryFrom<RawPiece> for Piece {
    type Error = PieceError;

    fn try_from(raw: RawPiece) -> Result<Self, PieceError> {
        Self::new(raw.commitment, raw.size)
    }
}

impl Serialize for PieceCommitment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PieceCommitment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
