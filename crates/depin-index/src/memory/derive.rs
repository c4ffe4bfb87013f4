//! Rows out of facts.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{Address, ChainEvent, DeviceId, Digest, Epoch, Located, Timestamp};

use super::State;
use crate::{
    ClaimRow, CustomerEpochRow, CustomerRow, DeviceRow, DeviceStatus, EarningRow, EpochDeviceRow, EpochFacts,
    EpochRow, EventKind, EventRow, OwnerRow, RefusalRow, ReportRow, RootRow, RootStep, StoreError, Total,
    VerdictRow, device::Stands, standing::Standing,
};

impl State {
    pub(super) fn chain_events(&self) -> impl DoubleEndedIterator<Item = &ChainEvent> {
        self.events.values().map(|located| &located.event)
    }

    pub(super) fn on_chain(&self, wanted: Epoch) -> Standing {
        let mut standing = Standing::default();
        for (place, located) in &self.events {
            if let Some(RootRow { epoch, what, .. }) = RootRow::of(self.event_row(located))
                && epoch == wanted
            {
                standing.tell((*place, self.time(located.block)), &located.event);
                standing.challenges =
                    standing.challenges.saturating_add(u64::from(what == RootStep::Challenged));
            }
        }
        standing
    }

    pub(super) fn epoch_row(&self, facts: &EpochFacts) -> Result<EpochRow, StoreError> {
        let on_chain = self.on_chain(facts.epoch);
        let spent =
            facts.customers.iter().try_fold(Total::default(), |sum, customer| sum.plus(customer.spent))?;
        Ok(EpochRow {
            epoch: facts.epoch,
            bundle: facts.bundle,
            root: facts.root,
            status: on_chain.status(),
            root_on_chain: on_chain.root().map(|(root, _)| root),
            bundle_on_chain: on_chain.root().map(|(_, bundle)| bundle),
            pool: facts.pool,
            paid: facts.paid,
            dust: facts.dust,
            burned: facts.burned,
            minted: facts.minted,
            revenue: facts.revenue,
            spent,
            units: facts.units.clone(),
            opened: facts.opened,
            closed: facts.closed,
            verdicts: facts.verdicts,
            proposed_block: on_chain.opened().map(|((block, _), _)| block),
            proposed_at: on_chain.opened().map(|(_, time)| time),
            challenges: on_chain.challenges,
            contested_at: on_chain.contested().map(|(_, time)| time),
            voids: on_chain.voids(),
            decided: false,
        })
    }

    /// Every device, by its did:key.
    pub(super) fn devices(&self) -> Result<BTreeMap<String, DeviceRow>, StoreError> {
        let mut names = BTreeSet::new();
        for event in self.chain_events() {
            if let ChainEvent::DeviceRegistered { device, .. } = event {
                names.insert(*device);
            }
        }
        for facts in self.epochs.values() {
            names.extend(facts.devices.iter().map(|row| row.device));
            names.extend(facts.refusals.iter().filter(|row| row.count > 0).filter_map(|row| row.device));
        }
        names.extend(self.reports.keys().copied());
        let mut rows: BTreeMap<Digest, DeviceRow> =
            names.into_iter().map(|device| (device.on_chain(), unknown_device(device))).collect();
        for facts in self.epochs.values() {
            for judged in &facts.devices {
                if let Some(row) = rows.get_mut(&judged.device.on_chain()) {
                    row.owner = Some(judged.owner);
                    row.earned = row.earned.plus(judged.earned)?;
                    row.last_epoch = Some(facts.epoch);
                    row.last_outcome = Some(judged.verdict.outcome);
                }
            }
            for refusal in &facts.refusals {
                let device = refusal.device.map(|device| device.on_chain());
                if let Some(row) = device.and_then(|device| rows.get_mut(&device)) {
                    row.refused = row.refused.checked_add(refusal.count).ok_or(StoreError::Sum)?;
                }
            }
        }
        for report in self.reports.values() {
            if let Some(row) = rows.get_mut(&report.device.on_chain()) {
                row.reports = report.count;
                row.last_report = Some(report.last);
            }
        }
        let mut stands: BTreeMap<Digest, Stands> = BTreeMap::new();
        for located in self.events.values() {
            register(&mut rows, located, self.time(located.block));
            if let Some(device) = located.event.device() {
                stands.entry(device).or_default().take(&located.event);
            }
        }
        for (device, row) in &mut rows {
            let known = stands.get(device).copied().unwrap_or_default();
            row.status = known.status(row.status == DeviceStatus::Active);
        }
        Ok(rows.into_values().map(|row| (row.did.to_string(), row)).collect())
    }

