//! Facts into rows, each batch in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{Address, ChainEvent, DeviceId, Digest, Epoch, Located, Timestamp, cbor};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{facts, read, value::Sql};
use crate::{
    Batch, BlockFacts, BlockRef, Cursor, DeviceStatus, EventKind, StoreError, Total, WINDOW, facts::fits,
};

/// Stores `batch` and `cursor`, both or neither.
pub(super) fn apply(connection: &mut Connection, batch: &Batch, cursor: Cursor) -> Result<(), StoreError> {
    // A transaction that begins by reading and then writes would fail at once when another process writes.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (mut blocks, mut touched) = (BTreeMap::new(), Touched::default());
    let with_events: BTreeSet<u64> = batch.events.iter().map(|located| located.block).collect();
    for block in &batch.blocks {
        check_block(&transaction, &mut blocks, BlockRef { number: block.number, hash: block.hash })?;
        add_block(&transaction, block, with_events.contains(&block.number))?;
    }
    for number in &with_events {
        keep_block(&transaction, *number)?;
    }
    for located in &batch.events {
        check_block(&transaction, &mut blocks, BlockRef { number: located.block, hash: located.block_hash })?;
        add_event(&transaction, located, &mut touched)?;
    }
    touched.pay(&transaction, 1, Total::plus)?;
    touched.register(&transaction)?;
    for epoch in &batch.epochs {
        facts::add_epoch(&transaction, epoch)?;
    }
    for claim in &batch.claims {
        facts::add_claim(&transaction, claim)?;
    }
    for report in &batch.reports {
        facts::add_report(&transaction, report)?;
    }
    if let Some(block) = cursor.block {
        check_block(&transaction, &mut blocks, block)?;
        transaction
            .prepare_cached(
                "UPDATE progress SET block = ?1, block_hash = ?2 WHERE block IS NULL OR block < ?1",
            )?
            .execute(params![Sql(block.number), Sql(block.hash)])?;
        transaction
            .prepare_cached(
                "DELETE FROM blocks WHERE kept = 0 AND number < (SELECT block FROM progress) - ?1",
            )?
            .execute([Sql(WINDOW)])?;
    }
    if let Some(number) = cursor.final_block {
        transaction
            .prepare_cached("UPDATE progress SET final_block = max(coalesce(final_block, 0), ?1)")?
            .execute([Sql(number)])?;
    }
    transaction
        .prepare_cached("UPDATE progress SET journal = max(journal, ?1)")?
        .execute([Sql(cursor.journal)])?;
    Ok(transaction.commit()?)
}

/// Forgets every event above `to`, and brings what was derived from them to where it was before.
pub(super) fn rewind(connection: &mut Connection, to: BlockRef, seen: Timestamp) -> Result<(), StoreError> {
    fits("the time of a reorganisation", seen.0)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = read::cursor(&transaction)?;
    if let Some(final_block) = known.final_block.filter(|number| to.number < *number) {
        return Err(StoreError::Final { to: to.number, final_block });
    }
    check_block(&transaction, &mut BTreeMap::new(), to)?;
    // Above the last number a database holds there is nothing to forget.
    let above = i64::try_from(to.number).unwrap_or(i64::MAX);
    let mut touched = Touched::default();
    {
        let mut gone = transaction.prepare("SELECT body FROM events WHERE block > ?1")?;
        let mut rows = gone.query([above])?;
        while let Some(row) = rows.next()? {
            touched.note(&read::body(row.get_ref(0)?)?)?;
        }
    }
    touched.pay(&transaction, -1, Total::minus)?;
    let events = transaction.execute("DELETE FROM events WHERE block > ?1", [above])?;
    transaction.execute("DELETE FROM blocks WHERE number > ?1", [above])?;
    touched.register(&transaction)?;
    transaction.execute(
        "DELETE FROM devices WHERE registered_at IS NULL AND last_epoch IS NULL AND reports = 0",
        [],
    )?;
    transaction.execute("DELETE FROM customers WHERE payments = 0 AND epochs = 0", [])?;
    if let Some(old) = known.block.filter(|block| block.number > to.number) {
        transaction
            .execute("UPDATE progress SET block = ?1, block_hash = ?2", params![above, Sql(to.hash)])?;
        let (number, hash) = (Sql(old.number), Sql(old.hash));
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        transaction.execute(
            "INSERT INTO reorgs (seen, old_number, old_hash, common_number, common_hash, events)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![Sql(seen), number, hash, above, Sql(to.hash), events],
        )?;
    }
    Ok(transaction.commit()?)
}

