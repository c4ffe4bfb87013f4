//! One change of the index: what facts that come, go or become final do to everything derived from them.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{Address, Amount, ChainEvent, DeviceId, Digest, Epoch, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    derived::{Cache, Customer, Device, EpochSums, Owner},
    epochs::{self, Settled},
    read,
    value::Sql,
};
use crate::{
    ClaimFacts, Cursor, EarnedTally, EventKind, ReportFacts, StoreError, Tally, Total, View, tally::Span,
};

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
            ChainEvent::DeviceTransferred { device, .. } | ChainEvent::DeviceDeactivated { device } => {
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

    /// Follows everything that changed to its end, and writes it; whether an epoch was decided.
    pub(super) fn finish(mut self) -> Result<bool, StoreError> {
        for epoch in std::mem::take(&mut self.roots) {
            self.settle(epoch)?;
        }
        let mut known: BTreeMap<Epoch, Option<Settled>> = BTreeMap::new();
        for (view, account, epoch) in std::mem::take(&mut self.payouts) {
            let settled = match known.get(&epoch) {
                Some(settled) => *settled,
                None => *known.entry(epoch).or_insert(epochs::settled(self.transaction, epoch)?),
            };
            let released = settled.is_some_and(|settled| settled.is_released(view));
            // Nothing of an epoch is open whose root was never final.
            if released || self.flipped.contains(&epoch) {
                self.open(view, account, epoch, released)?;
            }
        }
        for (view, on_chain) in std::mem::take(&mut self.registry) {
            self.register(view, on_chain)?;
        }
        for ((view, _), before, now) in self.devices.flush(self.transaction)? {
            for (row, change) in [(&before, Change::Remove), (&now, Change::Add)] {
                self.count_device(view, row, change)?;
            }
        }
        for ((view, _), before, now) in self.customers.flush(self.transaction)? {
            for (row, change) in [(before, Change::Remove), (now, Change::Add)] {
                if let Some((_, time)) = row.first {
                    self.tally(view, change, time, &Tally { customers: 1, ..Tally::default() })?;
                }
            }
        }
        self.owners.flush(self.transaction)?;
        self.tallies.flush(self.transaction)?;
        self.earned.flush(self.transaction)?;
        Ok(self.decided)
    }

    /// What a device adds to sums over time and to its owner.
    fn count_device(&mut self, view: View, row: &Device, change: Change) -> Result<(), StoreError> {
        let parts = [
            (row.activated, Tally { activated: 1, ..Tally::default() }),
            (row.deactivated, Tally { deactivated: 1, ..Tally::default() }),
            (row.first.map(|(_, seen)| seen), Tally { seen: 1, ..Tally::default() }),
        ];
        for (time, part) in parts {
            if let Some(time) = time {
                self.tally(view, change, time, &part)?;
            }
        }
        if let Some(address) = row.owner() {
            let owner = self.owner(view, address)?;
            owner.devices = change.count(owner.devices, 1)?;
        }
        Ok(())
    }

    /// Whether the root of an epoch became final, or is not any more; in the final view it stays.
    fn settle(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        let Some(known) = epochs::settled(self.transaction, epoch)? else { return Ok(()) };
        let released = epochs::is_released(self.transaction, epoch, self.bound(View::Latest))?;
        if released != known.released {
            self.flipped.insert(epoch);
            epochs::mark(self.transaction, epoch, "released", released)?;
            for (account, _) in epochs::claims(self.transaction, epoch)? {
                self.payouts.insert((View::Latest, account, epoch));
            }
        }
        if known.decided || !epochs::is_released(self.transaction, epoch, self.bound(View::Final))? {
            return Ok(());
        }
        epochs::mark(self.transaction, epoch, "decided", true)?;
        self.decided = true;
        self.add_epoch(View::Final, &epochs::sums(self.transaction, epoch)?)?;
        for (account, amount) in epochs::claims(self.transaction, epoch)? {
            let row = self.owner(View::Final, account)?;
            row.earned = row.earned.plus(amount)?;
            self.payouts.insert((View::Final, account, epoch));
        }
        Ok(())
    }

    /// Whether a payout can be taken now.
    fn open(&mut self, view: View, account: Address, epoch: Epoch, released: bool) -> Result<(), StoreError> {
        // Beyond what a database holds nothing was ever closed.
        let Ok(number) = i64::try_from(epoch.0) else { return Ok(()) };
        let column = if view == View::Latest { "open" } else { "open_finally" };
        let sql = format!("SELECT amount, {column} FROM claims WHERE account = ?1 AND epoch = ?2");
        let found = self
            .transaction
            .prepare_cached(&sql)?
            .query_row(params![Sql(account), number], |row| {
                Ok((row.get::<_, Sql<Amount>>(0)?.0, row.get(1)?))
            })
            .optional()?;
        let Some((amount, before)): Option<(Amount, bool)> = found else { return Ok(()) };
        let bound = self.bound(view).unwrap_or(-1);
        let mut taken = self.transaction.prepare_cached(
            "SELECT 1 FROM events WHERE account = ?1 AND kind = ?2 AND epoch = ?3 AND block <= ?4 LIMIT 1",
        )?;
        let now = released && !taken.exists(params![Sql(account), Sql(EventKind::Claimed), number, bound])?;
        if now == before {
            return Ok(());
        }
        let sql = format!("UPDATE claims SET {column} = ?3 WHERE account = ?1 AND epoch = ?2");
        self.transaction.prepare_cached(&sql)?.execute(params![Sql(account), number, now])?;
        let row = self.owner(view, account)?;
        let change = if now { Change::Add } else { Change::Remove };
        row.claimable = change.total(row.claimable, amount)?;
        Ok(())
    }

    /// Brings a device's standing with the registry up to date with the stored events.
    fn register(&mut self, view: View, on_chain: Digest) -> Result<(), StoreError> {
        let events = self.registry_events(view, on_chain)?;
        let row = self.devices.get(self.transaction, &(view, on_chain))?.0;
        let mut state = Device { is_off: false, registered_owner: None, registered: None, ..row.clone() };
        (state.activated, state.deactivated) = (None, None);
        for (block, event, time) in events {
            match event {
                ChainEvent::DeviceRegistered { device, owner, .. } => {
                    state.device = Some(device);
                    state.registered_owner = Some(owner);
                    state.registered = Some((block, time));
                    state.activated = state.activated.or(Some(time));
                }
                ChainEvent::DeviceTransferred { to, .. } => {
                    state.registered_owner = Some(to);
                    state.activated = state.activated.or(Some(time));
                }
                ChainEvent::DeviceDeactivated { .. } => {
                    state.is_off = true;
                    state.deactivated = state.deactivated.or(Some(time));
                }
                _ => {}
            }
        }
        // A device that never had an owner is not counted as switched off.
        state.deactivated = state.activated.zip(state.deactivated).map(|(on, off)| on.max(off));
        *row = state;
        Ok(())
    }

    /// What of all the registry said of a device decides how it stands, in the order of the chain: of each kind the first and the last. However
    /// often a device changes hands, that is no more to read.
    fn registry_events(
        &self,
        view: View,
        on_chain: Digest,
    ) -> Result<Vec<(u64, ChainEvent, Timestamp)>, StoreError> {
        // Without being told, SQLite walks along the blocks until it meets the device.
        let one = |kind: EventKind, order: &str| {
            format!(
                "SELECT * FROM (SELECT block, log_index, body FROM events INDEXED BY events_by_device
                 WHERE device = ?1 AND block <= ?2 AND kind = {} ORDER BY block {order}, log_index {order} LIMIT 1)",
                kind.code()
            )
        };
        let parts = [
            one(EventKind::DeviceRegistered, "ASC"),
            one(EventKind::DeviceRegistered, "DESC"),
            one(EventKind::DeviceTransferred, "ASC"),
            one(EventKind::DeviceTransferred, "DESC"),
            one(EventKind::DeviceDeactivated, "ASC"),
        ];
        let sql = format!(
            "SELECT block, log_index, body, time FROM ({}) CROSS JOIN blocks ON number = block",
            parts.join(" UNION ALL ")
        );
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut rows = statement.query(params![Sql(on_chain), self.bound(view).unwrap_or(-1)])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            let (block, log) = (row.get::<_, Sql<u64>>(0)?.0, row.get::<_, Sql<u64>>(1)?.0);
            let time = row.get::<_, Sql<Timestamp>>(3)?.0;
            events.push(((block, log), read::body(row.get_ref(2)?)?, time));
        }
        events.sort_by_key(|(place, ..)| *place);
        Ok(events.into_iter().map(|((block, _), event, time)| (block, event, time)).collect())
    }
}
