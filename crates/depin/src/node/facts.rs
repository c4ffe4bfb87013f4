//! What a bundle says, as the index takes it.

use std::collections::BTreeMap;

use depin_core::{DeviceId, KeyId, Outcome, Text, Timestamp, Units, Verdict, cbor, sha256};
use depin_identity::{Envelope, ReplayError, Report};
use depin_index::{
    ClaimFacts, CustomerEpoch, DeviceEpoch, EpochFacts, Line, RefusalFacts, ReportEpoch, VerdictCounts,
};
use depin_rewards::ClaimTree;

use crate::{
    bundle::{Bundle, DeviceSection},
    check::{Received, check_again},
    entry::Entry,
    state::DeviceState,
};

/// The facts of a closed epoch.
pub(super) fn epoch_facts(bundle: &Bundle) -> EpochFacts {
    let counts = bundle.verdict_counts();
    let unit = &bundle.header.params.unit;
    let lines = bundle.devices.iter().flat_map(|section| &section.lines);
    let units = lines.map(|line| line.units).fold(0, u128::saturating_add);
    EpochFacts {
        epoch: bundle.header.epoch,
        bundle: bundle.digest(),
        root: bundle.result.root,
        pool: bundle.result.pool,
        paid: bundle.result.paid,
        dust: bundle.result.dust,
        burned: bundle.result.burned,
        minted: bundle.result.minted,
        revenue: bundle.result.revenue,
        units: Units::new(unit.clone(), units),
        opened: Timestamp(bundle.header.schedule.opens),
        closed: Timestamp(bundle.header.schedule.closes),
        verdicts: VerdictCounts {
            accept: counts.accept,
            reject: counts.reject,
            inconclusive: counts.inconclusive,
        },
        devices: bundle.devices.iter().filter_map(|section| device_epoch(bundle, section)).collect(),
        customers: bundle
            .customers
            .iter()
            .filter_map(|section| section.charge)
            .map(|charge| CustomerEpoch {
                address: charge.customer,
                spent: charge.spend,
                burned: charge.burned,
            })
            .collect(),
        reports: bundle.devices.iter().filter_map(|section| report_epoch(bundle, section)).collect(),
        refusals: refusals(bundle),
    }
}

fn device_epoch(bundle: &Bundle, section: &DeviceSection) -> Option<DeviceEpoch> {
    let quantity = section.lines.iter().map(|line| line.units).fold(0, u128::saturating_add);
    Some(DeviceEpoch {
        device: section.device,
        owner: section.record.as_ref()?.owner_at(bundle.header.epoch),
        units: Units::new(bundle.header.params.unit.clone(), quantity),
        earned: section.earned,
        lines: section.lines.iter().map(line).collect(),
        verdict: verdict(&section.verdicts)?,
    })
}

fn line(earned: &depin_rewards::Earned) -> Line {
    Line {
        deal: earned.deal,
        customer: earned.customer,
        units: earned.units,
        revenue: earned.revenue,
        emission: earned.emission,
    }
}

/// The reports of a device that counted, and the sequence numbers they skipped; none if it sent none.
fn report_epoch(bundle: &Bundle, section: &DeviceSection) -> Option<ReportEpoch> {
    let mut sent: Vec<_> = section
        .entries
        .iter()
        .filter_map(|indexed| match &indexed.entry {
            Entry::Report { received, envelope } => Some((indexed.index, *received, envelope)),
            _ => None,
        })
        .collect();
    sent.sort_unstable_by_key(|(index, ..)| *index);
    let mut state = section.before.clone();
    let mut last: BTreeMap<(KeyId, u32), u64> = BTreeMap::new();
    for known in &state.marks {
        last.extend(known.marks.boots().map(|(boot, highest)| ((known.key, boot), highest)));
    }
    let mut counts = ReportEpoch { device: section.device, counted: 0, span: None, missing: 0 };
    let any = !sent.is_empty();
    for (_, received, envelope) in sent {
        let Some((key, report)) = counted(&mut state, envelope) else { continue };
        if !still_counts(bundle, section, key, &report, received) {
            continue;
        }
        counts.counted = counts.counted.saturating_add(1);
        counts.span = Some((counts.span.map_or(received, |(first, _)| first), received));
        // A start of the device that is new may begin at any number.
        let before = last.entry((key, report.boot)).or_insert(report.sequence);
        if report.sequence > *before {
            let skipped = report.sequence.saturating_sub(*before).saturating_sub(1);
            counts.missing = counts.missing.saturating_add(skipped);
            *before = report.sequence;
        }
    }
    any.then_some(counts)
}

/// What a report says, if it counts after what `state` has seen: as the fold decides, without asking again who signed.
fn counted(state: &mut DeviceState, envelope: &[u8]) -> Option<(KeyId, Report)> {
    let envelope = Envelope::parse(envelope).ok()?;
    let report: Report = cbor::from_slice(envelope.payload()).ok()?;
    let statement = sha256(&[envelope.payload()]);
    match state.admit(envelope.key_id(), report.boot, report.sequence) {
        Ok(_) => {}
        Err(ReplayError::Duplicate { .. }) if !state.has_stated(&statement) => {}
        Err(_) => return None,
    }
    state.remember_statement(statement, report.time);
    Some((envelope.key_id(), report))
}

/// Whether the registry's word at the cut lets a report count.
fn still_counts(
    bundle: &Bundle,
    section: &DeviceSection,
    key: KeyId,
    report: &Report,
    received: Timestamp,
) -> bool {
    let received = Received { at: received, epoch: bundle.header.epoch };
    check_again(section.record.as_ref(), &key, bundle.header.params.rotation_grace, report, received).is_ok()
}

/// A device with several services has several verdicts; the index shows one, with every contribution and finding.
fn verdict(verdicts: &[Verdict]) -> Option<Verdict> {
    let (first, rest) = verdicts.split_first()?;
    let mut all = first.clone();
    for verdict in rest {
        if verdict.outcome == Outcome::Accept {
            all.outcome = Outcome::Accept;
        }
        all.contributions.extend(verdict.contributions.iter().cloned());
        all.findings.extend(verdict.findings.iter().cloned());
    }
    Some(all)
}

fn refusals(bundle: &Bundle) -> Vec<RefusalFacts> {
    let mut counts: BTreeMap<(Option<DeviceId>, Text), u64> = BTreeMap::new();
    let entries = bundle.devices.iter().flat_map(|section| &section.entries).chain(&bundle.ledger.entries);
    for indexed in entries {
        if let Entry::Refused { refusal, .. } = &indexed.entry {
            let count = counts.entry((refusal.device, refusal.reason.clone())).or_default();
            *count = count.saturating_add(1);
        }
    }
    counts.into_iter().map(|((device, reason), count)| RefusalFacts { device, reason, count }).collect()
}

/// The claims of a closed epoch, with their proofs.
pub(super) fn claim_facts(bundle: &Bundle) -> Vec<ClaimFacts> {
    let payouts = bundle.payouts();
    let Ok(tree) = ClaimTree::new(payouts.clone()) else { return Vec::new() };
    payouts
        .into_iter()
        .filter_map(|(account, amount)| {
            let (_, proof) = tree.proof(account)?;
            Some(ClaimFacts { epoch: bundle.header.epoch, account, amount, proof })
        })
        .collect()
}
