//! Committing and verifying against what SHA-256 alone costs. Prints the ratios at the end.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::as_conversions,
    reason = "a bench"
)]

use std::{hint::black_box, time::Instant};

use criterion::{Criterion, Throughput};
use depin_core::{Address, DeviceId, Epoch, KeyType, NetworkId, TypedKey};
use depin_proof::{
    commp::commit,
    possession::{Answer, Challenge, PieceSet, PossessionParams, prove},
};
use sha2::block_api::compress256;

const SIZE: usize = 127 << 16;

/// The compressions that `hashes` hashes of 64 bytes need, and nothing else: one run over memory that fits the cache.
fn ceiling(hashes: usize) -> [u32; 8] {
    let blocks = [[7; 64]; 512];
    let mut state = [1; 8];
    for _ in 0..(2 * hashes).div_ceil(blocks.len()) {
        compress256(&mut state, black_box(&blocks));
    }
    state
}

/// Seconds of the fastest of 101 runs each, taken in turns so that both meet the same machine.
fn fastest<A, B>(mut one: impl FnMut() -> A, mut other: impl FnMut() -> B) -> (f64, f64) {
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..101 {
        let start = Instant::now();
        black_box(one());
        let between = Instant::now();
        black_box(other());
        best.0 = best.0.min((between - start).as_secs_f64());
        best.1 = best.1.min(between.elapsed().as_secs_f64());
    }
    best
}

fn opened(file: &[u8]) -> (Challenge, Answer) {
    let set = PieceSet::new(commit(file)).unwrap();
    let network = NetworkId::new(1, Address::ZERO);
    let device = DeviceId(TypedKey::new(KeyType::Ed25519, &[2; 32]).unwrap());
    let params = PossessionParams::default();
    let challenge = Challenge::new(&params, network, device, Epoch(0), &[9; 32], &set, [&set]);
    let answer = prove(&challenge, |_| Ok(file)).unwrap();
    (challenge, answer)
}

fn main() {
    let file: Vec<u8> = (0..SIZE).map(|at| ((at * at) >> 7) as u8).collect();
    let (challenge, answer) = opened(&file);
    // A tree that is full has one hash less than leaves.
    let tree_hashes = SIZE / 127 * 4 - 1;
    // Each join takes two nodes and gives one; what comes in are leaves, siblings and the zeros that are not sent, of which a full tree has none.
    let proof_hashes = (answer.leaves.len() + answer.siblings.len()) / 32 - 1;

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("commp");
    group.throughput(Throughput::Bytes(SIZE as u64));
    group.bench_function("commit", |bencher| bencher.iter(|| commit(black_box(&file))));
    group.bench_function("ceiling", |bencher| bencher.iter(|| ceiling(tree_hashes)));
    group.finish();
    let mut group = criterion.benchmark_group("possession");
    group.throughput(Throughput::Elements(proof_hashes as u64));
    group.bench_function("verify", |bencher| bencher.iter(|| answer.verify(black_box(&challenge))));
    group.bench_function("ceiling", |bencher| bencher.iter(|| ceiling(proof_hashes)));
    group.finish();
    criterion.final_summary();

    let (commit, bound) = fastest(|| commit(&file), || ceiling(tree_hashes));
    println!("commit: {:.0} MB/s, {:.2} of the ceiling", SIZE as f64 / commit / 1e6, bound / commit);
    let (verify, bound) = fastest(|| answer.verify(&challenge), || ceiling(proof_hashes));
    println!(
        "verify: {:.1} us for {proof_hashes} hashes, {:.2} of the ceiling",
        verify * 1e6,
        bound / verify
    );
    println!("answer: {} bytes for {} leaves", answer.to_bytes().len(), challenge.samples());
}
