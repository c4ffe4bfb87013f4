//! depin-lab
