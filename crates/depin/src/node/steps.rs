//! The steps of an epoch: each reads the chain first, while reports go on coming in, and holds the core only to write.

use std::sync::{Arc, atomic::Ordering};

use depin_core::{Digest, Epoch, Timestamp};
use tokio::sync::OwnedMutexGuard;

use super::{
    Inner, Node, NodeError,
    core::{Core, entry_bytes},
    health::Part,
};
use crate::{
    api::{BeaconStatus, Phase, Status},
    bundle::Bundle,
    entry::Entry,
};

impl Node {
    /// The current epoch.
    pub async fn epoch(&self) -> Epoch {
        self.0.core.lock().await.epoch
    }

    /// How far the current epoch has come: whether it is open, and whether its beacon is known.
    pub async fn progress(&self) -> (bool, bool) {
        let core = self.0.core.lock().await;
        (core.fold.opened.is_some(), core.fold.beacon.is_some())
    }

    /// Opens a phase for everybody to see.
    pub async fn announce(&self, phase: Phase) {
        let core = self.0.core.lock().await;
        let params = self.0.network.params();
        let schedule = core.fold.opened.map(|opened| params.schedule(opened).into());
        let beacon = core.fold.beacon.as_ref().map(|beacon| BeaconStatus {
            kind: beacon.kind.clone(),
            round: beacon.round,
            value: Digest(beacon.value),
        });
        let (epoch, now) = (core.epoch, self.0.now().0);
        self.0.gate.advance(|status| {
            *status = Status { number: status.number, phase, epoch, now, schedule, beacon };
        });
        self.0.follower.live.publish([depin_index::Topic::Status]);
    }

    /// Starts the epoch on chain, which escrows its cap, and opens it in the journal.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn open_epoch(&self) -> Result<(), NodeError> {
        let inner = &self.0;
        let (epoch, params) = (self.epoch().await, inner.network.params());
        let earliest = params.genesis.0.saturating_add(params.epoch_length.0.saturating_mul(epoch.0));
        inner.reach(Timestamp(earliest)).await;
        let started = inner.chain.ledger().start(epoch).await.map_err(NodeError::from);
        inner.heard(Part::Transactions, started)?;
        inner.follow().await?;
        let mut core = inner.lock().await;
        inner.mend(&mut core).await?;
        let at = inner.time(&core);
        inner.write(&mut core, vec![Entry::Opened { epoch, at, params: params.digest() }]).await
    }

    /// Takes in what became final on the chain.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn follow(&self) -> Result<(), NodeError> {
        self.0.follow().await
    }

    /// The deadlines of the open epoch; none while none is open.
    pub async fn schedule(&self) -> Option<depin_proof::Schedule> {
        let opened = self.0.core.lock().await.fold.opened?;
        Some(self.0.network.params().schedule(opened))
    }

    /// Makes the epoch's beacon known.
    ///
    /// # Errors
    /// [`NodeError::NoBeacon`] while there is none.
    pub async fn reveal_beacon(&self) -> Result<(), NodeError> {
        let inner = &self.0;
        let epoch = self.epoch().await;
        let beacon = inner.beacons.beacon(epoch).await.map_err(NodeError::from);
        let beacon = beacon.and_then(|beacon| beacon.ok_or(NodeError::NoBeacon(epoch)));
        if matches!(beacon, Err(NodeError::Beacon(_))) {
            inner.metrics.chain_error(Part::Beacon);
        }
        inner.health.note(Part::Beacon, inner.now(), &beacon);
        let beacon = beacon?;
        let mut core = inner.lock().await;
        inner.mend(&mut core).await?;
        let received = inner.time(&core);
        inner.write(&mut core, vec![Entry::Beacon { received, beacon }]).await
    }

    /// Cuts and closes the epoch, keeps its bundle, and posts its root.
    ///
    /// # Errors
    /// [`NodeError`]. What was done stays done: a bundle that could not be written or posted is written and posted later.
    pub async fn close_epoch(&self) -> Result<Bundle, NodeError> {
        let inner = &self.0;
        inner.follow().await?;
        let mut core = inner.lock().await;
        inner.mend(&mut core).await?;
        inner.keep_unsaved(&mut core)?;
        let (mut core, bundle) = inner.cut(core).await?;
        if inner.keep(&bundle).is_err() {
            core.unsaved.push(bundle.clone());
        }
        drop(core);
        inner.index().await;
        // Whoever is asked for the bundle has to have it before the chain knows of it.
        if inner.health.health().of(Part::Bundles).is_none() {
            inner.heard(Part::Transactions, inner.post(&bundle).await)?;
        }
        Ok(bundle)
    }

    /// The bundle of a closed epoch.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn bundle(&self, epoch: Epoch) -> Result<Bundle, NodeError> {
        self.0.bundle(epoch)
    }
}

