//! What several tests need: one network, one device, one report.
#![allow(dead_code, unreachable_pub)] // every test uses some of it

use depin_core::{Address, NetworkId, Timestamp};
use depin_identity::{Commitment, Domain, Report, SoftwareKey};

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub fn domain() -> Domain {
    Domain { chain_id: 84532, contract: Address::repeat_byte(0x11) }
}

pub fn network() -> NetworkId {
    domain().network()
}

pub fn key() -> SoftwareKey {
    SoftwareKey::from_seed([7; 32])
}

pub fn report() -> Report {
    let digest = "0xaaeec7da7df388d1e80b01b70f48b3cbca2f2b8baf5f3f583f1262d2f2c9ac40".parse().unwrap();
    Report {
        kind: "storage.set".into(),
        time: NOW,
        boot: 3,
        sequence: 300,
        body: vec![1, 2, 3],
        commitments: vec![Commitment { label: "location".into(), digest }],
    }
}

/// Calls `check` with every copy of `bytes` in which one bit is flipped.
pub fn each_bit_flipped(bytes: &[u8], mut check: impl FnMut(usize, &[u8])) {
    let mut copy = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        copy[bit / 8] ^= 1 << (bit % 8);
        check(bit, &copy);
        copy[bit / 8] ^= 1 << (bit % 8);
    }
}
