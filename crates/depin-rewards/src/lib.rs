//! depin-rewards
