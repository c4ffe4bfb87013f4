use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use depin_core::{DeviceId, KeyId};

use super::{DeviceRecord, Registry, RegistryError};
use crate::{AcceptedBinding, Action, Domain};

/// Wherever devices are registered: a contract, or memory.
///
/// Reads say what the registry says now. What counts for a payout is folded from final events by [`Registry::apply`], which checks more.
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

/// A registry in memory: for tests and for networks without a chain. Its snapshot is [`Registry::to_snapshot`] of [`MemoryRegistry::state`].
#[derive(Debug)]
pub struct MemoryRegistry(Mutex<Registry>);

impl MemoryRegistry {
    /// Goes on from `state`.
    pub const fn new(state: Registry) -> Self {
        Self(Mutex::new(state))
    }

    /// A copy of the state.
    pub fn state(&self) -> Registry {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        // `Registry::apply` changes nothing before its last check, so a poisoned state is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeviceRegistry for MemoryRegistry {
    fn domain(&self) -> Domain {
        self.lock().domain()
    }

    async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRecord>, ReadError> {
        Ok(self.lock().device(device).cloned())
    }

    async fn by_key(&self, id: &KeyId) -> Result<Option<DeviceRecord>, ReadError> {
        Ok(self.lock().by_key(id).map(|found| found.record.clone()))
    }

    async fn submit(&self, binding: &AcceptedBinding) -> Result<(), SubmitError> {
        let mut state = self.lock();
        let expected = state.domain();
        let found = binding.binding().domain;
        if found != expected {
            return Err(SubmitError::Domain { found, expected });
        }
        check_next(&state, binding)?;
        state.apply(&binding.to_event())?;
        Ok(())
    }
}

/// What the contract checks before it emits an event, and the fold over events therefore need not.
fn check_next(state: &Registry, binding: &AcceptedBinding) -> Result<(), RegistryError> {
    let binding = binding.binding();
    match (state.device(&binding.device), binding.action) {
        (Some(record), Action::Register) => Err(RegistryError::Known { device: record.device }),
        (None, Action::Register) if binding.nonce == 0 => Ok(()),
        (None, Action::Register) => Err(RegistryError::Nonce { found: binding.nonce, expected: 0 }),
        (None, _) => Err(RegistryError::Unknown { device: binding.device.on_chain() }),
        (Some(record), _) if !record.active => Err(RegistryError::Deactivated { device: record.device }),
        (Some(record), _) if binding.owner != record.owner => {
            Err(RegistryError::Owner { found: binding.owner, expected: record.owner })
        }
        (Some(record), _) if binding.nonce != record.next_nonce => {
            Err(RegistryError::Nonce { found: binding.nonce, expected: record.next_nonce })
        }
        (Some(_), _) => Ok(()),
    }
}
