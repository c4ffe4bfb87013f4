//! What is read out. Amounts are strings of decimal digits in JSON.

use std::{fmt, str::FromStr};

use alloy_primitives::U256;
use depin_core::{
    Address, Amount, B256, ChainEvent, CheckResult, Contribution, DeviceId, Digest, Epoch, Finding, Located,
    Outcome, Side, Text, Timestamp, Units, Verdict,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{StoreError, VerdictCounts, text::clean};

/// A sum of amounts: 256 bits, so that no number of amounts that fits a disk overflows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Total(pub U256);

impl Total {
    /// The sum with `amount`.
    ///
    /// # Errors
    /// [`StoreError::Sum`] above 2^256 - 1.
    pub fn plus(self, amount: Amount) -> Result<Self, StoreError> {
        self.0.checked_add(amount.into()).map(Self).ok_or(StoreError::Sum)
    }

    /// The difference to `amount`.
    ///
    /// # Errors
    /// [`StoreError::Sum`] below zero.
    pub fn minus(self, amount: Amount) -> Result<Self, StoreError> {
        self.0.checked_sub(amount.into()).map(Self).ok_or(StoreError::Sum)
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Total {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Total {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = if digits { U256::from_str_radix(&text, 10).ok() } else { None };
        value.map(Self).ok_or_else(|| serde::de::Error::custom("expected a string of decimal digits"))
    }
}

/// Closed sets of words: one spelling in JSON, in a query and on disk.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What a database keeps for it; never given to another.
            pub const fn code(self) -> i64 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The one with this code.
            pub fn from_code(code: i64) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.code() == code)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(())
            }
        }
    };
}

words! {
    /// The types of chain events.
    EventKind {
        /// A device got its first owner.
        DeviceRegistered = 0 "device-registered",
        /// A device changed hands.
        DeviceTransferred = 1 "device-transferred",
        /// A device was switched off for ever.
        DeviceDeactivated = 2 "device-deactivated",
        /// A customer paid.
        CreditsPaid = 3 "credits-paid",
        /// An epoch started and its cap was escrowed.
        EpochStarted = 4 "epoch-started",
        /// A root was proposed.
        RootProposed = 5 "root-proposed",
        /// A root became final.
        RootFinal = 6 "root-final",
        /// A claim was paid.
        Claimed = 7 "claimed",
    }
}

words! {
    /// Where a device stands with the registry, as far as its events are in.
    DeviceStatus {
        /// It has an owner.
        Active = 0 "active",
        /// It was switched off for ever.
        Deactivated = 1 "deactivated",
        /// It worked or reported, but no event of the registry names it yet.
        Unregistered = 2 "unregistered",
    }
}

words! {
    /// How far the root of a closed epoch has come on the chain, as far as its events are in.
    RootStatus {
        /// Nothing on the chain yet.
        Closed = 0 "closed",
        /// Proposed: it can still be challenged.
        Proposed = 1 "proposed",
        /// Final: it can be claimed from.
        Final = 2 "final",
    }
}

/// A row and its place in its list.
pub trait Row {
    /// What the list is sorted by; unique.
    type Key;

    /// The key of this row.
    fn key(&self) -> Self::Key;
}

macro_rules! row {
    ($row:ty, $key:ty, $($field:ident),+) => {
        impl Row for $row {
            type Key = $key;

            fn key(&self) -> $key {
                ($(self.$field.clone()),+)
            }
        }
    };
}

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

/// Some rows of a list, and whether more follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// Whether rows follow the last one.
    pub more: bool,
}

impl<T: Row> Page<T> {
    /// A page of at most `limit` of `rows`, of which one more than that is enough.
    pub fn cut(mut rows: Vec<T>, limit: Limit) -> Self {
        let more = rows.len() > limit.rows();
        rows.truncate(limit.rows());
        Self { items: rows, more }
    }

    /// Where the next page begins: after this key.
    pub fn next(&self) -> Option<T::Key> {
        if self.more { self.items.last().map(Row::key) } else { None }
    }
}

/// How many rows a page may have: 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    /// The most.
    pub const MAX: u16 = 1_000;

    /// At most `rows`; nothing outside 1 to 1,000.
    pub const fn new(rows: u16) -> Option<Self> {
        if rows >= 1 && rows <= Self::MAX { Some(Self(rows)) } else { None }
    }

    /// How many.
    pub fn rows(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl EventKind {
    /// The type of `event`.
    ///
    /// # Errors
    /// [`StoreError::UnknownEvent`] for a type younger than this crate.
    pub fn of(event: &ChainEvent) -> Result<Self, StoreError> {
        Ok(match event {
            ChainEvent::DeviceRegistered { .. } => Self::DeviceRegistered,
            ChainEvent::DeviceTransferred { .. } => Self::DeviceTransferred,
            ChainEvent::DeviceDeactivated { .. } => Self::DeviceDeactivated,
            ChainEvent::CreditsPaid { .. } => Self::CreditsPaid,
            ChainEvent::EpochStarted { .. } => Self::EpochStarted,
            ChainEvent::RootProposed { .. } => Self::RootProposed,
            ChainEvent::RootFinal { .. } => Self::RootFinal,
            ChainEvent::Claimed { .. } => Self::Claimed,
            other => return Err(StoreError::UnknownEvent { found: clean(&format!("{other:?}")) }),
        })
    }
}

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
