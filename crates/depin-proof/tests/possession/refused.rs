//! Each way not to be paid has its own reason.

use depin_core::{CheckResult, Epoch, Outcome, Side, Units};
use depin_proof::possession::ANSWER_KIND;

use crate::fixture::*;

/// A device with its set reported, whose answers a test makes.
fn committed() -> World {
    let mut world = World::keeping(&[40_000, 700]);
    world.report_set(&world.kept(), BEFORE);
    world
}

fn assert_faulted(world: &World, expected: &[&str]) {
    let judged = world.judge();
    assert_eq!(judged.verdict.outcome, Outcome::Reject);
    assert_eq!(quantities(&judged), [0]);
    assert_eq!(reasons(&judged), expected);
}

#[test]
fn no_answer_is_missing() {
    assert_faulted(&committed(), &["missing"]);
}

#[test]
fn an_answer_after_its_time_is_late() {
    let mut world = committed();
    world.report_answer(TOO_LATE);
    assert_faulted(&world, &["late"]);
}

#[test]
fn an_answer_before_the_beacon_is_early() {
    let mut world = committed();
    world.report_answer(BEFORE);
    assert_faulted(&world, &["early"]);
}

#[test]
fn an_answer_for_an_epoch_to_come_is_early() {
    let mut world = committed();
    let mut answer = world.answer();
    answer.epoch = Epoch(4);
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    assert_faulted(&world, &["early"]);
}

#[test]
fn leaves_that_do_not_hash_to_the_commitment_are_wrong() {
    let mut world = committed();
    let mut answer = world.answer();
    answer.leaves[0] ^= 1;
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    assert_faulted(&world, &["wrong"]);
}

#[test]
fn last_epochs_answer_is_replayed() {
    let mut world = committed();
    let old = world.answer();
    world.report_answer(IN_TIME);
    assert_eq!(world.next_epoch().verdict.outcome, Outcome::Accept);
    // As it was.
    world.report(ANSWER_KIND, old.to_bytes(), IN_TIME);
    assert_faulted(&world, &["replayed"]);
    // Under the number of this epoch.
    world.reports.clear();
    let mut renumbered = old.clone();
    renumbered.epoch = world.epoch;
    world.report(ANSWER_KIND, renumbered.to_bytes(), IN_TIME);
    assert_faulted(&world, &["replayed"]);
    // Under the challenge of this epoch.
    world.reports.clear();
    renumbered.challenge = world.challenge().digest();
    world.report(ANSWER_KIND, renumbered.to_bytes(), IN_TIME);
    assert_faulted(&world, &["replayed"]);
}

#[test]
fn a_replay_is_still_one_after_an_epoch_without_an_answer() {
    let mut world = committed();
    let mut old = world.answer();
    world.report_answer(IN_TIME);
    world.next_epoch();
    world.next_epoch();
    old.epoch = world.epoch;
    old.challenge = world.challenge().digest();
    world.report(ANSWER_KIND, old.to_bytes(), IN_TIME);
    assert_faulted(&world, &["replayed"]);
}

#[test]
fn an_answer_made_for_another_device_is_foreign() {
    let mut world = committed();
    let mut other = world.clone();
    other.device = device(3);
    world.report(ANSWER_KIND, other.answer().to_bytes(), IN_TIME);
    assert_faulted(&world, &["foreign"]);
}

#[test]
fn an_answer_of_another_device_under_ones_own_name_is_wrong() {
    let mut world = committed();
    let mut other = world.clone();
    other.device = device(3);
    let mut answer = other.answer();
    answer.device = world.device;
    answer.challenge = world.challenge().digest();
    world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
    assert_faulted(&world, &["wrong"]);
}

#[test]
fn what_is_no_answer_is_malformed() {
    let mut world = committed();
    world.report(ANSWER_KIND, vec![0xff; 40], IN_TIME);
    assert_faulted(&world, &["malformed"]);
}

