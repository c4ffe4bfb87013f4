use alloc::{boxed::Box, string::String};

use async_trait::async_trait;
use depin_core::{DeviceId, KeyId};

use super::{DeviceRecord, RegistryError};
use crate::{AcceptedBinding, Domain};

/// Wherever devices are registered: a contract, or memory.
///
/// Reads say what the registry says now. What counts for a payout is folded from final events by [`Registry::apply`](super::Registry::apply), which checks more.
#[async_trait]
pub trait DeviceRegistry: Send + Sync {
    /// Which registry this is; the same for as long as it lives.
    fn domain(&self) -> Domain;

    /// The record of `device`, deactivated ones included; none when it was never registered.
    ///
    /// # Errors
    /// [`ReadError`].
    async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRecord>, ReadError>;

    /// The record of the device that has the key `id`.
    ///
    /// # Errors
    /// [`ReadError`].
    async fn by_key(&self, id: &KeyId) -> Result<Option<DeviceRecord>, ReadError>;

    /// Carries `binding` out. Once this returns, reads show it.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing has changed then, unless it is [`SubmitError::Unavailable`], after which reads tell.
    async fn submit(&self, binding: &AcceptedBinding) -> Result<(), SubmitError>;
}

/// Why a registry could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Out of reach, or it answered nonsense.
    #[error("the device registry is unavailable: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
}

/// Why a binding was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Signed for another registry.
    #[error("the binding is for {found:?}; this registry is {expected:?}: sign it for this one")]
    Domain {
        /// The registry it was signed for.
        found: Domain,
        /// This registry.
        expected: Domain,
    },
    /// The rules of every registry forbid it.
    #[error(transparent)]
    Refused(#[from] RegistryError),
    /// The registry refused it for a reason of its own.
    #[error("the device registry refused the binding: {reason}")]
    Rejected {
        /// What it said.
        reason: String,
    },
    /// Out of reach. Whether it was carried out shows when it can be read again.
    #[error("the device registry is unavailable: {reason}; read the device before submitting again")]
    Unavailable {
        /// What happened.
        reason: String,
    },
}
