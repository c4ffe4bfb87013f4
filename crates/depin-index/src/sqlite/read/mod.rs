//! Rows into answers. Every list is a range of an index; nothing is skipped by counting.

use depin_core::{ChainEvent, Digest, Epoch, Text, Timestamp, Units, cbor};
use rusqlite::{Connection, OptionalExtension, Params, Row, types::ValueRef};

use super::value::Sql;
use crate::{Answer, At, BlockRef, Cursor, Limit, Page, Query, Seek, StoreError, View};

mod accounts;
mod chain;
mod devices;
mod epochs;
mod sums;

/// How far the index has read.
pub(super) fn cursor(connection: &Connection) -> Result<Cursor, StoreError> {
    connection
        .prepare_cached("SELECT block, block_hash, final_block, journal FROM progress")?
        .query_row([], |row| {
            let number = row.get::<_, Option<Sql<u64>>>(0)?;
            let block = match (number, row.get::<_, Option<Sql<Digest>>>(1)?) {
                (Some(number), Some(hash)) => Some(BlockRef { number: number.0, hash: hash.0 }),
                _ => None,
            };
            let final_block = row.get::<_, Option<Sql<u64>>>(2)?.map(|number| number.0);
            Ok(Cursor { block, final_block, journal: row.get::<_, Sql<u64>>(3)?.0 })
        })
        .map_err(StoreError::from)
}

/// One consistent state, as one of the views shows it.
struct Reader<'a> {
    snapshot: &'a Connection,
    view: View,
    /// Events up to this block are in the view.
    bound: i64,
    /// Events up to this block are final.
    decided: i64,
    head: At,
}

/// Answers one question, out of one snapshot.
pub(super) fn answer(
    connection: &mut Connection,
    view: View,
    query: Query,
) -> Result<(At, Answer), StoreError> {
    // A read transaction: all statements see the same state.
    let snapshot = connection.transaction()?;
    let cursor = cursor(&snapshot)?;
    let number =
        |view: View| view.bound(&cursor).map_or(-1, |block| i64::try_from(block).unwrap_or(i64::MAX));
    let at = |view| At::new(view, &cursor, |block| header(&snapshot, block));
    let reader = Reader {
        snapshot: &snapshot,
        view,
        bound: number(view),
        decided: number(View::Final),
        head: at(View::Latest)?,
    };
    Ok((at(view)?, reader.answer(query)?))
}

/// Hash and time of a block, if its header is kept.
fn header(snapshot: &Connection, block: u64) -> Result<Option<(Digest, Timestamp)>, StoreError> {
    let mut statement = snapshot.prepare_cached("SELECT hash, time FROM blocks WHERE number = ?1")?;
    let read = |row: &Row<'_>| Ok((row.get::<_, Sql<Digest>>(0)?.0, row.get::<_, Sql<Timestamp>>(1)?.0));
    Ok(statement.query_row([Sql(block)], read).optional()?)
}

impl Reader<'_> {
    fn answer(&self, query: Query) -> Result<Answer, StoreError> {
        Ok(match query {
            Query::Overview => Answer::Overview(self.overview()?),
            Query::Rollups(period, seek) => Answer::Rollups(self.rollups(period, &seek)?),
            Query::EarnedRollups(who, period, seek) => {
                Answer::EarnedRollups(self.earned_rollups(who, period, &seek)?)
            }
            Query::Epochs(seek) => Answer::Epochs(self.epochs(&seek)?),
            Query::Epoch(epoch) => {
                let only = Seek { after: epoch.next(), limit: Limit::new(1).unwrap_or_default() };
                Answer::Epoch(self.epochs(&only)?.items.into_iter().find(|row| row.epoch == epoch))
            }
            Query::EpochDevices(epoch, seek) => Answer::EpochDevices(self.epoch_devices(epoch, &seek)?),
            Query::Roots(seek) => Answer::Roots(self.roots(&seek)?),
            Query::Devices(filter, seek) => Answer::Devices(self.devices(&filter, &seek)?),
            Query::Device(device) => Answer::Device(self.device(device)?),
            Query::Earnings(device, seek) => Answer::Earnings(self.earnings(device, &seek)?),
            Query::Verdicts(device, seek) => Answer::Verdicts(self.verdicts(device, &seek)?),
            Query::Reports(device, seek) => Answer::Reports(self.reports(device, &seek)?),
            Query::Refusals(None, seek) => Answer::Refusals(self.refusals(&seek)?),
            Query::Refusals(Some(device), seek) => Answer::Refusals(self.refusals_of(device, &seek)?),
            Query::Owners(seek) => Answer::Owners(self.owners(&seek)?),
            Query::Owner(address) => Answer::Owner(self.owner(address)?),
            Query::Claims(account, seek) => Answer::Claims(self.claims(account, &seek)?),
            Query::Customers(seek) => Answer::Customers(self.customers(&seek)?),
            Query::Customer(address) => Answer::Customer(self.customer(address)?),
            Query::CustomerEpochs(address, seek) => {
                Answer::CustomerEpochs(self.customer_epochs(address, &seek)?)
            }
            Query::Events(kind, seek) => Answer::Events(self.events(kind, &seek)?),
            Query::Window(limit) => Answer::Window(self.window(limit)?),
            Query::Reorgs(seek) => Answer::Reorgs(self.reorgs(&seek)?),
        })
    }

    /// The page of at most `limit` rows of `sql`, whose last parameter is the number of rows.
    fn page<T: crate::Row>(
        &self,
        sql: &str,
        params: impl Params,
        limit: Limit,
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        Ok(Page::cut(self.rows(sql, params, read)?, limit))
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.snapshot.prepare_cached(sql)?;
        statement.query_and_then(params, read)?.collect()
    }

    /// 1 if only epochs that are decided are in the view, else 0: what `decided` must be at least.
    const fn least(&self) -> i64 {
        self.view.code()
    }
}

/// An event as it was stored.
pub(super) fn body(stored: ValueRef<'_>) -> Result<ChainEvent, StoreError> {
    let corrupt = |detail| StoreError::Corrupt { what: "event", detail };
    let bytes = stored.as_blob().map_err(|error| corrupt(error.to_string()))?;
    cbor::from_slice(bytes).map_err(|error| corrupt(error.to_string()))
}

/// One row more than the page has tells whether another page follows.
fn more(limit: Limit) -> i64 {
    i64::try_from(limit.rows()).unwrap_or_default().saturating_add(1)
}

/// The largest number before `after`; -1 when there is none.
fn below(after: Option<u64>) -> i64 {
    match after {
        Some(number) => i64::try_from(number).map_or(i64::MAX, |number| number.saturating_sub(1)),
        None => i64::MAX,
    }
}

/// The largest epoch before the first row of a page.
fn before(seek: &Seek<Epoch>) -> i64 {
    below(seek.after.map(|epoch| epoch.0))
}

/// Kind and quantity, in two columns.
fn units(row: &Row<'_>, column: usize) -> rusqlite::Result<Units> {
    let kind = row.get::<_, Sql<Text>>(column)?.0;
    Ok(Units::new(kind, row.get::<_, Sql<u128>>(column.saturating_add(1))?.0))
}
