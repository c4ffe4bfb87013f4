//! Who owns a device and with which key it signs: consent of owners (EIP-712) and of the device's keys, each to one action on one registry, once.

mod error;
mod signed;

use alloy_primitives::{Address, B256, FixedBytes, U256};
use alloy_sol_types::{Eip712Domain, SolStruct as _, eip712_domain};
use depin_core::{DeviceId, Digest, Epoch, KeyId, NetworkId, TypedKey, cbor};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub use error::BindingError;
pub use signed::{AcceptedBinding, SignedBinding};

use crate::{PublicKey, Signature};

/// Whose proof it is, in messages.
pub(crate) const PRESENT_KEY: &str = "device's present key";
pub(crate) const NEW_KEY: &str = "device's new key";

/// A device registry: the contract at an address of a chain. The same pair makes the [`NetworkId`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(array)]
pub struct Domain {
    /// The chain's id (EIP-155).
    #[n(0)]
    pub chain_id: u64,
    /// The contract's address.
    #[n(1)]
    #[cbor(with = "cbor::address")]
    pub contract: Address,
}

/// What is done to a device. [`SignedBinding`] says who must sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Action {
    /// The device gets its first owner.
    #[n(0)]
    #[cbor(array)]
    Register {
        /// Whether it may report at once; else it waits for [`Action::Activate`].
        #[n(0)]
        active: bool,
    },
    /// The device changes hands, and gets a key that its old owner does not know.
    #[n(1)]
    #[cbor(array)]
    Transfer {
        /// The owner from the cut-over on.
        #[n(0)]
        #[cbor(with = "cbor::address")]
        new_owner: Address,
        /// The key from the cut-over on.
        #[n(1)]
        new_key: TypedKey,
        /// The first epoch of both. The new owner may suspend or deactivate the device from the transfer on, also before that epoch, so who sells
        /// signs for a near one.
        #[n(2)]
        cut_over: Epoch,
        /// The digest of the head of the ownership voucher.
        #[n(3)]
        voucher: Digest,
    },
    /// The device is switched off for ever. Signed by the owner alone, since the device may be lost or stolen.
    #[n(2)]
    Deactivate,
    /// The device may report from now on.
    #[n(3)]
    Activate,
    /// The device gets another key.
    #[n(4)]
    #[cbor(array)]
    Rotate {
        /// The key from now on.
        #[n(0)]
        new_key: TypedKey,
        /// The boot of the last report under the present key.
        #[n(1)]
        last_boot: u32,
        /// The sequence of the last report under the present key.
        #[n(2)]
        last_sequence: u64,
    },
    /// Somebody else has the secret of a key that the device got under its present owner.
    #[n(5)]
    #[cbor(array)]
    Compromise {
        /// The key.
        #[n(0)]
        key: KeyId,
        /// From when on nothing it signed counts, in seconds since the Unix epoch; not in the future.
        #[n(1)]
        since: u64,
    },
    /// The device may not report until it is resumed.
    #[n(6)]
    Suspend,
    /// A suspended device may report again.
    #[n(7)]
    Resume,
}

/// What owners and keys sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Binding {
    /// What is done.
    #[n(0)]
    pub action: Action,
    /// The device.
    #[n(1)]
    pub device: DeviceId,
    /// Its owner; on a transfer the owner before. Not part of what is signed to rotate a key.
    #[n(2)]
    #[cbor(with = "cbor::address")]
    pub owner: Address,
    /// The registry.
    #[n(3)]
    pub domain: Domain,
    /// The device's next nonce in that registry; 0 to register.
    #[n(4)]
    pub nonce: u64,
    /// The last second at which this is accepted, since the Unix epoch.
    #[n(5)]
    pub deadline: u64,
}

impl Domain {
    /// The network whose registry this is.
    pub fn network(&self) -> NetworkId {
        NetworkId::new(self.chain_id, self.contract)
    }

    fn eip712(&self) -> Eip712Domain {
        eip712_domain! {
            name: "depin DeviceRegistry",
            version: "2",
            chain_id: self.chain_id,
            verifying_contract: self.contract,
        }
    }
}

