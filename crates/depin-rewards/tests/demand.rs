//! Demand before emission, as known answers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should stop where it fails"
)]

use depin_core::{
    Address, Amount, Bps, ChainEvent, DeviceId, Digest, Epoch, KeyType, Outcome, TypedKey, UnitKind, Units,
};
use depin_rewards::{
    Apportionment, Caps, Constant, CreditError, Credits, DemandError, DemandParams, EpochDemand, Line,
    Period, apportion, settle,
};

const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);
const WIDE: Caps = Caps { mint: Amount::MAX, revenue: Amount::MAX };

fn kind() -> UnitKind {
    "byte-seconds".into()
}

/// A fifth is burned, and half of that may be minted.
fn params() -> DemandParams {
    DemandParams::new(Bps::new(2_000).unwrap(), Bps::new(5_000).unwrap()).unwrap()
}

fn line(id: u8, customer: Address, price: u128, full: u128, proved: u128) -> Line {
    Line {
        deal: Digest([id; 32]),
        customer,
        device: DeviceId(TypedKey::new(KeyType::Ed25519, &[id; 32]).unwrap()),
        account: Address::repeat_byte(id),
        price: Amount(price),
        full: Units::new(kind(), full),
        outcome: Outcome::Accept,
        proved: Units::new(kind(), proved),
    }
}

/// What the credits contract records: burns are rounded up.
fn pay(credits: &mut Credits, customer: Address, amount: u128) {
    let burned = params().burn().ceil_of(Amount(amount));
    credits.apply(&ChainEvent::CreditsPaid { customer, amount: Amount(amount), burned }).unwrap();
}

fn paid_in(payments: &[(Address, u128)]) -> Credits {
    let mut credits = Credits::default();
    for (customer, amount) in payments {
        pay(&mut credits, *customer, *amount);
    }
    credits
}

fn close(
    lines: &[Line],
    credits: &Credits,
    per_epoch: u128,
    caps: Caps,
) -> Result<Apportionment, DemandError> {
    apportion(&EpochDemand {
        epoch: Epoch(3),
        kind: &kind(),
        lines,
        credits,
        caps,
        params: params(),
        curve: &Constant { per_epoch: Amount(per_epoch) },
    })
}

#[test]
fn a_delivery_pays_revenue_and_at_most_what_its_burn_backs() {
    let credits = paid_in(&[(ALICE, 1_000)]);
    let closed = close(&[line(1, ALICE, 1_000, 100, 60)], &credits, 1_000_000, WIDE).unwrap();
    let earned = &closed.lines[0];
    assert_eq!(earned.units, 60);
    assert_eq!((earned.spend, earned.burned), (Amount(600), Amount(120)));
    assert_eq!((earned.revenue, earned.emission), (Amount(480), Amount(60)));
    assert_eq!((closed.pool, closed.minted, closed.revenue), (Amount(540), Amount(60), Amount(480)));
    assert_eq!((closed.paid, closed.dust, closed.burned), (Amount(540), Amount(0), Amount(120)));
    assert_eq!(closed.units, Units::new(kind(), 60));
    assert_eq!(closed.payouts().unwrap(), [(Address::repeat_byte(1), Amount(540))]);
}

#[test]
fn emission_is_the_least_of_curve_burn_and_cap() {
    let credits = paid_in(&[(ALICE, 1_000)]);
    let lines = [line(1, ALICE, 1_000, 100, 100)];
    let minted = |per_epoch, mint| {
        close(&lines, &credits, per_epoch, Caps { mint: Amount(mint), ..WIDE }).unwrap().minted
    };
    assert_eq!(minted(1_000, 1_000), Amount(100));
    assert_eq!(minted(40, 1_000), Amount(40));
    assert_eq!(minted(1_000, 30), Amount(30));
}

#[test]
fn what_does_not_divide_is_dust() {
    let credits = paid_in(&[(ALICE, 3_000)]);
    let lines = [1, 2, 3].map(|id| line(id, ALICE, 1_000, 100, 100));
    let closed = close(&lines, &credits, 10, WIDE).unwrap();
    assert!(closed.lines.iter().all(|line| line.emission == Amount(3)));
    assert_eq!((closed.minted, closed.dust, closed.paid), (Amount(10), Amount(1), Amount(2_409)));
}

