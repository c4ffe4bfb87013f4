//! Checks that any implementation of a seam of this crate runs against itself, ours and third parties' alike.
//!
//! Each check is a rule. It returns the [`Violation`] it saw, so that it fits any test runner and any executor.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt::Debug;

use alloy_primitives::Address;
use depin_core::{DeviceId, Timestamp, sha256};
use k256::ecdsa::SigningKey;

use crate::{
    AcceptedBinding, Action, Binding, DeviceRecord, DeviceRegistry, DeviceSigner, Domain, OwnerSignature,
    PublicKey, SignedBinding, SoftwareKey, SubmitError,
};

pub use crate::did::conformance::did_resolver;

/// A rule that an implementation broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: expected {expected}, found {found}")]
pub struct Violation {
    /// The rule: the name of the check.
    pub rule: &'static str,
    /// What the rule expects.
    pub expected: String,
    /// What the implementation did.
    pub found: String,
}

/// Every rule of a [`DeviceSigner`]: one fit key, and strict signatures by it over messages of any length.
///
/// # Errors
/// The first [`Violation`].
pub async fn device_signer(signer: &dyn DeviceSigner) -> Result<(), Violation> {
    const RULE: &str = "device_signer";
    let typed = signer.public_key();
    let key = PublicKey::new(typed).map_err(|error| violation(RULE, "a key fit to register", error))?;
    for len in [0, 1, 63, 64, 65, 4096, 1 << 20] {
        let message: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        let signature = signer.sign(&message).await.map_err(|error| violation(RULE, "a signature", error))?;
        key.verify(&message, &signature).map_err(|error| violation(RULE, "a signature by its key", error))?;
        let mut longer = message;
        longer.push(0);
        if key.verify(&longer, &signature).is_ok() {
            return Err(violation(RULE, "a signature over the whole message", "one that ignores its end"));
        }
    }
    same(RULE, &typed, &signer.public_key())
}

/// The rules of a [`DeviceRegistry`], with devices and owners made from a seed.
///
/// Every rule uses devices of its own, so a registry may hold others already; a seed serves once per registry.
#[derive(Clone, Copy)]
pub struct RegistryRules<'a> {
    registry: &'a dyn DeviceRegistry,
    seed: [u8; 32],
    deadline: u64,
    now: Timestamp,
}

/// A party of the rules.
struct Owner {
    key: SigningKey,
    address: Address,
}

impl<'a> RegistryRules<'a> {
    /// Rules for `registry`, whose clock stands within half an hour of `now`.
    pub const fn new(registry: &'a dyn DeviceRegistry, seed: [u8; 32], now: Timestamp) -> Self {
        // Long enough for a slow chain, short enough to be a deadline.
        Self { registry, seed, deadline: now.0.div_euclid(1000).saturating_add(7200), now }
    }

    /// Every rule.
    ///
    /// # Errors
    /// The first [`Violation`].
    pub async fn all(&self) -> Result<(), Violation> {
        self.unknown_devices_are_absent().await?;
        self.a_registration_shows().await?;
        self.a_device_registers_once().await?;
        self.another_domain_is_refused().await?;
        self.a_transfer_shows().await?;
        self.a_nonce_serves_once().await?;
        self.only_the_owner_disposes().await?;
        self.deactivation_is_for_ever().await
    }

