use alloc::{
    borrow::ToOwned,
    string::{String, ToString},
    vec::Vec,
};

use super::Did;

/// Why a DID was not resolved, or a document or DID URL not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DidError {
    /// No DID, DID URL or document that can be used.
    #[error("{subject:?} cannot be used: expected {expected}")]
    Invalid {
        /// What was read: its first characters. Hostile when shown.
        subject: String,
        /// What the standard or the method expects.
        expected: String,
    },
    /// A method that is not on the list.
    #[error("the DID method `{found}` is not allowed here; allowed: {}", allowed.join(", "))]
    UnsupportedMethod {
        /// The method.
        found: String,
        /// The allowed methods.
        allowed: Vec<String>,
    },
    /// No such DID, version or verification method.
    #[error("{subject} does not exist")]
    NotFound {
        /// What was looked for.
        subject: String,
    },
    /// Its controller ended it, for ever.
    #[error("{did} is deactivated: it vouches for nothing any more")]
    Deactivated {
        /// The DID.
        did: Did,
    },
    /// It could not be found out. Try again later; until then nothing is known.
    #[error("{did} could not be resolved: {reason}")]
    Unavailable {
        /// The DID.
        did: Did,
        /// What happened.
        reason: String,
    },
}

impl DidError {
    /// [`DidError::Invalid`], with as much of `subject` as a message bears.
    pub fn invalid(subject: &str, expected: impl Into<String>) -> Self {
        Self::Invalid { subject: subject.chars().take(80).collect(), expected: expected.into() }
    }

    /// [`DidError::NotFound`].
    pub fn not_found(subject: &impl ToString) -> Self {
        Self::NotFound { subject: subject.to_string() }
    }

    /// [`DidError::Unavailable`].
    pub fn unavailable(did: &Did, reason: impl Into<String>) -> Self {
        Self::Unavailable { did: did.clone(), reason: reason.into() }
    }

    /// [`DidError::UnsupportedMethod`].
    pub fn unsupported(found: &Did, allowed: &[&str]) -> Self {
        let allowed = allowed.iter().map(|method| (*method).to_owned()).collect();
        Self::UnsupportedMethod { found: found.method().to_owned(), allowed }
    }
}
