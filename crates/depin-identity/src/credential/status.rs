//! Bitstring Status List v1.0 (W3C): one bit per credential.

use std::io::Read as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};

/// The fewest entries a list may have, for the privacy of the herd (Bitstring Status List v1.0, 6.1).
pub const MIN_ENTRIES: u64 = 131_072;
/// The most entries a list may have here: 2 MiB of bits.
pub const MAX_ENTRIES: u64 = 16_777_216;
const MAX_BITS: u64 = MAX_ENTRIES / 8;

/// Why a text is no status list, or a list gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusListError {
    /// Not `u` and base64url without padding.
    #[error("the encoded list is no multibase base64url; it starts with `u` and has no padding")]
    Multibase,
    /// Not one gzip stream.
    #[error("the encoded list is no single gzip stream: {reason}")]
    Gzip {
        /// What the decoder said.
        reason: String,
    },
    /// Bits after the stream.
    #[error("{found} bytes follow the gzip stream of the list; leave them out")]
    Trailing {
        /// Bytes that follow.
        found: usize,
    },
    /// Too small to hide anybody in.
    #[error("the list has {found} entries; expected at least {min}")]
    TooSmall {
        /// Entries found.
        found: u64,
        /// Entries needed.
        min: u64,
    },
    /// Too large to be read. A bomb is stopped here, having cost one byte more than the limit.
    #[error("the list has more than {max} entries; split it")]
    TooLarge {
        /// Entries allowed.
        max: u64,
    },
    /// An index beyond the end: no answer, which is never a good one.
    #[error("index {index} is beyond the {entries} entries of the list; the credential counts as revoked")]
    OutOfRange {
        /// The index.
        index: u64,
        /// Entries of the list.
        entries: u64,
    },
}

/// The bits of a status list.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    bits: Vec<u8>,
}

impl StatusList {
    /// A list of `entries` unset bits, rounded up to whole bytes.
    ///
    /// # Errors
    /// [`StatusListError::TooSmall`], [`StatusListError::TooLarge`].
    pub fn new(entries: u64) -> Result<Self, StatusListError> {
        let bytes = entries.div_ceil(8);
        in_bounds(bytes)?;
        let len = usize::try_from(bytes).map_err(|_| StatusListError::TooLarge { max: MAX_ENTRIES })?;
        Ok(Self { bits: vec![0; len] })
    }

    /// Reads an `encodedList`: multibase base64url of one gzip stream.
    ///
    /// # Errors
    /// [`StatusListError`]. No more than the limit and one byte is ever decompressed.
    pub fn decode(encoded: &str) -> Result<Self, StatusListError> {
        let text = encoded.strip_prefix('u').ok_or(StatusListError::Multibase)?;
        let zipped = URL_SAFE_NO_PAD.decode(text).map_err(|_| StatusListError::Multibase)?;
        let mut bits = Vec::new();
        let mut bounded = GzDecoder::new(zipped.as_slice()).take(MAX_BITS.saturating_add(1));
        bounded
            .read_to_end(&mut bits)
            .map_err(|error| StatusListError::Gzip { reason: error.to_string() })?;
        let list = Self { bits };
        in_bounds(list.entries() / 8)?;
        match bounded.into_inner().into_inner().len() {
            0 => Ok(list),
            found => Err(StatusListError::Trailing { found }),
        }
    }

    /// The `encodedList`. The same bits give the same text.
    ///
    /// # Errors
    /// [`StatusListError::Gzip`], should memory not suffice.
    pub fn encode(&self) -> Result<String, StatusListError> {
        let gzip = |error: std::io::Error| StatusListError::Gzip { reason: error.to_string() };
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        std::io::Write::write_all(&mut encoder, &self.bits).map_err(gzip)?;
        Ok(format!("u{}", URL_SAFE_NO_PAD.encode(encoder.finish().map_err(gzip)?)))
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        u64::try_from(self.bits.len()).unwrap_or(u64::MAX).saturating_mul(8)
    }

    /// The bit of `index`; bit 0 is the highest of the first byte.
    ///
    /// # Errors
    /// [`StatusListError::OutOfRange`].
    #[inline]
    pub fn get(&self, index: u64) -> Result<bool, StatusListError> {
        match usize::try_from(index / 8).ok().and_then(|at| self.bits.get(at)) {
            Some(byte) => Ok(byte & (0x80 >> (index % 8)) != 0),
            None => Err(StatusListError::OutOfRange { index, entries: self.entries() }),
        }
    }

    /// Sets or clears the bit of `index`.
    ///
    /// # Errors
    /// [`StatusListError::OutOfRange`].
    pub fn set(&mut self, index: u64, value: bool) -> Result<(), StatusListError> {
        let entries = self.entries();
        let byte = usize::try_from(index / 8)
            .ok()
            .and_then(|at| self.bits.get_mut(at))
            .ok_or(StatusListError::OutOfRange { index, entries })?;
        let bit = 0x80 >> (index % 8);
        *byte = if value { *byte | bit } else { *byte & !bit };
        Ok(())
    }
}

impl core::fmt::Debug for StatusList {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("StatusList").field("entries", &self.entries()).finish_non_exhaustive()
    }
}

fn in_bounds(bytes: u64) -> Result<(), StatusListError> {
    let found = bytes.saturating_mul(8);
    if found < MIN_ENTRIES {
        return Err(StatusListError::TooSmall { found, min: MIN_ENTRIES });
    }
    if found > MAX_ENTRIES {
        return Err(StatusListError::TooLarge { max: MAX_ENTRIES });
    }
    Ok(())
}