impl Action {
    /// The action in one word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Transfer { .. } => "transfer",
            Self::Deactivate => "deactivate",
            Self::Activate => "activate",
            Self::Rotate { .. } => "rotate",
            Self::Compromise { .. } => "compromise",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
        }
    }

    /// The key it brings in.
    pub const fn new_key(&self) -> Option<TypedKey> {
        match self {
            Self::Transfer { new_key, .. } | Self::Rotate { new_key, .. } => Some(*new_key),
            _ => None,
        }
    }
}

impl Binding {
    /// The EIP-712 hash that owners sign, equal to the contract's.
    pub fn signing_hash(&self) -> B256 {
        let domain = self.domain.eip712();
        let device = B256::from(self.device.on_chain().0);
        let (owner, nonce, deadline) = (self.owner, U256::from(self.nonce), U256::from(self.deadline));
        let key = |key: &TypedKey| key.as_bytes().to_vec().into();
        match self.action {
            Action::Register { active } => {
                let device_key = key(self.device.key());
                let terms = sol::Register { deviceKey: device_key, owner, active, nonce, deadline };
                terms.eip712_signing_hash(&domain)
            }
            Action::Transfer { new_owner, new_key, cut_over, voucher } => sol::Transfer {
                device,
                owner,
                newOwner: new_owner,
                newKey: key(&new_key),
                cutOver: cut_over.0,
                voucher: B256::from(voucher.0),
                nonce,
                deadline,
            }
            .eip712_signing_hash(&domain),
            Action::Rotate { new_key, last_boot, last_sequence } => sol::Rotate {
                device,
                newKey: key(&new_key),
                lastBoot: last_boot,
                lastSequence: last_sequence,
                nonce,
                deadline,
            }
            .eip712_signing_hash(&domain),
            Action::Compromise { key, since } => {
                sol::Compromise { device, owner, keyId: FixedBytes(key.0), since, nonce, deadline }
                    .eip712_signing_hash(&domain)
            }
            Action::Activate => sol::Activate { device, owner, nonce, deadline }.eip712_signing_hash(&domain),
            Action::Suspend => sol::Suspend { device, owner, nonce, deadline }.eip712_signing_hash(&domain),
            Action::Resume => sol::Resume { device, owner, nonce, deadline }.eip712_signing_hash(&domain),
            Action::Deactivate => {
                sol::Deactivate { device, owner, nonce, deadline }.eip712_signing_hash(&domain)
            }
        }
    }

    /// The bytes that a key of the device signs: `"depin/binding/v2"` and [`Binding::signing_hash`].
    pub fn device_proof_message(&self) -> [u8; 48] {
        let mut bytes = [0; 48];
        for (to, from) in bytes.iter_mut().zip(b"depin/binding/v2".iter().chain(&self.signing_hash().0)) {
            *to = *from;
        }
        bytes
    }

    /// Checks the proof of one key alone: what anyone can do with an event of the contract. `by` says which key that is.
    ///
    /// # Errors
    /// [`BindingError::Proof`].
    pub fn verify_proof(&self, key: &PublicKey, by: &'static str, proof: &[u8]) -> Result<(), BindingError> {
        let signature = proof.try_into().ok().map(Signature);
        let is_right = signature.is_some_and(|it| key.verify(&self.device_proof_message(), &it).is_ok());
        if is_right { Ok(()) } else { Err(BindingError::Proof { by, key: key.typed() }) }
    }
}

/// The structs of the contract `DeviceRegistry`, for their EIP-712 hashes.
mod sol {
    #![allow(missing_docs)] // what they mean is said by `Binding`
    alloy_sol_types::sol! {
        struct Register { bytes deviceKey; address owner; bool active; uint256 nonce; uint256 deadline; }
        struct Activate { bytes32 device; address owner; uint256 nonce; uint256 deadline; }
        struct Rotate { bytes32 device; bytes newKey; uint32 lastBoot; uint64 lastSequence; uint256 nonce; uint256 deadline; }
        struct Compromise { bytes32 device; address owner; bytes16 keyId; uint64 since; uint256 nonce; uint256 deadline; }
        struct Suspend { bytes32 device; address owner; uint256 nonce; uint256 deadline; }
        struct Resume { bytes32 device; address owner; uint256 nonce; uint256 deadline; }
        struct Transfer {
            bytes32 device; address owner; address newOwner; bytes newKey; uint64 cutOver; bytes32 voucher; uint256 nonce; uint256 deadline;
        }
        struct Deactivate { bytes32 device; address owner; uint256 nonce; uint256 deadline; }
    }
}
