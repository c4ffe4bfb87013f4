//! The events of the device registry.

use alloy::{
    primitives::{B256, Bytes, Log as ContractLog},
    sol_types::SolEvent,
};
use depin_core::{ChainEvent, DeviceId, Digest, Epoch, KeyId, Timestamp, TypedKey};

use super::{number, parse};
use crate::contracts::DeviceRegistry as Contract;

/// The signatures of its events: one for each change of a device.
pub(crate) const SIGNATURES: [B256; 8] = [
    Contract::DeviceRegistered::SIGNATURE_HASH,
    Contract::DeviceTransferred::SIGNATURE_HASH,
    Contract::DeviceDeactivated::SIGNATURE_HASH,
    Contract::DeviceActivated::SIGNATURE_HASH,
    Contract::KeyRotated::SIGNATURE_HASH,
    Contract::KeyCompromised::SIGNATURE_HASH,
    Contract::DeviceSuspended::SIGNATURE_HASH,
    Contract::DeviceResumed::SIGNATURE_HASH,
];

/// Reads a log of the registry.
pub(crate) fn decode(log: &ContractLog, signature: B256) -> Result<ChainEvent, &'static str> {
    match signature {
        Contract::DeviceRegistered::SIGNATURE_HASH => {
            let event = parse::<Contract::DeviceRegistered>(log)?;
            let device = DeviceId(key(&event.deviceKey)?);
            if device.on_chain() != Digest(event.device.0) {
                return Err("its device id is not that of its key");
            }
            Ok(ChainEvent::DeviceRegistered {
                device,
                owner: event.owner,
                nonce: number(event.nonce)?,
                deadline: number(event.deadline)?,
                proof: event.deviceProof.to_vec(),
                active: event.active,
                at: moment(event.timestamp)?,
            })
        }
        Contract::DeviceTransferred::SIGNATURE_HASH => {
            let event = parse::<Contract::DeviceTransferred>(log)?;
            Ok(ChainEvent::DeviceTransferred {
                device: Digest(event.device.0),
                from: event.from,
                to: event.to,
                nonce: number(event.nonce)?,
                deadline: number(event.deadline)?,
                proof: event.deviceProof.to_vec(),
                new_key: key(&event.newKey)?,
                new_key_proof: event.newKeyProof.to_vec(),
                cut_over: Epoch(event.cutOver),
                voucher: Digest(event.voucher.0),
                at: moment(event.timestamp)?,
            })
        }
        Contract::DeviceDeactivated::SIGNATURE_HASH => {
            let event = parse::<Contract::DeviceDeactivated>(log)?;
            let (device, at) = (Digest(event.device.0), moment(event.timestamp)?);
            Ok(ChainEvent::DeviceDeactivated { device, at })
        }
        _ => keys_and_pauses(log, signature),
    }
}

fn keys_and_pauses(log: &ContractLog, signature: B256) -> Result<ChainEvent, &'static str> {
    match signature {
        Contract::DeviceActivated::SIGNATURE_HASH => {
            let event = parse::<Contract::DeviceActivated>(log)?;
            let (device, at) = (Digest(event.device.0), moment(event.timestamp)?);
            Ok(ChainEvent::DeviceActivated { device, at })
        }
        Contract::KeyRotated::SIGNATURE_HASH => {
            let event = parse::<Contract::KeyRotated>(log)?;
            Ok(ChainEvent::KeyRotated {
                device: Digest(event.device.0),
                new_key: key(&event.newKey)?,
                last_boot: event.lastBoot,
                last_sequence: event.lastSequence,
                nonce: number(event.nonce)?,
                deadline: number(event.deadline)?,
                old_proof: event.oldProof.to_vec(),
                new_proof: event.newProof.to_vec(),
                at: moment(event.timestamp)?,
            })
        }
        Contract::KeyCompromised::SIGNATURE_HASH => {
            let event = parse::<Contract::KeyCompromised>(log)?;
            Ok(ChainEvent::KeyCompromised {
                device: Digest(event.device.0),
                key: KeyId(event.keyId.0),
                since: moment(event.since)?,
                at: moment(event.timestamp)?,
            })
        }
        Contract::DeviceSuspended::SIGNATURE_HASH => {
            let event = parse::<Contract::DeviceSuspended>(log)?;
            let (device, at) = (Digest(event.device.0), moment(event.timestamp)?);
            Ok(ChainEvent::DeviceSuspended { device, at })
        }
        Contract::DeviceResumed::SIGNATURE_HASH => {
            let event = parse::<Contract::DeviceResumed>(log)?;
            let (device, at) = (Digest(event.device.0), moment(event.timestamp)?);
            Ok(ChainEvent::DeviceResumed { device, at })
        }
        _ => Err("the registry has no such event"),
    }
}

fn key(bytes: &Bytes) -> Result<TypedKey, &'static str> {
    TypedKey::from_bytes(bytes).map_err(|_| "a device key of it is none")
}

/// Seconds of the chain, in the milliseconds of everything else.
fn moment(seconds: u64) -> Result<Timestamp, &'static str> {
    seconds.checked_mul(1_000).map(Timestamp).ok_or("a time of it exceeds 64 bits of milliseconds")
}
