//! A registry as bytes.

use super::*;

#[test]
fn a_snapshot_is_canonical_and_every_flipped_bit_shows() {
    let p256 = SoftwareKey::from_secret(KeyType::P256, [9; 32]).unwrap();
    let binding = Binding {
        action: REGISTER,
        device: DeviceId(p256.public_key()),
        owner: owner(10),
        domain: domain(),
        nonce: 0,
        deadline: DEADLINE,
    };
    let hardware = ChainEvent::DeviceRegistered {
        device: binding.device,
        owner: owner(10),
        nonce: 0,
        deadline: DEADLINE,
        proof: p256.signature(&binding.device_proof_message()).0.to_vec(),
        active: true,
        at: at(10),
    };
    let sold = transferred(2, (10, 2), (11, 102), 1);
    let registry =
        fold(&[registered(1, 10), registered(2, 10), sold.clone(), hardware.clone(), deactivated(1)]);
    let bytes = registry.to_snapshot();
    let again = Registry::from_snapshot(&bytes).unwrap();
    assert_eq!(again, registry);
    assert_eq!(again.by_key(&p256.public_key().id()).unwrap().key, p256.public());
    // The order of events of different devices leaves no trace.
    let other = fold(&[hardware, registered(2, 10), registered(1, 10), deactivated(1), sold]);
    assert_eq!(other.to_snapshot(), bytes);
    assert_eq!(other, registry);
    let ids: Vec<DeviceId> = registry.devices().map(|record| record.device).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(ids, sorted);
    common::each_bit_flipped(&bytes, |bit, flipped| {
        assert!(matches!(Registry::from_snapshot(flipped), Err(SnapshotError::Damaged { .. })), "{bit}");
    });
    for end in 0..bytes.len() {
        assert!(Registry::from_snapshot(&bytes[..end]).is_err());
    }
}

/// With a right digest as well: whoever writes the file decides, but no file makes two of one device.
#[test]
fn a_snapshot_of_another_form_is_not_read() {
    let sealed = |mut body: Vec<u8>| {
        body.extend_from_slice(sha256(&[&body]).as_bytes());
        Registry::from_snapshot(&body)
    };
    let good = DeviceRecord::registered(id(1), owner(10), true, at(10));
    let (format, none) = ("depin/registry/v2", minicbor::bytes::ByteVec::from(Vec::new()));
    let one = minicbor::bytes::ByteVec::from(vec![1; 32]);
    sealed(cbor::to_vec(&(format, domain(), [good.clone()], none.clone()))).unwrap();
    let more = cbor::to_vec(&(format, domain(), [good.clone()], none.clone(), 7));
    assert!(matches!(sealed(more), Err(SnapshotError::Cbor(_))));
    let more = cbor::to_vec(&(format, domain(), [good.clone()], one));
    assert!(matches!(sealed(more), Err(SnapshotError::Cbor(_))));
    // The same records, in longer numbers or with something behind them.
    let body = cbor::to_vec(&(format, domain(), [good.clone()], none.clone()));
    let long = [&body[..20], &[0x1b, 0, 0, 0, 0], &body[21..]].concat();
    assert_eq!(body[18..21], [b'2', 0x82, 0x1a]);
    assert!(matches!(sealed(long), Err(SnapshotError::Cbor(_))));
    for more in [vec![0], vec![7; 31], body.clone()] {
        assert!(matches!(sealed([body.clone(), more].concat()), Err(SnapshotError::Cbor(_))));
    }
    let part = cbor::to_vec(&(format, domain(), [good.clone()], minicbor::bytes::ByteVec::from(vec![1; 31])));
    assert!(matches!(sealed(part), Err(SnapshotError::Cbor(_))));
    let twice = cbor::to_vec(&(format, domain(), [good.clone(), good.clone()], none.clone()));
    assert!(matches!(sealed(twice), Err(SnapshotError::Record { what: "out of order", .. })));
    let old = cbor::to_vec(&("depin/registry/v1", domain(), [good], none));
    assert!(matches!(sealed(old), Err(SnapshotError::Format { .. })));
    assert!(matches!(Registry::from_snapshot(&[0; 31]), Err(SnapshotError::Short)));
}

