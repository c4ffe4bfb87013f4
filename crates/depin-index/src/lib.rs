//! depin-index
