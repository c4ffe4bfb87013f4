//! Signing documents, wherever the key lives.

use depin_core::{KeyType, Timestamp, TypedKey};
use serde_json::Value;

use super::{MAX_LIST_BYTES, Proof, ProofError, SecuredDocument, Suite, json, json::Object, time};
use crate::{
    DeviceSigner, SignError, Signature,
    did::{Did, DidError, DidUrl, Purpose},
};

/// What a proof to be made says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofOptions {
    /// The cryptosuite.
    pub suite: Suite,
    /// The key, as the signer's DID document names it.
    pub method: DidUrl,
    /// When it is made.
    pub created: Timestamp,
    /// What for.
    pub purpose: Purpose,
    /// When it ceases to count.
    pub expires: Option<Timestamp>,
    /// Its name, for proofs that build on it.
    pub id: Option<String>,
    /// Names of the proofs it builds on, which the document has already.
    pub previous: Vec<String>,
    /// What the verifier asked to be signed.
    pub challenge: Option<String>,
    /// The verifier it is meant for.
    pub domain: Option<String>,
}

/// Why a document was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The document or the proof has no form to be signed in.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// No DID URL.
    #[error(transparent)]
    Method(#[from] DidError),
    /// No suite signs with such keys.
    #[error("no suite signs with keys of type {found:?}; use Ed25519 or P-256")]
    KeyType {
        /// The key's type.
        found: KeyType,
    },
    /// A moment that cannot be written.
    #[error("{moment} ms is after the year 9999")]
    Moment {
        /// The moment.
        moment: Timestamp,
    },
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// A document with a proof that lacks only its value.
#[derive(Clone, Debug)]
pub struct Unsigned {
    document: Object,
    proofs: Vec<Value>,
    options: Object,
    message: [u8; 64],
}

impl Suite {
    /// The JCS suite for keys of this type.
    ///
    /// # Errors
    /// [`IssueError::KeyType`].
    pub const fn jcs_for(key: KeyType) -> Result<Self, IssueError> {
        match key {
            KeyType::Ed25519 => Ok(Self::EddsaJcs2022),
            KeyType::P256 => Ok(Self::EcdsaJcs2019),
            found => Err(IssueError::KeyType { found }),
        }
    }
}

impl ProofOptions {
    /// An assertion, made at `created`.
    pub const fn new(suite: Suite, method: DidUrl, created: Timestamp) -> Self {
        Self {
            suite,
            method,
            created,
            purpose: Purpose::AssertionMethod,
            expires: None,
            id: None,
            previous: Vec::new(),
            challenge: None,
            domain: None,
        }
    }

    /// An assertion of the did:key that `key` is, by the JCS suite for its type.
    ///
    /// # Errors
    /// [`IssueError::KeyType`].
    pub fn of_key(key: &TypedKey, created: Timestamp) -> Result<Self, IssueError> {
        let did = Did::from(key);
        Ok(Self::new(Suite::jcs_for(key.key_type())?, did.url(did.id())?, created))
    }

    fn to_object(&self, context: Option<&Value>) -> Result<Object, IssueError> {
        let moment = |moment: Timestamp| time::write(moment).ok_or(IssueError::Moment { moment });
        let mut object = Object::new();
        let mut put = |name: &str, value: String| object.insert(name.to_owned(), Value::String(value));
        put("type", "DataIntegrityProof".to_owned());
        put("cryptosuite", self.suite.name().to_owned());
        put("created", moment(self.created)?);
        put("verificationMethod", self.method.to_string());
        put("proofPurpose", self.purpose.name().to_owned());
        if let Some(expires) = self.expires {
            put("expires", moment(expires)?);
        }
        let texts = [("id", &self.id), ("challenge", &self.challenge), ("domain", &self.domain)];
        for (name, text) in texts {
            text.iter().for_each(|text| drop(put(name, text.clone())));
        }
        if !self.previous.is_empty() {
            let previous = self.previous.iter().cloned().map(Value::String).collect();
            object.insert("previousProof".to_owned(), Value::Array(previous));
        }
        if let (true, Some(context)) = (self.suite.is_jcs(), context) {
            object.insert("@context".to_owned(), context.clone());
        }
        Ok(object)
    }
}

impl Unsigned {
    /// Prepares `document`, which may have proofs already, for one more.
    ///
    /// # Errors
    /// [`IssueError::Proof`], [`IssueError::Moment`].
    pub fn new(document: &Value, options: &ProofOptions) -> Result<Self, IssueError> {
        let bytes = document.to_string();
        let mut document = json::read(bytes.as_bytes(), MAX_LIST_BYTES).map_err(ProofError::from)?;
        let under = match document.contains_key("proof") {
            true => SecuredDocument::from_object(document.clone())?.under_known(&options.previous)?,
            false => match options.previous.first() {
                Some(id) => return Err(ProofError::PreviousMissing { id: id.clone() }.into()),
                None => document.clone(),
            },
        };
        let proofs = match document.remove("proof") {
            None => Vec::new(),
            Some(Value::Array(all)) => all,
            Some(one) => vec![one],
        };
        let object = options.to_object(document.get("@context"))?;
        let message = options.suite.hash_data(&object, &under)?;
        Ok(Self { document, proofs, options: object, message })
    }

    /// What is to be signed, as it is: the algorithm hashes it.
    pub const fn message(&self) -> &[u8; 64] {
        &self.message
    }

    /// The document with `signature` over [`Unsigned::message`] as its last proof.
    pub fn finish(self, signature: &Signature) -> Value {
        let Self { mut document, mut proofs, options: mut proof, .. } = self;
        let value = format!("z{}", bs58::encode(signature.0).into_string());
        proof.insert("proofValue".to_owned(), Value::String(value));
        proofs.push(Value::Object(proof));
        let only = if proofs.len() == 1 { proofs.pop() } else { None };
        document.insert("proof".to_owned(), only.unwrap_or(Value::Array(proofs)));
        Value::Object(document)
    }

    /// Lets `signer` sign.
    ///
    /// # Errors
    /// [`SignError`].
    pub async fn sign(self, signer: &dyn DeviceSigner) -> Result<Value, SignError> {
        let signature = signer.sign(&self.message).await?;
        Ok(self.finish(&signature))
    }
}

impl SecuredDocument {
    /// The document as a proof signs it that builds on `previous`, all of which must be there.
    fn under_known(&self, previous: &[String]) -> Result<Object, ProofError> {
        let known = |id: &String| self.proofs().iter().any(|proof: &Proof| proof.id.as_ref() == Some(id));
        match previous.iter().find(|id| !known(id)) {
            Some(id) => Err(ProofError::PreviousMissing { id: id.clone() }),
            None => Ok(self.under(previous)),
        }
    }
}
