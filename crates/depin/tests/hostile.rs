//! What strangers, customers and devices send to stop a network, or to change what others are paid.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests fail by panicking

mod common;

use common::{Device, EARNED, PRICE, World, earned, signed, terms, wallet};
use depin_core::{Amount, Deal};

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
