//! What the chain says of a device.

use depin_identity::SoftwareKey;

use super::*;

fn next_key(seed: u8) -> SoftwareKey {
    SoftwareKey::from_seed([seed; 32])
}

#[test]
fn a_device_switched_off_in_the_epoch_is_not_paid() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.commit(&mut device);
    world.beacon();
    world.answer(&mut device);
    world.chain(ChainEvent::DeviceDeactivated { device: device.id().on_chain(), at: world.now });
    world.answer(&mut device);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert_eq!(bundle.result.pool, Amount::ZERO);
    assert!(found(&bundle, &device, "report", "deactivated"));
    assert!(section(&bundle, &device).record.as_ref().unwrap().deactivated().is_some());
}

#[test]
fn a_sale_pays_old_and_new_owner_from_its_cut_over_on() {
    let mut device = Device::new("a");
    let (seller, buyer) = (device.owner.address(), wallet("buyer"));
    let mut world = World::of(&wallet("customer"), &[&device], 3);
    let key = next_key(8);
    world.chain(device.sale(&buyer, &key, Epoch(2), 1));
    let mut sold = Device { owner: buyer.clone(), key, ..device.clone() };
    // The key of the next owner does not count yet.
    world.commit(&mut sold);
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!((paid_to(&bundle, seller), paid_to(&bundle, buyer.address())), (EARNED, Amount::ZERO));
    assert!(found(&bundle, &device, "report", "cut-over"));
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!((paid_to(&bundle, seller), paid_to(&bundle, buyer.address())), (EARNED, Amount::ZERO));
    assert!(!found(&bundle, &device, "report", "cut-over"));
    world.open();
    // And from then on the key of the owner before does not any more.
    world.commit(&mut device);
    let bundle = world.honest(&mut [&mut sold]);
    assert_eq!((paid_to(&bundle, seller), paid_to(&bundle, buyer.address())), (Amount::ZERO, EARNED));
    assert!(found(&bundle, &device, "report", "cut-over"));
    let record = world.state.registry.device(&device.id()).unwrap();
    let owners = [0, 1, 2, 3].map(|epoch| record.owner_at(Epoch(epoch)));
    assert_eq!(owners, [seller, seller, buyer.address(), buyer.address()]);
}

#[test]
fn no_sale_reaches_back_before_the_epoch_in_which_it_becomes_known() {
    let mut device = Device::new("a");
    let (seller, buyer) = (device.owner.address(), wallet("buyer"));
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.honest(&mut [&mut device]);
    world.open();
    let key = next_key(8);
    world.chain(device.transfer(&buyer, &key, 1));
    device.key = key;
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(paid_to(&bundle, buyer.address()), EARNED);
    let record = world.state.registry.device(&device.id()).unwrap();
    assert_eq!([0, 1].map(|epoch| record.owner_at(Epoch(epoch))), [seller, buyer.address()]);
}

#[test]
fn after_a_rotation_the_old_key_counts_up_to_its_last_report_and_within_the_grace() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    let key = next_key(8);
    world.chain(device.rotation(&key, (0, 1), 1, world.now));
    // On its way when the key changed.
    world.at(COMMIT + GRACE);
    world.answer(&mut device);
    let mut renewed = Device { key, sequence: 0, boot: 1, ..device.clone() };
    let bundle_of = |mut world: World| world.end();
    let bundle = bundle_of(world.clone());
    assert_eq!(earned(&bundle, &device), EARNED);
    assert!(findings(&bundle, &device).iter().all(|finding| finding.reason.as_str() != "rotated"));
    // One report more than it said.
    let mut one_more = world.clone();
    one_more.send(&mut device.clone(), ANSWER_KIND, vec![0]);
    let bundle = bundle_of(one_more);
    assert!(found(&bundle, &device, "report", "rotated"));
    assert_eq!(earned(&bundle, &device), EARNED);
    // The new key counts at once, with numbers of its own.
    world.slots.pop();
    world.answer(&mut renewed);
    assert_eq!(earned(&bundle_of(world.clone()), &device), EARNED);
    // The same report of the old key, but after the grace.
    world.slots.pop();
    world.at(COMMIT + GRACE + 1);
    device.sequence -= 1;
    world.answer(&mut device);
    let bundle = bundle_of(world);
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, "report", "rotated"));
}

#[test]
fn what_was_seen_of_a_key_is_forgotten_once_the_key_is_over() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 3);
    let old = device.clone();
    world.commit(&mut device);
    let key = next_key(8);
    world.chain(device.rotation(&key, (0, 0), 1, world.now));
    device.key = key;
    world.beacon();
    world.answer(&mut device);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), EARNED);
    let marks = &world.state.device(&device.id()).marks;
    assert_eq!(marks.iter().map(|known| known.key).collect::<Vec<_>>(), [device.key.public().id()]);
    // And its reports do not come back by that.
    world.open();
    world.commit(&mut old.clone());
    let bundle = world.honest(&mut [&mut device]);
    assert!(found(&bundle, &device, "report", "rotated"));
}

