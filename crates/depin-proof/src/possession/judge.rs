//! The verifier.

use std::collections::BTreeMap;

use depin_core::{Digest, Epoch, Finding, Outcome, Side, Timestamp, cbor};

use super::{
    ANSWER_KIND, Answer, Challenge, PieceSet, PossessionParams, SET_KIND, UNIT, VerifyError,
    memory::{Answered, Memory},
};
use crate::{Case, Evidence, Judgement, Verifier, Wanted, commp::Piece};

/// Reports of one kind with a finding each; those beyond are counted.
const MAX_LISTED: usize = 64;

/// Judges possession of stored bytes; see the [module](super) for what it shows and what not.
///
/// A deal's subject is the [`PieceSet`] it is about. It is accepted when at least one of its pieces is proven, with the bytes of its proven
/// pieces times the length of the epoch, at most full delivery; otherwise it is faulted. Without a beacon it stays open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Possession {
    params: PossessionParams,
}

/// Why an answer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerRefusal {
    /// The body is no answer.
    #[error("the body is no answer: {0}")]
    Malformed(String),
    /// It is for another device.
    #[error("it is made for {0}")]
    Foreign(depin_core::DeviceId),
    /// It was made for an earlier epoch, or shows what an earlier one showed.
    #[error("it was made for epoch {0}")]
    Replayed(Epoch),
    /// It came before the beacon was known.
    #[error("it was received at {0}, before the beacon was known")]
    Early(Timestamp),
    /// It came after the time to answer.
    #[error("it was received at {0}, after the time to answer")]
    Late(Timestamp),
    /// It does not show what was asked for.
    #[error(transparent)]
    Wrong(#[from] VerifyError),
}

impl AnswerRefusal {
    /// The reason in one word, as in findings.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Foreign(_) => "foreign",
            Self::Replayed(_) => "replayed",
            Self::Early(_) => "early",
            Self::Late(_) => "late",
            Self::Wrong(_) => "wrong",
        }
    }
}

impl Possession {
    /// Judges by `params`.
    pub const fn new(params: PossessionParams) -> Self {
        Self { params }
    }
}

impl Verifier for Possession {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        let memory = match recall(case.memory) {
            Ok(memory) => memory,
            Err(finding) => return Judgement::uniform(case, Outcome::Inconclusive, vec![finding]),
        };
        let mut findings = Vec::new();
        let sets = Sets::of(case, &memory, &mut findings);
        let deals: Vec<_> = case.deals.iter().map(|deal| subject(deal, &mut findings)).collect();
        for (deal, pieces) in case.deals.iter().zip(&deals) {
            missing_pieces(deal, pieces, &sets.current, memory.set.as_ref(), &mut findings);
        }
        let result = self.answered(case, &sets.current, &deals, memory.answered, &mut findings);
        let accepted = result.as_ref().is_ok_and(Option::is_some);
        if !accepted {
            findings.extend(other_evidence(case));
        }
        let (answered, otherwise) = match result {
            Ok(answered) => (answered, Outcome::Reject),
            Err(NoBeacon) => (None, Outcome::Inconclusive),
        };
        let contributions: Vec<_> = case
            .deals
            .iter()
            .zip(&deals)
            .map(|(deal, pieces)| match proven(pieces, &sets.current) {
                bytes if bytes > 0 && accepted => {
                    deal.contribution(Outcome::Accept, byte_seconds(case, bytes))
                }
                _ => deal.contribution(otherwise, 0),
            })
            .collect();
        let any = contributions.iter().any(|contribution| contribution.outcome == Outcome::Accept);
        let memory = Memory {
            set: sets.reported.then_some(sets.current),
            next: sets.next,
            answered: answered.or(memory.answered),
        };
        Judgement {
            outcome: if any { Outcome::Accept } else { otherwise },
            contributions,
            findings,
            memory: cbor::to_vec(&memory),
        }
    }

    fn params(&self) -> Vec<u8> {
        cbor::to_vec(&self.params)
    }
}

/// The network has no beacon for this epoch.
struct NoBeacon;

impl Possession {
    /// The answer that was accepted, if any.
    fn answered(
        &self,
        case: &Case<'_>,
        set: &PieceSet,
        deals: &[PieceSet],
        last: Option<Answered>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Answered>, NoBeacon> {
        if case.deals.is_empty() {
            findings.push(Finding::skipped("possession.deals", "nothing-wanted", "an active deal"));
            return Ok(None);
        }
        let beacon = case.beacon.filter(|beacon| beacon.epoch == case.epoch);
        let Some(beacon) = beacon else {
            findings.push(Finding::skipped("possession.beacon", "no-beacon", "the beacon of this epoch"));
            return Err(NoBeacon);
        };
        let challenge =
            Challenge::new(&self.params, case.network, case.device, case.epoch, &beacon.value, set, deals);
        if challenge.openings().is_empty() {
            findings.push(Finding::skipped("possession.answer", "nothing-kept", "a wanted piece in the set"));
            return Ok(None);
        }
        Ok(answers(case, &challenge, last, findings))
    }
}

fn recall(memory: &[u8]) -> Result<Memory, Finding> {
    if memory.is_empty() {
        return Ok(Memory::default());
    }
    cbor::from_slice(memory).map_err(|error| {
        let observed = error.to_string();
        Finding::fail("possession.memory", "malformed", Side::Network, observed, "what this verifier wrote")
    })
}

/// Evidence of one kind, in the order of the journal.
fn of_kind<'a>(case: &Case<'a>, kind: &str) -> Vec<&'a Evidence<'a>> {
    let mut found: Vec<_> = case.evidence.iter().filter(|evidence| evidence.kind == kind).collect();
    found.sort_by_key(|evidence| (evidence.index, evidence.boot, evidence.sequence));
    found
}

