//! Sums over time.

use depin_core::Timestamp;
use rusqlite::{Row, params};

use super::{super::value::Sql, Reader, below, more};
use crate::{
    EarnedRollupRow, EarnedTally, Earner, Overview, Page, Period, RollupRow, Seek, StoreError, Tally, Total,
    View,
    tally::{Span, last_day},
};

/// A row of sums whose first column is `from`.
macro_rules! read {
    ($tally:ty, $row:expr, $from:expr) => {{
        let (row, at) = ($row, std::cell::Cell::<usize>::new($from));
        let next = || at.replace(at.get().saturating_add(1_usize));
        <$tally>::from_values(
            || row.get::<_, Sql<u64>>(next()).map(|count| count.0),
            || row.get::<_, Sql<Total>>(next()).map(|total| total.0),
        )
    }};
}

impl Reader<'_> {
    pub(super) fn overview(&self) -> Result<Overview, StoreError> {
        let ever = self.tally(self.view, Span::All)?;
        let newest = self.newest_hour()?.max(self.head_time());
        let sql = format!(
            "SELECT {} FROM rollups WHERE view = ?1 AND span = 0 AND start > ?2",
            Tally::COLUMNS.join(", ")
        );
        let mut day = Tally::default();
        let params = params![self.view.code(), Sql(last_day(newest))];
        for hour in self.rows(&sql, params, |row| Ok(read!(Tally, row, 0)?))? {
            day = day.plus(&hour)?;
        }
        Ok(Overview::new(&ever, &day, &self.tally(View::Final, Span::All)?))
    }

    fn head_time(&self) -> Timestamp {
        self.head.time.unwrap_or_default()
    }

    fn newest_hour(&self) -> Result<Timestamp, StoreError> {
        let sql = "SELECT start FROM rollups WHERE view = ?1 AND span = 0 ORDER BY start DESC LIMIT 1";
        let found = self.rows(sql, [self.view.code()], |row| Ok(row.get::<_, Sql<Timestamp>>(0)?.0))?;
        Ok(found.first().copied().unwrap_or_default())
    }

    fn tally(&self, view: View, span: Span) -> Result<Tally, StoreError> {
        let (code, start) = span.code();
        let sql = format!(
            "SELECT {} FROM rollups WHERE view = ?1 AND span = ?2 AND start = ?3",
            Tally::COLUMNS.join(", ")
        );
        let params = params![view.code(), code, Sql(start)];
        let found = self.rows(&sql, params, |row| Ok(read!(Tally, row, 0)?))?;
        Ok(found.first().copied().unwrap_or_default())
    }

    pub(super) fn rollups(
        &self,
        period: Period,
        seek: &Seek<Timestamp>,
    ) -> Result<Page<RollupRow>, StoreError> {
        let sql = format!(
            "SELECT start, {} FROM rollups WHERE view = ?1 AND span = ?2 AND start <= ?3
             ORDER BY start DESC LIMIT ?4",
            Tally::COLUMNS.join(", ")
        );
        let (code, _) = Span::Of(period, Timestamp(0)).code();
        let params = params![self.view.code(), code, from(seek), more(seek.limit)];
        self.page(&sql, params, seek.limit, |row| {
            let (start, tally) = (start(row)?, read!(Tally, row, 1)?);
            let decided = self.tally(View::Final, Span::Of(period, start))? == tally;
            Ok(RollupRow { start, tally, decided })
        })
    }

    pub(super) fn earned_rollups(
        &self,
        who: Earner,
        period: Period,
        seek: &Seek<Timestamp>,
    ) -> Result<Page<EarnedRollupRow>, StoreError> {
        let who = match who {
            Earner::Device(device) => device.0.as_bytes().to_vec(),
            Earner::Owner(owner) => owner.to_vec(),
        };
        let columns = EarnedTally::COLUMNS.join(", ");
        let sql = format!(
            "SELECT start, {columns} FROM earned_rollups WHERE view = ?1 AND who = ?2 AND span = ?3 AND start <= ?4
             ORDER BY start DESC LIMIT ?5"
        );
        let final_sql = format!(
            "SELECT {columns} FROM earned_rollups WHERE view = ?1 AND who = ?2 AND span = ?3 AND start = ?4"
        );
        let (code, _) = Span::Of(period, Timestamp(0)).code();
        let params = params![self.view.code(), who, code, from(seek), more(seek.limit)];
        self.page(&sql, params, seek.limit, |row| {
            let (start, tally) = (start(row)?, read!(EarnedTally, row, 1)?);
            let params = params![View::Final.code(), who, code, Sql(start)];
            let found = self.rows(&final_sql, params, |row| Ok(read!(EarnedTally, row, 0)?))?;
            let decided = found.first().copied().unwrap_or_default() == tally;
            Ok(EarnedRollupRow { start, tally, decided })
        })
    }
}

fn from(seek: &Seek<Timestamp>) -> i64 {
    below(seek.after.map(|start| start.0))
}

fn start(row: &Row<'_>) -> rusqlite::Result<Timestamp> {
    Ok(row.get::<_, Sql<Timestamp>>(0)?.0)
}
