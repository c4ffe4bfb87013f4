//! The flow of an epoch, from lines to payouts.

use std::collections::BTreeMap;

use depin_core::{Address, Amount, AmountError, Digest, Outcome, UnitKind, Units};

use super::{Apportionment, Charge, DemandParams, Earned, EpochDemand, Line};
use crate::{
    allocate::{AllocateError, Rounding, allocate},
    credit::gross,
    deal::AcceptedDeal,
};

/// Why an epoch could not be apportioned. Each of these is a mistake of the caller, not of a device or a customer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DemandError {
    /// A line of another kind.
    #[error("deal {deal} counts {found}, and this pool {expected}; give each kind its own pool")]
    Kind {
        /// The deal.
        deal: Digest,
        /// The pool's kind.
        expected: UnitKind,
        /// The line's kind.
        found: UnitKind,
    },
    /// Two lines for one deal.
    #[error("deal {deal} has two lines; settle one period of a deal in an epoch")]
    Duplicate {
        /// The deal.
        deal: Digest,
    },
    /// A line for nothing.
    #[error("deal {deal} wants 0 units; only accepted deals belong here")]
    NothingWanted {
        /// The deal.
        deal: Digest,
    },
    /// A sum that does not fit.
    #[error("the epoch's sums exceed 2^128 - 1 base units; check the credits, they exceed any supply")]
    Overflow,
}

impl Line {
    /// The line of `deal` for one period: what a verifier found (`outcome`, `proved`), paid to `account`.
    pub fn new(deal: &AcceptedDeal, outcome: Outcome, proved: Units, account: Address) -> Self {
        let id = deal.id();
        let deal = deal.deal();
        Self {
            deal: id,
            customer: deal.customer,
            device: deal.device,
            account,
            price: deal.price,
            full: deal.full.clone(),
            outcome,
            proved,
        }
    }

    /// Units that count, and what they cost while credit lasts: `floor(price * units / full)`.
    fn demand(&self, kind: &UnitKind) -> Result<(u128, Amount), DemandError> {
        let deal = self.deal;
        for found in [&self.full.kind, &self.proved.kind] {
            if found != kind {
                return Err(DemandError::Kind { deal, expected: kind.clone(), found: found.clone() });
            }
        }
        if self.outcome != Outcome::Accept {
            return Ok((0, Amount::ZERO));
        }
        let units = self.proved.quantity.min(self.full.quantity);
        let cost = crate::settle::pay(self.price, self.full.quantity, units)
            .map_err(|_| DemandError::NothingWanted { deal })?;
        Ok((units, cost))
    }
}

impl Apportionment {
    /// What each account is owed, in ascending order, without zeros: the leaves of the epoch's claim tree.
    ///
    /// # Errors
    /// [`AmountError::Overflow`] when an account is owed more than 2^128 - 1.
    pub fn payouts(&self) -> Result<Vec<(Address, Amount)>, AmountError> {
        let mut payouts = BTreeMap::new();
        for line in &self.lines {
            let earned = line.revenue.checked_add(line.emission)?;
            if earned != Amount::ZERO {
                let owed: &mut Amount = payouts.entry(line.account).or_default();
                *owed = owed.checked_add(earned)?;
            }
        }
        Ok(payouts.into_iter().collect())
    }
}

/// What `demand` pays.
///
/// 1. Every accepted line costs `floor(price * min(proved, full) / full)`. Rejected and open lines cost nothing.
/// 2. A customer's lines share what it has available, and all lines share what the revenue cap covers, in proportion to their cost
///    and rounded down. Where credit is short, units are short with it: `min(proved, paid)`.
/// 3. Of its spend, a line's burned part is `floor(spend * burn)`, its revenue `floor(spend * (1 - burn))`, its emission weight
///    `floor(burned * mint_per_burn)`.
/// 4. The emission pool is the least of what the curve emits, the sum of weights, and the mint cap. It is
///    divided by weight, rounded down. So no line gets more than its weight, and no weight may be split for gain.
///
/// Order does not matter anywhere: neither a line's place nor a deal's id decides who is paid first.
///
/// # Errors
/// [`DemandError`].
pub fn apportion(demand: &EpochDemand<'_>) -> Result<Apportionment, DemandError> {
    let mut lines: Vec<&Line> = demand.lines.iter().collect();
    lines.sort_unstable_by_key(|line| line.deal);
    if let Some((one, _)) = lines.iter().zip(lines.iter().skip(1)).find(|(one, next)| one.deal == next.deal) {
        return Err(DemandError::Duplicate { deal: one.deal });
    }
    let mut priced = Vec::with_capacity(lines.len());
    for line in lines {
        let (units, cost) = line.demand(demand.kind)?;
        priced.push(Priced { line, units, cost, spend: cost });
    }
    limit_to_credit(&mut priced, demand)?;
    limit_to_revenue(&mut priced, demand)?;
    let mut earned: Vec<Earned> = priced.iter().map(|priced| priced.earn(&demand.params)).collect();
    let (minted, dust) = emit(&mut earned, demand)?;
    sum_up(demand, earned, minted, dust)
}

