//! What a device says it keeps, and when.

use depin_core::Outcome;
use depin_proof::possession::{ANSWER_KIND, PieceSet, SET_KIND};

use crate::fixture::*;

fn without_the_first(set: &PieceSet) -> PieceSet {
    PieceSet::new(set.as_slice()[1..].iter().copied()).unwrap()
}

#[test]
fn loss_declared_before_the_beacon_forfeits_only_that_data() {
    let mut world = World::honest(&[30_000, 20_000, 10_000]);
    assert_eq!(quantities(&world.next_epoch()), [60_000 * 3_600]);
    let lost = *world.kept().as_slice().first().unwrap();
    world.files.remove(&lost);
    world.report_set(&world.kept(), BEFORE);
    world.report_answer(IN_TIME);
    let judged = world.next_epoch();
    assert_eq!(judged.verdict.outcome, Outcome::Accept);
    assert_eq!(quantities(&judged), [(60_000 - u128::from(lost.size())) * 3_600]);
    assert_eq!(reasons(&judged), ["loss-declared"]);
    // Later it is simply not kept.
    world.report_answer(IN_TIME);
    assert_eq!(reasons(&world.judge()), ["not-accepted"]);
}

#[test]
fn loss_that_is_hidden_forfeits_everything() {
    let mut world = World::honest(&[30_000, 20_000]);
    world.next_epoch();
    let challenge = world.challenge();
    let lost = *world.kept().as_slice().first().unwrap();
    world.files.remove(&lost);
    assert!(world.prove(&challenge).is_err());
    // It can only answer for what is left, which is not what it is asked.
    let mut answer = world.answer();
    answer.challenge = challenge.digest();
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    let judged = world.judge();
    assert_eq!((judged.verdict.outcome, quantities(&judged)), (Outcome::Reject, vec![0]));
}

#[test]
fn a_set_reported_after_the_beacon_does_not_help() {
    let mut world = World::honest(&[30_000, 20_000]);
    world.next_epoch();
    let kept = world.kept();
    // The beacon is known, a piece is found to be lost: a smaller set now comes too late, and its challenge is not the one asked.
    world.report_set(&without_the_first(&kept), SCHEDULE.commit_until);
    let answer = world.prove(&world.challenge_to(&without_the_first(&kept))).unwrap();
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    let judged = world.next_epoch();
    assert_eq!((judged.verdict.outcome, quantities(&judged)), (Outcome::Reject, vec![0]));
    assert_eq!(reasons(&judged), ["after-beacon", "wrong"]);
    // In the next epoch it is in force.
    let answer = world.prove(&world.challenge_to(&without_the_first(&kept))).unwrap();
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    let judged = world.judge();
    assert_eq!(
        (judged.verdict.outcome, reasons(&judged)),
        (Outcome::Accept, vec!["loss-declared".to_owned()])
    );
}

#[test]
fn the_last_set_before_the_beacon_counts() {
    let mut world = World::keeping(&[5_000, 6_000]);
    world.report_set(&without_the_first(&world.kept()), BEFORE);
    world.report_set(&world.kept(), BEFORE);
    world.report_answer(IN_TIME);
    assert_eq!(quantities(&world.judge()), [11_000 * 3_600]);
}

#[test]
fn a_malformed_set_changes_nothing() {
    let mut world = World::honest(&[5_000]);
    world.next_epoch();
    let piece = *world.kept().as_slice().first().unwrap();
    let descending = depin_core::cbor::to_vec(&vec![piece, piece]);
    world.report(SET_KIND, descending, BEFORE);
    world.report(SET_KIND, vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], BEFORE);
    world.report_answer(IN_TIME);
    let judged = world.judge();
    assert_eq!(
        (judged.verdict.outcome, reasons(&judged)),
        (Outcome::Accept, vec!["malformed".to_owned(); 2])
    );
}

#[test]
fn a_piece_that_was_never_taken_is_not_accepted() {
    let mut world = World::keeping(&[5_000, 6_000]);
    let taken = without_the_first(&world.kept());
    world.report_set(&taken, BEFORE);
    let answer = world.prove(&world.challenge_to(&taken)).unwrap();
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    let judged = world.judge();
    assert_eq!(quantities(&judged), [u128::from(taken.as_slice()[0].size()) * 3_600]);
    assert_eq!(reasons(&judged), ["not-accepted"]);
}

#[test]
fn a_thief_of_the_key_cannot_take_pieces_out_of_the_set() {
    let mut world = World::honest(&[30_000, 20_000]);
    world.report_set(&PieceSet::default(), BEFORE).reused = true;
    world.report(ANSWER_KIND, vec![0], IN_TIME).reused = true;
    let judged = world.judge();
    assert_eq!((judged.verdict.outcome, quantities(&judged)), (Outcome::Accept, vec![50_000 * 3_600]));
    assert_eq!(reasons(&judged), ["malformed", "key-reuse"]);
    // Nor may the device use that to shed a loss: what it carried stays in force.
    world.next_epoch();
    let lost = *world.kept().as_slice().first().unwrap();
    world.files.remove(&lost);
    world.report_set(&world.kept(), BEFORE).reused = true;
    world.report_answer(IN_TIME);
    assert_eq!(world.judge().verdict.outcome, Outcome::Reject);
}

#[test]
fn what_was_reported_is_remembered_even_when_the_beacon_fails() {
    let mut world = World::honest(&[5_000]);
    world.beacon = None;
    assert_eq!(world.next_epoch().verdict.outcome, Outcome::Inconclusive);
    world.report_answer(IN_TIME);
    assert_eq!(world.judge().verdict.outcome, Outcome::Accept);
}

#[test]
fn a_flood_of_reports_leaves_few_findings() {
    let mut world = World::honest(&[300]);
    for _ in 0..1_000 {
        world.report(SET_KIND, Vec::new(), BEFORE);
        world.report_set(&world.kept(), IN_TIME);
        world.report_answer(IN_TIME);
        world.report(ANSWER_KIND, Vec::new(), IN_TIME);
        world.report("uptime", Vec::new(), IN_TIME);
    }
    let judged = world.judge();
    assert_eq!(judged.verdict.outcome, Outcome::Accept);
    assert!(judged.verdict.findings.len() < 150, "{}", judged.verdict.findings.len());
}
