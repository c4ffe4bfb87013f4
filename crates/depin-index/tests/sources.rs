//! A source that conforms, sources that do not, and a store that catches up with one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use depin_core::Timestamp;
use depin_index::{
    AdvanceError, Batch, BlockRef, Cursor, EventSource, Known, MemoryStore, Seek, SourceError, Step, Store,
    advance,
    conformance::{self, sample},
};

/// A chain of 32 blocks on fork 0 that can be cut, and grown again on fork 1.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// Blocks above this one are on fork 1.
    common: u64,
    head: u64,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    StandsStill,
    LooksAhead,
    RewindsForward,
    Down,
}

impl Chain {
    fn block(&self, number: u64) -> BlockRef {
        sample::block(number, u64::from(number > self.common))
    }
}

#[async_trait]
impl EventSource for Chain {
    async fn next(&self, known: &Known) -> Result<Step, SourceError> {
        let after = known.cursor;
        if self.fault == Some(Fault::Down) {
            return Err(SourceError::Backend("no route to host".into()));
        }
        if let Some(block) = after.block
            && block != self.block(block.number)
        {
            return Ok(Step::Rewind(self.block(self.common), Timestamp(1)));
        }
        let number = after.block.map_or(0, |block| block.number) + 1;
        if number > self.head {
            return Ok(Step::Idle);
        }
        let log =
            |log_index| sample::located(self.block(number), log_index, sample::event(number * 2 + log_index));
        let blocks = vec![sample::header(number, u64::from(number > self.common))];
        let batch = Batch { blocks, events: vec![log(0), log(1)], ..Batch::default() };
        Ok(match self.fault {
            Some(Fault::StandsStill) => Step::Apply(Batch::default(), after),
            Some(Fault::LooksAhead) => {
                let event = sample::located(self.block(number + 1), 0, sample::event(2));
                let batch = Batch { events: vec![event], ..Batch::default() };
                Step::Apply(batch, Cursor { block: Some(self.block(number)), ..after })
            }
            Some(Fault::RewindsForward) if number > 3 => Step::Rewind(self.block(number), Timestamp(1)),
            _ => Step::Apply(batch, Cursor { block: Some(self.block(number)), ..after }),
        })
    }
}

#[tokio::test]
async fn a_chain_conforms() {
    conformance::source(&Chain { common: 32, head: 32, fault: None }).await.unwrap();
}

#[tokio::test]
async fn a_broken_source_fails_the_suite() {
    for (fault, law) in [
        (Fault::StandsStill, "each step of a source goes forward"),
        (Fault::LooksAhead, "events lie after the cursor before and not after the one behind"),
        (Fault::RewindsForward, "a source rewinds to below its cursor only"),
        (Fault::Down, "a source answers"),
    ] {
        let chain = Chain { common: 32, head: 32, fault: Some(fault) };
        assert_eq!(conformance::source(&chain).await.unwrap_err().law, law, "{fault:?}");
    }
}

async fn catch_up(chain: &Chain, store: &dyn Store) -> usize {
    let mut steps = 0;
    while advance(chain, store).await.unwrap() {
        steps += 1;
    }
    steps
}

#[tokio::test]
async fn a_store_follows_a_chain_that_reorganises() {
    let followed = MemoryStore::default();
    assert_eq!(catch_up(&Chain { common: 32, head: 32, fault: None }, &followed).await, 32);
    let forked = Chain { common: 20, head: 40, fault: None };
    assert_eq!(catch_up(&forked, &followed).await, 1 + 20);
    let fresh = MemoryStore::default();
    catch_up(&forked, &fresh).await;
    assert_eq!(followed.cursor().await.unwrap(), fresh.cursor().await.unwrap());
    assert_eq!(
        followed.events(None, Seek::default()).await.unwrap(),
        fresh.events(None, Seek::default()).await.unwrap()
    );
    assert_eq!(
        followed.customers(Seek::default()).await.unwrap(),
        fresh.customers(Seek::default()).await.unwrap()
    );
}

#[tokio::test]
async fn a_source_that_is_down_changes_nothing() {
    let store = MemoryStore::default();
    let chain = Chain { common: 32, head: 32, fault: Some(Fault::Down) };
    assert!(matches!(advance(&chain, &store).await, Err(AdvanceError::Source(_))));
    assert_eq!(store.cursor().await.unwrap(), Cursor::default());
}
