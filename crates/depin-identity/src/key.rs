//! Keys that have been checked, and what signs with them.

use std::{fmt, hash};

use async_trait::async_trait;
use curve25519_dalek::EdwardsPoint;
use depin_core::{KeyId, KeyType, TypedKey};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::{
    ReportError, Signature,
    batch::{is_canonical, is_of_prime_order, of_prime_order},
};

/// A public key that is fit to identify a device: on the curve, in its one encoding, of prime order.
///
/// **Strict** is the one signature policy here: [`PublicKey::verify`] is `verify_strict` of `ed25519-dalek`, which solves the equation of
/// RFC 8032 without cofactor and refuses a small-order R and an S above the group order. A [`SignatureBatch`](crate::SignatureBatch) says the same of
/// many at once.
#[derive(Clone, Copy)]
pub struct PublicKey {
    typed: TypedKey,
    id: KeyId,
    /// None for a key that was checked before and has verified nothing yet.
    point: Option<VerifyingKey>,
}

/// Why a typed key is not fit to identify a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// A type of key this crate cannot verify with yet.
    #[error("keys of type {found:?} cannot be verified yet; register an Ed25519 key")]
    Unsupported {
        /// The type.
        found: KeyType,
    },
    /// No point of the curve.
    #[error("the key is no point of edwards25519; export it again from the device")]
    NotOnCurve,
    /// A second encoding of a point that has a canonical one (RFC 8032, 5.1.3).
    #[error("the key is not the canonical encoding of its point; export it again from the device")]
    NotCanonical,
    /// A point of small order: anyone can sign for it.
    #[error("the key has small order, so that anyone can sign for it; generate another")]
    SmallOrder,
    /// A point with a small-order component: implementations disagree on its signatures.
    #[error(
        "the key is of mixed order, so that implementations disagree on its signatures; generate another"
    )]
    MixedOrder,
}

/// A signature that is not by the key, or not over the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not by {key} over these bytes; check key, network and message")]
pub struct WrongSignature {
    /// The key it was checked against.
    pub key: KeyId,
}

/// Why nothing was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key is out of reach: hardware gone, PIN missing, session closed.
    #[error("the signing key is unavailable: {reason}")]
    Unavailable {
        /// What the key store said.
        reason: String,
    },
    /// The message profile signs with Ed25519 only.
    #[error("a key of type {found:?} cannot sign this message; use an Ed25519 key")]
    KeyType {
        /// The type of the signer's key.
        found: KeyType,
    },
    /// The report breaks a limit.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The inclusion proof breaks a limit.
    #[error("the inclusion proof has {found} hashes; a log of 2^64 entries needs {max}")]
    Proof {
        /// Hashes found.
        found: usize,
        /// Hashes allowed.
        max: usize,
    },
}

/// A key that signs for a device or node, wherever its secret lives. No method gives the secret away.
#[async_trait]
pub trait DeviceSigner: Send + Sync {
    /// The public key; the same for as long as the signer lives.
    fn public_key(&self) -> TypedKey;

    /// Signs `message` as it is; the algorithm hashes it.
    ///
    /// # Errors
    /// [`SignError::Unavailable`] when the key is out of reach.
    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// An Ed25519 key in memory, wiped when dropped.
#[derive(Clone)]
pub struct SoftwareKey {
    signing: SigningKey,
    public: PublicKey,
}

impl PublicKey {
    /// Checks `key`. Costs about one signature check, so keep the result.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn new(key: TypedKey) -> Result<Self, PublicKeyError> {
        let (checked, _, point) = Self::but_for_order(key)?;
        if is_of_prime_order(&point) { Ok(checked) } else { Err(PublicKeyError::MixedOrder) }
    }

