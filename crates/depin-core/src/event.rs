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
mod tests {
    use alloc::{format, string::String, vec};

    use proptest::prelude::*;

    use super::*;
    use crate::{KeyType, TypedKey, cbor};

    const EPOCH: Epoch = Epoch(7);
    const WHO: Address = Address::repeat_byte(0x22);
    const ID: Digest = Digest([0x11; 32]);

    fn hex(event: &ChainEvent) -> String {
        cbor::to_vec(event).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Journals hold these bytes: none of them may ever change.
    #[test]
    fn bytes_are_those_of_the_journals() {
        let (id, who) = ("11".repeat(32), "22".repeat(20));
        let device = DeviceId(TypedKey::new(KeyType::Ed25519, &[0x33; 32]).unwrap());
        let key: String = device.0.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let (owner, nonce, deadline, proof, at) = (WHO, 1, 2, vec![0xab], Timestamp(5));
        let (new_key, short) = (device.0, KeyId([0x44; 16]));
        let known = [
            (
                ChainEvent::DeviceRegistered {
                    device,
                    owner,
                    nonce,
                    deadline,
                    proof: proof.clone(),
                    active: true,
                    at,
                },
                format!("8200875822{key}54{who}010241abf505"),
            ),
            (
                ChainEvent::DeviceTransferred {
                    device: ID,
                    from: WHO,
                    to: WHO,
                    nonce,
                    deadline,
                    proof: proof.clone(),
                    new_key,
                    new_key_proof: vec![0xcd],
                    cut_over: EPOCH,
                    voucher: ID,
                    at,
                },
                format!("82018b5820{id}54{who}54{who}010241ab5822{key}41cd075820{id}05"),
            ),
            (ChainEvent::DeviceDeactivated { device: ID, at }, format!("8202825820{id}05")),
            (
                ChainEvent::CreditsPaid { customer: WHO, amount: Amount(9), burned: Amount(4) },
                format!("82038354{who}0904"),
            ),
            (
                ChainEvent::EpochStarted { epoch: EPOCH, mint_cap: Amount(9), revenue_cap: Amount(4) },
                "820483070904".into(),
            ),
            (
                ChainEvent::RootProposed { epoch: EPOCH, root: ID, bundle: ID },
                format!("820583075820{id}5820{id}"),
            ),
            (
                ChainEvent::RootFinal { epoch: EPOCH, root: ID, bundle: ID, total: Amount(9) },
                format!("820684075820{id}5820{id}09"),
            ),
            (
                ChainEvent::Claimed { epoch: EPOCH, account: WHO, amount: Amount(9) },
                format!("8207830754{who}09"),
            ),
            (
                ChainEvent::RootChallenged { epoch: EPOCH, candidate: ID, challenger: WHO },
                format!("820883075820{id}54{who}"),
            ),
            (ChainEvent::EpochContested { epoch: EPOCH, round: 1 }, "8209820701".into()),
            (
                ChainEvent::RootSupported { epoch: EPOCH, candidate: ID, supporter: WHO, amount: Amount(9) },
                format!("820a84075820{id}54{who}09"),
            ),
            (ChainEvent::RootVoided { epoch: EPOCH, round: 1, voids: 2 }, "820b83070102".into()),
            (ChainEvent::RootUndecided { epoch: EPOCH, round: 1, generation: 2 }, "820c83070102".into()),
            (
                ChainEvent::RootRevived { epoch: EPOCH, candidate: ID, proposer: WHO, round: 1 },
                format!("820d84075820{id}54{who}01"),
            ),
            (ChainEvent::DeviceActivated { device: ID, at }, format!("820e825820{id}05")),
            (
                ChainEvent::KeyRotated {
                    device: ID,
                    new_key,
                    last_boot: 3,
                    last_sequence: 4,
                    nonce,
                    deadline,
                    old_proof: vec![],
                    new_proof: proof,
                    at,
                },
                format!("820f895820{id}5822{key}030401024041ab05"),
            ),
            (
                ChainEvent::KeyCompromised { device: ID, key: short, since: Timestamp(4), at },
                format!("8210845820{id}50{}0405", "44".repeat(16)),
            ),
            (ChainEvent::DeviceSuspended { device: ID, at }, format!("8211825820{id}05")),
            (ChainEvent::DeviceResumed { device: ID, at }, format!("8212825820{id}05")),
        ];
        for (number, (event, expected)) in known.into_iter().enumerate() {
            assert_eq!(hex(&event), expected, "{number}: {event:?}");
            assert_eq!(cbor::from_slice::<ChainEvent>(&cbor::to_vec(&event)).unwrap(), event);
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<ChainEvent>(&json).unwrap(), event);
        }
    }

    #[test]
    fn a_type_of_a_later_crate_is_refused() {
        assert!(cbor::from_slice::<ChainEvent>(&[0x82, 0x13, 0x81, 0x07]).is_err());
    }

    #[test]
    fn numbers_beyond_their_type_are_refused() {
        // 256 void rounds, and a round of 2^32.
        assert!(cbor::from_slice::<ChainEvent>(&[0x82, 0x0b, 0x83, 7, 1, 0x19, 1, 0]).is_err());
        let round = [0x82, 0x09, 0x82, 7, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0];
        assert!(cbor::from_slice::<ChainEvent>(&round).is_err());
    }

    fn dispute() -> impl Strategy<Value = ChainEvent> {
        let parts = (0..6_u8, any::<u64>(), any::<[u8; 32]>(), any::<[u8; 20]>(), any::<(u32, u32, u128)>());
        parts.prop_map(|(kind, epoch, id, who, (round, other, amount))| {
            let (epoch, candidate, account) = (Epoch(epoch), Digest(id), Address::from(who));
            match kind {
                0 => ChainEvent::RootChallenged { epoch, candidate, challenger: account },
                1 => ChainEvent::EpochContested { epoch, round },
                2 => {
                    let amount = Amount(amount);
                    ChainEvent::RootSupported { epoch, candidate, supporter: account, amount }
                }
                3 => ChainEvent::RootVoided { epoch, round, voids: id[0] },
                4 => ChainEvent::RootUndecided { epoch, round, generation: other },
                _ => ChainEvent::RootRevived { epoch, candidate, proposer: account, round },
            }
        })
    }

    proptest! {
        #[test]
        fn disputes_survive_cbor_and_json(event in dispute()) {
            prop_assert_eq!(&cbor::from_slice::<ChainEvent>(&cbor::to_vec(&event)).unwrap(), &event);
            let json = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(serde_json::from_str::<ChainEvent>(&json).unwrap(), event);
        }
    }
}
