//! The end of a change: what follows from everything that came and went, worked out once and written.

use std::collections::BTreeMap;

use depin_core::{Address, Amount, ChainEvent, Digest, Epoch, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::{
    super::{
        derived::Device,
        epochs::{self, Settled},
        read,
        value::Sql,
    },
    Change, Work,
};
use crate::{EventKind, StoreError, Tally, View};

impl Work<'_> {
    /// Follows everything that changed to its end, and writes it; whether an epoch was decided.
    pub(in crate::sqlite) fn finish(mut self) -> Result<bool, StoreError> {
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
        let (stands, registered_owner, registered) = Default::default();
        let mut state = Device { stands, registered_owner, registered, ..row.clone() };
        (state.activated, state.deactivated) = (None, None);
        for (block, event, time) in events {
            state.stands.take(&event);
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
            one(EventKind::DeviceActivated, "ASC"),
            one(EventKind::DeviceSuspended, "DESC"),
            one(EventKind::DeviceResumed, "DESC"),
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
