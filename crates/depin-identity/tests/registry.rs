//! The registry as a fold over events, from a chain whose registrar may lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

mod common;

use common::domain;
use depin_core::{Address, Amount, ChainEvent, DeviceId, Digest, Epoch, KeyId, Timestamp, TypedKey, cbor};
use depin_identity::{
    Action, Binding, BindingError, DeviceRecord, DeviceSigner as _, Domain, PublicKeyError, Registry,
    RegistryError, SnapshotError, SoftwareKey,
};
use proptest::prelude::*;

const DEADLINE: u64 = 1_700_007_200;

fn device(n: u8) -> SoftwareKey {
    SoftwareKey::from_seed([n; 32])
}

fn id(n: u8) -> DeviceId {
    DeviceId(device(n).public_key())
}

fn owner(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn proof(n: u8, action: Action, owner: Address, domain: Domain, nonce: u64) -> Vec<u8> {
    let binding = Binding { action, device: id(n), owner, domain, nonce, deadline: DEADLINE };
    device(n).signature(&binding.device_proof_message()).0.to_vec()
}

fn registered(n: u8, by: u8) -> ChainEvent {
    let proof = proof(n, Action::Register, owner(by), domain(), 0);
    ChainEvent::DeviceRegistered {
        device: id(n),
        owner: owner(by),
        nonce: 0,
        deadline: DEADLINE,
        proof,
        active: true,
        at: Timestamp::default(),
    }
}

fn transferred(n: u8, from: u8, to: u8, nonce: u64) -> ChainEvent {
    let proof = proof(n, Action::Transfer { new_owner: owner(to) }, owner(from), domain(), nonce);
    let device = id(n).on_chain();
    ChainEvent::DeviceTransferred {
        device,
        from: owner(from),
        to: owner(to),
        nonce,
        deadline: DEADLINE,
        proof,
        new_key: *id(n).key(),
        new_key_proof: vec![],
        cut_over: Epoch(0),
        voucher: Digest::default(),
        at: Timestamp::default(),
    }
}

fn with_proof(mut event: ChainEvent, changed: Vec<u8>) -> ChainEvent {
    if let ChainEvent::DeviceRegistered { proof, .. } | ChainEvent::DeviceTransferred { proof, .. } =
        &mut event
    {
        *proof = changed;
    }
    event
}

fn deactivated(n: u8) -> ChainEvent {
    ChainEvent::DeviceDeactivated { device: id(n).on_chain(), at: Timestamp::default() }
}

fn fold(events: &[ChainEvent]) -> Registry {
    let mut registry = Registry::new(domain());
    for event in events {
        registry.apply(event).unwrap_or_else(|error| panic!("{event:?}: {error}"));
    }
    registry
}

/// Applies `event`, which must change nothing.
fn refusal(registry: &mut Registry, event: &ChainEvent) -> RegistryError {
    let before = registry.clone();
    let error = registry.apply(event).unwrap_err();
    assert_eq!(*registry, before);
    error
}

#[test]
fn the_life_of_a_device() {
    let mut registry = fold(&[registered(1, 10)]);
    let born = DeviceRecord::registered(id(1), owner(10));
    assert_eq!(registry.device(&id(1)), Some(&born));
    registry.apply(&transferred(1, 10, 11, 1)).unwrap();
    let sold = DeviceRecord { owner: owner(11), ownership_epoch: 1, next_nonce: 2, ..born };
    assert_eq!(registry.device(&id(1)), Some(&sold));
    registry.apply(&deactivated(1)).unwrap();
    let gone = DeviceRecord { active: false, next_nonce: 3, ..sold };
    assert_eq!(registry.device(&id(1)), Some(&gone));
    let deactivated_error = RegistryError::Deactivated { device: id(1) };
    assert_eq!(refusal(&mut registry, &deactivated(1)), deactivated_error);
    assert_eq!(refusal(&mut registry, &transferred(1, 11, 10, 3)), deactivated_error);
    assert_eq!(refusal(&mut registry, &registered(1, 10)), RegistryError::Known { device: id(1) });
}

#[test]
fn a_device_is_found_by_id_key_and_digest() {
    let registry = fold(&[registered(1, 10), registered(2, 10)]);
    for n in 1..=2 {
        let found = registry.by_key(&id(n).key().id()).unwrap();
        assert_eq!((found.record.device, found.key, found.epoch), (id(n), device(n).public(), 0));
        assert_eq!(registry.on_chain(&id(n).on_chain()).unwrap().device, id(n));
        // The same key id, but not the same digest.
        let mut near = id(n).on_chain();
        near.0[31] ^= 1;
        assert_eq!(registry.on_chain(&near), None);
    }
    assert!(registry.device(&id(3)).is_none());
    assert!(registry.by_key(&KeyId([0; 16])).is_none());
    assert!(registry.on_chain(&Digest([0; 32])).is_none());
}

#[test]
fn a_lying_registrar_binds_nothing() {
    let mut registry = fold(&[registered(1, 10)]);
    let elsewhere = Domain { chain_id: 1, ..domain() };
    let to_11 = Action::Transfer { new_owner: owner(11) };
    for (n, event, lies) in [
        (
            2,
            registered(2, 10),
            [
                Vec::new(),
                vec![0; 64],
                proof(2, Action::Register, owner(12), domain(), 0),
                proof(2, Action::Register, owner(10), elsewhere, 0),
                proof(2, Action::Deactivate, owner(10), domain(), 0),
                proof(1, Action::Register, owner(10), domain(), 0),
            ],
        ),
        (
            1,
            transferred(1, 10, 11, 1),
            [
                Vec::new(),
                vec![0; 64],
                proof(1, Action::Transfer { new_owner: owner(12) }, owner(10), domain(), 1),
                proof(1, to_11, owner(10), elsewhere, 1),
                proof(1, to_11, owner(10), domain(), 2),
                proof(1, Action::Register, owner(11), domain(), 1),
            ],
        ),
    ] {
        for lie in lies {
            let error = refusal(&mut registry, &with_proof(event.clone(), lie));
            assert_eq!(error, RegistryError::Binding(BindingError::DeviceProof { device: id(n) }));
        }
        registry.apply(&event).unwrap();
    }
}

#[test]
fn nonces_and_owners_follow_each_other() {
    let mut registry = fold(&[registered(1, 10), transferred(1, 10, 11, 1)]);
    let nonce = |found, expected| RegistryError::Nonce { found, expected };
    assert_eq!(refusal(&mut registry, &transferred(1, 10, 11, 1)), nonce(1, 2));
    assert_eq!(refusal(&mut registry, &transferred(1, 11, 10, 0)), nonce(0, 2));
    let not_owner = RegistryError::Owner { found: owner(10), expected: owner(11) };
    assert_eq!(refusal(&mut registry, &transferred(1, 10, 12, 2)), not_owner);
    let unknown = RegistryError::Unknown { device: id(2).on_chain() };
    assert_eq!(refusal(&mut registry, &transferred(2, 10, 11, 1)), unknown);
    assert_eq!(refusal(&mut registry, &deactivated(2)), unknown);
    let late = ChainEvent::DeviceRegistered {
        device: id(3),
        owner: owner(10),
        nonce: 1,
        deadline: DEADLINE,
        proof: proof(3, Action::Register, owner(10), domain(), 1),
        active: true,
        at: Timestamp::default(),
    };
    assert_eq!(refusal(&mut registry, &late), nonce(1, 0));
}

#[test]
fn after_a_refused_transfer_the_next_right_one_puts_the_record_in_order() {
    let mut registry = fold(&[registered(1, 10)]);
    let lie = with_proof(transferred(1, 10, 11, 1), vec![0; 64]);
    refusal(&mut registry, &lie);
    assert_eq!(registry.device(&id(1)).unwrap().owner, owner(10));
    registry.apply(&transferred(1, 11, 12, 2)).unwrap();
    let record = registry.device(&id(1)).unwrap();
    assert_eq!((record.owner, record.next_nonce), (owner(12), 3));
}

#[test]
fn unfit_keys_never_register() {
    let mut registry = Registry::new(domain());
    let p256 = TypedKey::p256(&[4; 33]);
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut forged = vec![0; 64];
    forged[0] = 1;
    for (key, error) in
        [(p256, PublicKeyError::NotOnCurve), (TypedKey::ed25519(&identity), PublicKeyError::SmallOrder)]
    {
        let event = ChainEvent::DeviceRegistered {
            device: DeviceId(key),
            owner: owner(10),
            nonce: 0,
            deadline: DEADLINE,
            proof: forged.clone(),
            active: true,
            at: Timestamp::default(),
        };
        assert_eq!(refusal(&mut registry, &event), RegistryError::Binding(BindingError::Key(error)));
    }
}

#[test]
fn other_events_change_nothing() {
    let mut registry = fold(&[registered(1, 10)]);
    let before = registry.clone();
    let paid = ChainEvent::CreditsPaid { customer: owner(1), amount: Amount(5), burned: Amount(1) };
    assert_eq!(registry.apply(&paid), Ok(()));
    assert_eq!(registry, before);
}

#[test]
fn a_snapshot_is_canonical_and_every_flipped_bit_shows() {
    let registry = fold(&[registered(1, 10), registered(2, 10), transferred(2, 10, 11, 1), deactivated(1)]);
    let bytes = registry.to_snapshot();
    assert_eq!(Registry::from_snapshot(&bytes).unwrap(), registry);
    // The order of events of different devices leaves no trace.
    let other = fold(&[registered(2, 10), registered(1, 10), deactivated(1), transferred(2, 10, 11, 1)]);
    assert_eq!(other.to_snapshot(), bytes);
    let ids: Vec<DeviceId> = registry.devices().map(|record| record.device).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(ids, sorted);
    // A snapshot has no checksum of its own, but no two snapshots are read as one state.
    common::each_bit_flipped(&bytes, |bit, flipped| {
        if let Ok(read) = Registry::from_snapshot(flipped) {
            assert_ne!(read, registry, "bit {bit}");
            assert_eq!(read.to_snapshot(), flipped, "bit {bit}");
        }
    });
    for end in 0..bytes.len() {
        assert!(Registry::from_snapshot(&bytes[..end]).is_err());
    }
}

#[test]
fn impossible_snapshots_are_not_read() {
    let good = DeviceRecord::registered(id(1), owner(10));
    let snapshot = |format: &str, records: Vec<DeviceRecord>| {
        let bytes = cbor::to_vec(&(format, domain(), records));
        Registry::from_snapshot(&bytes)
    };
    let format = "depin/registry/v1";
    assert!(snapshot(format, vec![good.clone()]).is_ok());
    let one_item_more = cbor::to_vec(&(format, domain(), [good.clone()], 7));
    assert!(matches!(Registry::from_snapshot(&one_item_more), Err(SnapshotError::Cbor(_))));
    assert!(matches!(snapshot("depin/registry/v2", Vec::new()), Err(SnapshotError::Format { .. })));
    let key = |n: u8, epoch| depin_identity::KeyEpoch { key: *id(n).key(), epoch };
    let p256 = TypedKey::p256(&[4; 33]);
    let keys = |keys: Vec<_>| DeviceRecord { keys, ..good.clone() };
    assert!(snapshot(format, vec![keys(vec![key(1, 0), key(3, 1)])]).is_ok());
    for (what, records) in [
        ("a record twice", vec![good.clone(), good.clone()]),
        ("no key", vec![keys(Vec::new())]),
        ("another first key", vec![keys(vec![key(2, 0)])]),
        ("a first key of a later epoch", vec![keys(vec![key(1, 1)])]),
        ("epochs that stand still", vec![keys(vec![key(1, 0), key(3, 0)])]),
        ("a key twice", vec![keys(vec![key(1, 0), key(1, 1)])]),
        ("no nonce used", vec![DeviceRecord { next_nonce: 0, ..good.clone() }]),
        ("an unfit key", vec![DeviceRecord::registered(DeviceId(p256), owner(1))]),
    ] {
        let result = snapshot(format, records);
        assert!(
            matches!(result, Err(SnapshotError::Record { .. } | SnapshotError::Key(_))),
            "{what}: {result:?}"
        );
    }
    // A key of one device cannot be the key of another.
    let mut two = vec![good.clone(), DeviceRecord::registered(id(2), owner(10))];
    two.sort_by_key(|record| record.device);
    assert!(snapshot(format, two.clone()).is_ok());
    let taken = *two[0].device.key();
    two[1].keys.push(depin_identity::KeyEpoch { key: taken, epoch: 1 });
    assert!(matches!(snapshot(format, two.clone()), Err(SnapshotError::Record { .. })));
    two[1].keys.pop();
    two.reverse();
    assert!(matches!(snapshot(format, two), Err(SnapshotError::Record { what: "out of order", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_history_folds_to_a_state_that_is_read_back(steps in prop::collection::vec((1..5_u8, 0..3_u8, 10..14_u8, 0..4_u64), 0..24)) {
        let mut registry = Registry::new(domain());
        for (n, action, by, nonce) in steps {
            let from = registry.device(&id(n)).map_or(owner(by), |record| record.owner);
            let event = match action {
                0 => registered(n, by),
                1 => {
                    let mut event = transferred(n, by, by + 1, nonce);
                    if let ChainEvent::DeviceTransferred { from: before, .. } = &mut event {
                        *before = from;
                    }
                    event
                }
                _ => deactivated(n),
            };
            let before = registry.clone();
            let was_active = registry.device(&id(n)).map(|record| record.active);
            match registry.apply(&event) {
                Ok(()) => {
                    let record = registry.device(&id(n)).unwrap();
                    // Nothing happens to a device that was switched off, and every event uses up a nonce.
                    prop_assert_ne!(was_active, Some(false));
                    prop_assert!(before.device(&id(n)).is_none_or(|old| old.next_nonce < record.next_nonce));
                }
                Err(_) => prop_assert_eq!(&registry, &before),
            }
        }
        for record in registry.devices() {
            prop_assert_eq!(&cbor::from_slice::<DeviceRecord>(&cbor::to_vec(record)).unwrap(), record);
            let json = serde_json::to_string(record).unwrap();
            prop_assert_eq!(&serde_json::from_str::<DeviceRecord>(&json).unwrap(), record);
        }
        prop_assert_eq!(Registry::from_snapshot(&registry.to_snapshot()).unwrap(), registry);
    }
}
