//! What a node knows between two closes, derived from the journal and nothing else.

use depin_core::{Digest, Epoch, SignedDeal, Timestamp, cbor, sha256};
use depin_identity::{Head, SoftwareKey};

use super::{
    Tamper,
    receipts::{Place, Recent},
    room,
};
use crate::{
    bundle::Bundle,
    check::{Received, SignedReport, check_standing},
    close::{CloseError, Closed, Decided, EpochInput, Slot, Succession, close},
    entry::{Entry, Refusal},
    fold::{Checked, Fold},
    log::{Checkpoint, Frontier, leaf_hash},
    network::Network,
    state::State,
};

/// The node's view of the journal.
#[derive(Debug)]
pub(super) struct Core {
    /// The journal as a log. The fold has the same, unless a simulated operator cheats.
    pub(super) log: Frontier,
    /// The state before the current epoch.
    pub(super) before: State,
    /// Digest of the latest bundle.
    pub(super) previous: Option<Digest>,
    /// The current epoch.
    pub(super) epoch: Epoch,
    /// The fold over the current epoch so far.
    pub(super) fold: Fold,
    /// What was acknowledged lately.
    pub(super) recent: Recent,
    /// The next block whose events are not in the journal.
    pub(super) next_block: u64,
    /// More was taken here than the journal holds: a write failed.
    pub(super) ahead: bool,
    /// Work on it was given up half-way.
    pub(super) torn: bool,
    /// Bundles that are not on disk yet, the latest last.
    pub(super) unsaved: Vec<Bundle>,
}

/// A report at the door whose signature was looked at.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) envelope: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) signed: Result<SignedReport, Refusal>,
}

/// What becomes of a report at the door.
#[derive(Debug)]
pub(super) enum Door {
    /// It goes into the journal at this place, onto this log, as the entry with this leaf.
    Accept(Place, Frontier, Digest),
    /// It was acknowledged before: the same receipt again, and no trace. With a right edge of the log not far before its place.
    Known(Place, Frontier),
    /// It is refused. Said whether the refusal is written down.
    Refuse(Refusal, bool),
}

/// An epoch that can be closed, once its cut is durable.
#[derive(Debug)]
pub(super) enum Closing {
    Honest(Box<Decided>),
    /// What a dishonest operator made of it; simulations only.
    Tampered(Box<Closed>),
}

impl Core {
    /// Before the first entry of an epoch that starts from `before`.
    pub(super) fn new(before: State) -> Self {
        Self {
            log: before.frontier.clone(),
            previous: None,
            epoch: Epoch(0),
            fold: Fold::new(&before),
            recent: Recent::default(),
            next_block: before.chain.map_or(0, |place| place.block),
            before,
            ahead: false,
            torn: false,
            unsaved: Vec::new(),
        }
    }

    /// Goes on after `bundle`, which leaves this state.
    pub(super) fn after(bundle: &Bundle, state: State) -> Self {
        let mut core = Self::new(state);
        core.epoch = Epoch(bundle.header.epoch.0.saturating_add(1));
        core.previous = Some(bundle.digest());
        for indexed in &bundle.ledger.entries {
            if let Entry::Block { number, .. } = indexed.entry {
                core.next_block = core.next_block.max(number.saturating_add(1));
            }
        }
        core
    }

