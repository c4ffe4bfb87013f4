#![doc = include_str!("../README.md")]

pub mod allocate;
pub mod claim;
pub mod credit;
pub mod curve;
pub mod deal;
pub mod demand;
pub mod ledger;
pub mod settle;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use allocate::{AllocateError, Allocation, Rounding, allocate};
pub use claim::{ClaimError, ClaimTree};
pub use credit::{Credit, CreditError, Credits};
pub use curve::{Constant, Curve, CurveParams, Halving};
pub use deal::{AcceptedDeal, DealError, deal_signing_hash};
pub use demand::{
    Apportionment, Caps, Charge, DemandError, DemandParams, Earned, EpochDemand, Line, apportion,
};
pub use ledger::{ClaimRequest, LedgerError, MemoryLedger, Payout, PayoutLedger, PayoutStatus, Posted};
pub use settle::{Period, SettleError, Settlement, settle};
