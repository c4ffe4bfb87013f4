//! What every [`Store`] and [`EventSource`](crate::EventSource) must do.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), depin_index::conformance::Broken> {
//! depin_index::conformance::store(async || depin_index::MemoryStore::default()).await
//! # }
//! ```

use std::fmt::{Debug, Display};

use depin_core::{Address, Amount, ChainEvent, DeviceId, Epoch, Located};

use crate::{
    Answer, Batch, Cursor, DeviceFilter, Earner, Limit, Period, Query, Seek, Store, Tally, Total, View,
};

mod forks;
mod lists;
pub mod sample;
mod source;

pub use source::source;

/// A law that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("broken: {law}; {found}")]
pub struct Broken {
    /// The law.
    pub law: &'static str,
    /// What was found instead.
    pub found: String,
}

/// Checks a store. `make` gives a new, empty one each time.
///
/// # Errors
/// [`Broken`] with the first law that does not hold.
pub async fn store<S: Store>(make: impl AsyncFn() -> S) -> Result<(), Broken> {
    a_new_store_is_empty(&make().await).await?;
    a_batch_is_read_back(&make().await).await?;
    amounts_are_exact(&make().await).await?;
    texts_are_cleaned(&make().await).await?;
    the_same_again_changes_nothing(&make().await).await?;
    order_does_not_matter(&make().await, &make().await).await?;
    a_refused_batch_leaves_nothing(&make().await).await?;
    the_cursor_never_goes_back(&make().await).await?;
    forks::another_hash_is_refused(&make().await).await?;
    for to in [0, 1, 7, 31, 32, 40] {
        forks::a_rewind_leaves_what_was_never_above(&make().await, &make().await, to).await?;
    }
    forks::the_other_fork_can_follow(&make().await, &make().await).await?;
    for to in [1, 9, 31, 40] {
        forks::what_is_final_is_what_was_there_then(&make().await, &make().await, to).await?;
    }
    sums_follow_from_the_rows(&make().await).await?;
    lists::pages_make_the_whole(&make().await).await?;
    lists::rows_added_meanwhile_move_nothing(&make().await).await?;
    lists::filters_choose(&make().await).await
}

async fn a_new_store_is_empty(store: &dyn Store) -> Result<(), Broken> {
    let law = "a new store is empty";
    same(law, &store.cursor().await.map_err(|error| broken(law, error))?, &Cursor::default())?;
    for view in View::ALL {
        for answer in dump_view(store, law, view).await? {
            holds(law, is_empty(&answer), answer)?;
        }
    }
    Ok(())
}

fn is_empty(answer: &Answer) -> bool {
    match answer {
        Answer::Overview(overview) => overview.cards.iter().all(|card| card.now == Total::default()),
        Answer::Rollups(page) => page.items.is_empty(),
        Answer::EarnedRollups(page) => page.items.is_empty(),
        Answer::Epochs(page) => page.items.is_empty(),
        Answer::Epoch(row) => row.is_none(),
        Answer::EpochDevices(page) => page.items.is_empty(),
        Answer::Roots(page) => page.items.is_empty(),
        Answer::Devices(page) => page.items.is_empty(),
        Answer::Device(row) => row.is_none(),
        Answer::Earnings(page) => page.items.is_empty(),
        Answer::Verdicts(page) => page.items.is_empty(),
        Answer::Reports(page) => page.items.is_empty(),
        Answer::Refusals(page) => page.items.is_empty(),
        Answer::Owners(page) => page.items.is_empty(),
        Answer::Owner(row) => row.devices == 0 && row.earned == Total::default(),
        Answer::Claims(page) => page.items.is_empty(),
        Answer::Customers(page) => page.items.is_empty(),
        Answer::Customer(row) => row.is_none(),
        Answer::CustomerEpochs(page) => page.items.is_empty(),
        Answer::Events(page) => page.items.is_empty(),
        Answer::Window(blocks) => blocks.is_empty(),
        Answer::Reorgs(page) => page.items.is_empty(),
    }
}

