//! Rows into answers. Every list is a range of an index; nothing is skipped by counting.

use depin_core::{
    Address, Amount, B256, ChainEvent, DeviceId, Digest, Epoch, Outcome, Text, Timestamp, Units, Verdict,
    cbor,
};
use rusqlite::{Connection, Params, Row, params, types::ValueRef};

use super::value::Sql;
use crate::{
    Answer, BlockRef, ClaimRow, Cursor, CustomerRow, DeviceFilter, DeviceRow, DeviceStatus, EarningRow,
    EpochRow, EventKind, EventRow, Limit, OwnerRow, Page, Query, RefusalRow, ReorgRow, RootStatus, Seek,
    StoreError, Total, VerdictCounts, VerdictRow,
};

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

/// Answers one question, out of one snapshot.
pub(super) fn answer(connection: &mut Connection, query: Query) -> Result<Answer, StoreError> {
    // A read transaction: all statements see the same state.
    let snapshot = connection.transaction()?;
    Ok(match query {
        Query::Epochs(seek) => Answer::Epochs(epochs(&snapshot, &seek)?),
        Query::Epoch(epoch) => {
            let only = Seek { after: epoch.next(), limit: Limit::default() };
            let page = epochs(&snapshot, &only)?;
            Answer::Epoch(page.items.into_iter().find(|row| row.epoch == epoch))
        }
        Query::Devices(filter, seek) => Answer::Devices(devices(&snapshot, &filter, &seek)?),
        Query::Device(device) => Answer::Device(one_device(&snapshot, device)?),
        Query::Earnings(device, seek) => Answer::Earnings(earnings(&snapshot, device, &seek)?),
        Query::Verdicts(device, seek) => Answer::Verdicts(verdicts(&snapshot, device, &seek)?),
        Query::Owner(address, seek) => Answer::Owner(owner(&snapshot, address, &seek)?),
        Query::Claims(account, seek) => Answer::Claims(claims(&snapshot, account, &seek)?),
        Query::Customers(seek) => Answer::Customers(customers(&snapshot, &seek)?),
        Query::Events(kind, seek) => Answer::Events(events(&snapshot, kind, &seek)?),
        Query::Refusals(seek) => Answer::Refusals(refusals(&snapshot, &seek)?),
        Query::Window(limit) => Answer::Window(window(&snapshot, limit)?),
        Query::Reorgs(seek) => Answer::Reorgs(reorgs(&snapshot, &seek)?),
    })
}

/// An event as it was stored.
pub(super) fn body(stored: ValueRef<'_>) -> Result<ChainEvent, StoreError> {
    let corrupt = |detail| StoreError::Corrupt { what: "event", detail };
    let bytes = stored.as_blob().map_err(|error| corrupt(error.to_string()))?;
    cbor::from_slice(bytes).map_err(|error| corrupt(error.to_string()))
}

/// The page of at most `limit` rows of `sql`, whose last parameter is the number of rows.
fn page<T: crate::Row>(
    snapshot: &Connection,
    sql: &str,
    params: impl Params,
    limit: Limit,
    read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let mut statement = snapshot.prepare_cached(sql)?;
    let rows = statement.query_and_then(params, read)?.collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit))
}

/// One row more than the page has tells whether another page follows.
fn rows(limit: Limit) -> i64 {
    i64::try_from(limit.rows()).unwrap_or_default().saturating_add(1)
}

/// The largest epoch before `after`; -1 when there is none.
fn below(after: Option<Epoch>) -> i64 {
    match after {
        Some(epoch) => i64::try_from(epoch.0).map_or(i64::MAX, |epoch| epoch.saturating_sub(1)),
        None => i64::MAX,
    }
}

fn epochs(snapshot: &Connection, seek: &Seek<Epoch>) -> Result<Page<EpochRow>, StoreError> {
    let sql = "SELECT epoch, bundle, root, pool, paid, dust, burned, minted, revenue, unit, quantity, opened, closed,
                      accept, reject, inconclusive
               FROM epochs WHERE epoch <= ?1 ORDER BY epoch DESC LIMIT ?2";
    page(snapshot, sql, params![below(seek.after), rows(seek.limit)], seek.limit, |row| {
        let epoch = row.get::<_, Sql<Epoch>>(0)?.0;
        let digest = |column| row.get::<_, Sql<Digest>>(column).map(|value| value.0);
        let amount = |column| row.get::<_, Sql<Amount>>(column).map(|value| value.0);
        let count = |column| row.get::<_, Sql<u64>>(column).map(|value| value.0);
        let (status, root_on_chain, bundle_on_chain) = on_chain(snapshot, epoch)?;
        Ok(EpochRow {
            epoch,
            bundle: digest(1)?,
            root: digest(2)?,
            status,
            root_on_chain,
            bundle_on_chain,
            pool: amount(3)?,
            paid: amount(4)?,
            dust: amount(5)?,
            burned: amount(6)?,
            minted: amount(7)?,
            revenue: amount(8)?,
            units: units(row, 9)?,
            opened: Timestamp(count(11)?),
            closed: Timestamp(count(12)?),
            verdicts: VerdictCounts { accept: count(13)?, reject: count(14)?, inconclusive: count(15)? },
        })
    })
}

