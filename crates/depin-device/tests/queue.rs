//! The queue against a model, with the power cut at every step of every write and erasure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs, clippy::as_conversions)]

mod flash;

use std::collections::{HashSet, VecDeque};

use depin_device::{Number, Queue, QueueError, Stored};
use flash::{Failure, Flash};
use proptest::prelude::*;

/// Something a device does.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Stores an envelope of so many bytes.
    Store(usize),
    /// Takes a number and stores nothing.
    Abandon,
    /// Delivers the oldest.
    Deliver,
    /// Starts again, numbering under a new boot or going on.
    Start { resume: bool },
    /// Loses power after so many steps, in whatever comes next, and starts again.
    CutAfter(u64),
}

/// What a device was promised.
#[derive(Clone, Debug, Default)]
struct Model {
    waiting: VecDeque<(Number, Vec<u8>)>,
    used: HashSet<Number>,
    /// Being stored when the power went: it may be there or not.
    storing: Option<(Number, Vec<u8>)>,
    /// The oldest was being removed when the power went.
    removing: bool,
}

struct Device<const UNIT: usize, const SECTOR: usize> {
    flash: Flash<UNIT, SECTOR>,
    model: Model,
    resume: bool,
}

/// Bytes that tell an envelope from every other.
fn envelope(number: Number, len: usize) -> Vec<u8> {
    let seed = number.sequence * 31 + u64::from(number.boot) * 7919;
    (0..len as u64).map(|at| (seed.wrapping_mul(at + 3) >> 3) as u8).collect()
}

impl<const UNIT: usize, const SECTOR: usize> Device<UNIT, SECTOR> {
    fn new(sectors: usize) -> Self {
        Self { flash: Flash::erased(sectors), model: Model::default(), resume: false }
    }

    /// Does `steps`, starting again after each cut.
    fn run(&mut self, steps: &[Step]) {
        let mut rest = steps;
        while !rest.is_empty() {
            let done = self.until_cut(rest);
            rest = &rest[done..];
            self.flash.steps_left = None;
            self.check();
        }
    }

