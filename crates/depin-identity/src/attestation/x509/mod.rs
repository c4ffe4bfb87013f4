//! X.509 certificate chains to pinned roots (RFC 5280), narrower than the standard wherever that costs no honest chain.

mod certificate;
mod chain;
mod error;

pub use certificate::{Certificate, certificates_from_pem};
pub use chain::{ChainPolicy, LeafUse, Pin, VerifiedChain, verify_chain};
pub use error::ChainError;
