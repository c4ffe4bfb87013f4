#![no_main]

use std::collections::HashSet;

use depin_device::{Queue, QueueError, Stored};
use depin_fuzz::flash::{Failure, Flash};
use libfuzzer_sys::fuzz_target;

type Nor = Flash<4, 256>;
const SECTORS: usize = 3;
/// Enough to go round the sectors; more only take time.
const STEPS: usize = 24;

/// Every envelope that was ever handed over, when all of them are known.
type Known = Option<HashSet<Vec<u8>>>;

// What a device does, cuts of its power, and damage to its flash, in three bytes each. Or, after a zero, flash as it may be found.
fuzz_target!(|bytes: &[u8]| {
    if let Some((0, found)) = bytes.split_first() {
        let mut held = vec![0xff; SECTORS * 256];
        held.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
        run(
            Nor::holding(held),
            &[[1, 40, 0], [2, 0, 0], [1, 90, 0], [3, 0, 0], [2, 0, 0], [1, 200, 0]],
            None,
        );
    } else {
        let steps = bytes.as_chunks().0;
        run(Nor::erased(SECTORS), &steps[..steps.len().min(STEPS)], Some(HashSet::new()));
    }
});

fn run(mut flash: Nor, mut steps: &[[u8; 3]], mut known: Known) {
    while let Some((step, rest)) = steps.split_first() {
        let [what, one, two] = step.map(usize::from);
        match what % 6 {
            3 => steps = rest,
            4 => {
                flash.steps_left = u64::try_from(one + two).ok();
                steps = rest;
            }
            5 => {
                let mut bytes = flash.bytes;
                bytes[(one * 4 + two) % (SECTORS * 256)] ^= step[2] | 1;
                flash = Nor::holding(bytes);
                steps = rest;
            }
            _ => {}
        }
        let done = from_start(&mut flash, what & 8 == 8, steps, &mut known);
        flash.steps_left = None;
        steps = &steps[done..];
    }
}

/// Starts the device, lets it work until it starts again, and says how many steps that were.
fn from_start(flash: &mut Nor, resume: bool, steps: &[[u8; 3]], known: &mut Known) -> usize {
    let opened = if resume { Queue::resume(flash) } else { Queue::open(flash) };
    let mut queue = match opened {
        Ok(queue) => queue,
        Err(QueueError::Flash(Failure::Power)) => return 0,
        Err(QueueError::Exhausted) => return steps.len(),
        Err(other) => panic!("{other}"),
    };
    let mut buffer = [0; 256];
    for (done, [what, one, two]) in steps.iter().enumerate() {
        let outcome = match what % 6 {
            0 => queue.reserve(usize::from(*one)).map(|_unused| ()),
            1 => queue.reserve(usize::from(*one)).and_then(|slot| {
                let envelope = vec![slot.number().sequence.to_le_bytes()[0] ^ two; usize::from(*one)];
                if let Some(known) = known {
                    known.insert(envelope.clone());
                }
                slot.store(&envelope)
            }),
            2 => queue
                .oldest(&mut buffer)
                .and_then(|oldest| {
                    let Some(Stored { number, envelope }) = oldest else { return Ok(None) };
                    assert!(
                        known.as_ref().is_none_or(|known| known.contains(envelope)),
                        "nobody stored this"
                    );
                    Ok(Some(number))
                })
                .and_then(|number| number.map_or(Ok(false), |number| queue.acknowledge(number)))
                .map(drop),
            _ => return done,
        };
        match outcome {
            Ok(()) | Err(QueueError::Full | QueueError::TooLarge { .. } | QueueError::Worn) => {}
            Err(QueueError::Flash(Failure::Power)) => return done + 1,
            Err(QueueError::Exhausted) => return steps.len(),
            Err(other) => panic!("{other}"),
        }
    }
    steps.len()
}
