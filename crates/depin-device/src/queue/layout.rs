//! How the log lies in flash: slots, each written once between two erasures, each with a checksum of its own.
//!
//! A sector begins with a head slot, and records follow without gaps:
//!
//! ```text
//! number | length | envelope | commit | removed
//! ```
//!
//! Each part is padded to whole units of the flash and written by itself, in this order. A reader can tell from what it finds where the next record
//! begins, whichever write was cut: a bad number is skipped alone, a good number with a bad length with the length's slot, and a good length covers the
//! rest. Checksums cover the sector's generation and the offset, so that nothing left from before counts.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

use super::Number;

/// A table would be faster and take a kilobyte of flash.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Largest unit of reading or writing.
pub(super) const MAX_UNIT: usize = 64;

/// Bytes of the slots before padding.
const HEAD: u32 = 24;
const NUMBER: u32 = 16;
const LENGTH: u32 = 8;
const COMMIT: u32 = 8;

const MAGIC: &[u8; 4] = b"dpQ1";

/// Where a slot is, as its checksum sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: u32,
    pub(super) offset: u32,
}

/// Sizes in bytes; a unit is the least that can be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) unit: u32,
    pub(super) sector: u32,
    pub(super) sectors: u32,
}

impl Layout {
    /// The layout for these sizes; none if no log fits.
    pub(super) fn new(read: usize, write: usize, erase: usize, capacity: usize) -> Option<Self> {
        let unit = read.max(write);
        let whole = [read, write].iter().all(|size| unit.checked_rem(*size) == Some(0));
        if !whole || MAX_UNIT.checked_rem(unit) != Some(0) || erase.checked_rem(unit) != Some(0) {
            return None;
        }
        let sectors = u32::try_from(capacity.checked_div(erase)?).ok()?;
        u32::try_from(capacity).ok()?;
        let layout = Self { unit: u32::try_from(unit).ok()?, sector: u32::try_from(erase).ok()?, sectors };
        (sectors >= 2 && layout.max_len() >= 64).then_some(layout)
    }

    /// `len` in whole units.
    pub(super) const fn padded(self, len: u32) -> u32 {
        match len.checked_next_multiple_of(self.unit) {
            Some(padded) => padded,
            None => u32::MAX,
        }
    }

    pub(super) const fn head(self) -> u32 {
        self.padded(HEAD)
    }

    pub(super) const fn number(self) -> u32 {
        self.padded(NUMBER)
    }

    pub(super) const fn length(self) -> u32 {
        self.padded(LENGTH)
    }

    pub(super) const fn commit(self) -> u32 {
        self.padded(COMMIT)
    }

    /// Number and length: everything before the envelope.
    pub(super) const fn front(self) -> u32 {
        self.number().saturating_add(self.length())
    }

    /// A whole record with an envelope of `len` bytes.
    pub(super) const fn record(self, len: u32) -> u32 {
        self.front().saturating_add(self.padded(len)).saturating_add(self.commit()).saturating_add(self.unit)
    }

    /// Longest envelope: alone in its sector.
    pub(super) const fn max_len(self) -> u32 {
        let room = self.sector.saturating_sub(self.head()).saturating_sub(self.record(0));
        match room.checked_rem(self.unit) {
            Some(rest) => room.saturating_sub(rest),
            None => 0,
        }
    }
}

/// The head of a sector: generations count the sectors begun, and `next` is the first number not used by then.
pub(super) fn head(generation: u32, next: Number) -> [u8; 24] {
    let place = Place { generation, offset: 0 };
    let mut slot = [0; 24];
    fill(
        &mut slot,
        &[
            MAGIC,
            &generation.to_le_bytes(),
            &next.boot.to_le_bytes(),
            &next.sequence.to_le_bytes(),
            &checksum(b'h', place, &[&next.boot.to_le_bytes(), &next.sequence.to_le_bytes()]).to_le_bytes(),
        ],
    );
    slot
}

/// Generation and number of a head.
pub(super) fn read_head(slot: &[u8]) -> Option<(u32, Number)> {
    let rest = slot.strip_prefix(MAGIC)?;
    let (generation, rest) = rest.split_first_chunk()?;
    let (boot, rest) = rest.split_first_chunk()?;
    let (sequence, _) = rest.split_first_chunk()?;
    let generation = u32::from_le_bytes(*generation);
    let next = Number { boot: u32::from_le_bytes(*boot), sequence: u64::from_le_bytes(*sequence) };
    slot.starts_with(&head(generation, next)).then_some((generation, next))
}

pub(super) fn number(place: Place, number: Number) -> [u8; 16] {
    let (boot, sequence) = (number.boot.to_le_bytes(), number.sequence.to_le_bytes());
    let mut slot = [0; 16];
    fill(&mut slot, &[&boot, &sequence, &checksum(b'n', place, &[&boot, &sequence]).to_le_bytes()]);
    slot
}

pub(super) fn read_number(place: Place, slot: &[u8]) -> Option<Number> {
    let (boot, rest) = slot.split_first_chunk()?;
    let (sequence, _) = rest.split_first_chunk()?;
    let found = Number { boot: u32::from_le_bytes(*boot), sequence: u64::from_le_bytes(*sequence) };
    slot.starts_with(&number(place, found)).then_some(found)
}

pub(super) fn length(place: Place, len: u32) -> [u8; 8] {
    let mut slot = [0; 8];
    fill(&mut slot, &[&len.to_le_bytes(), &checksum(b'l', place, &[&len.to_le_bytes()]).to_le_bytes()]);
    slot
}

pub(super) fn read_length(place: Place, slot: &[u8]) -> Option<u32> {
    let (len, _) = slot.split_first_chunk()?;
    let len = u32::from_le_bytes(*len);
    slot.starts_with(&length(place, len)).then_some(len)
}

/// The checksum over a record, as its envelope is read piece by piece.
pub(super) struct Sum(crc::Digest<'static, u32, NoTable>);

impl Sum {
    pub(super) fn new(place: Place, number: Number, len: u32) -> Self {
        static SHARED: Crc<u32, NoTable> = CRC;
        let mut sum = SHARED.digest();
        begin(&mut sum, b'c', place);
        sum.update(&number.boot.to_le_bytes());
        sum.update(&number.sequence.to_le_bytes());
        sum.update(&len.to_le_bytes());
        Self(sum)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The commit slot: the sum and its complement, which is never what an erased slot reads as.
    pub(super) fn commit(self) -> [u8; 8] {
        let sum = self.0.finalize();
        let mut slot = [0; 8];
        fill(&mut slot, &[&sum.to_le_bytes(), &(!sum).to_le_bytes()]);
        slot
    }
}

fn checksum(tag: u8, place: Place, fields: &[&[u8]]) -> u32 {
    let mut sum = CRC.digest();
    begin(&mut sum, tag, place);
    for field in fields {
        sum.update(field);
    }
    sum.finalize()
}

fn begin(sum: &mut crc::Digest<'_, u32, NoTable>, tag: u8, place: Place) {
    sum.update(&[tag]);
    sum.update(&place.generation.to_le_bytes());
    sum.update(&place.offset.to_le_bytes());
}

fn fill(slot: &mut [u8], fields: &[&[u8]]) {
    for (to, from) in slot.iter_mut().zip(fields.iter().copied().flatten()) {
        *to = *from;
    }
}
