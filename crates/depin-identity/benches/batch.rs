//! What a batch saves beside checking each of its signatures alone, which gives the same verdicts.
#![allow(missing_docs)] // `criterion_main` makes `main`
#![allow(clippy::print_stdout, clippy::float_arithmetic)] // a bench prints a ratio

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use depin_identity::{SigPolicy, SignatureBatch, SoftwareKey};

const SIGNATURES: u16 = 4096;

fn batch(c: &mut Criterion) {
    let message = [0x5a; 200];
    let signed: Vec<_> = (0..SIGNATURES)
        .map(|number| {
            let mut seed = [7; 32];
            seed[..2].copy_from_slice(&number.to_be_bytes());
            let key = SoftwareKey::from_seed(seed);
            (*key.public(), key.signature(&message))
        })
        .collect();
    let alone = || signed.iter().all(|(key, signature)| key.verify(black_box(&message), signature).is_ok());
    let together = || {
        let mut batch = SignatureBatch::new(SigPolicy::Strict);
        for (key, signature) in &signed {
            batch.push(key, black_box(&message), signature);
        }
        batch.verify().into_iter().all(|right| right)
    };
    assert!(alone() && together());

    let mut group = c.benchmark_group(format!("{SIGNATURES} signatures"));
    group.sample_size(10);
    group.bench_function("each alone", |b| b.iter(alone));
    group.bench_function("together", |b| b.iter(together));
    group.finish();

    // In turns, of which the quickest counts: other work on the machine then slows neither.
    let (mut alone_time, mut together_time) = (Duration::MAX, Duration::MAX);
    for _ in 0..10 {
        alone_time = alone_time.min(time(alone));
        together_time = together_time.min(time(together));
    }
    println!(
        "together / each alone: {:.2} times as fast",
        alone_time.as_secs_f64() / together_time.as_secs_f64()
    );
}

fn time<T>(call: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(call());
    start.elapsed()
}

criterion_group!(benches, batch);
criterion_main!(benches);
