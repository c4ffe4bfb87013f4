//! Closing an epoch: a pure fold over the journal. Node, simulator, auditor and tests run this code.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use depin_core::{Address, Amount, DeviceId, Digest, Epoch};
use depin_identity::KeyEpoch;
use depin_proof::Schedule;
use depin_rewards::{Charge, ClaimTree, Earned, EpochDemand, Line, apportion};

use crate::{
    bundle::{Bundle, CustomerSection, DeviceSection, EpochResult, Header, Ledger},
    each::each,
    entry::{Entry, Indexed},
    fold::{Counted, Fold},
    judge::{Judged, judge, period},
    network::Network,
    signatures::Known,
    state::{State, Totals},
};

/// Everything that decides what an epoch pays.
#[derive(Clone, Debug)]
pub struct EpochInput {
    /// The epoch.
    pub epoch: Epoch,
    /// Digest of the bundle before; none for the first.
    pub previous: Option<Digest>,
    /// What the epoch before handed over.
    pub state: State,
    /// The journal from the end of the epoch before up to this epoch's cut.
    pub entries: Vec<Slot>,
    /// The head after the last entry as a checkpoint signed by the node.
    pub checkpoint: String,
}

/// A position of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every position holds an entry")]
pub enum Slot {
    /// What is written there.
    Entry(Entry),
    /// What is written there is withheld; only its leaf hash is known.
    Withheld(Digest),
}

/// A closed epoch.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The bundle.
    pub bundle: Bundle,
    /// What the next epoch starts from.
    pub state: State,
    /// The claims; none when nobody is paid.
    pub claims: Option<ClaimTree>,
}

/// Why an epoch cannot be closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The journal does not end with this epoch's cut.
    #[error("the journal does not end with the cut of epoch {0}; cut the epoch first")]
    NotCut(Epoch),
    /// The journal does not say when the epoch opened.
    #[error("the journal does not say when epoch {0} opened")]
    NotOpened(Epoch),
    /// An entry that cannot follow what came before.
    #[error("entry {index} of the journal does not fit: {reason}")]
    Entry {
        /// Its position.
        index: u64,
        /// Why.
        reason: String,
    },
    /// The chain set nothing aside for the epoch.
    #[error("no cap was escrowed for epoch {0}; start the epoch on chain first")]
    NoCaps(Epoch),
    /// Amounts that do not add up.
    #[error("the epoch's amounts do not add up: {0}")]
    Amounts(String),
}

/// Closes an epoch.
///
/// # Errors
/// [`CloseError`], when the input is not a journal that this epoch can be closed from. Whatever a device or customer did is no error here but
/// a finding in the bundle.
pub fn close(network: &Network, input: EpochInput) -> Result<Closed, CloseError> {
    let leaves = each(&input.entries, Slot::leaf);
    let state = input.state.digest();
    Ok(close_knowing(network, input, Before { leaves, state, known: Known::default() })?.0)
}

/// What is known of an epoch's input before it is closed.
#[derive(Debug)]
pub(crate) struct Before {
    /// The leaf hashes of its entries.
    pub(crate) leaves: Vec<Digest>,
    /// The digest of its state.
    pub(crate) state: Digest,
    /// What to go by instead of checking signatures.
    pub(crate) known: Known,
}

/// As [`close`], without finding out again what is known. Gives what it went by as well.
pub(crate) fn close_knowing(
    network: &Network,
    input: EpochInput,
    Before { leaves, state, known }: Before,
) -> Result<(Closed, Known), CloseError> {
    let EpochInput { epoch, previous, state: before, entries, checkpoint } = input;
    let mut fold = Fold::run(network, epoch, &before, entries.into_iter().zip(leaves), known)?;
    let known = std::mem::take(&mut fold.known);
    let decided = fold.decide(network, epoch)?;
    let after = Succession { epoch, previous, before: &before, checkpoint };
    Ok((fold.into_closed_knowing(network, after, state, decided), known))
}

impl Slot {
    /// The leaf of the log.
    pub(crate) fn leaf(&self) -> Digest {
        match self {
            Self::Entry(entry) => entry.leaf(),
            Self::Withheld(leaf) => *leaf,
        }
    }
}

/// What is decided of an epoch, before anything is given away for it.
#[derive(Debug)]
pub(crate) struct Decided {
    schedule: Schedule,
    judged: BTreeMap<DeviceId, Judged>,
    lines: Vec<Earned>,
    charges: Vec<Charge>,
    result: EpochResult,
    claims: Option<ClaimTree>,
    state: State,
}

