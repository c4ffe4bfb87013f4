//! How much memory bytes from outside can claim. One test per process: the allocator counts for all threads.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use depin_core::{Address, DeviceId, Epoch, KeyType, NetworkId, TypedKey, cbor};
use depin_proof::{
    commp::{Committer, Piece, PieceCommitment},
    possession::{Answer, Challenge, PieceSet, PossessionParams, prove},
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What `work` needs at its peak beyond what was there before, in bytes.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = work();
    let peak = ALLOCATOR.peak_usage() - before;
    drop(result);
    peak
}

/// Zeros, without holding them.
fn zeros(len: u64) -> impl std::io::Read {
    std::io::Read::take(std::io::repeat(0), len)
}

#[test]
fn memory_stays_within_bounds() {
    const SIZE: u64 = 16 << 20;
    let mut piece = None;
    let committing = peak(|| {
        let mut committer = Committer::new();
        // `io::copy` has a buffer of 8 KiB on the stack.
        std::io::copy(&mut zeros(SIZE), &mut committer).unwrap();
        piece = Some(committer.finish().unwrap());
    });
    assert!(committing <= 2_048, "committing to {SIZE} bytes took {committing}");

    let set = PieceSet::new(piece).unwrap();
    let network = NetworkId::new(1, Address::ZERO);
    let device = DeviceId(TypedKey::new(KeyType::Ed25519, &[2; 32]).unwrap());
    let challenge =
        Challenge::new(&PossessionParams::default(), network, device, Epoch(0), &[9; 32], &set, [&set]);
    let mut body = Vec::new();
    let proving = peak(|| body = prove(&challenge, |_| Ok(zeros(SIZE))).unwrap().to_bytes());
    assert!(proving <= 4 * body.len() + (64 << 10), "proving {} bytes took {proving}", body.len());

    let verifying = peak(|| cbor::from_slice::<Answer>(&body).unwrap().verify(&challenge).unwrap());
    assert!(verifying <= 4 * body.len(), "verifying {} bytes took {verifying}", body.len());

    // Most leaves per byte: everything is asked for, and hardly a hash is needed beside it.
    let small = PieceSet::new(depin_proof::commp::commit(&[1; 14_000])).unwrap();
    let challenge =
        Challenge::new(&PossessionParams::default(), network, device, Epoch(0), &[9; 32], &small, [&small]);
    let body = prove(&challenge, |_| Ok([1; 14_000].as_slice())).unwrap().to_bytes();
    let verifying = peak(|| cbor::from_slice::<Answer>(&body).unwrap().verify(&challenge).unwrap());
    assert!(verifying <= 4 * body.len(), "verifying {} bytes took {verifying}", body.len());

    // A full set; and a count that promises one but brings nothing.
    let commitment = PieceCommitment::from_bytes([0; 32]).unwrap();
    let full =
        PieceSet::new((1..=65_536).map(|size| Piece::new(commitment, size).unwrap())).unwrap().to_bytes();
    let reading = peak(|| cbor::from_slice::<PieceSet>(&full).unwrap());
    assert!(reading <= 4 * full.len(), "reading {} bytes took {reading}", full.len());
    let promise = [0x9a, 0, 1, 0, 0];
    let reading = peak(|| cbor::from_slice::<PieceSet>(&promise).is_err());
    assert!(reading <= 256, "refusing {} bytes took {reading}", promise.len());
}
