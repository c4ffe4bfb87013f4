//! Builds a claim tree over many accounts and shows that it is right: prints its root and the time, as JSON, and writes sampled
//! proofs for others to check.
//!
//! `cargo run --release -p depin-rewards --example claim_tree_million -- [ACCOUNTS] [PROOFS.json]`
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a program for people, which may stop where it fails"
)]

use std::time::Instant;

use alloy_primitives::{Address, keccak256};
use depin_core::Amount;
use depin_rewards::{ClaimTree, claim::verify};

const SAMPLES: usize = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let accounts: u64 = arguments.next().map_or(1_000_000, |count| count.parse().unwrap());
    let payouts: Vec<(Address, Amount)> = (0..accounts).map(generate).collect();

    let start = Instant::now();
    let tree = ClaimTree::new(payouts.clone()).unwrap();
    let built = start.elapsed();

    // Evenly spread over the accounts, first and last included.
    let last = payouts.len() - 1;
    let start = Instant::now();
    let proofs: Vec<_> = (0..SAMPLES)
        .map(|sample| {
            let index = sample * last / (SAMPLES - 1);
            let (account, amount) = payouts[index];
            let (_, proof) = tree.proof(account).unwrap();
            (account, amount, proof)
        })
        .collect();
    let proved = start.elapsed();
    assert!(proofs.iter().all(|(account, amount, proof)| verify(tree.root(), *account, *amount, proof)));

    if let Some(path) = arguments.next() {
        std::fs::write(path, serde_json::to_vec(&proofs).unwrap()).unwrap();
    }
    println!(
        r#"{{"accounts":{accounts},"root":"{}","build_ms":{},"proof_ns":{}}}"#,
        tree.root(),
        built.as_millis(),
        proved.as_nanos() / 1_000
    );
}

/// The generator that `compare.mjs` shares: `address = keccak256("acct" || i)[12..]`, `amount = (i + 1) * 1000000007 * 10^9`.
fn generate(i: u64) -> (Address, Amount) {
    let account = Address::from_word(keccak256(format!("acct{i}")));
    (account, Amount((u128::from(i) + 1) * 1_000_000_007 * 1_000_000_000))
}
