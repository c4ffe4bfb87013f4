//! The price of a Sybil: what N identities that do no work cost under a policy, beside what they would earn if nothing else caught them.
//!
//! Prices are rounded down and rewards up, each per identity, so that the comparison errs against the policy and no rounding rewards
//! splitting. Amounts of later epochs are discounted to the first; bonds come back at the end of the last.

use alloc::vec::Vec;

use depin_core::{Amount, AmountError, Bps, Text};

use super::{AdmissionPolicy, CredentialHolder, CredentialRule, TOKEN};

/// One, in the fixed point of discount factors.
const ONE: u128 = 1_000_000_000_000_000_000;

/// What an attacker pays for what a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// A credential of each type: issued, bought or stolen. Types that are not listed cost nothing.
    pub credentials: Vec<(Text, Amount)>,
    /// A key in hardware that passes for a device.
    pub hardware: Amount,
    /// The registration of a device.
    pub registration: Amount,
    /// A place that passes for one: its rent, or the means to feign it.
    pub site: Amount,
    /// A point of reputation.
    pub reputation: Amount,
    /// The share of fakes that other checks find within the outlook, and whose bonds are slashed.
    pub caught: Bps,
}

/// How long and by how much rewards and bonds are looked ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// What a device earns in an epoch.
    pub reward: Amount,
    /// By how much an epoch's delay lessens an amount.
    pub discount: Bps,
    /// Epochs looked ahead; at most [`Outlook::MAX_EPOCHS`] are.
    pub epochs: u32,
}

/// What N identities cost, item by item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SybilPrice {
    /// The cost of the capital that bonds tie up: what they are worth now less what they are worth when they come back.
    pub capital: Amount,
    /// Bonds expected to be slashed.
    pub slashed: Amount,
    /// Credentials of devices, of the makers that their quotas take, and of one owner.
    pub credentials: Amount,
    /// Places.
    pub sites: Amount,
    /// Hardware.
    pub hardware: Amount,
    /// Registrations.
    pub registration: Amount,
    /// Reputation of one owner.
    pub reputation: Amount,
}

/// Price and reward beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SybilVerdict {
    /// What the identities cost.
    pub price: SybilPrice,
    /// The sum of [`SybilVerdict::price`].
    pub total: Amount,
    /// What they earn, discounted.
    pub reward: Amount,
}

impl SybilVerdict {
    /// Whether faking devices costs more than it earns.
    pub fn deters(&self) -> bool {
        self.total > self.reward
    }
}

impl SybilPrice {
    /// The sum.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn total(&self) -> Result<Amount, AmountError> {
        Amount::sum([
            self.capital,
            self.slashed,
            self.credentials,
            self.sites,
            self.hardware,
            self.registration,
            self.reputation,
        ])
    }
}

impl Outlook {
    /// Most epochs looked ahead: a day each, over 250 years.
    pub const MAX_EPOCHS: u32 = 100_000;

    /// The discounted reward of one device, rounded up.
    fn earned(&self) -> Result<Amount, AmountError> {
        let keep = u128::from(self.discount.complement().value());
        let (mut factor, mut sum) = (Amount(ONE), Amount::ZERO);
        for _ in 0..self.epochs.min(Self::MAX_EPOCHS) {
            factor = factor.mul_div_ceil(keep, 10_000)?;
            sum = sum.checked_add(factor)?;
        }
        self.reward.mul_div_ceil(sum.0, ONE)
    }

    /// What `bond` costs whom it comes back to at the end, and what of it is lost by the share that is `caught`: each rounded down.
    fn bond(&self, bond: Amount, caught: Bps) -> Result<(Amount, Amount), AmountError> {
        let keep = u128::from(self.discount.complement().value());
        let (mut above, mut below) = (Amount(ONE), Amount(ONE));
        for _ in 0..self.epochs.min(Self::MAX_EPOCHS) {
            above = above.mul_div_ceil(keep, 10_000)?;
            below = below.mul_div_floor(keep, 10_000)?;
        }
        let capital = bond.mul_div_floor(ONE.saturating_sub(above.0), ONE)?;
        Ok((capital, caught.floor_of(bond.mul_div_floor(below.0, ONE)?)))
    }
}

