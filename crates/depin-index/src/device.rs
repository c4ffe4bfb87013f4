//! Where a device stands with the registry, from those of its events that decide it.

use depin_core::ChainEvent;

use crate::DeviceStatus;

/// What the events of a device decide, taken in the order of the chain. Of each kind the last decides; of an activation and an end there is but one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stands {
    /// Registered without being activated at once.
    waits: bool,
    activated: bool,
    suspended: bool,
    off: bool,
}

impl Stands {
    /// What stands behind `status`.
    pub(crate) const fn of(status: DeviceStatus) -> Self {
        Self {
            waits: matches!(status, DeviceStatus::Bound),
            activated: false,
            suspended: matches!(status, DeviceStatus::Suspended),
            off: matches!(status, DeviceStatus::Deactivated),
        }
    }

    /// Takes in the next event.
    pub(crate) const fn take(&mut self, event: &ChainEvent) {
        match event {
            ChainEvent::DeviceRegistered { active, .. } => self.waits = !*active,
            ChainEvent::DeviceActivated { .. } => self.activated = true,
            ChainEvent::DeviceSuspended { .. } => self.suspended = true,
            ChainEvent::DeviceResumed { .. } => self.suspended = false,
            ChainEvent::DeviceDeactivated { .. } => self.off = true,
            _ => {}
        }
    }

    /// Where a device stands that has an owner, or has none that is known.
    pub(crate) const fn status(self, owned: bool) -> DeviceStatus {
        match self {
            Self { off: true, .. } => DeviceStatus::Deactivated,
            _ if !owned => DeviceStatus::Unregistered,
            Self { waits: true, activated: false, .. } => DeviceStatus::Bound,
            Self { suspended: true, .. } => DeviceStatus::Suspended,
            _ => DeviceStatus::Active,
        }
    }
}
