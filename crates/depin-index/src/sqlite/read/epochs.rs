//! Closed epochs.

use depin_core::{Address, Amount, DeviceId, Digest, Epoch, Outcome, Text, Timestamp};
use rusqlite::params;

use super::{super::value::Sql, Reader, before, more, units};
use crate::{EpochDeviceRow, EpochRow, Page, RefusalRow, Seek, StoreError, Total, VerdictCounts, View};

impl Reader<'_> {
    pub(super) fn epochs(&self, seek: &Seek<Epoch>) -> Result<Page<EpochRow>, StoreError> {
        let columns =
            "SELECT epoch, bundle, root, pool, paid, dust, burned, minted, revenue, spent, unit, quantity,
                              opened, closed, accept, reject, inconclusive, decided FROM epochs";
        let decided = if self.view == View::Final { "decided = 1 AND" } else { "" };
        let sql = format!("{columns} WHERE {decided} epoch <= ?1 ORDER BY epoch DESC LIMIT ?2");
        self.page(&sql, params![before(seek), more(seek.limit)], seek.limit, |row| {
            let epoch = row.get::<_, Sql<Epoch>>(0)?.0;
            let digest = |column| row.get::<_, Sql<Digest>>(column).map(|value| value.0);
            let amount = |column| row.get::<_, Sql<Amount>>(column).map(|value| value.0);
            let count = |column| row.get::<_, Sql<u64>>(column).map(|value| value.0);
            let on_chain = self.on_chain(epoch, self.bound)?;
            let decided = row.get(17)? && on_chain == self.on_chain(epoch, self.decided)?;
            Ok(EpochRow {
                epoch,
                bundle: digest(1)?,
                root: digest(2)?,
                status: on_chain.status(),
                root_on_chain: on_chain.root().map(|(root, _)| root),
                bundle_on_chain: on_chain.root().map(|(_, bundle)| bundle),
                pool: amount(3)?,
                paid: amount(4)?,
                dust: amount(5)?,
                burned: amount(6)?,
                minted: amount(7)?,
                revenue: amount(8)?,
                spent: row.get::<_, Sql<Total>>(9)?.0,
                units: units(row, 10)?,
                opened: Timestamp(count(12)?),
                closed: Timestamp(count(13)?),
                verdicts: VerdictCounts { accept: count(14)?, reject: count(15)?, inconclusive: count(16)? },
                proposed_block: on_chain.opened().map(|((block, _), _)| block),
                proposed_at: on_chain.opened().map(|(_, time)| time),
                challenges: on_chain.challenges,
                contested_at: on_chain.contested().map(|(_, time)| time),
                voids: on_chain.voids(),
                decided,
            })
        })
    }

    pub(super) fn epoch_devices(
        &self,
        epoch: Epoch,
        seek: &Seek<DeviceId>,
    ) -> Result<Page<EpochDeviceRow>, StoreError> {
        let sql = "SELECT device, owner, unit, quantity, earned, outcome FROM earnings
                   WHERE epoch = ?1 AND device > ?2
                     AND (SELECT decided FROM epochs WHERE epochs.epoch = ?1) >= ?3
                   ORDER BY device LIMIT ?4";
        // Nothing sorts before the empty blob.
        let after = seek.after.map(|device| device.0.as_bytes().to_vec()).unwrap_or_default();
        let epoch = i64::try_from(epoch.0).unwrap_or(-1);
        self.page(sql, params![epoch, after, self.least(), more(seek.limit)], seek.limit, |row| {
            Ok(EpochDeviceRow {
                did: row.get::<_, Sql<DeviceId>>(0)?.0,
                owner: row.get::<_, Sql<Address>>(1)?.0,
                units: units(row, 2)?,
                earned: row.get::<_, Sql<Amount>>(4)?.0,
                outcome: row.get::<_, Sql<Outcome>>(5)?.0,
            })
        })
    }

    pub(super) fn refusals(
        &self,
        seek: &Seek<(Epoch, Option<DeviceId>, Text)>,
    ) -> Result<Page<RefusalRow>, StoreError> {
        let sql =
            "SELECT epoch, device, reason, count FROM refusals WHERE (epoch, device, reason) < (?1, ?2, ?3)
                     AND (SELECT decided FROM epochs WHERE epochs.epoch = refusals.epoch) >= ?4
                   ORDER BY epoch DESC, device DESC, reason DESC LIMIT ?5";
        let (epoch, device, reason) = match &seek.after {
            Some((epoch, device, reason)) => (
                i64::try_from(epoch.0).unwrap_or(i64::MAX),
                device.map(|device| device.0.as_bytes().to_vec()).unwrap_or_default(),
                reason.as_str(),
            ),
            // No typed key begins with 0xff.
            None => (i64::MAX, vec![0xff], ""),
        };
        let params = params![epoch, device, reason, self.least(), more(seek.limit)];
        self.page(sql, params, seek.limit, refusal)
    }

    pub(super) fn refusals_of(
        &self,
        device: DeviceId,
        seek: &Seek<(Epoch, Option<DeviceId>, Text)>,
    ) -> Result<Page<RefusalRow>, StoreError> {
        let sql = "SELECT epoch, device, reason, count FROM refusals
                   WHERE device = ?1 AND (epoch, reason) < (?2, ?3)
                     AND (SELECT decided FROM epochs WHERE epochs.epoch = refusals.epoch) >= ?4
                   ORDER BY epoch DESC, reason DESC LIMIT ?5";
        let (epoch, reason) = match &seek.after {
            // Within an epoch the list of all refusals goes on with smaller devices; of this one there is all or nothing.
            Some((epoch, after, _)) if *after > Some(device) => (below_next(*epoch), ""),
            Some((epoch, after, _)) if *after < Some(device) => {
                (i64::try_from(epoch.0).unwrap_or(i64::MAX), "")
            }
            Some((epoch, _, reason)) => (i64::try_from(epoch.0).unwrap_or(i64::MAX), reason.as_str()),
            None => (i64::MAX, ""),
        };
        let params = params![Sql(device), epoch, reason, self.least(), more(seek.limit)];
        self.page(sql, params, seek.limit, refusal)
    }
}

/// The epoch after `epoch`, as a bound.
fn below_next(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).map_or(i64::MAX, |epoch| epoch.saturating_add(1))
}

fn refusal(row: &rusqlite::Row<'_>) -> Result<RefusalRow, StoreError> {
    let signed = !row.get_ref(1)?.as_blob().unwrap_or_default().is_empty();
    let device = if signed { Some(row.get::<_, Sql<DeviceId>>(1)?.0) } else { None };
    let (epoch, reason) = (row.get::<_, Sql<Epoch>>(0)?.0, row.get::<_, Sql<Text>>(2)?.0);
    Ok(RefusalRow::new(epoch, device, reason, row.get::<_, Sql<u64>>(3)?.0))
}
