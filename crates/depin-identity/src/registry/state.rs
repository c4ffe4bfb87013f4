use alloc::vec::Vec;
use core::fmt;

use depin_core::{ChainEvent, DeviceId, Digest, Epoch, KeyId, TypedKey};

use super::{
    DeviceRecord, KeyEpoch, RegistryError, SnapshotError,
    store::{Slab, Sorted},
};
use crate::{Domain, PublicKey, PublicKeyError};

/// The state of one device registry, folded from its events.
///
/// The contract is trusted for what it checks itself: owners' signatures, nonces, deadlines, roles. The registrar, who relays and attests the proofs
/// of keys, is not: every proof in an event is checked here again, and an event without right ones changes nothing. So a registrar can keep a
/// device out, but cannot bind one that did not consent, or give it a key of its own.
///
/// A refused event leaves a gap in the device's nonces. After a gap the chain's word for the owner before a transfer stands, and so does its word that
/// an owner replaced a compromised key, since the contract checked that owner's signature; so the next change with right proofs puts the record in order.
#[derive(Clone)]
pub struct Registry {
    pub(super) domain: Domain,
    // Copies share what they hold until one of them changes.
    pub(super) records: Slab<DeviceRecord>,
    pub(super) keys: Slab<KnownKey>,
    /// Every key that any device ever had, by its id.
    index: Sorted<Indexed>,
    /// The records in the order of typed keys.
    order: Sorted<u32>,
}

/// A key of a registered device, checked and ready to verify with.
#[derive(Clone, Copy, Debug)]
pub struct Registered<'a> {
    /// The device.
    pub record: &'a DeviceRecord,
    /// The key.
    pub key: &'a PublicKey,
    /// The number of keys before it.
    pub epoch: u32,
}