async fn a_batch_is_read_back(store: &dyn Store) -> Result<(), Broken> {
    let law = "a batch is read back";
    let (batch, cursor) = sample::batch(32, 5, 0);
    feed(store, law, (batch.clone(), cursor)).await?;
    same(law, &store.cursor().await.map_err(|error| broken(law, error))?, &cursor)?;
    let ok = |error| broken(law, error);
    let events = store.events(None, everything()).await.map_err(ok)?.items;
    let events: Vec<_> = events
        .into_iter()
        .map(|row| (row.block, row.block_hash, row.log_index, row.event, row.time))
        .collect();
    let expected: Vec<_> = batch
        .events
        .iter()
        .rev()
        .cloned()
        .map(|Located { block, block_hash, log_index, event }| {
            (block, block_hash, log_index, event, sample::header(block, 0).time)
        })
        .collect();
    same(law, &events, &expected)?;
    let epochs = store.epochs(everything()).await.map_err(ok)?.items;
    same(law, &epochs.iter().map(|row| row.epoch.0).collect::<Vec<_>>(), &vec![4, 3, 2, 1, 0])?;
    for facts in &batch.epochs {
        let row = store.epoch(facts.epoch).await.map_err(ok)?.ok_or_else(|| broken(law, facts.epoch))?;
        let found =
            (row.bundle, row.root, row.pool, row.paid, row.dust, row.burned, row.minted, row.verdicts);
        let fed = (
            facts.bundle,
            facts.root,
            facts.pool,
            facts.paid,
            facts.dust,
            facts.burned,
            facts.minted,
            facts.verdicts,
        );
        same(law, &found, &fed)?;
        same(law, &(row.units, row.opened, row.closed), &(facts.units.clone(), facts.opened, facts.closed))?;
        for judged in &facts.devices {
            let page = store.earnings(judged.device, everything()).await.map_err(ok)?;
            let row = page.items.into_iter().find(|row| row.epoch == facts.epoch);
            let row = row.ok_or_else(|| broken(law, judged.device))?;
            same(
                law,
                &(row.owner, row.units, row.earned),
                &(judged.owner, judged.units.clone(), judged.earned),
            )?;
        }
    }
    for claim in &batch.claims {
        let page = store.claims(claim.account, everything()).await.map_err(ok)?;
        let row = page.items.into_iter().find(|row| row.epoch == claim.epoch);
        let row = row.ok_or_else(|| broken(law, claim.account))?;
        same(law, &(row.amount, row.proof), &(claim.amount, claim.proof.clone()))?;
    }
    Ok(())
}

async fn amounts_are_exact(store: &dyn Store) -> Result<(), Broken> {
    let law = "amounts and their sums are exact";
    let customer = sample::account(0);
    let events = sample::EDGES.iter().zip(0..).map(|(amount, log_index)| {
        let event = ChainEvent::CreditsPaid { customer, amount: *amount, burned: Amount(1) };
        sample::located(sample::block(1, 0), log_index, event)
    });
    let blocks = vec![sample::header(1, 0)];
    let batch = Batch { blocks, events: events.collect(), ..Batch::default() };
    feed(store, law, (batch, Cursor::default())).await?;
    let page = store.customers(everything()).await.map_err(|error| broken(law, error))?;
    let sums: Vec<_> = page.items.iter().map(|row| (row.paid.to_string(), row.burned.to_string())).collect();
    // Three times 2^53, and 2^64, and 2^128 - 1.
    let paid = "340282366920938463481848373103241986047".to_owned();
    same(law, &sums, &vec![(paid, "5".to_owned())])
}

async fn texts_are_cleaned(store: &dyn Store) -> Result<(), Broken> {
    let law = "texts that quote a device are cleaned before they are kept";
    feed(store, law, sample::batch(0, 1, 0)).await?;
    let verdicts =
        store.verdicts(sample::device(0), everything()).await.map_err(|error| broken(law, error))?;
    let observed: Vec<_> = verdicts
        .items
        .iter()
        .flat_map(|verdict| verdict.findings.iter().take(1).map(|finding| finding.observed.clone()))
        .collect();
    same(law, &observed, &vec![crate::clean(sample::HOSTILE)])
}

