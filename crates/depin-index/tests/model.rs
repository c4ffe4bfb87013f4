//! The SQLite store says what the plain one says, whatever happens to both.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use depin_core::{
    Address, Amount, ChainEvent, DeviceId, Digest, Epoch, Located, NetworkId, Outcome, Text, Timestamp,
};
use depin_index::{
    Batch, BlockFacts, BlockRef, ClaimFacts, Cursor, DeviceFilter, DeviceStatus, Earner, EventKind, Limit,
    MemoryStore, Period, Query, ReportFacts, Seek, SqliteStore, Store, View, conformance::sample,
};
use proptest::{collection::vec, option, prelude::*};

/// Something that happens to an index.
#[derive(Clone, Debug)]
enum Op {
    Apply(Batch, Cursor),
    Rewind(BlockRef, Timestamp),
    Read(View, Query),
}

/// Few enough blocks, forks, devices and epochs that they meet.
fn block() -> impl Strategy<Value = BlockRef> {
    // Mostly one fork, or nothing would ever be accepted.
    (0u64..12, prop_oneof![9 => Just(0u64), 1 => Just(1u64)])
        .prop_map(|(number, fork)| sample::block(number, fork))
}

fn event() -> impl Strategy<Value = ChainEvent> {
    let payment = (0u64..4, any::<u128>(), any::<u128>()).prop_map(|(account, amount, burned)| {
        ChainEvent::CreditsPaid {
            customer: sample::account(account),
            amount: Amount(amount),
            burned: Amount(burned),
        }
    });
    prop_oneof![3 => (0u64..64).prop_map(sample::event), 1 => payment]
}

/// The event at a place is mostly the same, so that batches overlap without contradiction.
fn batch() -> impl Strategy<Value = Batch> {
    let events = vec((block(), 0u64..3, option::weighted(0.2, event())), 0..6).prop_map(|places| {
        places
            .into_iter()
            .map(|(block, log, other)| {
                sample::located(block, log, other.unwrap_or_else(|| sample::event(block.number * 3 + log)))
            })
            .collect::<Vec<_>>()
    });
    let claims = vec((0u64..4, 0u64..4, prop_oneof![9 => Just(7u128), 1 => any::<u128>()]), 0..3);
    let claims = claims.prop_map(|claims| {
        let claim = |(epoch, account, amount)| ClaimFacts {
            epoch: Epoch(epoch),
            account: sample::account(account),
            amount: Amount(amount),
            proof: vec![],
        };
        claims.into_iter().map(claim).collect()
    });
    let reports = vec((0u64..8, 0u64..5, 0u64..5), 0..3).prop_map(|reports| {
        let report = |(device, count, last)| ReportFacts {
            device: sample::device(device),
            count,
            last: Timestamp(last),
        };
        reports.into_iter().map(report).collect()
    });
    let epochs = vec((0u64..4, 0u64..6), 0..2)
        .prop_map(|epochs| epochs.into_iter().map(|(n, d)| sample::epoch(n, d)).collect());
    let lonely = vec((block(), prop::bool::weighted(0.05)), 0..3);
    (lonely, events, epochs, claims, reports).prop_map(|(lonely, events, epochs, claims, reports)| Batch {
        blocks: headers(lonely, &events),
        events,
        epochs,
        claims,
        reports,
    })
}

/// The headers of the events, mostly, and some others, some of them wrong.
fn headers(lonely: Vec<(BlockRef, bool)>, events: &[Located]) -> Vec<BlockFacts> {
    let fork = |hash: Digest, number| u64::from(hash != sample::block(number, 0).hash);
    let of_events =
        events.iter().map(|event| sample::header(event.block, fork(event.block_hash, event.block)));
    let others = lonely.into_iter().map(|(block, wrong)| {
        let header = sample::header(block.number, fork(block.hash, block.number));
        if wrong { BlockFacts { parent: Digest([9; 32]), ..header } } else { header }
    });
    // Without the first one now and then: an event without a header.
    of_events.skip(usize::from(events.len() == 5)).chain(others).collect()
}

fn cursor() -> impl Strategy<Value = Cursor> {
    let final_block = option::weighted(0.1, 0u64..4);
    (option::of(block()), final_block, 0u64..9).prop_map(|(block, final_block, journal)| Cursor {
        block,
        final_block,
        journal,
    })
}

fn seek<K: std::fmt::Debug>(key: impl Strategy<Value = K>) -> impl Strategy<Value = Seek<K>> {
    (option::of(key), 1u16..6).prop_map(|(after, rows)| Seek { after, limit: Limit::new(rows).unwrap() })
}

fn device() -> impl Strategy<Value = DeviceId> {
    (0u64..9).prop_map(sample::device)
}

fn account() -> impl Strategy<Value = Address> {
    (0u64..9).prop_map(sample::account)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    prop_oneof![6 => 0u64..6, 1 => Just(u64::MAX), 1 => Just(1 << 63)].prop_map(Epoch)
}

fn place() -> impl Strategy<Value = (u64, u64)> {
    let number = || prop_oneof![6 => 0u64..14, 1 => Just(u64::MAX)];
    (number(), number())
}

