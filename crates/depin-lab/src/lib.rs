#![doc = include_str!("../README.md")]

pub mod attack;
pub mod client;
pub mod customer;
pub mod data;
pub mod dev;
pub mod device;
pub mod keeper;
pub mod maker;
pub mod pieces;
pub mod private;
pub mod provider;
