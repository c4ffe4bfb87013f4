//! Quantities of work.

use core::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{Text, amount::u128_cbor, amount::u128_string};

/// What is counted: the smallest integer unit of one kind of work, such as `byte-seconds`, `watt-hours` or `bytes-routed`.
pub type UnitKind = Text;

/// A quantity of one kind of work, in the kind's smallest integer unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Units {
    /// What is counted.
    #[n(0)]
    pub kind: UnitKind,
    /// How much of it; in JSON a string of decimal digits.
    #[n(1)]
    #[cbor(with = "u128_cbor")]
    #[serde(with = "u128_string")]
    pub quantity: u128,
}

/// Why two quantities do not add up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitsError {
    /// Two kinds in one pool.
    #[error("{found} cannot be added to {expected}; keep one pool for one kind")]
    Kind {
        /// The pool's kind.
        expected: UnitKind,
        /// The other kind.
        found: UnitKind,
    },
    /// The sum does not fit.
    #[error("the sum of {kind} exceeds 2^128")]
    Overflow {
        /// The kind.
        kind: UnitKind,
    },
}

impl Units {
    /// `quantity` of `kind`.
    pub const fn new(kind: UnitKind, quantity: u128) -> Self {
        Self { kind, quantity }
    }

    /// The sum of two quantities of the same kind.
    ///
    /// # Errors
    /// [`UnitsError`] when the kinds differ or the sum does not fit.
    pub fn checked_add(&self, other: &Self) -> Result<Self, UnitsError> {
        if self.kind != other.kind {
            return Err(UnitsError::Kind { expected: self.kind.clone(), found: other.kind.clone() });
        }
        match self.quantity.checked_add(other.quantity) {
            Some(quantity) => Ok(Self { kind: self.kind.clone(), quantity }),
            None => Err(UnitsError::Overflow { kind: self.kind.clone() }),
        }
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.quantity, self.kind)
    }
}

/// A cell of the H3 grid. Whether it names a real cell is decided where H3 is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Cell(#[n(0)] pub u64);

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl core::str::FromStr for Cell {
    type Err = core::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

crate::text::serde_as_string!(Cell);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds_do_not_mix() {
        let stored = Units::new("byte-seconds".into(), 1);
        let energy = Units::new("watt-hours".into(), 1);
        assert!(matches!(stored.checked_add(&energy), Err(UnitsError::Kind { .. })));
    }

    proptest! {
        #[test]
        fn addition_is_exact_or_refused(a: u128, b: u128) {
            let kind = UnitKind::from("byte-seconds");
            let sum = Units::new(kind.clone(), a).checked_add(&Units::new(kind, b));
            prop_assert_eq!(sum.ok().map(|units| units.quantity), a.checked_add(b));
        }
    }
}
