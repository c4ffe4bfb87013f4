#![doc = include_str!("../README.md")]

pub mod commp;
pub mod possession;

#[cfg(feature = "conformance")]
pub mod conformance;

mod beacon;
mod verifier;

pub use beacon::{
    Beacon, BeaconCheckError, BeaconError, BeaconRule, BeaconSource, MAX_BEACON_PROOF, SeedBeacon,
};
pub use verifier::{
    AddError, Case, Evidence, Judged, Judgement, MAX_MEMORY, Schedule, Verifier, Verifiers, Wanted,
};
