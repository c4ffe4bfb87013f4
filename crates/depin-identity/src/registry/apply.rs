//! What one event does to a registry.

use depin_core::{ChainEvent, DeviceId, Digest, Epoch, KeyId, Timestamp, TypedKey};

use super::{DeviceRecord, KeyEnd, Registry, RegistryError, Status};
use crate::{
    Action, Binding, PublicKey,
    binding::{NEW_KEY, PRESENT_KEY},
};

/// Takes in `event`, which becomes known in `epoch`. Nothing changes before the last check.
pub(super) fn apply(registry: &mut Registry, epoch: Epoch, event: &ChainEvent) -> Result<(), RegistryError> {
    match event {
        ChainEvent::DeviceRegistered { .. } => register(registry, event),
        ChainEvent::DeviceTransferred { device, .. } => transfer(registry, device, epoch, event),
        ChainEvent::KeyRotated { device, .. } => rotate(registry, device, event),
        ChainEvent::DeviceActivated { device, at } => {
            change(registry, device, Some(Status::Bound), |record| {
                record.activated = Some(*at);
                Ok(())
            })
        }
        ChainEvent::DeviceSuspended { device, at } => {
            change(registry, device, Some(Status::Active), |record| {
                record.pause(*at);
                Ok(())
            })
        }
        ChainEvent::DeviceResumed { device, at } => {
            change(registry, device, Some(Status::Suspended), |record| {
                if let Some(last) = record.past_mut().pauses.last_mut() {
                    last.until = Some(*at);
                }
                Ok(())
            })
        }
        ChainEvent::DeviceDeactivated { device, at } => change(registry, device, None, |record| {
            record.past_mut().deactivated = Some(*at);
            Ok(())
        }),
        ChainEvent::KeyCompromised { device, key, since, .. } => {
            change(registry, device, None, |record| compromise(record, *key, *since))
        }
        _ => Ok(()),
    }
}

fn register(registry: &mut Registry, event: &ChainEvent) -> Result<(), RegistryError> {
    let ChainEvent::DeviceRegistered { device, owner, nonce, deadline, proof, active, at } = event else {
        return Ok(());
    };
    if registry.device(device).is_some() {
        return Err(RegistryError::Known { device: *device });
    }
    if *nonce != 0 {
        return Err(RegistryError::Nonce { found: *nonce, expected: 0 });
    }
    let action = Action::Register { active: *active };
    let (device, owner, domain) = (*device, *owner, registry.domain());
    let binding = Binding { action, device, owner, domain, nonce: 0, deadline: *deadline };
    let key = free_key(registry, *device.key())?;
    binding.verify_proof(&key, PRESENT_KEY, proof)?;
    registry.add(DeviceRecord::registered(device, owner, *active, *at), key);
    Ok(())
}

fn rotate(registry: &mut Registry, device: &Digest, event: &ChainEvent) -> Result<(), RegistryError> {
    let ChainEvent::KeyRotated {
        new_key,
        last_boot,
        last_sequence,
        nonce,
        deadline,
        old_proof,
        new_proof,
        at,
        ..
    } = event
    else {
        return Ok(());
    };
    let record = alive(registry, device)?;
    let is_next = follows(record, *nonce)?;
    let action = Action::Rotate { new_key: *new_key, last_boot: *last_boot, last_sequence: *last_sequence };
    let binding = binding(registry, record, action, *nonce, *deadline);
    let present = record.present_key();
    if old_proof.is_empty() {
        // The contract saw the owner's signature. After a gap it may know of a compromise that we do not.
        if is_next && present.compromised.is_none() {
            return Err(RegistryError::PresentKeySound { key_id: present.key.id() });
        }
    } else {
        check_present(registry, record, &binding, old_proof)?;
        // A thief with the present key must not use up the keys with which the owner recovers the device.
        if record.keys().count() >= DeviceRecord::MAX_KEYS.saturating_sub(DeviceRecord::KEPT_FOR_OWNER) {
            return Err(RegistryError::KeysKeptForOwner { device: record.device });
        }
    }
    let key = new_key_of(registry, record, *new_key)?;
    binding.verify_proof(&key, NEW_KEY, new_proof)?;
    let end = KeyEnd::Rotated { at: *at, last_boot: *last_boot, last_sequence: *last_sequence };
    let mut changed = record.clone();
    changed.next_key(*new_key, *at, present.from, end);
    replace(registry, changed, *nonce, key);
    Ok(())
}

