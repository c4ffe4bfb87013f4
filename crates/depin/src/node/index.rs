//! Telling the index what is in the bundles. It is derived from them and the chain, so it may fall behind, and never holds up anything.

use std::sync::{Arc, atomic::Ordering};

use depin_core::Epoch;
use depin_index::{Batch, Cursor, ReportFacts, Seek, Store};

use super::{Inner, NodeError, facts, health::Part};
use crate::bundle::Bundle;

impl Inner {
    /// Tells the index what it does not know yet. What fails is tried again later.
    pub(super) async fn index(self: &Arc<Self>) {
        let _turn = self.indexing.lock().await;
        let told = self.index_bundles().await;
        self.unindexed.store(told.is_err(), Ordering::SeqCst);
        self.health.note(Part::Epochs, self.now(), &told);
    }

    /// Epochs that closed since the index was told last, from their bundles.
    async fn index_bundles(self: &Arc<Self>) -> Result<(), NodeError> {
        let end = self.core.lock().await.epoch;
        let latest = self.store.epochs(Seek::default()).await?.items.first().map(|row| row.epoch);
        for epoch in (latest.map_or(0, |epoch| epoch.0.saturating_add(1))..end.0).map(Epoch) {
            let inner = Arc::clone(self);
            let bundle = self.blocking(move || inner.bundle(epoch)).await?;
            self.index_bundle(&bundle).await?;
        }
        Ok(())
    }

    async fn index_bundle(&self, bundle: &Bundle) -> Result<(), NodeError> {
        let epoch = facts::epoch_facts(bundle);
        let mut reports = Vec::with_capacity(epoch.reports.len());
        for of_device in &epoch.reports {
            let Some((_, last)) = of_device.span else { continue };
            let before = self.store.device(of_device.device).await?.map_or(0, |row| row.reports);
            let count = before.saturating_add(of_device.counted);
            reports.push(ReportFacts { device: of_device.device, count, last });
        }
        let claims = facts::claim_facts(bundle);
        let batch = Batch { epochs: vec![epoch], claims, reports, ..Batch::default() };
        let known = self.store.cursor().await?;
        let journal = known.journal.max(bundle.header.journal_after.size);
        Ok(self.store.apply(batch, Cursor { journal, ..known }).await?)
    }
}