#[test]
fn faulted_pays_nothing_and_open_costs_nothing() {
    let credits = paid_in(&[(ALICE, 3_000)]);
    let mut lines = [1, 2, 3].map(|id| line(id, ALICE, 1_000, 100, 100));
    lines[1].outcome = Outcome::Reject;
    lines[2].outcome = Outcome::Inconclusive;
    let closed = close(&lines, &credits, 1_000, WIDE).unwrap();
    for earned in &closed.lines[1..] {
        assert_eq!((earned.units, earned.spend, earned.revenue, earned.emission), Default::default());
    }
    assert_eq!(closed.lines[2].outcome, Outcome::Inconclusive);
    assert_eq!(closed.charges.len(), 1);
    assert_eq!(closed.charges[0].spend, Amount(1_000));
}

#[test]
fn an_epoch_without_accepted_units_mints_nothing() {
    let credits = paid_in(&[(ALICE, 3_000)]);
    let closed = close(&[line(1, ALICE, 1_000, 100, 0)], &credits, 1_000, WIDE).unwrap();
    assert_eq!((closed.pool, closed.minted, closed.paid, closed.dust), Default::default());
    assert!(closed.payouts().unwrap().is_empty());
    assert_eq!(close(&[], &credits, 1_000, WIDE).unwrap().pool, Amount::ZERO);
}

#[test]
fn a_customers_deals_share_its_credit_in_proportion() {
    let credits = paid_in(&[(ALICE, 300)]);
    let lines = [line(9, ALICE, 400, 100, 100), line(1, ALICE, 200, 100, 100)];
    let closed = close(&lines, &credits, 1_000, WIDE).unwrap();
    // In ascending order of deals: 1 wanted 200, 9 wanted 400, 300 are there.
    assert_eq!((closed.lines[0].spend, closed.lines[0].units), (Amount(100), 50));
    assert_eq!((closed.lines[1].spend, closed.lines[1].units), (Amount(200), 50));
}

#[test]
fn without_credit_proven_work_pays_nothing() {
    let closed = close(&[line(1, ALICE, 1_000, 100, 100)], &Credits::default(), 1_000, WIDE).unwrap();
    assert_eq!((closed.lines[0].units, closed.pool), (0, Amount::ZERO));
    assert!(closed.charges.is_empty());
}

#[test]
fn the_revenue_cap_is_shared_in_proportion() {
    let credits = paid_in(&[(ALICE, 1_000), (BOB, 3_000)]);
    let lines = [line(1, ALICE, 1_000, 100, 100), line(2, BOB, 3_000, 100, 100)];
    // 1,600 of revenue are 2,000 of spend at a burn of a fifth; 4,000 are wanted.
    let closed = close(&lines, &credits, 1_000, Caps { revenue: Amount(1_600), ..WIDE }).unwrap();
    assert_eq!((closed.lines[0].spend, closed.lines[0].revenue), (Amount(500), Amount(400)));
    assert_eq!((closed.lines[1].spend, closed.lines[1].revenue), (Amount(1_500), Amount(1_200)));
    assert_eq!(closed.lines[1].units, 50);
}

#[test]
fn what_is_spent_is_not_there_again() {
    let mut credits = paid_in(&[(ALICE, 1_000)]);
    let lines = [line(1, ALICE, 600, 100, 100)];
    for expected in [600, 400, 0] {
        let closed = close(&lines, &credits, 1_000, WIDE).unwrap();
        assert_eq!(closed.lines[0].spend, Amount(expected));
        credits.charge(&closed.charges).unwrap();
    }
    let account = credits.get(ALICE);
    assert_eq!((account.spent, account.backed, account.released), (Amount(1_000), Amount(200), Amount(800)));
}

#[test]
fn payments_too_small_to_hold_anything_buy_nothing() {
    // A fifth of 1, rounded up, is all of it: nothing is held, so a thousand such payments must not reach what Bob paid.
    let mut credits = paid_in(&[(BOB, 10_000)]);
    for _ in 0..1_000 {
        pay(&mut credits, ALICE, 1);
    }
    assert_eq!(credits.get(ALICE).paid, Amount(1_000));
    assert_eq!(credits.get(ALICE).available(&params()), Amount::ZERO);
    assert_eq!(credits.get(BOB).available(&params()), Amount(10_000));
}

#[test]
fn credit_counts_only_what_was_really_burned() {
    // A contract that burns a tenth under parameters that say a fifth.
    let mut credits = Credits::default();
    let event = ChainEvent::CreditsPaid { customer: ALICE, amount: Amount(1_000), burned: Amount(100) };
    credits.apply(&event).unwrap();
    assert_eq!(credits.get(ALICE).available(&params()), Amount(500));
}

#[test]
fn a_charge_beyond_the_credit_changes_nothing() {
    let mut credits = paid_in(&[(ALICE, 1_000), (BOB, 10)]);
    let before = credits.clone();
    let closed = close(&[line(1, ALICE, 1_000, 1, 1)], &credits, 1_000, WIDE).unwrap();
    let mut charges = closed.charges;
    charges.push(depin_rewards::Charge { customer: BOB, spend: Amount(11), ..charges[0] });
    assert!(matches!(credits.charge(&charges), Err(CreditError::Charge { customer: BOB, .. })));
    assert_eq!(credits, before);
}

