//! As of when an answer is given.

use depin_core::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{BlockRef, Cursor};

/// As of when an answer is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// Everything that is in: the newest blocks may still be replaced, and roots challenged.
    #[default]
    Latest,
    /// What nothing can undo any more: events up to the final block, and epochs whose root became final by then.
    Final,
}

impl View {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Latest, Self::Final];

    /// What a database keeps for it.
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Latest => 0,
            Self::Final => 1,
        }
    }

    /// The highest block whose events belong to it; none when no block does.
    pub(crate) fn bound(self, cursor: &Cursor) -> Option<u64> {
        match self {
            Self::Latest => Some(u64::MAX),
            Self::Final => cursor.final_block,
        }
    }
}

/// The block an answer was read at, and how far the journal was in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct At {
    /// The newest block whose events are in the answer.
    #[cfg_attr(feature = "http", schema(required))]
    pub block: Option<u64>,
    /// Its hash, unless it is so old that only its number is kept.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub hash: Option<Digest>,
    /// Its time in milliseconds since the Unix epoch, if its header is known.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub time: Option<Timestamp>,
    /// Whether nothing of the answer can be undone any more.
    #[serde(rename = "final")]
    pub decided: bool,
    /// The highest block that is final.
    #[cfg_attr(feature = "http", schema(required))]
    pub final_block: Option<u64>,
    /// Its time in milliseconds since the Unix epoch, if its header is known.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub final_time: Option<Timestamp>,
    /// How many journal entries are in.
    pub journal: u64,
}

impl At {
    /// Where `view` stands. `header` gives hash and time of a block, if they are known.
    pub(crate) fn new<E>(
        view: View,
        cursor: &Cursor,
        header: impl Fn(u64) -> Result<Option<(Digest, Timestamp)>, E>,
    ) -> Result<Self, E> {
        // While the index catches up, what is final lies above all it has.
        let head = cursor.block.map(|block| block.number);
        let final_block = cursor.final_block.zip(head).map(|(number, head)| number.min(head));
        let block = if view == View::Final { final_block } else { head };
        let found = block.map(&header).transpose()?.flatten();
        let known = cursor.block.filter(|BlockRef { number, .. }| Some(*number) == block);
        Ok(Self {
            block,
            hash: found.map(|(hash, _)| hash).or(known.map(|block| block.hash)),
            time: found.map(|(_, time)| time),
            decided: view == View::Final,
            final_block,
            final_time: final_block.map(&header).transpose()?.flatten().map(|(_, time)| time),
            journal: cursor.journal,
        })
    }
}
