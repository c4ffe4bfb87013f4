//! Device URLs: `file:/path/key.pem` (RFC 8089) and `pkcs11:token=…;object=…?module-path=…` (RFC 7512).

use core::{fmt, str::FromStr};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::PasswordSource;

/// Where a device's key lives. Two URLs are equal when they name the same by the same attributes; there is one way to write each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceUrl {
    /// An encrypted key file.
    File {
        /// Its absolute path.
        path: PathBuf,
        /// Where its password comes from.
        password: PasswordSource,
    },
    /// A key on a token.
    Pkcs11(Pkcs11Url),
}

/// A key on a PKCS#11 token (RFC 7512). An attribute that is absent matches everything; token and key must each be the only match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pkcs11Url {
    /// The token's label, at most 32 bytes.
    pub token: Option<String>,
    /// The token's manufacturer, at most 32 bytes.
    pub manufacturer: Option<String>,
    /// The token's model, at most 16 bytes.
    pub model: Option<String>,
    /// The token's serial number, at most 16 bytes.
    pub serial: Option<String>,
    /// The key's label, CKA_LABEL, at most 255 bytes.
    pub object: Option<String>,
    /// The key's identifier, CKA_ID, 1 to 255 bytes.
    pub id: Option<Vec<u8>>,
    /// The absolute path of the PKCS#11 library.
    pub module: PathBuf,
    /// Where the PIN comes from.
    pub pin: PasswordSource,
}

/// Why text is no device URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceUrlError {
    /// Longer than any URL that means something.
    #[error("the device URL has {found} bytes; expected at most {}", DeviceUrl::MAX)]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// Another scheme.
    #[error("a device URL starts with `file:/` or `pkcs11:`")]
    Scheme,
    /// Not an absolute path on this machine.
    #[error("{attribute} is no absolute path; write file:/path/key.pem")]
    Path {
        /// Where.
        attribute: &'static str,
    },
    /// A byte that must be written as %XX, or a % without two hexadecimal digits, or text that is not UTF-8.
    #[error("{attribute} is not well-formed; write reserved characters as %XX, and text in UTF-8")]
    Encoding {
        /// Where.
        attribute: String,
    },
    /// The same attribute twice: which one counts is anyone's guess.
    #[error("the attribute {attribute} is there twice; write it once")]
    Repeated {
        /// The attribute.
        attribute: String,
    },
    /// An attribute that is not known here.
    #[error("the attribute {attribute} is not supported; select the key by token, serial, object and id")]
    Attribute {
        /// The attribute.
        attribute: String,
    },
    /// A value that the attribute cannot have.
    #[error("the value of {attribute} is out of bounds; expected {expected}")]
    Value {
        /// The attribute.
        attribute: &'static str,
        /// What it can be.
        expected: &'static str,
    },
    /// The PIN itself.
    #[error(
        "pin-value puts a secret where every user of the machine can read it; put the PIN into {} or name a file with pin-source=file:/…",
        PasswordSource::VARIABLE
    )]
    PinValue,
    /// No library.
    #[error("no library is named; add ?module-path=/path/to/the/pkcs11/library.so")]
    Module,
}

/// What is written as it is: the unreserved characters of RFC 3986.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// And what paths and queries hold besides.
const PATH: &AsciiSet = &ATTRIBUTE.remove(b'/');
const QUERY: &AsciiSet = &PATH.remove(b':');

/// What may stand unescaped in a value (RFC 7512, 2.3), besides letters and digits; in a query, `/?|` too, and `&` not.
const RESERVED: &[u8] = b"-._~:[]@!$'()*+,=";

impl DeviceUrl {
    /// Most bytes of a device URL.
    pub const MAX: usize = 4096;
}

impl FromStr for DeviceUrl {
    type Err = DeviceUrlError;

