//! What events do to a record, and which ones are refused.

use super::*;

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
        [(suspended(1, 60), 3), (resumed(1, 61), 4), (compromised(1, 101, 5), 5), (recovered(1, 102, 5), 6)]
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
    // What came when nobody knows any more whether the device was paused does not count.
    for (received, expected) in
        [(99, "pauses-forgotten"), (114, "pauses-forgotten"), (115, ""), (120, "suspended")]
    {
        assert_eq!(reason(&registry, 1, arrival(received, 0, 0, 0)), expected, "{received}");
    }
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
