//! A document with its proofs: sets, of which each is checked by itself, and chains, in which one builds on others.

use std::collections::BTreeMap;

use depin_core::{KeyType, Timestamp};
use serde_json::Value;

use super::{
    Documents, Proof, ProofError,
    json::{self, Object},
    proof::SIGNATURE,
};
use crate::{
    PublicKey,
    did::{Curve, DidUrl, Purpose},
};

/// Bytes of a document, status lists excepted.
pub const MAX_BYTES: usize = 65_536;

/// A JSON document and its proofs (W3C VC Data Integrity 1.0, 4.5): read, and not believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecuredDocument {
    document: Object,
    proofs: Vec<Proof>,
}

impl SecuredDocument {
    /// Reads at most [`MAX_BYTES`].
    ///
    /// # Errors
    /// [`ProofError`]. Nothing was checked but the form.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        Self::parse_up_to(bytes, MAX_BYTES)
    }

    pub(super) fn parse_up_to(bytes: &[u8], max: usize) -> Result<Self, ProofError> {
        Self::from_object(json::read(bytes, max)?)
    }

    /// `object` must come out of [`json::read`].
    pub(super) fn from_object(mut document: Object) -> Result<Self, ProofError> {
        let proofs = Proof::read_all(&document.remove("proof").ok_or(ProofError::Missing)?)?;
        let mut ids = BTreeMap::new();
        for proof in &proofs {
            if let Some(id) = &proof.id
                && ids.insert(id.as_str(), proof).is_some()
            {
                return Err(ProofError::DuplicateId { id: id.clone() });
            }
        }
        let mut previous = proofs.iter().flat_map(|proof| &proof.previous);
        match previous.find(|id| !ids.contains_key(id.as_str())) {
            Some(id) => Err(ProofError::PreviousMissing { id: id.clone() }),
            None => Ok(Self { document, proofs }),
        }
    }

    /// The document without its proofs.
    pub const fn document(&self) -> &Object {
        &self.document
    }

    /// The proofs, in their order.
    pub fn proofs(&self) -> &[Proof] {
        &self.proofs
    }

    /// Checks every proof: that it is for `purpose`, that its key's DID document allows the key for that, that the suite goes with the key, and the signature.
    /// One bad proof is enough to refuse.
    ///
    /// **This says who signed, and nothing else**: not that the signer may say what the document says. [`Credential::verify`](super::Credential::verify) does.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(
        &self,
        purpose: Purpose,
        now: Timestamp,
        documents: &Documents,
    ) -> Result<Vec<DidUrl>, ProofError> {
        self.proofs.iter().map(|proof| self.verify_one(proof, purpose, now, documents)).collect()
    }

    fn verify_one(
        &self,
        proof: &Proof,
        purpose: Purpose,
        now: Timestamp,
        documents: &Documents,
    ) -> Result<DidUrl, ProofError> {
        let Proof { suite, method, .. } = proof;
        if proof.purpose != purpose {
            return Err(ProofError::Purpose { found: proof.purpose.name(), expected: purpose.name() });
        }
        if let Some(expires) = proof.expires.filter(|expires| now > *expires) {
            return Err(ProofError::Expired { expires, now });
        }
        let signer = documents.get(method.did())?;
        let key = signer.authorized(purpose, method)?.public_key()?;
        let expected = suite.key_type();
        if (expected, key.curve()) == (KeyType::P256, Curve::P384) {
            return Err(ProofError::Curve { suite: suite.name(), method: method.clone() });
        }
        let typed = key.typed()?;
        let found = typed.key_type();
        if found != expected {
            return Err(ProofError::KeyType { suite: suite.name(), method: method.clone(), found, expected });
        }
        let hash_data = suite.hash_data(&proof.options(), &self.under(&proof.previous))?;
        let signature = proof.signature.ok_or_else(wrong_length)?;
        if suite.verify(&PublicKey::new(typed)?, &hash_data, &signature) {
            Ok(method.clone())
        } else {
            Err(ProofError::Signature { method: method.clone() })
        }
    }

    /// The document as it is signed by a proof that builds on `previous`: with those proofs in it, in their order. A proof signs the values of those it
    /// builds on, so that none can build on itself, however far round.
    pub(super) fn under(&self, previous: &[String]) -> Object {
        let mut document = self.document.clone();
        let matching =
            self.proofs.iter().filter(|proof| proof.id.as_ref().is_some_and(|id| previous.contains(id)));
        let matching: Vec<_> = matching.map(|proof| Value::Object(proof.object.clone())).collect();
        if !matching.is_empty() {
            document.insert("proof".to_owned(), Value::Array(matching));
        }
        document
    }
}

fn wrong_length() -> ProofError {
    ProofError::Member { member: "proofValue".to_owned(), expected: SIGNATURE }
}
