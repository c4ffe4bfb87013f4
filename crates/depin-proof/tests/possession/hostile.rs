//! Bytes that somebody else made.

use depin_core::{Outcome, cbor};
use depin_proof::possession::{ANSWER_KIND, Answer, MAX_PIECES, PieceSet, SET_KIND};
use proptest::prelude::*;

use crate::fixture::*;

/// Every copy of `good` with one bit flipped, and every strict prefix.
fn damaged(good: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flips = (0..good.len() * 8).map(|bit| {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    flips.chain((0..good.len()).map(|len| good[..len].to_vec()))
}

#[test]
fn no_damaged_answer_is_accepted() {
    let mut world = World::keeping(&[300, 90]);
    world.report_set(&world.kept(), BEFORE);
    world.report_answer(IN_TIME);
    assert_eq!(world.judge().verdict.outcome, Outcome::Accept);
    let good = world.reports[1].body.clone();
    let mut tried = 0;
    for bytes in damaged(&good) {
        world.reports[1].body = bytes;
        assert_eq!(world.judge().verdict.outcome, Outcome::Reject);
        tried += 1;
    }
    assert_eq!(tried, good.len() * 9);
}

#[test]
fn no_damaged_set_stands_for_the_one_that_was_sent() {
    let world = World::keeping(&[300, 90, 70]);
    let good = world.kept();
    for bytes in damaged(&good.to_bytes()) {
        // A flipped bit may give another set, never the same one.
        if let Ok(other) = cbor::from_slice::<PieceSet>(&bytes) {
            assert_ne!(other, good);
            assert_eq!(other.to_bytes(), bytes);
        }
    }
}

#[test]
fn damaged_memory_never_panics_and_never_pays_twice() {
    let mut world = World::honest(&[300]);
    world.next_epoch();
    world.report_answer(IN_TIME);
    let paid = quantities(&world.judge());
    let good = world.memory.clone();
    for bytes in damaged(&good).filter(|bytes| !bytes.is_empty()) {
        world.memory = bytes;
        let found = quantities(&world.judge());
        assert!(found == paid || found == [0]);
    }
}

#[test]
fn a_set_has_at_most_65_536_pieces() {
    let world = World::keeping(&[90]);
    let piece = world.kept().as_slice()[0];
    let pieces = (1..).map(|size| depin_proof::commp::Piece::new(piece.commitment(), size).unwrap());
    let full = PieceSet::new(pieces.clone().take(MAX_PIECES)).unwrap();
    assert_eq!(cbor::from_slice::<PieceSet>(&full.to_bytes()).unwrap(), full);
    assert_eq!(PieceSet::new(pieces.clone().take(MAX_PIECES + 1)).unwrap_err().found, MAX_PIECES + 1);
    let more: Vec<_> = pieces.take(MAX_PIECES + 1).collect();
    assert!(cbor::from_slice::<PieceSet>(&cbor::to_vec(&more)).is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(kind in prop::sample::select(vec![SET_KIND, ANSWER_KIND]), bytes: Vec<u8>) {
        let mut world = World::keeping(&[300]);
        world.report_set(&world.kept(), BEFORE);
        world.report(kind, bytes.clone(), IN_TIME);
        world.deals.push(Deal { subject: bytes, full: world.deals[0].full.clone() });
        prop_assert_eq!(world.judge().verdict.outcome, Outcome::Reject);
    }

    #[test]
    fn answers_of_any_shape_never_panic(leaves in prop::collection::vec(any::<u8>(), 0..600), siblings in prop::collection::vec(any::<u8>(), 0..600)) {
        let world = World::keeping(&[300, 90]);
        let challenge = world.challenge();
        let answer = Answer { epoch: world.epoch, device: world.device, challenge: challenge.digest(), leaves, siblings };
        prop_assert!(answer.verify(&challenge).is_err());
    }
}
