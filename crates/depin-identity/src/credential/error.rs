//! Why a document is not what it says.

use depin_core::{KeyType, Timestamp};

use super::JsonError;
use crate::{
    PublicKeyError,
    did::{Did, DidError, DidUrl},
};

/// Why the proofs of a document do not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Not JSON that is read.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Nobody signed.
    #[error("the document has no proof; let its issuer sign it")]
    Missing,
    /// Too many proofs.
    #[error("the document has {found} proofs; at most {max} are checked")]
    TooMany {
        /// Proofs found.
        found: usize,
        /// Proofs allowed.
        max: usize,
    },
    /// A member that is absent or of the wrong form.
    #[error("`{member}` of a proof is no {expected}")]
    Member {
        /// The member.
        member: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A member that nobody here knows.
    #[error("a proof has the member `{member}`, whose meaning is unknown here; leave it out")]
    UnknownMember {
        /// The member.
        member: String,
    },
    /// A suite that is not on the list, for example one that is no longer safe.
    #[error(
        "the suite `{found}` is not accepted; sign with eddsa-jcs-2022, ecdsa-jcs-2019, eddsa-rdfc-2022 or ecdsa-rdfc-2019"
    )]
    Suite {
        /// Its name.
        found: String,
    },
    /// A suite that this program was built without.
    #[error("the suite `{suite}` is not built in; build with the feature `ssi`")]
    SuiteNotBuilt {
        /// Its name.
        suite: &'static str,
    },
    /// Two proofs of one name.
    #[error("two proofs have the id {id:?}; give each its own")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// A proof that builds on one that is not there.
    #[error("a proof builds on {id:?}, which is missing; restore it")]
    PreviousMissing {
        /// The id.
        id: String,
    },
    /// A proof that was made for something else.
    #[error("a proof was made for {found}; expected {expected}")]
    Purpose {
        /// Its purpose.
        found: &'static str,
        /// The purpose that is needed.
        expected: &'static str,
    },
    /// A proof past its end.
    #[error("a proof expired at {}; it is {}: sign again", .expires.rfc3339(), .now.rfc3339())]
    Expired {
        /// Its end.
        expires: Timestamp,
        /// The moment it was judged at.
        now: Timestamp,
    },
    /// The contexts of proof and document differ.
    #[error("the contexts of proof and document differ; sign the document as it is")]
    Context,
    /// The document of the signer is not known.
    #[error("the document of {did} is not known; resolve it first")]
    Unresolved {
        /// The signer.
        did: Did,
    },
    /// The key is no key of the signer's for this purpose.
    #[error(transparent)]
    Method(#[from] DidError),
    /// The suite does not go with the key.
    #[error("{suite} signs with keys of type {expected:?}; {method} is of type {found:?}")]
    KeyType {
        /// The suite.
        suite: &'static str,
        /// The method.
        method: DidUrl,
        /// The key's type.
        found: KeyType,
        /// The suite's.
        expected: KeyType,
    },
    /// A key that the suite may have, of a curve with which nothing is checked here: P-384. It says nothing about the document.
    #[error(
        "{method} is a key of P-384; {suite} is checked here with keys of P-256 alone, so ask the issuer for a proof by one"
    )]
    Curve {
        /// The suite.
        suite: &'static str,
        /// The method.
        method: DidUrl,
    },
    /// The key is not fit to check anything with.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// No canonical form.
    #[error("the document has no canonical form: {reason}")]
    Canonicalization {
        /// What the canonicalizer said.
        reason: String,
    },
    /// A JSON-LD context that is not built in. None is ever fetched.
    #[error("the context {context} is not built in, and none is fetched; use JCS, or a known context")]
    UnknownContext {
        /// The context.
        context: String,
    },
    /// JSON-LD that says more, or less, than the JSON we read.
    #[error("{found} makes JSON-LD and JSON say different things; leave it out")]
    Ambiguous {
        /// What was found.
        found: String,
    },
    /// Not by this key, or not over this document.
    #[error("the signature is not by {method} over this document; sign it as it is")]
    Signature {
        /// The key.
        method: DidUrl,
    },
}