fn period() -> impl Strategy<Value = Period> {
    prop_oneof![Just(Period::Hour), Just(Period::Day)]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![6 => (0u64..4).prop_map(|hour| hour * 3_600_000), 1 => Just(u64::MAX)].prop_map(Timestamp)
}

fn earner() -> impl Strategy<Value = Earner> {
    prop_oneof![device().prop_map(Earner::Device), account().prop_map(Earner::Owner)]
}

fn query() -> impl Strategy<Value = Query> {
    let reason = prop_oneof![Just(Text::from("late")), Just(Text::from("tag")), Just(Text::from("replayed"))];
    let outcomes = [Outcome::Accept, Outcome::Reject, Outcome::Inconclusive];
    let filter = (
        option::of(proptest::sample::select(DeviceStatus::ALL)),
        option::of(proptest::sample::select(outcomes.to_vec())),
        option::of(account()),
        option::of((0u64..9, 0usize..60)),
    )
        .prop_map(|(status, outcome, owner, cut)| DeviceFilter {
            status,
            outcome,
            owner,
            prefix: cut
                .map(|(number, length)| sample::device(number).to_string().chars().take(length).collect()),
        });
    prop_oneof![
        seek(epoch()).prop_map(Query::Epochs),
        epoch().prop_map(Query::Epoch),
        (filter, seek(device())).prop_map(|(filter, seek)| Query::Devices(filter, seek)),
        device().prop_map(Query::Device),
        (device(), seek(epoch())).prop_map(|(device, seek)| Query::Earnings(device, seek)),
        (device(), seek(epoch())).prop_map(|(device, seek)| Query::Verdicts(device, seek)),
        prop_oneof![
            account().prop_map(Query::Owner),
            account().prop_map(Query::Customer),
            seek(account()).prop_map(Query::Owners),
            Just(Query::Overview),
        ],
        (period(), seek(time())).prop_map(|(period, seek)| Query::Rollups(period, seek)),
        (earner(), period(), seek(time()))
            .prop_map(|(who, period, seek)| Query::EarnedRollups(who, period, seek)),
        (epoch(), seek(device())).prop_map(|(epoch, seek)| Query::EpochDevices(epoch, seek)),
        seek(place()).prop_map(Query::Roots),
        (device(), seek(epoch())).prop_map(|(device, seek)| Query::Reports(device, seek)),
        (account(), seek(epoch())).prop_map(|(customer, seek)| Query::CustomerEpochs(customer, seek)),
        (account(), seek(epoch())).prop_map(|(account, seek)| Query::Claims(account, seek)),
        seek(account()).prop_map(Query::Customers),
        (option::of(proptest::sample::select(EventKind::ALL)), seek(place()))
            .prop_map(|(kind, seek)| Query::Events(kind, seek)),
        (option::of(device()), seek((epoch(), option::of(device()), reason)))
            .prop_map(|(device, seek)| Query::Refusals(device, seek)),
        (1u16..6).prop_map(|rows| Query::Window(Limit::new(rows).unwrap())),
        seek(0u64..6).prop_map(Query::Reorgs),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (batch(), cursor()).prop_map(|(batch, cursor)| Op::Apply(batch, cursor)),
        1 => (block(), 0u64..9).prop_map(|(to, seen)| Op::Rewind(to, Timestamp(seen))),
        6 => (any::<bool>(), query()).prop_map(|(last, query)| Op::Read(if last { View::Final } else { View::Latest }, query)),
    ]
}

/// The same outcome, errors included.
fn told<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: &Result<T, E>) -> String {
    format!("{outcome:#?}")
}

/// How often something was accepted and refused, so that a generator that only ever produces refusals is noticed.
#[derive(Debug, Default)]
struct Seen {
    applied: u32,
    refused: u32,
    rewound: u32,
}

async fn compare(ops: Vec<Op>, seen: &mut Seen) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(folder.path().join("index.db"), NetworkId(Digest([1; 32]))).unwrap();
    let plain = MemoryStore::default();
    for op in ops {
        match op {
            Op::Apply(batch, cursor) => {
                let outcome = plain.apply(batch.clone(), cursor).await;
                if outcome.is_ok() {
                    seen.applied += 1
                } else {
                    seen.refused += 1
                }
                prop_assert_eq!(told(&sqlite.apply(batch, cursor).await), told(&outcome));
            }
            Op::Rewind(to, noticed) => {
                let outcome = plain.rewind(to, noticed).await;
                seen.rewound += u32::from(outcome.is_ok());
                prop_assert_eq!(told(&sqlite.rewind(to, noticed).await), told(&outcome));
            }
            Op::Read(view, query) => {
                let outcome = plain.read(view, query.clone()).await;
                prop_assert_eq!(told(&sqlite.read(view, query.clone()).await), told(&outcome), "{:?}", query);
            }
        }
        prop_assert_eq!(told(&sqlite.cursor().await), told(&plain.cursor().await));
    }
    Ok(())
}

#[test]
fn sqlite_and_memory_say_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut seen = Seen::default();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let seen_by_case = std::cell::RefCell::new(&mut seen);
    runner
        .run(&vec(op(), 1..60), |ops| runtime.block_on(compare(ops, &mut seen_by_case.borrow_mut())))
        .unwrap();
    assert!(seen.applied > 200 && seen.refused > 200 && seen.rewound > 100, "{seen:?}");
}
