//! Verifiable Credentials 2.0 (W3C): who vouches for whom, signed as Data Integrity proofs, withdrawn by status lists.
//!
//! [`Credential::verify`] is the way in. It checks, for every suite alike, what a signature does not say: that the issuer itself signed, with a key that its DID document
//! lists for assertions, and that type, time, subject and status are what the verifier asked for. Everything it needs is an argument: the
//! moment, DID documents ([`Documents`]), status lists ([`StatusLists`]). [`MakerChain`] joins credentials from a manufacturer's root to a device.
//!
//! # What is accepted
//!
//! | | |
//! |---|---|
//! | suites | `eddsa-jcs-2022`, `ecdsa-jcs-2019` (P-256); with the feature `ssi` also `eddsa-rdfc-2022`, `ecdsa-rdfc-2019`. Every other one is refused by its name |
//! | signatures | Ed25519 strictly; ECDSA with either s, as W3C's suites have it: no signature is taken for an identifier |
//! | proof sets and chains | every proof has to hold, and one of them is the issuer's; a missing previous proof is a refusal |
//! | contexts | proof and document have the same ones; the first is VC 2.0's |
//! | JSON | at most 64 KiB, 24 levels, 4,096 values; no key twice; integers up to 2^53 - 1, everything else as text |
//! | bytes outside the canonical form | white space, the order of keys and the spelling of escapes are not signed: documents that differ in them alone are the same document |
//!
//! # What RDF adds
//!
//! JSON-LD lets one graph be written as many JSON documents, while a verifier reads the JSON. So under the RDFC suites a document is refused when the two could part: terms
//! without a definition, keywords, full IRIs as keys, nulls, empty objects and arrays, names for blank nodes, contexts inside. Contexts are those
//! built into ssi, and [`MAKER_CONTEXT`], eight at most; none is ever fetched. RDF signs neither the order of an array nor what comes in it twice, nor
//! contexts that change nothing, so read arrays as sets. Presentations with credentials inside are signed with a JCS suite.

mod client;
mod documents;
mod error;
mod issue;
mod jcs;
mod json;
mod lists;
mod maker;
mod model;
mod presentation;
mod proof;
#[cfg(feature = "ssi")]
mod rdfc;
mod secured;
mod status;
mod suite;
mod terms;
#[cfg(test)]
mod tests;
mod time;
mod verify;

pub use crate::json::JsonError;
pub use client::{FetchError, MAX_LISTS, MAX_REFRESHED, StatusClient, StatusSource};
pub use documents::Documents;
pub use error::{CredentialError, ProofError, StatusError};
pub use issue::{IssueError, ProofOptions, Unsigned};
pub use jcs::canonicalize;
pub use json::{MAX_DEPTH, MAX_VALUES};
pub use lists::{MAX_LIST_BYTES, StatusEntry, StatusLists, StatusPurpose, VerifiedStatusList};
pub use maker::{
    ChainError, DEVICE_TYPE, DeviceClaim, MAKER_TYPE, MakerChain, MakerGrant, MakerPolicy, SignedChain,
    VouchedDevice,
};
pub use model::{CONTEXT, CREDENTIAL_TYPE, Credential};
pub use presentation::{
    MAX_CREDENTIALS, PRESENTATION_TYPE, Presentation, PresentationError, VerifiedPresentation,
};
pub use proof::{MAX_PROOFS, Proof};
pub use secured::{MAX_BYTES, SecuredDocument};
pub use status::{MAX_ENTRIES, MIN_ENTRIES, StatusList, StatusListError};
pub use suite::Suite;
pub use terms::{MAKER_CONTEXT, Terms};
pub use verify::{Expected, Known, VerifiedCredential};
