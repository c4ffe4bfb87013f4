//! Closing an epoch: a pure fold over the journal. Node, simulator, auditor and tests run this code.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{
    Address, Amount, ChainEvent, CheckResult, DeviceId, Digest, Epoch, Finding, Outcome, Side, SignedDeal,
    Text, Timestamp, Verdict,
};
use depin_identity::{Domain, Registry, ReplayError};
use depin_proof::{Beacon, Case, Evidence, Schedule, Wanted};
use depin_rewards::{AcceptedDeal, ClaimTree, Earned, EpochDemand, Line, Period, apportion};

use crate::{
    bundle::{Bundle, CustomerSection, DeviceSection, EpochResult, Header, Ledger},
    check::{CheckedReport, check_report},
    entry::{Entry, Indexed},
    network::Network,
    state::{DealState, Place, State, Totals},
};

/// Everything that decides what an epoch pays.
#[derive(Clone, Debug)]
pub struct EpochInput {
    /// The epoch.
    pub epoch: Epoch,
    /// Digest of the bundle before; none for the first.
    pub previous: Option<Digest>,
    /// What the epoch before handed over.
    pub state: State,
    /// The journal from the end of the epoch before up to this epoch's cut.
    pub entries: Vec<Slot>,
    /// The head after the last entry as a checkpoint signed by the node.
    pub checkpoint: String,
}

/// A position of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// What is written there.
    Entry(Entry),
    /// What is written there is withheld; only its leaf hash is known.
    Withheld(Digest),
}

/// A closed epoch.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The bundle.
    pub bundle: Bundle,
    /// What the next epoch starts from.
    pub state: State,
    /// The claims; none when nobody is paid.
    pub claims: Option<ClaimTree>,
}

/// Why an epoch cannot be closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The journal does not end with this epoch's cut.
    #[error("the journal does not end with the cut of epoch {0}; cut the epoch first")]
    NotCut(Epoch),
    /// The journal does not say when the epoch opened.
    #[error("the journal does not say when epoch {0} opened")]
    NotOpened(Epoch),
    /// An entry that cannot follow what came before.
    #[error("entry {index} of the journal does not fit: {reason}")]
    Entry {
        /// Its position.
        index: u64,
        /// Why.
        reason: String,
    },
    /// The chain set nothing aside for the epoch.
    #[error("no cap was escrowed for epoch {0}; start the epoch on chain first")]
    NoCaps(Epoch),
    /// Amounts that do not add up.
    #[error("the epoch's amounts do not add up: {0}")]
    Amounts(String),
}

/// Closes an epoch.
///
/// # Errors
/// [`CloseError`], when the input is not a journal that this epoch can be closed from. Whatever a device or customer did is no error here but
/// a finding in the bundle.
pub fn close(network: &Network, input: EpochInput) -> Result<Closed, CloseError> {
    let EpochInput { epoch, previous, state: before, entries, checkpoint } = input;
    let fold = Fold::run(network, epoch, &before, entries)?;
    let schedule = network.params().schedule(fold.opened.ok_or(CloseError::NotOpened(epoch))?);
    let judged = judge(network, epoch, schedule, &fold);
    let caps = *fold.state.caps.get(&epoch).ok_or(CloseError::NoCaps(epoch))?;
    let lines = lines(epoch, network, &fold.state, &judged);
    let curve = &network.params().curve;
    let apportionment = apportion(&EpochDemand {
        epoch,
        kind: &network.params().unit,
        lines: &lines,
        credits: &fold.state.credits,
        caps,
        params: network.params().demand,
        curve,
    })
    .map_err(|error| CloseError::Amounts(error.to_string()))?;
    let payouts = apportionment.payouts().map_err(|error| CloseError::Amounts(error.to_string()))?;
    let count = u64::try_from(payouts.len()).unwrap_or(u64::MAX);
    let claims = if payouts.is_empty() { None } else { ClaimTree::new(payouts).ok() };
    let result = EpochResult {
        pool: apportionment.pool,
        paid: apportionment.paid,
        dust: apportionment.dust,
        burned: apportionment.burned,
        minted: apportionment.minted,
        revenue: apportionment.revenue,
        root: claims.as_ref().map(|claims| Digest(claims.root().0)).unwrap_or_default(),
        claims: count,
    };
    let state =
        fold.hand_over(network, epoch, &judged, &apportionment.lines, &apportionment.charges, &result)?;
    let header = Header {
        params: network.params().clone(),
        epoch,
        previous,
        state_before: before.digest(),
        state_after: state.digest(),
        journal_before: before.frontier.clone(),
        journal_after: state.frontier.head(),
        checkpoint,
        schedule: schedule.into(),
        beacon: fold.beacon.clone(),
    };
    let ledger = Ledger {
        chain_before: before.chain,
        caps_before: before.caps.iter().map(|(epoch, caps)| (*epoch, *caps)).collect(),
        totals_before: before.totals,
        entries: fold.ledger,
        withheld: fold.withheld,
    };
    let customers = customers(&before, &fold.state, &apportionment.charges);
    let devices = sections(&before, &fold.state, fold.reports, fold.others, judged, apportionment.lines);
    let bundle = Bundle { header, ledger, customers, devices, result };
    Ok(Closed { bundle, state, claims })
}

