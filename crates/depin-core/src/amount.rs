//! Money in base units.

use alloc::string::String;
use core::{fmt, str::FromStr};

use minicbor::{Decode, Encode};
use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

use crate::{Bounds, OutOfBounds};

/// An amount of a token in its base units. In JSON a string of decimal digits, because a JSON number loses digits above 2^53.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub u128);

/// Why an amount could not be computed or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// The result exceeds 2^128 - 1.
    #[error("the amount exceeds 2^128 - 1 base units")]
    Overflow,
    /// More was taken than there is.
    #[error("{taken} base units were taken from {available}")]
    Underflow {
        /// What there was.
        available: Amount,
        /// What was taken.
        taken: Amount,
    },
    /// Division by zero.
    #[error("an amount was divided by zero")]
    DivisionByZero,
    /// Text that is not a whole number of base units.
    #[error("{found:?} is no amount; write decimal digits only, in base units")]
    Syntax {
        /// The first characters of the text.
        found: String,
    },
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(u128::MAX);

    /// The sum.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_add(other.0).map(Self).ok_or(AmountError::Overflow)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`AmountError::Underflow`] when `other` is larger.
    pub fn checked_sub(self, other: Self) -> Result<Self, AmountError> {
        self.0.checked_sub(other.0).map(Self).ok_or(AmountError::Underflow { available: self, taken: other })
    }

    /// The difference, or nothing when `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `floor(self * numerator / denominator)`, multiplied in 256 bits and divided once.
    ///
    /// # Errors
    /// [`AmountError::DivisionByZero`], or [`AmountError::Overflow`] when the quotient does not fit.
    pub fn mul_div_floor(self, numerator: u128, denominator: u128) -> Result<Self, AmountError> {
        self.mul_div(numerator, denominator).map(|(quotient, _)| quotient)
    }

    /// `ceil(self * numerator / denominator)`, multiplied in 256 bits and divided once.
    ///
    /// # Errors
    /// As [`Amount::mul_div_floor`].
    pub fn mul_div_ceil(self, numerator: u128, denominator: u128) -> Result<Self, AmountError> {
        let (quotient, remainder) = self.mul_div(numerator, denominator)?;
        if remainder == 0 { Ok(quotient) } else { quotient.checked_add(Self(1)) }
    }

    /// Quotient and remainder of `self * numerator / denominator`, multiplied in 256 bits.
    ///
    /// # Errors
    /// As [`Amount::mul_div_floor`].
    pub fn mul_div(self, numerator: u128, denominator: u128) -> Result<(Self, u128), AmountError> {
        if denominator == 0 {
            return Err(AmountError::DivisionByZero);
        }
        // Most products fit into 128 bits, where the division is some ten times as fast.
        if let Some(product) = self.0.checked_mul(numerator) {
            let quotient = product.checked_div(denominator).ok_or(AmountError::DivisionByZero)?;
            let remainder = product.checked_rem(denominator).ok_or(AmountError::DivisionByZero)?;
            return Ok((Self(quotient), remainder));
        }
        // The product of two 128-bit numbers fits into 256 bits.
        let product = U256::from(self.0).wrapping_mul(U256::from(numerator));
        let (quotient, remainder) = product.div_rem(U256::from(denominator));
        let quotient = u128::try_from(quotient).map_err(|_| AmountError::Overflow)?;
        let remainder = u128::try_from(remainder).map_err(|_| AmountError::Overflow)?;
        Ok((Self(quotient), remainder))
    }

    /// The sum of `amounts`.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, AmountError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        parse_u128(text).map(Self)
    }
}

/// Decimal digits only: no sign, no point, no leading zero, so that every amount has one spelling.
fn parse_u128(text: &str) -> Result<u128, AmountError> {
    let syntax = || AmountError::Syntax { found: text.chars().take(48).collect() };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(syntax());
    }
    text.parse().map_err(|_| AmountError::Overflow)
}

impl From<u128> for Amount {
    fn from(base_units: u128) -> Self {
        Self(base_units)
    }
}

impl From<Amount> for alloy_primitives::U256 {
    fn from(amount: Amount) -> Self {
        Self::from(amount.0)
    }
}

