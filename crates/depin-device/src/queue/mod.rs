//! Envelopes kept in flash until a node has them.

mod layout;
mod log;

use embedded_storage::nor_flash::NorFlash;

use layout::Layout;
use log::{Item, Log, Sector};

/// The number of a report, used once: which start of the device, and which report of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    /// Counts the starts, from 1.
    pub boot: u32,
    /// Counts the reports of this start, from 1.
    pub sequence: u64,
}

/// A queue of envelopes in flash, oldest first, that survives a power cut in the midst of any write or erasure.
///
/// - **A number is used once.** [`Queue::reserve`] has it in flash before anybody sees it.
/// - **Stored is stored.** Once [`Slot::store`] returns, every later start finds the envelope whole, until it is [acknowledged](Queue::acknowledge).
///   What was cut before that is not there at all.
/// - **Full means no.** A new report is refused ([`QueueError::Full`]) and nothing that was stored is dropped for it: the promise to keep a report was made first, and
///   whoever measures can still measure less often or put more readings in a pack. To prefer the new, acknowledge the oldest.
/// - **Wear is even.** Sectors are erased in a ring, each as often as the others, once per round; each unit of flash is written once between two erasures, as flash with
///   error correction demands. One sector is always spare, and room comes back a sector at a time.
///
/// The flash is the whole of what it is given, and used by nothing else. It needs two sectors at least; three or more let room come back earlier.
#[derive(Debug)]
pub struct Queue<F> {
    log: Log<F>,
    /// The sector written to; none before the first report.
    current: Option<Sector>,
    /// Offset in it where the next record goes.
    end: u32,
    /// The oldest envelope.
    oldest: Option<Item>,
    len: u32,
    next: Number,
    found_log: bool,
}

/// Why the queue cannot do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError<E> {
    /// The flash failed, or the power of a simulated one.
    #[error("the flash failed; look at what its driver said, and try again")]
    Flash(E),
    /// Flash of sizes that the log does not fit.
    #[error(
        "flash of {sectors} sectors of {sector} bytes and units of {unit} does not fit a queue; give two sectors of 512 bytes or more, and units of up to 64"
    )]
    Geometry {
        /// Sectors found.
        sectors: usize,
        /// Bytes of a sector.
        sector: usize,
        /// Bytes of a unit.
        unit: usize,
    },
    /// An envelope longer than a sector holds, or than was reserved.
    #[error("the envelope has {found} bytes; there is room for {max}: send fewer readings in one")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// No room for a new envelope.
    #[error("the queue is full; deliver the oldest, or acknowledge it to give it up")]
    Full,
    /// The buffer is shorter than the oldest envelope.
    #[error("the buffer has {found} bytes; the oldest envelope needs {needed}")]
    Buffer {
        /// Bytes lent.
        found: usize,
        /// Bytes needed: those of the envelope in whole units of the flash.
        needed: usize,
    },
    /// The flash reads back something else than was written. Nothing was stored.
    #[error("the flash did not keep what was written; it is worn: reserve again")]
    Worn,
    /// No number is left.
    #[error("every number was used; the device has come to its end")]
    Exhausted,
}

/// An envelope as it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'b> {
    /// Its number.
    pub number: Number,
    /// Its bytes.
    pub envelope: &'b [u8],
}

impl<F: NorFlash> Queue<F> {
    /// Opens the queue after a start of the device: reports are numbered under a new boot.
    ///
    /// Nothing is written before the first report. Flash that holds no log opens as an empty queue. What is damaged in it is passed over.
    ///
    /// # Errors
    /// [`QueueError::Geometry`], [`QueueError::Flash`], [`QueueError::Exhausted`].
    pub fn open(flash: F) -> Result<Self, QueueError<F::Error>> {
        let mut queue = Self::resume(flash)?;
        if queue.found_log {
            queue.next = queue.next_boot()?;
        }
        Ok(queue)
    }