/// A header, unless it is known.
fn add_block(transaction: &Transaction<'_>, block: &BlockFacts, kept: bool) -> Result<(), StoreError> {
    let added = transaction
        .prepare_cached("INSERT INTO blocks VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
        .execute(params![Sql(block.number), Sql(block.hash), Sql(block.parent), Sql(block.time), kept])?;
    if added == 1 {
        return Ok(());
    }
    let (parent, time): (Sql<Digest>, Sql<Timestamp>) = transaction
        .prepare_cached("SELECT parent, time FROM blocks WHERE number = ?1")?
        .query_row([Sql(block.number)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if (parent.0, time.0) == (block.parent, block.time) {
        return Ok(());
    }
    Err(StoreError::Conflict {
        what: format!("the header of block {}", block.number),
        expected: format!("{} after {}", time.0, parent.0),
        found: format!("{} after {}", block.time, block.parent),
    })
}

/// A block with an event must have a header, which stays as long as the event.
fn keep_block(transaction: &Transaction<'_>, number: u64) -> Result<(), StoreError> {
    let kept = transaction
        .prepare_cached("SELECT kept FROM blocks WHERE number = ?1")?
        .query_row([Sql(number)], |row| row.get::<_, bool>(0))
        .optional()?;
    match kept {
        None => return Err(StoreError::NoHeader { block: number }),
        Some(true) => {}
        Some(false) => {
            transaction
                .prepare_cached("UPDATE blocks SET kept = 1 WHERE number = ?1")?
                .execute([Sql(number)])?;
        }
    }
    Ok(())
}

/// What events that come or go change besides their own rows: once for each device and customer, however many there are.
#[derive(Default)]
struct Touched {
    devices: BTreeSet<Digest>,
    customers: BTreeMap<Address, Payments>,
}

#[derive(Clone, Copy, Default)]
struct Payments {
    paid: Total,
    burned: Total,
    count: i64,
}

impl Touched {
    fn note(&mut self, event: &ChainEvent) -> Result<(), StoreError> {
        self.devices.extend(keys(event).0);
        if let ChainEvent::CreditsPaid { customer, amount, burned } = event {
            let payments = self.customers.entry(*customer).or_default();
            payments.paid = payments.paid.plus(*amount)?;
            payments.burned = payments.burned.plus(*burned)?;
            payments.count = payments.count.saturating_add(1);
        }
        Ok(())
    }

    /// Payments come, or go again: `change` is what happens to the sums, `sign` to their number.
    fn pay(
        &self,
        transaction: &Transaction<'_>,
        sign: i64,
        change: fn(Total, Total) -> Result<Total, StoreError>,
    ) -> Result<(), StoreError> {
        for (customer, payments) in &self.customers {
            add_customer(transaction, *customer)?;
            let (paid, burned): (Sql<Total>, Sql<Total>) = transaction
                .prepare_cached("SELECT paid, burned FROM customers WHERE address = ?1")?
                .query_row([Sql(*customer)], |row| Ok((row.get(0)?, row.get(1)?)))?;
            transaction
                .prepare_cached(
                    "UPDATE customers SET paid = ?2, burned = ?3, payments = payments + ?4 WHERE address = ?1",
                )?
                .execute(params![
                    Sql(*customer),
                    Sql(change(paid.0, payments.paid)?),
                    Sql(change(burned.0, payments.burned)?),
                    payments.count.saturating_mul(sign),
                ])?;
        }
        Ok(())
    }

    fn register(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        self.devices.iter().try_for_each(|device| register(transaction, *device))
    }
}

/// The hash of every known block of this number must be this one. `seen` spares asking twice.
fn check_block(
    transaction: &Transaction<'_>,
    seen: &mut BTreeMap<u64, Digest>,
    block: BlockRef,
) -> Result<(), StoreError> {
    let known = match seen.get(&block.number) {
        Some(hash) => Some(*hash),
        None => transaction
            .prepare_cached(
                "SELECT hash FROM blocks WHERE number = ?1 UNION ALL SELECT block_hash FROM progress WHERE block = ?1",
            )?
            .query_row([i64::try_from(block.number).unwrap_or(i64::MAX)], |row| {
                Ok(row.get::<_, Sql<Digest>>(0)?.0)
            })
            .optional()?,
    };
    match known {
        Some(expected) if expected != block.hash => {
            Err(StoreError::Reorganised { block: block.number, expected, found: block.hash })
        }
        _ => {
            seen.insert(block.number, block.hash);
            Ok(())
        }
    }
}

/// What of an event is searched by: device, account, epoch.
fn keys(event: &ChainEvent) -> (Option<Digest>, Option<Address>, Option<Epoch>) {
    match event {
        ChainEvent::DeviceRegistered { device, .. } => (Some(device.on_chain()), None, None),
        ChainEvent::DeviceTransferred { device, .. } | ChainEvent::DeviceDeactivated { device } => {
            (Some(*device), None, None)
        }
        ChainEvent::CreditsPaid { customer, .. } => (None, Some(*customer), None),
        ChainEvent::Claimed { epoch, account, .. } => (None, Some(*account), Some(*epoch)),
        ChainEvent::EpochStarted { epoch, .. }
        | ChainEvent::RootProposed { epoch, .. }
        | ChainEvent::RootFinal { epoch, .. } => (None, None, Some(*epoch)),
        _ => (None, None, None),
    }
}

fn add_event(
    transaction: &Transaction<'_>,
    located: &Located,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let Located { block, block_hash, log_index, event } = located;
    let (device, account, epoch) = keys(event);
    let body = cbor::to_vec(event);
    let added = transaction
        .prepare_cached(
            "INSERT INTO events (block, log_index, block_hash, kind, device, account, epoch, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            Sql(*block),
            Sql(*log_index),
            Sql(*block_hash),
            Sql(EventKind::of(event)?),
            device.map(Sql),
            account.map(Sql),
            // An epoch beyond what a database holds was never closed here, so nobody asks for it.
            epoch.and_then(|epoch| i64::try_from(epoch.0).ok()),
            body,
        ])?;
    if added == 0 {
        return same_event(transaction, located, &body);
    }
    if let ChainEvent::DeviceRegistered { device, .. } = event {
        add_device(transaction, *device)?;
    }
    touched.note(event)
}

fn same_event(transaction: &Transaction<'_>, located: &Located, body: &[u8]) -> Result<(), StoreError> {
    let (kind, stored): (Sql<EventKind>, Vec<u8>) = transaction
        .prepare_cached("SELECT kind, body FROM events WHERE block = ?1 AND log_index = ?2")?
        .query_row(params![Sql(located.block), Sql(located.log_index)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if stored == body {
        return Ok(());
    }
    Err(StoreError::Conflict {
        what: format!("the event {} of block {}", located.log_index, located.block),
        expected: kind.0.to_string(),
        found: EventKind::of(&located.event)?.to_string(),
    })
}

/// A row for `device`, with what the registry already said about it, unless there is one.
pub(super) fn add_device(transaction: &Transaction<'_>, device: DeviceId) -> Result<(), StoreError> {
    let known =
        transaction.prepare_cached("SELECT 1 FROM devices WHERE device = ?1")?.exists([Sql(device)])?;
    if known {
        return Ok(());
    }
    let on_chain = device.on_chain();
    transaction
        .prepare_cached(
            "INSERT INTO devices (device, did, on_chain, status, earned, reports) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        )?
        .execute(params![
            Sql(device),
            device.to_string(),
            Sql(on_chain),
            Sql(DeviceStatus::Unregistered),
            Sql(Total::default())
        ])?;
    register(transaction, on_chain)
}

/// Brings a device's standing with the registry up to date with the stored events.
fn register(transaction: &Transaction<'_>, on_chain: Digest) -> Result<(), StoreError> {
    let last = |kind| last_event(transaction, on_chain, kind);
    let registered = last(EventKind::DeviceRegistered)?;
    let transferred = last(EventKind::DeviceTransferred)?;
    let deactivated = last(EventKind::DeviceDeactivated)?.is_some();
    let registered_at = registered.as_ref().map(|((block, _), _)| *block);
    let owner =
        registered.into_iter().chain(transferred).max_by_key(|(at, _)| *at).and_then(
            |(_, event)| match event {
                ChainEvent::DeviceRegistered { owner, .. } => Some(owner),
                ChainEvent::DeviceTransferred { to, .. } => Some(to),
                _ => None,
            },
        );
    let status = match (deactivated, owner) {
        (true, _) => DeviceStatus::Deactivated,
        (false, Some(_)) => DeviceStatus::Active,
        (false, None) => DeviceStatus::Unregistered,
    };
    transaction
        .prepare_cached(
            "UPDATE devices SET status = ?2, registered_owner = ?3, registered_at = ?4 WHERE on_chain = ?1",
        )?
        .execute(params![Sql(on_chain), Sql(status), owner.map(Sql), registered_at])?;
    Ok(())
}

type Placed = ((i64, i64), ChainEvent);

fn last_event(
    transaction: &Transaction<'_>,
    device: Digest,
    kind: EventKind,
) -> Result<Option<Placed>, StoreError> {
    let mut statement = transaction.prepare_cached(
        "SELECT block, log_index, body FROM events WHERE device = ?1 AND kind = ?2
         ORDER BY block DESC, log_index DESC LIMIT 1",
    )?;
    let mut rows = statement.query(params![Sql(device), Sql(kind)])?;
    match rows.next()? {
        Some(row) => Ok(Some(((row.get(0)?, row.get(1)?), read::body(row.get_ref(2)?)?))),
        None => Ok(None),
    }
}

pub(super) fn add_customer(transaction: &Transaction<'_>, customer: Address) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO customers (address, paid, burned, payments, spent, spent_burned, epochs)
             VALUES (?1, ?2, ?2, 0, ?2, ?2, 0) ON CONFLICT DO NOTHING",
        )?
        .execute(params![Sql(customer), Sql(Total::default())])?;
    Ok(())
}
