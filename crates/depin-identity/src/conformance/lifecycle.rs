use depin_core::Timestamp;

use super::{
    RegistryRules, Violation,
    party::{By, Device},
    registry::timeless,
    same,
};
use crate::{Action, DeviceRecord, KeyEnd, Pause, SoftwareKey};

impl RegistryRules<'_> {
    /// A device that is registered without being activated is bound, and its owner activates it once.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn an_activation_shows(&self) -> Result<(), Violation> {
        const RULE: &str = "an_activation_shows";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let by = By::owner(&device, &owner);
        self.accepted(RULE, &self.signed(Action::Register { active: false }, by, 0)?).await?;
        let mut record = DeviceRecord::registered(device.id, owner.address, false, Timestamp::default());
        self.expect(RULE, &record).await?;
        // What is not in service cannot be taken out of it.
        for action in [Action::Suspend, Action::Resume] {
            self.refused(RULE, &self.signed(action, by, 1)?).await?;
        }
        self.accepted(RULE, &self.signed(Action::Activate, by, 1)?).await?;
        (record.activated, record.next_nonce) = (Some(Timestamp::default()), 2);
        self.expect(RULE, &record).await?;
        self.refused(RULE, &self.signed(Action::Activate, by, 2)?).await?;
        self.expect(RULE, &record).await
    }

    /// After a rotation the device is found by both keys, and the new one alone proves anything.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_rotation_shows(&self) -> Result<(), Violation> {
        const RULE: &str = "a_rotation_shows";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let mut record = self.register(RULE, &device, &owner).await?;
        let (second, third) = (self.key_of(RULE, "second"), self.key_of(RULE, "third"));
        let by = By { new_key: Some(&second), ..By::owner(&device, &owner) };
        // Only a key that is compromised gives way to its owner's word.
        let taken = self.signed(rotation(&second), By { recovers: true, ..by }, 1)?;
        self.refused(RULE, &taken).await?;
        self.expect(RULE, &record).await?;
        self.accepted(RULE, &self.signed(rotation(&second), by, 1)?).await?;
        rotated(&mut record, &second);
        self.expect(RULE, &record).await?;
        for id in [device.typed().id(), second.public().id()] {
            let found = self.read_by_key(RULE, &id).await?;
            same(RULE, &Some(&record), &found.map(|found| timeless(&found)).as_ref())?;
        }
        let stale = By { new_key: Some(&third), ..by };
        self.refused(RULE, &self.signed(rotation(&third), stale, 2)?).await?;
        self.expect(RULE, &record).await?;
        let renewed = Device { key: second.clone(), ..device.clone() };
        self.accepted(RULE, &self.signed(rotation(&third), By { device: &renewed, ..stale }, 2)?).await?;
        rotated(&mut record, &third);
        self.expect(RULE, &record).await
    }

    /// A key that a device has, or had, serves no other device, and does not come back.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_key_id_stays_taken(&self) -> Result<(), Violation> {
        const RULE: &str = "a_key_id_stays_taken";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let mut record = self.register(RULE, &device, &owner).await?;
        let second = self.key_of(RULE, "second");
        let by = By { new_key: Some(&second), ..By::owner(&device, &owner) };
        self.accepted(RULE, &self.signed(rotation(&second), by, 1)?).await?;
        rotated(&mut record, &second);
        self.expect(RULE, &record).await?;
        // The new key as a device of its own, and the old one once more.
        let other = Device { id: second.public().typed().into(), key: second.clone() };
        let again = Action::Register { active: true };
        self.refused(RULE, &self.signed(again, By::owner(&other, &owner), 0)?).await?;
        let renewed = Device { key: second.clone(), ..device.clone() };
        let back = By { device: &renewed, new_key: Some(&device.key), ..by };
        self.refused(RULE, &self.signed(rotation(&device.key), back, 2)?).await?;
        self.expect(RULE, &record).await
    }

    /// A key that was declared compromised, since a moment that only moves back, proves nothing any more: its owner alone replaces it.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_compromised_key_proves_nothing(&self) -> Result<(), Violation> {
        const RULE: &str = "a_compromised_key_proves_nothing";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let buyer = self.owner_of(RULE, "buyer")?;
        let mut record = self.register(RULE, &device, &owner).await?;
        let (second, by) = (self.key_of(RULE, "second"), By::owner(&device, &owner));
        let since = self.now.0.div_euclid(1000).saturating_sub(3600);
        let key = device.typed().id();
        let foreign = Action::Compromise { key: second.public().id(), since };
        self.refused(RULE, &self.signed(foreign, by, 1)?).await?;
        for (nonce, since) in [(1, since), (2, since.saturating_sub(60))] {
            self.accepted(RULE, &self.signed(Action::Compromise { key, since }, by, nonce)?).await?;
            let known = record.keys_mut().first_mut();
            known.into_iter().for_each(|known| {
                known.compromised = Some(Timestamp(since.saturating_mul(1000)));
            });
            record.next_nonce = nonce.saturating_add(1);
            self.expect(RULE, &record).await?;
        }
        self.refused(RULE, &self.signed(Action::Compromise { key, since }, by, 3)?).await?;
        let by = By { new_key: Some(&second), ..by };
        self.refused(RULE, &self.signed(rotation(&second), by, 3)?).await?;
        self.refused(RULE, &self.sale(&device, &owner, &buyer, &second, 3)?).await?;
        self.expect(RULE, &record).await?;
        let stolen = By { owner: &buyer, recovers: true, ..by };
        self.refused(RULE, &self.signed(rotation(&second), stolen, 3)?).await?;
        self.expect(RULE, &record).await?;
        self.accepted(RULE, &self.signed(rotation(&second), By { recovers: true, ..by }, 3)?).await?;
        rotated(&mut record, &second);
        self.expect(RULE, &record).await
    }

    /// A device is suspended once, resumed once, and both stay on record.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_suspension_shows_and_ends(&self) -> Result<(), Violation> {
        const RULE: &str = "a_suspension_shows_and_ends";
        let (device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let mut record = self.register(RULE, &device, &owner).await?;
        let by = By::owner(&device, &owner);
        let none = Timestamp::default();
        self.refused(RULE, &self.signed(Action::Resume, by, 1)?).await?;
        self.accepted(RULE, &self.signed(Action::Suspend, by, 1)?).await?;
        record.past_mut().pauses.push(Pause { from: none, until: None });
        record.next_nonce = 2;
        self.expect(RULE, &record).await?;
        self.refused(RULE, &self.signed(Action::Suspend, by, 2)?).await?;
        self.accepted(RULE, &self.signed(Action::Resume, by, 2)?).await?;
        record.past_mut().pauses = [Pause { from: none, until: Some(none) }].to_vec();
        record.next_nonce = 3;
        self.expect(RULE, &record).await?;
        self.refused(RULE, &self.signed(Action::Resume, by, 3)?).await?;
        self.expect(RULE, &record).await
    }
}

/// The terms of every rotation.
const LAST: (u32, u64) = (3, 77);

pub(super) fn rotation(key: &SoftwareKey) -> Action {
    Action::Rotate { new_key: key.public().typed(), last_boot: LAST.0, last_sequence: LAST.1 }
}

/// What a rotation does to a record without moments.
pub(super) fn rotated(record: &mut DeviceRecord, key: &SoftwareKey) {
    let (at, from) = (Timestamp::default(), record.present_key().from);
    let end = KeyEnd::Rotated { at, last_boot: LAST.0, last_sequence: LAST.1 };
    record.next_key(key.public().typed(), at, from, end);
    record.next_nonce = record.next_nonce.saturating_add(1);
}
