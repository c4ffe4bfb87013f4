//! What auditing an epoch costs beside the signatures in it, which nothing can spare: one key and one report for each device.
#![allow(missing_docs)] // `criterion_main` makes `main`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a bench fails by panicking
#![allow(clippy::print_stdout, clippy::float_arithmetic)] // it prints a ratio

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use common::{Device, PRICE, World, params, wallet};
use criterion::{Criterion, criterion_group, criterion_main};
use depin::{
    Bundle, Catalogue, NetworkParams, Signatures,
    audit::audit_knowing,
    rewards::{Constant, CurveParams},
};
use depin_core::Amount;

const DEVICES: usize = 2_000;

/// The second epoch of a network in which every device answers.
fn file() -> Vec<u8> {
    let mut devices: Vec<Device> = (0..DEVICES).map(|at| Device::new(&format!("device {at}"))).collect();
    let most = PRICE * u128::try_from(DEVICES).unwrap();
    let curve = CurveParams::Constant(Constant { per_epoch: Amount(most) });
    let mut world = World::with(NetworkParams { curve, ..params() });
    let customer = wallet("customer");
    world.pay(customer.address(), 2 * most);
    for device in &devices {
        world.chain(device.registration());
        world.deal(common::signed(&customer, common::terms(&customer, device, 0, 2), &device.set));
    }
    let mut all: Vec<&mut Device> = devices.iter_mut().collect();
    world.open_with(most, most);
    world.honest(&mut all);
    world.open_with(most, most);
    world.beacon();
    for device in &mut all {
        world.answer(device);
    }
    let bundle = world.end();
    assert_eq!(bundle.verdict_counts().accept, u64::try_from(DEVICES).unwrap());
    bundle.to_bytes()
}

fn audit(c: &mut Criterion) {
    let file = file();
    let catalogue = Catalogue::standard();
    let (bundle, digest) = Bundle::open(&file).unwrap();
    let known = Signatures::of_part(&file, 0, 1).unwrap();
    let rest = || {
        let (bundle, digest) = Bundle::open(black_box(&file)).unwrap();
        audit_knowing(&bundle, digest, known.clone(), &catalogue).unwrap()
    };
    let mut group = c.benchmark_group(format!("{DEVICES} devices"));
    group.sample_size(10);
    group.bench_function("signatures, one core", |b| b.iter(|| Signatures::of_part(&file, 0, 1).unwrap()));
    group.bench_function("signatures, all cores", |b| b.iter(|| Signatures::of(black_box(&bundle))));
    group.bench_function("read, and audit but for signatures", |b| b.iter(rest));
    group.bench_function("audit", |b| b.iter(|| depin::audit(black_box(&bundle), &catalogue).unwrap()));
    group.finish();
    assert_eq!(rest().digest, digest);

    // In turns, of which the quickest counts: other work on the machine then slows neither.
    let (mut signatures, mut others) = (Duration::MAX, Duration::MAX);
    for _ in 0..10 {
        signatures = signatures.min(time(|| Signatures::of_part(&file, 0, 1).unwrap()));
        others = others.min(time(rest));
    }
    let ratio = others.as_secs_f64() / signatures.as_secs_f64();
    println!("everything else / signatures on one core: {ratio:.2}");
}

fn time<T>(call: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(call());
    start.elapsed()
}

criterion_group!(benches, audit);
criterion_main!(benches);
