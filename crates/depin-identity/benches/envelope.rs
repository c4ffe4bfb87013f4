//! What accepting a report costs beside the signature check that nothing can spare, for each way to check one.
#![allow(missing_docs)] // `criterion_main` makes `main`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::float_arithmetic)] // a bench prints a ratio

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use coset::TaggedCborSerializable as _;
use criterion::{Criterion, criterion_group, criterion_main};
use depin_core::{Address, DeviceId, KeyType, NetworkId, Timestamp};
use depin_identity::{
    DeviceRecord, Domain, Envelope, Registry, ReplayMarks, Report, SigPolicy, SignatureBatch, SoftwareKey,
};
use p256::elliptic_curve::rand_core::{CryptoRng, Error, RngCore};
use sha2::{Digest as _, Sha512};

/// Signatures of a batch, each by its own device.
const BATCH: u16 = 256;

/// A registered device, one envelope of its, and what any library would have to check of that.
struct Scene {
    registry: Registry,
    network: NetworkId,
    envelope: Vec<u8>,
    /// What was signed.
    message: Vec<u8>,
    signature: [u8; 64],
    key: SoftwareKey,
}

fn scene(key_type: KeyType, number: u16) -> Scene {
    let domain = Domain { chain_id: 84532, contract: Address::repeat_byte(0x11) };
    let network = domain.network();
    let mut secret = [7; 32];
    secret[..2].copy_from_slice(&number.to_be_bytes());
    let key = SoftwareKey::from_secret(key_type, secret).unwrap();
    let report = Report {
        kind: "storage.set".into(),
        time: Timestamp(1_700_000_000_000),
        boot: 3,
        sequence: 300,
        body: vec![0x5a; 39],
        commitments: Vec::new(),
    };
    let envelope = report.sign_with(&key, network).unwrap();
    let cose = coset::CoseSign1::from_tagged_slice(&envelope).unwrap();
    let message = cose.tbs_data(&[b"depin/report/v1".as_slice(), network.as_bytes()].concat());
    let record =
        DeviceRecord::registered(DeviceId(key.public().typed()), Address::repeat_byte(1), true, Timestamp(0));
    let registry = Registry::from_records(domain, vec![record]).unwrap();
    Scene { registry, network, envelope, message, signature: cose.signature.try_into().unwrap(), key }
}

/// From bytes to a report that counts: decode, look up, check, read, mark.
fn accept(scene: &Scene, policy: SigPolicy) -> u64 {
    let envelope = Envelope::parse(black_box(&scene.envelope)).unwrap();
    let known = scene.registry.by_key(&envelope.key_id()).unwrap();
    let report = envelope.verify_in_place(known.key, scene.network, policy).unwrap();
    let mut marks = ReplayMarks::default();
    marks.admit(report.boot, report.sequence).unwrap();
    report.time.0
}

fn strict(c: &mut Criterion) {
    let scene = scene(KeyType::Ed25519, 0);
    let signature = ed25519_dalek::Signature::from_bytes(&scene.signature);
    let key = ed25519_dalek::SigningKey::from_bytes(&scene.key.to_secret()).verifying_key();
    let raw = || key.verify_strict(black_box(&scene.message), black_box(&signature)).unwrap();
    let accept = || accept(&scene, SigPolicy::Strict);
    let beside = || {
        let envelope = Envelope::parse(black_box(&scene.envelope)).unwrap();
        let known = scene.registry.by_key(&envelope.key_id()).unwrap();
        let mut marks = ReplayMarks::default();
        let report = envelope.unverified_report_in_place().unwrap();
        marks.admit(report.boot, report.sequence).unwrap();
        known.epoch
    };
    let mut group = c.benchmark_group("strict");
    group.bench_function("raw verify_strict", |b| b.iter(raw));
    group.bench_function("decode, look up, check, read, mark", |b| b.iter(accept));
    group.bench_function("the same without the check", |b| b.iter(beside));
    group.finish();
    ratio("end to end / raw verify_strict", 0.9, (1_000, 10), raw, accept);
    let least = (0..1_000).map(|_| time(10, &mut || beside())).min().unwrap_or_default() / 10;
    println!("besides cryptography: {least:?} a report (goal 1 µs)");
}