fn transfer(
    registry: &mut Registry,
    device: &Digest,
    epoch: Epoch,
    event: &ChainEvent,
) -> Result<(), RegistryError> {
    let ChainEvent::DeviceTransferred {
        from,
        to,
        nonce,
        deadline,
        proof,
        new_key,
        new_key_proof,
        cut_over,
        voucher,
        at,
        ..
    } = event
    else {
        return Ok(());
    };
    let record = alive(registry, device)?;
    // After a gap the chain knows more than we do about who owned it in between.
    if follows(record, *nonce)? && *from != record.owner {
        return Err(RegistryError::Owner { found: *from, expected: record.owner });
    }
    let action =
        Action::Transfer { new_owner: *to, new_key: *new_key, cut_over: *cut_over, voucher: *voucher };
    let binding = Binding { owner: *from, ..binding(registry, record, action, *nonce, *deadline) };
    check_present(registry, record, &binding, proof)?;
    let key = new_key_of(registry, record, *new_key)?;
    binding.verify_proof(&key, NEW_KEY, new_key_proof)?;
    // Nobody sells an epoch that was closed, or that is not theirs yet.
    let cut_over = epoch.max(*cut_over).max(record.present_key().from);
    let mut changed = record.clone();
    changed.next_owner(*to, cut_over, *at, *voucher);
    changed.next_key(*new_key, *at, cut_over, KeyEnd::Transferred { cut_over });
    replace(registry, changed, *nonce, key);
    Ok(())
}

fn compromise(record: &mut DeviceRecord, id: KeyId, since: Timestamp) -> Result<(), RegistryError> {
    let device = record.device;
    let known = record.key(&id).ok_or(RegistryError::ForeignKey { device, key_id: id })?;
    // Or a buyer voids what the seller is still to be paid for.
    if record.keys_of_owner().all(|key| key.epoch != known.epoch) {
        return Err(RegistryError::KeyOfFormerOwner { device, key_id: id });
    }
    if let Some(before) = known.compromised.filter(|before| since >= *before) {
        return Err(RegistryError::CompromisedBefore { key_id: id, since: before });
    }
    if let Some(key) = record.keys_mut().iter_mut().find(|key| key.epoch == known.epoch) {
        key.compromised = Some(since);
    }
    Ok(())
}

/// Changes the record of a device that is in `status`, or in any but deactivated, by an event that names no nonce and uses one.
fn change(
    registry: &mut Registry,
    device: &Digest,
    status: Option<Status>,
    to: impl FnOnce(&mut DeviceRecord) -> Result<(), RegistryError>,
) -> Result<(), RegistryError> {
    let record = alive(registry, device)?;
    let found = record.status();
    if let Some(expected) = status.filter(|expected| found != *expected) {
        return Err(RegistryError::Status { device: record.device, found, expected });
    }
    let mut changed = record.clone();
    to(&mut changed)?;
    changed.next_nonce = changed.next_nonce.saturating_add(1);
    if let Some(at) = registry.place(&changed.device) {
        registry.records.set(at, changed);
    }
    Ok(())
}

/// Puts `changed` in place of the record, with the key that it has now and the nonce it used.
fn replace(registry: &mut Registry, mut changed: DeviceRecord, nonce: u64, key: PublicKey) {
    changed.next_nonce = nonce.saturating_add(1);
    let epoch = changed.present_key().epoch;
    if let Some(at) = registry.place(&changed.device) {
        registry.add_key(key, at, epoch);
        registry.records.set(at, changed);
    }
}

/// The record of a device that was not deactivated.
fn alive<'a>(registry: &'a Registry, device: &Digest) -> Result<&'a DeviceRecord, RegistryError> {
    let record = registry.on_chain(device).ok_or(RegistryError::Unknown { device: *device })?;
    match record.status() {
        Status::Deactivated => Err(RegistryError::Deactivated { device: record.device }),
        _ => Ok(record),
    }
}

/// Whether `nonce` is the next one, and not a later one after events that were refused.
fn follows(record: &DeviceRecord, nonce: u64) -> Result<bool, RegistryError> {
    if nonce < record.next_nonce {
        return Err(RegistryError::Nonce { found: nonce, expected: record.next_nonce });
    }
    Ok(nonce == record.next_nonce)
}

/// Checks the proof by the present key, which must be sound.
fn check_present(
    registry: &Registry,
    record: &DeviceRecord,
    binding: &Binding,
    proof: &[u8],
) -> Result<(), RegistryError> {
    let present = record.present_key();
    let key_id = present.key.id();
    if present.compromised.is_some() {
        return Err(RegistryError::PresentKeyCompromised { key_id });
    }
    let known =
        registry.by_key(&key_id).ok_or(RegistryError::ForeignKey { device: record.device, key_id })?;
    Ok(binding.verify_proof(known.key, PRESENT_KEY, proof)?)
}

/// The next key of a device, if it is fit, free, and not one too many.
fn new_key_of(registry: &Registry, record: &DeviceRecord, key: TypedKey) -> Result<PublicKey, RegistryError> {
    if record.keys().count() >= DeviceRecord::MAX_KEYS {
        return Err(RegistryError::TooManyKeys { device: record.device });
    }
    free_key(registry, key)
}

fn free_key(registry: &Registry, key: TypedKey) -> Result<PublicKey, RegistryError> {
    let key = PublicKey::new(key)?;
    match registry.holder(&key.id()) {
        Some(holder) => Err(RegistryError::KeyIdTaken { key_id: key.id(), holder }),
        None => Ok(key),
    }
}

fn binding(registry: &Registry, record: &DeviceRecord, action: Action, nonce: u64, deadline: u64) -> Binding {
    let device: DeviceId = record.device;
    Binding { action, device, owner: record.owner, domain: registry.domain(), nonce, deadline }
}
