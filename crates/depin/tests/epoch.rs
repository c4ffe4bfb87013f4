//! What an epoch pays, and to whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

mod common;

use common::*;
use depin::{
    Bundle, Network,
    close::{CloseError, EpochInput, Slot, close},
    entry::{Entry, Refusal},
    state::Totals,
};
use depin_core::{
    Address, Amount, ChainEvent, CheckResult, Deal, Digest, Epoch, Millis, Outcome, Side, Timestamp, sha256,
};
use depin_proof::possession::{self, ANSWER_KIND, Answer, PieceSet, SET_KIND};
use depin_rewards::Period;

const CHECK: &str = "possession.answer";

/// One honest epoch of one device, then the next one opened.
fn after_one_epoch(customer: &str, device: &mut Device, epochs: u32) -> World {
    let mut world = World::of(&wallet(customer), &[device], epochs);
    world.honest(&mut [device]);
    world.open();
    world
}

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

fn made_up(device: &Device, epoch: u64) -> Answer {
    let challenge = sha256(&[b"made up"]);
    Answer { epoch: Epoch(epoch), device: device.id(), challenge, leaves: vec![0; 32], siblings: vec![0; 32] }
}

/// What becomes of a device whose answer `answer` makes; the clock stands at the beacon.
fn answered(answer: impl FnOnce(&mut World, &mut Device)) -> (Bundle, Device) {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 3);
    world.commit(&mut device);
    world.beacon();
    answer(&mut world, &mut device);
    (world.end(), device)
}

#[test]
fn every_wrong_answer_has_its_own_reason() {
    let refused = |reason: &str, answer: fn(&mut World, &mut Device)| {
        let (bundle, device) = answered(answer);
        assert!(found(&bundle, &device, CHECK, reason), "{reason}: {:?}", findings(&bundle, &device));
        assert_eq!(earned(&bundle, &device), Amount::ZERO, "{reason}");
        assert_eq!(section(&bundle, &device).verdicts[0].outcome, Outcome::Reject, "{reason}");
        assert_eq!(bundle.result.pool, Amount::ZERO, "{reason}");
    };
    refused("missing", |_, _| {});
    refused("late", |world, device| {
        world.at(ANSWER + 1);
        world.answer(device);
    });
    refused("wrong", |world, device| {
        let mut answer = world.proof(device);
        answer.leaves[5] ^= 1;
        world.send(device, ANSWER_KIND, answer.to_bytes());
    });
    refused("wrong", |world, device| {
        let answer = made_up(device, 0);
        world.send(device, ANSWER_KIND, answer.to_bytes());
    });
    refused("foreign", |world, device| {
        let answer = Answer { device: Device::new("b").id(), ..world.proof(device) };
        world.send(device, ANSWER_KIND, answer.to_bytes());
    });
    refused("malformed", |world, device| {
        world.send(device, ANSWER_KIND, vec![0xff]);
    });
    refused("early", |world, device| {
        let answer = Answer { epoch: Epoch(1), ..world.proof(device) };
        world.send(device, ANSWER_KIND, answer.to_bytes());
    });
}

#[test]
fn the_last_moment_is_in_time() {
    let (bundle, device) = answered(|world, device| {
        world.at(ANSWER);
        world.answer(device);
    });
    assert_eq!(earned(&bundle, &device), EARNED);
}

#[test]
fn an_answer_before_the_beacon_is_early() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.at(COMMIT - 1);
    // As a device would that knew the beacon.
    world.answer(&mut device);
    world.beacon();
    let bundle = world.end();
    assert!(found(&bundle, &device, CHECK, "early"));
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
}

#[test]
fn a_set_named_after_the_beacon_counts_in_the_next_epoch() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.beacon();
    world.commit(&mut device);
    world.answer(&mut device);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, "possession.set", "after-beacon"));
    world.open();
    world.beacon();
    world.answer(&mut device);
    assert_eq!(earned(&world.end(), &device), EARNED);
}

#[test]
fn the_set_of_an_earlier_epoch_stays_in_force() {
    let mut device = Device::new("a");
    let mut world = after_one_epoch("customer", &mut device, 2);
    world.beacon();
    world.answer(&mut device);
    assert_eq!(earned(&world.end(), &device), EARNED);
}

