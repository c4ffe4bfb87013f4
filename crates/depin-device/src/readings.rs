//! Many readings under one signature: a body in SenML (RFC 8428, CBOR), built as readings arrive.

use crate::cbor::Writer;

/// Labels of SenML in CBOR (RFC 8428, table 4).
mod label {
    pub(super) const NAME: i64 = 0;
    pub(super) const UNIT: i64 = 1;
    pub(super) const VALUE: i64 = 2;
    pub(super) const TIME: i64 = 6;
    pub(super) const BASE_NAME: i64 = -2;
    pub(super) const BASE_TIME: i64 = -3;
    pub(super) const BASE_UNIT: i64 = -4;
}

/// Decimal fraction (RFC 8949, 3.4.4).
const DECIMAL: u64 = 4;

/// Room for the head of the outer array.
const HEAD: usize = 3;
/// Room for the base time: label, tag, array, exponent and up to nine bytes of milliseconds.
const BASE_TIME: usize = 13;

/// A number without rounding: mantissa * 10^exponent. 21.50 is `Value { mantissa: 2150, exponent: -2 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The digits.
    pub mantissa: i64,
    /// The power of ten, -18 to 18.
    pub exponent: i8,
}

impl From<i64> for Value {
    fn from(mantissa: i64) -> Self {
        Self { mantissa, exponent: 0 }
    }
}

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// What was read, after the base name; empty when the base name says it all.
    pub name: &'a str,
    /// Its unit, from the SenML registry (`Cel`, `Wh`, `%RH`); empty for the base unit.
    pub unit: &'a str,
    /// The number.
    pub value: Value,
    /// When, in milliseconds of a count that never goes back: the time since the start of the device.
    pub at: u64,
}

/// A pack of readings in memory that the caller lends; the body of a report.
///
/// The body is an array of maps, one per reading, in deterministic CBOR that any SenML library reads. The first map carries the base fields:
/// name and unit where given, and always the time, which is minus the age of the first reading when the pack was finished (RFC 8428, 4.5.3: relative
/// to now, and now is the time of the report). Times are seconds, as an integer or in thousandths as a decimal fraction.
#[derive(Debug)]
pub struct Readings<'b> {
    buffer: &'b mut [u8],
    base_name: &'b str,
    base_unit: &'b str,
    /// End of what is written.
    end: usize,
    /// Where the first map is cut in two, with room for the base time between.
    gap: usize,
    count: u16,
    first: u64,
    last: u64,
}

/// Why a reading is not taken, or a pack not finished. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadingsError {
    /// The buffer is full.
    #[error("no room for this reading; finish the pack, send it, and begin another")]
    Full,
    /// A name outside what SenML allows.
    #[error(
        "base name and name have {found} bytes; use 1 to 64 of A-Z a-z 0-9 - : . / _, a letter or digit first"
    )]
    Name {
        /// Bytes found.
        found: usize,
    },
    /// A unit that is too long or not printable.
    #[error("a unit has {found} bytes; use at most 64 printable ASCII characters without spaces")]
    Unit {
        /// Bytes found.
        found: usize,
    },
    /// An exponent beyond the limit.
    #[error("the exponent of a value is {found}; use -18 to 18")]
    Exponent {
        /// The exponent.
        found: i8,
    },
    /// A count that goes back.
    #[error("a reading at {found} ms comes after one at {last} ms; count time from the start of the device")]
    Time {
        /// The moment given.
        found: u64,
        /// The latest moment before.
        last: u64,
    },
    /// Readings too far apart, or too old.
    #[error("a pack spans {found} ms; finish it within {max} ms", max = Readings::MAX_SPAN)]
    Span {
        /// Milliseconds found.
        found: u64,
    },
    /// Nothing to sign.
    #[error("a pack without readings; add one first")]
    Empty,
}

impl<'b> Readings<'b> {
    /// Most readings of a pack.
    pub const MAX: u16 = 4096;
    /// Longest time from the first reading to the end of the pack in milliseconds: 2^28 seconds, beyond which SenML takes times as absolute.
    pub const MAX_SPAN: u64 = 268_435_455_999;

    /// Begins a pack. `base_name` is put before every name and `base_unit` holds for readings without one; either may be empty.
    pub const fn new(buffer: &'b mut [u8], base_name: &'b str, base_unit: &'b str) -> Self {
        Self { buffer, base_name, base_unit, end: HEAD, gap: 0, count: 0, first: 0, last: 0 }
    }

