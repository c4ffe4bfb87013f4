//! Private values of a device's reports, each in a file of its own beside the device, so that it can be erased. Reports and bundles have commitments
//! only.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use depin_core::{NetworkId, Text};
use depin_identity::{Commitment, CommitmentError, Opening, PrivateFields};

/// Bytes of a file that holds the longest value, and its salt.
const MAX_FILE: u64 = 262_144;
/// Files that are read at most.
const MAX_FILES: usize = 1_000_000;
/// Where they are, in a device's directory.
const FOLDER: &str = "private";
/// Ending of a file that is not whole yet.
const PARTIAL: &str = "partial";

/// Why private values cannot be kept, read or erased.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateError {
    /// The disk said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file that holds something else.
    #[error("{path} holds no private value: {reason}; restore it from a copy, or remove it")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A value that cannot be committed to.
    #[error(transparent)]
    Commitment(#[from] CommitmentError),
}

/// Keeps a value in the folder `private` of the device in `dir`, and gives the commitment to sign.
///
/// # Errors
/// [`PrivateError`].
pub fn keep(dir: &Path, opening: &Opening, network: NetworkId) -> Result<Commitment, PrivateError> {
    let commitment = opening.commit(network)?;
    let folder = dir.join(FOLDER);
    let path = folder.join(name(&commitment));
    // Under another name until it is whole: a power failure leaves nothing that looks like a value.
    let partial = path.with_extension(PARTIAL);
    let write = || {
        fs::create_dir_all(&folder)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&partial)?;
        file.write_all(&serde_json::to_vec(opening)?)?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    };
    write().map_err(|error| PrivateError::Io { path, error })?;
    Ok(commitment)
}

/// Every value in `folder`. Each opens the commitment that its file is named after.
///
/// # Errors
/// [`PrivateError`].
pub fn read(folder: &Path, network: NetworkId) -> Result<PrivateFields, PrivateError> {
    let mut fields = PrivateFields::default();
    for (path, opening) in openings(folder)? {
        let commitment = fields.keep(opening, network)?;
        let expected = name(&commitment);
        if path.file_name().is_none_or(|found| found != expected.as_str()) {
            let reason = format!("it opens {}: value, salt, label or network differ", commitment.digest);
            return Err(PrivateError::Content { path, reason });
        }
    }
    Ok(fields)
}

/// Erases every value in the folder `private` of the device in `dir`, readable or not, or those under one label. How many there were.
///
/// # Errors
/// [`PrivateError`]: when a file cannot be removed, or, under a label, when one cannot be read; all others are erased then.
pub fn erase(dir: &Path, label: Option<&Text>) -> Result<usize, PrivateError> {
    let (mut erased, mut failed) = (0_usize, None);
    for path in files(&dir.join(FOLDER))? {
        let path = path?;
        let wanted = match label {
            None => Ok(true),
            Some(label) => open(&path).map(|opening| opening.label == *label),
        };
        let done = wanted.and_then(|wanted| {
            if wanted {
                fs::remove_file(&path).map_err(|error| PrivateError::Io { path, error })?;
            }
            Ok(usize::from(wanted))
        });
        match done {
            Ok(count) => erased = erased.saturating_add(count),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(erased), Err)
}

fn name(commitment: &Commitment) -> String {
    format!("{}.json", commitment.digest)
}

fn openings(folder: &Path) -> Result<Vec<(PathBuf, Opening)>, PrivateError> {
    let mut found = Vec::new();
    for path in files(folder)?.take(MAX_FILES) {
        let path = path?;
        if path.extension().is_none_or(|extension| extension != PARTIAL) {
            let opening = open(&path)?;
            found.push((path, opening));
        }
    }
    Ok(found)
}

/// The files of the folder; none if it is not there.
fn files(folder: &Path) -> Result<impl Iterator<Item = Result<PathBuf, PrivateError>>, PrivateError> {
    let path = folder.to_owned();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries.map_err(|error| PrivateError::Io { path: path.clone(), error })?),
    };
    let each = move |entry: io::Result<fs::DirEntry>| match entry {
        Ok(entry) => Ok(entry.path()),
        Err(error) => Err(PrivateError::Io { path: path.clone(), error }),
    };
    Ok(entries.into_iter().flatten().map(each))
}

fn open(path: &Path) -> Result<Opening, PrivateError> {
    let refused = |error| PrivateError::Io { path: path.to_owned(), error };
    let mut text = Vec::new();
    let file = fs::File::open(path).map_err(refused)?;
    file.take(MAX_FILE).read_to_end(&mut text).map_err(refused)?;
    serde_json::from_slice(&text)
        .map_err(|error| PrivateError::Content { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: NetworkId = NetworkId(depin_core::Digest([1; 32]));

    fn opening(label: &'static str, salt: u8) -> Opening {
        Opening { label: Text::from(label), salt: vec![salt; 32], value: vec![7] }
    }

    #[test]
    fn what_is_damaged_is_erased_as_well_and_spares_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        for (label, salt) in [("place", 1), ("place", 2), ("name", 3)] {
            keep(dir.path(), &opening(label, salt), NETWORK).unwrap();
        }
        let folder = dir.path().join(FOLDER);
        fs::write(folder.join("torn.json"), b"{\"label").unwrap();
        assert!(matches!(read(&folder, NETWORK), Err(PrivateError::Content { .. })));
        let partly = erase(dir.path(), Some(&"place".into()));
        assert!(matches!(partly, Err(PrivateError::Content { .. })), "whether it was a place cannot be said");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "the name, and what is torn");
        assert_eq!(erase(dir.path(), None).unwrap(), 2);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        assert_eq!(erase(&dir.path().join("none"), None).unwrap(), 0);
    }

    #[test]
    fn a_value_that_was_not_written_to_its_end_is_no_value() {
        let dir = tempfile::tempdir().unwrap();
        let commitment = keep(dir.path(), &opening("place", 1), NETWORK).unwrap();
        let folder = dir.path().join(FOLDER);
        fs::write(folder.join("cut.partial"), b"{").unwrap();
        let fields = read(&folder, NETWORK).unwrap();
        assert!(fields.read(&commitment, NETWORK).is_ok());
    }
}
