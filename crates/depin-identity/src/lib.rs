//! depin-identity
