//! Sums over time and over the network.

use depin_core::{Text, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{EarnedTally, Tally, Total, page::row};

/// What happened in one hour or day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RollupRow {
    /// When it began, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub start: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub tally: Tally,
    /// Whether all of it is final so far.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(RollupRow, Timestamp, start);

/// What a device or an owner earned in one hour or day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EarnedRollupRow {
    /// When it began, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub start: Timestamp,
    /// What it earned.
    #[serde(flatten)]
    pub tally: EarnedTally,
    /// Whether all of it is final so far.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(EarnedRollupRow, Timestamp, start);

/// A number about the whole network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Card {
    /// What it counts.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub name: Text,
    /// What it is.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub now: Total,
    /// What it was a day before the newest time in the index, to the hour.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub day_ago: Total,
    /// Whether it is the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}

/// Where the money for the work comes from, since the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Sustainability {
    /// What customers burned behind the work of closed epochs.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub burned: Total,
    /// What was minted for it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub minted: Total,
    /// What customers pay providers for it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub revenue: Total,
}

/// The whole network in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Overview {
    /// The numbers.
    pub cards: Vec<Card>,
    /// Burned against minted.
    pub sustainability: Sustainability,
}

impl Overview {
    /// From what happened `ever` and in the last `day`, and what of it all is final.
    pub(crate) fn new(ever: &Tally, day: &Tally, decided: &Tally) -> Self {
        type Read = fn(&Tally) -> Total;
        let cards: [(&'static str, Read); 13] = [
            ("devices_active", |tally| number(tally.activated.saturating_sub(tally.deactivated))),
            ("devices_seen", |tally| number(tally.seen)),
            ("customers", |tally| number(tally.customers)),
            ("epochs_closed", |tally| number(tally.epochs)),
            ("units", |tally| tally.units),
            ("paid", |tally| tally.earned),
            ("claimed", |tally| tally.claimed),
            ("burned", |tally| tally.burned),
            ("minted", |tally| tally.minted),
            ("bought", |tally| tally.bought),
            ("accepted", |tally| number(tally.accept)),
            ("rejected", |tally| number(tally.reject)),
            ("refused", |tally| number(tally.refused)),
        ];
        // What happened in the last day is a part of what happened ever.
        let before = ever.minus(day).unwrap_or_default();
        let card = |(name, read): (&'static str, Read)| Card {
            name: name.into(),
            now: read(ever),
            day_ago: read(&before),
            decided: read(ever) == read(decided),
        };
        let sustainability =
            Sustainability { burned: ever.burned, minted: ever.minted, revenue: ever.revenue };
        Self { cards: cards.into_iter().map(card).collect(), sustainability }
    }
}

fn number(count: u64) -> Total {
    u128::from(count).into()
}
