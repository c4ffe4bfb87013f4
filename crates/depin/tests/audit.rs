//! What an audit believes, and what it names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

mod common;

use std::collections::BTreeMap;

use common::*;
use depin::{
    Bundle, Catalogue, audit,
    audit::{AuditError, BrokenPromise, audit_excerpt, audit_receipts, audit_succession},
    bundle::BundleError,
    close::{Closed, EpochInput, Slot, close},
    entry::{Entry, Indexed},
    excerpt::Excerpt,
    log::Checkpoint,
};
use depin_core::{Amount, ChainEvent, Digest, Epoch, Outcome, Timestamp, cbor};
use depin_identity::{Receipt, SoftwareKey};
use depin_proof::possession::ANSWER_KIND;
use minicbor::bytes::ByteVec;
use proptest::prelude::*;

fn standard() -> Catalogue {
    Catalogue::standard()
}

/// Three devices for one epoch: one honest, one that answers wrongly, one whose report is refused. Not the first epoch of its network.
fn scene() -> (World, Bundle) {
    let mut devices = [Device::new("a"), Device::new("b"), Device::new("c")];
    let mut world = World::of(&wallet("customer"), &devices.iter().collect::<Vec<_>>(), 2);
    let [a, b, c] = &mut devices;
    world.honest(&mut [a, b, c]);
    world.open();
    world.commit(a);
    world.beacon();
    world.answer(a);
    world.send(b, ANSWER_KIND, vec![1]);
    let report = c.report(ANSWER_KIND, vec![2], Timestamp(0));
    world.receive(c.sign(&report));
    let bundle = world.end();
    (world, bundle)
}

/// What an audit says of a bundle that somebody changed and hashed again.
fn refusal(bundle: &Bundle, change: impl FnOnce(&mut Bundle)) -> String {
    let mut forged = bundle.clone();
    change(&mut forged);
    assert_ne!(&forged, bundle, "nothing was changed");
    let read = Bundle::from_bytes(&forged.to_bytes()).expect("hashed again consistently");
    match audit(&read, &standard()) {
        Ok(found) => panic!("the forgery matches: {found:?}"),
        Err(error) => error.to_string(),
    }
}

type Change = fn(&mut Bundle);

fn names(error: &str, path: &str) {
    assert!(error.starts_with(path), "{error:?} does not name {path}");
}

#[test]
fn what_was_closed_honestly_matches() {
    let (world, bundle) = scene();
    for bundle in &world.bundles {
        let read = Bundle::from_bytes(&bundle.to_bytes()).unwrap();
        assert_eq!(&read, bundle);
        let found = audit(&read, &standard()).unwrap();
        assert_eq!((found.epoch, found.digest, found.withheld), (bundle.header.epoch, bundle.digest(), 0));
        assert_eq!(found.root, bundle.result.root);
    }
    assert_eq!(bundle.header.epoch, Epoch(1));
    let counts = bundle.verdict_counts();
    assert_eq!((counts.accept, counts.reject, counts.inconclusive), (1, 2, 0));
}

/// Every section's name, as errors have it.
fn is_named(error: &str) -> bool {
    [
        "section header ",
        "section ledger ",
        "section customers ",
        "section devices[",
        "section result ",
        "section digest ",
    ]
    .iter()
    .any(|name| error.starts_with(name))
}

/// Reads `bytes` as an auditor does.
fn read_and_audit(bytes: &[u8]) -> Result<(), String> {
    let bundle = Bundle::from_bytes(bytes).map_err(|error| error.to_string())?;
    audit(&bundle, &standard()).map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_flipped_byte_of_a_bundle_is_found_and_nearly_every_one_named() {
    let (_, bundle) = scene();
    let bytes = bundle.to_bytes();
    let mut unnamed = 0;
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = read_and_audit(&flipped).expect_err("a flipped byte");
        if !is_named(&error) {
            // The frame around the sections: lengths, and the name of the format.
            assert!(error.starts_with("this is no bundle: "), "{at}: {error}");
            unnamed += 1;
        }
    }
    // A header and length of each of 7 sections and 7 hashes, the format, and what stands around them.
    assert!(unnamed <= 64, "{unnamed} of {} bytes are part of nothing", bytes.len());
}