/// Kind and quantity, in two columns.
fn units(row: &Row<'_>, column: usize) -> rusqlite::Result<Units> {
    let kind = row.get::<_, Sql<Text>>(column)?.0;
    Ok(Units::new(kind, row.get::<_, Sql<u128>>(column.saturating_add(1))?.0))
}

/// Status, root and bundle on the chain: the last final root, else the last one proposed.
fn on_chain(
    snapshot: &Connection,
    epoch: Epoch,
) -> Result<(RootStatus, Option<Digest>, Option<Digest>), StoreError> {
    for (kind, status) in
        [(EventKind::RootFinal, RootStatus::Final), (EventKind::RootProposed, RootStatus::Proposed)]
    {
        let mut statement = snapshot.prepare_cached(
            "SELECT body FROM events WHERE epoch = ?1 AND kind = ?2 ORDER BY block DESC, log_index DESC LIMIT 1",
        )?;
        let mut rows = statement.query(params![Sql(epoch), Sql(kind)])?;
        let Some(row) = rows.next()? else { continue };
        if let ChainEvent::RootFinal { root, bundle, .. } | ChainEvent::RootProposed { root, bundle, .. } =
            body(row.get_ref(0)?)?
        {
            return Ok((status, Some(root), Some(bundle)));
        }
    }
    Ok((RootStatus::Closed, None, None))
}

const DEVICE: &str = "did, device, on_chain, status, owner, registered_at, earned, last_epoch, last_outcome, reports, last_report";

fn device(row: &Row<'_>) -> Result<DeviceRow, StoreError> {
    Ok(DeviceRow {
        did: row.get::<_, Sql<DeviceId>>(1)?.0,
        on_chain: row.get::<_, Sql<Digest>>(2)?.0,
        status: row.get::<_, Sql<DeviceStatus>>(3)?.0,
        owner: row.get::<_, Option<Sql<Address>>>(4)?.map(|value| value.0),
        registered_at: row.get::<_, Option<Sql<u64>>>(5)?.map(|value| value.0),
        earned: row.get::<_, Sql<Total>>(6)?.0,
        last_epoch: row.get::<_, Option<Sql<Epoch>>>(7)?.map(|value| value.0),
        last_outcome: row.get::<_, Option<Sql<Outcome>>>(8)?.map(|value| value.0),
        reports: row.get::<_, Sql<u64>>(9)?.0,
        last_report: row.get::<_, Option<Sql<Timestamp>>>(10)?.map(|value| value.0),
    })
}

fn one_device(snapshot: &Connection, wanted: DeviceId) -> Result<Option<DeviceRow>, StoreError> {
    let mut statement =
        snapshot.prepare_cached(&format!("SELECT {DEVICE} FROM devices WHERE device = ?1"))?;
    let mut rows = statement.query([Sql(wanted)])?;
    rows.next()?.map(device).transpose()
}

fn devices(
    snapshot: &Connection,
    filter: &DeviceFilter,
    seek: &Seek<DeviceId>,
) -> Result<Page<DeviceRow>, StoreError> {
    let prefix = filter.prefix.as_deref().unwrap_or_default();
    // A did:key is printable ASCII: U+0001 sorts before, U+007F after whatever may follow.
    let from = match seek.after {
        Some(after) => prefix.to_owned().max(format!("{after}\u{1}")),
        None => prefix.to_owned(),
    };
    let to = format!("{prefix}\u{7f}");
    let range = "did >= ?1 AND did < ?2 ORDER BY did LIMIT ?3";
    match filter.status {
        None => {
            let sql = format!("SELECT {DEVICE} FROM devices WHERE {range}");
            page(snapshot, &sql, params![from, to, rows(seek.limit)], seek.limit, device)
        }
        Some(status) => {
            let sql = format!("SELECT {DEVICE} FROM devices WHERE status = ?4 AND {range}");
            page(snapshot, &sql, params![from, to, rows(seek.limit), Sql(status)], seek.limit, device)
        }
    }
}

