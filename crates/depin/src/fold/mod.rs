//! The fold over an epoch's journal: what counts, and what is noted instead.

mod admission;
mod chain;
mod deals;
mod reports;

use std::{collections::BTreeMap, sync::Arc};

use depin_core::{CheckResult, DeviceId, Digest, Epoch, Finding, Side, Timestamp};
use depin_identity::Firmware;
use depin_proof::Beacon;

pub(crate) use reports::{Counted, Tally};

#[cfg(feature = "node")]
use crate::{
    admission::{CheckedList, Vouched},
    check::CheckedReport,
    log::Frontier,
};
use crate::{
    check::{Received, check_report_knowing},
    close::{CloseError, Slot},
    entry::{Entry, Indexed},
    network::Network,
    signatures::Known,
    state::{Place, State},
};

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
    /// What devices stated in this epoch that they run, and in which of their reports.
    stated: BTreeMap<DeviceId, Vec<(usize, Firmware)>>,
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
    places: admission::Places,
    /// Findings that it takes on the word of whoever knew the other devices.
    believed: Vec<Finding>,
}

/// What the door found right of an entry. Each is of a type that only its check gives.
#[cfg(feature = "node")]
#[derive(Debug)]
pub(crate) enum Checked {
    Report(CheckedReport),
    Shown(Vouched),
    Revoked(DeviceId, CheckedList),
}

impl Fold {
    /// A fold over nothing yet, from `before`.
    pub(crate) fn new(before: &State) -> Self {
        Self {
            state: before.clone(),
            opened: None,
            beacon: None,
            reports: BTreeMap::new(),
            stated: BTreeMap::new(),
            tallies: BTreeMap::new(),
            others: BTreeMap::new(),
            notes: BTreeMap::new(),
            ledger: Vec::new(),
            withheld: Vec::new(),
            known: Known::default(),
            latest: Timestamp::default(),
            cut: None,
            places: admission::Places::of(before),
            believed: Vec::new(),
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

    /// Takes what was checked as the next position of the journal, without checking it again.
    ///
    /// # Errors
    /// [`CloseError::Entry`] when it cannot follow what came before.
    #[cfg(feature = "node")]
    pub(crate) fn push_checked(
        &mut self,
        entry: Entry,
        leaf: Digest,
        received: Timestamp,
        checked: Checked,
    ) -> Result<(), CloseError> {
        let index = self.state.frontier.size();
        let refused = |reason: String| CloseError::Entry { index, reason };
        if self.cut.is_some() {
            return Err(refused("it follows the cut".into()));
        }
        self.advance(received).map_err(refused)?;
        let indexed = Indexed { index, entry };
        match checked {
            Checked::Report(report) => self.count(indexed, received, report),
            Checked::Shown(vouched) => self.vouched(vouched.device, Ok(vouched), indexed),
            Checked::Revoked(device, list) => self.listed(device, received, Ok(list), indexed),
        }
        self.state.frontier.push(leaf);
        Ok(())
    }

    /// Moves on to the time of the next entry.
    fn advance(&mut self, time: Timestamp) -> Result<(), String> {
        let latest = self.latest;
        if time < latest {
            return Err(format!(
                "its time {} lies before {}, the time of an earlier entry",
                time.rfc3339(),
                latest.rfc3339()
            ));
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
                let came = Received { at: *received, epoch };
                let checked = check_report_knowing(registry, network.params(), envelope, came, is_signed)
                    .and_then(|checked| self.check_admitted(network, &checked, came).map(|()| checked));
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
            Entry::Presented { received, device, credentials } => {
                let (received, device, shown) = (*received, *device, Arc::clone(credentials));
                self.presented(network, device, received, &shown, indexed);
                return Ok(());
            }
            Entry::Revoked { received, device, list } => {
                let (received, device, list) = (*received, *device, Arc::clone(list));
                self.revoked(device, received, &list, indexed);
                return Ok(());
            }
            Entry::Chain { located } => {
                // Each event counts once: a payment that is written twice would be spent twice.
                let place = Place::of(located);
                if let Some(last) = self.state.chain.filter(|last| place <= *last) {
                    return Err(format!("the event at {place} of the chain follows the one at {last}"));
                }
                let device = self.chain(epoch, &located.event)?;
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
                    return Err(format!(
                        "the epoch opened at {}, before {}",
                        at.rfc3339(),
                        Timestamp(earliest).rfc3339()
                    ));
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
                    return Err(format!(
                        "the epoch was cut at {}, before it closes at {}",
                        at.rfc3339(),
                        closes.rfc3339()
                    ));
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
