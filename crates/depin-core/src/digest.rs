//! SHA-256 digests and the identity of a network.

use alloc::string::String;
use core::{fmt, str::FromStr};

use alloy_primitives::Address;
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest. Shown as 64 lower-case hexadecimal digits after `0x`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Digest(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

/// SHA-256 over the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}

impl Digest {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str("0x")?;
        f.write_str(core::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// One network: SHA-256 of the CBOR array `["depin", chain id, registry address]`.
///
/// It is part of everything that is signed, so that nothing signed for one network serves another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct NetworkId(#[n(0)] pub Digest);

impl NetworkId {
    /// The network whose device registry lives at `registry` on the chain `chain_id`.
    pub fn new(chain_id: u64, registry: Address) -> Self {
        let mut bytes = alloc::vec::Vec::with_capacity(48);
        let mut encoder = minicbor::Encoder::new(&mut bytes);
        // Writing to a `Vec` cannot fail: its error type is `Infallible`.
        let _: Result<_, minicbor::encode::Error<core::convert::Infallible>> = encoder
            .array(3)
            .and_then(|e| e.str("depin"))
            .and_then(|e| e.u64(chain_id))
            .and_then(|e| e.bytes(registry.as_slice()));
        Self(sha256(&[&bytes]))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for NetworkId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

crate::text::serde_as_string!(Digest, NetworkId);

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        alloc::format!("{digest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn network_id_is_the_hash_of_a_cbor_array() {
        // 83 65 "depin" 1a 00014a34 54 <20 bytes>, hashed with Python's hashlib.
        let registry = Address::repeat_byte(0x11);
        assert_eq!(
            NetworkId::new(84532, registry).to_string(),
            "0xe001da4fe17d47f1818deda93d6788be577eb4c1945065d1a405984131bceb77"
        );
    }

    #[test]
    fn a_digest_is_read_back_from_what_it_prints() {
        let digest = sha256(&[b"depin"]);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("0x12".parse::<Digest>().is_err());
    }
}
