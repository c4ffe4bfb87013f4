//! A store in memory. It keeps facts and derives rows when asked: slow, small, and plainly right.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use depin_core::{Address, ChainEvent, DeviceId, Epoch, Located, Timestamp};

use crate::{
    Answer, At, Batch, BlockFacts, BlockRef, ClaimFacts, Cursor, EpochFacts, EventKind, Query, ReorgRow,
    ReportFacts, Store, StoreError, View, WINDOW, facts::fits,
};

mod answer;
mod derive;
mod sums;

/// A [`Store`] in memory, for tests, simulations and the browser. Reading costs time in proportion to all it holds.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn apply(&self, batch: Batch, cursor: Cursor) -> Result<(), StoreError> {
        batch.check(&cursor)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // All or nothing: what fails half-way is the copy. Facts are shared between copies.
        let mut next = state.clone();
        next.apply(batch, cursor)?;
        *state = next;
        Ok(())
    }

    async fn cursor(&self) -> Result<Cursor, StoreError> {
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner).cursor)
    }

    async fn rewind(&self, to: BlockRef, seen: Timestamp) -> Result<(), StoreError> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).rewind(to, seen)
    }

    async fn read(&self, view: View, query: Query) -> Result<(At, Answer), StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let at = At::new(view, &state.cursor, |number| {
            Ok::<_, StoreError>(state.blocks.get(&number).map(|header| (header.hash, header.time)))
        })?;
        let decided = state.decided();
        let shown = if view == View::Final { &decided } else { &state };
        Ok((at, answer::answer(shown, &decided, query)?))
    }
}

/// All facts. Those that are shared are shared between copies.
#[derive(Clone, Debug, Default)]
struct State {
    cursor: Cursor,
    blocks: BTreeMap<u64, BlockFacts>,
    reorgs: Vec<ReorgRow>,
    events: BTreeMap<(u64, u64), Arc<Located>>,
    epochs: BTreeMap<Epoch, Arc<EpochFacts>>,
    claims: BTreeMap<(Address, Epoch), Arc<ClaimFacts>>,
    reports: BTreeMap<DeviceId, Arc<ReportFacts>>,
}

impl State {
    fn apply(&mut self, batch: Batch, cursor: Cursor) -> Result<(), StoreError> {
        for block in batch.blocks {
            self.add_block(block)?;
        }
        let headers = batch.events.iter().map(|located| located.block).collect::<BTreeSet<_>>();
        if let Some(block) = headers.into_iter().find(|block| !self.blocks.contains_key(block)) {
            return Err(StoreError::NoHeader { block });
        }
        for located in batch.events {
            self.add_event(located)?;
        }
        for facts in batch.epochs {
            self.add_epoch(facts)?;
        }
        for claim in batch.claims {
            self.add_claim(claim)?;
        }
        for report in batch.reports {
            let known = self.reports.get(&report.device).map_or(0, |known| known.count);
            if report.count > known {
                self.reports.insert(report.device, Arc::new(report));
            }
        }
        if let Some(block) = cursor.block {
            self.check_block(block)?;
            if self.cursor.block.is_none_or(|stored| stored.number < block.number) {
                self.cursor.block = Some(block);
            }
            self.forget_headers();
        }
        self.cursor.final_block = self.cursor.final_block.max(cursor.final_block);
        self.cursor.journal = self.cursor.journal.max(cursor.journal);
        Ok(())
    }

    /// The hash of every known block of this number must be this one.
    fn check_block(&self, block: BlockRef) -> Result<(), StoreError> {
        let header = self.blocks.get(&block.number);
        let known = header.map(|header| header.hash).or(self
            .cursor
            .block
            .filter(|stored| stored.number == block.number)
            .map(|stored| stored.hash));
        match known {
            Some(expected) if expected != block.hash => {
                Err(StoreError::Reorganised { block: block.number, expected, found: block.hash })
            }
            _ => Ok(()),
        }
    }

    fn add_block(&mut self, block: BlockFacts) -> Result<(), StoreError> {
        self.check_block(BlockRef { number: block.number, hash: block.hash })?;
        let known = self.blocks.entry(block.number).or_insert(block);
        if *known == block {
            return Ok(());
        }
        Err(StoreError::Conflict {
            what: format!("the header of block {}", block.number),
            expected: format!("{} after {}", known.time, known.parent),
            found: format!("{} after {}", block.time, block.parent),
        })
    }

