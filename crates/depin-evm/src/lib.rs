#![doc = include_str!("../README.md")]

mod client;
mod connect;
pub mod contracts;
mod deploy;
#[cfg(feature = "embedded")]
pub mod embedded;
mod key;

pub use client::{Client, Options, SendError, Sender};
pub use connect::{ConnectError, Url, connect};
pub use deploy::{DeployConfig, DeployError, Deployment, deploy};
pub use key::{KeyError, signer_from_env, signer_from_keystore};