    /// What was never registered is not found, and cannot be transferred or deactivated.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn unknown_devices_are_absent(&self) -> Result<(), Violation> {
        const RULE: &str = "unknown_devices_are_absent";
        let (device, owner) = (self.device(RULE), self.owner(RULE, "owner")?);
        let id = DeviceId(device.public_key());
        same(RULE, &None, &self.read(RULE, &id).await?)?;
        same(RULE, &None, &self.read_by_key(RULE, &id).await?)?;
        let binding = self.binding(Action::Deactivate, &device, &owner, 0);
        self.refused(RULE, &self.sign(binding, &device, &owner, None)?).await?;
        same(RULE, &None, &self.read(RULE, &id).await?)
    }

    /// A registered device is found by its id and by its key, with its owner, and only it.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_registration_shows(&self) -> Result<(), Violation> {
        const RULE: &str = "a_registration_shows";
        let (device, owner) = (self.device(RULE), self.owner(RULE, "owner")?);
        let expected = self.register(RULE, &device, &owner).await?;
        same(RULE, &Some(&expected), &self.read_by_key(RULE, &expected.device).await?.as_ref())?;
        let other = DeviceId(self.device("another device").public_key());
        same(RULE, &None, &self.read(RULE, &other).await?)
    }

    /// A device is registered once: not again by its owner, and not by another.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_device_registers_once(&self) -> Result<(), Violation> {
        const RULE: &str = "a_device_registers_once";
        let (device, owner) = (self.device(RULE), self.owner(RULE, "owner")?);
        let other = self.owner(RULE, "other")?;
        let record = self.register(RULE, &device, &owner).await?;
        for (owner, nonce) in [(&owner, 0), (&owner, 1), (&other, 0), (&other, 1)] {
            let again = self.binding(Action::Register, &device, owner, nonce);
            self.refused(RULE, &self.sign(again, &device, owner, None)?).await?;
            self.expect(RULE, &record).await?;
        }
        Ok(())
    }

    /// A binding for another chain or contract is refused.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn another_domain_is_refused(&self) -> Result<(), Violation> {
        const RULE: &str = "another_domain_is_refused";
        let (device, owner) = (self.device(RULE), self.owner(RULE, "owner")?);
        let Domain { chain_id, contract } = self.registry.domain();
        for domain in [
            Domain { chain_id: chain_id.wrapping_add(1), contract },
            Domain { chain_id, contract: Address::from_word(sha256(&[contract.as_slice()]).0.into()) },
        ] {
            let binding = Binding { domain, ..self.binding(Action::Register, &device, &owner, 0) };
            self.refused(RULE, &self.sign(binding, &device, &owner, None)?).await?;
            same(RULE, &None, &self.read(RULE, &DeviceId(device.public_key())).await?)?;
        }
        Ok(())
    }

    /// A transfer changes the owner, raises the ownership epoch and uses a nonce.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_transfer_shows(&self) -> Result<(), Violation> {
        const RULE: &str = "a_transfer_shows";
        let (device, owner) = (self.device(RULE), self.owner(RULE, "owner")?);
        let buyer = self.owner(RULE, "buyer")?;
        let record = self.register(RULE, &device, &owner).await?;
        self.accepted(RULE, &self.transfer(&device, &owner, &buyer, 1)?).await?;
        let sold = DeviceRecord { owner: buyer.address, ownership_epoch: 1, next_nonce: 2, ..record };
        self.expect(RULE, &sold).await
    }

    /// A nonce serves once, in its order: neither the same signatures again, nor older ones, nor later ones.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_nonce_serves_once(&self) -> Result<(), Violation> {
        const RULE: &str = "a_nonce_serves_once";
        let (device, owner) = (self.device(RULE), self.owner(RULE, "owner")?);
        let buyer = self.owner(RULE, "buyer")?;
        let record = self.register(RULE, &device, &owner).await?;
        for nonce in [0, 2, u64::from(u32::MAX)] {
            self.refused(RULE, &self.transfer(&device, &owner, &buyer, nonce)?).await?;
            self.expect(RULE, &record).await?;
        }
        let sale = self.transfer(&device, &owner, &buyer, 1)?;
        self.accepted(RULE, &sale).await?;
        self.refused(RULE, &sale).await?;
        self.accepted(RULE, &self.transfer(&device, &buyer, &owner, 2)?).await?;
        // The device is its first owner's again, and the old signatures would fit but for the nonce.
        self.refused(RULE, &sale).await?;
        self.expect(RULE, &DeviceRecord { ownership_epoch: 2, next_nonce: 3, ..record }).await
    }

    /// Nobody but the owner transfers or deactivates, whatever a stranger signs.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn only_the_owner_disposes(&self) -> Result<(), Violation> {
        const RULE: &str = "only_the_owner_disposes";
        let (device, owner) = (self.device(RULE), self.owner(RULE, "owner")?);
        let (stranger, friend) = (self.owner(RULE, "stranger")?, self.owner(RULE, "friend")?);
        let record = self.register(RULE, &device, &owner).await?;
        self.refused(RULE, &self.transfer(&device, &stranger, &friend, 1)?).await?;
        self.expect(RULE, &record).await?;
        let binding = self.binding(Action::Deactivate, &device, &stranger, 1);
        self.refused(RULE, &self.sign(binding, &device, &stranger, None)?).await?;
        self.expect(RULE, &record).await
    }

    /// A deactivated device stays on record, and nothing can be done to it any more.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn deactivation_is_for_ever(&self) -> Result<(), Violation> {
        const RULE: &str = "deactivation_is_for_ever";
        let (device, owner) = (self.device(RULE), self.owner(RULE, "owner")?);
        let buyer = self.owner(RULE, "buyer")?;
        let record = self.register(RULE, &device, &owner).await?;
        let off = self.binding(Action::Deactivate, &device, &owner, 1);
        self.accepted(RULE, &self.sign(off, &device, &owner, None)?).await?;
        let gone = DeviceRecord { active: false, next_nonce: 2, ..record };
        self.expect(RULE, &gone).await?;
        self.refused(RULE, &self.transfer(&device, &owner, &buyer, 2)?).await?;
        for nonce in [0, 2] {
            let again = self.binding(Action::Register, &device, &owner, nonce);
            self.refused(RULE, &self.sign(again, &device, &owner, None)?).await?;
        }
        self.expect(RULE, &gone).await
    }

    fn device(&self, rule: &str) -> SoftwareKey {
        SoftwareKey::from_seed(sha256(&[&self.seed, b"device", rule.as_bytes()]).0)
    }

    fn owner(&self, rule: &'static str, name: &str) -> Result<Owner, Violation> {
        let secret = sha256(&[&self.seed, name.as_bytes(), b" of ", rule.as_bytes()]);
        let key = SigningKey::from_slice(&secret.0)
            .map_err(|error| violation(rule, "a seed that makes owner keys", error))?;
        Ok(Owner { address: Address::from_private_key(&key), key })
    }

    fn binding(&self, action: Action, device: &SoftwareKey, owner: &Owner, nonce: u64) -> Binding {
        let (device, domain) = (DeviceId(device.public_key()), self.registry.domain());
        Binding { action, device, owner: owner.address, domain, nonce, deadline: self.deadline }
    }

    fn transfer(
        &self,
        device: &SoftwareKey,
        owner: &Owner,
        buyer: &Owner,
        nonce: u64,
    ) -> Result<AcceptedBinding, Violation> {
        let action = Action::Transfer { new_owner: buyer.address };
        self.sign(self.binding(action, device, owner, nonce), device, owner, Some(buyer))
    }

    fn sign(
        &self,
        binding: Binding,
        device: &SoftwareKey,
        owner: &Owner,
        new_owner: Option<&Owner>,
    ) -> Result<AcceptedBinding, Violation> {
        const RULE: &str = "signatures of the suite";
        let by = |owner: &Owner| {
            let signed = owner.key.sign_prehash_recoverable(binding.signing_hash().as_slice());
            let signed = signed.map_err(|error| violation(RULE, "a signature", error))?;
            Ok(OwnerSignature(alloy_primitives::Signature::from(signed).as_bytes()))
        };
        let device_proof = match binding.action {
            Action::Deactivate => None,
            Action::Register | Action::Transfer { .. } => {
                Some(device.signature(&binding.device_proof_message()))
            }
        };
        let signed = SignedBinding {
            owner_signature: by(owner)?,
            new_owner_signature: new_owner.map(by).transpose()?,
            device_proof,
            binding,
        };
        signed.verify(self.now).map_err(|error| violation(RULE, "right signatures", error))
    }

    async fn register(
        &self,
        rule: &'static str,
        device: &SoftwareKey,
        owner: &Owner,
    ) -> Result<DeviceRecord, Violation> {
        let binding = self.binding(Action::Register, device, owner, 0);
        self.accepted(rule, &self.sign(binding, device, owner, None)?).await?;
        let record = DeviceRecord::registered(DeviceId(device.public_key()), owner.address);
        self.expect(rule, &record).await?;
        Ok(record)
    }

    async fn accepted(&self, rule: &'static str, binding: &AcceptedBinding) -> Result<(), Violation> {
        self.registry.submit(binding).await.map_err(|error| violation(rule, "the binding carried out", error))
    }

    async fn refused(&self, rule: &'static str, binding: &AcceptedBinding) -> Result<(), Violation> {
        match self.registry.submit(binding).await {
            Err(SubmitError::Unavailable { reason }) => Err(violation(rule, "a refusal", reason)),
            Err(_) => Ok(()),
            Ok(()) => Err(violation(rule, "a refusal", binding.binding())),
        }
    }

    async fn expect(&self, rule: &'static str, record: &DeviceRecord) -> Result<(), Violation> {
        same(rule, &Some(record), &self.read(rule, &record.device).await?.as_ref())
    }

    async fn read(&self, rule: &'static str, device: &DeviceId) -> Result<Option<DeviceRecord>, Violation> {
        self.registry.device(device).await.map_err(|error| violation(rule, "an answer", error))
    }

    async fn read_by_key(
        &self,
        rule: &'static str,
        device: &DeviceId,
    ) -> Result<Option<DeviceRecord>, Violation> {
        self.registry.by_key(&device.key().id()).await.map_err(|error| violation(rule, "an answer", error))
    }
}

impl Debug for RegistryRules<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RegistryRules").field("now", &self.now).finish_non_exhaustive()
    }
}

pub(crate) fn violation(rule: &'static str, expected: &str, found: impl Debug) -> Violation {
    Violation { rule, expected: expected.to_owned(), found: format!("{found:?}") }
}

pub(crate) fn same<T: PartialEq + Debug>(
    rule: &'static str,
    expected: &T,
    found: &T,
) -> Result<(), Violation> {
    if expected == found { Ok(()) } else { Err(violation(rule, &format!("{expected:?}"), found)) }
}