    /// Checks many keys together, in their order, with the verdict that each gets from [`PublicKey::new`].
    pub fn new_all(keys: impl IntoIterator<Item = TypedKey>) -> Vec<Result<Self, PublicKeyError>> {
        let keys: Vec<_> = keys.into_iter().map(Self::but_for_order).collect();
        let points: Vec<_> = keys.iter().flatten().map(|(_, bytes, point)| (*bytes, *point)).collect();
        let mut fit = of_prime_order(&points).into_iter();
        let mut decide = |(key, ..): (Self, _, _)| {
            if fit.next().unwrap_or_default() { Ok(key) } else { Err(PublicKeyError::MixedOrder) }
        };
        keys.into_iter().map(|key| key.and_then(&mut decide)).collect()
    }

    /// Everything about a key but that it is of prime order, with its encoding and its point.
    fn but_for_order(key: TypedKey) -> Result<(Self, [u8; 32], EdwardsPoint), PublicKeyError> {
        let bytes = match (key.key_type(), <[u8; 32]>::try_from(key.key())) {
            (KeyType::Ed25519, Ok(bytes)) => bytes,
            (found, _) => return Err(PublicKeyError::Unsupported { found }),
        };
        let point = VerifyingKey::from_bytes(&bytes).map_err(|_| PublicKeyError::NotOnCurve)?;
        // Points with a second encoding for their sign are among these.
        if point.is_weak() {
            return Err(PublicKeyError::SmallOrder);
        }
        if !is_canonical(&bytes) {
            return Err(PublicKeyError::NotCanonical);
        }
        Ok((Self { typed: key, id: key.id(), point: Some(point) }, bytes, point.to_edwards()))
    }

    /// A key that [`PublicKey::new`] found fit before, in this process or in another that is trusted like it: nothing is checked a second time.
    ///
    /// # Errors
    /// [`PublicKeyError::Unsupported`].
    pub fn checked_before(key: TypedKey) -> Result<Self, PublicKeyError> {
        match key.key_type() {
            KeyType::Ed25519 => Ok(Self { typed: key, id: key.id(), point: None }),
            found => Err(PublicKeyError::Unsupported { found }),
        }
    }

    /// The key with its type.
    pub const fn typed(&self) -> TypedKey {
        self.typed
    }

    /// Its short name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Checks `signature` over `message`, strictly.
    ///
    /// # Errors
    /// [`WrongSignature`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), WrongSignature> {
        let wrong = WrongSignature { key: self.id };
        let point = self.point().ok_or(wrong)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        point.verify_strict(message, &signature).map_err(|_| wrong)
    }

    /// Whether the key is known to be fit here, and not by somebody's word.
    pub(crate) const fn is_fit(&self) -> bool {
        self.point.is_some()
    }

    /// The point; none if a key that was said to be fit is none.
    pub(crate) fn point(&self) -> Option<VerifyingKey> {
        let decode = || VerifyingKey::from_bytes(self.typed.key().try_into().ok()?).ok();
        self.point.or_else(decode)
    }
}

impl TryFrom<TypedKey> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(key: TypedKey) -> Result<Self, PublicKeyError> {
        Self::new(key)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.typed == other.typed
    }
}

impl Eq for PublicKey {}

impl hash::Hash for PublicKey {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.typed.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.typed, f)
    }
}

impl SoftwareKey {
    /// The key whose secret is `seed` (RFC 8032, 5.1.5). The seed must come from a good source of randomness.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(&Zeroizing::new(seed));
        let point = signing.verifying_key();
        let typed = TypedKey::ed25519(point.as_bytes());
        // A multiple of the base point by a clamped scalar is canonical and of prime order.
        Self { signing, public: PublicKey { typed, id: typed.id(), point: Some(point) } }
    }

    /// The secret, to be saved in a key file and nowhere else.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The public key, already checked.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signature over `message`: what [`DeviceSigner::sign`] gives, without waiting.
    pub fn signature(&self, message: &[u8]) -> Signature {
        Signature(self.signing.sign(message).to_bytes())
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
        self.public.typed
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(self.signature(message))
    }
}