impl Inner {
    /// Takes note of how the chain answered `part`.
    pub(super) fn heard<T>(&self, part: Part, result: Result<T, NodeError>) -> Result<T, NodeError> {
        if result.is_err() {
            self.metrics.chain_error(part);
        }
        self.health.note(part, self.now(), &result);
        result
    }

    /// Goes back to what the journal holds, if more was believed than could be written, and sees whether it can be written again.
    pub(super) async fn mend(self: &Arc<Self>, core: &mut Core) -> Result<(), NodeError> {
        self.go_back(core).await?;
        if !self.unwritable.load(Ordering::SeqCst) {
            return Ok(());
        }
        let recovered = self.journal.recover().await.map_err(NodeError::from);
        self.unwritable.store(recovered.is_err(), Ordering::SeqCst);
        self.health.note(Part::Journal, self.now(), &recovered);
        recovered
    }

    /// Goes back to what the journal holds. That needs no more than to read it.
    async fn go_back(self: &Arc<Self>, core: &mut Core) -> Result<(), NodeError> {
        if !core.ahead && !core.torn {
            return Ok(());
        }
        match self.restore().await {
            Ok(fresh) => {
                *core = fresh;
                Ok(())
            }
            Err(error) => {
                self.unwritable.store(true, Ordering::SeqCst);
                self.health.degrade(Part::Journal, self.now(), &error);
                Err(error)
            }
        }
    }

    /// Cuts the epoch and closes it. The cut is written down only once the epoch is known to close: a journal with a cut that nothing can be
    /// closed from would be the end of the network.
    async fn cut(
        self: &Arc<Self>,
        core: OwnedMutexGuard<Core>,
    ) -> Result<(OwnedMutexGuard<Core>, Bundle), NodeError> {
        let cut = Entry::Cut { epoch: core.epoch, at: self.time(&core) };
        let bytes = vec![entry_bytes(&cut)];
        let decide =
            |inner: &Self, core: &mut Core| core.cut(&inner.network, &inner.key, inner.tamper.as_ref(), cut);
        let (mut core, closing) = self.compute(core, decide).await?;
        let closing = closing?;
        self.make_durable(&mut core, bytes).await?;
        self.compute(core, |inner, core| core.close(&inner.network, &inner.key, closing)).await
    }

    /// The time to write down next: the clock's, but never before what was written last, should the clock have been set back.
    pub(super) fn time(&self, core: &Core) -> Timestamp {
        self.now().max(core.fold.latest)
    }

    /// Writes entries: all of them, or none. The core is not ahead.
    pub(super) async fn write(
        self: &Arc<Self>,
        core: &mut Core,
        entries: Vec<Entry>,
    ) -> Result<(), NodeError> {
        let bytes = entries.iter().map(entry_bytes).collect();
        // Nobody sees what was taken before it is durable: the core is locked until then.
        for (at, entry) in entries.into_iter().enumerate() {
            if let Err(error) = core.take(&self.network, entry) {
                core.ahead = at > 0;
                self.go_back(core).await?;
                return Err(error.into());
            }
        }
        self.make_durable(core, bytes).await
    }

    /// Makes entries durable that were taken; if that fails, goes back to what the journal holds.
    pub(super) async fn make_durable(
        self: &Arc<Self>,
        core: &mut Core,
        entries: Vec<Vec<u8>>,
    ) -> Result<(), NodeError> {
        if entries.is_empty() {
            return Ok(());
        }
        let (count, begun) = (u32::try_from(entries.len()).unwrap_or(u32::MAX), std::time::Instant::now());
        let Err(error) = self.journal.append(entries).await else {
            self.metrics.appended(count, begun.elapsed());
            return Ok(());
        };
        let error = NodeError::from(error);
        self.unwritable.store(true, Ordering::SeqCst);
        self.health.degrade(Part::Journal, self.now(), &error);
        // Nobody is shown what is not durable. Should the journal not be readable either, nothing is believed before it is.
        core.ahead = true;
        drop(self.go_back(core).await);
        Err(error)
    }
}
