//! Who earns, and who tries to.

use super::*;

#[test]
fn an_honest_device_is_paid_its_share_of_what_was_spent() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(earned(&bundle, &device), EARNED);
    assert_eq!(paid_to(&bundle, device.owner.address()), EARNED);
    assert!(findings(&bundle, &device).iter().all(|finding| finding.result == CheckResult::Pass));
    let line = &section(&bundle, &device).lines[0];
    assert_eq!((line.units, line.spend), (u128::try_from(BYTES).unwrap() * 100, Amount(PRICE)));
    let result = bundle.result;
    assert_eq!((result.pool, result.paid, result.dust), (EARNED, EARNED, Amount::ZERO));
    assert_eq!((result.burned, result.minted, result.revenue), (Amount(500), Amount(450), Amount(500)));
    assert_eq!(world.state.totals, Totals { paid: EARNED, burned: Amount(500), minted: Amount(450) });
    assert_eq!(world.state.credits.get(wallet("customer").address()).spent, Amount(PRICE));
}

#[test]
fn the_claim_tree_pays_what_the_bundle_says() {
    let mut devices = [Device::new("a"), Device::new("b"), Device::new("c")];
    devices[2].owner = wallet("a");
    let mut world = World::of(&wallet("customer"), &devices.iter().collect::<Vec<_>>(), 1);
    let mut all: Vec<&mut Device> = devices.iter_mut().collect();
    for device in &mut all {
        world.commit(device);
    }
    world.beacon();
    for device in &mut all {
        world.answer(device);
    }
    world.cut();
    let closed = world.close();
    let claims = closed.claims.unwrap();
    assert_eq!(Digest(claims.root().0), closed.bundle.result.root);
    assert_eq!(claims.payouts(), closed.bundle.payouts());
    assert_eq!(claims.total(), Some(closed.bundle.result.paid));
    assert_eq!(closed.bundle.result.claims, 2, "one claim for each owner");
    assert_eq!(paid_to(&closed.bundle, wallet("a").address()), Amount(2 * EARNED.0));
}

#[test]
fn who_lost_data_and_hides_it_earns_nothing() {
    let mut device = Device::new("cheater");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    let answer = possession::guess(&world.challenge(&device), |piece| {
        let mut bytes = device.kept[piece].clone();
        let lost = bytes.len() - bytes.len() / 5;
        bytes[..lost].fill(0);
        Ok(std::io::Cursor::new(bytes))
    });
    let body = answer.unwrap().to_bytes();
    world.send(&mut device, ANSWER_KIND, body);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, CHECK, "wrong"));
    assert_eq!(bundle.result.paid, Amount::ZERO);
    assert_eq!(bundle.result.root, Digest::default(), "nobody is paid, so there is no root");
    assert_eq!(
        world.state.credits.get(wallet("customer").address()).spent,
        Amount::ZERO,
        "nor is anybody charged"
    );
}

#[test]
fn declared_loss_costs_only_that_data() {
    let mut device = Device::new("a");
    let first = device.set.clone();
    let second = device.keep(&[7; BYTES]);
    let mut world = World::new();
    let customer = wallet("customer");
    world.pay(customer.address(), 10 * PRICE);
    world.chain(device.registration());
    let deal = Deal { subject: first.digest(), ..terms(&customer, &device, 0, 2) };
    world.deal(signed(&customer, deal, &first));
    let other = PieceSet::new([second]).unwrap();
    let deal = Deal { subject: other.digest(), ..terms(&customer, &device, 0, 2) };
    world.deal(signed(&customer, deal, &other));
    world.open();
    assert_eq!(earned(&world.honest(&mut [&mut device]), &device), EARNED);
    // Half of full delivery each: the terms name both pieces' bytes. Now one is lost.
    device.kept.remove(&second);
    device.set = first;
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(earned(&bundle, &device), Amount(EARNED.0 / 2));
    assert!(found(&bundle, &device, "possession.pieces", "loss-declared"));
}

#[test]
fn last_epochs_proof_earns_nothing() {
    let mut device = Device::new("cheater");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.commit(&mut device);
    world.beacon();
    let old = world.proof(&device).to_bytes();
    world.send(&mut device, ANSWER_KIND, old.clone());
    world.end();
    world.open();
    world.beacon();
    world.send(&mut device, ANSWER_KIND, old);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, CHECK, "replayed"));
}

#[test]
fn a_copied_key_earns_nothing_and_the_victim_is_paid() {
    let mut victim = Device::new("victim");
    let mut clone = Device { owner: wallet("thief"), ..victim.clone() };
    let mut world = World::of(&wallet("customer"), &[&victim], 1);
    world.chain(clone.registration());
    world.commit(&mut victim);
    world.beacon();
    clone.sequence = 1;
    let made_up = made_up(&clone, 0).to_bytes();
    world.send(&mut clone, ANSWER_KIND, made_up);
    world.answer(&mut victim);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &victim), EARNED);
    assert_eq!(paid_to(&bundle, victim.owner.address()), EARNED);
    assert_eq!(paid_to(&bundle, clone.owner.address()), Amount::ZERO);
    assert!(found(&bundle, &victim, "device.key-reuse", "key-reuse"));
    assert_eq!(section(&bundle, &victim).record.as_ref().unwrap().owner, victim.owner.address());
}

#[test]
fn being_up_is_not_work() {
    let mut device = Device::new("cheater");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.beacon();
    world.send(&mut device, "storage.telemetry", vec![1]);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, "possession.work", "uptime-is-not-work"));
}

#[test]
fn who_pays_itself_ends_poorer() {
    let mut device = Device::new("dealer");
    let itself = device.owner.clone();
    let mut world = World::of(&itself, &[&device], 1);
    let bundle = world.honest(&mut [&mut device]);
    let back = paid_to(&bundle, itself.address());
    assert_eq!(back, EARNED);
    assert!(back < Amount(PRICE));
    // It cannot get the rest back by stopping to deal either: what is left of its payment was burned.
    assert_eq!(world.state.credits.get(itself.address()).available(&params().demand), Amount::ZERO);
}
