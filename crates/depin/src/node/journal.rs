//! The journal: the only thing that must not be lost.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::log::leaf_hash;

/// An append-only list of entries that survives whatever kills the process.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends entries in order. They are durable when this returns, all of them or none.
    async fn append(&self, entries: Vec<Vec<u8>>) -> Result<(), JournalError>;

    /// Every entry from position `from` on.
    async fn read(&self, from: u64) -> Result<Vec<Vec<u8>>, JournalError>;

    /// Number of entries.
    async fn size(&self) -> Result<u64, JournalError>;
}

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk said no.
    #[error("{path}: {error}; check that the disk has space and the directory is writable")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Another process writes it.
    #[error("{path} is in use by another process; stop that, or choose another directory")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A record is damaged and intact ones follow: not a torn write.
    #[error(
        "{path} is damaged at byte {at}: entry {index} does not match its checksum, yet intact entries follow; restore the file from a copy"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Offset of the record.
        at: u64,
        /// Position of the entry.
        index: u64,
    },
    /// Another kind of file, or one of a newer version.
    #[error("{path} is no journal of this version; it starts with {found:?}, expected {expected:?}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: String,
        /// The bytes expected.
        expected: String,
    },
    /// An entry too large to write.
    #[error("an entry has {found} bytes; at most {MAX_ENTRY} are written")]
    TooLarge {
        /// Its size.
        found: usize,
    },
}

/// Largest entry in bytes.
pub const MAX_ENTRY: usize = 1 << 26;

const MAGIC: &[u8; 16] = b"depin-journal/1\n";
/// Length (4 bytes, little endian) and the first 8 bytes of the leaf hash.
const RECORD_HEADER: usize = 12;

/// A journal in one file: records of length, checksum and entry, synced before `append` returns.
#[derive(Clone, Debug)]
pub struct FileJournal {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    /// Where each record starts, and the end of the last.
    offsets: Vec<u64>,
    /// A failed write left bytes behind that must go before the next one.
    torn: bool,
}

impl FileJournal {
    /// Opens or creates the journal at `path`, for this process alone: two writers would tear each other's records. A torn tail, as a
    /// crash in the middle of a write leaves it, is cut off.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let io = |error| JournalError::Io { path: path.to_owned(), error };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::Busy { path: path.to_owned() },
            TryLockError::Error(error) => io(error),
        })?;
        let size = file.metadata().map_err(io)?.len();
        let whole = u64::try_from(MAGIC.len()).unwrap_or_default();
        if size < whole {
            file.set_len(0).map_err(io)?;
            file.write_all(MAGIC).map_err(io)?;
            file.sync_all().map_err(io)?;
            sync_parent(path).map_err(io)?;
        } else {
            let mut magic = [0; MAGIC.len()];
            file.read_exact(&mut magic).map_err(io)?;
            if magic != *MAGIC {
                let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                return Err(JournalError::Format {
                    path: path.to_owned(),
                    found: show(&magic),
                    expected: show(MAGIC),
                });
            }
        }
        let offsets = scan(path, &mut file)?;
        let end = offsets.last().copied().unwrap_or(whole);
        if size > end {
            tracing::warn!(path = %path.display(), bytes = size.saturating_sub(end), "cut off a torn tail");
            file.set_len(end).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        Ok(Self { inner: Arc::new(Mutex::new(Inner { path: path.to_owned(), file, offsets, torn: false })) })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Inner) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut inner.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match done.await {
            Ok(result) => result,
            Err(error) => {
                Err(JournalError::Io { path: PathBuf::from("journal"), error: std::io::Error::other(error) })
            }
        }
    }
}

/// Finds the start of each record and the end of the last intact one.
fn scan(path: &Path, file: &mut File) -> Result<Vec<u64>, JournalError> {
    let io = |error| JournalError::Io { path: path.to_owned(), error };
    let start = u64::try_from(MAGIC.len()).unwrap_or_default();
    let mut offsets = vec![start];
    let size = file.metadata().map_err(io)?.len();
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    let mut reader = std::io::BufReader::new(&mut *file);
    let (mut at, mut damaged) = (start, None);
    while let Some((intact, next)) = record(&mut reader, at, size).map_err(io)? {
        match (intact, damaged) {
            (true, None) => offsets.push(next),
            (true, Some((at, index))) => {
                return Err(JournalError::Corrupt { path: path.to_owned(), at, index });
            }
            (false, None) => {
                let index = u64::try_from(offsets.len().saturating_sub(1)).unwrap_or(u64::MAX);
                damaged = Some((at, index));
            }
            (false, Some(_)) => {}
        }
        at = next;
    }
    Ok(offsets)
}

