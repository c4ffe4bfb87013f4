//! What is read out about owners and customers.

use depin_core::{Address, Amount, B256, Epoch};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{RootStatus, Total, page::row};

/// An owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct OwnerRow {
    /// Its address.
    #[cfg_attr(feature = "http", schema(schema_with = schema::address))]
    pub address: Address,
    /// How many devices it owns.
    pub devices: u64,
    /// Everything promised to it in closed epochs.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub earned: Total,
    /// What was paid out to it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub claimed: Total,
    /// What it can take now: payouts under final roots that are those of the bundles, less those that were paid out.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub claimable: Total,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(OwnerRow, Address, address);

impl OwnerRow {
    /// Somebody who owns nothing.
    pub(crate) fn unknown(address: Address) -> Self {
        let none = Total::default();
        Self { address, devices: 0, earned: none, claimed: none, claimable: none, decided: false }
    }
}

/// A payout and the proof that takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ClaimRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// How much.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub amount: Amount,
    /// The sibling hashes from the leaf to the root.
    #[cfg_attr(feature = "http", schema(schema_with = schema::proof))]
    pub proof: Vec<B256>,
    /// How far a root for the epoch has come on the chain.
    pub status: RootStatus,
    /// Whether it was paid out.
    pub claimed: bool,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(ClaimRow, Epoch, epoch);

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct CustomerRow {
    /// Its address.
    #[cfg_attr(feature = "http", schema(schema_with = schema::address))]
    pub address: Address,
    /// What it paid for credits on the chain.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub paid: Total,
    /// The part of that which was burned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub burned: Total,
    /// What its deals cost in closed epochs.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub spent: Total,
    /// The part of that which had been burned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub spent_burned: Total,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(CustomerRow, Address, address);

impl CustomerRow {
    /// Somebody who paid nothing.
    pub(crate) fn unknown(address: Address) -> Self {
        let none = Total::default();
        Self { address, paid: none, burned: none, spent: none, spent_burned: none, decided: false }
    }
}

/// A customer in one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct CustomerEpochRow {
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// What its deals cost.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub spent: Amount,
    /// The part of it that had been burned.
    #[cfg_attr(feature = "http", schema(schema_with = schema::amount))]
    pub burned: Amount,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(CustomerEpochRow, Epoch, epoch);
