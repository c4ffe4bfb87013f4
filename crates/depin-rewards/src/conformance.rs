//! What every [`PayoutLedger`] must do, as one function that an implementation's tests call.

use async_trait::async_trait;
use depin_core::{Address, Amount, Digest, Epoch};

use crate::{
    claim::ClaimTree,
    demand::Caps,
    ledger::{ClaimRequest, LedgerError, MemoryLedger, Payout, PayoutLedger, PayoutStatus, Posted},
};

/// A fresh ledger, and what happens around it.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The ledger under test. No epoch has started on it.
    fn ledger(&self) -> &dyn PayoutLedger;

    /// Starts `epoch` with at least `caps` set aside, and lets it end, so that it can be posted.
    async fn start(&self, epoch: Epoch, caps: Caps);

    /// Lets the dispute window of `epoch` pass.
    async fn finalize(&self, epoch: Epoch);

    /// The balance of `account` in base units, where the ledger pays real tokens.
    async fn balance(&self, account: Address) -> Option<Amount>;
}

/// The first rule a ledger broke.
#[derive(Debug, thiserror::Error)]
#[error("the ledger breaks a rule: {rule}; found {found}")]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What happened instead.
    pub found: String,
}

/// Runs every rule against a fresh ledger, in epochs 0, 1 and 2.
///
/// # Errors
/// The first [`Violation`].
pub async fn payout_ledger(fixture: &dyn Fixture) -> Result<(), Violation> {
    let epochs = [Sample::new(Epoch(0)), Sample::new(Epoch(1)), Sample::new(Epoch(2))];
    let [first, second, third] = &epochs;
    nothing_is_known_of_an_epoch_that_has_not_started(fixture, first).await?;
    for sample in &epochs {
        fixture.start(sample.epoch, sample.caps()).await;
    }
    nothing_beyond_the_caps_is_posted(fixture, first).await?;
    posting_again_is_a_no_op(fixture, first).await?;
    a_pending_payout_cannot_be_claimed(fixture, first).await?;
    posting_again_is_a_no_op(fixture, second).await?;
    for sample in [first, second] {
        fixture.finalize(sample.epoch).await;
        a_final_payout_stands(fixture, sample).await?;
    }
    false_claims_pay_nothing(fixture, first, second).await?;
    one_call_claims_several_epochs(fixture, first, second).await?;
    nothing_is_paid_twice(fixture, first, third).await
}

/// Three accounts, of which `claims` holds the first two.
struct Sample {
    epoch: Epoch,
    payout: Payout,
    claims: [ClaimRequest; 3],
}

impl Sample {
    fn new(epoch: Epoch) -> Self {
        let account = |byte| Address::repeat_byte(byte);
        let payouts =
            vec![(account(0x11), Amount(100)), (account(0x22), Amount(70)), (account(0x33), Amount(30))];
        // Three distinct accounts always make a tree.
        let tree = ClaimTree::new(payouts).ok();
        let claim = |byte| {
            let found = tree.as_ref().and_then(|tree| tree.proof(account(byte)));
            let (amount, proof) = found.unwrap_or_default();
            ClaimRequest { epoch, account: account(byte), amount, proof }
        };
        let digest = |byte: u8| Digest([byte; 32]);
        let payout = Payout {
            root: Digest(tree.as_ref().map_or([0; 32], |tree| tree.root().0)),
            total: Amount(200),
            revenue: Amount(150),
            bundle_digest: digest(u8::try_from(epoch.0).unwrap_or_default().saturating_add(1)),
            bundle_length: 1_000,
            journal_root: digest(0x77),
            journal_size: epoch.0.saturating_add(10),
            previous_digest: digest(u8::try_from(epoch.0).unwrap_or_default()),
        };
        Self { epoch, payout, claims: [claim(0x11), claim(0x22), claim(0x33)] }
    }

    const fn caps(&self) -> Caps {
        Caps { mint: Amount(50), revenue: self.payout.revenue }
    }
}

