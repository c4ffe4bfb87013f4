//! Answers out of rows.

use std::collections::BTreeMap;

use depin_core::{Address, DeviceId, Timestamp};

use super::State;
use crate::{
    Answer, BlockRef, CustomerRow, DeviceFilter, DeviceRow, EarnedRollupRow, Earner, EpochRow, EventRow,
    Overview, OwnerRow, Page, Period, Query, RollupRow, Row, Seek, StoreError, Tally,
    tally::{Span, last_day},
};

/// Answers from `state`, where a row is final if it reads the same in `decided`.
pub(super) fn answer(state: &State, decided: &State, query: Query) -> Result<Answer, StoreError> {
    Ok(match query {
        Query::Overview => Answer::Overview(overview(state, decided)?),
        Query::Rollups(period, seek) => Answer::Rollups(rollups(state, decided, period, seek)?),
        Query::EarnedRollups(who, period, seek) => {
            Answer::EarnedRollups(earned_rollups(state, decided, who, period, seek)?)
        }
        Query::Epochs(seek) => {
            let rows: Result<Vec<_>, _> =
                state.epochs.keys().map(|epoch| epoch_row(state, decided, *epoch)).collect();
            Answer::Epochs(descending(rows?.into_iter().flatten(), seek))
        }
        Query::Epoch(epoch) => Answer::Epoch(epoch_row(state, decided, epoch)?),
        Query::EpochDevices(epoch, seek) => {
            Answer::EpochDevices(ascending(state.epoch_devices(epoch).into_iter(), seek))
        }
        Query::Roots(seek) => {
            let rows = state.roots().map(|mut row| {
                row.decided = decided.events.contains_key(&row.key());
                row
            });
            Answer::Roots(descending(rows, seek))
        }
        Query::Devices(filter, seek) => Answer::Devices(devices(state, decided, &filter, seek)?),
        Query::Device(device) => {
            let row = state.devices()?.remove(&device.to_string());
            Answer::Device(row.map(|row| compare(row, &decided.devices()?)).transpose()?)
        }
        Query::Earnings(device, seek) => {
            let rows = state.earnings(device).map(|mut row| {
                row.decided = decided.epochs.contains_key(&row.epoch)
                    && row.status == decided.on_chain(row.epoch).status();
                row
            });
            Answer::Earnings(descending(rows, seek))
        }
        Query::Verdicts(device, seek) => Answer::Verdicts(descending(state.verdicts(device), seek)),
        Query::Reports(device, seek) => {
            let rows: Result<Vec<_>, _> = state.report_rows(device).collect();
            Answer::Reports(descending(rows?.into_iter(), seek))
        }
        Query::Refusals(device, seek) => {
            Answer::Refusals(descending(state.refusals(device).into_iter(), seek))
        }
        Query::Claims(account, seek) => {
            let known: Vec<_> = decided.claim_rows(account).collect();
            let rows = state.claim_rows(account).map(|mut row| {
                row.decided = known.contains(&row);
                row
            });
            Answer::Claims(descending(rows, seek))
        }
        Query::CustomerEpochs(customer, seek) => {
            let rows = state.customer_epochs(customer).map(|mut row| {
                row.decided = decided.epochs.contains_key(&row.epoch);
                row
            });
            Answer::CustomerEpochs(descending(rows, seek))
        }
        Query::Events(kind, seek) => {
            let rows = state.event_rows(kind).map(|mut row: EventRow| {
                row.decided = decided.events.contains_key(&row.key());
                row
            });
            Answer::Events(descending(rows, seek))
        }
        query => accounts(state, decided, query)?,
    })
}

/// Owners, customers, and what is about the index itself.
fn accounts(state: &State, decided: &State, query: Query) -> Result<Answer, StoreError> {
    Ok(match query {
        Query::Owners(seek) => {
            let known = decided.owners()?;
            let rows = state.owners()?.into_values().map(|row| settled_owner(row, &known));
            Answer::Owners(ascending(rows, seek))
        }
        Query::Owner(address) => {
            let row = state.owners()?.remove(&address).unwrap_or_else(|| OwnerRow::unknown(address));
            Answer::Owner(settled_owner(row, &decided.owners()?))
        }
        Query::Customers(seek) => {
            let known = decided.customers()?;
            let rows = state.customers()?.into_values().map(|row| settled_customer(row, &known));
            Answer::Customers(ascending(rows, seek))
        }
        Query::Customer(address) => {
            let known = decided.customers()?;
            let row = state.customers()?.remove(&address);
            Answer::Customer(row.map(|row| settled_customer(row, &known)))
        }
        Query::Window(limit) => {
            let blocks = state.blocks.values().rev().take(limit.rows());
            Answer::Window(blocks.map(|block| BlockRef { number: block.number, hash: block.hash }).collect())
        }
        Query::Reorgs(seek) => Answer::Reorgs(descending(state.reorgs.iter().cloned(), seek)),
        // The caller has answered all others.
        _ => return Err(StoreError::Answer { expected: "accounts" }),
    })
}