    /// Opens the queue and goes on with the numbers of the last start. For devices that lose power between reports: a node tells only eight boots of an epoch apart.
    ///
    /// # Errors
    /// As [`Queue::open`].
    pub fn resume(flash: F) -> Result<Self, QueueError<F::Error>> {
        let unit = F::READ_SIZE.max(F::WRITE_SIZE);
        let capacity = flash.capacity();
        let layout = Layout::new(F::READ_SIZE, F::WRITE_SIZE, F::ERASE_SIZE, capacity);
        let layout = layout.ok_or(QueueError::Geometry {
            sectors: capacity.checked_div(F::ERASE_SIZE).unwrap_or_default(),
            sector: F::ERASE_SIZE,
            unit,
        })?;
        let mut queue = Self {
            log: Log { flash, layout },
            current: None,
            end: layout.sector,
            oldest: None,
            len: 0,
            next: Number { boot: 1, sequence: 1 },
            found_log: false,
        };
        queue.recover()?;
        Ok(queue)
    }

    /// Whether there was a log in the flash. If not, and the device has reported before (its flash was replaced or wiped), its boots have to go on above those
    /// it used: [`Queue::skip_boots`].
    pub const fn found_log(&self) -> bool {
        self.found_log
    }

    /// Numbers reports under `boot` from here on, unless they are under it or a later one already. The node refuses a number that was used before.
    pub const fn skip_boots(&mut self, boot: u32) {
        if self.next.boot < boot {
            self.next = Number { boot, sequence: 1 };
        }
    }

    /// Envelopes that wait.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Longest envelope that fits.
    pub fn max_len(&self) -> usize {
        usize::try_from(self.log.layout.max_len()).unwrap_or(usize::MAX)
    }

