//! The seam of this crate: evidence in, verdict out.

use std::{collections::BTreeMap, fmt};

use depin_core::{
    Contribution, DeviceId, Digest, Epoch, Finding, Millis, NetworkId, Outcome, Side, Text, Timestamp, Units,
    Verdict, sha256,
};

use crate::Beacon;

/// Most bytes a verifier may carry from one epoch to the next, per device and service: 8 MiB.
pub const MAX_MEMORY: usize = 8 << 20;

/// Judges what a device did in one epoch for one service. Pure: the same case gives the same judgement, everywhere and always.
pub trait Verifier: Send + Sync {
    /// Judges one case. Never panics; what cannot be checked is [`Outcome::Inconclusive`].
    fn judge(&self, case: &Case<'_>) -> Judgement;

    /// Canonical bytes of the parameters it judges by; a verdict names their SHA-256.
    fn params(&self) -> Vec<u8> {
        Vec::new()
    }
}

impl<V: Verifier + ?Sized> Verifier for Box<V> {
    fn judge(&self, case: &Case<'_>) -> Judgement {
        (**self).judge(case)
    }

    fn params(&self) -> Vec<u8> {
        (**self).params()
    }
}

/// All that a verifier may know.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The network.
    pub network: NetworkId,
    /// The device that is judged.
    pub device: DeviceId,
    /// The epoch it is judged for.
    pub epoch: Epoch,
    /// The times of the epoch.
    pub schedule: Schedule,
    /// The beacon of the epoch, already checked (see [`Beacon::check`]); none when the network failed to get one.
    pub beacon: Option<&'a Beacon>,
    /// The active deals of this device for this service, by ascending id.
    pub deals: &'a [Wanted<'a>],
    /// What the device sent for this service, in any order.
    pub evidence: &'a [Evidence<'a>],
    /// What the verifier remembered of this device at the end of the epoch before; empty at first.
    pub memory: &'a [u8],
}

/// The times of an epoch, in this order: what is to be proved is fixed, the beacon becomes known, the answer is due, the epoch closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The epoch begins.
    pub opens: Timestamp,
    /// What was received before this moment is fixed; the beacon becomes known at or after it.
    pub commit_until: Timestamp,
    /// Answers to the beacon are in time up to and including this moment.
    pub answer_until: Timestamp,
    /// The epoch ends.
    pub closes: Timestamp,
}

impl Schedule {
    /// How long the epoch lasts: what work over time is multiplied by.
    #[must_use]
    pub const fn length(&self) -> Millis {
        self.closes.since(self.opens)
    }
}

/// An active deal: somebody pays for this work.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The deal's id.
    pub id: Digest,
    /// In the service's own encoding, what is wanted; its SHA-256 is signed in the deal.
    pub subject: &'a [u8],
    /// Full delivery in one epoch: no more is ever accepted.
    pub full: &'a Units,
}

/// One admitted report: its signature is checked, its sender is the device of the case.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What kind of report it is, for example `storage.answer`.
    pub kind: &'a Text,
    /// Its body, in the kind's own encoding. Hostile until decoded.
    pub body: &'a [u8],
    /// When the network received it.
    pub received: Timestamp,
    /// Its position in the journal.
    pub index: u64,
    /// The boot counter the device signed.
    pub boot: u32,
    /// The sequence number the device signed.
    pub sequence: u64,
    /// Whether the numbering shows that somebody else signs with this key too: boot and sequence occur with other content, or two boots
    /// interleave.
    pub reused: bool,
}

/// What a verifier says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The outcome for the device.
    pub outcome: Outcome,
    /// Per deal.
    pub contributions: Vec<Contribution>,
    /// Every check, passed or not.
    pub findings: Vec<Finding>,
    /// What to give back as [`Case::memory`] in the next epoch; at most [`MAX_MEMORY`] bytes.
    pub memory: Vec<u8>,
}

impl Judgement {
    /// The same outcome for every deal of `case`: all of it when accepted, otherwise nothing. The memory stays as it was.
    pub fn uniform(case: &Case<'_>, outcome: Outcome, findings: Vec<Finding>) -> Self {
        let contributions =
            case.deals.iter().map(|deal| deal.contribution(outcome, deal.full.quantity)).collect();
        Self { outcome, contributions, findings, memory: case.memory.to_vec() }
    }
}

impl Wanted<'_> {
    /// A contribution to this deal: `quantity` of the deal's own unit, never above full delivery, zero unless accepted.
    pub fn contribution(&self, outcome: Outcome, quantity: u128) -> Contribution {
        let quantity = if outcome == Outcome::Accept { quantity.min(self.full.quantity) } else { 0 };
        Contribution { deal: self.id, outcome, proved: Units::new(self.full.kind.clone(), quantity) }
    }
}

/// A verdict, and what to remember for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict: one contribution per deal, in the order of the case.
    pub verdict: Verdict,
    /// What to give back as [`Case::memory`] in the next epoch.
    pub memory: Vec<u8>,
}

