//! Customers and owners.

use depin_core::{Address, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{super::value::Sql, Derived, pair};
use crate::{StoreError, Total, View};

/// A customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sqlite) struct Customer {
    pub(in crate::sqlite) paid: Total,
    pub(in crate::sqlite) burned: Total,
    pub(in crate::sqlite) payments: u64,
    pub(in crate::sqlite) first: Option<(u64, Timestamp)>,
    pub(in crate::sqlite) spent: Total,
    pub(in crate::sqlite) spent_burned: Total,
    pub(in crate::sqlite) epochs: u64,
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
pub(in crate::sqlite) struct Owner {
    pub(in crate::sqlite) devices: u64,
    pub(in crate::sqlite) earned: Total,
    pub(in crate::sqlite) claimed: Total,
    pub(in crate::sqlite) claimable: Total,
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
