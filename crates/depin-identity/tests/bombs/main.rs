//! Little that comes in takes little memory, whatever it says of itself. What a reader takes at most is counted, not guessed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

mod binary;
mod text;

#[path = "../common/mod.rs"]
mod common;
#[path = "../issuing/mod.rs"]
mod issuing;

use allocation_counter::measure;

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;

/// Has `accepts` refuse each of the bombs, within so many bytes of memory at any one time.
pub(crate) fn defused<B: AsRef<[u8]>>(
    what: &str,
    limit: usize,
    bombs: impl IntoIterator<Item = B>,
    accepts: impl Fn(&[u8]) -> bool,
) {
    for (number, bomb) in bombs.into_iter().enumerate() {
        let (bomb, mut accepted) = (bomb.as_ref(), true);
        let counted = measure(|| accepted = accepts(bomb));
        assert!(!accepted, "{what} {number}: {}", String::from_utf8_lossy(&bomb[..bomb.len().min(200)]));
        let most = usize::try_from(counted.bytes_max).unwrap();
        assert!(most <= limit, "{what} {number}, {} bytes long, took {most} bytes", bomb.len());
    }
}
