//! One segment file: a header, then frames.

use std::path::{Path, PathBuf};

use depin_core::{NetworkId, cbor};
use minicbor::{Decode, Encode};

use super::{DiskFile, JournalError, frame};
use crate::log::{Frontier, leaf_hash};

pub(super) const MAGIC: &[u8; 16] = b"depin-journal/1\n";
/// Largest header: 64 peaks and the rest.
const MAX_HEADER: u32 = 4096;
/// Entries between two places that are remembered.
const STRIDE: u64 = 64;

/// What stands at the head of a segment. With the right edge of the log before it, the log can go on without older segments.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(super) struct Header {
    #[n(0)]
    pub(super) network: NetworkId,
    /// The log before the first entry; its size is the position of that entry.
    #[n(1)]
    pub(super) before: Frontier,
    /// First entry and size in bytes of the segment before.
    #[n(2)]
    pub(super) previous: Option<(u64, u64)>,
}

/// What is known of a segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    /// Bytes, all of them durable.
    pub(super) bytes: u64,
    /// Position and offset of some frames, ascending; the first frame is always among them.
    marks: Vec<(u64, u64)>,
}

/// The file name of the segment whose first entry has this position.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The position that a file name states.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 20)?;
    digits.parse().ok()
}

impl Header {
    /// The first bytes of a segment.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let body = cbor::to_vec(self);
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let sum = leaf_hash(&body);
        [MAGIC.as_slice(), &len.to_le_bytes(), sum.as_bytes(), &body].concat()
    }

    pub(super) const fn first(&self) -> u64 {
        self.before.size()
    }
}

impl Segment {
    /// A segment that holds nothing yet.
    pub(super) fn empty(path: PathBuf, header: Header) -> Self {
        let bytes = u64::try_from(header.to_bytes().len()).unwrap_or(u64::MAX);
        Self { path, marks: vec![(header.first(), bytes)], header, bytes }
    }