impl TryFrom<alloy_primitives::U256> for Amount {
    type Error = AmountError;

    fn try_from(amount: alloy_primitives::U256) -> Result<Self, AmountError> {
        u128::try_from(amount).map(Self).map_err(|_| AmountError::Overflow)
    }
}

crate::text::serde_as_string!(Amount);

impl<C> Encode<C> for Amount {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        u128_cbor::encode(&self.0, e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Amount {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        u128_cbor::decode(d, ctx).map(Self)
    }
}

/// `u128` in preferred CBOR: a plain integer below 2^64, else a bignum (tag 2) without leading zeros (RFC 8949, 3.4.3).
pub mod u128_cbor {
    use minicbor::{Decoder, Encoder, data::IanaTag, data::Type};

    /// Encodes `value`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn encode<C, W: minicbor::encode::Write>(
        value: &u128,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match u64::try_from(*value) {
            Ok(small) => e.u64(small)?.ok(),
            Err(_) => {
                let bytes = value.to_be_bytes();
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                e.tag(IanaTag::PosBignum)?.bytes(bytes.get(zeros..).unwrap_or_default())?.ok()
            }
        }
    }

    /// Decodes a value in its one preferred form.
    ///
    /// # Errors
    /// Anything but an unsigned integer below 2^128.
    pub fn decode<'b, C>(d: &mut Decoder<'b>, _: &mut C) -> Result<u128, minicbor::decode::Error> {
        let at = d.position();
        let refused =
            || minicbor::decode::Error::message("an unsigned integer below 2^128 in preferred form").at(at);
        if d.datatype()? != Type::Tag {
            return d.u64().map(u128::from);
        }
        if d.tag()? != IanaTag::PosBignum.tag() {
            return Err(refused());
        }
        let bytes = d.bytes()?;
        if !(9..=16).contains(&bytes.len()) || bytes.first() == Some(&0) {
            return Err(refused());
        }
        Ok(bytes.iter().fold(0, |value, byte| (value << 8) | u128::from(*byte)))
    }
}

/// `u128` as a string of decimal digits, for `#[serde(with = "…")]`.
pub mod u128_string {
    use alloc::string::String;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Serializes `value` as decimal digits.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Deserializes decimal digits.
    ///
    /// # Errors
    /// Anything but one spelling of an integer below 2^128.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        super::parse_u128(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Basis points: hundredths of a percent, 0 to 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Bps(u16);

impl Bps {
    /// One whole.
    pub const WHOLE: Self = Self(10_000);

    /// `value` basis points.
    ///
    /// # Errors
    /// [`OutOfBounds`] above 10,000.
    pub fn new(value: u16) -> Result<Self, OutOfBounds> {
        Bounds::new("basis-points", 0, 10_000).check(value).map(|_| Self(value))
    }

    /// The number of basis points.
    pub const fn value(self) -> u16 {
        self.0
    }

    /// What is left of the whole.
    #[must_use]
    pub const fn complement(self) -> Self {
        // A value above 10,000 cannot be made.
        Self(10_000_u16.saturating_sub(self.0))
    }

    /// `floor(amount * self / 10,000)`, never more than `amount`.
    pub fn floor_of(self, amount: Amount) -> Amount {
        // The quotient is at most `amount`, so it always fits.
        amount.mul_div_floor(u128::from(self.0), 10_000).unwrap_or(Amount::ZERO)
    }

    /// `ceil(amount * self / 10,000)`, never more than `amount`.
    pub fn ceil_of(self, amount: Amount) -> Amount {
        amount.mul_div_ceil(u128::from(self.0), 10_000).unwrap_or(amount)
    }
}

impl TryFrom<u16> for Bps {
    type Error = OutOfBounds;

    fn try_from(value: u16) -> Result<Self, OutOfBounds> {
        Self::new(value)
    }
}

impl From<Bps> for u16 {
    fn from(bps: Bps) -> Self {
        bps.0
    }
}

impl fmt::Display for Bps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bps", self.0)
    }
}

