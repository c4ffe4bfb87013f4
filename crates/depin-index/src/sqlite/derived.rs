//! Rows that follow from facts: loaded when something changes them, written once at the end of a transaction.

use std::collections::BTreeMap;

use depin_core::{Address, Amount, DeviceId, Digest, Epoch, Outcome, Timestamp};
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params, params_from_iter};

use super::value::Sql;
use crate::{DeviceStatus, EarnedTally, StoreError, Tally, Total, View, tally::Span};

/// A row that follows from facts. One that says nothing is not kept.
pub(super) trait Derived: Clone + PartialEq + Default {
    type Key: Ord + Clone;

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    fn load(transaction: &Transaction<'_>, key: &Self::Key) -> Result<Option<Self>, StoreError>;
    fn save(&self, transaction: &Transaction<'_>, key: &Self::Key) -> Result<(), StoreError>;
    fn delete(transaction: &Transaction<'_>, key: &Self::Key) -> Result<(), StoreError>;
}

/// Rows of one kind that a transaction changes: as they were, and as they are now.
pub(super) struct Cache<T: Derived>(BTreeMap<T::Key, (Option<T>, T)>);

impl<T: Derived> Default for Cache<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Derived> Cache<T> {
    /// The row, to be changed, and whether it is new to the cache and to the store.
    pub(super) fn get(
        &mut self,
        transaction: &Transaction<'_>,
        key: &T::Key,
    ) -> Result<(&mut T, bool), StoreError> {
        use std::collections::btree_map::Entry;
        Ok(match self.0.entry(key.clone()) {
            Entry::Occupied(row) => (&mut row.into_mut().1, false),
            Entry::Vacant(place) => {
                let stored = T::load(transaction, key)?;
                let new = stored.is_none();
                let row = stored.clone().unwrap_or_default();
                (&mut place.insert((stored, row)).1, new)
            }
        })
    }

    /// Writes what changed. Gives each row as it was and as it is now; a row that is not there says nothing.
    pub(super) fn flush(&mut self, transaction: &Transaction<'_>) -> Result<Vec<(T::Key, T, T)>, StoreError> {
        let mut changed = Vec::new();
        for (key, (stored, row)) in std::mem::take(&mut self.0) {
            match (&stored, row.is_nothing()) {
                (None, true) => continue,
                (Some(_), true) => T::delete(transaction, &key)?,
                (Some(stored), false) if *stored == row => continue,
                (_, false) => row.save(transaction, &key)?,
            }
            let now = if row.is_nothing() { T::default() } else { row };
            changed.push((key, stored.unwrap_or_default(), now));
        }
        Ok(changed)
    }
}

/// A device. Its key is what names it on the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) device: Option<DeviceId>,
    pub(super) deactivated: Option<Timestamp>,
    pub(super) activated: Option<Timestamp>,
    pub(super) is_off: bool,
    pub(super) registered_owner: Option<Address>,
    pub(super) epoch_owner: Option<Address>,
    pub(super) registered: Option<(u64, Timestamp)>,
    pub(super) earned: Total,
    pub(super) refused: u64,
    pub(super) first: Option<(Epoch, Timestamp)>,
    pub(super) last: Option<(Epoch, Outcome)>,
    pub(super) reports: Option<(u64, Timestamp)>,
}

impl Device {
    pub(super) fn owner(&self) -> Option<Address> {
        self.registered_owner.or(self.epoch_owner)
    }

    pub(super) fn status(&self) -> DeviceStatus {
        match (self.is_off, self.registered_owner) {
            (true, _) => DeviceStatus::Deactivated,
            (false, Some(_)) => DeviceStatus::Active,
            (false, None) => DeviceStatus::Unregistered,
        }
    }
}

/// Two columns that are there together.
fn pair<A, B>(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<(A, B)>>
where
    Sql<A>: rusqlite::types::FromSql,
    Sql<B>: rusqlite::types::FromSql,
{
    let first = row.get::<_, Option<Sql<A>>>(at)?;
    let second = row.get::<_, Option<Sql<B>>>(at.saturating_add(1))?;
    Ok(first.zip(second).map(|(first, second)| (first.0, second.0)))
}

/// The outcome of the last epoch as a number; -1 stands for none, so that an index finds it.
pub(super) fn outcome(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Outcome>> {
    if row.get::<_, i64>(at)? < 0 { Ok(None) } else { Ok(Some(row.get::<_, Sql<Outcome>>(at)?.0)) }
}

impl Derived for Device {
    type Key = (View, Digest);

    fn is_nothing(&self) -> bool {
        // What the registry says of a key that nobody here knows has no row.
        self.device.is_none()
            || (self.registered.is_none()
                && self.last.is_none()
                && self.refused == 0
                && self.reports.is_none())
    }

    fn load(transaction: &Transaction<'_>, (view, on_chain): &Self::Key) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT device, status, registered_owner, epoch_owner, registered_at, registered_time, activated,
                          deactivated, earned, refused, first_epoch, seen, last_epoch, outcome, reports, last_report
                   FROM devices WHERE view = ?1 AND on_chain = ?2";
        let read = |row: &Row<'_>| {
            let time = |at| row.get::<_, Option<Sql<Timestamp>>>(at).map(|time| time.map(|time| time.0));
            let address = |at| row.get::<_, Option<Sql<Address>>>(at).map(|owner| owner.map(|owner| owner.0));
            let last = row.get::<_, Option<Sql<Epoch>>>(12)?.map(|epoch| epoch.0);
            Ok(Self {
                device: Some(row.get::<_, Sql<DeviceId>>(0)?.0),
                is_off: row.get::<_, Sql<DeviceStatus>>(1)?.0 == DeviceStatus::Deactivated,
                registered_owner: address(2)?,
                epoch_owner: address(3)?,
                registered: pair(row, 4)?,
                activated: time(6)?,
                deactivated: time(7)?,
                earned: row.get::<_, Sql<Total>>(8)?.0,
                refused: row.get::<_, Sql<u64>>(9)?.0,
                first: pair(row, 10)?,
                last: last.zip(outcome(row, 13)?),
                reports: pair(row, 14)?.filter(|(count, _): &(u64, Timestamp)| *count > 0),
            })
        };
        let mut statement = transaction.prepare_cached(sql)?;
        Ok(statement.query_row(params![view.code(), Sql(*on_chain)], read).optional()?)
    }

    fn save(&self, transaction: &Transaction<'_>, (view, on_chain): &Self::Key) -> Result<(), StoreError> {
        let Some(device) = self.device else { return Ok(()) };
        let outcome = self.last.map(|(_, outcome)| Sql(outcome));
        let outcome: &dyn ToSql = outcome.as_ref().map_or(&-1_i64, |outcome| outcome);
        let time = |time: Option<Timestamp>| time.map(Sql);
        transaction
            .prepare_cached(
                "INSERT INTO devices (view, on_chain, device, did, status, outcome, owner, registered_owner,
                     epoch_owner, registered_at, registered_time, activated, deactivated, earned, refused,
                     first_epoch, seen, last_epoch, reports, last_report)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
                 ON CONFLICT (view, on_chain) DO UPDATE SET
                     status = ?5, outcome = ?6, owner = ?7, registered_owner = ?8, epoch_owner = ?9,
                     registered_at = ?10, registered_time = ?11, activated = ?12, deactivated = ?13, earned = ?14,
                     refused = ?15, first_epoch = ?16, seen = ?17, last_epoch = ?18, reports = ?19, last_report = ?20",
            )?
            .execute(params![
                view.code(),
                Sql(*on_chain),
                Sql(device),
                device.to_string(),
                Sql(self.status()),
                outcome,
                self.owner().map(Sql),
                self.registered_owner.map(Sql),
                self.epoch_owner.map(Sql),
                self.registered.map(|(block, _)| Sql(block)),
                time(self.registered.map(|(_, time)| time)),
                time(self.activated),
                time(self.deactivated),
                Sql(self.earned),
                Sql(self.refused),
                self.first.map(|(epoch, _)| Sql(epoch)),
                time(self.first.map(|(_, seen)| seen)),
                self.last.map(|(epoch, _)| Sql(epoch)),
                Sql(self.reports.map_or(0, |(count, _)| count)),
                time(self.reports.map(|(_, last)| last)),
            ])?;
        Ok(())
    }

    fn delete(transaction: &Transaction<'_>, (view, on_chain): &Self::Key) -> Result<(), StoreError> {
        transaction
            .prepare_cached("DELETE FROM devices WHERE view = ?1 AND on_chain = ?2")?
            .execute(params![view.code(), Sql(*on_chain)])?;
        Ok(())
    }
}

/// A customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Customer {
    pub(super) paid: Total,
    pub(super) burned: Total,
    pub(super) payments: u64,
    pub(super) first: Option<(u64, Timestamp)>,
    pub(super) spent: Total,
    pub(super) spent_burned: Total,
    pub(super) epochs: u64,
}

impl Derived for Customer {
    type Key = (View, Address);

