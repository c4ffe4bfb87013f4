//! Deterministic CBOR (RFC 8949, 4.2): one value, one string of bytes.
//!
//! Everything signed or hashed goes through [`to_vec`] and [`from_slice`]. Received bytes are checked as they are, never by encoding
//! what was decoded a second time. Floats, indefinite lengths and undefined simple values do not occur in our messages and are refused.

use alloc::vec::Vec;
use core::convert::Infallible;

use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::Digest;
pub use crate::amount::{u128_cbor as u128, u128_string};
pub use crate::deal::{address_cbor as address, hex_string};

/// Deepest nesting accepted.
pub const MAX_DEPTH: usize = 16;

/// Why bytes are not the deterministic encoding of the expected value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// The bytes end inside an item.
    #[error("the bytes end at {at}, inside an item")]
    Truncated {
        /// Offset of the end.
        at: usize,
    },
    /// Bytes after the item.
    #[error("{count} bytes follow the item that ends at {at}")]
    Trailing {
        /// Offset of the first of them.
        at: usize,
        /// How many.
        count: usize,
    },
    /// A well-formed item in a form that deterministic encoding excludes.
    #[error("{what} at {at} is not deterministic CBOR (RFC 8949, 4.2)")]
    NotDeterministic {
        /// Offset of the item.
        at: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("items are nested deeper than {MAX_DEPTH} at {at}")]
    Depth {
        /// Offset of the item.
        at: usize,
    },
    /// Deterministic, but not the expected message.
    #[error("not the expected message: {0}")]
    Message(#[from] minicbor::decode::Error),
}

/// The deterministic encoding of `value`.
///
/// It is so by the encoders of this workspace: definite lengths, shortest integers, map keys ascending.
pub fn to_vec<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    // Writing to a `Vec` cannot fail, and no encoder of ours raises an error of its own.
    let _: Result<(), minicbor::encode::Error<Infallible>> = value.encode(&mut encoder, &mut ());
    bytes
}

/// Decodes `bytes` as one deterministically encoded value, with nothing after it.
///
/// # Errors
/// [`CborError`].
pub fn from_slice<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8]) -> Result<T, CborError> {
    check(bytes)?;
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = T::decode(&mut decoder, &mut ())?;
    match bytes.len().saturating_sub(decoder.position()) {
        // Derived decoders skip items they do not know. What hashes the same must be the same, so nothing may be skipped.
        0 if !is_encoding(&value, bytes) => {
            Err(CborError::NotDeterministic { at: 0, what: "a message with items it does not have" })
        }
        0 => Ok(value),
        count => Err(CborError::Trailing { at: decoder.position(), count }),
    }
}

/// Whether `bytes` are the encoding of `value`, without writing it down a second time.
fn is_encoding<T: Encode<()>>(value: &T, bytes: &[u8]) -> bool {
    let mut encoder = minicbor::Encoder::new(Rest(bytes));
    value.encode(&mut encoder, &mut ()).is_ok() && encoder.writer().0.is_empty()
}

/// What is still to come of the bytes that are expected.
struct Rest<'a>(&'a [u8]);

impl minicbor::encode::Write for Rest<'_> {
    type Error = Differs;

    fn write_all(&mut self, written: &[u8]) -> Result<(), Differs> {
        self.0 = self.0.strip_prefix(written).ok_or(Differs)?;
        Ok(())
    }
}

/// Something else was written than is expected.
#[derive(Debug)]
struct Differs;

impl core::fmt::Display for Differs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("other bytes than expected")
    }
}

impl core::error::Error for Differs {}

/// SHA-256 of `prefix` and the deterministic encoding of `value`, which is written down nowhere.
pub fn sha256<T: Encode<()>>(prefix: &[u8], value: &T) -> Digest {
    let mut encoder = minicbor::Encoder::new(Hashed(Sha256::new_with_prefix(prefix)));
    // Hashing cannot fail, and no encoder of ours raises an error of its own.
    let _: Result<(), minicbor::encode::Error<Infallible>> = value.encode(&mut encoder, &mut ());
    Digest(encoder.into_writer().0.finalize().into())
}

struct Hashed(Sha256);

impl minicbor::encode::Write for Hashed {
    type Error = Infallible;

    fn write_all(&mut self, written: &[u8]) -> Result<(), Infallible> {
        self.0.update(written);
        Ok(())
    }
}

/// A list as [`Vec`] has it, read without room for items that do not come: where most lists are short and many, that is most of the memory.
pub mod list {
    use alloc::vec::Vec;

    use minicbor::{Decode, Decoder, Encode, Encoder, decode::Error, encode::Write};

