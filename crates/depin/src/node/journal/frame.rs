//! One append as it lies on disk: a frame that is there as a whole or not at all.
//!
//! A frame is written only once the one before it is durable. So damage in a frame that another one follows is no torn write but corruption.

use depin_core::sha256;

use super::{JournalError, MAX_ENTRY};

/// Length of the body, number of entries (4 bytes each, little endian), position of the first, checksum of those three, checksum of the body
/// (8 bytes each).
pub(super) const HEAD: usize = 32;

/// What stands at the head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the body.
    pub(super) len: u32,
    /// Entries in it.
    pub(super) count: u32,
    /// Position of the first.
    pub(super) index: u64,
    body_sum: [u8; 8],
}

/// A checksum, not a commitment: the Merkle log commits to every entry.
fn sum(parts: &[&[u8]]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = sha256(parts).0;
    [a, b, c, d, e, f, g, h]
}

fn head_sum(index: u64, len: u32, count: u32) -> [u8; 8] {
    sum(&[b"depin/journal/frame", &index.to_le_bytes(), &len.to_le_bytes(), &count.to_le_bytes()])
}

/// The frame of `entries`, the first of which has position `index`.
///
/// # Errors
/// [`JournalError::TooLarge`].
pub(super) fn encode(index: u64, entries: &[Vec<u8>]) -> Result<Vec<u8>, JournalError> {
    let size = entries.iter().map(|entry| entry.len().saturating_add(4)).fold(0, usize::saturating_add);
    let (Ok(len), Ok(count)) = (u32::try_from(size), u32::try_from(entries.len())) else {
        return Err(JournalError::TooLarge { found: size });
    };
    let mut frame = Vec::with_capacity(size.saturating_add(HEAD));
    frame.resize(HEAD, 0);
    for entry in entries {
        let bytes = u32::try_from(entry.len()).ok().filter(|_| entry.len() <= MAX_ENTRY);
        let bytes = bytes.ok_or(JournalError::TooLarge { found: entry.len() })?;
        frame.extend_from_slice(&bytes.to_le_bytes());
        frame.extend_from_slice(entry);
    }
    if let Some((head, body)) = frame.split_first_chunk_mut::<HEAD>() {
        let fields = [len.to_le_bytes(), count.to_le_bytes()].concat();
        let eights = [index.to_le_bytes(), head_sum(index, len, count), sum(&[body])].concat();
        head.copy_from_slice(&[fields, eights].concat());
    }
    Ok(frame)
}

impl Head {
    /// Reads a head; none if it is damaged.
    pub(super) fn read(bytes: &[u8; HEAD]) -> Option<Self> {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (index, rest) = rest.split_first_chunk::<8>()?;
        let (own, rest) = rest.split_first_chunk::<8>()?;
        let (len, count) = (u32::from_le_bytes(*len), u32::from_le_bytes(*count));
        let index = u64::from_le_bytes(*index);
        let body_sum = *rest.first_chunk::<8>()?;
        (count > 0 && *own == head_sum(index, len, count)).then_some(Self { len, count, index, body_sum })
    }

    /// Bytes of the whole frame.
    pub(super) fn frame_len(&self) -> u64 {
        u64::from(self.len).saturating_add(u64::try_from(HEAD).unwrap_or_default())
    }

    /// The entries of the body; none if it is damaged.
    pub(super) fn entries<'b>(&self, body: &'b [u8]) -> Option<Vec<&'b [u8]>> {
        if sum(&[body]) != self.body_sum {
            return None;
        }
        let mut rest = body;
        let mut entries = Vec::new();
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let (entry, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
            entries.push(entry);
            rest = after;
        }
        (rest.is_empty() && u32::try_from(entries.len()).ok() == Some(self.count)).then_some(entries)
    }
}
