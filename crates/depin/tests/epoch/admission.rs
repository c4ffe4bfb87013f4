//! Who is let in, and what firmware it runs, found again by whoever audits.

use std::collections::BTreeSet;

use depin::{AdmissionParams, Catalogue, audit, audit::audit_excerpt, excerpt::Excerpt};
use depin_identity::{
    Firmware, SoftwareKey,
    admission::{AdmissionPolicy, CellRule},
    credential::{MakerGrant, ProofOptions, StatusEntry, Suite, Unsigned},
};
use serde_json::{Value, json};

use super::*;
use crate::credentials::{terms, *};

/// An open epoch of a network that admits devices by `admission`; deals for three epochs.
fn world(devices: &[&Device], admission: AdmissionParams) -> World {
    let customer = wallet("customer");
    let mut world = World::with(depin::NetworkParams { admission: Some(admission), ..params() });
    world.pay(customer.address(), PRICE * 3 * u128::try_from(devices.len()).unwrap());
    for device in devices {
        world.chain(device.registration());
        world.deal(signed(&customer, common::terms(&customer, device, 0, 3), &device.set));
    }
    world.open();
    world
}

/// From the next epoch on, `change` holds.
fn change(world: &mut World, change: impl FnOnce(&mut AdmissionParams)) {
    let mut params = world.network.params().clone();
    params.version += 1;
    change(params.admission.as_mut().unwrap());
    world.network = Network::new(params, &Catalogue::standard()).unwrap().into();
}

fn present(world: &mut World, device: &Device, shown: Vec<u8>) {
    let (received, device) = (world.now, device.id());
    world.push(Entry::Presented { received, device, credentials: shown.into() });
}

/// Bundle and excerpts say what comes out when somebody else counts.
fn matches(bundle: &Bundle) {
    let read = Bundle::from_bytes(&bundle.to_bytes()).unwrap();
    assert_eq!(audit(&read, &Catalogue::standard()).unwrap().digest, bundle.digest());
    for section in &bundle.devices {
        let excerpt = Excerpt::open(&bundle.excerpt(&section.device).unwrap().to_bytes()).unwrap();
        audit_excerpt(&excerpt, &Catalogue::standard()).unwrap();
    }
}

fn honest(world: &mut World, devices: &mut [&mut Device]) -> Bundle {
    let bundle = world.honest(devices);
    matches(&bundle);
    bundle
}

/// What comes of a device that shows this before an honest epoch.
fn outcome(show: impl FnOnce(&Device) -> Vec<u8>) -> (Bundle, Device) {
    let mut device = Device::new("a");
    let mut world = world(&[&device], admission());
    let shown = show(&device);
    present(&mut world, &device, shown);
    (honest(&mut world, &mut [&mut device]), device)
}

#[test]
fn a_device_that_shows_its_chain_is_paid_from_then_on() {
    let (bundle, device) = outcome(|device| chain(device, 0));
    assert_eq!(earned(&bundle, &device), EARNED);
    let mut silent = Device::new("a");
    let mut world = world(&[&silent], admission());
    let bundle = honest(&mut world, &mut [&mut silent]);
    assert_eq!(earned(&bundle, &silent), Amount::ZERO);
    assert!(found(&bundle, &silent, "report", "not-admitted"));
    world.open();
    present(&mut world, &silent, chain(&silent, 0));
    let bundle = honest(&mut world, &mut [&mut silent]);
    assert_eq!(earned(&bundle, &silent), EARNED);
    let admitted = world.state.device(&silent.id()).admitted.unwrap();
    assert_eq!((admitted.root, admitted.makers, admitted.serial), (did(&root()), vec![did(&maker())], 0));
}

