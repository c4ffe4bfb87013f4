//! DID documents written as JSON, each key as its type has it.

use alloc::{format, string::String};

use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap},
};

use super::{DidDocument, DidError, MethodKey, MethodRef, MethodType, Purpose, VerificationMethod};

impl DidDocument {
    /// The document as JSON.
    ///
    /// # Errors
    /// [`DidError::Invalid`] when a method has no key that its type can write.
    pub fn to_json(&self) -> Result<String, DidError> {
        serde_json::to_string(self).map_err(|error| DidError::invalid(self.id.as_str(), format!("{error}")))
    }
}

impl Serialize for DidDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut contexts = [Some("https://www.w3.org/ns/did/v1")].to_vec();
        let embedded =
            Purpose::ALL.into_iter().flat_map(|purpose| self.relationship(purpose)).filter_map(|e| match e {
                MethodRef::Embedded(method) => Some(method),
                MethodRef::Reference(_) => None,
            });
        for method in self.verification_method.iter().chain(embedded) {
            let context = method.kind.context();
            if context.is_some() && !contexts.contains(&context) {
                contexts.push(context);
            }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("@context", &contexts)?;
        map.serialize_entry("id", &self.id)?;
        match self.controller.as_slice() {
            [] => {}
            [one] => map.serialize_entry("controller", one)?,
            many => map.serialize_entry("controller", many)?,
        }
        if !self.verification_method.is_empty() {
            map.serialize_entry("verificationMethod", &self.verification_method)?;
        }
        for purpose in Purpose::ALL {
            let entries = self.relationship(purpose);
            if !entries.is_empty() {
                map.serialize_entry(purpose.name(), entries)?;
            }
        }
        map.end()
    }
}

impl Serialize for MethodRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Reference(id) => id.serialize(serializer),
            Self::Embedded(method) => method.serialize(serializer),
        }
    }
}

impl Serialize for VerificationMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("type", self.kind.name())?;
        map.serialize_entry("controller", &self.controller)?;
        use MethodType as T;
        match (&self.kind, &self.key) {
            (_, None) => {}
            (T::Multikey | T::Ed25519VerificationKey2020, Some(MethodKey::Public(key))) => {
                map.serialize_entry("publicKeyMultibase", &key.to_multibase())?;
            }
            (T::EcdsaSecp256k1RecoveryMethod2020, Some(MethodKey::Account { chain_id, address })) => {
                map.serialize_entry("blockchainAccountId", &format_args!("eip155:{chain_id}:{address}"))?;
            }
            (kind, Some(MethodKey::Public(key))) => match key.to_jwk() {
                Some(jwk) if kind.is_jwk() => map.serialize_entry("publicKeyJwk", &jwk)?,
                _ if kind.is_base58() => map.serialize_entry("publicKeyBase58", &key.to_base58())?,
                _ => {
                    return Err(S::Error::custom(
                        "a key that the type can write: compressed points are Multikeys",
                    ));
                }
            },
            _ => return Err(S::Error::custom("a key that the type can write")),
        }
        map.end()
    }
}
