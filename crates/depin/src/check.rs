//! The checks on a report that need no memory of other reports: at the door they are advisory, in the fold they decide.

#[cfg(feature = "node")]
use depin_core::NetworkId;
use depin_core::{DeviceId, Digest, Epoch, KeyId, Millis, Side, Timestamp, TypedKey, sha256};
#[cfg(feature = "node")]
use depin_identity::SigPolicy;
use depin_identity::{
    Arrival, DeviceRecord, Envelope, EnvelopeError, KeyEpoch, PublicKey, Registry, Report, Sign1Error,
    clock_skew,
};

use crate::{entry::Refusal, params::NetworkParams};

/// A report under a registered key with a right signature, from a device that may report. Only [`check_report`] and what it is made of give
/// one, so whoever holds it need not check again.
#[derive(Clone, Debug)]
pub struct CheckedReport {
    /// The device.
    pub device: DeviceId,
    /// The key that signed.
    pub key: KeyId,
    /// The key's epoch in the device's record.
    pub key_epoch: u32,
    /// SHA-256 of the signed payload: the same for every signature over the same statement.
    pub statement: Digest,
    /// What the device stated.
    pub report: Report,
    _checked: Checked,
}

/// Nobody else can make one.
#[derive(Clone, Copy, Debug)]
struct Checked;

/// The key that an envelope names, as the registry has it.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    device: DeviceId,
    epoch: u32,
    key: PublicKey,
}

/// A report whose signature is right: only [`open_signed`] makes one. Whether its device may report, and at this time, is not said.
#[derive(Clone, Debug)]
pub(crate) struct SignedReport {
    device: DeviceId,
    key: KeyId,
    epoch: u32,
    statement: Digest,
    report: Report,
}

/// When a report came: what of it decides, beside its numbers, whether its key was good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The moment.
    pub at: Timestamp,
    /// The epoch.
    pub epoch: Epoch,
}

/// Checks an envelope as it came.
///
/// # Errors
/// The refusal, which names the device only when the signature is by its key.
pub fn check_report(
    registry: &Registry,
    params: &NetworkParams,
    envelope: &[u8],
    received: Received,
) -> Result<CheckedReport, Refusal> {
    check_report_knowing(registry, params, envelope, received, |_| false)
}

/// As [`check_report`], without a look at the signature when `is_signed` knows that it is by the key.
pub(crate) fn check_report_knowing(
    registry: &Registry,
    params: &NetworkParams,
    envelope: &[u8],
    received: Received,
    is_signed: impl FnOnce(&TypedKey) -> bool,
) -> Result<CheckedReport, Refusal> {
    let envelope = Envelope::parse(envelope).map_err(|error| malformed(&error))?;
    let signer = holder(registry, envelope.key_id()).ok_or_else(|| unknown(envelope.key_id()))?;
    if !is_signed(&signer.key.typed()) {
        envelope
            .check_signature(&signer.key, params.network(), params.sig_policy)
            .map_err(|error| malformed(&error))?;
    }
    check_standing(registry, params, open_signed(&signer, envelope)?, received)
}

/// The key that `envelope` names; none if it is not registered, or if this is no envelope.
#[cfg(feature = "node")]
pub(crate) fn signer(registry: &Registry, envelope: &[u8]) -> Option<Signer> {
    holder(registry, Envelope::parse(envelope).ok()?.key_id())
}

fn holder(registry: &Registry, key: KeyId) -> Option<Signer> {
    let known = registry.by_key(&key)?;
    Some(Signer { device: known.record.device, epoch: known.epoch, key: *known.key })
}

/// The part of the check that costs most, and needs no more of the registry than the key.
///
/// # Errors
/// The refusal, which names nobody.
#[cfg(feature = "node")]
pub(crate) fn check_signature(
    signer: Option<Signer>,
    network: NetworkId,
    policy: SigPolicy,
    envelope: &[u8],
) -> Result<SignedReport, Refusal> {
    let parsed = Envelope::parse(envelope).map_err(|error| malformed(&error))?;
    let key = parsed.key_id();
    let Some(signer) = signer else { return Err(unknown(key)) };
    parsed.check_signature(&signer.key, network, policy).map_err(|error| malformed(&error))?;
    open_signed(&signer, parsed)
}

