//! What is read out. Amounts are strings of decimal digits in JSON.

use depin_core::{
    Address, Amount, B256, ChainEvent, CheckResult, Contribution, DeviceId, Digest, Epoch, Finding, Located,
    Outcome, Side, Text, Timestamp, Units, Verdict,
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{BlockRef, DeviceStatus, Page, RootStatus, Total, VerdictCounts, clean, page::row};

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
    /// The root on the chain: the final one, else the last one proposed. If it differs from `root`, somebody is wrong.
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
    /// Everything it earned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub earned: Total,
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
}
row!(EarningRow, Epoch, epoch);

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

/// One check and what it saw. Texts are cleaned: no control characters, nothing that turns the reading direction, at most 512 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct FindingRow {
    /// The check.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub check: Text,
    /// How it went.
    #[cfg_attr(feature = "http", schema(schema_with = schema::check_result))]
    pub result: CheckResult,
    /// The reason in one word.
    #[cfg_attr(feature = "http", schema(value_type = String))]
    pub reason: Text,
    /// Whose side a failure lies on.
    #[cfg_attr(feature = "http", schema(schema_with = schema::side))]
    pub side: Side,
    /// What was observed. May quote a device.
    pub observed: String,
    /// What was expected.
    pub limit: String,
    /// All of it in one sentence.
    pub words: String,
}

/// An owner and its devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRow {
    /// The owner.
    pub address: Address,
    /// Everything promised to it in closed epochs.
    pub earned: Total,
    /// What of that was paid out.
    pub claimed: Total,
    /// Its devices.
    pub devices: Page<DeviceRow>,
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
}
row!(CustomerRow, Address, address);

/// An event and where on the chain it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EventRow {
    /// Number of its block.
    pub block: u64,
    /// Hash of its block.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub block_hash: Digest,
    /// Position among the logs of the block.
    pub log_index: u64,
    /// The event.
    #[cfg_attr(feature = "http", schema(schema_with = schema::event))]
    pub event: ChainEvent,
}
row!(EventRow, (u64, u64), block, log_index);

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
}
row!(RefusalRow, (Epoch, Option<DeviceId>, Text), epoch, device, reason);

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

impl From<Located> for EventRow {
    fn from(located: Located) -> Self {
        let Located { block, block_hash, log_index, event } = located;
        Self { block, block_hash, log_index, event }
    }
}

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

impl From<&Finding> for FindingRow {
    /// Cleans the texts: a finding may quote a device.
    fn from(finding: &Finding) -> Self {
        let mut row = Self {
            check: finding.check.clone(),
            result: finding.result,
            reason: finding.reason.clone(),
            side: finding.side,
            observed: clean(&finding.observed),
            limit: clean(&finding.limit),
            words: String::new(),
        };
        row.words = row.in_words();
        row
    }
}

impl FindingRow {
    /// One sentence for people, made of the other fields.
    pub(crate) fn in_words(&self) -> String {
        let Self { check, reason, observed, limit, .. } = self;
        let seen = if observed.is_empty() { String::new() } else { format!(": {observed}") };
        let wanted = if limit.is_empty() { String::new() } else { format!("; expected {limit}") };
        let blame = match self.side {
            Side::Device => "; on the device's side",
            Side::Customer => "; on the customer's side",
            Side::Network => "; on the network's side",
            Side::Stranger => "; on a stranger's side",
            _ => "",
        };
        match self.result {
            CheckResult::Pass => format!("{check} passed{seen}{wanted}"),
            CheckResult::Fail => format!("{check} failed ({reason}){seen}{wanted}{blame}"),
            CheckResult::Warning => format!("{check} warns ({reason}){seen}{wanted}{blame}"),
            CheckResult::Skipped => format!("{check} was not done ({reason}){seen}"),
            _ => format!("{check} ({reason}){seen}{wanted}{blame}"),
        }
    }
}
