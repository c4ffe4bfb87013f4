//! The CID text form of a piece commitment.

use std::{fmt, str::FromStr};

use base32ct::{Base32Unpadded, Encoding};

use super::PieceCommitment;

/// CIDv1, codec `fil-commitment-unsealed` (0xf101), multihash `sha2-256-trunc254-padded` (0x1012) of 32 bytes; the numbers are varints.
const PREFIX: [u8; 7] = [0x01, 0x81, 0xe2, 0x03, 0x92, 0x20, 0x20];

/// Characters of a piece CID, the multibase prefix `b` included.
const CHARACTERS: usize = 64;

/// Why a text is no piece CID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidError {
    /// Another length.
    #[error("a piece CID has {CHARACTERS} characters, found {found}; it starts with `baga6ea4seaq`")]
    Length {
        /// Characters found.
        found: usize,
    },
    /// Not lower-case base32 after `b`.
    #[error("a piece CID is `b` and lower-case base32; copy it again")]
    Base32,
    /// A CID of something else.
    #[error("the CID is of something else; a piece CID starts with `baga6ea4seaq`")]
    Kind,
    /// A digest that no bytes have.
    #[error(transparent)]
    Commitment(#[from] super::PieceError),
}

impl fmt::Display for PieceCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", Base32Unpadded::encode_string(&bytes(self)))
    }
}

impl FromStr for PieceCommitment {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        if text.len() != CHARACTERS {
            return Err(CidError::Length { found: text.len() });
        }
        let encoded = text.strip_prefix('b').ok_or(CidError::Base32)?;
        let decoded = Base32Unpadded::decode_vec(encoded).map_err(|_| CidError::Base32)?;
        let digest = decoded.strip_prefix(&PREFIX).ok_or(CidError::Kind)?;
        let digest = <[u8; 32]>::try_from(digest).map_err(|_| CidError::Kind)?;
        let commitment = Self::from_bytes(digest)?;
        // The last character carries three bits of nothing, which a decoder may leave unchecked.
        if Base32Unpadded::encode_string(&decoded) == encoded {
            Ok(commitment)
        } else {
            Err(CidError::Base32)
        }
    }
}

fn bytes(commitment: &PieceCommitment) -> Vec<u8> {
    [PREFIX.as_slice(), commitment.as_bytes()].concat()
}
