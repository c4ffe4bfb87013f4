//! depin-evm
