//! Signatures that are checked apart from the audit.

use super::*;

/// The first epoch of a network of one device.
fn first() -> Bundle {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 2);
    world.honest(&mut [&mut device])
}

#[test]
fn a_bundle_matches_however_many_parts_its_signatures_are_checked_in() {
    let (_, bundle) = scene();
    let (read, digest) = Bundle::open(&bundle.to_bytes()).unwrap();
    assert_eq!((&read, digest), (&bundle, bundle.digest()));
    let expected = audit(&bundle, &standard()).unwrap();
    for parts in 1..=5 {
        let signatures = in_parts(&bundle.to_bytes(), parts);
        let assumed = audit_assuming(&read, digest, &standard()).unwrap();
        assert_eq!((&assumed.audit, &assumed.needed), (&expected, &signatures));
        assert_eq!(assumed.needed.digest(), signatures.digest());
        assert_eq!(assumed.closed.bundle, bundle);
        assert_eq!(audit_knowing(&read, digest, signatures, &standard()).unwrap(), expected, "{parts} parts");
    }
    // Nothing known, or something else known: then it is checked here.
    for signatures in [Signatures::default(), in_parts(&first().to_bytes(), 1)] {
        assert_eq!(audit_knowing(&read, digest, signatures, &standard()).unwrap(), expected);
    }
}

#[test]
fn the_first_epoch_matches_where_devices_register_and_report() {
    let bundle = first();
    let signatures = in_parts(&bundle.to_bytes(), 2);
    let found = audit_knowing(&bundle, bundle.digest(), signatures, &standard()).unwrap();
    assert_eq!(found, audit(&bundle, &standard()).unwrap());
}

#[test]
fn a_wrong_signature_is_never_among_those_that_are_right() {
    let (_, mut bundle) = scene();
    let right = Signatures::of(&bundle);
    let report = |bundle: &Bundle| {
        let entries = bundle.devices.iter().enumerate().flat_map(|(device, section)| {
            section.entries.iter().enumerate().map(move |(at, indexed)| (device, at, &indexed.entry))
        });
        let mut reports = entries.filter(|(_, _, entry)| matches!(entry, Entry::Report { .. }));
        reports.next().map(|(device, at, _)| (device, at)).unwrap()
    };
    let (device, at) = report(&bundle);
    let Entry::Report { envelope, .. } = &mut bundle.devices[device].entries[at].entry else {
        unreachable!()
    };
    // The signature is the end of an envelope.
    let mut changed = envelope.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    *envelope = changed.into();
    let found = Signatures::of(&bundle);
    assert_ne!((found.digest(), &found), (right.digest(), &right));
    assert!(found.to_bytes().len() < right.to_bytes().len());
}

/// The point of order one, to which anybody can sign; and a point of the prime subgroup with one of order two.
#[test]
fn a_bundle_that_starts_from_an_unfit_key_is_refused_however_it_is_audited() {
    let mixed = SoftwareKey::from_seed([5; 32]).public().typed();
    let mixed = CompressedEdwardsY(mixed.key().try_into().unwrap()).decompress().unwrap() + EIGHT_TORSION[4];
    let mut neutral = [0; 32];
    neutral[0] = 1;
    for key in [neutral, mixed.compress().to_bytes()] {
        let mut device = Device::new("a");
        let mut world = World::of(&wallet("customer"), &[&device], 2);
        world.honest(&mut [&mut device]);
        let unfit = DeviceRecord::registered(
            DeviceId(TypedKey::ed25519(&key)),
            wallet("thief").address(),
            true,
            Timestamp(0),
        );
        let mut records: Vec<_> = world.state.registry.devices().cloned().chain([unfit.clone()]).collect();
        records.sort_by_key(|record| record.device);
        let domain = world.state.registry.domain();
        world.state.registry = Registry::from_records_knowing(domain, records, |_| true).unwrap();
        world.open();
        let bundle = world.honest(&mut [&mut device]);
        let (read, digest) = Bundle::open(&bundle.to_bytes()).unwrap();
        let refused = audit(&read, &standard()).unwrap_err().to_string();
        assert!(refused.contains("unfit key"), "{refused}");
        for signatures in [Signatures::default(), Signatures::of(&read), in_parts(&bundle.to_bytes(), 3)] {
            let again = audit_knowing(&read, digest, signatures.clone(), &standard()).unwrap_err();
            assert_eq!(again.to_string(), refused);
            let assumed = audit_assuming(&read, digest, &standard()).unwrap();
            assert_ne!(assumed.needed.digest(), signatures.digest());
        }
        let excerpt = Excerpt::open(&bundle.excerpt(&unfit.device).unwrap().to_bytes()).unwrap();
        assert!(audit_excerpt(&excerpt, &standard()).unwrap_err().to_string().contains("unfit key"));
    }
}

#[test]
fn what_is_no_signatures_is_refused() {
    let (_, bundle) = scene();
    let bytes = Signatures::of(&bundle).to_bytes();
    assert!(Signatures::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    assert!(Signatures::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    assert_eq!(Signatures::from_bytes(&[]).unwrap(), Signatures::default());
    assert!(Signatures::of_part(b"no bundle", 0, 1).is_err());
}
