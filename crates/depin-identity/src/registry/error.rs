use alloc::string::String;

use alloy_primitives::Address;
use depin_core::{DeviceId, Digest, KeyId, cbor::CborError};

use super::{DeviceRecord, Status};
use crate::{BindingError, PublicKeyError};

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Registered before.
    #[error("{device} is registered already; transfer it instead")]
    Known {
        /// The device.
        device: DeviceId,
    },
    /// Never registered, or its registration was refused.
    #[error("no device with the on-chain id {device} is registered; register it first")]
    Unknown {
        /// SHA-256 of its typed key.
        device: Digest,
    },
    /// Switched off for ever.
    #[error("{device} was deactivated, which is for ever; register a device with another key")]
    Deactivated {
        /// The device.
        device: DeviceId,
    },
    /// Not where the action needs it to be.
    #[error("{device} is {found}; expected {expected}: read the device and choose another action")]
    Status {
        /// The device.
        device: DeviceId,
        /// Where it is in its life.
        found: Status,
        /// Where it has to be.
        expected: Status,
    },
    /// Two keys with one key id.
    #[error("the key id {key_id} belongs to {holder}; generate another key")]
    KeyIdTaken {
        /// The key id.
        key_id: KeyId,
        /// The device that has, or had, it.
        holder: DeviceId,
    },
    /// More keys than are remembered.
    #[error("{device} has had {max} keys; register a new device", max = DeviceRecord::MAX_KEYS)]
    TooManyKeys {
        /// The device.
        device: DeviceId,
    },
    /// What is left of the keys comes with the owner's signature alone.
    #[error(
        "{device} has had as many keys as it may rotate to, and the last {kept} are its owner's; declare the present key compromised and recover \
         the device, or transfer it",
        kept = DeviceRecord::KEPT_FOR_OWNER
    )]
    KeysKeptForOwner {
        /// The device.
        device: DeviceId,
    },
    /// A key that the device got under an owner before.
    #[error("{device} got the key {key_id} under an owner before; name a key of the present owner's time")]
    KeyOfFormerOwner {
        /// The device.
        device: DeviceId,
        /// The key.
        key_id: KeyId,
    },
    /// A key of another device, or of none.
    #[error("{key_id} is no key of {device}; name one of its keys")]
    ForeignKey {
        /// The device.
        device: DeviceId,
        /// The key id.
        key_id: KeyId,
    },
    /// The present key is compromised and proves nothing.
    #[error("the present key {key_id} is compromised; recover the device by its owner's signature")]
    PresentKeyCompromised {
        /// The present key.
        key_id: KeyId,
    },
    /// An owner may replace only a key that is compromised.
    #[error("the present key {key_id} is sound; rotate with its proof, or declare it compromised first")]
    PresentKeySound {
        /// The present key.
        key_id: KeyId,
    },
    /// The key is compromised since an earlier moment already.
    #[error("the key {key_id} is compromised since {since} already; name an earlier moment")]
    CompromisedBefore {
        /// The key.
        key_id: KeyId,
        /// Since when.
        since: depin_core::Timestamp,
    },
    /// Another nonce than the next.
    #[error("the nonce is {found}; expected {expected}: sign again with that")]
    Nonce {
        /// The nonce of the event.
        found: u64,
        /// The device's next nonce.
        expected: u64,
    },
    /// Not by the device's owner.
    #[error("{found} does not own the device; {expected} does and must sign")]
    Owner {
        /// The owner it was signed by.
        found: Address,
        /// The owner.
        expected: Address,
    },
    /// A proof, or a key, is not right.
    #[error(transparent)]
    Binding(#[from] BindingError),
}

impl From<PublicKeyError> for RegistryError {
    fn from(error: PublicKeyError) -> Self {
        Self::Binding(error.into())
    }
}

/// Why bytes or records are no registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not CBOR of the snapshot's form.
    #[error("not a registry snapshot: {0}; rebuild it from the chain's events")]
    Cbor(#[from] CborError),
    /// Another format.
    #[error(
        "the snapshot has format {found:?}; this version reads {expected:?}: rebuild it from the chain's events"
    )]
    Format {
        /// The format found.
        found: String,
        /// The format expected.
        expected: &'static str,
    },
    /// Too short to have a digest.
    #[error("the snapshot is shorter than its digest; rebuild it from the chain's events")]
    Short,
    /// Cut short, or changed.
    #[error(
        "the snapshot is damaged: its digest is {found}, expected {expected}; rebuild it from the chain's events"
    )]
    Damaged {
        /// The digest of what is there.
        found: Digest,
        /// The digest it ends with.
        expected: Digest,
    },
    /// A key that registration would have refused.
    #[error("the snapshot holds an unfit key: {0}")]
    Key(#[from] PublicKeyError),
    /// A record that no event leads to.
    #[error("the snapshot's record of {device} is impossible: {what}")]
    Record {
        /// The device.
        device: DeviceId,
        /// What is wrong.
        what: &'static str,
    },
}
