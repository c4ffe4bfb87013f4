//! Flash in memory that behaves like NOR flash and loses power when told to.
#![allow(dead_code, unreachable_pub)] // every test uses some of it

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// `UNIT` is the least that is written, and read; `SECTOR` the least that is erased.
#[derive(Clone, Debug)]
pub struct Flash<const UNIT: usize, const SECTOR: usize> {
    pub bytes: Vec<u8>,
    /// Units written since they were erased: flash with error correction refuses a second time.
    written: Vec<bool>,
    /// Times each sector was erased.
    pub erased: Vec<u32>,
    /// Steps until the power is cut: a step is a byte written or a part of an erasure.
    pub steps_left: Option<u64>,
    /// Steps made.
    pub steps: u64,
    /// What decides which bits a cut leaves.
    noise: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Power,
    Access(NorFlashErrorKind),
}

impl NorFlashError for Failure {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Power => NorFlashErrorKind::Other,
            Self::Access(kind) => *kind,
        }
    }
}

/// Moments of an erasure at which it can be cut.
const ERASE_STEPS: u64 = 5;

impl<const UNIT: usize, const SECTOR: usize> Flash<UNIT, SECTOR> {
    pub fn erased(sectors: usize) -> Self {
        Self::holding(vec![0xff; sectors * SECTOR])
    }

    pub fn holding(bytes: Vec<u8>) -> Self {
        let (units, sectors) = (bytes.len() / UNIT, bytes.len() / SECTOR);
        let written = (0..units).map(|at| bytes[at * UNIT..][..UNIT].iter().any(|b| *b != 0xff)).collect();
        Self { bytes, written, erased: vec![0; sectors], steps_left: None, steps: 0, noise: 0x9e37_79b9 }
    }

    /// One step, unless the power goes before it is done.
    fn step(&mut self) -> Result<(), Failure> {
        match &mut self.steps_left {
            Some(0) => return Err(Failure::Power),
            Some(left) => *left -= 1,
            None => {}
        }
        self.steps += 1;
        Ok(())
    }

    /// xorshift64.
    fn noise(&mut self) -> u8 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        (self.noise >> 24) as u8
    }
}

impl<const UNIT: usize, const SECTOR: usize> ErrorType for Flash<UNIT, SECTOR> {
    type Error = Failure;
}

impl<const UNIT: usize, const SECTOR: usize> ReadNorFlash for Flash<UNIT, SECTOR> {
    const READ_SIZE: usize = UNIT;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failure> {
        check_read(self, offset, bytes.len()).map_err(Failure::Access)?;
        if self.steps_left == Some(0) {
            return Err(Failure::Power);
        }
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const UNIT: usize, const SECTOR: usize> NorFlash for Flash<UNIT, SECTOR> {
    const WRITE_SIZE: usize = UNIT;
    const ERASE_SIZE: usize = SECTOR;

    /// A cut leaves some sectors' bits as they were, some erased, and some bytes in between.
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Failure> {
        check_erase(self, from, to).map_err(Failure::Access)?;
        let (from, to) = (from as usize, to as usize);
        for step in 0..ERASE_STEPS {
            if let Err(cut) = self.step() {
                for at in from..to {
                    let bits = match (step, self.noise() % 4) {
                        (0, _) => 0,
                        (1, 0) | (2, 0 | 1) | (3, 0..=2) => 0xff,
                        (1..=3, 3) => self.noise(),
                        _ => 0,
                    };
                    self.bytes[at] |= bits;
                }
                return Err(cut);
            }
        }
        self.bytes[from..to].fill(0xff);
        self.written[from / UNIT..to / UNIT].fill(false);
        for sector in from / SECTOR..to / SECTOR {
            self.erased[sector] += 1;
        }
        Ok(())
    }

    /// A cut leaves what was written before, and of the byte it hits some bits.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        check_write(self, offset, bytes.len()).map_err(Failure::Access)?;
        for (at, byte) in (offset as usize..).zip(bytes) {
            if at.is_multiple_of(UNIT) {
                assert!(!self.written[at / UNIT], "the unit at {at} is written twice");
            }
            if let Err(cut) = self.step() {
                self.bytes[at] &= byte | self.noise();
                self.written[at / UNIT] |= self.bytes[at / UNIT * UNIT..][..UNIT].iter().any(|b| *b != 0xff);
                return Err(cut);
            }
            self.bytes[at] &= byte;
            if at % UNIT == UNIT - 1 {
                self.written[at / UNIT] = true;
            }
        }
        Ok(())
    }
}
