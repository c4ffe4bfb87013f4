use alloc::format;

use depin_core::Timestamp;

use super::{
    RegistryRules, Violation,
    lifecycle::{rotated, rotation},
    party::By,
    registry::sold,
};
use crate::{Action, DeviceRecord, SoftwareKey};

impl RegistryRules<'_> {
    /// A new owner declares the keys of its own time compromised, also before the cut-over, and none of an owner before.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn a_sold_key_stays_as_it_is(&self) -> Result<(), Violation> {
        const RULE: &str = "a_sold_key_stays_as_it_is";
        let (mut device, seller) = (self.device_of(RULE), self.owner_of(RULE, "seller")?);
        let buyer = self.owner_of(RULE, "buyer")?;
        let mut record = self.register(RULE, &device, &seller).await?;
        let (second, third) = (self.key_of(RULE, "second"), self.key_of(RULE, "third"));
        let (born, moment) = (device.key.clone(), self.now.0.div_euclid(1000).saturating_sub(3600));
        let compromise = |key: &SoftwareKey, since| Action::Compromise { key: key.public().id(), since };
        self.accepted(RULE, &self.signed(compromise(&born, moment), By::owner(&device, &seller), 1)?).await?;
        struck(&mut record, moment);
        self.expect(RULE, &record).await?;
        let by = By { new_key: Some(&second), recovers: true, ..By::owner(&device, &seller) };
        self.accepted(RULE, &self.signed(rotation(&second), by, 2)?).await?;
        rotated(&mut record, &second);
        device.key = second.clone();
        self.accepted(RULE, &self.sale(&device, &seller, &buyer, &third, 3)?).await?;
        sold(&mut record, &buyer, &third);
        self.expect(RULE, &record).await?;
        device.key = third.clone();
        for key in [&born, &second] {
            for since in [0, moment.saturating_sub(60), moment] {
                let void = self.signed(compromise(key, since), By::owner(&device, &buyer), 4)?;
                self.refused(RULE, &void).await?;
                self.expect(RULE, &record).await?;
            }
        }
        self.accepted(RULE, &self.signed(compromise(&third, moment), By::owner(&device, &buyer), 4)?).await?;
        struck(&mut record, moment);
        self.expect(RULE, &record).await
    }

    /// Whoever has the present key rotates only so often: the last keys come with the owner's signature, by recoveries and transfers.
    ///
    /// # Errors
    /// A [`Violation`].
    pub async fn the_last_keys_are_the_owners(&self) -> Result<(), Violation> {
        const RULE: &str = "the_last_keys_are_the_owners";
        let (mut device, owner) = (self.device_of(RULE), self.owner_of(RULE, "owner")?);
        let mut record = self.register(RULE, &device, &owner).await?;
        let free = DeviceRecord::MAX_KEYS.saturating_sub(DeviceRecord::KEPT_FOR_OWNER);
        for number in 1..free {
            let next = self.key_of(RULE, &format!("number {number}"));
            let by = By { new_key: Some(&next), ..By::owner(&device, &owner) };
            self.accepted(RULE, &self.signed(rotation(&next), by, record.next_nonce)?).await?;
            rotated(&mut record, &next);
            device.key = next;
        }
        self.expect(RULE, &record).await?;
        let (mine, sold_with) = (self.key_of(RULE, "the owner's"), self.key_of(RULE, "the buyer's"));
        let by = By { new_key: Some(&mine), ..By::owner(&device, &owner) };
        self.refused(RULE, &self.signed(rotation(&mine), by, record.next_nonce)?).await?;
        self.expect(RULE, &record).await?;
        let since = self.now.0.div_euclid(1000).saturating_sub(3600);
        let compromise = Action::Compromise { key: device.typed().id(), since };
        self.accepted(RULE, &self.signed(compromise, By::owner(&device, &owner), record.next_nonce)?).await?;
        struck(&mut record, since);
        let by = By { recovers: true, ..by };
        self.accepted(RULE, &self.signed(rotation(&mine), by, record.next_nonce)?).await?;
        rotated(&mut record, &mine);
        device.key = mine;
        self.expect(RULE, &record).await?;
        let by = By { new_key: Some(&sold_with), ..By::owner(&device, &owner) };
        self.refused(RULE, &self.signed(rotation(&sold_with), by, record.next_nonce)?).await?;
        let buyer = self.owner_of(RULE, "buyer")?;
        let sale = self.sale(&device, &owner, &buyer, &sold_with, record.next_nonce)?;
        self.accepted(RULE, &sale).await?;
        sold(&mut record, &buyer, &sold_with);
        self.expect(RULE, &record).await
    }
}

/// What it does to a record that its present key is declared compromised since `since`, in seconds.
fn struck(record: &mut DeviceRecord, since: u64) {
    if let Some(present) = record.keys_mut().last_mut() {
        present.compromised = Some(Timestamp(since.saturating_mul(1000)));
    }
    record.next_nonce = record.next_nonce.saturating_add(1);
}