/// Most reports of one device that a node takes in one epoch.
#[cfg(feature = "node")]
const MAX_REPORTS: usize = 4096;

/// Judges one device again from its section of a bundle: what its owner can check without the other devices.
pub(crate) fn judge_section(
    network: &Network,
    header: &Header,
    section: &DeviceSection,
) -> Result<Vec<Verdict>, String> {
    let domain = Domain { chain_id: network.params().chain_id, contract: network.params().registry };
    let mut state = State::new(domain);
    let records = section.record.clone().into_iter().collect();
    state.registry = Registry::from_records(domain, records).map_err(|error| error.to_string())?;
    state.devices.insert(section.device, section.before.clone());
    let mut fold = Fold::new(&state);
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
    Ok(judge_device(network, header.epoch, network.params().schedule(opens), &fold, section.device).verdicts)
}

/// A report that the fold counted.
#[derive(Clone, Debug)]
struct Counted {
    index: u64,
    received: Timestamp,
    reused: bool,
    checked: CheckedReport,
    entry: Entry,
}

/// What the fold over the journal found.
#[derive(Clone, Debug)]
pub(crate) struct Fold {
    pub(crate) state: State,
    pub(crate) opened: Option<Timestamp>,
    pub(crate) beacon: Option<Beacon>,
    /// Time of the latest entry.
    pub(crate) latest: Timestamp,
    cut: Option<Timestamp>,
    reports: BTreeMap<DeviceId, Vec<Counted>>,
    /// Entries of a device that are no counted report.
    others: BTreeMap<DeviceId, Vec<Indexed>>,
    /// Findings that no verifier makes, by device.
    notes: BTreeMap<DeviceId, Vec<Finding>>,
    ledger: Vec<Indexed>,
    withheld: Vec<(u64, Digest)>,
}

impl Fold {
    /// A fold over nothing yet, from `before`.
    pub(crate) fn new(before: &State) -> Self {
        Self {
            state: before.clone(),
            opened: None,
            beacon: None,
            reports: BTreeMap::new(),
            others: BTreeMap::new(),
            notes: BTreeMap::new(),
            ledger: Vec::new(),
            withheld: Vec::new(),
            latest: Timestamp::default(),
            cut: None,
        }
    }

    fn run(network: &Network, epoch: Epoch, before: &State, entries: Vec<Slot>) -> Result<Self, CloseError> {
        let mut fold = Self::new(before);
        for slot in entries {
            fold.push(network, epoch, slot)?;
        }
        if fold.cut.is_none() { Err(CloseError::NotCut(epoch)) } else { Ok(fold) }
    }

    /// Takes the next position of the journal.
    ///
    /// # Errors
    /// [`CloseError::Entry`] when it cannot follow what came before.
    pub(crate) fn push(&mut self, network: &Network, epoch: Epoch, slot: Slot) -> Result<(), CloseError> {
        let index = self.state.frontier.size();
        let refused = |reason: String| CloseError::Entry { index, reason };
        if self.cut.is_some() {
            return Err(refused("it follows the cut".into()));
        }
        let entry = match slot {
            Slot::Withheld(leaf) => {
                self.state.frontier.push(leaf);
                self.withheld.push((index, leaf));
                return Ok(());
            }
            Slot::Entry(entry) => entry,
        };
        if let Some(time) = entry.time() {
            let latest = self.latest;
            if time < latest {
                return Err(refused(format!(
                    "its time {time} lies before {latest}, the time of an earlier entry"
                )));
            }
            self.latest = time;
        }
        let leaf = entry.leaf();
        self.apply(network, epoch, Indexed { index, entry }).map_err(refused)?;
        self.state.frontier.push(leaf);
        Ok(())
    }

