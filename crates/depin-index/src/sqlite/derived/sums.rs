//! Sums over time.

use rusqlite::{OptionalExtension, ToSql, Transaction, params_from_iter};

use super::{super::value::Sql, Derived};
use crate::{EarnedTally, StoreError, Tally, Total, View, tally::Span};

/// `Derived` for sums over a time, whose table is called `$table` and keyed by `$columns`.
macro_rules! sums {
    ($tally:ty, $table:literal, $key:ty, $columns:literal, |$from:ident| $values:expr) => {
        impl Derived for $tally {
            type Key = $key;

            fn load(transaction: &Transaction<'_>, $from: &Self::Key) -> Result<Option<Self>, StoreError> {
                let columns = Self::COLUMNS.join(", ");
                let sql = format!("SELECT {columns} FROM {} WHERE {}", $table, $columns);
                let mut statement = transaction.prepare_cached(&sql)?;
                let key = $values;
                Ok(statement
                    .query_row(params_from_iter(key.iter()), |row| {
                        let at = std::cell::Cell::new(0_usize);
                        let next = || at.replace(at.get().saturating_add(1));
                        Self::from_values(
                            || row.get::<_, Sql<u64>>(next()).map(|count| count.0),
                            || row.get::<_, Sql<Total>>(next()).map(|total| total.0),
                        )
                    })
                    .optional()?)
            }

            fn save(&self, transaction: &Transaction<'_>, $from: &Self::Key) -> Result<(), StoreError> {
                let mut key = $values;
                let (counts, totals) = self.values();
                let count = key.len().saturating_add(Self::COLUMNS.len());
                let places: Vec<String> = (1..=count).map(|place| format!("?{place}")).collect();
                let sql = format!("INSERT OR REPLACE INTO {} VALUES ({})", $table, places.join(", "));
                key.extend(counts.into_iter().map(|count| boxed(Sql(count))));
                key.extend(totals.into_iter().map(|total| boxed(Sql(total))));
                transaction.prepare_cached(&sql)?.execute(params_from_iter(key.iter()))?;
                Ok(())
            }

            fn delete(transaction: &Transaction<'_>, $from: &Self::Key) -> Result<(), StoreError> {
                let key = $values;
                let sql = format!("DELETE FROM {} WHERE {}", $table, $columns);
                transaction.prepare_cached(&sql)?.execute(params_from_iter(key.iter()))?;
                Ok(())
            }
        }
    };
}

/// A list of values to bind.
type Values = Vec<Box<dyn ToSql>>;

fn boxed(value: impl ToSql + 'static) -> Box<dyn ToSql> {
    Box::new(value)
}

sums!(Tally, "rollups", (View, Span), "view = ?1 AND span = ?2 AND start = ?3", |key| {
    let (code, start) = key.1.code();
    let values: Values = vec![Box::new(key.0.code()), Box::new(code), Box::new(Sql(start))];
    values
});
sums!(
    EarnedTally,
    "earned_rollups",
    (View, Vec<u8>, Span),
    "view = ?1 AND who = ?2 AND span = ?3 AND start = ?4",
    |key| {
        let (code, start) = key.2.code();
        let values: Values =
            vec![Box::new(key.0.code()), Box::new(key.1.clone()), Box::new(code), Box::new(Sql(start))];
        values
    }
);
