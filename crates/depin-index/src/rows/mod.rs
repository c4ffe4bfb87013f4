//! What is read out. Amounts are strings of decimal digits in JSON.

use depin_core::{Amount, Digest, Epoch, Timestamp, Units};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{RootStatus, Total, VerdictCounts, page::row};

mod accounts;
mod chain;
mod devices;
mod finding;
mod sums;

pub use accounts::{ClaimRow, CustomerEpochRow, CustomerRow, OwnerRow};
pub use chain::{EventRow, ReorgRow, RootRow};
pub use devices::{DeviceRow, EarningRow, EpochDeviceRow, RefusalRow, ReportRow, VerdictRow};
pub use finding::FindingRow;
pub use sums::{Card, EarnedRollupRow, Overview, RollupRow, Sustainability};

/// A closed epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EpochRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// Digest of its bundle.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub bundle: Digest,
    /// Root of its claim tree.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub root: Digest,
    /// How far a root for it has come on the chain.
    pub status: RootStatus,
    /// The root on the chain: the final one, else the last one proposed. If it differs from `root`, somebody is wrong. Null as well where one of
    /// several roots was proposed again: the chain's events do not say which.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub root_on_chain: Option<Digest>,
    /// The bundle digest beside that root.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub bundle_on_chain: Option<Digest>,
    /// What there was to pay.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub pool: Amount,
    /// What the claims add up to.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub paid: Amount,
    /// What rounding left over.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub dust: Amount,
    /// What customers burned for it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub burned: Amount,
    /// What was minted for it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub minted: Amount,
    /// What customers paid providers for it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub revenue: Amount,
    /// What its customers' deals cost.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub spent: Total,
    /// Accepted work.
    #[cfg_attr(feature = "http", schema(schema_with = schema::units))]
    pub units: Units,
    /// When it began, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub opened: Timestamp,
    /// When it ended, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub closed: Timestamp,
    /// How its verdicts came out.
    pub verdicts: VerdictCounts,
    /// The block in which a root was proposed last, or proposed again.
    #[cfg_attr(feature = "http", schema(required))]
    pub proposed_block: Option<u64>,
    /// The time of that block, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub proposed_at: Option<Timestamp>,
    /// How often a root for it was challenged.
    pub challenges: u64,
    /// When the dispute that is open began, in milliseconds since the Unix epoch; null while none is.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub contested_at: Option<Timestamp>,
    /// How many rounds ended without a root.
    pub voids: u8,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(EpochRow, Epoch, epoch);
