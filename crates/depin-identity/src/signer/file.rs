//! Encrypted key files.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{Password, PemKeyError, decrypt_key, encrypt_key, pem::MAX_TEXT};
use crate::SoftwareKey;

/// Why a key file is not opened or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// No such file.
    #[error("{path} does not exist; make a key with `depin device new --key file:{path} --type ed25519`")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There is a file already.
    #[error(
        "{path} exists and is not overwritten, for a key that is lost is a device that is lost; name another file"
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The disk said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// No randomness on this machine.
    #[error("the system gives no randomness: {0}")]
    Random(getrandom::Error),
    /// The file holds something else, or another password locked it.
    #[error("{path}: {error}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: PemKeyError,
    },
}

/// Opens the key in the file `path`. Blocks for about a tenth of a second.
///
/// # Errors
/// [`KeyFileError`].
pub fn open_key_file(path: &Path, password: &Password) -> Result<SoftwareKey, KeyFileError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
        _ => KeyFileError::Io { path: path.to_owned(), error },
    };
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_TEXT).unwrap_or_default().saturating_add(1);
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text)).map_err(io)?;
    decrypt_key(&text, password).map_err(|error| KeyFileError::Content { path: path.to_owned(), error })
}

/// Writes `key` to the new file `path`, which only its owner can read, and returns when it is on the disk.
///
/// # Errors
/// [`KeyFileError`]; [`KeyFileError::Exists`] when there is anything at `path`, a dangling link included.
pub fn create_key_file(path: &Path, key: &SoftwareKey, password: &Password) -> Result<(), KeyFileError> {
    let mut random = [[0; 16]; 2];
    getrandom::fill(random.as_flattened_mut()).map_err(KeyFileError::Random)?;
    let [salt, iv] = random;
    let text = encrypt_key(key, password, &salt, &iv)
        .map_err(|error| KeyFileError::Content { path: path.to_owned(), error })?;
    write_new(path, text.as_bytes()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => KeyFileError::Io { path: path.to_owned(), error },
    })
}

/// 32 random bytes that are a secret of one more key.
pub(super) fn random_secret() -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(KeyFileError::Random)?;
    Ok(secret)
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // Ours, and of use to nobody.
        drop(fs::remove_file(path));
        return written;
    }
    // The name has to reach the disk too.
    #[cfg(unix)]
    File::open(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
        .sync_all()?;
    Ok(())
}