#[test]
fn the_device_after_the_last_of_a_quota_and_the_second_with_a_serial_are_refused() {
    let mut devices = ["a", "b", "c", "d"].map(Device::new);
    let mut world = world(&devices.iter().collect::<Vec<_>>(), admission());
    for (device, serial) in devices.iter().zip([0, 1, 2, 1]) {
        present(&mut world, device, chain(device, serial));
    }
    let bundle = honest(&mut world, &mut devices.iter_mut().collect::<Vec<_>>());
    let [a, b, c, d] = &devices;
    assert_eq!([a, b, c, d].map(|device| earned(&bundle, device) > Amount::ZERO), [true, true, false, false]);
    assert!(found(&bundle, c, "admission", "quota"));
    assert!(found(&bundle, d, "admission", "serial-taken"));
    // Nor in a later epoch, when the others show nothing.
    world.open();
    present(&mut world, d, chain(d, 1));
    let bundle = honest(&mut world, &mut devices.iter_mut().collect::<Vec<_>>());
    assert!(found(&bundle, &devices[3], "admission", "serial-taken"));
    assert_eq!(earned(&bundle, &devices[3]), Amount::ZERO);
}

#[test]
fn a_quota_counts_devices_of_makers_below_as_well() {
    let mut devices = ["a", "b", "c"].map(Device::new);
    let mut world = world(&devices.iter().collect::<Vec<_>>(), admission());
    let lists = [list(&root(), &[], YEAR), list(&maker(), &[], YEAR)];
    for (seed, device) in (1..).zip(&devices) {
        let below = SoftwareKey::from_seed([seed; 32]);
        let mut upper = terms(&maker(), YEAR, Some(9));
        let url = "https://status.example/2";
        upper.status = upper.status.map(|status| StatusEntry { list: url.to_owned(), ..status });
        let set = |text: &str| BTreeSet::from([text.to_owned()]);
        let (regions, kinds, bond) = (set("EU"), set("storage"), Amount(2));
        let granted = MakerGrant { maker: did(&below), quota: 2, regions, kinds, bond };
        let mut second = lists[1].clone();
        second.as_object_mut().unwrap().remove("proof");
        second["id"] = url.into();
        let shown = json!({
            "credentials": [
                grant(&root(), &maker(), 2, 7),
                sign(&upper.maker(&granted).unwrap(), &maker()),
                vouch(&below, device, 0, YEAR),
            ],
            "statusLists": { LIST: lists[0], url: sign(&second, &maker()) },
        });
        present(&mut world, device, shown.to_string().into_bytes());
    }
    let bundle = honest(&mut world, &mut devices.iter_mut().collect::<Vec<_>>());
    let paid = devices.each_ref().map(|device| earned(&bundle, device) > Amount::ZERO);
    assert_eq!(paid, [true, true, false]);
    assert!(found(&bundle, &devices[2], "admission", "quota-exhausted"));
}

#[test]
fn a_maker_that_the_network_revokes_loses_its_devices_with_the_next_epoch() {
    let mut device = Device::new("a");
    let mut world = world(&[&device], admission());
    present(&mut world, &device, chain(&device, 0));
    assert_eq!(earned(&honest(&mut world, &mut [&mut device]), &device), EARNED);
    change(&mut world, |admission| admission.revoked_makers.push(did(&maker())));
    world.open();
    let bundle = honest(&mut world, &mut [&mut device]);
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, "report", "maker-revoked"));
    // Nor does a root that is not trusted any more vouch for anybody.
    change(&mut world, |admission| {
        admission.revoked_makers.clear();
        admission.roots = vec![did(&maker())];
    });
    world.open();
    let bundle = honest(&mut world, &mut [&mut device]);
    assert!(found(&bundle, &device, "report", "not-admitted"));
}

#[test]
fn credentials_and_lists_that_run_out_count_until_their_last_moment() {
    for (device_lasts, list_lasts) in [(COMMIT, YEAR), (YEAR, COMMIT)] {
        let mut device = Device::new("a");
        let mut world = world(&[&device], admission());
        let credentials = [grant(&root(), &maker(), 2, 7), vouch(&maker(), &device, 0, device_lasts)];
        let list = list(&root(), &[], list_lasts);
        present(&mut world, &device, shown(&credentials, &list));
        world.at(COMMIT);
        world.commit(&mut device);
        world.at(COMMIT + 1_000);
        world.answer(&mut device);
        // Shown once they have run out, they admit nobody.
        let mut late = Device::new("b");
        world.chain(late.registration());
        let credentials = [grant(&root(), &maker(), 2, 7), vouch(&maker(), &late, 1, device_lasts)];
        present(&mut world, &late, shown(&credentials, &list));
        world.send(&mut late, SET_KIND, Vec::new());
        world.beacon();
        let bundle = world.end();
        matches(&bundle);
        let expired: Vec<_> = findings(&bundle, &device)
            .into_iter()
            .filter(|finding| finding.reason.as_str() == "credential-expired")
            .collect();
        assert_eq!(expired.len(), 1, "{expired:?}");
        assert!(found(&bundle, &late, "report", "not-admitted"));
        let reason = if list_lasts < YEAR { "status-list" } else { "credential-expired" };
        assert!(found(&bundle, &late, "admission", reason));
    }
}