/// What the device said it keeps.
struct Sets {
    /// In force now: fixed before the beacon was known.
    current: PieceSet,
    /// Whether there is any report behind `current`.
    reported: bool,
    /// Reported too late for this epoch.
    next: Option<PieceSet>,
}

impl Sets {
    fn of(case: &Case<'_>, memory: &Memory, findings: &mut Vec<Finding>) -> Self {
        let (mut in_time, mut next, mut notes) = (Vec::new(), None, Vec::new());
        for evidence in of_kind(case, SET_KIND) {
            match cbor::from_slice::<PieceSet>(evidence.body) {
                Ok(set) if evidence.received < case.schedule.commit_until => in_time.push(set),
                Ok(set) => {
                    notes.push(set_after_beacon(evidence, case));
                    next = Some(set);
                }
                Err(error) => notes.push(Finding::fail(
                    "possession.set",
                    "malformed",
                    Side::Device,
                    format!("report {}: {error}", evidence.index),
                    "distinct pieces in ascending order",
                )),
            }
        }
        findings.extend(bounded(notes.into_iter()));
        let carried = memory.carried().cloned();
        let current = if case.evidence.iter().any(|evidence| evidence.reused) {
            liable(carried.into_iter().chain(in_time))
        } else {
            in_time.pop().or(carried)
        };
        match &current {
            Some(set) => {
                let observed = format!("{} pieces, {}", set.as_slice().len(), set.digest());
                findings.push(Finding::pass("possession.set", observed, "fixed before the beacon"));
            }
            None => findings.push(Finding::skipped("possession.set", "no-set", "a report of what is kept")),
        }
        Self { reported: current.is_some(), current: current.unwrap_or_default(), next }
    }
}

/// While somebody else signs with the device's key, everything either of them says it keeps counts, so that a thief cannot take pieces out of
/// the set. It makes the device liable for more, never for less, so pretending a theft gains nothing.
fn liable(sets: impl Iterator<Item = PieceSet>) -> Option<PieceSet> {
    sets.reduce(|all, set| {
        // A union too large to be a set leaves what there is.
        PieceSet::new(all.as_slice().iter().chain(set.as_slice()).copied()).unwrap_or(all)
    })
}

fn set_after_beacon(evidence: &Evidence<'_>, case: &Case<'_>) -> Finding {
    Finding::warning(
        "possession.set",
        "after-beacon",
        Side::Device,
        format!("report {} received at {}", evidence.index, evidence.received),
        format!("before {} to count in this epoch; it counts in the next", case.schedule.commit_until),
    )
}

/// The pieces a deal is about; none if it is not about bytes that could be kept.
fn subject(deal: &Wanted<'_>, findings: &mut Vec<Finding>) -> PieceSet {
    let mut refused = |observed: String, limit: &str| {
        findings.push(Finding::fail("possession.subject", "malformed", Side::Customer, observed, limit));
        PieceSet::default()
    };
    if deal.full.kind != UNIT {
        return refused(format!("{}: full delivery in {}", deal.id, deal.full.kind), UNIT);
    }
    match cbor::from_slice::<PieceSet>(deal.subject) {
        Ok(pieces) => pieces,
        Err(error) => refused(format!("{}: {error}", deal.id), "distinct pieces in ascending order"),
    }
}

/// Says which pieces of a deal are not in the set: given up since the last epoch, or never taken.
fn missing_pieces(
    deal: &Wanted<'_>,
    wanted: &PieceSet,
    set: &PieceSet,
    before: Option<&PieceSet>,
    findings: &mut Vec<Finding>,
) {
    let (lost, never): (Vec<_>, Vec<_>) = wanted
        .as_slice()
        .iter()
        .filter(|piece| !set.contains(piece))
        .partition(|piece| before.is_some_and(|before| before.contains(piece)));
    let mut note = |pieces: Vec<&Piece>, reason, side, limit: &str| {
        if let Some(first) = pieces.first() {
            let observed = format!("{}: {} pieces, first {first}", deal.id, pieces.len());
            findings.push(Finding::fail("possession.pieces", reason, side, observed, limit));
        }
    };
    note(lost, "loss-declared", Side::Device, "kept as long as the deal lasts");
    // Anybody can offer a device a deal. The device takes it by naming its pieces, and not taking it is nobody's fault.
    note(never, "not-accepted", Side::None, "named in a set before the beacon");
}

