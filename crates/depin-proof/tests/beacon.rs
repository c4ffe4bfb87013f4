//! Beacons, their check and the suite for their sources.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![cfg(feature = "conformance")]

use std::{
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

use async_trait::async_trait;
use depin_core::{Epoch, Text, cbor, sha256};
use depin_proof::{
    Beacon, BeaconCheckError, BeaconError, BeaconRule, BeaconSource, MAX_BEACON_PROOF, SeedBeacon,
    conformance::{NonConformance, beacon_source},
};

/// Runs what waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("waits"),
    }
}

const EPOCHS: [Epoch; 4] = [Epoch(0), Epoch(1), Epoch(2), Epoch(9)];

#[test]
fn seed_beacons_conform() {
    let seed = SeedBeacon::new([7; 32]);
    now(beacon_source(&seed, &seed, &EPOCHS)).unwrap();
}

#[test]
fn a_seed_beacon_is_named_as_such_and_is_the_hash_it_says() {
    let beacon = SeedBeacon::new([7; 32]).at(Epoch(3));
    assert_eq!(beacon.kind, "seed-test-only");
    assert_eq!(
        beacon.value,
        sha256(&[b"depin/beacon/seed-test-only/v1", &[7; 32], &[0, 0, 0, 0, 0, 0, 0, 3]]).0
    );
}

/// Broken in one way each.
enum Broken {
    Fickle(AtomicU64),
    Constant,
    Silent,
    Unreachable,
    OtherEpoch,
}

#[async_trait]
impl BeaconSource for Broken {
    async fn beacon(&self, epoch: Epoch) -> Result<Option<Beacon>, BeaconError> {
        let seed = |seed| SeedBeacon::new([seed; 32]);
        match self {
            Self::Fickle(asked) => {
                let asked = asked.fetch_add(1, Ordering::Relaxed);
                Ok(Some(seed(u8::try_from(asked).unwrap()).at(epoch)))
            }
            Self::Constant => Ok(Some(Beacon { epoch, ..seed(7).at(Epoch(0)) })),
            Self::Silent => Ok(None),
            Self::Unreachable => {
                Err(BeaconError::Unavailable { kind: SeedBeacon::KIND.into(), reason: "refused".into() })
            }
            Self::OtherEpoch => Ok(Some(seed(7).at(Epoch(77)))),
        }
    }
}

/// Believes anything.
struct Gullible(SeedBeacon);

impl BeaconRule for Gullible {
    fn kind(&self) -> Text {
        self.0.kind()
    }

    fn derive(&self, epoch: Epoch, _: u64, _: &[u8]) -> Result<[u8; 32], BeaconCheckError> {
        Ok(self.0.at(epoch).value)
    }
}

/// Sound but for one thing: it does not tie a round to an epoch, so one round serves them all.
struct AnyEpoch;

impl BeaconRule for AnyEpoch {
    fn kind(&self) -> Text {
        "any-epoch".into()
    }

    fn derive(&self, _: Epoch, round: u64, proof: &[u8]) -> Result<[u8; 32], BeaconCheckError> {
        Ok(sha256(&[&round.to_be_bytes(), proof]).0)
    }
}

#[async_trait]
impl BeaconSource for AnyEpoch {
    async fn beacon(&self, epoch: Epoch) -> Result<Option<Beacon>, BeaconError> {
        let value = self.derive(epoch, 5, b"proof").unwrap();
        Ok(Some(Beacon { kind: self.kind(), epoch, round: 5, value, proof: b"proof".to_vec() }))
    }
}

#[test]
fn broken_sources_and_rules_do_not_conform() {
    let seed = SeedBeacon::new([7; 32]);
    let run = |source: &dyn BeaconSource, rule: &dyn BeaconRule| {
        now(beacon_source(source, rule, &EPOCHS)).unwrap_err()
    };
    assert!(matches!(run(&Broken::Fickle(AtomicU64::new(0)), &seed), NonConformance::Changed { .. }));
    assert!(matches!(run(&Broken::Silent, &seed), NonConformance::Missing { .. }));
    assert!(matches!(run(&Broken::Unreachable, &seed), NonConformance::Failed { .. }));
    assert!(matches!(run(&Broken::OtherEpoch, &seed), NonConformance::Failed { .. }));
    assert!(matches!(run(&seed, &Gullible(seed)), NonConformance::Gullible { what: "round", .. }));
    assert!(matches!(run(&Broken::Constant, &seed), NonConformance::Failed { epoch: Epoch(1), .. }));
    assert!(matches!(
        run(&AnyEpoch, &AnyEpoch),
        NonConformance::Repeated { epoch: Epoch(1), before: Epoch(0) }
    ));
}

#[test]
fn each_thing_wrong_with_a_beacon_is_named() {
    let rule = SeedBeacon::new([7; 32]);
    let good = rule.at(Epoch(3));
    assert_eq!(good.check(&rule, Epoch(3)), Ok(()));
    let refused = |change: &dyn Fn(&mut Beacon)| {
        let mut beacon = good.clone();
        change(&mut beacon);
        beacon.check(&rule, Epoch(3)).unwrap_err()
    };
    assert!(matches!(refused(&|beacon| beacon.kind = "drand".into()), BeaconCheckError::Kind { .. }));
    assert!(matches!(refused(&|beacon| beacon.epoch = Epoch(4)), BeaconCheckError::Epoch { .. }));
    assert!(matches!(refused(&|beacon| beacon.round = 4), BeaconCheckError::Proof { .. }));
    assert!(matches!(refused(&|beacon| beacon.proof[0] ^= 1), BeaconCheckError::Proof { .. }));
    assert!(matches!(refused(&|beacon| beacon.value[0] ^= 1), BeaconCheckError::Value));
    let too_long = MAX_BEACON_PROOF + 1;
    assert_eq!(
        refused(&|beacon| beacon.proof = vec![0; too_long]),
        BeaconCheckError::TooLong { found: too_long }
    );
}

#[test]
fn a_beacon_is_read_back_and_no_damaged_one_is_accepted() {
    let rule = SeedBeacon::new([7; 32]);
    let good = rule.at(Epoch(3));
    let json = serde_json::to_string(&good).unwrap();
    assert!(json.contains("\"value\":\"0x"), "{json}");
    assert_eq!(serde_json::from_str::<Beacon>(&json).unwrap(), good);
    let bytes = cbor::to_vec(&good);
    assert_eq!(cbor::from_slice::<Beacon>(&bytes).unwrap(), good);
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            cbor::from_slice::<Beacon>(&bytes).map_or(true, |beacon| beacon.check(&rule, Epoch(3)).is_err())
        );
    }
    for len in 0..bytes.len() {
        assert!(cbor::from_slice::<Beacon>(&bytes[..len]).is_err());
    }
    let long = Beacon { proof: vec![0; MAX_BEACON_PROOF + 1], ..good };
    assert!(cbor::from_slice::<Beacon>(&cbor::to_vec(&long)).is_err());
}
