//! What is fed in: facts, already decided elsewhere, in the order in which they became known.

use std::{
    collections::BTreeSet,
    fmt::{Debug, Display},
};

use depin_core::{
    Address, Amount, B256, DeviceId, Digest, Epoch, Located, Text, Timestamp, Units, Verdict, cbor,
};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{EventKind, StoreError};

/// A block, by number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its hash.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub hash: Digest,
}

/// How far an index has read: the chain and the journal advance independently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The last block whose events are all in; none before the first.
    pub block: Option<BlockRef>,
    /// The highest block known to be final; it may lie above `block` while the index catches up. Nothing up to it is ever undone.
    pub final_block: Option<u64>,
    /// How many journal entries are in.
    pub journal: u64,
}

/// The header of a block, as far as an index keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockFacts {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: Digest,
    /// The hash of the block before.
    pub parent: Digest,
    /// Its time. Chains count seconds, we count milliseconds.
    pub time: Timestamp,
}

/// Facts that enter an index together, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Headers, in any order: of every block with an event, unless it is stored already, and of the newest blocks with or without one. What
    /// a store must keep of them is the headers of blocks with events and those of the newest block
    /// and the [`WINDOW`] before it.
    pub blocks: Vec<BlockFacts>,
    /// What the chain said, in any order.
    pub events: Vec<Located>,
    /// Epochs that closed.
    pub epochs: Vec<EpochFacts>,
    /// Payouts that closed epochs promise. Apart from the epochs, so that a large tree can come in several batches.
    pub claims: Vec<ClaimFacts>,
    /// Reports received so far, per device.
    pub reports: Vec<ReportFacts>,
}

/// One closed epoch, as its bundle has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochFacts {
    /// The epoch.
    pub epoch: Epoch,
    /// Digest of its bundle.
    pub bundle: Digest,
    /// Root of its claim tree.
    pub root: Digest,
    /// What there was to pay: minted for the epoch, plus service revenue.
    pub pool: Amount,
    /// What the claims add up to.
    pub paid: Amount,
    /// What rounding left over.
    pub dust: Amount,
    /// What customers burned for it.
    pub burned: Amount,
    /// What was minted for it.
    pub minted: Amount,
    /// What customers paid providers for it.
    pub revenue: Amount,
    /// Accepted work.
    pub units: Units,
    /// When it began.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Timestamp,
    /// How its verdicts came out.
    pub verdicts: VerdictCounts,
    /// Every device that was judged, each once.
    pub devices: Vec<DeviceEpoch>,
    /// Every customer that spent, each once.
    pub customers: Vec<CustomerEpoch>,
    /// The reports of each device, each device once.
    pub reports: Vec<ReportEpoch>,
    /// What was refused at the door, each (device, reason) once.
    pub refusals: Vec<RefusalFacts>,
}

/// How many verdicts came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct VerdictCounts {
    /// The work happened.
    pub accept: u64,
    /// It did not, or was not shown.
    pub reject: u64,
    /// It could not be checked.
    pub inconclusive: u64,
}

/// One device in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEpoch {
    /// The device.
    pub device: DeviceId,
    /// Who owned it when the epoch closed.
    pub owner: Address,
    /// Its accepted work.
    pub units: Units,
    /// What that earned.
    pub earned: Amount,
    /// How it was earned, deal by deal; each deal once.
    pub lines: Vec<Line>,
    /// What the verifier said, of this device and this epoch.
    pub verdict: Verdict,
}

/// What one deal brought a device in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Line {
    /// The deal.
    #[n(0)]
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub deal: Digest,
    /// Who pays for it.
    #[n(1)]
    #[cbor(with = "cbor::address")]
    #[cfg_attr(feature = "http", schema(schema_with = schema::address))]
    pub customer: Address,
    /// Proved and paid for, in the kind of the epoch.
    #[n(2)]
    #[cbor(with = "cbor::u128")]
    #[serde(with = "cbor::u128_string")]
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub units: u128,
    /// Its share of what the customer pays.
    #[n(3)]
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub revenue: Amount,
    /// Its share of what is minted.
    #[n(4)]
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub emission: Amount,
}

/// The reports of one device in one epoch that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportEpoch {
    /// The device.
    pub device: DeviceId,
    /// How many.
    pub counted: u64,
    /// When the first and the last of them came in; none without any.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Sequence numbers that were skipped before or between them.
    pub missing: u64,
}

/// One customer in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerEpoch {
    /// The customer.
    pub address: Address,
    /// What its deals cost.
    pub spent: Amount,
    /// The part of it that had been burned.
    pub burned: Amount,
}

