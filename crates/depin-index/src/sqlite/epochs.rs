//! Closed epochs: what the store holds of them, and how far they are settled.

use depin_core::{Address, Amount, ChainEvent, DeviceId, Digest, Epoch, Outcome, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    derived::{EpochSums, Judged},
    read,
    value::Sql,
};
use crate::{EventKind, StoreError, Tally, View};

/// How far an epoch is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// Its root is final.
    pub(super) released: bool,
    /// That itself is final.
    pub(super) decided: bool,
}

impl Settled {
    /// Whether its payouts can be taken, in `view`.
    pub(super) const fn is_released(self, view: View) -> bool {
        match view {
            View::Latest => self.released,
            View::Final => self.decided,
        }
    }
}

/// How far a stored epoch is settled.
pub(super) fn settled(transaction: &Transaction<'_>, epoch: Epoch) -> Result<Option<Settled>, StoreError> {
    let Ok(number) = i64::try_from(epoch.0) else { return Ok(None) };
    let mut statement =
        transaction.prepare_cached("SELECT released, decided FROM epochs WHERE epoch = ?1")?;
    let read = |row: &rusqlite::Row<'_>| Ok(Settled { released: row.get(0)?, decided: row.get(1)? });
    Ok(statement.query_row([number], read).optional()?)
}

/// Whether an event up to the block `bound` says that the epoch became final with the root and the bundle that are stored.
pub(super) fn is_released(
    transaction: &Transaction<'_>,
    epoch: Epoch,
    bound: Option<i64>,
) -> Result<bool, StoreError> {
    let Some(bound) = bound else { return Ok(false) };
    let mut statement = transaction.prepare_cached("SELECT root, bundle FROM epochs WHERE epoch = ?1")?;
    let stored: (Sql<Digest>, Sql<Digest>) =
        statement.query_row([Sql(epoch)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut events = transaction
        .prepare_cached("SELECT body FROM events WHERE epoch = ?1 AND kind = ?2 AND block <= ?3")?;
    let mut rows = events.query(params![Sql(epoch), Sql(EventKind::RootFinal), bound])?;
    while let Some(row) = rows.next()? {
        if let ChainEvent::RootFinal { root, bundle, .. } = read::body(row.get_ref(0)?)?
            && (root, bundle) == (stored.0.0, stored.1.0)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes down how far an epoch is settled, in a column of ours.
pub(super) fn mark(
    transaction: &Transaction<'_>,
    epoch: Epoch,
    column: &'static str,
    value: bool,
) -> Result<(), StoreError> {
    let sql = format!("UPDATE epochs SET {column} = ?2 WHERE epoch = ?1");
    transaction.prepare_cached(&sql)?.execute(params![Sql(epoch), value])?;
    Ok(())
}

/// The payouts of an epoch.
pub(super) fn claims(
    transaction: &Transaction<'_>,
    epoch: Epoch,
) -> Result<Vec<(Address, Amount)>, StoreError> {
    let mut statement = transaction.prepare_cached("SELECT account, amount FROM claims WHERE epoch = ?1")?;
    let read =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, Sql<Address>>(0)?.0, row.get::<_, Sql<Amount>>(1)?.0));
    Ok(statement.query_map([Sql(epoch)], read)?.collect::<Result<_, _>>()?)
}

/// What a stored epoch adds to derived rows.
pub(super) fn sums(transaction: &Transaction<'_>, epoch: Epoch) -> Result<EpochSums, StoreError> {
    let (closed, tally) = transaction
        .prepare_cached(
            "SELECT closed, accept, reject, inconclusive, refused, quantity, paid, minted, burned, revenue
             FROM epochs WHERE epoch = ?1",
        )?
        .query_row([Sql(epoch)], |row| {
            let count = |at| row.get::<_, Sql<u64>>(at).map(|count| count.0);
            let amount = |at| row.get::<_, Sql<Amount>>(at).map(|amount| amount.0.into());
            let tally = Tally {
                epochs: 1,
                accept: count(1)?,
                reject: count(2)?,
                inconclusive: count(3)?,
                refused: count(4)?,
                units: amount(5)?,
                earned: amount(6)?,
                minted: amount(7)?,
                burned: amount(8)?,
                revenue: amount(9)?,
                ..Tally::default()
            };
            Ok((row.get::<_, Sql<Timestamp>>(0)?.0, tally))
        })?;
    let devices = transaction
        .prepare_cached("SELECT device, owner, quantity, earned, outcome FROM earnings WHERE epoch = ?1")?
        .query_map([Sql(epoch)], |row| {
            Ok(Judged {
                device: row.get::<_, Sql<DeviceId>>(0)?.0,
                owner: row.get::<_, Sql<Address>>(1)?.0,
                units: row.get::<_, Sql<u128>>(2)?.0,
                earned: row.get::<_, Sql<Amount>>(3)?.0,
                outcome: row.get::<_, Sql<Outcome>>(4)?.0,
            })
        })?
        .collect::<Result<_, _>>()?;
    let customers = transaction
        .prepare_cached("SELECT address, spent, burned FROM customer_epochs WHERE epoch = ?1")?
        .query_map([Sql(epoch)], |row| {
            let amount = |at| row.get::<_, Sql<Amount>>(at).map(|amount| amount.0);
            Ok((row.get::<_, Sql<Address>>(0)?.0, amount(1)?, amount(2)?))
        })?
        .collect::<Result<_, _>>()?;
    let refused = transaction
        .prepare_cached("SELECT device, count FROM refusals WHERE epoch = ?1 AND device > x''")?
        .query_map([Sql(epoch)], |row| Ok((row.get::<_, Sql<DeviceId>>(0)?.0, row.get::<_, Sql<u64>>(1)?.0)))?
        .collect::<Result<_, _>>()?;
    Ok(EpochSums { epoch, closed, tally, devices, customers, refused })
}
