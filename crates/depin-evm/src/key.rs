//! Where keys come from: an encrypted keystore file or the environment, never an argument.

use std::path::{Path, PathBuf};

use alloy::signers::local::PrivateKeySigner;
use zeroize::Zeroizing;

/// Why a key could not be read. Never says anything of the key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The variable is not set.
    #[error("the environment variable {variable} is not set; set it, or name a keystore file")]
    Missing {
        /// The variable.
        variable: String,
    },
    /// The variable does not hold a key.
    #[error("{variable} does not hold a private key; expected 64 hexadecimal digits")]
    Malformed {
        /// The variable.
        variable: String,
    },
    /// The file cannot be opened with this password, or is none.
    #[error("{}: {reason}; check the file and its password", path.display())]
    Keystore {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// The key in the environment variable `variable`: 64 hexadecimal digits, with or without `0x`.
///
/// # Errors
/// [`KeyError`].
pub fn signer_from_env(variable: &str) -> Result<PrivateKeySigner, KeyError> {
    let text = Zeroizing::new(
        std::env::var(variable).map_err(|_| KeyError::Missing { variable: variable.to_owned() })?,
    );
    text.trim().parse().map_err(|_| KeyError::Malformed { variable: variable.to_owned() })
}

/// The key in the keystore file (Web3 Secret Storage, version 3) at `path`, with the password in the environment variable
/// `password_variable`. Its section is called `crypto`, as the definition has it; ethers writes `Crypto`, which has to be renamed.
///
/// # Errors
/// [`KeyError`].
pub fn signer_from_keystore(path: &Path, password_variable: &str) -> Result<PrivateKeySigner, KeyError> {
    let password = Zeroizing::new(
        std::env::var(password_variable)
            .map_err(|_| KeyError::Missing { variable: password_variable.to_owned() })?,
    );
    open_keystore(path, &password)
}

/// The same with the password itself.
///
/// # Errors
/// [`KeyError`].
pub fn open_keystore(path: &Path, password: &str) -> Result<PrivateKeySigner, KeyError> {
    PrivateKeySigner::decrypt_keystore(path, password.as_bytes())
        .map_err(|error| KeyError::Keystore { path: path.to_owned(), reason: error.to_string() })
}
