//! What a chain says. The journal records these, once final, before anything is counted from them.

use alloc::vec::Vec;

use alloy_primitives::Address;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{Amount, DeviceId, Digest, Epoch, deal::address_cbor, deal::hex_string};

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
    },
    /// A device changed hands.
    #[n(1)]
    #[cbor(array)]
    DeviceTransferred {
        /// SHA-256 of the device's typed key.
        #[n(0)]
        device: Digest,
        /// The owner before.
        #[n(1)]
        #[cbor(with = "address_cbor")]
        from: Address,
        /// The owner from now on.
        #[n(2)]
        #[cbor(with = "address_cbor")]
        to: Address,
        /// The nonce both signed.
        #[n(3)]
        nonce: u64,
        /// The deadline both signed, in seconds since the Unix epoch.
        #[n(4)]
        deadline: u64,
        /// The device's signature over the binding, for anyone to check.
        #[n(5)]
        #[cbor(with = "minicbor::bytes")]
        #[serde(with = "hex_string")]
        proof: Vec<u8>,
    },
    /// A device was switched off for ever.
    #[n(2)]
    #[cbor(array)]
    DeviceDeactivated {
        /// SHA-256 of the device's typed key.
        #[n(0)]
        device: Digest,
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
