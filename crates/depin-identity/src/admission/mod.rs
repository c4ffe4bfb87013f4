//! Who may join: a policy, facts about an applicant, and a verdict with its reasons. And what it costs to get round the policy.
//!
//! Pure: facts are values that others have established, credentials have been verified elsewhere. A fact that is missing is never held
//! for good: the verdict is then inconclusive, and nobody is admitted.

mod policy;
mod price;

pub use policy::{AdmissionPolicy, CellRule, CredentialHolder, CredentialRule};
pub use price::{Outlook, Prices, SybilPrice, SybilVerdict, compare, sybil_price};

use alloc::{format, string::ToString, vec::Vec};

use depin_core::{Amount, Cell, CheckResult, Finding, Outcome, Side, Text};

use crate::place;

/// Base units of a token with 18 decimals, in which the defaults are stated.
pub const TOKEN: u128 = 1_000_000_000_000_000_000;

/// What is known of an applicant. `None` is what could not be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applicant {
    /// Where it is, for rules by region.
    pub region: Option<Text>,
    /// The credentials shown, each with what its verification said.
    pub credentials: Option<Vec<ShownCredential>>,
    /// Its maker.
    pub maker: Option<Maker>,
    /// What its owner has locked for it.
    pub bond: Option<Amount>,
    /// Where it is.
    pub cell: Option<Cell>,
    /// How many other devices are in that cell, at the policy's resolution.
    pub neighbours: Option<u32>,
    /// Its owner's reputation.
    pub reputation: Option<u32>,
}

/// A credential that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCredential {
    /// Its type.
    pub kind: Text,
    /// Who holds it.
    pub holder: CredentialHolder,
    /// What its verification said; inconclusive when its status could not be asked, for example.
    pub verified: Outcome,
}

/// What is known of a maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// The quota its credential grants.
    pub quota: u32,
    /// How many of its devices are admitted already.
    pub admitted: u32,
    /// What it has locked.
    pub bond: Amount,
}

/// The verdict on an applicant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Accepted only when every rule passed; inconclusive when none failed, but something could not be found out.
    pub outcome: Outcome,
    /// Why not, in the order of the rules.
    pub reasons: Vec<AdmissionReason>,
    /// Every rule, passed or not.
    pub findings: Vec<Finding>,
}

/// Why an applicant was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionReason {
    /// The policy itself cannot be applied.
    #[error("the policy cannot be applied: {reason}")]
    Policy {
        /// What is wrong with it.
        reason: depin_core::OutOfBounds,
    },
    /// Something is not known.
    #[error("{fact} is not known: find it out, then ask again")]
    Unknown {
        /// What.
        fact: Text,
    },
    /// A credential was not shown.
    #[error("no {kind} of the {holder:?} was shown; it is required here")]
    CredentialMissing {
        /// The credential's type.
        kind: Text,
        /// Who should hold it.
        holder: CredentialHolder,
    },
    /// A credential was refused.
    #[error("the {kind} of the {holder:?} is not valid; show one that is")]
    CredentialRefused {
        /// The credential's type.
        kind: Text,
        /// Who holds it.
        holder: CredentialHolder,
    },
    /// The maker has no place left.
    #[error("the maker has {admitted} devices of the {quota} it may have; it needs a larger quota")]
    Quota {
        /// The quota.
        quota: u32,
        /// The devices admitted already.
        admitted: u32,
    },
    /// Too little locked for the device.
    #[error("{found} is locked for the device; lock {expected}")]
    Bond {
        /// What the policy asks for.
        expected: Amount,
        /// What is locked.
        found: Amount,
    },
    /// Too little locked by the maker.
    #[error("the maker has locked {found}; its quota needs {expected}")]
    MakerBond {
        /// What the policy asks for.
        expected: Amount,
        /// What is locked.
        found: Amount,
    },
    /// Too many devices in one place.
    #[error("the cell {cell} holds {found} devices of {limit}; move elsewhere")]
    Cell {
        /// The cell, at the policy's resolution.
        cell: Cell,
        /// Devices there.
        found: u32,
        /// Most devices there.
        limit: u32,
    },
    /// A place that is none, or not known well enough.
    #[error(transparent)]
    Place(#[from] place::PlaceError),
    /// Too little reputation.
    #[error("the reputation is {found}; {expected} is needed")]
    Reputation {
        /// What the policy asks for.
        expected: u32,
        /// What there is.
        found: u32,
    },
}

impl AdmissionPolicy {
    /// Judges `applicant`.
    pub fn admit(&self, applicant: &Applicant) -> Admission {
        let mut judge = Judge { reasons: Vec::new(), findings: Vec::new() };
        if let Err(reason) = self.check() {
            judge.unknown("admission.policy", AdmissionReason::Policy { reason });
            return judge.verdict();
        }
        for rule in &self.credentials {
            judge.credential(rule, applicant);
        }
        judge.maker(self, applicant);
        judge.bond(self, applicant);
        if let Some(rule) = self.cell {
            judge.cell(rule, applicant);
        }
        judge.reputation(self, applicant);
        judge.verdict()
    }
}

struct Judge {
    reasons: Vec<AdmissionReason>,
    findings: Vec<Finding>,
}

