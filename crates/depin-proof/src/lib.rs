//! depin-proof
