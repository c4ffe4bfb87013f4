//! Reading and writing the log. No state but the flash itself.

use embedded_storage::nor_flash::NorFlash;

use super::{
    Number, QueueError,
    layout::{self, Layout, MAX_UNIT, Place, Sum},
    wide,
};

#[derive(Debug)]
pub(super) struct Log<F> {
    pub(super) flash: F,
    pub(super) layout: Layout,
}

/// A sector of the log, as it was when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sector {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// A record, whose parts lie behind one another from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) sector: Sector,
    pub(super) offset: u32,
    pub(super) number: Number,
    pub(super) len: u32,
}

/// What lies at an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The number taken there; none if its write was cut.
    pub(super) number: Option<Number>,
    /// The record, if it is whole and was not removed.
    pub(super) waiting: Option<Item>,
    /// Where the next one lies.
    pub(super) end: u32,
}

impl Item {
    /// The place of what begins `after` bytes into it.
    const fn place(self, after: u32) -> Place {
        Place { generation: self.sector.generation, offset: self.offset.saturating_add(after) }
    }
}

type Failed<F> = QueueError<<F as embedded_storage::nor_flash::ErrorType>::Error>;

impl<F: NorFlash> Log<F> {
    /// The sector after `index` in the ring.
    pub(super) const fn after(&self, index: u32) -> u32 {
        let next = index.saturating_add(1);
        if next < self.layout.sectors { next } else { 0 }
    }

    /// The sector that was begun last, and the first number not used by then.
    pub(super) fn newest_sector(&mut self) -> Result<Option<(Sector, Number)>, Failed<F>> {
        let mut newest: Option<(Sector, Number)> = None;
        for index in 0..self.layout.sectors {
            if let Some((generation, next)) = self.head(index)?
                && newest.is_none_or(|(sector, _)| sector.generation < generation)
            {
                newest = Some((Sector { index, generation }, next));
            }
        }
        Ok(newest)
    }

    /// The oldest sector of the log that ends with `current`. The one after `current` is spare and no part of it, whatever it holds.
    pub(super) fn oldest_sector(&mut self, current: Sector) -> Result<Sector, Failed<F>> {
        let spare = Sector {
            index: self.after(current.index),
            generation: current.generation.wrapping_sub(self.layout.sectors.saturating_sub(1)),
        };
        self.next_sector(spare, current)
    }

    /// The sector of the log after `sector`. Damaged ones are passed over.
    pub(super) fn next_sector(&mut self, mut sector: Sector, current: Sector) -> Result<Sector, Failed<F>> {
        loop {
            sector =
                Sector { index: self.after(sector.index), generation: sector.generation.wrapping_add(1) };
            let here = self.head(sector.index)?.is_some_and(|(found, _)| found == sector.generation);
            if here || sector.index == current.index {
                return Ok(if here { sector } else { current });
            }
        }
    }

    /// Erases `sector` and writes its head.
    pub(super) fn begin(&mut self, sector: Sector, next: Number) -> Result<(), Failed<F>> {
        let from = self.address(sector.index, 0);
        let to = from.saturating_add(self.layout.sector);
        self.flash.erase(from, to).map_err(QueueError::Flash)?;
        self.write(sector.index, 0, &layout::head(sector.generation, next))?;
        let kept = self.head(sector.index)? == Some((sector.generation, next));
        if kept { Ok(()) } else { Err(QueueError::Worn) }
    }

