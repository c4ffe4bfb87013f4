//! Where a bundle begins.

use super::*;

#[test]
fn the_first_epoch_starts_from_nothing() {
    let mut world = World::new();
    let customer = wallet("customer").address();
    let event = ChainEvent::CreditsPaid { customer, amount: Amount(1_000_000), burned: Amount(500_000) };
    // Credit that nobody paid for, from before there was anything.
    world.state.credits.apply(&event).unwrap();
    let mut device = Device::new("a");
    world.chain(device.registration());
    world.deal(signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 1), &device.set));
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(bundle.result.paid, EARNED);
    names(&audit(&bundle, &standard()).unwrap_err().to_string(), "header.state_before");
    // Naming a predecessor does not help: there is none of an epoch 0.
    let mut world = World::new();
    world.previous = Some(Digest([1; 32]));
    world.open();
    let bundle = world.end();
    names(&audit(&bundle, &standard()).unwrap_err().to_string(), "header.previous");
}

#[test]
fn a_later_epoch_names_its_predecessor() {
    let (world, _) = scene();
    let [first, second] = world.bundles.as_slice() else { panic!() };
    names(&refusal(second, |forged| forged.header.previous = None), "header.previous");
    assert!(audit_succession(first, second).is_ok());
    names(&audit_succession(second, first).unwrap_err().to_string(), "header.epoch");
}

#[test]
fn a_bundle_that_starts_from_another_state_does_not_follow() {
    // Everything in it is recomputed consistently, head and all, by the node itself: only the predecessor shows it.
    let (world, second) = scene();
    let first = &world.bundles[0];
    let event = ChainEvent::CreditsPaid {
        customer: wallet("customer").address(),
        amount: Amount(1_000_000),
        burned: Amount(500_000),
    };
    let mut richer = World::new();
    richer.epoch = Epoch(1);
    richer.previous = Some(first.digest());
    richer.state.frontier = second.header.journal_before.clone();
    richer.state.credits.apply(&event).unwrap();
    richer.open();
    let forged = richer.end();
    assert!(audit(&forged, &standard()).is_ok());
    let error = audit_succession(first, &forged).unwrap_err().to_string();
    names(&error, "header.state_before");
    let change = |change: fn(&mut Bundle)| {
        let mut forged = second.clone();
        change(&mut forged);
        audit_succession(first, &forged).unwrap_err().to_string()
    };
    names(&change(|forged| forged.header.previous = Some(Digest([1; 32]))), "header.previous");
    names(&change(|forged| forged.header.epoch = Epoch(7)), "header.epoch");
    names(&change(|forged| forged.header.params.version += 1), "header.params.version");
    names(&change(|forged| forged.header.journal_before = Default::default()), "header.journal_before");
}
