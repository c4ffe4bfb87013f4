//! Keys as DID documents and did:keys write them: Multikey (W3C Controlled Identifiers 1.0, 2.2.2) and JWK (RFC 7517, 7518, 8037).

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use alloy_primitives::{
    Address,
    ruint::{Uint, uint},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use depin_core::{KeyType, TypedKey};
use serde::{Deserialize, Serialize};

use super::DidError;

/// The curve of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// Ed25519 (RFC 8032): signatures.
    Ed25519,
    /// X25519 (RFC 7748): key agreement.
    X25519,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// secp256k1 (SEC 2).
    Secp256k1,
}

impl Curve {
    /// Every curve there is.
    pub const ALL: [Self; 6] =
        [Self::Ed25519, Self::X25519, Self::P256, Self::P384, Self::P521, Self::Secp256k1];

    /// The multicodec of its public keys, as an unsigned varint.
    const fn multicodec(self) -> [u8; 2] {
        match self {
            Self::Ed25519 => [0xed, 0x01],
            Self::X25519 => [0xec, 0x01],
            Self::P256 => [0x80, 0x24],
            Self::P384 => [0x81, 0x24],
            Self::P521 => [0x82, 0x24],
            Self::Secp256k1 => [0xe7, 0x01],
        }
    }

    /// Bytes of a coordinate.
    const fn coordinate(self) -> usize {
        match self {
            Self::Ed25519 | Self::X25519 | Self::P256 | Self::Secp256k1 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// Whether keys are SEC1 points of two coordinates.
    const fn is_sec1(self) -> bool {
        !matches!(self, Self::Ed25519 | Self::X25519)
    }

    /// Its name in a JWK: `crv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::X25519 => "X25519",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Secp256k1 => "secp256k1",
        }
    }

    const fn kty(self) -> &'static str {
        if self.is_sec1() { "EC" } else { "OKP" }
    }

    /// Whether the point (`x`, `y`), in big-endian bytes, satisfies the equation of a SEC1 curve: y^2 = x^3 + a x + b modulo p.
    fn has_point(self, x: &[u8], y: &[u8]) -> bool {
        // Wide enough for P-521; p, a and b from SEC 2, 2.4.1 and 2.4.2, and FIPS 186-4, D.1.2.
        type Field = Uint<544, 9>;
        let (p, a, b) = match self {
            Self::Ed25519 | Self::X25519 => return false,
            Self::P256 => uint!((
                0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff_U544,
                0xffffffff00000001000000000000000000000000fffffffffffffffffffffffc_U544,
                0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b_U544
            )),
            Self::P384 => uint!((
                0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff_U544,
                0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000fffffffc_U544,
                0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef_U544
            )),
            Self::P521 => uint!((
                0x1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff_U544,
                0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffc_U544,
                0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00_U544
            )),
            Self::Secp256k1 => uint!((
                0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f_U544,
                0_U544,
                7_U544
            )),
        };
        let (Some(x), Some(y)) = (Field::try_from_be_slice(x), Field::try_from_be_slice(y)) else {
            return false;
        };
        let right = x.mul_mod(x, p).mul_mod(x, p).add_mod(a.mul_mod(x, p), p).add_mod(b, p);
        x < p && y < p && y.mul_mod(y, p) == right
    }
}

/// A public key of any curve that DID documents use. The form is checked; a compressed point is looked at only where a key is registered.
#[derive(Clone)]
pub struct CurveKey {
    curve: Curve,
    /// The key as its curve's standard writes it; compressed for SEC1 curves.
    bytes: Vec<u8>,
    /// The second coordinate, when it was given: only a JWK spells it out.
    y: Option<Vec<u8>>,
}

impl CurveKey {
    /// Bytes that it points to.
    #[cfg(feature = "did-cache")]
    pub(super) fn heap_len(&self) -> usize {
        self.bytes.len().saturating_add(self.y.as_ref().map_or(0, Vec::len))
    }

