#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod cbor;

mod amount;
mod deal;
mod digest;
mod event;
mod key;
mod params;
mod text;
mod time;
mod units;
mod verdict;

pub use alloy_primitives::{Address, B256};

pub use amount::{Amount, AmountError, Bps};
pub use deal::{Deal, SignedDeal};
pub use digest::{Digest, NetworkId, sha256};
pub use event::{ChainEvent, Located};
pub use key::{DeviceId, KeyError, KeyId, KeyType, TypedKey};
pub use params::{Bounds, OutOfBounds};
pub use text::{Text, TextError};
pub use time::{Epoch, Millis, Rfc3339, Timestamp};
pub use units::{Cell, UnitKind, Units, UnitsError};
pub use verdict::{CheckResult, Contribution, Finding, Outcome, Side, Verdict};