    fn load(transaction: &Transaction<'_>, (view, address): &Self::Key) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT paid, burned, payments, first_block, first_time, spent, spent_burned, epochs
                   FROM customers WHERE view = ?1 AND address = ?2";
        let read = |row: &Row<'_>| {
            let total = |at| row.get::<_, Sql<Total>>(at).map(|total| total.0);
            let count = |at| row.get::<_, Sql<u64>>(at).map(|count| count.0);
            Ok(Self {
                paid: total(0)?,
                burned: total(1)?,
                payments: count(2)?,
                first: pair(row, 3)?,
                spent: total(5)?,
                spent_burned: total(6)?,
                epochs: count(7)?,
            })
        };
        let mut statement = transaction.prepare_cached(sql)?;
        Ok(statement.query_row(params![view.code(), Sql(*address)], read).optional()?)
    }

    fn save(&self, transaction: &Transaction<'_>, (view, address): &Self::Key) -> Result<(), StoreError> {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO customers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                view.code(),
                Sql(*address),
                Sql(self.paid),
                Sql(self.burned),
                Sql(self.payments),
                self.first.map(|(block, _)| Sql(block)),
                self.first.map(|(_, time)| Sql(time)),
                Sql(self.spent),
                Sql(self.spent_burned),
                Sql(self.epochs),
            ])?;
        Ok(())
    }

    fn delete(transaction: &Transaction<'_>, (view, address): &Self::Key) -> Result<(), StoreError> {
        transaction
            .prepare_cached("DELETE FROM customers WHERE view = ?1 AND address = ?2")?
            .execute(params![view.code(), Sql(*address)])?;
        Ok(())
    }
}

