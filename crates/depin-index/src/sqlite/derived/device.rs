//! Devices.

use depin_core::{Address, DeviceId, Digest, Epoch, Outcome, Timestamp};
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};

use super::{super::value::Sql, Derived, pair};
use crate::{DeviceStatus, StoreError, Total, View, device::Stands};

/// A device. Its key is what names it on the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sqlite) struct Device {
    pub(in crate::sqlite) device: Option<DeviceId>,
    pub(in crate::sqlite) deactivated: Option<Timestamp>,
    pub(in crate::sqlite) activated: Option<Timestamp>,
    pub(in crate::sqlite) stands: Stands,
    pub(in crate::sqlite) registered_owner: Option<Address>,
    pub(in crate::sqlite) epoch_owner: Option<Address>,
    pub(in crate::sqlite) registered: Option<(u64, Timestamp)>,
    pub(in crate::sqlite) earned: Total,
    pub(in crate::sqlite) refused: u64,
    pub(in crate::sqlite) first: Option<(Epoch, Timestamp)>,
    pub(in crate::sqlite) last: Option<(Epoch, Outcome)>,
    pub(in crate::sqlite) reports: Option<(u64, Timestamp)>,
}

impl Device {
    pub(in crate::sqlite) fn owner(&self) -> Option<Address> {
        self.registered_owner.or(self.epoch_owner)
    }

    pub(in crate::sqlite) fn status(&self) -> DeviceStatus {
        self.stands.status(self.registered_owner.is_some())
    }
}

/// The outcome of the last epoch as a number; -1 stands for none, so that an index finds it.
pub(in crate::sqlite) fn outcome(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Outcome>> {
    if row.get::<_, i64>(at)? < 0 { Ok(None) } else { Ok(Some(row.get::<_, Sql<Outcome>>(at)?.0)) }
}

impl Derived for Device {
    type Key = (View, Digest);

    fn is_nothing(&self) -> bool {
        // What the registry says of a key that nobody here knows has no row.
        self.device.is_none()
            || (self.registered.is_none()
                && self.last.is_none()
                && self.refused == 0
                && self.reports.is_none())
    }

    fn load(transaction: &Transaction<'_>, (view, on_chain): &Self::Key) -> Result<Option<Self>, StoreError> {
        let sql = "SELECT device, status, registered_owner, epoch_owner, registered_at, registered_time, activated,
                          deactivated, earned, refused, first_epoch, seen, last_epoch, outcome, reports, last_report
                   FROM devices WHERE view = ?1 AND on_chain = ?2";
        let read = |row: &Row<'_>| {
            let time = |at| row.get::<_, Option<Sql<Timestamp>>>(at).map(|time| time.map(|time| time.0));
            let address = |at| row.get::<_, Option<Sql<Address>>>(at).map(|owner| owner.map(|owner| owner.0));
            let last = row.get::<_, Option<Sql<Epoch>>>(12)?.map(|epoch| epoch.0);
            Ok(Self {
                device: Some(row.get::<_, Sql<DeviceId>>(0)?.0),
                stands: Stands::of(row.get::<_, Sql<DeviceStatus>>(1)?.0),
                registered_owner: address(2)?,
                epoch_owner: address(3)?,
                registered: pair(row, 4)?,
                activated: time(6)?,
                deactivated: time(7)?,
                earned: row.get::<_, Sql<Total>>(8)?.0,
                refused: row.get::<_, Sql<u64>>(9)?.0,
                first: pair(row, 10)?,
                last: last.zip(outcome(row, 13)?),
                reports: pair(row, 14)?.filter(|(count, _): &(u64, Timestamp)| *count > 0),
            })
        };
        let mut statement = transaction.prepare_cached(sql)?;
        Ok(statement.query_row(params![view.code(), Sql(*on_chain)], read).optional()?)
    }

    fn save(&self, transaction: &Transaction<'_>, (view, on_chain): &Self::Key) -> Result<(), StoreError> {
        let Some(device) = self.device else { return Ok(()) };
        let outcome = self.last.map(|(_, outcome)| Sql(outcome));
        let outcome: &dyn ToSql = outcome.as_ref().map_or(&-1_i64, |outcome| outcome);
        let time = |time: Option<Timestamp>| time.map(Sql);
        transaction
            .prepare_cached(
                "INSERT INTO devices (view, on_chain, device, did, status, outcome, owner, registered_owner,
                     epoch_owner, registered_at, registered_time, activated, deactivated, earned, refused,
                     first_epoch, seen, last_epoch, reports, last_report)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
                 ON CONFLICT (view, on_chain) DO UPDATE SET
                     status = ?5, outcome = ?6, owner = ?7, registered_owner = ?8, epoch_owner = ?9,
                     registered_at = ?10, registered_time = ?11, activated = ?12, deactivated = ?13, earned = ?14,
                     refused = ?15, first_epoch = ?16, seen = ?17, last_epoch = ?18, reports = ?19, last_report = ?20",
            )?
            .execute(params![
                view.code(),
                Sql(*on_chain),
                Sql(device),
                device.to_string(),
                Sql(self.status()),
                outcome,
                self.owner().map(Sql),
                self.registered_owner.map(Sql),
                self.epoch_owner.map(Sql),
                self.registered.map(|(block, _)| Sql(block)),
                time(self.registered.map(|(_, time)| time)),
                time(self.activated),
                time(self.deactivated),
                Sql(self.earned),
                Sql(self.refused),
                self.first.map(|(epoch, _)| Sql(epoch)),
                time(self.first.map(|(_, seen)| seen)),
                self.last.map(|(epoch, _)| Sql(epoch)),
                Sql(self.reports.map_or(0, |(count, _)| count)),
                time(self.reports.map(|(_, last)| last)),
            ])?;
        Ok(())
    }

    fn delete(transaction: &Transaction<'_>, (view, on_chain): &Self::Key) -> Result<(), StoreError> {
        transaction
            .prepare_cached("DELETE FROM devices WHERE view = ?1 AND on_chain = ?2")?
            .execute(params![view.code(), Sql(*on_chain)])?;
        Ok(())
    }
}