#[test]
fn a_list_that_revokes_strikes_from_that_moment_and_for_good() {
    let mut device = Device::new("a");
    let mut world = world(&[&device], admission());
    present(&mut world, &device, chain(&device, 0));
    world.commit(&mut device);
    world.beacon();
    let revoked = |world: &mut World, list: &Value| {
        let (received, device) = (world.now, Device::new("a").id());
        world.push(Entry::Revoked { received, device, list: list.to_string().into_bytes().into() });
    };
    // By the wrong issuer, and of another credential: nothing.
    revoked(&mut world, &list(&maker(), &[7], YEAR));
    revoked(&mut world, &list(&root(), &[8], YEAR));
    let mut spared = world.clone();
    spared.answer(&mut device.clone());
    let bundle = spared.end();
    matches(&bundle);
    assert_eq!(earned(&bundle, &device), EARNED);
    assert!(found(&bundle, &device, "admission", "nothing-revoked"));
    revoked(&mut world, &list(&root(), &[7], YEAR));
    world.answer(&mut device);
    let bundle = world.end();
    matches(&bundle);
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    assert!(found(&bundle, &device, "report", "credential-revoked"));
    // An older list does not bring it back; a credential issued anew does.
    world.open();
    present(&mut world, &device, chain(&device, 0));
    let bundle = honest(&mut world, &mut [&mut device]);
    assert!(found(&bundle, &device, "admission", "credential-revoked"));
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    world.open();
    let credentials = [grant(&root(), &maker(), 2, 8), vouch(&maker(), &device, 0, YEAR)];
    present(&mut world, &device, shown(&credentials, &list(&root(), &[7], YEAR)));
    assert_eq!(earned(&honest(&mut world, &mut [&mut device]), &device), EARNED);
}

/// What a device shows.
type Show<'a> = &'a dyn Fn(&Device) -> Vec<u8>;

