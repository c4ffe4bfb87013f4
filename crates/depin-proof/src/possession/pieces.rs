//! Lists of pieces in their one canonical order.

use depin_core::{Digest, cbor, sha256};
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::commp::Piece;

/// Most pieces in one set or one deal.
pub const MAX_PIECES: usize = 65_536;

/// Distinct pieces in ascending order of commitment and size, at most [`MAX_PIECES`]: what a device keeps, or what a deal is about. Its
/// encoding is a CBOR array of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceSet(Vec<Piece>);

/// Too many pieces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} pieces; keep at most {MAX_PIECES} in one set, joining small files into one piece")]
pub struct PieceSetError {
    /// Pieces found.
    pub found: usize,
}

impl PieceSet {
    /// The distinct ones of `pieces`.
    ///
    /// # Errors
    /// [`PieceSetError`] when there are more than [`MAX_PIECES`].
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Result<Self, PieceSetError> {
        let mut pieces: Vec<_> = pieces.into_iter().collect();
        pieces.sort_unstable();
        pieces.dedup();
        if pieces.len() > MAX_PIECES { Err(PieceSetError { found: pieces.len() }) } else { Ok(Self(pieces)) }
    }

    /// The pieces, ascending.
    pub fn as_slice(&self) -> &[Piece] {
        &self.0
    }

    /// Whether `piece` is one of them.
    pub fn contains(&self, piece: &Piece) -> bool {
        self.0.binary_search(piece).is_ok()
    }

    /// The canonical bytes: the body of a report, the subject of a deal.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// SHA-256 of the canonical bytes.
    pub fn digest(&self) -> Digest {
        sha256(&[&self.to_bytes()])
    }
}

impl<C> Encode<C> for PieceSet {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(u64::try_from(self.0.len()).unwrap_or(u64::MAX))?;
        self.0.iter().try_for_each(|piece| piece.encode(e, ctx))
    }
}

impl<'b, C> Decode<'b, C> for PieceSet {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let refused = |what| minicbor::decode::Error::message(what).at(at);
        let count = d.array()?.and_then(|count| usize::try_from(count).ok());
        let count =
            count.filter(|count| *count <= MAX_PIECES).ok_or_else(|| refused("at most 65536 pieces"))?;
        // Room is made as pieces arrive: a count alone allocates nothing.
        let mut pieces: Vec<Piece> = Vec::new();
        for _ in 0..count {
            let piece = Piece::decode(d, ctx)?;
            if pieces.last().is_some_and(|last| *last >= piece) {
                return Err(refused("distinct pieces in ascending order"));
            }
            pieces.push(piece);
        }
        Ok(Self(pieces))
    }
}