#[test]
fn a_report_of_an_unknown_device_is_kept_apart_and_counts_for_nobody() {
    let mut known = Device::new("a");
    let mut stranger = Device::new("stranger");
    let mut world = World::of(&wallet("customer"), &[&known], 1);
    world.commit(&mut stranger);
    let bundle = world.honest(&mut [&mut known]);
    assert_eq!(bundle.devices.len(), 1);
    assert!(bundle.ledger.entries.iter().any(|indexed| matches!(indexed.entry, Entry::Report { .. })));
    assert_eq!(earned(&bundle, &known), EARNED);
}

#[test]
fn nobody_can_sign_for_somebody_else() {
    let mut device = Device::new("a");
    let other = Device::new("b");
    let mut world = World::of(&wallet("customer"), &[&device, &other], 1);
    world.commit(&mut device);
    world.beacon();
    // The right answer under the right key id, signed by another key: the key id is a claim.
    let report = device.report(ANSWER_KIND, world.proof(&device).to_bytes(), world.now);
    let right = device.sign(&report);
    let mut forged = other.sign(&report);
    let kid = |envelope: &[u8]| {
        let id = device.key.public().id().0;
        envelope.windows(id.len()).position(|window| window == id).unwrap()
    };
    let at = kid(&right);
    forged[at..at + 16].copy_from_slice(&device.key.public().id().0);
    world.receive(forged);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, CHECK, "missing"));
}

#[test]
fn a_report_for_another_network_counts_for_nobody() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    let report = device.report(ANSWER_KIND, world.proof(&device).to_bytes(), world.now);
    let elsewhere = depin_core::NetworkId::new(1, registry_address());
    world.receive(report.sign_with(&device.key, elsewhere).unwrap());
    let bundle = world.end();
    assert!(found(&bundle, &device, CHECK, "missing"));
    assert_eq!(bundle.result.paid, Amount::ZERO);
}

#[test]
fn a_clock_far_off_is_named_and_its_report_does_not_count() {
    for (off, counts) in [(600_000, true), (600_001, false)] {
        let (bundle, device) = answered(|world, device| {
            let body = world.proof(device).to_bytes();
            let report = device.report(ANSWER_KIND, body, Timestamp(world.now.0 + off));
            world.receive(device.sign(&report));
        });
        assert_eq!(earned(&bundle, &device), if counts { EARNED } else { Amount::ZERO });
        assert_eq!(found(&bundle, &device, "report", "clock"), !counts);
    }
}

#[test]
fn the_same_statement_counts_once() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    let report = device.report(ANSWER_KIND, world.proof(&device).to_bytes(), world.now);
    world.receive(device.sign(&report));
    world.receive(device.sign(&report));
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), EARNED);
    assert!(found(&bundle, &device, "report.replay", "replayed"));
    assert!(!found(&bundle, &device, "device.key-reuse", "key-reuse"));
    assert_eq!(section(&bundle, &device).lines.len(), 1);
}

#[test]
fn the_same_numbers_with_other_content_show_a_second_signer() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    let mut other = device.clone();
    world.send(&mut other, ANSWER_KIND, vec![0]);
    world.answer(&mut device);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), EARNED, "what proves itself counts");
    assert!(found(&bundle, &device, "device.key-reuse", "key-reuse"));
}

#[test]
fn boots_that_interleave_show_a_second_signer() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    let mut other = Device { boot: 9, sequence: 0, ..device.clone() };
    world.send(&mut other, "storage.telemetry", vec![1]);
    world.beacon();
    world.answer(&mut device);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), EARNED, "a thief that raises the boot counter locks nobody out");
    assert!(found(&bundle, &device, "device.key-reuse", "key-reuse"));
}

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
    world.push(Entry::Opened { epoch: Epoch(1), at: world.now });
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

