//! A disk in memory that fails where it is told to, and forgets what was not synced.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use depin::node::journal::{Disk, DiskFile};
use depin_core::sha256;

/// What goes wrong at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The power fails in the middle of the step. What was not synced is kept, lost or torn, block by block, as the seed has it.
    Power(u64),
    /// The disk is full from this step on, for so many writes.
    Full(u32),
    /// The step fails, and what was to be synced is never written, though a second sync says it was.
    Broken,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    files: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not durable: the name, and what it stands for afterwards.
    changes: Vec<Vec<(PathBuf, Option<usize>)>>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    steps: u64,
    plan: Option<(u64, Fault)>,
    full: u32,
    down: bool,
    boots: u64,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: Vec<Range<usize>>,
}

/// What a step may do.
enum Go {
    On,
    Half,
    Fail(io::Error),
}

fn down() -> io::Error {
    io::Error::other("the machine is down")
}

impl SimDisk {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the step with this number fail.
    pub(crate) fn fail(&self, step: u64, fault: Fault) {
        self.world().plan = Some((step, fault));
    }

    /// Steps taken so far: writes, syncs, and whatever else changes something.
    pub(crate) fn steps(&self) -> u64 {
        self.world().steps
    }

    pub(crate) fn is_down(&self) -> bool {
        self.world().down
    }

    /// Starts the machine again after a power failure.
    pub(crate) fn reboot(&self, seed: u64) {
        let mut world = self.world();
        let world = &mut *world;
        let mut dice = Dice { seed, count: 0 };
        let kept = dice.below(world.changes.len() + 1);
        let mut names = world.durable_names.clone();
        for (name, file) in world.changes.drain(..).take(kept).flatten() {
            match file {
                Some(file) => names.insert(name, file),
                None => names.remove(&name),
            };
        }
        (world.names, world.durable_names) = (names.clone(), names);
        for file in &mut world.files {
            let torn = file.after_power_failure(&mut dice);
            *file = Inode { live: torn.clone(), durable: torn, dirty: Vec::new() };
        }
        world.locks.clear();
        (world.plan, world.full, world.down) = (None, 0, false);
        world.boots += 1;
    }
}

fn index(number: impl TryInto<usize>) -> usize {
    number.try_into().ok().unwrap()
}

struct Dice {
    seed: u64,
    count: u64,
}

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.count += 1;
        let [a, b, c, d, ..] = sha256(&[&self.seed.to_le_bytes(), &self.count.to_le_bytes()]).0;
        index(u32::from_le_bytes([a, b, c, d])) % end
    }
}

impl Inode {
    /// Block by block either what is durable or what was written; the end somewhere between both.
    fn after_power_failure(&self, dice: &mut Dice) -> Vec<u8> {
        const BLOCK: usize = 64;
        if self.dirty.is_empty() && self.live.len() == self.durable.len() {
            return self.durable.clone();
        }
        let (short, long) =
            (self.live.len().min(self.durable.len()), self.live.len().max(self.durable.len()));
        let end = match dice.below(3) {
            0 => self.durable.len(),
            1 => self.live.len(),
            _ => short + dice.below(long - short + 1),
        };
        let mut bytes = vec![0; end];
        for start in (0..end).step_by(BLOCK) {
            let written = self.dirty.iter().any(|range| range.start < start + BLOCK && start < range.end);
            let source = if written && dice.below(2) == 1 { &self.live } else { &self.durable };
            let stop = (start + BLOCK).min(end);
            let from = source.get(start..stop.min(source.len())).unwrap_or_default();
            bytes[start..start + from.len()].copy_from_slice(from);
        }
        bytes
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for range in self.dirty.drain(..) {
            let range = range.start.min(self.live.len())..range.end.min(self.live.len());
            self.durable[range.clone()].copy_from_slice(&self.live[range]);
        }
    }
}

