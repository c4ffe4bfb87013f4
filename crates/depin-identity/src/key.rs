//! Keys that have been checked, and what signs with them.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{fmt, hash};

use async_trait::async_trait;
use curve25519_dalek::EdwardsPoint;
use depin_core::{KeyId, KeyType, TypedKey};
use ed25519_dalek::VerifyingKey;

use crate::{
    ReportError, SigPolicy, Signature,
    batch::of_prime_order,
    ecdsa::{self, Affine},
    ed25519::{self, is_canonical, is_of_prime_order},
};

/// A public key that is fit to identify a device: on its curve, in its one encoding, of prime order.
///
/// What it signs is judged by the rule for its type. Ed25519: as the [`SigPolicy`] says. P-256 and secp256k1: ECDSA over SHA-256 of the message, 64 bytes r‖s, and
/// of the two right s the lower one alone, so that nobody makes a second signature from a first.
#[derive(Clone, Copy)]
pub struct PublicKey(Point);

/// 65 bytes: of an Ed25519 key the encoding alone, since decoding it costs no more than decoding an R that is computed instead.
#[derive(Clone, Copy)]
pub(crate) enum Point {
    Ed25519 {
        bytes: [u8; 32],
        /// False for a key that was said to be checked before.
        is_fit: bool,
    },
    P256(Affine),
    Secp256k1(Affine),
}