fn overview(state: &State, decided: &State) -> Result<Overview, StoreError> {
    let sums = state.sums()?.0;
    let head = state.cursor.block.map(|block| state.time(block.number));
    let hours = sums.iter().filter_map(|(span, tally)| match span {
        Span::Of(Period::Hour, start) => Some((*start, tally)),
        _ => None,
    });
    let newest = hours.clone().map(|(start, _)| start).max().max(head).unwrap_or_default();
    let mut day = Tally::default();
    for (_, tally) in hours.filter(|(start, _)| *start > last_day(newest)) {
        day = day.plus(tally)?;
    }
    let ever = |sums: &BTreeMap<Span, Tally>| sums.get(&Span::All).copied().unwrap_or_default();
    Ok(Overview::new(&ever(&sums), &day, &ever(&decided.sums()?.0)))
}

fn rollups(
    state: &State,
    decided: &State,
    period: Period,
    seek: Seek<Timestamp>,
) -> Result<Page<RollupRow>, StoreError> {
    let known = decided.sums()?.0;
    let rows = state.sums()?.0.into_iter().filter_map(|(span, tally)| match span {
        Span::Of(found, start) if found == period => {
            let same = known.get(&span).copied().unwrap_or_default() == tally;
            Some(RollupRow { start, tally, decided: same })
        }
        _ => None,
    });
    Ok(descending(rows.collect::<Vec<_>>().into_iter(), seek))
}

fn earned_rollups(
    state: &State,
    decided: &State,
    who: Earner,
    period: Period,
    seek: Seek<Timestamp>,
) -> Result<Page<EarnedRollupRow>, StoreError> {
    let known = decided.earned_sums(who)?;
    let rows = state.earned_sums(who)?.into_iter().filter_map(|(span, tally)| match span {
        Span::Of(found, start) if found == period => {
            let same = known.get(&span).copied().unwrap_or_default() == tally;
            Some(EarnedRollupRow { start, tally, decided: same })
        }
        _ => None,
    });
    Ok(descending(rows.collect::<Vec<_>>().into_iter(), seek))
}

fn epoch_row(
    state: &State,
    decided: &State,
    epoch: depin_core::Epoch,
) -> Result<Option<EpochRow>, StoreError> {
    let Some(facts) = state.epochs.get(&epoch) else { return Ok(None) };
    let mut row = state.epoch_row(facts)?;
    row.decided = decided.epochs.contains_key(&epoch) && state.on_chain(epoch) == decided.on_chain(epoch);
    Ok(Some(row))
}

fn devices(
    state: &State,
    decided: &State,
    filter: &DeviceFilter,
    seek: Seek<DeviceId>,
) -> Result<Page<DeviceRow>, StoreError> {
    let after = seek.after.map(|device| device.to_string());
    let known = decided.devices()?;
    let rows = state.devices()?.into_iter().filter(|(did, row)| {
        after.as_ref().is_none_or(|after| did > after)
            && filter.prefix.as_ref().is_none_or(|prefix| did.starts_with(prefix.as_str()))
            && filter.status.is_none_or(|status| row.status == status)
            && filter.outcome.is_none_or(|outcome| row.last_outcome == Some(outcome))
            && filter.owner.is_none_or(|owner| row.owner == Some(owner))
    });
    let rows: Result<Vec<_>, _> = rows.map(|(_, row)| compare(row, &known)).collect();
    Ok(Page::cut(rows?, seek.limit))
}

fn compare(row: DeviceRow, known: &BTreeMap<String, DeviceRow>) -> Result<DeviceRow, StoreError> {
    let found = known.get(&row.did.to_string());
    Ok(DeviceRow {
        decided: found == Some(&row),
        earned_final: found.map(|found| found.earned).unwrap_or_default(),
        ..row
    })
}

fn settled_owner(mut row: OwnerRow, known: &BTreeMap<Address, OwnerRow>) -> OwnerRow {
    let found = known.get(&row.address).cloned().unwrap_or_else(|| OwnerRow::unknown(row.address));
    row.decided = found == row;
    row
}

fn settled_customer(mut row: CustomerRow, known: &BTreeMap<Address, CustomerRow>) -> CustomerRow {
    let found = known.get(&row.address).cloned().unwrap_or_else(|| CustomerRow::unknown(row.address));
    row.decided = found == row;
    row
}

/// A page of rows that come in ascending order.
fn ascending<R: Row<Key: Ord>>(rows: impl Iterator<Item = R>, seek: Seek<R::Key>) -> Page<R> {
    let rest = rows.filter(|row| seek.after.as_ref().is_none_or(|after| row.key() > *after));
    Page::cut(rest.take(seek.limit.rows().saturating_add(1)).collect(), seek.limit)
}

/// A page of rows that come in ascending order and are shown in descending order.
fn descending<R: Row<Key: Ord>>(rows: impl DoubleEndedIterator<Item = R>, seek: Seek<R::Key>) -> Page<R> {
    let rest = rows.rev().filter(|row| seek.after.as_ref().is_none_or(|after| row.key() < *after));
    Page::cut(rest.take(seek.limit.rows().saturating_add(1)).collect(), seek.limit)
}
