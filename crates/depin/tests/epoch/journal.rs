//! What an epoch can be closed from.

use super::*;

fn opened_at(epoch: u64, at: u64) -> Entry {
    Entry::Opened { epoch: Epoch(epoch), at: Timestamp(at), params: params().digest() }
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
        world.push(opened_at(0, GENESIS));
        world.cut();
    });
    assert!(matches!(no_caps, CloseError::NoCaps(Epoch(0))));
    let journals: [(Build, &str); 13] = [
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
                {
                    let opened = world.opened();
                    world.push(opened);
                };
            },
            "opened before",
        ),
        (
            |world| {
                world.push(Entry::Opened { epoch: Epoch(0), at: world.now, params: Digest([1; 32]) });
            },
            "under the parameters",
        ),
        (
            |world| {
                world.push(opened_at(1, GENESIS + EPOCH));
            },
            "expected 0",
        ),
        (
            |world| {
                world.push(opened_at(0, GENESIS - 1));
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
    {
        let opened = world.opened();
        world.push(opened);
    };
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
