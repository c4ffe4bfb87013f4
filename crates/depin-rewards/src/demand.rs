//! Demand before emission: what an epoch's deals pay, and what may be minted because of it.
//!
//! For every base unit a payer spends, a share `burn` is gone for good and at most `mint_per_burn` of that share comes back as
//! emission; the rest is the provider's revenue. With `spend > 0`, for every line,
//!
//! ```text
//! revenue + emission <= spend * (1 - burn) + mint_per_burn * burn * spend = spend * (1 - burn * (1 - mint_per_burn)) < spend
//! ```
//!
//! so a payer that is its own provider always loses, by how much the parameters say, and inside their bounds never nothing.

use depin_core::{
    Address, Amount, Bounds, Bps, DeviceId, Digest, Epoch, OutOfBounds, Outcome, UnitKind, Units,
};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{Curve, credit::Credits};

mod apportion;

pub use apportion::{DemandError, apportion};

/// How emission is tied to demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(try_from = "UncheckedDemandParams")]
pub struct DemandParams {
    #[n(0)]
    #[cbor(decode_with = "decode_burn")]
    burn: Bps,
    #[n(1)]
    #[cbor(decode_with = "decode_mint_per_burn")]
    mint_per_burn: Bps,
}

impl DemandParams {
    /// `burn`: the share of a payment that is burned, as the credits contract has it. `mint_per_burn`: the most that is minted for
    /// what was burned.
    ///
    /// # Errors
    /// [`OutOfBounds`], see [`DemandParams::bounds`].
    pub fn new(burn: Bps, mint_per_burn: Bps) -> Result<Self, OutOfBounds> {
        let [burn_bounds, mint_bounds] = Self::bounds();
        burn_bounds.check(burn.value())?;
        mint_bounds.check(mint_per_burn.value())?;
        Ok(Self { burn, mint_per_burn })
    }

    /// What governance may set, in basis points: something is always burned, and less is minted than was burned. Both together
    /// keep self-dealing at a loss.
    pub fn bounds() -> [Bounds; 2] {
        [Bounds::new("rewards.burn", 1, 10_000), Bounds::new("rewards.mint-per-burn", 0, 9_900)]
    }

    /// The share of a payment that is burned for good.
    pub const fn burn(&self) -> Bps {
        self.burn
    }

    /// The share of a burn that may be minted again.
    pub const fn mint_per_burn(&self) -> Bps {
        self.mint_per_burn
    }
}

/// One period of one deal, with what was proved.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Line {
    /// The deal.
    #[n(0)]
    pub deal: Digest,
    /// Who pays.
    #[n(1)]
    #[cbor(with = "depin_core::cbor::address")]
    pub customer: Address,
    /// Who worked.
    #[n(2)]
    pub device: DeviceId,
    /// Who is paid: the device's owner.
    #[n(3)]
    #[cbor(with = "depin_core::cbor::address")]
    pub account: Address,
    /// The price of full delivery in this period.
    #[n(4)]
    pub price: Amount,
    /// Full delivery in this period.
    #[n(5)]
    pub full: Units,
    /// Proven, faulted or still open.
    #[n(6)]
    pub outcome: Outcome,
    /// What was proved; counts only if accepted, and never beyond `full`.
    #[n(7)]
    pub proved: Units,
}

/// What the chain set aside for an epoch before it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Caps {
    /// At most this is paid from emission.
    #[n(0)]
    pub mint: Amount,
    /// At most this is paid from service revenue.
    #[n(1)]
    pub revenue: Amount,
}

/// Everything that decides what an epoch pays.
#[derive(Clone, Copy)]
pub struct EpochDemand<'a> {
    /// The epoch.
    pub epoch: Epoch,
    /// The one kind of unit of this pool.
    pub kind: &'a UnitKind,
    /// The lines, in any order.
    pub lines: &'a [Line],
    /// What customers paid and spent before.
    pub credits: &'a Credits,
    /// What the chain set aside.
    pub caps: Caps,
    /// How emission is tied to demand.
    pub params: DemandParams,
    /// How much the network may emit.
    pub curve: &'a dyn Curve,
}

