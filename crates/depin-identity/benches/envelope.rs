//! What accepting a report costs beside the signature check that nothing can spare.
#![allow(missing_docs)] // `criterion_main` makes `main`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::float_arithmetic)] // a bench prints a ratio

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use coset::TaggedCborSerializable as _;
use criterion::{Criterion, criterion_group, criterion_main};
use depin_core::{Address, Timestamp};
use depin_identity::{Domain, Envelope, ReplayMarks, Report, SigPolicy, SoftwareKey};

fn envelope(c: &mut Criterion) {
    let network = Domain { chain_id: 84532, contract: Address::repeat_byte(0x11) }.network();
    let key = SoftwareKey::from_seed([7; 32]);
    let report = Report {
        kind: "storage.set".into(),
        time: Timestamp(1_700_000_000_000),
        boot: 3,
        sequence: 300,
        body: vec![0x5a; 39],
        commitments: Vec::new(),
    };
    let bytes = report.sign_with(&key, network).unwrap();
    // The same signature over the same bytes, without anything around it.
    let cose = coset::CoseSign1::from_tagged_slice(&bytes).unwrap();
    let message = cose.tbs_data(&[b"depin/report/v1".as_slice(), network.as_bytes()].concat());
    let signature = ed25519_dalek::Signature::from_slice(&cose.signature).unwrap();
    let raw = ed25519_dalek::SigningKey::from_bytes(&key.to_secret()).verifying_key();

    let strict = || raw.verify_strict(black_box(&message), black_box(&signature)).unwrap();
    let accept = || {
        let verified = Envelope::parse(black_box(&bytes))
            .unwrap()
            .verify(key.public(), network, SigPolicy::Strict)
            .unwrap();
        let mut marks = ReplayMarks::default();
        marks.admit(verified.boot, verified.sequence).unwrap();
        verified
    };

    let mut group = c.benchmark_group("envelope");
    group.bench_function("raw verify_strict", |b| b.iter(strict));
    group.bench_function("parse only", |b| b.iter(|| Envelope::parse(black_box(&bytes)).unwrap()));
    group.bench_function("parse, verify, read, mark", |b| b.iter(accept));
    group.finish();

    // In small turns, of which the quickest counts: other work on the machine then slows neither.
    let (mut raw_time, mut whole_time) = (Duration::MAX, Duration::MAX);
    for _ in 0..1000 {
        raw_time = raw_time.min(time(strict));
        whole_time = whole_time.min(time(accept));
    }
    let ratio = raw_time.as_secs_f64() / whole_time.as_secs_f64();
    println!(
        "end to end / raw verify_strict: {ratio:.3} of its throughput ({} bytes an envelope; goal 0.9)",
        bytes.len()
    );
}

/// The time of 20 calls.
fn time<T>(mut call: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..20 {
        black_box(call());
    }
    start.elapsed()
}

criterion_group!(benches, envelope);
criterion_main!(benches);
