#![doc = include_str!("../README.md")]

pub use facts::{
    Batch, BlockRef, ClaimFacts, Cursor, CustomerEpoch, DeviceEpoch, EpochFacts, MAX_PROOF, RefusalFacts,
    ReportFacts, VerdictCounts,
};
#[cfg(feature = "http")]
pub use http::router;
pub use memory::MemoryStore;
pub use rows::{
    ClaimRow, CustomerRow, DeviceRow, DeviceStatus, EarningRow, EpochRow, EventKind, EventRow, FindingRow,
    Limit, OwnerRow, Page, RefusalRow, RootStatus, Row, Total, VerdictRow,
};
pub use source::{AdvanceError, EventSource, SourceError, Step, advance};
#[cfg(feature = "sqlite")]
pub use sqlite::{OpenError, SqliteStore};
pub use store::{Answer, DeviceFilter, Query, Seek, Store, StoreError};
pub use text::{MAX_TEXT, clean};

#[cfg(feature = "conformance")]
pub mod conformance;
mod facts;
#[cfg(feature = "http")]
pub mod http;
mod memory;
mod rows;
mod source;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod text;
