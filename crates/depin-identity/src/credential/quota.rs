//! How much of each maker's quota is used up.

use std::collections::BTreeMap;

use depin_core::DeviceId;

use super::VouchedDevice;
use crate::did::Did;

/// Every device that was ever admitted, by maker: a fold over admissions, in their order.
///
/// A maker is one DID, however often its credential is issued again, so a renewal does not start to count anew. A device counts for the maker
/// that made it and for every maker above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaLedger {
    /// Per maker its number here and how many devices count for it.
    makers: BTreeMap<Did, (u32, u32)>,
    /// Per device its maker's number and its serial.
    devices: BTreeMap<DeviceId, (u32, u32)>,
    /// The same, the other way round.
    serials: BTreeMap<(u32, u32), DeviceId>,
}

/// Why there is no room for a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// The quota is used up.
    #[error("{maker} has vouched for {used} devices, and its quota is {quota}; ask the root for more")]
    Exhausted {
        /// The maker.
        maker: Did,
        /// Devices that count for it.
        used: u32,
        /// Its quota.
        quota: u32,
    },
    /// A serial that another device has.
    #[error("{maker} gave the serial {serial} to {device} already; give each device its own")]
    SerialTaken {
        /// The maker.
        maker: Did,
        /// The serial.
        serial: u32,
        /// The device that has it.
        device: DeviceId,
    },
    /// A device that came with another maker or serial before.
    #[error("{device} was admitted with another maker or serial; show the chain it was admitted with")]
    Changed {
        /// The device.
        device: DeviceId,
    },
}

impl QuotaLedger {
    /// Counts `vouched`; false when it counts already. Nothing changes on an error.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub fn admit(&mut self, vouched: &VouchedDevice) -> Result<bool, QuotaError> {
        let (device, serial) = (*vouched.device(), vouched.claim().serial);
        let Some(maker) = vouched.makers().last().map(|grant| &grant.maker) else { return Ok(false) };
        let number = self.makers.get(maker).map(|(number, _)| *number);
        if let Some(found) = self.devices.get(&device) {
            let same = number.is_some_and(|number| *found == (number, serial));
            return if same { Ok(false) } else { Err(QuotaError::Changed { device }) };
        }
        if let Some(device) = number.and_then(|number| self.serials.get(&(number, serial))) {
            return Err(QuotaError::SerialTaken { maker: maker.clone(), serial, device: *device });
        }
        for grant in vouched.makers() {
            let used = self.used(&grant.maker);
            if used >= grant.quota {
                return Err(QuotaError::Exhausted { maker: grant.maker.clone(), used, quota: grant.quota });
            }
        }
        let mut own = 0;
        for grant in vouched.makers() {
            // A quota bounds both.
            let next = u32::try_from(self.makers.len()).unwrap_or(u32::MAX);
            let (number, used) = self.makers.entry(grant.maker.clone()).or_insert((next, 0));
            *used = used.saturating_add(1);
            own = *number;
        }
        self.devices.insert(device, (own, serial));
        self.serials.insert((own, serial), device);
        Ok(true)
    }

    /// Devices that count for `maker`.
    pub fn used(&self, maker: &Did) -> u32 {
        self.makers.get(maker).map_or(0, |(_, used)| *used)
    }

    /// Whether `device` was ever admitted.
    pub fn contains(&self, device: &DeviceId) -> bool {
        self.devices.contains_key(device)
    }
}
