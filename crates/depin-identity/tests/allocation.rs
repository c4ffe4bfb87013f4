//! Accepting a report takes no memory: what a device sends costs its node time, and nothing that has to be given back.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // tests fail by panicking
#![allow(missing_docs)]

mod common;

use std::hint::black_box;

use allocation_counter::measure;
use common::{NOW, domain, report};
use depin_core::{Address, DeviceId, KeyType, Millis, NetworkId};
use depin_identity::{
    DeviceRecord, Envelope, Registry, ReplayMarks, Report, SigPolicy, SoftwareKey, clock_skew,
};

/// All that happens between bytes and a report that counts.
fn accept(
    registry: &Registry,
    network: NetworkId,
    policy: SigPolicy,
    marks: &mut ReplayMarks,
    bytes: &[u8],
) -> (usize, usize) {
    let envelope = Envelope::parse(bytes).unwrap();
    let known = registry.by_key(&envelope.key_id()).unwrap();
    let report = envelope.verify_in_place(known.key, network, policy).unwrap();
    assert!(clock_skew(report.time, NOW, Millis(1_000)).is_within());
    marks.admit(report.boot, report.sequence).unwrap();
    (report.commitments.iter().map(|(label, _)| label.len()).sum(), report.body.len())
}

#[test]
fn accepting_a_report_allocates_nothing() {
    let network = domain().network();
    // That the counter counts.
    assert_eq!(measure(|| drop(black_box(vec![7_u8; 100]))).count_total, 1);
    for (key_type, body) in [
        (KeyType::Ed25519, 39),
        (KeyType::Ed25519, Report::MAX_BODY),
        (KeyType::P256, 39),
        (KeyType::P256, 3_500),
        (KeyType::Secp256k1, 39),
        (KeyType::Secp256k1, Report::MAX_BODY),
    ] {
        let key = SoftwareKey::from_secret(key_type, [7; 32]).unwrap();
        let device = DeviceId(key.public().typed());
        let record = DeviceRecord::registered(device, Address::repeat_byte(1), true, NOW);
        let registry = Registry::from_records(domain(), vec![record]).unwrap();
        let signed = |sequence| {
            let report = Report { body: vec![0x5a; body], sequence, ..report() };
            report.sign_with(&key, network).unwrap()
        };
        let mut marks = ReplayMarks::default();
        // The first report of a boot makes room for its window.
        accept(&registry, network, SigPolicy::Strict, &mut marks, &signed(1));
        for (sequence, policy) in [(2, SigPolicy::Strict), (3, SigPolicy::Zip215), (2_000, SigPolicy::Strict)]
        {
            let bytes = signed(sequence);
            let mut read = (0, 0);
            let counted = measure(|| read = accept(&registry, network, policy, &mut marks, &bytes));
            assert_eq!(read, (8, body));
            assert_eq!(counted.count_total, 0, "{key_type:?}, {body} bytes, {policy}");
        }
    }
}
