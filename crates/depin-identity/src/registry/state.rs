use alloc::{
    borrow::ToOwned,
    collections::{BTreeMap, btree_map::Entry},
    string::String,
    sync::Arc,
    vec::Vec,
};

use alloy_primitives::Address;
use depin_core::{
    ChainEvent, DeviceId, Digest, KeyId, TypedKey,
    cbor::{self, CborError},
};
use minicbor::{Decode, Encode};

use super::{DeviceRecord, KeyEpoch};
use crate::{Action, Binding, BindingError, Domain, PublicKey, PublicKeyError};

/// The state of one device registry, folded from its events.
///
/// The contract is trusted for what it checks itself: owners' signatures, nonces, deadlines. The registrar, who relays and attests the device's
/// proof, is not: the proof in each event is checked here again, and an event without a right one changes nothing. So a registrar can keep a
/// device out, but cannot bind one that did not consent.
///
/// A refused event leaves a gap in the device's nonces. After a gap the chain's word for the owner before a transfer stands, since the contract
/// checked that owner's signature; so the next transfer with a right proof puts the record in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    domain: Domain,
    // Copies share what they hold until one of them changes.
    devices: Arc<BTreeMap<DeviceId, DeviceRecord>>,
    keys: Arc<BTreeMap<KeyId, KnownKey>>,
}

/// A key of a registered device, checked and ready to verify with.
#[derive(Clone, Copy, Debug)]
pub struct Registered<'a> {
    /// The device.
    pub record: &'a DeviceRecord,
    /// The key.
    pub key: &'a PublicKey,
    /// The key's epoch.
    pub epoch: u32,
}

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Registered before.
    #[error("{device} is registered already; transfer it instead")]
    Known {
        /// The device.
        device: DeviceId,
    },
    /// Never registered, or its registration was refused.
    #[error("no device with the on-chain id {device} is registered; register it first")]
    Unknown {
        /// SHA-256 of its typed key.
        device: Digest,
    },
    /// Switched off for ever.
    #[error("{device} was deactivated, which is for ever; register a device with another key")]
    Deactivated {
        /// The device.
        device: DeviceId,
    },
    /// Two keys with one key id.
    #[error("the key id {key_id} belongs to {holder}; generate another key")]
    KeyIdTaken {
        /// The key id.
        key_id: KeyId,
        /// The device that has it.
        holder: DeviceId,
    },
    /// Another nonce than the next.
    #[error("the nonce is {found}; expected {expected}: sign again with that")]
    Nonce {
        /// The nonce of the event.
        found: u64,
        /// The device's next nonce.
        expected: u64,
    },
    /// Not by the device's owner.
    #[error("{found} does not own the device; {expected} does and must sign")]
    Owner {
        /// The owner it was signed by.
        found: Address,
        /// The owner.
        expected: Address,
    },
    /// The device's proof, or its key, is not right.
    #[error(transparent)]
    Binding(#[from] BindingError),
}

