//! The provider's side: answering a challenge from the bytes it keeps.

use std::{
    io::{self, Read},
    iter::Peekable,
    vec,
};

use super::{Answer, Challenge, Opening, answer};
use crate::commp::{Node, Observe, Piece, PieceError, Tree};

/// Bytes read at a time.
const CHUNK: usize = 127 * 512;

/// Why a challenge cannot be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The bytes of a piece cannot be read.
    #[error("{piece} cannot be read: {source}; restore it, or leave it out of the next set")]
    Read {
        /// The piece.
        piece: Piece,
        /// What happened.
        source: io::Error,
    },
    /// The bytes read are not those of the piece.
    #[error(
        "the bytes kept for {piece} are now those of {found}; restore them, or leave it out of the next set"
    )]
    Changed {
        /// The piece that was asked for.
        piece: Piece,
        /// What the bytes read are.
        found: Piece,
    },
    /// The bytes read are no piece at all.
    #[error("no bytes of {piece} are left: {source}; restore it, or leave it out of the next set")]
    Gone {
        /// The piece that was asked for.
        piece: Piece,
        /// What is wrong with the bytes read.
        source: PieceError,
    },
}

/// Answers `challenge`. Each piece that was hit is opened once with `open` and read once from its beginning; memory is that of the answer and
/// one buffer.
///
/// # Errors
/// [`ProveError`] when a piece is lost or damaged. That is found out here and not by the verifier, because every piece that was hit is hashed
/// as a whole.
pub fn prove<R: Read>(
    challenge: &Challenge,
    open: impl FnMut(&Piece) -> io::Result<R>,
) -> Result<Answer, ProveError> {
    answer_with(challenge, open, |piece, found| match found == piece {
        true => Ok(()),
        false => Err(ProveError::Changed { piece, found }),
    })
}

/// Answers `challenge` from whatever bytes are there, as a provider would that lost some and tries its luck: well-formed, and wrong if a leaf that
/// was asked for is among the lost. For simulations of cheating.
///
/// # Errors
/// [`ProveError`] when the bytes cannot be read.
pub fn guess<R: Read>(
    challenge: &Challenge,
    open: impl FnMut(&Piece) -> io::Result<R>,
) -> Result<Answer, ProveError> {
    answer_with(challenge, open, |_, _| Ok(()))
}

fn answer_with<R: Read>(
    challenge: &Challenge,
    mut open: impl FnMut(&Piece) -> io::Result<R>,
    check: impl Fn(Piece, Piece) -> Result<(), ProveError>,
) -> Result<Answer, ProveError> {
    let mut answer = Answer {
        epoch: challenge.epoch(),
        device: challenge.device(),
        challenge: challenge.digest(),
        leaves: Vec::new(),
        siblings: Vec::new(),
    };
    for opening in challenge.openings() {
        let piece = opening.piece;
        let capture = open(&piece).map_err(|source| ProveError::Read { piece, source });
        let (found, capture) = read(opening, capture?)?;
        check(piece, found)?;
        answer.leaves.extend(capture.leaves.found);
        answer.siblings.extend(capture.levels.into_iter().flat_map(|level| level.found));
    }
    Ok(answer)
}

fn read(opening: &Opening, reader: impl Read) -> Result<(Piece, Capture), ProveError> {
    let piece = opening.piece;
    let mut tree = Tree::new(Capture::new(opening));
    // One byte more than the piece has shows that a file has grown.
    let mut reader = reader.take(piece.size().saturating_add(1));
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => tree.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(ProveError::Read { piece, source }),
        }
    }
    tree.finish().map_err(|source| ProveError::Gone { piece, source })
}

/// Keeps the nodes an answer needs as they come by.
struct Capture {
    leaves: Wish,
    /// By level, from the leaves upward.
    levels: Vec<Wish>,
}

/// Nodes of one level that are needed, ascending, and those found so far.
struct Wish {
    wanted: Peekable<vec::IntoIter<u64>>,
    found: Vec<u8>,
}

impl Capture {
    fn new(opening: &Opening) -> Self {
        let needed = answer::siblings(&opening.piece, &opening.leaves);
        let level = |level| needed.iter().filter(|(at, _)| *at == level).map(|(_, index)| *index).collect();
        Self {
            leaves: Wish::new(opening.leaves.clone()),
            levels: (0..opening.piece.height()).map(level).map(Wish::new).collect(),
        }
    }
}

impl Wish {
    fn new(wanted: Vec<u64>) -> Self {
        Self { wanted: wanted.into_iter().peekable(), found: Vec::new() }
    }

    fn offer(&mut self, index: u64, node: &Node) {
        if self.wanted.next_if_eq(&index).is_some() {
            self.found.extend_from_slice(node);
        }
    }
}

impl Observe for Capture {
    fn node(&mut self, level: u32, index: u64, node: &Node) {
        if level == 0 {
            self.leaves.offer(index, node);
        }
        let level = usize::try_from(level).unwrap_or(usize::MAX);
        if let Some(wish) = self.levels.get_mut(level) {
            wish.offer(index, node);
        }
    }
}