async fn the_same_again_changes_nothing(store: &dyn Store) -> Result<(), Broken> {
    let law = "storing a batch again changes nothing";
    feed(store, law, sample::batch(32, 5, 0)).await?;
    let once = dump(store, law).await?;
    feed(store, law, sample::batch(32, 5, 0)).await?;
    same(law, &dump(store, law).await?, &once)?;
    feed(store, law, sample::batch(20, 2, 0)).await?;
    same("storing a part of it again changes nothing", &dump(store, law).await?, &once)
}

async fn order_does_not_matter(forward: &dyn Store, backward: &dyn Store) -> Result<(), Broken> {
    let law = "the order in which facts come does not matter";
    let (batch, cursor) = sample::batch(32, 5, 0);
    feed(forward, law, (batch.clone(), cursor)).await?;
    for located in batch.events.into_iter().rev() {
        let blocks = vec![sample::header(located.block, 0)];
        feed(backward, law, (Batch { blocks, events: vec![located], ..Batch::default() }, cursor)).await?;
    }
    for facts in batch.epochs.into_iter().rev() {
        feed(backward, law, (Batch { epochs: vec![facts], ..Batch::default() }, cursor)).await?;
    }
    let rest = Batch { claims: batch.claims, reports: batch.reports, ..Batch::default() };
    feed(backward, law, (rest, cursor)).await?;
    same(law, &dump(backward, law).await?, &dump(forward, law).await?)
}

async fn a_refused_batch_leaves_nothing(store: &dyn Store) -> Result<(), Broken> {
    let law = "a refused batch leaves nothing behind";
    feed(store, law, sample::batch(8, 2, 0)).await?;
    let (before, cursor) = (dump(store, law).await?, store.cursor().await);
    let good = || sample::batch(16, 4, 0);
    let mut refused = Vec::new();
    let (mut batch, next) = good();
    if let Some(facts) = batch.epochs.first_mut() {
        facts.bundle = sample::block(0, 9).hash;
    }
    refused.push(("another bundle of a known epoch", batch, next));
    let (mut batch, next) = good();
    if let Some(claim) = batch.claims.first_mut() {
        claim.amount = Amount(1);
    }
    refused.push(("another amount of a known claim", batch, next));
    let (mut batch, next) = good();
    if let Some(located) = batch.events.first_mut() {
        located.event = sample::event(3);
    }
    refused.push(("another event at a known place", batch, next));
    let (mut batch, next) = good();
    if let Some(facts) = batch.epochs.last_mut() {
        facts.epoch = Epoch(u64::MAX);
    }
    refused.push(("an epoch beyond 2^63", batch, next));
    let (mut batch, next) = good();
    if let Some(facts) = batch.epochs.last_mut() {
        facts.devices.extend(facts.devices.clone());
    }
    refused.push(("a device twice in an epoch", batch, next));
    let (batch, mut next) = good();
    next.journal = u64::MAX;
    refused.push(("a journal position beyond 2^63", batch, next));
    let (batch, mut next) = good();
    next.block = Some(sample::block(16, 1));
    refused.push(("a cursor with another hash than its events", batch, next));
    for (what, batch, next) in refused {
        let stored = store.apply(batch, next).await.is_ok();
        holds("facts that contradict what is stored are refused", !stored, what)?;
        same(law, &dump(store, law).await?, &before)?;
        same(law, &format!("{:?}", store.cursor().await), &format!("{cursor:?}"))?;
    }
    Ok(())
}

async fn the_cursor_never_goes_back(store: &dyn Store) -> Result<(), Broken> {
    let law = "a smaller cursor leaves a larger one where it is, each part for itself";
    let cursor =
        |number, journal| Cursor { block: Some(sample::block(number, 0)), final_block: None, journal };
    for (next, expected) in [
        (cursor(5, 5), cursor(5, 5)),
        (cursor(3, 9), cursor(5, 9)),
        (cursor(6, 0), cursor(6, 9)),
        (Cursor::default(), cursor(6, 9)),
    ] {
        feed(store, law, (Batch::default(), next)).await?;
        same(law, &store.cursor().await.map_err(|error| broken(law, error))?, &expected)?;
    }
    Ok(())
}