#[test]
fn a_statement_of_the_epoch_before_is_no_second_signer_and_does_not_count_again() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    let report = device.report("storage.telemetry", vec![0xa0], world.now);
    let envelope = device.sign(&report);
    world.receive(envelope.clone());
    world.honest(&mut [&mut device]);
    world.open();
    world.receive(envelope);
    let bundle = world.end();
    assert!(found(&bundle, &device, "report.replay", "replayed"));
    assert!(!found(&bundle, &device, "device.key-reuse", "key-reuse"));
}

#[test]
fn a_sequence_that_goes_back_too_far_does_not_count() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    device.sequence = 5_000;
    world.commit(&mut device);
    world.beacon();
    device.sequence = 5_000 - 1_024;
    world.answer(&mut device);
    let bundle = world.end();
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, "report.replay", "replayed"));
}

#[test]
fn a_delayed_report_within_the_window_counts() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    device.sequence = 5_000;
    world.commit(&mut device);
    world.beacon();
    device.sequence = 5_000 - 1_023;
    world.answer(&mut device);
    assert_eq!(earned(&world.end(), &device), EARNED);
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
fn a_device_switched_off_in_the_epoch_is_not_paid() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.commit(&mut device);
    world.beacon();
    world.answer(&mut device);
    world.chain(ChainEvent::DeviceDeactivated { device: device.id().on_chain() });
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
    let ChainEvent::DeviceTransferred { device: id, from, to, nonce, deadline, mut proof } =
        device.transfer(wallet("thief").address(), 1)
    else {
        panic!()
    };
    proof[0] ^= 1;
    world.chain(ChainEvent::DeviceTransferred { device: id, from, to, nonce, deadline, proof });
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(paid_to(&bundle, device.owner.address()), EARNED);
}

#[test]
fn a_registrar_without_the_devices_proof_registers_nobody() {
    let mut device = Device::new("a");
    let thief = wallet("thief").address();
    let mut world = World::new();
    world.pay(wallet("customer").address(), PRICE);
    let ChainEvent::DeviceRegistered { device: id, nonce, deadline, proof, .. } = device.registration()
    else {
        panic!()
    };
    // The device signed for its owner; the registrar writes another.
    world.chain(ChainEvent::DeviceRegistered { device: id, owner: thief, nonce, deadline, proof });
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
fn what_one_bundle_hands_over_the_next_takes_up() {
    let mut devices = [Device::new("a"), Device::new("b")];
    let mut world = World::of(&wallet("customer"), &devices.iter().collect::<Vec<_>>(), 4);
    for _ in 0..4 {
        let [a, b] = &mut devices;
        world.honest(&mut [a, b]);
        world.open();
    }
    for pair in world.bundles.windows(2) {
        let (one, next) = (&pair[0].header, &pair[1].header);
        assert_eq!(one.state_after, next.state_before);
        assert_eq!(next.previous, Some(pair[0].digest()));
        assert_eq!(one.journal_after, next.journal_before.head());
    }
    assert_eq!(world.state.totals.paid, Amount(8 * EARNED.0));
}

/// Five devices, one of each kind, cut and ready to be closed.
fn mixed() -> World {
    let mut devices: Vec<Device> = ["a", "b", "c", "d", "e"].into_iter().map(Device::new).collect();
    let mut world = World::of(&wallet("customer"), &devices.iter().collect::<Vec<_>>(), 3);
    for device in &mut devices {
        world.commit(device);
    }
    world.beacon();
    let (honest, others) = devices.split_at_mut(2);
    for device in honest {
        world.answer(device);
    }
    world.send(&mut others[0], "storage.telemetry", vec![1]);
    let wrong = made_up(&others[1], 0).to_bytes();
    world.send(&mut others[1], ANSWER_KIND, wrong);
    let refusal = Refusal {
        device: Some(others[2].id()),
        reason: "clock".into(),
        side: Side::Device,
        observed: "a day".into(),
        limit: "ten minutes".into(),
    };
    world.push(Entry::Refused { received: world.now, report: sha256(&[]), refusal });
    world.cut();
    world
}

fn closed(network: &Network, input: EpochInput) -> Vec<u8> {
    close(network, input).unwrap().bundle.to_bytes()
}

#[test]
fn closing_again_gives_the_same_bytes() {
    let world = mixed();
    let bytes = closed(&world.network, world.input());
    for _ in 0..3 {
        assert_eq!(closed(&world.network, world.input()), bytes);
    }
}

#[cfg(feature = "parallel")]
#[test]
fn threads_make_no_difference() {
    let world = mixed();
    let bytes = closed(&world.network, world.input());
    for threads in 1..=8 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| closed(&world.network, world.input())), bytes, "{threads} threads");
    }
}

