use alloy_primitives::{Address, B256};
use depin_core::{ChainEvent, KeyType, Timestamp, TypedKey};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Action, Binding, BindingError, NEW_KEY, PRESENT_KEY};
use crate::{OwnerSignature, PublicKey, Signature, ecdsa::low_s};

/// A binding and the signatures its action needs.
///
/// | action | owner | new owner | present key | new key |
/// |---|---|---|---|---|
/// | register | x | | x | |
/// | rotate | | | x | x |
/// | rotate, to recover | x | | | x |
/// | transfer | x | x | x | x |
/// | activate, compromise, suspend, resume, deactivate | x | | | |
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct SignedBinding {
    /// What they signed.
    #[n(0)]
    pub binding: Binding,
    /// The owner's signature over [`Binding::signing_hash`].
    #[n(1)]
    pub owner_signature: Option<OwnerSignature>,
    /// The new owner's signature over the same hash.
    #[n(2)]
    pub new_owner_signature: Option<OwnerSignature>,
    /// The present key's signature over [`Binding::device_proof_message`].
    #[n(3)]
    pub device_proof: Option<Signature>,
    /// The new key's signature over the same message.
    #[n(4)]
    pub new_key_proof: Option<Signature>,
}

/// A binding whose signatures were right and in time. Only [`SignedBinding::verify`] makes one; a registry still checks nonce, owner, and that the
/// key it was checked with is the device's present one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedBinding {
    signed: SignedBinding,
    present: TypedKey,
    at: Timestamp,
}

impl SignedBinding {
    /// Checks deadline and every signature the action needs; owner signatures come out with v of 27 or 28, as the contract wants them.
    ///
    /// `present` is the key the device signs with now: for a registration the one it was born with, else what its registry record says.
    ///
    /// # Errors
    /// [`BindingError`].
    pub fn verify(&self, now: Timestamp, present: TypedKey) -> Result<AcceptedBinding, BindingError> {
        let binding = &self.binding;
        if now.0.div_euclid(1000) > binding.deadline {
            return Err(BindingError::Expired { deadline: binding.deadline, now });
        }
        match binding.action {
            Action::Compromise { since, .. } if since > now.0.div_euclid(1000) => {
                return Err(BindingError::Future { since, now });
            }
            Action::Transfer { new_owner, .. } if new_owner == binding.owner => {
                return Err(BindingError::SameOwner { owner: new_owner });
            }
            _ => {}
        }
        let hash = binding.signing_hash();
        let needs_owner = match binding.action {
            // Whoever cannot use the present key any more consents as its owner.
            Action::Rotate { .. } => self.device_proof.is_none(),
            _ => true,
        };
        let owner_signature =
            owned(&self.owner_signature, "owner", &hash, needs_owner.then_some(binding.owner))?;
        let new_owner = match binding.action {
            Action::Transfer { new_owner, .. } => Some(new_owner),
            _ => None,
        };
        let new_owner_signature = owned(&self.new_owner_signature, "new owner", &hash, new_owner)?;
        let needs_device = match binding.action {
            Action::Register { .. } | Action::Transfer { .. } => true,
            Action::Rotate { .. } => !needs_owner,
            _ => false,
        };
        proved(binding, self.device_proof, PRESENT_KEY, needs_device.then_some(present))?;
        proved(binding, self.new_key_proof, NEW_KEY, binding.action.new_key())?;
        let signed = Self { owner_signature, new_owner_signature, ..self.clone() };
        Ok(AcceptedBinding { signed, present, at: Timestamp(now.0.div_euclid(1000).saturating_mul(1000)) })
    }
}

impl AcceptedBinding {
    /// The binding.
    pub const fn binding(&self) -> &Binding {
        &self.signed.binding
    }

    /// The binding with its signatures, in the form the contract accepts.
    pub const fn signed(&self) -> &SignedBinding {
        &self.signed
    }

    /// The device's key that it was checked with.
    pub const fn present_key(&self) -> TypedKey {
        self.present
    }

    /// What a registry says once it has carried this out, at the full second at which the binding was checked.
    pub fn to_event(&self) -> ChainEvent {
        let SignedBinding { binding, device_proof, new_key_proof, .. } = &self.signed;
        let Binding { action, device: born, owner, nonce, deadline, .. } = *binding;
        let bytes = |proof: &Option<Signature>| proof.map(|proof| proof.0.to_vec()).unwrap_or_default();
        let (proof, new_proof) = (bytes(device_proof), bytes(new_key_proof));
        let (device, at) = (born.on_chain(), self.at);
        match action {
            Action::Register { active } => {
                ChainEvent::DeviceRegistered { device: born, owner, nonce, deadline, proof, active, at }
            }
            Action::Transfer { new_owner: to, new_key, cut_over, voucher } => ChainEvent::DeviceTransferred {
                device,
                from: owner,
                to,
                nonce,
                deadline,
                proof,
                new_key,
                new_key_proof: new_proof,
                cut_over,
                voucher,
                at,
            },
            Action::Rotate { new_key, last_boot, last_sequence } => ChainEvent::KeyRotated {
                device,
                new_key,
                last_boot,
                last_sequence,
                nonce,
                deadline,
                old_proof: proof,
                new_proof,
                at,
            },
            Action::Compromise { key, since } => {
                let since = Timestamp(since.saturating_mul(1000));
                ChainEvent::KeyCompromised { device, key, since, at }
            }
            Action::Activate => ChainEvent::DeviceActivated { device, at },
            Action::Suspend => ChainEvent::DeviceSuspended { device, at },
            Action::Resume => ChainEvent::DeviceResumed { device, at },
            Action::Deactivate => ChainEvent::DeviceDeactivated { device, at },
        }
    }
}

/// Checks the signature of `wanted`, or that there is none when nobody's is wanted.
fn owned(
    signature: &Option<OwnerSignature>,
    by: &'static str,
    hash: &B256,
    wanted: Option<Address>,
) -> Result<Option<OwnerSignature>, BindingError> {
    match (signature, wanted) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(BindingError::Unexpected { by }),
        (None, Some(_)) => Err(BindingError::Missing { by }),
        (Some(signature), Some(expected)) => recovers_to(signature, by, expected, hash).map(Some),
    }
}

/// Checks the proof of the key `wanted`, or that there is none when none is wanted.
fn proved(
    binding: &Binding,
    proof: Option<Signature>,
    by: &'static str,
    wanted: Option<TypedKey>,
) -> Result<(), BindingError> {
    match (proof, wanted) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(BindingError::Unexpected { by }),
        (None, Some(_)) => Err(BindingError::Missing { by }),
        (Some(proof), Some(key)) => binding.verify_proof(&PublicKey::new(key)?, by, &proof.0),
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
    let given = signature.0.first_chunk().map(|both| Signature(*both));
    let counts = given.and_then(|given| low_s(KeyType::Secp256k1, &given));
    if counts.is_some() && counts != given {
        return Err(BindingError::HighS { by });
    }
    match parsed.recover_address_from_prehash(hash) {
        Ok(found) if found == expected => Ok(OwnerSignature(parsed.as_bytes())),
        found => Err(BindingError::OwnerSignature { by, expected, found: found.ok() }),
    }
}
