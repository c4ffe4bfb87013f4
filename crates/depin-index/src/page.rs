//! Lists, in pages. A page is found by the key of the row before it, never by counting rows.

use serde::{Deserialize, Serialize};

/// A row and its place in its list.
pub trait Row {
    /// What the list is sorted by; unique.
    type Key;

    /// The key of this row.
    fn key(&self) -> Self::Key;
}

/// `Row` for rows whose key is made of some of their fields.
macro_rules! row {
    ($row:ty, $key:ty, $($field:ident),+) => {
        impl $crate::Row for $row {
            type Key = $key;

            fn key(&self) -> $key {
                ($(self.$field.clone()),+)
            }
        }
    };
}
pub(crate) use row;

/// Where in a list to begin, and how many rows to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seek<K> {
    /// Rows after this one; from the beginning without.
    pub after: Option<K>,
    /// At most so many.
    pub limit: Limit,
}

impl<K> Default for Seek<K> {
    fn default() -> Self {
        Self { after: None, limit: Limit::default() }
    }
}

/// Some rows of a list, and whether more follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// Whether rows follow the last one.
    pub more: bool,
}

impl<T: Row> Page<T> {
    /// A page of at most `limit` of `rows`, of which one more than that is enough.
    pub fn cut(mut rows: Vec<T>, limit: Limit) -> Self {
        let more = rows.len() > limit.rows();
        rows.truncate(limit.rows());
        Self { items: rows, more }
    }

    /// Where the next page begins: after this key.
    pub fn next(&self) -> Option<T::Key> {
        if self.more { self.items.last().map(Row::key) } else { None }
    }
}

/// How many rows a page may have: 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// The most.
    pub const MAX: u16 = 1_000;

    /// At most `rows`; nothing outside 1 to 1,000.
    pub const fn new(rows: u16) -> Option<Self> {
        if rows >= 1 && rows <= Self::MAX { Some(Self(rows)) } else { None }
    }

    /// As many as there may be.
    #[cfg(feature = "http")]
    pub(crate) const fn most() -> Self {
        Self(Self::MAX)
    }

    /// How many.
    pub fn rows(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}
