//! Promises, kept and broken.

use super::*;

/// The same epoch closed from other entries, its head signed again by the node.
fn closed_from(world: &World, entries: Vec<Slot>) -> Bundle {
    let head = head_of(&world.state.frontier, &entries);
    let checkpoint = checkpoint(world.network.params(), &node_key(), head);
    let Closed { bundle, .. } =
        close(&world.network, EpochInput { entries, checkpoint, ..world.input() }).unwrap();
    audit(&bundle, &standard()).expect("the operator's bundle is consistent in itself");
    bundle
}

/// A cut epoch of one device, with the receipts for its set and its answer.
fn promised() -> (World, Vec<Receipt>) {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.at(10);
    let set = world.commit(&mut device);
    world.beacon();
    let answer = world.answer(&mut device);
    let receipts = vec![world.receipt(set), world.receipt(answer)];
    world.cut();
    (world, receipts)
}

fn signed_receipts(receipts: &[Receipt]) -> Vec<(String, Vec<u8>)> {
    let sign = |receipt: &Receipt| receipt.sign_with(&node_key(), params().network()).unwrap();
    receipts.iter().enumerate().map(|(at, receipt)| (format!("{at}.receipt"), sign(receipt))).collect()
}

#[test]
fn kept_promises_are_counted() {
    let (world, receipts) = promised();
    let bundle = closed_from(&world, world.slots.clone());
    let mut all = signed_receipts(&receipts);
    let elsewhere = Receipt { epoch: Epoch(3), ..receipts[0].clone() };
    all.extend(signed_receipts(&[elsewhere]));
    let found = audit_receipts(&bundle, &all).unwrap();
    assert_eq!((found.kept, found.other), (2, 1));
    assert_eq!(audit_receipts(&bundle, &[]).unwrap().kept, 0);
}

#[test]
fn a_dropped_report_is_proved_by_its_receipt() {
    let (world, receipts) = promised();
    let at = usize::try_from(receipts[1].index).unwrap();
    let mut entries = world.slots.clone();
    entries.remove(at);
    let bundle = closed_from(&world, entries);
    assert_eq!(bundle.result.paid, Amount::ZERO);
    let broken = audit_receipts(&bundle, &signed_receipts(&receipts)).unwrap_err();
    let BrokenPromise::Dropped { name, report, index, epoch } = broken else { panic!("{broken}") };
    assert_eq!(
        (name.as_str(), report, index, epoch),
        ("1.receipt", receipts[1].report, receipts[1].index, Epoch(0))
    );
    // So is one that counts in another epoch than was promised.
    let mut later = World::of(&wallet("customer"), &[&Device::new("a")], 1);
    later.cut();
    assert!(matches!(
        audit_receipts(&later.close().bundle, &signed_receipts(&receipts)),
        Err(BrokenPromise::Dropped { .. })
    ));
}

#[test]
fn a_backdated_report_is_proved_by_its_receipt() {
    let mut device = Device::new("friend");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    world.at(ANSWER + 5);
    let index = world.answer(&mut device);
    let receipt = world.receipt(index);
    world.cut();
    let mut entries = world.slots.clone();
    let Slot::Entry(Entry::Report { received, .. }) = &mut entries[usize::try_from(index).unwrap()] else {
        panic!()
    };
    received.0 -= 5;
    let bundle = closed_from(&world, entries);
    assert_eq!(bundle.result.paid, EARNED, "in time, it says");
    let broken = audit_receipts(&bundle, &signed_receipts(&[receipt])).unwrap_err();
    assert!(
        matches!(broken, BrokenPromise::Moved { index: promised, found_index, .. } if promised == found_index),
        "{broken}"
    );
}

#[test]
fn two_journals_are_proved_by_a_receipt() {
    let (world, receipts) = promised();
    let mut entries = world.slots.clone();
    let at = usize::try_from(receipts[0].index).unwrap();
    let Slot::Entry(Entry::Report { received, .. }) = &mut entries[at] else { panic!() };
    received.0 += 1;
    let bundle = closed_from(&world, entries);
    // The second report stands where it was promised to stand, in another journal.
    let broken = audit_receipts(&bundle, &signed_receipts(&receipts[1..])).unwrap_err();
    assert!(
        matches!(broken, BrokenPromise::Equivocation { size, .. } if size == receipts[1].head.size),
        "{broken}"
    );
}

#[test]
fn receipts_of_others_prove_nothing() {
    let (world, receipts) = promised();
    let bundle = closed_from(&world, world.slots.clone());
    let named = |bytes: Vec<u8>| audit_receipts(&bundle, &[("x".into(), bytes)]).unwrap_err();
    let elsewhere = depin_core::NetworkId::new(1, registry_address());
    let foreign = receipts[0].sign_with(&node_key(), elsewhere).unwrap();
    assert!(matches!(named(foreign), BrokenPromise::Unreadable { name, .. } if name == "x"));
    let stranger = SoftwareKey::from_seed([9; 32]);
    let other = receipts[0].sign_with(&stranger, params().network()).unwrap();
    assert!(matches!(named(other), BrokenPromise::Unreadable { .. }));
    let mut flipped = receipts[0].sign_with(&node_key(), params().network()).unwrap();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    assert!(matches!(named(flipped), BrokenPromise::Unreadable { .. }));
    assert!(matches!(named(Vec::new()), BrokenPromise::Unreadable { .. }));
}

#[test]
fn a_report_put_behind_another_is_proved_by_its_receipt() {
    let mut devices = [Device::new("a"), Device::new("b")];
    let mut world = World::of(&wallet("customer"), &devices.iter().collect::<Vec<_>>(), 1);
    let indexes = devices.each_mut().map(|device| world.commit(device));
    let receipts = indexes.map(|index| world.receipt(index));
    world.cut();
    let mut entries = world.slots.clone();
    let [one, other] = indexes.map(|index| usize::try_from(index).unwrap());
    // Both came at the same moment, so only their places differ.
    entries.swap(one, other);
    let bundle = closed_from(&world, entries);
    let broken = audit_receipts(&bundle, &signed_receipts(&receipts)).unwrap_err();
    assert!(matches!(broken, BrokenPromise::Moved { received, found, .. } if received == found), "{broken}");
}
