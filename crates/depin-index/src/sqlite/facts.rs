//! What the journal says into rows.

use std::collections::BTreeMap;

use depin_core::{Amount, B256, DeviceId, Digest, Epoch, Finding, Verdict, cbor};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    derived::{EpochSums, Judged},
    value::Sql,
};
use crate::{ClaimFacts, DeviceEpoch, EpochFacts, ReportEpoch, StoreError, Tally, Total, clean, facts::fits};

/// Stores an epoch; gives what it adds to derived rows, unless it was there already.
pub(super) fn add_epoch(
    transaction: &Transaction<'_>,
    facts: &EpochFacts,
) -> Result<Option<EpochSums>, StoreError> {
    let known = transaction
        .prepare_cached("SELECT bundle FROM epochs WHERE epoch = ?1")?
        .query_row([Sql(facts.epoch)], |row| Ok(row.get::<_, Sql<Digest>>(0)?.0))
        .optional()?;
    match known {
        Some(bundle) if bundle == facts.bundle => return Ok(None),
        Some(bundle) => {
            return Err(StoreError::Conflict {
                what: format!("the bundle of epoch {}", facts.epoch),
                expected: bundle.to_string(),
                found: facts.bundle.to_string(),
            });
        }
        None => {}
    }
    let refused = facts.refusals.iter().try_fold(0_u64, |sum, row| sum.checked_add(row.count));
    let refused = refused.ok_or(StoreError::Sum)?;
    insert_epoch(transaction, facts, refused)?;
    for row in &facts.devices {
        add_earning(transaction, facts.epoch, row)?;
    }
    for row in &facts.customers {
        transaction
            .prepare_cached("INSERT INTO customer_epochs VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![Sql(row.address), Sql(facts.epoch), Sql(row.spent), Sql(row.burned)])?;
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
    add_reports(transaction, facts)?;
    Ok(Some(sums(facts, refused)))
}

fn insert_epoch(transaction: &Transaction<'_>, facts: &EpochFacts, refused: u64) -> Result<(), StoreError> {
    let spent = facts.customers.iter().try_fold(Total::default(), |sum, row| sum.plus(row.spent))?;
    transaction
        .prepare_cached(
            "INSERT INTO epochs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                                        ?18, 0, 0)",
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
            Sql(spent),
            facts.units.kind.as_str(),
            Sql(facts.units.quantity),
            Sql(facts.opened),
            Sql(facts.closed),
            Sql(facts.verdicts.accept),
            Sql(facts.verdicts.reject),
            Sql(facts.verdicts.inconclusive),
            Sql(refused),
        ])?;
    Ok(())
}

fn sums(facts: &EpochFacts, refused: u64) -> EpochSums {
    let tally = Tally {
        epochs: 1,
        accept: facts.verdicts.accept,
        reject: facts.verdicts.reject,
        inconclusive: facts.verdicts.inconclusive,
        refused,
        units: facts.units.quantity.into(),
        earned: facts.paid.into(),
        minted: facts.minted.into(),
        burned: facts.burned.into(),
        revenue: facts.revenue.into(),
        ..Tally::default()
    };
    let judged = |row: &DeviceEpoch| Judged {
        device: row.device,
        owner: row.owner,
        units: row.units.quantity,
        earned: row.earned,
        outcome: row.verdict.outcome,
    };
    EpochSums {
        epoch: facts.epoch,
        closed: facts.closed,
        tally,
        devices: facts.devices.iter().map(judged).collect(),
        customers: facts.customers.iter().map(|row| (row.address, row.spent, row.burned)).collect(),
        refused: facts.refusals.iter().filter_map(|row| Some((row.device?, row.count))).collect(),
    }
}

fn add_earning(transaction: &Transaction<'_>, epoch: Epoch, row: &DeviceEpoch) -> Result<(), StoreError> {
    transaction.prepare_cached("INSERT INTO earnings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
        params![
            Sql(row.device),
            Sql(epoch),
            Sql(row.owner),
            row.units.kind.as_str(),
            Sql(row.units.quantity),
            Sql(row.earned),
            Sql(row.verdict.outcome),
            cbor::to_vec(&row.lines),
        ],
    )?;
    transaction.prepare_cached("INSERT INTO verdicts VALUES (?1, ?2, ?3)")?.execute(params![
        Sql(row.device),
        Sql(epoch),
        cbor::to_vec(&cleaned(&row.verdict))
    ])?;
    Ok(())
}

/// What each device reported, and how much of it was refused.
fn add_reports(transaction: &Transaction<'_>, facts: &EpochFacts) -> Result<(), StoreError> {
    let mut rows: BTreeMap<DeviceId, (Option<&ReportEpoch>, u64)> =
        facts.reports.iter().map(|row| (row.device, (Some(row), 0))).collect();
    for refusal in &facts.refusals {
        let Some(device) = refusal.device else { continue };
        let (_, refused) = rows.entry(device).or_default();
        *refused = refused.checked_add(refusal.count).ok_or(StoreError::Sum)?;
    }
    for (device, (reported, refused)) in rows {
        let span = reported.and_then(|row| row.span);
        fits("the number of refusals", refused)?;
        transaction.prepare_cached("INSERT INTO reports VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            params![
                Sql(device),
                Sql(facts.epoch),
                Sql(reported.map_or(0, |row| row.counted)),
                Sql(refused),
                span.map(|(first, _)| Sql(first)),
                span.map(|(_, last)| Sql(last)),
                Sql(reported.map_or(0, |row| row.missing)),
            ],
        )?;
    }
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

/// Stores a payout; whether it is new.
pub(super) fn add_claim(transaction: &Transaction<'_>, claim: &ClaimFacts) -> Result<bool, StoreError> {
    let ClaimFacts { epoch, account, amount, proof } = claim;
    let added = transaction
        .prepare_cached("INSERT INTO claims VALUES (?1, ?2, ?3, ?4, 0, 0) ON CONFLICT DO NOTHING")?
        .execute(params![Sql(*account), Sql(*epoch), Sql(*amount), Sql(proof.clone())])?;
    if added == 1 {
        return Ok(true);
    }
    let (stored, path): (Sql<Amount>, Sql<Vec<B256>>) = transaction
        .prepare_cached("SELECT amount, proof FROM claims WHERE account = ?1 AND epoch = ?2")?
        .query_row(params![Sql(*account), Sql(*epoch)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if stored.0 == *amount && path.0 == *proof {
        return Ok(false);
    }
    Err(StoreError::Conflict {
        what: format!("the claim of {account} in epoch {epoch}"),
        expected: stored.0.to_string(),
        found: amount.to_string(),
    })
}