    /// Longer lists grow as they are read: a length alone costs its sender nothing.
    const SHORT: u64 = 16;

    /// Writes the list.
    ///
    /// # Errors
    /// Those of its items.
    pub fn encode<C, T: Encode<C>, W: Write>(
        list: &Vec<T>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        list.encode(e, ctx)
    }

    /// Reads a list of definite length.
    ///
    /// # Errors
    /// Those of its items.
    pub fn decode<'b, C, T: Decode<'b, C>>(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Vec<T>, Error> {
        let len = d.array()?.ok_or_else(|| Error::message("a list of indefinite length"))?;
        let mut list = Vec::with_capacity(usize::try_from(len.min(SHORT)).unwrap_or_default());
        for _ in 0..len {
            list.push(T::decode(d, ctx)?);
        }
        Ok(list)
    }
}

/// Checks that `bytes` are exactly one deterministically encoded item.
///
/// # Errors
/// [`CborError`].
pub fn check(bytes: &[u8]) -> Result<(), CborError> {
    let end = item(bytes, 0, 0)?;
    match bytes.len().saturating_sub(end) {
        0 => Ok(()),
        count => Err(CborError::Trailing { at: end, count }),
    }
}

/// The length of the first deterministically encoded item of `bytes`: for reading a CBOR sequence (RFC 8742).
///
/// # Errors
/// [`CborError`].
pub fn first_len(bytes: &[u8]) -> Result<usize, CborError> {
    item(bytes, 0, 0)
}

/// Walks the item at `at` and returns where it ends.
fn item(bytes: &[u8], at: usize, depth: usize) -> Result<usize, CborError> {
    if depth > MAX_DEPTH {
        return Err(CborError::Depth { at });
    }
    let refused = |what| Err(CborError::NotDeterministic { at, what });
    let initial = *bytes.get(at).ok_or(CborError::Truncated { at })?;
    let (major, info) = (initial >> 5, initial & 0x1f);
    if major == 7 {
        return match info {
            20..=22 => Ok(at.saturating_add(1)),
            25..=27 => refused("a float"),
            _ => refused("a simple value"),
        };
    }
    let (value, after) = argument(bytes, at, info)?;
    let deeper = depth.saturating_add(1);
    match major {
        0 | 1 => Ok(after),
        2 => string(bytes, after, value).map(|(_, end)| end),
        3 => {
            let (text, end) = string(bytes, after, value)?;
            if core::str::from_utf8(text).is_err() { refused("a text that is not UTF-8") } else { Ok(end) }
        }
        // A count beyond the bytes that are left ends in `Truncated` after at most that many steps.
        4 => (0..value).try_fold(after, |next, _| item(bytes, next, deeper)),
        5 => map(bytes, after, value, deeper),
        _ => {
            let end = item(bytes, after, deeper)?;
            if value == 2 || value == 3 {
                bignum(bytes, after)?;
            }
            Ok(end)
        }
    }
}

/// The argument of an initial byte in its shortest form, and where it ends.
fn argument(bytes: &[u8], at: usize, info: u8) -> Result<(u64, usize), CborError> {
    let start = at.saturating_add(1);
    let (width, smallest) = match info {
        0..=23 => return Ok((u64::from(info), start)),
        24 => (1, 24),
        25 => (2, 0x100),
        26 => (4, 0x1_0000),
        27 => (8, 0x1_0000_0000),
        _ => return Err(CborError::NotDeterministic { at, what: "an indefinite or reserved length" }),
    };
    let end = start.saturating_add(width);
    let digits = bytes.get(start..end).ok_or(CborError::Truncated { at: bytes.len() })?;
    let value = digits.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
    if value < smallest {
        return Err(CborError::NotDeterministic { at, what: "an integer in a longer form" });
    }
    Ok((value, end))
}

fn string(bytes: &[u8], start: usize, len: u64) -> Result<(&[u8], usize), CborError> {
    let truncated = CborError::Truncated { at: bytes.len() };
    let Ok(len) = usize::try_from(len) else { return Err(truncated) };
    let Some(end) = start.checked_add(len) else { return Err(truncated) };
    match bytes.get(start..end) {
        Some(content) => Ok((content, end)),
        None => Err(truncated),
    }
}

/// Keys ascend in the bytewise order of their encodings, so none occurs twice.
fn map(bytes: &[u8], start: usize, pairs: u64, depth: usize) -> Result<usize, CborError> {
    let mut previous: &[u8] = &[];
    let mut next = start;
    for _ in 0..pairs {
        let end = item(bytes, next, depth)?;
        let key = bytes.get(next..end).unwrap_or_default();
        if key <= previous {
            return Err(CborError::NotDeterministic { at: next, what: "a map key out of order" });
        }
        previous = key;
        next = item(bytes, end, depth)?;
    }
    Ok(next)
}

/// A bignum is longer than eight bytes and starts with no zero, otherwise it would be a plain integer.
fn bignum(bytes: &[u8], at: usize) -> Result<(), CborError> {
    let refused =
        CborError::NotDeterministic { at, what: "a bignum that is no byte string or has a shorter form" };
    let initial = *bytes.get(at).ok_or(CborError::Truncated { at })?;
    if initial >> 5 != 2 {
        return Err(refused);
    }
    let (len, start) = argument(bytes, at, initial & 0x1f)?;
    let (content, _) = string(bytes, start, len)?;
    if content.len() > 8 && content.first() != Some(&0) { Ok(()) } else { Err(refused) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdict_on(hexadecimal: &str) -> Result<(), CborError> {
        check(&hex::decode(hexadecimal).unwrap())
    }

    #[test]
    fn hashing_an_encoding_is_hashing_what_is_written_down() {
        let value = (7_u64, "text", [300_u32, 5], None::<bool>);
        assert_eq!(sha256(b"prefix", &value), crate::sha256(&[b"prefix", &to_vec(&value)]));
        assert_eq!(sha256(&[], &value), crate::sha256(&[&to_vec(&value)]));
    }

    #[test]
    fn one_form_of_each_value_is_accepted() {
        for good in [
            "00",
            "17",
            "1818",
            "190100",
            "1a00010000",
            "1b0000000100000000",
            "20",
            "40",
            "60",
            "80",
            "a0",
            "f4",
            "f6",
            "a10102",
            "a201020304",
            "c249010000000000000000",
            "d28440a0f640",
        ] {
            assert!(verdict_on(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for (bad, what) in [
            ("1817", "longer integer"),
            ("190017", "longer integer"),
            ("1a00000100", "longer integer"),
            ("1b00000000ffffffff", "longer integer"),
            ("5f4101ff", "indefinite bytes"),
            ("9f01ff", "indefinite array"),
            ("bf0102ff", "indefinite map"),
            ("a203040102", "keys descending"),
            ("a201020102", "key twice"),
            ("c24101", "short bignum"),
            ("c249000000000000000001", "bignum with a zero"),
            ("c200", "bignum that is an integer"),
            ("f90000", "half float"),
            ("fb3ff0000000000000", "double float"),
            ("f7", "undefined"),
            ("f820", "simple value"),
            ("61ff", "text that is not UTF-8"),
            ("1c", "reserved"),
            ("0000", "trailing"),
            ("", "nothing"),
            ("41", "truncated"),
            ("9bffffffffffffffff", "huge array"),
            ("5bffffffffffffffff", "huge string"),
        ] {
            assert!(verdict_on(bad).is_err(), "{what}: {bad}");
        }
    }

    #[test]
    fn items_that_a_message_does_not_have_are_refused() {
        let units = crate::Units::new("byte-seconds".into(), 7);
        let mut bytes = to_vec(&units);
        assert_eq!(from_slice::<crate::Units>(&bytes).unwrap(), units);
        bytes[0] = 0x83;
        bytes.push(5);
        assert!(check(&bytes).is_ok());
        assert!(from_slice::<crate::Units>(&bytes).is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = alloc::format!("{}00", "81".repeat(MAX_DEPTH));
        assert!(verdict_on(&deep).is_ok());
        assert!(matches!(verdict_on(&alloc::format!("81{deep}")), Err(CborError::Depth { .. })));
        assert!(matches!(verdict_on(&"81".repeat(1_000_000)), Err(CborError::Depth { .. })));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = check(&bytes);
            let _ = from_slice::<crate::Amount>(&bytes);
        }

        #[test]
        fn what_we_encode_is_deterministic(a: u64, b: i64, text in "\\PC{0,40}", bytes: Vec<u8>) {
            let value = (a, b, text, minicbor::bytes::ByteVec::from(bytes));
            let encoded = to_vec(&value);
            prop_assert!(check(&encoded).is_ok());
            prop_assert_eq!(from_slice::<(u64, i64, alloc::string::String, minicbor::bytes::ByteVec)>(&encoded).unwrap(), value);
        }

        #[test]
        fn no_strict_prefix_is_accepted(a: u64, bytes: Vec<u8>) {
            let encoded = to_vec(&(a, minicbor::bytes::ByteVec::from(bytes)));
            for end in 0..encoded.len() {
                prop_assert!(check(&encoded[..end]).is_err());
            }
        }
    }
}
