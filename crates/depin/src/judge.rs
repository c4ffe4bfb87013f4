//! Letting the verifiers judge every device, each on its own.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{Contribution, DeviceId, Digest, Epoch, Finding, Outcome, Text, Timestamp, Verdict};
use depin_identity::{DeviceRecord, Domain, Registry};
use depin_proof::{Case, Evidence, Schedule, Wanted};
use depin_rewards::Period;

use crate::{
    bundle::{DeviceSection, Header},
    each::each,
    fold::{Counted, Fold},
    network::Network,
    state::{DealState, State},
};

/// Judges one device again from its section of a bundle: what its owner can check without the other devices. Gives its record as well.
pub(crate) fn judge_section(
    network: &Network,
    header: &Header,
    section: &DeviceSection,
) -> Result<(Option<DeviceRecord>, Vec<Verdict>), String> {
    let domain = Domain { chain_id: network.params().chain_id, contract: network.params().registry };
    let mut state = State::new(domain);
    let records = section.before.record.clone().into_iter().collect();
    state.registry = Registry::from_records(domain, records).map_err(|error| error.to_string())?;
    state.devices.insert(section.device, section.before.clone().into());
    let mut fold = Fold::new(&state);
    // Whether another device has its serial, or the quota is used up, the section alone does not say.
    fold.believe(section.verdicts.iter().flat_map(|verdict| verdict.findings.iter().cloned()));
    let opens = Timestamp(header.schedule.opens);
    fold.opened = Some(opens);
    if let Some(beacon) = &header.beacon {
        beacon.check(network.beacon_rule(), header.epoch).map_err(|error| error.to_string())?;
        fold.beacon = Some(beacon.clone());
    }
    let mut entries = section.entries.clone();
    entries.sort_by_key(|indexed| indexed.index);
    for indexed in entries {
        fold.apply(network, header.epoch, indexed)?;
    }
    let judged = judge_device(network, header.epoch, network.params().schedule(opens), &fold, section.device);
    Ok((fold.state.registry.device(&section.device).cloned(), judged.verdicts))
}

/// What verifiers said of one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judged {
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) memories: Vec<(Text, Vec<u8>)>,
}

impl Judged {
    /// What was said of each deal; the first word counts.
    pub(crate) fn contributions(&self) -> BTreeMap<Digest, &Contribution> {
        let mut found = BTreeMap::new();
        for contribution in self.verdicts.iter().flat_map(|verdict| &verdict.contributions) {
            found.entry(contribution.deal).or_insert(contribution);
        }
        found
    }
}

/// How a period of a deal went by what was said of it.
pub(crate) const fn period(contribution: &Contribution) -> Period {
    match contribution.outcome {
        Outcome::Accept => Period::Proven(contribution.proved.quantity),
        Outcome::Inconclusive => Period::Open,
        _ => Period::Faulted,
    }
}

/// Lets the verifiers judge every device, each on its own.
pub(crate) fn judge(
    network: &Network,
    epoch: Epoch,
    schedule: Schedule,
    fold: &Fold,
) -> BTreeMap<DeviceId, Judged> {
    let devices = fold.state.device_ids();
    let judge = |device: &DeviceId| (*device, judge_device(network, epoch, schedule, fold, *device));
    each(&devices, judge).into_iter().collect()
}

fn judge_device(
    network: &Network,
    epoch: Epoch,
    schedule: Schedule,
    fold: &Fold,
    device: DeviceId,
) -> Judged {
    let carried = fold.state.carried(&device);
    let lives = fold.state.registry.device(&device).is_some_and(|record| record.deactivated().is_none());
    let deals: Vec<&DealState> = carried.deals.iter().filter(|deal| lives && deal.is_due(epoch)).collect();
    let mut notes = fold.notes.get(&device).cloned().unwrap_or_default();
    let mut reports = Vec::new();
    for counted in fold.reports.get(&device).map_or(&[][..], Vec::as_slice) {
        match counted.judge_again(fold, network, epoch) {
            Ok(()) => reports.push(counted),
            Err(finding) => notes.push(finding),
        }
    }
    let mut judged = Judged::default();
    for service in services(network, &deals, &reports) {
        let wanted: Vec<Wanted<'_>> = deals
            .iter()
            .map(|deal| &deal.signed)
            .filter(|signed| signed.deal.service == service)
            .map(|signed| Wanted { id: signed.deal.id(), subject: &signed.subject, full: &signed.deal.full })
            .collect();
        let evidence: Vec<Evidence<'_>> = reports
            .iter()
            .filter(|counted| concerns(counted, &service))
            .map(|counted| counted.evidence())
            .collect();
        let case = Case {
            network: network.params().network(),
            device,
            epoch,
            schedule,
            beacon: fold.beacon.as_ref(),
            deals: &wanted,
            evidence: &evidence,
            memory: carried.memory(&service),
        };
        let mut said = network.verifiers().judge(&service, &case);
        // What was noted at the door belongs to the device and is told once.
        said.verdict.findings.append(&mut notes);
        judged.verdicts.push(said.verdict);
        judged.memories.push((service, said.memory));
    }
    if !notes.is_empty() {
        judged.verdicts.push(nothing_counted(epoch, device, notes));
    }
    judged
}

/// A device of which nothing but refused reports is known.
fn nothing_counted(epoch: Epoch, device: DeviceId, findings: Vec<Finding>) -> Verdict {
    Verdict {
        device,
        epoch,
        verifier: "depin.report/1".into(),
        params: depin_core::sha256(&[]),
        outcome: Outcome::Reject,
        contributions: Vec::new(),
        findings,
    }
}

impl Counted {
    fn evidence(&self) -> Evidence<'_> {
        let report = &self.checked.report;
        Evidence {
            kind: &report.kind,
            body: &report.body,
            received: self.received,
            index: self.index,
            boot: report.boot,
            sequence: report.sequence,
            reused: self.reused,
        }
    }
}

/// Services with a deal or with a report: a report of the kind `storage.answer` concerns the service `storage`.
fn services(network: &Network, deals: &[&DealState], reports: &[&Counted]) -> BTreeSet<Text> {
    let mut services: BTreeSet<Text> = deals.iter().map(|deal| deal.signed.deal.service.clone()).collect();
    let known = network.verifiers().services().map(|(service, _)| service);
    services
        .extend(known.filter(|service| reports.iter().any(|counted| concerns(counted, service))).cloned());
    services
}

fn concerns(counted: &Counted, service: &Text) -> bool {
    let rest = counted.checked.report.kind.as_str().strip_prefix(service.as_str());
    rest.is_some_and(|rest| rest.starts_with('.'))
}