/// Reads the record at `at`: whether it is intact, and where the next one starts; nothing when the file ends inside it.
fn record(reader: &mut impl Read, at: u64, size: u64) -> std::io::Result<Option<(bool, u64)>> {
    let header_len = u64::try_from(RECORD_HEADER).unwrap_or_default();
    let body_at = at.saturating_add(header_len);
    if body_at > size {
        return Ok(None);
    }
    let mut header = [0; RECORD_HEADER];
    reader.read_exact(&mut header)?;
    let Some((len, checksum)) = header.split_first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_le_bytes(*len);
    let next = body_at.saturating_add(u64::from(len));
    if next > size || usize::try_from(len).map_or(true, |len| len > MAX_ENTRY) {
        return Ok(None);
    }
    let mut body = vec![0; usize::try_from(len).unwrap_or_default()];
    reader.read_exact(&mut body)?;
    Ok(Some((leaf_hash(&body).0.starts_with(checksum), next)))
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

impl Inner {
    fn append(&mut self, entries: &[Vec<u8>]) -> Result<(), JournalError> {
        let end = self.offsets.last().copied().unwrap_or_default();
        let mut bytes =
            Vec::with_capacity(entries.iter().map(|entry| entry.len().saturating_add(RECORD_HEADER)).sum());
        let mut offsets = Vec::with_capacity(entries.len());
        for entry in entries {
            let len = u32::try_from(entry.len()).ok().filter(|_| entry.len() <= MAX_ENTRY);
            let len = len.ok_or(JournalError::TooLarge { found: entry.len() })?;
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend(leaf_hash(entry).0.iter().take(8));
            bytes.extend_from_slice(entry);
            offsets.push(end.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)));
        }
        self.write(end, &bytes).map_err(|error| JournalError::Io { path: self.path.clone(), error })?;
        self.offsets.extend(offsets);
        Ok(())
    }

    fn write(&mut self, end: u64, bytes: &[u8]) -> std::io::Result<()> {
        if self.torn {
            self.file.set_len(end)?;
        }
        self.torn = true;
        self.file.seek(SeekFrom::Start(end))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        self.torn = false;
        Ok(())
    }

    fn read(&mut self, from: u64) -> Result<Vec<Vec<u8>>, JournalError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let bounds = self.offsets.get(from..).unwrap_or_default();
        let read = |file: &mut File, start: u64, end: u64| -> std::io::Result<Vec<u8>> {
            let body_at = start.saturating_add(u64::try_from(RECORD_HEADER).unwrap_or_default());
            let mut body = vec![0; usize::try_from(end.saturating_sub(body_at)).unwrap_or_default()];
            file.seek(SeekFrom::Start(body_at))?;
            file.read_exact(&mut body)?;
            Ok(body)
        };
        bounds
            .windows(2)
            .map(|pair| match pair {
                [start, end] => read(&mut self.file, *start, *end)
                    .map_err(|error| JournalError::Io { path: self.path.clone(), error }),
                _ => Ok(Vec::new()),
            })
            .collect()
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, entries: Vec<Vec<u8>>) -> Result<(), JournalError> {
        self.blocking(move |inner| inner.append(&entries)).await
    }

    async fn read(&self, from: u64) -> Result<Vec<Vec<u8>>, JournalError> {
        self.blocking(move |inner| inner.read(from)).await
    }

    async fn size(&self) -> Result<u64, JournalError> {
        self.blocking(|inner| Ok(u64::try_from(inner.offsets.len().saturating_sub(1)).unwrap_or(u64::MAX)))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u8) -> Vec<Vec<u8>> {
        (0..count).map(|index| vec![index; usize::from(index) * 7 + 1]).collect()
    }

    async fn written(dir: &Path, count: u8) -> PathBuf {
        let path = dir.join("journal");
        FileJournal::open(&path).unwrap().append(entries(count)).await.unwrap();
        path
    }

    #[tokio::test]
    async fn what_was_appended_is_read_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 5).await;
        let journal = FileJournal::open(&path).unwrap();
        assert_eq!(journal.read(0).await.unwrap(), entries(5));
        assert_eq!(journal.read(3).await.unwrap(), entries(5)[3..]);
        assert_eq!(journal.read(9).await.unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(journal.size().await.unwrap(), 5);
    }

    #[tokio::test]
    async fn a_tail_torn_at_any_byte_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 5).await;
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let journal = FileJournal::open(&path).unwrap();
            let kept = journal.read(0).await.unwrap();
            assert_eq!(kept, entries(5)[..kept.len()], "{len}");
            journal.append(vec![b"next".to_vec()]).await.unwrap();
            assert!(
                matches!(FileJournal::open(&path), Err(JournalError::Busy { .. })),
                "one writer at a time"
            );
            drop(journal);
            let again = FileJournal::open(&path).unwrap().read(0).await.unwrap();
            assert_eq!(again.len(), kept.len() + 1);
            assert_eq!(again.last().unwrap(), b"next");
        }
    }

    #[tokio::test]
    async fn a_damaged_record_before_intact_ones_is_corruption() {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path(), 5).await;
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[MAGIC.len() + RECORD_HEADER] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(FileJournal::open(&path), Err(JournalError::Corrupt { index: 0, .. })));
    }

    #[tokio::test]
    async fn another_file_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, b"this is somebody's diary").unwrap();
        assert!(matches!(FileJournal::open(&path), Err(JournalError::Format { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"this is somebody's diary");
    }
}
