use alloy_primitives::Address;
use depin_core::{Timestamp, TypedKey};

use crate::PublicKeyError;

/// Why a binding is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// Too late.
    #[error("the binding expired after {}; it is {}: sign again with a later deadline", Timestamp::from_seconds(*.deadline).rfc3339(), .now.rfc3339())]
    Expired {
        /// The last second at which it was good.
        deadline: u64,
        /// The moment it was judged at.
        now: Timestamp,
    },
    /// A key is said to be compromised since a moment that is still to come.
    #[error("the key is compromised since {}; it is {}: name a moment that has been", Timestamp::from_seconds(*.since).rfc3339(), .now.rfc3339())]
    Future {
        /// The second that was named.
        since: u64,
        /// The moment it was judged at.
        now: Timestamp,
    },
    /// A signature its action needs is not there.
    #[error("the signature of the {by} is missing; it must consent to this action")]
    Missing {
        /// Whose.
        by: &'static str,
    },
    /// A signature its action does not know.
    #[error("a signature of the {by} has no place in this action; leave it out")]
    Unexpected {
        /// Whose.
        by: &'static str,
    },
    /// The recovery byte of an owner's signature is none.
    #[error("v of the {by}'s signature is {found}; expected 27 or 28")]
    RecoveryId {
        /// Whose.
        by: &'static str,
        /// The byte.
        found: u8,
    },
    /// The other one of two equal signatures (EIP-2): only the low s is accepted.
    #[error("s of the {by}'s signature is in the upper half of the order; negate it and flip v")]
    HighS {
        /// Whose.
        by: &'static str,
    },
    /// Signed by another key, or something else was signed.
    #[error(
        "the {by}'s signature recovers to {found:?}; expected {expected}: sign this action, nonce and registry"
    )]
    OwnerSignature {
        /// Whose.
        by: &'static str,
        /// The owner.
        expected: Address,
        /// The signer, if there can be one.
        found: Option<Address>,
    },
    /// A transfer to the owner it has.
    #[error("the device belongs to {owner} already; name another owner")]
    SameOwner {
        /// The owner.
        owner: Address,
    },
    /// A key is not fit to identify a device.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// Not signed by the key, or something else was signed.
    #[error(
        "the proof of the {by} is not by {key} over this binding; sign action, nonce and registry with it"
    )]
    Proof {
        /// Which of the device's keys.
        by: &'static str,
        /// The key.
        key: TypedKey,
    },
}
