//! Replay marks against a naive model that remembers everything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use depin_core::cbor::{self, CborError};
use depin_identity::{Fresh, ReplayError, ReplayMarks};
use proptest::prelude::*;

const FRESH: Result<Fresh, ReplayError> = Ok(Fresh { interleaved: false });
const INTERLEAVED: Result<Fresh, ReplayError> = Ok(Fresh { interleaved: true });

#[test]
fn a_tuple_counts_once_in_any_order() {
    let mut marks = ReplayMarks::default();
    for sequence in [5, 7, 6, 1, 0, 1000] {
        assert_eq!(marks.admit(1, sequence), FRESH);
    }
    for sequence in [0, 1, 5, 6, 7, 1000] {
        assert_eq!(marks.admit(1, sequence), Err(ReplayError::Duplicate { boot: 1, sequence }));
    }
}

#[test]
fn the_window_is_1024_wide() {
    let mut marks = ReplayMarks::default();
    assert_eq!(marks.admit(1, 2000), FRESH);
    assert_eq!(marks.admit(1, 977), FRESH);
    let too_old = ReplayError::TooOld { boot: 1, sequence: 976, oldest: Some(977) };
    assert_eq!(marks.admit(1, 976), Err(too_old));
    assert_eq!(marks.admit(1, 977), Err(ReplayError::Duplicate { boot: 1, sequence: 977 }));
    assert_eq!(marks.admit(1, 2001), FRESH);
    assert!(matches!(marks.admit(1, 977), Err(ReplayError::TooOld { .. })));
    assert_eq!(marks.admit(1, u64::MAX), FRESH);
    assert_eq!(marks.admit(1, u64::MAX - 1023), FRESH);
    assert!(matches!(marks.admit(1, 2000), Err(ReplayError::TooOld { .. })));
}

#[test]
fn a_copied_key_with_a_raised_boot_counter_does_not_lock_the_device_out() {
    let mut marks = ReplayMarks::default();
    assert_eq!(marks.admit(5, 100), FRESH);
    // The thief.
    assert_eq!(marks.admit(4_000_000_000, 0), FRESH);
    // The device goes on, and even starts again, and both leave a trace.
    assert_eq!(marks.admit(5, 101), INTERLEAVED);
    assert_eq!(marks.admit(6, 0), INTERLEAVED);
    assert_eq!(marks.admit(6, 0), Err(ReplayError::Duplicate { boot: 6, sequence: 0 }));
    // Settling does not change that, whoever was silent.
    for raised in [4_000_000_100, 4_000_000_200, 4_000_000_300] {
        marks.settle();
        assert_eq!(marks.admit(raised, 0), FRESH);
    }
    marks.settle();
    assert_eq!(marks.admit(7, 0), INTERLEAVED);
}

#[test]
fn a_ninth_boot_is_refused_until_the_epoch_is_settled() {
    let mut marks = ReplayMarks::default();
    for boot in 1..=8 {
        assert_eq!(marks.admit(boot, 0), FRESH);
    }
    for boot in [0, 9] {
        assert_eq!(marks.admit(boot, 0), Err(ReplayError::TooManyBoots { boot, max: 8 }));
    }
    // None in use was evicted.
    for boot in 1..=8 {
        assert!(marks.admit(boot, 1).is_ok());
    }
    // All were used, so all stay; the next time only the highest does.
    marks.settle();
    assert_eq!(marks.boots().count(), 8);
    assert_eq!(marks.admit(3, 2), INTERLEAVED);
    marks.settle();
    assert_eq!(marks.boots().collect::<Vec<_>>(), [(3, 2), (8, 1)]);
    assert_eq!(marks.admit(9, 0), FRESH);
    assert_eq!(marks.admit(0, 0), INTERLEAVED);
}

#[test]
fn what_was_settled_stays_counted() {
    let mut marks = ReplayMarks::default();
    for boot in 1..=3 {
        marks.admit(boot, 9).unwrap();
    }
    marks.settle();
    marks.settle();
    assert_eq!(marks.boots().collect::<Vec<_>>(), [(3, 9)]);
    for boot in 1..=2 {
        let refused = ReplayError::TooOld { boot, sequence: 9, oldest: None };
        assert_eq!(marks.admit(boot, 9), Err(refused));
        assert!(marks.admit(boot, 10).is_err());
    }
    assert_eq!(marks.admit(3, 9), Err(ReplayError::Duplicate { boot: 3, sequence: 9 }));
}

#[test]
fn marks_stay_small_whatever_a_device_does() {
    let mut marks = ReplayMarks::default();
    let mut largest = 0;
    for round in 0..200_u32 {
        for boot in 0..8 {
            // Spread out, so that no two settled boots are neighbours.
            let _ = marks.admit((round * 8 + boot) * 1000, u64::MAX);
            let _ = marks.admit((round * 8 + boot) * 1000, u64::MAX - 1023);
        }
        marks.settle();
        largest = largest.max(cbor::to_vec(&marks).len());
    }
    assert!(largest < 1500, "{largest}");
}

