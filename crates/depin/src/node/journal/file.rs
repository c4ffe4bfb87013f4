//! A journal in segment files: appended to with one write and one sync, whole or not at all.

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use depin_core::NetworkId;

use super::{
    Disk, DiskFile, FileSystem, Journal, JournalError,
    disk::{PARTIAL, write_file},
    frame,
    segment::{self, Frame, Header, Segment},
};
use crate::log::{Frontier, leaf_hash};

/// Bytes that must be free before a journal that could not be written is trusted again.
const PROBE: usize = 64 << 10;

/// A journal in a directory of segment files.
#[derive(Clone, Debug)]
pub struct FileJournal(Arc<Mutex<Option<Inner>>>);

/// What a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its network.
    pub network: NetworkId,
    /// Position of the first entry that is kept.
    pub first: u64,
    /// Number of entries over its life.
    pub size: u64,
    /// Segment files.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    network: NetworkId,
    /// Size at which another segment begins.
    limit: u64,
    /// Never empty.
    segments: Vec<Segment>,
    /// The log after the last entry that is durable.
    log: Frontier,
    /// The last segment; none after a failure.
    file: Option<Box<dyn DiskFile>>,
    /// Where the last read ended: position and offset, and of which segment.
    cursor: Option<(u64, u64, u64)>,
    _lock: Box<dyn Debug + Send + Sync>,
}

impl FileJournal {
    /// Opens or creates the journal of `network` in the directory `dir`, for this process alone. A torn tail, as a crash in the middle of a
    /// write leaves it, is cut off.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(dir: &Path, network: NetworkId) -> Result<Self, JournalError> {
        Self::open_on(Arc::new(FileSystem), dir, network, u64::MAX)
    }

    /// The same on another disk, with another segment once one has `limit` bytes.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        network: NetworkId,
        limit: u64,
    ) -> Result<Self, JournalError> {
        let lock = lock(&*disk, dir)?;
        let mut inner = Inner {
            disk,
            dir: dir.to_owned(),
            network,
            limit,
            segments: Vec::new(),
            log: Frontier::default(),
            file: None,
            cursor: None,
            _lock: lock,
        };
        inner.load(None)?;
        Ok(Self(Arc::new(Mutex::new(Some(inner)))))
    }

    /// Reads every entry of the journal in `dir` and checks it against its checksums and the log's right edges, without changing anything. A
    /// torn tail, which the next start repairs, is left out of the count.
    ///
    /// # Errors
    /// [`JournalError`]; also when a node has it open.
    pub fn check(dir: &Path) -> Result<Summary, JournalError> {
        let disk = FileSystem;
        let _lock = lock(&disk, dir)?;
        let mut segments = list(&disk, dir, None)?;
        let missing = || JournalError::Io { path: dir.to_owned(), error: io::ErrorKind::NotFound.into() };
        let network = segments.first().ok_or_else(missing)?.header.network;
        let count = segments.len();
        let mut log: Option<Frontier> = None;
        for (at, segment) in (1..).zip(&mut segments) {
            let (path, index) = (segment.path.clone(), segment.header.first());
            let mut file = open(&disk, &path)?;
            if log.is_some_and(|log| log != segment.header.before) {
                let what = "the entries before it are not those it was written after";
                return Err(JournalError::Corrupt { path, at: 16, index, what });
            }
            log = Some(segment.scan(&mut *file, at == count)?.0);
        }
        let first = segments.first().map_or(0, |segment| segment.header.first());
        let bytes = segments.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add);
        Ok(Summary { network, first, size: log.map_or(0, |log| log.size()), segments: count, bytes })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inner) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
            work(inner.as_mut().ok_or(JournalError::Closed)?)
        });
        done.await.unwrap_or_else(|error| {
            Err(JournalError::Io { path: PathBuf::from("journal"), error: io::Error::other(error) })
        })
    }
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Debug + Send + Sync>, JournalError> {
    let path = dir.to_owned();
    if disk.list(dir).is_err_and(|error| error.kind() == io::ErrorKind::NotADirectory) {
        let found = open(disk, dir).and_then(|mut file| beginning(&mut *file, dir))?;
        return Err(JournalError::Format { path, found, expected: "a directory of segments".into() });
    }
    let io = |error: io::Error| JournalError::Io { path: dir.to_owned(), error };
    disk.create_dir(dir).map_err(io)?;
    disk.sync_dir(dir.parent().unwrap_or(Path::new(""))).map_err(io)?;
    disk.lock(&dir.join("lock")).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => JournalError::Busy { path },
        _ => io(error),
    })
}

