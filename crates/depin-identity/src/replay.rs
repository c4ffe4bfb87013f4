//! Replay marks: each (boot, sequence) of a device key counts once, whatever order reports arrive in.

use alloc::vec::Vec;

use alloy_primitives::aliases::U1024;
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::bytes::array_of;

/// What has been seen of one device key.
///
/// A boot with a lower number that brings something new is not a replay: reports are delayed, and a thief who copies a key and raises the
/// boot counter must not lock its owner out. Such a report is [`Fresh`] and `interleaved`. A thief with the key can still use up sequences
/// and boots before the device does; against that its owner declares the key compromised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayMarks {
    /// Ascending by number.
    boots: Vec<Boot>,
    /// Closed ranges of boots that were settled, ascending, with a gap of at least one between them.
    retired: Vec<(u32, u32)>,
}

/// A tuple that had not been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// A higher boot has been seen before: the report was delayed, or two devices use one key.
    pub interleaved: bool,
}

/// Why a tuple is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Seen before.
    #[error("boot {boot}, sequence {sequence} was counted before; nothing to do")]
    Duplicate {
        /// The boot.
        boot: u32,
        /// The sequence.
        sequence: u64,
    },
    /// Too old to know whether it was seen.
    #[error(
        "boot {boot}, sequence {sequence} is below the window, which starts at {oldest:?}; send reports sooner"
    )]
    TooOld {
        /// The boot.
        boot: u32,
        /// The sequence.
        sequence: u64,
        /// The oldest sequence that can be judged; none when the boot was settled.
        oldest: Option<u64>,
    },
    /// More boots than are kept apart.
    #[error("boot {boot} is one too many besides {max} in use; wait until the epoch is settled")]
    TooManyBoots {
        /// The boot.
        boot: u32,
        /// Boots kept apart.
        max: usize,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Boot {
    number: u32,
    highest: u64,
    /// Bit i is set when the sequence `highest - i` was seen. Bit 0 always is.
    window: U1024,
    /// Used since the last settling.
    used: bool,
}

impl ReplayMarks {
    /// Boots kept apart.
    pub const MAX_BOOTS: usize = 8;
    /// Sequences below the highest of a boot that can be judged, itself included.
    pub const WINDOW: u64 = 1024;
    /// Ranges of settled boots; beyond it the nearest two become one, and what lay between them is refused as well.
    pub const MAX_RETIRED: usize = 16;

    /// Marks `(boot, sequence)` as seen, unless it was.
    ///
    /// # Errors
    /// [`ReplayError`]; nothing has changed then.
    pub fn admit(&mut self, boot: u32, sequence: u64) -> Result<Fresh, ReplayError> {
        let interleaved = self.boots.last().is_some_and(|last| boot < last.number);
        match self.boots.binary_search_by_key(&boot, |known| known.number) {
            Ok(at) => {
                if let Some(known) = self.boots.get_mut(at) {
                    known.admit(sequence)?;
                }
            }
            Err(_) if self.retired.iter().any(|(first, last)| (*first..=*last).contains(&boot)) => {
                return Err(ReplayError::TooOld { boot, sequence, oldest: None });
            }
            Err(_) if self.boots.len() >= Self::MAX_BOOTS => {
                return Err(ReplayError::TooManyBoots { boot, max: Self::MAX_BOOTS });
            }
            Err(at) => {
                let window = U1024::from(1_u8);
                self.boots.insert(at, Boot { number: boot, highest: sequence, window, used: true });
            }
        }
        Ok(Fresh { interleaved })
    }

    /// Forgets the details of boots not used since the last call, so that new ones have room; nothing of them is admitted again. The highest
    /// boot stays in any case. Call it when an epoch closes.
    pub fn settle(&mut self) {
        let highest = self.boots.last().map(|boot| boot.number);
        let unused = |boot: &Boot| !boot.used && Some(boot.number) != highest;
        self.retired
            .extend(self.boots.iter().filter(|boot| unused(boot)).map(|boot| (boot.number, boot.number)));
        self.boots.retain(|boot| !unused(boot));
        for boot in &mut self.boots {
            boot.used = false;
        }
        self.join_retired();
    }

    /// The boots that are kept apart, ascending, each with its highest sequence.
    pub fn boots(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.boots.iter().map(|boot| (boot.number, boot.highest))
    }

    /// Joins ranges that touch, and the nearest ones while there are too many.
    fn join_retired(&mut self) {
        self.retired.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(self.retired.len());
        for (first, last) in self.retired.drain(..) {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        while joined.len() > Self::MAX_RETIRED {
            let gaps = joined.iter().zip(joined.iter().skip(1)).map(|(one, next)| next.0.abs_diff(one.1));
            let Some((at, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else { break };
            let next = joined.remove(at.saturating_add(1));
            if let Some(range) = joined.get_mut(at) {
                range.1 = next.1;
            }
        }
        self.retired = joined;
    }

    /// Whether these marks can come from admitting and settling.
    fn is_consistent(&self) -> bool {
        let ascending =
            self.boots.iter().zip(self.boots.iter().skip(1)).all(|(one, next)| one.number < next.number);
        let apart = self
            .retired
            .iter()
            .zip(self.retired.iter().skip(1))
            .all(|(one, next)| one.1.checked_add(1).is_some_and(|after| after < next.0));
        ascending
            && apart
            && self.boots.len() <= Self::MAX_BOOTS
            && self.retired.len() <= Self::MAX_RETIRED
            && self.retired.iter().all(|(first, last)| first <= last)
            && self.boots.iter().all(Boot::is_consistent)
    }
}

impl Boot {
    fn admit(&mut self, sequence: u64) -> Result<(), ReplayError> {
        let boot = self.number;
        if let Some(ahead) = sequence.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            // A shift by the whole width or more leaves nothing of the old window.
            self.window = match usize::try_from(ahead) {
                Ok(ahead) => self.window << ahead,
                Err(_) => U1024::ZERO,
            };
            self.window.set_bit(0, true);
            self.highest = sequence;
            self.used = true;
            return Ok(());
        }
        let behind = self.highest.saturating_sub(sequence);
        match usize::try_from(behind) {
            Ok(bit) if behind < ReplayMarks::WINDOW => {
                if self.window.bit(bit) {
                    return Err(ReplayError::Duplicate { boot, sequence });
                }
                self.window.set_bit(bit, true);
                self.used = true;
                Ok(())
            }
            _ => {
                let oldest = self.highest.saturating_sub(ReplayMarks::WINDOW.saturating_sub(1));
                Err(ReplayError::TooOld { boot, sequence, oldest: Some(oldest) })
            }
        }
    }

    /// The highest sequence was seen, and none below 0.
    fn is_consistent(&self) -> bool {
        let bits = u64::try_from(self.window.bit_len()).unwrap_or(u64::MAX);
        self.window.bit(0) && bits.saturating_sub(1) <= self.highest
    }
}

impl<C> Encode<C> for ReplayMarks {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?;
        self.boots.encode(e, ctx)?;
        self.retired.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for ReplayMarks {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        array_of(d, 2)?;
        let marks = Self { boots: Vec::decode(d, ctx)?, retired: Vec::decode(d, ctx)? };
        if !marks.is_consistent() {
            return Err(minicbor::decode::Error::message("replay marks that nothing can have left").at(at));
        }
        Ok(marks)
    }
}

impl<C> Encode<C> for Boot {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        // Leading zeros are left out: a device that just started has a short window.
        e.array(4)?.u32(self.number)?.u64(self.highest)?.bytes(&self.window.to_be_bytes_trimmed_vec())?;
        e.bool(self.used)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Boot {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        array_of(d, 4)?;
        let (number, highest, at) = (d.u32()?, d.u64()?, d.position());
        let window = Some(d.bytes()?).filter(|bytes| bytes.first() != Some(&0));
        let window = window.and_then(U1024::try_from_be_slice).ok_or_else(|| {
            minicbor::decode::Error::message("a window of at most 128 bytes without leading zeros").at(at)
        })?;
        Ok(Self { number, highest, window, used: d.bool()? })
    }
}