    /// Reads the header of `file`. `network` is the network expected, if any.
    pub(super) fn open(
        path: &Path,
        file: &mut dyn DiskFile,
        network: Option<NetworkId>,
    ) -> Result<Self, JournalError> {
        let io = |error| JournalError::Io { path: path.to_owned(), error };
        let size = file.size().map_err(io)?;
        let mut magic = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(MAGIC.len())];
        file.read_at(0, &mut magic).map_err(io)?;
        if magic != *MAGIC {
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (found, expected) = (show(&magic), show(MAGIC));
            return Err(JournalError::Format { path: path.to_owned(), found, expected });
        }
        let stated = path.file_name().and_then(|name| first_of(name.to_str()?)).unwrap_or_default();
        let damaged = |what| JournalError::Corrupt { path: path.to_owned(), at: 16, index: stated, what };
        let header =
            Self::header(file, size).map_err(io)?.ok_or_else(|| damaged("its header cannot be read"))?;
        if let Some(expected) = network.filter(|network| *network != header.network) {
            return Err(JournalError::Foreign { path: path.to_owned(), found: header.network, expected });
        }
        if header.first() != stated || !header.before.is_consistent() {
            return Err(damaged("its header does not fit its name"));
        }
        let start = u64::try_from(header.to_bytes().len()).unwrap_or(u64::MAX);
        Ok(Self { path: path.to_owned(), marks: vec![(stated, start)], header, bytes: size })
    }

    fn header(file: &mut dyn DiskFile, size: u64) -> std::io::Result<Option<Header>> {
        let mut fixed = [0; 52];
        if size < 52 {
            return Ok(None);
        }
        file.read_at(0, &mut fixed)?;
        let Some((len, sum)) = fixed.get(16..).and_then(|rest| rest.split_first_chunk::<4>()) else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*len);
        if len > MAX_HEADER || u64::from(len).saturating_add(52) > size {
            return Ok(None);
        }
        let mut body = vec![0; usize::try_from(len).unwrap_or_default()];
        file.read_at(52, &mut body)?;
        let intact = leaf_hash(&body).as_bytes().as_slice() == sum;
        Ok(cbor::from_slice(&body).ok().filter(|_| intact))
    }

    /// The frame to begin with when looking for the entry at `index`.
    pub(super) fn mark(&self, index: u64) -> (u64, u64) {
        let at = self.marks.partition_point(|(first, _)| *first <= index);
        self.marks.get(at.saturating_sub(1)).or(self.marks.first()).copied().unwrap_or_default()
    }

    /// Remembers where a frame is.
    pub(super) fn remember(&mut self, index: u64, offset: u64) {
        if self.marks.last().is_none_or(|(last, _)| index >= last.saturating_add(STRIDE)) {
            self.marks.push((index, offset));
        }
    }

    /// Forgets frames from position `size` on.
    pub(super) fn forget(&mut self, size: u64) {
        let first = self.header.first();
        self.marks.retain(|(index, _)| *index < size || *index == first);
    }

    /// Reads the frame at `offset`, whose first entry has position `index`.
    pub(super) fn frame(
        &self,
        file: &mut dyn DiskFile,
        index: u64,
        offset: u64,
    ) -> Result<Frame, JournalError> {
        let io = |error| JournalError::Io { path: self.path.clone(), error };
        let after_head = offset.saturating_add(u64::try_from(frame::HEAD).unwrap_or_default());
        if after_head > self.bytes {
            return Ok(Frame::Torn);
        }
        let mut bytes = [0; frame::HEAD];
        file.read_at(offset, &mut bytes).map_err(io)?;
        let head = frame::Head::read(&bytes).filter(|head| head.index == index);
        let Some(head) = head else { return Ok(Frame::Headless) };
        let end = offset.saturating_add(head.frame_len());
        if end > self.bytes {
            return Ok(Frame::Torn);
        }
        let mut body = vec![0; usize::try_from(head.len).unwrap_or_default()];
        file.read_at(after_head, &mut body).map_err(io)?;
        match head.entries(&body) {
            Some(entries) => {
                Ok(Frame::Whole { entries: entries.into_iter().map(<[u8]>::to_vec).collect(), end })
            }
            None => Ok(Frame::Damaged { end }),
        }
    }

    /// Goes through the whole segment: the log after it, and where its last whole frame ends. With `last`, a torn tail is no damage.
    pub(super) fn scan(
        &mut self,
        file: &mut dyn DiskFile,
        last: bool,
    ) -> Result<(Frontier, u64), JournalError> {
        let mut log = self.header.before.clone();
        let (_, mut offset) = self.mark(0);
        while offset < self.bytes {
            let index = log.size();
            let corrupt =
                |what| Err(JournalError::Corrupt { path: self.path.clone(), at: offset, index, what });
            match self.frame(file, index, offset)? {
                Frame::Whole { entries, end } => {
                    entries.iter().for_each(|entry| log.push(leaf_hash(entry)));
                    self.remember(index, offset);
                    offset = end;
                }
                Frame::Damaged { end } if end < self.bytes => {
                    return corrupt("it does not match its checksum, yet others follow");
                }
                Frame::Headless if self.any_after(file, index, offset)? => {
                    return corrupt("it cannot be read, yet others follow");
                }
                _ if last => break,
                _ => return corrupt("it is torn, yet another segment follows"),
            }
        }
        Ok((log, offset))
    }

    /// Whether the head of a later frame than the one of `index` is somewhere after `offset`, where a head was found damaged.
    fn any_after(&self, file: &mut dyn DiskFile, index: u64, offset: u64) -> Result<bool, JournalError> {
        let mut rest = vec![0; usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or_default()];
        file.read_at(offset, &mut rest)
            .map_err(|error| JournalError::Io { path: self.path.clone(), error })?;
        let heads = rest.windows(frame::HEAD).filter_map(|window| frame::Head::read(window.try_into().ok()?));
        Ok(heads.into_iter().any(|head| head.index > index))
    }
}

/// What is found where a frame should begin.
pub(super) enum Frame {
    Whole {
        entries: Vec<Vec<u8>>,
        end: u64,
    },
    /// Head intact, body not.
    Damaged {
        end: u64,
    },
    /// The head is damaged.
    Headless,
    /// The file ends inside it.
    Torn,
}
