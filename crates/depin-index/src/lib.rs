#![doc = include_str!("../README.md")]

pub use change::{Change, Listener, Topic};
pub use error::StoreError;
pub use facts::{
    Batch, BlockFacts, BlockRef, ClaimFacts, Cursor, CustomerEpoch, DeviceEpoch, EpochFacts, Line, MAX_PROOF,
    RefusalFacts, ReportEpoch, ReportFacts, VerdictCounts, WINDOW,
};
pub use follow::{
    Asked, ChainLog, ChainReader, ChainSource, FollowConfig, Known, Progress, Pump, ReadError, Tips, Untrue,
    Wanted,
};
#[cfg(feature = "http")]
pub use http::{FollowStatus, Following, Live, Reading, StreamLimits, Terms, Windows, router};
pub use memory::MemoryStore;
pub use page::{Limit, Page, Row, Seek};
pub use rows::{
    Card, ClaimRow, CustomerEpochRow, CustomerRow, DeviceRow, EarnedRollupRow, EarningRow, EpochDeviceRow,
    EpochRow, EventRow, FindingRow, Overview, OwnerRow, RefusalRow, ReorgRow, ReportRow, RollupRow, RootRow,
    Sustainability, VerdictRow,
};
pub use source::{AdvanceError, EventSource, SourceError, Step, advance};
#[cfg(feature = "sqlite")]
pub use sqlite::{OpenError, SqliteStore};
pub use steps::next_step;
pub use store::{Answer, DeviceFilter, Earner, Query, Store};
pub use tally::{EarnedTally, Period, Tally};
pub use text::{MAX_TEXT, clean};
pub use total::Total;
pub use view::{At, View};
pub use words::{DeviceStatus, EventKind, RootStatus, RootStep};

mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
mod device;
mod error;
mod facts;
pub mod follow;
#[cfg(feature = "http")]
pub mod http;
mod memory;
mod page;
mod rows;
mod source;
#[cfg(feature = "sqlite")]
mod sqlite;
mod standing;
mod steps;
mod store;
mod tally;
mod text;
mod total;
mod view;
mod words;