/// The verifiers of a network: one per service.
#[derive(Default)]
pub struct Verifiers(BTreeMap<Text, (Text, Box<dyn Verifier>)>);

/// Why a verifier was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Two verifiers for one service.
    #[error("{service} is already judged by {judge}; compose two verifiers into one and add that")]
    Taken {
        /// The service.
        service: Text,
        /// The id of its verifier.
        judge: Text,
    },
}

impl Verifiers {
    /// No verifier yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `verifier` judge `service`. The id names it and its version, for example `depin.storage.possession/1`.
    ///
    /// # Errors
    /// [`AddError::Taken`] when the service has a verifier.
    pub fn add(
        &mut self,
        service: Text,
        id: Text,
        verifier: impl Verifier + 'static,
    ) -> Result<(), AddError> {
        if let Some((judge, _)) = self.0.get(&service) {
            return Err(AddError::Taken { service, judge: judge.clone() });
        }
        self.0.insert(service, (id, Box::new(verifier)));
        Ok(())
    }

    /// The services judged, with the ids of their verifiers.
    pub fn services(&self) -> impl Iterator<Item = (&Text, &Text)> {
        self.0.iter().map(|(service, (id, _))| (service, id))
    }

    /// Judges `case` for `service`, and holds the verifier to the rules of a verdict: one contribution per deal, in the deal's own unit, never
    /// above full delivery, nothing unless accepted. A service that nobody judges is inconclusive.
    pub fn judge(&self, service: &Text, case: &Case<'_>) -> Judged {
        let (id, params, judgement) = match self.0.get(service) {
            Some((id, verifier)) => (id.clone(), verifier.params(), verifier.judge(case)),
            None => (Text::from("none"), Vec::new(), unknown(service, case)),
        };
        let Judgement { outcome, contributions, mut findings, mut memory } = judgement;
        let contributions = hold(case, outcome, &contributions, &mut findings);
        if memory.len() > MAX_MEMORY {
            findings.push(Finding::fail(
                "verifier.memory",
                "too-large",
                Side::Network,
                format!("{} bytes", memory.len()),
                format!("{MAX_MEMORY} bytes"),
            ));
            memory = case.memory.to_vec();
        }
        findings.extend(key_reuse(case.evidence));
        let verdict = Verdict {
            device: case.device,
            epoch: case.epoch,
            verifier: id,
            params: sha256(&[&params]),
            outcome,
            contributions,
            findings,
        };
        Judged { verdict, memory }
    }
}

impl fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.services()).finish()
    }
}

fn unknown(service: &Text, case: &Case<'_>) -> Judgement {
    let finding = Finding::fail(
        "verifier.known",
        "unknown-service",
        Side::Network,
        service.as_str(),
        "a service this network has a verifier for",
    );
    Judgement::uniform(case, Outcome::Inconclusive, vec![finding])
}

/// One lawful contribution per deal. What the verifier said beyond that is dropped, and a finding says so.
fn hold(
    case: &Case<'_>,
    outcome: Outcome,
    said: &[Contribution],
    findings: &mut Vec<Finding>,
) -> Vec<Contribution> {
    // Of two contributions to one deal the first one counts.
    let by_deal: BTreeMap<Digest, &Contribution> =
        said.iter().rev().map(|contribution| (contribution.deal, contribution)).collect();
    let lawful: Vec<_> =
        case.deals.iter().map(|deal| hold_deal(deal, outcome, by_deal.get(&deal.id).copied())).collect();
    if lawful != said {
        findings.push(Finding::warning(
            "verifier.contributions",
            "corrected",
            Side::Network,
            format!("{} contributions", said.len()),
            "one per deal, in its unit and order, at most full delivery, zero unless accepted",
        ));
    }
    lawful
}

fn hold_deal(deal: &Wanted<'_>, outcome: Outcome, said: Option<&Contribution>) -> Contribution {
    match said {
        // A verdict that does not accept pays for nothing.
        Some(found) if found.outcome == Outcome::Accept && outcome != Outcome::Accept => {
            deal.contribution(outcome, 0)
        }
        Some(found) if found.proved.kind == deal.full.kind => {
            deal.contribution(found.outcome, found.proved.quantity)
        }
        // Units of another kind prove nothing about this deal.
        Some(_) => deal.contribution(Outcome::Reject, 0),
        // A verifier that forgets a deal it could have paid leaves the deal open rather than faulted.
        None if outcome == Outcome::Accept => deal.contribution(Outcome::Inconclusive, 0),
        None => deal.contribution(outcome, 0),
    }
}

fn key_reuse(evidence: &[Evidence<'_>]) -> Option<Finding> {
    let first = evidence.iter().filter(|piece| piece.reused).min_by_key(|piece| piece.index)?;
    let count = evidence.iter().filter(|piece| piece.reused).count();
    Some(Finding::warning(
        "device.key-reuse",
        "key-reuse",
        Side::Stranger,
        format!(
            "{count} reports, first at {} (boot {}, sequence {})",
            first.index, first.boot, first.sequence
        ),
        "one signer per key; rotate the key",
    ))
}