/// Hours make days, and days everything.
async fn sums_follow_from_the_rows(store: &dyn Store) -> Result<(), Broken> {
    let law = "hours, days and epochs add up";
    feed(store, law, sample::batch(400, 5, 0)).await?;
    let ok = |error| broken(law, error);
    let (mut hours, mut days) = (Tally::default(), Tally::default());
    for row in store.rollups(Period::Hour, everything()).await.map_err(ok)?.items {
        hours = hours.plus(&row.tally).map_err(ok)?;
    }
    let by_day = store.rollups(Period::Day, everything()).await.map_err(ok)?.items;
    holds(law, by_day.len() > 1, by_day.len())?;
    for row in by_day {
        days = days.plus(&row.tally).map_err(ok)?;
    }
    same(law, &hours, &days)?;
    let (mut earned, mut paid) = (Total::default(), Total::default());
    for row in store.epochs(everything()).await.map_err(ok)?.items {
        earned = earned.plus(row.paid).map_err(ok)?;
    }
    for row in store.customers(everything()).await.map_err(ok)?.items {
        paid = paid.plus(row.paid).map_err(ok)?;
    }
    same(law, &(hours.earned, hours.bought), &(earned, paid))
}

/// Everything a store says about the sample network, in both views, to compare two stores.
async fn dump(store: &dyn Store, law: &'static str) -> Result<Vec<Answer>, Broken> {
    let mut answers = dump_view(store, law, View::Latest).await?;
    answers.extend(dump_view(store, law, View::Final).await?);
    Ok(answers)
}

async fn dump_view(store: &dyn Store, law: &'static str, view: View) -> Result<Vec<Answer>, Broken> {
    let mut queries = vec![
        Query::Overview,
        Query::Rollups(Period::Hour, everything()),
        Query::Rollups(Period::Day, everything()),
        Query::Epochs(everything()),
        Query::Devices(DeviceFilter::default(), everything()),
        Query::Owners(everything()),
        Query::Customers(everything()),
        Query::Events(None, everything()),
        Query::Roots(everything()),
        Query::Refusals(None, everything()),
    ];
    for number in 0..12 {
        let (device, account): (DeviceId, Address) = (sample::device(number), sample::account(number));
        let of_owner = DeviceFilter { owner: Some(account), ..DeviceFilter::default() };
        queries.extend([
            Query::Epoch(Epoch(number)),
            Query::EpochDevices(Epoch(number), everything()),
            Query::Device(device),
            Query::Devices(of_owner, everything()),
            Query::Earnings(device, everything()),
            Query::EarnedRollups(Earner::Device(device), Period::Hour, everything()),
            Query::EarnedRollups(Earner::Owner(account), Period::Day, everything()),
            Query::Verdicts(device, everything()),
            Query::Reports(device, everything()),
            Query::Refusals(Some(device), everything()),
            Query::Owner(account),
            Query::Claims(account, everything()),
            Query::Customer(account),
            Query::CustomerEpochs(account, everything()),
        ]);
    }
    let mut answers = Vec::new();
    for query in queries {
        answers.push(store.read(view, query).await.map_err(|error| broken(law, error))?.1);
    }
    Ok(answers)
}

fn everything<K>() -> Seek<K> {
    Seek { after: None, limit: Limit::new(Limit::MAX).unwrap_or_default() }
}

async fn feed(store: &dyn Store, law: &'static str, fed: (Batch, Cursor)) -> Result<(), Broken> {
    store.apply(fed.0, fed.1).await.map_err(|error| broken(law, error))
}

fn same<T: PartialEq + Debug>(law: &'static str, found: &T, expected: &T) -> Result<(), Broken> {
    if found == expected {
        Ok(())
    } else {
        Err(Broken { law, found: format!("found {found:#?}, expected {expected:#?}") })
    }
}

fn holds(law: &'static str, condition: bool, found: impl Debug) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(Broken { law, found: format!("found {found:?}") }) }
}

fn broken(law: &'static str, found: impl Display) -> Broken {
    Broken { law, found: found.to_string() }
}
