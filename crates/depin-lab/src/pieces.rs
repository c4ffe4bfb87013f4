//! What a storage provider keeps: one file for each piece, named by its CID.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use depin_proof::commp::{Committer, Piece, PieceCommitment, PieceError};

/// The pieces of a provider, in one directory.
#[derive(Clone, Debug)]
pub struct PieceStore {
    dir: PathBuf,
}

/// Why a piece was not taken or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The bytes are no piece.
    #[error(transparent)]
    Piece(#[from] PieceError),
    /// The bytes are another piece.
    #[error("the bytes are piece {found}; expected {expected}: send them again")]
    Other {
        /// What they are.
        found: PieceCommitment,
        /// What they should be.
        expected: PieceCommitment,
    },
}

/// The piece that the bytes of a file are.
///
/// # Errors
/// [`StoreError`].
pub fn piece_of(path: &Path) -> Result<Piece, StoreError> {
    let io = |error| StoreError::Io { path: path.to_owned(), error };
    let mut file = File::open(path).map_err(io)?;
    let mut committer = Committer::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(committer.finish()?),
            count => committer.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

impl PieceStore {
    /// The store in `dir`, which is made if need be.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|error| StoreError::Io { path: dir.to_owned(), error })?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Keeps `bytes` if they are the piece `expected`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put(&self, expected: PieceCommitment, bytes: &[u8]) -> Result<Piece, StoreError> {
        let mut committer = Committer::new();
        committer.update(bytes);
        let piece = committer.finish()?;
        if piece.commitment() != expected {
            return Err(StoreError::Other { found: piece.commitment(), expected });
        }
        let path = self.path(&piece);
        let partial = path.with_extension("partial");
        let write = || {
            let mut file = File::create(&partial)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&partial, &path)
        };
        write().map_err(|error| StoreError::Io { path: path.clone(), error })?;
        Ok(piece)
    }

    /// The pieces whose files are there with the right size. A file that was lost or cut is not among them, so that its loss is declared.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn list(&self) -> Result<Vec<Piece>, StoreError> {
        let io = |error| StoreError::Io { path: self.dir.clone(), error };
        let mut pieces = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let Some((cid, size)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
            let (Ok(commitment), Ok(size)) = (cid.parse(), size.parse::<u64>()) else { continue };
            if entry.metadata().map_err(io)?.len() == size {
                pieces.push(Piece::new(commitment, size)?);
            }
        }
        pieces.sort_unstable();
        Ok(pieces)
    }

    /// Opens a piece for reading.
    ///
    /// # Errors
    /// Those of the file.
    pub fn read(&self, piece: &Piece) -> io::Result<File> {
        File::open(self.path(piece))
    }

    /// The file of a piece: its CID and its size in bytes.
    pub fn path(&self, piece: &Piece) -> PathBuf {
        self.dir.join(format!("{}.{}", piece.commitment(), piece.size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_as_they_are_and_losses_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let store = PieceStore::open(dir.path()).unwrap();
        let piece = depin_proof::commp::commit(b"three little bytes").unwrap();
        store.put(piece.commitment(), b"three little bytes").unwrap();
        assert_eq!(store.list().unwrap(), [piece]);
        assert_eq!(fs::read(store.path(&piece)).unwrap(), b"three little bytes");
        assert_eq!(piece_of(&store.path(&piece)).unwrap(), piece);
        assert!(matches!(store.put(piece.commitment(), b"others"), Err(StoreError::Other { .. })));
        fs::write(store.path(&piece), b"three").unwrap();
        assert_eq!(store.list().unwrap(), []);
    }
}
