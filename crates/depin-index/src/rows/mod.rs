//! What is read out. Amounts are strings of decimal digits in JSON.

use depin_core::{
    Address, Amount, B256, ChainEvent, Contribution, DeviceId, Digest, Epoch, Outcome, Text, Timestamp,
    Units, Verdict,
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{BlockRef, DeviceStatus, Line, RootStatus, RootStep, Total, VerdictCounts, next_step, page::row};

mod finding;
mod sums;

pub use finding::FindingRow;
pub use sums::{Card, EarnedRollupRow, Overview, RollupRow, Sustainability};

/// A closed epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EpochRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// Digest of its bundle.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub bundle: Digest,
    /// Root of its claim tree.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub root: Digest,
    /// How far a root for it has come on the chain.
    pub status: RootStatus,
    /// The root on the chain: the final one, else the last one proposed. If it differs from `root`, somebody is wrong. Null as well where one of
    /// several roots was proposed again: the chain's events do not say which.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub root_on_chain: Option<Digest>,
    /// The bundle digest beside that root.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub bundle_on_chain: Option<Digest>,
    /// What there was to pay.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub pool: Amount,
    /// What the claims add up to.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub paid: Amount,
    /// What rounding left over.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub dust: Amount,
    /// What customers burned for it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub burned: Amount,
    /// What was minted for it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub minted: Amount,
    /// What customers paid providers for it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub revenue: Amount,
    /// What its customers' deals cost.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub spent: Total,
    /// Accepted work.
    #[cfg_attr(feature = "http", schema(schema_with = schema::units))]
    pub units: Units,
    /// When it began, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub opened: Timestamp,
    /// When it ended, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub closed: Timestamp,
    /// How its verdicts came out.
    pub verdicts: VerdictCounts,
    /// The block in which a root was proposed last, or proposed again.
    #[cfg_attr(feature = "http", schema(required))]
    pub proposed_block: Option<u64>,
    /// The time of that block, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub proposed_at: Option<Timestamp>,
    /// How often a root for it was challenged.
    pub challenges: u64,
    /// When the dispute that is open began, in milliseconds since the Unix epoch; null while none is.
    #[cfg_attr(feature = "http", schema(value_type = Option<u64>, required))]
    pub contested_at: Option<Timestamp>,
    /// How many rounds ended without a root.
    pub voids: u8,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(EpochRow, Epoch, epoch);

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

/// An owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct OwnerRow {
    /// Its address.
    #[cfg_attr(feature = "http", schema(schema_with = schema::address))]
    pub address: Address,
    /// How many devices it owns.
    pub devices: u64,
    /// Everything promised to it in closed epochs.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub earned: Total,
    /// What was paid out to it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub claimed: Total,
    /// What it can take now: payouts under final roots that are those of the bundles, less those that were paid out.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub claimable: Total,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(OwnerRow, Address, address);

impl OwnerRow {
    /// Somebody who owns nothing.
    pub(crate) fn unknown(address: Address) -> Self {
        let none = Total::default();
        Self { address, devices: 0, earned: none, claimed: none, claimable: none, decided: false }
    }
}

/// A payout and the proof that takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ClaimRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// How much.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub amount: Amount,
    /// The sibling hashes from the leaf to the root.
    #[cfg_attr(feature = "http", schema(schema_with = schema::proof))]
    pub proof: Vec<B256>,
    /// How far a root for the epoch has come on the chain.
    pub status: RootStatus,
    /// Whether it was paid out.
    pub claimed: bool,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(ClaimRow, Epoch, epoch);

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct CustomerRow {
    /// Its address.
    #[cfg_attr(feature = "http", schema(schema_with = schema::address))]
    pub address: Address,
    /// What it paid for credits on the chain.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub paid: Total,
    /// The part of that which was burned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub burned: Total,
    /// What its deals cost in closed epochs.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub spent: Total,
    /// The part of that which had been burned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub spent_burned: Total,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(CustomerRow, Address, address);

impl CustomerRow {
    /// Somebody who paid nothing.
    pub(crate) fn unknown(address: Address) -> Self {
        let none = Total::default();
        Self { address, paid: none, burned: none, spent: none, spent_burned: none, decided: false }
    }
}

/// A customer in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct CustomerEpochRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// What its deals cost.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub spent: Amount,
    /// The part of it that had been burned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub burned: Amount,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(CustomerEpochRow, Epoch, epoch);

/// An event and where on the chain it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EventRow {
    /// Number of its block.
    pub block: u64,
    /// Hash of its block.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub block_hash: Digest,
    /// Time of its block, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub time: Timestamp,
    /// Position among the logs of the block.
    pub log_index: u64,
    /// The event.
    #[cfg_attr(feature = "http", schema(schema_with = schema::event))]
    pub event: ChainEvent,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(EventRow, (u64, u64), block, log_index);

/// A step of a root on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RootRow {
    /// Number of its block.
    pub block: u64,
    /// Time of its block, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub time: Timestamp,
    /// Position among the logs of the block.
    pub log_index: u64,
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// The step.
    pub what: RootStep,
    /// The claim root, where the chain names it: when it is proposed and when it becomes final.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub root: Option<Digest>,
    /// The digest of the bundle beside it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub bundle: Option<Digest>,
    /// The id of the candidate that was challenged, supported or revived: Keccak-256 of the epoch and what was proposed, ABI-encoded.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub candidate: Option<Digest>,
    /// Who challenged, supported or revived it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_address, required))]
    pub by: Option<Address>,
    /// Which round was contested, revived into, or ended; from 0.
    #[cfg_attr(feature = "http", schema(required))]
    pub round: Option<u32>,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(RootRow, (u64, u64), block, log_index);

impl RootRow {
    /// The step that an event is; none if it is not about a root.
    pub(crate) fn of(row: EventRow) -> Option<Self> {
        let EventRow { block, time, log_index, event, decided, .. } = row;
        let step = |what, epoch: &Epoch| Self {
            block,
            time,
            log_index,
            epoch: *epoch,
            what,
            root: None,
            bundle: None,
            candidate: None,
            by: None,
            round: None,
            decided,
        };
        let of_root = |what, epoch, root: &Digest, bundle: &Digest| Self {
            root: Some(*root),
            bundle: Some(*bundle),
            ..step(what, epoch)
        };
        let by = |what, epoch, candidate: &Digest, who: &Address| Self {
            candidate: Some(*candidate),
            by: Some(*who),
            ..step(what, epoch)
        };
        Some(match &event {
            ChainEvent::RootProposed { epoch, root, bundle } => {
                of_root(RootStep::Proposed, epoch, root, bundle)
            }
            ChainEvent::RootFinal { epoch, root, bundle, .. } => {
                of_root(RootStep::Finalised, epoch, root, bundle)
            }
            ChainEvent::RootChallenged { epoch, candidate, challenger } => {
                by(RootStep::Challenged, epoch, candidate, challenger)
            }
            ChainEvent::RootSupported { epoch, candidate, supporter, .. } => {
                by(RootStep::Supported, epoch, candidate, supporter)
            }
            ChainEvent::RootRevived { epoch, candidate, proposer, round } => {
                Self { round: Some(*round), ..by(RootStep::Revived, epoch, candidate, proposer) }
            }
            ChainEvent::EpochContested { epoch, round } => {
                Self { round: Some(*round), ..step(RootStep::Contested, epoch) }
            }
            ChainEvent::RootVoided { epoch, round, .. } => {
                Self { round: Some(*round), ..step(RootStep::Voided, epoch) }
            }
            ChainEvent::RootUndecided { epoch, round, .. } => {
                Self { round: Some(*round), ..step(RootStep::Undecided, epoch) }
            }
            _ => return None,
        })
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

/// A reorganisation that was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ReorgRow {
    /// Counts up from 1.
    pub id: u64,
    /// When it was noticed, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub seen: Timestamp,
    /// How many blocks were undone.
    pub depth: u64,
    /// The newest block before.
    pub old: BlockRef,
    /// The newest block that both chains have.
    pub common: BlockRef,
    /// How many events were undone.
    pub events: u64,
}
row!(ReorgRow, u64, id);

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