/// What `n` identities cost under `policy`, by the cheapest makers: each with as many devices as its quota allows, and no larger a quota.
///
/// It never falls as `n` rises, and spreading identities over more makers never lessens it.
///
/// # Errors
/// [`AmountError::Overflow`].
pub fn sybil_price(
    policy: &AdmissionPolicy,
    n: u32,
    prices: &Prices,
    outlook: &Outlook,
) -> Result<SybilPrice, AmountError> {
    if n == 0 {
        return Ok(SybilPrice::default());
    }
    let times = |amount: Amount, count: u32| {
        amount.0.checked_mul(u128::from(count)).map(Amount).ok_or(AmountError::Overflow)
    };
    let makers = n.div_ceil(policy.maker_quota.max(1));
    let bond = policy.device_bond.checked_add(policy.maker_bond)?;
    let (capital, slashed) = outlook.bond(bond, prices.caught)?;
    let cost = |rule: &CredentialRule| {
        let listed = prices.credentials.iter().find(|(kind, _)| *kind == rule.kind);
        let count = match rule.holder {
            CredentialHolder::Device => n,
            CredentialHolder::Owner => 1,
            CredentialHolder::Maker => makers,
        };
        // Whoever needs a credential in one region only goes to another.
        let price = listed.filter(|_| rule.region.is_none()).map_or(Amount::ZERO, |(_, price)| *price);
        times(price, count)
    };
    let credentials = policy.credentials.iter().map(cost).collect::<Result<Vec<_>, _>>()?;
    let sites = policy.cell.map_or(1, |cell| n.div_ceil(cell.devices.max(1)));
    Ok(SybilPrice {
        capital: times(capital, n)?,
        slashed: times(slashed, n)?,
        credentials: Amount::sum(credentials)?,
        sites: times(prices.site, sites)?,
        hardware: times(prices.hardware, n)?,
        registration: times(prices.registration, n)?,
        reputation: times(prices.reputation, policy.min_reputation)?,
    })
}

/// The price of `n` identities beside their discounted reward.
///
/// # Errors
/// [`AmountError::Overflow`].
pub fn compare(
    policy: &AdmissionPolicy,
    n: u32,
    prices: &Prices,
    outlook: &Outlook,
) -> Result<SybilVerdict, AmountError> {
    let price = sybil_price(policy, n, prices, outlook)?;
    let reward = outlook.earned()?.0.checked_mul(u128::from(n)).map(Amount).ok_or(AmountError::Overflow)?;
    Ok(SybilVerdict { total: price.total()?, price, reward })
}

impl Default for Prices {
    /// In tokens: hardware 100, a site 50, a registration 5, a maker's credential for a device 1. Nine fakes of ten are caught in the end.
    /// They are assumptions: measure your own.
    fn default() -> Self {
        let tokens = |count: u128| Amount(count.saturating_mul(TOKEN));
        Self {
            credentials: [("DeviceCredential".into(), tokens(1))].into(),
            hardware: tokens(100),
            registration: tokens(5),
            site: tokens(50),
            reputation: Amount::ZERO,
            // At most the whole.
            caught: Bps::new(9_000).unwrap_or(Bps::WHOLE),
        }
    }
}

impl Default for Outlook {
    /// A thousand epochs, as long as the default emission takes to halve, of one token a device (the default emission of a thousand
    /// tokens an epoch among a thousand devices), each worth a thousandth less than the one before.
    fn default() -> Self {
        Self { reward: Amount(TOKEN), discount: Bps::new(10).unwrap_or_default(), epochs: 1_000 }
    }
}