#[test]
fn a_compromise_that_becomes_known_late_strikes_what_came_since() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    world.answer(&mut device);
    let answered = world.now.0;
    world.at(ANSWER);
    let told = |since: u64| {
        let mut world = world.clone();
        let (device_id, key) = (device.id().on_chain(), device.key.public().id());
        let event =
            ChainEvent::KeyCompromised { device: device_id, key, since: Timestamp(since), at: world.now };
        world.chain(event);
        world.end()
    };
    let bundle = told(answered + 1);
    assert_eq!(earned(&bundle, &device), EARNED);
    assert!(!found(&bundle, &device, "report", "compromised"));
    for since in [answered, GENESIS + 1] {
        let bundle = told(since);
        assert_eq!(earned(&bundle, &device), Amount::ZERO);
        assert!(found(&bundle, &device, "report", "compromised"));
        // The report stays for all to see.
        assert_eq!(section(&bundle, &device).entries.len(), 5);
    }
    // From the beginning: the commitment is struck as well.
    let reasons = |bundle: &Bundle| {
        findings(bundle, &device).iter().filter(|it| it.reason.as_str() == "compromised").count()
    };
    assert_eq!((reasons(&told(answered)), reasons(&told(GENESIS))), (1, 2));
}

#[test]
fn what_came_inside_a_suspension_does_not_count_whenever_it_becomes_known() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    let (device_id, suspended) = (device.id().on_chain(), world.now);
    let mut inside = world.clone();
    inside.answer(&mut device.clone());
    inside.chain(ChainEvent::DeviceSuspended { device: device_id, at: suspended });
    let bundle = inside.clone().end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, "report", "suspended"));
    // Resumed, and answered again.
    inside.at(COMMIT + 10_000);
    inside.chain(ChainEvent::DeviceResumed { device: device_id, at: inside.now });
    device.sequence += 1;
    inside.answer(&mut device.clone());
    let bundle = inside.end();
    assert_eq!(earned(&bundle, &device), EARNED);
    assert!(found(&bundle, &device, "report", "suspended"));
    // Suspended after it had answered.
    world.answer(&mut device);
    world.at(ANSWER);
    world.chain(ChainEvent::DeviceSuspended { device: device_id, at: world.now });
    world.send(&mut device, ANSWER_KIND, vec![0]);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), EARNED);
    assert!(found(&bundle, &device, "report", "suspended"));
}

#[test]
fn a_device_that_is_only_bound_counts_from_its_activation_on() {
    let mut device = Device::new("a");
    let customer = wallet("customer");
    let mut world = World::new();
    world.pay(customer.address(), PRICE);
    world.chain(device.registration_of(false));
    world.deal(signed(&customer, terms(&customer, &device, 0, 1), &device.set));
    world.open();
    world.commit(&mut device);
    let bound = world.clone();
    world.at(1);
    world.chain(ChainEvent::DeviceActivated { device: device.id().on_chain(), at: world.now });
    let bundle = world.honest(&mut [&mut device.clone()]);
    assert_eq!(earned(&bundle, &device), EARNED);
    assert!(found(&bundle, &device, "report", "not-activated"));
    let bundle = { bound }.honest(&mut [&mut device]);
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, "report", "not-activated"));
}

#[test]
fn a_transfer_the_device_did_not_sign_changes_nothing() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    let mut event = device.transfer(&wallet("thief"), &next_key(8), 1);
    let ChainEvent::DeviceTransferred { proof, .. } = &mut event else { panic!() };
    proof[0] ^= 1;
    world.chain(event);
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(paid_to(&bundle, device.owner.address()), EARNED);
}

#[test]
fn a_registrar_without_the_devices_proof_registers_nobody() {
    let mut device = Device::new("a");
    let thief = wallet("thief").address();
    let mut world = World::new();
    world.pay(wallet("customer").address(), PRICE);
    let mut event = device.registration();
    let ChainEvent::DeviceRegistered { owner, .. } = &mut event else { panic!() };
    // The device signed for its owner; the registrar writes another.
    *owner = thief;
    world.chain(event);
    world.deal(signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 1), &device.set));
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(bundle.result.pool, Amount::ZERO);
    assert!(world.state.registry.device(&device.id()).is_none());
    assert!(
        bundle.ledger.entries.iter().any(|indexed| matches!(&indexed.entry, Entry::Chain { located } if matches!(located.event, ChainEvent::DeviceRegistered { .. }))),
        "it stays for all to see"
    );
}
