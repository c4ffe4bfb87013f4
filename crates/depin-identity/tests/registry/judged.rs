//! Whether a report counts by what the registry says.

use super::*;

#[test]
fn each_report_is_judged_by_receipt_time_numbers_and_epoch() {
    // Rotated at 30, sold from epoch 9 on, suspended from 2000 to 3000, the buyer's key compromised since 4000, off at 5000.
    let mut registry = fold(&[registered(1, 10), rotated(1, 1, 101, 1)]);
    for event in [
        transferred(1, (10, 101), (11, 102), 2),
        suspended(1, 2_000),
        resumed(1, 3_000),
        compromised(1, 102, 4_000),
        ChainEvent::DeviceDeactivated { device: id(1).on_chain(), at: at(5_000) },
    ] {
        registry.apply(&event).unwrap();
    }
    for (key, received, epoch, (boot, sequence), expected) in [
        // Active, even where the chain's clock is ahead.
        (1, 9, 0, (0, 0), ""),
        // The rotated key, up to its last report and until its grace ends.
        (1, 1_030, 0, (3, 77), ""),
        (1, 1_030, 0, (2, u64::MAX), ""),
        (1, 1_031, 0, (3, 77), "rotated"),
        (1, 20, 0, (3, 78), "rotated"),
        (1, 20, 0, (4, 0), "rotated"),
        // The key of the seller.
        (101, 899, 8, (9, 9), ""),
        (101, 899, 9, (9, 9), "cut-over"),
        // The buyer's key.
        (102, 1_999, 8, (0, 0), "cut-over"),
        (102, 1_999, 9, (0, 0), ""),
        (102, 2_000, 9, (0, 0), "suspended"),
        (102, 2_999, 9, (0, 0), "suspended"),
        (102, 3_000, 9, (0, 0), ""),
        (102, 3_999, 99, (0, 0), ""),
        (102, 4_000, 99, (0, 0), "compromised"),
        (102, 5_000, 99, (0, 0), "deactivated"),
        (1, u64::MAX, 99, (0, 0), "deactivated"),
    ] {
        let found = reason(&registry, key, arrival(received, epoch, boot, sequence));
        assert_eq!(found, expected, "key {key} at {received} in epoch {epoch}: {boot}, {sequence}");
    }
}

#[test]
fn a_bound_device_does_not_count_whatever_the_time() {
    let bound = fold(&[registered_inactive(1, 10)]);
    for received in [0, 10, u64::MAX] {
        assert_eq!(reason(&bound, 1, arrival(received, 0, 0, 0)), "not-activated");
    }
}

#[test]
fn at_any_moment_one_knows_who_was_allowed_what() {
    let registry = fold(&[
        registered_inactive(1, 10),
        activated(1),
        rotated(1, 1, 101, 2),
        transferred(1, (10, 101), (11, 102), 3),
    ]);
    let known = record(&registry, 1);
    let standing = |moment, epoch| {
        known.standing(at(moment), Epoch(epoch)).map(|found| {
            (found.status.unwrap(), found.owner, found.ownership_epoch, found.key.map(|key| key.key))
        })
    };
    assert_eq!(standing(9, 0), None);
    assert_eq!(standing(14, 0), Some((Status::Bound, owner(10), 0, Some(typed(1)))));
    assert_eq!(standing(19, 0), Some((Status::Active, owner(10), 0, Some(typed(1)))));
    // Grants end with the sale, pay and key with its cut-over.
    assert_eq!(standing(30, 8), Some((Status::Active, owner(10), 1, Some(typed(101)))));
    assert_eq!(standing(30, 9), Some((Status::Active, owner(11), 1, Some(typed(102)))));
}
