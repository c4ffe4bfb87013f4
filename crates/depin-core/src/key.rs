//! Typed public keys and the identities made from them.

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use minicbor::{Decode, Encode};

use crate::{Digest, sha256};

/// The kind of a public key. A tag once given stays reserved for ever; 0 is never given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyType {
    /// Ed25519 (RFC 8032), 32 bytes.
    Ed25519,
    /// P-256, compressed SEC1 point, 33 bytes.
    P256,
    /// secp256k1, compressed SEC1 point, 33 bytes.
    Secp256k1,
}

impl KeyType {
    /// Every type there is.
    pub const ALL: [Self; 3] = [Self::Ed25519, Self::P256, Self::Secp256k1];

    /// Tags that no type has and none will get: 0, and those of types that were dropped, so that an old key is never read as another kind.
    pub const RETIRED: [u8; 1] = [0];

    /// The tag: the first byte of a typed key.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::P256 => 2,
            Self::Secp256k1 => 3,
        }
    }

    /// Bytes of a public key of this type.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::P256 | Self::Secp256k1 => 33,
        }
    }

    /// The multicodec prefix of a did:key, as an unsigned varint.
    const fn multicodec(self) -> [u8; 2] {
        match self {
            Self::Ed25519 => [0xed, 0x01],
            Self::P256 => [0x80, 0x24],
            Self::Secp256k1 => [0xe7, 0x01],
        }
    }

    fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }
}

/// A public key with its type: tag, key, zero padding, 34 bytes in all.
///
/// The bytes are well-formed; whether the point is on its curve, or weak, is decided by `depin-identity` at registration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypedKey([u8; 34]);

/// Why bytes or text are no typed key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The wrong number of bytes.
    #[error("a key has {found} bytes; expected {expected}")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// A tag or multicodec nobody gave out.
    #[error("the key type {found:#04x} is unknown; use ed25519, P-256 or secp256k1")]
    Type {
        /// The tag found.
        found: u8,
    },
    /// The padding holds something.
    #[error("the padding of a key is not zero")]
    Padding,
    /// No did:key in base58btc.
    #[error("not a did:key; it starts with `did:key:z` and goes on in base58btc")]
    Did,
}

impl TypedKey {
    /// Length of the typed form in bytes.
    pub const LEN: usize = 34;

    /// A key of type `kind`.
    ///
    /// # Errors
    /// [`KeyError::Length`] when `key` has not the length of the type.
    pub fn new(kind: KeyType, key: &[u8]) -> Result<Self, KeyError> {
        if key.len() != kind.key_len() {
            return Err(KeyError::Length { found: key.len(), expected: kind.key_len() });
        }
        Ok(Self::of(kind, key))
    }

    /// An Ed25519 key, whose length its type already says.
    pub fn ed25519(key: &[u8; 32]) -> Self {
        Self::of(KeyType::Ed25519, key)
    }

    /// A P-256 key: its compressed SEC1 point.
    pub fn p256(key: &[u8; 33]) -> Self {
        Self::of(KeyType::P256, key)
    }

    /// A secp256k1 key: its compressed SEC1 point.
    pub fn secp256k1(key: &[u8; 33]) -> Self {
        Self::of(KeyType::Secp256k1, key)
    }

