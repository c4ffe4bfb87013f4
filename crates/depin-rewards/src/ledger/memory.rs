//! A ledger in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::B256;
use async_trait::async_trait;
use depin_core::{Address, Amount, Epoch};

use super::{ClaimRequest, LedgerError, Payout, PayoutLedger, PayoutStatus, Posted};
use crate::{claim, demand::Caps};

/// A [`PayoutLedger`] in memory, for tests and simulations: caps, one payout per epoch, finality when told, claims once.
///
/// It holds no tokens and knows no disputes.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    state: Mutex<BTreeMap<Epoch, EpochState>>,
}

#[derive(Debug)]
struct EpochState {
    caps: Caps,
    status: PayoutStatus,
    paid: Amount,
    claimed: BTreeSet<Address>,
}

impl MemoryLedger {
    /// Starts `epoch` and sets `caps` aside. Starting it again changes nothing.
    pub fn start(&self, epoch: Epoch, caps: Caps) {
        self.lock().entry(epoch).or_insert(EpochState {
            caps,
            status: PayoutStatus::Missing,
            paid: Amount::ZERO,
            claimed: BTreeSet::new(),
        });
    }

    /// Ends the window of `epoch`: what is pending becomes final.
    pub fn finalize(&self, epoch: Epoch) {
        if let Some(state) = self.lock().get_mut(&epoch)
            && let PayoutStatus::Pending(payout) = state.status
        {
            state.status = PayoutStatus::Final(payout);
        }
    }

    /// What the claims of `epoch` have paid so far.
    pub fn paid(&self, epoch: Epoch) -> Amount {
        self.lock().get(&epoch).map_or(Amount::ZERO, |state| state.paid)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Epoch, EpochState>> {
        // No code panics while it holds the lock, and every change is made in one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PayoutLedger for MemoryLedger {
    async fn post(&self, epoch: Epoch, payout: &Payout) -> Result<Posted, LedgerError> {
        let mut epochs = self.lock();
        let state = epochs.get_mut(&epoch).ok_or(LedgerError::NotStarted { epoch })?;
        match state.status {
            PayoutStatus::Pending(stands) | PayoutStatus::Final(stands) if stands == *payout => {
                Ok(Posted::Before)
            }
            PayoutStatus::Pending(stands) | PayoutStatus::Final(stands) => {
                Err(LedgerError::Rival { epoch, expected: payout.root, found: stands.root })
            }
            PayoutStatus::Missing | PayoutStatus::Contested => {
                check_caps(epoch, payout, state.caps)?;
                state.status = PayoutStatus::Pending(*payout);
                Ok(Posted::Now)
            }
        }
    }

    async fn status(&self, epoch: Epoch) -> Result<PayoutStatus, LedgerError> {
        Ok(self.lock().get(&epoch).map_or(PayoutStatus::Missing, |state| state.status))
    }

    async fn claim(&self, claims: &[ClaimRequest]) -> Result<(), LedgerError> {
        let mut epochs = self.lock();
        let mut taken = BTreeSet::new();
        let mut sums: BTreeMap<Epoch, Amount> = BTreeMap::new();
        for claim in claims {
            let (epoch, account) = (claim.epoch, claim.account);
            let state = epochs.get(&epoch).ok_or(LedgerError::NotFinal { epoch })?;
            let total = check_claim(claim, state)?;
            if !taken.insert((epoch, account)) {
                return Err(LedgerError::AlreadyClaimed { epoch, account });
            }
            let sum = sums.entry(epoch).or_insert(state.paid);
            *sum = Amount(sum.0.saturating_add(claim.amount.0));
            if *sum > total {
                return Err(LedgerError::Cap { epoch, cap: total, found: *sum });
            }
        }
        for (epoch, account) in taken {
            if let Some(state) = epochs.get_mut(&epoch) {
                state.claimed.insert(account);
            }
        }
        for (epoch, sum) in sums {
            if let Some(state) = epochs.get_mut(&epoch) {
                state.paid = sum;
            }
        }
        Ok(())
    }

    async fn claimed(&self, epoch: Epoch, account: Address) -> Result<bool, LedgerError> {
        Ok(self.lock().get(&epoch).is_some_and(|state| state.claimed.contains(&account)))
    }
}

fn check_caps(epoch: Epoch, payout: &Payout, caps: Caps) -> Result<(), LedgerError> {
    if payout.revenue > caps.revenue {
        return Err(LedgerError::Cap { epoch, cap: caps.revenue, found: payout.revenue });
    }
    // Revenue beyond the total would leave room for emission beyond its cap.
    let revenue = payout.revenue.min(payout.total);
    let emission = payout.total.saturating_sub(revenue);
    if revenue != payout.revenue || emission > caps.mint {
        return Err(LedgerError::Cap { epoch, cap: caps.mint, found: emission });
    }
    Ok(())
}

/// Checks one claim and returns what its epoch pays in all.
fn check_claim(claim: &ClaimRequest, state: &EpochState) -> Result<Amount, LedgerError> {
    let ClaimRequest { epoch, account, amount, ref proof } = *claim;
    let PayoutStatus::Final(payout) = state.status else {
        return Err(LedgerError::NotFinal { epoch });
    };
    if state.claimed.contains(&account) {
        return Err(LedgerError::AlreadyClaimed { epoch, account });
    }
    if !claim::verify(B256::from(payout.root.0), account, amount, proof) {
        return Err(LedgerError::Proof { epoch, account, amount });
    }
    Ok(payout.total)
}