    /// Headers of old blocks without events are of no use any more.
    fn forget_headers(&mut self) {
        let Some(oldest) = self.cursor.block.and_then(|block| block.number.checked_sub(WINDOW)) else {
            return;
        };
        let with_events: BTreeSet<u64> = self.events.keys().map(|(block, _)| *block).collect();
        self.blocks.retain(|number, _| *number >= oldest || with_events.contains(number));
    }

    fn add_event(&mut self, located: Located) -> Result<(), StoreError> {
        self.check_block(BlockRef { number: located.block, hash: located.block_hash })?;
        match self.events.entry((located.block, located.log_index)) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(located));
                Ok(())
            }
            Entry::Occupied(known) if **known.get() == located => Ok(()),
            Entry::Occupied(known) => Err(StoreError::Conflict {
                what: format!("the event {} of block {}", located.log_index, located.block),
                expected: EventKind::of(&known.get().event)?.to_string(),
                found: EventKind::of(&located.event)?.to_string(),
            }),
        }
    }

    fn add_epoch(&mut self, facts: EpochFacts) -> Result<(), StoreError> {
        match self.epochs.entry(facts.epoch) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(facts));
                Ok(())
            }
            Entry::Occupied(known) if known.get().bundle == facts.bundle => Ok(()),
            Entry::Occupied(known) => Err(StoreError::Conflict {
                what: format!("the bundle of epoch {}", facts.epoch),
                expected: known.get().bundle.to_string(),
                found: facts.bundle.to_string(),
            }),
        }
    }

    fn add_claim(&mut self, claim: ClaimFacts) -> Result<(), StoreError> {
        match self.claims.entry((claim.account, claim.epoch)) {
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(claim));
                Ok(())
            }
            Entry::Occupied(known) if **known.get() == claim => Ok(()),
            Entry::Occupied(known) => Err(StoreError::Conflict {
                what: format!("the claim of {} in epoch {}", claim.account, claim.epoch),
                expected: known.get().amount.to_string(),
                found: claim.amount.to_string(),
            }),
        }
    }

    fn rewind(&mut self, to: BlockRef, seen: Timestamp) -> Result<(), StoreError> {
        fits("the time of a reorganisation", seen.0)?;
        if let Some(final_block) = self.cursor.final_block.filter(|number| to.number < *number) {
            return Err(StoreError::Final { to: to.number, final_block });
        }
        self.check_block(to)?;
        let before = self.events.len();
        self.events.retain(|(block, _), _| *block <= to.number);
        self.blocks.retain(|number, _| *number <= to.number);
        if let Some(old) = self.cursor.block.filter(|stored| stored.number > to.number) {
            self.cursor.block = Some(to);
            self.reorgs.push(ReorgRow {
                id: count(self.reorgs.len()).saturating_add(1),
                seen,
                depth: old.number.saturating_sub(to.number),
                old,
                common: to,
                events: count(before.saturating_sub(self.events.len())),
            });
        }
        Ok(())
    }

    /// What would be here if nothing but what is final had ever come.
    fn decided(&self) -> Self {
        let mut decided = self.clone();
        let bound = View::Final.bound(&self.cursor);
        decided.events.retain(|(block, _), _| bound.is_some_and(|bound| *block <= bound));
        let released = decided.released();
        decided.epochs.retain(|epoch, _| released.contains(epoch));
        decided.claims.retain(|(_, epoch), _| released.contains(epoch));
        decided
    }

    /// The epochs whose root and bundle an event says became final.
    fn released(&self) -> BTreeSet<Epoch> {
        let matches = |event: &ChainEvent| match event {
            ChainEvent::RootFinal { epoch, root, bundle, .. } => {
                let facts = self.epochs.get(epoch)?;
                (facts.root == *root && facts.bundle == *bundle).then_some(*epoch)
            }
            _ => None,
        };
        self.events.values().filter_map(|located| matches(&located.event)).collect()
    }

    /// The time of a block, which is known if it has an event.
    fn time(&self, block: u64) -> Timestamp {
        self.blocks.get(&block).map_or(Timestamp(0), |header| header.time)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
