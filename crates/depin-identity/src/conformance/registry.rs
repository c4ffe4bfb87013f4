use core::fmt::Debug;

use alloy_primitives::Address;
use depin_core::{DeviceId, Digest, Epoch, KeyId, Timestamp, sha256};

use super::{
    Violation,
    party::{By, Device, Owner},
    same, violation,
};
use crate::{
    AcceptedBinding, Action, DeviceRecord, DeviceRegistry, Domain, KeyEnd, SoftwareKey, SubmitError,
};

/// The rules of a [`DeviceRegistry`], with devices and owners made from a seed.
///
/// Every rule uses devices of its own, so a registry may hold others already; a seed serves once per registry. Moments are the registry's own, and
/// are only compared with the clock that it is said to have.
#[derive(Clone, Copy)]
pub struct RegistryRules<'a> {
    pub(super) registry: &'a dyn DeviceRegistry,
    pub(super) seed: [u8; 32],
    pub(super) deadline: u64,
    pub(super) now: Timestamp,
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
        self.an_activation_shows().await?;
        self.a_rotation_shows().await?;
        self.a_key_id_stays_taken().await?;
        self.a_compromised_key_proves_nothing().await?;
        self.a_sold_key_stays_as_it_is().await?;
        self.the_last_keys_are_the_owners().await?;
        self.a_suspension_shows_and_ends().await?;
        self.deactivation_is_for_ever().await
    }

    /// What was never registered is not found, and cannot be transferred or deactivated.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn unknown_devices_are_absent(&self) -> Result<(), Violation> {
        const RULE: &str = "unknown_devices_are_absent";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        same(RULE, &None, &self.read(RULE, &device.id).await?)?;
        same(RULE, &None, &self.read_by_key(RULE, &device.id.key().id()).await?)?;
        let by = By::owner(&device, &owner);
        for action in [Action::Activate, Action::Suspend, Action::Resume, Action::Deactivate] {
            self.refused(RULE, &self.signed(action, by, 0)?).await?;
            same(RULE, &None, &self.read(RULE, &device.id).await?)?;
        }
        Ok(())
    }

    /// A registered device is found by its id and by its key, with its owner, and only it.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_registration_shows(&self) -> Result<(), Violation> {
        const RULE: &str = "a_registration_shows";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let expected = self.register(RULE, &device, &owner).await?;
        let found = self.read_by_key(RULE, &device.id.key().id()).await?;
        same(RULE, &Some(expected), &found.map(|found| timeless(&found)))?;
        let other = self.device_of("another device").id;
        same(RULE, &None, &self.read(RULE, &other).await?)
    }

    /// A device is registered once: not again by its owner, and not by another.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_device_registers_once(&self) -> Result<(), Violation> {
        const RULE: &str = "a_device_registers_once";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let other = self.owner_of(RULE, "other")?;
        let record = self.register(RULE, &device, &owner).await?;
        for (owner, nonce) in [(&owner, 0), (&owner, 1), (&other, 0), (&other, 1)] {
            let action = Action::Register { active: true };
            self.refused(RULE, &self.signed(action, By::owner(&device, owner), nonce)?).await?;
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
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let Domain { chain_id, contract } = self.registry.domain();
        for domain in [
            Domain { chain_id: chain_id.wrapping_add(1), contract },
            Domain { chain_id, contract: Address::from_word(sha256(&[contract.as_slice()]).0.into()) },
        ] {
            let action = Action::Register { active: true };
            let binding = self.signed_for(domain, action, By::owner(&device, &owner), 0)?;
            self.refused(RULE, &binding).await?;
            same(RULE, &None, &self.read(RULE, &device.id).await?)?;
        }
        Ok(())
    }

    /// A transfer changes owner and key from its cut-over on, raises the ownership epoch and uses a nonce.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_transfer_shows(&self) -> Result<(), Violation> {
        const RULE: &str = "a_transfer_shows";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let buyer = self.owner_of(RULE, "buyer")?;
        let mut record = self.register(RULE, &device, &owner).await?;
        let key = self.key_of(RULE, "second");
        let sale = self.sale(&device, &owner, &buyer, &key, 1)?;
        self.accepted(RULE, &sale).await?;
        sold(&mut record, &buyer, &key);
        self.expect(RULE, &record).await?;
        let found = self.read_by_key(RULE, &key.public().id()).await?;
        same(RULE, &Some(record), &found.map(|found| timeless(&found)))
    }

    /// A nonce serves once, in its order: neither the same signatures again, nor older ones, nor later ones.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_nonce_serves_once(&self) -> Result<(), Violation> {
        const RULE: &str = "a_nonce_serves_once";
        let (mut device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let buyer = self.owner_of(RULE, "buyer")?;
        let mut record = self.register(RULE, &device, &owner).await?;
        let (second, third) = (self.key_of(RULE, "second"), self.key_of(RULE, "third"));
        for nonce in [0, 2, u64::from(u32::MAX)] {
            self.refused(RULE, &self.sale(&device, &owner, &buyer, &second, nonce)?).await?;
            self.expect(RULE, &record).await?;
        }
        let sale = self.sale(&device, &owner, &buyer, &second, 1)?;
        self.accepted(RULE, &sale).await?;
        self.refused(RULE, &sale).await?;
        sold(&mut record, &buyer, &second);
        device.key = second;
        self.accepted(RULE, &self.sale(&device, &buyer, &owner, &third, 2)?).await?;
        // The device is its first owner's again, and the old signatures would fit but for nonce and key.
        self.refused(RULE, &sale).await?;
        sold(&mut record, &owner, &third);
        self.expect(RULE, &record).await
    }

    /// Nobody but the owner disposes of a device, whatever a stranger signs.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn only_the_owner_disposes(&self) -> Result<(), Violation> {
        const RULE: &str = "only_the_owner_disposes";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let (stranger, friend) = (self.owner_of(RULE, "stranger")?, self.owner_of(RULE, "friend")?);
        let record = self.register(RULE, &device, &owner).await?;
        let key = self.key_of(RULE, "second");
        self.refused(RULE, &self.sale(&device, &stranger, &friend, &key, 1)?).await?;
        self.expect(RULE, &record).await?;
        let compromise = Action::Compromise { key: device.id.key().id(), since: 0 };
        for action in [Action::Suspend, compromise, Action::Deactivate] {
            self.refused(RULE, &self.signed(action, By::owner(&device, &stranger), 1)?).await?;
            self.expect(RULE, &record).await?;
        }
        Ok(())
    }

    /// A deactivated device stays on record, and nothing can be done to it any more.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn deactivation_is_for_ever(&self) -> Result<(), Violation> {
        const RULE: &str = "deactivation_is_for_ever";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let buyer = self.owner_of(RULE, "buyer")?;
        let mut record = self.register(RULE, &device, &owner).await?;
        let by = By::owner(&device, &owner);
        self.accepted(RULE, &self.signed(Action::Deactivate, by, 1)?).await?;
        record.past.get_or_insert_default().deactivated = Some(Timestamp::default());
        record.next_nonce = 2;
        self.expect(RULE, &record).await?;
        let key = self.key_of(RULE, "second");
        self.refused(RULE, &self.sale(&device, &owner, &buyer, &key, 2)?).await?;
        for nonce in [0, 2] {
            let again = Action::Register { active: true };
            self.refused(RULE, &self.signed(again, by, nonce)?).await?;
        }
        for action in [Action::Activate, Action::Suspend, Action::Resume, Action::Deactivate] {
            self.refused(RULE, &self.signed(action, by, 2)?).await?;
        }
        self.expect(RULE, &record).await
    }

    pub(super) fn sale(
        &self,
        device: &Device,
        owner: &Owner,
        buyer: &Owner,
        key: &SoftwareKey,
        nonce: u64,
    ) -> Result<AcceptedBinding, Violation> {
        let (new_owner, new_key) = (buyer.address, key.public().typed());
        let action = Action::Transfer { new_owner, new_key, cut_over: CUT_OVER, voucher: VOUCHER };
        let by = By { new_owner: Some(buyer), new_key: Some(key), ..By::owner(device, owner) };
        self.signed(action, by, nonce)
    }

    pub(super) async fn register(
        &self,
        rule: &'static str,
        device: &Device,
        owner: &Owner,
    ) -> Result<DeviceRecord, Violation> {
        let action = Action::Register { active: true };
        self.accepted(rule, &self.signed(action, By::owner(device, owner), 0)?).await?;
        let record = DeviceRecord::registered(device.id, owner.address, true, Timestamp::default());
        self.expect(rule, &record).await?;
        Ok(record)
    }

    pub(super) async fn accepted(
        &self,
        rule: &'static str,
        binding: &AcceptedBinding,
    ) -> Result<(), Violation> {
        self.registry.submit(binding).await.map_err(|error| violation(rule, "the binding carried out", error))
    }

    pub(super) async fn refused(
        &self,
        rule: &'static str,
        binding: &AcceptedBinding,
    ) -> Result<(), Violation> {
        match self.registry.submit(binding).await {
            Err(SubmitError::Unavailable { reason }) => Err(violation(rule, "a refusal", reason)),
            Err(_) => Ok(()),
            Ok(()) => Err(violation(rule, "a refusal", binding.binding())),
        }
    }

    /// Whether the registry shows `record`, whose moments are left out.
    pub(super) async fn expect(&self, rule: &'static str, record: &DeviceRecord) -> Result<(), Violation> {
        let found = self.read(rule, &record.device).await?;
        if let Some(at) = found.as_ref().and_then(|found| moments(found).find(|at| self.is_off(*at))) {
            return Err(violation(rule, "moments of the registry's clock", at));
        }
        same(rule, &Some(record), &found.map(|found| timeless(&found)).as_ref())
    }

    fn is_off(&self, at: Timestamp) -> bool {
        at.distance(self.now).0 > 3_600_000
    }

    async fn read(&self, rule: &'static str, device: &DeviceId) -> Result<Option<DeviceRecord>, Violation> {
        self.registry.device(device).await.map_err(|error| violation(rule, "an answer", error))
    }

    pub(super) async fn read_by_key(
        &self,
        rule: &'static str,
        id: &KeyId,
    ) -> Result<Option<DeviceRecord>, Violation> {
        self.registry.by_key(id).await.map_err(|error| violation(rule, "an answer", error))
    }
}

