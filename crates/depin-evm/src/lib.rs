#![doc = include_str!("../README.md")]

mod account;
pub mod anvil;
mod beacon;
mod bond;
mod client;
mod connect;
pub mod contracts;
pub mod credits;
mod deploy;
#[cfg(feature = "embedded")]
pub mod embedded;
mod ethr;
mod events;
mod finality;
mod follow;
mod key;
mod ledger;
mod options;
mod registry;
mod windows;

pub use alloy::{
    contract::Error as ContractError,
    signers::{Error as SignerError, SignerSync, local::PrivateKeySigner},
    transports::TransportError,
};
pub use beacon::{BLOCK_BEACON, BlockBeacon, BlockBeaconRule, Moments};
pub use bond::{BondState, EvmBond, Slash};
pub use client::{Client, SendError, Sender};
pub use connect::{ConnectError, Url, connect, http_client};
pub use deploy::{DeployConfig, DeployError, Deployment, deploy};
pub use ethr::EthrDid;
pub use events::{EventsError, events};
pub use finality::{FinalBlock, Finality, HeaderError, final_block, header};
pub use follow::EvmReader;
pub use key::{KeyError, open_keystore, signer_from_env, signer_from_keystore};
pub use ledger::{ContractCallError, EpochState, EvmLedger};
pub use options::Options;
pub use registry::EvmRegistry;
pub use windows::DisputeWindows;
