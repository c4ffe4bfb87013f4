//! A status check in a list of a million entries, beside the bare read of a bit.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::float_arithmetic)] // a bench prints a ratio

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use depin_core::{Millis, Timestamp};
use depin_identity::{
    Did, SoftwareKey,
    credential::{
        Documents, ProofOptions, StatusEntry, StatusList, StatusLists, StatusPurpose, Terms, Unsigned,
        VerifiedStatusList,
    },
};

const ENTRIES: u64 = 1_000_000;
const URL: &str = "https://status.example/lists/1";
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A multiplier whose steps visit every index, in no order that a cache could guess.
const fn scattered(index: u64) -> u64 {
    (index * 611_953 + 7) % ENTRIES
}

fn status(criterion: &mut Criterion) {
    let mut bits = StatusList::new(ENTRIES).unwrap();
    // Every third index, half of them at random: a list that does not compress to nothing.
    let set =
        |index: &u64| index.is_multiple_of(3) && (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) & 1 == 1;
    (0..ENTRIES).filter(set).for_each(|index| bits.set(index, true).unwrap());
    let key = SoftwareKey::from_seed([1; 32]);
    let issuer = Did::from(&key.public().typed());
    let terms = Terms {
        issuer: issuer.clone(),
        valid_from: NOW,
        valid_until: Timestamp(NOW.0 + 86_400_000),
        status: None,
    };
    let document = terms.status_list(URL, StatusPurpose::Revocation, &bits).unwrap();
    let unsigned =
        Unsigned::new(&document, &ProofOptions::of_key(&key.public().typed(), NOW).unwrap()).unwrap();
    let signature = key.signature(unsigned.message());
    let bytes = unsigned.finish(&signature).to_string();
    let verify = || {
        let documents = Documents::default();
        VerifiedStatusList::verify(bytes.as_bytes(), URL, NOW, &documents, Millis(86_400_000)).unwrap()
    };
    let mut lists = StatusLists::default();
    lists.insert(verify());
    let mut entry = StatusEntry { purpose: StatusPurpose::Revocation, list: URL.to_owned(), index: 0 };

    let mut group = criterion.benchmark_group("status, 1,000,000 entries");
    group.bench_function("bit", |bencher| {
        bencher.iter(|| {
            entry.index = scattered(entry.index);
            bits.get(black_box(entry.index))
        });
    });
    group.bench_function("check of an unset bit", |bencher| {
        let mut index = 0;
        bencher.iter(|| {
            index = scattered(index);
            entry.index = index - index % 3 + 1;
            lists.check(black_box(&entry), &issuer, &[], NOW).is_ok()
        });
    });
    group.sample_size(10);
    group.bench_function("verify a whole new list", |bencher| bencher.iter(verify));
    group.finish();

    let mut index = 0;
    let mut next = || {
        index = scattered(index);
        index - index % 3 + 1
    };
    let bit = time(|| bits.get(black_box(next())).is_ok());
    let check = time(|| {
        entry.index = next();
        lists.check(black_box(&entry), &issuer, &[], NOW).is_ok()
    });
    println!(
        "check {check:?}, bit {bit:?}: {:.1} times the bare bit",
        check.as_secs_f64() / bit.as_secs_f64()
    );
}

/// The best of ten rounds of a million runs, for one run.
fn time(mut run: impl FnMut() -> bool) -> Duration {
    let round = |_| {
        let start = Instant::now();
        for _ in 0..1_000_000 {
            assert!(black_box(run()));
        }
        start.elapsed()
    };
    (0..10).map(round).min().unwrap_or_default() / 1_000_000
}

criterion_group!(benches, status);
criterion_main!(benches);
