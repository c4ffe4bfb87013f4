//! Who owns a device: consent of the owner (EIP-712) and of the device (Ed25519), each to one action on one registry, once.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{Eip712Domain, SolStruct as _, eip712_domain};
use depin_core::{ChainEvent, DeviceId, Digest, Epoch, NetworkId, Timestamp, cbor};
use minicbor::{Decode, Encode, Encoder};
use serde::{Deserialize, Serialize};

use crate::{OwnerSignature, PublicKey, PublicKeyError, Signature};

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

/// What is done to the ownership of a device.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Action {
    /// The device gets its first owner. Signed by owner and device.
    #[n(0)]
    Register,
    /// The device changes hands. Signed by both owners and the device.
    #[n(1)]
    #[cbor(array)]
    Transfer {
        /// The owner from then on.
        #[n(0)]
        #[cbor(with = "cbor::address")]
        new_owner: Address,
    },
    /// The device is switched off for ever. Signed by the owner alone, since the device may be lost or stolen.
    #[n(2)]
    Deactivate,
}

/// What owner and device sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Binding {
    /// What is done.
    #[n(0)]
    pub action: Action,
    /// The device.
    #[n(1)]
    pub device: DeviceId,
    /// Its owner; on a transfer the owner before.
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

/// A binding and the signatures its action needs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct SignedBinding {
    /// What they signed.
    #[n(0)]
    pub binding: Binding,
    /// The owner's signature over [`Binding::signing_hash`].
    #[n(1)]
    pub owner_signature: OwnerSignature,
    /// The new owner's signature over the same hash; on a transfer only.
    #[n(2)]
    pub new_owner_signature: Option<OwnerSignature>,
    /// The device's signature over [`Binding::device_proof_message`]; not on a deactivation.
    #[n(3)]
    pub device_proof: Option<Signature>,
}

/// A binding whose signatures were right and in time. Only [`SignedBinding::verify`] makes one; a registry still checks nonce and owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedBinding(SignedBinding);

/// Why a binding is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// Too late.
    #[error("the binding expired at {deadline} s; it is {now} ms: sign again with a later deadline")]
    Expired {
        /// The last second at which it was good.
        deadline: u64,
        /// The moment it was judged at.
        now: Timestamp,
    },
    /// A signature its action needs is not there.
    #[error("the signature of the {by} is missing; it must consent to this action")]
    Missing {
        /// Whose.
        by: &'static str,
    },
    /// A signature its action does not know.
    #[error("a signature of the {by} has no place in this action; leave it out")]
    Unexpected {
        /// Whose.
        by: &'static str,
    },
    /// The recovery byte of an owner's signature is none.
    #[error("v of the {by}'s signature is {found}; expected 27 or 28")]
    RecoveryId {
        /// Whose.
        by: &'static str,
        /// The byte.
        found: u8,
    },
    /// The other one of two equal signatures (EIP-2): only the low s is accepted.
    #[error("s of the {by}'s signature is in the upper half of the order; negate it and flip v")]
    HighS {
        /// Whose.
        by: &'static str,
    },
    /// Signed by another key, or something else was signed.
    #[error(
        "the {by}'s signature recovers to {found:?}; expected {expected}: sign this action, nonce and registry"
    )]
    OwnerSignature {
        /// Whose.
        by: &'static str,
        /// The owner.
        expected: Address,
        /// The signer, if there can be one.
        found: Option<Address>,
    },
    /// A transfer to the owner it has.
    #[error("the device belongs to {owner} already; name another owner")]
    SameOwner {
        /// The owner.
        owner: Address,
    },
    /// The device's key is not fit to identify it.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// Not signed by the device, or something else was signed.
    #[error(
        "the device's proof is not by {device} over this binding; let the device sign action, nonce and registry"
    )]
    DeviceProof {
        /// The device.
        device: DeviceId,
    },
}

impl Domain {
    /// The network whose registry this is.
    pub fn network(&self) -> NetworkId {
        NetworkId::new(self.chain_id, self.contract)
    }

    fn eip712(&self) -> Eip712Domain {
        eip712_domain! {
            name: "depin DeviceRegistry",
            version: "1",
            chain_id: self.chain_id,
            verifying_contract: self.contract,
        }
    }
}

impl Action {
    /// The action in one word, as the device signs it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Transfer { .. } => "transfer",
            Self::Deactivate => "deactivate",
        }
    }
}

impl Binding {
    /// The EIP-712 hash that owners sign, equal to the contract's.
    pub fn signing_hash(&self) -> B256 {
        let domain = self.domain.eip712();
        let device = B256::from(self.device.on_chain().0);
        let (owner, nonce, deadline) = (self.owner, U256::from(self.nonce), U256::from(self.deadline));
        match self.action {
            Action::Register => {
                let device_key = self.device.key().as_bytes().to_vec().into();
                sol::Register { deviceKey: device_key, owner, nonce, deadline }.eip712_signing_hash(&domain)
            }
            Action::Transfer { new_owner } => {
                sol::Transfer { device, owner, newOwner: new_owner, nonce, deadline }
                    .eip712_signing_hash(&domain)
            }
            Action::Deactivate => {
                sol::Deactivate { device, owner, nonce, deadline }.eip712_signing_hash(&domain)
            }
        }
    }