impl<C> Encode<C> for Bps {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u16(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Bps {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let at = d.position();
        Self::new(d.u16()?)
            .map_err(|_| minicbor::decode::Error::message("basis points of at most 10,000").at(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn an_amount_has_one_spelling() {
        for wrong in ["", "-1", "+1", "1.0", "1e3", "01", " 1", "0x1", "\u{0661}"] {
            assert!(matches!(wrong.parse::<Amount>(), Err(AmountError::Syntax { .. })), "{wrong}");
        }
        assert_eq!("340282366920938463463374607431768211456".parse::<Amount>(), Err(AmountError::Overflow));
        assert_eq!("340282366920938463463374607431768211455".parse::<Amount>(), Ok(Amount::MAX));
    }

    #[test]
    fn json_holds_digits_in_a_string() {
        let amount = Amount(9_007_199_254_740_993);
        assert_eq!(serde_json::to_string(&amount).unwrap(), "\"9007199254740993\"");
        assert!(serde_json::from_str::<Amount>("9007199254740993").is_err());
    }

    #[test]
    fn the_largest_product_is_exact() {
        assert_eq!(Amount::MAX.mul_div_floor(u128::MAX, u128::MAX), Ok(Amount::MAX));
        assert_eq!(Amount::MAX.mul_div_floor(u128::MAX, u128::MAX - 1), Err(AmountError::Overflow));
        assert_eq!(Amount(1).mul_div_floor(1, 0), Err(AmountError::DivisionByZero));
    }

    proptest! {
        #[test]
        fn text_json_and_cbor_round_trip(value: u128) {
            let amount = Amount(value);
            prop_assert_eq!(amount.to_string().parse::<Amount>().unwrap(), amount);
            prop_assert_eq!(serde_json::from_str::<Amount>(&serde_json::to_string(&amount).unwrap()).unwrap(), amount);
            let bytes = crate::cbor::to_vec(&amount);
            prop_assert_eq!(crate::cbor::from_slice::<Amount>(&bytes).unwrap(), amount);
        }

        #[test]
        fn addition_and_subtraction_undo_each_other(a: u128, b: u128) {
            match Amount(a).checked_add(Amount(b)) {
                Ok(sum) => prop_assert_eq!(sum.checked_sub(Amount(b)), Ok(Amount(a))),
                Err(error) => {
                    prop_assert_eq!(error, AmountError::Overflow);
                    prop_assert!(a.checked_add(b).is_none());
                }
            }
        }

        #[test]
        fn mul_div_agrees_with_a_wider_integer(a: u128, b: u128, c in 1u128..) {
            use ruint::Uint;
            let wide = Uint::<512, 8>::from(a) * Uint::<512, 8>::from(b);
            let (quotient, remainder) = wide.div_rem(Uint::<512, 8>::from(c));
            match u128::try_from(quotient) {
                Ok(quotient) => {
                    let expected = (Amount(quotient), u128::try_from(remainder).unwrap());
                    prop_assert_eq!(Amount(a).mul_div(b, c), Ok(expected));
                    let up = if expected.1 == 0 { Ok(Amount(quotient)) } else { Amount(quotient).checked_add(Amount(1)) };
                    prop_assert_eq!(Amount(a).mul_div_ceil(b, c), up);
                }
                Err(_) => prop_assert_eq!(Amount(a).mul_div(b, c), Err(AmountError::Overflow)),
            }
        }

        #[test]
        fn a_share_and_its_complement_make_the_whole(amount: u128, bps in 0u16..=10_000) {
            let share = Bps::new(bps).unwrap();
            let sum = share.ceil_of(Amount(amount)).checked_add(share.complement().floor_of(Amount(amount)));
            prop_assert_eq!(sum, Ok(Amount(amount)));
        }

        #[test]
        fn floors_of_parts_never_exceed_the_floor_of_the_whole(a in 0u128..u128::MAX / 2, b in 0u128..u128::MAX / 2, bps in 0u16..=10_000) {
            let share = Bps::new(bps).unwrap();
            let parts = share.floor_of(Amount(a)).checked_add(share.floor_of(Amount(b))).unwrap();
            prop_assert!(parts <= share.floor_of(Amount(a + b)));
        }
    }
}
