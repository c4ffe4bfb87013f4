//! Random networks: nothing is paid that nobody paid for, and every bundle audits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests fail by panicking

mod common;

use std::collections::BTreeMap;

use common::*;
use depin::{Bundle, Catalogue, audit, audit::audit_succession, audit_excerpt, excerpt::Excerpt};
use depin_core::{Address, Amount, Deal, sha256};
use depin_identity::SoftwareKey;
use depin_proof::possession::ANSWER_KIND;
use depin_rewards::{Constant, Credit, CurveParams, DemandParams};
use proptest::prelude::*;

/// What a device does in an epoch.
#[derive(Clone, Copy, Debug)]
enum Conduct {
    Honest,
    Silent,
    Wrong,
    Late,
    Twice,
}

#[derive(Clone, Debug)]
struct Terms {
    customer: usize,
    device: usize,
    price: u128,
    /// Full delivery in parts per thousand of what is kept.
    full: u128,
    first: u64,
    epochs: u32,
}

#[derive(Clone, Debug)]
struct Plan {
    burn: u16,
    mint_per_burn: u16,
    emission: u128,
    open_limit: u32,
    devices: usize,
    terms: Vec<Terms>,
    epochs: Vec<EpochPlan>,
}

#[derive(Clone, Debug)]
struct EpochPlan {
    /// By customer: the amount paid and, in basis points, how much of it the contract burns.
    payments: Vec<(u128, u16)>,
    mint: u128,
    revenue: u128,
    beacon: bool,
    conduct: Vec<Conduct>,
    /// A device that is sold, and one that is switched off.
    sold: Option<usize>,
    off: Option<usize>,
}

const CUSTOMERS: usize = 3;
const DEVICES: usize = 4;

fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![2 => 0u128..50, 4 => 0u128..10_000, 1 => any::<u64>().prop_map(u128::from), 1 => 0u128..1 << 90]
}

fn conduct() -> impl Strategy<Value = Conduct> {
    prop_oneof![
        5 => Just(Conduct::Honest),
        1 => Just(Conduct::Silent),
        1 => Just(Conduct::Wrong),
        1 => Just(Conduct::Late),
        1 => Just(Conduct::Twice),
    ]
}

prop_compose! {
    fn some_terms()(
        customer in 0..CUSTOMERS, device in 0..DEVICES, price in amount(), full in 1u128..3_000, first in 0u64..3, epochs in 1u32..4
    ) -> Terms {
        Terms { customer, device, price: price.max(1), full, first, epochs }
    }
}

prop_compose! {
    fn epoch()(
        payments in prop::collection::vec((amount(), 0u16..=10_000), CUSTOMERS),
        mint in amount(),
        revenue in amount(),
        beacon in prop::bool::weighted(0.85),
        conduct in prop::collection::vec(conduct(), DEVICES),
        sold in prop::option::weighted(0.2, 0..DEVICES),
        off in prop::option::weighted(0.1, 0..DEVICES),
    ) -> EpochPlan {
        EpochPlan { payments, mint, revenue, beacon, conduct, sold, off }
    }
}

prop_compose! {
    fn plan()(
        burn in 1u16..=10_000,
        mint_per_burn in 0u16..=9_900,
        emission in amount(),
        open_limit in 0u32..4,
        devices in 1..=DEVICES,
        terms in prop::collection::vec(some_terms(), 0..8),
        epochs in prop::collection::vec(epoch(), 1..4),
    ) -> Plan {
        Plan { burn, mint_per_burn, emission, open_limit, devices, terms, epochs }
    }
}

fn customer(number: usize) -> alloy::signers::local::PrivateKeySigner {
    wallet(&format!("customer {number}"))
}

/// Runs `plan`. Gives the world after it, and what each customer paid in.
fn run(plan: &Plan) -> (World, BTreeMap<Address, (u128, u128)>) {
    let mut world = World::with(depin::NetworkParams {
        curve: CurveParams::Constant(Constant { per_epoch: Amount(plan.emission) }),
        demand: DemandParams::new(bps(plan.burn), bps(plan.mint_per_burn)).unwrap(),
        open_limit: plan.open_limit,
        ..params()
    });
    let mut devices: Vec<Device> =
        (0..plan.devices).map(|number| Device::new(&format!("device {number}"))).collect();
    let mut gone = vec![false; devices.len()];
    let mut nonces = vec![1; devices.len()];
    for device in &devices {
        world.chain(device.registration());
    }
    for (nonce, terms_of) in (0..).zip(&plan.terms) {
        let Some(device) = devices.get(terms_of.device) else { continue };
        let mut deal = Deal {
            price: Amount(terms_of.price),
            nonce,
            ..terms(&customer(terms_of.customer), device, terms_of.first, terms_of.epochs)
        };
        deal.full.quantity = (deal.full.quantity * terms_of.full / 1_000).max(1);
        world.deal(signed(&customer(terms_of.customer), deal, &device.set));
    }
    let mut paid_in: BTreeMap<Address, (u128, u128)> = BTreeMap::new();
    for epoch in &plan.epochs {
        for (number, (amount, burned)) in epoch.payments.iter().enumerate() {
            let who = customer(number).address();
            let burned = bps(*burned).floor_of(Amount(*amount));
            world.chain(depin_core::ChainEvent::CreditsPaid {
                customer: who,
                amount: Amount(*amount),
                burned,
            });
            let sum = paid_in.entry(who).or_default();
            *sum = (sum.0 + amount, sum.1 + burned.0);
        }
        world.open_with(epoch.mint, epoch.revenue);
        for device in &mut devices {
            world.commit(device);
        }
        if epoch.beacon {
            world.beacon();
            for late in [false, true] {
                for (device, conduct) in devices.iter_mut().zip(&epoch.conduct) {
                    // Whoever is asked nothing has nothing to answer.
                    if world.challenge(device).samples() == 0 {
                        continue;
                    }
                    match (conduct, late) {
                        (Conduct::Honest, false) => drop(world.answer(device)),
                        (Conduct::Twice, false) => {
                            world.answer(device);
                            world.answer(device);
                        }
                        (Conduct::Wrong, false) => drop(world.send(device, ANSWER_KIND, vec![0])),
                        (Conduct::Late, true) => drop(world.answer(device)),
                        _ => {}
                    }
                }
                world.at(ANSWER + 1);
            }
        }
        if let Some(at) = epoch.sold.filter(|at| gone.get(*at) == Some(&false)) {
            let buyer = wallet(&format!("buyer {} of {at}", nonces[at]));
            let key = SoftwareKey::from_seed(sha256(&[&at.to_be_bytes(), &u64::to_be_bytes(nonces[at])]).0);
            // The sale counts from the next epoch on, and the device signs with its new key from then on.
            let next = world.epoch.next().unwrap();
            world.chain(devices[at].sale(&buyer, &key, next, nonces[at]));
            (devices[at].owner, devices[at].key) = (buyer, key);
            nonces[at] += 1;
        }
        if let Some(at) = epoch.off.filter(|at| gone.get(*at) == Some(&false)) {
            world.chain(depin_core::ChainEvent::DeviceDeactivated {
                device: devices[at].id().on_chain(),
                at: world.now,
            });
            gone[at] = true;
        }
        world.end();
    }
    (world, paid_in)
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    Amount::sum(amounts).unwrap()
}

