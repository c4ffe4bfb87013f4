//! From a device URL to what signs.

use std::boxed::Box;

use depin_core::KeyType;

use super::{DeviceUrl, KeyFileError, PasswordError, create_key_file, file::random_secret, open_key_file};
#[cfg(feature = "pkcs11")]
use super::{Pkcs11Key, TokenError};
use crate::{DeviceSigner, SecretError, SoftwareKey};

/// Why the key at a device URL is not opened or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The key file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The token.
    #[cfg(feature = "pkcs11")]
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Random bytes that are no key, or a type that there is none of.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// This program was built without PKCS#11.
    #[error("this program reaches no tokens; build it with the feature pkcs11 of depin-identity")]
    NoTokens,
}

impl DeviceUrl {
    /// Opens the key. Blocks: for a key file about a tenth of a second, for a token as long as it takes.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self) -> Result<Box<dyn DeviceSigner>, OpenError> {
        match self {
            Self::File { path, password } => Ok(Box::new(open_key_file(path, &password.read()?)?)),
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11(url) => Ok(Box::new(Pkcs11Key::open(url)?)),
            #[cfg(not(feature = "pkcs11"))]
            Self::Pkcs11(_) => Err(OpenError::NoTokens),
        }
    }

    /// Makes a new key of type `key_type` there, and opens it. Returns also its URL, which is this one, with the identifier that the key got on
    /// its token. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]; a key that is there already is not replaced.
    pub fn create(&self, key_type: KeyType) -> Result<(Self, Box<dyn DeviceSigner>), OpenError> {
        match self {
            Self::File { path, password } => {
                let key = SoftwareKey::from_secret(key_type, *random_secret()?)?;
                create_key_file(path, &key, &password.read()?)?;
                Ok((self.clone(), Box::new(key)))
            }
            #[cfg(feature = "pkcs11")]
            Self::Pkcs11(url) => {
                let key = Pkcs11Key::generate(url, key_type)?;
                Ok((Self::Pkcs11(key.url().clone()), Box::new(key)))
            }
            #[cfg(not(feature = "pkcs11"))]
            Self::Pkcs11(_) => Err(OpenError::NoTokens),
        }
    }
}
