//! What an epoch pays, and to whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/credentials.rs"]
mod credentials;

mod admission;
mod answers;
mod cheaters;
mod deals;
mod journal;
mod keys;
mod registry;
mod reports;
mod sameness;

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
