//! Keys whose secret is in memory.

use alloc::boxed::Box;
use core::fmt;

use async_trait::async_trait;
use depin_core::{KeyType, TypedKey};
use p256::ecdsa::signature::Signer as _;
use zeroize::Zeroizing;

use crate::{DeviceSigner, PublicKey, PublicKeyError, SignError, Signature, ecdsa::low_s, key::DEVICE_KEYS};

/// A key in memory, wiped when dropped.
#[derive(Clone)]
pub struct SoftwareKey {
    secret: Secret,
    public: PublicKey,
}

/// Each wipes itself.
#[derive(Clone)]
enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
    Secp256k1(k256::ecdsa::SigningKey),
}

/// Why 32 bytes are no secret of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Zero, or not below the order of the curve.
    #[error("the secret is no scalar of the curve of {key_type:?}; draw 32 random bytes again")]
    Range {
        /// The type of the key.
        key_type: KeyType,
    },
    /// Its public key is not fit.
    #[error(transparent)]
    Public(#[from] PublicKeyError),
}

impl SoftwareKey {
    /// The Ed25519 key whose secret is `seed` (RFC 8032, 5.1.5). The seed must come from a good source of randomness.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let signing = ed25519_dalek::SigningKey::from_bytes(&Zeroizing::new(seed));
        // A multiple of the base point by a clamped scalar is canonical and of prime order.
        let public = PublicKey::known_fit(signing.verifying_key().to_bytes());
        Self { secret: Secret::Ed25519(signing), public }
    }

    /// The key of type `key_type` whose secret is `secret`: an Ed25519 seed, or a scalar, big-endian. It must come from a good source of randomness.
    ///
    /// # Errors
    /// [`SecretError`]; of random bytes fewer than one in 2^32 are refused.
    pub fn from_secret(key_type: KeyType, secret: [u8; 32]) -> Result<Self, SecretError> {
        let secret = Zeroizing::new(secret);
        let out_of_range = |_| SecretError::Range { key_type };
        let (secret, typed) = match key_type {
            KeyType::Ed25519 => return Ok(Self::from_seed(*secret)),
            KeyType::P256 => {
                let signing = p256::ecdsa::SigningKey::from_slice(&*secret).map_err(out_of_range)?;
                let point = signing.verifying_key().to_encoded_point(true);
                (Secret::P256(signing), TypedKey::new(key_type, point.as_bytes()))
            }
            KeyType::Secp256k1 => {
                let signing = k256::ecdsa::SigningKey::from_slice(&*secret).map_err(out_of_range)?;
                let point = signing.verifying_key().to_encoded_point(true);
                (Secret::Secp256k1(signing), TypedKey::new(key_type, point.as_bytes()))
            }
            found => return Err(PublicKeyError::Type { found, expected: DEVICE_KEYS }.into()),
        };
        let typed = typed.map_err(|_| PublicKeyError::NotOnCurve)?;
        Ok(Self { secret, public: PublicKey::new(typed)? })
    }

    /// The secret, to be saved in a key file and nowhere else: what [`SoftwareKey::from_secret`] takes.
    pub fn to_secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(match &self.secret {
            Secret::Ed25519(signing) => signing.to_bytes(),
            Secret::P256(signing) => signing.to_bytes().into(),
            Secret::Secp256k1(signing) => signing.to_bytes().into(),
        })
    }

    /// The public key, already checked.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature over `message`: what [`DeviceSigner::sign`] gives, without waiting. It takes no randomness (RFC 8032, RFC 6979).
    pub fn signature(&self, message: &[u8]) -> Signature {
        let signature = Signature(match &self.secret {
            Secret::Ed25519(signing) => signing.sign(message).to_bytes(),
            Secret::P256(signing) => {
                let signature: p256::ecdsa::Signature = signing.sign(message);
                signature.to_bytes().into()
            }
            Secret::Secp256k1(signing) => {
                let signature: k256::ecdsa::Signature = signing.sign(message);
                signature.to_bytes().into()
            }
        });
        // What was just made is one.
        low_s(self.public.typed().key_type(), &signature).unwrap_or(signature)
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SoftwareKey").field(&self.public).finish()
    }
}

#[async_trait]
impl DeviceSigner for SoftwareKey {
    fn public_key(&self) -> TypedKey {
        self.public.typed()
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(self.signature(message))
    }
}
