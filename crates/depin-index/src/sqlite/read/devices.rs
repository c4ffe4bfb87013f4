//! Devices, and what each of them did.

use depin_core::{Address, Amount, DeviceId, Digest, Epoch, Outcome, Timestamp, Verdict, cbor};
use rusqlite::{OptionalExtension, Row, ToSql, params};

use super::{
    super::{derived::outcome, value::Sql},
    Reader, before, more, units,
};
use crate::{
    DeviceFilter, DeviceRow, DeviceStatus, EarningRow, Line, Page, ReportRow, Seek, StoreError, Total,
    VerdictRow, View,
};

const DEVICE: &str = "device, on_chain, status, outcome, owner, registered_at, registered_time, earned, last_epoch, reports, last_report, refused";

/// Every outcome of a last epoch, as it is stored; -1 before the first.
const OUTCOMES: [i64; 4] = [-1, 0, 1, 2];

fn device(row: &Row<'_>) -> Result<DeviceRow, StoreError> {
    let time = |at| row.get::<_, Option<Sql<Timestamp>>>(at).map(|time| time.map(|time| time.0));
    Ok(DeviceRow {
        did: row.get::<_, Sql<DeviceId>>(0)?.0,
        on_chain: row.get::<_, Sql<Digest>>(1)?.0,
        status: row.get::<_, Sql<DeviceStatus>>(2)?.0,
        last_outcome: outcome(row, 3)?,
        owner: row.get::<_, Option<Sql<Address>>>(4)?.map(|value| value.0),
        registered_at: row.get::<_, Option<Sql<u64>>>(5)?.map(|value| value.0),
        registered_time: time(6)?,
        earned: row.get::<_, Sql<Total>>(7)?.0,
        earned_final: Total::default(),
        last_epoch: row.get::<_, Option<Sql<Epoch>>>(8)?.map(|value| value.0),
        reports: row.get::<_, Sql<u64>>(9)?.0,
        last_report: time(10)?,
        refused: row.get::<_, Sql<u64>>(11)?.0,
        decided: false,
    })
}