/// Checks every answer; the first in the order of the journal that holds is accepted. Beside it the others decide nothing.
fn answers(
    case: &Case<'_>,
    challenge: &Challenge,
    last: Option<Answered>,
    findings: &mut Vec<Finding>,
) -> Option<Answered> {
    let checked: Vec<_> = of_kind(case, ANSWER_KIND)
        .into_iter()
        .map(|evidence| (evidence, check(case, evidence, challenge, last)))
        .collect();
    if checked.is_empty() {
        let limit = format!("received by {}", case.schedule.answer_until);
        findings.push(Finding::fail("possession.answer", "missing", Side::Device, "no answer", limit));
    }
    let accepted =
        checked.iter().find_map(|(evidence, result)| Some((evidence.index, *result.as_ref().ok()?)));
    let note = |(evidence, result): &(&Evidence<'_>, Result<Digest, AnswerRefusal>)| {
        let (reason, observed) = match result {
            Ok(_) if accepted.is_some_and(|(index, _)| index == evidence.index) => {
                let observed = format!("report {}: {} leaves", evidence.index, challenge.samples());
                return Finding::pass("possession.answer", observed, challenge.digest().to_string());
            }
            Ok(_) => ("repeated", format!("report {}", evidence.index)),
            Err(refusal) => (refusal.reason(), format!("report {}: {refusal}", evidence.index)),
        };
        let finding = if accepted.is_some() { Finding::warning } else { Finding::fail };
        let side = if accepted.is_some() && evidence.reused { Side::Stranger } else { Side::Device };
        finding("possession.answer", reason, side, observed, "one answer to this challenge, in time")
    };
    findings.extend(bounded(checked.iter().map(note)));
    accepted.map(|(_, openings)| Answered { epoch: case.epoch, challenge: challenge.digest(), openings })
}

/// The findings about reports of one kind: the first ones in full, the rest counted by result and reason.
fn bounded(findings: impl Iterator<Item = Finding>) -> Vec<Finding> {
    let mut listed = Vec::new();
    let mut more: BTreeMap<_, (Finding, u64)> = BTreeMap::new();
    for finding in findings {
        if listed.len() < MAX_LISTED {
            listed.push(finding);
        } else {
            let group = (finding.result, finding.side, finding.reason.clone());
            more.entry(group).or_insert((finding, 0)).1 += 1;
        }
    }
    let counted = more.into_values().map(|(finding, count)| Finding {
        observed: format!("{count} more, first: {}", finding.observed),
        ..finding
    });
    listed.extend(counted);
    listed
}

/// The digest of what `evidence` opens, if it is the answer asked for. Cheapest check first.
fn check(
    case: &Case<'_>,
    evidence: &Evidence<'_>,
    challenge: &Challenge,
    last: Option<Answered>,
) -> Result<Digest, AnswerRefusal> {
    let answer: Answer =
        cbor::from_slice(evidence.body).map_err(|error| AnswerRefusal::Malformed(error.to_string()))?;
    if answer.device != case.device {
        return Err(AnswerRefusal::Foreign(answer.device));
    }
    if answer.epoch < case.epoch {
        return Err(AnswerRefusal::Replayed(answer.epoch));
    }
    if answer.epoch > case.epoch || evidence.received < case.schedule.commit_until {
        return Err(AnswerRefusal::Early(evidence.received));
    }
    if evidence.received > case.schedule.answer_until {
        return Err(AnswerRefusal::Late(evidence.received));
    }
    let openings = answer.openings_digest();
    answer.verify(challenge).map_err(|wrong| match last {
        // Only what does not hold is a replay: where every leaf is asked for in every epoch, honest answers are equal too.
        Some(last) if last.openings == openings || last.challenge == answer.challenge => {
            AnswerRefusal::Replayed(last.epoch)
        }
        _ => AnswerRefusal::Wrong(wrong),
    })?;
    Ok(openings)
}

/// Reports that show no possession earn nothing, and a finding says so.
fn other_evidence(case: &Case<'_>) -> Option<Finding> {
    let other = |evidence: &&Evidence<'_>| evidence.kind != SET_KIND && evidence.kind != ANSWER_KIND;
    let first = case.evidence.iter().filter(other).min_by_key(|evidence| evidence.index)?;
    let count = case.evidence.iter().filter(other).count();
    Some(Finding::fail(
        "possession.work",
        "uptime-is-not-work",
        Side::Device,
        format!("{count} reports, first of kind {} at {}", first.kind, first.index),
        "an answer that shows what is kept",
    ))
}

/// Bytes of those pieces that are in the set.
fn proven(wanted: &PieceSet, set: &PieceSet) -> u128 {
    wanted.as_slice().iter().filter(|piece| set.contains(piece)).map(|piece| u128::from(piece.size())).sum()
}

/// 2^16 pieces of 2^40 bytes for 2^64 ms: below 2^120.
fn byte_seconds(case: &Case<'_>, bytes: u128) -> u128 {
    bytes * u128::from(case.schedule.length().0) / 1000
}
