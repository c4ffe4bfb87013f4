//! A cached resolution beside reading the document it saves, with percentiles of the former.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)] // benches stop at what fails and print what they measure
#![allow(missing_docs)]

use std::{hint::black_box, sync::Arc, time::Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use depin_core::Timestamp;
use depin_identity::{
    Did, DidResolver, Resolvers, SoftwareKey,
    did::{CacheLimits, DidCache, KeyMethod},
};
use pollster::block_on;

const DIDS: u32 = 5_000;

fn cached(c: &mut Criterion) {
    let dids: Vec<Did> = (0..DIDS)
        .map(|n| {
            let mut seed = [1; 32];
            seed[..4].copy_from_slice(&n.to_le_bytes());
            Did::from(&SoftwareKey::from_seed(seed).public().typed())
        })
        .collect();
    let cache =
        DidCache::new(Arc::new(Resolvers::offline()), CacheLimits::default(), Arc::new(|| Timestamp(0)));
    for did in &dids {
        block_on(cache.resolve(did, None)).unwrap();
    }
    let mut at = dids.iter().cycle();
    c.bench_function("did/cached", |b| {
        b.iter(|| block_on(cache.resolve(black_box(at.next().unwrap()), None)).unwrap());
    });
    let mut at = dids.iter().cycle();
    c.bench_function("did/key", |b| b.iter(|| KeyMethod::document(black_box(at.next().unwrap())).unwrap()));

    let mut nanoseconds: Vec<u128> = dids
        .iter()
        .cycle()
        .step_by(7)
        .take(500_000)
        .map(|did| {
            let start = Instant::now();
            black_box(block_on(cache.resolve(did, None)).unwrap());
            start.elapsed().as_nanos()
        })
        .collect();
    nanoseconds.sort_unstable();
    let percentile = |of: usize| nanoseconds[nanoseconds.len() * of / 1_000];
    println!(
        "cached resolve of {DIDS} DIDs: p50 {} ns, p99 {} ns, p99.9 {} ns",
        percentile(500),
        percentile(990),
        percentile(999)
    );
    let start = Instant::now();
    for did in &dids {
        black_box(KeyMethod::document(did).unwrap());
    }
    println!("did:key uncached: {} ns in the mean", start.elapsed().as_nanos() / u128::from(DIDS));
}

criterion_group!(benches, cached);
criterion_main!(benches);
