//! Sums of amounts.

use std::fmt;

use alloy_primitives::U256;
use depin_core::Amount;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::StoreError;

/// A sum of amounts: 256 bits, so that no number of amounts that fits a disk overflows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Total(pub U256);

impl Total {
    /// The sum with `other`.
    ///
    /// # Errors
    /// [`StoreError::Sum`] above 2^256 - 1.
    pub fn plus(self, other: impl Into<Self>) -> Result<Self, StoreError> {
        self.0.checked_add(other.into().0).map(Self).ok_or(StoreError::Sum)
    }

    /// The difference to `other`.
    ///
    /// # Errors
    /// [`StoreError::Sum`] below zero.
    pub fn minus(self, other: impl Into<Self>) -> Result<Self, StoreError> {
        self.0.checked_sub(other.into().0).map(Self).ok_or(StoreError::Sum)
    }
}

impl From<Amount> for Total {
    fn from(amount: Amount) -> Self {
        Self(amount.into())
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Total {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Total {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = if digits { U256::from_str_radix(&text, 10).ok() } else { None };
        value.map(Self).ok_or_else(|| serde::de::Error::custom("expected a string of decimal digits"))
    }
}
