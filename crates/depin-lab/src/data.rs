//! The data that simulated customers want kept.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use depin_core::sha256;

/// Most data a simulated network keeps, in bytes: 256 MiB.
pub const MAX_DATA: u64 = 256 << 20;
/// How much data is made when nobody brings any, in bytes: 8 MiB.
pub const MADE_DATA: u64 = 8 << 20;

/// Why data could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The disk said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A directory that cannot be walked.
    #[error("{0}; check the directory given with --data")]
    Walk(#[from] ignore::Error),
    /// Nothing to keep.
    #[error("{0} holds no file with content that .gitignore allows; choose another directory with --data")]
    Empty(PathBuf),
    /// Too much to keep.
    #[error("{path} holds more than {MAX_DATA} bytes; choose a smaller directory with --data")]
    TooMuch {
        /// The directory.
        path: PathBuf,
    },
}

/// Writes `count` files of pseudo-random bytes, [`MADE_DATA`] in all, into `folder`: the same for the same seed. Files that are there already
/// with the right size are left alone.
///
/// # Errors
/// [`DataError::Io`].
pub fn make(folder: &Path, seed: &[u8; 32], label: &str, count: u64, total: u64) -> Result<(), DataError> {
    fs::create_dir_all(folder).map_err(|error| DataError::Io { path: folder.to_owned(), error })?;
    for number in 0..count {
        let share =
            |upto: u64| u128::from(total).saturating_mul(u128::from(upto)).checked_div(u128::from(count));
        let start = share(number).unwrap_or_default();
        let end = share(number.saturating_add(1)).unwrap_or_default();
        let size = u64::try_from(end.saturating_sub(start)).unwrap_or(u64::MAX);
        let path = folder.join(format!("{label}-{number:03}.bin"));
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == size) {
            continue;
        }
        write_stream(&path, seed, label, number, size).map_err(|error| DataError::Io { path, error })?;
    }
    Ok(())
}

/// SHA-256 in counter mode: slow beside a cipher, quick enough for megabytes, and no further dependency.
fn write_stream(path: &Path, seed: &[u8; 32], label: &str, number: u64, size: u64) -> io::Result<()> {
    let mut file = io::BufWriter::new(File::create(path)?);
    let (mut left, mut counter) = (size, 0_u64);
    while left > 0 {
        let block = sha256(&[
            b"depin/made-data/1",
            seed,
            label.as_bytes(),
            &number.to_be_bytes(),
            &counter.to_be_bytes(),
        ]);
        let take = usize::try_from(left.min(32)).unwrap_or(32);
        file.write_all(block.as_bytes().get(..take).unwrap_or_default())?;
        left = left.saturating_sub(32);
        counter = counter.saturating_add(1);
    }
    file.into_inner()?.sync_all()
}

/// The files of `folder` that are worth keeping, sorted by path: .gitignore is respected, hidden and empty files are left out, links are not
/// followed. The directory `except` is left out with everything in it: a network's own keys are no data.
///
/// # Errors
/// [`DataError`], when there is nothing or more than [`MAX_DATA`].
pub fn files(folder: &Path, except: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    let mut total = 0_u64;
    let mut walk = ignore::WalkBuilder::new(folder);
    walk.require_git(false).sort_by_file_path(Ord::cmp);
    if let Ok(except) = except.canonicalize() {
        walk.filter_entry(move |entry| entry.path().canonicalize().map_or(true, |path| path != except));
    }
    for entry in walk.build() {
        let entry = entry?;
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let size = entry.metadata()?.len();
        total = total.saturating_add(size);
        if total > MAX_DATA {
            return Err(DataError::TooMuch { path: folder.to_owned() });
        }
        if size > 0 {
            found.push(entry.into_path());
        }
    }
    if found.is_empty() { Err(DataError::Empty(folder.to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_files() {
        let dir = tempfile::tempdir().unwrap();
        let contents = |name: &str, seed| {
            let folder = dir.path().join(name);
            make(&folder, &[seed; 32], "piece", 3, 1_000).unwrap();
            files(&folder, Path::new("none"))
                .unwrap()
                .into_iter()
                .map(|path| fs::read(path).unwrap())
                .collect::<Vec<_>>()
        };
        let first = contents("a", 1);
        assert_eq!(first, contents("b", 1));
        assert_ne!(first, contents("c", 2));
        assert_eq!(first.iter().map(Vec::len).sum::<usize>(), 1_000);
    }

    #[test]
    fn ignored_hidden_empty_and_own_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("own")).unwrap();
        for (name, content) in [
            ("own/node.key", "a secret"),
            (".gitignore", "secret*\n"),
            ("secret.txt", "s"),
            ("kept.txt", "k"),
            ("empty", ""),
            (".hidden", "h"),
        ] {
            fs::write(dir.path().join(name), content).unwrap();
        }
        assert_eq!(files(dir.path(), &dir.path().join("own")).unwrap(), [dir.path().join("kept.txt")]);
        assert_eq!(files(dir.path(), Path::new("none")).unwrap().len(), 2);
        fs::remove_file(dir.path().join("kept.txt")).unwrap();
        fs::remove_file(dir.path().join("own/node.key")).unwrap();
        assert!(matches!(files(dir.path(), Path::new("none")), Err(DataError::Empty(_))));
    }
}
