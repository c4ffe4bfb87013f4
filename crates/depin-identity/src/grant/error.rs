//! Why nothing is granted.

use depin_core::{DeviceId, KeyType, NetworkId, Timestamp};

use super::{GrantId, Holder, Right};
use crate::SignError;

/// Why a grant was not made, not narrowed, or does not allow what was requested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Too many bytes.
    #[error("the grant has {found} bytes; at most {max} are read")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Narrowed too often.
    #[error("the grant has {found} blocks; at most {max} count: ask its issuer for a narrower one")]
    Blocks {
        /// Blocks found.
        found: usize,
        /// Blocks allowed.
        max: usize,
    },
    /// No Biscuit, or not in its one encoding.
    #[error("the grant is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// A block of somebody else.
    #[error("block {block} of the grant is signed by a third party, whose word counts for nothing here")]
    ThirdParty {
        /// Which block; the issuer's is 0.
        block: usize,
    },
    /// A block that says something else than grants say.
    #[error("block {block} of the grant is outside the vocabulary of grants: {reason}")]
    Vocabulary {
        /// Which block; the issuer's is 0.
        block: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// Not issued by one of the keys that may.
    #[error("the grant is not signed by any of the {tried} keys that may grant for this device")]
    Issuer {
        /// How many keys were tried.
        tried: usize,
    },
    /// A key that cannot issue.
    #[error("keys of type {found:?} cannot issue grants; use Ed25519 or P-256")]
    Key {
        /// The type.
        found: KeyType,
    },
    /// Too many keys to try.
    #[error("{found} keys may grant for this device; at most {max} are tried")]
    Issuers {
        /// Keys given.
        found: usize,
        /// Keys allowed.
        max: usize,
    },
    /// No rights, or too many.
    #[error("{found} rights are named; expected 1 to {max}")]
    Rights {
        /// Rights found.
        found: usize,
        /// Rights allowed.
        max: usize,
    },
    /// A kind or service that cannot be written.
    #[error("the name {name:?} cannot be granted; use letters, digits and any of . _ - / : @")]
    Name {
        /// The name.
        name: String,
    },
    /// A number beyond what a Biscuit can hold.
    #[error("{what} is {found}; at most {max} can be granted", max = i64::MAX)]
    Number {
        /// What it counts.
        what: &'static str,
        /// The number.
        found: u64,
    },
    /// For another network.
    #[error("the grant is for the network {}; expected {}", found.0, expected.0)]
    Network {
        /// The network requested.
        expected: NetworkId,
        /// The network granted.
        found: NetworkId,
    },
    /// For another device.
    #[error("the grant is for {found}; expected {expected}")]
    Device {
        /// The device requested.
        expected: DeviceId,
        /// The device granted.
        found: DeviceId,
    },
    /// From before or after the device changed hands.
    #[error(
        "the grant is of ownership epoch {found}; the device is in epoch {expected}: ask its owner for a new one"
    )]
    OwnershipEpoch {
        /// The registry's epoch.
        expected: u64,
        /// The grant's epoch.
        found: u64,
    },
    /// Too late.
    #[error("the grant expired at {}; it is {}: ask for a new one", .expired.rfc3339(), .now.rfc3339())]
    Expired {
        /// The last moment at which it was good.
        expired: Timestamp,
        /// The moment of the request.
        now: Timestamp,
    },
    /// Not granted, or taken away since.
    #[error("block {block} of the grant does not allow {requested:?}")]
    NotAllowed {
        /// Which block.
        block: usize,
        /// What was requested.
        requested: Right,
    },
    /// Presented by somebody else.
    #[error("block {block} of the grant is for {expected:?}; it was presented by {found:?}")]
    Holder {
        /// Which block.
        block: usize,
        /// Who may present it.
        expected: Holder,
        /// Who did, if that was shown.
        found: Option<Holder>,
    },
    /// Revoked.
    #[error("the grant {id} is revoked, and everything narrowed from it")]
    Revoked {
        /// The block.
        id: GrantId,
    },
    /// The issuer's key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Refused by the Biscuit itself.
    #[error("the grant does not allow it: {reason}")]
    Refused {
        /// What the library said.
        reason: String,
    },
}