/// What an epoch follows.
#[derive(Debug)]
pub(crate) struct Succession<'a> {
    pub(crate) epoch: Epoch,
    /// Digest of the bundle before.
    pub(crate) previous: Option<Digest>,
    /// The state before.
    pub(crate) before: &'a State,
    /// The head after the last entry, signed.
    pub(crate) checkpoint: String,
}

impl Fold {
    /// Decides what the epoch pays. Nothing changes, so an epoch that cannot be closed yet goes on as it was.
    ///
    /// # Errors
    /// [`CloseError`].
    pub(crate) fn decide(&self, network: &Network, epoch: Epoch) -> Result<Decided, CloseError> {
        let schedule = network.params().schedule(self.opened.ok_or(CloseError::NotOpened(epoch))?);
        let judged = judge(network, epoch, schedule, self);
        let caps = *self.state.caps.get(&epoch).ok_or(CloseError::NoCaps(epoch))?;
        let lines = lines(epoch, network, &self.state, &judged);
        let curve = &network.params().curve;
        let apportionment = apportion(&EpochDemand {
            epoch,
            kind: &network.params().unit,
            lines: &lines,
            credits: &self.state.credits,
            caps,
            params: network.params().demand,
            curve,
        })
        .map_err(|error| CloseError::Amounts(error.to_string()))?;
        let payouts = apportionment.payouts().map_err(|error| CloseError::Amounts(error.to_string()))?;
        let count = u64::try_from(payouts.len()).unwrap_or(u64::MAX);
        let claims = if payouts.is_empty() { None } else { ClaimTree::new(payouts).ok() };
        let result = EpochResult {
            pool: apportionment.pool,
            paid: apportionment.paid,
            dust: apportionment.dust,
            burned: apportionment.burned,
            minted: apportionment.minted,
            revenue: apportionment.revenue,
            root: claims.as_ref().map(|claims| Digest(claims.root().0)).unwrap_or_default(),
            claims: count,
        };
        let (lines, charges) = (apportionment.lines, apportionment.charges);
        let state = self.hand_over(network, epoch, &judged, &lines, &charges, &result)?;
        Ok(Decided { schedule, judged, lines, charges, result, claims, state })
    }

    /// The bundle of what was decided.
    #[cfg(feature = "node")]
    pub(crate) fn into_closed(self, network: &Network, after: Succession<'_>, decided: Decided) -> Closed {
        let digest = after.before.digest();
        self.into_closed_knowing(network, after, digest, decided)
    }

    /// The bundle of what was decided; the state before has `state_before` as its digest.
    fn into_closed_knowing(
        self,
        network: &Network,
        after: Succession<'_>,
        state_before: Digest,
        decided: Decided,
    ) -> Closed {
        let Succession { epoch, previous, before, checkpoint } = after;
        let Decided { schedule, judged, lines, charges, result, claims, state } = decided;
        let header = Header {
            params: network.params().clone(),
            epoch,
            previous,
            state_before,
            state_after: state.digest(),
            journal_before: before.frontier.clone(),
            journal_after: state.frontier.head(),
            checkpoint,
            schedule: schedule.into(),
            beacon: self.beacon,
        };
        let ledger = Ledger {
            chain_before: before.chain,
            caps_before: before.caps.iter().map(|(epoch, caps)| (*epoch, *caps)).collect(),
            totals_before: before.totals,
            entries: self.ledger,
            withheld: self.withheld,
        };
        let customers = customers(before, &self.state, &charges);
        let devices = sections(before, &self.state, self.reports, self.others, judged, lines);
        Closed { bundle: Bundle { header, ledger, customers, devices, result }, state, claims }
    }