#[test]
fn siblings_too_few_or_too_many_are_wrong() {
    for change in
        [|siblings: &mut Vec<u8>| siblings.truncate(32), |siblings: &mut Vec<u8>| siblings.extend([0; 32])]
    {
        let mut world = committed();
        let mut answer = world.answer();
        change(&mut answer.siblings);
        world.report(ANSWER_KIND, answer.to_bytes(), IN_TIME);
        assert_faulted(&world, &["wrong"]);
    }
}

#[test]
fn one_good_answer_outweighs_any_number_of_bad_ones() {
    let mut world = committed();
    for _ in 0..100 {
        world.report(ANSWER_KIND, vec![0x80], IN_TIME).reused = true;
    }
    world.report_answer(IN_TIME);
    world.report_answer(IN_TIME);
    let judged = world.judge();
    assert_eq!(judged.verdict.outcome, Outcome::Accept);
    let reasons = reasons(&judged);
    // 64 one by one, the other 36 in one line; then one repeated, and the frame's note.
    assert_eq!(reasons.iter().filter(|reason| *reason == "malformed").count(), 65);
    assert_eq!(reasons.iter().filter(|reason| *reason == "repeated").count(), 1);
    assert_eq!(reasons.last().unwrap(), "key-reuse");
    assert!(judged.verdict.findings.iter().all(|finding| finding.result != CheckResult::Fail));
}

#[test]
fn without_a_beacon_the_period_stays_open() {
    let mut world = committed();
    world.report_answer(IN_TIME);
    world.beacon = None;
    let judged = world.judge();
    assert_eq!(judged.verdict.outcome, Outcome::Inconclusive);
    assert_eq!(judged.verdict.contributions[0].outcome, Outcome::Inconclusive);
    assert_eq!((quantities(&judged), reasons(&judged)), (vec![0], vec!["no-beacon".to_owned()]));
    // A beacon of another epoch is none.
    world.beacon = Some(world.beacon_of(Epoch(4)));
    assert_eq!(world.judge(), judged);
}

#[test]
fn uptime_is_not_work() {
    let mut world = World::keeping(&[1_000]);
    for _ in 0..3 {
        world.report("uptime.heartbeat", b"alive".to_vec(), BEFORE);
    }
    assert_faulted(&world, &["no-set", "not-accepted", "nothing-kept", "uptime-is-not-work"]);
    // Neither is it with data at hand but no answer, and nobody minds it beside one.
    world.report_set(&world.kept(), BEFORE);
    assert_faulted(&world, &["missing", "uptime-is-not-work"]);
    world.report_answer(IN_TIME);
    assert_eq!(reasons(&world.judge()), [""; 0]);
}

#[test]
fn what_nobody_wants_is_not_paid() {
    let mut world = committed();
    world.deals.clear();
    let judged = world.judge();
    assert_eq!(judged.verdict.outcome, Outcome::Reject);
    assert!(judged.verdict.contributions.is_empty());
    assert_eq!(reasons(&judged), ["nothing-wanted"]);
}

#[test]
fn a_deal_that_names_no_pieces_is_the_customers_fault() {
    let mut world = committed();
    world.deals.push(Deal { subject: vec![0xa0], full: Units::new("byte-seconds".into(), 9) });
    world.deals.push(Deal { subject: world.kept().to_bytes(), full: Units::new("watt-hours".into(), 9) });
    world.report_answer(IN_TIME);
    let judged = world.judge();
    assert_eq!(quantities(&judged), [40_700 * 3_600, 0, 0]);
    assert_eq!(reasons(&judged), ["malformed", "malformed"]);
    let failed = judged.verdict.findings.iter().filter(|finding| finding.result == CheckResult::Fail);
    assert!(failed.into_iter().all(|finding| finding.side == Side::Customer));
}

#[test]
fn memory_of_somebody_else_is_inconclusive_and_kept() {
    let mut world = committed();
    world.memory = vec![1, 2, 3];
    let judged = world.judge();
    assert_eq!(judged.verdict.outcome, Outcome::Inconclusive);
    assert_eq!(judged.memory, world.memory);
}