    fn apply(&mut self, network: &Network, epoch: Epoch, indexed: Indexed) -> Result<(), String> {
        let index = indexed.index;
        match &indexed.entry {
            Entry::Report { received, envelope } => {
                let (received, envelope) = (*received, envelope.clone());
                self.report(network, indexed, received, &envelope);
                return Ok(());
            }
            Entry::Refused { refusal, .. } => {
                if let Some(device) = refusal.device {
                    self.note(device, refused_finding(refusal, index));
                    self.others.entry(device).or_default().push(indexed);
                    return Ok(());
                }
            }
            Entry::Deal { deal, .. } => {
                let device = deal.deal.device;
                match self.deal(network, epoch, deal.clone()) {
                    Ok(()) => {}
                    Err(reason) => {
                        self.note(device, Finding::fail("deal", "refused", Side::Customer, reason, ""))
                    }
                }
                self.others.entry(device).or_default().push(indexed);
                return Ok(());
            }
            Entry::Chain { located } => {
                // Each event counts once: a payment that is written twice would be spent twice.
                let place = Place { block: located.block, log_index: located.log_index };
                if let Some(last) = self.state.chain.filter(|last| place <= *last) {
                    return Err(format!("the event at {place} of the chain follows the one at {last}"));
                }
                self.chain(&located.event)?;
                self.state.chain = Some(place);
            }
            Entry::Opened { epoch: opened, at } if *opened == epoch => {
                if self.opened.replace(*at).is_some() {
                    return Err("the epoch opened before".into());
                }
                let length = network.params().epoch_length.0;
                let earliest = network.params().genesis.0.saturating_add(length.saturating_mul(epoch.0));
                if at.0 < earliest {
                    return Err(format!("the epoch opened at {at}, before {earliest}"));
                }
            }
            Entry::Opened { epoch: opened, .. } => {
                return Err(format!("epoch {opened} opened, expected {epoch}"));
            }
            Entry::Beacon { received, beacon } => self.beacon(network, epoch, *received, beacon)?,
            Entry::Cut { epoch: cut, at } if *cut == epoch => {
                // Without a beacon there is nothing to answer, and nobody is blamed.
                let asked = self.opened.filter(|_| self.beacon.is_some());
                let closes = asked.map(|opened| network.params().schedule(opened).closes);
                if let Some(closes) = closes.filter(|closes| at < closes) {
                    return Err(format!("the epoch was cut at {at}, before it closes at {closes}"));
                }
                self.cut = Some(*at);
            }
            Entry::Cut { epoch: cut, .. } => return Err(format!("epoch {cut} was cut, expected {epoch}")),
            Entry::Block { .. } => {}
        }
        self.ledger.push(indexed);
        Ok(())
    }

    fn beacon(
        &mut self,
        network: &Network,
        epoch: Epoch,
        received: Timestamp,
        beacon: &Beacon,
    ) -> Result<(), String> {
        let opened = self.opened.ok_or("a beacon before the epoch opened")?;
        if received < network.params().schedule(opened).commit_until {
            return Err("the beacon came before commitments ended".into());
        }
        beacon.check(network.beacon_rule(), epoch).map_err(|error| error.to_string())?;
        match &self.beacon {
            Some(known) if known != beacon => Err("a second beacon for the epoch".into()),
            _ => {
                self.beacon = Some(beacon.clone());
                Ok(())
            }
        }
    }

    fn chain(&mut self, event: &ChainEvent) -> Result<(), String> {
        match event {
            ChainEvent::DeviceRegistered { .. }
            | ChainEvent::DeviceTransferred { .. }
            | ChainEvent::DeviceDeactivated { .. } => {
                // The registrar is not trusted: what does not hold registers nobody, and stays in the ledger for all to see.
                if let Err(error) = self.state.registry.apply(event) {
                    tracing::warn!(%error, "a registry event does not hold");
                }
                Ok(())
            }
            ChainEvent::CreditsPaid { .. } => {
                self.state.credits.apply(event).map_err(|error| error.to_string())
            }
            ChainEvent::EpochStarted { epoch, mint_cap, revenue_cap } => {
                let caps = depin_rewards::Caps { mint: *mint_cap, revenue: *revenue_cap };
                self.state.caps.insert(*epoch, caps);
                Ok(())
            }
            // Roots and claims follow from bundles; they decide nothing here.
            _ => Ok(()),
        }
    }