    /// Decides about a report, and takes it, or its refusal, in. Gives the bytes to make durable, if any.
    pub(super) fn admit(
        &mut self,
        network: &Network,
        examined: Examined,
        received: Timestamp,
    ) -> Result<(Door, Option<Vec<u8>>), CloseError> {
        let Examined { envelope, digest, signed } = examined;
        if let Some((place, edge)) = self.recent.find(&digest) {
            return Ok((Door::Known(place, edge), None));
        }
        let (fold, came) = (&self.fold, Received { at: received, epoch: self.epoch });
        let checked = signed
            .and_then(|signed| check_standing(&fold.state.registry, network.params(), signed, came))
            .and_then(|checked| fold.would_count(network, &checked, came).map(|()| checked))
            .and_then(|checked| {
                room::for_device(fold, network, checked.device, envelope.len()).map(|()| checked)
            });
        match checked {
            Ok(checked) => {
                let entry = Entry::Report { received, envelope: envelope.into() };
                let bytes = entry_bytes(&entry);
                let (leaf, before) = (leaf_hash(&bytes), self.log.clone());
                let place = Place { index: before.size(), received, epoch: self.epoch };
                self.fold.push_checked(entry, leaf, received, Checked::Report(checked))?;
                self.recent.pass(&self.log);
                self.recent.add(digest, place);
                self.log.push(leaf);
                Ok((Door::Accept(place, before, leaf), Some(bytes)))
            }
            Err(refusal) => {
                let kept = refusal.device.is_some_and(|device| fold.keeps_refusal(&device));
                if !kept {
                    return Ok((Door::Refuse(refusal, false), None));
                }
                let entry = Entry::Refused { received, report: digest, refusal: refusal.clone() };
                let bytes = entry_bytes(&entry);
                self.take(network, entry)?;
                Ok((Door::Refuse(refusal, true), Some(bytes)))
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
        self.fold.push(network, self.epoch, Slot::Entry(entry.clone()))?;
        self.pass(&entry, self.epoch);
        Ok(())
    }

    /// As [`Core::take`], without checking again what was checked.
    ///
    /// # Errors
    /// [`CloseError`] when it cannot follow what came before; nothing has changed then.
    pub(super) fn take_checked(
        &mut self,
        entry: Entry,
        received: Timestamp,
        checked: Checked,
    ) -> Result<(), CloseError> {
        self.fold.push_checked(entry.clone(), entry.leaf(), received, checked)?;
        self.pass(&entry, self.epoch);
        Ok(())
    }

    /// Takes note of an entry that is in the journal, for whatever may be asked about it. It does not count.
    pub(super) fn pass(&mut self, entry: &Entry, epoch: Epoch) {
        self.recent.pass(&self.log);
        match entry {
            Entry::Report { received, envelope } => {
                let place = Place { index: self.log.size(), received: *received, epoch };
                self.recent.add(sha256(&[envelope]), place);
            }
            Entry::Block { number, .. } => self.next_block = self.next_block.max(number.saturating_add(1)),
            _ => {}
        }
        self.log.push(entry.leaf());
    }

    /// Forgets acknowledged reports whose own time no clock would accept any more at `now`.
    pub(super) fn forget(&mut self, network: &Network, now: Timestamp) {
        self.recent.forget(again_since(network, now));
    }

    /// Cuts the epoch, and decides what it pays. The cut is not durable yet, and nothing is given away before it is.
    ///
    /// # Errors
    /// [`CloseError`]; nothing has changed then.
    pub(super) fn cut(
        &mut self,
        network: &Network,
        key: &SoftwareKey,
        tamper: Option<&Tamper>,
        cut: Entry,
    ) -> Result<Closing, CloseError> {
        let (log, fold, latest) = (self.log.clone(), self.fold.state.frontier.clone(), self.fold.latest);
        self.take(network, cut)?;
        let closing = match tamper {
            Some(tamper) => close(network, tamper(network, key, self.input(network, key)))
                .map(|closed| Closing::Tampered(Box::new(closed))),
            None => self.fold.decide(network, self.epoch).map(|decided| Closing::Honest(Box::new(decided))),
        };
        if closing.is_err() {
            self.log = log;
            self.fold.take_back_cut(fold, latest);
        }
        closing
    }

    /// Closes the epoch, whose cut is durable, and goes on with the next.
    pub(super) fn close(&mut self, network: &Network, key: &SoftwareKey, closing: Closing) -> Bundle {
        self.forget(network, self.fold.latest);
        let checkpoint = checkpoint(network, key, self.fold.state.frontier.head());
        let Closed { bundle, state, .. } = match closing {
            Closing::Honest(decided) => {
                let fold =
                    std::mem::replace(&mut self.fold, Fold::new(&State::new(self.before.registry.domain())));
                let (epoch, previous) = (self.epoch, self.previous);
                let after = Succession { epoch, previous, before: &self.before, checkpoint };
                fold.into_closed(network, after, *decided)
            }
            Closing::Tampered(closed) => *closed,
        };
        self.previous = Some(bundle.digest());
        self.epoch = Epoch(self.epoch.0.saturating_add(1));
        self.fold = Fold::new(&state);
        self.before = state;
        bundle
    }

    /// The input of the current epoch, which must be cut.
    fn input(&self, network: &Network, key: &SoftwareKey) -> EpochInput {
        EpochInput {
            epoch: self.epoch,
            previous: self.previous,
            state: self.before.clone(),
            entries: self.fold.slots(),
            checkpoint: checkpoint(network, key, self.fold.state.frontier.head()),
        }
    }
}

/// Reports received before this moment cannot come again at `now`: their own time is at most the clock skew after it, and `now` more than that
/// after their own time.
pub(super) fn again_since(network: &Network, now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(network.params().clock_skew.0.saturating_mul(2)))
}

/// The head of the journal as a checkpoint signed by the node.
fn checkpoint(network: &Network, key: &SoftwareKey, head: Head) -> String {
    let checkpoint = Checkpoint { origin: network.params().log_origin(), head };
    let signature = key.signature(checkpoint.text().as_bytes());
    checkpoint.note(&key.public().typed(), &signature.0)
}

/// The bytes of an entry, as the journal holds them.
pub(super) fn entry_bytes(entry: &Entry) -> Vec<u8> {
    cbor::to_vec(entry)
}