async fn nothing_is_known_of_an_epoch_that_has_not_started(
    fixture: &dyn Fixture,
    sample: &Sample,
) -> Result<(), Violation> {
    let ledger = fixture.ledger();
    let rule = "an epoch that has not started has no payout";
    expect(rule, ledger.status(sample.epoch).await, |status| *status == PayoutStatus::Missing)?;
    refuse(
        "nothing is posted for an epoch that has not started",
        ledger.post(sample.epoch, &sample.payout).await,
    )?;
    let [claim, ..] = &sample.claims;
    refuse(
        "nothing is claimed of an epoch that has not started",
        ledger.claim(std::slice::from_ref(claim)).await,
    )?;
    expect("nobody has claimed yet", ledger.claimed(sample.epoch, claim.account).await, |claimed| !claimed)
}

async fn nothing_beyond_the_caps_is_posted(fixture: &dyn Fixture, sample: &Sample) -> Result<(), Violation> {
    let ledger = fixture.ledger();
    let huge = Amount(1 << 120);
    for (rule, total, revenue) in [
        ("emission beyond its cap is refused", huge, sample.payout.revenue),
        ("revenue beyond its cap is refused", huge, huge),
        ("revenue beyond the total is refused", Amount(1), Amount(2)),
    ] {
        refuse(rule, ledger.post(sample.epoch, &Payout { total, revenue, ..sample.payout }).await)?;
        expect(rule, ledger.status(sample.epoch).await, |status| *status == PayoutStatus::Missing)?;
    }
    Ok(())
}

async fn posting_again_is_a_no_op(fixture: &dyn Fixture, sample: &Sample) -> Result<(), Violation> {
    let ledger = fixture.ledger();
    let (epoch, payout) = (sample.epoch, &sample.payout);
    expect("the first posting posts", ledger.post(epoch, payout).await, |posted| *posted == Posted::Now)?;
    let rule = "a posted payout is pending and reads as it was posted";
    expect(rule, ledger.status(epoch).await, |status| *status == PayoutStatus::Pending(*payout))?;
    let rule = "posting the same payout again is a no-op";
    expect(rule, ledger.post(epoch, payout).await, |posted| *posted == Posted::Before)?;
    let rule = "after a no-op the payout is as it was";
    expect(rule, ledger.status(epoch).await, |status| *status == PayoutStatus::Pending(*payout))
}

async fn a_pending_payout_cannot_be_claimed(fixture: &dyn Fixture, sample: &Sample) -> Result<(), Violation> {
    let [claim, ..] = &sample.claims;
    refuse("a pending payout cannot be claimed", fixture.ledger().claim(std::slice::from_ref(claim)).await)
}

async fn a_final_payout_stands(fixture: &dyn Fixture, sample: &Sample) -> Result<(), Violation> {
    let ledger = fixture.ledger();
    let (epoch, payout) = (sample.epoch, &sample.payout);
    let rule = "after its window a payout is final";
    expect(rule, ledger.status(epoch).await, |status| *status == PayoutStatus::Final(*payout))?;
    let rule = "posting a final payout again is a no-op";
    expect(rule, ledger.post(epoch, payout).await, |posted| *posted == Posted::Before)?;
    let rival = Payout { root: Digest([0xee; 32]), ..*payout };
    refuse("a final payout has no rival", ledger.post(epoch, &rival).await)?;
    let rule = "a rival does not change a final payout";
    expect(rule, ledger.status(epoch).await, |status| *status == PayoutStatus::Final(*payout))
}

async fn false_claims_pay_nothing(
    fixture: &dyn Fixture,
    first: &Sample,
    second: &Sample,
) -> Result<(), Violation> {
    let ledger = fixture.ledger();
    let [good, other, _] = &first.claims;
    let more = ClaimRequest { amount: Amount(good.amount.0.saturating_add(1)), ..good.clone() };
    let foreign = ClaimRequest { account: other.account, ..good.clone() };
    let short = ClaimRequest { proof: Vec::new(), ..good.clone() };
    for (rule, claim) in [
        ("a claim for more is refused", more),
        ("a claim with another account's proof is refused", foreign),
        ("a claim without its proof is refused", short),
    ] {
        refuse(rule, ledger.claim(std::slice::from_ref(&claim)).await)?;
        let [valid, ..] = &second.claims;
        refuse("one false claim refuses the whole call", ledger.claim(&[valid.clone(), claim]).await)?;
        let rule = "a refused call claims nothing";
        expect(rule, ledger.claimed(second.epoch, valid.account).await, |claimed| !claimed)?;
    }
    Ok(())
}

