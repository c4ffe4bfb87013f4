//! The device registry: a pure fold over what the chain says, and the seam to whatever keeps it.

mod apply;
mod error;
mod judge;
#[cfg(feature = "std")]
mod memory;
mod record;
mod seam;
mod snapshot;
mod state;
mod store;

pub use error::{RegistryError, SnapshotError};
pub use judge::{Arrival, NotCounted, Standing};
#[cfg(feature = "std")]
pub use memory::MemoryRegistry;
pub use record::{DeviceRecord, KeyEnd, KeyEpoch, Past, Pause, Status, Tenure};
pub use seam::{DeviceRegistry, ReadError, SubmitError};
pub use state::{Registered, Registry};
