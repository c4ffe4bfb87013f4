#![doc = include_str!("../README.md")]

pub mod admission;
pub mod api;
pub mod audit;
pub mod bundle;
pub mod check;
pub mod close;
pub mod entry;
pub mod excerpt;
pub mod log;
pub mod network;
pub mod params;
pub mod signatures;
pub mod state;

mod each;
mod fold;
mod judge;

#[cfg(feature = "node")]
pub mod node;

pub use depin_core as core;
pub use depin_identity as identity;
pub use depin_proof as proof;
pub use depin_rewards as rewards;
#[cfg(feature = "node")]
pub use {depin_evm as evm, depin_index as index};

pub use admission::{AdmissionParams, FirmwareParams};
pub use audit::{audit, audit_excerpt, audit_private, audit_receipts, audit_succession};
pub use bundle::Bundle;
pub use close::close;
pub use network::{Catalogue, Network};
pub use params::NetworkParams;
pub use signatures::Signatures;