async fn one_call_claims_several_epochs(
    fixture: &dyn Fixture,
    first: &Sample,
    second: &Sample,
) -> Result<(), Violation> {
    let ledger = fixture.ledger();
    let [one, two, _] = &first.claims;
    let [later, ..] = &second.claims;
    let before = fixture.balance(one.account).await;
    let claims = [one.clone(), later.clone(), two.clone()];
    expect("one call claims several epochs, for anyone", ledger.claim(&claims).await, |()| true)?;
    for claim in &claims {
        let rule = "what was claimed reads as claimed";
        expect(rule, ledger.claimed(claim.epoch, claim.account).await, |claimed| *claimed)?;
    }
    let [.., unclaimed] = &first.claims;
    let rule = "what was not claimed does not";
    expect(rule, ledger.claimed(first.epoch, unclaimed.account).await, |claimed| !claimed)?;
    let owed = one.amount.0.saturating_add(later.amount.0);
    let after = before.map(|before| Amount(before.0.saturating_add(owed)));
    compare("a claim pays its amount to its account", fixture.balance(one.account).await, after)
}

async fn nothing_is_paid_twice(
    fixture: &dyn Fixture,
    first: &Sample,
    unposted: &Sample,
) -> Result<(), Violation> {
    let ledger = fixture.ledger();
    let [one, _, last] = &first.claims;
    let before = fixture.balance(one.account).await;
    refuse("a second claim is refused", ledger.claim(std::slice::from_ref(one)).await)?;
    refuse("a claim twice in one call is refused", ledger.claim(&[last.clone(), last.clone()]).await)?;
    let rule = "a call refused for a repeated claim pays nothing";
    expect(rule, ledger.claimed(last.epoch, last.account).await, |claimed| !claimed)?;
    compare("a refused claim pays nothing", fixture.balance(one.account).await, before)?;
    let [elsewhere, ..] = &unposted.claims;
    refuse(
        "a proof of one epoch claims nothing of another",
        ledger.claim(std::slice::from_ref(elsewhere)).await,
    )
}

fn expect<T: core::fmt::Debug>(
    rule: &'static str,
    result: Result<T, LedgerError>,
    holds: impl FnOnce(&T) -> bool,
) -> Result<(), Violation> {
    match result {
        Ok(value) if holds(&value) => Ok(()),
        found => Err(Violation { rule, found: format!("{found:?}") }),
    }
}

/// A refusal is an answer; a ledger that cannot be reached gave none.
fn refuse<T: core::fmt::Debug>(rule: &'static str, result: Result<T, LedgerError>) -> Result<(), Violation> {
    match result {
        Err(LedgerError::Unavailable(_)) | Ok(_) => Err(Violation { rule, found: format!("{result:?}") }),
        Err(_) => Ok(()),
    }
}

fn compare(rule: &'static str, found: Option<Amount>, expected: Option<Amount>) -> Result<(), Violation> {
    if found == expected {
        Ok(())
    } else {
        Err(Violation { rule, found: format!("{found:?}, not {expected:?}") })
    }
}

#[async_trait]
impl Fixture for MemoryLedger {
    fn ledger(&self) -> &dyn PayoutLedger {
        self
    }

    async fn start(&self, epoch: Epoch, caps: Caps) {
        Self::start(self, epoch, caps);
    }

    async fn finalize(&self, epoch: Epoch) {
        Self::finalize(self, epoch);
    }

    async fn balance(&self, _: Address) -> Option<Amount> {
        None
    }
}
