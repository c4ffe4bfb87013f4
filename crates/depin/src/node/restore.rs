//! Starting again: from the latest bundle, and from the part of the journal that is later.
//!
//! A bundle says what state it leaves and where in the journal it ends. So a start takes as long as the epoch that was going on, however old
//! the journal is, and segments whose epochs are bundled can be removed.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use depin_core::{Digest, Epoch, Timestamp, cbor};
use depin_identity::Domain;

use super::{
    Inner, NodeError,
    bundles::epoch_of,
    core::{Core, again_since},
    receipts::{Place, Recent},
};
use crate::{audit::recompute, bundle::Bundle, entry::Entry, log::Frontier, state::State};

/// Bytes of entries that are read at once.
const CHUNK: usize = 4 << 20;
/// Bytes that are read to learn the time at a place of the journal.
const GLANCE: usize = 64 << 10;

/// Why a node's directory does not hold together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A bundle that the journal does not lead to.
    #[error(
        "{path} says that the journal has the root {stated} after {size} entries; it has {found}. Restore journal and bundles from one copy"
    )]
    OtherJournal {
        /// The bundle.
        path: PathBuf,
        /// Entries.
        size: u64,
        /// The root the bundle states.
        stated: Digest,
        /// The journal's.
        found: Digest,
    },
    /// A bundle of entries that the journal does not have.
    #[error(
        "{path} goes up to entry {stated}, the journal has {found}: entries are lost. Restore the journal from a copy"
    )]
    Short {
        /// The bundle.
        path: PathBuf,
        /// Entries up to the end of the bundle.
        stated: u64,
        /// Entries of the journal.
        found: u64,
    },
    /// A bundle other than the one the journal gives.
    #[error(
        "{path} has the digest {stated}; closing epoch {epoch} from the journal gives {found}. Move the file away to have it made again"
    )]
    OtherBundle {
        /// The bundle.
        path: PathBuf,
        /// Its epoch.
        epoch: Epoch,
        /// Its digest.
        stated: Digest,
        /// The digest of what the journal gives.
        found: Digest,
    },
    /// The beginning of the journal was removed, and no bundle takes its place.
    #[error(
        "the journal begins with entry {first}, and no bundle in {path} reaches up to it; restore the latest bundle from a copy"
    )]
    NoBundle {
        /// Where bundles are.
        path: PathBuf,
        /// The first entry that is kept.
        first: u64,
    },
}

impl Inner {
    /// Folds what is not in a bundle yet.
    pub(super) async fn restore(self: &Arc<Self>) -> Result<Core, NodeError> {
        let starts = self.journal.starts().await?;
        let size = self.journal.size().await?;
        let first = starts.first().map_or(0, Frontier::size);
        let anchor = self.anchor(first, size).await?;
        let core = match &anchor {
            Some((bundle, state)) => Core::after(bundle, state.clone()),
            None if first == 0 => Core::new(self.nothing()),
            None => return Err(RestoreError::NoBundle { path: self.bundles_dir(), first }.into()),
        };
        let core = match &anchor {
            Some((bundle, _)) => self.remember(core, bundle, &starts).await?,
            None => core,
        };
        self.replay(core).await
    }

    fn nothing(&self) -> State {
        let params = self.network.params();
        State::new(Domain { chain_id: params.chain_id, contract: params.registry })
    }

    /// The bundle to go on from, and the state that it leaves; none to go on from nothing.
    async fn anchor(self: &Arc<Self>, first: u64, size: u64) -> Result<Option<(Bundle, State)>, NodeError> {
        // What a cheating operator bundles is not what is in its journal.
        if self.tamper.is_some() {
            return Ok(None);
        }
        let inner = Arc::clone(self);
        self.blocking(move || {
            let kept = inner.bundled()?;
            let Some(latest) = kept.last().copied() else { return Ok(None) };
            let bundle = inner.bundle(latest)?;
            let stated = bundle.header.journal_after.size;
            if stated > size {
                let path = inner.bundle_path(latest);
                return Err(RestoreError::Short { path, stated, found: size }.into());
            }
            let bundle = match whole_up_to(&kept) {
                None if first == 0 => return Ok(None),
                Some(epoch) if epoch < latest => {
                    let earlier = inner.bundle(epoch)?;
                    // What is lost and removed from the journal as well cannot be made again.
                    if earlier.header.journal_after.size >= first { earlier } else { bundle }
                }
                _ => bundle,
            };
            if bundle.header.journal_after.size < first {
                return Err(RestoreError::NoBundle { path: inner.bundles_dir(), first }.into());
            }
            let closed = recompute(&bundle, &inner.network)?;
            tracing::info!(epoch = %bundle.header.epoch, "going on from a bundle");
            Ok(Some((bundle, closed.state)))
        })
        .await
    }

