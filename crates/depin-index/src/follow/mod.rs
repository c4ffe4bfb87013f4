//! Following a chain: decisions without I/O, and a source that carries them out over any [`ChainReader`].
//!
//! Far below the head, logs are asked for in wide ranges; within [`WINDOW`](crate::WINDOW) blocks of it, header by header and by block hash,
//! so that an answer cannot be of another fork. Nothing a node says is stored before it was checked.

mod check;
mod plan;
mod pump;
mod reader;
mod source;
mod span;

pub use check::{MAX_DATA, MAX_LOGS, Untrue};
pub use plan::{Known, Plan, Search, Stand, plan, stand};
pub use pump::{Progress, Pump};
pub use reader::{Asked, ChainLog, ChainReader, ReadError, Tips, Wanted};
pub use source::{ChainSource, FollowConfig};
pub use span::Span;
