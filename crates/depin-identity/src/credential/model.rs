//! The part of the Verifiable Credentials Data Model 2.0 that a verdict needs.

use depin_core::Timestamp;
use serde_json::Value;

use super::{CredentialError, SecuredDocument, StatusEntry, json::Object, time};
use crate::did::Did;

/// The context that every credential begins with.
pub const CONTEXT: &str = "https://www.w3.org/ns/credentials/v2";
/// The type that every credential has.
pub const CREDENTIAL_TYPE: &str = "VerifiableCredential";

/// A credential that was read, and is not believed yet. [`Credential::verify`] is the way on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub(super) secured: SecuredDocument,
    pub(super) issuer: String,
    pub(super) types: Vec<String>,
    pub(super) subject: Option<String>,
    pub(super) valid_from: Option<Timestamp>,
    pub(super) valid_until: Option<Timestamp>,
    pub(super) status: Vec<StatusEntry>,
}

impl Credential {
    /// Reads a credential of at most [`MAX_BYTES`](super::MAX_BYTES).
    ///
    /// # Errors
    /// [`CredentialError::Proof`], [`CredentialError::Property`] and [`CredentialError::Status`]: its form.
    pub fn parse(bytes: &[u8]) -> Result<Self, CredentialError> {
        Self::new(SecuredDocument::parse(bytes)?)
    }

    pub(super) fn new(secured: SecuredDocument) -> Result<Self, CredentialError> {
        let document = secured.document();
        begins_with_context(document)?;
        let types = types(document)?;
        if !types.iter().any(|kind| kind == CREDENTIAL_TYPE) {
            return Err(CredentialError::Type { found: types, expected: CREDENTIAL_TYPE.to_owned() });
        }
        let issuer = identifier(document.get("issuer"))
            .ok_or(CredentialError::Property {
                property: "issuer",
                expected: "URL, or object with one as id",
            })?
            .to_owned();
        let subject = match document.get("credentialSubject") {
            Some(Value::Object(subject)) if !subject.is_empty() => subject.get("id"),
            _ => {
                let expected = "object: one subject, with claims";
                return Err(CredentialError::Property { property: "credentialSubject", expected });
            }
        };
        let subject = match subject {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => {
                return Err(CredentialError::Property { property: "credentialSubject.id", expected: "URL" });
            }
        };
        let (valid_from, valid_until) = (moment(document, "validFrom")?, moment(document, "validUntil")?);
        let status = StatusEntry::read_all(document.get("credentialStatus"))?;
        Ok(Self { issuer, types, subject, valid_from, valid_until, status, secured })
    }

    /// Who it says issued it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The last moment at which it says that it holds. A proof may end before.
    pub const fn valid_until(&self) -> Option<Timestamp> {
        self.valid_until
    }

    /// The document and its proofs.
    pub const fn secured(&self) -> &SecuredDocument {
        &self.secured
    }

    /// The DIDs whose documents a check needs: of those who signed.
    pub fn signers(&self) -> impl Iterator<Item = &Did> + Send {
        self.secured.proofs().iter().map(|proof| proof.method.did())
    }

    /// The status lists that a check needs.
    pub fn status(&self) -> &[StatusEntry] {
        &self.status
    }
}

pub(super) fn begins_with_context(document: &Object) -> Result<(), CredentialError> {
    match document.get("@context") {
        Some(Value::Array(all)) if all.first().and_then(Value::as_str) == Some(CONTEXT) => Ok(()),
        _ => Err(CredentialError::Property {
            property: "@context",
            expected: "array that begins with https://www.w3.org/ns/credentials/v2",
        }),
    }
}

/// `type`: one or several.
pub(super) fn types(document: &Object) -> Result<Vec<String>, CredentialError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match document.get("type") {
        Some(Value::Array(all)) => all.iter().map(text).collect(),
        Some(one) => text(one).map(|one| vec![one]),
        None => None,
    }
    .ok_or(CredentialError::Property { property: "type", expected: "text or array of texts" })
}

/// A URL, or the id of an object.
pub(super) fn identifier(value: Option<&Value>) -> Option<&str> {
    match value? {
        Value::String(url) => Some(url),
        Value::Object(object) => object.get("id")?.as_str(),
        _ => None,
    }
}

fn moment(document: &Object, property: &'static str) -> Result<Option<Timestamp>, CredentialError> {
    let wrong = CredentialError::Property { property, expected: "moment of RFC 3339 since 1970" };
    match document.get(property) {
        None => Ok(None),
        Some(value) => value.as_str().and_then(time::read).map(Some).ok_or(wrong),
    }
}
