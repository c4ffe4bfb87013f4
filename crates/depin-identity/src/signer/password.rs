//! What unlocks a key: the password of a file, the PIN of a token.

use std::{env, fmt, fs::File, io, io::Read as _, path::PathBuf};

use zeroize::Zeroizing;

/// A password or PIN, wiped when dropped and never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

/// Where a password comes from. Never from an argument: every user of a machine can read those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// The environment variable [`PasswordSource::VARIABLE`].
    Environment,
    /// A file, by its absolute path. One line end at its end is no part of the password.
    File(PathBuf),
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// No such variable.
    #[error(
        "{} is not set; put the password or PIN into it, or name a file with ?pin-source=file:/…",
        PasswordSource::VARIABLE
    )]
    Unset,
    /// The file cannot be read.
    #[error("the password file {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Nothing, or too much.
    #[error("the password from {from} has {found} bytes; expected 1 to {}", Password::MAX)]
    Length {
        /// Where it came from.
        from: String,
        /// Bytes found, at most one more than allowed.
        found: usize,
    },
}

impl Password {
    /// Most bytes.
    pub const MAX: usize = 1024;

    /// A password that is at hand already.
    ///
    /// # Errors
    /// [`PasswordError::Length`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, PasswordError> {
        Self::checked(Zeroizing::new(bytes), || "memory".to_owned())
    }

    /// The bytes, for what unlocks with them.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn checked(bytes: Zeroizing<Vec<u8>>, from: impl FnOnce() -> String) -> Result<Self, PasswordError> {
        match bytes.len() {
            1..=Self::MAX => Ok(Self(bytes)),
            found => Err(PasswordError::Length { from: from(), found }),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl PasswordSource {
    /// The environment variable that is read when no file is named.
    pub const VARIABLE: &str = "DEPIN_KEY_PASSWORD";

    /// Reads the password.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn read(&self) -> Result<Password, PasswordError> {
        match self {
            Self::Environment => {
                let value = env::var_os(Self::VARIABLE).ok_or(PasswordError::Unset)?;
                let bytes = Zeroizing::new(value.into_encoded_bytes());
                Password::checked(bytes, || Self::VARIABLE.to_owned())
            }
            Self::File(path) => {
                // Room for one byte too many and a line end from the start: what grows leaves copies behind.
                let mut bytes = Zeroizing::new(Vec::with_capacity(Password::MAX.saturating_add(3)));
                let limit = u64::try_from(Password::MAX).unwrap_or_default().saturating_add(3);
                File::open(path)
                    .and_then(|file| file.take(limit).read_to_end(&mut bytes))
                    .map_err(|error| PasswordError::Io { path: path.clone(), error })?;
                for end in [b'\n', b'\r'] {
                    if bytes.last() == Some(&end) {
                        bytes.pop();
                    }
                }
                Password::checked(bytes, || path.display().to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_is_read_without_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            PasswordSource::File(path.clone()).read()
        };
        for (content, password) in
            [("1234", "1234"), ("1234\n", "1234"), ("1234\r\n", "1234"), (" a b \n\n", " a b \n")]
        {
            assert_eq!(read(content.as_bytes()).unwrap().as_bytes(), password.as_bytes());
        }
        for refused in [Vec::new(), b"\n".to_vec(), vec![b'a'; Password::MAX + 1], vec![b'a'; 1 << 20]] {
            assert!(matches!(read(&refused), Err(PasswordError::Length { .. })));
        }
        assert_eq!(read(&[b'a'; Password::MAX]).unwrap().as_bytes().len(), Password::MAX);
        let missing = PasswordSource::File(dir.path().join("none")).read();
        assert!(matches!(missing, Err(PasswordError::Io { .. })));
    }

    #[test]
    fn a_password_is_not_shown() {
        let password = Password::new(b"hunter2".to_vec()).unwrap();
        assert!(!format!("{password:?}").contains("hunter2"));
    }
}