    /// Does steps until a start or a cut, and says how many were begun.
    fn until_cut(&mut self, steps: &[Step]) -> usize {
        let opened = if self.resume { Queue::resume(&mut self.flash) } else { Queue::open(&mut self.flash) };
        let mut queue = match opened {
            Ok(queue) => queue,
            Err(QueueError::Flash(Failure::Power)) => return 1,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(queue.len() as usize, self.model.waiting.len());
        for (at, step) in steps.iter().enumerate() {
            let done = match *step {
                Step::Store(len) => store(&mut queue, &mut self.model, len),
                Step::Abandon => store_nothing(&mut queue, &mut self.model),
                Step::Deliver => deliver(&mut queue, &mut self.model),
                Step::Start { resume } => {
                    self.resume = resume;
                    return at + 1;
                }
                Step::CutAfter(left) => {
                    self.flash.steps_left = Some(left);
                    let _ = self.until_cut(&steps[at + 1..]);
                    return at + 1;
                }
            };
            match done {
                Ok(()) => {}
                Err(QueueError::Flash(Failure::Power)) => return at + 1,
                Err(other) => panic!("{other}"),
            }
        }
        steps.len()
    }

    /// What a start finds is what was promised; afterwards the model says what is there.
    fn check(&mut self) {
        let found = contents(self.flash.clone());
        let model = &mut self.model;
        let mut may: Vec<VecDeque<_>> = vec![model.waiting.clone()];
        if model.removing {
            may.push(model.waiting.iter().skip(1).cloned().collect());
        }
        if let Some(storing) = model.storing.take() {
            for with in may.clone() {
                may.push(with.into_iter().chain([storing.clone()]).collect());
            }
        }
        assert!(may.contains(&found), "found {found:?}, promised {:?}", model.waiting);
        model.waiting = found;
        model.removing = false;
    }
}

type Opened<'a, const UNIT: usize, const SECTOR: usize> = Queue<&'a mut Flash<UNIT, SECTOR>>;
type Done = Result<(), QueueError<Failure>>;

fn store<const UNIT: usize, const SECTOR: usize>(
    queue: &mut Opened<'_, UNIT, SECTOR>,
    model: &mut Model,
    len: usize,
) -> Done {
    let len = len.min(queue.max_len());
    let slot = match queue.reserve(len) {
        Err(QueueError::Full) => {
            assert!(!model.waiting.is_empty(), "an empty queue is never full");
            return Ok(());
        }
        slot => slot?,
    };
    let number = slot.number();
    assert!(model.used.insert(number), "{number:?} is used twice");
    let bytes = envelope(number, len);
    model.storing = Some((number, bytes.clone()));
    slot.store(&bytes)?;
    model.waiting.extend(model.storing.take());
    Ok(())
}

fn store_nothing<const UNIT: usize, const SECTOR: usize>(
    queue: &mut Opened<'_, UNIT, SECTOR>,
    model: &mut Model,
) -> Done {
    match queue.reserve(10) {
        Err(QueueError::Full) => Ok(()),
        slot => {
            let number = slot?.number();
            assert!(model.used.insert(number), "{number:?} is used twice");
            Ok(())
        }
    }
}

fn deliver<const UNIT: usize, const SECTOR: usize>(
    queue: &mut Opened<'_, UNIT, SECTOR>,
    model: &mut Model,
) -> Done {
    let mut buffer = [0; SECTOR];
    let Some(Stored { number, envelope }) = queue.oldest(&mut buffer)? else {
        assert!(model.waiting.is_empty());
        return Ok(());
    };
    let (expected, bytes) = &model.waiting[0];
    assert_eq!((number, envelope), (*expected, bytes.as_slice()));
    // A late answer to another report removes nothing.
    assert!(!queue.acknowledge(Number { boot: number.boot, sequence: number.sequence + 1 })?);
    model.removing = true;
    assert!(queue.acknowledge(number)?);
    model.removing = false;
    model.waiting.pop_front();
    Ok(())
}

/// Everything in a queue, oldest first.
fn contents<const UNIT: usize, const SECTOR: usize>(
    flash: Flash<UNIT, SECTOR>,
) -> VecDeque<(Number, Vec<u8>)> {
    let mut queue = Queue::resume(flash).unwrap();
    let mut found = VecDeque::new();
    let mut buffer = [0; SECTOR];
    while let Some(Stored { number, envelope }) = queue.oldest(&mut buffer).unwrap() {
        found.push_back((number, envelope.to_vec()));
        assert!(queue.acknowledge(number).unwrap());
    }
    assert!(queue.is_empty());
    found
}

/// More than a round through the ring, with every kind of step, filling up twice.
fn busy_day() -> Vec<Step> {
    let mut steps = Vec::new();
    for round in 0..4 {
        steps.extend([
            Step::Store(60),
            Step::Store(7 + round),
            Step::Abandon,
            Step::Store(91),
            Step::Deliver,
        ]);
        steps.push(Step::Start { resume: round % 2 == 0 });
        steps.extend([Step::Store(64), Step::Deliver, Step::Deliver, Step::Store(40), Step::Deliver]);
    }
    steps.extend([Step::Store(70); 8]);
    steps.extend([Step::Deliver; 20]);
    steps.extend([Step::Store(33), Step::Start { resume: true }, Step::Store(0), Step::Deliver]);
    steps
}

fn every_cut_is_survived<const UNIT: usize, const SECTOR: usize>(sectors: usize) {
    let mut uncut = Device::<UNIT, SECTOR>::new(sectors);
    uncut.run(&busy_day());
    let total = uncut.flash.steps;
    assert!(uncut.flash.erased.iter().all(|times| *times > 0), "once around the ring at least");
    for cut in 0..total {
        let mut device = Device::<UNIT, SECTOR>::new(sectors);
        device.flash.steps_left = Some(cut);
        let begun = device.run_until_first_cut(&busy_day());
        device.run(&busy_day()[begun..]);
        if cut % 4 != 0 {
            continue;
        }
        // And a second cut soon after the first.
        let mut device = Device::<UNIT, SECTOR>::new(sectors);
        device.flash.steps_left = Some(cut);
        let begun = device.run_until_first_cut(&busy_day());
        let again = [&[Step::CutAfter(cut % 97)], &busy_day()[begun..]].concat();
        device.run(&again);
    }
}

impl<const UNIT: usize, const SECTOR: usize> Device<UNIT, SECTOR> {
    /// Steps begun before the cut that is set.
    fn run_until_first_cut(&mut self, steps: &[Step]) -> usize {
        let mut begun = 0;
        while begun < steps.len() && self.flash.steps_left != Some(0) {
            begun += self.until_cut(&steps[begun..]);
        }
        self.flash.steps_left = None;
        self.check();
        begun
    }
}

#[test]
fn a_cut_at_every_byte_is_survived_by_flash_that_writes_bytes() {
    every_cut_is_survived::<1, 256>(3);
}

#[test]
fn a_cut_at_every_byte_is_survived_by_flash_that_writes_words() {
    every_cut_is_survived::<4, 256>(3);
}

#[test]
fn a_cut_at_every_byte_is_survived_by_flash_that_writes_double_words() {
    every_cut_is_survived::<8, 512>(2);
}

#[test]
fn a_cut_at_every_byte_is_survived_by_flash_that_writes_lines() {
    every_cut_is_survived::<32, 512>(3);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..260_usize).prop_map(Step::Store),
        1 => Just(Step::Abandon),
        4 => Just(Step::Deliver),
        1 => any::<bool>().prop_map(|resume| Step::Start { resume }),
        2 => (0..400_u64).prop_map(Step::CutAfter),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn a_device_keeps_its_promises_whatever_it_does(steps in steps(), sectors in 2..6_usize) {
        Device::<1, 256>::new(sectors).run(&steps);
        Device::<4, 512>::new(sectors).run(&steps);
        Device::<16, 512>::new(sectors).run(&steps);
    }