    fn of(kind: KeyType, key: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN];
        for (to, from) in bytes.iter_mut().zip(core::iter::once(kind.tag()).chain(key.iter().copied())) {
            *to = from;
        }
        Self(bytes)
    }

    /// Reads the typed form.
    ///
    /// # Errors
    /// [`KeyError`] when length, tag or padding is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: [u8; Self::LEN] =
            bytes.try_into().map_err(|_| KeyError::Length { found: bytes.len(), expected: Self::LEN })?;
        let [tag, ..] = bytes;
        let kind = KeyType::from_tag(tag).ok_or(KeyError::Type { found: tag })?;
        if bytes.iter().skip(1).skip(kind.key_len()).any(|byte| *byte != 0) {
            return Err(KeyError::Padding);
        }
        Ok(Self(bytes))
    }

    /// The typed form.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The type.
    pub fn key_type(&self) -> KeyType {
        let [tag, ..] = self.0;
        // Both constructors set a known tag.
        KeyType::from_tag(tag).unwrap_or(KeyType::Ed25519)
    }

    /// The bare key, without tag and padding.
    pub fn key(&self) -> &[u8] {
        self.0.get(1..=self.key_type().key_len()).unwrap_or_default()
    }

    /// The short name of this key: the first 16 bytes of SHA-256 of the typed form.
    pub fn id(&self) -> KeyId {
        let digest = sha256(&[&self.0]);
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(digest.0) {
            *to = from;
        }
        KeyId(id)
    }

    /// This key as a did:key.
    pub fn to_did(&self) -> String {
        let mut bytes = Vec::with_capacity(Self::LEN.saturating_add(1));
        bytes.extend_from_slice(&self.key_type().multicodec());
        bytes.extend_from_slice(self.key());
        alloc::format!("did:key:z{}", bs58::encode(bytes).into_string())
    }

    /// Reads a did:key.
    ///
    /// # Errors
    /// [`KeyError`] when it is none, or of a type we do not know.
    pub fn from_did(did: &str) -> Result<Self, KeyError> {
        // The longest did:key of a known type has 58 characters: nothing longer is worth decoding.
        let encoded = did.strip_prefix("did:key:z").filter(|text| text.len() <= 64).ok_or(KeyError::Did)?;
        let bytes = bs58::decode(encoded).into_vec().map_err(|_| KeyError::Did)?;
        let (prefix, key) = bytes.split_first_chunk::<2>().ok_or(KeyError::Did)?;
        let kind = KeyType::ALL
            .into_iter()
            .find(|kind| kind.multicodec() == *prefix)
            .ok_or(KeyError::Type { found: prefix.first().copied().unwrap_or_default() })?;
        Self::new(kind, key)
    }
}

impl fmt::Debug for TypedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_did())
    }
}

/// The first 16 bytes of SHA-256 of a typed key. A registry refuses a second key with the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct KeyId(#[cbor(with = "minicbor::bytes")] pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// A device: the typed key it was born with. Keys it rotates to later are key epochs of its registry record.
///
/// Shown as its did:key; on a chain it is the SHA-256 of the typed key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(pub TypedKey);

impl DeviceId {
    /// The key the device was born with.
    pub const fn key(&self) -> &TypedKey {
        &self.0
    }

    /// What names the device on a chain.
    pub fn on_chain(&self) -> Digest {
        sha256(&[self.0.as_bytes()])
    }
}

impl From<TypedKey> for DeviceId {
    fn from(key: TypedKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_did())
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DeviceId {
    type Err = KeyError;

    fn from_str(did: &str) -> Result<Self, KeyError> {
        TypedKey::from_did(did).map(Self)
    }
}

impl fmt::Display for TypedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_did())
    }
}

impl FromStr for TypedKey {
    type Err = KeyError;

    fn from_str(did: &str) -> Result<Self, KeyError> {
        Self::from_did(did)
    }
}

crate::text::serde_as_string!(DeviceId, KeyId, TypedKey);

impl<C> Encode<C> for TypedKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for TypedKey {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        Self::from_bytes(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("a typed key of 34 bytes").at(at))
    }
}

impl<C> Encode<C> for DeviceId {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.0.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for DeviceId {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        TypedKey::decode(d, ctx).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    /// RFC 8032, 7.1, test 1.
    const RFC8032_PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn rfc8032_key() -> TypedKey {
        TypedKey::new(KeyType::Ed25519, &hex::decode(RFC8032_PUBLIC).unwrap()).unwrap()
    }

