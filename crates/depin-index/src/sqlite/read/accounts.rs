//! Owners and customers.

use depin_core::{Address, Amount, B256, Epoch};
use rusqlite::{OptionalExtension, Row, params};

use super::{super::value::Sql, Reader, more};
use crate::{
    ClaimRow, CustomerEpochRow, CustomerRow, EventKind, OwnerRow, Page, Seek, StoreError, Total, View,
};

const OWNER: &str = "SELECT address, devices, earned, claimed, claimable FROM owners";
const CUSTOMER: &str = "SELECT address, paid, burned, spent, spent_burned FROM customers";

fn owner(row: &Row<'_>) -> rusqlite::Result<OwnerRow> {
    let total = |at| row.get::<_, Sql<Total>>(at).map(|total| total.0);
    Ok(OwnerRow {
        address: row.get::<_, Sql<Address>>(0)?.0,
        devices: row.get::<_, Sql<u64>>(1)?.0,
        earned: total(2)?,
        claimed: total(3)?,
        claimable: total(4)?,
        decided: false,
    })
}

fn customer(row: &Row<'_>) -> rusqlite::Result<CustomerRow> {
    let total = |at| row.get::<_, Sql<Total>>(at).map(|total| total.0);
    Ok(CustomerRow {
        address: row.get::<_, Sql<Address>>(0)?.0,
        paid: total(1)?,
        burned: total(2)?,
        spent: total(3)?,
        spent_burned: total(4)?,
        decided: false,
    })
}

impl Reader<'_> {
    pub(super) fn owner(&self, address: Address) -> Result<OwnerRow, StoreError> {
        let row = self.owner_in(self.view, address)?;
        Ok(OwnerRow { decided: row == self.owner_in(View::Final, address)?, ..row })
    }

    fn owner_in(&self, view: View, address: Address) -> Result<OwnerRow, StoreError> {
        let mut statement =
            self.snapshot.prepare_cached(&format!("{OWNER} WHERE view = ?1 AND address = ?2"))?;
        let found = statement.query_row(params![view.code(), Sql(address)], owner).optional()?;
        Ok(found.unwrap_or_else(|| OwnerRow::unknown(address)))
    }

    pub(super) fn owners(&self, seek: &Seek<Address>) -> Result<Page<OwnerRow>, StoreError> {
        let sql = format!("{OWNER} WHERE view = ?1 AND address > ?2 ORDER BY address LIMIT ?3");
        let params = params![self.view.code(), after(seek), more(seek.limit)];
        self.page(&sql, params, seek.limit, |row| {
            let row = owner(row)?;
            Ok(OwnerRow { decided: row == self.owner_in(View::Final, row.address)?, ..row })
        })
    }

    pub(super) fn claims(&self, account: Address, seek: &Seek<Epoch>) -> Result<Page<ClaimRow>, StoreError> {
        let taken = |bound: &str| {
            format!(
                "EXISTS (SELECT 1 FROM events WHERE account = ?1 AND kind = ?5 AND epoch = claims.epoch AND block <= {bound})"
            )
        };
        let sql = format!(
            "SELECT epoch, amount, proof, {}, {}, coalesce((SELECT decided FROM epochs WHERE epochs.epoch = claims.epoch), 0) AS settled
             FROM claims WHERE account = ?1 AND epoch <= ?2 AND settled >= ?3 ORDER BY epoch DESC LIMIT ?4",
            taken("?6"),
            taken("?7")
        );
        let params = params![
            Sql(account),
            self.newest(seek)?,
            self.least(),
            more(seek.limit),
            Sql(EventKind::Claimed),
            self.bound,
            self.decided
        ];
        self.page(&sql, params, seek.limit, |row| {
            let epoch = row.get::<_, Sql<Epoch>>(0)?.0;
            let (claimed, finally, settled): (bool, bool, bool) = (row.get(3)?, row.get(4)?, row.get(5)?);
            let status = self.on_chain(epoch, self.bound)?.status();
            let same =
                settled && claimed == finally && status == self.on_chain(epoch, self.decided)?.status();
            Ok(ClaimRow {
                epoch,
                amount: row.get::<_, Sql<Amount>>(1)?.0,
                proof: row.get::<_, Sql<Vec<B256>>>(2)?.0,
                status,
                claimed,
                decided: same,
            })
        })
    }

    fn customer_in(&self, view: View, address: Address) -> Result<Option<CustomerRow>, StoreError> {
        let mut statement =
            self.snapshot.prepare_cached(&format!("{CUSTOMER} WHERE view = ?1 AND address = ?2"))?;
        Ok(statement.query_row(params![view.code(), Sql(address)], customer).optional()?)
    }

    fn compared_customer(&self, row: CustomerRow) -> Result<CustomerRow, StoreError> {
        let found = self.customer_in(View::Final, row.address)?;
        let found = found.unwrap_or_else(|| CustomerRow::unknown(row.address));
        Ok(CustomerRow { decided: found == row, ..row })
    }

    pub(super) fn customer(&self, address: Address) -> Result<Option<CustomerRow>, StoreError> {
        self.customer_in(self.view, address)?.map(|row| self.compared_customer(row)).transpose()
    }

    pub(super) fn customers(&self, seek: &Seek<Address>) -> Result<Page<CustomerRow>, StoreError> {
        let sql = format!("{CUSTOMER} WHERE view = ?1 AND address > ?2 ORDER BY address LIMIT ?3");
        let params = params![self.view.code(), after(seek), more(seek.limit)];
        self.page(&sql, params, seek.limit, |row| self.compared_customer(customer(row)?))
    }

    pub(super) fn customer_epochs(
        &self,
        address: Address,
        seek: &Seek<Epoch>,
    ) -> Result<Page<CustomerEpochRow>, StoreError> {
        let sql = "SELECT customer_epochs.epoch, customer_epochs.spent, customer_epochs.burned, decided
                   FROM customer_epochs CROSS JOIN epochs ON epochs.epoch = customer_epochs.epoch
                   WHERE address = ?1 AND customer_epochs.epoch <= ?2 AND decided >= ?3
                   ORDER BY customer_epochs.epoch DESC LIMIT ?4";
        let params = params![Sql(address), self.newest(seek)?, self.least(), more(seek.limit)];
        self.page(sql, params, seek.limit, |row| {
            Ok(CustomerEpochRow {
                epoch: row.get::<_, Sql<Epoch>>(0)?.0,
                spent: row.get::<_, Sql<Amount>>(1)?.0,
                burned: row.get::<_, Sql<Amount>>(2)?.0,
                decided: row.get(3)?,
            })
        })
    }
}

/// Nothing sorts before the empty blob.
fn after(seek: &Seek<Address>) -> Vec<u8> {
    seek.after.map(|address| address.to_vec()).unwrap_or_default()
}
