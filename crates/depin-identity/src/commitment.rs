//! Private fields: a report carries a salted commitment, value and salt travel beside it and can be erased.

use alloc::vec::Vec;

use depin_core::{Digest, NetworkId, Text, cbor::hex_string, sha256};
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

/// Tells these digests apart from every other use of SHA-256.
const DOMAIN: &[u8] = b"depin/commitment/v1";

/// What a signed message says of a private field: its name, and the digest of its salted value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Commitment {
    /// The field, for example `location`.
    pub label: Text,
    /// SHA-256 of `"depin/commitment/v1"`, network, and label and salt each after a byte with their length, and then the value.
    pub digest: Digest,
}

/// What opens a commitment. Erase it, and the commitment says nothing any more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The field.
    pub label: Text,
    /// Random bytes, fresh for each field of each report.
    #[serde(with = "hex_string")]
    pub salt: Vec<u8>,
    /// The value.
    #[serde(with = "hex_string")]
    pub value: Vec<u8>,
}

/// Why an opening does not open a commitment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitmentError {
    /// Too little salt to hide the value, or too much.
    #[error("the salt has {found} bytes; use {min} to {max} random ones", min = Opening::MIN_SALT, max = Opening::MAX_SALT)]
    Salt {
        /// Bytes found.
        found: usize,
    },
    /// A value beyond the limit.
    #[error("the value has {found} bytes; commit to at most {max}, or to its digest", max = Opening::MAX_VALUE)]
    Value {
        /// Bytes found.
        found: usize,
    },
    /// Opens another field.
    #[error("the opening is of the field `{found}`; the commitment is to `{expected}`")]
    Label {
        /// The field of the commitment.
        expected: Text,
        /// The field of the opening.
        found: Text,
    },
    /// Another value, salt or network.
    #[error("the opening gives {found}; the commitment is {expected}: value, salt or network differ")]
    Digest {
        /// The digest committed to.
        expected: Digest,
        /// The digest the opening gives.
        found: Digest,
    },
}

impl Opening {
    /// Fewest bytes of salt.
    pub const MIN_SALT: usize = 16;
    /// Most bytes of salt.
    pub const MAX_SALT: usize = 32;
    /// Most bytes of a value.
    pub const MAX_VALUE: usize = 65_536;

    /// The commitment this opens.
    ///
    /// # Errors
    /// [`CommitmentError::Salt`] and [`CommitmentError::Value`] when a length is out of bounds.
    pub fn commit(&self, network: NetworkId) -> Result<Commitment, CommitmentError> {
        let salt_len = match u8::try_from(self.salt.len()) {
            Ok(len) if (Self::MIN_SALT..=Self::MAX_SALT).contains(&self.salt.len()) => len,
            _ => return Err(CommitmentError::Salt { found: self.salt.len() }),
        };
        if self.value.len() > Self::MAX_VALUE {
            return Err(CommitmentError::Value { found: self.value.len() });
        }
        let label = self.label.as_str().as_bytes();
        // A `Text` has at most 64 bytes.
        let label_len = u8::try_from(label.len()).unwrap_or(u8::MAX);
        // Both lengths are hashed, so that no byte can move from the salt to the value and open the same digest differently.
        let digest =
            sha256(&[DOMAIN, network.as_bytes(), &[label_len], label, &[salt_len], &self.salt, &self.value]);
        Ok(Commitment { label: self.label.clone(), digest })
    }
}

impl Commitment {
    /// Checks that `opening` opens this commitment.
    ///
    /// # Errors
    /// [`CommitmentError`].
    pub fn verify(&self, opening: &Opening, network: NetworkId) -> Result<(), CommitmentError> {
        let opened = opening.commit(network)?;
        if opened.label != self.label {
            return Err(CommitmentError::Label { expected: self.label.clone(), found: opened.label });
        }
        if opened.digest != self.digest {
            return Err(CommitmentError::Digest { expected: self.digest, found: opened.digest });
        }
        Ok(())
    }
}

/// The value is private: it is not for logs.
impl core::fmt::Debug for Opening {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Opening").field("label", &self.label).finish_non_exhaustive()
    }
}

impl<C> Encode<C> for Commitment {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?;
        self.label.encode(e, ctx)?;
        self.digest.encode(e, ctx)
    }
}

/// Signed, so read strictly: two fields and nothing else.
impl<'b, C> Decode<'b, C> for Commitment {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        crate::bytes::array_of(d, 2)?;
        Ok(Self { label: Text::decode(d, ctx)?, digest: Digest::decode(d, ctx)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use depin_core::Address;
    use proptest::prelude::*;

    fn network() -> NetworkId {
        NetworkId::new(84532, Address::repeat_byte(0x11))
    }

    fn opening() -> Opening {
        Opening { label: "location".into(), salt: (0..16).collect(), value: b"8a1fb46622dffff".to_vec() }
    }

    #[test]
    fn a_known_answer() {
        // Python's hashlib over the definition.
        assert_eq!(
            opening().commit(network()).unwrap().digest.to_string(),
            "0xaaeec7da7df388d1e80b01b70f48b3cbca2f2b8baf5f3f583f1262d2f2c9ac40"
        );
    }

    #[test]
    fn no_byte_moves_from_the_salt_to_the_value() {
        let commitment = opening().commit(network()).unwrap();
        for shift in 1..=15 {
            let mut other = opening();
            let moved: Vec<u8> = other.value.drain(..shift).collect();
            other.salt.extend(moved);
            assert!(matches!(commitment.verify(&other, network()), Err(CommitmentError::Digest { .. })));
        }
    }

    #[test]
    fn another_network_or_field_is_refused() {
        let commitment = opening().commit(network()).unwrap();
        commitment.verify(&opening(), network()).unwrap();
        let elsewhere = NetworkId::new(1, Address::repeat_byte(0x11));
        assert!(matches!(commitment.verify(&opening(), elsewhere), Err(CommitmentError::Digest { .. })));
        let other = Opening { label: "serial".into(), ..opening() };
        assert!(matches!(commitment.verify(&other, network()), Err(CommitmentError::Label { .. })));
        // Not even when the commitment is renamed.
        let renamed = Commitment { label: "serial".into(), ..commitment };
        assert!(matches!(renamed.verify(&other, network()), Err(CommitmentError::Digest { .. })));
    }

    #[test]
    fn a_salt_has_16_to_32_bytes() {
        for (len, good) in [(0, false), (15, false), (16, true), (32, true), (33, false), (300, false)] {
            let opening = Opening { salt: vec![7; len], ..opening() };
            assert_eq!(opening.commit(network()).is_ok(), good, "{len}");
        }
        let large = Opening { value: vec![0; Opening::MAX_VALUE + 1], ..opening() };
        assert_eq!(large.commit(network()), Err(CommitmentError::Value { found: 65_537 }));
    }

    #[test]
    fn debug_output_hides_value_and_salt() {
        assert_eq!(format!("{:?}", opening()), r#"Opening { label: "location", .. }"#);
    }

    proptest! {
        #[test]
        fn only_the_committed_value_opens(value: Vec<u8>, other: Vec<u8>, salt: [u8; 32]) {
            let opening = Opening { label: "x".into(), salt: salt.to_vec(), value };
            let commitment = opening.commit(network()).unwrap();
            prop_assert!(commitment.verify(&opening, network()).is_ok());
            let same = other == opening.value;
            let forged = Opening { value: other, ..opening };
            prop_assert_eq!(commitment.verify(&forged, network()).is_ok(), same);
        }
    }
}
