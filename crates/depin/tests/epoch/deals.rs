//! Which deals pay, for how long, and how much.

use super::*;

#[test]
fn a_service_that_nobody_judges_is_neither_paid_nor_blamed() {
    let (bundle, device) = with_deal(|_, device| {
        let deal = Deal { service: "routing".into(), ..terms(&wallet("customer"), device, 0, 1) };
        signed(&wallet("customer"), deal, &device.set)
    });
    let verdicts = &section(&bundle, &device).verdicts;
    let of_routing = verdicts.iter().find(|verdict| verdict.verifier == "none").unwrap();
    assert_eq!(of_routing.outcome, Outcome::Inconclusive);
    assert_eq!(bundle.result.pool, Amount::ZERO);
}

#[test]
fn caps_of_a_later_epoch_wait_for_it() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.chain(ChainEvent::EpochStarted { epoch: Epoch(1), mint_cap: Amount(7), revenue_cap: Amount(500) });
    world.honest(&mut [&mut device]);
    assert_eq!(world.state.caps.keys().collect::<Vec<_>>(), [&Epoch(1)], "those of a closed epoch are gone");
    world.at(0);
    let opened = world.opened();
    world.push(opened);
    let result = world.honest(&mut [&mut device]).result;
    assert_eq!((result.minted, result.revenue), (Amount(7), Amount(500)));
}

#[test]
fn deals_of_one_device_stand_in_the_order_of_their_ids() {
    let mut device = Device::new("a");
    let mut world = World::new();
    world.pay(wallet("customer").address(), 100 * PRICE);
    world.chain(device.registration());
    for nonce in 0..6 {
        let deal = Deal { nonce, ..terms(&wallet("customer"), &device, 0, 2) };
        world.deal(signed(&wallet("customer"), deal, &device.set));
    }
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(earned(&bundle, &device), Amount(6 * EARNED.0));
    let ids: Vec<Digest> =
        world.state.device(&device.id()).deals.iter().map(|deal| deal.signed.deal.id()).collect();
    assert!(ids.is_sorted() && ids.len() == 6);
    assert!(section(&bundle, &device).lines.iter().map(|line| line.deal).is_sorted());
}

/// What an epoch pays under `deal` instead of the right one, and what is found.
fn with_deal(change: impl FnOnce(&mut World, &Device) -> depin_core::SignedDeal) -> (Bundle, Device) {
    let mut device = Device::new("a");
    let mut world = World::new();
    world.pay(wallet("customer").address(), 10 * PRICE);
    world.chain(device.registration());
    let deal = change(&mut world, &device);
    world.deal(deal);
    world.open();
    (world.honest(&mut [&mut device]), device)
}

#[test]
fn a_deal_that_does_not_hold_pays_nothing() {
    let refused = |what: &str, change: fn(&mut World, &Device) -> depin_core::SignedDeal| {
        let (bundle, device) = with_deal(change);
        let finding = *findings(&bundle, &device).iter().find(|finding| finding.check == "deal").unwrap();
        assert_eq!((finding.reason.as_str(), finding.side), ("refused", Side::Customer));
        assert!(finding.observed.contains(what), "{}", finding.observed);
        assert_eq!(bundle.result.pool, Amount::ZERO);
        assert!(section(&bundle, &device).lines.is_empty());
    };
    refused("signed the deal, and its customer is", |_, device| {
        signed(&wallet("stranger"), terms(&wallet("customer"), device, 0, 1), &device.set)
    });
    refused("belongs to network", |_, device| {
        let network = depin_core::NetworkId::new(1, registry_address());
        let deal = Deal { network, ..terms(&wallet("customer"), device, 0, 1) };
        signed(&wallet("customer"), deal, &device.set)
    });
    refused("watt-hours", |_, device| {
        let mut deal = terms(&wallet("customer"), device, 0, 1);
        deal.full.kind = "watt-hours".into();
        signed(&wallet("customer"), deal, &device.set)
    });
    refused("pays 0", |_, device| {
        let deal = Deal { price: Amount::ZERO, ..terms(&wallet("customer"), device, 0, 1) };
        signed(&wallet("customer"), deal, &device.set)
    });
    refused("subject hashes to", |_, device| {
        let deal = terms(&wallet("customer"), device, 0, 1);
        depin_core::SignedDeal { subject: vec![0x80], ..signed(&wallet("customer"), deal, &device.set) }
    });
}

#[test]
fn a_deal_offered_twice_pays_once() {
    let (bundle, device) = with_deal(|world, device| {
        let deal = signed(&wallet("customer"), terms(&wallet("customer"), device, 0, 1), &device.set);
        world.deal(deal.clone());
        deal
    });
    assert_eq!(earned(&bundle, &device), EARNED);
    assert_eq!(section(&bundle, &device).lines.len(), 1);
    assert!(found(&bundle, &device, "deal", "refused"));
}

#[test]
fn a_deal_with_a_device_that_is_not_registered_is_refused() {
    let device = Device::new("a");
    let mut world = World::new();
    world.pay(wallet("customer").address(), PRICE);
    world.deal(signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 1), &device.set));
    world.chain(device.registration());
    world.open();
    let bundle = world.honest(&mut [&mut device.clone()]);
    assert_eq!(bundle.result.pool, Amount::ZERO);
    assert!(section(&bundle, &device).before.deals.is_empty());
    assert!(world.state.device(&device.id()).deals.is_empty());
}

