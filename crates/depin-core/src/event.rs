//! What a chain says. The journal records these, once final, before anything is counted from them.

use alloc::vec::Vec;

use alloy_primitives::Address;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{
    Amount, DeviceId, Digest, Epoch, KeyId, Timestamp, TypedKey, deal::address_cbor, deal::hex_string,
};

/// An event of the network's contracts that a payout or a page can depend on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ChainEvent {
    /// A device got its first owner.
    #[n(0)]
    #[cbor(array)]
    DeviceRegistered {
        /// The device.
        #[n(0)]
        device: DeviceId,
        /// Its owner.
        #[n(1)]
        #[cbor(with = "address_cbor")]
        owner: Address,
        /// The nonce both signed.
        #[n(2)]
        nonce: u64,
        /// The deadline both signed, in seconds since the Unix epoch.
        #[n(3)]
        deadline: u64,
        /// The device's signature over the binding, for anyone to check.
        #[n(4)]
        #[cbor(with = "minicbor::bytes")]
        #[serde(with = "hex_string")]
        proof: Vec<u8>,
        /// Whether it may report at once, without an activation of its own.
        #[n(5)]
        active: bool,
        /// When, by the block.
        #[n(6)]
        at: Timestamp,
    },
    /// A device changed hands.
    #[n(1)]
    #[cbor(array)]
    DeviceTransferred {
        /// SHA-256 of the typed key the device was born with.
        #[n(0)]
        device: Digest,
        /// The owner before.
        #[n(1)]
        #[cbor(with = "address_cbor")]
        from: Address,
        /// The owner from the cut-over on.
        #[n(2)]
        #[cbor(with = "address_cbor")]
        to: Address,
        /// The nonce both signed.
        #[n(3)]
        nonce: u64,
        /// The deadline both signed, in seconds since the Unix epoch.
        #[n(4)]
        deadline: u64,
        /// The signature of the key before over the binding, for anyone to check.
        #[n(5)]
        #[cbor(with = "minicbor::bytes")]
        #[serde(with = "hex_string")]
        proof: Vec<u8>,
        /// The key it signs with from the cut-over on.
        #[n(6)]
        new_key: TypedKey,
        /// The new key's signature over the binding.
        #[n(7)]
        #[cbor(with = "minicbor::bytes")]
        #[serde(with = "hex_string")]
        new_key_proof: Vec<u8>,
        /// The first epoch of the new owner and the new key.
        #[n(8)]
        cut_over: Epoch,
        /// Digest of the head of its ownership voucher.
        #[n(9)]
        voucher: Digest,
        /// When, by the block.
        #[n(10)]
        at: Timestamp,
    },
    /// A device was switched off for ever.
    #[n(2)]
    #[cbor(array)]
    DeviceDeactivated {
        /// SHA-256 of the typed key the device was born with.
        #[n(0)]
        device: Digest,
        /// When, by the block.
        #[n(1)]
        at: Timestamp,
    },
    /// A customer paid: the only input of demand.
    #[n(3)]
    #[cbor(array)]
    CreditsPaid {
        /// Whose credit grows.
        #[n(0)]
        #[cbor(with = "address_cbor")]
        customer: Address,
        /// What was paid.
        #[n(1)]
        amount: Amount,
        /// The part that was burned; the rest is held for providers.
        #[n(2)]
        burned: Amount,
    },
    /// An epoch started and its cap was escrowed.
    #[n(4)]
    #[cbor(array)]
    EpochStarted {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// At most this is paid from emission.
        #[n(1)]
        mint_cap: Amount,
        /// At most this is paid from service revenue.
        #[n(2)]
        revenue_cap: Amount,
    },
    /// A root was proposed.
    #[n(5)]
    #[cbor(array)]
    RootProposed {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// The claim root.
        #[n(1)]
        root: Digest,
        /// The bundle's digest.
        #[n(2)]
        bundle: Digest,
    },
    /// A root became final.
    #[n(6)]
    #[cbor(array)]
    RootFinal {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// The claim root.
        #[n(1)]
        root: Digest,
        /// The bundle's digest.
        #[n(2)]
        bundle: Digest,
        /// The sum of its claims.
        #[n(3)]
        total: Amount,
    },
    /// A claim was paid.
    #[n(7)]
    #[cbor(array)]
    Claimed {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// Who was paid.
        #[n(1)]
        #[cbor(with = "address_cbor")]
        account: Address,
        /// How much.
        #[n(2)]
        amount: Amount,
    },
    /// A challenger disputed a candidate: a proposed root with what it commits to.
    #[n(8)]
    #[cbor(array)]
    RootChallenged {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// The candidate's id: Keccak-256 of the epoch and what was proposed, ABI-encoded.
        #[n(1)]
        candidate: Digest,
        /// Who put a bond at stake against it.
        #[n(2)]
        #[cbor(with = "address_cbor")]
        challenger: Address,
    },
    /// The one dispute of a round began.
    #[n(9)]
    #[cbor(array)]
    EpochContested {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// The round, from 0.
        #[n(1)]
        round: u32,
    },
    /// Somebody staked on a candidate in the last round, where stake decides.
    #[n(10)]
    #[cbor(array)]
    RootSupported {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// The candidate's id.
        #[n(1)]
        candidate: Digest,
        /// Who staked.
        #[n(2)]
        #[cbor(with = "address_cbor")]
        supporter: Address,
        /// How much.
        #[n(3)]
        amount: Amount,
    },
    /// A round ended without a root: the epoch is proposed anew.
    #[n(11)]
    #[cbor(array)]
    RootVoided {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// The round, from 0.
        #[n(1)]
        round: u32,
        /// How many rounds of the epoch ended like this.
        #[n(2)]
        voids: u8,
    },
    /// The last round ended in a tie: bonds go back, and the epoch is proposed anew.
    #[n(12)]
    #[cbor(array)]
    RootUndecided {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// The round, from 0.
        #[n(1)]
        round: u32,
        /// How many last rounds had ended in a tie before.
        #[n(2)]
        generation: u32,
    },
    /// A candidate of an earlier round was proposed again.
    #[n(13)]
    #[cbor(array)]
    RootRevived {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// The candidate's id.
        #[n(1)]
        candidate: Digest,
        /// Who proposed it again.
        #[n(2)]
        #[cbor(with = "address_cbor")]
        proposer: Address,
        /// The round it takes part in now, from 0.
        #[n(3)]
        round: u32,
    },
    /// A registered device may report from now on.
    #[n(14)]
    #[cbor(array)]
    DeviceActivated {
        /// SHA-256 of the typed key the device was born with.
        #[n(0)]
        device: Digest,
        /// When, by the block.
        #[n(1)]
        at: Timestamp,
    },
    /// A device signs with another key.
    #[n(15)]
    #[cbor(array)]
    KeyRotated {
        /// SHA-256 of the typed key the device was born with.
        #[n(0)]
        device: Digest,
        /// The key from now on.
        #[n(1)]
        new_key: TypedKey,
        /// The boot of the last report under the key before.
        #[n(2)]
        last_boot: u32,
        /// The sequence of the last report under the key before.
        #[n(3)]
        last_sequence: u64,
        /// The nonce both signed.
        #[n(4)]
        nonce: u64,
        /// The deadline both signed, in seconds since the Unix epoch.
        #[n(5)]
        deadline: u64,
        /// The signature of the key before over the binding; empty when that key was compromised and the owner signed in its place.
        #[n(6)]
        #[cbor(with = "minicbor::bytes")]
        #[serde(with = "hex_string")]
        old_proof: Vec<u8>,
        /// The new key's signature over the binding.
        #[n(7)]
        #[cbor(with = "minicbor::bytes")]
        #[serde(with = "hex_string")]
        new_proof: Vec<u8>,
        /// When, by the block.
        #[n(8)]
        at: Timestamp,
    },
    /// Somebody else has the secret of a device's key.
    #[n(16)]
    #[cbor(array)]
    KeyCompromised {
        /// SHA-256 of the typed key the device was born with.
        #[n(0)]
        device: Digest,
        /// The key.
        #[n(1)]
        key: KeyId,
        /// From when on nothing it signed counts.
        #[n(2)]
        since: Timestamp,
        /// When that was said, by the block.
        #[n(3)]
        at: Timestamp,
    },
    /// A device may not report until it is resumed.
    #[n(17)]
    #[cbor(array)]
    DeviceSuspended {
        /// SHA-256 of the typed key the device was born with.
        #[n(0)]
        device: Digest,
        /// When, by the block.
        #[n(1)]
        at: Timestamp,
    },
    /// A suspended device may report again.
    #[n(18)]
    #[cbor(array)]
    DeviceResumed {
        /// SHA-256 of the typed key the device was born with.
        #[n(0)]
        device: Digest,
        /// When, by the block.
        #[n(1)]
        at: Timestamp,
    },
}

impl ChainEvent {
    /// The device it is about, by its name on the chain; none when it is about no device.
    pub fn device(&self) -> Option<Digest> {
        match self {
            Self::DeviceRegistered { device, .. } => Some(device.on_chain()),
            Self::DeviceTransferred { device, .. }
            | Self::DeviceDeactivated { device, .. }
            | Self::DeviceActivated { device, .. }
            | Self::KeyRotated { device, .. }
            | Self::KeyCompromised { device, .. }
            | Self::DeviceSuspended { device, .. }
            | Self::DeviceResumed { device, .. } => Some(*device),
            _ => None,
        }
    }
}

/// An event and where on the chain it is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Located {
    /// Number of its block.
    #[n(0)]
    pub block: u64,
    /// Hash of its block.
    #[n(1)]
    pub block_hash: Digest,
    /// Position among the logs of the block.
    #[n(2)]
    pub log_index: u64,
    /// The event.
    #[n(3)]
    pub event: ChainEvent,
}

#[cfg(test)]
mod tests;