/// What one line earned. Zeros unless it was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Earned {
    /// The deal.
    #[n(0)]
    pub deal: Digest,
    /// Who pays.
    #[n(1)]
    #[cbor(with = "depin_core::cbor::address")]
    pub customer: Address,
    /// Who worked.
    #[n(2)]
    pub device: DeviceId,
    /// Who is paid.
    #[n(3)]
    #[cbor(with = "depin_core::cbor::address")]
    pub account: Address,
    /// Accepted: settled and paid. Rejected: settled and not paid. Inconclusive: still open.
    #[n(4)]
    pub outcome: Outcome,
    /// Proved and paid for, in the pool's kind; in JSON a string of decimal digits.
    #[n(5)]
    #[cbor(with = "depin_core::cbor::u128")]
    #[serde(with = "depin_core::cbor::u128_string")]
    pub units: u128,
    /// What the customer's credit is charged.
    #[n(6)]
    pub spend: Amount,
    /// The part of `spend` that was burned when it was paid in, and backs emission.
    #[n(7)]
    pub burned: Amount,
    /// The provider's share of `spend`.
    #[n(8)]
    pub revenue: Amount,
    /// The provider's share of emission.
    #[n(9)]
    pub emission: Amount,
}

/// What an epoch takes from one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Charge {
    /// The customer.
    #[n(0)]
    #[cbor(with = "depin_core::cbor::address")]
    pub customer: Address,
    /// What is charged.
    #[n(1)]
    pub spend: Amount,
    /// The part that was burned when it was paid in.
    #[n(2)]
    pub burned: Amount,
    /// The part that providers get.
    #[n(3)]
    pub revenue: Amount,
}

/// What an epoch pays. `paid + dust == pool`, and `pool == minted + revenue`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Apportionment {
    /// Everything proved and paid for; 2^128 - 1 if it is more.
    #[n(0)]
    pub units: Units,
    /// Every line, in ascending order of deals.
    #[n(1)]
    pub lines: Vec<Earned>,
    /// Every customer that is charged, in ascending order.
    #[n(2)]
    pub charges: Vec<Charge>,
    /// What the epoch may pay: `minted + revenue`.
    #[n(3)]
    pub pool: Amount,
    /// The part of the pool that is emission: at most what the curve emits, what burning backs and what was set aside.
    #[n(4)]
    pub minted: Amount,
    /// The part of the pool that is service revenue.
    #[n(5)]
    pub revenue: Amount,
    /// What was burned by the payments spent here.
    #[n(6)]
    pub burned: Amount,
    /// The sum of all payouts.
    #[n(7)]
    pub paid: Amount,
    /// The part of `minted` that did not divide. Nobody gets it: it goes back with the rest of what was set aside.
    #[n(8)]
    pub dust: Amount,
}

/// The parameters as they come from outside.
#[derive(Deserialize)]
struct UncheckedDemandParams {
    burn: Bps,
    mint_per_burn: Bps,
}

impl TryFrom<UncheckedDemandParams> for DemandParams {
    type Error = OutOfBounds;

    fn try_from(unchecked: UncheckedDemandParams) -> Result<Self, OutOfBounds> {
        Self::new(unchecked.burn, unchecked.mint_per_burn)
    }
}

fn decode_burn<C>(d: &mut minicbor::Decoder<'_>, ctx: &mut C) -> Result<Bps, minicbor::decode::Error> {
    let [bounds, _] = DemandParams::bounds();
    decode_bounded(&bounds, d, ctx)
}

fn decode_mint_per_burn<C>(
    d: &mut minicbor::Decoder<'_>,
    ctx: &mut C,
) -> Result<Bps, minicbor::decode::Error> {
    let [_, bounds] = DemandParams::bounds();
    decode_bounded(&bounds, d, ctx)
}

fn decode_bounded<C>(
    bounds: &Bounds,
    d: &mut minicbor::Decoder<'_>,
    ctx: &mut C,
) -> Result<Bps, minicbor::decode::Error> {
    let at = d.position();
    let value = Bps::decode(d, ctx)?;
    bounds.check(value.value()).map_err(|error| minicbor::decode::Error::message(error).at(at))?;
    Ok(value)
}

impl core::fmt::Debug for EpochDemand<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EpochDemand")
            .field("epoch", &self.epoch)
            .field("kind", &self.kind)
            .field("lines", &self.lines)
            .field("credits", &self.credits)
            .field("caps", &self.caps)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