    /// What lies at `offset` of `sector`; none if nothing was written there.
    pub(super) fn item_at(&mut self, sector: Sector, offset: u32) -> Result<Option<Found>, Failed<F>> {
        let sizes = self.layout;
        let item = Item { sector, offset, number: Number { boot: 0, sequence: 0 }, len: 0 };
        let mut memory = [0; MAX_UNIT];
        let Some(slot) = self.slot(sector, offset, sizes.number(), &mut memory)? else { return Ok(None) };
        if slot.iter().all(|byte| *byte == ERASED) {
            return Ok(None);
        }
        let Some(number) = layout::read_number(item.place(0), slot) else {
            let end = offset.saturating_add(sizes.number());
            return Ok(Some(Found { number: None, waiting: None, end }));
        };
        let at = item.place(sizes.number());
        let slot = self.slot(sector, at.offset, sizes.length(), &mut memory)?;
        let len = slot.and_then(|slot| layout::read_length(at, slot));
        let whole = |len: &u32| sizes.record(*len) <= sizes.sector.saturating_sub(offset);
        let Some(len) = len.filter(|len| *len <= sizes.max_len()).filter(whole) else {
            let end = offset.saturating_add(sizes.front());
            return Ok(Some(Found { number: Some(number), waiting: None, end }));
        };
        let item = Item { number, len, ..item };
        let waiting = (!self.is_removed(item)? && self.is_whole(item)?).then_some(item);
        let end = offset.saturating_add(sizes.record(len));
        Ok(Some(Found { number: Some(number), waiting, end }))
    }

    /// Where records may go on in `sector` after `offset`: at its end if anything is written behind, which only damage explains.
    pub(super) fn writable_from(&mut self, sector: Sector, offset: u32) -> Result<u32, Failed<F>> {
        let mut memory = [0; MAX_UNIT];
        let mut at = offset;
        while at < self.layout.sector {
            let len = self.layout.sector.saturating_sub(at).min(CHUNK);
            let bytes = self.slot(sector, at, len, &mut memory)?.unwrap_or_default();
            if bytes.iter().any(|byte| *byte != ERASED) {
                return Ok(self.layout.sector);
            }
            at = at.saturating_add(len);
        }
        Ok(offset)
    }

    pub(super) fn write_number(&mut self, item: Item) -> Result<(), Failed<F>> {
        self.write(item.sector.index, item.offset, &layout::number(item.place(0), item.number))?;
        let mut memory = [0; MAX_UNIT];
        let slot = self.slot(item.sector, item.offset, self.layout.number(), &mut memory)?;
        let kept = slot.and_then(|slot| layout::read_number(item.place(0), slot)) == Some(item.number);
        if kept { Ok(()) } else { Err(QueueError::Worn) }
    }

    /// Length, envelope and, once they read back as they were written, the commit.
    pub(super) fn write_envelope(&mut self, item: Item, envelope: &[u8]) -> Result<(), Failed<F>> {
        let sizes = self.layout;
        let length = item.place(sizes.number());
        self.write(item.sector.index, length.offset, &layout::length(length, item.len))?;
        self.write(item.sector.index, item.place(sizes.front()).offset, envelope)?;
        let mut memory = [0; MAX_UNIT];
        let slot = self.slot(item.sector, length.offset, sizes.length(), &mut memory)?;
        let kept = slot.and_then(|slot| layout::read_length(length, slot)) == Some(item.len);
        let commit = self.sum(item)?.commit();
        let mut expected = Sum::new(item.place(0), item.number, item.len);
        expected.update(envelope);
        if !kept || commit != expected.commit() {
            return Err(QueueError::Worn);
        }
        self.write(item.sector.index, self.commit(item).offset, &commit)?;
        if self.is_whole(item)? { Ok(()) } else { Err(QueueError::Worn) }
    }

    pub(super) fn write_removed(&mut self, item: Item) -> Result<(), Failed<F>> {
        let at = self.commit(item).offset.saturating_add(self.layout.commit());
        let zero = [0; MAX_UNIT];
        self.write(item.sector.index, at, zero.get(..wide(self.layout.unit)).unwrap_or_default())
    }

    /// Reads the envelope of `item` into `room`, as long as it is padded, and says whether it is whole.
    pub(super) fn read_envelope(&mut self, item: Item, room: &mut [u8]) -> Result<bool, Failed<F>> {
        let at = self.address(item.sector.index, item.place(self.layout.front()).offset);
        self.flash.read(at, room).map_err(QueueError::Flash)?;
        let mut sum = Sum::new(item.place(0), item.number, item.len);
        sum.update(room.get(..wide(item.len)).unwrap_or_default());
        self.is_committed(item, sum)
    }