#[test]
fn a_flipped_byte_is_named_by_the_section_it_is_in() {
    let (_, bundle) = scene();
    let bytes = bundle.to_bytes();
    for (what, name) in [
        (cbor::to_vec(&bundle.header), "section header was changed"),
        (cbor::to_vec(&bundle.ledger), "section ledger was changed"),
        (cbor::to_vec(&bundle.customers), "section customers was changed"),
        (cbor::to_vec(&bundle.devices[0]), "section devices[0] was changed"),
        (cbor::to_vec(&bundle.devices[2]), "section devices[2] was changed"),
        (cbor::to_vec(&bundle.result), "section result was changed"),
    ] {
        let at = bytes.windows(what.len()).position(|window| window == what).unwrap();
        for at in [at, at + what.len() / 2, at + what.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            let error = read_and_audit(&flipped).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}

#[test]
fn truncated_or_lengthened_bundles_are_refused() {
    let (_, bundle) = scene();
    let bytes = bundle.to_bytes();
    for end in (0..bytes.len()).step_by(7) {
        assert!(matches!(Bundle::from_bytes(&bytes[..end]), Err(BundleError::Format(_))), "{end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(Bundle::from_bytes(&longer), Err(BundleError::Format(_))));
}

type File = (String, Digest, Vec<Digest>, Vec<ByteVec>);

#[test]
fn a_section_with_more_in_it_than_it_should_have_is_refused() {
    // A decoder that skips what it does not know would let two files pass for one bundle.
    let (_, bundle) = scene();
    let (format, _, _, sections): File = cbor::from_slice(&bundle.to_bytes()).unwrap();
    for at in 0..sections.len() {
        let mut sections = sections.clone();
        let section = &mut sections[at];
        if section[0] >> 5 != 4 || section[0] & 0x1f > 22 {
            continue;
        }
        section[0] += 1;
        section.push(0xf6);
        let mut hashes = Vec::new();
        let mut tree = depin::log::Tree::default();
        for section in &sections {
            hashes.push(depin::log::leaf_hash(section));
            tree.push(depin::log::leaf_hash(section));
        }
        let root = tree.head(tree.size()).unwrap().root;
        let digest = depin_core::sha256(&[format.as_bytes(), &tree.size().to_be_bytes(), root.as_bytes()]);
        let file: File = (format.clone(), digest, hashes, sections);
        assert!(
            matches!(Bundle::from_bytes(&cbor::to_vec(&file)), Err(BundleError::Content { .. })),
            "section {at}"
        );
    }
}

#[test]
fn forged_sums_are_named() {
    let (_, bundle) = scene();
    let one = Amount(1);
    let more = |amount: &mut Amount| *amount = amount.checked_add(one).unwrap();
    let at = bundle.devices.iter().position(|section| section.earned > Amount::ZERO).unwrap();
    names(&refusal(&bundle, |forged| more(&mut forged.devices[at].earned)), &format!("devices[{at}].earned"));
    names(
        &refusal(&bundle, |forged| more(&mut forged.devices[at].lines[0].emission)),
        &format!("devices[{at}].lines[0].emission"),
    );
    names(
        &refusal(&bundle, |forged| forged.devices[at].lines[0].account = wallet("thief").address()),
        &format!("devices[{at}].lines[0].account"),
    );
    let changes: [(Change, &str); 12] = [
        (|forged| forged.result.pool.0 += 1, "result.pool"),
        (|forged| forged.result.paid.0 += 1, "result.paid"),
        (|forged| forged.result.dust.0 += 1, "result.dust"),
        (|forged| forged.result.burned.0 += 1, "result.burned"),
        (|forged| forged.result.minted.0 += 1, "result.minted"),
        (|forged| forged.result.revenue.0 += 1, "result.revenue"),
        (|forged| forged.result.root.0[0] ^= 1, "result.root"),
        (|forged| forged.result.claims += 1, "result.claims"),
        (|forged| forged.customers[0].charge = None, "customers[0].charge"),
        (|forged| forged.header.state_after.0[0] ^= 1, "header.state_after"),
        (|forged| forged.header.schedule.answer_until += 1, "header.schedule.answer_until"),
        (|forged| forged.header.beacon = None, "header.beacon"),
    ];
    for (change, path) in changes {
        names(&refusal(&bundle, change), path);
    }
}

#[test]
fn forged_verdicts_are_named() {
    let (_, bundle) = scene();
    let at =
        bundle.devices.iter().position(|section| section.verdicts[0].outcome == Outcome::Reject).unwrap();
    let path = format!("devices[{at}].verdicts[0]");
    names(&refusal(&bundle, |forged| forged.devices[at].verdicts.clear()), &path);
    let accept = |forged: &mut Bundle| {
        let verdict = &mut forged.devices[at].verdicts[0];
        verdict.outcome = Outcome::Accept;
        verdict.contributions[0].outcome = Outcome::Accept;
        verdict.contributions[0].proved.quantity = 5;
    };
    names(&refusal(&bundle, accept), &path);
    names(
        &refusal(&bundle, |forged| drop(forged.devices[at].verdicts[0].findings.pop())),
        &format!("{path}.findings"),
    );
    names(
        &refusal(&bundle, |forged| forged.devices[at].verdicts[0].params.0[0] ^= 1),
        &format!("{path}.params"),
    );
}

#[test]
fn forged_owners_and_accounts_before_are_named() {
    let (_, bundle) = scene();
    let thief = wallet("thief").address();
    let owner = |forged: &mut Bundle| forged.devices[0].record.as_mut().unwrap().owner = thief;
    names(&refusal(&bundle, owner), "devices[0].record.owner");
    let owner_before = |forged: &mut Bundle| forged.devices[0].before.record.as_mut().unwrap().owner = thief;
    names(&refusal(&bundle, owner_before), "header.state_before");
    let credit = |forged: &mut Bundle| forged.customers[0].before.as_mut().unwrap().spent = Amount::ZERO;
    names(&refusal(&bundle, credit), "header.state_before");
    names(&refusal(&bundle, |forged| forged.customers[0].customer = thief), "customers[0].customer");
    names(&refusal(&bundle, |forged| drop(forged.devices.remove(0))), "journal: position");
    names(&refusal(&bundle, |forged| forged.ledger.totals_before.paid.0 += 1), "header.state_before");
    names(&refusal(&bundle, |forged| forged.ledger.chain_before = None), "header.state_before");
    names(&refusal(&bundle, |forged| forged.devices[0].before.deals[0].spent.0 += 1), "header.state_before");
    names(&refusal(&bundle, |forged| forged.devices[0].before.memories.clear()), "header.state_before");
    names(&refusal(&bundle, |forged| forged.devices[0].before.marks.clear()), "header.state_before");
}

#[test]
fn forged_parameters_are_named() {
    let (_, bundle) = scene();
    let error = refusal(&bundle, |forged| {
        forged.header.params.demand = depin_rewards::DemandParams::new(bps(1), bps(9_900)).unwrap();
    });
    names(&error, "customers[0].charge");
    let error = refusal(&bundle, |forged| forged.header.params.answer = bps(9_000));
    names(&error, "devices[");
    names(&refusal(&bundle, |forged| forged.header.params.open_limit = 65), "the bundle's parameters");
    names(
        &refusal(&bundle, |forged| forged.header.params.beacon.anchor[0] ^= 1),
        "the epoch cannot be closed again",
    );
    names(
        &refusal(&bundle, |forged| forged.header.params.registry = wallet("x").address()),
        "header.checkpoint",
    );
    names(
        &refusal(&bundle, |forged| forged.header.params.services[0].verifier = "mine/1".into()),
        "the bundle's parameters",
    );
}

/// Takes one entry out of a device's section, numbers the rest anew and hashes the journal again, signing its head with `key`.
fn without_an_answer(forged: &mut Bundle, key: Option<&SoftwareKey>) {
    let section = forged.devices.iter_mut().find(|section| section.earned > Amount::ZERO).unwrap();
    let gone = section.entries.pop().unwrap().index;
    let all = forged
        .ledger
        .entries
        .iter_mut()
        .chain(forged.devices.iter_mut().flat_map(|section| &mut section.entries));
    let mut slots = BTreeMap::new();
    for indexed in all {
        indexed.index -= u64::from(indexed.index > gone);
        slots.insert(indexed.index, Slot::Entry(indexed.entry.clone()));
    }
    let slots: Vec<Slot> = slots.into_values().collect();
    forged.header.journal_after = head_of(&forged.header.journal_before, &slots);
    if let Some(key) = key {
        forged.header.checkpoint = checkpoint(&forged.header.params, key, forged.header.journal_after);
    }
}

#[test]
fn a_journal_with_an_entry_less_is_named() {
    let (_, bundle) = scene();
    let section = |forged: &mut Bundle| drop(forged.devices[0].entries.pop());
    names(&refusal(&bundle, section), "journal: position");
    names(&refusal(&bundle, |forged| without_an_answer(forged, None)), "header.checkpoint");
    let stranger = SoftwareKey::from_seed([1; 32]);
    let error = refusal(&bundle, |forged| without_an_answer(forged, Some(&stranger)));
    names(&error, "header.checkpoint: the checkpoint bears no valid signature");
    // The node itself can sign another journal; then what it paid no longer follows.
    let error = refusal(&bundle, |forged| without_an_answer(forged, Some(&node_key())));
    names(&error, "customers[0].charge");
}

#[test]
fn changed_entries_are_named() {
    let (_, bundle) = scene();
    names(
        &refusal(&bundle, |forged| {
            for indexed in &mut forged.ledger.entries {
                if let Entry::Opened { at, .. } = &mut indexed.entry {
                    at.0 += 1;
                }
            }
        }),
        "header.journal_after",
    );
    let twice = |forged: &mut Bundle| {
        let again = forged.ledger.entries[0].clone();
        forged.ledger.entries.push(again);
    };
    names(&refusal(&bundle, twice), "journal: position");
    let huge = |forged: &mut Bundle| forged.ledger.entries[0].index = u64::MAX;
    names(&refusal(&bundle, huge), "journal: position");
}

/// Replaces the entries of a bundle that `pick` picks by their leaves.
fn withhold(bundle: &Bundle, pick: impl Fn(&Entry) -> bool) -> Bundle {
    let mut withholding = bundle.clone();
    let sections = withholding.devices.iter_mut().map(|section| &mut section.entries);
    for entries in sections.chain([&mut withholding.ledger.entries]) {
        let (gone, kept) = entries.drain(..).partition(|indexed: &Indexed| pick(&indexed.entry));
        *entries = kept;
        let gone: Vec<Indexed> = gone;
        withholding.ledger.withheld.extend(gone.iter().map(|indexed| (indexed.index, indexed.entry.leaf())));
    }
    withholding.ledger.withheld.sort_unstable();
    Bundle::from_bytes(&withholding.to_bytes()).unwrap()
}

#[test]
fn what_is_withheld_never_matches() {
    let (_, bundle) = scene();
    let reports = withhold(&bundle, |entry| matches!(entry, Entry::Report { .. }));
    let found = audit(&reports, &standard()).unwrap();
    assert_eq!(found.withheld, 4);
    assert_ne!(found.digest, bundle.digest());
    // Whatever else such a bundle says, it is not said to match.
    let mut forged = reports.clone();
    forged.result.paid = Amount(1_000_000);
    assert!(audit(&forged, &standard()).is_ok_and(|found| found.withheld > 0));
    let mut other = reports.clone();
    other.ledger.withheld[0].1.0[0] ^= 1;
    names(&audit(&other, &standard()).unwrap_err().to_string(), "header.journal_after");
    // Without its opening an epoch cannot be closed at all.
    let opening = withhold(&bundle, |entry| matches!(entry, Entry::Opened { .. }));
    assert!(matches!(audit(&opening, &standard()), Err(AuditError::Close(_))));
}

#[test]
fn the_first_epoch_starts_from_nothing() {
    let mut world = World::new();
    let customer = wallet("customer").address();
    let event = ChainEvent::CreditsPaid { customer, amount: Amount(1_000_000), burned: Amount(500_000) };
    // Credit that nobody paid for, from before there was anything.
    world.state.credits.apply(&event).unwrap();
    let mut device = Device::new("a");
    world.chain(device.registration());
    world.deal(signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 1), &device.set));
    world.open();
    let bundle = world.honest(&mut [&mut device]);
    assert_eq!(bundle.result.paid, EARNED);
    names(&audit(&bundle, &standard()).unwrap_err().to_string(), "header.state_before");
    // Naming a predecessor does not help: there is none of an epoch 0.
    let mut world = World::new();
    world.previous = Some(Digest([1; 32]));
    world.open();
    let bundle = world.end();
    names(&audit(&bundle, &standard()).unwrap_err().to_string(), "header.previous");
}

#[test]
fn a_later_epoch_names_its_predecessor() {
    let (world, _) = scene();
    let [first, second] = world.bundles.as_slice() else { panic!() };
    names(&refusal(second, |forged| forged.header.previous = None), "header.previous");
    assert!(audit_succession(first, second).is_ok());
    names(&audit_succession(second, first).unwrap_err().to_string(), "header.epoch");
}

#[test]
fn a_bundle_that_starts_from_another_state_does_not_follow() {
    // Everything in it is recomputed consistently, head and all, by the node itself: only the predecessor shows it.
    let (world, second) = scene();
    let first = &world.bundles[0];
    let event = ChainEvent::CreditsPaid {
        customer: wallet("customer").address(),
        amount: Amount(1_000_000),
        burned: Amount(500_000),
    };
    let mut richer = World::new();
    richer.epoch = Epoch(1);
    richer.previous = Some(first.digest());
    richer.state.frontier = second.header.journal_before.clone();
    richer.state.credits.apply(&event).unwrap();
    richer.open();
    let forged = richer.end();
    assert!(audit(&forged, &standard()).is_ok());
    let error = audit_succession(first, &forged).unwrap_err().to_string();
    names(&error, "header.state_before");
    let change = |change: fn(&mut Bundle)| {
        let mut forged = second.clone();
        change(&mut forged);
        audit_succession(first, &forged).unwrap_err().to_string()
    };
    names(&change(|forged| forged.header.previous = Some(Digest([1; 32]))), "header.previous");
    names(&change(|forged| forged.header.epoch = Epoch(7)), "header.epoch");
    names(&change(|forged| forged.header.params.version += 1), "header.params.version");
    names(&change(|forged| forged.header.journal_before = Default::default()), "header.journal_before");
}

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
    world.chain(device.transfer(wallet("buyer").address(), 1));
    holds(&world.honest(&mut [&mut device]));
    world.open();
    world.beacon();
    world.answer(&mut device);
    world.chain(ChainEvent::DeviceDeactivated { device: device.id().on_chain() });
    world.answer(&mut device);
    holds(&world.end());
}

/// The same epoch closed from other entries, its head signed again by the node.
fn closed_from(world: &World, entries: Vec<Slot>) -> Bundle {
    let head = head_of(&world.state.frontier, &entries);
    let checkpoint = checkpoint(world.network.params(), &node_key(), head);
    let Closed { bundle, .. } =
        close(&world.network, EpochInput { entries, checkpoint, ..world.input() }).unwrap();
    audit(&bundle, &standard()).expect("the operator's bundle is consistent in itself");
    bundle
}

/// A cut epoch of one device, with the receipts for its set and its answer.
fn promised() -> (World, Vec<Receipt>) {
    let mut device = Device::new("a");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.at(10);
    let set = world.commit(&mut device);
    world.beacon();
    let answer = world.answer(&mut device);
    let receipts = vec![world.receipt(set), world.receipt(answer)];
    world.cut();
    (world, receipts)
}

fn signed_receipts(receipts: &[Receipt]) -> Vec<(String, Vec<u8>)> {
    let sign = |receipt: &Receipt| receipt.sign_with(&node_key(), params().network()).unwrap();
    receipts.iter().enumerate().map(|(at, receipt)| (format!("{at}.receipt"), sign(receipt))).collect()
}

#[test]
fn kept_promises_are_counted() {
    let (world, receipts) = promised();
    let bundle = closed_from(&world, world.slots.clone());
    let mut all = signed_receipts(&receipts);
    let elsewhere = Receipt { epoch: Epoch(3), ..receipts[0].clone() };
    all.extend(signed_receipts(&[elsewhere]));
    let found = audit_receipts(&bundle, &all).unwrap();
    assert_eq!((found.kept, found.other), (2, 1));
    assert_eq!(audit_receipts(&bundle, &[]).unwrap().kept, 0);
}

#[test]
fn a_dropped_report_is_proved_by_its_receipt() {
    let (world, receipts) = promised();
    let at = usize::try_from(receipts[1].index).unwrap();
    let mut entries = world.slots.clone();
    entries.remove(at);
    let bundle = closed_from(&world, entries);
    assert_eq!(bundle.result.paid, Amount::ZERO);
    let broken = audit_receipts(&bundle, &signed_receipts(&receipts)).unwrap_err();
    let BrokenPromise::Dropped { name, report, index, epoch } = broken else { panic!("{broken}") };
    assert_eq!(
        (name.as_str(), report, index, epoch),
        ("1.receipt", receipts[1].report, receipts[1].index, Epoch(0))
    );
    // So is one that counts in another epoch than was promised.
    let mut later = World::of(&wallet("customer"), &[&Device::new("a")], 1);
    later.cut();
    assert!(matches!(
        audit_receipts(&later.close().bundle, &signed_receipts(&receipts)),
        Err(BrokenPromise::Dropped { .. })
    ));
}

#[test]
fn a_backdated_report_is_proved_by_its_receipt() {
    let mut device = Device::new("friend");
    let mut world = World::of(&wallet("customer"), &[&device], 1);
    world.commit(&mut device);
    world.beacon();
    world.at(ANSWER + 5);
    let index = world.answer(&mut device);
    let receipt = world.receipt(index);
    world.cut();
    let mut entries = world.slots.clone();
    let Slot::Entry(Entry::Report { received, .. }) = &mut entries[usize::try_from(index).unwrap()] else {
        panic!()
    };
    received.0 -= 5;
    let bundle = closed_from(&world, entries);
    assert_eq!(bundle.result.paid, EARNED, "in time, it says");
    let broken = audit_receipts(&bundle, &signed_receipts(&[receipt])).unwrap_err();
    assert!(
        matches!(broken, BrokenPromise::Moved { index: promised, found_index, .. } if promised == found_index),
        "{broken}"
    );
}

#[test]
fn two_journals_are_proved_by_a_receipt() {
    let (world, receipts) = promised();
    let mut entries = world.slots.clone();
    let at = usize::try_from(receipts[0].index).unwrap();
    let Slot::Entry(Entry::Report { received, .. }) = &mut entries[at] else { panic!() };
    received.0 += 1;
    let bundle = closed_from(&world, entries);
    // The second report stands where it was promised to stand, in another journal.
    let broken = audit_receipts(&bundle, &signed_receipts(&receipts[1..])).unwrap_err();
    assert!(
        matches!(broken, BrokenPromise::Equivocation { size, .. } if size == receipts[1].head.size),
        "{broken}"
    );
}

#[test]
fn receipts_of_others_prove_nothing() {
    let (world, receipts) = promised();
    let bundle = closed_from(&world, world.slots.clone());
    let named = |bytes: Vec<u8>| audit_receipts(&bundle, &[("x".into(), bytes)]).unwrap_err();
    let elsewhere = depin_core::NetworkId::new(1, registry_address());
    let foreign = receipts[0].sign_with(&node_key(), elsewhere).unwrap();
    assert!(matches!(named(foreign), BrokenPromise::Unreadable { name, .. } if name == "x"));
    let stranger = SoftwareKey::from_seed([9; 32]);
    let other = receipts[0].sign_with(&stranger, params().network()).unwrap();
    assert!(matches!(named(other), BrokenPromise::Unreadable { .. }));
    let mut flipped = receipts[0].sign_with(&node_key(), params().network()).unwrap();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    assert!(matches!(named(flipped), BrokenPromise::Unreadable { .. }));
    assert!(matches!(named(Vec::new()), BrokenPromise::Unreadable { .. }));
}

#[test]
fn a_size_is_written_in_one_way_only() {
    let head = depin_identity::Head { size: 5, root: Digest([7; 32]) };
    let key = node_key();
    let typed = key.public().typed();
    let origin = params().log_origin();
    let right = Checkpoint { origin: origin.clone(), head };
    for (text, holds) in [
        (right.text(), true),
        (right.text().replace("\n5\n", "\n+5\n"), false),
        (right.text().replace("\n5\n", "\n05\n"), false),
        (right.text().replace("\n5\n", "\n5 \n"), false),
    ] {
        let verify = |message: &[u8], _: &[u8; 64]| message == text.as_bytes();
        let note = right.note(&typed, &[0; 64]).replace(&right.text(), &text);
        assert_eq!(Checkpoint::open(&note, &origin, &typed, verify).is_ok(), holds, "{text}");
    }
}

fn decode_all(bytes: &[u8]) {
    drop(Bundle::from_bytes(bytes));
    drop(Excerpt::open(bytes));
    drop(cbor::from_slice::<Entry>(bytes));
    let text = String::from_utf8_lossy(bytes);
    let typed = node_key().public().typed();
    drop(Checkpoint::open(&text, &params().log_origin(), &typed, |_, _| true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn random_bytes_are_refused_without_panic(bytes: Vec<u8>) {
        decode_all(&bytes);
        prop_assert!(Bundle::from_bytes(&bytes).is_err());
        prop_assert!(Excerpt::open(&bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn damaged_entries_and_notes_never_panic(at: prop::sample::Index, value: u8, end: prop::sample::Index) {
        let (_, bundle) = scene();
        let note = bundle.header.checkpoint.clone().into_bytes();
        let entries = bundle.devices.iter().flat_map(|section| &section.entries).chain(&bundle.ledger.entries);
        let excerpt = bundle.excerpt(&bundle.devices[0].device).unwrap().to_bytes();
        for bytes in entries.map(|indexed| cbor::to_vec(&indexed.entry)).chain([note, excerpt]) {
            let mut damaged = bytes.clone();
            let at = at.index(damaged.len());
            damaged[at] = value;
            decode_all(&damaged);
            let cut = &bytes[..end.index(bytes.len())];
            decode_all(cut);
            prop_assert!(cbor::from_slice::<Entry>(cut).is_err());
        }
    }

    /// Whatever is changed in a bundle's values, an audit refuses it or reads it as what it was.
    #[test]
    fn hostile_sections_never_panic(at: prop::sample::Index, value: u8, section in 0usize..7) {
        let (_, bundle) = scene();
        let (format, _, mut hashes, mut sections): File = cbor::from_slice(&bundle.to_bytes()).unwrap();
        let at = at.index(sections[section].len());
        sections[section][at] = value;
        let mut tree = depin::log::Tree::default();
        for (section, hash) in sections.iter().zip(&mut hashes) {
            *hash = depin::log::leaf_hash(section);
            tree.push(*hash);
        }
        let root = tree.head(tree.size()).unwrap().root;
        let digest = depin_core::sha256(&[format.as_bytes(), &tree.size().to_be_bytes(), root.as_bytes()]);
        let bytes = cbor::to_vec(&(format, digest, hashes, sections));
        if let Ok(read) = Bundle::from_bytes(&bytes) {
            prop_assert_eq!(read.digest(), digest);
            if read != bundle {
                // What the journal and the recomputation do not cover: the network's version, and which bundle came before.
                let mut free = read.clone();
                free.header.params.version = bundle.header.params.version;
                free.header.previous = bundle.header.previous;
                prop_assert!(free == bundle || audit(&read, &standard()).is_err());
            }
        }
    }
}
