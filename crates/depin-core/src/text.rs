//! Short texts with a bound, for names that cross a seam.

use alloc::string::String;
use core::{fmt, str::FromStr};

use minicbor::{Decode, Encode};

/// A short name made of printable ASCII: a unit, a check, a verifier, a reason. At most 64 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(String);

/// Why a [`Text`] was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// More bytes than allowed, or none.
    #[error("a name is {found} bytes long; use 1 to {max}", max = Text::MAX)]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// A byte outside printable ASCII.
    #[error("a name holds the byte {found:#04x} at {at}; use printable ASCII without spaces")]
    Character {
        /// The offending byte.
        found: u8,
        /// Its offset.
        at: usize,
    },
}

impl Text {
    /// Longest text in bytes.
    pub const MAX: usize = 64;

    /// Parses `text`.
    ///
    /// # Errors
    /// [`TextError`] when it is empty, too long, or holds anything but printable ASCII without spaces.
    pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        Self::check(&text)?;
        Ok(Self(text))
    }

    /// Whether `text` can be one, without a copy of it.
    ///
    /// # Errors
    /// Those of [`Text::new`].
    pub fn check(text: &str) -> Result<(), TextError> {
        if text.is_empty() || text.len() > Self::MAX {
            return Err(TextError::Length { found: text.len() });
        }
        match text.bytes().enumerate().find(|(_, byte)| !byte.is_ascii_graphic()) {
            Some((at, found)) => Err(TextError::Character { found, at }),
            None => Ok(()),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names in source code: what does not fit is cut, what is not printable becomes `?`.
impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        let clean: String =
            text.chars().take(Self::MAX).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
        Self(if clean.is_empty() { String::from("?") } else { clean })
    }
}

impl FromStr for Text {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<C> Encode<C> for Text {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Text {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        Self::new(d.str()?).map_err(|_| {
            minicbor::decode::Error::message("a name of 1 to 64 printable ASCII characters").at(at)
        })
    }
}

/// `Serialize` as what `Display` prints, `Deserialize` through `FromStr`.
macro_rules! serde_as_string {
    ($($type:ty),+ $(,)?) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <alloc::string::String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(crate) use serde_as_string;

serde_as_string!(Text);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        assert_eq!(Text::new("").unwrap_err(), TextError::Length { found: 0 });
        assert_eq!(Text::new("x".repeat(65)).unwrap_err(), TextError::Length { found: 65 });
        assert_eq!(Text::new("a b").unwrap_err(), TextError::Character { found: b' ', at: 1 });
        assert_eq!(Text::new("a\u{202e}").unwrap_err(), TextError::Character { found: 0xe2, at: 1 });
        assert_eq!(Text::from("watt hours"), Text::new("watt?hours").unwrap());
    }
}
