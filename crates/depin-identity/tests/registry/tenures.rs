//! What a buyer cannot do to a seller, and a thief not to an owner.

use super::*;

fn former(key: u8) -> RegistryError {
    RegistryError::KeyOfFormerOwner { device: id(1), key_id: typed(key).id() }
}

fn said_of(registry: &Registry, key: u8) -> Option<Timestamp> {
    record(registry, 1).key(&typed(key).id()).unwrap().compromised
}

#[test]
fn a_buyer_declares_no_key_of_the_seller_compromised() {
    let mut registry =
        fold(&[registered(1, 10), rotated(1, 1, 101, 1), transferred(1, (10, 101), (11, 102), 2)]);
    for key in [1, 101] {
        assert_eq!(refusal(&mut registry, &compromised(1, key, 5)), former(key));
    }
    // Before the cut-over, and after it.
    assert_eq!(reason(&registry, 101, arrival(25, 8, 0, 0)), "");
    registry.apply_in(Epoch(20), &rotated(1, 102, 103, 3)).unwrap();
    for key in [1, 101] {
        assert_eq!(refusal(&mut registry, &compromised(1, key, 5)), former(key));
    }
    assert_eq!(reason(&registry, 101, arrival(25, 8, 0, 0)), "");
}

#[test]
fn a_buyer_declares_the_keys_of_its_own_time_also_before_the_cut_over() {
    let mut registry = fold(&[registered(1, 10), transferred(1, (10, 1), (11, 101), 1)]);
    assert_eq!(record(&registry, 1).present_key().from, CUT_OVER);
    registry.apply(&compromised(1, 101, 50)).unwrap();
    registry.apply(&recovered(1, 102, 3)).unwrap();
    registry.apply(&rotated(1, 102, 103, 4)).unwrap();
    registry.apply(&compromised(1, 102, 40)).unwrap();
    registry.apply(&compromised(1, 101, 30)).unwrap();
    let said = [1, 101, 102, 103].map(|key| said_of(&registry, key));
    assert_eq!(said, [None, Some(at(30)), Some(at(40)), None]);
    assert_eq!(refusal(&mut registry, &compromised(1, 1, 5)), former(1));
    assert_eq!(Registry::from_snapshot(&registry.to_snapshot()).unwrap(), registry);
}

#[test]
fn what_the_seller_declared_stays_as_it_was() {
    let mut registry = fold(&[
        registered(1, 10),
        compromised(1, 1, 35),
        recovered(1, 101, 2),
        transferred(1, (10, 101), (11, 102), 3),
    ]);
    for since in [0, 34, 35, 36] {
        assert_eq!(refusal(&mut registry, &compromised(1, 1, since)), former(1));
    }
    assert_eq!(said_of(&registry, 1), Some(at(35)));
    assert_eq!(reason(&registry, 1, arrival(35, 0, 0, 0)), "compromised");
    assert_eq!(reason(&registry, 1, arrival(34, 0, 0, 0)), "");
}

#[test]
fn who_bought_the_device_back_has_no_hold_on_its_keys_of_before() {
    let mut registry = fold(&[
        registered(1, 10),
        transferred(1, (10, 1), (11, 101), 1),
        transferred(1, (11, 101), (10, 102), 2),
    ]);
    for key in [1, 101] {
        assert_eq!(refusal(&mut registry, &compromised(1, key, 5)), former(key));
    }
    registry.apply(&compromised(1, 102, 5)).unwrap();
}

#[test]
fn what_the_contract_allows_after_a_gap_is_allowed() {
    // A sale is refused here for a lying registrar, and the present owner, whom the chain knows, sells to another.
    let mut registry = fold(&[registered(1, 10)]);
    refusal(&mut registry, &with_new_proof(transferred(1, (10, 1), (11, 101), 1), vec![0; 64]));
    registry.apply(&transferred(1, (11, 1), (12, 102), 2)).unwrap();
    assert_eq!(refusal(&mut registry, &compromised(1, 1, 5)), former(1));
    registry.apply(&compromised(1, 102, 5)).unwrap();
}

/// Rotates the device 1 until it may not any more. Gives the number of its present key and the next nonce.
fn rotated_until_refused(registry: &mut Registry) -> (u8, u64) {
    let (mut key, mut nonce) = (1, 1);
    loop {
        let next = if key == 1 { 101 } else { key + 1 };
        let event = rotated(1, key, next, nonce);
        match registry.apply(&event) {
            Ok(()) => (key, nonce) = (next, nonce + 1),
            Err(error) => {
                assert_eq!(error, RegistryError::KeysKeptForOwner { device: id(1) });
                return (key, nonce);
            }
        }
    }
}

#[test]
fn a_thief_who_rotates_leaves_the_owner_keys_to_recover_the_device_with() {
    let mut registry = fold(&[registered(1, 10)]);
    let (mut key, mut nonce) = rotated_until_refused(&mut registry);
    assert_eq!(record(&registry, 1).keys().count(), 56);
    for kept in 0..DeviceRecord::KEPT_FOR_OWNER {
        registry.apply(&compromised(1, key, 5)).unwrap();
        registry.apply(&recovered(1, key + 1, nonce + 1)).unwrap();
        (key, nonce) = (key + 1, nonce + 2);
        assert_eq!(record(&registry, 1).keys().count(), 57 + kept);
        let spent = RegistryError::KeysKeptForOwner { device: id(1) };
        assert_eq!(refusal(&mut registry, &rotated(1, key, key + 1, nonce)), spent);
    }
    assert_eq!(record(&registry, 1).keys().count(), DeviceRecord::MAX_KEYS);
    registry.apply(&compromised(1, key, 5)).unwrap();
    let too_many = RegistryError::TooManyKeys { device: id(1) };
    assert_eq!(refusal(&mut registry, &recovered(1, key + 1, nonce + 1)), too_many);
    assert_eq!(Registry::from_snapshot(&registry.to_snapshot()).unwrap(), registry);
}

#[test]
fn a_device_that_may_rotate_no_more_is_sold_until_its_keys_are_used_up() {
    let mut registry = fold(&[registered(1, 10)]);
    let (mut key, mut nonce) = rotated_until_refused(&mut registry);
    let mut seller = 10;
    while record(&registry, 1).keys().count() < DeviceRecord::MAX_KEYS {
        registry.apply(&transferred(1, (seller, key), (seller + 1, key + 1), nonce)).unwrap();
        (seller, key, nonce) = (seller + 1, key + 1, nonce + 1);
        let spent = RegistryError::KeysKeptForOwner { device: id(1) };
        assert_eq!(refusal(&mut registry, &rotated(1, key, key + 1, nonce)), spent);
    }
    assert_eq!(record(&registry, 1).ownership_epoch, 8);
    let too_many = RegistryError::TooManyKeys { device: id(1) };
    let sale = transferred(1, (seller, key), (seller + 1, key + 1), nonce);
    assert_eq!(refusal(&mut registry, &sale), too_many);
}