    fn head(&mut self, index: u32) -> Result<Option<(u32, Number)>, Failed<F>> {
        let mut memory = [0; MAX_UNIT];
        let sector = Sector { index, generation: 0 };
        let slot = self.slot(sector, 0, self.layout.head(), &mut memory)?;
        Ok(slot.and_then(layout::read_head))
    }

    fn commit(&self, item: Item) -> Place {
        item.place(self.layout.front().saturating_add(self.layout.padded(item.len)))
    }

    /// Any bit written there says that it was removed: it is written for nothing else.
    fn is_removed(&mut self, item: Item) -> Result<bool, Failed<F>> {
        let at = self.commit(item).offset.saturating_add(self.layout.commit());
        let mut memory = [0; MAX_UNIT];
        let slot = self.slot(item.sector, at, self.layout.unit, &mut memory)?.unwrap_or_default();
        Ok(slot.iter().any(|byte| *byte != ERASED))
    }

    fn is_whole(&mut self, item: Item) -> Result<bool, Failed<F>> {
        let sum = self.sum(item)?;
        self.is_committed(item, sum)
    }

    fn is_committed(&mut self, item: Item, sum: Sum) -> Result<bool, Failed<F>> {
        let mut memory = [0; MAX_UNIT];
        let at = self.commit(item).offset;
        let slot = self.slot(item.sector, at, self.layout.commit(), &mut memory)?.unwrap_or_default();
        Ok(slot.starts_with(&sum.commit()))
    }

    /// The checksum over the envelope as it is in flash.
    fn sum(&mut self, item: Item) -> Result<Sum, Failed<F>> {
        let mut sum = Sum::new(item.place(0), item.number, item.len);
        let mut memory = [0; MAX_UNIT];
        let (mut at, mut left) = (item.place(self.layout.front()).offset, item.len);
        while left > 0 {
            let len = left.min(CHUNK);
            let bytes = self.slot(item.sector, at, self.layout.padded(len), &mut memory)?.unwrap_or_default();
            sum.update(bytes.get(..wide(len)).unwrap_or_default());
            (at, left) = (at.saturating_add(len), left.saturating_sub(len));
        }
        Ok(sum)
    }

    /// `len` bytes, in whole units and at most [`MAX_UNIT`]; none beyond the end of the sector.
    fn slot<'m>(
        &mut self,
        sector: Sector,
        offset: u32,
        len: u32,
        memory: &'m mut [u8; MAX_UNIT],
    ) -> Result<Option<&'m [u8]>, Failed<F>> {
        if offset > self.layout.sector.saturating_sub(len) {
            return Ok(None);
        }
        let at = self.address(sector.index, offset);
        let Some(room) = memory.get_mut(..wide(len)) else { return Ok(None) };
        self.flash.read(at, room).map_err(QueueError::Flash)?;
        Ok(Some(room))
    }

    /// Writes `bytes`, filled up to whole units with what erased flash holds.
    fn write(&mut self, index: u32, offset: u32, bytes: &[u8]) -> Result<(), Failed<F>> {
        let at = self.address(index, offset);
        let unit = wide(self.layout.unit);
        let (whole, rest) =
            bytes.split_at(bytes.len().saturating_sub(bytes.len().checked_rem(unit).unwrap_or(0)));
        if !whole.is_empty() {
            self.flash.write(at, whole).map_err(QueueError::Flash)?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let mut filled = [ERASED; MAX_UNIT];
        for (to, from) in filled.iter_mut().zip(rest) {
            *to = *from;
        }
        let at = at.saturating_add(u32::try_from(whole.len()).unwrap_or(u32::MAX));
        self.flash.write(at, filled.get(..unit).unwrap_or_default()).map_err(QueueError::Flash)
    }

    const fn address(&self, index: u32, offset: u32) -> u32 {
        index.saturating_mul(self.layout.sector).saturating_add(offset)
    }
}

/// What erased flash reads as.
const ERASED: u8 = 0xff;

/// Bytes read at a time: [`MAX_UNIT`], a multiple of every unit.
const CHUNK: u32 = 64;
