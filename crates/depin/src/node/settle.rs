//! Getting closed epochs paid: posting, finalising, claiming for everybody.

use depin_core::Epoch;
use depin_evm::{
    ContractCallError, SendError,
    contracts::{Reverted, RewardDistributor::RewardDistributorErrors},
};
use depin_rewards::{ClaimRequest, ClaimTree, Payout, PayoutLedger, PayoutStatus};

use super::{Clock, Inner, Node, NodeError};
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
        let next = self.epoch().await;
        let mut open = Vec::new();
        for epoch in (0..next.0).map(Epoch) {
            if !inner.finalise_epoch(epoch).await? {
                open.push(epoch);
            } else if claim {
                inner.claim_all(epoch).await?;
            }
        }
        let mut core = inner.core.lock().await;
        inner.follow(&mut core).await?;
        inner.index(&core, None).await?;
        Ok(open)
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

impl Inner {
    pub(super) async fn post(&self, bundle: &Bundle) -> Result<(), NodeError> {
        let payout = payout(bundle);
        let posted = self.chain.ledger().post(bundle.header.epoch, &payout).await?;
        tracing::debug!(epoch = %bundle.header.epoch, ?posted, "posted");
        Ok(())
    }

    /// Whether the epoch is final after what could be done was done.
    async fn finalise_epoch(&self, epoch: Epoch) -> Result<bool, NodeError> {
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
                self.post(&self.bundle(epoch)?).await?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Takes what is not claimed yet, for everybody.
    async fn claim_all(&self, epoch: Epoch) -> Result<(), NodeError> {
        let payouts = self.bundle(epoch)?.payouts();
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