    fn from_str(text: &str) -> Result<Self, DeviceUrlError> {
        if text.len() > Self::MAX {
            return Err(DeviceUrlError::Length { found: text.len() });
        }
        let (scheme, rest) = text.split_once(':').ok_or(DeviceUrlError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = Attributes::parse(query, '&', b"/?|")?;
        match scheme {
            "file" => {
                let mut query = query;
                let password = query.pin_source()?;
                query.end()?;
                Ok(Self::File { path: absolute(path, "the path")?, password })
            }
            "pkcs11" => {
                Pkcs11Url::from_attributes(Attributes::parse(path, ';', b"&")?, query).map(Self::Pkcs11)
            }
            _ => Err(DeviceUrlError::Scheme),
        }
    }
}

impl Pkcs11Url {
    fn from_attributes(mut path: Attributes, mut query: Attributes) -> Result<Self, DeviceUrlError> {
        if path.text("type", 16)?.is_some_and(|kind| kind != "private") {
            return Err(DeviceUrlError::Value { attribute: "type", expected: "private" });
        }
        let module = match query.text("module-path", DeviceUrl::MAX)? {
            Some(path) if path.starts_with('/') => PathBuf::from(path),
            Some(_) => return Err(DeviceUrlError::Path { attribute: "module-path" }),
            None => return Err(DeviceUrlError::Module),
        };
        let id = path.take("id");
        if id.as_ref().is_some_and(|id| !(1..=255).contains(&id.len())) {
            return Err(DeviceUrlError::Value { attribute: "id", expected: "1 to 255 bytes" });
        }
        let url = Self {
            token: path.text("token", 32)?,
            manufacturer: path.text("manufacturer", 32)?,
            model: path.text("model", 16)?,
            serial: path.text("serial", 16)?,
            object: path.text("object", 255)?,
            id,
            module,
            pin: query.pin_source()?,
        };
        path.end()?;
        query.end()?;
        Ok(url)
    }
}

/// Named values, each once and decoded, in the order of the text.
struct Attributes(Vec<(String, Vec<u8>)>);

impl Attributes {
    fn parse(text: &str, separator: char, allowed: &[u8]) -> Result<Self, DeviceUrlError> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        for part in text.split(separator).filter(|_| !text.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| DeviceUrlError::Encoding { attribute: part.to_owned() })?;
            if name == "pin-value" {
                return Err(DeviceUrlError::PinValue);
            }
            if found.iter().any(|(known, _)| known == name) {
                return Err(DeviceUrlError::Repeated { attribute: name.to_owned() });
            }
            found.push((name.to_owned(), decode(value, name, allowed)?));
        }
        Ok(Self(found))
    }

    fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    fn text(&mut self, name: &'static str, max: usize) -> Result<Option<String>, DeviceUrlError> {
        let Some(bytes) = self.take(name) else { return Ok(None) };
        if bytes.is_empty() || bytes.len() > max {
            return Err(DeviceUrlError::Value {
                attribute: name,
                expected: "some text, as long as the standard allows",
            });
        }
        let text = String::from_utf8(bytes);
        // A NUL would end the text for the library behind.
        match text {
            Ok(text) if !text.contains('\0') => Ok(Some(text)),
            _ => Err(DeviceUrlError::Encoding { attribute: name.to_owned() }),
        }
    }

    /// `pin-source`: the URI of a file. Commands (`|…`) are not run.
    fn pin_source(&mut self) -> Result<PasswordSource, DeviceUrlError> {
        const NAME: &str = "pin-source";
        let Some(uri) = self.text(NAME, DeviceUrl::MAX)? else { return Ok(PasswordSource::Environment) };
        let path = uri.strip_prefix("file:").ok_or(DeviceUrlError::Path { attribute: NAME })?;
        Ok(PasswordSource::File(absolute(path, NAME)?))
    }

    /// Nothing is left over.
    fn end(self) -> Result<(), DeviceUrlError> {
        match self.0.into_iter().next() {
            Some((attribute, _)) => Err(DeviceUrlError::Attribute { attribute }),
            None => Ok(()),
        }
    }
}

/// The path of a file URI: `/path`, or `///path` with the empty host.
fn absolute(path: &str, attribute: &'static str) -> Result<PathBuf, DeviceUrlError> {
    let path = path.strip_prefix("//").unwrap_or(path);
    let decoded = String::from_utf8(decode(path, attribute, b"/;&")?);
    match decoded {
        Ok(path) if path.starts_with('/') && !path.contains('\0') => Ok(path.into()),
        Ok(_) => Err(DeviceUrlError::Path { attribute }),
        Err(_) => Err(DeviceUrlError::Encoding { attribute: attribute.to_owned() }),
    }
}

/// Decodes %XX strictly: nothing may stand for itself that the grammar does not let.
fn decode(value: &str, attribute: &str, allowed: &[u8]) -> Result<Vec<u8>, DeviceUrlError> {
    let mut rest = value.as_bytes();
    let well_formed = loop {
        rest = match rest {
            [] => break true,
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            [byte, after @ ..]
                if byte.is_ascii_alphanumeric() || RESERVED.contains(byte) || allowed.contains(byte) =>
            {
                after
            }
            _ => break false,
        };
    };
    if well_formed {
        Ok(percent_decode_str(value).collect())
    } else {
        Err(DeviceUrlError::Encoding { attribute: attribute.to_owned() })
    }
}

impl fmt::Display for DeviceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, password } => {
                f.write_str(&file_uri(path))?;
                pin_source(password).map_or(Ok(()), |source| write!(f, "?{source}"))
            }
            Self::Pkcs11(url) => fmt::Display::fmt(url, f),
        }
    }
}

impl fmt::Display for Pkcs11Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = [
            ("token", self.token.as_deref().map(str::as_bytes)),
            ("manufacturer", self.manufacturer.as_deref().map(str::as_bytes)),
            ("model", self.model.as_deref().map(str::as_bytes)),
            ("serial", self.serial.as_deref().map(str::as_bytes)),
            ("object", self.object.as_deref().map(str::as_bytes)),
            ("id", self.id.as_deref()),
        ];
        let present = attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let path: Vec<String> =
            present.map(|(name, value)| format!("{name}={}", percent_encode(value, ATTRIBUTE))).collect();
        write!(f, "pkcs11:{}?module-path={}", path.join(";"), encoded_path(&self.module))?;
        pin_source(&self.pin).map_or(Ok(()), |source| write!(f, "&{source}"))
    }
}

fn encoded_path(path: &Path) -> String {
    percent_encode(path.as_os_str().as_encoded_bytes(), PATH).to_string()
}

/// The URI of the file is a value in turn, so it is encoded twice.
fn pin_source(source: &PasswordSource) -> Option<String> {
    let PasswordSource::File(path) = source else { return None };
    Some(format!("pin-source={}", percent_encode(file_uri(path).as_bytes(), QUERY)))
}

/// A path that begins with `//` would read as a host and a path (RFC 3986, 3.3), so the empty host goes before it.
fn file_uri(path: &Path) -> String {
    let path = encoded_path(path);
    let host = if path.starts_with("//") { "//" } else { "" };
    format!("file:{host}{path}")
}

#[cfg(test)]
mod tests;
