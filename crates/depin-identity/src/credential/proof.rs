//! A Data Integrity proof (W3C VC Data Integrity 1.0, 2.1), read strictly.

use depin_core::{KeyType, Timestamp};
use serde_json::Value;

use super::{ProofError, Suite, json::Object, time};
use crate::{
    Signature,
    did::{DidUrl, Purpose},
};

/// Proofs of one document.
pub const MAX_PROOFS: usize = 8;
/// What the value of a proof has to be.
pub(super) const SIGNATURE: &str = "multibase base58btc of 64 bytes";
/// Members that a proof may have. One that nobody here knows might change what the proof means.
const MEMBERS: [&str; 13] = [
    "@context",
    "challenge",
    "created",
    "cryptosuite",
    "domain",
    "expires",
    "id",
    "nonce",
    "previousProof",
    "proofPurpose",
    "proofValue",
    "type",
    "verificationMethod",
];

/// One proof of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Its name within the document, for proofs that build on it.
    pub id: Option<String>,
    /// The cryptosuite.
    pub suite: Suite,
    /// The key that made it.
    pub method: DidUrl,
    /// What for.
    pub purpose: Purpose,
    /// When it ceases to count.
    pub expires: Option<Timestamp>,
    /// Names of the proofs it builds on.
    pub previous: Vec<String>,
    /// What the verifier asked to be signed.
    pub challenge: Option<String>,
    /// The verifiers it is meant for.
    pub domain: Vec<String>,
    /// None where it has the length of those of P-384, with which nothing is checked here.
    pub(super) signature: Option<Signature>,
    /// The proof as it was received.
    pub(super) object: Object,
}

impl Proof {
    /// Reads the `proof` of a document: one, or an array of them.
    pub(super) fn read_all(value: &Value) -> Result<Vec<Self>, ProofError> {
        let all = match value {
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        match all.len() {
            0 => Err(ProofError::Missing),
            found if found > MAX_PROOFS => Err(ProofError::TooMany { found, max: MAX_PROOFS }),
            _ => all.iter().map(Self::read).collect(),
        }
    }

    fn read(value: &Value) -> Result<Self, ProofError> {
        let object = value.as_object().ok_or_else(|| member("proof", "object or array of objects"))?;
        let suite = suite(object)?;
        if let Some(name) = object.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(ProofError::UnknownMember { member: name.clone() });
        }
        let _created = moment(object, "created")?;
        let purpose = needed(object, "proofPurpose", "name of a verification relationship")?;
        let purpose = Purpose::ALL
            .into_iter()
            .find(|known| known.name() == purpose)
            .ok_or_else(|| member("proofPurpose", "name of a verification relationship"))?;
        let method: DidUrl = needed(object, "verificationMethod", "DID URL")?.parse()?;
        // A path or a query would ask for another document than the DID's, and is where resolvers have been made to panic.
        method.method_fragment()?;
        Ok(Self {
            id: optional(object, "id")?.map(str::to_owned),
            suite,
            method,
            purpose,
            expires: moment(object, "expires")?,
            previous: texts(object, "previousProof")?,
            challenge: optional(object, "challenge")?.map(str::to_owned),
            domain: texts(object, "domain")?,
            signature: signature(suite, needed(object, "proofValue", SIGNATURE)?)?,
            object: object.clone(),
        })
    }

    /// What the proof says besides its value.
    pub(super) fn options(&self) -> Object {
        let mut options = self.object.clone();
        options.remove("proofValue");
        options
    }
}

fn suite(object: &Object) -> Result<Suite, ProofError> {
    let kind = needed(object, "type", "text")?;
    // Each suite of the older kind is a type of its own; none of them is accepted.
    if kind != "DataIntegrityProof" {
        return Err(ProofError::Suite { found: cut(kind) });
    }
    let name = needed(object, "cryptosuite", "text")?;
    Suite::from_name(name).ok_or_else(|| ProofError::Suite { found: cut(name) })
}

/// Multibase base58btc; a signature has 64 bytes, hence at most 88 digits; one of P-384 has 96, hence at most 132.
fn signature(suite: Suite, text: &str) -> Result<Option<Signature>, ProofError> {
    let wrong = || member("proofValue", SIGNATURE);
    let digits = text.strip_prefix('z').filter(|digits| digits.len() <= 132).ok_or_else(wrong)?;
    let bytes = bs58::decode(digits).into_vec().map_err(|_| wrong())?;
    match bytes.len() {
        96 if suite.key_type() == KeyType::P256 => Ok(None),
        _ => bytes.try_into().map(|signature| Some(Signature(signature))).map_err(|_| wrong()),
    }
}

fn member(name: &str, expected: &'static str) -> ProofError {
    ProofError::Member { member: name.to_owned(), expected }
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

fn optional<'a>(object: &'a Object, name: &str) -> Result<Option<&'a str>, ProofError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(member(name, "text")),
    }
}

fn needed<'a>(object: &'a Object, name: &str, expected: &'static str) -> Result<&'a str, ProofError> {
    optional(object, name)?.ok_or_else(|| member(name, expected))
}

fn moment(object: &Object, name: &str) -> Result<Option<Timestamp>, ProofError> {
    optional(object, name)?
        .map(|text| time::read(text).ok_or_else(|| member(name, "moment of RFC 3339")))
        .transpose()
}

/// One text or an array of them.
fn texts(object: &Object, name: &str) -> Result<Vec<String>, ProofError> {
    let Some(value) = object.get(name) else { return Ok(Vec::new()) };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = match value {
        Value::Array(all) => all.iter().map(text).collect(),
        one => text(one).map(|one| vec![one]),
    };
    all.filter(|all: &Vec<String>| !all.is_empty()).ok_or_else(|| member(name, "text or array of texts"))
}
