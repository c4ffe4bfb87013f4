#![doc = include_str!("../README.md")]

pub use facts::{
    Batch, BlockFacts, BlockRef, ClaimFacts, Cursor, CustomerEpoch, DeviceEpoch, EpochFacts, Line, MAX_PROOF,
    RefusalFacts, ReportEpoch, ReportFacts, VerdictCounts, WINDOW,
};
pub use follow::{
    Asked, ChainLog, ChainReader, ChainSource, FollowConfig, Known, Progress, Pump, ReadError, Tips, Untrue,
    Wanted,
};
#[cfg(feature = "http")]
pub use http::router;
pub use memory::MemoryStore;
pub use page::{Limit, Page, Row, Seek};
pub use rows::{
    ClaimRow, CustomerRow, DeviceRow, EarningRow, EpochRow, EventRow, FindingRow, OwnerRow, RefusalRow,
    ReorgRow, VerdictRow,
};
pub use source::{AdvanceError, EventSource, SourceError, Step, advance};
#[cfg(feature = "sqlite")]
pub use sqlite::{OpenError, SqliteStore};
pub use store::{Answer, DeviceFilter, Query, Store, StoreError};
pub use text::{MAX_TEXT, clean};
pub use total::Total;
pub use words::{DeviceStatus, EventKind, RootStatus};

#[cfg(feature = "conformance")]
pub mod conformance;
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
mod store;
mod text;
mod total;
mod words;