#[test]
fn who_has_not_paid_enough_gets_only_what_credit_covers() {
    let mut device = Device::new("a");
    let customer = wallet("customer");
    let mut world = World::new();
    world.pay(customer.address(), 400);
    world.chain(device.registration());
    world.deal(signed(&customer, terms(&customer, &device, 0, 2), &device.set));
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    let line = &section(&bundle, &device).lines[0];
    assert_eq!((line.spend, line.revenue, line.emission), (Amount(400), Amount(200), Amount(180)));
    assert_eq!(
        line.units,
        u128::try_from(BYTES).unwrap() * 100 * 400 / PRICE,
        "units are what was proved and paid"
    );
    assert_eq!(world.state.device(&device.id()).deals[0].spent, Amount(400));
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(bundle.result.pool, Amount::ZERO, "nothing is left");
}

#[test]
fn what_the_chain_set_aside_is_the_most_that_is_paid() {
    for (mint, revenue, minted, paid_out) in
        [(450, 500, 450, 500), (100, 500, 100, 500), (0, 500, 0, 500), (450, 250, 225, 250), (450, 0, 0, 0)]
    {
        let mut device = Device::new("a");
        let customer = wallet("customer");
        let mut world = World::new();
        world.pay(customer.address(), PRICE);
        world.chain(device.registration());
        world.deal(signed(&customer, terms(&customer, &device, 0, 1), &device.set));
        world.open_with(mint, revenue);
        let result = world.honest(&mut [&mut device]).result;
        assert_eq!((result.minted, result.revenue), (Amount(minted), Amount(paid_out)), "{mint} {revenue}");
    }
}

#[test]
fn without_a_beacon_everybody_waits_and_nobody_is_paid_or_blamed() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 5);
    world.commit(&mut device);
    let bundle = world.end();
    assert_eq!(section(&bundle, &device).verdicts[0].outcome, Outcome::Inconclusive);
    assert_eq!(bundle.result.pool, Amount::ZERO);
    let deal = &world.state.device(&device.id()).deals[0];
    assert_eq!((deal.cursor, deal.waiting.as_slice()), (Epoch(0), [Period::Open].as_slice()));
    // A period that is proven later is paid, though the cursor waits.
    world.open();
    world.beacon();
    world.answer(&mut device);
    assert_eq!(earned(&world.end(), &device), EARNED);
    let deal = &world.state.device(&device.id()).deals[0];
    assert_eq!((deal.cursor, deal.waiting.len()), (Epoch(0), 2));
    // After two epochs the open period is given up.
    world.open();
    world.beacon();
    world.answer(&mut device);
    world.end();
    let deal = &world.state.device(&device.id()).deals[0];
    assert_eq!((deal.cursor, deal.waiting.len()), (Epoch(3), 0));
}

#[test]
fn a_deal_that_is_over_is_dropped() {
    let mut device = Device::new("a");
    let mut world = after_one_epoch("customer", &mut device, 2);
    assert_eq!(world.state.device(&device.id()).deals[0].cursor, Epoch(1));
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(section(&bundle, &device).before.deals.len(), 1);
    assert!(world.state.device(&device.id()).deals.is_empty());
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert!(section(&bundle, &device).lines.is_empty());
    assert!(found(&bundle, &device, "possession.deals", "nothing-wanted"));
}

#[test]
fn a_deal_that_ends_open_is_dropped_once_nobody_waits_any_more() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.end();
    assert_eq!(world.state.device(&device.id()).deals.len(), 1, "it waits");
    for _ in 0..2 {
        world.open();
        world.beacon();
        world.end();
    }
    assert!(world.state.device(&device.id()).deals.is_empty());
}

#[test]
fn a_deal_signed_after_its_first_epoch_starts_with_the_present_one() {
    let mut device = Device::new("a");
    let mut world = World::new();
    world.open();
    world.end();
    world.pay(wallet("customer").address(), 10 * PRICE);
    world.chain(device.registration());
    world.deal(signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 4), &device.set));
    world.open();
    world.commit(&mut device);
    // No beacon: this period is open, and the deal waits for it from now on.
    world.end();
    let deal = &world.state.device(&device.id()).deals[0];
    assert_eq!((deal.cursor, deal.waiting.as_slice()), (Epoch(1), [Period::Open].as_slice()));
}

#[test]
fn a_deal_whose_epochs_are_past_is_gone_at_once() {
    let mut device = Device::new("a");
    let mut world = World::new();
    world.chain(device.registration());
    for _ in 0..3 {
        world.open();
        world.end();
    }
    world.pay(wallet("customer").address(), 10 * PRICE);
    world.deal(signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 2), &device.set));
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(bundle.result.pool, Amount::ZERO);
    assert!(world.state.device(&device.id()).deals.is_empty());
}

#[test]
fn a_deal_for_later_epochs_waits_for_them() {
    let mut device = Device::new("a");
    let mut world = World::new();
    world.pay(wallet("customer").address(), 10 * PRICE);
    world.chain(device.registration());
    world.deal(signed(&wallet("customer"), terms(&wallet("customer"), &device, 1, 1), &device.set));
    world.open();
    assert_eq!(world.honest(&mut [&mut device]).result.pool, Amount::ZERO);
    world.open();
    assert_eq!(earned(&world.honest(&mut [&mut device]), &device), EARNED);
}

#[test]
fn a_deal_is_judged_for_its_own_service_only() {
    let mut device = Device::new("a");
    let customer = wallet("customer");
    let mut world = World::of(&customer, &[&device], 1);
    world.pay(customer.address(), PRICE);
    // The same bytes, wanted for something that nobody here judges.
    let deal = Deal { service: "routing".into(), ..terms(&customer, &device, 0, 1) };
    world.deal(signed(&customer, deal, &device.set));
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(earned(&bundle, &device), EARNED);
    let outcomes: Vec<_> = section(&bundle, &device).lines.iter().map(|line| line.outcome).collect();
    assert!(outcomes.contains(&Outcome::Accept) && outcomes.contains(&Outcome::Inconclusive));
}