/// The digest of what [`mixed`] closes into: the same with and without threads, on every machine. It changes with the format of bundles only.
const MIXED: &str = "0xc9e9591171117d6f6391149d0315601156b95835bdecf1b436d0ba423f321563";

#[test]
fn a_known_epoch_has_a_known_digest() {
    let world = mixed();
    let bundle = close(&world.network, world.input()).unwrap().bundle;
    assert_eq!(bundle.digest().to_string(), MIXED);
}

#[test]
fn the_order_of_devices_makes_no_difference() {
    let run = |order: [usize; 3]| {
        let mut devices = [Device::new("a"), Device::new("b"), Device::new("c")];
        let customer = wallet("customer");
        let mut world = World::new();
        // Too little for all of them, so that they share it.
        world.pay(customer.address(), 2_000);
        for at in order {
            world.chain(devices[at].registration());
            world.deal(signed(&customer, terms(&customer, &devices[at], 0, 1), &devices[at].set));
        }
        world.open();
        for at in order {
            world.commit(&mut devices[at]);
        }
        world.beacon();
        for at in order {
            world.answer(&mut devices[at]);
        }
        let bundle = world.end();
        let earned: Vec<_> = bundle.devices.iter().map(|section| (section.device, section.earned)).collect();
        (bundle.result, earned, world.state.totals)
    };
    let expected = run([0, 1, 2]);
    assert!(expected.0.paid > Amount::ZERO);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(run(order), expected);
    }
}

type Build = fn(&mut World);

#[test]
fn a_journal_that_cannot_be_is_not_closed() {
    let refused = |build: fn(&mut World)| {
        let mut world = World::new();
        build(&mut world);
        close(&world.network, world.input()).unwrap_err()
    };
    assert!(matches!(refused(|world| world.open()), CloseError::NotCut(Epoch(0))));
    assert!(matches!(refused(|world| world.cut()), CloseError::NotOpened(Epoch(0))));
    let no_caps = refused(|world| {
        world.push(Entry::Opened { epoch: Epoch(0), at: Timestamp(GENESIS) });
        world.cut();
    });
    assert!(matches!(no_caps, CloseError::NoCaps(Epoch(0))));
    let journals: [(Build, &str); 12] = [
        (
            |world| {
                world.open();
                world.cut();
                world.cut();
            },
            "follows the cut",
        ),
        (
            |world| {
                world.open();
                world.push(Entry::Opened { epoch: Epoch(0), at: world.now });
            },
            "opened before",
        ),
        (
            |world| {
                world.push(Entry::Opened { epoch: Epoch(1), at: Timestamp(GENESIS + EPOCH) });
            },
            "expected 0",
        ),
        (
            |world| {
                world.push(Entry::Opened { epoch: Epoch(0), at: Timestamp(GENESIS - 1) });
            },
            "before",
        ),
        (
            |world| {
                world.beacon();
            },
            "before the epoch opened",
        ),
        (
            |world| {
                world.open();
                world.at(COMMIT - 1);
                world.push(Entry::Beacon { received: world.now, beacon: beacons().at(Epoch(0)) });
            },
            "before commitments ended",
        ),
        (
            |world| {
                world.open();
                world.at(COMMIT);
                world.push(Entry::Beacon { received: world.now, beacon: beacons().at(Epoch(1)) });
            },
            "for epoch 1",
        ),
        (
            |world| {
                world.open();
                world.at(COMMIT);
                let mut beacon = beacons().at(Epoch(0));
                beacon.value[0] ^= 1;
                world.push(Entry::Beacon { received: world.now, beacon });
            },
            "not derived",
        ),
        (
            |world| {
                world.open();
                world.push(Entry::Cut { epoch: Epoch(1), at: world.now });
            },
            "expected 0",
        ),
        (
            |world| {
                world.open();
                world.beacon();
                world.at(EPOCH - 1);
                world.push(Entry::Cut { epoch: Epoch(0), at: world.now });
            },
            "before it closes",
        ),
        (
            |world| {
                world.open();
                world.at(10);
                let mut device = Device::new("a");
                world.commit(&mut device);
                world.at(9);
                world.commit(&mut device);
            },
            "lies before",
        ),
        (
            |world| {
                world.pay(Address::repeat_byte(1), 5);
                let Some(Slot::Entry(again)) = world.slots.last().cloned() else { panic!() };
                world.push(again);
            },
            "follows",
        ),
    ];
    for (build, reason) in journals {
        let error = refused(build);
        let CloseError::Entry { reason: found, .. } = &error else { panic!("{error}") };
        assert!(found.contains(reason), "{found}: expected {reason}");
    }
}

