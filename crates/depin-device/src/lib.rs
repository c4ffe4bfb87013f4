#![doc = include_str!("../README.md")]
#![no_std]

mod cbor;
mod challenge;
mod key;
mod queue;
mod readings;
mod report;

pub use challenge::{Challenge, Clock};
pub use key::{Algorithm, PublicKey, Signer, SoftwareKey, ToBeSigned};
pub use queue::{Number, Queue, QueueError, Slot, Stored};
pub use readings::{Reading, Readings, ReadingsError, Value};
pub use report::{Commitment, CommitmentError, NetworkId, Report, ReportError, SignError, Unsigned};
