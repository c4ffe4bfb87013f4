//! What happened in each hour and day, counted anew from all facts.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{Address, ChainEvent, Digest, Timestamp};

use super::State;
use crate::{EarnedTally, Earner, StoreError, Tally, tally::Span};

/// Sums by hour, by day, and over everything. Spans in which nothing happened are not there.
#[derive(Debug, Default)]
pub(super) struct Sums(pub(super) BTreeMap<Span, Tally>);

impl Sums {
    fn add(&mut self, time: Timestamp, tally: &Tally) -> Result<(), StoreError> {
        for span in Span::around(time) {
            let sum = self.0.entry(span).or_default();
            *sum = sum.plus(tally)?;
        }
        Ok(())
    }
}

impl State {
    pub(super) fn sums(&self) -> Result<Sums, StoreError> {
        let mut sums = Sums::default();
        self.sum_epochs(&mut sums)?;
        self.sum_devices(&mut sums)?;
        let mut paid = BTreeSet::new();
        for located in self.events.values() {
            let tally = match &located.event {
                ChainEvent::CreditsPaid { customer, amount, burned } => Tally {
                    bought: (*amount).into(),
                    bought_burned: (*burned).into(),
                    customers: u64::from(paid.insert(*customer)),
                    ..Tally::default()
                },
                ChainEvent::Claimed { amount, .. } => Tally { claimed: (*amount).into(), ..Tally::default() },
                _ => continue,
            };
            sums.add(self.time(located.block), &tally)?;
        }
        sums.0.retain(|_, tally| *tally != Tally::default());
        Ok(sums)
    }

    fn sum_epochs(&self, sums: &mut Sums) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        for facts in self.epochs.values() {
            let refused = facts.refusals.iter().try_fold(0_u64, |sum, row| sum.checked_add(row.count));
            let tally = Tally {
                epochs: 1,
                accept: facts.verdicts.accept,
                reject: facts.verdicts.reject,
                inconclusive: facts.verdicts.inconclusive,
                refused: refused.ok_or(StoreError::Sum)?,
                units: facts.units.quantity.into(),
                earned: facts.paid.into(),
                minted: facts.minted.into(),
                burned: facts.burned.into(),
                revenue: facts.revenue.into(),
                ..Tally::default()
            };
            sums.add(facts.closed, &tally)?;
            for judged in &facts.devices {
                if seen.insert(judged.device) {
                    sums.add(facts.closed, &Tally { seen: 1, ..Tally::default() })?;
                }
            }
        }
        Ok(())
    }

    /// Devices that got an owner, and those of them that were switched off, at the earliest when they got one.
    fn sum_devices(&self, sums: &mut Sums) -> Result<(), StoreError> {
        let known: BTreeSet<Digest> = self.devices()?.into_values().map(|row| row.on_chain).collect();
        let (mut owned, mut off): (BTreeMap<Digest, Timestamp>, BTreeMap<Digest, Timestamp>) =
            Default::default();
        for located in self.events.values() {
            let time = self.time(located.block);
            match &located.event {
                ChainEvent::DeviceRegistered { device, .. } => {
                    owned.entry(device.on_chain()).or_insert(time);
                }
                ChainEvent::DeviceTransferred { device, .. } => {
                    owned.entry(*device).or_insert(time);
                }
                ChainEvent::DeviceDeactivated { device, .. } => {
                    off.entry(*device).or_insert(time);
                }
                _ => {}
            }
        }
        for (device, time) in owned.into_iter().filter(|(device, _)| known.contains(device)) {
            sums.add(time, &Tally { activated: 1, ..Tally::default() })?;
            if let Some(off) = off.get(&device) {
                sums.add(time.max(*off), &Tally { deactivated: 1, ..Tally::default() })?;
            }
        }
        Ok(())
    }

    /// What `who` earned by hour and by day.
    pub(super) fn earned_sums(&self, who: Earner) -> Result<BTreeMap<Span, EarnedTally>, StoreError> {
        let mut sums: BTreeMap<Span, EarnedTally> = BTreeMap::new();
        for facts in self.epochs.values() {
            let mut tally = EarnedTally::default();
            let is = |owner: Address, device| match who {
                Earner::Device(wanted) => wanted == device,
                Earner::Owner(wanted) => wanted == owner,
            };
            for row in facts.devices.iter().filter(|row| is(row.owner, row.device)) {
                tally.epochs = 1;
                tally.units = tally.units.plus(row.units.quantity)?;
                tally.earned = tally.earned.plus(row.earned)?;
            }
            for span in Span::around(facts.closed) {
                let sum = sums.entry(span).or_default();
                *sum = sum.plus(&tally)?;
            }
        }
        sums.retain(|_, tally| *tally != EarnedTally::default());
        Ok(sums)
    }
}
