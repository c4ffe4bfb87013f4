//! JSON from outside: bounded before it is built, and with one reading only.

use alloc::{
    borrow::ToOwned,
    collections::BTreeSet,
    string::{String, ToString},
    vec::Vec,
};

/// The largest integer that every JSON reader reads alike: 2^53 - 1 (RFC 7493, 2.2).
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why bytes are not a document of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(not(feature = "credentials"), allow(unreachable_pub, reason = "it is exported with credentials"))]
pub enum JsonError {
    /// More bytes than are read.
    #[error("the document has {found} bytes; at most {max} are read")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Nested too deep.
    #[error("the document nests deeper than {max} levels; flatten it")]
    TooDeep {
        /// Levels allowed.
        max: usize,
    },
    /// Too many values.
    #[error("the document holds more than {max} values; split it")]
    TooMany {
        /// Values allowed.
        max: usize,
    },
    /// A key twice in one object: readers disagree on which of the two counts.
    #[error("the key {key:?} is twice in one object; leave one out")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// A number that readers round, or write in several ways.
    #[error("the number {found} is no integer of at most 2^53 - 1; write it as a string")]
    Number {
        /// As it was written, cut after 32 characters.
        found: String,
    },
    /// A key that a JSON library gives a meaning of its own.
    #[error("the key {key:?} is reserved; choose another")]
    ReservedKey {
        /// The key.
        key: String,
    },
    /// Not JSON, or not UTF-8.
    #[error("not a JSON object in UTF-8: {reason}")]
    Syntax {
        /// What the parser said.
        reason: String,
    },
}

/// How much of a document is read, and what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of the text.
    pub(crate) bytes: usize,
    /// Nested objects and arrays.
    pub(crate) depth: usize,
    /// Objects, arrays, strings and numbers, keys included.
    pub(crate) values: usize,
    /// What a number may be.
    pub(crate) numbers: Numbers,
}

/// What a number may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Whatever the parser takes: nothing here reads one.
    Any,
    /// An integer that every reader reads alike, and writes in one way.
    #[cfg(feature = "credentials")]
    Integers,
}

/// The text of `bytes`, if it keeps to `limits` and says nothing twice.
///
/// That is judged on the text, so that the verdict is the same whatever features of `serde_json` a workspace
/// has switched on: with `arbitrary_precision` a number would arrive as an object with one reserved key, and the other way round.
pub(crate) fn scan<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(JsonError::TooLong { found: bytes.len(), max: limits.bytes });
    }
    let text = core::str::from_utf8(bytes).map_err(syntax)?;
    Scan { limits, open: Vec::new(), values: 0, key_next: false }.run(text)?;
    Ok(text)
}

/// What the parser said.
pub(crate) fn syntax(error: impl core::fmt::Display) -> JsonError {
    JsonError::Syntax { reason: error.to_string() }
}

/// Walks over the tokens of a text. What is not JSON at all it may let through: the parser comes after it.
struct Scan<'l> {
    limits: &'l Limits,
    /// Per open object the keys it has; none for an array.
    open: Vec<Option<BTreeSet<String>>>,
    values: usize,
    /// The next string is a key.
    key_next: bool,
}

impl Scan<'_> {
    fn run(mut self, mut rest: &str) -> Result<(), JsonError> {
        while let Some(byte) = rest.bytes().next() {
            let len = match byte {
                b'{' | b'[' => self.enter(byte == b'{')?,
                b'}' | b']' => {
                    self.open.pop();
                    self.key_next = false;
                    1
                }
                b',' => {
                    self.key_next = matches!(self.open.last(), Some(Some(_)));
                    1
                }
                b':' => {
                    self.key_next = false;
                    1
                }
                b'"' => self.string(rest)?,
                b'-' | b'0'..=b'9' => self.number(rest)?,
                b' ' | b'\t' | b'\n' | b'\r' | b'a'..=b'z' => 1,
                _ => return Err(JsonError::Syntax { reason: "a character that starts no value".to_owned() }),
            };
            rest = rest.get(len..).unwrap_or_default();
        }
        Ok(())
    }

    fn enter(&mut self, object: bool) -> Result<usize, JsonError> {
        self.count()?;
        self.open.push(object.then(BTreeSet::new));
        self.key_next = object;
        let max = self.limits.depth;
        if self.open.len() > max { Err(JsonError::TooDeep { max }) } else { Ok(1) }
    }

    fn count(&mut self) -> Result<(), JsonError> {
        self.values = self.values.saturating_add(1);
        let max = self.limits.values;
        if self.values > max { Err(JsonError::TooMany { max }) } else { Ok(()) }
    }

    fn string(&mut self, rest: &str) -> Result<usize, JsonError> {
        self.count()?;
        let mut escaped = false;
        let closing = rest.bytes().enumerate().skip(1).find(|(_, byte)| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        });
        let len = closing.map_or(rest.len(), |(at, _)| at.saturating_add(1));
        if let (true, Some(Some(keys))) = (self.key_next, self.open.last_mut()) {
            let key: String = serde_json::from_str(rest.get(..len).unwrap_or_default()).map_err(syntax)?;
            if key.starts_with("$serde_json::") {
                return Err(JsonError::ReservedKey { key });
            }
            if !keys.insert(key.clone()) {
                return Err(JsonError::DuplicateKey { key });
            }
        }
        Ok(len)
    }

    fn number(&mut self, rest: &str) -> Result<usize, JsonError> {
        self.count()?;
        let ends = |byte: u8| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let len = rest.bytes().position(ends).unwrap_or(rest.len());
        if self.limits.numbers == Numbers::Any {
            return Ok(len);
        }
        let token = rest.get(..len).unwrap_or_default();
        let digits = token.strip_prefix('-').unwrap_or(token);
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && token != "-0";
        match digits.parse::<u64>() {
            Ok(value) if plain && value <= MAX_INTEGER => Ok(len),
            _ => Err(JsonError::Number { found: token.chars().take(32).collect() }),
        }
    }
}
