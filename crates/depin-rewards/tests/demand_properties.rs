//! Nobody farms, whatever the parameters inside their bounds: not by serving itself, not as many.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should stop where it fails"
)]

use depin_core::{
    Address, Amount, Bps, ChainEvent, DeviceId, Epoch, KeyType, Outcome, TypedKey, Units, sha256,
};
use depin_rewards::{
    Apportionment, Caps, Constant, Credits, CurveParams, DemandError, DemandParams, EpochDemand, Halving,
    Line, apportion,
};
use proptest::prelude::*;

/// A network in one epoch.
#[derive(Clone, Debug)]
struct World {
    params: DemandParams,
    curve: CurveParams,
    caps: Caps,
    payments: Vec<(u8, u128)>,
    lines: Vec<Line>,
}

impl World {
    /// Customers pay through a contract that rounds burns up.
    fn credits(&self) -> Credits {
        let mut credits = Credits::default();
        for (customer, amount) in &self.payments {
            let burned = self.params.burn().ceil_of(Amount(*amount));
            let customer = Address::repeat_byte(*customer);
            credits.apply(&ChainEvent::CreditsPaid { customer, amount: Amount(*amount), burned }).unwrap();
        }
        credits
    }

    fn close(&self, epoch: u64, credits: &Credits) -> Result<Apportionment, DemandError> {
        apportion(&EpochDemand {
            epoch: Epoch(epoch),
            kind: &"byte-seconds".into(),
            lines: &self.lines,
            credits,
            caps: self.caps,
            params: self.params,
            curve: &self.curve,
        })
    }
}

/// A line whose deal id is as unpredictable as a real one.
fn line(id: u16, customer: u8, provider: u8, price: u128, full: u128, proved: u128) -> Line {
    Line {
        deal: sha256(&[&id.to_be_bytes()]),
        customer: Address::repeat_byte(customer),
        device: DeviceId(TypedKey::new(KeyType::Ed25519, &[provider; 32]).unwrap()),
        account: Address::repeat_byte(provider),
        price: Amount(price),
        full: Units::new("byte-seconds".into(), full),
        outcome: Outcome::Accept,
        proved: Units::new("byte-seconds".into(), proved),
    }
}

/// Dust, everyday amounts with 18 decimals, and far beyond any supply in use; the sums of a world stay below 2^128.
fn amount() -> impl Strategy<Value = u128> {
    prop_oneof![1u128..50, 1u128..100_000, 1u128..1 << 80, 1u128..1 << 112]
}

fn params() -> impl Strategy<Value = DemandParams> {
    let share = |low: u16, high: u16| prop_oneof![Just(low), Just(high), low..=high, low..=high];
    (share(1, 10_000), share(0, 9_900))
        .prop_map(|(burn, mint)| DemandParams::new(Bps::new(burn).unwrap(), Bps::new(mint).unwrap()).unwrap())
}

fn curve() -> impl Strategy<Value = CurveParams> {
    prop_oneof![
        amount().prop_map(|x| CurveParams::Constant(Constant { per_epoch: Amount(x) })),
        (amount(), 0u64..5)
            .prop_map(|(x, interval)| CurveParams::Halving(Halving { initial: Amount(x), interval })),
    ]
}

fn caps() -> impl Strategy<Value = Caps> {
    let cap = || prop_oneof![2 => Just(u128::MAX), 3 => amount(), 1 => Just(0)];
    (cap(), cap()).prop_map(|(mint, revenue)| Caps { mint: Amount(mint), revenue: Amount(revenue) })
}

