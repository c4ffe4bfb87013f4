//! DID documents read from JSON, strictly and bounded.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, marker::PhantomData};

use alloy_primitives::Address;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::StrDeserializer},
};

use super::{
    CurveKey, Did, DidDocument, DidError, DidUrl, MethodKey, MethodRef, MethodType, Purpose,
    VerificationMethod,
    key::{Jwk, Read},
};
use crate::json::{Limits, Numbers, scan};

impl DidDocument {
    /// Longest document in bytes.
    pub const MAX_BYTES: usize = 65_536;
    /// Deepest nesting of objects and arrays.
    pub const MAX_DEPTH: usize = 16;
    /// Most objects, arrays, strings and numbers, keys included.
    pub const MAX_VALUES: usize = 8_192;
    /// Most methods, embedded ones included; and most entries of a relationship.
    pub const MAX_METHODS: usize = 128;
    const MAX_CONTROLLERS: usize = 16;

    /// Reads a document. Members that say nothing of keys, services for example, are ignored.
    ///
    /// # Errors
    /// [`DidError::Invalid`]: too large, too deep, no JSON, members that appear twice or have another form than DID Core 1.0 gives them,
    /// two methods of one name, a key that does not fit the type of its method.
    pub fn from_json(json: &[u8]) -> Result<Self, DidError> {
        read::<Wire>(json, "a DID document")?.document()
    }
}

/// Reads a JWK on its own.
pub(super) fn jwk_from_json(json: &[u8]) -> Result<Jwk, DidError> {
    read(json, "a JWK")
}

