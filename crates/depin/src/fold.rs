//! The fold over an epoch's journal: what counts, and what is noted instead.

use std::collections::BTreeMap;

use depin_core::{
    Amount, ChainEvent, CheckResult, DeviceId, Digest, Epoch, Finding, Side, SignedDeal, Timestamp,
};
use depin_identity::ReplayError;
use depin_proof::Beacon;
use depin_rewards::AcceptedDeal;

#[cfg(feature = "node")]
use crate::log::Frontier;
use crate::{
    check::{CheckedReport, check_report_knowing},
    close::{CloseError, Slot},
    entry::{Entry, Indexed},
    network::Network,
    signatures::Known,
    state::{DealState, Place, State},
};

/// Most reports of one device that a node takes in one epoch.
#[cfg(feature = "node")]
const MAX_REPORTS: usize = 4096;
/// Most refusals of one device that a node writes down in one epoch; the rest is counted.
#[cfg(feature = "node")]
const MAX_REFUSALS: usize = 256;

/// A report that the fold counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) index: u64,
    pub(crate) received: Timestamp,
    pub(crate) reused: bool,
    pub(crate) checked: CheckedReport,
    pub(crate) entry: Entry,
}

/// How much of its share a device has used in this epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Bytes of the reports that were counted.
    pub(crate) bytes: usize,
    /// Refusals that were written down.
    pub(crate) refusals: usize,
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
    pub(crate) reports: BTreeMap<DeviceId, Vec<Counted>>,
    /// How much of its share each device has used.
    pub(crate) tallies: BTreeMap<DeviceId, Tally>,
    /// Entries of a device that are no counted report.
    pub(crate) others: BTreeMap<DeviceId, Vec<Indexed>>,
    /// Findings that no verifier makes, by device.
    pub(crate) notes: BTreeMap<DeviceId, Vec<Finding>>,
    pub(crate) ledger: Vec<Indexed>,
    pub(crate) withheld: Vec<(u64, Digest)>,
    /// What it goes by instead of checking a signature.
    pub(crate) known: Known,
}

impl Fold {
    /// A fold over nothing yet, from `before`.
    pub(crate) fn new(before: &State) -> Self {
        Self {
            state: before.clone(),
            opened: None,
            beacon: None,
            reports: BTreeMap::new(),
            tallies: BTreeMap::new(),
            others: BTreeMap::new(),
            notes: BTreeMap::new(),
            ledger: Vec::new(),
            withheld: Vec::new(),
            known: Known::default(),
            latest: Timestamp::default(),
            cut: None,
        }
    }

    pub(crate) fn run(
        network: &Network,
        epoch: Epoch,
        before: &State,
        entries: impl IntoIterator<Item = (Slot, Digest)>,
        known: Known,
    ) -> Result<Self, CloseError> {
        let mut fold = Self { known, ..Self::new(before) };
        for (slot, leaf) in entries {
            fold.push_leaf(network, epoch, slot, leaf)?;
        }
        if fold.cut.is_none() { Err(CloseError::NotCut(epoch)) } else { Ok(fold) }
    }

    /// Takes the next position of the journal.
    ///
    /// # Errors
    /// [`CloseError::Entry`] when it cannot follow what came before.
    #[cfg(feature = "node")]
    pub(crate) fn push(&mut self, network: &Network, epoch: Epoch, slot: Slot) -> Result<(), CloseError> {
        let leaf = slot.leaf();
        self.push_leaf(network, epoch, slot, leaf)
    }

    /// Takes the next position of the journal, whose leaf hash is known.
    fn push_leaf(
        &mut self,
        network: &Network,
        epoch: Epoch,
        slot: Slot,
        leaf: Digest,
    ) -> Result<(), CloseError> {
        let index = self.state.frontier.size();
        let refused = |reason: String| CloseError::Entry { index, reason };
        if self.cut.is_some() {
            return Err(refused("it follows the cut".into()));
        }
        let entry = match slot {
            Slot::Withheld(_) => {
                self.state.frontier.push(leaf);
                self.withheld.push((index, leaf));
                return Ok(());
            }
            Slot::Entry(entry) => entry,
        };
        if let Some(time) = entry.time() {
            self.advance(time).map_err(refused)?;
        }
        self.apply(network, epoch, Indexed { index, entry }).map_err(refused)?;
        self.state.frontier.push(leaf);
        Ok(())
    }

    /// Takes the report that was checked as the next position of the journal, without checking it again.
    ///
    /// # Errors
    /// [`CloseError::Entry`] when it cannot follow what came before.
    #[cfg(feature = "node")]
    pub(crate) fn push_checked(
        &mut self,
        entry: Entry,
        leaf: Digest,
        received: Timestamp,
        checked: CheckedReport,
    ) -> Result<(), CloseError> {
        let index = self.state.frontier.size();
        let refused = |reason: String| CloseError::Entry { index, reason };
        if self.cut.is_some() {
            return Err(refused("it follows the cut".into()));
        }
        self.advance(received).map_err(refused)?;
        self.count(Indexed { index, entry }, received, checked);
        self.state.frontier.push(leaf);
        Ok(())
    }

