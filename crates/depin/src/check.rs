//! The checks on a report that need no memory of other reports: at the door they are advisory, in the fold they decide.

use depin_core::{DeviceId, Digest, KeyId, Side, Timestamp, sha256};
use depin_identity::{Envelope, EnvelopeError, Registry, Report, Sign1Error, clock_skew};

use crate::{entry::Refusal, params::NetworkParams};

/// A report under a registered key with a right signature, from a device that may report.
#[derive(Clone, Debug)]
pub struct CheckedReport {
    /// The device.
    pub device: DeviceId,
    /// The key that signed.
    pub key: KeyId,
    /// The key's epoch in the device's record.
    pub key_epoch: u32,
    /// SHA-256 of the envelope.
    pub digest: Digest,
    /// SHA-256 of the signed payload: the same for every signature over the same statement.
    pub statement: Digest,
    /// What the device stated.
    pub report: Report,
}

/// Checks an envelope as it came.
///
/// # Errors
/// The refusal, which names the device only when the signature is by its key.
pub fn check_report(
    registry: &Registry,
    params: &NetworkParams,
    envelope: &[u8],
    received: Timestamp,
) -> Result<CheckedReport, Refusal> {
    let parsed = Envelope::parse(envelope).map_err(|error| malformed(&error))?;
    let key = parsed.key_id();
    let statement = sha256(&[parsed.payload()]);
    let Some(known) = registry.by_key(&key) else {
        return Err(refusal(
            None,
            "unknown-device",
            format!("key id {key}"),
            "a registered key; register the device first with `depin device register`",
        ));
    };
    let device = known.record.device;
    let verified = parsed.verify(known.key, params.network()).map_err(|error| malformed(&error))?;
    if !known.record.active {
        return Err(refusal(
            Some(device),
            "deactivated",
            "a report",
            "none: the device was switched off for ever",
        ));
    }
    let digest = verified.digest();
    let report = verified.into_report();
    let skew = clock_skew(report.time, received, params.clock_skew);
    if !skew.is_within() {
        let finding = skew.finding();
        return Err(refusal(Some(device), "clock", finding.observed, &finding.limit));
    }
    Ok(CheckedReport { device, key, key_epoch: known.epoch, digest, statement, report })
}

fn malformed(error: &EnvelopeError) -> Refusal {
    let reason = match error {
        EnvelopeError::Sign1(Sign1Error::TooLarge { .. }) => "too-large",
        EnvelopeError::Sign1(Sign1Error::Signature(_)) => "wrong-signature",
        _ => "malformed",
    };
    refusal(None, reason, error.to_string(), "an envelope signed by a registered key for this network")
}

/// A refusal on the device's side.
pub fn refusal(
    device: Option<DeviceId>,
    reason: &'static str,
    observed: impl Into<String>,
    limit: &str,
) -> Refusal {
    let side = if device.is_some() { Side::Device } else { Side::Stranger };
    Refusal { device, reason: reason.into(), side, observed: observed.into(), limit: limit.to_owned() }
}