    pub(super) fn earnings(&self, device: DeviceId) -> impl DoubleEndedIterator<Item = EarningRow> {
        self.epochs.values().filter_map(move |facts| {
            let row = facts.devices.iter().find(|row| row.device == device)?;
            Some(EarningRow {
                epoch: facts.epoch,
                owner: row.owner,
                units: row.units.clone(),
                earned: row.earned,
                lines: row.lines.clone(),
                closed: facts.closed,
                status: self.on_chain(facts.epoch).status(),
                decided: false,
            })
        })
    }

    pub(super) fn verdicts(&self, device: DeviceId) -> impl DoubleEndedIterator<Item = VerdictRow> {
        self.epochs.values().filter_map(move |facts| {
            let row = facts.devices.iter().find(|row| row.device == device)?;
            Some(VerdictRow::from(&row.verdict))
        })
    }

    pub(super) fn epoch_devices(&self, epoch: Epoch) -> Vec<EpochDeviceRow> {
        let devices = self.epochs.get(&epoch).map(|facts| facts.devices.as_slice()).unwrap_or_default();
        let mut rows: Vec<_> = devices
            .iter()
            .map(|row| EpochDeviceRow {
                did: row.device,
                owner: row.owner,
                units: row.units.clone(),
                earned: row.earned,
                outcome: row.verdict.outcome,
            })
            .collect();
        rows.sort_by_key(|row| row.did);
        rows
    }

    pub(super) fn report_rows(
        &self,
        device: DeviceId,
    ) -> impl DoubleEndedIterator<Item = Result<ReportRow, StoreError>> {
        self.epochs.values().filter_map(move |facts| {
            let reported = facts.reports.iter().find(|row| row.device == device);
            let mut refused = facts.refusals.iter().filter(|row| row.device == Some(device)).peekable();
            if reported.is_none() && refused.peek().is_none() {
                return None;
            }
            let refused = refused.try_fold(0_u64, |sum, row| sum.checked_add(row.count));
            let span = reported.and_then(|row| row.span);
            Some(refused.ok_or(StoreError::Sum).map(|refused| ReportRow {
                epoch: facts.epoch,
                counted: reported.map_or(0, |row| row.counted),
                refused,
                first: span.map(|(first, _)| first),
                last: span.map(|(_, last)| last),
                missing: reported.map_or(0, |row| row.missing),
            }))
        })
    }

    /// Whoever owns, earned or was paid something.
    pub(super) fn owners(&self) -> Result<BTreeMap<Address, OwnerRow>, StoreError> {
        let mut rows = BTreeMap::new();
        for device in self.devices()?.into_values() {
            if let Some(owner) = device.owner {
                let row = rows.entry(owner).or_insert_with(|| OwnerRow::unknown(owner));
                row.devices = row.devices.saturating_add(1);
            }
        }
        let released = self.released();
        let mut taken = BTreeSet::new();
        for event in self.chain_events() {
            if let ChainEvent::Claimed { epoch, account, amount } = event {
                taken.insert((*account, *epoch));
                let row = rows.entry(*account).or_insert_with(|| OwnerRow::unknown(*account));
                row.claimed = row.claimed.plus(*amount)?;
            }
        }
        for ((account, epoch), claim) in &self.claims {
            let row = rows.entry(*account).or_insert_with(|| OwnerRow::unknown(*account));
            row.earned = row.earned.plus(claim.amount)?;
            if released.contains(epoch) && !taken.contains(&(*account, *epoch)) {
                row.claimable = row.claimable.plus(claim.amount)?;
            }
        }
        rows.retain(|address, row| *row != OwnerRow::unknown(*address));
        Ok(rows)
    }

