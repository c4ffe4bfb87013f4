//! What a bundle says, as the index takes it.

use std::collections::BTreeMap;

use depin_core::{DeviceId, Outcome, Text, Timestamp, Units, Verdict};
use depin_index::{ClaimFacts, CustomerEpoch, DeviceEpoch, EpochFacts, RefusalFacts, VerdictCounts};
use depin_rewards::ClaimTree;

use crate::{
    bundle::{Bundle, DeviceSection},
    entry::Entry,
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
        refusals: refusals(bundle),
    }
}

fn device_epoch(bundle: &Bundle, section: &DeviceSection) -> Option<DeviceEpoch> {
    let quantity = section.lines.iter().map(|line| line.units).fold(0, u128::saturating_add);
    Some(DeviceEpoch {
        device: section.device,
        owner: section.record.as_ref()?.owner,
        units: Units::new(bundle.header.params.unit.clone(), quantity),
        earned: section.earned,
        verdict: verdict(&section.verdicts)?,
    })
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
