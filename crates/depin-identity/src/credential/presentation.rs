//! Verifiable Presentations: credentials shown by the one they are about, to one verifier, now.

use serde_json::Value;

use super::{
    Credential, CredentialError, Expected, Known, ProofError, SecuredDocument, VerifiedCredential,
    model::{begins_with_context, identifier, types},
};
use crate::did::{Did, Purpose};

/// Credentials in one presentation.
pub const MAX_CREDENTIALS: usize = 8;
/// The type that every presentation has.
pub const PRESENTATION_TYPE: &str = "VerifiablePresentation";

/// A presentation that was read, and is not believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    secured: SecuredDocument,
    holder: Did,
    credentials: Vec<Credential>,
}

/// A presentation that its holder made for this verifier and this challenge. Its credentials are checked by [`VerifiedPresentation::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPresentation(Presentation);

/// Why a presentation is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentationError {
    /// The proofs do not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A credential in it has not the form of one.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A property that is absent or of the wrong form.
    #[error("`{property}` of the presentation is no {expected}")]
    Property {
        /// The property.
        property: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// Signed by somebody else.
    #[error("the holder {holder} did not sign, but {found}; let the holder sign")]
    Holder {
        /// The holder it names.
        holder: Did,
        /// Who signed.
        found: Did,
    },
    /// Made for another occasion, or shown again.
    #[error(
        "the presentation answers the challenge {found:?}; expected the one given: make a new presentation"
    )]
    Challenge {
        /// The challenge it answers.
        found: Option<String>,
    },
    /// Made for another verifier.
    #[error("the presentation is for {found:?}; expected {expected:?}")]
    Domain {
        /// Whom it is for.
        found: Vec<String>,
        /// The verifier.
        expected: String,
    },
}

impl Presentation {
    /// Reads a presentation of at most [`MAX_BYTES`](super::MAX_BYTES) with credentials inside it.
    ///
    /// # Errors
    /// [`PresentationError`]: its form.
    pub fn parse(bytes: &[u8]) -> Result<Self, PresentationError> {
        let wrong = |property, expected| PresentationError::Property { property, expected };
        let secured = SecuredDocument::parse(bytes)?;
        let document = secured.document();
        begins_with_context(document)?;
        if !types(document)?.iter().any(|kind| kind == PRESENTATION_TYPE) {
            return Err(wrong("type", PRESENTATION_TYPE));
        }
        let holder = identifier(document.get("holder")).and_then(|did| did.parse().ok());
        let holder = holder.ok_or_else(|| wrong("holder", "DID, or object with one as id"))?;
        let embedded = match document.get("verifiableCredential") {
            Some(Value::Array(all)) if (1..=MAX_CREDENTIALS).contains(&all.len()) => all.as_slice(),
            Some(one @ Value::Object(_)) => std::slice::from_ref(one),
            _ => return Err(wrong("verifiableCredential", "array of one to eight credentials")),
        };
        let mut credentials = Vec::new();
        for value in embedded {
            let object = value.as_object().ok_or_else(|| wrong("verifiableCredential", "credential"))?;
            credentials.push(Credential::new(SecuredDocument::from_object(object.clone())?)?);
        }
        Ok(Self { secured, holder, credentials })
    }

    /// Who says to show it.
    pub const fn holder(&self) -> &Did {
        &self.holder
    }

    /// The credentials in it: what to resolve and fetch beforehand.
    pub fn credentials(&self) -> &[Credential] {
        &self.credentials
    }

    /// Checks that the holder signed, to log in, this challenge for this domain. A verifier gives each challenge once.
    ///
    /// # Errors
    /// [`PresentationError`].
    pub fn verify(
        self,
        challenge: &str,
        domain: &str,
        known: &Known<'_>,
    ) -> Result<VerifiedPresentation, PresentationError> {
        for proof in self.secured.proofs() {
            if *proof.method.did() != self.holder {
                let (holder, found) = (self.holder.clone(), proof.method.did().clone());
                return Err(PresentationError::Holder { holder, found });
            }
            if challenge.is_empty() || proof.challenge.as_deref() != Some(challenge) {
                return Err(PresentationError::Challenge { found: proof.challenge.clone() });
            }
            if !proof.domain.iter().any(|found| found == domain) {
                let (found, expected) = (proof.domain.clone(), domain.to_owned());
                return Err(PresentationError::Domain { found, expected });
            }
        }
        self.secured.verify(Purpose::Authentication, known.now, known.documents)?;
        Ok(VerifiedPresentation(self))
    }
}

impl VerifiedPresentation {
    /// Who showed it.
    pub const fn holder(&self) -> &Did {
        &self.0.holder
    }

    /// Checks every credential in it; each must be about the holder, whatever subject `expected` names.
    ///
    /// # Errors
    /// [`CredentialError`] of the first that does not hold.
    pub fn verify(
        &self,
        expected: &Expected<'_>,
        known: &Known<'_>,
    ) -> Result<Vec<VerifiedCredential>, CredentialError> {
        let expected = Expected { subject: Some(&self.0.holder), ..*expected };
        self.0.credentials.iter().map(|credential| credential.verify(&expected, known)).collect()
    }
}
