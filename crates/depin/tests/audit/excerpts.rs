//! One device's part of a bundle.

use depin_identity::SoftwareKey;

use super::*;

#[test]
fn an_excerpt_of_kilobytes_shows_one_device_and_holds() {
    let (_, bundle) = scene();
    for section in &bundle.devices {
        let bytes = bundle.excerpt(&section.device).unwrap().to_bytes();
        assert!(bytes.len() < 16 << 10, "{} bytes", bytes.len());
        let checked = Excerpt::open(&bytes).unwrap();
        assert_eq!((checked.digest, &checked.device), (bundle.digest(), section));
        assert_eq!((&checked.header, &checked.result), (&bundle.header, &bundle.result));
        audit_excerpt(&checked, &standard()).unwrap();
    }
    assert!(bundle.excerpt(&Device::new("nobody").id()).is_none());
}

#[test]
fn every_flipped_byte_of_an_excerpt_is_found() {
    let (_, bundle) = scene();
    let bytes = bundle.excerpt(&bundle.devices[1].device).unwrap().to_bytes();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        match Excerpt::open(&flipped) {
            // The path of the header decides the digest; another digest is another bundle's.
            Ok(checked) => assert_ne!(checked.digest, bundle.digest(), "{at}"),
            Err(BundleError::Format(_) | BundleError::Section { .. } | BundleError::Content { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

type Part = (u64, ByteVec, Vec<Digest>);

type Parts = (String, u64, Part, Part, Part);

#[test]
fn sections_of_two_bundles_do_not_mix() {
    let (world, second) = scene();
    let first = &world.bundles[0];
    let device = second.devices[0].device;
    let parts = |bundle: &Bundle| -> Parts {
        cbor::from_slice(&bundle.excerpt(&device).unwrap().to_bytes()).unwrap()
    };
    let (one, other) = (parts(first), parts(&second));
    let refused = |mixed: &Parts| Excerpt::open(&cbor::to_vec(mixed)).unwrap_err().to_string();
    names(&refused(&(one.0.clone(), one.1, one.2.clone(), other.3.clone(), one.4.clone())), "section device");
    names(&refused(&(one.0.clone(), one.1, one.2.clone(), one.3.clone(), other.4.clone())), "section result");
    assert!(
        Excerpt::open(&cbor::to_vec(&(one.0.clone(), one.1, other.2, one.3.clone(), one.4.clone()))).is_err()
    );
    // Another section of the same bundle in the device's place.
    assert!(
        Excerpt::open(&cbor::to_vec(&(one.0.clone(), one.1, one.2.clone(), one.4.clone(), one.4.clone())))
            .is_err()
    );
    assert!(Excerpt::open(&cbor::to_vec(&(one.0.clone(), one.1 + 1, one.2, one.3, one.4))).is_err());
}

#[test]
fn a_forged_section_is_named_from_its_excerpt_alone() {
    let (_, bundle) = scene();
    let at = bundle.devices.iter().position(|section| section.earned > Amount::ZERO).unwrap();
    let refused = |change: fn(&mut depin::bundle::DeviceSection)| {
        let mut forged = bundle.clone();
        change(&mut forged.devices[at]);
        let checked = Excerpt::open(&forged.excerpt(&forged.devices[at].device).unwrap().to_bytes()).unwrap();
        audit_excerpt(&checked, &standard()).unwrap_err().to_string()
    };
    names(&refused(|section| section.earned.0 += 1), "device.earned");
    names(&refused(|section| section.verdicts.clear()), "device.verdicts");
    names(
        &refused(|section| section.record.as_mut().unwrap().owner = wallet("thief").address()),
        "device.record.owner",
    );
    names(&refused(|section| drop(section.entries.pop())), "device.verdicts");
    names(&refused(|section| section.lines[0].units += 1), "device.lines");
}

/// Excerpts hold whatever happened to the device in the epoch.
#[test]
fn an_excerpt_holds_when_the_device_changed_in_the_epoch() {
    let holds = |bundle: &Bundle| {
        for section in &bundle.devices {
            let checked = Excerpt::open(&bundle.excerpt(&section.device).unwrap().to_bytes()).unwrap();
            audit_excerpt(&checked, &standard()).unwrap();
        }
    };
    let mut device = Device::new("a");
    let mut world = World::new();
    let customer = wallet("customer");
    // Before it is registered: a deal that is refused, a report that nobody can check.
    world.pay(customer.address(), 10 * PRICE);
    world.deal(signed(&customer, terms(&customer, &device, 0, 1), &device.set));
    world.commit(&mut device);
    world.chain(device.registration());
    world.deal(signed(&customer, terms(&customer, &device, 0, 3), &device.set));
    world.open();
    holds(&world.honest(&mut [&mut device]));
    world.open();
    let key = SoftwareKey::from_seed([8; 32]);
    world.chain(device.transfer(&wallet("buyer"), &key, 1));
    (device.owner, device.key) = (wallet("buyer"), key);
    holds(&world.honest(&mut [&mut device]));
    world.open();
    world.commit(&mut device);
    let key = SoftwareKey::from_seed([9; 32]);
    world.chain(device.rotation(&key, (0, device.sequence), 2, world.now));
    let stolen = device.key.public().id();
    device.key = key;
    world.beacon();
    world.answer(&mut device);
    let (device_id, since, at) = (device.id().on_chain(), world.now, world.now);
    world.chain(ChainEvent::KeyCompromised { device: device_id, key: stolen, since, at });
    world.chain(ChainEvent::DeviceSuspended { device: device_id, at: since });
    holds(&world.end());
    world.chain(ChainEvent::DeviceResumed { device: device_id, at: world.now });
    world.open();
    world.beacon();
    world.answer(&mut device);
    world.chain(ChainEvent::DeviceDeactivated { device: device.id().on_chain(), at: world.now });
    world.answer(&mut device);
    holds(&world.end());
}

#[test]
fn a_head_the_node_did_not_sign_is_named_from_an_excerpt_alone() {
    let (_, mut bundle) = scene();
    let stranger = SoftwareKey::from_seed([1; 32]);
    bundle.header.checkpoint = checkpoint(&bundle.header.params, &stranger, bundle.header.journal_after);
    let checked = Excerpt::open(&bundle.excerpt(&bundle.devices[0].device).unwrap().to_bytes()).unwrap();
    names(&audit_excerpt(&checked, &standard()).unwrap_err().to_string(), "header.checkpoint");
}
