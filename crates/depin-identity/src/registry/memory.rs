use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use depin_core::{DeviceId, KeyId};

use super::{DeviceRecord, DeviceRegistry, ReadError, Registry, RegistryError, SubmitError};
use crate::{AcceptedBinding, Action};

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
    fn domain(&self) -> crate::Domain {
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
    let Some(record) = state.device(&binding.device) else {
        return match binding.action {
            // The fold says the rest.
            Action::Register { .. } => Ok(()),
            _ => Err(RegistryError::Unknown { device: binding.device.on_chain() }),
        };
    };
    match binding.action {
        Action::Register { .. } => Err(RegistryError::Known { device: record.device }),
        _ if record.deactivated().is_some() => Err(RegistryError::Deactivated { device: record.device }),
        _ if binding.owner != record.owner => {
            Err(RegistryError::Owner { found: binding.owner, expected: record.owner })
        }
        _ if binding.nonce != record.next_nonce => {
            Err(RegistryError::Nonce { found: binding.nonce, expected: record.next_nonce })
        }
        _ => Ok(()),
    }
}
