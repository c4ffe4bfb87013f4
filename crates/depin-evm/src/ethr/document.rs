//! From the changes of an identity to its document. Pure: the same changes, version and moment give the same document.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes};
use depin_identity::did::{
    Curve, CurveKey, Did, DidDocument, DidError, MethodKey, MethodType, Purpose, VerificationMethod,
};

use super::name::Name;

/// A change of an identity, and the block it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) block: u64,
    pub(super) what: What,
}

/// What an event of the registry says. Times are in seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Owner(Address),
    Delegate { kind: B256, delegate: Address, valid_to: u64 },
    Attribute { name: B256, value: Bytes, valid_to: u64 },
}

/// Which entry of the document a change is about: a later one replaces it, or takes it away.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Delegate(B256, Address),
    Attribute(B256, Bytes),
}

struct Listed {
    number: u64,
    kind: MethodType,
    key: Option<MethodKey>,
    purposes: &'static [Purpose],
}

const SIGNS: &[Purpose] = &[Purpose::AssertionMethod];
const LOGS_IN: &[Purpose] = &[Purpose::Authentication, Purpose::AssertionMethod];
const AGREES: &[Purpose] = &[Purpose::KeyAgreement];

/// The document of `did` after `changes`, at `now` in seconds since the Unix epoch. Numbers of keys count every delegate and key that was
/// ever set or revoked, so that a name never comes to mean another key.
///
/// # Errors
/// [`DidError::Deactivated`] once the owner was set to zero, whatever came later.
pub(super) fn document(
    did: &Did,
    name: &Name,
    changes: &[Change],
    now: u64,
) -> Result<DidDocument, DidError> {
    let mut owner = name.identity;
    let mut listed = BTreeMap::new();
    let mut number: u64 = 0;
    for change in changes {
        let (entry, valid_to, read) = match &change.what {
            What::Owner(next) if next.is_zero() => {
                return Err(DidError::Deactivated { did: did.clone() });
            }
            What::Owner(next) => {
                owner = *next;
                continue;
            }
            What::Delegate { kind, delegate, valid_to } => {
                let read = account(kind, name.chain_id, *delegate);
                (Entry::Delegate(*kind, *delegate), *valid_to, read)
            }
            What::Attribute { name, value, valid_to } => {
                let Some(key) = PublicKeyName::parse(name) else { continue };
                (Entry::Attribute(*name, value.clone()), *valid_to, key.read(value))
            }
        };
        number = number.saturating_add(1);
        // As the contract has it: the last second is the one before `valid_to`.
        match read {
            Some((kind, key, purposes)) if valid_to > now => {
                listed.insert(entry, Listed { number, kind, key, purposes });
            }
            _ => {
                listed.remove(&entry);
            }
        }
    }
    write(did, name, owner, listed.into_values().collect())
}

fn write(did: &Did, name: &Name, owner: Address, mut listed: Vec<Listed>) -> Result<DidDocument, DidError> {
    let mut document = DidDocument::new(did.clone());
    let method = |fragment: &str, kind, key| {
        let (id, controller) = (did.url(fragment)?, did.clone());
        Ok::<_, DidError>(VerificationMethod { id, kind, controller, key })
    };
    let account = MethodKey::Account { chain_id: name.chain_id, address: owner };
    let recovery = MethodType::EcdsaSecp256k1RecoveryMethod2020;
    document.add(method("controller", recovery, Some(account))?, LOGS_IN);
    // The key speaks for the identity as long as its own account owns it.
    if let Some(key) = name.key.clone().filter(|_| owner == name.identity) {
        let key = Some(MethodKey::Public(key));
        document.add(method("controllerKey", MethodType::EcdsaSecp256k1VerificationKey2019, key)?, LOGS_IN);
    }
    listed.sort_by_key(|entry| entry.number);
    for Listed { number, kind, key, purposes } in listed {
        document.add(method(&format!("delegate-{number}"), kind, key)?, purposes);
    }
    Ok(document)
}

type Read = (MethodType, Option<MethodKey>, &'static [Purpose]);

/// What a delegate is good for; none for types that mean something to contracts only.
fn account(kind: &B256, chain_id: u64, address: Address) -> Option<Read> {
    let purposes = match text(kind) {
        b"veriKey" => SIGNS,
        b"sigAuth" => LOGS_IN,
        _ => return None,
    };
    let key = MethodKey::Account { chain_id, address };
    Some((MethodType::EcdsaSecp256k1RecoveryMethod2020, Some(key), purposes))
}

/// `did/pub/<type>/<purpose>/<encoding>`, of which the last two may be missing. The value is the key itself, whatever the encoding says.
struct PublicKeyName {
    kind: String,
    purpose: Option<String>,
}

impl PublicKeyName {
    fn parse(name: &B256) -> Option<Self> {
        let mut parts = std::str::from_utf8(text(name)).ok()?.split('/');
        if (parts.next(), parts.next()) != (Some("did"), Some("pub")) {
            return None;
        }
        let word = |part: &str| {
            let fits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            fits.then(|| part.to_owned())
        };
        let kind = word(parts.next()?)?;
        let purpose = parts.next().map(|part| word(part).ok_or(())).transpose().ok()?;
        parts.next().map(|part| word(part).ok_or(())).transpose().ok()?;
        parts.next().is_none().then_some(Self { kind, purpose })
    }

    /// The key; none when `value` is no key of its type, which nobody could use.
    fn read(&self, value: &[u8]) -> Option<Read> {
        let purposes = match self.purpose.as_deref() {
            Some("sigAuth") => LOGS_IN,
            Some("enc") => AGREES,
            _ => SIGNS,
        };
        let (kind, key) = match self.kind.as_str() {
            "Secp256k1" => {
                (MethodType::EcdsaSecp256k1VerificationKey2019, CurveKey::new(Curve::Secp256k1, value).ok()?)
            }
            "Ed25519" => (MethodType::Ed25519VerificationKey2020, CurveKey::new(Curve::Ed25519, value).ok()?),
            "X25519" => (MethodType::Multikey, CurveKey::new(Curve::X25519, value).ok()?),
            "Multikey" => {
                let encoded = value.get(..value.len().min(MAX_KEY))?;
                let key =
                    CurveKey::from_multibase(&format!("z{}", bs58::encode(encoded).into_string())).ok()?;
                (MethodType::Multikey, key)
            }
            // A type that nothing here checks with: it is named, without its key.
            other => return Some((MethodType::Other(other.to_owned()), None, purposes)),
        };
        Some((kind, Some(MethodKey::Public(key)), purposes))
    }
}

/// More bytes than any Multikey has: the cost of base58 is quadratic.
const MAX_KEY: usize = 96;

/// The bytes of a name before its zero padding.
fn text(name: &B256) -> &[u8] {
    let end = name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
    name.get(..end).unwrap_or_default()
}