    #[test]
    fn any_bytes_open_as_a_queue_that_works(
        sectors in prop::collection::vec(prop::collection::vec(any::<u8>(), 256), 2..5),
        steps in steps(),
    ) {
        let mut device = Device { flash: Flash::<4, 256>::holding(sectors.concat()), ..Device::new(0) };
        prop_assert_eq!(contents(device.flash.clone()), VecDeque::new());
        device.run(&steps);
    }

    #[test]
    fn damage_loses_only_what_shares_its_sector_and_makes_nothing_up(
        steps in steps(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        more in steps(),
    ) {
        let mut device = Device::<4, 256>::new(4);
        device.run(&steps);
        let before = device.flash.bytes.clone();
        let mut hit_sectors = HashSet::new();
        for (at, byte) in hits {
            let at = at.index(before.len());
            device.flash.bytes[at] = byte;
            hit_sectors.insert(at / 256);
        }
        device.flash = Flash::holding(device.flash.bytes);
        let waiting = device.model.waiting.clone();
        let found = contents(device.flash.clone());
        // A removal that is undone by damage shows an envelope again; what is shown was stored in any case.
        for (number, bytes) in &found {
            prop_assert!(device.model.used.contains(number));
            prop_assert_eq!(bytes, &envelope(*number, bytes.len()));
        }
        for kept in waiting.iter().filter(|(_, bytes)| bytes.len() >= 16) {
            let lies_at = before.windows(kept.1.len()).position(|bytes| bytes == kept.1).unwrap();
            prop_assert!(found.contains(kept) || hit_sectors.contains(&(lies_at / 256)));
        }
        // It goes on working, though numbers that were lost with the damage may come again.
        device.model = Model { waiting: found, ..Model::default() };
        device.run(&more);
    }
}

#[test]
fn a_full_queue_refuses_and_keeps_what_it_has() {
    let mut flash = Flash::<4, 256>::erased(3);
    let mut queue = Queue::open(&mut flash).unwrap();
    let mut stored = Vec::new();
    while let Ok(slot) = queue.reserve(60) {
        let number = slot.number();
        slot.store(&envelope(number, 60)).unwrap();
        stored.push(number);
    }
    // Two sectors of three hold two records each of 96 bytes; one sector is spare.
    assert_eq!((stored.len(), queue.len()), (4, 4));
    assert!(matches!(queue.reserve(60), Err(QueueError::Full)));
    // Room comes back with the last envelope of the oldest sector.
    assert!(queue.acknowledge(stored[0]).unwrap());
    assert!(matches!(queue.reserve(60), Err(QueueError::Full)));
    assert!(queue.acknowledge(stored[1]).unwrap());
    queue.reserve(60).unwrap().store(b"room").unwrap();
    let mut buffer = [0; 256];
    let oldest = queue.oldest(&mut buffer).unwrap().unwrap();
    assert_eq!((oldest.number, oldest.envelope), (stored[2], &*envelope(stored[2], 60)));
}

#[test]
fn wear_is_even() {
    let mut device = Device::<4, 256>::new(5);
    for _ in 0..200 {
        device.run(&[
            Step::Store(50),
            Step::Deliver,
            Step::Store(90),
            Step::Start { resume: true },
            Step::Deliver,
        ]);
    }
    let erased = device.flash.erased;
    let (least, most) = (erased.iter().min().unwrap(), erased.iter().max().unwrap());
    assert!(*least > 10 && most - least <= 1, "{erased:?}");
}

#[test]
fn numbers_go_up_under_one_boot_or_the_next() {
    let mut flash = Flash::<4, 256>::erased(2);
    let mut queue = Queue::open(&mut flash).unwrap();
    assert!(!queue.found_log());
    let number = |boot, sequence| Number { boot, sequence };
    assert_eq!(queue.reserve(9).unwrap().number(), number(1, 1));
    assert_eq!(queue.reserve(9).unwrap().number(), number(1, 2));
    let mut queue = Queue::resume(&mut flash).unwrap();
    assert!(queue.found_log());
    assert_eq!(queue.reserve(9).unwrap().number(), number(1, 3));
    let mut queue = Queue::open(&mut flash).unwrap();
    assert_eq!(queue.reserve(9).unwrap().number(), number(2, 1));
    // A start without a report takes no number.
    assert!(Queue::open(&mut flash).unwrap().is_empty());
    let mut queue = Queue::open(&mut flash).unwrap();
    queue.skip_boots(2);
    assert_eq!(queue.reserve(9).unwrap().number(), number(3, 1));
    queue.skip_boots(40);
    assert_eq!(queue.reserve(9).unwrap().number(), number(40, 1));
    // Numbers outlast the sector they were written to.
    for sequence in 2..200 {
        assert_eq!(queue.reserve(64).unwrap().number(), number(40, sequence));
    }
    assert_eq!(Queue::resume(&mut flash).unwrap().reserve(9).unwrap().number(), number(40, 200));
}

#[test]
fn sizes_have_limits() {
    let mut flash = Flash::<4, 256>::erased(3);
    let mut queue = Queue::open(&mut flash).unwrap();
    let max = queue.max_len();
    assert_eq!(max, 256 - 24 - 36);
    let too_large = QueueError::TooLarge { found: max + 1, max };
    assert_eq!(queue.reserve(max + 1).map(|slot| slot.number()), Err(too_large));
    assert_eq!(queue.reserve(usize::MAX).map(|_| ()), Err(QueueError::TooLarge { found: usize::MAX, max }));
    let longer_than_reserved = queue.reserve(10).unwrap().store(&[0; 11]);
    assert_eq!(longer_than_reserved, Err(QueueError::TooLarge { found: 11, max: 10 }));
    queue.reserve(max).unwrap().store(&vec![7; max]).unwrap();
    let needed = max;
    assert_eq!(queue.oldest(&mut [0; 9]).map(|_| ()), Err(QueueError::Buffer { found: 9, needed }));
    assert_eq!(queue.oldest(&mut vec![0; max]).unwrap().unwrap().envelope, vec![7; max]);
}

#[test]
fn flash_that_does_not_fit_is_refused() {
    fn refused<const UNIT: usize, const SECTOR: usize>(sectors: usize) -> bool {
        let opened = Queue::open(Flash::<UNIT, SECTOR>::erased(sectors));
        matches!(opened, Err(QueueError::Geometry { .. }))
    }
    assert!(refused::<4, 256>(0) && refused::<4, 256>(1) && !refused::<4, 256>(2));
    assert!(refused::<4, 64>(8) && refused::<128, 4096>(4) && !refused::<64, 512>(2));
    assert!(refused::<3, 300>(4), "units divide the 64 bytes that are read at a time");
}

#[test]
fn flash_that_keeps_nothing_stores_nothing() {
    // Every bit is stuck: what is written reads back as it was.
    #[derive(Debug)]
    struct Stuck(Flash<4, 256>);
    impl embedded_storage::nor_flash::ErrorType for Stuck {
        type Error = Failure;
    }
    impl embedded_storage::nor_flash::ReadNorFlash for Stuck {
        const READ_SIZE: usize = 4;
        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failure> {
            self.0.read(offset, bytes)
        }
        fn capacity(&self) -> usize {
            self.0.capacity()
        }
    }
    impl embedded_storage::nor_flash::NorFlash for Stuck {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = 256;
        fn erase(&mut self, _: u32, _: u32) -> Result<(), Failure> {
            Ok(())
        }
        fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Failure> {
            Ok(())
        }
    }
    let mut queue = Queue::open(Stuck(Flash::erased(3))).unwrap();
    assert_eq!(queue.reserve(9).map(|_| ()), Err(QueueError::Worn));
    // A log whose last sector wears out later.
    let mut flash = Flash::<4, 256>::erased(3);
    assert_eq!(Queue::open(&mut flash).unwrap().reserve(9).unwrap().number().sequence, 1);
    let mut queue = Queue::open(Stuck(flash)).unwrap();
    assert_eq!(queue.reserve(9).map(|_| ()), Err(QueueError::Worn));
    assert!(queue.is_empty());
}

#[test]
fn an_open_queue_takes_96_bytes_and_its_driver() {
    assert_eq!(size_of::<Queue<()>>(), 96);
}