impl Reader<'_> {
    pub(super) fn device(&self, wanted: DeviceId) -> Result<Option<DeviceRow>, StoreError> {
        let found = self.device_in(self.view, wanted.on_chain())?;
        found.map(|row| self.compared(row)).transpose()
    }

    fn device_in(&self, view: View, on_chain: Digest) -> Result<Option<DeviceRow>, StoreError> {
        let sql = format!("SELECT {DEVICE} FROM devices WHERE view = ?1 AND on_chain = ?2");
        let mut statement = self.snapshot.prepare_cached(&sql)?;
        let mut rows = statement.query(params![view.code(), Sql(on_chain)])?;
        rows.next()?.map(device).transpose()
    }

    /// The row, compared with the one at the final block.
    fn compared(&self, row: DeviceRow) -> Result<DeviceRow, StoreError> {
        let found = self.device_in(View::Final, row.on_chain)?;
        let earned_final = found.as_ref().map(|found| found.earned).unwrap_or_default();
        Ok(DeviceRow { decided: found.as_ref() == Some(&row), earned_final, ..row })
    }

    pub(super) fn devices(
        &self,
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
        let range = (&from, &to, more(seek.limit));
        let mut rows = Vec::new();
        if filter.status.is_none() && filter.outcome.is_none() && filter.owner.is_none() {
            rows = self.device_range("", &[], range)?;
        } else {
            // One range of an index for each state asked for, each as long as a page: together they have the first rows of all.
            for status in states(filter.status) {
                for outcome in outcomes(filter.outcome) {
                    let owner = filter.owner.map(Sql);
                    let state: [&dyn ToSql; 2] = [&Sql(status), &outcome];
                    rows.extend(match &owner {
                        Some(owner) => {
                            let found = "status = ?5 AND outcome = ?6 AND owner = ?7 AND";
                            let [status, outcome] = state;
                            self.device_range(found, &[status, outcome, owner], range)?
                        }
                        None => self.device_range("status = ?5 AND outcome = ?6 AND", &state, range)?,
                    });
                }
            }
            rows.sort_by_cached_key(|row| row.did.to_string());
        }
        let page = Page::cut(rows, seek.limit);
        let items = page.items.into_iter().map(|row| self.compared(row)).collect::<Result<_, _>>()?;
        Ok(Page { items, more: page.more })
    }

    fn device_range(
        &self,
        found: &str,
        state: &[&dyn ToSql],
        (from, to, rows): (&String, &String, i64),
    ) -> Result<Vec<DeviceRow>, StoreError> {
        let sql = format!(
            "SELECT {DEVICE} FROM devices WHERE view = ?1 AND {found} did >= ?2 AND did < ?3 ORDER BY did LIMIT ?4"
        );
        let view = self.view.code();
        let mut values: Vec<&dyn ToSql> = vec![&view, from, to, &rows];
        values.extend(state);
        self.rows(&sql, values.as_slice(), device)
    }

    pub(super) fn earnings(
        &self,
        device: DeviceId,
        seek: &Seek<Epoch>,
    ) -> Result<Page<EarningRow>, StoreError> {
        let sql =
            "SELECT earnings.epoch, owner, earnings.unit, earnings.quantity, earned, lines, closed, decided
                   FROM earnings CROSS JOIN epochs ON epochs.epoch = earnings.epoch
                   WHERE device = ?1 AND earnings.epoch <= ?2 AND decided >= ?3
                   ORDER BY earnings.epoch DESC LIMIT ?4";
        let params = params![Sql(device), self.newest(seek)?, self.least(), more(seek.limit)];
        self.page(sql, params, seek.limit, |row| {
            let epoch = row.get::<_, Sql<Epoch>>(0)?.0;
            let corrupt = |detail| StoreError::Corrupt { what: "earnings", detail };
            let bytes = row.get_ref(5)?.as_blob().map_err(|error| corrupt(error.to_string()))?;
            let lines: Vec<Line> = cbor::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
            let status = self.on_chain(epoch, self.bound)?.status();
            let decided = row.get(7)? && status == self.on_chain(epoch, self.decided)?.status();
            Ok(EarningRow {
                epoch,
                owner: row.get::<_, Sql<Address>>(1)?.0,
                units: units(row, 2)?,
                earned: row.get::<_, Sql<Amount>>(4)?.0,
                lines,
                closed: row.get::<_, Sql<Timestamp>>(6)?.0,
                status,
                decided,
            })
        })
    }

    pub(super) fn verdicts(
        &self,
        device: DeviceId,
        seek: &Seek<Epoch>,
    ) -> Result<Page<VerdictRow>, StoreError> {
        let sql = "SELECT body FROM verdicts WHERE device = ?1 AND epoch <= ?2
                     AND (SELECT decided FROM epochs WHERE epochs.epoch = verdicts.epoch) >= ?3
                   ORDER BY epoch DESC LIMIT ?4";
        let params = params![Sql(device), self.newest(seek)?, self.least(), more(seek.limit)];
        self.page(sql, params, seek.limit, |row| {
            let corrupt = |detail| StoreError::Corrupt { what: "verdict", detail };
            let bytes = row.get_ref(0)?.as_blob().map_err(|error| corrupt(error.to_string()))?;
            let verdict: Verdict = cbor::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
            Ok(VerdictRow::from(&verdict))
        })
    }

    pub(super) fn reports(
        &self,
        device: DeviceId,
        seek: &Seek<Epoch>,
    ) -> Result<Page<ReportRow>, StoreError> {
        let sql = "SELECT epoch, counted, refused, first, last, missing FROM reports
                   WHERE device = ?1 AND epoch <= ?2
                     AND (SELECT decided FROM epochs WHERE epochs.epoch = reports.epoch) >= ?3
                   ORDER BY epoch DESC LIMIT ?4";
        let params = params![Sql(device), self.newest(seek)?, self.least(), more(seek.limit)];
        self.page(sql, params, seek.limit, |row| {
            let count = |at| row.get::<_, Sql<u64>>(at).map(|count| count.0);
            let time = |at| row.get::<_, Option<Sql<Timestamp>>>(at).map(|time| time.map(|time| time.0));
            Ok(ReportRow {
                epoch: row.get::<_, Sql<Epoch>>(0)?.0,
                counted: count(1)?,
                refused: count(2)?,
                first: time(3)?,
                last: time(4)?,
                missing: count(5)?,
            })
        })
    }

    /// Where a list over epochs begins: what is not decided yet is not looked through again and again.
    pub(super) fn newest(&self, seek: &Seek<Epoch>) -> Result<i64, StoreError> {
        if self.view == View::Latest {
            return Ok(before(seek));
        }
        let sql = "SELECT epoch FROM epochs WHERE decided = 1 AND epoch <= ?1 ORDER BY epoch DESC LIMIT 1";
        let mut statement = self.snapshot.prepare_cached(sql)?;
        Ok(statement.query_row([before(seek)], |row| row.get(0)).optional()?.unwrap_or(-1))
    }
}

fn states(wanted: Option<DeviceStatus>) -> Vec<DeviceStatus> {
    wanted.map_or_else(|| DeviceStatus::ALL.to_vec(), |status| vec![status])
}

fn outcomes(wanted: Option<Outcome>) -> Vec<i64> {
    match wanted {
        // Its number in CBOR, as it is stored.
        Some(outcome) => cbor::to_vec(&outcome).first().map(|byte| i64::from(*byte)).into_iter().collect(),
        None => OUTCOMES.to_vec(),
    }
}