#[test]
fn impossible_marks_are_not_read() {
    let mut marks = ReplayMarks::default();
    marks.admit(1, 3).unwrap();
    marks.admit(2, 3).unwrap();
    let good = cbor::to_vec(&marks);
    assert_eq!(hex::encode(&good), "828284010341 01f584020341 01f580".replace(' ', ""));
    for (name, bad) in [
        ("boots descending", "8282840203410 1f584010341 01f580"),
        ("a boot twice", "828284010341 01f584010341 01f580"),
        ("highest not seen", "828184010341 02f580"),
        ("a sequence below 0", "828184010341 11f580"),
        ("a leading zero", "828184010342 0001f580"),
        ("no window", "828184010340 f580"),
        ("ranges that touch", "828082820102820304"),
        ("ranges that overlap", "828082820105820306"),
        ("a range upside down", "82808182 0201"),
        ("a field more", "83808000"),
    ] {
        let bytes = hex::decode(bad.replace(' ', "")).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Deterministic CBOR all of it, so it is the marks that are refused.
        let result = cbor::from_slice::<ReplayMarks>(&bytes);
        assert!(matches!(result, Err(CborError::Message(_))), "{name}: {result:?}");
    }
    let nine = [&[0x82, 0x89], [0x84, 0, 3, 0x41, 1, 0xf5].repeat(9).as_slice(), &[0x80]].concat();
    assert!(cbor::from_slice::<ReplayMarks>(&nine).is_err());
    for end in 0..good.len() {
        assert!(cbor::from_slice::<ReplayMarks>(&good[..end]).is_err());
    }
}

/// Remembers everything.
#[derive(Default)]
struct Model {
    seen: BTreeSet<(u32, u64)>,
    /// The boots kept apart: highest sequence, and whether used since the last settling.
    boots: BTreeMap<u32, (u64, bool)>,
    settled: BTreeSet<u32>,
}

impl Model {
    fn admit(&mut self, boot: u32, sequence: u64) -> Option<bool> {
        let interleaved = self.boots.keys().next_back().is_some_and(|highest| boot < *highest);
        match self.boots.get(&boot) {
            None if self.settled.contains(&boot) || self.boots.len() == 8 => return None,
            Some((highest, _)) if sequence + 1024 <= *highest => return None,
            _ => {}
        }
        if !self.seen.insert((boot, sequence)) {
            return None;
        }
        let (highest, used) = self.boots.entry(boot).or_default();
        (*highest, *used) = ((*highest).max(sequence), true);
        Some(interleaved)
    }

    fn settle(&mut self) {
        let last = self.boots.keys().next_back().copied();
        let gone: Vec<u32> = self
            .boots
            .iter()
            .filter(|(boot, (_, used))| !used && Some(**boot) != last)
            .map(|(boot, _)| *boot)
            .collect();
        for boot in gone {
            self.boots.remove(&boot);
            self.settled.insert(boot);
        }
        self.boots.values_mut().for_each(|(_, used)| *used = false);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit(u32, u64),
    Settle,
}

fn steps(boots: u32) -> impl Strategy<Value = Vec<Step>> {
    let sequence = prop_oneof![0..40_u64, 0..3000_u64, 1000..1040_u64];
    let admit = (0..boots, sequence).prop_map(|(boot, sequence)| Step::Admit(boot, sequence));
    prop::collection::vec(prop_oneof![12 => admit, 1 => Just(Step::Settle)], 0..400)
}

proptest! {
    #[test]
    fn marks_equal_a_model_that_remembers_everything(steps in steps(14)) {
        // At most 14 boots never make more ranges than are kept, so nothing is refused by joining them.
        let (mut marks, mut model) = (ReplayMarks::default(), Model::default());
        for step in steps {
            match step {
                Step::Admit(boot, sequence) => {
                    let before = marks.clone();
                    let result = marks.admit(boot, sequence);
                    prop_assert_eq!(result.ok().map(|fresh| fresh.interleaved), model.admit(boot, sequence));
                    prop_assert!(result.is_ok() || marks == before);
                }
                Step::Settle => {
                    marks.settle();
                    model.settle();
                }
            }
            let kept: Vec<_> = model.boots.iter().map(|(boot, (highest, _))| (*boot, *highest)).collect();
            prop_assert_eq!(marks.boots().collect::<Vec<_>>(), kept);
        }
    }

    #[test]
    fn a_restart_at_any_point_changes_no_later_verdict(steps in steps(200), restarts in prop::collection::vec(0..6_u8, 400)) {
        let (mut running, mut restarted) = (ReplayMarks::default(), ReplayMarks::default());
        for (step, restart) in steps.into_iter().zip(restarts) {
            if restart == 0 {
                restarted = cbor::from_slice(&cbor::to_vec(&restarted)).unwrap();
            }
            match step {
                Step::Admit(boot, sequence) => {
                    prop_assert_eq!(running.admit(boot, sequence), restarted.admit(boot, sequence));
                }
                Step::Settle => {
                    running.settle();
                    restarted.settle();
                }
            }
            prop_assert_eq!(&running, &restarted);
        }
    }

    #[test]
    fn no_tuple_is_ever_admitted_twice(steps in prop::collection::vec((0..200_u32, 0..3_u64, 0..8_u8), 0..800)) {
        // Many boots, so that ranges are joined.
        let (mut marks, mut seen) = (ReplayMarks::default(), BTreeSet::new());
        for (boot, sequence, settle) in steps {
            if settle == 0 {
                marks.settle();
            }
            if marks.admit(boot * 3, sequence).is_ok() {
                prop_assert!(seen.insert((boot, sequence)));
            }
            let bytes = cbor::to_vec(&marks);
            prop_assert_eq!(&cbor::from_slice::<ReplayMarks>(&bytes).unwrap(), &marks);
        }
    }
}
