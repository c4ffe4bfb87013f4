//! Recomputing a closed epoch, from its bundle alone.

mod private;
mod receipts;

use depin_core::{Amount, Digest, Epoch, Outcome, TypedKey};
use depin_identity::{DeviceRecord, Domain, PublicKey, PublicKeyError, Registry, Signature};
use depin_rewards::Credits;
use serde::Serialize;
use serde_json::Value;

use crate::{
    bundle::Bundle,
    close::{Before, CloseError, Closed, EpochInput, Slot, close_knowing},
    each::each,
    excerpt::CheckedExcerpt,
    judge::judge_section,
    log::{Checkpoint, CheckpointError, Frontier, Head},
    network::{Catalogue, Network, NetworkError},
    params::NetworkParams,
    signatures::{Known, Signatures},
    state::State,
};

pub use private::{PrivateAudit, audit_private};
pub use receipts::{BrokenPromise, ReceiptAudit, audit_receipts};

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The epoch.
    pub epoch: Epoch,
    /// The bundle's digest.
    pub digest: Digest,
    /// The claim root, recomputed.
    pub root: Digest,
    /// Entries that are withheld. Above zero the audit cannot say that the bundle matches: one may have struck or paid anybody. A private value that
    /// reports commit to is no entry, see [`audit_private`].
    pub withheld: u64,
}