    /// The state the next epoch starts from.
    fn hand_over(
        &self,
        network: &Network,
        epoch: Epoch,
        judged: &BTreeMap<DeviceId, Judged>,
        lines: &[Earned],
        charges: &[Charge],
        result: &EpochResult,
    ) -> Result<State, CloseError> {
        let sum = |error: depin_core::AmountError| CloseError::Amounts(error.to_string());
        let mut state = self.state.clone();
        state.credits.charge(charges).map_err(|error| CloseError::Amounts(error.to_string()))?;
        state.caps.retain(|of, _| *of > epoch);
        state.totals = Totals {
            paid: state.totals.paid.checked_add(result.paid).map_err(sum)?,
            burned: state.totals.burned.checked_add(result.burned).map_err(sum)?,
            minted: state.totals.minted.checked_add(result.minted).map_err(sum)?,
        };
        for (device, judged) in judged {
            let carried = state.carried_mut(*device);
            for (service, bytes) in &judged.memories {
                carried.remember(service, bytes.clone());
            }
        }
        let spent: BTreeMap<Digest, Amount> = lines.iter().map(|line| (line.deal, line.spend)).collect();
        for (device, carried) in &mut state.devices {
            let carried = Arc::make_mut(carried);
            carried.firmware = self.firmware(network, epoch, device);
            let said = judged.get(device).map(Judged::contributions).unwrap_or_default();
            for deal in &mut carried.deals {
                let id = deal.signed.deal.id();
                let outcome = said.get(&id).map(|contribution| period(contribution));
                deal.advance(epoch, outcome, network.params().open_limit);
                let cost = spent.get(&id).copied().unwrap_or_default();
                deal.spent = deal.spent.checked_add(cost).map_err(sum)?;
            }
            carried.deals.retain(|deal| !deal.is_over(epoch));
            let record = state.registry.device(device);
            let grace = network.params().rotation_grace;
            // Nothing under a key that is over is counted again, so what was seen of it need not be known.
            let is_over = |key: KeyEpoch| key.is_over(self.latest, epoch, grace);
            carried
                .marks
                .retain(|known| !record.and_then(|record| record.key(&known.key)).is_some_and(is_over));
            for key in &mut carried.marks {
                key.marks.settle();
            }
            // Older ones are refused by their time.
            let skew = network.params().clock_skew;
            carried.recent.retain(|known| known.time.saturating_add(skew) >= self.latest);
        }
        Ok(state)
    }
}

/// The lines of the epoch: one for each deal that was judged.
fn lines(epoch: Epoch, network: &Network, state: &State, judged: &BTreeMap<DeviceId, Judged>) -> Vec<Line> {
    let mut lines = Vec::new();
    for (device, judged) in judged {
        let carried = state.carried(device);
        let Some(record) = state.registry.device(device) else { continue };
        let said = judged.contributions();
        for deal in carried.deals.iter().filter(|deal| deal.is_due(epoch)) {
            let id = deal.signed.deal.id();
            let Some(found) = said.get(&id) else { continue };
            if found.proved.kind != network.params().unit {
                continue;
            }
            lines.push(Line {
                deal: id,
                customer: deal.signed.deal.customer,
                device: *device,
                account: record.owner_at(epoch),
                price: deal.signed.deal.price,
                full: deal.signed.deal.full.clone(),
                outcome: found.outcome,
                proved: found.proved.clone(),
            });
        }
    }
    lines
}

fn customers(before: &State, state: &State, charges: &[Charge]) -> Vec<CustomerSection> {
    let known: BTreeMap<Address, depin_rewards::Credit> =
        before.credits.iter().map(|credit| (credit.customer, *credit)).collect();
    let charged: BTreeMap<Address, Charge> =
        charges.iter().map(|charge| (charge.customer, *charge)).collect();
    state
        .credits
        .iter()
        .map(|credit| CustomerSection {
            customer: credit.customer,
            before: known.get(&credit.customer).copied(),
            charge: charged.get(&credit.customer).copied(),
        })
        .collect()
}

fn sections(
    before: &State,
    state: &State,
    mut reports: BTreeMap<DeviceId, Vec<Counted>>,
    mut others: BTreeMap<DeviceId, Vec<Indexed>>,
    mut judged: BTreeMap<DeviceId, Judged>,
    earned: Vec<Earned>,
) -> Vec<DeviceSection> {
    let mut lines: BTreeMap<DeviceId, Vec<Earned>> = BTreeMap::new();
    for line in earned {
        lines.entry(line.device).or_default().push(line);
    }
    let mut ids: BTreeSet<DeviceId> = state.device_ids().into_iter().collect();
    ids.extend(others.keys());
    ids.into_iter()
        .map(|device| {
            let mut counted = reports.remove(&device).unwrap_or_default();
            counted.sort_by_key(|counted| {
                let report = &counted.checked.report;
                (counted.checked.key_epoch, report.boot, report.sequence, counted.index)
            });
            let counted = counted.into_iter().map(|Counted { index, entry, .. }| Indexed { index, entry });
            let entries = counted.chain(others.remove(&device).unwrap_or_default()).collect();
            let lines = lines.remove(&device).unwrap_or_default();
            let sums = lines.iter().flat_map(|line| [line.revenue, line.emission]);
            DeviceSection {
                device,
                record: state.registry.device(&device).cloned(),
                before: before.device(&device),
                entries,
                verdicts: judged.remove(&device).unwrap_or_default().verdicts,
                // The sum is part of the pool, which fits.
                earned: Amount::sum(sums).unwrap_or(Amount::MAX),
                lines,
            }
        })
        .collect()
}
