//! A store in memory. It keeps facts and derives rows when asked: slow, small, and plainly right.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use depin_core::{Address, ChainEvent, DeviceId, Digest, Epoch, Located, Text, Timestamp};

use crate::{
    Answer, Batch, BlockFacts, BlockRef, ClaimFacts, ClaimRow, Cursor, CustomerRow, DeviceFilter, DeviceRow,
    DeviceStatus, EarningRow, EpochFacts, EpochRow, EventKind, EventRow, OwnerRow, Page, Query, RefusalRow,
    ReorgRow, ReportFacts, RootStatus, Row, Seek, Store, StoreError, Total, VerdictRow, WINDOW, facts::fits,
};

/// A [`Store`] in memory, for tests, simulations and the browser. Reading costs time in proportion to all it holds.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn apply(&self, batch: Batch, cursor: Cursor) -> Result<(), StoreError> {
        batch.check(&cursor)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // All or nothing: what fails half-way is the copy. Facts are shared between copies.
        let mut next = state.clone();
        next.apply(batch, cursor)?;
        *state = next;
        Ok(())
    }

    async fn cursor(&self) -> Result<Cursor, StoreError> {
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner).cursor)
    }

    async fn rewind(&self, to: BlockRef, seen: Timestamp) -> Result<(), StoreError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).rewind(to, seen)
    }

    async fn read(&self, query: Query) -> Result<Answer, StoreError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).read(query)
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    cursor: Cursor,
    blocks: BTreeMap<u64, BlockFacts>,
    reorgs: Vec<ReorgRow>,
    events: BTreeMap<(u64, u64), Arc<Located>>,
    epochs: BTreeMap<Epoch, Arc<EpochFacts>>,
    claims: BTreeMap<(Address, Epoch), Arc<ClaimFacts>>,
    reports: BTreeMap<DeviceId, Arc<ReportFacts>>,
}

impl State {
    fn apply(&mut self, batch: Batch, cursor: Cursor) -> Result<(), StoreError> {
        for block in batch.blocks {
            self.add_block(block)?;
        }
        let headers = batch.events.iter().map(|located| located.block).collect::<BTreeSet<_>>();
        if let Some(block) = headers.into_iter().find(|block| !self.blocks.contains_key(block)) {
            return Err(StoreError::NoHeader { block });
        }
        for located in batch.events {
            self.add_event(located)?;
        }
        for facts in batch.epochs {
            self.add_epoch(facts)?;
        }
        for claim in batch.claims {
            self.add_claim(claim)?;
        }
        for report in batch.reports {
            let known = self.reports.get(&report.device).map_or(0, |known| known.count);
            if report.count > known {
                self.reports.insert(report.device, Arc::new(report));
            }
        }
        if let Some(block) = cursor.block {
            self.check_block(block)?;
            if self.cursor.block.is_none_or(|stored| stored.number < block.number) {
                self.cursor.block = Some(block);
            }
            self.forget_headers();
        }
        self.cursor.final_block = self.cursor.final_block.max(cursor.final_block);
        self.cursor.journal = self.cursor.journal.max(cursor.journal);
        Ok(())
    }

    /// The hash of every known block of this number must be this one.
    fn check_block(&self, block: BlockRef) -> Result<(), StoreError> {
        let header = self.blocks.get(&block.number);
        let known = header.map(|header| header.hash).or(self
            .cursor
            .block
            .filter(|stored| stored.number == block.number)
            .map(|stored| stored.hash));
        match known {
            Some(expected) if expected != block.hash => {
                Err(StoreError::Reorganised { block: block.number, expected, found: block.hash })
            }
            _ => Ok(()),
        }
    }

    fn add_block(&mut self, block: BlockFacts) -> Result<(), StoreError> {
        self.check_block(BlockRef { number: block.number, hash: block.hash })?;
        let known = self.blocks.entry(block.number).or_insert(block);
        if *known == block {
            return Ok(());
        }
        Err(StoreError::Conflict {
            what: format!("the header of block {}", block.number),
            expected: format!("{} after {}", known.time, known.parent),
            found: format!("{} after {}", block.time, block.parent),
        })
    }

    /// Headers of old blocks without events are of no use any more.
    fn forget_headers(&mut self) {
        let Some(oldest) = self.cursor.block.and_then(|block| block.number.checked_sub(WINDOW)) else {
            return;
        };
        let with_events: BTreeSet<u64> = self.events.keys().map(|(block, _)| *block).collect();
        self.blocks.retain(|number, _| *number >= oldest || with_events.contains(number));
    }