/// Why a bundle does not stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// Its parameters make no network here.
    #[error("the bundle's parameters: {0}")]
    Network(#[from] NetworkError),
    /// Positions of the journal missing or twice.
    #[error("journal: position {found} where {expected} was expected")]
    Position {
        /// The position expected next.
        expected: u64,
        /// The one found; the end of the journal if none.
        found: u64,
    },
    /// The head is not signed by the node.
    #[error("header.checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The node's key is unfit.
    #[error("header.params.node: {0}")]
    NodeKey(#[from] PublicKeyError),
    /// The state before cannot be built.
    #[error("state before: {0}")]
    State(String),
    /// The epoch cannot be closed from these inputs.
    #[error("the epoch cannot be closed again: {0}")]
    Close(#[from] CloseError),
    /// Something differs.
    #[error("{path}: the bundle says {stated}, recomputed is {recomputed}")]
    Differs {
        /// Where, as a path into the bundle.
        path: String,
        /// What the bundle says.
        stated: String,
        /// What comes out.
        recomputed: String,
    },
}

/// Recomputes `bundle`: journal, state, every verdict, allocation, claim root.
///
/// # Errors
/// [`AuditError`], naming the first thing that differs.
pub fn audit(bundle: &Bundle, catalogue: &Catalogue) -> Result<Audit, AuditError> {
    audit_knowing(bundle, bundle.digest(), Signatures::of(bundle), catalogue)
}

/// As [`audit`], of a bundle with `digest` (see [`Bundle::open`]), without checking the `signatures` again that were found right before.
///
/// # Errors
/// [`AuditError`], naming the first thing that differs.
pub fn audit_knowing(
    bundle: &Bundle,
    digest: Digest,
    signatures: Signatures,
    catalogue: &Catalogue,
) -> Result<Audit, AuditError> {
    let network = Network::new(bundle.header.params.clone(), catalogue)?;
    let (closed, _) = recompute_going_by(bundle, &network, Known::Checked(signatures))?;
    Ok(Audit::of(bundle, digest, &closed))
}

/// An audit that took keys and signatures for right.
#[derive(Clone, Debug)]
pub struct Assumed {
    /// What was found.
    pub audit: Audit,
    /// The keys and signatures that were needed for it.
    pub needed: Signatures,
    /// What was recomputed.
    pub closed: Closed,
}

/// As [`audit_knowing`], but takes every key for fit and every signature for right. What it finds holds if those that it gives are the right ones ([`Signatures::of`]); where that is not
/// so, nothing was found out.
///
/// # Errors
/// [`AuditError`]: what differs if the signatures are right.
pub fn audit_assuming(bundle: &Bundle, digest: Digest, catalogue: &Catalogue) -> Result<Assumed, AuditError> {
    let network = Network::new(bundle.header.params.clone(), catalogue)?;
    let (closed, known) = recompute_going_by(bundle, &network, Known::Assumed(Signatures::default()))?;
    let (Known::Assumed(needed) | Known::Checked(needed)) = known;
    Ok(Assumed { audit: Audit::of(bundle, digest, &closed), needed, closed })
}

impl Audit {
    fn of(bundle: &Bundle, digest: Digest, closed: &Closed) -> Self {
        let withheld = u64::try_from(bundle.ledger.withheld.len()).unwrap_or(u64::MAX);
        Self { epoch: bundle.header.epoch, digest, root: closed.bundle.result.root, withheld }
    }
}

/// Closes the epoch of `bundle` again, under its own parameters as `network` has them: the state after it, if nothing differs.
///
/// # Errors
/// [`AuditError`], naming the first thing that differs.
#[cfg(feature = "node")]
pub(crate) fn recompute(bundle: &Bundle, network: &Network) -> Result<Closed, AuditError> {
    Ok(recompute_going_by(bundle, network, Known::Checked(Signatures::of(bundle)))?.0)
}

fn recompute_going_by(
    bundle: &Bundle,
    network: &Network,
    mut known: Known,
) -> Result<(Closed, Known), AuditError> {
    let header = &bundle.header;
    differs("header.params", &header.params, network.params())?;
    check_checkpoint(&header.params, &header.checkpoint, header.journal_after)?;
    check_beginning(bundle)?;
    let entries = slots(bundle)?;
    let leaves = each(&entries, Slot::leaf);
    let head = leaves.iter().fold(header.journal_before.clone(), push).head();
    differs("header.journal_after", &header.journal_after, &head)?;
    let state = state_before(bundle, |key| known.is_fit(key))?;
    let digest = state.digest();
    differs("header.state_before", &header.state_before, &digest)?;
    let (previous, checkpoint) = (header.previous, header.checkpoint.clone());
    let input = EpochInput { epoch: header.epoch, previous, state, entries, checkpoint };
    let (closed, known) = close_knowing(network, input, Before { leaves, state: digest, known })?;
    if bundle.ledger.withheld.is_empty() {
        differs("", bundle, &closed.bundle)?;
    }
    Ok((closed, known))
}

/// Checks that `bundle` goes on where `previous`, an audited bundle, ended. One bundle alone cannot show that the state it starts from is right.
///
/// # Errors
/// [`AuditError::Differs`], naming the first thing that differs; what follows from `previous` stands as recomputed.
pub fn audit_succession(previous: &Bundle, bundle: &Bundle) -> Result<(), AuditError> {
    let (before, header) = (&previous.header, &bundle.header);
    differs("header.epoch", &Some(header.epoch), &before.epoch.next())?;
    differs("header.params", &header.params, &before.params)?;
    differs("header.journal_before", &header.journal_before.head(), &before.journal_after)?;
    differs("header.state_before", &header.state_before, &before.state_after)?;
    differs("header.previous", &header.previous, &Some(previous.digest()))
}

/// The first epoch starts from nothing, and every other has a predecessor.
fn check_beginning(bundle: &Bundle) -> Result<(), AuditError> {
    let header = &bundle.header;
    if header.epoch > Epoch(0) {
        let differs = |recomputed: &str| AuditError::Differs {
            path: "header.previous".into(),
            stated: "null".into(),
            recomputed: recomputed.into(),
        };
        return header.previous.map(drop).ok_or_else(|| differs("the digest of the bundle before"));
    }
    differs("header.previous", &header.previous, &None)?;
    let nothing = State::new(Domain { chain_id: header.params.chain_id, contract: header.params.registry });
    differs("header.state_before", &header.state_before, &nothing.digest())
}

/// Checks that `checkpoint` is signed by the network's node and states `head`.
///
/// # Errors
/// [`AuditError`].
pub fn check_checkpoint(params: &NetworkParams, checkpoint: &str, head: Head) -> Result<(), AuditError> {
    let key = PublicKey::of_node(params.node)?;
    let verify = |message: &[u8], signature: &[u8; 64]| key.verify(message, &Signature(*signature)).is_ok();
    let opened = Checkpoint::open(checkpoint, &params.log_origin(), &params.node, verify)?;
    differs("header.checkpoint", &opened.head, &head)
}

fn push(mut frontier: Frontier, leaf: &Digest) -> Frontier {
    frontier.push(*leaf);
    frontier
}

/// The journal of the epoch in its order, every position once.
fn slots(bundle: &Bundle) -> Result<Vec<Slot>, AuditError> {
    let mut slots: Vec<(u64, Slot)> =
        bundle.ledger.withheld.iter().map(|(index, leaf)| (*index, Slot::Withheld(*leaf))).collect();
    let of_devices = bundle.devices.iter().flat_map(|section| &section.entries);
    let entries = bundle.ledger.entries.iter().chain(of_devices);
    slots.extend(entries.map(|indexed| (indexed.index, Slot::Entry(indexed.entry.clone()))));
    slots.sort_by_key(|(index, _)| *index);
    let mut expected = bundle.header.journal_before.size();
    for (found, _) in &slots {
        if *found != expected {
            return Err(AuditError::Position { expected, found: *found });
        }
        expected = expected.checked_add(1).ok_or(AuditError::Position { expected, found: *found })?;
    }
    if expected != bundle.header.journal_after.size {
        return Err(AuditError::Position { expected, found: bundle.header.journal_after.size });
    }
    Ok(slots.into_iter().map(|(_, slot)| slot).collect())
}

/// The state the bundle says it started from. Keys that are fit are not checked again.
fn state_before(bundle: &Bundle, is_fit: impl FnMut(&TypedKey) -> bool) -> Result<State, AuditError> {
    let refused = |error: &dyn std::fmt::Display| AuditError::State(error.to_string());
    let params = &bundle.header.params;
    let domain = Domain { chain_id: params.chain_id, contract: params.registry };
    let records: Vec<DeviceRecord> =
        bundle.devices.iter().filter_map(|section| section.before.record.clone()).collect();
    let credits: Vec<_> = bundle.customers.iter().filter_map(|section| section.before).collect();
    if !bundle.header.journal_before.is_consistent() {
        return Err(refused(&"the journal's right edge has the wrong number of hashes"));
    }
    let mut state = State::new(domain);
    state.frontier = bundle.header.journal_before.clone();
    state.registry =
        Registry::from_records_knowing(domain, records, is_fit).map_err(|error| refused(&error))?;
    state.credits = Credits::try_from(credits).map_err(|error| refused(&error))?;
    state.caps = bundle.ledger.caps_before.iter().copied().collect();
    state.chain = bundle.ledger.chain_before;
    state.totals = bundle.ledger.totals_before;
    for section in &bundle.devices {
        let before = &section.before;
        if !before.is_empty() {
            state.devices.insert(section.device, before.clone().into());
        }
    }
    Ok(state)
}

/// Compares two values by what they show, and names the first place where they differ.
fn differs<T: Serialize + PartialEq>(path: &str, stated: &T, recomputed: &T) -> Result<(), AuditError> {
    if stated == recomputed {
        return Ok(());
    }
    let value = |value: &T| serde_json::to_value(value).unwrap_or(Value::Null);
    let found = first_difference(path.to_owned(), &value(stated), &value(recomputed));
    // Whether two values are equal is not for what they show to decide.
    let (path, stated, recomputed) =
        found.unwrap_or_else(|| (path.to_owned(), "something else".into(), "something else".into()));
    Err(AuditError::Differs { path, stated, recomputed })
}

fn first_difference(path: String, stated: &Value, found: &Value) -> Option<(String, String, String)> {
    let show = |value: &Value| {
        let text = value.to_string();
        if text.chars().count() > 120 {
            format!("{}…", text.chars().take(120).collect::<String>())
        } else {
            text
        }
    };
    match (stated, found) {
        (Value::Object(stated), Value::Object(found)) => {
            let keys: std::collections::BTreeSet<&String> = stated.keys().chain(found.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                first_difference(path, &of(stated), &of(found))
            })
        }
        (Value::Array(stated), Value::Array(found)) => {
            let count = stated.len().max(found.len());
            (0..count).find_map(|at| {
                let of = |list: &[Value]| list.get(at).cloned().unwrap_or(Value::Null);
                first_difference(format!("{path}[{at}]"), &of(stated), &of(found))
            })
        }
        _ if stated == found => None,
        _ => Some((path, show(stated), show(found))),
    }
}

/// Recomputes what concerns one device, from an excerpt of a few kilobytes: every verdict, and that its earnings are the sum of its deals.
///
/// What only the whole bundle shows stays open: customers' credit, the other devices' shares, the journal.
///
/// # Errors
/// [`AuditError`], naming the first thing that differs.
pub fn audit_excerpt(excerpt: &CheckedExcerpt, catalogue: &Catalogue) -> Result<(), AuditError> {
    let CheckedExcerpt { header, device, .. } = excerpt;
    let network = Network::new(header.params.clone(), catalogue)?;
    check_checkpoint(&header.params, &header.checkpoint, header.journal_after)?;
    let (record, verdicts) = judge_section(&network, header, device).map_err(AuditError::State)?;
    differs("device.record", &device.record, &record)?;
    differs("device.verdicts", &device.verdicts, &verdicts)?;
    let sums = device.lines.iter().flat_map(|line| [line.revenue, line.emission]);
    let earned = Amount::sum(sums).map_err(|error| AuditError::State(error.to_string()))?;
    differs("device.earned", &device.earned, &earned)?;
    for line in &device.lines {
        let contributions = device.verdicts.iter().flat_map(|verdict| &verdict.contributions);
        let found = contributions.into_iter().find(|contribution| contribution.deal == line.deal);
        let proved =
            found.filter(|found| found.outcome == Outcome::Accept).map_or(0, |found| found.proved.quantity);
        differs("device.lines.units", &line.units.to_string(), &line.units.min(proved).to_string())?;
    }
    Ok(())
}
