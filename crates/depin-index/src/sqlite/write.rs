//! Facts into rows, each batch in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{Address, ChainEvent, Digest, Epoch, Located, Timestamp, cbor};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{facts, read, value::Sql, work::Work};
use crate::{Batch, BlockFacts, BlockRef, Change, Cursor, EventKind, StoreError, View, WINDOW, facts::fits};

/// Stores `batch` and `cursor`, both or neither.
pub(super) fn apply(
    connection: &mut Connection,
    batch: &Batch,
    cursor: Cursor,
) -> Result<Change, StoreError> {
    // A transaction that begins by reading and then writes would fail at once when another process writes.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut work = Work::new(&transaction, &read::cursor(&transaction)?);
    let mut blocks = BTreeMap::new();
    let times = add_blocks(&transaction, batch, &mut blocks)?;
    for located in &batch.events {
        check_block(&transaction, &mut blocks, BlockRef { number: located.block, hash: located.block_hash })?;
        if add_event(&transaction, located)? {
            let time = times.get(&located.block).copied().unwrap_or_default();
            work.come(fits("the block number", located.block)?, &located.event, time)?;
        }
    }
    for epoch in &batch.epochs {
        if let Some(sums) = facts::add_epoch(&transaction, epoch)? {
            work.add_epoch(View::Latest, &sums)?;
        }
    }
    for claim in &batch.claims {
        if facts::add_claim(&transaction, claim)? {
            work.add_claim(claim)?;
        }
    }
    for report in &batch.reports {
        work.add_report(report)?;
    }
    if let Some(block) = cursor.block {
        check_block(&transaction, &mut blocks, block)?;
    }
    advance(&transaction, cursor)?;
    let now = read::cursor(&transaction)?;
    work.finalise(&now)?;
    let decided = work.finish()?;
    transaction.commit()?;
    Ok(Change { decided, ..Change::of(batch, now) })
}

/// Moves each part of the cursor forward, and forgets the headers that nobody needs any more.
fn advance(transaction: &Transaction<'_>, cursor: Cursor) -> Result<(), StoreError> {
    if let Some(block) = cursor.block {
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
    Ok(())
}

/// Stores the headers of `batch`; gives the time of every block with an event in it.
fn add_blocks(
    transaction: &Transaction<'_>,
    batch: &Batch,
    blocks: &mut BTreeMap<u64, Digest>,
) -> Result<BTreeMap<u64, Timestamp>, StoreError> {
    let with_events: BTreeSet<u64> = batch.events.iter().map(|located| located.block).collect();
    for block in &batch.blocks {
        check_block(transaction, blocks, BlockRef { number: block.number, hash: block.hash })?;
        add_block(transaction, block, with_events.contains(&block.number))?;
    }
    let times = with_events.into_iter().map(|number| Ok((number, keep_block(transaction, number)?)));
    times.collect()
}

/// Forgets every event above `to`, and brings what was derived from them to where it was before.
pub(super) fn rewind(
    connection: &mut Connection,
    to: BlockRef,
    seen: Timestamp,
) -> Result<Change, StoreError> {
    fits("the time of a reorganisation", seen.0)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = read::cursor(&transaction)?;
    if let Some(final_block) = known.final_block.filter(|number| to.number < *number) {
        return Err(StoreError::Final { to: to.number, final_block });
    }
    check_block(&transaction, &mut BTreeMap::new(), to)?;
    // Above the last number a database holds there is nothing to forget.
    let above = i64::try_from(to.number).unwrap_or(i64::MAX);
    let mut work = Work::new(&transaction, &known);
    {
        let mut gone = transaction.prepare_cached(
            "SELECT events.block, body, time FROM events JOIN blocks ON number = events.block
             WHERE events.block > ?1",
        )?;
        let mut rows = gone.query([above])?;
        while let Some(row) = rows.next()? {
            let time = row.get::<_, Sql<Timestamp>>(2)?.0;
            work.go(row.get(0)?, &read::body(row.get_ref(1)?)?, time)?;
        }
    }
    let events = transaction.prepare_cached("DELETE FROM events WHERE block > ?1")?.execute([above])?;
    transaction.prepare_cached("DELETE FROM blocks WHERE number > ?1")?.execute([above])?;
    work.finish()?;
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
    let cursor = read::cursor(&transaction)?;
    transaction.commit()?;
    Ok(Change { undone: true, cursor, ..Change::default() })
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

/// A block with an event must have a header, which stays as long as the event. Gives its time.
fn keep_block(transaction: &Transaction<'_>, number: u64) -> Result<Timestamp, StoreError> {
    let (kept, time): (bool, Sql<Timestamp>) = transaction
        .prepare_cached("SELECT kept, time FROM blocks WHERE number = ?1")?
        .query_row([Sql(number)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or(StoreError::NoHeader { block: number })?;
    if !kept {
        transaction.prepare_cached("UPDATE blocks SET kept = 1 WHERE number = ?1")?.execute([Sql(number)])?;
    }
    Ok(time.0)
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
        ChainEvent::CreditsPaid { customer, .. } => (None, Some(*customer), None),
        ChainEvent::Claimed { epoch, account, .. } => (None, Some(*account), Some(*epoch)),
        ChainEvent::EpochStarted { epoch, .. }
        | ChainEvent::RootProposed { epoch, .. }
        | ChainEvent::RootFinal { epoch, .. }
        | ChainEvent::RootChallenged { epoch, .. }
        | ChainEvent::EpochContested { epoch, .. }
        | ChainEvent::RootSupported { epoch, .. }
        | ChainEvent::RootVoided { epoch, .. }
        | ChainEvent::RootUndecided { epoch, .. }
        | ChainEvent::RootRevived { epoch, .. } => (None, None, Some(*epoch)),
        _ => (event.device(), None, None),
    }
}

/// Stores an event; whether it is new.
fn add_event(transaction: &Transaction<'_>, located: &Located) -> Result<bool, StoreError> {
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
        same_event(transaction, located, &body)?;
    }
    Ok(added == 1)
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