fn earnings(
    snapshot: &Connection,
    device: DeviceId,
    seek: &Seek<Epoch>,
) -> Result<Page<EarningRow>, StoreError> {
    let sql = "SELECT epoch, owner, unit, quantity, earned FROM earnings
               WHERE device = ?1 AND epoch <= ?2 ORDER BY epoch DESC LIMIT ?3";
    page(snapshot, sql, params![Sql(device), below(seek.after), rows(seek.limit)], seek.limit, |row| {
        Ok(EarningRow {
            epoch: row.get::<_, Sql<Epoch>>(0)?.0,
            owner: row.get::<_, Sql<Address>>(1)?.0,
            units: units(row, 2)?,
            earned: row.get::<_, Sql<Amount>>(4)?.0,
        })
    })
}

fn verdicts(
    snapshot: &Connection,
    device: DeviceId,
    seek: &Seek<Epoch>,
) -> Result<Page<VerdictRow>, StoreError> {
    let sql = "SELECT body FROM verdicts WHERE device = ?1 AND epoch <= ?2 ORDER BY epoch DESC LIMIT ?3";
    page(snapshot, sql, params![Sql(device), below(seek.after), rows(seek.limit)], seek.limit, |row| {
        let corrupt = |detail| StoreError::Corrupt { what: "verdict", detail };
        let bytes = row.get_ref(0)?.as_blob().map_err(|error| corrupt(error.to_string()))?;
        let verdict: Verdict = cbor::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        Ok(VerdictRow::from(&verdict))
    })
}

fn owner(snapshot: &Connection, address: Address, seek: &Seek<DeviceId>) -> Result<OwnerRow, StoreError> {
    let earned = {
        let mut statement = snapshot.prepare_cached("SELECT amount FROM claims WHERE account = ?1")?;
        let mut amounts = statement.query_map([Sql(address)], |row| row.get::<_, Sql<Amount>>(0))?;
        amounts.try_fold(Total::default(), |sum, amount| sum.plus(amount?.0))?
    };
    let mut claimed = Total::default();
    let mut statement =
        snapshot.prepare_cached("SELECT body FROM events WHERE account = ?1 AND kind = ?2")?;
    let mut paid = statement.query(params![Sql(address), Sql(EventKind::Claimed)])?;
    while let Some(row) = paid.next()? {
        if let ChainEvent::Claimed { amount, .. } = body(row.get_ref(0)?)? {
            claimed = claimed.plus(amount)?;
        }
    }
    let sql = format!("SELECT {DEVICE} FROM devices WHERE owner = ?1 AND did > ?2 ORDER BY did LIMIT ?3");
    let after = seek.after.map(|device| device.to_string()).unwrap_or_default();
    let devices = page(snapshot, &sql, params![Sql(address), after, rows(seek.limit)], seek.limit, device)?;
    Ok(OwnerRow { address, earned, claimed, devices })
}

fn claims(snapshot: &Connection, account: Address, seek: &Seek<Epoch>) -> Result<Page<ClaimRow>, StoreError> {
    let sql = "SELECT epoch, amount, proof,
                      EXISTS (SELECT 1 FROM events WHERE account = ?1 AND kind = ?4 AND epoch = claims.epoch)
               FROM claims WHERE account = ?1 AND epoch <= ?2 ORDER BY epoch DESC LIMIT ?3";
    let params = params![Sql(account), below(seek.after), rows(seek.limit), Sql(EventKind::Claimed)];
    page(snapshot, sql, params, seek.limit, |row| {
        let epoch = row.get::<_, Sql<Epoch>>(0)?.0;
        Ok(ClaimRow {
            epoch,
            amount: row.get::<_, Sql<Amount>>(1)?.0,
            proof: row.get::<_, Sql<Vec<B256>>>(2)?.0,
            status: on_chain(snapshot, epoch)?.0,
            claimed: row.get(3)?,
        })
    })
}

fn customers(snapshot: &Connection, seek: &Seek<Address>) -> Result<Page<CustomerRow>, StoreError> {
    let sql = "SELECT address, paid, burned, spent, spent_burned FROM customers
               WHERE address > ?1 ORDER BY address LIMIT ?2";
    // Nothing sorts before the empty blob.
    let after = seek.after.map(|address| address.to_vec()).unwrap_or_default();
    page(snapshot, sql, params![after, rows(seek.limit)], seek.limit, |row| {
        let total = |column| row.get::<_, Sql<Total>>(column).map(|value| value.0);
        Ok(CustomerRow {
            address: row.get::<_, Sql<Address>>(0)?.0,
            paid: total(1)?,
            burned: total(2)?,
            spent: total(3)?,
            spent_burned: total(4)?,
        })
    })
}

