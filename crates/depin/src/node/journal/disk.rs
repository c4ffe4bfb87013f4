//! What a node does with files it must not lose. Behind a trait, so that tests can let every single step fail.

use std::{
    fmt::Debug,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// A file system.
pub trait Disk: Debug + Send + Sync {
    /// Makes a directory and its parents, unless they exist.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names of what is in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Opens a file to read and write; makes it if `create`.
    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>>;
    /// Renames a file, over whatever has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes durable which names a directory has.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the lock file at `path` for this process alone, until what is returned is dropped; [`io::ErrorKind::WouldBlock`] if another
    /// has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>>;
}

/// An open file.
pub trait DiskFile: Debug + Send {
    /// Its size in bytes.
    fn size(&mut self) -> io::Result<u64>;
    /// Fills `bytes` from offset `at`.
    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes` at offset `at`.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts it off at `size` bytes.
    fn truncate(&mut self, size: u64) -> io::Result<()>;
    /// Makes its content durable. After a failure the handle must not be used any more: the system may have forgotten what it could not
    /// write, and say that all is well the next time.
    fn sync(&mut self) -> io::Result<()>;
}

/// The system's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Disk for FileSystem {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names =
            std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn open(&self, path: &Path, create: bool) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        Ok(Box::new(file))
    }
}

impl DiskFile for File {
    fn size(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(at))?;
        self.read_exact(bytes)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(at))?;
        self.write_all(bytes)
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// What the disk says; [`io::ErrorKind::FileTooLarge`] beyond the limit.
pub fn read_file(disk: &dyn Disk, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut file = disk.open(path, false)?;
    let size = usize::try_from(file.size()?).ok().filter(|size| *size <= limit);
    let mut bytes = vec![0; size.ok_or(io::ErrorKind::FileTooLarge)?];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Writes a file that is there as a whole, durably, or not at all: under another name first.
///
/// # Errors
/// What the disk says. A file of that name may then be the old or the new one.
pub fn write_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(PARTIAL);
    let partial = Path::new(&partial);
    let mut file = disk.open(partial, true)?;
    file.truncate(0)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(partial, path)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new("")))
}

/// How the names of files end that are not whole.
pub const PARTIAL: &str = ".partial";
