//! What a verifier says about work, and why.

use alloc::{string::String, vec::Vec};

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{DeviceId, Digest, Epoch, Text, Units, cbor};

/// The outcome of a verification.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// The work happened.
    #[n(0)]
    Accept,
    /// It did not, or was not shown.
    #[n(1)]
    Reject,
    /// It could not be checked, and that is not the device's doing: never paid, never punished.
    #[n(2)]
    Inconclusive,
}

/// How a check went.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CheckResult {
    /// Passed.
    #[n(0)]
    Pass,
    /// Failed.
    #[n(1)]
    Fail,
    /// Noted for people; decides nothing.
    #[n(2)]
    Warning,
    /// Not done, because something it needs is missing.
    #[n(3)]
    Skipped,
}

/// On whose side a failure lies.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Side {
    /// Nobody's.
    #[n(0)]
    None,
    /// The device or its owner.
    #[n(1)]
    Device,
    /// The customer.
    #[n(2)]
    Customer,
    /// The network's operator or its infrastructure.
    #[n(3)]
    Network,
    /// Somebody who is neither.
    #[n(4)]
    Stranger,
}

/// One check and what it saw. Every check leaves one, passed or not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Finding {
    /// The check, for example `possession.leaves`.
    #[n(0)]
    pub check: Text,
    /// How it went.
    #[n(1)]
    pub result: CheckResult,
    /// The reason in one word, for counting: `missing`, `late`, `replayed`; `ok` when passed.
    #[n(2)]
    pub reason: Text,
    /// Whose side a failure lies on.
    #[n(3)]
    pub side: Side,
    /// What was observed, for people. May quote a device: hostile when shown.
    #[n(4)]
    pub observed: String,
    /// What was expected, for people.
    #[n(5)]
    pub limit: String,
}

/// Work that a verifier accepted, under the deal that wanted it: all that rewards need to know.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Contribution {
    /// The deal, by its id.
    #[n(0)]
    pub deal: Digest,
    /// Whether the period is proven, faulted or still open.
    #[n(1)]
    pub outcome: Outcome,
    /// What was proved; zero unless accepted.
    #[n(2)]
    pub proved: Units,
}

/// What a verifier says about one device in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Verdict {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// The epoch.
    #[n(1)]
    pub epoch: Epoch,
    /// Verifier and version, for example `depin.storage.possession/1`; never a build hash.
    #[n(2)]
    pub verifier: Text,
    /// SHA-256 of the parameters it was judged by.
    #[n(3)]
    pub params: Digest,
    /// The outcome.
    #[n(4)]
    pub outcome: Outcome,
    /// Per deal, in the order of deal ids.
    #[n(5)]
    #[cbor(with = "cbor::list")]
    pub contributions: Vec<Contribution>,
    /// Every check.
    #[n(6)]
    #[cbor(with = "cbor::list")]
    pub findings: Vec<Finding>,
}

impl Finding {
    /// A check that passed.
    pub fn pass(check: &'static str, observed: impl Into<String>, limit: impl Into<String>) -> Self {
        Self::new(check, CheckResult::Pass, "ok", Side::None, observed, limit)
    }

    /// A check that failed.
    pub fn fail(
        check: &'static str,
        reason: &'static str,
        side: Side,
        observed: impl Into<String>,
        limit: impl Into<String>,
    ) -> Self {
        Self::new(check, CheckResult::Fail, reason, side, observed, limit)
    }

    /// Something worth knowing that decides nothing.
    pub fn warning(
        check: &'static str,
        reason: &'static str,
        side: Side,
        observed: impl Into<String>,
        limit: impl Into<String>,
    ) -> Self {
        Self::new(check, CheckResult::Warning, reason, side, observed, limit)
    }

    /// A check that could not be done.
    pub fn skipped(check: &'static str, reason: &'static str, missing: impl Into<String>) -> Self {
        Self::new(check, CheckResult::Skipped, reason, Side::None, missing, "")
    }

    fn new(
        check: &'static str,
        result: CheckResult,
        reason: &'static str,
        side: Side,
        observed: impl Into<String>,
        limit: impl Into<String>,
    ) -> Self {
        Self {
            check: check.into(),
            result,
            reason: reason.into(),
            side,
            observed: observed.into(),
            limit: limit.into(),
        }
    }
}
