//! A simulated network killed with SIGKILL at random moments, from its first second on: started again with the same directory it goes on, and
//! every epoch audits clean. A fifth of `DEPIN_KILLS` is how often, and `DEPIN_KILL_SEED` decides when.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use depin_core::sha256;
use support::{amount, count, depin, dev, run};

const MEMBERS: &str = "--devices 2 --cheaters 2 --seed 31";
/// Longest that the network lives, in milliseconds: some epochs.
const LONGEST: u64 = 2_500;

/// What an environment variable says, as a number.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test]
async fn a_network_killed_at_random_moments_goes_on_and_audits_clean() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let seed = number("DEPIN_KILL_SEED", 1);
    for kill in 0..number("DEPIN_KILLS", 50).div_ceil(5) {
        let mut child = dev(&state, MEMBERS).spawn().unwrap();
        let random = sha256(&[b"kill", &seed.to_be_bytes(), &kill.to_be_bytes()]).0;
        let random = u64::from_be_bytes(random[..8].try_into().unwrap());
        tokio::time::sleep(Duration::from_millis(random % LONGEST)).await;
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        child.kill().await.unwrap();
    }
    let report = run(dev(&state, &format!("{MEMBERS} --epochs 2 --once --json"))).await.ok().json();
    assert_eq!(report["audit"], serde_json::json!({ "recomputed": 2, "matching": 2 }));
    for device in report["devices"].as_array().unwrap() {
        assert_eq!(amount(&device["earned"]) > 0, device["role"] == "honest", "{device}");
        assert_eq!(device["claimed"], device["earned"]);
    }
    let receipts = state.join("providers").display().to_string();
    let state = state.display().to_string();
    for epoch in 0..=count(&report["epochs"][1]["epoch"]) {
        let epoch = epoch.to_string();
        let audit = run(depin(["audit", &epoch, "--state", &state, "--receipts", &receipts, "--json"])).await;
        let audit = audit.ok().json();
        assert_eq!(audit["root"], audit["root_on_chain"]);
    }
}