#[test]
fn impossible_records_are_not_read() {
    let registry = fold(&[
        registered(1, 10),
        rotated(1, 1, 101, 1),
        transferred(1, (10, 101), (11, 102), 2),
        suspended(1, 60),
        resumed(1, 70),
    ]);
    let good = record(&registry, 1).clone();
    let read = |record: DeviceRecord| Registry::from_records(domain(), vec![record]);
    assert_eq!(read(good.clone()).unwrap(), registry);
    type Change = fn(&mut DeviceRecord, &mut Past);
    let changes: [(&str, Change); 22] = [
        ("no nonce used", |record, _| record.next_nonce = 0),
        ("more sales than owners", |record, _| record.ownership_epoch = 2),
        ("another last owner", |record, _| record.owner = owner(12)),
        ("one owner alone", |_, past| past.owners.truncate(1)),
        ("no owners", |_, past| past.owners.clear()),
        ("a first owner later on", |_, past| past.owners[0].from = Epoch(1)),
        ("a first owner by a sale", |_, past| past.owners[0].voucher = past.owners[1].voucher),
        ("a sale without a voucher", |_, past| past.owners[1].voucher = None),
        ("an owner who was told of earlier", |_, past| past.owners[1].at = at(9)),
        ("one sound key alone", |_, past| {
            past.keys.truncate(1);
            past.keys[0].end = None;
        }),
        ("another first key", |_, past| past.keys[0].key = typed(9)),
        ("a first key later on", |_, past| past.keys[0].from = Epoch(1)),
        ("numbers that stand still", |_, past| past.keys[1].epoch = 0),
        ("numbers that jump", |_, past| past.keys[2].epoch = 3),
        ("a present key that ended", |_, past| past.keys[2].end = past.keys[1].end),
        ("two keys without an end", |_, past| past.keys[0].end = None),
        ("a key from another cut-over on", |_, past| past.keys[2].from = Epoch(8)),
        ("a rotation with a cut-over", |_, past| past.keys[1].from = Epoch(8)),
        ("a key twice", |_, past| past.keys[1].key = past.keys[0].key),
        ("a pause that ends before it begins", |_, past| past.pauses[0].until = Some(at(59))),
        ("pauses that overlap", |_, past| past.pauses.push(past.pauses[0])),
        ("a pause that never ended before another", |_, past| {
            past.pauses.insert(0, Pause { from: at(50), until: None });
        }),
    ];
    for (what, change) in changes {
        let (mut record, mut past) = (good.clone(), good.past.clone().unwrap());
        change(&mut record, &mut past);
        record.past = Some(past);
        let result = read(record);
        assert!(matches!(result, Err(SnapshotError::Record { .. })), "{what}: {result:?}");
    }
    let fresh = DeviceRecord::registered(id(1), owner(10), true, at(10));
    let empty = DeviceRecord { past: Some(Box::default()), ..fresh.clone() };
    assert!(matches!(read(empty), Err(SnapshotError::Record { .. })));
    let unfit = DeviceRecord { device: DeviceId(TypedKey::p256(&[4; 33])), ..fresh.clone() };
    assert!(matches!(read(unfit), Err(SnapshotError::Key(_))));
    // A key of one device cannot be the key of another, and devices ascend.
    let mut two = vec![good, DeviceRecord::registered(id(2), owner(10), true, at(10))];
    two.sort_by_key(|record| record.device);
    Registry::from_records(domain(), two.clone()).unwrap();
    for stranger in [typed(1), typed(2)] {
        let mut taken = two.clone();
        for record in taken.iter_mut().filter(|record| record.device.0 != stranger) {
            let mut keys: Vec<KeyEpoch> = record.keys().collect();
            let last = keys.last_mut().unwrap();
            last.end = Some(KeyEnd::Rotated { at: at(90), last_boot: 0, last_sequence: 0 });
            let next = KeyEpoch { key: stranger, epoch: last.epoch + 1, since: at(90), end: None, ..*last };
            keys.push(next);
            record.past.get_or_insert_default().keys = keys;
        }
        let result = Registry::from_records(domain(), taken);
        assert!(matches!(result, Err(SnapshotError::Record { what: "its key id is taken", .. })));
    }
    two.reverse();
    let result = Registry::from_records(domain(), two);
    assert!(matches!(result, Err(SnapshotError::Record { what: "out of order", .. })));
}

/// Of what is folded one by one, lists with room to grow included.
#[test]
fn a_device_takes_at_most_250_bytes() {
    let count = 4096_u32;
    let keys = || (0..count).map(|n| SoftwareKey::from_seed(sha256(&[&n.to_be_bytes()]).0));
    let events: Vec<ChainEvent> = keys()
        .map(|key| {
            let (device, deadline) = (DeviceId(key.public_key()), DEADLINE);
            let binding =
                Binding { action: REGISTER, device, owner: owner(10), domain: domain(), nonce: 0, deadline };
            let proof = key.signature(&binding.device_proof_message()).0.to_vec();
            let owner = owner(10);
            ChainEvent::DeviceRegistered {
                device,
                owner,
                nonce: 0,
                deadline,
                proof,
                active: true,
                at: at(10),
            }
        })
        .collect();
    let mut registry = None;
    let counted = allocation_counter::measure(|| registry = Some(fold(&events)));
    assert_eq!(registry.unwrap().devices().len(), 4096);
    let each = counted.bytes_current / i64::from(count);
    assert!(each <= 250, "{each} bytes");
}
