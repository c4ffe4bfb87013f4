//! Getting closed epochs paid: posting, finalising, claiming for everybody.

use std::sync::{Arc, MutexGuard, PoisonError};

use depin_core::Epoch;
use depin_evm::{
    ContractCallError, SendError,
    contracts::{Reverted, RewardDistributor::RewardDistributorErrors},
};
use depin_rewards::{ClaimRequest, ClaimTree, Payout, PayoutLedger, PayoutStatus};

use super::{Clock, Inner, Node, NodeError, health::Part};
use crate::bundle::Bundle;

impl Node {
    /// Finalises and claims for everybody whatever is due. Returns the epochs that are not final yet.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn settle(&self) -> Result<Vec<Epoch>, NodeError> {
        self.bring_to_end(true).await
    }

    /// Finalises whatever is due and leaves the claims to whoever wants to take them. Returns the epochs that are not final yet.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn finalise(&self) -> Result<Vec<Epoch>, NodeError> {
        self.bring_to_end(false).await
    }

    async fn bring_to_end(&self, claim: bool) -> Result<Vec<Epoch>, NodeError> {
        let inner = &self.0;
        let open = inner.heard(Part::Transactions, inner.bring_to_end(claim).await);
        inner.follow().await?;
        inner.index().await;
        inner.prune().await?;
        open
    }

    /// When the window of `epoch` ends, in seconds since the Unix epoch; none while no window runs.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn window_end(&self, epoch: Epoch) -> Result<Option<u64>, NodeError> {
        let state = self.0.chain.ledger().state(epoch).await?;
        Ok((state.deadline > 0).then_some(state.deadline))
    }
}

/// Epochs before these need no more looking after.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    /// The first that was not final on chain.
    finalised: u64,
    /// The first that was not claimed for everybody.
    claimed: u64,
    /// The first whose entries the journal may still hold.
    pruned: u64,
}

impl Inner {
    fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn bring_to_end(self: &Arc<Self>, claim: bool) -> Result<Vec<Epoch>, NodeError> {
        let mut core = self.lock().await;
        if !core.unsaved.is_empty() {
            // What cannot be written is said by the health, and does not hold up the epochs before it.
            core = self.compute(core, |inner, core| drop(inner.keep_unsaved(core))).await?.0;
        }
        let next = core.epoch;
        let kept = core.unsaved.first().map_or(next, |bundle| bundle.header.epoch);
        drop(core);
        let from = if claim { self.settled().claimed } else { self.settled().finalised };
        let mut open: Vec<Epoch> = (kept.0.max(from)..next.0).map(Epoch).collect();
        for epoch in (from..kept.0).map(Epoch) {
            if !self.finalise_epoch(epoch).await? {
                open.push(epoch);
                continue;
            }
            if claim {
                self.claim_all(epoch).await?;
            }
            let mut settled = self.settled();
            // Epochs become final one by one, but not always in their order.
            if settled.finalised == epoch.0 {
                settled.finalised = epoch.0.saturating_add(1);
            }
            if claim && settled.claimed == epoch.0 {
                settled.claimed = epoch.0.saturating_add(1);
            }
        }
        open.sort_unstable();
        Ok(open)
    }

    /// Removes segments of the journal that nobody needs any more, if that is wanted: their epochs are bundled on disk and final on chain, and
    /// no report in them can come again.
    async fn prune(self: &Arc<Self>) -> Result<(), NodeError> {
        let Some(keep) = self.keep_epochs else { return Ok(()) };
        let (next, oldest) = {
            let core = self.core.lock().await;
            (core.epoch.0, core.recent.first())
        };
        let Settled { finalised, pruned, .. } = *self.settled();
        let end = finalised.min(next.saturating_sub(keep));
        let Some(last) = end.checked_sub(1).filter(|last| *last >= pruned) else { return Ok(()) };
        let inner = Arc::clone(self);
        // Read back, because what is removed exists nowhere else afterwards.
        let bundle = self.blocking(move || inner.bundle(Epoch(last))).await?;
        let before = oldest.map_or(u64::MAX, |oldest| oldest).min(bundle.header.journal_after.size);
        self.journal.prune(before).await?;
        if before == bundle.header.journal_after.size {
            self.settled().pruned = end;
        }
        Ok(())
    }

    pub(super) async fn post(&self, bundle: &Bundle) -> Result<(), NodeError> {
        let payout = payout(bundle);
        let posted = self.chain.ledger().post(bundle.header.epoch, &payout).await?;
        tracing::debug!(epoch = %bundle.header.epoch, ?posted, "posted");
        Ok(())
    }

    /// Whether the epoch is final after what could be done was done.
    async fn finalise_epoch(self: &Arc<Self>, epoch: Epoch) -> Result<bool, NodeError> {
        let ledger = self.chain.ledger();
        match ledger.status(epoch).await? {
            PayoutStatus::Final(_) => Ok(true),
            PayoutStatus::Pending(_) => {
                let deadline = ledger.state(epoch).await?.deadline;
                // The chain may go by another clock than a simulated node; whoever is later may be right.
                let now = self.now().max(Clock::Wall.now()).0.div_euclid(1000);
                if now < deadline {
                    return Ok(false);
                }
                match ledger.finalize(epoch).await {
                    Err(ContractCallError::Send(SendError::Reverted(reverted)))
                        if is_too_early(&reverted) =>
                    {
                        return Ok(false);
                    }
                    other => other?,
                }
                Ok(true)
            }
            // A reorganisation took it away, or the node died before posting.
            PayoutStatus::Missing => {
                let inner = Arc::clone(self);
                let bundle = self.blocking(move || inner.bundle(epoch)).await?;
                self.post(&bundle).await?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Takes what is not claimed yet, for everybody.
    async fn claim_all(self: &Arc<Self>, epoch: Epoch) -> Result<(), NodeError> {
        let inner = Arc::clone(self);
        let payouts = self.blocking(move || Ok(inner.bundle(epoch)?.payouts())).await?;
        let Ok(tree) = ClaimTree::new(payouts) else { return Ok(()) };
        let mut claims = Vec::new();
        for (account, amount) in tree.payouts() {
            if !self.chain.ledger().claimed(epoch, *account).await?
                && let Some((_, proof)) = tree.proof(*account)
            {
                claims.push(ClaimRequest { epoch, account: *account, amount: *amount, proof });
            }
        }
        // A transaction has a gas limit; some 80,000 gas a claim leaves room for a hundred.
        for some in claims.chunks(100) {
            self.chain.ledger().claim(some).await?;
        }
        Ok(())
    }
}

/// Whether the distributor wants more time to pass.
const fn is_too_early(reverted: &Reverted) -> bool {
    matches!(reverted, Reverted::Distributor(RewardDistributorErrors::TooEarly(_)))
}

/// What is posted for a bundle.
pub fn payout(bundle: &Bundle) -> Payout {
    Payout {
        root: bundle.result.root,
        total: bundle.result.paid,
        revenue: bundle.result.revenue,
        bundle_digest: bundle.digest(),
        bundle_length: u64::try_from(bundle.to_bytes().len()).unwrap_or(u64::MAX),
        journal_root: bundle.header.journal_after.root,
        journal_size: bundle.header.journal_after.size,
        previous_digest: bundle.header.previous.unwrap_or_default(),
    }
}
