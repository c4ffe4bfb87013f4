//! The device registry: a pure fold over what the chain says, and the seam to whatever keeps it.

#[cfg(feature = "std")]
mod memory;
mod record;
mod seam;
mod state;

#[cfg(feature = "std")]
pub use memory::MemoryRegistry;
pub use record::{DeviceRecord, KeyEpoch};
pub use seam::{DeviceRegistry, ReadError, SubmitError};
pub use state::{Registered, Registry, RegistryError, SnapshotError};