    /// Whether a deal is taken.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn check_deal(&self, network: &Network, signed: &SignedDeal) -> Result<AcceptedDeal, String> {
        let params = network.params();
        let accepted = AcceptedDeal::verify(signed.clone(), params.chain_id, params.registry)
            .map_err(|error| error.to_string())?;
        let deal = accepted.deal();
        if deal.full.kind != params.unit {
            return Err(format!(
                "it is counted in {}; this network pays for {}",
                deal.full.kind, params.unit
            ));
        }
        if self.state.registry.device(&deal.device).is_none() {
            return Err("its device is not registered".into());
        }
        let known = self.state.devices.get(&deal.device);
        if known.is_some_and(|known| known.deals.iter().any(|known| known.signed.deal.id() == accepted.id()))
        {
            return Err("it was made before".into());
        }
        Ok(accepted)
    }

    fn deal(&mut self, network: &Network, epoch: Epoch, signed: SignedDeal) -> Result<(), String> {
        let id = self.check_deal(network, &signed)?.id();
        let state = self.state.devices.entry(signed.deal.device).or_default();
        let at = state.deals.partition_point(|known| known.signed.deal.id() < id);
        // Epochs that were over when the deal was made are no periods of it.
        let cursor = signed.deal.first.max(epoch);
        let deal = DealState { cursor, signed, waiting: Vec::new(), spent: Amount::ZERO };
        state.deals.insert(at, deal);
        Ok(())
    }

    /// Counts a report, or notes why it does not count. The checks at the door are made again: what they let through proves nothing.
    fn report(&mut self, network: &Network, indexed: Indexed, received: Timestamp, envelope: &[u8]) {
        let checked = match check_report(&self.state.registry, network.params(), envelope, received) {
            Ok(checked) => checked,
            Err(refusal) => {
                match refusal.device {
                    Some(device) => {
                        self.note(device, refused_finding(&refusal, indexed.index));
                        self.others.entry(device).or_default().push(indexed);
                    }
                    None => self.ledger.push(indexed),
                }
                return;
            }
        };
        let device = checked.device;
        let state = self.state.devices.entry(device).or_default();
        let (boot, sequence) = (checked.report.boot, checked.report.sequence);
        let reused = match state.admit(checked.key, boot, sequence) {
            Ok(fresh) => fresh.interleaved,
            // The same numbers with other content: two signers. What it shows still counts if it proves itself.
            Err(ReplayError::Duplicate { .. }) if !self.is_repeated(&checked) => true,
            Err(error) => {
                let limit = "each boot and sequence once";
                let finding =
                    Finding::fail("report.replay", "replayed", Side::Device, error.to_string(), limit);
                self.note(device, finding);
                self.others.entry(device).or_default().push(indexed);
                return;
            }
        };
        let Indexed { index, entry } = indexed;
        self.reports.entry(device).or_default().push(Counted { index, received, reused, checked, entry });
    }

    /// Whether a report would count, without counting it: what a node asks at its door.
    ///
    /// # Errors
    /// The refusal that goes into the journal instead.
    #[cfg(feature = "node")]
    pub(crate) fn would_count(&self, checked: &CheckedReport) -> Result<(), crate::entry::Refusal> {
        let mut state = self.state.devices.get(&checked.device).cloned().unwrap_or_default();
        let refused = |reason, observed: String, limit: &str| {
            Err(crate::check::refusal(Some(checked.device), reason, observed, limit))
        };
        if self.reports.get(&checked.device).is_some_and(|counted| counted.len() >= MAX_REPORTS) {
            return refused(
                "quota",
                format!("{MAX_REPORTS} reports in this epoch"),
                "wait for the next epoch",
            );
        }
        match state.admit(checked.key, checked.report.boot, checked.report.sequence) {
            Ok(_) => Ok(()),
            Err(ReplayError::Duplicate { .. }) if !self.is_repeated(checked) => Ok(()),
            Err(error) => {
                refused("replayed", error.to_string(), "each boot and sequence once; raise the sequence")
            }
        }
    }

    /// Whether the very same statement was counted in this epoch.
    fn is_repeated(&self, checked: &CheckedReport) -> bool {
        let known = self.reports.get(&checked.device);
        known.is_some_and(|known| known.iter().any(|counted| counted.checked.report == checked.report))
    }

    fn note(&mut self, device: DeviceId, finding: Finding) {
        self.notes.entry(device).or_default().push(finding);
    }

    /// The state the next epoch starts from.
    fn hand_over(
        &self,
        network: &Network,
        epoch: Epoch,
        judged: &BTreeMap<DeviceId, Judged>,
        lines: &[Earned],
        charges: &[depin_rewards::Charge],
        result: &EpochResult,
    ) -> Result<State, CloseError> {
        let sum = |error: depin_core::AmountError| CloseError::Amounts(error.to_string());
        let mut state = self.state.clone();
        state.credits.charge(charges).map_err(|error| CloseError::Amounts(error.to_string()))?;
        state.caps.retain(|of, _| *of > epoch);
        state.totals = Totals {
            paid: state.totals.paid.checked_add(result.paid).map_err(sum)?,
            burned: state.totals.burned.checked_add(result.burned).map_err(sum)?,
            minted: state.totals.minted.checked_add(result.minted).map_err(sum)?,
        };
        for (device, judged) in judged {
            let carried = state.devices.entry(*device).or_default();
            for (service, bytes) in &judged.memories {
                carried.remember(service, bytes.clone());
            }
        }
        let spent: BTreeMap<Digest, Amount> = lines.iter().map(|line| (line.deal, line.spend)).collect();
        for (device, carried) in &mut state.devices {
            for deal in &mut carried.deals {
                let outcome = judged.get(device).and_then(|judged| judged.period_of(&deal.signed.deal.id()));
                deal.advance(epoch, outcome, network.params().open_limit);
                let cost = spent.get(&deal.signed.deal.id()).copied().unwrap_or_default();
                deal.spent = deal.spent.checked_add(cost).map_err(sum)?;
            }
            carried.deals.retain(|deal| !deal.is_over(epoch));
            for key in &mut carried.marks {
                key.marks.settle();
            }
        }
        Ok(state)
    }
}