impl Registered<'_> {
    /// What the record says of the key.
    pub fn key_epoch(&self) -> KeyEpoch {
        let known = self.record.keys().find(|known| known.epoch == self.epoch);
        known.unwrap_or_else(|| self.record.present_key())
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct KnownKey {
    pub(super) key: PublicKey,
    pub(super) epoch: u32,
}

#[derive(Clone, Copy, Debug)]
struct Indexed {
    id: KeyId,
    key: u32,
    record: u32,
}

/// The beginning of a key id. SHA-256 spreads them evenly, so it tells about where among its neighbours one is.
fn beginning(id: &KeyId) -> u64 {
    id.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

impl Registry {
    /// The empty registry at `domain`.
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            records: Slab::default(),
            keys: Slab::default(),
            index: Sorted::default(),
            order: Sorted::default(),
        }
    }

    /// Which registry this is.
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// Takes in one final event of the network's contracts; events that are not about devices change nothing.
    ///
    /// # Errors
    /// [`RegistryError`]; the state is as before then.
    pub fn apply(&mut self, event: &ChainEvent) -> Result<(), RegistryError> {
        self.apply_in(Epoch(0), event)
    }

    /// The same for an event that becomes known in `epoch`: no transfer reaches back to epochs before it.
    ///
    /// # Errors
    /// [`RegistryError`]; the state is as before then.
    pub fn apply_in(&mut self, epoch: Epoch, event: &ChainEvent) -> Result<(), RegistryError> {
        super::apply::apply(self, epoch, event)
    }

    /// The record of `device`, deactivated ones included.
    pub fn device(&self, device: &DeviceId) -> Option<&DeviceRecord> {
        self.by_key(&device.key().id()).map(|found| found.record).filter(|record| record.device == *device)
    }

    /// The device that has, or had, the key `id`.
    pub fn by_key(&self, id: &KeyId) -> Option<Registered<'_>> {
        let found = self.find(id)?;
        let (record, known) = (self.records.get(found.record)?, self.keys.get(found.key)?);
        Some(Registered { record, key: &known.key, epoch: known.epoch })
    }

    /// The record of the device that a chain calls `digest`.
    pub fn on_chain(&self, digest: &Digest) -> Option<&DeviceRecord> {
        // The key id of the key a device was born with is the beginning of its on-chain id.
        let id = KeyId(*digest.0.first_chunk()?);
        let record = self.by_key(&id)?.record;
        (record.device.on_chain() == *digest).then_some(record)
    }

    /// Every record, in the order of typed keys.
    pub fn devices(&self) -> impl ExactSizeIterator<Item = &DeviceRecord> {
        Devices {
            records: self.order.iter().filter_map(|at| self.records.get(*at)),
            left: self.records.len(),
        }
    }

    /// The registry that holds `records`, which ascend by device.
    ///
    /// # Errors
    /// [`SnapshotError`] when a record could not have come about, or the order is another.
    pub fn from_records(domain: Domain, records: Vec<DeviceRecord>) -> Result<Self, SnapshotError> {
        Self::from_records_knowing(domain, records, |_| false)
    }

    /// As [`Registry::from_records`], without checking the keys a second time that `checked_before` knows: see [`PublicKey::checked_before`].
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn from_records_knowing(
        domain: Domain,
        records: Vec<DeviceRecord>,
        mut checked_before: impl FnMut(&TypedKey) -> bool,
    ) -> Result<Self, SnapshotError> {
        let all = || records.iter().flat_map(|record| record.keys().map(|known| known.key));
        let known: Vec<bool> = all().map(|key| checked_before(&key)).collect();
        let others = all().zip(&known).filter(|(_, known)| !**known).map(|(key, _)| key);
        let (mut others, mut known) = (PublicKey::new_all(others).into_iter(), known.into_iter());
        Self::restore(domain, records, |key| match known.next() {
            Some(true) => PublicKey::checked_before(key),
            _ => others.next().unwrap_or_else(|| PublicKey::new(key)),
        })
    }

    /// The registry that holds `records`, whose keys come from `fit`, asked in their order.
    pub(super) fn restore(
        domain: Domain,
        records: impl IntoIterator<Item = DeviceRecord>,
        mut fit: impl FnMut(TypedKey) -> Result<PublicKey, PublicKeyError>,
    ) -> Result<Self, SnapshotError> {
        let mut registry = Self::new(domain);
        let (mut index, mut last) = (Vec::new(), None);
        for record in records {
            let device = record.device;
            if last.replace(device) >= Some(device) {
                return Err(SnapshotError::Record { device, what: "out of order" });
            }
            if let Some(what) = record.impossible() {
                return Err(SnapshotError::Record { device, what });
            }
            let at = u32::try_from(registry.records.len()).unwrap_or(u32::MAX);
            for known in record.keys() {
                let key = fit(known.key)?;
                let key = registry.keys.push(KnownKey { key, epoch: known.epoch });
                index.push(Indexed { id: known.key.id(), key, record: at });
            }
            registry.records.push(record);
        }
        index.sort_unstable_by_key(|one| (one.id, one.key));
        let pairs = index.iter().zip(index.iter().skip(1));
        let taken = pairs.into_iter().find(|(one, next)| one.id == next.id).map(|(_, next)| next.record);
        let holder = taken.and_then(|record| registry.records.get(record));
        if let Some(DeviceRecord { device, .. }) = holder {
            return Err(SnapshotError::Record { device: *device, what: "its key id is taken" });
        }
        registry.index = Sorted::of(&index);
        let order: Vec<u32> = (0..=u32::MAX).take(registry.records.len()).collect();
        registry.order = Sorted::of(&order);
        Ok(registry)
    }

    /// Whose key has the id `id`.
    pub(super) fn holder(&self, id: &KeyId) -> Option<DeviceId> {
        self.by_key(id).map(|known| known.record.device)
    }

    /// Where the record of `device` is.
    pub(super) fn place(&self, device: &DeviceId) -> Option<u32> {
        self.find(&device.key().id()).map(|found| found.record)
    }

    /// Adds the record of a device whose first key is `key`.
    pub(super) fn add(&mut self, record: DeviceRecord, key: PublicKey) {
        let device = record.device;
        let at = self.records.push(record);
        self.add_key(key, at, 0);
        let records = &self.records;
        self.order.insert(at, |one| records.get(*one).map(|record| record.device).cmp(&Some(device)));
    }

    /// Adds a key of the device whose record is at `record`.
    pub(super) fn add_key(&mut self, key: PublicKey, record: u32, epoch: u32) {
        let id = key.id();
        let key = self.keys.push(KnownKey { key, epoch });
        self.index.insert(Indexed { id, key, record }, |one| one.id.cmp(&id));
    }

    fn find(&self, id: &KeyId) -> Option<&Indexed> {
        let guess = |(first, next): (&Indexed, Option<&Indexed>), len: usize| {
            let from = beginning(&first.id);
            let wide = next.map_or(u64::MAX, |next| beginning(&next.id)).saturating_sub(from);
            let far = u128::from(beginning(id).saturating_sub(from));
            let part =
                far.saturating_mul(u128::try_from(len).unwrap_or_default()).checked_div(u128::from(wide));
            part.and_then(|at| usize::try_from(at).ok()).unwrap_or_default()
        };
        self.index.find(|one| one.id.cmp(id), guess)
    }
}

impl PartialEq for Registry {
    fn eq(&self, other: &Self) -> bool {
        // Keys, index and order follow from the records.
        self.domain == other.domain && self.devices().eq(other.devices())
    }
}

impl Eq for Registry {}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("domain", &self.domain)
            .field("devices", &self.records.len())
            .finish()
    }
}

/// Records, and how many are still to come.
struct Devices<I> {
    records: I,
    left: usize,
}

impl<I: Iterator> Iterator for Devices<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let next = self.records.next();
        self.left = self.left.saturating_sub(usize::from(next.is_some()));
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<I: Iterator> ExactSizeIterator for Devices<I> {}