/// An owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) devices: u64,
    pub(super) earned: Total,
    pub(super) claimed: Total,
    pub(super) claimable: Total,
}

impl Derived for Owner {
    type Key = (View, Address);

    fn load(transaction: &Transaction<'_>, (view, address): &Self::Key) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT devices, earned, claimed, claimable FROM owners WHERE view = ?1 AND address = ?2";
        let read = |row: &Row<'_>| {
            let total = |at| row.get::<_, Sql<Total>>(at).map(|total| total.0);
            Ok(Self {
                devices: row.get::<_, Sql<u64>>(0)?.0,
                earned: total(1)?,
                claimed: total(2)?,
                claimable: total(3)?,
            })
        };
        let mut statement = transaction.prepare_cached(sql)?;
        Ok(statement.query_row(params![view.code(), Sql(*address)], read).optional()?)
    }

    fn save(&self, transaction: &Transaction<'_>, (view, address): &Self::Key) -> Result<(), StoreError> {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO owners VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                view.code(),
                Sql(*address),
                Sql(self.devices),
                Sql(self.earned),
                Sql(self.claimed),
                Sql(self.claimable),
            ])?;
        Ok(())
    }

    fn delete(transaction: &Transaction<'_>, (view, address): &Self::Key) -> Result<(), StoreError> {
        transaction
            .prepare_cached("DELETE FROM owners WHERE view = ?1 AND address = ?2")?
            .execute(params![view.code(), Sql(*address)])?;
        Ok(())
    }
}