impl World {
    /// Whether the next step is taken.
    fn step(&mut self, grows: bool) -> Go {
        if self.down {
            return Go::Fail(down());
        }
        let number = self.steps;
        self.steps += 1;
        let fault = self.plan.filter(|(step, _)| *step == number).map(|(_, fault)| fault);
        match fault {
            Some(Fault::Power(_)) => {
                self.down = true;
                return Go::Half;
            }
            Some(Fault::Full(writes)) => self.full = writes,
            Some(Fault::Broken) => return Go::Fail(io::Error::other("input/output error")),
            None => {}
        }
        if grows && self.full > 0 {
            self.full -= 1;
            return Go::Fail(io::ErrorKind::StorageFull.into());
        }
        Go::On
    }

    fn change(&mut self, change: Vec<(PathBuf, Option<usize>)>) {
        for (name, file) in &change {
            match file {
                Some(file) => self.names.insert(name.clone(), *file),
                None => self.names.remove(name),
            };
        }
        self.changes.push(change);
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Takes a step that changes names.
    fn rename(&mut self, change: Vec<(PathBuf, Option<usize>)>) -> io::Result<()> {
        match self.step(false) {
            Go::Fail(error) => Err(error),
            Go::Half => {
                self.change(change);
                Err(down())
            }
            Go::On => {
                self.change(change);
                Ok(())
            }
        }
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.down {
            return Err(down());
        }
        world.dirs.insert(dir.to_owned());
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        if world.down {
            return Err(down());
        }
        let inside = world.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        if world.down {
            return Err(down());
        }
        if create && world.file(path).is_err() {
            let file = world.files.len();
            world.files.push(Inode::default());
            world.rename(vec![(path.to_owned(), Some(file))])?;
        }
        Ok(Box::new(Handle { file: world.file(path)?, boot: world.boots, disk: self.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let file = world.file(from)?;
        world.rename(vec![(from.to_owned(), None), (to.to_owned(), Some(file))])
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.file(path)?;
        world.rename(vec![(path.to_owned(), None)])
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut world = self.world();
        match world.step(false) {
            Go::Fail(error) => Err(error),
            Go::Half => Err(down()),
            Go::On => {
                world.durable_names = world.names.clone();
                world.changes.clear();
                Ok(())
            }
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let mut world = self.world();
        if world.down {
            return Err(down());
        }
        if !world.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Lock { path: path.to_owned(), boot: world.boots, disk: self.clone() }))
    }
}

#[derive(Debug)]
struct Lock {
    path: PathBuf,
    boot: u64,
    disk: SimDisk,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.boots == self.boot {
            world.locks.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct Handle {
    file: usize,
    boot: u64,
    disk: SimDisk,
}

impl Handle {
    fn with<T>(&self, work: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        if world.down || world.boots != self.boot { Err(down()) } else { work(&mut world) }
    }
}

impl DiskFile for Handle {
    fn size(&mut self) -> io::Result<u64> {
        self.with(|world| Ok(u64::try_from(world.files[self.file].live.len()).unwrap()))
    }

    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.with(|world| {
            let at = index(at);
            let from = world.files[self.file].live.get(at..at + bytes.len());
            bytes.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|world| {
            let (taken, result) = match world.step(true) {
                Go::On => (bytes.len(), Ok(())),
                Go::Half => (bytes.len(), Err(down())),
                Go::Fail(error) => (bytes.len() / 2, Err(error)),
            };
            let file = &mut world.files[self.file];
            let range = index(at)..index(at) + taken;
            if file.live.len() < range.end {
                file.live.resize(range.end, 0);
            }
            file.live[range.clone()].copy_from_slice(&bytes[..taken]);
            file.dirty.push(range);
            result
        })
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.with(|world| match world.step(false) {
            Go::Fail(error) => Err(error),
            go => {
                world.files[self.file].live.resize(index(size), 0);
                if let Go::Half = go { Err(down()) } else { Ok(()) }
            }
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(|world| match world.step(false) {
            Go::On => {
                world.files[self.file].sync();
                Ok(())
            }
            Go::Half => Err(down()),
            Go::Fail(error) => {
                // The system drops what it could not write, and takes it for written.
                world.files[self.file].dirty.clear();
                Err(error)
            }
        })
    }
}
