//! What the chain says of a device.

use super::*;

#[test]
fn a_device_switched_off_in_the_epoch_is_not_paid() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.commit(&mut device);
    world.beacon();
    world.answer(&mut device);
    world.chain(ChainEvent::DeviceDeactivated { device: device.id().on_chain(), at: Timestamp::default() });
    world.answer(&mut device);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert_eq!(bundle.result.pool, Amount::ZERO);
    assert!(found(&bundle, &device, "report", "deactivated"));
    assert!(!section(&bundle, &device).record.as_ref().unwrap().active);
}

#[test]
fn the_owner_at_the_cut_is_paid() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    world.answer(&mut device);
    let buyer = wallet("buyer").address();
    world.chain(device.transfer(buyer, 1));
    let bundle = world.end();
    assert_eq!(paid_to(&bundle, buyer), EARNED);
    assert_eq!(paid_to(&bundle, device.owner.address()), Amount::ZERO);
}

#[test]
fn a_transfer_the_device_did_not_sign_changes_nothing() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    let mut event = device.transfer(wallet("thief").address(), 1);
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