    /// The key `bytes` of `curve`: 32 bytes, or a compressed SEC1 point.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when length or form is wrong.
    pub fn new(curve: Curve, bytes: &[u8]) -> Result<Self, DidError> {
        let fits = match bytes {
            [2 | 3, x @ ..] if curve.is_sec1() => x.len() == curve.coordinate(),
            _ => !curve.is_sec1() && bytes.len() == curve.coordinate(),
        };
        if fits {
            return Ok(Self { curve, bytes: bytes.to_vec(), y: None });
        }
        let expected = if curve.is_sec1() { "in compressed SEC1 form" } else { "of 32 bytes" };
        Err(DidError::invalid(&hex::encode(bytes), format!("a key of {} {expected}", curve.name())))
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// The key: 32 bytes, or a compressed SEC1 point.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key, if it is of a type that devices may have.
    ///
    /// # Errors
    /// [`DidError::Invalid`] for all others.
    pub fn typed(&self) -> Result<TypedKey, DidError> {
        let kind = match self.curve {
            Curve::Ed25519 => KeyType::Ed25519,
            Curve::P256 => KeyType::P256,
            Curve::Secp256k1 => KeyType::Secp256k1,
            other => return Err(DidError::invalid(other.name(), "a key of Ed25519, P-256 or secp256k1")),
        };
        TypedKey::new(kind, &self.bytes)
            .map_err(|error| DidError::invalid(self.curve.name(), format!("{error}")))
    }

    /// The key as a Multikey: `z`, then base58btc over multicodec and key.
    pub fn to_multibase(&self) -> String {
        let bytes = [self.curve.multicodec().as_slice(), &self.bytes].concat();
        format!("z{}", bs58::encode(bytes).into_string())
    }

    /// Reads a Multikey.
    ///
    /// # Errors
    /// [`DidError::Invalid`].
    pub fn from_multibase(text: &str) -> Result<Self, DidError> {
        match Self::read_multibase(text)? {
            Read::Key(key) => Ok(key),
            Read::Unknown => Err(DidError::invalid(text, "a Multikey of a known key type")),
        }
    }

    pub(super) fn read_multibase(text: &str) -> Result<Read, DidError> {
        let refused = || DidError::invalid(text, "a Multikey: `z` and base58btc");
        let encoded = text.strip_prefix('z').ok_or_else(refused)?;
        // The longest key, of P-521, has 96 characters, and the cost of base58 is quadratic.
        if encoded.len() > 96 {
            return Ok(Read::Unknown);
        }
        let bytes = bs58::decode(encoded).into_vec().map_err(|_| refused())?;
        let (codec, key) = bytes.split_first_chunk::<2>().ok_or_else(refused)?;
        match Curve::ALL.into_iter().find(|curve| curve.multicodec() == *codec) {
            Some(curve) => Self::new(curve, key).map(Read::Key),
            None => Ok(Read::Unknown),
        }
    }

    /// Reads the bare key of a curve that the type of a method already names (`publicKeyBase58`).
    pub(super) fn from_base58(curve: Curve, text: &str) -> Result<Self, DidError> {
        let bytes = bs58::decode(text.get(..96).unwrap_or(text)).into_vec().unwrap_or_default();
        Self::new(curve, &bytes)
    }

    pub(super) fn to_base58(&self) -> String {
        bs58::encode(&self.bytes).into_string()
    }

    /// Reads a JWK, whose point must be on its curve.
    ///
    /// # Errors
    /// [`DidError::Invalid`], also when it holds a private key.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, DidError> {
        match Self::read_jwk(jwk)? {
            Read::Key(key) => Ok(key),
            Read::Unknown => {
                Err(DidError::invalid(&jwk.crv, "Ed25519, X25519, P-256, P-384, P-521 or secp256k1"))
            }
        }
    }