impl DealState {
    /// Moves the cursor over what this epoch decided: proven and faulted periods are passed, an open one is waited for.
    fn advance(&mut self, epoch: Epoch, period: Option<Period>, open_limit: u32) {
        if self.signed.deal.covers(epoch) {
            self.waiting.push(period.unwrap_or(Period::Faulted));
        }
        while let Some(first) = self.waiting.first() {
            let waited = epoch.0.saturating_sub(self.cursor.0);
            if *first == Period::Open && waited < u64::from(open_limit) {
                return;
            }
            self.waiting.remove(0);
            self.cursor = self.cursor.next().unwrap_or(self.cursor);
        }
    }

    /// Whether nothing of the deal is left after `epoch`.
    fn is_over(&self, epoch: Epoch) -> bool {
        let end = self.signed.deal.first.0.saturating_add(u64::from(self.signed.deal.epochs));
        epoch.0.saturating_add(1) >= end && self.waiting.is_empty()
    }
}

fn refused_finding(refusal: &crate::entry::Refusal, index: u64) -> Finding {
    Finding {
        check: "report".into(),
        result: CheckResult::Fail,
        reason: refusal.reason.clone(),
        side: refusal.side,
        observed: format!("{} (entry {index})", refusal.observed),
        limit: refusal.limit.clone(),
    }
}

/// What verifiers said of one device.
#[derive(Clone, Debug, Default)]
struct Judged {
    verdicts: Vec<Verdict>,
    memories: Vec<(Text, Vec<u8>)>,
}

impl Judged {
    fn period_of(&self, deal: &Digest) -> Option<Period> {
        let contributions = self.verdicts.iter().flat_map(|verdict| &verdict.contributions);
        let found = contributions.into_iter().find(|contribution| contribution.deal == *deal)?;
        Some(match found.outcome {
            Outcome::Accept => Period::Proven(found.proved.quantity),
            Outcome::Inconclusive => Period::Open,
            _ => Period::Faulted,
        })
    }
}

/// Lets the verifiers judge every device, each on its own.
fn judge(network: &Network, epoch: Epoch, schedule: Schedule, fold: &Fold) -> BTreeMap<DeviceId, Judged> {
    let devices = fold.state.device_ids();
    let judge = |device: &DeviceId| (*device, judge_device(network, epoch, schedule, fold, *device));
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        devices.par_iter().map(judge).collect()
    }
    #[cfg(not(feature = "parallel"))]
    devices.iter().map(judge).collect()
}

