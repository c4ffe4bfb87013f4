//! The same input gives the same bytes.

use super::*;

#[test]
fn what_one_bundle_hands_over_the_next_takes_up() {
    let mut devices = [Device::new("a"), Device::new("b")];
    let mut world = World::of(&wallet("customer"), &devices.iter().collect::<Vec<_>>(), 4);
    for _ in 0..4 {
        let [a, b] = &mut devices;
        world.honest(&mut [a, b]);
        world.open();
    }
    for pair in world.bundles.windows(2) {
        let (one, next) = (&pair[0].header, &pair[1].header);
        assert_eq!(one.state_after, next.state_before);
        assert_eq!(next.previous, Some(pair[0].digest()));
        assert_eq!(one.journal_after, next.journal_before.head());
    }
    assert_eq!(world.state.totals.paid, Amount(8 * EARNED.0));
}

/// Five devices, one of each kind, cut and ready to be closed.
fn mixed() -> World {
    let mut devices: Vec<Device> = ["a", "b", "c", "d", "e"].into_iter().map(Device::new).collect();
    let mut world = World::of(&wallet("customer"), &devices.iter().collect::<Vec<_>>(), 3);
    for device in &mut devices {
        world.commit(device);
    }
    world.beacon();
    let (honest, others) = devices.split_at_mut(2);
    for device in honest {
        world.answer(device);
    }
    world.send(&mut others[0], "storage.telemetry", vec![1]);
    let wrong = made_up(&others[1], 0).to_bytes();
    world.send(&mut others[1], ANSWER_KIND, wrong);
    let refusal = Refusal {
        device: Some(others[2].id()),
        reason: "clock".into(),
        side: Side::Device,
        observed: "a day".into(),
        limit: "ten minutes".into(),
    };
    world.push(Entry::Refused { received: world.now, report: sha256(&[]), refusal });
    world.cut();
    world
}

fn closed(network: &Network, input: EpochInput) -> Vec<u8> {
    close(network, input).unwrap().bundle.to_bytes()
}

#[test]
fn closing_again_gives_the_same_bytes() {
    let world = mixed();
    let bytes = closed(&world.network, world.input());
    for _ in 0..3 {
        assert_eq!(closed(&world.network, world.input()), bytes);
    }
}

#[cfg(feature = "parallel")]
#[test]
fn threads_make_no_difference() {
    let world = mixed();
    let bytes = closed(&world.network, world.input());
    for threads in 1..=8 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| closed(&world.network, world.input())), bytes, "{threads} threads");
    }
}

/// The digest of what [`mixed`] closes into: the same with and without threads, on every machine. It changes with the format of bundles only.
const MIXED: &str = "0x2f91f9bd35360b9e288b178cadd76a682bb873f95a02ceb0d12db8737694bf6e";

#[test]
fn a_known_epoch_has_a_known_digest() {
    let world = mixed();
    let bundle = close(&world.network, world.input()).unwrap().bundle;
    assert_eq!(bundle.digest().to_string(), MIXED);
}

#[test]
fn the_order_of_devices_makes_no_difference() {
    let run = |order: [usize; 3]| {
        let mut devices = [Device::new("a"), Device::new("b"), Device::new("c")];
        let customer = wallet("customer");
        let mut world = World::new();
        // Too little for all of them, so that they share it.
        world.pay(customer.address(), 2_000);
        for at in order {
            world.chain(devices[at].registration());
            world.deal(signed(&customer, terms(&customer, &devices[at], 0, 1), &devices[at].set));
        }
        world.open();
        for at in order {
            world.commit(&mut devices[at]);
        }
        world.beacon();
        for at in order {
            world.answer(&mut devices[at]);
        }
        let bundle = world.end();
        let earned: Vec<_> = bundle.devices.iter().map(|section| (section.device, section.earned)).collect();
        (bundle.result, earned, world.state.totals)
    };
    let expected = run([0, 1, 2]);
    assert!(expected.0.paid > Amount::ZERO);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert_eq!(run(order), expected);
    }
}