/// Reads an envelope that `signer` signed, as whoever calls this has seen or vouches for.
fn open_signed(signer: &Signer, envelope: Envelope<'_>) -> Result<SignedReport, Refusal> {
    let (key, statement) = (envelope.key_id(), sha256(&[envelope.payload()]));
    let report = envelope.unverified_report().map_err(|error| malformed(&error))?;
    Ok(SignedReport { device: signer.device, key, epoch: signer.epoch, statement, report })
}

/// The rest of the check, against the registry as it is when the report is taken.
///
/// # Errors
/// The refusal.
pub(crate) fn check_standing(
    registry: &Registry,
    params: &NetworkParams,
    signed: SignedReport,
    received: Received,
) -> Result<CheckedReport, Refusal> {
    let SignedReport { device, key, epoch, statement, report } = signed;
    let known = registry.by_key(&key).filter(|known| known.record.device == device && known.epoch == epoch);
    let Some(known) = known else { return Err(unknown(key)) };
    check_key(known.record, &known.key_epoch(), params.rotation_grace, &report, received)?;
    let skew = clock_skew(report.time, received.at, params.clock_skew);
    if !skew.is_within() {
        let finding = skew.finding();
        return Err(refusal(Some(device), "clock", finding.observed, &finding.limit));
    }
    Ok(CheckedReport { device, key, key_epoch: epoch, statement, report, _checked: Checked })
}

/// Whether a report under `key` counts by what the registry says of its device: at the door with what is known then, and once more at the cut.
///
/// # Errors
/// The refusal.
pub(crate) fn check_key(
    record: &DeviceRecord,
    key: &KeyEpoch,
    grace: Millis,
    report: &Report,
    received: Received,
) -> Result<(), Refusal> {
    let Report { boot, sequence, .. } = *report;
    let arrival = Arrival { received: received.at, epoch: received.epoch, boot, sequence };
    record
        .judge(key, arrival, grace)
        .map_err(|error| refusal(Some(record.device), error.reason(), error.to_string(), error.limit()))
}

/// As [`check_key`], for a report that counted before: by what the registry says now of the device and the key.
///
/// # Errors
/// The refusal; a device or key that is not registered is one.
pub(crate) fn check_again(
    record: Option<&DeviceRecord>,
    key: &KeyId,
    grace: Millis,
    report: &Report,
    received: Received,
) -> Result<(), Refusal> {
    let known = record.and_then(|record| Some((record, record.key(key)?)));
    let (record, key) = known.ok_or_else(|| unknown(*key))?;
    check_key(record, &key, grace, report, received)
}

fn unknown(key: KeyId) -> Refusal {
    refusal(
        None,
        "unknown-device",
        format!("key id {key}"),
        "a registered key; register the device first with `depin device register`",
    )
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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use depin_core::Address;
    use depin_identity::SoftwareKey;

    use super::*;

    #[test]
    fn a_report_of_whom_nothing_is_known_at_the_cut_does_not_count() {
        let (own, other) = ([1, 2].map(|seed| SoftwareKey::from_seed([seed; 32]).public().typed())).into();
        let record = DeviceRecord::registered(DeviceId(own), Address::ZERO, true, Timestamp(0));
        let report = Report {
            kind: "a.b".into(),
            time: Timestamp(1),
            boot: 0,
            sequence: 0,
            body: Vec::new(),
            commitments: Vec::new(),
        };
        let received = Received { at: Timestamp(1), epoch: Epoch(0) };
        let judge = |record, key: TypedKey| check_again(record, &key.id(), Millis(0), &report, received);
        assert_eq!(judge(Some(&record), own), Ok(()));
        for (record, key) in [(None, own), (Some(&record), other)] {
            assert_eq!(judge(record, key).unwrap_err().reason, "unknown-device");
        }
    }
}