fn judge_device(
    network: &Network,
    epoch: Epoch,
    schedule: Schedule,
    fold: &Fold,
    device: DeviceId,
) -> Judged {
    let carried = fold.state.device(&device);
    let active = carried.record.as_ref().is_some_and(|record| record.active);
    let reports = fold.reports.get(&device).map_or(&[][..], Vec::as_slice);
    let deals: Vec<&DealState> =
        carried.deals.iter().filter(|deal| active && deal.signed.deal.covers(epoch)).collect();
    let mut notes = fold.notes.get(&device).cloned().unwrap_or_default();
    let mut judged = Judged::default();
    for service in services(network, &deals, reports) {
        let wanted: Vec<Wanted<'_>> = deals
            .iter()
            .map(|deal| &deal.signed)
            .filter(|signed| signed.deal.service == service)
            .map(|signed| Wanted { id: signed.deal.id(), subject: &signed.subject, full: &signed.deal.full })
            .collect();
        let evidence: Vec<Evidence<'_>> =
            reports.iter().filter(|counted| concerns(counted, &service)).map(Counted::evidence).collect();
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
fn services(network: &Network, deals: &[&DealState], reports: &[Counted]) -> BTreeSet<Text> {
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

/// The lines of the epoch: one for each deal that was judged.
fn lines(epoch: Epoch, network: &Network, state: &State, judged: &BTreeMap<DeviceId, Judged>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (device, judged) in judged {
        let carried = state.device(device);
        let Some(record) = carried.record else { continue };
        for deal in carried.deals.iter().filter(|deal| deal.signed.deal.covers(epoch)) {
            let id = deal.signed.deal.id();
            let contributions = judged.verdicts.iter().flat_map(|verdict| &verdict.contributions);
            let Some(found) = contributions.into_iter().find(|contribution| contribution.deal == id) else {
                continue;
            };
            if found.proved.kind != network.params().unit {
                continue;
            }
            lines.push(Line {
                deal: id,
                customer: deal.signed.deal.customer,
                device: *device,
                account: record.owner,
                price: deal.signed.deal.price,
                full: deal.signed.deal.full.clone(),
                outcome: found.outcome,
                proved: found.proved.clone(),
            });
        }
    }
    lines
}

fn customers(before: &State, state: &State, charges: &[depin_rewards::Charge]) -> Vec<CustomerSection> {
    let known: BTreeMap<Address, depin_rewards::Credit> =
        before.credits.iter().map(|credit| (credit.customer, *credit)).collect();
    let charged: BTreeMap<Address, depin_rewards::Charge> =
        charges.iter().map(|charge| (charge.customer, *charge)).collect();
    state
        .credits
        .iter()
        .map(|credit| CustomerSection {
            customer: credit.customer,
            before: known.get(&credit.customer).copied(),
            charge: charged.get(&credit.customer).copied(),
        })
        .collect()
}

fn sections(
    before: &State,
    state: &State,
    mut reports: BTreeMap<DeviceId, Vec<Counted>>,
    mut others: BTreeMap<DeviceId, Vec<Indexed>>,
    mut judged: BTreeMap<DeviceId, Judged>,
    earned: Vec<Earned>,
) -> Vec<DeviceSection> {
    let mut lines: BTreeMap<DeviceId, Vec<Earned>> = BTreeMap::new();
    for line in earned {
        lines.entry(line.device).or_default().push(line);
    }
    let mut ids: BTreeSet<DeviceId> = state.device_ids().into_iter().collect();
    ids.extend(others.keys());
    ids.into_iter()
        .map(|device| {
            let mut counted = reports.remove(&device).unwrap_or_default();
            counted.sort_by_key(|counted| {
                let report = &counted.checked.report;
                (counted.checked.key_epoch, report.boot, report.sequence, counted.index)
            });
            let counted = counted.into_iter().map(|Counted { index, entry, .. }| Indexed { index, entry });
            let entries = counted.chain(others.remove(&device).unwrap_or_default()).collect();
            let lines = lines.remove(&device).unwrap_or_default();
            let sums = lines.iter().flat_map(|line| [line.revenue, line.emission]);
            DeviceSection {
                device,
                record: state.registry.device(&device).cloned(),
                before: before.device(&device),
                entries,
                verdicts: judged.remove(&device).unwrap_or_default().verdicts,
                // The sum is part of the pool, which fits.
                earned: Amount::sum(sums).unwrap_or(Amount::MAX),
                lines,
            }
        })
        .collect()
}
