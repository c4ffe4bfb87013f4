//! What was found, for people and for programs.

use std::{fmt, path::Path};

use depin_core::{CheckResult, Finding, Side};
use serde::Serialize;

/// Characters of a text from outside that are shown at most.
const MAX_SHOWN: usize = 400;

/// What checking came to, from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// Everything was checked, and holds.
    #[default]
    Valid,
    /// Something does not hold.
    Invalid,
    /// Nothing is wrong, but something could not be checked.
    NotChecked,
}

/// What one file is, and every check of it.
#[derive(Debug, Serialize)]
pub(super) struct Checked {
    kind: &'static str,
    outcome: Outcome,
    /// What it says, in a line.
    summary: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Entry {
    file: String,
    #[serde(flatten)]
    checked: Checked,
}

/// All files.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    outcome: Outcome,
    files: Vec<Entry>,
}

impl Checked {
    /// The outcome follows from the findings: a failure decides; a check that was not done, or none at all, leaves it open.
    pub(super) fn new(kind: &'static str, summary: impl Into<String>, findings: Vec<Finding>) -> Self {
        let any = |result| findings.iter().any(|finding| finding.result == result);
        let outcome = if any(CheckResult::Fail) {
            Outcome::Invalid
        } else if any(CheckResult::Skipped) || !any(CheckResult::Pass) {
            Outcome::NotChecked
        } else {
            Outcome::Valid
        };
        Self { kind, outcome, summary: summary.into(), findings }
    }

    pub(super) fn unreadable(error: &str) -> Self {
        Self::new("nothing that could be read", "", vec![skipped("file.read", "unreadable", error)])
    }

    pub(super) fn unknown() -> Self {
        let expected = "this is no bundle, excerpt, receipt, report, DID document, credential, presentation, maker chain, status \
                        list, certificate chain, TPM quote, Android attestation, grant or ownership voucher";
        Self::new("unknown", "", vec![fail("file.kind", "unknown", expected)])
    }

    pub(super) fn empty() -> Self {
        Self::new("nothing", "", vec![fail("file.kind", "empty", "the file is empty: copy it again")])
    }

    pub(super) fn broke_off(kind: &'static str) -> Self {
        let finding = skipped("file.check", "broke-off", "the check broke off; report this file as a bug");
        Self::new(kind, "", vec![finding])
    }
}

impl Report {
    pub(super) fn add(&mut self, path: &Path, checked: Checked) {
        self.outcome = match (self.outcome, checked.outcome) {
            (Outcome::Invalid, _) | (_, Outcome::Invalid) => Outcome::Invalid,
            (Outcome::NotChecked, _) | (_, Outcome::NotChecked) => Outcome::NotChecked,
            (Outcome::Valid, Outcome::Valid) => Outcome::Valid,
        };
        self.files.push(Entry { file: path.display().to_string(), checked });
    }

    pub(super) const fn outcome(&self) -> Outcome {
        self.outcome
    }
}

pub(super) fn pass(check: &'static str, observed: impl Into<String>, limit: impl Into<String>) -> Finding {
    Finding::pass(check, observed, limit)
}

/// Whoever made the file is to blame, and that is a stranger.
pub(super) fn fail(check: &'static str, reason: &'static str, error: impl fmt::Display) -> Finding {
    Finding::fail(check, reason, Side::Stranger, error.to_string(), "")
}

pub(super) fn skipped(check: &'static str, reason: &'static str, missing: impl fmt::Display) -> Finding {
    Finding::skipped(check, reason, missing.to_string())
}

/// What decides nothing and should be known.
pub(super) fn warning(check: &'static str, reason: &'static str, observed: impl Into<String>) -> Finding {
    Finding::warning(check, reason, Side::None, observed, "")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { file, checked } in &self.files {
            let word = match checked.outcome {
                Outcome::Valid => "valid",
                Outcome::Invalid => "INVALID",
                Outcome::NotChecked => "not checked",
            };
            write!(f, "{}: {word}: {}", shown(file), checked.kind)?;
            if !checked.summary.is_empty() {
                write!(f, " {}", shown(&checked.summary))?;
            }
            writeln!(f)?;
            for finding in &checked.findings {
                let word = match finding.result {
                    CheckResult::Pass => continue,
                    CheckResult::Fail => "failed",
                    CheckResult::Skipped => "not checked",
                    _ => "note",
                };
                writeln!(f, "  {word}: {}: {}", finding.check.as_str(), shown(&finding.observed))?;
            }
        }
        Ok(())
    }
}

/// `text` in one line of bounded length that moves no cursor and turns no direction.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).map(escaped).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn escaped(character: char) -> String {
    let turns = matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if character.is_control() || turns {
        character.escape_unicode().to_string()
    } else {
        character.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_moves_no_cursor_and_turns_no_direction() {
        assert_eq!(shown("a\u{1b}[2Jb\r\n\u{202e}c\u{9b}1"), "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c\\u{9b}1");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn a_failure_decides_and_a_gap_leaves_it_open() {
        let outcome = |findings: Vec<Finding>| Checked::new("", "", findings).outcome;
        let (good, bad, open) = (|| pass("a", "", ""), || fail("b", "c", ""), || skipped("d", "e", ""));
        assert_eq!(outcome(vec![good(), warning("w", "x", "")]), Outcome::Valid);
        assert_eq!(outcome(vec![good(), open(), bad()]), Outcome::Invalid);
        assert_eq!(outcome(vec![open(), good()]), Outcome::NotChecked);
        assert_eq!(outcome(Vec::new()), Outcome::NotChecked);
        assert_eq!(outcome(vec![warning("w", "x", "")]), Outcome::NotChecked);
    }
}
