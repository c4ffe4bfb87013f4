//! The registry as a fold over events, from a chain whose registrar may lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

mod common;

use common::domain;
use depin_core::{
    Address, Amount, ChainEvent, DeviceId, Digest, Epoch, KeyId, KeyType, Millis, Timestamp, TypedKey, cbor,
    sha256,
};
use depin_identity::{
    Action, Arrival, Binding, BindingError, DeviceRecord, DeviceSigner as _, Domain, KeyEnd, KeyEpoch, Past,
    Pause, PublicKeyError, Registry, RegistryError, SnapshotError, SoftwareKey, Status, Tenure,
};
use proptest::prelude::*;

const DEADLINE: u64 = 1_700_007_200;
const CUT_OVER: Epoch = Epoch(9);
const GRACE: Millis = Millis(1_000);

/// A key, by its number. A device is called by the number of the key it was born with.
fn device(n: u8) -> SoftwareKey {
    SoftwareKey::from_seed([n; 32])
}

fn typed(n: u8) -> TypedKey {
    device(n).public_key()
}

fn id(n: u8) -> DeviceId {
    DeviceId(typed(n))
}

fn owner(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn at(moment: u64) -> Timestamp {
    Timestamp(moment)
}

fn proof(by: u8, action: Action, device_owner: (u8, u8), domain: Domain, nonce: u64) -> Vec<u8> {
    let (n, by_owner) = device_owner;
    let binding =
        Binding { action, device: id(n), owner: owner(by_owner), domain, nonce, deadline: DEADLINE };
    device(by).signature(&binding.device_proof_message()).0.to_vec()
}

const REGISTER: Action = Action::Register { active: true };

fn registered(n: u8, by: u8) -> ChainEvent {
    let (proof, deadline) = (proof(n, REGISTER, (n, by), domain(), 0), DEADLINE);
    ChainEvent::DeviceRegistered {
        device: id(n),
        owner: owner(by),
        nonce: 0,
        deadline,
        proof,
        active: true,
        at: at(10),
    }
}

fn sale(to: u8, new_key: u8) -> Action {
    let voucher = Digest([0x55; 32]);
    Action::Transfer { new_owner: owner(to), new_key: typed(new_key), cut_over: CUT_OVER, voucher }
}

/// The device `n`, which signs with the key `from.1`, goes from its owner `from.0` to `to.0` with the key `to.1`.
fn transferred(n: u8, from: (u8, u8), to: (u8, u8), nonce: u64) -> ChainEvent {
    let action = sale(to.0, to.1);
    ChainEvent::DeviceTransferred {
        device: id(n).on_chain(),
        from: owner(from.0),
        to: owner(to.0),
        nonce,
        deadline: DEADLINE,
        proof: proof(from.1, action, (n, from.0), domain(), nonce),
        new_key: typed(to.1),
        new_key_proof: proof(to.1, action, (n, from.0), domain(), nonce),
        cut_over: CUT_OVER,
        voucher: Digest([0x55; 32]),
        at: at(20),
    }
}

fn rotation(new_key: u8) -> Action {
    Action::Rotate { new_key: typed(new_key), last_boot: 3, last_sequence: 77 }
}

/// The device `n` goes from the key `from` to the key `to`. The owner is no part of what is signed.
fn rotated(n: u8, from: u8, to: u8, nonce: u64) -> ChainEvent {
    let action = rotation(to);
    ChainEvent::KeyRotated {
        device: id(n).on_chain(),
        new_key: typed(to),
        last_boot: 3,
        last_sequence: 77,
        nonce,
        deadline: DEADLINE,
        old_proof: proof(from, action, (n, 0), domain(), nonce),
        new_proof: proof(to, action, (n, 0), domain(), nonce),
        at: at(30),
    }
}

/// The same by the owner's word instead of the old key's.
fn recovered(n: u8, to: u8, nonce: u64) -> ChainEvent {
    let mut event = rotated(n, to, to, nonce);
    if let ChainEvent::KeyRotated { old_proof, .. } = &mut event {
        old_proof.clear();
    }
    event
}

fn compromised(n: u8, key: u8, since: u64) -> ChainEvent {
    ChainEvent::KeyCompromised {
        device: id(n).on_chain(),
        key: typed(key).id(),
        since: at(since),
        at: at(40),
    }
}

fn suspended(n: u8, moment: u64) -> ChainEvent {
    ChainEvent::DeviceSuspended { device: id(n).on_chain(), at: at(moment) }
}

fn resumed(n: u8, moment: u64) -> ChainEvent {
    ChainEvent::DeviceResumed { device: id(n).on_chain(), at: at(moment) }
}

fn activated(n: u8) -> ChainEvent {
    ChainEvent::DeviceActivated { device: id(n).on_chain(), at: at(15) }
}

fn deactivated(n: u8) -> ChainEvent {
    ChainEvent::DeviceDeactivated { device: id(n).on_chain(), at: at(50) }
}

/// `event` with another proof in place of the one by the device's present key.
fn with_proof(mut event: ChainEvent, changed: Vec<u8>) -> ChainEvent {
    match &mut event {
        ChainEvent::DeviceRegistered { proof, .. }
        | ChainEvent::DeviceTransferred { proof, .. }
        | ChainEvent::KeyRotated { old_proof: proof, .. } => *proof = changed,
        _ => {}
    }
    event
}

fn with_new_proof(mut event: ChainEvent, changed: Vec<u8>) -> ChainEvent {
    match &mut event {
        ChainEvent::DeviceTransferred { new_key_proof: proof, .. }
        | ChainEvent::KeyRotated { new_proof: proof, .. } => *proof = changed,
        _ => {}
    }
    event
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

fn record(registry: &Registry, n: u8) -> &DeviceRecord {
    registry.device(&id(n)).unwrap()
}

#[test]
fn the_life_of_a_device() {
    let mut registry = fold(&[registered(1, 10)]);
    let mut expected = DeviceRecord::registered(id(1), owner(10), true, at(10));
    assert_eq!(record(&registry, 1), &expected);
    registry.apply(&rotated(1, 1, 101, 1)).unwrap();
    let key = |n, epoch| KeyEpoch {
        key: typed(n),
        epoch,
        since: at(10),
        from: Epoch(0),
        end: None,
        compromised: None,
    };
    let end = KeyEnd::Rotated { at: at(30), last_boot: 3, last_sequence: 77 };
    let first = KeyEpoch { end: Some(end), ..key(1, 0) };
    let second = KeyEpoch { since: at(30), ..key(101, 1) };
    expected.next_nonce = 2;
    expected.past = Some(Box::new(Past { keys: vec![first, second], ..Past::default() }));
    assert_eq!(record(&registry, 1), &expected);
    registry.apply(&transferred(1, (10, 101), (11, 102), 2)).unwrap();
    let second = KeyEpoch { end: Some(KeyEnd::Transferred { cut_over: CUT_OVER }), ..second };
    let third = KeyEpoch { since: at(20), from: CUT_OVER, ..key(102, 2) };
    let seller = Tenure { owner: owner(10), from: Epoch(0), at: at(10), voucher: None };
    let buyer = Tenure { owner: owner(11), from: CUT_OVER, at: at(20), voucher: Some(Digest([0x55; 32])) };
    let past = Past { keys: vec![first, second, third], owners: vec![seller, buyer], ..Past::default() };
    expected = DeviceRecord {
        owner: owner(11),
        ownership_epoch: 1,
        next_nonce: 3,
        past: Some(Box::new(past)),
        ..expected
    };
    assert_eq!(record(&registry, 1), &expected);
    assert_eq!(expected.owner_at(Epoch(8)), owner(10));
    assert_eq!(expected.owner_at(CUT_OVER), owner(11));
    registry.apply(&deactivated(1)).unwrap();
    expected.next_nonce = 4;
    expected.past.as_mut().unwrap().deactivated = Some(at(50));
    assert_eq!(record(&registry, 1), &expected);
    let gone = RegistryError::Deactivated { device: id(1) };
    for event in [
        deactivated(1),
        transferred(1, (11, 102), (10, 103), 4),
        rotated(1, 102, 103, 4),
        compromised(1, 102, 5),
        suspended(1, 60),
        resumed(1, 60),
        activated(1),
    ] {
        assert_eq!(refusal(&mut registry, &event), gone);
    }
    assert_eq!(refusal(&mut registry, &registered(1, 10)), RegistryError::Known { device: id(1) });
}

#[test]
fn a_device_is_found_by_id_digest_and_every_key_it_ever_had() {
    let registry = fold(&[registered(1, 10), registered(2, 10), rotated(1, 1, 101, 1)]);
    for (n, key, epoch) in [(1, 1, 0), (1, 101, 1), (2, 2, 0)] {
        let found = registry.by_key(&typed(key).id()).unwrap();
        assert_eq!((found.record.device, found.key, found.epoch), (id(n), device(key).public(), epoch));
        assert_eq!((found.key_epoch().key, found.key_epoch().epoch), (typed(key), epoch));
        assert_eq!(registry.on_chain(&id(n).on_chain()).unwrap().device, id(n));
        // The same key id, but not the same digest.
        let mut near = id(n).on_chain();
        near.0[31] ^= 1;
        assert_eq!(registry.on_chain(&near), None);
    }
    // A key is no device by having been rotated to.
    assert!(registry.device(&id(101)).is_none());
    assert!(registry.on_chain(&id(101).on_chain()).is_none());
    assert!(registry.by_key(&KeyId([0; 16])).is_none());
    assert!(registry.on_chain(&Digest([0; 32])).is_none());
}

#[test]
fn a_lying_registrar_binds_nothing_and_gives_no_key() {
    let mut registry = fold(&[registered(1, 10)]);
    let elsewhere = Domain { chain_id: 1, ..domain() };
    let to_11 = sale(11, 101);
    for (event, present, lies) in [
        (
            registered(2, 10),
            2,
            vec![
                vec![0; 64],
                proof(2, REGISTER, (2, 12), domain(), 0),
                proof(2, Action::Register { active: false }, (2, 10), domain(), 0),
                proof(2, REGISTER, (2, 10), elsewhere, 0),
                proof(2, Action::Deactivate, (2, 10), domain(), 0),
                proof(1, REGISTER, (2, 10), domain(), 0),
                Vec::new(),
            ],
        ),
        (
            transferred(1, (10, 1), (11, 101), 1),
            1,
            vec![
                vec![0; 64],
                proof(1, sale(12, 101), (1, 10), domain(), 1),
                proof(1, sale(11, 102), (1, 10), domain(), 1),
                proof(1, to_11, (1, 10), elsewhere, 1),
                proof(1, to_11, (1, 10), domain(), 2),
                proof(101, to_11, (1, 10), domain(), 1),
                Vec::new(),
            ],
        ),
        (
            rotated(1, 101, 102, 2),
            101,
            vec![
                vec![0; 64],
                // The key before, though it is the one it was born with.
                proof(1, rotation(102), (1, 0), domain(), 2),
                proof(102, rotation(102), (1, 0), domain(), 2),
                proof(101, rotation(103), (1, 0), domain(), 2),
                proof(101, rotation(102), (1, 0), domain(), 3),
            ],
        ),
    ] {
        for lie in lies {
            let error = refusal(&mut registry, &with_proof(event.clone(), lie));
            let expected = BindingError::Proof { by: "device's present key", key: typed(present) };
            assert_eq!(error, RegistryError::Binding(expected));
        }
        if present != 2 {
            let event = with_new_proof(event.clone(), proof(present, rotation(9), (1, 0), domain(), 1));
            let error = refusal(&mut registry, &event);
            assert!(
                matches!(error, RegistryError::Binding(BindingError::Proof { by: "device's new key", .. })),
                "{error}"
            );
        }
        registry.apply(&event).unwrap();
    }
}

#[test]
fn nonces_and_owners_follow_each_other() {
    let mut registry = fold(&[registered(1, 10), transferred(1, (10, 1), (11, 101), 1)]);
    let nonce = |found, expected| RegistryError::Nonce { found, expected };
    assert_eq!(refusal(&mut registry, &transferred(1, (10, 1), (11, 101), 1)), nonce(1, 2));
    assert_eq!(refusal(&mut registry, &rotated(1, 101, 102, 0)), nonce(0, 2));
    let not_owner = RegistryError::Owner { found: owner(10), expected: owner(11) };
    assert_eq!(refusal(&mut registry, &transferred(1, (10, 101), (12, 102), 2)), not_owner);
    let unknown = RegistryError::Unknown { device: id(2).on_chain() };
    for event in [
        transferred(2, (10, 2), (11, 102), 1),
        rotated(2, 2, 102, 1),
        deactivated(2),
        suspended(2, 5),
        compromised(2, 2, 5),
    ] {
        assert_eq!(refusal(&mut registry, &event), unknown);
    }
    let mut late = with_proof(registered(3, 10), proof(3, REGISTER, (3, 10), domain(), 1));
    if let ChainEvent::DeviceRegistered { nonce, .. } = &mut late {
        *nonce = 1;
    }
    assert_eq!(refusal(&mut registry, &late), nonce(1, 0));
    // Events without a nonce use one as well.
    for (event, next) in
        [(suspended(1, 60), 3), (resumed(1, 61), 4), (compromised(1, 1, 5), 5), (rotated(1, 101, 102, 5), 6)]
    {
        registry.apply(&event).unwrap();
        assert_eq!(record(&registry, 1).next_nonce, next);
    }
}

#[test]
fn after_a_refused_event_the_next_right_one_puts_the_record_in_order() {
    let mut registry = fold(&[registered(1, 10)]);
    refusal(&mut registry, &with_proof(transferred(1, (10, 1), (11, 101), 1), vec![0; 64]));
    assert_eq!(record(&registry, 1).owner, owner(10));
    registry.apply(&transferred(1, (11, 1), (12, 101), 2)).unwrap();
    assert_eq!((record(&registry, 1).owner, record(&registry, 1).next_nonce), (owner(12), 3));
    // A rotation that is refused here, its key declared compromised on the chain, and its owner's word for another one.
    refusal(&mut registry, &with_new_proof(rotated(1, 101, 102, 3), vec![0; 64]));
    let foreign = RegistryError::ForeignKey { device: id(1), key_id: typed(102).id() };
    assert_eq!(refusal(&mut registry, &compromised(1, 102, 5)), foreign);
    registry.apply(&recovered(1, 103, 5)).unwrap();
    assert_eq!(record(&registry, 1).present_key().key, typed(103));
}

#[test]
fn only_a_compromised_key_gives_way_to_its_owners_word_and_proves_nothing_itself() {
    let mut registry = fold(&[registered(1, 10)]);
    let sound = RegistryError::PresentKeySound { key_id: typed(1).id() };
    assert_eq!(refusal(&mut registry, &recovered(1, 101, 1)), sound);
    registry.apply(&compromised(1, 1, 35)).unwrap();
    let before = RegistryError::CompromisedBefore { key_id: typed(1).id(), since: at(35) };
    assert_eq!(refusal(&mut registry, &compromised(1, 1, 35)), before);
    registry.apply(&compromised(1, 1, 34)).unwrap();
    let worthless = RegistryError::PresentKeyCompromised { key_id: typed(1).id() };
    assert_eq!(refusal(&mut registry, &rotated(1, 1, 101, 3)), worthless);
    assert_eq!(refusal(&mut registry, &transferred(1, (10, 1), (11, 101), 3)), worthless);
    registry.apply(&recovered(1, 101, 3)).unwrap();
    let keys: Vec<_> = record(&registry, 1).keys().map(|key| (key.key, key.compromised)).collect();
    assert_eq!(keys, [(typed(1), Some(at(34))), (typed(101), None)]);
    assert_eq!(
        refusal(&mut registry, &recovered(1, 102, 4)),
        RegistryError::PresentKeySound { key_id: typed(101).id() }
    );
}

#[test]
fn a_key_once_used_stays_taken() {
    let mut registry = fold(&[registered(1, 10), registered(2, 10), rotated(1, 1, 101, 1)]);
    let taken = |key, holder| RegistryError::KeyIdTaken { key_id: typed(key).id(), holder: id(holder) };
    for (event, key, holder) in [
        (registered(101, 10), 101, 1),
        (rotated(1, 101, 1, 2), 1, 1),
        (rotated(1, 101, 101, 2), 101, 1),
        (rotated(1, 101, 2, 2), 2, 2),
        (transferred(2, (10, 2), (11, 1), 1), 1, 1),
    ] {
        assert_eq!(refusal(&mut registry, &event), taken(key, holder));
    }
    // Nor are there keys without end.
    let mut registry = fold(&[registered(1, 10)]);
    let (mut from, mut nonce) = (1, 1);
    while record(&registry, 1).keys().count() < DeviceRecord::MAX_KEYS {
        let to = 100 + u8::try_from(nonce).unwrap();
        registry.apply(&rotated(1, from, to, nonce)).unwrap();
        (from, nonce) = (to, nonce + 1);
    }
    let too_many = RegistryError::TooManyKeys { device: id(1) };
    assert_eq!(refusal(&mut registry, &rotated(1, from, 200, nonce)), too_many);
    assert_eq!(Registry::from_snapshot(&registry.to_snapshot()).unwrap(), registry);
}

#[test]
fn pauses_follow_each_other_and_the_oldest_are_forgotten() {
    let mut registry = fold(&[registered(1, 10)]);
    let status = |found, expected| RegistryError::Status { device: id(1), found, expected };
    let active = status(Status::Active, Status::Suspended);
    assert_eq!(refusal(&mut registry, &resumed(1, 5)), active);
    assert_eq!(refusal(&mut registry, &activated(1)), status(Status::Active, Status::Bound));
    let count = u64::try_from(DeviceRecord::MAX_PAUSES).unwrap() + 2;
    for n in 0..count {
        registry.apply(&suspended(1, 100 + 10 * n)).unwrap();
        let again = refusal(&mut registry, &suspended(1, 101 + 10 * n));
        assert_eq!(again, status(Status::Suspended, Status::Active));
        registry.apply(&resumed(1, 105 + 10 * n)).unwrap();
    }
    let record = record(&registry, 1);
    assert_eq!(record.pauses().len(), DeviceRecord::MAX_PAUSES);
    assert_eq!(record.past.as_ref().unwrap().forgotten, Some(at(115)));
    let status = |moment| record.standing(at(moment), Epoch(0)).unwrap().status;
    assert_eq!(
        [100, 114, 115, 120, 124, 125].map(status),
        [
            None,
            None,
            Some(Status::Active),
            Some(Status::Suspended),
            Some(Status::Suspended),
            Some(Status::Active)
        ]
    );
}

fn arrival(received: u64, epoch: u64, boot: u32, sequence: u64) -> Arrival {
    Arrival { received: at(received), epoch: Epoch(epoch), boot, sequence }
}

fn reason(registry: &Registry, key: u8, arrival: Arrival) -> &'static str {
    let found = registry.by_key(&typed(key).id()).unwrap();
    found.record.judge(&found.key_epoch(), arrival, GRACE).map_or_else(|error| error.reason(), |()| "")
}

#[test]
fn each_report_is_judged_by_receipt_time_numbers_and_epoch() {
    // Rotated at 30, sold from epoch 9 on, compromised since 900, suspended from 2000 to 3000, off at 5000.
    let mut registry = fold(&[registered(1, 10), rotated(1, 1, 101, 1)]);
    for event in [
        transferred(1, (10, 101), (11, 102), 2),
        compromised(1, 101, 900),
        suspended(1, 2_000),
        resumed(1, 3_000),
        ChainEvent::DeviceDeactivated { device: id(1).on_chain(), at: at(5_000) },
    ] {
        registry.apply(&event).unwrap();
    }
    for (key, received, epoch, (boot, sequence), expected) in [
        // Active, even where the chain's clock is ahead.
        (1, 9, 0, (0, 0), ""),
        // The rotated key, up to its last report and until its grace ends.
        (1, 1_030, 0, (3, 77), ""),
        (1, 1_030, 0, (2, u64::MAX), ""),
        (1, 1_031, 0, (3, 77), "rotated"),
        (1, 20, 0, (3, 78), "rotated"),
        (1, 20, 0, (4, 0), "rotated"),
        // The key that was sold and compromised.
        (101, 899, 8, (9, 9), ""),
        (101, 899, 9, (9, 9), "cut-over"),
        (101, 900, 8, (9, 9), "compromised"),
        // The buyer's key.
        (102, 1_999, 8, (0, 0), "cut-over"),
        (102, 1_999, 9, (0, 0), ""),
        (102, 2_000, 9, (0, 0), "suspended"),
        (102, 2_999, 9, (0, 0), "suspended"),
        (102, 3_000, 9, (0, 0), ""),
        (102, 4_999, 99, (0, 0), ""),
        (102, 5_000, 99, (0, 0), "deactivated"),
        (1, u64::MAX, 99, (0, 0), "deactivated"),
    ] {
        let found = reason(&registry, key, arrival(received, epoch, boot, sequence));
        assert_eq!(found, expected, "key {key} at {received} in epoch {epoch}: {boot}, {sequence}");
    }
}

#[test]
fn a_bound_device_does_not_count_whatever_the_time() {
    let bound = fold(&[registered_inactive(1, 10)]);
    for received in [0, 10, u64::MAX] {
        assert_eq!(reason(&bound, 1, arrival(received, 0, 0, 0)), "not-activated");
    }
}

#[test]
fn at_any_moment_one_knows_who_was_allowed_what() {
    let registry = fold(&[
        registered_inactive(1, 10),
        activated(1),
        rotated(1, 1, 101, 2),
        transferred(1, (10, 101), (11, 102), 3),
    ]);
    let known = record(&registry, 1);
    let standing = |moment, epoch| {
        known.standing(at(moment), Epoch(epoch)).map(|found| {
            (found.status.unwrap(), found.owner, found.ownership_epoch, found.key.map(|key| key.key))
        })
    };
    assert_eq!(standing(9, 0), None);
    assert_eq!(standing(14, 0), Some((Status::Bound, owner(10), 0, Some(typed(1)))));
    assert_eq!(standing(19, 0), Some((Status::Active, owner(10), 0, Some(typed(1)))));
    // Grants end with the sale, pay and key with its cut-over.
    assert_eq!(standing(30, 8), Some((Status::Active, owner(10), 1, Some(typed(101)))));
    assert_eq!(standing(30, 9), Some((Status::Active, owner(11), 1, Some(typed(102)))));
}

fn registered_inactive(n: u8, by: u8) -> ChainEvent {
    let action = Action::Register { active: false };
    let mut event = with_proof(registered(n, by), proof(n, action, (n, by), domain(), 0));
    if let ChainEvent::DeviceRegistered { active, .. } = &mut event {
        *active = false;
    }
    event
}

#[test]
fn no_sale_takes_effect_before_its_event_or_before_the_sale_before() {
    let mut registry = fold(&[registered(1, 10)]);
    registry.apply_in(Epoch(12), &transferred(1, (10, 1), (11, 101), 1)).unwrap();
    assert_eq!(record(&registry, 1).owner_at(Epoch(11)), owner(10));
    assert_eq!(record(&registry, 1).owner_at(Epoch(12)), owner(11));
    // The second sale names epoch 9 like the first.
    registry.apply_in(Epoch(5), &transferred(1, (11, 101), (12, 102), 2)).unwrap();
    assert_eq!(record(&registry, 1).owner_at(Epoch(11)), owner(10));
    assert_eq!(record(&registry, 1).owner_at(Epoch(12)), owner(12));
    assert_eq!(reason(&registry, 101, arrival(99, 12, 0, 0)), "cut-over");
    assert_eq!(reason(&registry, 102, arrival(99, 12, 0, 0)), "");
    assert_eq!(Registry::from_snapshot(&registry.to_snapshot()).unwrap(), registry);
}

#[test]
fn unfit_keys_never_register() {
    let mut registry = fold(&[registered(1, 10)]);
    let p256 = TypedKey::p256(&[4; 33]);
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut forged = vec![0; 64];
    forged[0] = 1;
    for (key, error) in
        [(p256, PublicKeyError::NotOnCurve), (TypedKey::ed25519(&identity), PublicKeyError::SmallOrder)]
    {
        let mut event = with_proof(registered(2, 10), forged.clone());
        if let ChainEvent::DeviceRegistered { device, .. } = &mut event {
            *device = DeviceId(key);
        }
        let unfit = RegistryError::Binding(BindingError::Key(error));
        assert_eq!(refusal(&mut registry, &event), unfit);
        let action = Action::Rotate { new_key: key, last_boot: 3, last_sequence: 77 };
        let mut event = with_proof(rotated(1, 1, 101, 1), proof(1, action, (1, 0), domain(), 1));
        if let ChainEvent::KeyRotated { new_key, .. } = &mut event {
            *new_key = key;
        }
        assert_eq!(refusal(&mut registry, &event), unfit);
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
    let p256 = SoftwareKey::from_secret(KeyType::P256, [9; 32]).unwrap();
    let binding = Binding {
        action: REGISTER,
        device: DeviceId(p256.public_key()),
        owner: owner(10),
        domain: domain(),
        nonce: 0,
        deadline: DEADLINE,
    };
    let hardware = ChainEvent::DeviceRegistered {
        device: binding.device,
        owner: owner(10),
        nonce: 0,
        deadline: DEADLINE,
        proof: p256.signature(&binding.device_proof_message()).0.to_vec(),
        active: true,
        at: at(10),
    };
    let sold = transferred(2, (10, 2), (11, 102), 1);
    let registry =
        fold(&[registered(1, 10), registered(2, 10), sold.clone(), hardware.clone(), deactivated(1)]);
    let bytes = registry.to_snapshot();
    let again = Registry::from_snapshot(&bytes).unwrap();
    assert_eq!(again, registry);
    assert_eq!(again.by_key(&p256.public_key().id()).unwrap().key, p256.public());
    // The order of events of different devices leaves no trace.
    let other = fold(&[hardware, registered(2, 10), registered(1, 10), deactivated(1), sold]);
    assert_eq!(other.to_snapshot(), bytes);
    assert_eq!(other, registry);
    let ids: Vec<DeviceId> = registry.devices().map(|record| record.device).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(ids, sorted);
    common::each_bit_flipped(&bytes, |bit, flipped| {
        assert!(matches!(Registry::from_snapshot(flipped), Err(SnapshotError::Damaged { .. })), "{bit}");
    });
    for end in 0..bytes.len() {
        assert!(Registry::from_snapshot(&bytes[..end]).is_err());
    }
}

/// With a right digest as well: whoever writes the file decides, but no file makes two of one device.
#[test]
fn a_snapshot_of_another_form_is_not_read() {
    let sealed = |mut body: Vec<u8>| {
        body.extend_from_slice(sha256(&[&body]).as_bytes());
        Registry::from_snapshot(&body)
    };
    let good = DeviceRecord::registered(id(1), owner(10), true, at(10));
    let (format, none) = ("depin/registry/v2", minicbor::bytes::ByteVec::from(Vec::new()));
    let one = minicbor::bytes::ByteVec::from(vec![1; 32]);
    sealed(cbor::to_vec(&(format, domain(), [good.clone()], none.clone()))).unwrap();
    let more = cbor::to_vec(&(format, domain(), [good.clone()], none.clone(), 7));
    assert!(matches!(sealed(more), Err(SnapshotError::Cbor(_))));
    let more = cbor::to_vec(&(format, domain(), [good.clone()], one));
    assert!(matches!(sealed(more), Err(SnapshotError::Cbor(_))));
    // The same records, in longer numbers or with something behind them.
    let body = cbor::to_vec(&(format, domain(), [good.clone()], none.clone()));
    let long = [&body[..20], &[0x1b, 0, 0, 0, 0], &body[21..]].concat();
    assert_eq!(body[18..21], [b'2', 0x82, 0x1a]);
    assert!(matches!(sealed(long), Err(SnapshotError::Cbor(_))));
    for more in [vec![0], vec![7; 31], body.clone()] {
        assert!(matches!(sealed([body.clone(), more].concat()), Err(SnapshotError::Cbor(_))));
    }
    let part = cbor::to_vec(&(format, domain(), [good.clone()], minicbor::bytes::ByteVec::from(vec![1; 31])));
    assert!(matches!(sealed(part), Err(SnapshotError::Cbor(_))));
    let twice = cbor::to_vec(&(format, domain(), [good.clone(), good.clone()], none.clone()));
    assert!(matches!(sealed(twice), Err(SnapshotError::Record { what: "out of order", .. })));
    let old = cbor::to_vec(&("depin/registry/v1", domain(), [good], none));
    assert!(matches!(sealed(old), Err(SnapshotError::Format { .. })));
    assert!(matches!(Registry::from_snapshot(&[0; 31]), Err(SnapshotError::Short)));
}

#[test]
fn impossible_records_are_not_read() {
    let registry = fold(&[
        registered(1, 10),
        rotated(1, 1, 101, 1),
        transferred(1, (10, 101), (11, 102), 2),
        suspended(1, 60),
        resumed(1, 70),
    ]);
    let good = record(&registry, 1).clone();
    let read = |record: DeviceRecord| Registry::from_records(domain(), vec![record]);
    assert_eq!(read(good.clone()).unwrap(), registry);
    type Change = fn(&mut DeviceRecord, &mut Past);
    let changes: [(&str, Change); 22] = [
        ("no nonce used", |record, _| record.next_nonce = 0),
        ("more sales than owners", |record, _| record.ownership_epoch = 2),
        ("another last owner", |record, _| record.owner = owner(12)),
        ("one owner alone", |_, past| past.owners.truncate(1)),
        ("no owners", |_, past| past.owners.clear()),
        ("a first owner later on", |_, past| past.owners[0].from = Epoch(1)),
        ("a first owner by a sale", |_, past| past.owners[0].voucher = past.owners[1].voucher),
        ("a sale without a voucher", |_, past| past.owners[1].voucher = None),
        ("an owner who was told of earlier", |_, past| past.owners[1].at = at(9)),
        ("one sound key alone", |_, past| {
            past.keys.truncate(1);
            past.keys[0].end = None;
        }),
        ("another first key", |_, past| past.keys[0].key = typed(9)),
        ("a first key later on", |_, past| past.keys[0].from = Epoch(1)),
        ("numbers that stand still", |_, past| past.keys[1].epoch = 0),
        ("numbers that jump", |_, past| past.keys[2].epoch = 3),
        ("a present key that ended", |_, past| past.keys[2].end = past.keys[1].end),
        ("two keys without an end", |_, past| past.keys[0].end = None),
        ("a key from another cut-over on", |_, past| past.keys[2].from = Epoch(8)),
        ("a rotation with a cut-over", |_, past| past.keys[1].from = Epoch(8)),
        ("a key twice", |_, past| past.keys[1].key = past.keys[0].key),
        ("a pause that ends before it begins", |_, past| past.pauses[0].until = Some(at(59))),
        ("pauses that overlap", |_, past| past.pauses.push(past.pauses[0])),
        ("a pause that never ended before another", |_, past| {
            past.pauses.insert(0, Pause { from: at(50), until: None });
        }),
    ];
    for (what, change) in changes {
        let (mut record, mut past) = (good.clone(), good.past.clone().unwrap());
        change(&mut record, &mut past);
        record.past = Some(past);
        let result = read(record);
        assert!(matches!(result, Err(SnapshotError::Record { .. })), "{what}: {result:?}");
    }
    let fresh = DeviceRecord::registered(id(1), owner(10), true, at(10));
    let empty = DeviceRecord { past: Some(Box::default()), ..fresh.clone() };
    assert!(matches!(read(empty), Err(SnapshotError::Record { .. })));
    let unfit = DeviceRecord { device: DeviceId(TypedKey::p256(&[4; 33])), ..fresh.clone() };
    assert!(matches!(read(unfit), Err(SnapshotError::Key(_))));
    // A key of one device cannot be the key of another, and devices ascend.
    let mut two = vec![good, DeviceRecord::registered(id(2), owner(10), true, at(10))];
    two.sort_by_key(|record| record.device);
    Registry::from_records(domain(), two.clone()).unwrap();
    for stranger in [typed(1), typed(2)] {
        let mut taken = two.clone();
        for record in taken.iter_mut().filter(|record| record.device.0 != stranger) {
            let mut keys: Vec<KeyEpoch> = record.keys().collect();
            let last = keys.last_mut().unwrap();
            last.end = Some(KeyEnd::Rotated { at: at(90), last_boot: 0, last_sequence: 0 });
            let next = KeyEpoch { key: stranger, epoch: last.epoch + 1, since: at(90), end: None, ..*last };
            keys.push(next);
            record.past.get_or_insert_default().keys = keys;
        }
        let result = Registry::from_records(domain(), taken);
        assert!(matches!(result, Err(SnapshotError::Record { what: "its key id is taken", .. })));
    }
    two.reverse();
    let result = Registry::from_records(domain(), two);
    assert!(matches!(result, Err(SnapshotError::Record { what: "out of order", .. })));
}

/// What the model of one device knows.
#[derive(Clone, Default)]
struct Model {
    owner: u8,
    keys: Vec<u8>,
    nonce: u64,
    status: Option<Status>,
    compromised: bool,
}

impl Model {
    fn key(&self) -> u8 {
        *self.keys.last().unwrap()
    }
}

/// Every change is visible at once, and only what the rules allow changes anything.
fn step(model: &mut Model, n: u8, action: u8, next: &mut u8) -> (ChainEvent, bool) {
    use Status::{Active, Bound, Deactivated, Suspended};
    let lives = !matches!(model.status, None | Some(Deactivated));
    let key = model.keys.last().copied().unwrap_or(n);
    let moment = 100 + model.nonce * 10;
    let changes = |model: &mut Model, status: Option<Status>| {
        model.nonce += 1;
        model.status = status.or(model.status);
    };
    match action {
        0 => {
            let allowed = model.status.is_none();
            if allowed {
                *model = Model { owner: 10, keys: vec![n], ..Model::default() };
                changes(model, Some(Active));
            }
            (registered(n, 10), allowed)
        }
        1 => {
            let allowed = model.status.is_none();
            if allowed {
                *model = Model { owner: 10, keys: vec![n], ..Model::default() };
                changes(model, Some(Bound));
            }
            (registered_inactive(n, 10), allowed)
        }
        2 | 3 => {
            *next += 1;
            let allowed = lives && !model.compromised;
            let event = if action == 2 {
                rotated(n, key, *next, model.nonce)
            } else {
                transferred(n, (model.owner, key), (model.owner + 1, *next), model.nonce)
            };
            if allowed {
                model.owner += action - 2;
                model.keys.push(*next);
                changes(model, None);
            }
            (event, allowed)
        }
        4 => {
            *next += 1;
            let event = recovered(n, *next, model.nonce);
            let allowed = lives && model.compromised;
            if allowed {
                model.keys.push(*next);
                model.compromised = false;
                changes(model, None);
            }
            (event, allowed)
        }
        5 => {
            let allowed = lives && !model.compromised;
            if allowed {
                model.compromised = true;
                changes(model, None);
            }
            (compromised(n, key, 50), allowed)
        }
        6 => {
            let allowed = model.status == Some(Active);
            if allowed {
                changes(model, Some(Suspended));
            }
            (suspended(n, moment), allowed)
        }
        7 => {
            let allowed = model.status == Some(Suspended);
            if allowed {
                changes(model, Some(Active));
            }
            (resumed(n, moment), allowed)
        }
        8 => {
            let allowed = model.status == Some(Bound);
            if allowed {
                changes(model, Some(Active));
            }
            (activated(n), allowed)
        }
        _ => {
            if lives {
                changes(model, Some(Deactivated));
            }
            (deactivated(n), lives)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_history_is_that_of_a_model_and_shows_at_once(steps in prop::collection::vec((1..4_u8, 0..24_u8), 0..40)) {
        let mut registry = Registry::new(domain());
        let mut models = vec![Model::default(); 4];
        let mut next = 50;
        for (n, action) in steps {
            // Rotations and the like twice as often as the end.
            let action = if action >= 10 { 2 + action % 7 } else { action };
            let before = registry.clone();
            let model = &mut models[usize::from(n)];
            let (event, allowed) = step(model, n, action, &mut next);
            let result = registry.apply(&event);
            prop_assert_eq!(result.is_ok(), allowed, "{:?}: {:?}", event, result);
            if !allowed {
                prop_assert_eq!(&registry, &before);
                continue;
            }
            let record = registry.device(&id(n)).unwrap();
            prop_assert_eq!(record.owner, owner(model.owner));
            prop_assert_eq!(record.next_nonce, model.nonce);
            prop_assert_eq!(record.status(), model.status.unwrap());
            prop_assert_eq!(record.present_key().key, typed(model.key()));
            prop_assert_eq!(record.keys().map(|key| key.key).collect::<Vec<_>>(), model.keys.iter().map(|key| typed(*key)).collect::<Vec<_>>());
            for key in &model.keys {
                prop_assert_eq!(registry.by_key(&typed(*key).id()).unwrap().record.device, id(n));
            }
            // A rotation or revocation is visible at once.
            let verdict = reason(&registry, model.key(), arrival(10_000, 99, 0, 0));
            prop_assert_eq!(verdict.is_empty(), model.status == Some(Status::Active) && !model.compromised);
            if let [.., last, _] = model.keys[..] {
                prop_assert_ne!(reason(&registry, last, arrival(10_000, 99, 0, 0)), "");
            }
        }
        for record in registry.devices() {
            prop_assert_eq!(&cbor::from_slice::<DeviceRecord>(&cbor::to_vec(record)).unwrap(), record);
            let json = serde_json::to_string(record).unwrap();
            prop_assert_eq!(&serde_json::from_str::<DeviceRecord>(&json).unwrap(), record);
        }
        let records: Vec<DeviceRecord> = registry.devices().cloned().collect();
        prop_assert_eq!(&Registry::from_records(domain(), records).unwrap(), &registry);
        prop_assert_eq!(Registry::from_snapshot(&registry.to_snapshot()).unwrap(), registry);
    }
}

/// Of what is folded one by one, lists with room to grow included.
#[test]
fn a_device_takes_at_most_250_bytes() {
    let count = 4096_u32;
    let keys = || (0..count).map(|n| SoftwareKey::from_seed(sha256(&[&n.to_be_bytes()]).0));
    let events: Vec<ChainEvent> = keys()
        .map(|key| {
            let (device, deadline) = (DeviceId(key.public_key()), DEADLINE);
            let binding =
                Binding { action: REGISTER, device, owner: owner(10), domain: domain(), nonce: 0, deadline };
            let proof = key.signature(&binding.device_proof_message()).0.to_vec();
            let owner = owner(10);
            ChainEvent::DeviceRegistered {
                device,
                owner,
                nonce: 0,
                deadline,
                proof,
                active: true,
                at: at(10),
            }
        })
        .collect();
    let mut registry = None;
    let counted = allocation_counter::measure(|| registry = Some(fold(&events)));
    assert_eq!(registry.unwrap().devices().len(), 4096);
    let each = counted.bytes_current / i64::from(count);
    assert!(each <= 250, "{each} bytes");
}
