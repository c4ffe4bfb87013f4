//! The DID document of a did:key: what the identifier already says, in the form other tools read.

use depin_core::{DeviceId, TypedKey};
use serde::{Deserialize, Serialize};

/// The document of a did:key (W3C DID Core 1.0; method did:key). One key, which authenticates and asserts; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DidDocument {
    /// The JSON-LD contexts.
    #[serde(rename = "@context")]
    pub context: Vec<String>,
    /// The DID.
    pub id: String,
    /// The keys.
    pub verification_method: Vec<VerificationMethod>,
    /// Keys that log in as the subject, by id.
    pub authentication: Vec<String>,
    /// Keys that sign statements of the subject, by id.
    pub assertion_method: Vec<String>,
}

/// A key of a DID document, as a Multikey (W3C Controlled Identifiers 1.0, 2.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationMethod {
    /// The key's DID URL.
    pub id: String,
    /// Always `Multikey`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The DID that controls the key.
    pub controller: String,
    /// The key: multibase base58btc over multicodec and key.
    pub public_key_multibase: String,
}

impl DidDocument {
    /// The document of `device`'s did:key.
    pub fn of(device: &DeviceId) -> Self {
        let did = device.to_string();
        let multibase = did.strip_prefix("did:key:").unwrap_or_default().to_owned();
        let key = format!("{did}#{multibase}");
        Self {
            context: vec![
                "https://www.w3.org/ns/did/v1".to_owned(),
                "https://w3id.org/security/multikey/v1".to_owned(),
            ],
            verification_method: vec![VerificationMethod {
                id: key.clone(),
                kind: "Multikey".to_owned(),
                controller: did.clone(),
                public_key_multibase: multibase,
            }],
            id: did,
            authentication: vec![key.clone()],
            assertion_method: vec![key],
        }
    }
}

impl VerificationMethod {
    /// The key.
    ///
    /// # Errors
    /// [`depin_core::KeyError`] when it is none, or of a type we do not know.
    pub fn key(&self) -> Result<TypedKey, depin_core::KeyError> {
        TypedKey::from_did(&format!("did:key:{}", self.public_key_multibase))
    }
}