    pub(super) fn read_jwk(jwk: &Jwk) -> Result<Read, DidError> {
        let refused = |expected: &str| DidError::invalid(&format!("a JWK of {}", jwk.crv), expected);
        if jwk.d.is_some() {
            return Err(refused("a public key; this one is published with its private part"));
        }
        let known = Curve::ALL.into_iter().find(|curve| (curve.name(), curve.kty()) == (&jwk.crv, &jwk.kty));
        let Some(curve) = known else { return Ok(Read::Unknown) };
        let coordinate = |text: &str| {
            let bytes = BASE64.decode(text).ok();
            bytes
                .filter(|bytes| bytes.len() == curve.coordinate())
                .ok_or_else(|| refused("coordinates of full length in base64url without padding"))
        };
        let x = coordinate(&jwk.x)?;
        let y = match &jwk.y {
            Some(y) if curve.is_sec1() => coordinate(y)?,
            None if !curve.is_sec1() => return Self::new(curve, &x).map(Read::Key),
            _ => return Err(refused("`y` for EC keys, and for no others")),
        };
        if !curve.has_point(&x, &y) {
            return Err(refused("a point on the curve"));
        }
        let odd = y.last().is_some_and(|last| last & 1 == 1);
        let bytes = [[if odd { 3 } else { 2 }].as_slice(), &x].concat();
        Ok(Read::Key(Self { curve, bytes, y: Some(y) }))
    }

    /// The key as a JWK; none when it came compressed and its second coordinate is not known.
    pub fn to_jwk(&self) -> Option<Jwk> {
        let (x, y) = match (&self.y, self.bytes.split_first()) {
            (Some(y), Some((_, x))) => (x, Some(BASE64.encode(y))),
            (None, _) if !self.curve.is_sec1() => (self.bytes.as_slice(), None),
            _ => return None,
        };
        let (kty, crv) = (self.curve.kty().into(), self.curve.name().into());
        Some(Jwk { kty, crv, x: BASE64.encode(x), y, usage: None, d: None })
    }

    /// The X25519 key of an Ed25519 key: the same point on the birationally equivalent curve (RFC 7748, 4.1). None when it is no point.
    pub(super) fn agreement(&self) -> Option<Self> {
        let bytes = self.bytes.as_slice().try_into().ok().filter(|_| self.curve == Curve::Ed25519)?;
        let point = curve25519_dalek::edwards::CompressedEdwardsY(bytes).decompress()?;
        Self::new(Curve::X25519, point.to_montgomery().as_bytes()).ok()
    }
}

/// What was read where a key was expected.
pub(super) enum Read {
    Key(CurveKey),
    /// A key of a type that nobody here knows.
    Unknown,
}

/// Equal keys are equal in whatever form they came.
impl PartialEq for CurveKey {
    fn eq(&self, other: &Self) -> bool {
        (self.curve, &self.bytes) == (other.curve, &other.bytes)
    }
}

impl Eq for CurveKey {}

impl fmt::Debug for CurveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_multibase())
    }
}

impl From<&TypedKey> for CurveKey {
    fn from(key: &TypedKey) -> Self {
        let curve = match key.key_type() {
            KeyType::P256 => Curve::P256,
            KeyType::Secp256k1 => Curve::Secp256k1,
            _ => Curve::Ed25519,
        };
        Self { curve, bytes: key.key().to_vec(), y: None }
    }
}

/// The members of a public JWK that say which key it is; others are ignored.
#[derive(Clone, Serialize, Deserialize)]
pub struct Jwk {
    /// `EC` or `OKP`.
    #[serde(default)]
    pub kty: String,
    /// The curve.
    #[serde(default)]
    pub crv: String,
    /// The first coordinate, or the key.
    #[serde(default)]
    pub x: String,
    /// The second coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// `sig` or `enc`, when the key says so.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    /// Present in private keys, which are refused.
    #[serde(default, skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
}

impl Jwk {
    /// What the key says it is for: `sig` or `enc`.
    pub fn usage(&self) -> Option<&str> {
        self.usage.as_deref()
    }
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwk").field("crv", &self.crv).field("x", &self.x).finish_non_exhaustive()
    }
}

/// What the signatures of a verification method are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodKey {
    /// A public key.
    Public(CurveKey),
    /// An account of an EVM chain, whose key is recovered from the signature (CAIP-10, `eip155`).
    Account {
        /// The chain.
        chain_id: u64,
        /// The account.
        address: Address,
    },
}