    /// Readings so far.
    pub const fn len(&self) -> u16 {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds `reading`.
    ///
    /// # Errors
    /// [`ReadingsError`]; on [`ReadingsError::Full`] the pack can still be finished.
    pub fn push(&mut self, reading: &Reading<'_>) -> Result<(), ReadingsError> {
        self.check(reading)?;
        let first = if self.is_empty() { reading.at } else { self.first };
        let (after, base_name, base_unit) = (reading.at.abs_diff(first), self.base_name, self.base_unit);
        let is_first = self.is_empty();
        let write = |w: &mut Writer<'_>| {
            let base = if is_first {
                1 + usize::from(!base_name.is_empty()) + usize::from(!base_unit.is_empty())
            } else {
                0
            };
            record(w, reading, after, base);
            if is_first && !base_name.is_empty() {
                w.int(label::BASE_NAME);
                w.text(base_name);
            }
        };
        // Base time and base unit come last in the first map, as their labels sort last.
        let write_rest = |w: &mut Writer<'_>| {
            if !base_unit.is_empty() {
                w.int(label::BASE_UNIT);
                w.text(base_unit);
            }
        };
        let written = Writer::count(write);
        let rest = if is_first { BASE_TIME.saturating_add(Writer::count(write_rest)) } else { 0 };
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        if self.count >= Self::MAX || written.saturating_add(rest) > room.len() {
            return Err(ReadingsError::Full);
        }
        write(&mut Writer::new(room));
        if is_first {
            let after_gap = written.saturating_add(BASE_TIME);
            write_rest(&mut Writer::new(room.get_mut(after_gap..).unwrap_or_default()));
            self.gap = self.end.saturating_add(written);
        }
        self.end = self.end.saturating_add(written).saturating_add(rest);
        self.count = self.count.saturating_add(1);
        (self.first, self.last) = (first, reading.at);
        Ok(())
    }

    /// The body, finished at `now` of the count that readings were taken by: the moment whose time the report states.
    ///
    /// # Errors
    /// [`ReadingsError`] when there is no reading or `now` is before the last one.
    pub fn finish(self, now: u64) -> Result<&'b [u8], ReadingsError> {
        if self.is_empty() {
            return Err(ReadingsError::Empty);
        }
        let age = self.span(now)?;
        let write_time = |w: &mut Writer<'_>| {
            w.int(label::BASE_TIME);
            time(w, age, true);
        };
        let count = usize::from(self.count);
        let write_head = |w: &mut Writer<'_>| w.array(count);
        let (time_len, head_len) = (Writer::count(write_time), Writer::count(write_head));
        // The first map up to the gap moves to the right, next to what follows; the array's head goes before it.
        let after_gap = self.gap.saturating_add(BASE_TIME);
        let time_at = after_gap.saturating_sub(time_len);
        let map_at = time_at.saturating_sub(self.gap.saturating_sub(HEAD));
        let head_at = map_at.saturating_sub(head_len);
        self.buffer.copy_within(HEAD..self.gap, map_at);
        write_time(&mut Writer::new(self.buffer.get_mut(time_at..).unwrap_or_default()));
        write_head(&mut Writer::new(self.buffer.get_mut(head_at..).unwrap_or_default()));
        let whole: &'b [u8] = self.buffer;
        Ok(whole.get(head_at..self.end).unwrap_or_default())
    }

    fn check(&self, reading: &Reading<'_>) -> Result<(), ReadingsError> {
        let name = || self.base_name.bytes().chain(reading.name.bytes());
        let found = self.base_name.len().saturating_add(reading.name.len());
        let begins_well = name().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if found > 64 || !begins_well || !name().all(|b| b.is_ascii_alphanumeric() || b"-:./_".contains(&b)) {
            return Err(ReadingsError::Name { found });
        }
        for unit in [reading.unit, self.base_unit] {
            if unit.len() > 64 || !unit.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(ReadingsError::Unit { found: unit.len() });
            }
        }
        if !(-18..=18).contains(&reading.value.exponent) {
            return Err(ReadingsError::Exponent { found: reading.value.exponent });
        }
        if !self.is_empty() {
            self.span(reading.at)?;
        }
        Ok(())
    }

    /// Time from the first reading to `now`.
    fn span(&self, now: u64) -> Result<u64, ReadingsError> {
        if now < self.last {
            return Err(ReadingsError::Time { found: now, last: self.last });
        }
        let found = now.saturating_sub(self.first);
        if found > Self::MAX_SPAN { Err(ReadingsError::Span { found }) } else { Ok(found) }
    }
}

/// The fields of one reading in a map that has `base` more.
fn record(w: &mut Writer<'_>, reading: &Reading<'_>, after: u64, base: usize) {
    let fields = 1
        + usize::from(!reading.name.is_empty())
        + usize::from(!reading.unit.is_empty())
        + usize::from(after != 0);
    w.map(fields.saturating_add(base));
    if !reading.name.is_empty() {
        w.int(label::NAME);
        w.text(reading.name);
    }
    if !reading.unit.is_empty() {
        w.int(label::UNIT);
        w.text(reading.unit);
    }
    w.int(label::VALUE);
    number(w, reading.value);
    if after != 0 {
        w.int(label::TIME);
        time(w, after, false);
    }
}

fn number(w: &mut Writer<'_>, value: Value) {
    if value.exponent != 0 {
        w.tag(DECIMAL);
        w.array(2);
        w.int(value.exponent.into());
    }
    w.int(value.mantissa);
}

/// Milliseconds as seconds, before or after.
fn time(w: &mut Writer<'_>, millis: u64, before: bool) {
    let exponent = if millis.is_multiple_of(1000) { 0 } else { -3 };
    let magnitude = if exponent == 0 { millis / 1000 } else { millis };
    // A span is far below 2^63.
    let magnitude = i64::try_from(magnitude).unwrap_or(i64::MAX);
    let mantissa = if before { magnitude.saturating_neg() } else { magnitude };
    number(w, Value { mantissa, exponent });
}
