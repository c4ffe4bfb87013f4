use alloy_primitives::Address;
use depin_core::{DeviceId, TypedKey, sha256};
use k256::ecdsa::SigningKey;

use super::{RegistryRules, Violation, violation};
use crate::{
    AcceptedBinding, Action, Binding, Domain, OwnerSignature, Signature, SignedBinding, SoftwareKey,
};

/// An owner of the rules.
pub(super) struct Owner {
    key: SigningKey,
    pub(super) address: Address,
}

/// A device of the rules: the key it was born with and the one it signs with.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) id: DeviceId,
    pub(super) key: SoftwareKey,
}

/// Who signs, besides the device's key where the action wants it.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    pub(super) device: &'a Device,
    pub(super) owner: &'a Owner,
    pub(super) new_owner: Option<&'a Owner>,
    pub(super) new_key: Option<&'a SoftwareKey>,
    /// Whether the owner signs a rotation in place of the present key.
    pub(super) recovers: bool,
}

impl Device {
    pub(super) fn typed(&self) -> TypedKey {
        self.key.public().typed()
    }
}

impl RegistryRules<'_> {
    pub(super) fn device_of(&self, rule: &str) -> Device {
        let key = self.key_of(rule, "born");
        Device { id: DeviceId(key.public().typed()), key }
    }

    pub(super) fn key_of(&self, rule: &str, name: &str) -> SoftwareKey {
        SoftwareKey::from_seed(sha256(&[&self.seed, b"device", rule.as_bytes(), b" ", name.as_bytes()]).0)
    }

    pub(super) fn owner_of(&self, rule: &'static str, name: &str) -> Result<Owner, Violation> {
        let secret = sha256(&[&self.seed, name.as_bytes(), b" of ", rule.as_bytes()]);
        let key = SigningKey::from_slice(&secret.0)
            .map_err(|error| violation(rule, "a seed that makes owner keys", error))?;
        Ok(Owner { address: Address::from_private_key(&key), key })
    }

    /// `action`, signed by whoever has to.
    pub(super) fn signed(
        &self,
        action: Action,
        by: By<'_>,
        nonce: u64,
    ) -> Result<AcceptedBinding, Violation> {
        self.signed_for(self.registry.domain(), action, by, nonce)
    }

    pub(super) fn signed_for(
        &self,
        domain: Domain,
        action: Action,
        by: By<'_>,
        nonce: u64,
    ) -> Result<AcceptedBinding, Violation> {
        const RULE: &str = "signatures of the suite";
        let (device, owner) = (by.device.id, by.owner.address);
        let binding = Binding { action, device, owner, domain, nonce, deadline: self.deadline };
        let sign = |owner: &Owner| {
            let signed = owner.key.sign_prehash_recoverable(binding.signing_hash().as_slice());
            let signed = signed.map_err(|error| violation(RULE, "a signature", error))?;
            Ok(OwnerSignature(alloy_primitives::Signature::from(signed).as_bytes()))
        };
        let prove = |key: &SoftwareKey| -> Signature { key.signature(&binding.device_proof_message()) };
        let rotates = matches!(action, Action::Rotate { .. });
        let by_device =
            matches!(action, Action::Register { .. } | Action::Transfer { .. }) || (rotates && !by.recovers);
        let by_owner = !rotates || by.recovers;
        let signed = SignedBinding {
            binding,
            owner_signature: by_owner.then(|| sign(by.owner)).transpose()?,
            new_owner_signature: by.new_owner.map(sign).transpose()?,
            device_proof: by_device.then(|| prove(&by.device.key)),
            new_key_proof: by.new_key.map(prove),
        };
        signed.verify(self.now, by.device.typed()).map_err(|error| violation(RULE, "right signatures", error))
    }
}

impl<'a> By<'a> {
    /// What the owner signs, with the device's key where the action wants it.
    pub(super) const fn owner(device: &'a Device, owner: &'a Owner) -> Self {
        Self { device, owner, new_owner: None, new_key: None, recovers: false }
    }
}
