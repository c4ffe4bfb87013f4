//! Findings, in words and with what to do about them.

use depin_core::{CheckResult, Finding, Side, Text};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{clean, next_step};

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
    /// What the owner can do about it; empty when there is nothing to do.
    pub next: String,
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
            next: match finding.result {
                CheckResult::Pass => String::new(),
                _ => next_step(finding.check.as_str(), finding.reason.as_str()).to_owned(),
            },
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