    /// Goes through entries before the end of `bundle`: for the receipts of reports that may come again, and to see that the bundle ends where
    /// this journal was then.
    async fn remember(
        self: &Arc<Self>,
        mut core: Core,
        bundle: &Bundle,
        starts: &[Frontier],
    ) -> Result<Core, NodeError> {
        let end = bundle.header.journal_after.size;
        let since = again_since(&self.network, Timestamp(bundle.header.schedule.closes));
        let mut log = Frontier::default();
        for start in starts.iter().rev().filter(|start| start.size() <= end) {
            log = start.clone();
            if self.time_at(log.size()).await?.is_none_or(|time| time < since) && log.size() < end {
                break;
            }
        }
        let mut recent = Recent::default();
        // The epoch of a report shows at the next cut.
        let mut waiting: Vec<(Digest, Place)> = Vec::new();
        while log.size() < end {
            let entries = self.entries(log.size()).await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                if log.size() == end {
                    break;
                }
                recent.pass(&log);
                match &entry {
                    Entry::Report { received, envelope } if *received >= since => {
                        let place = Place { index: log.size(), received: *received, epoch: Epoch(0) };
                        waiting.push((depin_core::sha256(&[envelope]), place));
                    }
                    Entry::Cut { epoch, .. } => {
                        for (report, place) in waiting.drain(..) {
                            recent.add(report, Place { epoch: *epoch, ..place });
                        }
                    }
                    _ => {}
                }
                log.push(entry.leaf());
            }
        }
        let (stated, found) = (bundle.header.journal_after, log.head());
        if stated != found {
            let path = self.bundle_path(bundle.header.epoch);
            let (size, stated, found) = (stated.size, stated.root, found.root);
            return Err(RestoreError::OtherJournal { path, size, stated, found }.into());
        }
        (core.recent, core.log) = (recent, log);
        Ok(core)
    }

    /// The time of the first entry with a time at or soon after position `index`.
    async fn time_at(&self, index: u64) -> Result<Option<Timestamp>, NodeError> {
        let entries = self.journal.read(index, GLANCE).await?;
        let mut decoded = entries.iter().filter_map(|bytes| cbor::from_slice::<Entry>(bytes).ok());
        Ok(decoded.find_map(|entry| entry.time()))
    }

    /// Entries from position `from` on.
    async fn entries(&self, from: u64) -> Result<Vec<Entry>, NodeError> {
        let read = (from..).zip(self.journal.read(from, CHUNK).await?);
        read.map(|(index, bytes)| {
            cbor::from_slice(&bytes).map_err(|error| NodeError::Entry { index, reason: error.to_string() })
        })
        .collect()
    }

    /// Folds the journal from where `core` stands, and closes the epochs that end in it.
    async fn replay(self: &Arc<Self>, mut core: Core) -> Result<Core, NodeError> {
        loop {
            let entries = self.entries(core.log.size()).await?;
            if entries.is_empty() {
                return Ok(core);
            }
            let inner = Arc::clone(self);
            core = self
                .blocking(move || {
                    for entry in entries {
                        inner.replay_entry(&mut core, entry)?;
                    }
                    Ok(core)
                })
                .await?;
        }
    }

    fn replay_entry(&self, core: &mut Core, entry: Entry) -> Result<(), NodeError> {
        if !matches!(entry, Entry::Cut { .. }) {
            return Ok(core.take(&self.network, entry)?);
        }
        let closing = core.cut(&self.network, &self.key, self.tamper.as_ref(), entry)?;
        let bundle = core.close(&self.network, &self.key, closing);
        let epoch = bundle.header.epoch;
        match self.stored_digest(epoch)? {
            None => {
                if self.keep(&bundle).is_err() {
                    core.unsaved.push(bundle);
                }
                Ok(())
            }
            Some(stated) if stated == bundle.digest() => Ok(()),
            Some(stated) => {
                let (path, found) = (self.bundle_path(epoch), bundle.digest());
                Err(RestoreError::OtherBundle { path, epoch, stated, found }.into())
            }
        }
    }

    /// The epochs whose bundle lies on disk.
    fn bundled(&self) -> Result<BTreeSet<Epoch>, NodeError> {
        let dir = self.bundles_dir();
        let names = self.disk.list(&dir).map_err(|error| NodeError::Io { path: dir, error })?;
        Ok(names.iter().filter_map(|name| epoch_of(name)).collect())
    }
}

/// The last epoch before the first lost bundle, so that what is lost is made again; none when that is the very first.
fn whole_up_to(kept: &BTreeSet<Epoch>) -> Option<Epoch> {
    (0..)
        .map(Epoch)
        .zip(kept)
        .take_while(|(expected, found)| expected == *found)
        .last()
        .map(|(epoch, _)| epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_bundles_are_made_again_from_the_one_before_the_first_of_them() {
        let kept = |epochs: &[u64]| epochs.iter().copied().map(Epoch).collect::<BTreeSet<_>>();
        assert_eq!(whole_up_to(&kept(&[0, 1, 2])), Some(Epoch(2)));
        assert_eq!(whole_up_to(&kept(&[0, 2])), Some(Epoch(0)));
        assert_eq!(whole_up_to(&kept(&[1, 2])), None);
        assert_eq!(whole_up_to(&kept(&[0, 1, 3, 5])), Some(Epoch(1)));
    }
}
