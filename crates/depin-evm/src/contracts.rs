//! The contracts: bindings made from the committed artifacts, and their errors in words.

use alloy::{
    primitives::Bytes,
    sol_types::{Panic, Revert, SolError, SolInterface},
};

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    clippy::all,
    clippy::indexing_slicing,
    clippy::as_conversions
)] // written by a macro; what the items mean is said in `contracts/src`
mod bindings {
    alloy::sol!(
        #[sol(rpc, all_derives)]
        NetworkToken,
        "artifacts/NetworkToken.json"
    );
    alloy::sol!(
        #[sol(rpc, all_derives)]
        ServiceCredits,
        "artifacts/ServiceCredits.json"
    );
    alloy::sol!(
        #[sol(rpc, all_derives)]
        DeviceRegistry,
        "artifacts/DeviceRegistry.json"
    );
    alloy::sol!(
        #[sol(rpc, all_derives)]
        RewardDistributor,
        "artifacts/RewardDistributor.json"
    );
    alloy::sol!(
        #[sol(rpc, all_derives)]
        Bond,
        "artifacts/Bond.json"
    );
}

pub use bindings::{Bond, DeviceRegistry, NetworkToken, RewardDistributor, ServiceCredits};

/// Where an epoch is: `RewardDistributor.Status`, which an ABI shows as a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EpochStatus {
    /// Escrows nothing yet.
    Unstarted,
    /// No candidate in this round.
    Awaiting,
    /// One candidate, and its window runs.
    Open,
    /// In dispute.
    Contested,
    /// Its root is fixed for good.
    Final,
}

impl EpochStatus {
    /// Reads the number; none when a later contract has more of them.
    pub const fn from_abi(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Unstarted,
            1 => Self::Awaiting,
            2 => Self::Open,
            3 => Self::Contested,
            4 => Self::Final,
            _ => return None,
        })
    }
}

/// Where a device is in its life: `DeviceRegistry.Status`, which an ABI shows as a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceStatus {
    /// Never registered.
    Unknown,
    /// Bound to its owner, and never activated.
    Bound,
    /// In service.
    Active,
    /// Out of service for a while.
    Suspended,
    /// Switched off for ever.
    Deactivated,
}

impl DeviceStatus {
    /// Reads the number; none when a later contract has more of them.
    pub const fn from_abi(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Unknown,
            1 => Self::Bound,
            2 => Self::Active,
            3 => Self::Suspended,
            4 => Self::Deactivated,
            _ => return None,
        })
    }
}

/// Why a contract refused: one of its custom errors, with their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reverted {
    /// The device registry's error.
    Registry(DeviceRegistry::DeviceRegistryErrors),
    /// The reward distributor's error.
    Distributor(RewardDistributor::RewardDistributorErrors),
    /// The service credits' error.
    Credits(ServiceCredits::ServiceCreditsErrors),
    /// The bonds' error.
    Bond(Bond::BondErrors),
    /// The token's error.
    Token(NetworkToken::NetworkTokenErrors),
    /// A plain text.
    Message(String),
    /// An arithmetic overflow, an index out of bounds: the code of a Solidity panic.
    Panic(u64),
    /// None of these: the data as it came, at most 1 KiB of it.
    Unknown(Bytes),
}

impl Reverted {
    /// Reads the data of a revert.
    pub fn decode(data: &[u8]) -> Self {
        // Errors that contracts share (OpenZeppelin's) read the same wherever they come from.
        if let Ok(error) = DeviceRegistry::DeviceRegistryErrors::abi_decode(data) {
            return Self::Registry(error);
        }
        if let Ok(error) = RewardDistributor::RewardDistributorErrors::abi_decode(data) {
            return Self::Distributor(error);
        }
        if let Ok(error) = ServiceCredits::ServiceCreditsErrors::abi_decode(data) {
            return Self::Credits(error);
        }
        if let Ok(error) = Bond::BondErrors::abi_decode(data) {
            return Self::Bond(error);
        }
        if let Ok(error) = NetworkToken::NetworkTokenErrors::abi_decode(data) {
            return Self::Token(error);
        }
        if let Ok(Revert { reason }) = Revert::abi_decode(data) {
            return Self::Message(reason.chars().take(256).collect());
        }
        if let Ok(panic) = Panic::abi_decode(data) {
            return Self::Panic(u64::try_from(panic.code).unwrap_or(u64::MAX));
        }
        Self::Unknown(Bytes::copy_from_slice(data.get(..1024).unwrap_or(data)))
    }
}

impl std::fmt::Display for Reverted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Registry(error) => write!(f, "{}", inner(&format!("{error:?}"))),
            Self::Distributor(error) => write!(f, "{}", inner(&format!("{error:?}"))),
            Self::Credits(error) => write!(f, "{}", inner(&format!("{error:?}"))),
            Self::Bond(error) => write!(f, "{}", inner(&format!("{error:?}"))),
            Self::Token(error) => write!(f, "{}", inner(&format!("{error:?}"))),
            Self::Message(text) => write!(f, "{text:?}"),
            Self::Panic(code) => write!(f, "a Solidity panic with code {code:#x}"),
            Self::Unknown(data) => write!(f, "an unknown error with the data {data}"),
        }
    }
}

/// `BadSignature(BadSignature { signer: … })` without saying the name twice.
fn inner(debug: &str) -> &str {
    match debug.split_once('(') {
        Some((_, rest)) => rest.strip_suffix(')').unwrap_or(rest),
        None => debug,
    }
}