/// Why a typed key is not fit to identify a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// A type of key that cannot sign here.
    #[error("a key of type {found:?} has no place here; use {expected}")]
    Type {
        /// The type.
        found: KeyType,
        /// The types that have.
        expected: &'static str,
    },
    /// No point of the curve.
    #[error("the key is no point of its curve; export it again from the device")]
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
    /// The token that holds the key was taken out, or does not answer.
    #[error("the token with the signing key does not answer; insert it again")]
    TokenRemoved,
    /// The token refused the PIN. It is not tried again, because tokens lock after a few.
    #[error("the token refuses the PIN; check it, and open the key again")]
    PinIncorrect,
    /// The token's PIN is locked.
    #[error("the PIN of the token is locked; its security officer can unlock it")]
    PinLocked,
    /// A key of a type that does not sign this message.
    #[error("a key of type {found:?} cannot sign this message; use {expected}")]
    KeyType {
        /// The type of the signer's key.
        found: KeyType,
        /// The types that do.
        expected: &'static str,
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

    /// Signs `message` as it is; the algorithm hashes it. Ed25519: R and S. P-256 and secp256k1: ECDSA over its SHA-256, r and the lower s.
    ///
    /// # Errors
    /// [`SignError::Unavailable`] when the key is out of reach.
    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// The types of keys that devices have.
pub(crate) const DEVICE_KEYS: &str = "Ed25519, P-256 or secp256k1";
/// The type of keys that nodes have.
pub(crate) const NODE_KEYS: &str = "Ed25519";

impl PublicKey {
    /// Checks `key`. Costs about one signature check, so keep the result.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn new(key: TypedKey) -> Result<Self, PublicKeyError> {
        match Self::but_for_order(key)? {
            (_, Some((_, point))) if !is_of_prime_order(&point) => Err(PublicKeyError::MixedOrder),
            (checked, _) => Ok(checked),
        }
    }

    /// Checks the key of a node, which is Ed25519.
    ///
    /// # Errors
    /// [`PublicKeyError`].
    pub fn of_node(key: TypedKey) -> Result<Self, PublicKeyError> {
        match key.key_type() {
            KeyType::Ed25519 => Self::new(key),
            found => Err(PublicKeyError::Type { found, expected: NODE_KEYS }),
        }
    }

    /// Checks many keys together, in their order, with the verdict that each gets from [`PublicKey::new`].
    pub fn new_all(keys: impl IntoIterator<Item = TypedKey>) -> Vec<Result<Self, PublicKeyError>> {
        let keys: Vec<_> = keys.into_iter().map(Self::but_for_order).collect();
        let points: Vec<_> = keys.iter().flatten().filter_map(|(_, point)| *point).collect();
        let mut fit = of_prime_order(&points).into_iter();
        let mut decide = |(key, point): (Self, Option<_>)| match point {
            Some(_) if !fit.next().unwrap_or_default() => Err(PublicKeyError::MixedOrder),
            _ => Ok(key),
        };
        keys.into_iter().map(|key| key.and_then(&mut decide)).collect()
    }

    /// Everything about a key but that it is of prime order; with encoding and point, if that is not so for the whole curve.
    fn but_for_order(key: TypedKey) -> Result<(Self, Option<Encoded>), PublicKeyError> {
        let read = Self::checked_before(key)?;
        let Point::Ed25519 { bytes, .. } = read.0 else { return Ok((read, None)) };
        let point = VerifyingKey::from_bytes(&bytes).map_err(|_| PublicKeyError::NotOnCurve)?;
        // Points with a second encoding for their sign are among these.
        if point.is_weak() {
            return Err(PublicKeyError::SmallOrder);
        }
        if !is_canonical(&bytes) {
            return Err(PublicKeyError::NotCanonical);
        }
        Ok((Self(Point::Ed25519 { bytes, is_fit: true }), Some((bytes, point.to_edwards()))))
    }

    /// A key that [`PublicKey::new`] found fit before, in this process or in another that is trusted like it: an Ed25519 key is not checked a second time.
    ///
    /// # Errors
    /// [`PublicKeyError::NotOnCurve`] for a P-256 or secp256k1 key that is no point.
    pub fn checked_before(key: TypedKey) -> Result<Self, PublicKeyError> {
        let point = match key.key_type() {
            KeyType::Ed25519 => {
                key.key().try_into().ok().map(|bytes| Point::Ed25519 { bytes, is_fit: false })
            }
            KeyType::P256 => ecdsa::p256_point(key.key()).map(Point::P256),
            KeyType::Secp256k1 => ecdsa::secp256k1_point(key.key()).map(Point::Secp256k1),
            found => return Err(PublicKeyError::Type { found, expected: DEVICE_KEYS }),
        };
        point.map(Self).ok_or(PublicKeyError::NotOnCurve)
    }

    /// What of an ECDSA point its compressed form leaves out: y, big-endian.
    pub(crate) fn y(&self) -> Option<[u8; 32]> {
        match &self.0 {
            Point::Ed25519 { .. } => None,
            Point::P256(point) | Point::Secp256k1(point) => point.last_chunk().copied(),
        }
    }

    /// As [`PublicKey::checked_before`], without computing the y of an ECDSA point a second time.
    pub(crate) fn checked_before_with(key: TypedKey, y: [u8; 32]) -> Result<Self, PublicKeyError> {
        let mut point = [0; 64];
        for (to, from) in point.iter_mut().zip(key.key().iter().skip(1).chain(&y)) {
            *to = *from;
        }
        let read = match key.key_type() {
            KeyType::P256 => Self(Point::P256(point)),
            KeyType::Secp256k1 => Self(Point::Secp256k1(point)),
            found => return Err(PublicKeyError::Type { found, expected: "P-256 or secp256k1" }),
        };
        if read.typed() == key { Ok(read) } else { Err(PublicKeyError::NotOnCurve) }
    }

    /// An Ed25519 key made here, which is fit by the way it was made.
    pub(crate) const fn known_fit(bytes: [u8; 32]) -> Self {
        Self(Point::Ed25519 { bytes, is_fit: true })
    }

    /// The key with its type.
    pub fn typed(&self) -> TypedKey {
        match &self.0 {
            Point::Ed25519 { bytes, .. } => TypedKey::ed25519(bytes),
            Point::P256(point) => TypedKey::p256(&ecdsa::compressed(point)),
            Point::Secp256k1(point) => TypedKey::secp256k1(&ecdsa::compressed(point)),
        }
    }

    /// Its type.
    pub const fn key_type(&self) -> KeyType {
        match &self.0 {
            Point::Ed25519 { .. } => KeyType::Ed25519,
            Point::P256(_) => KeyType::P256,
            Point::Secp256k1(_) => KeyType::Secp256k1,
        }
    }

    /// Its short name.
    pub fn id(&self) -> KeyId {
        self.typed().id()
    }

    /// Checks `signature` over `message`, strictly: as bindings and receipts are.
    ///
    /// # Errors
    /// [`WrongSignature`].
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), WrongSignature> {
        self.verify_under(SigPolicy::Strict, message, signature)
    }

    /// Checks `signature` over `message`, as reports are in a network with this policy.
    ///
    /// # Errors
    /// [`WrongSignature`].
    pub fn verify_under(
        &self,
        policy: SigPolicy,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), WrongSignature> {
        self.verify_parts(policy, &[message], signature)
    }

    /// The same for a message in pieces.
    pub(crate) fn verify_parts(
        &self,
        policy: SigPolicy,
        parts: &[&[u8]],
        signature: &Signature,
    ) -> Result<(), WrongSignature> {
        if self.is_right(policy, parts, signature) { Ok(()) } else { Err(WrongSignature { key: self.id() }) }
    }

    pub(crate) fn is_right(&self, policy: SigPolicy, parts: &[&[u8]], signature: &Signature) -> bool {
        match &self.0 {
            Point::Ed25519 { bytes, is_fit } => ed25519::verify(policy, bytes, *is_fit, parts, signature),
            Point::P256(point) => ecdsa::is_right_p256(point, parts, signature),
            Point::Secp256k1(point) => ecdsa::is_right_secp256k1(point, parts, signature),
        }
    }

    pub(crate) const fn point(&self) -> &Point {
        &self.0
    }
}

/// A point with its encoding.
type Encoded = ([u8; 32], EdwardsPoint);

impl TryFrom<TypedKey> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(key: TypedKey) -> Result<Self, PublicKeyError> {
        Self::new(key)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Point::Ed25519 { bytes: one, .. }, Point::Ed25519 { bytes: other, .. }) => one == other,
            (Point::P256(one), Point::P256(other)) | (Point::Secp256k1(one), Point::Secp256k1(other)) => {
                one == other
            }
            _ => false,
        }
    }
}

impl Eq for PublicKey {}

impl hash::Hash for PublicKey {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.typed().hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.typed(), f)
    }
}