    #[test]
    fn known_answers_of_an_rfc_8032_key() {
        // Computed with Python's hashlib and a base58 of its own over the definition.
        let device = DeviceId(rfc8032_key());
        assert_eq!(device.to_string(), "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw");
        assert_eq!(
            device.on_chain().to_string(),
            "0xd0904e54fde362eda8573178a2e643c9f6fe9efce3e5343167291dccec7acaf7"
        );
        assert_eq!(device.key().id().to_string(), "d0904e54fde362eda8573178a2e643c9");
    }

    #[test]
    fn tags_and_padding_are_checked() {
        let good = *rfc8032_key().as_bytes();
        for (at, value, error) in [
            (0, 0, KeyError::Type { found: 0 }),
            (0, 4, KeyError::Type { found: 4 }),
            (33, 1, KeyError::Padding),
        ] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(TypedKey::from_bytes(&bad), Err(error));
        }
        assert_eq!(TypedKey::from_bytes(&good[..33]), Err(KeyError::Length { found: 33, expected: 34 }));
        assert!(TypedKey::new(KeyType::P256, &good[1..33]).is_err());
    }

    #[test]
    fn a_tag_once_given_stays_given() {
        // What devices registered with. A type that is dropped leaves this list and its tag goes to RETIRED, in the same commit; nothing moves back.
        let given = [(1, KeyType::Ed25519), (2, KeyType::P256), (3, KeyType::Secp256k1)];
        let retired = [0];
        assert_eq!(KeyType::ALL.map(|kind| (kind.tag(), kind)), given);
        assert_eq!(KeyType::RETIRED, retired);
        // Every tag up to the highest is one or the other, and once.
        let mut tags: Vec<u8> = KeyType::ALL.map(KeyType::tag).into_iter().chain(KeyType::RETIRED).collect();
        tags.sort_unstable();
        assert!(tags.iter().copied().eq((0..).take(tags.len())), "{tags:?}");
        for tag in KeyType::RETIRED {
            let mut bytes = *rfc8032_key().as_bytes();
            bytes[0] = tag;
            assert_eq!(TypedKey::from_bytes(&bytes), Err(KeyError::Type { found: tag }));
        }
    }

    #[test]
    fn other_dids_are_refused() {
        for wrong in [
            "",
            "did:key:",
            "did:key:z",
            "did:web:a",
            "did:key:z0OIl",
            "did:key:m7QE",
            "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
        ] {
            assert!(wrong.parse::<DeviceId>().is_err(), "{wrong}");
        }
        let long = alloc::format!("did:key:z{}", "1".repeat(1_000_000));
        assert_eq!(long.parse::<DeviceId>(), Err(KeyError::Did));
    }

    proptest! {
        #[test]
        fn every_key_is_read_back(kind in proptest::sample::select(&KeyType::ALL[..]), bytes: [u8; 33]) {
            let key = TypedKey::new(kind, &bytes[..kind.key_len()]).unwrap();
            prop_assert_eq!(TypedKey::from_bytes(key.as_bytes()), Ok(key));
            let ed25519: [u8; 32] = bytes[..32].try_into().unwrap();
            prop_assert_eq!(Ok(TypedKey::ed25519(&ed25519)), TypedKey::new(KeyType::Ed25519, &ed25519));
            prop_assert_eq!(Ok(TypedKey::p256(&bytes)), TypedKey::new(KeyType::P256, &bytes));
            prop_assert_eq!(Ok(TypedKey::secp256k1(&bytes)), TypedKey::new(KeyType::Secp256k1, &bytes));
            prop_assert_eq!(TypedKey::from_did(&key.to_did()), Ok(key));
            prop_assert_eq!(crate::cbor::from_slice::<TypedKey>(&crate::cbor::to_vec(&key)).unwrap(), key);
            prop_assert_eq!((key.key_type(), key.key()), (kind, &bytes[..kind.key_len()]));
        }
    }
}