    /// Moves on to the time of the next entry.
    fn advance(&mut self, time: Timestamp) -> Result<(), String> {
        let latest = self.latest;
        if time < latest {
            return Err(format!("its time {time} lies before {latest}, the time of an earlier entry"));
        }
        self.latest = time;
        Ok(())
    }

    /// Takes back the cut, which was the last entry: it turned out that the epoch cannot be closed yet.
    #[cfg(feature = "node")]
    pub(crate) fn take_back_cut(&mut self, before: Frontier, latest: Timestamp) {
        if self.cut.take().is_some() {
            self.ledger.pop();
            (self.state.frontier, self.latest) = (before, latest);
        }
    }

    /// Everything that was taken, in its order.
    #[cfg(feature = "node")]
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let counted = self.reports.values().flatten().map(|counted| (counted.index, &counted.entry));
        let others =
            self.others.values().flatten().chain(&self.ledger).map(|other| (other.index, &other.entry));
        let entries = counted.chain(others).map(|(index, entry)| (index, Slot::Entry(entry.clone())));
        let withheld = self.withheld.iter().map(|(index, leaf)| (*index, Slot::Withheld(*leaf)));
        let mut slots: Vec<(u64, Slot)> = entries.chain(withheld).collect();
        slots.sort_unstable_by_key(|(index, _)| *index);
        slots.into_iter().map(|(_, slot)| slot).collect()
    }

    pub(crate) fn apply(&mut self, network: &Network, epoch: Epoch, indexed: Indexed) -> Result<(), String> {
        let index = indexed.index;
        match &indexed.entry {
            Entry::Report { received, envelope } => {
                let (registry, known) = (&self.state.registry, &mut self.known);
                let is_signed = |key: &_| known.is_signed(index, key);
                let checked =
                    check_report_knowing(registry, network.params(), envelope, *received, is_signed);
                self.report(*received, checked, indexed);
                return Ok(());
            }
            Entry::Refused { refusal, .. } => {
                if let Some(device) = refusal.device {
                    let tally = self.tallies.entry(device).or_default();
                    tally.refusals = tally.refusals.saturating_add(1);
                    self.note(device, refused_finding(refusal, index));
                    self.others.entry(device).or_default().push(indexed);
                    return Ok(());
                }
            }
            Entry::Deal { received, deal } => {
                let device = deal.deal.device;
                match self.deal(network, epoch, *received, deal.clone()) {
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
                let place = Place::of(located);
                if let Some(last) = self.state.chain.filter(|last| place <= *last) {
                    return Err(format!("the event at {place} of the chain follows the one at {last}"));
                }
                let device = self.chain(&located.event)?;
                self.state.chain = Some(place);
                if let Some(device) = device {
                    self.others.entry(device).or_default().push(indexed);
                    return Ok(());
                }
            }
            Entry::Opened { epoch: opened, at, params } if *opened == epoch => {
                // The journal's head is signed, so the node vouches for the parameters as well.
                let expected = network.params().digest();
                if *params != expected {
                    return Err(format!(
                        "the epoch opened under the parameters {params}, expected {expected}"
                    ));
                }
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

    /// Takes in an event; gives the device whose record it changed.
    fn chain(&mut self, event: &ChainEvent) -> Result<Option<DeviceId>, String> {
        match event {
            ChainEvent::DeviceRegistered { .. }
            | ChainEvent::DeviceTransferred { .. }
            | ChainEvent::DeviceDeactivated { .. }
            | ChainEvent::DeviceActivated { .. }
            | ChainEvent::KeyRotated { .. }
            | ChainEvent::KeyCompromised { .. }
            | ChainEvent::DeviceSuspended { .. }
            | ChainEvent::DeviceResumed { .. } => {
                // The registrar is not trusted: what does not hold registers nobody, and stays in the ledger for all to see.
                match self.state.registry.apply(event) {
                    Ok(()) => Ok(self.changed(event)),
                    Err(error) => {
                        tracing::warn!(%error, "a registry event does not hold");
                        Ok(None)
                    }
                }
            }
            ChainEvent::CreditsPaid { .. } => {
                self.state.credits.apply(event).map(|()| None).map_err(|error| error.to_string())
            }
            ChainEvent::EpochStarted { epoch, mint_cap, revenue_cap } => {
                let caps = depin_rewards::Caps { mint: *mint_cap, revenue: *revenue_cap };
                self.state.caps.insert(*epoch, caps);
                Ok(None)
            }
            // Roots and claims follow from bundles; they decide nothing here.
            _ => Ok(None),
        }
    }

    fn changed(&self, event: &ChainEvent) -> Option<DeviceId> {
        event.device().and_then(|device| self.state.registry.on_chain(&device)).map(|record| record.device)
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
        let by_id = |known: &DealState| known.signed.deal.id().cmp(&accepted.id());
        if known.is_some_and(|known| known.deals.binary_search_by(by_id).is_ok()) {
            return Err("it was made before".into());
        }
        Ok(accepted)
    }

    fn deal(
        &mut self,
        network: &Network,
        epoch: Epoch,
        received: Timestamp,
        signed: SignedDeal,
    ) -> Result<(), String> {
        let id = self.check_deal(network, &signed)?.id();
        let state = self.state.carried_mut(signed.deal.device);
        let at = state.deals.partition_point(|known| known.signed.deal.id() < id);
        // Epochs that were over when the deal was made are no periods of it. Nor is this one once the beacon may be known: what is asked of a
        // device depends on its deals, and nobody may change the question after the answer.
        let late =
            self.opened.is_some_and(|opened| received >= network.params().schedule(opened).commit_until);
        let current = if late { epoch.next().unwrap_or(epoch) } else { epoch };
        let cursor = signed.deal.first.max(current);
        let deal = DealState { cursor, signed, waiting: Vec::new(), spent: Amount::ZERO };
        state.deals.insert(at, deal);
        Ok(())
    }

    /// Counts a report, or notes why it does not count. The checks at the door are made again: what they let through proves nothing.
    fn report(
        &mut self,
        received: Timestamp,
        checked: Result<CheckedReport, crate::entry::Refusal>,
        indexed: Indexed,
    ) {
        let checked = match checked {
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
        self.count(indexed, received, checked);
    }

    /// Counts a report that was checked, or notes why it does not count.
    fn count(&mut self, indexed: Indexed, received: Timestamp, checked: CheckedReport) {
        let device = checked.device;
        let state = self.state.carried_mut(device);
        let (boot, sequence) = (checked.report.boot, checked.report.sequence);
        let reused = match state.admit(checked.key, boot, sequence) {
            Ok(fresh) => fresh.interleaved,
            // The same numbers with other content: two signers. What it shows still counts if it proves itself.
            Err(ReplayError::Duplicate { .. }) if !state.has_stated(&checked.statement) => true,
            Err(error) => {
                let limit = "each boot and sequence once";
                let finding =
                    Finding::fail("report.replay", "replayed", Side::Device, error.to_string(), limit);
                self.note(device, finding);
                self.others.entry(device).or_default().push(indexed);
                return;
            }
        };
        state.remember_statement(checked.statement, checked.report.time);
        let Indexed { index, entry } = indexed;
        if let Entry::Report { envelope, .. } = &entry {
            let tally = self.tallies.entry(device).or_default();
            tally.bytes = tally.bytes.saturating_add(envelope.len());
        }
        // Most devices report once or a few times, and there are many of them.
        let reports = self.reports.entry(device).or_insert_with(|| Vec::with_capacity(1));
        reports.push(Counted { index, received, reused, checked, entry });
    }

    /// Whether a report would count, without counting it: what a node asks at its door.
    ///
    /// # Errors
    /// The refusal that goes into the journal instead.
    #[cfg(feature = "node")]
    pub(crate) fn would_count(
        &self,
        network: &Network,
        checked: &CheckedReport,
    ) -> Result<(), crate::entry::Refusal> {
        let state = self.state.devices.get(&checked.device);
        let mut marks = state.and_then(|state| state.marks_of(&checked.key)).cloned().unwrap_or_default();
        let stated = state.is_some_and(|state| state.has_stated(&checked.statement));
        let refused = |reason, observed: String, limit: &str| {
            Err(crate::check::refusal(Some(checked.device), reason, observed, limit))
        };
        if self.reports.get(&checked.device).is_some_and(|counted| counted.len() >= MAX_REPORTS) {
            return refused(
                "quota",
                format!("{MAX_REPORTS} reports in this epoch"),
                &self.next_share(network),
            );
        }
        match marks.admit(checked.report.boot, checked.report.sequence) {
            Ok(_) => Ok(()),
            Err(ReplayError::Duplicate { .. }) if !stated => Ok(()),
            Err(error) => {
                refused("replayed", error.to_string(), "each boot and sequence once; raise the sequence")
            }
        }
    }

    /// When a device that has used up its share may come back.
    #[cfg(feature = "node")]
    pub(crate) fn next_share(&self, network: &Network) -> String {
        match self.opened {
            Some(opened) => {
                format!("send it in the next epoch, after {}", network.params().schedule(opened).closes)
            }
            None => "send it in the next epoch".into(),
        }
    }

    /// Whether one more refusal of `device` is worth an entry: nobody may fill the journal with them.
    #[cfg(feature = "node")]
    pub(crate) fn keeps_refusal(&self, device: &DeviceId) -> bool {
        self.tally(device).refusals < MAX_REFUSALS
    }

    /// How much of its share `device` has used.
    #[cfg(feature = "node")]
    pub(crate) fn tally(&self, device: &DeviceId) -> Tally {
        self.tallies.get(device).copied().unwrap_or_default()
    }

    fn note(&mut self, device: DeviceId, finding: Finding) {
        self.notes.entry(device).or_default().push(finding);
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