/// `Derived` for sums over a time, whose table is called `$table` and keyed by `$columns`.
macro_rules! sums {
    ($tally:ty, $table:literal, $key:ty, $columns:literal, |$from:ident| $values:expr) => {
        impl Derived for $tally {
            type Key = $key;

            fn load(transaction: &Transaction<'_>, $from: &Self::Key) -> Result<Option<Self>, StoreError> {
                let columns = Self::COLUMNS.join(", ");
                let sql = format!("SELECT {columns} FROM {} WHERE {}", $table, $columns);
                let mut statement = transaction.prepare_cached(&sql)?;
                let key = $values;
                Ok(statement
                    .query_row(params_from_iter(key.iter()), |row| {
                        let at = std::cell::Cell::new(0_usize);
                        let next = || at.replace(at.get().saturating_add(1));
                        Self::from_values(
                            || row.get::<_, Sql<u64>>(next()).map(|count| count.0),
                            || row.get::<_, Sql<Total>>(next()).map(|total| total.0),
                        )
                    })
                    .optional()?)
            }

            fn save(&self, transaction: &Transaction<'_>, $from: &Self::Key) -> Result<(), StoreError> {
                let mut key = $values;
                let (counts, totals) = self.values();
                let count = key.len().saturating_add(Self::COLUMNS.len());
                let places: Vec<String> = (1..=count).map(|place| format!("?{place}")).collect();
                let sql = format!("INSERT OR REPLACE INTO {} VALUES ({})", $table, places.join(", "));
                key.extend(counts.into_iter().map(|count| boxed(Sql(count))));
                key.extend(totals.into_iter().map(|total| boxed(Sql(total))));
                transaction.prepare_cached(&sql)?.execute(params_from_iter(key.iter()))?;
                Ok(())
            }

            fn delete(transaction: &Transaction<'_>, $from: &Self::Key) -> Result<(), StoreError> {
                let key = $values;
                let sql = format!("DELETE FROM {} WHERE {}", $table, $columns);
                transaction.prepare_cached(&sql)?.execute(params_from_iter(key.iter()))?;
                Ok(())
            }
        }
    };
}

/// A list of values to bind.
type Values = Vec<Box<dyn ToSql>>;

fn boxed(value: impl ToSql + 'static) -> Box<dyn ToSql> {
    Box::new(value)
}

sums!(Tally, "rollups", (View, Span), "view = ?1 AND span = ?2 AND start = ?3", |key| {
    let (code, start) = key.1.code();
    let values: Values = vec![Box::new(key.0.code()), Box::new(code), Box::new(Sql(start))];
    values
});
sums!(
    EarnedTally,
    "earned_rollups",
    (View, Vec<u8>, Span),
    "view = ?1 AND who = ?2 AND span = ?3 AND start = ?4",
    |key| {
        let (code, start) = key.2.code();
        let values: Values =
            vec![Box::new(key.0.code()), Box::new(key.1.clone()), Box::new(code), Box::new(Sql(start))];
        values
    }
);

/// What an epoch adds to derived rows, out of its facts or out of the store.
#[derive(Debug, Default)]
pub(super) struct EpochSums {
    pub(super) epoch: Epoch,
    pub(super) closed: Timestamp,
    pub(super) tally: Tally,
    pub(super) devices: Vec<Judged>,
    pub(super) customers: Vec<(Address, Amount, Amount)>,
    pub(super) refused: Vec<(DeviceId, u64)>,
}

/// What one device adds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) device: DeviceId,
    pub(super) owner: Address,
    pub(super) units: u128,
    pub(super) earned: Amount,
    pub(super) outcome: Outcome,
}
