//! The ledger in memory conforms, and the suite notices ledgers that do not.
#![allow(clippy::unwrap_used, reason = "a test that fails should stop where it fails")]
#![cfg(feature = "conformance")]

use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;
use depin_core::{Address, Amount, Epoch};
use depin_rewards::{
    Caps, ClaimRequest, LedgerError, MemoryLedger, Payout, PayoutLedger, PayoutStatus, Posted,
    conformance::{Fixture, payout_ledger},
};

#[tokio::test(flavor = "current_thread")]
async fn the_ledger_in_memory_conforms() {
    payout_ledger(&MemoryLedger::default()).await.unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    PaysTwice,
    PaysHalfACall,
    PaysBeforeItIsFinal,
    ForgetsWhatIsPosted,
    LetsARivalIn,
    IgnoresProofs,
    IgnoresCaps,
}

/// A ledger with one fault.
struct Broken {
    inner: MemoryLedger,
    fault: Fault,
    taken: Mutex<BTreeSet<(Epoch, Address)>>,
}

#[async_trait]
impl PayoutLedger for Broken {
    async fn post(&self, epoch: Epoch, payout: &Payout) -> Result<Posted, LedgerError> {
        let posted = self.inner.post(epoch, payout).await;
        match (self.fault, posted) {
            (Fault::ForgetsWhatIsPosted, Ok(_)) => Ok(Posted::Now),
            (Fault::LetsARivalIn, Err(LedgerError::Rival { .. }))
            | (Fault::IgnoresCaps, Err(LedgerError::Cap { .. })) => Ok(Posted::Now),
            (_, posted) => posted,
        }
    }

    async fn status(&self, epoch: Epoch) -> Result<PayoutStatus, LedgerError> {
        self.inner.status(epoch).await
    }

    async fn claim(&self, claims: &[ClaimRequest]) -> Result<(), LedgerError> {
        if self.fault == Fault::PaysHalfACall {
            for claim in claims {
                self.inner.claim(std::slice::from_ref(claim)).await?;
            }
            return Ok(());
        }
        match (self.fault, self.inner.claim(claims).await) {
            (Fault::PaysTwice, Err(LedgerError::AlreadyClaimed { .. }))
            | (Fault::PaysBeforeItIsFinal, Err(LedgerError::NotFinal { .. })) => Ok(()),
            (Fault::IgnoresProofs, Err(LedgerError::Proof { epoch, account, .. })) => {
                self.taken.lock().unwrap().insert((epoch, account));
                Ok(())
            }
            (_, result) => result,
        }
    }

    async fn claimed(&self, epoch: Epoch, account: Address) -> Result<bool, LedgerError> {
        let taken = self.taken.lock().unwrap().contains(&(epoch, account));
        Ok(taken || self.inner.claimed(epoch, account).await?)
    }
}

#[async_trait]
impl Fixture for Broken {
    fn ledger(&self) -> &dyn PayoutLedger {
        self
    }

    async fn start(&self, epoch: Epoch, caps: Caps) {
        self.inner.start(epoch, caps);
    }

    async fn finalize(&self, epoch: Epoch) {
        self.inner.finalize(epoch);
    }

    async fn balance(&self, _: Address) -> Option<Amount> {
        None
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_suite_names_what_a_broken_ledger_does() {
    for (fault, rule) in [
        (Fault::PaysTwice, "a second claim is refused"),
        (Fault::PaysHalfACall, "a refused call claims nothing"),
        (Fault::PaysBeforeItIsFinal, "nothing is claimed of an epoch that has not started"),
        (Fault::ForgetsWhatIsPosted, "posting the same payout again is a no-op"),
        (Fault::LetsARivalIn, "a final payout has no rival"),
        (Fault::IgnoresProofs, "a claim for more is refused"),
        (Fault::IgnoresCaps, "emission beyond its cap is refused"),
    ] {
        let broken = Broken { inner: MemoryLedger::default(), fault, taken: Mutex::default() };
        assert_eq!(payout_ledger(&broken).await.unwrap_err().rule, rule, "{fault:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_a_ledger_pays_is_bounded_by_its_total() {
    let tree = depin_rewards::ClaimTree::new(vec![
        (Address::repeat_byte(1), Amount(60)),
        (Address::repeat_byte(2), Amount(50)),
    ])
    .unwrap();
    let digest = depin_core::Digest::default();
    // The root is worth 110; the payout says 100.
    let payout = Payout {
        root: depin_core::Digest(tree.root().0),
        total: Amount(100),
        revenue: Amount(0),
        bundle_digest: digest,
        bundle_length: 1,
        journal_root: digest,
        journal_size: 1,
        previous_digest: digest,
    };
    let ledger = MemoryLedger::default();
    ledger.start(Epoch(0), Caps { mint: Amount(100), revenue: Amount(0) });
    ledger.post(Epoch(0), &payout).await.unwrap();
    ledger.finalize(Epoch(0));
    let claim = |byte| {
        let account = Address::repeat_byte(byte);
        let (amount, proof) = tree.proof(account).unwrap();
        [ClaimRequest { epoch: Epoch(0), account, amount, proof }]
    };
    ledger.claim(&claim(1)).await.unwrap();
    assert!(matches!(ledger.claim(&claim(2)).await, Err(LedgerError::Cap { .. })));
    assert_eq!(ledger.paid(Epoch(0)), Amount(60));
}
