//! When the node dies.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use depin_core::sha256;

/// When the node is killed: by the number of the operation that begins, with the times to wait.
pub(super) type Plan = BTreeMap<u32, Vec<Duration>>;

/// Kills for a run of so many operations, following from the seed: early, in the middle of what an operation does, or some later; one in five
/// hits the next process while it starts.
pub(super) fn plan(seed: u64, kills: usize, operations: u32) -> Plan {
    let mut state = 0_u64;
    let mut random = move |below: u64| {
        state += 1;
        let bytes = sha256(&[b"kill", &seed.to_be_bytes(), &state.to_be_bytes()]).0;
        u64::from_be_bytes(bytes[..8].try_into().unwrap()) % below
    };
    let mut plan = Plan::new();
    let (mut planned, mut taken) = (0, BTreeSet::new());
    while planned < kills {
        let at = u32::try_from(random(u64::from(operations))).unwrap();
        if !taken.insert(at) {
            // With more kills than operations, some die of the same.
            taken.clear();
            continue;
        }
        let longest = [2_000, 20_000, 100_000][usize::try_from(random(3)).unwrap()];
        let moments = plan.entry(at).or_default();
        moments.push(Duration::from_micros(random(longest)));
        planned += 1;
        if planned < kills && random(5) == 0 {
            moments.push(Duration::from_micros(random(300_000)));
            planned += 1;
        }
    }
    plan
}