fn conserves(bundle: &Bundle, epoch: &EpochPlan, plan: &Plan) -> Result<(), TestCaseError> {
    let result = &bundle.result;
    prop_assert_eq!(result.paid.checked_add(result.dust).unwrap(), result.pool);
    prop_assert_eq!(result.minted.checked_add(result.revenue).unwrap(), result.pool);
    prop_assert_eq!(sum(bundle.devices.iter().map(|section| section.earned)), result.paid);
    prop_assert_eq!(sum(bundle.payouts().into_iter().map(|(_, amount)| amount)), result.paid);
    let lines: Vec<_> = bundle.devices.iter().flat_map(|section| &section.lines).collect();
    prop_assert_eq!(sum(lines.iter().map(|line| line.revenue)), result.revenue);
    prop_assert_eq!(sum(lines.iter().map(|line| line.burned)), result.burned);
    let charges: Vec<_> = bundle.customers.iter().filter_map(|section| section.charge).collect();
    prop_assert_eq!(sum(charges.iter().map(|charge| charge.spend)), sum(lines.iter().map(|line| line.spend)));
    prop_assert!(result.minted.0 <= epoch.mint.min(plan.emission));
    prop_assert!(result.revenue.0 <= epoch.revenue);
    prop_assert!(result.minted <= bps(plan.mint_per_burn).floor_of(result.burned));
    prop_assert!(epoch.beacon || result.pool == Amount::ZERO);
    for (number, device) in (0..plan.devices).map(|number| (number, Device::new(&format!("device {number}"))))
    {
        let honest = matches!(epoch.conduct[number], Conduct::Honest | Conduct::Twice);
        prop_assert!(
            honest || earned(bundle, &device) == Amount::ZERO,
            "{:?} is paid",
            epoch.conduct[number]
        );
    }
    // For each customer what comes back through anybody is less than what it spent.
    for line in lines {
        prop_assert!(line.spend == Amount::ZERO || line.revenue.0 + line.emission.0 < line.spend.0);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn nothing_is_paid_that_was_not_paid_for_and_every_bundle_audits(plan in plan()) {
        let (world, paid_in) = run(&plan);
        for (bundle, epoch) in world.bundles.iter().zip(&plan.epochs) {
            conserves(bundle, epoch, &plan)?;
            let read = Bundle::from_bytes(&bundle.to_bytes()).unwrap();
            let found = audit(&read, &Catalogue::standard());
            prop_assert!(matches!(&found, Ok(found) if found.withheld == 0 && found.digest == bundle.digest()), "{:?}", found);
            for section in &bundle.devices {
                let excerpt = Excerpt::open(&bundle.excerpt(&section.device).unwrap().to_bytes()).unwrap();
                let found = audit_excerpt(&excerpt, &Catalogue::standard());
                prop_assert!(found.is_ok(), "{:?}", found);
            }
        }
        for pair in world.bundles.windows(2) {
            prop_assert!(audit_succession(&pair[0], &pair[1]).is_ok());
        }
        for credit in world.state.credits.iter() {
            let Credit { paid, burned, spent, backed, released, .. } = *credit;
            prop_assert_eq!((paid.0, burned.0), paid_in[&credit.customer]);
            prop_assert!(spent <= paid && backed <= burned && released.0 <= paid.0 - burned.0);
        }
        let totals = world.state.totals;
        prop_assert_eq!(totals.paid, sum(world.bundles.iter().map(|bundle| bundle.result.paid)));
        prop_assert_eq!(totals.minted, sum(world.bundles.iter().map(|bundle| bundle.result.minted)));
        prop_assert_eq!(totals.burned, sum(world.bundles.iter().map(|bundle| bundle.result.burned)));
        let spent = sum(world.state.credits.iter().map(|credit| credit.spent));
        prop_assert!(totals.paid <= spent, "customers spent {}, owners got {}", spent, totals.paid);
    }
}