/// Customers 1 to 4, providers 1 to 5: the same number is the same party, so many of them serve themselves.
fn world() -> impl Strategy<Value = World> {
    let outcome =
        prop_oneof![6 => Just(Outcome::Accept), 1 => Just(Outcome::Reject), 1 => Just(Outcome::Inconclusive)];
    let drawn = (1u8..5, 1u8..6, amount(), amount(), amount(), outcome);
    (
        params(),
        curve(),
        caps(),
        prop::collection::vec((1u8..5, amount()), 0..12),
        prop::collection::vec(drawn, 0..12),
    )
        .prop_map(|(params, curve, caps, payments, drawn)| {
            let lines = (0u16..)
                .zip(drawn)
                .map(|(id, (customer, provider, price, full, proved, outcome))| Line {
                    outcome,
                    ..line(id, customer, provider, price, full, proved)
                })
                .collect();
            World { params, curve, caps, payments, lines }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_payer_gets_back_one_of_its_own_one(world in world(), epoch in 0u64..20) {
        let closed = world.close(epoch, &world.credits()).unwrap();
        for line in closed.lines.iter().filter(|line| line.spend.0 > 0) {
            prop_assert!(line.revenue.0 + line.emission.0 < line.spend.0);
        }
        // Even if every provider it pays is the payer itself.
        for charge in &closed.charges {
            let back: u128 = closed.lines.iter().filter(|line| line.customer == charge.customer)
                .map(|line| line.revenue.0 + line.emission.0).sum();
            prop_assert!(back < charge.spend.0);
        }
        let unpaid = closed.lines.iter().filter(|line| line.spend.0 == 0);
        prop_assert!(unpaid.into_iter().all(|line| line.revenue.0 + line.emission.0 == 0));
    }

    #[test]
    fn every_sum_is_exact(world in world(), epoch in 0u64..20) {
        use depin_rewards::Curve as _;
        let credits = world.credits();
        let closed = world.close(epoch, &credits).unwrap();
        let sum = |part: fn(&depin_rewards::Earned) -> Amount| Amount::sum(closed.lines.iter().map(part)).unwrap();
        prop_assert_eq!(closed.paid.0 + closed.dust.0, closed.pool.0);
        prop_assert_eq!(closed.minted.0 + closed.revenue.0, closed.pool.0);
        prop_assert_eq!(sum(|line| line.revenue), closed.revenue);
        prop_assert_eq!(sum(|line| line.emission).0, closed.minted.0 - closed.dust.0);
        prop_assert_eq!(sum(|line| line.burned), closed.burned);
        let payouts = closed.payouts().unwrap();
        prop_assert_eq!(Amount::sum(payouts.iter().map(|(_, amount)| *amount)), Ok(closed.paid));
        let charged = Amount::sum(closed.charges.iter().map(|charge| charge.spend)).unwrap();
        prop_assert_eq!(sum(|line| line.spend), charged);
        prop_assert!(closed.minted <= world.curve.emission(Epoch(epoch)).min(world.caps.mint));
        prop_assert!(closed.minted <= world.params.mint_per_burn().floor_of(closed.burned));
        prop_assert!(closed.revenue <= world.caps.revenue);
        prop_assert!(closed.dust.0 < u128::try_from(closed.lines.len()).unwrap().max(1));
        for charge in &closed.charges {
            prop_assert!(charge.spend <= credits.get(charge.customer).available(&world.params));
        }
    }

    #[test]
    fn units_are_the_lesser_of_proved_and_paid(world in world()) {
        let closed = world.close(0, &world.credits()).unwrap();
        let mut lines = world.lines.clone();
        lines.sort_by_key(|line| line.deal);
        for (line, earned) in lines.iter().zip(&closed.lines) {
            let delivered = line.proved.quantity.min(line.full.quantity);
            if line.outcome != Outcome::Accept {
                prop_assert_eq!((earned.units, earned.spend), (0, Amount::ZERO));
                continue;
            }
            let cost = line.price.mul_div_floor(delivered, line.full.quantity).unwrap();
            prop_assert!(earned.units <= delivered && earned.spend <= cost);
            if earned.spend == cost {
                prop_assert_eq!(earned.units, delivered);
            } else {
                let paid = Amount(line.full.quantity).mul_div_floor(earned.spend.0, line.price.0).unwrap();
                prop_assert_eq!(earned.units, delivered.min(paid.0));
            }
        }
    }

    #[test]
    fn order_does_not_matter(world in world(), turn in 0usize..12, epoch in 0u64..20) {
        let mut turned = world.clone();
        turned.lines.rotate_left(turn.min(world.lines.len()));
        turned.lines.reverse();
        turned.payments.reverse();
        prop_assert_eq!(turned.credits(), world.credits());
        prop_assert_eq!(turned.close(epoch, &turned.credits()), world.close(epoch, &world.credits()));
    }

    #[test]
    fn over_many_epochs_nobody_spends_what_it_did_not_pay(world in world()) {
        let mut credits = world.credits();
        let (mut released, mut minted) = (Amount::ZERO, Amount::ZERO);
        for epoch in 0..6 {
            let closed = world.close(epoch, &credits).unwrap();
            // An account that does not cover its charge is an error.
            credits.charge(&closed.charges).unwrap();
            released = released.checked_add(closed.revenue).unwrap();
            minted = minted.checked_add(closed.minted).unwrap();
        }
        let held = Amount::sum(credits.iter().map(|credit| credit.paid.checked_sub(credit.burned).unwrap())).unwrap();
        let burned = Amount::sum(credits.iter().map(|credit| credit.burned)).unwrap();
        prop_assert!(released <= held);
        prop_assert!(minted <= world.params.mint_per_burn().floor_of(burned));
    }

    #[test]
    fn sums_beyond_128_bits_are_refused_and_never_wrong(
        params in params(),
        rows in prop::collection::vec((1u8..4, any::<u128>(), 1u128.., any::<u128>()), 1..6),
        payments in prop::collection::vec(any::<u128>(), 3),
    ) {
        let curve = CurveParams::Constant(Constant { per_epoch: Amount::MAX });
        let payments = (1u8..4).zip(payments).collect();
        let lines = (0u16..).zip(rows).map(|(id, (customer, price, full, proved))| {
            line(id, customer, 9, price, full, proved)
        }).collect();
        let caps = Caps { mint: Amount::MAX, revenue: Amount::MAX };
        let world = World { params, curve, caps, payments, lines };
        match world.close(0, &world.credits()) {
            Ok(closed) => prop_assert_eq!(closed.paid.0.checked_add(closed.dust.0), Some(closed.pool.0)),
            Err(error) => prop_assert_eq!(error, DemandError::Overflow),
        }
    }
}

/// What is split among the attacker's identities.
#[derive(Clone, Copy, Debug)]
enum Split {
    Deals,
    Devices,
    PayersAndDevices,
}

/// The attacker is customer 100 and up, provider 200 and up.
const PAYER: u8 = 100;
const PROVIDER: u8 = 200;

/// What the attacker's accounts receive when the work `parts` is done by one, or by one identity per part.
fn received(
    world: &World,
    parts: &[u128],
    rate: (u128, u128, u128),
    payments: &[u128],
    split: Option<Split>,
) -> u128 {
    let (price, full, proved) = rate;
    let mut world = world.clone();
    let identities = (0u8..).zip(parts);
    match split {
        None => {
            let whole: u128 = parts.iter().sum();
            world.lines.push(line(1_000, PAYER, PROVIDER, price * whole, full * whole, proved * whole));
        }
        Some(split) => world.lines.extend(identities.map(|(i, part)| {
            let (payer, provider) = match split {
                Split::Deals => (PAYER, PROVIDER),
                Split::Devices => (PAYER, PROVIDER + i),
                Split::PayersAndDevices => (PAYER + i, PROVIDER + i),
            };
            line(1_000 + u16::from(i), payer, provider, price * part, full * part, proved * part)
        })),
    }
    match split {
        Some(Split::PayersAndDevices) => {
            world.payments.extend((PAYER..).zip(payments.iter().copied()));
        }
        _ => world.payments.push((PAYER, payments.iter().sum())),
    }
    let closed = world.close(0, &world.credits()).unwrap();
    closed
        .lines
        .iter()
        .filter(|line| line.account >= Address::repeat_byte(PROVIDER))
        .map(|line| line.revenue.0 + line.emission.0)
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn many_identities_never_gain_over_one(
        world in world(),
        parts in prop::collection::vec((1u128..2_000, prop_oneof![0u128..200, 0u128..1 << 60]), 1..7),
        rate in (1u128..1 << 60, 1u128..1_000, 0u128..1_200),
        scale in prop_oneof![Just(1u128), Just(1 << 20), Just(1 << 50)],
        split in prop_oneof![Just(Split::Deals), Just(Split::Devices), Just(Split::PayersAndDevices)],
    ) {
        let (parts, payments): (Vec<u128>, Vec<u128>) = parts.into_iter().unzip();
        let rate = (rate.0 / scale + 1, rate.1, rate.2);
        let one = received(&world, &parts, rate, &payments, None);
        let many = received(&world, &parts, rate, &payments, Some(split));
        prop_assert!(many <= one, "{many} > {one} by {split:?}");
    }
}

/// Amounts so small that one base unit more or less shows.
fn small_world() -> impl Strategy<Value = World> {
    let small = || 1u128..12;
    let params = (1_000u16..=10_000, 5_000u16..=9_900).prop_map(|(burn, mint)| {
        DemandParams::new(Bps::new(burn).unwrap(), Bps::new(mint).unwrap()).unwrap()
    });
    let cap = || prop_oneof![Just(u128::MAX), small()];
    (params, cap(), cap(), cap(), prop::collection::vec((1u8..3, small()), 1..4)).prop_map(
        |(params, per_epoch, mint, revenue, drawn)| World {
            params,
            curve: CurveParams::Constant(Constant { per_epoch: Amount(per_epoch) }),
            caps: Caps { mint: Amount(mint), revenue: Amount(revenue) },
            payments: vec![(1, 1_000), (2, 1_000)],
            lines: (0u16..)
                .zip(drawn)
                .map(|(id, (customer, price))| line(id, customer, customer, price, 1, 1))
                .collect(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn many_identities_never_gain_a_single_unit(
        world in small_world(),
        parts in prop::collection::vec(1u128..6, 2..4),
        payment in prop_oneof![Just(100_000u128), 1u128..12],
        split in prop_oneof![Just(Split::Deals), Just(Split::Devices), Just(Split::PayersAndDevices)],
    ) {
        let payments = vec![payment; parts.len()];
        let one = received(&world, &parts, (1, 1, 1), &payments, None);
        let many = received(&world, &parts, (1, 1, 1), &payments, Some(split));
        prop_assert!(many <= one, "{many} > {one} by {split:?}");
    }
}
