//! Keys that sign: in memory, or in a secure element behind a driver.

use core::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

/// How a key signs, by its number in the COSE registry (RFC 9053, RFC 8812).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519: EdDSA, -8.
    EdDsa,
    /// P-256 with SHA-256: ES256, -7.
    Es256,
    /// secp256k1 with SHA-256: ES256K, -47.
    Es256K,
}

impl Algorithm {
    /// The number.
    pub const fn cose(self) -> i64 {
        match self {
            Self::EdDsa => -8,
            Self::Es256 => -7,
            Self::Es256K => -47,
        }
    }

    /// The first byte of a typed key of this algorithm.
    const fn tag(self) -> u8 {
        match self {
            Self::EdDsa => 1,
            Self::Es256 => 2,
            Self::Es256K => 3,
        }
    }

    /// The order of the curve, big-endian, where a signature has a second form with the negated s.
    const fn order(self) -> Option<&'static [u8; 32]> {
        match self {
            Self::EdDsa => None,
            Self::Es256 => Some(&P256_ORDER),
            Self::Es256K => Some(&SECP256K1_ORDER),
        }
    }
}

/// Order of P-256 (SEC 2, 2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Order of secp256k1 (SEC 2, 2.4.1).
const SECP256K1_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// A public key as an envelope names it: its algorithm, and its id, the first 16 bytes of the SHA-256 of the typed key (tag, key, zero padding: 34
/// bytes). Whether it is a point of its curve is for the registry to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    id: [u8; 16],
}

impl PublicKey {
    /// An Ed25519 key (RFC 8032).
    pub fn ed25519(key: &[u8; 32]) -> Self {
        Self::new(Algorithm::EdDsa, key, &[0])
    }

    /// A P-256 key: the compressed SEC1 point.
    pub fn p256(key: &[u8; 33]) -> Self {
        Self::new(Algorithm::Es256, key, &[])
    }

    /// A secp256k1 key: the compressed SEC1 point.
    pub fn secp256k1(key: &[u8; 33]) -> Self {
        Self::new(Algorithm::Es256K, key, &[])
    }

    fn new(algorithm: Algorithm, key: &[u8], padding: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update([algorithm.tag()]);
        hasher.update(key);
        hasher.update(padding);
        let digest: [u8; 32] = hasher.finalize().into();
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        Self { algorithm, id }
    }

    /// How it signs.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key id that envelopes carry.
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }
}

/// What a key is to sign, lent for as long as the signing takes.
#[derive(Clone, Copy, Debug)]
pub struct ToBeSigned<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) bytes: &'a [u8],
}

impl<'a> ToBeSigned<'a> {
    /// The whole message: what an Ed25519 key needs, and ECDSA hardware that hashes itself.
    pub const fn message(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its SHA-256, for ECDSA hardware that signs a digest. None for Ed25519, which hashes the message twice and can only sign all of it.
    pub fn digest(&self) -> Option<[u8; 32]> {
        match self.algorithm {
            Algorithm::EdDsa => None,
            Algorithm::Es256 | Algorithm::Es256K => Some(Sha256::digest(self.bytes).into()),
        }
    }
}

/// A key that signs at once. One that answers later (a secure element on a bus, an executor) takes the two steps of [`Report::prepare`](crate::Report::prepare) and
/// [`Unsigned::assemble`](crate::Unsigned::assemble) instead.
pub trait Signer {
    /// Why it did not sign.
    type Error;

    /// The public key; the same for as long as the signer lives.
    fn public_key(&self) -> PublicKey;

    /// The signature over `message`: R and S for Ed25519 (RFC 8032), r and s for ECDSA, both big-endian (RFC 9053, 2.1).
    ///
    /// # Errors
    /// Whatever the hardware says.
    fn sign(&mut self, message: ToBeSigned<'_>) -> Result<[u8; 64], Self::Error>;
}

/// An Ed25519 key in memory, wiped when dropped.
pub struct SoftwareKey {
    signing: SigningKey,
    public: PublicKey,
}

impl SoftwareKey {
    /// The key whose secret is `seed` (RFC 8032, 5.1.5): 32 bytes from a good source of randomness, made once and kept where nothing else reads.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(seed);
        let public = PublicKey::ed25519(signing.verifying_key().as_bytes());
        Self { signing, public }
    }

    /// The 32 bytes of the public key, to be registered.
    pub fn to_public_bytes(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SoftwareKey").field(&self.public).finish()
    }
}

impl Signer for SoftwareKey {
    type Error = core::convert::Infallible;

    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&mut self, message: ToBeSigned<'_>) -> Result<[u8; 64], Self::Error> {
        Ok(self.signing.sign(message.message()).to_bytes())
    }
}

/// The one accepted form of an ECDSA signature, with s in the lower half of the order; hardware gives either. Ed25519 has one form to begin with.
///
/// An s above the order stays: no such signature is right, and the node says so.
pub(crate) fn one_form(algorithm: Algorithm, mut signature: [u8; 64]) -> [u8; 64] {
    let (_, s) = signature.split_at_mut(32);
    let negated = algorithm.order().and_then(|order| minus(order, s));
    if let Some(negated) = negated
        && negated.as_slice() < &*s
    {
        s.copy_from_slice(&negated);
    }
    signature
}

/// `order - s` in 32 big-endian bytes; none if that is negative.
fn minus(order: &[u8; 32], s: &[u8]) -> Option<[u8; 32]> {
    let mut difference = [0; 32];
    let mut borrow = false;
    for (to, (a, b)) in difference.iter_mut().zip(order.iter().zip(s)).rev() {
        let (once, first) = a.overflowing_sub(*b);
        let (twice, second) = once.overflowing_sub(u8::from(borrow));
        *to = twice;
        borrow = first | second;
    }
    (!borrow).then_some(difference)
}
