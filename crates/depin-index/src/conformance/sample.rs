//! A small network to feed a store with: the same every time.

use depin_core::{
    Address, Amount, B256, ChainEvent, Contribution, DeviceId, Digest, Epoch, Finding, KeyType, Located,
    Outcome, Side, Timestamp, TypedKey, Units, Verdict, sha256,
};

use crate::{
    Batch, BlockFacts, BlockRef, ClaimFacts, Cursor, CustomerEpoch, DeviceEpoch, EpochFacts, Line,
    RefusalFacts, ReportEpoch, ReportFacts, VerdictCounts,
};

/// Amounts at which other representations lose digits: 2^53 - 1, 2^53, 2^53 + 1, 2^64, 2^128 - 1.
pub const EDGES: [Amount; 5] = [
    Amount(9_007_199_254_740_991),
    Amount(9_007_199_254_740_992),
    Amount(9_007_199_254_740_993),
    Amount(18_446_744_073_709_551_616),
    Amount::MAX,
];

/// What a hostile device might have itself quoted with.
pub const HOSTILE: &str =
    "\u{202e}gpj.exe\u{0}\u{1b}[2J'); DROP TABLE events; --<script>alert(1)</script>\u{2066}";

/// Device `number`. Not a point on the curve, which nobody here asks for.
pub fn device(number: u64) -> DeviceId {
    let key = sha256(&[b"device", &number.to_be_bytes()]);
    let typed = TypedKey::new(KeyType::Ed25519, key.as_bytes());
    // A digest is as long as an Ed25519 key, so the other branch is never taken.
    DeviceId(typed.unwrap_or_else(|_| unreachable!("32 bytes are an Ed25519 key")))
}

/// Account `number`.
pub fn account(number: u64) -> Address {
    let digest = sha256(&[b"account", &number.to_be_bytes()]);
    Address::from_slice(digest.0.get(..20).unwrap_or_default())
}

/// The block `number` of a chain; two forks differ in every hash.
pub fn block(number: u64, fork: u64) -> BlockRef {
    BlockRef { number, hash: sha256(&[b"block", &number.to_be_bytes(), &fork.to_be_bytes()]) }
}

/// The header of that block: one every ten minutes, so that a few make hours and days.
pub fn header(number: u64, fork: u64) -> BlockFacts {
    let parent = block(number.wrapping_sub(1), fork).hash;
    let time = Timestamp(number.saturating_mul(600_000).min(1 << 60));
    BlockFacts { number, hash: block(number, fork).hash, parent, time }
}

/// `event` as log `log_index` of `block`.
pub fn located(block: BlockRef, log_index: u64, event: ChainEvent) -> Located {
    Located { block: block.number, block_hash: block.hash, log_index, event }
}

/// One event of the sample chain: all types take turns, over eight devices, accounts and epochs.
pub fn event(number: u64) -> ChainEvent {
    let turn = number / 14;
    let (some, other) = (turn % 8, turn.wrapping_mul(5).wrapping_add(3) % 8);
    let epoch = Epoch(some);
    // The root of epoch 2 is never the one that was computed.
    let root = sha256(&[b"root", &if some == 2 { other } else { some }.to_be_bytes()]);
    let bundle = sha256(&[b"bundle", &some.to_be_bytes()]);
    let amount = Amount(u128::from(number) << 40);
    let (candidate, round) = (sha256(&[b"candidate", &turn.to_be_bytes()]), u32::from(some > 5));
    let at = Timestamp(number);
    match number % 14 {
        0 => ChainEvent::DeviceRegistered {
            device: device(some),
            owner: account(other),
            nonce: turn,
            deadline: u64::MAX,
            proof: vec![0xab; 64],
            active: !matches!(some, 1 | 6),
            at,
        },
        1 => ChainEvent::DeviceTransferred {
            device: device(some).on_chain(),
            from: account(other),
            to: account(some),
            nonce: turn,
            deadline: 0,
            proof: vec![],
            new_key: device(other).0,
            new_key_proof: vec![],
            cut_over: epoch,
            voucher: bundle,
            at,
        },
        2 => ChainEvent::CreditsPaid { customer: account(other), amount, burned: Amount(amount.0 / 4) },
        3 => ChainEvent::EpochStarted { epoch, mint_cap: Amount::MAX, revenue_cap: amount },
        4 => ChainEvent::RootProposed { epoch, root, bundle },
        5 => ChainEvent::RootChallenged { epoch, candidate, challenger: account(other) },
        6 => ChainEvent::EpochContested { epoch, round },
        7 => ChainEvent::RootSupported { epoch, candidate, supporter: account(some), amount },
        8 if some > 0 => ChainEvent::RootVoided { epoch, round, voids: 1 },
        // Device 1 is activated, suspended and resumed; 5 stays suspended, and 6 bound.
        9 if some == 5 => ChainEvent::DeviceSuspended { device: device(5).on_chain(), at },
        10 if some == 0 => ChainEvent::DeviceActivated { device: device(1).on_chain(), at },
        10 if some == 1 => ChainEvent::DeviceSuspended { device: device(1).on_chain(), at },
        10 if some == 2 => ChainEvent::DeviceResumed { device: device(1).on_chain(), at },
        9 if some.is_multiple_of(2) => {
            ChainEvent::RootRevived { epoch, candidate, proposer: account(other), round }
        }
        10 if some > 2 => ChainEvent::RootUndecided { epoch, round, generation: round },
        // Epoch 3 is left without a root, epoch 4 in dispute.
        11 if some == 3 => ChainEvent::RootVoided { epoch, round, voids: 2 },
        11 if some == 4 => ChainEvent::EpochContested { epoch, round },
        11 => ChainEvent::RootFinal { epoch, root, bundle, total: amount },
        8..=10 => ChainEvent::RootProposed { epoch, root: candidate, bundle },
        12 => ChainEvent::Claimed { epoch, account: account(some), amount },
        13 if matches!(other, 3 | 6 | 7) => ChainEvent::KeyRotated {
            device: device(other).on_chain(),
            new_key: device(100).0,
            last_boot: round,
            last_sequence: turn,
            nonce: turn,
            deadline: 0,
            old_proof: vec![],
            new_proof: vec![0xcd; 64],
            at,
        },
        13 if other == 5 => ChainEvent::KeyCompromised {
            device: device(other).on_chain(),
            key: device(other).0.id(),
            since: Timestamp(turn),
            at,
        },
        // Most of every second device.
        _ => ChainEvent::DeviceDeactivated { device: device(other & !1).on_chain(), at },
    }
}

