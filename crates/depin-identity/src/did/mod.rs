//! Decentralized identifiers (W3C DID Core 1.0): their syntax, their documents, and what resolves them.
//!
//! [`DidResolver`] is the seam. did:key, did:jwk and did:pkh say themselves what they resolve to and need nothing from outside;
//! [`Resolvers`] is the list of methods that are allowed, and refuses every other one by name.

#[cfg(feature = "did-web")]
mod address;
#[cfg(feature = "did-cache")]
mod cache;
#[cfg(feature = "conformance")]
pub(crate) mod conformance;
mod document;
mod error;
mod json;
mod key;
mod offline;
mod resolver;
#[cfg(feature = "ssi")]
mod ssi;
mod syntax;
#[cfg(feature = "did-web")]
mod web;
#[cfg(feature = "did-cache")]
mod weight;
mod write;

#[cfg(feature = "did-web")]
pub use address::AddressRule;
#[cfg(feature = "did-cache")]
pub use cache::{CacheLimits, Clock, DidCache};
pub use document::{DidDocument, MethodRef, MethodType, Purpose, VerificationMethod};
pub use error::DidError;
pub use key::{Curve, CurveKey, Jwk, MethodKey};
pub use offline::{JwkMethod, KeyMethod, PkhMethod};
pub use resolver::{DidResolver, Resolution, Resolvers};
#[cfg(feature = "ssi")]
pub use ssi::SsiResolver;
pub use syntax::{Did, DidUrl};
#[cfg(feature = "did-web")]
pub use web::{WebMethod, WebMethodError, WebPolicy};
