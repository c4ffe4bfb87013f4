#![doc = include_str!("../README.md")]
#![no_std]

mod cbor;
mod key;
mod report;

pub use key::{Algorithm, PublicKey, Signer, SoftwareKey, ToBeSigned};
pub use report::{Commitment, CommitmentError, NetworkId, Report, ReportError, SignError, Unsigned};