#[test]
fn an_epoch_without_a_beacon_may_be_given_up_early() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.commit(&mut device);
    world.at(COMMIT);
    world.push(Entry::Cut { epoch: Epoch(0), at: world.now });
    assert_eq!(section(&world.close().bundle, &device).verdicts[0].outcome, Outcome::Inconclusive);
}

#[test]
fn an_event_of_an_earlier_epoch_does_not_count_again() {
    let mut world = World::new();
    world.pay(Address::repeat_byte(1), 5);
    let payment = world.slots[0].clone();
    world.open();
    world.end();
    world.slots.push(payment);
    world.open();
    world.cut();
    assert!(matches!(close(&world.network, world.input()), Err(CloseError::Entry { index: 4, .. })));
}

#[test]
fn deadlines_follow_from_the_opening_of_the_epoch() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.honest(&mut [&mut device]);
    // A node that was down opens the next epoch late: everything moves with it.
    world.chain(ChainEvent::EpochStarted {
        epoch: Epoch(1),
        mint_cap: Amount(1_000),
        revenue_cap: Amount(1_000),
    });
    let late = Millis(17_000);
    world.now = Timestamp(world.opens()).saturating_add(late);
    world.push(Entry::Opened { epoch: Epoch(1), at: world.now });
    world.now = Timestamp(world.opens() + COMMIT).saturating_add(late);
    world.beacon();
    world.now = Timestamp(world.opens() + ANSWER).saturating_add(late);
    world.answer(&mut device);
    world.now = Timestamp(world.opens() + EPOCH).saturating_add(late);
    world.push(Entry::Cut { epoch: Epoch(1), at: world.now });
    let bundle = world.close().bundle;
    assert_eq!(earned(&bundle, &device), EARNED);
    assert_eq!(bundle.header.schedule.opens, GENESIS + EPOCH + 17_000);
}

#[test]
fn a_device_may_start_again_in_every_epoch() {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 20);
    // More starts than are kept apart at a time.
    for boot in 0..20 {
        (device.boot, device.sequence) = (boot, 0);
        assert_eq!(earned(&world.honest(&mut [&mut device]), &device), EARNED, "boot {boot}");
        world.open();
    }
}

#[test]
fn marks_survive_the_epoch() {
    let mut device = Device::new("a");
    let mut world = after_one_epoch("customer", &mut device, 2);
    let marks = &world.state.device(&device.id()).marks;
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0].marks.boots().collect::<Vec<_>>(), [(0, 1)]);
    device.sequence = 0;
    world.send(&mut device, SET_KIND, vec![0x80]);
    world.beacon();
    device.sequence = 2;
    let set = device.set.clone();
    let answer =
        possession::prove(&world.challenge_over(&device, &set), |piece| Ok(&device.kept[piece][..])).unwrap();
    world.send(&mut device, ANSWER_KIND, answer.to_bytes());
    let bundle = world.end();
    assert!(
        found(&bundle, &device, "device.key-reuse", "key-reuse"),
        "numbers of an earlier epoch with other content"
    );
    assert_eq!(earned(&bundle, &device), EARNED, "who signs beside the device takes nothing out of its set");
}
