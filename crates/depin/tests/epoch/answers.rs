//! When and how a device must answer.

use super::*;

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
