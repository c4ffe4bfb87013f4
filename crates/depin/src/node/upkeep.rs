//! What is tried again when something failed: the journal, bundles that could not be written, the index.

use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::sync::watch;

use super::{Inner, health::Part};

/// How often a node looks after what is degraded.
const PERIOD: Duration = Duration::from_secs(1);

/// Looks after the node until it ends.
pub(super) async fn run(node: Weak<Inner>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        let Some(inner) = node.upgrade() else { return };
        inner.look_after().await;
    }
}

/// Waits until the node stops, or is gone.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

impl Inner {
    async fn look_after(self: &Arc<Self>) {
        let health = self.health.health();
        if self.unwritable.load(Ordering::SeqCst) {
            let mut core = self.lock().await;
            // What is wrong is said by the health.
            drop(self.mend(&mut core).await);
        }
        if health.of(Part::Bundles).is_some() {
            let core = self.lock().await;
            drop(self.compute(core, |inner, core| inner.keep_unsaved(core)).await);
        }
        if self.unindexed.load(Ordering::SeqCst) {
            self.index().await;
        }
        if health.of(Part::Clock).is_some() {
            self.now();
        }
    }
}
