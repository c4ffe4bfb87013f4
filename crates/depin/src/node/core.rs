//! What a node knows between two closes, derived from the journal and nothing else.

use std::collections::{BTreeMap, HashMap};

use depin_core::{DeviceId, Digest, Epoch, SignedDeal, Timestamp, cbor, sha256};
use depin_identity::{Receipt, SoftwareKey};

use crate::{
    bundle::Bundle,
    check::check_report,
    close::{CloseError, Closed, EpochInput, Slot, close},
    entry::{Entry, Refusal},
    fold::Fold,
    log::{Checkpoint, Tree},
    network::Network,
    node::room,
    state::State,
};

/// The node's view of the journal.
#[derive(Debug)]
pub(super) struct Core {
    /// The whole journal as a Merkle log.
    pub(super) tree: Tree,
    /// The state before the current epoch.
    pub(super) before: State,
    /// Digest of the latest bundle.
    pub(super) previous: Option<Digest>,
    /// The current epoch.
    pub(super) epoch: Epoch,
    /// The fold over the current epoch so far.
    pub(super) fold: Fold,
    /// The entries of the current epoch so far.
    pub(super) slots: Vec<Slot>,
    /// Accepted reports by digest: position, time, epoch.
    pub(super) accepted: HashMap<Digest, (u64, Timestamp, Epoch)>,
    /// Reports of each device since the beginning, and the time of the last.
    pub(super) seen: BTreeMap<DeviceId, (u64, Timestamp)>,
    /// The next block whose events are not in the journal.
    pub(super) next_block: u64,
    /// More was taken here than the journal holds: a write failed.
    pub(super) ahead: bool,
}

/// What becomes of a report at the door.
#[derive(Debug)]
pub(super) enum Door {
    /// Goes into the journal as this entry and is acknowledged.
    Accept(Entry),
    /// Was acknowledged before: the same receipt again, and no trace.
    Known,
    /// Is refused; under a registered key the refusal goes into the journal, unless there are too many.
    Refuse(Option<Entry>, Refusal),
}

impl Core {
    /// Before the first entry.
    pub(super) fn new(before: State) -> Self {
        Self {
            tree: Tree::default(),
            previous: None,
            epoch: Epoch(0),
            fold: Fold::new(&before),
            before,
            slots: Vec::new(),
            accepted: HashMap::new(),
            seen: BTreeMap::new(),
            next_block: 0,
            ahead: false,
        }
    }

    /// Looks at a report without changing anything.
    pub(super) fn look(&self, network: &Network, envelope: &[u8], received: Timestamp) -> Door {
        let digest = sha256(&[envelope]);
        if self.accepted.contains_key(&digest) {
            return Door::Known;
        }
        let checked = check_report(&self.fold.state.registry, network.params(), envelope, received)
            .and_then(|checked| self.fold.would_count(&checked).map(|()| checked.device))
            .and_then(|device| room::for_report(&self.fold, device, envelope));
        match checked {
            Ok(()) => Door::Accept(Entry::Report { received, envelope: envelope.to_vec() }),
            Err(refusal) => {
                let entry = Entry::Refused { received, report: digest, refusal: refusal.clone() };
                let kept = refusal.device.filter(|device| self.fold.keeps_refusal(device));
                Door::Refuse(kept.map(|_| entry), refusal)
            }
        }
    }

    /// Whether the deal would be taken, without changing anything.
    pub(super) fn look_at_deal(&self, network: &Network, deal: &SignedDeal) -> Result<(), String> {
        self.fold.check_deal(network, deal)?;
        room::for_deal(&self.fold, network, deal)
    }

    /// Takes an entry that is durable, or about to be.
    ///
    /// # Errors
    /// [`CloseError`] when it cannot follow what came before; nothing has changed then.
    pub(super) fn take(&mut self, network: &Network, entry: Entry) -> Result<(), CloseError> {
        let index = self.tree.size();
        self.fold.push(network, self.epoch, Slot::Entry(entry.clone()))?;
        self.tree.push(entry.leaf());
        match &entry {
            Entry::Report { received, envelope } => {
                self.accepted.insert(sha256(&[envelope]), (index, *received, self.epoch));
                let checked = check_report(&self.fold.state.registry, network.params(), envelope, *received);
                if let Ok(checked) = checked {
                    let seen = self.seen.entry(checked.device).or_default();
                    *seen = (seen.0.saturating_add(1), *received);
                }
            }
            Entry::Block { number, .. } => self.next_block = number.saturating_add(1),
            _ => {}
        }
        self.slots.push(Slot::Entry(entry));
        Ok(())
    }

    /// The receipt of an accepted report. Its head is the first that covers the entry, so it is the same whenever it is asked for.
    pub(super) fn receipt(&self, network: &Network, key: &SoftwareKey, report: &Digest) -> Option<Vec<u8>> {
        let (index, received, epoch) = *self.accepted.get(report)?;
        let size = index.checked_add(1)?;
        let head = self.tree.head(size)?;
        let proof = self.tree.inclusion(index, size)?;
        let leaf = self.tree.leaf(index)?;
        let receipt = Receipt { report: *report, index, received, epoch, leaf, head, proof };
        receipt.sign_with(key, network.params().network()).ok()
    }

    /// The head of the journal as a checkpoint signed by the node.
    pub(super) fn checkpoint(network: &Network, key: &SoftwareKey, head: depin_identity::Head) -> String {
        let checkpoint = Checkpoint { origin: network.params().log_origin(), head };
        let signature = key.signature(checkpoint.text().as_bytes());
        checkpoint.note(&key.public().typed(), &signature.0)
    }

    /// The input of the current epoch, which must be cut.
    pub(super) fn input(&self, network: &Network, key: &SoftwareKey) -> EpochInput {
        EpochInput {
            epoch: self.epoch,
            previous: self.previous,
            state: self.before.clone(),
            entries: self.slots.clone(),
            checkpoint: Self::checkpoint(network, key, self.fold.state.frontier.head()),
        }
    }

    /// Closes the epoch from `input` and goes on with the next.
    ///
    /// # Errors
    /// [`CloseError`]; nothing has changed then.
    pub(super) fn close(&mut self, network: &Network, input: EpochInput) -> Result<Bundle, CloseError> {
        let Closed { bundle, state, .. } = close(network, input)?;
        self.previous = Some(bundle.digest());
        self.epoch = Epoch(self.epoch.0.saturating_add(1));
        self.fold = Fold::new(&state);
        self.before = state;
        self.slots.clear();
        Ok(bundle)
    }
}

/// The bytes of an entry, as the journal holds them.
pub(super) fn entry_bytes(entry: &Entry) -> Vec<u8> {
    cbor::to_vec(entry)
}
