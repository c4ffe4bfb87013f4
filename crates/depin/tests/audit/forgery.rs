//! Bundles that somebody changed and hashed again.

use super::*;

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
    // The node signed which parameters the epoch opened under: even one that decides nothing cannot be changed.
    let changes: [Change; 10] = [
        |forged| forged.header.params.version += 1,
        |forged| forged.header.params.distributor = wallet("thief").address(),
        |forged| forged.header.params.clock_skew.0 += 1,
        |forged| forged.header.params.open_limit += 1,
        |forged| forged.header.params.sig_policy = depin_identity::SigPolicy::Zip215,
        |forged| forged.header.params.answer = bps(9_000),
        |forged| forged.header.params.genesis.0 -= 1,
        |forged| forged.header.params.demand = depin_rewards::DemandParams::new(bps(1), bps(9_900)).unwrap(),
        |forged| forged.header.params.beacon.anchor[0] ^= 1,
        |forged| {
            forged.header.params.services[0].params =
                cbor::to_vec(&depin_proof::possession::PossessionParams::default())
        },
    ];
    for change in changes {
        let error = refusal(&bundle, change);
        names(&error, "the epoch cannot be closed again: entry");
        assert!(error.contains("opened under the parameters"), "{error}");
    }
    names(&refusal(&bundle, |forged| forged.header.params.open_limit = 65), "the bundle's parameters");
    names(
        &refusal(&bundle, |forged| forged.header.params.registry = wallet("x").address()),
        "header.checkpoint",
    );
    let own =
        |forged: &mut Bundle| forged.header.params.node = SoftwareKey::from_seed([1; 32]).public().typed();
    names(&refusal(&bundle, own), "header.checkpoint");
    let verifier = |forged: &mut Bundle| forged.header.params.services[0].verifier = "mine/1".into();
    names(&refusal(&bundle, verifier), "the bundle's parameters");
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