    pub(super) fn claim_rows(&self, wanted: Address) -> impl DoubleEndedIterator<Item = ClaimRow> {
        let paid: BTreeSet<Epoch> = self
            .chain_events()
            .filter_map(|event| match event {
                ChainEvent::Claimed { epoch, account, .. } if *account == wanted => Some(*epoch),
                _ => None,
            })
            .collect();
        self.claims.range((wanted, Epoch(0))..=(wanted, Epoch(u64::MAX))).map(move |((_, epoch), claim)| {
            ClaimRow {
                epoch: *epoch,
                amount: claim.amount,
                proof: claim.proof.clone(),
                status: self.on_chain(*epoch).status(),
                claimed: paid.contains(epoch),
                decided: false,
            }
        })
    }

    pub(super) fn customers(&self) -> Result<BTreeMap<Address, CustomerRow>, StoreError> {
        let mut rows = BTreeMap::new();
        for event in self.chain_events() {
            if let ChainEvent::CreditsPaid { customer, amount, burned } = event {
                let row = rows.entry(*customer).or_insert_with(|| CustomerRow::unknown(*customer));
                row.paid = row.paid.plus(*amount)?;
                row.burned = row.burned.plus(*burned)?;
            }
        }
        for customer in self.epochs.values().flat_map(|facts| &facts.customers) {
            let row = rows.entry(customer.address).or_insert_with(|| CustomerRow::unknown(customer.address));
            row.spent = row.spent.plus(customer.spent)?;
            row.spent_burned = row.spent_burned.plus(customer.burned)?;
        }
        Ok(rows)
    }

    pub(super) fn customer_epochs(
        &self,
        wanted: Address,
    ) -> impl DoubleEndedIterator<Item = CustomerEpochRow> {
        self.epochs.values().filter_map(move |facts| {
            let row = facts.customers.iter().find(|row| row.address == wanted)?;
            Some(CustomerEpochRow {
                epoch: facts.epoch,
                spent: row.spent,
                burned: row.burned,
                decided: false,
            })
        })
    }

    pub(super) fn event_rows(&self, kind: Option<EventKind>) -> impl DoubleEndedIterator<Item = EventRow> {
        self.events
            .values()
            .filter(move |located| kind.is_none_or(|kind| EventKind::of(&located.event).ok() == Some(kind)))
            .map(|located| self.event_row(located))
    }

    fn event_row(&self, located: &Located) -> EventRow {
        EventRow {
            block: located.block,
            block_hash: located.block_hash,
            time: self.time(located.block),
            log_index: located.log_index,
            event: located.event.clone(),
            decided: false,
        }
    }

    pub(super) fn roots(&self) -> impl DoubleEndedIterator<Item = RootRow> {
        self.event_rows(None).filter_map(RootRow::of)
    }

    pub(super) fn refusals(&self, device: Option<DeviceId>) -> Vec<RefusalRow> {
        let rows = self.epochs.values().flat_map(|facts| facts.refusals.iter().map(|row| (facts.epoch, row)));
        let mut rows: Vec<RefusalRow> = rows
            .filter(|(_, row)| device.is_none() || row.device == device)
            .map(|(epoch, row)| RefusalRow::new(epoch, row.device, row.reason.clone(), row.count))
            .collect();
        rows.sort_by_key(crate::Row::key);
        rows
    }
}

fn unknown_device(device: DeviceId) -> DeviceRow {
    DeviceRow {
        did: device,
        on_chain: device.on_chain(),
        status: DeviceStatus::Unregistered,
        owner: None,
        registered_at: None,
        registered_time: None,
        earned: Total::default(),
        earned_final: Total::default(),
        last_epoch: None,
        last_outcome: None,
        reports: 0,
        last_report: None,
        refused: 0,
        decided: false,
    }
}

/// Lets one event of the registry name the owner of its device, which is active until more is known. Called in the order of the chain.
fn register(rows: &mut BTreeMap<Digest, DeviceRow>, located: &Located, time: Timestamp) {
    let (device, owner) = match &located.event {
        ChainEvent::DeviceRegistered { device, owner, .. } => (device.on_chain(), *owner),
        ChainEvent::DeviceTransferred { device, to, .. } => (*device, *to),
        _ => return,
    };
    let Some(row) = rows.get_mut(&device) else { return };
    (row.owner, row.status) = (Some(owner), DeviceStatus::Active);
    if matches!(located.event, ChainEvent::DeviceRegistered { .. }) {
        (row.registered_at, row.registered_time) = (Some(located.block), Some(time));
    }
}
