//! Laws about lists: pages and filters.

use std::fmt::Debug;

use depin_core::Epoch;

use super::{Broken, broken, everything, feed, holds, same, sample};
use crate::{
    DeviceFilter, DeviceStatus, Earner, EventKind, Limit, Page, Period, Row, Seek, Store, StoreError,
};

pub(super) async fn pages_make_the_whole(store: &dyn Store) -> Result<(), Broken> {
    let law = "pages of any size make up the list";
    feed(store, law, sample::batch(32, 5, 0)).await?;
    let (device, account) = (sample::device(1), sample::account(1));
    for rows in [1, 2, 3, 7] {
        whole(law, rows, |page| store.epochs(page)).await?;
        whole(law, rows, |page| store.devices(DeviceFilter::default(), page)).await?;
        whole(law, rows, |page| store.earnings(device, page)).await?;
        whole(law, rows, |page| store.verdicts(device, page)).await?;
        whole(law, rows, |page| store.claims(account, page)).await?;
        whole(law, rows, |page| store.customers(page)).await?;
        whole(law, rows, |page| store.events(None, page)).await?;
        whole(law, rows, |page| store.events(Some(EventKind::CreditsPaid), page)).await?;
        whole(law, rows, |page| store.refusals(None, page)).await?;
        whole(law, rows, |page| store.refusals(Some(sample::device(0)), page)).await?;
        whole(law, rows, |page| store.owners(page)).await?;
        whole(law, rows, |page| store.reports(device, page)).await?;
        whole(law, rows, |page| store.roots(page)).await?;
        whole(law, rows, |page| store.epoch_devices(Epoch(1), page)).await?;
        whole(law, rows, |page| store.customer_epochs(account, page)).await?;
        whole(law, rows, |page| store.rollups(Period::Hour, page)).await?;
        whole(law, rows, |page| store.rollups(Period::Day, page)).await?;
        whole(law, rows, |page| store.earned_rollups(Earner::Device(device), Period::Hour, page)).await?;
        let filter = DeviceFilter { owner: Some(account), ..DeviceFilter::default() };
        whole(law, rows, |page| store.devices(filter.clone(), page)).await?;
    }
    Ok(())
}

/// Reads a list at once and page by page.
async fn whole<R>(
    law: &'static str,
    rows: u16,
    read: impl AsyncFn(Seek<R::Key>) -> Result<Page<R>, StoreError>,
) -> Result<(), Broken>
where
    R: Row + PartialEq + Debug,
{
    let all = read(everything()).await.map_err(|error| broken(law, error))?.items;
    let limit = Limit::new(rows).unwrap_or_default();
    let (mut paged, mut after) = (Vec::new(), None);
    // One request more than there can be pages.
    for _ in 0..=all.len() {
        let page = read(Seek { after, limit }).await.map_err(|error| broken(law, error))?;
        holds(law, page.items.len() <= limit.rows(), page.items.len())?;
        after = page.next();
        paged.extend(page.items);
        if after.is_none() {
            break;
        }
    }
    same(law, &paged, &all)
}

pub(super) async fn rows_added_meanwhile_move_nothing(store: &dyn Store) -> Result<(), Broken> {
    let law = "rows that were there when the first page was read come exactly once";
    feed(store, law, sample::batch(8, 2, 0)).await?;
    let before = store.events(None, everything()).await.map_err(|error| broken(law, error))?.items;
    let limit = Limit::new(3).unwrap_or_default();
    let (mut seen, mut after) = (Vec::new(), None);
    for blocks in 9..32 {
        let page = store.events(None, Seek { after, limit }).await.map_err(|error| broken(law, error))?;
        after = page.next();
        seen.extend(page.items);
        if after.is_none() {
            break;
        }
        feed(store, law, sample::batch(blocks, 2, 0)).await?;
    }
    same(law, &seen, &before)
}

pub(super) async fn filters_choose(store: &dyn Store) -> Result<(), Broken> {
    let law = "filters choose exactly the rows they name";
    feed(store, law, sample::batch(32, 5, 0)).await?;
    let ok = |error| broken(law, error);
    let all = store.devices(DeviceFilter::default(), everything()).await.map_err(ok)?.items;
    for status in DeviceStatus::ALL {
        let filter = DeviceFilter { status: Some(*status), ..DeviceFilter::default() };
        let found = store.devices(filter, everything()).await.map_err(ok)?.items;
        same(law, &found, &all.iter().filter(|row| row.status == *status).cloned().collect())?;
    }
    for row in &all {
        let did = row.did.to_string();
        for cut in [0, 5, 12, 20, did.len()] {
            let prefix = did.get(..cut).unwrap_or_default().to_owned();
            let expected =
                all.iter().filter(|row| row.did.to_string().starts_with(&prefix)).cloned().collect();
            let filter = DeviceFilter { prefix: Some(prefix), ..DeviceFilter::default() };
            same(law, &store.devices(filter, everything()).await.map_err(ok)?.items, &expected)?;
        }
    }
    let events = store.events(None, everything()).await.map_err(ok)?.items;
    for kind in EventKind::ALL {
        let found = store.events(Some(*kind), everything()).await.map_err(ok)?.items;
        let expected = events.iter().filter(|row| EventKind::of(&row.event).ok() == Some(*kind)).cloned();
        same(law, &found, &expected.collect())?;
    }
    Ok(())
}
