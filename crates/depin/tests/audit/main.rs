//! What an audit believes, and what it names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

#[path = "../common/mod.rs"]
mod common;

mod bytes;
mod excerpts;
mod forgery;
mod receipts;
mod signatures;
mod succession;

use common::*;
use curve25519_dalek::{constants::EIGHT_TORSION, edwards::CompressedEdwardsY};
use depin::{
    Bundle, Catalogue, Signatures, audit,
    audit::{
        AuditError, BrokenPromise, audit_assuming, audit_excerpt, audit_knowing, audit_receipts,
        audit_succession,
    },
    bundle::BundleError,
    close::{Closed, EpochInput, Slot, close},
    entry::{Entry, Indexed},
    excerpt::Excerpt,
    log::Checkpoint,
};
use depin_core::{Amount, ChainEvent, DeviceId, Digest, Epoch, Outcome, Timestamp, TypedKey, cbor};
use depin_identity::{DeviceRecord, Receipt, Registry, SoftwareKey};
use depin_proof::possession::ANSWER_KIND;
use minicbor::bytes::ByteVec;
use proptest::prelude::*;
use std::collections::BTreeMap;

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

/// What is found right when the signatures of a file are checked in so many parts.
fn in_parts(bytes: &[u8], parts: usize) -> Signatures {
    let part = |part| Signatures::of_part(bytes, part, parts).unwrap().to_bytes();
    Signatures::from_bytes(&(0..parts).map(part).collect::<Vec<_>>().concat()).unwrap()
}

/// What an audit says of a bundle that somebody changed and hashed again.
fn refusal(bundle: &Bundle, change: impl FnOnce(&mut Bundle)) -> String {
    let mut forged = bundle.clone();
    change(&mut forged);
    assert_ne!(&forged, bundle, "nothing was changed");
    let read = Bundle::from_bytes(&forged.to_bytes()).expect("hashed again consistently");
    let refused = match audit(&read, &standard()) {
        Ok(found) => panic!("the forgery matches: {found:?}"),
        Err(error) => error.to_string(),
    };
    for parts in 1..=4 {
        let signatures = in_parts(&forged.to_bytes(), parts);
        let again = audit_knowing(&read, read.digest(), signatures, &standard());
        assert_eq!(again.unwrap_err().to_string(), refused, "signatures checked in {parts} parts");
    }
    if let Ok(found) = audit_assuming(&read, read.digest(), &standard()) {
        let right = Signatures::of(&forged).digest();
        assert_ne!(found.needed.digest(), right, "{:?} would be believed", found.audit);
    }
    refused
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

type File = (String, Digest, Vec<Digest>, Vec<ByteVec>);