fn read<'a, T: Deserialize<'a>>(json: &'a [u8], subject: &str) -> Result<T, DidError> {
    let limits = Limits {
        bytes: DidDocument::MAX_BYTES,
        depth: DidDocument::MAX_DEPTH,
        values: DidDocument::MAX_VALUES,
        numbers: Numbers::Any,
    };
    let text = scan(json, &limits).map_err(|error| DidError::invalid(subject, format!("JSON: {error}")))?;
    serde_json::from_str(text).map_err(|error| DidError::invalid(subject, format!("{error}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    id: Did,
    #[serde(default)]
    controller: OneOrMany<Did>,
    #[serde(default)]
    verification_method: Vec<WireMethod>,
    #[serde(default)]
    authentication: Vec<WireRef>,
    #[serde(default)]
    assertion_method: Vec<WireRef>,
    #[serde(default)]
    key_agreement: Vec<WireRef>,
    #[serde(default)]
    capability_invocation: Vec<WireRef>,
    #[serde(default)]
    capability_delegation: Vec<WireRef>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMethod {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    controller: Did,
    public_key_multibase: Option<String>,
    public_key_jwk: Option<Jwk>,
    public_key_base58: Option<String>,
    blockchain_account_id: Option<String>,
}

enum WireRef {
    Reference(String),
    Embedded(Box<WireMethod>),
}

impl Wire {
    fn document(self) -> Result<DidDocument, DidError> {
        // Before names are made whole, each with the subject's: short ones are many and become long.
        within(&self.id, "methods", self.verification_method.len(), DidDocument::MAX_METHODS)?;
        within(&self.id, "controllers", self.controller.0.len(), DidDocument::MAX_CONTROLLERS)?;
        let mut document = DidDocument::new(self.id);
        document.controller = self.controller.0;
        let mut left = Methods { base: document.id.clone(), ids: Vec::new() };
        document.verification_method = self
            .verification_method
            .into_iter()
            .map(|method| left.method(method))
            .collect::<Result<_, _>>()?;
        for (purpose, entries) in [
            (Purpose::Authentication, self.authentication),
            (Purpose::AssertionMethod, self.assertion_method),
            (Purpose::KeyAgreement, self.key_agreement),
            (Purpose::CapabilityInvocation, self.capability_invocation),
            (Purpose::CapabilityDelegation, self.capability_delegation),
        ] {
            *document.relationship_mut(purpose) = left.entries(entries)?;
        }
        let count = left.ids.len();
        within(&document.id, "methods", count, DidDocument::MAX_METHODS)?;
        left.ids.sort_unstable();
        left.ids.dedup();
        if left.ids.len() < count {
            return Err(DidError::invalid(document.id.as_str(), "methods, each with its own name"));
        }
        Ok(document)
    }
}

/// That a document has no more than `max` of something.
fn within(subject: &Did, what: &str, found: usize, max: usize) -> Result<(), DidError> {
    if found > max {
        return Err(DidError::invalid(subject.as_str(), format!("at most {max} {what}, not {found}")));
    }
    Ok(())
}

/// Reads methods, and keeps their names.
struct Methods {
    base: Did,
    ids: Vec<DidUrl>,
}

impl Methods {
    fn entries(&mut self, entries: Vec<WireRef>) -> Result<Vec<MethodRef>, DidError> {
        within(&self.base, "entries of a relationship", entries.len(), DidDocument::MAX_METHODS)?;
        let read = |entry| match entry {
            WireRef::Reference(id) => DidUrl::parse_in(&self.base, &id).map(MethodRef::Reference),
            WireRef::Embedded(method) => self.method(*method).map(MethodRef::Embedded),
        };
        entries.into_iter().map(read).collect()
    }

    fn method(&mut self, wire: WireMethod) -> Result<VerificationMethod, DidError> {
        let id = DidUrl::parse_in(&self.base, &wire.id)?;
        self.ids.push(id.clone());
        let kind = MethodType::KNOWN
            .into_iter()
            .find(|kind| kind.name() == wire.kind)
            .unwrap_or_else(|| MethodType::Other(wire.kind.clone()));
        let key = match &kind {
            MethodType::Other(_) => None,
            known => wire.key(known)?,
        };
        // A key of a kind that nobody here knows is nothing to check with.
        let kind = if key.is_some() { kind } else { MethodType::Other(wire.kind) };
        Ok(VerificationMethod { id, kind, controller: wire.controller, key })
    }
}

impl WireMethod {
    /// The key, from the one member that the type provides for. None when there is none, or of no known curve.
    fn key(&self, kind: &MethodType) -> Result<Option<MethodKey>, DidError> {
        let refused =
            |expected: &str| DidError::invalid(&self.id, format!("{} with {expected}", kind.name()));
        let members = (
            &self.public_key_multibase,
            &self.public_key_jwk,
            &self.public_key_base58,
            &self.blockchain_account_id,
        );
        use MethodType as T;
        let read = match (kind, members) {
            (_, (None, None, None, None)) => return Ok(None),
            (T::EcdsaSecp256k1RecoveryMethod2020, (None, None, None, Some(account))) => {
                return account_id(account).map(Some);
            }
            (T::Multikey | T::Ed25519VerificationKey2020, (Some(text), None, None, None)) => {
                CurveKey::read_multibase(text)?
            }
            (
                T::JsonWebKey | T::JsonWebKey2020 | T::EcdsaSecp256k1VerificationKey2019,
                (None, Some(jwk), None, None),
            ) => CurveKey::read_jwk(jwk)?,
            (_, (None, None, Some(text), None)) => match kind.curve() {
                Some(curve) if kind.is_base58() => Read::Key(CurveKey::from_base58(curve, text)?),
                _ => return Err(refused("the member of its type")),
            },
            _ => return Err(refused("the member of its type, and no second key")),
        };
        match (read, kind.curve()) {
            (Read::Unknown, None) => Ok(None),
            (Read::Key(key), curve) if curve.is_none_or(|curve| curve == key.curve()) => {
                Ok(Some(MethodKey::Public(key)))
            }
            _ => Err(refused("a key of its curve")),
        }
    }
}

/// An account of an EVM chain (CAIP-10): `eip155:1:0x…`, or in an older form `0x…@eip155:1`.
pub(super) fn account_id(text: &str) -> Result<MethodKey, DidError> {
    let refused = || DidError::invalid(text, "an account `eip155:`, chain id, `:0x`, 40 hexadecimal digits");
    let (chain, address) = match text.split_once('@') {
        Some((address, chain)) => (chain.strip_prefix("eip155:"), address),
        None => match text.strip_prefix("eip155:").and_then(|rest| rest.split_once(':')) {
            Some((chain, address)) => (Some(chain), address),
            None => (None, text),
        },
    };
    let chain = chain.ok_or_else(refused)?;
    let chain_id: u64 = chain.parse().map_err(|_| refused())?;
    // One spelling: neither sign nor leading zeros.
    if chain_id.to_string() != chain || chain_id == 0 {
        return Err(refused());
    }
    Ok(MethodKey::Account { chain_id, address: address_of(address).ok_or_else(refused)? })
}

/// An address in hexadecimal, of one case or with the right checksum (ERC-55).
pub(super) fn address_of(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40)?;
    let address: Address = text.parse().ok()?;
    let one_case =
        !digits.bytes().any(|b| b.is_ascii_uppercase()) || !digits.bytes().any(|b| b.is_ascii_lowercase());
    (one_case || address.to_checksum(None) == text).then_some(address)
}

impl<'de> Deserialize<'de> for WireRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> Visitor<'de> for Entry {
            type Value = WireRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a DID URL or a verification method")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<WireRef, E> {
                Ok(WireRef::Reference(text.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WireRef, A::Error> {
                let method = WireMethod::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WireRef::Embedded(Box::new(method)))
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

struct OneOrMany<T>(Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Values<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or an array of texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneOrMany<T>, E> {
                T::deserialize(StrDeserializer::<E>::new(text)).map(|one| OneOrMany([one].into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMany<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMany(values))
            }
        }
        deserializer.deserialize_any(Values(PhantomData))
    }
}
