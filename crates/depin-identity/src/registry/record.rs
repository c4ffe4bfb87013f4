use alloc::{vec, vec::Vec};

use alloy_primitives::Address;
use depin_core::{DeviceId, TypedKey, cbor};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// What a registry knows of a device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct DeviceRecord {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// Who owns it, or owned it last.
    #[n(1)]
    #[cbor(with = "cbor::address")]
    pub owner: Address,
    /// Its keys, oldest first. The first is the one it was born with.
    #[n(2)]
    #[cbor(with = "cbor::list")]
    pub keys: Vec<KeyEpoch>,
    /// How often it changed hands. What an owner granted ends with it.
    #[n(3)]
    pub ownership_epoch: u32,
    /// What the next signature about it must carry.
    #[n(4)]
    pub next_nonce: u64,
    /// False once it was switched off, which is for ever.
    #[n(5)]
    pub active: bool,
}

/// A key of a device, and since which rotation it is in use: 0 for the key it was born with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct KeyEpoch {
    /// The key.
    #[n(0)]
    pub key: TypedKey,
    /// The number of rotations before it.
    #[n(1)]
    pub epoch: u32,
}

impl DeviceRecord {
    /// A device just registered to `owner`, its first nonce used.
    pub fn registered(device: DeviceId, owner: Address) -> Self {
        let keys = vec![KeyEpoch { key: *device.key(), epoch: 0 }];
        Self { device, owner, keys, ownership_epoch: 0, next_nonce: 1, active: true }
    }
}