/// A line, what it would cost, and what can be spent on it.
struct Priced<'a> {
    line: &'a Line,
    units: u128,
    cost: Amount,
    spend: Amount,
}

impl Priced<'_> {
    fn earn(&self, params: &DemandParams) -> Earned {
        let line = self.line;
        let units = if self.spend == self.cost {
            self.units
        } else {
            // A cost above zero has a price above zero, and a spend is at most the price: the quotient fits.
            let paid = Amount(line.full.quantity).mul_div_floor(self.spend.0, line.price.0);
            self.units.min(paid.map_or(0, |units| units.0))
        };
        Earned {
            deal: line.deal,
            customer: line.customer,
            device: line.device,
            account: line.account,
            outcome: line.outcome,
            units,
            spend: self.spend,
            burned: params.burn().floor_of(self.spend),
            revenue: params.burn().complement().floor_of(self.spend),
            emission: Amount::ZERO,
        }
    }
}

/// Lets each customer's lines share what the customer has available.
fn limit_to_credit(priced: &mut [Priced<'_>], demand: &EpochDemand<'_>) -> Result<(), DemandError> {
    let mut by_customer: BTreeMap<Address, Vec<&mut Priced<'_>>> = BTreeMap::new();
    for priced in priced {
        by_customer.entry(priced.line.customer).or_default().push(priced);
    }
    for (customer, mut lines) in by_customer {
        share(demand.credits.get(customer).available(&demand.params), &mut lines)?;
    }
    Ok(())
}

/// Lets all lines share what the revenue cap covers.
fn limit_to_revenue(priced: &mut [Priced<'_>], demand: &EpochDemand<'_>) -> Result<(), DemandError> {
    let covered = gross(demand.caps.revenue, demand.params.burn().complement());
    share(covered, &mut priced.iter_mut().collect::<Vec<_>>())
}

/// Reduces what is spent on `lines` to `available`, each in proportion and rounded down.
fn share(available: Amount, lines: &mut [&mut Priced<'_>]) -> Result<(), DemandError> {
    let weights: Vec<(Digest, u128)> = lines.iter().map(|line| (line.line.deal, line.spend.0)).collect();
    let wanted = Amount::sum(lines.iter().map(|line| line.spend)).map_err(overflow)?;
    if wanted <= available {
        return Ok(());
    }
    // Lines and shares both ascend by deal.
    for (line, (_, spend)) in lines.iter_mut().zip(allocate(available, &weights, Rounding::Floor)?.shares) {
        line.spend = spend;
    }
    Ok(())
}

/// Divides the emission pool; returns it and its dust.
fn emit(earned: &mut [Earned], demand: &EpochDemand<'_>) -> Result<(Amount, Amount), DemandError> {
    let weights: Vec<(Digest, u128)> = earned
        .iter()
        .map(|line| (line.deal, demand.params.mint_per_burn().floor_of(line.burned).0))
        .collect();
    let backed = Amount::sum(weights.iter().map(|(_, weight)| Amount(*weight))).map_err(overflow)?;
    let pool = demand.curve.emission(demand.epoch).min(backed).min(demand.caps.mint);
    let allocation = allocate(pool, &weights, Rounding::Floor)?;
    for (line, (_, emission)) in earned.iter_mut().zip(allocation.shares) {
        line.emission = emission;
    }
    Ok((pool, allocation.dust))
}

fn sum_up(
    demand: &EpochDemand<'_>,
    lines: Vec<Earned>,
    minted: Amount,
    dust: Amount,
) -> Result<Apportionment, DemandError> {
    let mut units = Units::new(demand.kind.clone(), 0);
    let mut charges: BTreeMap<Address, Charge> = BTreeMap::new();
    let (mut revenue, mut burned) = (Amount::ZERO, Amount::ZERO);
    for line in &lines {
        // Pays nobody, so what a customer calls full delivery must not be able to stop the epoch.
        units.quantity = units.quantity.saturating_add(line.units);
        revenue = revenue.checked_add(line.revenue).map_err(overflow)?;
        burned = burned.checked_add(line.burned).map_err(overflow)?;
        if line.spend == Amount::ZERO {
            continue;
        }
        let zero = Amount::ZERO;
        let customer = line.customer;
        let charge =
            charges.entry(customer).or_insert(Charge { customer, spend: zero, burned: zero, revenue: zero });
        charge.spend = charge.spend.checked_add(line.spend).map_err(overflow)?;
        charge.burned = charge.burned.checked_add(line.burned).map_err(overflow)?;
        charge.revenue = charge.revenue.checked_add(line.revenue).map_err(overflow)?;
    }
    let pool = minted.checked_add(revenue).map_err(overflow)?;
    let charges = charges.into_values().collect();
    let paid = pool.saturating_sub(dust);
    Ok(Apportionment { units, lines, charges, pool, minted, revenue, burned, paid, dust })
}

fn overflow(_: AmountError) -> DemandError {
    DemandError::Overflow
}

impl From<AllocateError<Digest>> for DemandError {
    fn from(error: AllocateError<Digest>) -> Self {
        match error {
            AllocateError::Duplicate { id } => Self::Duplicate { deal: id },
            AllocateError::WeightOverflow => Self::Overflow,
        }
    }
}