fn events(
    snapshot: &Connection,
    kind: Option<EventKind>,
    seek: &Seek<(u64, u64)>,
) -> Result<Page<EventRow>, StoreError> {
    let number = |value| i64::try_from(value).unwrap_or(i64::MAX);
    let (block, log_index) = match seek.after {
        Some((block, log_index)) => (number(block), number(log_index).saturating_sub(1)),
        None => (i64::MAX, i64::MAX),
    };
    let read = |row: &Row<'_>| {
        Ok(EventRow {
            block: row.get::<_, Sql<u64>>(0)?.0,
            log_index: row.get::<_, Sql<u64>>(1)?.0,
            block_hash: row.get::<_, Sql<Digest>>(2)?.0,
            event: body(row.get_ref(3)?)?,
        })
    };
    let range = "(block, log_index) <= (?1, ?2) ORDER BY block DESC, log_index DESC LIMIT ?3";
    match kind {
        None => {
            let sql = format!("SELECT block, log_index, block_hash, body FROM events WHERE {range}");
            page(snapshot, &sql, params![block, log_index, rows(seek.limit)], seek.limit, read)
        }
        Some(kind) => {
            let sql =
                format!("SELECT block, log_index, block_hash, body FROM events WHERE kind = ?4 AND {range}");
            page(snapshot, &sql, params![block, log_index, rows(seek.limit), Sql(kind)], seek.limit, read)
        }
    }
}

fn refusals(
    snapshot: &Connection,
    seek: &Seek<(Epoch, Option<DeviceId>, Text)>,
) -> Result<Page<RefusalRow>, StoreError> {
    let sql = "SELECT epoch, device, reason, count FROM refusals WHERE (epoch, device, reason) < (?1, ?2, ?3)
               ORDER BY epoch DESC, device DESC, reason DESC LIMIT ?4";
    let (epoch, device, reason) = match &seek.after {
        Some((epoch, device, reason)) => (
            i64::try_from(epoch.0).unwrap_or(i64::MAX),
            device.map(|device| device.0.as_bytes().to_vec()).unwrap_or_default(),
            reason.as_str(),
        ),
        // No typed key begins with 0xff.
        None => (i64::MAX, vec![0xff], ""),
    };
    page(snapshot, sql, params![epoch, device, reason, rows(seek.limit)], seek.limit, |row| {
        let signed = !row.get_ref(1)?.as_blob().unwrap_or_default().is_empty();
        Ok(RefusalRow {
            epoch: row.get::<_, Sql<Epoch>>(0)?.0,
            device: if signed { Some(row.get::<_, Sql<DeviceId>>(1)?.0) } else { None },
            reason: row.get::<_, Sql<Text>>(2)?.0,
            count: row.get::<_, Sql<u64>>(3)?.0,
        })
    })
}

fn window(snapshot: &Connection, limit: Limit) -> Result<Vec<BlockRef>, StoreError> {
    let mut statement = snapshot
        .prepare_cached("SELECT number, hash FROM blocks WHERE number >= 0 ORDER BY number DESC LIMIT ?1")?;
    let most = i64::try_from(limit.rows()).unwrap_or_default();
    let blocks = statement.query_map([most], |row| block(row, 0))?;
    Ok(blocks.collect::<Result<_, _>>()?)
}

/// Number and hash, in two columns.
fn block(row: &Row<'_>, column: usize) -> rusqlite::Result<BlockRef> {
    let number = row.get::<_, Sql<u64>>(column)?.0;
    Ok(BlockRef { number, hash: row.get::<_, Sql<Digest>>(column.saturating_add(1))?.0 })
}

fn reorgs(snapshot: &Connection, seek: &Seek<u64>) -> Result<Page<ReorgRow>, StoreError> {
    let sql = "SELECT id, seen, old_number, old_hash, common_number, common_hash, events
               FROM reorgs WHERE id <= ?1 ORDER BY id DESC LIMIT ?2";
    let from = below(seek.after.map(Epoch));
    page(snapshot, sql, params![from, rows(seek.limit)], seek.limit, |row| {
        let (old, common) = (block(row, 2)?, block(row, 4)?);
        Ok(ReorgRow {
            id: row.get::<_, Sql<u64>>(0)?.0,
            seen: row.get::<_, Sql<Timestamp>>(1)?.0,
            depth: old.number.saturating_sub(common.number),
            old,
            common,
            events: row.get::<_, Sql<u64>>(6)?.0,
        })
    })
}
