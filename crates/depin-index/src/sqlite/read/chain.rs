//! What the chain said, and how the index followed it.

use depin_core::{Digest, Epoch, Timestamp};
use rusqlite::{Row, params};

use super::{super::value::Sql, Reader, below, body, more};
use crate::{
    BlockRef, EventKind, EventRow, Limit, Page, ReorgRow, RootRow, Row as _, Seek, StoreError,
    standing::Standing,
};

/// The types of events of a dispute: few epochs have any. Their codes follow one another.
const DISPUTES: [EventKind; 6] = [
    EventKind::RootChallenged,
    EventKind::EpochContested,
    EventKind::RootSupported,
    EventKind::RootVoided,
    EventKind::RootUndecided,
    EventKind::RootRevived,
];

impl Reader<'_> {
    /// What the events up to the block `bound` say about the root of an epoch.
    pub(super) fn on_chain(&self, epoch: Epoch, bound: i64) -> Result<Standing, StoreError> {
        let mut standing = Standing::default();
        self.tell(&mut standing, EventKind::RootFinal, epoch, bound)?;
        self.tell(&mut standing, EventKind::RootProposed, epoch, bound)?;
        let mut disputed = self
            .snapshot
            .prepare_cached("SELECT 1 FROM events WHERE epoch = ?1 AND kind >= ?2 AND kind <= ?3 LIMIT 1")?;
        let [first, .., last] = DISPUTES;
        if disputed.exists(params![Sql(epoch), Sql(first), Sql(last)])? {
            for kind in DISPUTES {
                self.tell(&mut standing, kind, epoch, bound)?;
            }
            let mut challenges = self.snapshot.prepare_cached(
                "SELECT count(*) FROM events WHERE epoch = ?1 AND kind = ?2 AND block <= ?3",
            )?;
            let counted = params![Sql(epoch), Sql(EventKind::RootChallenged), bound];
            standing.challenges = challenges.query_row(counted, |row| Ok(row.get::<_, Sql<u64>>(0)?.0))?;
        }
        Ok(standing)
    }

    /// Tells `standing` the last two events of a kind up to the block `bound`.
    fn tell(
        &self,
        standing: &mut Standing,
        kind: EventKind,
        epoch: Epoch,
        bound: i64,
    ) -> Result<(), StoreError> {
        let mut statement = self.snapshot.prepare_cached(
            "SELECT events.block, log_index, time, body FROM events JOIN blocks ON number = events.block
             WHERE epoch = ?1 AND kind = ?2 AND events.block <= ?3
             ORDER BY events.block DESC, log_index DESC LIMIT 2",
        )?;
        let mut rows = statement.query(params![Sql(epoch), Sql(kind), bound])?;
        while let Some(row) = rows.next()? {
            let place = (row.get::<_, Sql<u64>>(0)?.0, row.get::<_, Sql<u64>>(1)?.0);
            standing.tell((place, row.get::<_, Sql<Timestamp>>(2)?.0), &body(row.get_ref(3)?)?);
        }
        Ok(())
    }

    pub(super) fn events(
        &self,
        kind: Option<EventKind>,
        seek: &Seek<(u64, u64)>,
    ) -> Result<Page<EventRow>, StoreError> {
        let number = |value| i64::try_from(value).unwrap_or(i64::MAX);
        let (block, log_index) = match seek.after {
            Some((block, log_index)) => (number(block), number(log_index).saturating_sub(1)),
            None => (i64::MAX, i64::MAX),
        };
        // Above the view there is nothing to begin with.
        let (block, log_index) = (block, log_index).min((self.bound, i64::MAX));
        let decided = self.decided;
        let read = |row: &Row<'_>| {
            let block = row.get::<_, Sql<u64>>(0)?.0;
            Ok(EventRow {
                block,
                log_index: row.get::<_, Sql<u64>>(1)?.0,
                block_hash: row.get::<_, Sql<Digest>>(2)?.0,
                time: row.get::<_, Sql<Timestamp>>(3)?.0,
                event: body(row.get_ref(4)?)?,
                decided: i64::try_from(block).is_ok_and(|block| block <= decided),
            })
        };
        let columns = "SELECT events.block, log_index, block_hash, time, body FROM events
                       CROSS JOIN blocks ON number = events.block";
        let range =
            "(events.block, log_index) <= (?1, ?2) ORDER BY events.block DESC, log_index DESC LIMIT ?3";
        match kind {
            None => {
                let sql = format!("{columns} WHERE {range}");
                self.page(&sql, params![block, log_index, more(seek.limit)], seek.limit, read)
            }
            Some(kind) => {
                let sql = format!("{columns} WHERE kind = ?4 AND {range}");
                self.page(&sql, params![block, log_index, more(seek.limit), Sql(kind)], seek.limit, read)
            }
        }
    }

    pub(super) fn roots(&self, seek: &Seek<(u64, u64)>) -> Result<Page<RootRow>, StoreError> {
        let mut rows = Vec::new();
        let mut hidden = false;
        for kind in EventKind::ROOTS {
            let page = self.events(Some(kind), seek)?;
            hidden |= page.more;
            rows.extend(page.items.into_iter().filter_map(RootRow::of));
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.key()));
        // Of each kind there are the newest; what lies beyond them is older than the page.
        let page = Page::cut(rows, seek.limit);
        Ok(Page { more: page.more || hidden, ..page })
    }

    pub(super) fn window(&self, limit: Limit) -> Result<Vec<BlockRef>, StoreError> {
        let sql = "SELECT number, hash FROM blocks WHERE number >= 0 ORDER BY number DESC LIMIT ?1";
        let most = i64::try_from(limit.rows()).unwrap_or_default();
        self.rows(sql, [most], |row| Ok(block(row, 0)?))
    }

    pub(super) fn reorgs(&self, seek: &Seek<u64>) -> Result<Page<ReorgRow>, StoreError> {
        let sql = "SELECT id, seen, old_number, old_hash, common_number, common_hash, events
                   FROM reorgs WHERE id <= ?1 ORDER BY id DESC LIMIT ?2";
        self.page(sql, params![below(seek.after), more(seek.limit)], seek.limit, |row| {
            let (old, common) = (block(row, 2)?, block(row, 4)?);
            Ok(ReorgRow {
                id: row.get::<_, Sql<u64>>(0)?.0,
                seen: row.get::<_, Sql<Timestamp>>(1)?.0,
                depth: old.number.saturating_sub(common.number),
                old,
                common,
                events: row.get::<_, Sql<u64>>(6)?.0,
            })
        })
    }
}

/// Number and hash, in two columns.
fn block(row: &Row<'_>, column: usize) -> rusqlite::Result<BlockRef> {
    let number = row.get::<_, Sql<u64>>(column)?.0;
    Ok(BlockRef { number, hash: row.get::<_, Sql<Digest>>(column.saturating_add(1))?.0 })
}