#[test]
fn a_payment_that_burns_more_than_it_pays_is_refused() {
    let event = ChainEvent::CreditsPaid { customer: ALICE, amount: Amount(1), burned: Amount(2) };
    assert!(matches!(Credits::default().apply(&event), Err(CreditError::BurnedMoreThanPaid { .. })));
    let mut credits = Credits::default();
    let most = ChainEvent::CreditsPaid { customer: ALICE, amount: Amount::MAX, burned: Amount(1) };
    credits.apply(&most).unwrap();
    assert_eq!(credits.apply(&most), Err(CreditError::Overflow { customer: ALICE }));
    assert_eq!(credits.get(ALICE).burned, Amount(1));
}

#[test]
fn kinds_do_not_share_a_pool() {
    let credits = paid_in(&[(ALICE, 1_000)]);
    let ours = line(2, ALICE, 10, 10, 10);
    let energy = Units::new("watt-hours".into(), 10);
    for other in [Line { full: energy.clone(), ..ours.clone() }, Line { proved: energy, ..ours }] {
        let closed = close(&[line(1, ALICE, 10, 10, 10), other], &credits, 1_000, WIDE);
        assert!(matches!(closed, Err(DemandError::Kind { deal, .. }) if deal == Digest([2; 32])));
    }
}

#[test]
fn a_deal_has_one_line() {
    let lines = [line(1, ALICE, 10, 10, 10), line(2, ALICE, 10, 10, 10), line(1, BOB, 10, 10, 10)];
    let closed = close(&lines, &Credits::default(), 1_000, WIDE);
    assert_eq!(closed, Err(DemandError::Duplicate { deal: Digest([1; 32]) }));
}

#[test]
fn a_line_for_nothing_is_refused() {
    let closed = close(&[line(1, ALICE, 10, 0, 10)], &Credits::default(), 1_000, WIDE);
    assert_eq!(closed, Err(DemandError::NothingWanted { deal: Digest([1; 32]) }));
}

#[test]
fn only_prices_beyond_those_of_accepted_deals_do_not_add_up() {
    let lines = |price: Amount| [1, 2].map(|id| line(id, ALICE, price.0, 10, 10));
    let close = |price| close(&lines(price), &Credits::default(), 0, WIDE);
    assert_eq!(close(Amount::MAX), Err(DemandError::Overflow));
    assert_eq!(close(depin_rewards::deal::MAX_PRICE).unwrap().paid, Amount::ZERO);
}

#[test]
fn deliveries_of_any_size_are_paid() {
    let credits = paid_in(&[(ALICE, 1_000)]);
    let lines = [1, 2].map(|id| line(id, ALICE, 100, u128::MAX, u128::MAX));
    let paid = close(&lines, &credits, 0, WIDE).unwrap();
    assert_eq!((paid.revenue, paid.units.quantity), (Amount(160), u128::MAX));
}

#[test]
fn a_line_costs_what_its_settlement_pays() {
    let credits = paid_in(&[(ALICE, 1_000_000)]);
    for proved in [0, 1, 33, 99, 100, 101, u128::MAX] {
        let closed = close(&[line(1, ALICE, 997, 100, proved)], &credits, 1_000, WIDE).unwrap();
        let settled = settle(Amount(997), 100, Epoch(3), &[Period::Proven(proved)]).unwrap();
        assert_eq!(closed.lines[0].spend, settled.pay);
    }
}

#[test]
fn the_bounds_keep_out_what_would_make_self_dealing_pay() {
    let bps = |value| Bps::new(value).unwrap();
    assert!(DemandParams::new(bps(0), bps(5_000)).is_err());
    assert!(DemandParams::new(bps(1), bps(9_901)).is_err());
    assert!(DemandParams::new(bps(1), bps(9_900)).is_ok());
    assert!(DemandParams::new(bps(10_000), bps(0)).is_ok());
    // The same from outside: CBOR [0, 5000], and JSON.
    let bytes = depin_core::cbor::to_vec(&(0u16, 5_000u16));
    assert!(depin_core::cbor::from_slice::<DemandParams>(&bytes).is_err());
    assert!(serde_json::from_str::<DemandParams>(r#"{"burn":1,"mint_per_burn":10000}"#).is_err());
    assert!(serde_json::from_str::<DemandParams>(r#"{"burn":1,"mint_per_burn":9900}"#).is_ok());
}
