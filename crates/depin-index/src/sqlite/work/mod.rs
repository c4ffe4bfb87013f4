//! One change of the index: what facts that come, go or become final do to everything derived from them.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{Address, ChainEvent, DeviceId, Digest, Epoch, Timestamp};
use rusqlite::Transaction;

use super::{
    derived::{Cache, Customer, Device, EpochSums, Owner},
    epochs, read,
    value::Sql,
};
use crate::{ClaimFacts, Cursor, EarnedTally, ReportFacts, StoreError, Tally, Total, View, tally::Span};

mod finish;

/// Whether something is added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Remove,
}

impl Change {
    fn total(self, sum: Total, part: impl Into<Total>) -> Result<Total, StoreError> {
        match self {
            Self::Add => sum.plus(part),
            Self::Remove => sum.minus(part),
        }
    }

    fn count(self, sum: u64, part: u64) -> Result<u64, StoreError> {
        let changed = if self == Self::Add { sum.checked_add(part) } else { sum.checked_sub(part) };
        changed.ok_or(StoreError::Sum)
    }
}

/// A transaction, and the derived rows it changes.
pub(super) struct Work<'a> {
    transaction: &'a Transaction<'a>,
    /// Up to which block events count, by view; none where no block does. The final block may move while the work goes on.
    bounds: [Option<i64>; 2],
    devices: Cache<Device>,
    customers: Cache<Customer>,
    owners: Cache<Owner>,
    tallies: Cache<Tally>,
    earned: Cache<EarnedTally>,
    /// Devices of which the registry may say something new.
    registry: BTreeSet<(View, Digest)>,
    /// Epochs whose root may have become final, or not any more.
    roots: BTreeSet<Epoch>,
    /// Payouts that may have become open, or not any more.
    payouts: BTreeSet<(View, Address, Epoch)>,
    /// Epochs whose root became final just now, or is not any more.
    flipped: BTreeSet<Epoch>,
    decided: bool,
}