/// Why bytes are no snapshot of a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Not deterministic CBOR of the snapshot's form.
    #[error("not a registry snapshot: {0}; rebuild it from the chain's events")]
    Cbor(#[from] CborError),
    /// Another format.
    #[error(
        "the snapshot has format {found:?}; this version reads {expected:?}: rebuild it from the chain's events"
    )]
    Format {
        /// The format found.
        found: String,
        /// The format expected.
        expected: &'static str,
    },
    /// A key that registration would have refused.
    #[error("the snapshot holds an unfit key: {0}")]
    Key(#[from] PublicKeyError),
    /// A record that no event leads to.
    #[error("the snapshot's record of {device} is impossible: {what}")]
    Record {
        /// The device.
        device: DeviceId,
        /// What is wrong.
        what: &'static str,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KnownKey {
    device: DeviceId,
    key: PublicKey,
    epoch: u32,
}

impl Registry {
    /// The empty registry at `domain`.
    pub fn new(domain: Domain) -> Self {
        Self { domain, devices: Arc::default(), keys: Arc::default() }
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
        match event {
            ChainEvent::DeviceRegistered { device, owner, nonce, deadline, proof, .. } => {
                self.register(*device, *owner, *nonce, *deadline, proof)
            }
            ChainEvent::DeviceTransferred { device, from, to, nonce, deadline, proof, .. } => {
                let record = self.on_chain(device).ok_or(RegistryError::Unknown { device: *device })?;
                let binding = Binding {
                    action: Action::Transfer { new_owner: *to },
                    device: record.device,
                    owner: *from,
                    domain: self.domain,
                    nonce: *nonce,
                    deadline: *deadline,
                };
                check_transfer(record, &binding)?;
                binding.verify_device_proof(proof)?;
                if let Some(record) = Arc::make_mut(&mut self.devices).get_mut(&binding.device) {
                    record.owner = *to;
                    record.ownership_epoch = record.ownership_epoch.saturating_add(1);
                    record.next_nonce = nonce.saturating_add(1);
                }
                Ok(())
            }
            ChainEvent::DeviceDeactivated { device, .. } => {
                let known = self.on_chain(device).ok_or(RegistryError::Unknown { device: *device })?;
                let device = known.device;
                if !known.active {
                    return Err(RegistryError::Deactivated { device });
                }
                if let Some(record) = Arc::make_mut(&mut self.devices).get_mut(&device) {
                    record.active = false;
                    record.next_nonce = record.next_nonce.saturating_add(1);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The record of `device`, deactivated ones included.
    pub fn device(&self, device: &DeviceId) -> Option<&DeviceRecord> {
        self.devices.get(device)
    }

    /// The device that has, or had, the key `id`.
    pub fn by_key(&self, id: &KeyId) -> Option<Registered<'_>> {
        let known = self.keys.get(id)?;
        Some(Registered { record: self.devices.get(&known.device)?, key: &known.key, epoch: known.epoch })
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
        self.devices.values()
    }

    /// The canonical bytes of this state: the CBOR array `[format, [chain id, contract], [record, …]]`, records in the order of typed keys.
    pub fn to_snapshot(&self) -> Vec<u8> {
        cbor::to_vec(&Snapshot {
            format: SNAPSHOT.to_owned(),
            domain: self.domain,
            records: self.devices.values().cloned().collect(),
        })
    }

    /// Reads canonical bytes and checks every key and record again.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let Snapshot { format, domain, records } = cbor::from_slice(bytes)?;
        if format != SNAPSHOT {
            return Err(SnapshotError::Format { found: format, expected: SNAPSHOT });
        }
        Self::from_records(domain, records)
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
        let mut registry = Self::new(domain);
        let keys = || records.iter().flat_map(|record| &record.keys).map(|known| known.key);
        let known: Vec<bool> = keys().map(|key| checked_before(&key)).collect();
        let others = keys().zip(&known).filter(|(_, known)| !**known).map(|(key, _)| key);
        let (mut others, mut known) = (PublicKey::new_all(others).into_iter(), known.into_iter());
        let mut fit = |key| match known.next() {
            Some(true) => PublicKey::checked_before(key),
            _ => others.next().unwrap_or_else(|| PublicKey::new(key)),
        };
        let mut last = None;
        for record in records {
            if last >= Some(record.device) {
                return Err(SnapshotError::Record { device: record.device, what: "out of order" });
            }
            last = Some(record.device);
            registry.restore(record, &mut fit)?;
        }
        Ok(registry)
    }

    fn register(
        &mut self,
        device: DeviceId,
        owner: Address,
        nonce: u64,
        deadline: u64,
        proof: &[u8],
    ) -> Result<(), RegistryError> {
        if self.devices.contains_key(&device) {
            return Err(RegistryError::Known { device });
        }
        let binding =
            Binding { action: Action::Register, device, owner, domain: self.domain, nonce, deadline };
        if nonce != 0 {
            return Err(RegistryError::Nonce { found: nonce, expected: 0 });
        }
        let key = binding.verify_device_proof(proof)?;
        match Arc::make_mut(&mut self.keys).entry(key.id()) {
            Entry::Occupied(taken) => {
                Err(RegistryError::KeyIdTaken { key_id: key.id(), holder: taken.get().device })
            }
            Entry::Vacant(free) => {
                free.insert(KnownKey { device, key, epoch: 0 });
                Arc::make_mut(&mut self.devices).insert(device, DeviceRecord::registered(device, owner));
                Ok(())
            }
        }
    }

    fn restore(
        &mut self,
        record: DeviceRecord,
        fit: &mut impl FnMut(TypedKey) -> Result<PublicKey, PublicKeyError>,
    ) -> Result<(), SnapshotError> {
        let device = record.device;
        let impossible = |what| SnapshotError::Record { device, what };
        let born = KeyEpoch { key: *device.key(), epoch: 0 };
        if record.keys.first() != Some(&born) {
            return Err(impossible("its first key is not the one it was born with"));
        }
        if record.keys.iter().zip(record.keys.iter().skip(1)).any(|(one, next)| one.epoch >= next.epoch) {
            return Err(impossible("its key epochs do not ascend"));
        }
        if record.next_nonce == 0 {
            return Err(impossible("it was registered without a nonce"));
        }
        for KeyEpoch { key, epoch } in &record.keys {
            let key = fit(*key)?;
            match Arc::make_mut(&mut self.keys).entry(key.id()) {
                Entry::Occupied(_) => return Err(impossible("its key id is taken")),
                Entry::Vacant(free) => free.insert(KnownKey { device, key, epoch: *epoch }),
            };
        }
        Arc::make_mut(&mut self.devices).insert(device, record);
        Ok(())
    }
}

/// Format and version of a snapshot.
const SNAPSHOT: &str = "depin/registry/v1";

#[derive(Encode, Decode)]
#[cbor(array)]
struct Snapshot {
    #[n(0)]
    format: String,
    #[n(1)]
    domain: Domain,
    #[n(2)]
    records: Vec<DeviceRecord>,
}

/// Whether `binding` may come next for a device with this record.
fn check_transfer(record: &DeviceRecord, binding: &Binding) -> Result<(), RegistryError> {
    if !record.active {
        return Err(RegistryError::Deactivated { device: record.device });
    }
    if binding.nonce < record.next_nonce {
        return Err(RegistryError::Nonce { found: binding.nonce, expected: record.next_nonce });
    }
    // After a gap the chain knows more than we do about who owned it in between.
    if binding.nonce == record.next_nonce && binding.owner != record.owner {
        return Err(RegistryError::Owner { found: binding.owner, expected: record.owner });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use depin_core::Timestamp;

    use super::*;
    use crate::SoftwareKey;

    /// Two keys with one key id take 2^64 work to find, so the first is entered under the second's.
    #[test]
    fn a_taken_key_id_is_refused() {
        let (holder, late) = (SoftwareKey::from_seed([1; 32]), SoftwareKey::from_seed([2; 32]));
        let domain = Domain { chain_id: 1, contract: Address::repeat_byte(1) };
        let mut registry = Registry::new(domain);
        let known = KnownKey { device: DeviceId(holder.public().typed()), key: *holder.public(), epoch: 0 };
        Arc::make_mut(&mut registry.keys).insert(late.public().id(), known);
        let before = registry.clone();
        let device = DeviceId(late.public().typed());
        let owner = Address::repeat_byte(7);
        let binding = Binding { action: Action::Register, device, owner, domain, nonce: 0, deadline: 0 };
        let proof = late.signature(&binding.device_proof_message()).0.to_vec();
        let event = ChainEvent::DeviceRegistered {
            device,
            owner,
            nonce: 0,
            deadline: 0,
            proof,
            active: true,
            at: Timestamp::default(),
        };
        let taken = RegistryError::KeyIdTaken { key_id: late.public().id(), holder: known.device };
        assert_eq!(registry.apply(&event), Err(taken));
        assert_eq!(registry, before);
    }
}
