//! The device registry: a pure fold over what the chain says, and the seam to whatever keeps it.

mod record;
mod seam;
mod state;

pub use record::{DeviceRecord, KeyEpoch};
pub use seam::{DeviceRegistry, MemoryRegistry, ReadError, SubmitError};
pub use state::{Registered, Registry, RegistryError, SnapshotError};