fn beginning(file: &mut dyn DiskFile, path: &Path) -> Result<String, JournalError> {
    let io = |error| JournalError::Io { path: path.to_owned(), error };
    let size = usize::try_from(file.size().map_err(io)?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; size.min(16)];
    file.read_at(0, &mut bytes).map_err(io)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, JournalError> {
    disk.open(path, false).map_err(|error| JournalError::Io { path: path.to_owned(), error })
}

/// The segments of a directory in their order, by their headers alone: each goes on where the one before ends.
fn list(disk: &dyn Disk, dir: &Path, network: Option<NetworkId>) -> Result<Vec<Segment>, JournalError> {
    let io = |error| JournalError::Io { path: dir.to_owned(), error };
    let mut firsts: Vec<u64> =
        disk.list(dir).map_err(io)?.iter().filter_map(|name| segment::first_of(name)).collect();
    firsts.sort_unstable();
    let mut segments: Vec<Segment> = Vec::with_capacity(firsts.len());
    for first in firsts {
        let path = dir.join(segment::name(first));
        let mut file = open(disk, &path)?;
        let next = Segment::open(&path, &mut *file, network)?;
        if let Some(before) = segments.last() {
            follows(dir, before, &next)?;
        }
        segments.push(next);
    }
    Ok(segments)
}

fn follows(dir: &Path, before: &Segment, next: &Segment) -> Result<(), JournalError> {
    let to = next.header.first();
    let (from, bytes) = next.header.previous.unwrap_or_default();
    if from != before.header.first() {
        return Err(JournalError::Missing { path: dir.join(segment::name(from)), from, to });
    }
    if bytes != before.bytes {
        let what = "it is not as long as it was when the next segment began";
        let (path, at) = (before.path.clone(), bytes.min(before.bytes));
        return Err(JournalError::Corrupt { path, at, index: from, what });
    }
    Ok(())
}

impl Inner {
    fn io(&self) -> impl Fn(io::Error) -> JournalError + use<> {
        let path = self.dir.clone();
        move |error| JournalError::Io { path: path.clone(), error }
    }

    /// Reads what is on disk. After a failure `durable` says how many entries were acknowledged: exactly those are kept.
    fn load(&mut self, durable: Option<u64>) -> Result<(), JournalError> {
        (self.file, self.cursor) = (None, None);
        for name in self.disk.list(&self.dir).map_err(self.io())? {
            if name.ends_with(PARTIAL) {
                self.disk.remove(&self.dir.join(name)).map_err(self.io())?;
            }
        }
        let mut segments = list(&*self.disk, &self.dir, Some(self.network))?;
        if segments.is_empty() {
            let header = Header { network: self.network, before: Frontier::default(), previous: None };
            segments.push(self.create(header)?);
        }
        let Some(last) = segments.last_mut() else { return Err(JournalError::Closed) };
        let path = last.path.clone();
        let io = |error| JournalError::Io { path: path.clone(), error };
        let mut file = open(&*self.disk, &path)?;
        let (mut log, mut end) = last.scan(&mut *file, true)?;
        if let Some(durable) = durable.filter(|durable| *durable != log.size()) {
            // What could not be synced may look written. It was not acknowledged, and nobody knows whether it would last.
            let kept = self.segments.last().filter(|known| known.path == path && durable < log.size());
            let Some(known) = kept else {
                let what = "entries that were durable are gone";
                return Err(JournalError::Corrupt { path, at: end, index: log.size(), what });
            };
            (log, end) = (self.log.clone(), known.bytes);
        }
        if last.bytes > end {
            tracing::warn!(path = %path.display(), bytes = last.bytes.saturating_sub(end), "cut off a torn tail");
            file.truncate(end).map_err(io)?;
        }
        // Also when nothing was cut off: what is there may have been written by a process that died before it synced.
        file.sync().map_err(io)?;
        self.disk.sync_dir(&self.dir).map_err(self.io())?;
        last.bytes = end;
        last.forget(log.size());
        (self.segments, self.log, self.file) = (segments, log, Some(file));
        Ok(())
    }

    /// Makes the file of a segment that holds nothing yet.
    fn create(&self, header: Header) -> Result<Segment, JournalError> {
        let path = self.dir.join(segment::name(header.first()));
        write_file(&*self.disk, &path, &header.to_bytes())
            .map_err(|error| JournalError::Io { path: path.clone(), error })?;
        Ok(Segment::empty(path, header))
    }

    fn append(&mut self, entries: &[Vec<u8>]) -> Result<(), JournalError> {
        if entries.is_empty() {
            return Ok(());
        }
        let bytes = frame::encode(self.log.size(), entries)?;
        // Given back only when all went well.
        let file = self.file.take().ok_or_else(|| JournalError::Failed { path: self.dir.clone() })?;
        let mut file = self.roll_over(file)?;
        let index = self.log.size();
        let Some(last) = self.segments.last_mut() else { return Err(JournalError::Closed) };
        let io = |error| JournalError::Io { path: last.path.clone(), error };
        file.write_at(last.bytes, &bytes).map_err(io)?;
        file.sync().map_err(io)?;
        last.remember(index, last.bytes);
        last.bytes = last.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        entries.iter().for_each(|entry| self.log.push(leaf_hash(entry)));
        self.file = Some(file);
        Ok(())
    }

    /// Goes on in another segment once the last one is full.
    fn roll_over(&mut self, file: Box<dyn DiskFile>) -> Result<Box<dyn DiskFile>, JournalError> {
        let Some(last) = self.segments.last() else { return Ok(file) };
        let first = last.header.first();
        if last.bytes < self.limit || first == self.log.size() {
            return Ok(file);
        }
        let previous = Some((first, last.bytes));
        let next = self.create(Header { network: self.network, before: self.log.clone(), previous })?;
        let file = open(&*self.disk, &next.path)?;
        self.segments.push(next);
        Ok(file)
    }

    /// Opens everything anew, goes back to what was acknowledged, and sees whether there is room again.
    fn recover(&mut self) -> Result<(), JournalError> {
        if self.file.is_some() {
            return Ok(());
        }
        self.load(Some(self.log.size()))?;
        let Some(mut file) = self.file.take() else { return Err(JournalError::Closed) };
        let end = self.segments.last().map_or(0, |last| last.bytes);
        let probe = file.write_at(end, &[0; PROBE]).and_then(|()| file.sync());
        probe.and_then(|()| file.truncate(end)).and_then(|()| file.sync()).map_err(self.io())?;
        self.file = Some(file);
        Ok(())
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        let first = self.segments.first().map_or(0, |segment| segment.header.first());
        if from < first {
            return Err(JournalError::Removed { from, first });
        }
        let (mut entries, mut bytes, mut from) = (Vec::new(), 0_usize, from);
        while from < self.log.size() && (entries.is_empty() || bytes < limit) {
            let before = from;
            for entry in self.read_segment(from, limit.saturating_sub(bytes))? {
                bytes = bytes.saturating_add(entry.len());
                entries.push(entry);
                from = from.saturating_add(1);
            }
            if before == from {
                break;
            }
        }
        Ok(entries)
    }

    /// Entries from `from` on to the end of their segment, or until there are `limit` bytes.
    fn read_segment(&mut self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        let at = self.segments.partition_point(|segment| segment.header.first() <= from).saturating_sub(1);
        let end = self.segments.get(at.saturating_add(1)).map_or(self.log.size(), |next| next.header.first());
        let Some(segment) = self.segments.get_mut(at) else { return Ok(Vec::new()) };
        let first = segment.header.first();
        let mut file = open(&*self.disk, &segment.path)?;
        let (mut index, mut offset) = segment.mark(from);
        if let Some((of, position, known)) = self.cursor
            && of == first
            && (index..=from).contains(&position)
        {
            (index, offset) = (position, known);
        }
        let (mut found, mut bytes) = (Vec::new(), 0_usize);
        while index < end && (found.is_empty() || bytes < limit) {
            let what = match segment.frame(&mut *file, index, offset)? {
                Frame::Whole { entries, end } => {
                    segment.remember(index, offset);
                    for entry in entries {
                        if index >= from {
                            bytes = bytes.saturating_add(entry.len());
                            found.push(entry);
                        }
                        index = index.saturating_add(1);
                    }
                    offset = end;
                    continue;
                }
                Frame::Damaged { .. } => "it does not match its checksum",
                Frame::Headless => "it cannot be read",
                Frame::Torn => "the file ends inside it",
            };
            return Err(JournalError::Corrupt { path: segment.path.clone(), at: offset, index, what });
        }
        self.cursor = Some((first, index, offset));
        Ok(found)
    }

    /// Removes segments that hold nothing from `before` on, the oldest first, so that whatever dies in between leaves no gap.
    fn prune(&mut self, before: u64) -> Result<(), JournalError> {
        while let [oldest, next, ..] = self.segments.as_slice()
            && next.header.first() <= before
        {
            self.disk.remove(&oldest.path).map_err(self.io())?;
            self.segments.remove(0);
            self.disk.sync_dir(&self.dir).map_err(self.io())?;
        }
        Ok(())
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, entries: Vec<Vec<u8>>) -> Result<(), JournalError> {
        self.blocking(move |inner| inner.append(&entries)).await
    }

    async fn read(&self, from: u64, bytes: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        self.blocking(move |inner| inner.read(from, bytes)).await
    }

    async fn size(&self) -> Result<u64, JournalError> {
        self.blocking(|inner| Ok(inner.log.size())).await
    }

    async fn starts(&self) -> Result<Vec<Frontier>, JournalError> {
        self.blocking(|inner| {
            Ok(inner.segments.iter().map(|segment| segment.header.before.clone()).collect())
        })
        .await
    }

    async fn prune(&self, before: u64) -> Result<(), JournalError> {
        self.blocking(move |inner| inner.prune(before)).await
    }

    async fn recover(&self) -> Result<(), JournalError> {
        self.blocking(Inner::recover).await
    }

    async fn close(&self) -> Result<(), JournalError> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            drop(inner.lock().unwrap_or_else(PoisonError::into_inner).take());
        });
        done.await.map_err(|error| JournalError::Io {
            path: PathBuf::from("journal"),
            error: io::Error::other(error),
        })
    }
}

#[cfg(test)]
mod tests;
