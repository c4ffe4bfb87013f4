//! Writing deterministic CBOR (RFC 8949, 4.2) into memory that the caller lends.

/// Major types (RFC 8949, 3.1).
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// Writes as far as the buffer goes and counts on beyond it, so that the same code says how much is needed.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Bytes that `write` writes.
    pub(crate) fn count(write: impl FnOnce(&mut Writer<'_>)) -> usize {
        let mut writer = Writer::new(&mut []);
        write(&mut writer);
        writer.len
    }

    /// Bytes written, or needed if that is more than the buffer has.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(to) = self.buffer.get_mut(self.len..end) {
            to.copy_from_slice(bytes);
        }
        self.len = end;
    }

    fn head(&mut self, major: u8, value: u64) {
        let bytes = value.to_be_bytes();
        let [.., low] = bytes;
        let (info, used) = match value {
            0..24 => (low, 0),
            24..0x100 => (24, 1),
            0x100..0x1_0000 => (25, 2),
            0x1_0000..0x1_0000_0000 => (26, 4),
            _ => (27, 8),
        };
        self.raw(&[major << 5 | info]);
        self.raw(bytes.get(bytes.len().saturating_sub(used)..).unwrap_or_default());
    }

    pub(crate) fn uint(&mut self, value: u64) {
        self.head(UNSIGNED, value);
    }

    pub(crate) fn int(&mut self, value: i64) {
        // CBOR has -1 - n for negative numbers, which in two's complement is n with every bit turned.
        match u64::try_from(value) {
            Ok(value) => self.head(UNSIGNED, value),
            Err(_) => self.head(NEGATIVE, !value.cast_unsigned()),
        }
    }

    /// The head of a byte string, whose `len` bytes follow by [`Writer::raw`].
    pub(crate) fn bytes_head(&mut self, len: usize) {
        self.head(BYTES, wide(len));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes_head(bytes.len());
        self.raw(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.head(TEXT, wide(text.len()));
        self.raw(text.as_bytes());
    }

    pub(crate) fn array(&mut self, len: usize) {
        self.head(ARRAY, wide(len));
    }

    pub(crate) fn map(&mut self, len: usize) {
        self.head(MAP, wide(len));
    }

    pub(crate) fn tag(&mut self, tag: u64) {
        self.head(TAG, tag);
    }
}

/// No machine has more than 64 bits of address.
fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::{string::String, vec::Vec};

    fn written(write: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        write(&mut writer);
        let len = writer.len();
        assert_eq!(Writer::count(write), len);
        buffer[..len].to_vec()
    }

    #[test]
    fn integers_are_those_of_rfc_8949_appendix_a() {
        for (value, expected) in [
            (0, "00"),
            (10, "0a"),
            (23, "17"),
            (24, "1818"),
            (100, "1864"),
            (1000, "1903e8"),
            (1_000_000, "1a000f4240"),
            (1_000_000_000_000, "1b000000e8d4a51000"),
            (-1, "20"),
            (-10, "29"),
            (-100, "3863"),
            (-1000, "3903e7"),
        ] {
            let hex: String = written(|w| w.int(value)).iter().map(|b| std::format!("{b:02x}")).collect();
            assert_eq!(hex, expected, "{value}");
        }
        assert_eq!(written(|w| w.uint(u64::MAX)), [&[0x1b][..], &[0xff; 8]].concat());
        assert_eq!(written(|w| w.int(i64::MIN)), [&[0x3b, 0x7f][..], &[0xff; 7]].concat());
    }

    #[test]
    fn what_does_not_fit_is_counted_and_writes_nothing_beyond() {
        let mut buffer = [0xee; 4];
        let mut writer = Writer::new(&mut buffer[..3]);
        writer.text("abc");
        assert_eq!(writer.len(), 4);
        assert_eq!(buffer, [0x63, 0xee, 0xee, 0xee]);
    }
}
