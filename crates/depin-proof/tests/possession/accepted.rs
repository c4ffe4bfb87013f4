//! Honest devices.

use depin_core::{Outcome, Units};
use depin_proof::possession::{PieceSet, UNIT};
use proptest::prelude::*;

use crate::fixture::*;

#[test]
fn bytes_times_seconds_are_accepted() {
    let judged = World::honest(&[100_000, 1, 5_000]).judge();
    assert_eq!(judged.verdict.outcome, Outcome::Accept);
    assert_eq!(quantities(&judged), [105_001 * 3_600]);
    assert_eq!(reasons(&judged), [""; 0]);
    assert_eq!(judged.verdict.verifier, "depin.storage.possession/1");
    // SHA-256 of the CBOR array [100, 9900], by Python's hashlib.
    let params = "0xc17115fbf33a8609e21901998ad18099849296ff70698417b2a24067503d701b";
    assert_eq!(judged.verdict.params.to_string(), params);
}

#[test]
fn each_deal_is_paid_for_its_own_pieces_and_at_most_in_full() {
    let mut world = World::keeping(&[4_000, 300]);
    world.deals.clear();
    let pieces: Vec<_> = world.kept().as_slice().to_vec();
    for piece in &pieces {
        world.want(&PieceSet::new([*piece]).unwrap());
    }
    world.want(&world.kept());
    world.deals[2].full = Units::new(UNIT.into(), 1_000);
    world.report_set(&world.kept(), BEFORE);
    world.report_answer(IN_TIME);
    let judged = world.judge();
    let each = pieces.iter().map(|piece| u128::from(piece.size()) * 3_600);
    assert_eq!(quantities(&judged), each.chain([1_000]).collect::<Vec<_>>());
}

#[test]
fn a_set_is_carried_until_another_one_is_reported() {
    let mut world = World::honest(&[50_000]);
    for _ in 0..3 {
        assert_eq!(world.next_epoch().verdict.outcome, Outcome::Accept);
        world.report_answer(IN_TIME);
    }
}

#[test]
fn where_all_leaves_are_asked_for_equal_answers_are_no_replay() {
    let mut world = World::honest(&[1_000]);
    assert!(world.challenge().samples() < 459);
    let first = world.answer();
    assert_eq!(world.next_epoch().verdict.outcome, Outcome::Accept);
    assert_eq!(world.answer().openings_digest(), first.openings_digest());
    world.report_answer(IN_TIME);
    assert_eq!(world.judge().verdict.outcome, Outcome::Accept);
}

#[test]
fn another_confidence_asks_for_another_number_of_leaves() {
    let mut world = World::keeping(&[200_000]);
    world.params = params(500, 9_990);
    world.report_set(&world.kept(), BEFORE);
    world.report_answer(IN_TIME);
    assert_eq!(world.challenge().samples(), 135);
    assert_eq!(world.judge().verdict.outcome, Outcome::Accept);
    // The same evidence under other parameters answers another challenge.
    world.params = params(400, 9_990);
    assert_eq!(reasons(&world.judge()), ["wrong"]);
}

#[test]
fn pieces_that_nobody_pays_for_are_not_asked_for() {
    let mut world = World::keeping(&[10_000]);
    let unpaid = world.store(bytes(99, 1_000_000));
    world.report_set(&world.kept(), BEFORE);
    assert!(world.challenge().openings().iter().all(|opening| opening.piece != unpaid));
    world.report_answer(IN_TIME);
    assert_eq!(quantities(&world.judge()), [10_000 * 3_600]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_is_kept_can_be_shown(sizes in prop::collection::vec(1usize..20_000, 1..12), loss in 10u16..2_000) {
        let mut world = World::keeping(&sizes);
        world.params = params(loss, 9_500);
        world.report_set(&world.kept(), BEFORE);
        world.report_answer(IN_TIME);
        let total = world.kept().as_slice().iter().map(|piece| piece.leaves()).sum::<u64>();
        let samples = u64::try_from(world.challenge().samples()).unwrap();
        prop_assert_eq!(samples, total.min(world.params.samples().into()));
        let judged = world.judge();
        prop_assert_eq!(judged.verdict.outcome, Outcome::Accept, "{:?}", reasons(&judged));
    }

    #[test]
    fn the_order_of_evidence_does_not_matter(rotation in 0usize..5, swap: bool) {
        let mut world = World::honest(&[3_000]);
        world.report_set(&world.kept(), IN_TIME);
        world.report("uptime", Vec::new(), BEFORE);
        world.report("storage.answer", vec![1], IN_TIME);
        let judged = world.judge_with(|evidence| {
            evidence.rotate_left(rotation);
            if swap {
                evidence.swap(0, 3);
            }
        });
        prop_assert_eq!(judged, world.judge());
    }
}
