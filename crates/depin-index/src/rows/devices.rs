//! What is read out about devices.

use depin_core::{
    Address, Amount, Contribution, DeviceId, Digest, Epoch, Outcome, Text, Timestamp, Units, Verdict,
};
use serde::{Deserialize, Serialize};

use super::FindingRow;
#[cfg(feature = "http")]
use crate::http::schema;
use crate::{DeviceStatus, Line, RootStatus, Total, next_step, page::row};

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct DeviceRow {
    /// Its did:key.
    #[cfg_attr(feature = "http", schema(schema_with = schema::did))]
    pub did: DeviceId,
    /// What names it on the chain: SHA-256 of the typed key.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub on_chain: Digest,
    /// Where it stands with the registry.
    pub status: DeviceStatus,
    /// Its owner: by the registry, else by the last epoch it was judged in.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_address, required))]
    pub owner: Option<Address>,
    /// The block in which it was registered.
    #[cfg_attr(feature = "http", schema(required))]
    pub registered_at: Option<u64>,
    /// The time of that block, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub registered_time: Option<Timestamp>,
    /// Everything it earned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub earned: Total,
    /// The part of it whose roots are final.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub earned_final: Total,
    /// The last epoch it was judged in.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub last_epoch: Option<Epoch>,
    /// How that came out.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_outcome, required))]
    pub last_outcome: Option<Outcome>,
    /// How many reports were received from it.
    pub reports: u64,
    /// When the last one came in, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub last_report: Option<Timestamp>,
    /// How many of its reports were refused in closed epochs.
    pub refused: u64,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(DeviceRow, DeviceId, did);

/// What a device earned in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EarningRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// Who owned the device then.
    #[cfg_attr(feature = "http", schema(schema_with = schema::address))]
    pub owner: Address,
    /// Accepted work.
    #[cfg_attr(feature = "http", schema(schema_with = schema::units))]
    pub units: Units,
    /// What it earned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub earned: Amount,
    /// How: deal by deal.
    pub lines: Vec<Line>,
    /// When the epoch closed, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub closed: Timestamp,
    /// How far a root for the epoch has come on the chain.
    pub status: RootStatus,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(EarningRow, Epoch, epoch);

/// What one device did in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EpochDeviceRow {
    /// The device.
    #[cfg_attr(feature = "http", schema(schema_with = schema::did))]
    pub did: DeviceId,
    /// Who owned it then.
    #[cfg_attr(feature = "http", schema(schema_with = schema::address))]
    pub owner: Address,
    /// Accepted work.
    #[cfg_attr(feature = "http", schema(schema_with = schema::units))]
    pub units: Units,
    /// What it earned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub earned: Amount,
    /// How it was judged.
    #[cfg_attr(feature = "http", schema(schema_with = schema::outcome))]
    pub outcome: Outcome,
}
row!(EpochDeviceRow, DeviceId, did);

/// The reports of a device in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ReportRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// How many counted.
    pub counted: u64,
    /// How many were refused.
    pub refused: u64,
    /// When the first of those that counted came in, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub first: Option<Timestamp>,
    /// When the last of them came in.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub last: Option<Timestamp>,
    /// Sequence numbers that were skipped.
    pub missing: u64,
}
row!(ReportRow, Epoch, epoch);

/// What a verifier said about a device in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct VerdictRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// Verifier and version.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub verifier: Text,
    /// SHA-256 of the parameters it judged by.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub params: Digest,
    /// The outcome.
    #[cfg_attr(feature = "http", schema(schema_with = schema::outcome))]
    pub outcome: Outcome,
    /// Per deal.
    #[cfg_attr(feature = "http", schema(schema_with = schema::contributions))]
    pub contributions: Vec<Contribution>,
    /// Every check.
    pub findings: Vec<FindingRow>,
}
row!(VerdictRow, Epoch, epoch);

impl From<&Verdict> for VerdictRow {
    fn from(verdict: &Verdict) -> Self {
        Self {
            epoch: verdict.epoch,
            verifier: verdict.verifier.clone(),
            params: verdict.params,
            outcome: verdict.outcome,
            contributions: verdict.contributions.clone(),
            findings: verdict.findings.iter().map(FindingRow::from).collect(),
        }
    }
}

/// What was refused at the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RefusalRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// The device, if the envelopes were signed by a registered one.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_did, required))]
    pub device: Option<DeviceId>,
    /// The reason.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub reason: Text,
    /// How many.
    pub count: u64,
    /// What can be done about it; empty when nothing is known.
    pub next: String,
}
row!(RefusalRow, (Epoch, Option<DeviceId>, Text), epoch, device, reason);

impl RefusalRow {
    pub(crate) fn new(epoch: Epoch, device: Option<DeviceId>, reason: Text, count: u64) -> Self {
        let next = next_step("report", reason.as_str()).to_owned();
        Self { epoch, device, reason, count, next }
    }
}
