//! What a million registered devices cost: bytes each, looking one up by a key id, starting again from a snapshot.
#![allow(missing_docs)] // `criterion_main` makes `main`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::float_arithmetic)] // a bench prints a ratio
#![allow(clippy::as_conversions, clippy::indexing_slicing)] // of numbers it made itself

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use depin_core::{Address, ChainEvent, DeviceId, Epoch, KeyId, Timestamp, TypedKey, sha256};
use depin_identity::{DeviceRecord, Domain, KeyEnd, KeyEpoch, Past, Registry, SoftwareKey};

const DEVICES: u64 = 1_000_000;
const DOMAIN: Domain = Domain { chain_id: 84532, contract: Address::repeat_byte(0x11) };

/// A key that nobody has: what is looked up is not verified with.
fn key(number: u64) -> TypedKey {
    TypedKey::ed25519(&sha256(&[&number.to_be_bytes()]).0)
}

/// Devices of a network that has run for a while: every tenth has rotated its key.
fn records() -> Vec<DeviceRecord> {
    let mut records: Vec<DeviceRecord> = (0..DEVICES)
        .map(|number| {
            let (device, at) = (DeviceId(key(number)), Timestamp(1_700_000_000_000));
            let mut record = DeviceRecord::registered(device, Address::repeat_byte(7), true, at);
            if number % 10 == 0 {
                let first: KeyEpoch = record.keys().next().unwrap();
                let end = Some(KeyEnd::Rotated { at, last_boot: 1, last_sequence: 2 });
                let next = KeyEpoch { key: key(DEVICES + number), epoch: 1, from: Epoch(0), ..first };
                let keys = vec![KeyEpoch { end, ..first }, next];
                record.past = Some(Box::new(Past { keys, ..Past::default() }));
                record.next_nonce = 2;
            }
            record
        })
        .collect();
    records.sort_unstable_by_key(|record| record.device);
    records
}

fn registry(c: &mut Criterion) {
    let snapshot = Registry::from_records_knowing(DOMAIN, records(), |_| true).unwrap().to_snapshot();
    let (mut registry, mut took) = (None, Duration::ZERO);
    let counted = allocation_counter::measure(|| {
        let start = Instant::now();
        registry = Some(Registry::from_snapshot(&snapshot).unwrap());
        took = start.elapsed();
    });
    let mut registry = registry.unwrap();
    println!(
        "{DEVICES} devices: {:.1} bytes each; restart from a snapshot of {} MB in {:.2} s",
        counted.bytes_current as f64 / DEVICES as f64,
        snapshot.len() / 1_000_000,
        took.as_secs_f64()
    );
    drop(snapshot);

    let ids: Vec<KeyId> = (0..DEVICES).map(|number| key(number).id()).collect();
    let lookup = |id: &KeyId| registry.by_key(black_box(id)).unwrap().record.next_nonce;
    let (mut times, mut at) = (Vec::new(), 0_usize);
    for round in 0..2 {
        times.clear();
        for _ in 0..ids.len() {
            // A stride without a common divisor goes everywhere.
            at = (at + 786_433) % ids.len();
            let start = Instant::now();
            black_box(lookup(&ids[at]));
            times.push(start.elapsed());
        }
        if round == 0 {
            continue;
        }
        times.sort_unstable();
        let of = |share: usize| times[times.len() * share / 100].as_nanos();
        println!("lookup by key id, warm: p50 {} ns, p99 {} ns", of(50), of(99));
    }

    // The raw operation that follows every lookup.
    let signer = SoftwareKey::from_seed([7; 32]);
    let signature = signer.signature(b"message");
    let mut group = c.benchmark_group("registry");
    group.bench_function("lookup", |b| {
        b.iter(|| {
            at = (at + 786_433) % ids.len();
            registry.by_key(black_box(&ids[at])).unwrap().epoch
        });
    });
    group
        .bench_function("raw strict", |b| b.iter(|| signer.public().verify(b"message", &signature).unwrap()));
    // A copy that is about to change: what an epoch's fold starts with.
    let event =
        ChainEvent::DeviceSuspended { device: DeviceId(key(1)).on_chain(), at: Timestamp(1_700_000_000_001) };
    group.bench_function("copy and change", |b| {
        b.iter_batched(
            || registry.clone(),
            |mut copy| {
                copy.apply(&event).unwrap();
                copy
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
    registry.apply(&event).unwrap();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = registry
}
criterion_main!(benches);
