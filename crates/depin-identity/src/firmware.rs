use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use depin_core::{Digest, cbor};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The firmware that a device says it runs: the body of a report of the kind [`Firmware::KIND`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Rises with every release.
    #[n(0)]
    pub version: u64,
    /// SHA-256 of the image.
    #[n(1)]
    pub digest: Digest,
}

/// Why a statement of firmware is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FirmwareError {
    /// Not the body of such a report.
    #[error("the body is no array of a version and a digest: {reason}; encode it with `Firmware::to_bytes`")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// Older than what the device ran before.
    #[error("version {found} comes after version {before}; install that version or a later one")]
    Rollback {
        /// The version stated.
        found: u64,
        /// The version stated before.
        before: u64,
    },
    /// One version number for two images.
    #[error("version {version} is {found} now and was {before} before; give each image its own version")]
    Changed {
        /// The version.
        version: u64,
        /// The digest stated.
        found: Digest,
        /// The digest stated before.
        before: Digest,
    },
}

impl Firmware {
    /// The kind of report.
    pub const KIND: &'static str = "device.firmware";

    /// The body of the report, in deterministic CBOR.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// Reads the body of a report.
    ///
    /// # Errors
    /// [`FirmwareError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FirmwareError> {
        cbor::from_slice(bytes).map_err(|error| FirmwareError::Malformed { reason: error.to_string() })
    }

    /// Whether it may come after `before`: the same once more, or a later version.
    ///
    /// # Errors
    /// [`FirmwareError::Rollback`], [`FirmwareError::Changed`].
    pub fn follows(&self, before: &Self) -> Result<(), FirmwareError> {
        let (version, found, before_digest) = (self.version, self.digest, before.digest);
        if version < before.version {
            return Err(FirmwareError::Rollback { found: version, before: before.version });
        }
        if version == before.version && found != before_digest {
            return Err(FirmwareError::Changed { version, found, before: before_digest });
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use super::*;

    const FIRMWARE: Firmware = Firmware { version: 7, digest: Digest([9; 32]) };

    #[test]
    fn a_statement_has_one_encoding_and_no_bit_too_few_or_too_many() {
        let bytes = FIRMWARE.to_bytes();
        assert_eq!(bytes, [&[0x82, 0x07, 0x58, 0x20][..], &[9; 32]].concat());
        assert_eq!(Firmware::from_bytes(&bytes), Ok(FIRMWARE));
        for len in 0..bytes.len() {
            assert!(Firmware::from_bytes(bytes.get(..len).unwrap()).is_err(), "{len}");
        }
        assert!(Firmware::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            *flipped.get_mut(bit / 8).unwrap() ^= 1 << (bit % 8);
            assert_ne!(Firmware::from_bytes(&flipped), Ok(FIRMWARE), "{bit}");
        }
    }

    #[test]
    fn a_version_neither_falls_nor_names_two_images() {
        let (next, other) =
            (Firmware { version: 8, ..FIRMWARE }, Firmware { digest: Digest([8; 32]), ..FIRMWARE });
        assert_eq!(FIRMWARE.follows(&FIRMWARE), Ok(()));
        assert_eq!(next.follows(&FIRMWARE), Ok(()));
        assert_eq!(FIRMWARE.follows(&next), Err(FirmwareError::Rollback { found: 7, before: 8 }));
        let (found, before) = (other.digest, FIRMWARE.digest);
        assert_eq!(other.follows(&FIRMWARE), Err(FirmwareError::Changed { version: 7, found, before }));
    }
}
