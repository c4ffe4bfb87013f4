use depin_core::{DeviceId, Epoch, Finding, Side, Timestamp};
use depin_identity::{Firmware, ReplayError};

use super::{Fold, refused_finding};
#[cfg(feature = "node")]
use crate::check::refusal;
use crate::{
    check::{CheckedReport, Received, check_again},
    entry::{Entry, Indexed, Refusal},
    network::Network,
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
    /// How often it, or somebody for it, showed what it is admitted by.
    pub(crate) shown: usize,
}

impl Fold {
    /// Counts a report, or notes why it does not count. The checks at the door are made again: what they let through proves nothing.
    pub(super) fn report(
        &mut self,
        received: Timestamp,
        checked: Result<CheckedReport, Refusal>,
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
    pub(super) fn count(&mut self, indexed: Indexed, received: Timestamp, checked: CheckedReport) {
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
        // Only a network that admits devices looks at what they run.
        let stated = Some(&checked.report)
            .filter(|report| state.admitted.is_some() && report.kind.as_str() == Firmware::KIND)
            .and_then(|report| Firmware::from_bytes(&report.body).ok());
        let Indexed { index, entry } = indexed;
        if let Entry::Report { envelope, .. } = &entry {
            let tally = self.tallies.entry(device).or_default();
            tally.bytes = tally.bytes.saturating_add(envelope.len());
        }
        // Most devices report once or a few times, and there are many of them.
        let reports = self.reports.entry(device).or_insert_with(|| Vec::with_capacity(1));
        if let Some(firmware) = stated {
            self.stated.entry(device).or_default().push((reports.len(), firmware));
        }
        reports.push(Counted { index, received, reused, checked, entry });
    }

    /// The firmware that `device` runs by what is known now: what it stated last in a report that still counts. What a key stated that turns out to be
    /// somebody else's goes with its reports, and a new owner begins anew.
    pub(crate) fn firmware(&self, network: &Network, epoch: Epoch, device: &DeviceId) -> Option<Firmware> {
        let reports = self.reports.get(device).map_or(&[][..], Vec::as_slice);
        let still_counts = |at: usize| {
            let counted = reports.get(at);
            counted.is_some_and(|counted| counted.judge_again(self, network, epoch).is_ok())
        };
        let stated = self.stated.get(device).map_or(&[][..], Vec::as_slice).iter().rev();
        let stated = stated.copied().find_map(|(at, firmware)| still_counts(at).then_some(firmware));
        stated.or_else(|| {
            let mut owners = self.state.registry.device(device)?.owners().skip(1);
            let is_sold = owners.any(|tenure| tenure.from == epoch);
            self.state.carried(device).firmware.filter(|_| !is_sold)
        })
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
        received: Received,
    ) -> Result<(), Refusal> {
        self.check_admitted(network, checked, received)?;
        let state = self.state.devices.get(&checked.device);
        let mut marks = state.and_then(|state| state.marks_of(&checked.key)).cloned().unwrap_or_default();
        let stated = state.is_some_and(|state| state.has_stated(&checked.statement));
        let refused = |reason, observed: String, limit: &str| {
            Err(refusal(Some(checked.device), reason, observed, limit))
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
    pub(crate) fn tally(&self, device: &DeviceId) -> Tally {
        self.tallies.get(device).copied().unwrap_or_default()
    }
}

impl Counted {
    /// Whether it still counts by what the registry says at the cut: what it said at the door may have been old.
    ///
    /// # Errors
    /// The finding.
    pub(crate) fn judge_again(&self, fold: &Fold, network: &Network, epoch: Epoch) -> Result<(), Finding> {
        let CheckedReport { device, key, report, .. } = &self.checked;
        let received = Received { at: self.received, epoch };
        check_again(
            fold.state.registry.device(device),
            key,
            network.params().rotation_grace,
            report,
            received,
        )
        .map_err(|refusal| refused_finding(&refusal, self.index))
    }
}