impl Judge {
    fn verdict(self) -> Admission {
        let has = |result| self.findings.iter().any(|finding| finding.result == result);
        let outcome = match (has(CheckResult::Fail), has(CheckResult::Skipped)) {
            (true, _) => Outcome::Reject,
            (false, true) => Outcome::Inconclusive,
            (false, false) => Outcome::Accept,
        };
        Admission { outcome, reasons: self.reasons, findings: self.findings }
    }

    fn credential(&mut self, rule: &CredentialRule, applicant: &Applicant) {
        const CHECK: &str = "admission.credential";
        if let Some(wanted) = &rule.region {
            match &applicant.region {
                None => return self.missing(CHECK, "region"),
                Some(region) if region != wanted => {
                    return self.pass(CHECK, &rule.kind, &format!("not needed in {region}"));
                }
                Some(_) => {}
            }
        }
        let Some(shown) = &applicant.credentials else { return self.missing(CHECK, "credentials") };
        let (kind, holder) = (rule.kind.clone(), rule.holder);
        let fits = shown.iter().filter(|shown| shown.kind == kind && shown.holder == holder);
        // The best of those shown counts: a refused one beside a valid one harms nobody.
        match fits.map(|shown| shown.verified).min_by_key(|verified| match verified {
            Outcome::Accept => 0,
            Outcome::Inconclusive => 1,
            _ => 2,
        }) {
            None => self.fail(CHECK, "missing", AdmissionReason::CredentialMissing { kind, holder }),
            Some(Outcome::Accept) => self.pass(CHECK, &kind, "valid"),
            Some(Outcome::Inconclusive) => self.missing(CHECK, "credential-status"),
            Some(_) => self.fail(CHECK, "refused", AdmissionReason::CredentialRefused { kind, holder }),
        }
    }

    fn maker(&mut self, policy: &AdmissionPolicy, applicant: &Applicant) {
        let Some(maker) = applicant.maker else { return self.missing("admission.quota", "maker") };
        let (quota, admitted) = (policy.quota(maker.quota), maker.admitted);
        if admitted < quota {
            self.pass("admission.quota", &admitted, &format!("fewer than {quota}"));
        } else {
            self.fail("admission.quota", "exhausted", AdmissionReason::Quota { quota, admitted });
        }
        // More than there can be is never locked.
        let places = u128::from(maker.quota);
        let expected = Amount(policy.maker_bond.0.saturating_mul(places));
        let found = maker.bond;
        if found >= expected {
            self.pass("admission.maker-bond", &found, &format!("at least {expected}"));
        } else {
            self.fail("admission.maker-bond", "low", AdmissionReason::MakerBond { expected, found });
        }
    }

    fn bond(&mut self, policy: &AdmissionPolicy, applicant: &Applicant) {
        const CHECK: &str = "admission.bond";
        let expected = policy.device_bond;
        match applicant.bond {
            None => self.missing(CHECK, "bond"),
            Some(found) if found >= expected => self.pass(CHECK, &found, &format!("at least {expected}")),
            Some(found) => self.fail(CHECK, "low", AdmissionReason::Bond { expected, found }),
        }
    }

    fn cell(&mut self, rule: CellRule, applicant: &Applicant) {
        const CHECK: &str = "admission.cell";
        let Some(cell) = applicant.cell else { return self.missing(CHECK, "cell") };
        let cell = match place::blur(cell, rule.resolution) {
            Ok(cell) => cell,
            Err(error) => return self.fail(CHECK, "place", error.into()),
        };
        match applicant.neighbours {
            None => self.missing(CHECK, "neighbours"),
            Some(found) if found < rule.devices => {
                self.pass(CHECK, &found, &format!("fewer than {} in {cell}", rule.devices));
            }
            Some(found) => {
                self.fail(CHECK, "taken", AdmissionReason::Cell { cell, found, limit: rule.devices });
            }
        }
    }

    fn reputation(&mut self, policy: &AdmissionPolicy, applicant: &Applicant) {
        const CHECK: &str = "admission.reputation";
        let expected = policy.min_reputation;
        match applicant.reputation {
            // Nothing is asked for, so nothing needs to be known.
            found if expected == 0 => self.pass(CHECK, &found.unwrap_or_default(), "any"),
            None => self.missing(CHECK, "reputation"),
            Some(found) if found >= expected => self.pass(CHECK, &found, &format!("at least {expected}")),
            Some(found) => self.fail(CHECK, "low", AdmissionReason::Reputation { expected, found }),
        }
    }

    fn pass(&mut self, check: &'static str, observed: &dyn ToString, limit: &str) {
        self.findings.push(Finding::pass(check, observed.to_string(), limit));
    }

    fn fail(&mut self, check: &'static str, word: &'static str, reason: AdmissionReason) {
        self.findings.push(Finding::fail(check, word, Side::Device, reason.to_string(), ""));
        self.reasons.push(reason);
    }

    fn missing(&mut self, check: &'static str, fact: &'static str) {
        self.unknown(check, AdmissionReason::Unknown { fact: fact.into() });
    }

    fn unknown(&mut self, check: &'static str, reason: AdmissionReason) {
        self.findings.push(Finding::skipped(check, "unknown", reason.to_string()));
        self.reasons.push(reason);
    }
}