impl Debug for RegistryRules<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RegistryRules").field("now", &self.now).finish_non_exhaustive()
    }
}

/// The terms of every sale.
const CUT_OVER: Epoch = Epoch(9);
const VOUCHER: Digest = Digest([0x55; 32]);

/// What a sale does to a record without moments.
pub(super) fn sold(record: &mut DeviceRecord, buyer: &Owner, key: &SoftwareKey) {
    let end = KeyEnd::Transferred { cut_over: CUT_OVER };
    record.next_owner(buyer.address, CUT_OVER, Timestamp::default(), VOUCHER);
    record.next_key(key.public().typed(), Timestamp::default(), CUT_OVER, end);
    record.next_nonce = record.next_nonce.saturating_add(1);
}

/// The moments that are the registry's own.
fn moments(record: &DeviceRecord) -> impl Iterator<Item = Timestamp> {
    let ends = record.keys().filter_map(|key| match key.end {
        Some(KeyEnd::Rotated { at, .. }) => Some(at),
        _ => None,
    });
    let pauses = record.pauses().iter().flat_map(|pause| [Some(pause.from), pause.until]).flatten();
    let single = [Some(record.registered), record.activated, record.deactivated()].into_iter().flatten();
    let told = record.owners().map(|tenure| tenure.at).chain(record.keys().map(|key| key.since));
    single.chain(told).chain(ends).chain(pauses)
}

/// `record` with every moment of the registry's own at the beginning of time.
pub(super) fn timeless(record: &DeviceRecord) -> DeviceRecord {
    let mut record = record.clone();
    let none = Timestamp::default();
    record.registered = none;
    record.activated = record.activated.map(|_| none);
    if let Some(past) = &mut record.past {
        past.owners.iter_mut().for_each(|tenure| tenure.at = none);
        for key in &mut past.keys {
            key.since = none;
            if let Some(KeyEnd::Rotated { at, .. }) = &mut key.end {
                *at = none;
            }
        }
        for pause in &mut past.pauses {
            (pause.from, pause.until) = (none, pause.until.map(|_| none));
        }
        past.deactivated = past.deactivated.map(|_| none);
    }
    record
}
