//! Holding a node to what it acknowledged.

use std::collections::BTreeMap;

use depin_core::{Digest, Epoch, Timestamp, sha256};
use depin_identity::{PublicKey, PublicKeyError, Receipt, ReceiptError};
use serde::Serialize;

use super::{push, slots};
use crate::{bundle::Bundle, entry::Entry};

/// What receipts say of a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReceiptAudit {
    /// Receipts for this epoch; the bundle keeps the promise of each.
    pub kept: u64,
    /// Receipts for other epochs: nothing is said of them.
    pub other: u64,
}

/// A promise that a bundle breaks: receipt and bundle together prove it to anybody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenPromise {
    /// Not a receipt that the network's node signed.
    #[error("{name}: {error}")]
    Unreadable {
        /// The receipt's name.
        name: String,
        /// What is wrong with it.
        error: ReceiptError,
    },
    /// The node's key is unfit.
    #[error("header.params.node: {0}")]
    NodeKey(#[from] PublicKeyError),
    /// An acknowledged report was left out.
    #[error(
        "{name}: the node acknowledged report {report} at position {index} for epoch {epoch}, and the bundle leaves it out"
    )]
    Dropped {
        /// The receipt's name.
        name: String,
        /// The report.
        report: Digest,
        /// The position acknowledged.
        index: u64,
        /// The epoch.
        epoch: Epoch,
    },
    /// The journal tells another time, or another order, than was acknowledged.
    #[error(
        "{name}: the node acknowledged report {report} at position {index}, time {received}; the bundle has it at position {found_index}, time {found}"
    )]
    Moved {
        /// The receipt's name.
        name: String,
        /// The report.
        report: Digest,
        /// The position acknowledged.
        index: u64,
        /// The time acknowledged.
        received: Timestamp,
        /// The position in the bundle.
        found_index: u64,
        /// The time in the bundle.
        found: Timestamp,
    },
    /// Two heads of one size: the node keeps two journals.
    #[error(
        "{name}: the node signed the root {signed} for a journal of {size} entries; the bundle's has {found}"
    )]
    Equivocation {
        /// The receipt's name.
        name: String,
        /// The size.
        size: u64,
        /// The root signed for the receipt.
        signed: Digest,
        /// The root of the bundle's journal.
        found: Digest,
    },
}

/// Checks the promises in `receipts`, named byte strings, against `bundle`.
///
/// # Errors
/// [`BrokenPromise`]: first what was left out, then what was moved, then two journals.
pub fn audit_receipts(
    bundle: &Bundle,
    receipts: &[(String, Vec<u8>)],
) -> Result<ReceiptAudit, BrokenPromise> {
    let params = &bundle.header.params;
    let node = PublicKey::of_node(params.node)?;
    let mut promises = Vec::new();
    let mut summary = ReceiptAudit::default();
    for (name, bytes) in receipts {
        let receipt = Receipt::parse_and_verify(bytes, &node, params.network())
            .map_err(|error| BrokenPromise::Unreadable { name: name.clone(), error })?;
        if receipt.epoch == bundle.header.epoch {
            promises.push((name.clone(), receipt));
        } else {
            summary.other = summary.other.saturating_add(1);
        }
    }
    let reports = reports(bundle);
    for (name, promise) in &promises {
        if !reports.contains_key(&promise.report) {
            let (name, Receipt { report, index, epoch, .. }) = (name.clone(), promise.clone());
            return Err(BrokenPromise::Dropped { name, report, index, epoch });
        }
    }
    for (name, promise) in &promises {
        let Some(&(found_index, found)) = reports.get(&promise.report) else { continue };
        if (found_index, found) != (promise.index, promise.received) {
            let (name, Receipt { report, index, received, .. }) = (name.clone(), promise.clone());
            return Err(BrokenPromise::Moved { name, report, index, received, found_index, found });
        }
    }
    let roots = roots(bundle);
    for (name, promise) in promises {
        let size = promise.head.size;
        if let Some(found) = roots.get(&size).copied().filter(|found| *found != promise.head.root) {
            return Err(BrokenPromise::Equivocation { name, size, signed: promise.head.root, found });
        }
        summary.kept = summary.kept.saturating_add(1);
    }
    Ok(summary)
}

/// Every report of the bundle by its digest, with position and time.
fn reports(bundle: &Bundle) -> BTreeMap<Digest, (u64, Timestamp)> {
    let of_devices = bundle.devices.iter().flat_map(|section| &section.entries);
    of_devices
        .chain(&bundle.ledger.entries)
        .filter_map(|indexed| match &indexed.entry {
            Entry::Report { received, envelope } => Some((sha256(&[envelope]), (indexed.index, *received))),
            _ => None,
        })
        .collect()
}

/// The root of the bundle's journal at every size it had in the epoch.
fn roots(bundle: &Bundle) -> BTreeMap<u64, Digest> {
    let mut frontier = bundle.header.journal_before.clone();
    let mut roots = BTreeMap::from([(frontier.size(), frontier.head().root)]);
    for slot in slots(bundle).unwrap_or_default() {
        frontier = push(frontier, &slot.leaf());
        roots.insert(frontier.size(), frontier.head().root);
    }
    roots
}
