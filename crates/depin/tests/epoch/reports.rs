//! Which reports count.

use super::*;

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

#[test]
fn a_report_concerns_the_service_before_the_dot() {
    let tells = |kind: &'static str| {
        let mut device = Device::new("a");
        let mut world = World::of(&wallet("customer"), &[&device], 1);
        world.beacon();
        world.send(&mut device, kind, vec![1]);
        found(&world.end(), &device, "possession.work", "uptime-is-not-work")
    };
    assert!(tells("storage.telemetry"));
    assert!(!tells("storages.telemetry"));
    assert!(!tells("storage"));
    assert!(!tells("routing.telemetry"));
}