/// The closed epoch `number`, in which `devices` devices were judged.
pub fn epoch(number: u64, devices: u64) -> EpochFacts {
    let epoch = Epoch(number);
    EpochFacts {
        epoch,
        bundle: sha256(&[b"bundle", &number.to_be_bytes()]),
        root: sha256(&[b"root", &number.to_be_bytes()]),
        pool: Amount::MAX,
        paid: Amount(u128::MAX - 1),
        dust: Amount(1),
        burned: Amount(u128::from(number)),
        minted: Amount(9_007_199_254_740_993),
        revenue: Amount(u128::from(number) << 50),
        units: Units::new("byte-seconds".into(), u128::MAX),
        opened: Timestamp(number.saturating_mul(60_000)),
        closed: Timestamp(number.saturating_add(1).saturating_mul(60_000)),
        verdicts: VerdictCounts { accept: devices, reject: 1, inconclusive: 2 },
        devices: (0..devices).map(|one| judged(epoch, one)).collect(),
        customers: (0..3)
            .map(|one| CustomerEpoch {
                address: account(one),
                spent: Amount::MAX,
                burned: Amount(u128::from(one)),
            })
            .collect(),
        reports: (0..devices).map(reported).collect(),
        refusals: vec![
            RefusalFacts { device: None, reason: "tag".into(), count: 7 },
            RefusalFacts { device: Some(device(number % 8)), reason: "replayed".into(), count: 1 },
            RefusalFacts { device: Some(device(number % 8)), reason: "late".into(), count: number },
        ],
    }
}

/// Payouts of the epoch `number`, with amounts at the edges.
pub fn claims(number: u64) -> Vec<ClaimFacts> {
    (0..8)
        .zip(EDGES.iter().cycle())
        .map(|(one, amount)| ClaimFacts {
            epoch: Epoch(number),
            account: account(one),
            amount: *amount,
            proof: (0..one).map(|step| B256::from(sha256(&[&step.to_be_bytes()]).0)).collect(),
        })
        .collect()
}

/// Everything at once: blocks 1 to `blocks` of a fork with two events each, and `epochs` epochs with their claims, and reports of devices
/// of which the last four appear nowhere else.
pub fn batch(blocks: u64, epochs: u64, fork: u64) -> (Batch, Cursor) {
    let place = |number: u64| {
        let block = block(number / 2 + 1, fork);
        located(block, number % 2, event(number))
    };
    let batch = Batch {
        blocks: (1..=blocks).map(|number| header(number, fork)).collect(),
        events: (0..blocks.saturating_mul(2)).map(place).collect(),
        epochs: (0..epochs).map(|number| epoch(number, 8)).collect(),
        claims: (0..epochs).flat_map(claims).collect(),
        reports: (4..12)
            .map(|one| ReportFacts { device: device(one), count: one, last: Timestamp(one) })
            .collect(),
    };
    let cursor = Cursor { block: Some(block(blocks, fork)), final_block: None, journal: epochs };
    (batch, cursor)
}

fn judged(epoch: Epoch, number: u64) -> DeviceEpoch {
    let device = device(number);
    let accepted = !number.is_multiple_of(3);
    let units = Units::new("byte-seconds".into(), if accepted { u128::from(number) << 70 } else { 0 });
    let outcome = if accepted { Outcome::Accept } else { Outcome::Reject };
    let finding = if accepted {
        Finding::pass("possession.leaves", "459 of 459 leaves", "459 leaves")
    } else {
        Finding::fail("possession.leaves", "missing", Side::Device, HOSTILE, "459 leaves")
    };
    let verdict = Verdict {
        device,
        epoch,
        verifier: "depin.storage.possession/1".into(),
        params: Digest([3; 32]),
        outcome,
        contributions: vec![Contribution { deal: Digest([4; 32]), outcome, proved: units.clone() }],
        findings: vec![finding, Finding::skipped("possession.place", "no-witness", "no witness nearby")],
    };
    let earned = if accepted { Amount(u128::from(number) << 64) } else { Amount::ZERO };
    let line = Line {
        deal: Digest([4; 32]),
        customer: account(number % 3),
        units: units.quantity,
        revenue: Amount(earned.0 / 4),
        emission: Amount(earned.0 - earned.0 / 4),
    };
    DeviceEpoch { device, owner: account(number / 2), units, earned, lines: vec![line], verdict }
}

fn reported(number: u64) -> ReportEpoch {
    let span = (number > 0).then_some((Timestamp(number), Timestamp(number.saturating_mul(2))));
    ReportEpoch { device: device(number), counted: number.saturating_mul(3), span, missing: number / 2 }
}