impl<'a> Work<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, cursor: &Cursor) -> Self {
        let mut work = Self {
            transaction,
            bounds: [None; 2],
            devices: Cache::default(),
            customers: Cache::default(),
            owners: Cache::default(),
            tallies: Cache::default(),
            earned: Cache::default(),
            registry: BTreeSet::new(),
            roots: BTreeSet::new(),
            payouts: BTreeSet::new(),
            flipped: BTreeSet::new(),
            decided: false,
        };
        work.move_to(cursor);
        work
    }

    fn move_to(&mut self, cursor: &Cursor) {
        self.bounds =
            View::ALL.map(|view| view.bound(cursor).map(|block| i64::try_from(block).unwrap_or(i64::MAX)));
    }

    fn bound(&self, view: View) -> Option<i64> {
        let [latest, decided] = self.bounds;
        if view == View::Latest { latest } else { decided }
    }

    /// Counts an event that came, in every view it belongs to.
    pub(super) fn come(&mut self, block: i64, event: &ChainEvent, time: Timestamp) -> Result<(), StoreError> {
        for view in View::ALL {
            if self.bound(view).is_some_and(|bound| block <= bound) {
                self.count(view, Change::Add, block, event, time)?;
            }
        }
        Ok(())
    }

    /// Takes back an event that goes. What is final stays.
    pub(super) fn go(&mut self, block: i64, event: &ChainEvent, time: Timestamp) -> Result<(), StoreError> {
        self.count(View::Latest, Change::Remove, block, event, time)
    }

    /// Moves the final block forward, and counts what becomes final with it.
    pub(super) fn finalise(&mut self, cursor: &Cursor) -> Result<(), StoreError> {
        let before = self.bound(View::Final);
        self.move_to(cursor);
        let Some(now) = self.bound(View::Final).filter(|now| before.is_none_or(|before| *now > before))
        else {
            return Ok(());
        };
        let transaction = self.transaction;
        let mut statement = transaction.prepare_cached(
            "SELECT events.block, body, time FROM events JOIN blocks ON number = events.block
             WHERE events.block > ?1 AND events.block <= ?2",
        )?;
        let mut rows = statement.query([before.unwrap_or(-1), now])?;
        while let Some(row) = rows.next()? {
            let time = row.get::<_, Sql<Timestamp>>(2)?.0;
            self.count(View::Final, Change::Add, row.get(0)?, &read::body(row.get_ref(1)?)?, time)?;
        }
        Ok(())
    }

    fn count(
        &mut self,
        view: View,
        change: Change,
        block: i64,
        event: &ChainEvent,
        time: Timestamp,
    ) -> Result<(), StoreError> {
        match event {
            ChainEvent::DeviceRegistered { device, .. } => {
                let on_chain = device.on_chain();
                self.device(view, on_chain)?.device = Some(*device);
                self.registry.insert((view, on_chain));
            }
            ChainEvent::DeviceTransferred { device, .. }
            | ChainEvent::DeviceDeactivated { device, .. }
            | ChainEvent::DeviceActivated { device, .. }
            | ChainEvent::DeviceSuspended { device, .. }
            | ChainEvent::DeviceResumed { device, .. } => {
                self.registry.insert((view, *device));
            }
            ChainEvent::CreditsPaid { customer, amount, burned } => {
                let place = (u64::try_from(block).unwrap_or_default(), time);
                let (row, _) = self.customers.get(self.transaction, &(view, *customer))?;
                row.paid = change.total(row.paid, *amount)?;
                row.burned = change.total(row.burned, *burned)?;
                row.payments = change.count(row.payments, 1)?;
                row.first = match (change, row.first) {
                    (Change::Add, first) => Some(first.map_or(place, |first| first.min(place))),
                    // Whatever goes lies above whatever stays.
                    (Change::Remove, first) => first.filter(|_| row.payments > 0),
                };
                let (bought, bought_burned) = ((*amount).into(), (*burned).into());
                self.tally(view, change, time, &Tally { bought, bought_burned, ..Tally::default() })?;
            }
            ChainEvent::Claimed { epoch, account, amount } => {
                let row = self.owner(view, *account)?;
                row.claimed = change.total(row.claimed, *amount)?;
                self.payouts.insert((view, *account, *epoch));
                self.tally(view, change, time, &Tally { claimed: (*amount).into(), ..Tally::default() })?;
            }
            ChainEvent::RootFinal { epoch, .. } => {
                self.roots.insert(*epoch);
            }
            _ => {}
        }
        Ok(())
    }

    /// The row of a device, to be changed.
    fn device(&mut self, view: View, on_chain: Digest) -> Result<&mut Device, StoreError> {
        let (row, new) = self.devices.get(self.transaction, &(view, on_chain))?;
        if new {
            self.registry.insert((view, on_chain));
        }
        Ok(row)
    }

    /// The row of a device that somebody else than the registry names.
    fn named(&mut self, view: View, device: DeviceId) -> Result<&mut Device, StoreError> {
        let row = self.device(view, device.on_chain())?;
        row.device = Some(device);
        Ok(row)
    }

    fn owner(&mut self, view: View, address: Address) -> Result<&mut Owner, StoreError> {
        Ok(self.owners.get(self.transaction, &(view, address))?.0)
    }

    fn tally(&mut self, view: View, change: Change, time: Timestamp, part: &Tally) -> Result<(), StoreError> {
        for span in Span::around(time) {
            let (row, _) = self.tallies.get(self.transaction, &(view, span))?;
            *row = if change == Change::Add { row.plus(part)? } else { row.minus(part)? };
        }
        Ok(())
    }

    pub(super) fn add_report(&mut self, report: &ReportFacts) -> Result<(), StoreError> {
        for view in View::ALL {
            if report.count > 0 {
                let row = self.named(view, report.device)?;
                if row.reports.is_none_or(|(count, _)| count < report.count) {
                    row.reports = Some((report.count, report.last));
                }
            }
        }
        Ok(())
    }

    /// A payout that is new to the store.
    pub(super) fn add_claim(&mut self, claim: &ClaimFacts) -> Result<(), StoreError> {
        let decided = epochs::settled(self.transaction, claim.epoch)?.is_some_and(|settled| settled.decided);
        for view in View::ALL {
            if view == View::Latest || decided {
                let row = self.owner(view, claim.account)?;
                row.earned = row.earned.plus(claim.amount)?;
            }
            self.payouts.insert((view, claim.account, claim.epoch));
        }
        Ok(())
    }

    /// An epoch that is new to a view: to the latest when it is stored, to the final one when its root is final.
    pub(super) fn add_epoch(&mut self, view: View, sums: &EpochSums) -> Result<(), StoreError> {
        if view == View::Latest {
            self.roots.insert(sums.epoch);
        }
        self.tally(view, Change::Add, sums.closed, &sums.tally)?;
        let mut owners: BTreeMap<Address, EarnedTally> = BTreeMap::new();
        for judged in &sums.devices {
            let row = self.named(view, judged.device)?;
            row.earned = row.earned.plus(judged.earned)?;
            if row.first.is_none_or(|(first, _)| sums.epoch < first) {
                row.first = Some((sums.epoch, sums.closed));
            }
            if row.last.is_none_or(|(last, _)| last < sums.epoch) {
                row.last = Some((sums.epoch, judged.outcome));
                row.epoch_owner = Some(judged.owner);
            }
            let (units, earned) = (Total::from(judged.units), Total::from(judged.earned));
            let part = EarnedTally { epochs: 1, units, earned };
            self.earned(view, judged.device.0.as_bytes(), sums.closed, &part)?;
            let owner = owners.entry(judged.owner).or_default();
            (owner.epochs, owner.units, owner.earned) =
                (1, owner.units.plus(units)?, owner.earned.plus(earned)?);
        }
        for (owner, part) in owners {
            self.earned(view, owner.as_slice(), sums.closed, &part)?;
        }
        for (customer, spent, burned) in &sums.customers {
            let (row, _) = self.customers.get(self.transaction, &(view, *customer))?;
            row.spent = row.spent.plus(*spent)?;
            row.spent_burned = row.spent_burned.plus(*burned)?;
            row.epochs = Change::Add.count(row.epochs, 1)?;
        }
        for (device, count) in sums.refused.iter().filter(|(_, count)| *count > 0) {
            let row = self.named(view, *device)?;
            row.refused = Change::Add.count(row.refused, *count)?;
        }
        Ok(())
    }

    fn earned(
        &mut self,
        view: View,
        who: &[u8],
        time: Timestamp,
        part: &EarnedTally,
    ) -> Result<(), StoreError> {
        for span in Span::around(time) {
            if span != Span::All {
                let (row, _) = self.earned.get(self.transaction, &(view, who.to_vec(), span))?;
                *row = row.plus(part)?;
            }
        }
        Ok(())
    }
}
