//! Killed with SIGKILL at any moment, again and again, while devices report over HTTP and MQTT: nothing that was acknowledged is lost, nothing
//! counts twice, and what comes out is what would have come out anyway.
//!
//! `DEPIN_KILLS` is how often, over as many epochs as that takes; `DEPIN_KILL_SEED` decides when.

mod plan;
mod process;
mod run;

use std::collections::BTreeMap;

use depin_core::ChainEvent;

use self::{
    plan::plan,
    run::{Course, reports_in, run},
};
use super::{mqtt::Mosquitto, *};

/// What an environment variable says, as a number.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_fifty_times_a_node_gives_what_it_gives_undisturbed() {
    if let Some(settings) = process::asked() {
        return process::be_a_node(settings).await;
    }
    let Some(broker) = Mosquitto::start("killed_fifty_times") else { return };
    let kills = usize::try_from(number("DEPIN_KILLS", 50)).unwrap();
    // Long enough for most kills to hit something.
    let epochs = u64::try_from(kills.div_ceil(17)).unwrap();
    let undisturbed = run(&broker, epochs, BTreeMap::new()).await;
    check(&undisturbed);
    drop(broker);
    let Some(broker) = Mosquitto::start("killed_fifty_times") else { return };
    let plan = plan(number("DEPIN_KILL_SEED", 1), kills, undisturbed.operations);
    let killed = run(&broker, epochs, plan).await;
    eprintln!("{} operations, {} kills, {} begun again", killed.operations, killed.kills, killed.again);
    assert_eq!(usize::try_from(killed.kills).unwrap(), kills);
    assert!(killed.again > 0, "nobody noticed");
    check(&killed);
    same_journal(&killed.outcome.journal, &undisturbed.outcome.journal);
    assert!(killed.outcome == undisturbed.outcome, "other bundles or receipts from the same journal");
}

/// The first entry that differs says more than two long journals.
fn same_journal(found: &[Vec<u8>], expected: &[Vec<u8>]) {
    let entry = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| cbor::from_slice::<Entry>(bytes).unwrap());
    for at in 0..found.len().max(expected.len()) {
        assert_eq!(entry(found.get(at)), entry(expected.get(at)), "entry {at}");
    }
}

/// What holds however often the node died.
fn check(course: &Course) {
    let outcome = &course.outcome;
    let bundles: Vec<Bundle> =
        outcome.bundles.iter().map(|bytes| Bundle::from_bytes(bytes).unwrap()).collect();
    for bundle in &bundles {
        assert_eq!(audit(bundle, &Catalogue::standard()).unwrap().withheld, 0);
        assert!(bundle.devices.iter().all(|section| section.earned == EARNED));
    }
    for pair in bundles.windows(2) {
        depin::audit_succession(&pair[0], &pair[1]).unwrap();
    }
    // Every receipt names a report that is where it says; every report has its receipt and is there once.
    let receipts: Vec<_> =
        outcome.receipts.iter().map(|(report, bytes)| (report.to_string(), bytes.clone())).collect();
    let kept: u64 = bundles.iter().map(|bundle| audit_receipts(bundle, &receipts).unwrap().kept).sum();
    assert_eq!(usize::try_from(kept).unwrap(), receipts.len());
    let expected: BTreeMap<_, _> = outcome.receipts.keys().map(|report| (*report, 1)).collect();
    assert_eq!(reports_in(&outcome.journal), expected);
    for (index, bytes) in outcome.journal.iter().enumerate() {
        let entry: Entry = cbor::from_slice(bytes).unwrap();
        assert!(!matches!(entry, Entry::Refused { .. }), "{index}: {entry:?}");
    }
    one_root_each(course, &bundles);
}

/// Every epoch has one root on chain, which is its bundle's, and pays every owner once.
fn one_root_each(course: &Course, bundles: &[Bundle]) {
    let mut proposed = Vec::new();
    let mut finals = Vec::new();
    let mut claims = BTreeMap::new();
    for located in &course.events {
        match &located.event {
            ChainEvent::RootProposed { epoch, root, bundle } => proposed.push((*epoch, *root, *bundle)),
            ChainEvent::RootFinal { epoch, root, bundle, .. } => finals.push((*epoch, *root, *bundle)),
            ChainEvent::Claimed { epoch, account, amount } => {
                assert_eq!(claims.insert((*epoch, *account), *amount), None);
            }
            _ => {}
        }
    }
    let expected: Vec<_> =
        bundles.iter().map(|bundle| (bundle.header.epoch, bundle.result.root, bundle.digest())).collect();
    assert_eq!((&proposed, &finals), (&expected, &expected));
    let owed: BTreeMap<_, _> = bundles
        .iter()
        .flat_map(|bundle| {
            bundle.payouts().into_iter().map(|(account, amount)| ((bundle.header.epoch, account), amount))
        })
        .collect();
    assert_eq!(claims, owed);
}
