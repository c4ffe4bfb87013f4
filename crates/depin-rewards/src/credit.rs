//! What customers paid in, and what is left of it.

use std::collections::BTreeMap;

use depin_core::{Address, Amount, AmountError, Bps, ChainEvent};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::demand::{Charge, DemandParams};

/// One customer's account: what came in by payments, and how much of each part is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Credit {
    /// Whose account it is.
    #[n(0)]
    #[cbor(with = "depin_core::cbor::address")]
    pub customer: Address,
    /// All payments.
    #[n(1)]
    pub paid: Amount,
    /// The part of `paid` that was burned; the rest is held for providers.
    #[n(2)]
    pub burned: Amount,
    /// What was charged for work.
    #[n(3)]
    pub spent: Amount,
    /// The part of `burned` that has backed emission.
    #[n(4)]
    pub backed: Amount,
    /// The part of what is held that went to providers.
    #[n(5)]
    pub released: Amount,
}

/// All accounts, by customer. Encoded as an array in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Credit>", into = "Vec<Credit>")]
pub struct Credits(BTreeMap<Address, Credit>);

/// Why an account could not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreditError {
    /// A payment that burns more than it pays.
    #[error(
        "{customer} paid {paid} and burned {burned} of it; the event is not from the credits contract, so check its source"
    )]
    BurnedMoreThanPaid {
        /// The customer.
        customer: Address,
        /// What was paid.
        paid: Amount,
        /// What was burned.
        burned: Amount,
    },
    /// A charge beyond what is left.
    #[error("{customer} is charged more than is left; apportion the epoch with these credits: {source}")]
    Charge {
        /// The customer.
        customer: Address,
        /// What is missing.
        source: AmountError,
    },
    /// A sum that does not fit.
    #[error("the account of {customer} exceeds 2^128 - 1 base units; check the source of its payments")]
    Overflow {
        /// The customer.
        customer: Address,
    },
    /// Accounts out of order or twice.
    #[error("the account of {customer} is out of order; list each customer once, in ascending order")]
    Order {
        /// The customer.
        customer: Address,
    },
}

impl Credit {
    /// An account without a payment.
    pub const fn new(customer: Address) -> Self {
        let zero = Amount::ZERO;
        Self { customer, paid: zero, burned: zero, spent: zero, backed: zero, released: zero }
    }

    /// What can still be spent, in base units.
    ///
    /// What was paid and not spent, as far as what is held still covers the providers' share of it and what was burned still backs
    /// the burned share. So no customer's spending is ever paid with another's payments, even when it pays in amounts so small
    /// that rounding burns all of them, or when the contract burns less than `params` say.
    pub fn available(&self, params: &DemandParams) -> Amount {
        let unspent = self.paid.saturating_sub(self.spent);
        let held = self.paid.saturating_sub(self.burned).saturating_sub(self.released);
        let backing = self.burned.saturating_sub(self.backed);
        unspent.min(gross(held, params.burn().complement())).min(gross(backing, params.burn()))
    }

    fn pay(&mut self, amount: Amount, burned: Amount) -> Result<(), CreditError> {
        let customer = self.customer;
        if burned > amount {
            return Err(CreditError::BurnedMoreThanPaid { customer, paid: amount, burned });
        }
        let overflow = |_| CreditError::Overflow { customer };
        let paid = self.paid.checked_add(amount).map_err(overflow)?;
        self.burned = self.burned.checked_add(burned).map_err(overflow)?;
        self.paid = paid;
        Ok(())
    }

    fn charge(&self, charge: &Charge) -> Result<Self, AmountError> {
        let after = Self {
            spent: self.spent.checked_add(charge.spend)?,
            backed: self.backed.checked_add(charge.burned)?,
            released: self.released.checked_add(charge.revenue)?,
            ..*self
        };
        after.check()?;
        Ok(after)
    }

    fn check(&self) -> Result<(), AmountError> {
        self.paid.checked_sub(self.spent)?;
        self.burned.checked_sub(self.backed)?;
        self.paid.checked_sub(self.burned)?.checked_sub(self.released)?;
        Ok(())
    }
}

impl Credits {
    /// Records what the chain says. Events that are no payment change nothing.
    ///
    /// # Errors
    /// [`CreditError`]; then nothing is changed.
    pub fn apply(&mut self, event: &ChainEvent) -> Result<(), CreditError> {
        let ChainEvent::CreditsPaid { customer, amount, burned } = event else {
            return Ok(());
        };
        let mut credit = self.get(*customer);
        credit.pay(*amount, *burned)?;
        self.0.insert(*customer, credit);
        Ok(())
    }

    /// Takes what an epoch charges.
    ///
    /// # Errors
    /// [`CreditError::Charge`] when an account does not cover its charge; then nothing is changed.
    pub fn charge(&mut self, charges: &[Charge]) -> Result<(), CreditError> {
        let mut after = self.clone();
        for charge in charges {
            let customer = charge.customer;
            let credit = after
                .get(customer)
                .charge(charge)
                .map_err(|source| CreditError::Charge { customer, source })?;
            after.0.insert(customer, credit);
        }
        *self = after;
        Ok(())
    }

    /// The account of `customer`, empty if it never paid.
    pub fn get(&self, customer: Address) -> Credit {
        self.0.get(&customer).copied().unwrap_or(Credit::new(customer))
    }

    /// All accounts, in ascending order of customers.
    pub fn iter(&self) -> impl Iterator<Item = &Credit> {
        self.0.values()
    }
}

/// The most that can be spent so that `share` of it, rounded down, is covered by `part`.
pub(crate) fn gross(part: Amount, share: Bps) -> Amount {
    // A share of zero needs no cover, and what does not fit into 128 bits is more than anybody has.
    part.mul_div_floor(u128::from(Bps::WHOLE.value()), u128::from(share.value())).unwrap_or(Amount::MAX)
}

impl TryFrom<Vec<Credit>> for Credits {
    type Error = CreditError;

    fn try_from(list: Vec<Credit>) -> Result<Self, CreditError> {
        let mut credits = BTreeMap::new();
        for credit in list {
            let customer = credit.customer;
            if credits.last_key_value().is_some_and(|(last, _)| *last >= customer) {
                return Err(CreditError::Order { customer });
            }
            credit.check().map_err(|source| CreditError::Charge { customer, source })?;
            credits.insert(customer, credit);
        }
        Ok(Self(credits))
    }
}

impl From<Credits> for Vec<Credit> {
    fn from(credits: Credits) -> Self {
        credits.0.into_values().collect()
    }
}

impl<C> Encode<C> for Credits {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let len =
            u64::try_from(self.0.len()).map_err(|_| minicbor::encode::Error::message("too many accounts"))?;
        e.array(len)?;
        self.0.values().try_for_each(|credit| credit.encode(e, ctx))
    }
}

impl<'b, C> Decode<'b, C> for Credits {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        let list = Vec::<Credit>::decode(d, ctx)?;
        Self::try_from(list).map_err(|error| minicbor::decode::Error::message(error).at(at))
    }
}