    /// Takes a number for a report, and room for its envelope of at most `max_len` bytes. The number is in flash when this returns.
    ///
    /// # Errors
    /// [`QueueError`]; [`QueueError::Full`] until the oldest sector is acknowledged.
    pub fn reserve(&mut self, max_len: usize) -> Result<Slot<'_, F>, QueueError<F::Error>> {
        let layout = self.log.layout;
        let too_large = QueueError::TooLarge { found: max_len, max: self.max_len() };
        let max_len = u32::try_from(max_len).ok().filter(|len| *len <= layout.max_len()).ok_or(too_large)?;
        let sector = match self.current {
            Some(sector) if layout.sector.saturating_sub(self.end) >= layout.record(max_len) => sector,
            _ => self.begin_sector()?,
        };
        let number = self.next;
        self.next.sequence = number.sequence.checked_add(1).ok_or(QueueError::Exhausted)?;
        let item = Item { sector, offset: self.end, number, len: 0 };
        // Should the write fail, nobody knows how far it came: nothing more goes into this sector.
        self.end = layout.sector;
        self.log.write_number(item)?;
        self.end = item.offset.saturating_add(layout.front());
        Ok(Slot { queue: self, item, max_len })
    }

    /// The oldest envelope, read into `buffer`. The length of a sector is enough for any.
    ///
    /// # Errors
    /// [`QueueError::Buffer`], [`QueueError::Flash`].
    pub fn oldest<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<Stored<'b>>, QueueError<F::Error>> {
        while let Some(item) = self.oldest {
            let (found, needed) = (buffer.len(), wide(self.log.layout.padded(item.len)));
            let room = buffer.get_mut(..needed).ok_or(QueueError::Buffer { found, needed })?;
            if self.log.read_envelope(item, room)? {
                let envelope: &'b [u8] = buffer;
                let envelope = envelope.get(..wide(item.len)).unwrap_or_default();
                return Ok(Some(Stored { number: item.number, envelope }));
            }
            // It was whole when the queue was opened: the flash has lost it since.
            self.drop_oldest()?;
        }
        Ok(None)
    }

    /// Removes the oldest envelope if this is its number: a node has it, or has refused it for good. Any other number is that of a late answer, and nothing happens.
    ///
    /// # Errors
    /// [`QueueError::Flash`].
    pub fn acknowledge(&mut self, number: Number) -> Result<bool, QueueError<F::Error>> {
        match self.oldest {
            Some(item) if item.number == number => {
                self.log.write_removed(item)?;
                self.drop_oldest()?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.log.flash
    }

    /// Reads the log: numbers, what waits, where to go on.
    fn recover(&mut self) -> Result<(), QueueError<F::Error>> {
        let Some((current, next)) = self.log.newest_sector()? else { return Ok(()) };
        (self.current, self.next, self.found_log) = (Some(current), next, true);
        let mut at = self.log.oldest_sector(current)?;
        loop {
            let mut offset = self.log.layout.head();
            while let Some(found) = self.log.item_at(at, offset)? {
                offset = found.end;
                if let Some(number) = found.number {
                    let sequence = number.sequence.checked_add(1).ok_or(QueueError::Exhausted)?;
                    self.next = self.next.max(Number { sequence, ..number });
                }
                if let Some(item) = found.waiting {
                    self.len = self.len.saturating_add(1);
                    self.oldest = self.oldest.or(Some(item));
                }
            }
            if at == current {
                self.end = self.log.writable_from(at, offset)?;
                return Ok(());
            }
            at = self.log.next_sector(at, current)?;
        }
    }

    fn next_boot(&self) -> Result<Number, QueueError<F::Error>> {
        let boot = self.next.boot.checked_add(1).ok_or(QueueError::Exhausted)?;
        Ok(Number { boot, sequence: 1 })
    }

    /// Begins the spare sector, and by that makes the oldest the spare one, which nothing may wait in.
    fn begin_sector(&mut self) -> Result<Sector, QueueError<F::Error>> {
        let sector = match self.current {
            None => Sector { index: 0, generation: 1 },
            Some(current) => Sector {
                index: self.log.after(current.index),
                generation: current.generation.checked_add(1).ok_or(QueueError::Exhausted)?,
            },
        };
        let spare = self.log.after(sector.index);
        if self.oldest.is_some_and(|item| item.sector.index == spare) {
            return Err(QueueError::Full);
        }
        self.log.begin(sector, self.next)?;
        (self.current, self.end) = (Some(sector), self.log.layout.head());
        Ok(sector)
    }

    /// Goes on to the next envelope that waits.
    fn drop_oldest(&mut self) -> Result<(), QueueError<F::Error>> {
        let (Some(gone), Some(current)) = (self.oldest, self.current) else { return Ok(()) };
        let (mut at, mut offset) = (gone.sector, gone.offset);
        let mut after = false;
        let next = loop {
            match self.log.item_at(at, offset)? {
                Some(found) => {
                    offset = found.end;
                    // The one that goes is found first, whether its removal is in flash or not.
                    if after && found.waiting.is_some() {
                        break found.waiting;
                    }
                    after = true;
                }
                None if at == current => break None,
                None => {
                    (at, offset, after) = (self.log.next_sector(at, current)?, self.log.layout.head(), true)
                }
            }
        };
        self.oldest = next;
        self.len = if next.is_some() { self.len.saturating_sub(1) } else { 0 };
        Ok(())
    }
}

/// A number that was taken, and room for the envelope that carries it. Dropped, the number stays unused for ever.
#[derive(Debug)]
#[must_use = "the number is used up"]
pub struct Slot<'q, F> {
    queue: &'q mut Queue<F>,
    item: Item,
    max_len: u32,
}

impl<F: NorFlash> Slot<'_, F> {
    /// The number that the report has to carry.
    pub const fn number(&self) -> Number {
        self.item.number
    }

    /// Stores the envelope. When this returns it is in flash, whole.
    ///
    /// # Errors
    /// [`QueueError`]; nothing was stored then.
    pub fn store(self, envelope: &[u8]) -> Result<(), QueueError<F::Error>> {
        let Self { queue, item, max_len } = self;
        let len = u32::try_from(envelope.len()).ok().filter(|len| *len <= max_len);
        let too_large = QueueError::TooLarge { found: envelope.len(), max: wide(max_len) };
        let item = Item { len: len.ok_or(too_large)?, ..item };
        let layout = queue.log.layout;
        queue.end = layout.sector;
        queue.log.write_envelope(item, envelope)?;
        queue.end = item.offset.saturating_add(layout.record(item.len));
        queue.oldest = queue.oldest.or(Some(item));
        queue.len = queue.len.saturating_add(1);
        Ok(())
    }
}

/// 32 bits of address are what flash has at most.
fn wide(len: u32) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
