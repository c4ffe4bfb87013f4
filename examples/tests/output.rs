//! The examples print what is committed beside this.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test; the examples are taken in as modules, each with a `main`"
)]

#[path = "../hello_network.rs"]
mod hello_network;
#[path = "../price_of_a_sybil.rs"]
mod price_of_a_sybil;
#[path = "../storage_in_memory.rs"]
mod storage_in_memory;

/// What `run` prints, compared with the committed text.
fn prints(name: &str, run: impl FnOnce(&mut Vec<u8>) -> depin_examples::Result<()>, expected: &str) {
    let mut out = Vec::new();
    run(&mut out).unwrap();
    let found = String::from_utf8(out).unwrap();
    let next =
        format!("if that is meant: cargo run -p depin-examples --example {name} > examples/tests/{name}.txt");
    assert_eq!(found, expected, "{next}");
}

#[test]
fn storage_in_memory_prints_what_is_committed() {
    prints("storage_in_memory", storage_in_memory::run, include_str!("storage_in_memory.txt"));
}

#[test]
fn hello_network_prints_what_is_committed() {
    prints("hello_network", hello_network::run, include_str!("hello_network.txt"));
}

#[test]
fn price_of_a_sybil_prints_what_is_committed() {
    prints("price_of_a_sybil", price_of_a_sybil::run, include_str!("price_of_a_sybil.txt"));
}
