//! depin
