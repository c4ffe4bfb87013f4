//! What strangers, customers and devices send to stop a network, or to change what others are paid.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests fail by panicking

mod common;

use common::{Device, EARNED, PRICE, World, earned, signed, terms, wallet};
use depin_core::{Amount, Deal};
use depin_proof::possession::PieceSet;

/// An honest epoch of a paid device, into which a stranger without a single token puts deals over the same bytes, which every bundle shows.
fn with_deals_of_a_stranger(change: impl Fn(&mut Deal), count: u64) -> (Amount, usize) {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    let stranger = wallet("stranger");
    for nonce in 0..count {
        let mut deal = terms(&stranger, &device, 0, 1);
        deal.nonce = nonce;
        change(&mut deal);
        world.deal(signed(&stranger, deal, &device.set));
    }
    let bundle = world.honest(&mut [&mut device]);
    let lines = common::section(&bundle, &device).lines.len();
    (earned(&bundle, &device), lines)
}

#[test]
fn prices_beyond_any_supply_stop_nobody() {
    let (earned, lines) = with_deals_of_a_stranger(|deal| deal.price = Amount::MAX, 2);
    assert_eq!((earned, lines), (EARNED, 1));
}

#[test]
fn the_highest_prices_that_are_taken_add_up() {
    let highest = depin::rewards::deal::MAX_PRICE;
    let (earned, lines) = with_deals_of_a_stranger(|deal| deal.price = highest, 40);
    assert_eq!((earned, lines), (EARNED, 41));
}

#[test]
fn deals_that_nobody_pays_for_change_no_payout() {
    let (earned, lines) = with_deals_of_a_stranger(|deal| deal.price = Amount(PRICE), 40);
    assert_eq!((earned, lines), (EARNED, 41));
}

/// An honest epoch of a device that keeps one more piece than it is paid for, into which a stranger puts a deal over that piece.
fn with_a_deal_over_the_other_piece(at: u64, answers_first: bool) -> (World, Device, depin::Bundle) {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    let other = PieceSet::new([device.keep(b"what nobody pays for")]).unwrap();
    world.commit(&mut device);
    world.beacon();
    if answers_first {
        world.answer(&mut device);
    }
    world.at(at);
    let stranger = wallet("stranger");
    let mut deal = terms(&stranger, &device, 0, 2);
    deal.subject = other.digest();
    world.deal(signed(&stranger, deal, &other));
    let bundle = world.end();
    (world, device, bundle)
}

#[test]
fn a_deal_made_after_the_answer_does_not_change_the_question() {
    for at in [common::COMMIT, common::ANSWER, common::EPOCH - 1] {
        let (_, device, bundle) = with_a_deal_over_the_other_piece(at, true);
        assert_eq!(earned(&bundle, &device), EARNED, "{at} ms after the epoch opened");
        assert_eq!(common::section(&bundle, &device).lines.len(), 1);
    }
}

#[test]
fn a_deal_made_after_the_beacon_counts_from_the_next_epoch_on() {
    let (mut world, mut device, _) = with_a_deal_over_the_other_piece(common::COMMIT, true);
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(earned(&bundle, &device), EARNED);
    assert_eq!(common::section(&bundle, &device).lines.len(), 2);
    let audited = depin::audit(&bundle, &depin::Catalogue::standard());
    assert!(audited.is_ok(), "{audited:?}");
}
