//! What the journal says into rows.

use depin_core::{Amount, B256, Digest, Epoch, Finding, Verdict, cbor};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    value::Sql,
    write::{add_customer, add_device},
};
use crate::{ClaimFacts, CustomerEpoch, DeviceEpoch, EpochFacts, ReportFacts, StoreError, Total, clean};

pub(super) fn add_epoch(transaction: &Transaction<'_>, facts: &EpochFacts) -> Result<(), StoreError> {
    let known = transaction
        .prepare_cached("SELECT bundle FROM epochs WHERE epoch = ?1")?
        .query_row([Sql(facts.epoch)], |row| Ok(row.get::<_, Sql<Digest>>(0)?.0))
        .optional()?;
    match known {
        Some(bundle) if bundle == facts.bundle => return Ok(()),
        Some(bundle) => {
            return Err(StoreError::Conflict {
                what: format!("the bundle of epoch {}", facts.epoch),
                expected: bundle.to_string(),
                found: facts.bundle.to_string(),
            });
        }
        None => {}
    }
    transaction
        .prepare_cached(
            "INSERT INTO epochs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            Sql(facts.epoch),
            Sql(facts.bundle),
            Sql(facts.root),
            Sql(facts.pool),
            Sql(facts.paid),
            Sql(facts.dust),
            Sql(facts.burned),
            Sql(facts.minted),
            Sql(facts.revenue),
            facts.units.kind.as_str(),
            Sql(facts.units.quantity),
            Sql(facts.opened),
            Sql(facts.closed),
            Sql(facts.verdicts.accept),
            Sql(facts.verdicts.reject),
            Sql(facts.verdicts.inconclusive),
        ])?;
    for row in &facts.devices {
        add_earning(transaction, facts.epoch, row)?;
    }
    for row in &facts.customers {
        spend(transaction, row)?;
    }
    for row in &facts.refusals {
        let device: &[u8] = row.device.as_ref().map_or(&[], |device| device.0.as_bytes());
        transaction.prepare_cached("INSERT INTO refusals VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            Sql(facts.epoch),
            device,
            row.reason.as_str(),
            Sql(row.count)
        ])?;
    }
    Ok(())
}

fn add_earning(transaction: &Transaction<'_>, epoch: Epoch, row: &DeviceEpoch) -> Result<(), StoreError> {
    add_device(transaction, row.device)?;
    transaction.prepare_cached("INSERT INTO earnings VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        Sql(row.device),
        Sql(epoch),
        Sql(row.owner),
        row.units.kind.as_str(),
        Sql(row.units.quantity),
        Sql(row.earned),
    ])?;
    transaction.prepare_cached("INSERT INTO verdicts VALUES (?1, ?2, ?3)")?.execute(params![
        Sql(row.device),
        Sql(epoch),
        cbor::to_vec(&cleaned(&row.verdict))
    ])?;
    let earned: Sql<Total> = transaction
        .prepare_cached("SELECT earned FROM devices WHERE device = ?1")?
        .query_row([Sql(row.device)], |found| found.get(0))?;
    transaction
        .prepare_cached("UPDATE devices SET earned = ?2 WHERE device = ?1")?
        .execute(params![Sql(row.device), Sql(earned.0.plus(row.earned)?)])?;
    transaction
        .prepare_cached(
            "UPDATE devices SET epoch_owner = ?2, last_epoch = ?3, last_outcome = ?4
             WHERE device = ?1 AND (last_epoch IS NULL OR last_epoch < ?3)",
        )?
        .execute(params![Sql(row.device), Sql(row.owner), Sql(epoch), Sql(row.verdict.outcome)])?;
    Ok(())
}

/// Findings may quote a device: their texts are cleaned before they are kept.
fn cleaned(verdict: &Verdict) -> Verdict {
    let findings = verdict.findings.iter().map(|finding| Finding {
        observed: clean(&finding.observed),
        limit: clean(&finding.limit),
        ..finding.clone()
    });
    Verdict { findings: findings.collect(), ..verdict.clone() }
}

fn spend(transaction: &Transaction<'_>, row: &CustomerEpoch) -> Result<(), StoreError> {
    add_customer(transaction, row.address)?;
    let (spent, burned): (Sql<Total>, Sql<Total>) = transaction
        .prepare_cached("SELECT spent, spent_burned FROM customers WHERE address = ?1")?
        .query_row([Sql(row.address)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    transaction
        .prepare_cached(
            "UPDATE customers SET spent = ?2, spent_burned = ?3, epochs = epochs + 1 WHERE address = ?1",
        )?
        .execute(params![Sql(row.address), Sql(spent.0.plus(row.spent)?), Sql(burned.0.plus(row.burned)?)])?;
    Ok(())
}

pub(super) fn add_claim(transaction: &Transaction<'_>, claim: &ClaimFacts) -> Result<(), StoreError> {
    let ClaimFacts { epoch, account, amount, proof } = claim;
    let added = transaction
        .prepare_cached("INSERT INTO claims VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
        .execute(params![Sql(*account), Sql(*epoch), Sql(*amount), Sql(proof.clone())])?;
    if added == 1 {
        return Ok(());
    }
    let (stored, path): (Sql<Amount>, Sql<Vec<B256>>) = transaction
        .prepare_cached("SELECT amount, proof FROM claims WHERE account = ?1 AND epoch = ?2")?
        .query_row(params![Sql(*account), Sql(*epoch)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if stored.0 == *amount && path.0 == *proof {
        return Ok(());
    }
    Err(StoreError::Conflict {
        what: format!("the claim of {account} in epoch {epoch}"),
        expected: stored.0.to_string(),
        found: amount.to_string(),
    })
}

pub(super) fn add_report(transaction: &Transaction<'_>, report: &ReportFacts) -> Result<(), StoreError> {
    if report.count == 0 {
        return Ok(());
    }
    add_device(transaction, report.device)?;
    transaction
        .prepare_cached(
            "UPDATE devices SET reports = ?2, last_report = ?3 WHERE device = ?1 AND reports < ?2",
        )?
        .execute(params![Sql(report.device), Sql(report.count), Sql(report.last)])?;
    Ok(())
}