    fn add_event(&mut self, located: Located) -> Result<(), StoreError> {
        self.check_block(BlockRef { number: located.block, hash: located.block_hash })?;
        match self.events.entry((located.block, located.log_index)) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(located));
                Ok(())
            }
            Entry::Occupied(known) if **known.get() == located => Ok(()),
            Entry::Occupied(known) => Err(StoreError::Conflict {
                what: format!("the event {} of block {}", located.log_index, located.block),
                expected: EventKind::of(&known.get().event)?.to_string(),
                found: EventKind::of(&located.event)?.to_string(),
            }),
        }
    }

    fn add_epoch(&mut self, facts: EpochFacts) -> Result<(), StoreError> {
        match self.epochs.entry(facts.epoch) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(facts));
                Ok(())
            }
            Entry::Occupied(known) if known.get().bundle == facts.bundle => Ok(()),
            Entry::Occupied(known) => Err(StoreError::Conflict {
                what: format!("the bundle of epoch {}", facts.epoch),
                expected: known.get().bundle.to_string(),
                found: facts.bundle.to_string(),
            }),
        }
    }

    fn add_claim(&mut self, claim: ClaimFacts) -> Result<(), StoreError> {
        match self.claims.entry((claim.account, claim.epoch)) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(claim));
                Ok(())
            }
            Entry::Occupied(known) if **known.get() == claim => Ok(()),
            Entry::Occupied(known) => Err(StoreError::Conflict {
                what: format!("the claim of {} in epoch {}", claim.account, claim.epoch),
                expected: known.get().amount.to_string(),
                found: claim.amount.to_string(),
            }),
        }
    }

    fn rewind(&mut self, to: BlockRef, seen: Timestamp) -> Result<(), StoreError> {
        fits("the time of a reorganisation", seen.0)?;
        if let Some(final_block) = self.cursor.final_block.filter(|number| to.number < *number) {
            return Err(StoreError::Final { to: to.number, final_block });
        }
        self.check_block(to)?;
        let before = self.events.len();
        self.events.retain(|(block, _), _| *block <= to.number);
        self.blocks.retain(|number, _| *number <= to.number);
        if let Some(old) = self.cursor.block.filter(|stored| stored.number > to.number) {
            self.cursor.block = Some(to);
            self.reorgs.push(ReorgRow {
                id: count(self.reorgs.len()).saturating_add(1),
                seen,
                depth: old.number.saturating_sub(to.number),
                old,
                common: to,
                events: count(before.saturating_sub(self.events.len())),
            });
        }
        Ok(())
    }

    fn read(&self, query: Query) -> Result<Answer, StoreError> {
        Ok(match query {
            Query::Epochs(seek) => {
                Answer::Epochs(descending(self.epochs.values().map(|facts| self.epoch_row(facts)), seek))
            }
            Query::Epoch(epoch) => Answer::Epoch(self.epochs.get(&epoch).map(|facts| self.epoch_row(facts))),
            Query::Devices(filter, seek) => Answer::Devices(self.device_page(&filter, None, seek)?),
            Query::Device(device) => Answer::Device(self.devices()?.remove(&device.to_string())),
            Query::Earnings(device, seek) => Answer::Earnings(descending(self.earnings(device), seek)),
            Query::Verdicts(device, seek) => Answer::Verdicts(descending(self.verdicts(device), seek)),
            Query::Owner(address, seek) => Answer::Owner(self.owner(address, seek)?),
            Query::Claims(account, seek) => Answer::Claims(descending(self.claim_rows(account), seek)),
            Query::Customers(seek) => Answer::Customers(ascending(self.customers()?.into_values(), seek)),
            Query::Events(kind, seek) => Answer::Events(descending(self.event_rows(kind), seek)),
            Query::Refusals(seek) => Answer::Refusals(self.refusals(seek)),
            Query::Window(limit) => {
                let blocks = self.blocks.values().rev().take(limit.rows());
                Answer::Window(
                    blocks.map(|block| BlockRef { number: block.number, hash: block.hash }).collect(),
                )
            }
            Query::Reorgs(seek) => Answer::Reorgs(descending(self.reorgs.iter().cloned(), seek)),
        })
    }

    fn chain_events(&self) -> impl DoubleEndedIterator<Item = &ChainEvent> {
        self.events.values().map(|located| &located.event)
    }

    /// Status, root and bundle on the chain: the last final root, else the last one proposed.
    fn on_chain(&self, wanted: Epoch) -> (RootStatus, Option<Digest>, Option<Digest>) {
        let mut proposed = None;
        for event in self.chain_events().rev() {
            match event {
                ChainEvent::RootFinal { epoch, root, bundle, .. } if *epoch == wanted => {
                    return (RootStatus::Final, Some(*root), Some(*bundle));
                }
                ChainEvent::RootProposed { epoch, root, bundle } if *epoch == wanted => {
                    proposed = proposed.or(Some((*root, *bundle)));
                }
                _ => {}
            }
        }
        match proposed {
            Some((root, bundle)) => (RootStatus::Proposed, Some(root), Some(bundle)),
            None => (RootStatus::Closed, None, None),
        }
    }

    fn epoch_row(&self, facts: &EpochFacts) -> EpochRow {
        let (status, root_on_chain, bundle_on_chain) = self.on_chain(facts.epoch);
        EpochRow {
            epoch: facts.epoch,
            bundle: facts.bundle,
            root: facts.root,
            status,
            root_on_chain,
            bundle_on_chain,
            pool: facts.pool,
            paid: facts.paid,
            dust: facts.dust,
            burned: facts.burned,
            minted: facts.minted,
            revenue: facts.revenue,
            units: facts.units.clone(),
            opened: facts.opened,
            closed: facts.closed,
            verdicts: facts.verdicts,
        }
    }

    /// Every device, by its did:key.
    fn devices(&self) -> Result<BTreeMap<String, DeviceRow>, StoreError> {
        let mut names = BTreeSet::new();
        for event in self.chain_events() {
            if let ChainEvent::DeviceRegistered { device, .. } = event {
                names.insert(*device);
            }
        }
        names.extend(self.epochs.values().flat_map(|facts| facts.devices.iter().map(|row| row.device)));
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
        }
        for report in self.reports.values() {
            if let Some(row) = rows.get_mut(&report.device.on_chain()) {
                row.reports = report.count;
                row.last_report = Some(report.last);
            }
        }
        for located in self.events.values() {
            register(&mut rows, located);
        }
        Ok(rows.into_values().map(|row| (row.did.to_string(), row)).collect())
    }

    fn device_page(
        &self,
        filter: &DeviceFilter,
        owner: Option<Address>,
        seek: Seek<DeviceId>,
    ) -> Result<Page<DeviceRow>, StoreError> {
        let after = seek.after.map(|device| device.to_string());
        let rows = self.devices()?.into_iter().filter(|(did, row)| {
            after.as_ref().is_none_or(|after| did > after)
                && filter.prefix.as_ref().is_none_or(|prefix| did.starts_with(prefix.as_str()))
                && filter.status.is_none_or(|status| row.status == status)
                && owner.is_none_or(|owner| row.owner == Some(owner))
        });
        Ok(Page::cut(rows.map(|(_, row)| row).collect(), seek.limit))
    }

    fn earnings(&self, device: DeviceId) -> impl DoubleEndedIterator<Item = EarningRow> {
        self.epochs.values().filter_map(move |facts| {
            let row = facts.devices.iter().find(|row| row.device == device)?;
            Some(EarningRow {
                epoch: facts.epoch,
                owner: row.owner,
                units: row.units.clone(),
                earned: row.earned,
            })
        })
    }

    fn verdicts(&self, device: DeviceId) -> impl DoubleEndedIterator<Item = VerdictRow> {
        self.epochs.values().filter_map(move |facts| {
            let row = facts.devices.iter().find(|row| row.device == device)?;
            Some(VerdictRow::from(&row.verdict))
        })
    }

    fn owner(&self, address: Address, seek: Seek<DeviceId>) -> Result<OwnerRow, StoreError> {
        let earned = self
            .claims
            .range((address, Epoch(0))..=(address, Epoch(u64::MAX)))
            .try_fold(Total::default(), |sum, (_, claim)| sum.plus(claim.amount))?;
        let claimed = self.chain_events().try_fold(Total::default(), |sum, event| match event {
            ChainEvent::Claimed { account, amount, .. } if *account == address => sum.plus(*amount),
            _ => Ok(sum),
        })?;
        let devices = self.device_page(&DeviceFilter::default(), Some(address), seek)?;
        Ok(OwnerRow { address, earned, claimed, devices })
    }

    fn claim_rows(&self, wanted: Address) -> impl DoubleEndedIterator<Item = ClaimRow> {
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
                status: self.on_chain(*epoch).0,
                claimed: paid.contains(epoch),
            }
        })
    }

    fn customers(&self) -> Result<BTreeMap<Address, CustomerRow>, StoreError> {
        let mut rows = BTreeMap::new();
        for event in self.chain_events() {
            if let ChainEvent::CreditsPaid { customer, amount, burned } = event {
                let row = rows.entry(*customer).or_insert_with(|| unknown_customer(*customer));
                row.paid = row.paid.plus(*amount)?;
                row.burned = row.burned.plus(*burned)?;
            }
        }
        for customer in self.epochs.values().flat_map(|facts| &facts.customers) {
            let row = rows.entry(customer.address).or_insert_with(|| unknown_customer(customer.address));
            row.spent = row.spent.plus(customer.spent)?;
            row.spent_burned = row.spent_burned.plus(customer.burned)?;
        }
        Ok(rows)
    }

    fn event_rows(&self, kind: Option<EventKind>) -> impl DoubleEndedIterator<Item = EventRow> {
        self.events
            .values()
            .filter(move |located| kind.is_none_or(|kind| EventKind::of(&located.event).ok() == Some(kind)))
            .map(|located| EventRow::from(Located::clone(located)))
    }

    fn refusals(&self, seek: Seek<(Epoch, Option<DeviceId>, Text)>) -> Page<RefusalRow> {
        let mut rows: Vec<RefusalRow> = self
            .epochs
            .values()
            .flat_map(|facts| facts.refusals.iter().map(|row| (facts.epoch, row)))
            .map(|(epoch, row)| RefusalRow {
                epoch,
                device: row.device,
                reason: row.reason.clone(),
                count: row.count,
            })
            .collect();
        rows.sort_by_key(Row::key);
        descending(rows.into_iter(), seek)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn unknown_device(device: DeviceId) -> DeviceRow {
    DeviceRow {
        did: device,
        on_chain: device.on_chain(),
        status: DeviceStatus::Unregistered,
        owner: None,
        registered_at: None,
        earned: Total::default(),
        last_epoch: None,
        last_outcome: None,
        reports: 0,
        last_report: None,
    }
}

fn unknown_customer(address: Address) -> CustomerRow {
    let none = Total::default();
    CustomerRow { address, paid: none, burned: none, spent: none, spent_burned: none }
}

/// Lets one event of the registry change the row of its device. Called in the order of the chain.
fn register(rows: &mut BTreeMap<Digest, DeviceRow>, located: &Located) {
    let (device, owner) = match &located.event {
        ChainEvent::DeviceRegistered { device, owner, .. } => (device.on_chain(), Some(*owner)),
        ChainEvent::DeviceTransferred { device, to, .. } => (*device, Some(*to)),
        ChainEvent::DeviceDeactivated { device } => (*device, None),
        _ => return,
    };
    let Some(row) = rows.get_mut(&device) else { return };
    row.owner = owner.or(row.owner);
    row.status = match (&located.event, row.status) {
        (ChainEvent::DeviceDeactivated { .. }, _) | (_, DeviceStatus::Deactivated) => {
            DeviceStatus::Deactivated
        }
        _ => DeviceStatus::Active,
    };
    if matches!(located.event, ChainEvent::DeviceRegistered { .. }) {
        row.registered_at = Some(located.block);
    }
}

/// A page of rows that come in ascending order.
fn ascending<R: Row<Key: Ord>>(rows: impl Iterator<Item = R>, seek: Seek<R::Key>) -> Page<R> {
    let rest = rows.filter(|row| seek.after.as_ref().is_none_or(|after| row.key() > *after));
    Page::cut(rest.take(seek.limit.rows().saturating_add(1)).collect(), seek.limit)
}

/// A page of rows that come in ascending order and are shown in descending order.
fn descending<R: Row<Key: Ord>>(rows: impl DoubleEndedIterator<Item = R>, seek: Seek<R::Key>) -> Page<R> {
    let rest = rows.rev().filter(|row| seek.after.as_ref().is_none_or(|after| row.key() < *after));
    Page::cut(rest.take(seek.limit.rows().saturating_add(1)).collect(), seek.limit)
}
