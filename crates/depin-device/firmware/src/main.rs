//! A firmware that does what depin-device does, for a Cortex-M4 with 32 KiB of RAM. It links without an allocator, which shows that none is needed; its
//! sections are the flash it takes, and what it leaves of its RAM in an emulator is the stack. `measure.py` beside it does all three.
#![no_std]
#![no_main]

use core::{convert::Infallible, hint::black_box};

use cortex_m_rt::entry;
use depin_device::{
    Challenge, Clock, Commitment, NetworkId, PublicKey, Queue, Reading, Readings, Report, Signer,
    SoftwareKey, ToBeSigned, Value,
};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use panic_halt as _;

const SECTOR: usize = 2048;

/// Stands for the driver of a flash: four sectors, in RAM.
struct Flash(&'static mut [u8; 4 * SECTOR]);

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let from = self.0.get(offset as usize..).unwrap_or_default();
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.0.get_mut(from as usize..to as usize).unwrap_or_default().fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let to = self.0.get_mut(offset as usize..).unwrap_or_default();
        to.iter_mut().zip(bytes).for_each(|(to, from)| *to &= *from);
        Ok(())
    }
}

/// Stands for the driver of a secure element with P-256: it takes a digest and gives a signature.
struct Element;

impl Signer for Element {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        PublicKey::p256(&[2; 33])
    }

    fn sign(&mut self, message: ToBeSigned<'_>) -> Result<[u8; 64], Infallible> {
        let mut signature = [0x7f; 64];
        let digest = message.digest().unwrap_or_default();
        signature.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Ok(signature)
    }
}

/// What `measure.py` looks for in RAM when the firmware has come to its end, and all was well.
const DONE: [u8; 8] = *b"all-done";

#[entry]
fn main() -> ! {
    let memory = cortex_m::singleton!(: [u8; 4 * SECTOR] = [0; 4 * SECTOR]);
    let buffer = cortex_m::singleton!(: [u8; 1024] = [0; 1024]);
    let outcome = cortex_m::singleton!(: [u8; 8] = [0; 8]);
    if let (Some(memory), Some(buffer), Some(outcome)) = (memory, buffer, outcome)
        && work(memory, buffer).is_some()
    {
        *outcome = black_box(DONE);
        black_box(outcome);
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// One part with each feature, so that the difference is what the part takes.
fn work(memory: &'static mut [u8; 4 * SECTOR], buffer: &mut [u8; 1024]) -> Option<()> {
    let network = NetworkId(black_box([7; 32]));
    let mut report = Report {
        kind: black_box("sensor.readings"),
        time: black_box(1_700_000_000_000),
        boot: black_box(1),
        sequence: black_box(1),
        body: black_box(b"body"),
        commitments: &[],
    };
    let mut pack = [0; 512];
    let mut commitments = [Commitment { label: "", digest: [0; 32] }; 2];
    if cfg!(feature = "readings") {
        let mut readings = Readings::new(&mut pack, "urn:dev:mac:0024befffe804ff1:", "Cel");
        for at in 0..black_box(30) {
            let value = Value { mantissa: black_box(2150), exponent: -2 };
            readings.push(&Reading { name: "t", unit: "", value, at: at * 1000 }).ok()?;
        }
        report.body = readings.finish(black_box(60_000)).ok()?;
    }
    if cfg!(feature = "challenge") {
        let challenge = Challenge { epoch: black_box(300), nonce: black_box([9; 32]) };
        let place = Commitment::new("location", &black_box([1; 16]), b"8a1fb46622dffff", &network).ok()?;
        commitments = [challenge.commitment(&network), place];
        report.commitments = &commitments;
        let mut clock = Clock::unknown();
        clock.told(black_box(1_700_000_000_000), black_box(5));
        report.time = clock.at(black_box(6));
    }
    black_box(&commitments);
    if cfg!(feature = "queue") {
        queue(memory, buffer, &network, report)
    } else {
        sign(&report, &network, buffer).map(|envelope| {
            black_box(envelope);
        })
    }
}

fn queue(
    memory: &'static mut [u8; 4 * SECTOR],
    buffer: &mut [u8; 1024],
    network: &NetworkId,
    mut report: Report<'_>,
) -> Option<()> {
    let mut queue = Queue::open(Flash(memory)).ok()?;
    for _ in 0..black_box(10) {
        let slot = queue.reserve(buffer.len()).ok()?;
        (report.boot, report.sequence) = (slot.number().boot, slot.number().sequence);
        slot.store(sign(&report, network, buffer)?).ok()?;
        let number = queue.oldest(buffer).ok()??.number;
        queue.acknowledge(number).ok()?.then_some(())?;
    }
    queue.is_empty().then_some(())
}

fn sign<'b>(report: &Report<'_>, network: &NetworkId, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    if cfg!(feature = "ed25519") {
        let mut key = SoftwareKey::from_seed(&black_box([3; 32]));
        report.sign(&mut key, network, buffer).ok()
    } else if cfg!(feature = "element") {
        report.sign(&mut Element, network, buffer).ok()
    } else {
        black_box(Some(black_box(buffer)).map(|buffer| &*buffer))
    }
}