/// Why a credential is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The proofs do not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A property that is absent or of the wrong form.
    #[error("`{property}` of the credential is no {expected}")]
    Property {
        /// The property.
        property: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A type it lacks.
    #[error("the credential is of type {found:?}; expected {expected}")]
    Type {
        /// Its types.
        found: Vec<String>,
        /// The type that is needed.
        expected: String,
    },
    /// Issued by somebody who was not asked.
    #[error("the credential is issued by {found}; expected {expected}")]
    Issuer {
        /// Its issuer.
        found: String,
        /// The issuer that is trusted.
        expected: Did,
    },
    /// Signed, but not by its issuer: anyone can write a name.
    #[error(
        "{issuer} signed nothing here: the proofs are by {signers:?}; let the issuer sign with a key of its own"
    )]
    IssuerDidNotSign {
        /// The issuer it names.
        issuer: String,
        /// The keys that signed.
        signers: Vec<DidUrl>,
    },
    /// Not signed by somebody who had to.
    #[error("{cosigner} did not sign; its consent is needed")]
    CosignerMissing {
        /// Who had to.
        cosigner: Did,
    },
    /// Too early.
    #[error("the credential is valid from {}; it is {}", .from.rfc3339(), .now.rfc3339())]
    NotYetValid {
        /// Its beginning.
        from: Timestamp,
        /// The moment it was judged at.
        now: Timestamp,
    },
    /// Too late.
    #[error("the credential expired at {}; it is {}: have it issued again", .until.rfc3339(), .now.rfc3339())]
    Expired {
        /// Its end.
        until: Timestamp,
        /// The moment it was judged at.
        now: Timestamp,
    },
    /// About somebody else.
    #[error("the credential is about {found:?}; expected {expected}")]
    Subject {
        /// Its subject.
        found: Option<String>,
        /// Whom it should be about.
        expected: Did,
    },
    /// The status is out, or cannot be known.
    #[error(transparent)]
    Status(#[from] StatusError),
}

/// Why a credential's status is not a good one. What cannot be known is refused like what is known to be bad.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// A status is needed, and the credential has none.
    #[error("the credential has no status, so that it could never be revoked; have it issued with one")]
    Missing,
    /// Of a type nobody here knows, or malformed.
    #[error("`{property}` of a status entry is no {expected}")]
    Entry {
        /// The property.
        property: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// Revoked, for ever.
    #[error("the credential is revoked in {list}, index {index}")]
    Revoked {
        /// The list.
        list: String,
        /// The index.
        index: u64,
    },
    /// Suspended, for now.
    #[error("the credential is suspended in {list}, index {index}")]
    Suspended {
        /// The list.
        list: String,
        /// The index.
        index: u64,
    },
    /// The list is not at hand.
    #[error("the status list {list} is not known; fetch it first")]
    ListMissing {
        /// The list.
        list: String,
    },
    /// The list says something else.
    #[error("the status list {list} is about {found:?}; expected {expected}")]
    Purpose {
        /// The list.
        list: String,
        /// Its purposes.
        found: Vec<String>,
        /// The entry's.
        expected: &'static str,
    },
    /// The list is by somebody who has no say.
    #[error("the status list {list} is by {found}; expected {expected}")]
    Issuer {
        /// The list.
        list: String,
        /// Its issuer.
        found: Did,
        /// The credential's.
        expected: Did,
    },
    /// The list was verified later than this: a clock was put back, and nobody knows how old the list is.
    #[error(
        "the status list {list} counts from {}, when it was verified; it is {}: set the clock, or fetch it again", .from.rfc3339(), .now.rfc3339()
    )]
    NotYet {
        /// The list.
        list: String,
        /// The moment at which it was verified.
        from: Timestamp,
        /// The moment it was judged at.
        now: Timestamp,
    },
    /// The list is too old to be relied on.
    #[error("the status list {list} is good until {}; it is {}: fetch it again", .until.rfc3339(), .now.rfc3339())]
    Stale {
        /// The list.
        list: String,
        /// Its end.
        until: Timestamp,
        /// The moment it was judged at.
        now: Timestamp,
    },
    /// The list gives no answer.
    #[error(transparent)]
    List(#[from] super::StatusListError),
}