    /// The bytes that the device signs: `"depin/binding/v1"` and the CBOR array
    /// `[action, typed key, owner from then on, chain id, contract, nonce, deadline]`.
    pub fn device_proof_message(&self) -> Vec<u8> {
        let owner = match self.action {
            Action::Transfer { new_owner } => new_owner,
            Action::Register | Action::Deactivate => self.owner,
        };
        let mut bytes = b"depin/binding/v1".to_vec();
        // Writing to a `Vec` cannot fail: its error type is `Infallible`.
        let _: Result<_, minicbor::encode::Error<core::convert::Infallible>> = Encoder::new(&mut bytes)
            .array(7)
            .and_then(|e| e.str(self.action.name()))
            .and_then(|e| e.bytes(self.device.key().as_bytes()))
            .and_then(|e| e.bytes(owner.as_slice()))
            .and_then(|e| e.u64(self.domain.chain_id))
            .and_then(|e| e.bytes(self.domain.contract.as_slice()))
            .and_then(|e| e.u64(self.nonce))
            .and_then(|e| e.u64(self.deadline))
            .map(|_| ());
        bytes
    }

    /// Checks the device's proof alone: what anyone can do with an event of the contract.
    ///
    /// # Errors
    /// [`BindingError::Key`] and [`BindingError::DeviceProof`].
    pub fn verify_device_proof(&self, proof: &[u8]) -> Result<PublicKey, BindingError> {
        let wrong = BindingError::DeviceProof { device: self.device };
        let key = PublicKey::new(*self.device.key())?;
        let Ok(proof) = proof.try_into() else { return Err(wrong) };
        match key.verify(&self.device_proof_message(), &Signature(proof)) {
            Ok(()) => Ok(key),
            Err(_) => Err(wrong),
        }
    }
}

impl SignedBinding {
    /// Checks deadline and every signature the action needs; owner signatures come out with v of 27 or 28, as the contract wants them.
    ///
    /// # Errors
    /// [`BindingError`].
    pub fn verify(&self, now: Timestamp) -> Result<AcceptedBinding, BindingError> {
        let binding = &self.binding;
        if now.0.div_euclid(1000) > binding.deadline {
            return Err(BindingError::Expired { deadline: binding.deadline, now });
        }
        let hash = binding.signing_hash();
        let owner_signature = recovers_to(&self.owner_signature, "owner", binding.owner, &hash)?;
        let new_owner_signature = match (binding.action, &self.new_owner_signature) {
            (Action::Transfer { new_owner }, _) if new_owner == binding.owner => {
                return Err(BindingError::SameOwner { owner: new_owner });
            }
            (Action::Transfer { .. }, None) => return Err(BindingError::Missing { by: "new owner" }),
            (Action::Transfer { new_owner }, Some(signature)) => {
                Some(recovers_to(signature, "new owner", new_owner, &hash)?)
            }
            (_, Some(_)) => return Err(BindingError::Unexpected { by: "new owner" }),
            (_, None) => None,
        };
        match (binding.action, &self.device_proof) {
            (Action::Deactivate, None) => {}
            (Action::Deactivate, Some(_)) => return Err(BindingError::Unexpected { by: "device" }),
            (_, None) => return Err(BindingError::Missing { by: "device" }),
            (_, Some(proof)) => {
                binding.verify_device_proof(&proof.0)?;
            }
        }
        Ok(AcceptedBinding(Self { owner_signature, new_owner_signature, ..self.clone() }))
    }
}

impl AcceptedBinding {
    /// The binding.
    pub const fn binding(&self) -> &Binding {
        &self.0.binding
    }

    /// The binding with its signatures, in the form the contract accepts.
    pub const fn signed(&self) -> &SignedBinding {
        &self.0
    }

    /// What a registry says once it has carried this out.
    pub fn to_event(&self) -> ChainEvent {
        let SignedBinding { binding, device_proof, .. } = &self.0;
        let Binding { device, owner, nonce, deadline, .. } = *binding;
        let proof = device_proof.map(|proof| proof.0.to_vec()).unwrap_or_default();
        match binding.action {
            Action::Register => {
                let (active, at) = (true, Timestamp::default());
                ChainEvent::DeviceRegistered { device, owner, nonce, deadline, proof, active, at }
            }
            Action::Transfer { new_owner } => ChainEvent::DeviceTransferred {
                device: device.on_chain(),
                from: owner,
                to: new_owner,
                nonce,
                deadline,
                proof,
                new_key: *device.key(),
                new_key_proof: Vec::new(),
                cut_over: Epoch(0),
                voucher: Digest::default(),
                at: Timestamp::default(),
            },
            Action::Deactivate => {
                ChainEvent::DeviceDeactivated { device: device.on_chain(), at: Timestamp::default() }
            }
        }
    }
}

/// The structs of the contract `DeviceRegistry`, for their EIP-712 hashes.
mod sol {
    #![allow(missing_docs)] // what they mean is said by `Binding`
    alloy_sol_types::sol! {
        struct Register { bytes deviceKey; address owner; uint256 nonce; uint256 deadline; }
        struct Transfer { bytes32 device; address owner; address newOwner; uint256 nonce; uint256 deadline; }
        struct Deactivate { bytes32 device; address owner; uint256 nonce; uint256 deadline; }
    }
}

/// Checks that `signature` is by `expected` and gives it back with v of 27 or 28.
fn recovers_to(
    signature: &OwnerSignature,
    by: &'static str,
    expected: Address,
    hash: &B256,
) -> Result<OwnerSignature, BindingError> {
    let [.., v] = signature.0;
    if !matches!(v, 0 | 1 | 27 | 28) {
        return Err(BindingError::RecoveryId { by, found: v });
    }
    let parsed = alloy_primitives::Signature::from_raw_array(&signature.0)
        .map_err(|_| BindingError::RecoveryId { by, found: v })?;
    // Recovery would accept both forms; a second valid form of what somebody signed is one too many.
    if parsed.normalize_s().is_some() {
        return Err(BindingError::HighS { by });
    }
    match parsed.recover_address_from_prehash(hash) {
        Ok(found) if found == expected => Ok(OwnerSignature(parsed.as_bytes())),
        found => Err(BindingError::OwnerSignature { by, expected, found: found.ok() }),
    }
}
