//! What a file is, by its first bytes and its members.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin::excerpt::EXCERPT_FORMAT;
use depin_identity::{
    attestation::x509::{ChainError, certificates_from_pem},
    credential::{CREDENTIAL_TYPE, MAX_LIST_BYTES, PRESENTATION_TYPE},
    grant::Grant,
};
use serde_json::{Value, value::RawValue};

/// Object identifier 1.3.6.1.4.1.11129.2.1.17 in DER: the extension in which Android describes a key.
const ANDROID: [u8; 12] = [0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x01, 0x11];

/// What a file seems to be. Nothing of it was checked.
pub(super) enum Kind {
    Bundle(Vec<u8>),
    Excerpt(Vec<u8>),
    /// A receipt or a report.
    Signed(Vec<u8>),
    DidDocument(Vec<u8>),
    Credential(Vec<u8>),
    /// Credentials, the root's first.
    MakerChain(Vec<Vec<u8>>),
    StatusList(StatusListFile),
    Presentation(Vec<u8>),
    /// Certificates in DER, the leaf first.
    Certificates(Vec<Vec<u8>>),
    /// The same, with a description by Android.
    Android(Vec<Vec<u8>>),
    Quote(super::quote::Parts),
    /// A token, decoded.
    Grant(Vec<u8>),
    Voucher(Vec<u8>),
    /// Text with certificates that cannot be taken out of it, and why.
    Text(ChainError),
    Empty,
    Unknown,
}

/// A credential that holds a status list.
#[derive(Clone)]
pub(super) struct StatusListFile {
    pub(super) bytes: Vec<u8>,
    /// Where it says to be found.
    pub(super) url: String,
    /// Whether it says until when it is good.
    pub(super) ends: bool,
}

impl Kind {
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        if contains(&bytes, depin::bundle::FORMAT) {
            return Self::Bundle(bytes);
        }
        if contains(&bytes, EXCERPT_FORMAT) {
            return Self::Excerpt(bytes);
        }
        let first = bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(b'{') => object(bytes),
            Some(b'[') => array(&bytes),
            None => Self::Empty,
            Some(0x30) if bytes.first() == Some(&0x30) => der(&bytes).map_or(Self::Unknown, certificates),
            // COSE_Sign1 (RFC 9052, 2).
            Some(0xd2) => Self::Signed(bytes),
            _ if super::voucher::resembles(&bytes) => Self::Voucher(bytes),
            _ if contains_certificate(&bytes) => match text(&bytes).map(certificates_from_pem) {
                Some(Ok(chain)) => certificates(chain),
                Some(Err(error)) => Self::Text(error),
                None => Self::Unknown,
            },
            _ => token(&bytes).map_or(Self::Unknown, Self::Grant),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Bundle(_) => "bundle",
            Self::Excerpt(_) => "excerpt",
            Self::Signed(_) => "receipt or report",
            Self::DidDocument(_) => "DID document",
            Self::Credential(_) => "credential",
            Self::MakerChain(_) => "maker chain",
            Self::StatusList(_) => "status list",
            Self::Presentation(_) => "presentation",
            Self::Certificates(_) => "certificate chain",
            Self::Android(_) => "Android attestation",
            Self::Quote(_) => "TPM quote",
            Self::Grant(_) => "grant",
            Self::Voucher(_) => "ownership voucher",
            Self::Text(_) => "certificates",
            Self::Empty => "empty",
            Self::Unknown => "unknown",
        }
    }
}

/// The format stands near the beginning.
fn contains(bytes: &[u8], format: &str) -> bool {
    let start = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    start.windows(format.len()).any(|window| window == format.as_bytes())
}

/// A block of PEM (RFC 7468) begins in the first lines: what was exported with it stands before it.
fn contains_certificate(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let start = bytes.get(..bytes.len().min(1 << 16)).unwrap_or_default();
    start.windows(BEGIN.len()).any(|window| window == BEGIN)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// An object of JSON. Whatever else has a proof is judged as a credential, which says what it lacks.
fn object(bytes: Vec<u8>) -> Kind {
    if bytes.len() > MAX_LIST_BYTES {
        return Kind::Unknown;
    }
    let Ok(members) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(&bytes) else {
        return Kind::Unknown;
    };
    let member = |name: &str| {
        let raw = members.get(name).filter(|raw| raw.get().len() <= 4_096)?;
        serde_json::from_str::<Value>(raw.get()).ok()
    };
    let kinds = match member("type") {
        Some(Value::Array(all)) => all,
        one => one.into_iter().collect(),
    };
    let is = |kind: &str| kinds.iter().any(|found| found == kind);
    let id = member("id").and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
    let ends = members.contains_key("validUntil");
    if is(PRESENTATION_TYPE) {
        Kind::Presentation(bytes)
    } else if is("BitstringStatusListCredential") {
        Kind::StatusList(StatusListFile { bytes, url: id, ends })
    } else if is(CREDENTIAL_TYPE) || members.contains_key("proof") {
        Kind::Credential(bytes)
    } else if id.starts_with("did:") {
        Kind::DidDocument(bytes)
    } else {
        Kind::Unknown
    }
}

/// An array of JSON. Its elements are kept as they were written.
fn array(bytes: &[u8]) -> Kind {
    let all = Some(bytes).filter(|bytes| bytes.len() <= MAX_LIST_BYTES);
    match all.and_then(|bytes| serde_json::from_slice::<Vec<Box<RawValue>>>(bytes).ok()) {
        Some(all) if !all.is_empty() => {
            Kind::MakerChain(all.iter().map(|one| one.get().as_bytes().to_vec()).collect())
        }
        _ => Kind::Unknown,
    }
}

fn certificates(chain: Vec<Vec<u8>>) -> Kind {
    let describes = |der: &Vec<u8>| der.windows(ANDROID.len()).any(|window| window == ANDROID);
    match chain.iter().any(describes) {
        true => Kind::Android(chain),
        false => Kind::Certificates(chain),
    }
}

/// Certificates in DER, one after the other.
fn der(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut rest, mut found) = (bytes, Vec::new());
    // One more than a chain may have: the check says that it is too long.
    while !rest.is_empty() && found.len() <= 8 {
        // A certificate has between 128 and 65,535 bytes, so its length is written in one or two bytes.
        let (header, len) = match *rest {
            [0x30, 0x81, len, ..] => (3, usize::from(len)),
            [0x30, 0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            _ => return None,
        };
        let (one, after) = rest.split_at_checked(len.saturating_add(header))?;
        found.push(one.to_vec());
        rest = after;
    }
    Some(found)
}

/// A token in base64url, as `depin device grant` prints it.
fn token(bytes: &[u8]) -> Option<Vec<u8>> {
    let text =
        Some(bytes).filter(|bytes| bytes.len() <= Grant::MAX_LEN.saturating_mul(2)).and_then(text)?.trim();
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok().filter(|token| token.first() == Some(&0x12))
}
