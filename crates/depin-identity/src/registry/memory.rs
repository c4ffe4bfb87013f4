use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use depin_core::{DeviceId, Epoch, KeyId};

use super::{DeviceRecord, DeviceRegistry, ReadError, Registry, RegistryError, SubmitError};
use crate::{AcceptedBinding, Action};

/// A registry in memory: for tests and for networks without a chain. Its snapshot is [`Registry::to_snapshot`] of [`MemoryRegistry::state`].
#[derive(Debug)]
pub struct MemoryRegistry(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    state: Registry,
    epoch: Epoch,
}

impl MemoryRegistry {
    /// Goes on from `state` in `epoch`.
    pub const fn new(state: Registry, epoch: Epoch) -> Self {
        Self(Mutex::new(Inner { state, epoch }))
    }

    /// A copy of the state.
    pub fn state(&self) -> Registry {
        self.lock().state.clone()
    }

    /// Has what is submitted from here on become known in `epoch`, before which no transfer reaches. There is no way back: an earlier epoch than the present one changes nothing.
    pub fn enter(&self, epoch: Epoch) {
        let mut inner = self.lock();
        inner.epoch = inner.epoch.max(epoch);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // `Registry::apply` changes nothing before its last check, so a poisoned state is a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeviceRegistry for MemoryRegistry {
    fn domain(&self) -> crate::Domain {
        self.lock().state.domain()
    }

    async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRecord>, ReadError> {
        Ok(self.lock().state.device(device).cloned())
    }

    async fn by_key(&self, id: &KeyId) -> Result<Option<DeviceRecord>, ReadError> {
        Ok(self.lock().state.by_key(id).map(|found| found.record.clone()))
    }

    async fn submit(&self, binding: &AcceptedBinding) -> Result<(), SubmitError> {
        let mut inner = self.lock();
        let Inner { state, epoch } = &mut *inner;
        let expected = state.domain();
        let found = binding.binding().domain;
        if found != expected {
            return Err(SubmitError::Domain { found, expected });
        }
        check_next(state, binding)?;
        state.apply_in(*epoch, &binding.to_event())?;
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