#[test]
fn what_does_not_hold_admits_nobody_and_says_why() {
    let attacker = SoftwareKey::from_seed([66; 32]);
    let good = list(&root(), &[], YEAR);
    let mut named = grant(&attacker, &maker(), 2, 7);
    named.as_object_mut().unwrap().remove("proof");
    named["issuer"] = did(&root()).to_string().into();
    let mut endless = good.clone();
    for member in ["proof", "validUntil"] {
        endless.as_object_mut().unwrap().remove(member);
    }
    let endless = sign(&endless, &root());
    let vouched = |device: &Device| vouch(&maker(), device, 0, YEAR);
    let honest = grant(&root(), &maker(), 2, 7);
    let other = Device::new("other");
    let cases: [(&str, Show<'_>); 9] = [
        ("untrusted-root", &|device| shown(&[grant(&attacker, &maker(), 2, 7), vouched(device)], &good)),
        // In the root's name, under a key of somebody else's.
        ("credential-refused", &|device| shown(&[sign(&named, &attacker), vouched(device)], &good)),
        ("credential-refused", &|_| shown(&[honest.clone(), vouched(&other)], &good)),
        ("status-list", &|device| shown(&[honest.clone(), vouched(device)], &json!(null))),
        ("credential-revoked", &|device| {
            shown(&[honest.clone(), vouched(device)], &list(&root(), &[7], YEAR))
        }),
        ("status-list", &|device| shown(&[honest.clone(), vouched(device)], &endless)),
        ("credential-malformed", &|_| vec![b' '; depin::admission::MAX_SHOWN + 1]),
        ("credential-malformed", &|_| b"[".repeat(1_000)),
        ("credential-refused", &|_| b"{\"credentials\":[]}".to_vec()),
    ];
    for (reason, show) in cases {
        let (bundle, device) = outcome(show);
        let all = findings(&bundle, &device);
        assert!(found(&bundle, &device, "admission", reason), "{reason}: {all:?}");
        assert_eq!(earned(&bundle, &device), Amount::ZERO);
    }
}

/// Until when the device is admitted after an epoch in which it showed this, and why not.
fn until(show: impl FnOnce(&Device) -> Vec<u8>) -> Result<u64, Vec<(String, String)>> {
    let device = Device::new("a");
    let mut world = world(&[&device], admission());
    present(&mut world, &device, show(&device));
    let bundle = world.end();
    matches(&bundle);
    let all = findings(&bundle, &device);
    let why = all
        .iter()
        .filter(|finding| finding.check == "admission")
        .map(|finding| (finding.reason.to_string(), finding.observed.clone()));
    let admitted = world.state.device(&device.id()).admitted;
    admitted.map(|admitted| admitted.until.0 - GENESIS).ok_or_else(|| why.collect())
}

#[test]
fn a_device_is_admitted_until_the_first_end_that_somebody_signed() {
    let good = list(&root(), &[], YEAR - 1);
    let honest = |device: &Device| [grant(&root(), &maker(), 2, 7), vouch(&maker(), device, 0, YEAR)];
    assert_eq!(until(|device| shown(&honest(device), &good)), Ok(YEAR - 1));
    // How long to keep a list before it is fetched again: here nothing is fetched, and each showing would say something new.
    let kept = changed(&good, &root(), |list| list["credentialSubject"]["ttl"] = 60_000.into());
    assert_eq!(until(|device| shown(&honest(device), &kept)), Ok(YEAR - 1));
    let ends = |document: &Value, signer: &SoftwareKey| {
        let mut document = document.clone();
        document.as_object_mut().unwrap().remove("proof");
        sign_as(&document, signer, |options| options.expires = Some(Timestamp(GENESIS + EPOCH)))
    };
    assert_eq!(until(|device| shown(&honest(device), &ends(&good, &root()))), Ok(EPOCH));
    for (link, signer) in [(0, root()), (1, maker())] {
        let found = until(|device| {
            let mut credentials = honest(device);
            credentials[link] = ends(&credentials[link], &signer);
            shown(&credentials, &good)
        });
        assert_eq!(found, Ok(EPOCH));
    }
}

#[test]
fn lists_that_no_credential_names_or_that_somebody_else_keeps_are_refused() {
    let honest = |device: &Device| [grant(&root(), &maker(), 2, 7), vouch(&maker(), device, 0, YEAR)];
    let other = "https://status.example/2";
    let unnamed = changed(&list(&root(), &[], COMMIT), &root(), |list| list["id"] = other.into());
    let lists = json!({ LIST: list(&root(), &[], YEAR), other: unnamed });
    let both = |device: &Device| json!({ "credentials": honest(device), "statusLists": lists });
    let why = until(|device| both(device).to_string().into_bytes()).unwrap_err();
    assert!(why[0].0 == "status-list" && why[0].1.contains("no credential names"), "{why:?}");
    // Nor is its signature looked at.
    let mut foreign = list(&maker(), &[], YEAR);
    foreign["validFrom"] = foreign["validUntil"].clone();
    let why = until(|device| shown(&honest(device), &foreign)).unwrap_err();
    assert!(why[0].0 == "status-list" && why[0].1.contains("which issued no credential"), "{why:?}");
}

/// `document` with a proof over RDF. Where this was built without it, with the name of one: nobody gets as far as its signature.
fn over_rdf(document: &Value, signer: &SoftwareKey) -> Value {
    let mut plain = document.clone();
    plain.as_object_mut().unwrap().remove("proof");
    let mut options = ProofOptions::of_key(&signer.public().typed(), Timestamp(GENESIS)).unwrap();
    options.suite = Suite::EddsaRdfc2022;
    let Ok(unsigned) = Unsigned::new(&plain, &options) else {
        let mut named = document.clone();
        named["proof"]["cryptosuite"] = Suite::EddsaRdfc2022.name().into();
        return named;
    };
    let signature = signer.signature(unsigned.message());
    unsigned.finish(&signature)
}

#[test]
fn a_proof_that_not_every_auditor_can_check_admits_nobody() {
    let good = list(&root(), &[], YEAR);
    for (link, signer) in [(0, root()), (1, maker())] {
        let why = until(|device| {
            let mut credentials = [grant(&root(), &maker(), 2, 7), vouch(&maker(), device, 0, YEAR)];
            credentials[link] = over_rdf(&credentials[link], &signer);
            shown(&credentials, &good)
        });
        let why = &why.unwrap_err()[0];
        let observed = format!("link {link} has a proof by eddsa-rdfc-2022; sign it with a JCS suite");
        assert!(why.0 == "credential-refused" && why.1.starts_with(&observed), "{why:?}");
    }
    let listed = over_rdf(&good, &root());
    let why =
        until(|device| shown(&[grant(&root(), &maker(), 2, 7), vouch(&maker(), device, 0, YEAR)], &listed));
    let why = &why.unwrap_err()[0];
    assert!(why.0 == "status-list" && why.1.contains("has a proof by eddsa-rdfc-2022"), "{why:?}");
    // Nor does such a list revoke.
    let device = Device::new("a");
    let mut world = world(&[&device], admission());
    present(&mut world, &device, chain(&device, 0));
    let list = over_rdf(&list(&root(), &[7], YEAR), &root()).to_string().into_bytes().into();
    world.push(Entry::Revoked { received: world.now, device: device.id(), list });
    let bundle = world.end();
    assert!(found(&bundle, &device, "admission", "nothing-revoked"));
    assert!(world.state.device(&device.id()).admitted.unwrap().revoked.is_empty());
}

#[test]
fn a_credential_that_can_be_suspended_is_refused() {
    let suspended = changed(&grant(&root(), &maker(), 2, 7), &root(), |grant| {
        let mut second = grant["credentialStatus"].clone();
        second["statusPurpose"] = "suspension".into();
        grant["credentialStatus"] = json!([grant["credentialStatus"], second]);
    });
    let both = changed(&list(&root(), &[], YEAR), &root(), |list| {
        list["credentialSubject"]["statusPurpose"] = json!(["revocation", "suspension"]);
    });
    let why = until(|device| shown(&[suspended, vouch(&maker(), device, 0, YEAR)], &both)).unwrap_err();
    assert!(why[0].0 == "credential-refused" && why[0].1.contains("suspension"), "{why:?}");
}

#[test]
fn a_device_shows_something_new_eight_times_in_an_epoch() {
    let device = Device::new("a");
    let mut world = world(&[&device], admission());
    let newer = |world: &mut World, more: u64| {
        let credentials = [grant(&root(), &maker(), 2, 7), vouch(&maker(), &device, 0, EPOCH * 9 + more)];
        present(world, &device, shown(&credentials, &list(&root(), &[], YEAR)));
    };
    let until = |world: &World| world.state.device(&device.id()).admitted.unwrap().until.0;
    (1..=9).for_each(|more| newer(&mut world, more));
    let bundle = world.end();
    matches(&bundle);
    assert!(found(&bundle, &device, "admission", "quota"));
    assert_eq!(until(&world), GENESIS + EPOCH * 9 + 8);
    world.open();
    newer(&mut world, 9);
    let bundle = world.end();
    assert!(!found(&bundle, &device, "admission", "quota"));
    assert_eq!(until(&world), GENESIS + EPOCH * 9 + 9);
}

#[test]
fn a_grant_issued_anew_counts_the_devices_of_the_one_before() {
    let devices = ["a", "b", "c", "d"].map(Device::new);
    let mut world = world(&devices.each_ref(), admission());
    let mut show = |device: &Device, quota, serial| {
        let credentials = [grant(&root(), &maker(), quota, 7), vouch(&maker(), device, serial, YEAR)];
        present(&mut world, device, shown(&credentials, &list(&root(), &[], YEAR)));
    };
    let [a, b, c, d] = &devices;
    show(a, 2, 0);
    show(b, 2, 1);
    // A larger one makes room for one more; a smaller one undoes nothing, and leaves no room.
    show(c, 4, 3);
    show(d, 3, 2);
    show(d, 2, 1);
    // No device is moved to another serial, even a free one.
    show(a, 9, 8);
    let bundle = world.end();
    matches(&bundle);
    let serials = |world: &World| {
        devices.each_ref().map(|device| world.state.device(&device.id()).admitted.map(|found| found.serial))
    };
    assert_eq!(serials(&world), [Some(0), Some(1), Some(3), None]);
    assert!(found(&bundle, a, "admission", "credential-changed"));
    assert!(found(&bundle, d, "admission", "quota-exhausted"));
    assert!(found(&bundle, d, "admission", "serial-taken"));
    world.open();
    let credentials = [grant(&root(), &maker(), 4, 7), vouch(&maker(), d, 2, YEAR)];
    present(&mut world, d, shown(&credentials, &list(&root(), &[], YEAR)));
    world.end();
    assert_eq!(serials(&world), [Some(0), Some(1), Some(3), Some(2)]);
}

#[test]
fn every_flipped_byte_of_what_was_shown_is_found() {
    let device = Device::new("a");
    let mut world = world(&[&device], admission());
    present(&mut world, &device, chain(&device, 0));
    let bundle = world.end();
    for step in 0..64 {
        let mut forged = bundle.clone();
        let section = forged.devices.iter_mut().find(|section| section.device == device.id()).unwrap();
        for indexed in &mut section.entries {
            if let Entry::Presented { credentials, .. } = &mut indexed.entry {
                let mut bytes = credentials.to_vec();
                let at = step * bytes.len() / 64;
                bytes[at] ^= 1;
                *credentials = bytes.into();
            }
        }
        let read = Bundle::from_bytes(&forged.to_bytes()).unwrap();
        let error = audit(&read, &Catalogue::standard()).unwrap_err().to_string();
        assert!(error.contains("header.checkpoint") || error.contains("journal"), "{error}");
    }
}

#[test]
fn revoked_firmware_stops_counting_with_the_next_epoch_and_never_rolls_back() {
    let mut device = Device::new("a");
    let mut world = world(&[&device], admission());
    present(&mut world, &device, chain(&device, 0));
    let state = |world: &mut World, device: &mut Device, version, digest| {
        let firmware = Firmware { version, digest: Digest([digest; 32]) };
        world.send(device, Firmware::KIND, firmware.to_bytes());
    };
    state(&mut world, &mut device, 7, 1);
    assert_eq!(earned(&honest(&mut world, &mut [&mut device]), &device), EARNED);
    change(&mut world, |admission| admission.firmware.revoked.push(Digest([1; 32])));
    world.open();
    state(&mut world, &mut device, 6, 2);
    state(&mut world, &mut device, 7, 2);
    let bundle = honest(&mut world, &mut [&mut device]);
    assert_eq!(earned(&bundle, &device), Amount::ZERO);
    let count = |bundle: &Bundle, reason: &str| {
        findings(bundle, &device).iter().filter(|finding| finding.reason == reason).count()
    };
    assert_eq!((count(&bundle, "firmware-rollback"), count(&bundle, "firmware-revoked")), (2, 2));
    world.open();
    state(&mut world, &mut device, 8, 2);
    let bundle = honest(&mut world, &mut [&mut device]);
    assert_eq!(earned(&bundle, &device), EARNED);
    let firmware = world.state.device(&device.id()).firmware.unwrap();
    assert_eq!((firmware.version, firmware.digest), (8, Digest([2; 32])));
}

#[test]
fn firmware_that_a_thief_stated_goes_with_the_reports_of_the_thief() {
    let mut device = Device::new("a");
    let mut world = world(&[&device], admission());
    present(&mut world, &device, chain(&device, 0));
    let firmware = |version| Firmware { version, digest: Digest([1; 32]) };
    let state = |world: &mut World, device: &mut Device, version| {
        world.send(device, Firmware::KIND, firmware(version).to_bytes());
    };
    let carried = |world: &World, device: &Device| world.state.device(&device.id()).firmware;
    state(&mut world, &mut device, 7);
    honest(&mut world, &mut [&mut device]);
    world.open();
    // Whoever has the key states a version that no other can follow.
    world.at(1_000);
    state(&mut world, &mut device.clone(), u64::MAX);
    let mut thief = Device { sequence: device.sequence + 1, ..device.clone() };
    state(&mut world, &mut thief, 8);
    let (stolen, key) = (device.key.public().id(), SoftwareKey::from_seed([8; 32]));
    world.chain(device.rotation(&key, (0, 1), 1, world.now));
    let (id, since) = (device.id().on_chain(), world.now);
    world.chain(ChainEvent::KeyCompromised { device: id, key: stolen, since, at: world.now });
    device = Device { key, boot: 1, sequence: 0, ..device };
    let mut silent = world.clone();
    state(&mut world, &mut device, 6);
    state(&mut world, &mut device, 8);
    assert_eq!(earned(&honest(&mut world, &mut [&mut device.clone()]), &device), EARNED);
    assert_eq!(carried(&world, &device), Some(firmware(8)));
    let count = |reason: &str| {
        let all = findings(&world.bundles[1], &device);
        all.iter().filter(|finding| finding.reason == reason).count()
    };
    assert_eq!((count("firmware-rollback"), count("compromised")), (2, 1));
    // Nor does it stay when nobody states another.
    honest(&mut silent, &mut [&mut device.clone()]);
    assert_eq!(carried(&silent, &device), Some(firmware(7)));
}

#[test]
fn a_new_owner_states_the_firmware_anew_from_the_cut_over_on() {
    let mut device = Device::new("a");
    let mut world = world(&[&device], admission());
    present(&mut world, &device, chain(&device, 0));
    let firmware = |version| Firmware { version, digest: Digest([1; 32]) };
    let carried = |world: &World| world.state.device(&Device::new("a").id()).firmware;
    world.send(&mut device, Firmware::KIND, firmware(u64::MAX).to_bytes());
    let (buyer, key) = (wallet("buyer"), SoftwareKey::from_seed([8; 32]));
    world.chain(device.sale(&buyer, &key, Epoch(1), 1));
    let mut sold = Device { owner: buyer, key, ..device.clone() };
    honest(&mut world, &mut [&mut device]);
    assert_eq!(carried(&world), Some(firmware(u64::MAX)));
    world.open();
    let mut silent = world.clone();
    world.send(&mut sold, Firmware::KIND, firmware(3).to_bytes());
    assert_eq!(earned(&honest(&mut world, &mut [&mut sold.clone()]), &sold), EARNED);
    assert_eq!(carried(&world), Some(firmware(3)));
    world.open();
    honest(&mut world, &mut [&mut sold]);
    assert_eq!(carried(&world), Some(firmware(3)));
    honest(&mut silent, &mut [&mut sold]);
    assert_eq!(carried(&silent), None);
}

#[test]
fn a_network_may_require_that_firmware_is_stated() {
    let mut device = Device::new("a");
    let mut admission = admission();
    admission.firmware.required = true;
    // How far places are blurred keeps nobody out.
    admission.policy.cell = Some(CellRule { resolution: 8, devices: u32::MAX });
    let mut world = world(&[&device], admission);
    present(&mut world, &device, chain(&device, 0));
    world.send(&mut device, Firmware::KIND, vec![0]);
    let bundle = honest(&mut world, &mut [&mut device]);
    assert!(found(&bundle, &device, "report", "firmware-malformed"));
    assert!(found(&bundle, &device, "report", "firmware-unknown"));
    world.open();
    let firmware = Firmware { version: 1, digest: Digest([1; 32]) };
    world.send(&mut device, Firmware::KIND, firmware.to_bytes());
    assert_eq!(earned(&honest(&mut world, &mut [&mut device]), &device), EARNED);
}

#[test]
fn parameters_that_no_journal_can_answer_are_refused() {
    let refused = |change: fn(&mut AdmissionParams)| {
        let mut admission = admission();
        change(&mut admission);
        admission.check().unwrap_err();
    };
    admission().check().unwrap();
    // What the book shows can be used as it is.
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/admission.md"));
    let page = page.unwrap();
    let example = page.split("```json").nth(1).unwrap().split("```").next().unwrap();
    serde_json::from_str::<AdmissionParams>(example).unwrap().check().unwrap();
    refused(|admission| admission.roots.clear());
    refused(|admission| admission.roots = vec!["did:web:example.com".parse().unwrap()]);
    refused(|admission| admission.max_makers = 0);
    refused(|admission| admission.policy.device_bond = Amount(1));
    refused(|admission| admission.policy.min_reputation = 1);
    refused(|admission| admission.policy.cell = AdmissionPolicy::default().cell);
}