/// Envelopes refused for one reason in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalFacts {
    /// The device, if the envelope was signed by a registered one.
    pub device: Option<DeviceId>,
    /// The reason.
    pub reason: Text,
    /// How many.
    pub count: u64,
}

/// A payout that can be claimed with a Merkle proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimFacts {
    /// The epoch.
    pub epoch: Epoch,
    /// Who is paid.
    pub account: Address,
    /// How much.
    pub amount: Amount,
    /// The sibling hashes from the leaf to the root.
    pub proof: Vec<B256>,
}

/// Reports received from one device since the beginning. A total, so that hearing of it twice changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFacts {
    /// The device.
    pub device: DeviceId,
    /// How many.
    pub count: u64,
    /// When the last one came in.
    pub last: Timestamp,
}

/// Deepest claim tree: 2^64 accounts.
pub const MAX_PROOF: usize = 64;

/// How many block hashes below the newest a store keeps at least: the deepest reorganisation that a follower can undo.
pub const WINDOW: u64 = 256;

impl Batch {
    /// Checks that this batch and `cursor` can be stored: every number fits a database, nothing occurs twice where it may occur once.
    ///
    /// Every store calls it first, so that all of them refuse the same batches.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`], [`StoreError::Twice`], [`StoreError::Foreign`] or [`StoreError::UnknownEvent`].
    pub fn check(&self, cursor: &Cursor) -> Result<(), StoreError> {
        fits("the journal position", cursor.journal)?;
        fits("the block number", cursor.block.map_or(0, |block| block.number))?;
        fits("the final block", cursor.final_block.unwrap_or_default())?;
        for block in &self.blocks {
            fits("the block number", block.number)?;
            fits("the time of a block", block.time.0)?;
        }
        for located in &self.events {
            fits("the block number", located.block)?;
            fits("the log index", located.log_index)?;
            EventKind::of(&located.event)?;
        }
        self.epochs.iter().try_for_each(EpochFacts::check)?;
        for claim in &self.claims {
            fits("the epoch", claim.epoch.0)?;
            if claim.proof.len() > MAX_PROOF {
                return Err(StoreError::OutOfRange {
                    what: "the length of a claim proof",
                    found: u64::try_from(claim.proof.len()).unwrap_or(u64::MAX),
                });
            }
        }
        for report in &self.reports {
            fits("the number of reports", report.count)?;
            fits("the time of the last report", report.last.0)?;
        }
        Ok(())
    }
}

impl EpochFacts {
    fn check(&self) -> Result<(), StoreError> {
        fits("the epoch", self.epoch.0)?;
        fits("the opening of an epoch", self.opened.0)?;
        fits("the closing of an epoch", self.closed.0)?;
        for count in [self.verdicts.accept, self.verdicts.reject, self.verdicts.inconclusive] {
            fits("the number of verdicts", count)?;
        }
        for row in &self.devices {
            if row.verdict.device != row.device {
                return Err(foreign(row.device, row.verdict.device));
            }
            if row.verdict.epoch != self.epoch {
                return Err(foreign(self.epoch, row.verdict.epoch));
            }
        }
        for refusal in &self.refusals {
            fits("the number of refusals", refusal.count)?;
        }
        for row in &self.reports {
            fits("the number of reports", row.counted)?;
            fits("the number of missing reports", row.missing)?;
            fits("the time of a report", row.span.map_or(0, |(first, last)| first.max(last).0))?;
        }
        for row in &self.devices {
            once("deal", self.epoch, row.lines.iter().map(|line| line.deal))?;
        }
        once("device", self.epoch, self.devices.iter().map(|row| row.device))?;
        once("device", self.epoch, self.reports.iter().map(|row| row.device))?;
        once("customer", self.epoch, self.customers.iter().map(|row| row.address))?;
        let refusals =
            self.refusals.iter().map(|row| (row.device.map(|device| device.0), row.reason.clone()));
        once("refusal", self.epoch, refusals)
    }
}

/// Databases count in signed 64-bit integers.
pub(crate) fn fits(what: &'static str, found: u64) -> Result<i64, StoreError> {
    i64::try_from(found).map_err(|_| StoreError::OutOfRange { what, found })
}

fn foreign(expected: impl Display, found: impl Display) -> StoreError {
    StoreError::Foreign { expected: expected.to_string(), found: found.to_string() }
}

fn once<T: Ord + Debug>(
    what: &'static str,
    epoch: Epoch,
    keys: impl Iterator<Item = T>,
) -> Result<(), StoreError> {
    let mut seen = BTreeSet::new();
    for key in keys {
        if let Some(twice) = seen.replace(key) {
            return Err(StoreError::Twice { what, epoch, key: format!("{twice:?}") });
        }
    }
    Ok(())
}
