use alloc::vec::Vec;

use depin_core::{Amount, Bounds, OutOfBounds, Text, cbor};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::place::MAX_RESOLUTION;

/// What a device needs to be admitted. A parameter of the network: signed, hashed and changed as one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(deny_unknown_fields)]
pub struct AdmissionPolicy {
    /// The version of these rules: 1.
    #[n(0)]
    pub version: u16,
    /// Credentials that somebody must hold.
    #[n(1)]
    #[cbor(with = "cbor::list")]
    pub credentials: Vec<CredentialRule>,
    /// Most devices of one maker.
    #[n(2)]
    pub maker_quota: u32,
    /// What each device's owner locks.
    #[n(3)]
    pub device_bond: Amount,
    /// What a maker locks for each device of the quota it was granted, admitted or not.
    #[n(4)]
    pub maker_bond: Amount,
    /// How many devices share a place; none when places do not matter.
    #[n(5)]
    pub cell: Option<CellRule>,
    /// Least reputation.
    #[n(6)]
    pub min_reputation: u32,
}

/// A credential that somebody must hold.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(deny_unknown_fields)]
pub struct CredentialRule {
    /// Its type, for example `TelecomLicence`.
    #[n(0)]
    pub kind: Text,
    /// Who holds it.
    #[n(1)]
    pub holder: CredentialHolder,
    /// Where it is needed, for example `DE`; everywhere when none.
    #[n(2)]
    pub region: Option<Text>,
}

/// Who holds a credential.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialHolder {
    /// The device, issued by its maker.
    #[n(0)]
    Device,
    /// Its owner.
    #[n(1)]
    Owner,
    /// Its maker.
    #[n(2)]
    Maker,
}

/// How many devices share a cell of the H3 grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(deny_unknown_fields)]
pub struct CellRule {
    /// The resolution, 0 to 15; places are blurred to it.
    #[n(0)]
    pub resolution: u8,
    /// Most devices in one cell.
    #[n(1)]
    pub devices: u32,
}

impl AdmissionPolicy {
    /// The version of the rules that this library knows.
    pub const VERSION: u16 = 1;

    /// Checks that the policy can be applied: known version, at least one device per maker and cell, at most 32 credentials.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let version = u128::from(Self::VERSION);
        Bounds::new("admission.version", version, version).check(self.version)?;
        let credentials = u128::try_from(self.credentials.len()).unwrap_or(u128::MAX);
        Bounds::new("admission.credentials", 0, 32).check(credentials)?;
        Bounds::new("admission.maker-quota", 1, u128::from(u32::MAX)).check(self.maker_quota)?;
        if let Some(cell) = self.cell {
            Bounds::new("admission.cell.resolution", 0, u128::from(MAX_RESOLUTION)).check(cell.resolution)?;
            Bounds::new("admission.cell.devices", 1, u128::from(u32::MAX)).check(cell.devices)?;
        }
        Ok(())
    }

    /// The default for a network whose journal holds neither bonds of devices nor places: a maker puts up, for each device of its quota, what
    /// owner and place would have, 600 tokens in all.
    pub fn by_makers() -> Self {
        let maker_bond = Amount(super::TOKEN.saturating_mul(600));
        Self { device_bond: Amount::ZERO, maker_bond, cell: None, ..Self::default() }
    }

    /// The most that makers are charged for, and devices admitted of: what the maker was granted, and never more than the policy's quota.
    pub(super) fn quota(&self, granted: u32) -> u32 {
        granted.min(self.maker_quota)
    }
}

impl Default for AdmissionPolicy {
    /// A maker's credential for each device, a thousand devices a maker, a bond of 500 tokens for a device and of 50 for each place in a
    /// maker's quota, one device per cell of resolution 8 (0.7 square kilometres). Tokens have 18 decimals.
    fn default() -> Self {
        let tokens = |count: u128| Amount(count.saturating_mul(super::TOKEN));
        Self {
            version: Self::VERSION,
            credentials: [CredentialRule {
                kind: "DeviceCredential".into(),
                holder: CredentialHolder::Device,
                region: None,
            }]
            .into(),
            maker_quota: 1_000,
            device_bond: tokens(500),
            maker_bond: tokens(50),
            cell: Some(CellRule { resolution: 8, devices: 1 }),
            min_reputation: 0,
        }
    }
}
