//! DIDs and DID URLs (W3C DID Core 1.0, 3.1 and 3.2), parsed strictly and bounded.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};
use core::{fmt, str::FromStr};

use depin_core::{DeviceId, TypedKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::DidError;

/// A decentralized identifier: `did:`, a method, and what the method names with. At most [`Did::MAX`] bytes of ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did {
    text: String,
    /// Where the identifier of the method begins.
    id: usize,
}

impl Did {
    /// Longest DID in bytes.
    pub const MAX: usize = 1_024;

    /// The DID of `method` with the method-specific `id`.
    ///
    /// # Errors
    /// [`DidError::Invalid`].
    pub fn new(method: &str, id: &str) -> Result<Self, DidError> {
        format!("did:{method}:{id}").parse()
    }

    /// The method, for example `key`.
    pub fn method(&self) -> &str {
        let end = self.id.saturating_sub(1);
        self.text.get(4..end).unwrap_or_default()
    }

    /// What the method names with.
    pub fn id(&self) -> &str {
        self.text.get(self.id..).unwrap_or_default()
    }

    /// The whole DID.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The DID URL of this DID's verification method `fragment`.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when it is no fragment.
    pub fn url(&self, fragment: &str) -> Result<DidUrl, DidError> {
        format!("{self}#{fragment}").parse()
    }
}

impl FromStr for Did {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let refused = |expected: &str| DidError::invalid(text, expected);
        if text.len() > Self::MAX {
            return Err(refused(&format!("at most {} bytes", Self::MAX)));
        }
        let rest = text.strip_prefix("did:").ok_or_else(|| refused("a DID, which starts with `did:`"))?;
        let (method, id) =
            rest.split_once(':').ok_or_else(|| refused("a method and an identifier: `did:method:id`"))?;
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(refused("a method of lower-case letters and digits"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if !escaped(id, plain) || id.is_empty() || id.ends_with(':') {
            return Err(refused(
                "an identifier of letters, digits, `.`, `-`, `_`, `:` and %XX, not ending in `:`",
            ));
        }
        Ok(Self { text: text.to_owned(), id: text.len().saturating_sub(id.len()) })
    }
}

/// Whether `text` holds only bytes that are `plain`, and whole percent-encodings (RFC 3986, 2.1).
fn escaped(text: &str, plain: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let whole = byte == b'%'
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit())
            && bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
        if !whole && !plain(byte) {
            return false;
        }
    }
    true
}

/// A DID with path, query or fragment: what names a verification method, or a resource of the subject. At most [`DidUrl::MAX`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DidUrl {
    did: Did,
    /// Empty, or from its first `/`.
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

impl DidUrl {
    /// Longest DID URL in bytes.
    pub const MAX: usize = 2_048;

    /// The DID.
    pub const fn did(&self) -> &Did {
        &self.did
    }

    /// The path: empty, or from its first `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// What follows `#`.
    pub fn fragment(&self) -> Option<&str> {
        self.fragment.as_deref()
    }

    /// The fragment of a URL that names a verification method: it has one, and neither path nor query.
    ///
    /// # Errors
    /// [`DidError::Invalid`]. A path or query would ask a resolver for another document than the DID's.
    pub fn method_fragment(&self) -> Result<&str, DidError> {
        match (self.path.as_str(), &self.query, &self.fragment) {
            ("", None, Some(fragment)) if !fragment.is_empty() => Ok(fragment),
            _ => Err(DidError::invalid(
                &self.to_string(),
                "a verification method: a DID, `#` and its name, without path or query",
            )),
        }
    }

    /// Reads `text` as it stands in the document of `base`: a DID URL, or what begins with `#`.
    ///
    /// # Errors
    /// [`DidError::Invalid`].
    pub fn parse_in(base: &Did, text: &str) -> Result<Self, DidError> {
        if text.starts_with('#') { format!("{base}{text}").parse() } else { text.parse() }
    }
}

impl FromStr for DidUrl {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let refused = |expected: &str| DidError::invalid(text, expected);
        if text.len() > Self::MAX {
            return Err(refused(&format!("at most {} bytes", Self::MAX)));
        }
        let (rest, fragment) = split(text, '#');
        let (rest, query) = split(rest, '?');
        let end = rest.find('/').unwrap_or(rest.len());
        let (did, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let pchar = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
        let loose = |byte: u8| pchar(byte) || byte == b'?';
        let fits = |part: Option<&str>| part.is_none_or(|part| escaped(part, loose));
        if !escaped(path, pchar) || !fits(query) || !fits(fragment) {
            return Err(refused("path, query and fragment as in RFC 3986, 3.3 to 3.5"));
        }
        Ok(Self {
            did: did.parse()?,
            path: path.to_owned(),
            query: query.map(str::to_owned),
            fragment: fragment.map(str::to_owned),
        })
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

impl From<&TypedKey> for Did {
    fn from(key: &TypedKey) -> Self {
        Self { text: key.to_did(), id: "did:key:".len() }
    }
}

impl From<&DeviceId> for Did {
    fn from(device: &DeviceId) -> Self {
        Self::from(device.key())
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for DidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.did, self.path)?;
        self.query.iter().try_for_each(|query| write!(f, "?{query}"))?;
        self.fragment.iter().try_for_each(|fragment| write!(f, "#{fragment}"))
    }
}

macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

as_text!(Did, DidUrl);
