//! What can go wrong with a token.

use std::path::PathBuf;

use cryptoki::error::{Error, RvError};

use crate::{PublicKeyError, SignError, signer::PasswordError};

/// Why a key on a token cannot be opened, made, or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The library does not load.
    #[error("the PKCS#11 library {path} does not load: {reason}; check module-path")]
    Module {
        /// The library.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// There is no PIN to log in with.
    #[error("no PIN: {reason}")]
    NoPin {
        /// Why.
        reason: String,
    },
    /// Not exactly one token matches.
    #[error("{found} tokens match; insert the token, or name it by its serial. Present: {present}")]
    Token {
        /// How many do.
        found: usize,
        /// Labels and serial numbers of those that are there.
        present: String,
    },
    /// Taken out, or out of order.
    #[error("the token was removed or does not answer; insert it again")]
    Removed,
    /// A wrong PIN. It is not tried again.
    #[error(
        "the token refuses the PIN, which is not tried again, because tokens lock after a few; check where it comes from"
    )]
    PinIncorrect,
    /// Too many wrong PINs.
    #[error("the PIN is locked; its security officer can unlock it")]
    PinLocked,
    /// The PIN was never set, or must be changed.
    #[error("the PIN was never set or has expired; set one on the token")]
    PinUnset,
    /// Not exactly one key matches.
    #[error(
        "{found} private keys match; name one by object and id, or make one with `depin device new --key`"
    )]
    Key {
        /// How many do; counting stops at two.
        found: usize,
    },
    /// A key of this name is there.
    #[error(
        "the token holds a private key of this name already, which is not replaced; choose another object or id"
    )]
    Exists,
    /// A new key needs a name.
    #[error("a new key needs a label; add object=NAME")]
    Unnamed,
    /// Neither Ed25519, P-256 nor secp256k1.
    #[error("the key is of another type or curve; use Ed25519, P-256 or secp256k1")]
    KeyType,
    /// The token cannot do this type.
    #[error("the token does not make or use keys of this type: {reason}; use another --type")]
    Unsupported {
        /// What it says.
        reason: String,
    },
    /// No public key beside the private key.
    #[error("the token has no public key for the private key; store it under the same id")]
    NoPublicKey,
    /// The public key is not fit.
    #[error(transparent)]
    PublicKey(#[from] PublicKeyError),
    /// The private key asks for its PIN each time.
    #[error("the key asks for its PIN for each signature (CKA_ALWAYS_AUTHENTICATE); use one that does not")]
    AlwaysAuthenticate,
    /// What the token signs does not verify with its public key.
    #[error("the token's signature does not verify with its public key; make another key")]
    WrongSignature,
    /// The token made a key that can be read out. It was deleted.
    #[error("the token made a key that can be read out, which was deleted; use another token")]
    Extractable,
    /// The token made a key that can perhaps be read out, and did not delete it.
    #[error(
        "the token made a key that can perhaps be read out, and did not delete it; delete it, and use another token"
    )]
    Leftover,
    /// Since it was opened the key was replaced.
    #[error("the token now holds another key under this name; open it again if that is meant")]
    OtherKey,
    /// Anything else.
    #[error("the token failed: {reason}")]
    Failed {
        /// What it says.
        reason: String,
    },
}

impl TokenError {
    pub(super) fn password(error: PasswordError) -> Self {
        Self::NoPin { reason: error.to_string() }
    }

    /// Whether trying again may lock the token.
    pub(super) const fn is_about_the_pin(&self) -> bool {
        matches!(self, Self::PinIncorrect | Self::PinLocked | Self::PinUnset)
    }
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        let Error::Pkcs11(code, _) = &error else { return Self::Failed { reason: error.to_string() } };
        match code {
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => Self::PinIncorrect,
            RvError::PinLocked => Self::PinLocked,
            RvError::PinExpired | RvError::UserPinNotInitialized => Self::PinUnset,
            RvError::DeviceRemoved
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::DeviceError
            | RvError::SlotIdInvalid => Self::Removed,
            RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
            | RvError::CurveNotSupported
            | RvError::DomainParamsInvalid => Self::Unsupported { reason: error.to_string() },
            _ => Self::Failed { reason: error.to_string() },
        }
    }
}

impl From<TokenError> for SignError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::PinIncorrect => Self::PinIncorrect,
            TokenError::PinLocked => Self::PinLocked,
            TokenError::Removed | TokenError::Token { found: 0, .. } => Self::TokenRemoved,
            other => Self::Unavailable { reason: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;

    #[test]
    fn what_a_token_says_becomes_a_typed_reason() {
        for (code, expected) in [
            (RvError::PinIncorrect, SignError::PinIncorrect),
            (RvError::PinLenRange, SignError::PinIncorrect),
            (RvError::PinLocked, SignError::PinLocked),
            (RvError::DeviceRemoved, SignError::TokenRemoved),
            (RvError::TokenNotPresent, SignError::TokenRemoved),
        ] {
            assert_eq!(SignError::from(TokenError::from(Error::Pkcs11(code, Function::Login))), expected);
        }
        let other = SignError::from(TokenError::from(Error::Pkcs11(RvError::HostMemory, Function::Sign)));
        assert!(matches!(other, SignError::Unavailable { .. }));
    }
}
