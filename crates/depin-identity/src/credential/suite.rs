//! The cryptosuites of Data Integrity that are checked here, and what each of them signs.

use depin_core::KeyType;
#[cfg(feature = "ssi")]
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{ProofError, canonicalize, json::Object};
use crate::{PublicKey, Signature, ecdsa::low_s};

/// A cryptosuite of W3C Data Integrity 1.0. It is always taken by its name, never guessed from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// Ed25519 over RFC 8785.
    EddsaJcs2022,
    /// ECDSA P-256 with SHA-256 over RFC 8785.
    EcdsaJcs2019,
    /// Ed25519 over RDF canonicalization. Checked with the feature `ssi`.
    EddsaRdfc2022,
    /// ECDSA P-256 with SHA-256 over RDF canonicalization. Checked with the feature `ssi`.
    EcdsaRdfc2019,
}

impl Suite {
    /// Every suite there is.
    pub const ALL: [Self; 4] =
        [Self::EddsaJcs2022, Self::EcdsaJcs2019, Self::EddsaRdfc2022, Self::EcdsaRdfc2019];

    /// Its name in a proof.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EddsaJcs2022 => "eddsa-jcs-2022",
            Self::EcdsaJcs2019 => "ecdsa-jcs-2019",
            Self::EddsaRdfc2022 => "eddsa-rdfc-2022",
            Self::EcdsaRdfc2019 => "ecdsa-rdfc-2019",
        }
    }

    /// The keys it signs with.
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::EddsaJcs2022 | Self::EddsaRdfc2022 => KeyType::Ed25519,
            Self::EcdsaJcs2019 | Self::EcdsaRdfc2019 => KeyType::P256,
        }
    }

    /// Whether it canonicalizes JSON, not RDF.
    pub const fn is_jcs(self) -> bool {
        matches!(self, Self::EddsaJcs2022 | Self::EcdsaJcs2019)
    }

    /// The suite of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// What is signed: SHA-256 of the canonical proof options, then SHA-256 of the canonical document.
    ///
    /// `options` are a proof without its value, `document` a document without its proofs, or with those that the proof builds on.
    pub(crate) fn hash_data(self, options: &Object, document: &Object) -> Result<[u8; 64], ProofError> {
        let context = document.get("@context");
        // The specification lets a document append contexts afterwards. Then two documents had one signature.
        if options.get("@context").is_some_and(|own| Some(own) != context) {
            return Err(ProofError::Context);
        }
        let (options, document) = if self.is_jcs() {
            (jcs(options)?, jcs(document)?)
        } else {
            let mut options = options.clone();
            options.extend(context.map(|context| ("@context".to_owned(), context.clone())));
            (rdfc(self, &options)?, rdfc(self, document)?)
        };
        let mut both = [0; 64];
        let hashes = Sha256::digest(options).into_iter().chain(Sha256::digest(document));
        for (to, from) in both.iter_mut().zip(hashes) {
            *to = from;
        }
        Ok(both)
    }

    /// Checks `signature` over `hash_data`. Ed25519 is strict. Of the two right signatures that ECDSA has for a message either is accepted, as W3C's
    /// suites have it: nothing here takes a signature for an identifier.
    pub(crate) fn verify(self, key: &PublicKey, hash_data: &[u8; 64], signature: &Signature) -> bool {
        let signature = low_s(self.key_type(), signature);
        key.typed().key_type() == self.key_type()
            && signature.is_some_and(|signature| key.verify(hash_data, &signature).is_ok())
    }
}

fn jcs(object: &Object) -> Result<Vec<u8>, ProofError> {
    canonicalize(object).map_err(|error| ProofError::Canonicalization { reason: error.to_string() })
}

#[cfg(feature = "ssi")]
fn rdfc(_: Suite, object: &Object) -> Result<Vec<u8>, ProofError> {
    super::rdfc::canonicalize(&Value::Object(object.clone()))
}

#[cfg(not(feature = "ssi"))]
fn rdfc(suite: Suite, _: &Object) -> Result<Vec<u8>, ProofError> {
    Err(ProofError::SuiteNotBuilt { suite: suite.name() })
}
