//! The registry as a fold over events, from a chain whose registrar may lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod judged;
mod life;
mod model;
mod snapshot;
mod tenures;

use common::domain;
use depin_core::{
    Address, Amount, ChainEvent, DeviceId, Digest, Epoch, KeyId, KeyType, Millis, Timestamp, TypedKey, cbor,
    sha256,
};
use depin_identity::{
    Action, Arrival, Binding, BindingError, DeviceRecord, DeviceSigner as _, Domain, KeyEnd, KeyEpoch, Past,
    Pause, PublicKeyError, Registry, RegistryError, SnapshotError, SoftwareKey, Status, Tenure,
};
use proptest::prelude::*;

const DEADLINE: u64 = 1_700_007_200;
const CUT_OVER: Epoch = Epoch(9);
const GRACE: Millis = Millis(1_000);

/// A key, by its number. A device is called by the number of the key it was born with.
fn device(n: u8) -> SoftwareKey {
    SoftwareKey::from_seed([n; 32])
}

fn typed(n: u8) -> TypedKey {
    device(n).public_key()
}

fn id(n: u8) -> DeviceId {
    DeviceId(typed(n))
}

fn owner(n: u8) -> Address {
    Address::repeat_byte(n)
}

fn at(moment: u64) -> Timestamp {
    Timestamp(moment)
}

fn proof(by: u8, action: Action, device_owner: (u8, u8), domain: Domain, nonce: u64) -> Vec<u8> {
    let (n, by_owner) = device_owner;
    let binding =
        Binding { action, device: id(n), owner: owner(by_owner), domain, nonce, deadline: DEADLINE };
    device(by).signature(&binding.device_proof_message()).0.to_vec()
}

const REGISTER: Action = Action::Register { active: true };

fn registered(n: u8, by: u8) -> ChainEvent {
    let (proof, deadline) = (proof(n, REGISTER, (n, by), domain(), 0), DEADLINE);
    ChainEvent::DeviceRegistered {
        device: id(n),
        owner: owner(by),
        nonce: 0,
        deadline,
        proof,
        active: true,
        at: at(10),
    }
}

fn registered_inactive(n: u8, by: u8) -> ChainEvent {
    let action = Action::Register { active: false };
    let mut event = with_proof(registered(n, by), proof(n, action, (n, by), domain(), 0));
    if let ChainEvent::DeviceRegistered { active, .. } = &mut event {
        *active = false;
    }
    event
}

fn sale(to: u8, new_key: u8) -> Action {
    let voucher = Digest([0x55; 32]);
    Action::Transfer { new_owner: owner(to), new_key: typed(new_key), cut_over: CUT_OVER, voucher }
}

/// The device `n`, which signs with the key `from.1`, goes from its owner `from.0` to `to.0` with the key `to.1`.
fn transferred(n: u8, from: (u8, u8), to: (u8, u8), nonce: u64) -> ChainEvent {
    let action = sale(to.0, to.1);
    ChainEvent::DeviceTransferred {
        device: id(n).on_chain(),
        from: owner(from.0),
        to: owner(to.0),
        nonce,
        deadline: DEADLINE,
        proof: proof(from.1, action, (n, from.0), domain(), nonce),
        new_key: typed(to.1),
        new_key_proof: proof(to.1, action, (n, from.0), domain(), nonce),
        cut_over: CUT_OVER,
        voucher: Digest([0x55; 32]),
        at: at(20),
    }
}

fn rotation(new_key: u8) -> Action {
    Action::Rotate { new_key: typed(new_key), last_boot: 3, last_sequence: 77 }
}

/// The device `n` goes from the key `from` to the key `to`. The owner is no part of what is signed.
fn rotated(n: u8, from: u8, to: u8, nonce: u64) -> ChainEvent {
    let action = rotation(to);
    ChainEvent::KeyRotated {
        device: id(n).on_chain(),
        new_key: typed(to),
        last_boot: 3,
        last_sequence: 77,
        nonce,
        deadline: DEADLINE,
        old_proof: proof(from, action, (n, 0), domain(), nonce),
        new_proof: proof(to, action, (n, 0), domain(), nonce),
        at: at(30),
    }
}

/// The same by the owner's word instead of the old key's.
fn recovered(n: u8, to: u8, nonce: u64) -> ChainEvent {
    let mut event = rotated(n, to, to, nonce);
    if let ChainEvent::KeyRotated { old_proof, .. } = &mut event {
        old_proof.clear();
    }
    event
}

fn compromised(n: u8, key: u8, since: u64) -> ChainEvent {
    ChainEvent::KeyCompromised {
        device: id(n).on_chain(),
        key: typed(key).id(),
        since: at(since),
        at: at(40),
    }
}

fn suspended(n: u8, moment: u64) -> ChainEvent {
    ChainEvent::DeviceSuspended { device: id(n).on_chain(), at: at(moment) }
}

fn resumed(n: u8, moment: u64) -> ChainEvent {
    ChainEvent::DeviceResumed { device: id(n).on_chain(), at: at(moment) }
}

fn activated(n: u8) -> ChainEvent {
    ChainEvent::DeviceActivated { device: id(n).on_chain(), at: at(15) }
}

fn deactivated(n: u8) -> ChainEvent {
    ChainEvent::DeviceDeactivated { device: id(n).on_chain(), at: at(50) }
}

/// `event` with another proof in place of the one by the device's present key.
fn with_proof(mut event: ChainEvent, changed: Vec<u8>) -> ChainEvent {
    match &mut event {
        ChainEvent::DeviceRegistered { proof, .. }
        | ChainEvent::DeviceTransferred { proof, .. }
        | ChainEvent::KeyRotated { old_proof: proof, .. } => *proof = changed,
        _ => {}
    }
    event
}

fn with_new_proof(mut event: ChainEvent, changed: Vec<u8>) -> ChainEvent {
    match &mut event {
        ChainEvent::DeviceTransferred { new_key_proof: proof, .. }
        | ChainEvent::KeyRotated { new_proof: proof, .. } => *proof = changed,
        _ => {}
    }
    event
}

fn fold(events: &[ChainEvent]) -> Registry {
    let mut registry = Registry::new(domain());
    for event in events {
        registry.apply(event).unwrap_or_else(|error| panic!("{event:?}: {error}"));
    }
    registry
}

/// Applies `event`, which must change nothing.
fn refusal(registry: &mut Registry, event: &ChainEvent) -> RegistryError {
    let before = registry.clone();
    let error = registry.apply(event).unwrap_err();
    assert_eq!(*registry, before);
    error
}

fn record(registry: &Registry, n: u8) -> &DeviceRecord {
    registry.device(&id(n)).unwrap()
}

fn arrival(received: u64, epoch: u64, boot: u32, sequence: u64) -> Arrival {
    Arrival { received: at(received), epoch: Epoch(epoch), boot, sequence }
}

fn reason(registry: &Registry, key: u8, arrival: Arrival) -> &'static str {
    let found = registry.by_key(&typed(key).id()).unwrap();
    found.record.judge(&found.key_epoch(), arrival, GRACE).map_or_else(|error| error.reason(), |()| "")
}
