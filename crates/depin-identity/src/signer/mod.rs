//! Where the secret keys of devices live, and the URLs that say where.

mod check;
mod file;
mod open;
mod password;
mod pem;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod url;

pub use check::{Check, CheckOutcome, CheckResult, DeviceCheck};
pub use file::{KeyFileError, create_key_file, open_key_file};
pub use open::OpenError;
pub use password::{Password, PasswordError, PasswordSource};
pub use pem::{PemKeyError, decrypt_key, encrypt_key};
#[cfg(feature = "pkcs11")]
pub use pkcs11::{KeyAttributes, Pkcs11Key, TokenError};
pub use url::{DeviceUrl, DeviceUrlError, Pkcs11Url};