fn p256(c: &mut Criterion) {
    let scene = scene(KeyType::P256, 1);
    let point = p256::ecdsa::SigningKey::from_slice(&*scene.key.to_secret()).unwrap();
    let point = point.verifying_key().to_encoded_point(false);
    let key =
        ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point.as_bytes());
    let raw = || key.verify(black_box(&scene.message), black_box(&scene.signature)).unwrap();
    let accept = || accept(&scene, SigPolicy::Strict);
    let mut group = c.benchmark_group("P-256");
    group.bench_function("raw ring", |b| b.iter(raw));
    group.bench_function("decode, look up, check, read, mark", |b| b.iter(accept));
    group.finish();
    ratio("P-256 end to end / raw ring", 0.9, (1_000, 10), raw, accept);
}

fn zip_215(c: &mut Criterion) {
    let scenes: Vec<Scene> = (0..BATCH).map(|number| scene(KeyType::Ed25519, number)).collect();
    let keys: Vec<[u8; 32]> =
        scenes.iter().map(|scene| scene.key.public().typed().key().try_into().unwrap()).collect();
    let raw = || {
        let mut batch = ed25519_zebra::batch::Verifier::new();
        for (scene, key) in scenes.iter().zip(&keys) {
            let signature = ed25519_zebra::Signature::from(scene.signature);
            batch.queue((
                ed25519_zebra::VerificationKeyBytes::from(*key),
                signature,
                black_box(&scene.message),
            ));
        }
        batch.verify(Hashed(0)).unwrap();
    };
    let together = || {
        let mut batch = SignatureBatch::new(SigPolicy::Zip215);
        for scene in &scenes {
            let envelope = Envelope::parse(black_box(&scene.envelope)).unwrap();
            let known = scene.registry.by_key(&envelope.key_id()).unwrap();
            envelope.check_signature_later(known.key, scene.network, &mut batch).unwrap();
        }
        assert!(batch.verify().into_iter().all(|right| right));
    };
    let mut group = c.benchmark_group(format!("ZIP-215, {BATCH} together"));
    group.bench_function("raw ed25519-zebra", |b| b.iter(raw));
    group.bench_function("decode, look up, check together", |b| b.iter(together));
    group.finish();
    ratio("ZIP-215 batch / raw ed25519-zebra batch", 0.85, (600, 1), raw, together);
}

/// Numbers for a batch of zebra, which wants them random: ours are hashed too.
struct Hashed(u64);

impl RngCore for Hashed {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(64) {
            self.0 += 1;
            let hash = Sha512::digest(self.0.to_le_bytes());
            chunk.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Hashed {}

/// Times both in small turns, of which the quickest counts: other work on the machine then slows neither.
fn ratio<A, B>(
    name: &str,
    goal: f64,
    (turns, calls): (u32, u32),
    mut raw: impl FnMut() -> A,
    mut ours: impl FnMut() -> B,
) {
    let (mut raw_time, mut our_time) = (Duration::MAX, Duration::MAX);
    for _ in 0..turns {
        raw_time = raw_time.min(time(calls, &mut raw));
        our_time = our_time.min(time(calls, &mut ours));
    }
    let ratio = raw_time.as_secs_f64() / our_time.as_secs_f64();
    let (raw, ours) = (raw_time / calls, our_time / calls);
    println!("{name}: {ratio:.3} of its throughput (goal {goal}); {raw:?} raw, {ours:?} ours");
}

fn time<T>(calls: u32, call: &mut impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    start.elapsed()
}

criterion_group!(benches, strict, p256, zip_215);
criterion_main!(benches);
