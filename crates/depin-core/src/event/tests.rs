//! Bytes and forms of the chain's events.

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
        (ChainEvent::Claimed { epoch: EPOCH, account: WHO, amount: Amount(9) }, format!("8207830754{who}09")),
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
