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
    let folder = dir.join("private");
    let path = folder.join(name(&commitment));
    let write = || {
        fs::create_dir_all(&folder)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        file.write_all(&serde_json::to_vec(opening)?)?;
        file.sync_all()
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

/// Erases every value in the folder `private` of the device in `dir`, or those under one label. How many there were.
///
/// # Errors
/// [`PrivateError`].
pub fn erase(dir: &Path, label: Option<&Text>) -> Result<usize, PrivateError> {
    let mut erased: usize = 0;
    for (path, opening) in openings(&dir.join("private"))? {
        if label.is_none_or(|label| opening.label == *label) {
            fs::remove_file(&path).map_err(|error| PrivateError::Io { path, error })?;
            erased = erased.saturating_add(1);
        }
    }
    Ok(erased)
}

fn name(commitment: &Commitment) -> String {
    format!("{}.json", commitment.digest)
}

fn openings(folder: &Path) -> Result<Vec<(PathBuf, Opening)>, PrivateError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        |error| PrivateError::Io { path, error }
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(refused(folder))?,
    };
    let mut found = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let path = entry.map_err(refused(folder))?.path();
        let mut text = Vec::new();
        let file = fs::File::open(&path).map_err(refused(&path))?;
        file.take(MAX_FILE).read_to_end(&mut text).map_err(refused(&path))?;
        match serde_json::from_slice(&text) {
            Ok(opening) => found.push((path, opening)),
            Err(error) => return Err(PrivateError::Content { path, reason: error.to_string() }),
        }
    }
    Ok(found)
}
