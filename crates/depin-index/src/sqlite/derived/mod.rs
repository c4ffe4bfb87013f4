//! Rows that follow from facts: loaded when something changes them, written once at the end of a transaction.

use std::collections::BTreeMap;

use depin_core::{Address, Amount, DeviceId, Epoch, Outcome, Timestamp};
use rusqlite::{Row, Transaction};

use super::value::Sql;
use crate::{StoreError, Tally};

mod accounts;
mod device;
mod sums;

pub(super) use self::{
    accounts::{Customer, Owner},
    device::{Device, outcome},
};

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
