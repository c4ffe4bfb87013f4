//! Decentralized identifiers (W3C DID Core 1.0): their syntax, their documents, and what resolves them.
//!
//! [`DidResolver`] is the seam. did:key, did:jwk and did:pkh say themselves what they resolve to and need nothing from outside;
//! [`Resolvers`] is the list of methods that are allowed, and refuses every other one by name.

mod document;
mod error;
mod json;
mod key;
mod offline;
mod resolver;
mod syntax;

pub use document::{DidDocument, MethodRef, MethodType, Purpose, VerificationMethod};
pub use error::DidError;
pub use key::{Curve, CurveKey, Jwk, MethodKey};
pub use offline::{JwkMethod, KeyMethod, PkhMethod};
pub use resolver::{DidResolver, Resolution, Resolvers};
pub use syntax::{Did, DidUrl};
