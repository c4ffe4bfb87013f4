//! A chain as a source of facts.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use depin_core::Located;

use super::{
    Asked, ChainReader, Known, Plan, ReadError, Search, Span, Stand, Tips, Untrue,
    check::{self, MAX_LOGS},
    plan::{final_block, plan, stand},
};
use crate::{Batch, BlockFacts, BlockRef, Cursor, EventSource, SourceError, Step};

/// How a chain is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowConfig {
    /// The first block that can hold an event: that of the deployment.
    pub start: u64,
    /// Blocks asked for at first. The width then follows what the node answers.
    pub first_span: u64,
    /// Blocks asked for at most.
    pub max_span: u64,
    /// How many looks in a row must show a chain that ends below what is stored, and does not contradict it, before the index is cut to
    /// it. Nodes behind one address differ in how far they are; a chain that was really cut stays so.
    pub patience: u32,
}

impl Default for FollowConfig {
    fn default() -> Self {
        Self { start: 0, first_span: 64, max_span: 100_000, patience: 3 }
    }
}

/// An [`EventSource`] over a chain that can be read. Asked after a chain's head it says [`Step::Idle`].
#[derive(Debug)]
pub struct ChainSource<R> {
    reader: R,
    config: FollowConfig,
    state: Mutex<State>,
}

/// What makes asking cheaper or calmer; losing it costs nothing but requests.
#[derive(Debug)]
struct State {
    span: Span,
    /// Looks in a row that showed a shorter chain.
    shorter: u32,
    /// The ends at the last look.
    seen: Option<Tips>,
}

impl<R: ChainReader> ChainSource<R> {
    /// Follows `reader`.
    pub fn new(reader: R, config: FollowConfig) -> Self {
        let span = Span::new(config.first_span, config.max_span);
        Self { reader, config, state: Mutex::new(State { span, shorter: 0, seen: None }) }
    }

    /// The chain's ends when it was last looked at; none before the first time.
    pub fn seen(&self) -> Option<Tips> {
        self.state().seen
    }

    /// The chain.
    pub const fn reader(&self) -> &R {
        &self.reader
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stand(&self, known: &Known, tips: &Tips) -> Result<Stand, SourceError> {
        match stand(known, tips, None) {
            Stand::Ask(number) => {
                let found = self.reader.headers(&[number]).await?;
                let here = check::maybe_headers(&[number], found)?.into_iter().flatten().next();
                Ok(stand(known, tips, Some(here.map(|header| reference(&header)))))
            }
            known => Ok(known),
        }
    }

    /// A shorter chain that contradicts nothing: wait, and then believe it.
    fn shorter(&self, known: &Known, tips: &Tips, to: BlockRef) -> Step {
        let mut state = self.state();
        state.shorter = state.shorter.saturating_add(1);
        // What is final stays: a node that does not have it yet is behind.
        let final_stays = known.cursor.final_block.is_some_and(|number| to.number < number);
        if final_stays || state.shorter < self.config.patience {
            return Step::Idle;
        }
        state.shorter = 0;
        Step::Rewind(to, tips.latest.time)
    }

    async fn search(&self, known: &Known, tips: &Tips) -> Result<Step, SourceError> {
        let mut search = Search::new(known);
        while let Some(block) = search.ask() {
            let found = self.reader.headers(&[block.number]).await?;
            let here = check::maybe_headers(&[block.number], found)?.into_iter().flatten().next();
            search.hear(here.is_some_and(|header| header.hash == block.hash));
        }
        let common = search.end()?;
        if known.cursor.block.is_some_and(|block| common.number >= block.number) {
            // The chain came back to what is stored while it was searched.
            return Ok(Step::Idle);
        }
        Ok(Step::Rewind(common, tips.latest.time))
    }

    async fn headers(&self, numbers: &[u64], tips: &Tips) -> Result<Vec<BlockFacts>, SourceError> {
        let found = self.reader.headers(numbers).await?;
        Ok(check::headers(numbers, found, tips)?)
    }

    async fn range(&self, known: &Known, tips: &Tips, from: u64, to: u64) -> Result<Step, SourceError> {
        // A hash commits to every block below it: if it is the same before and after, the logs are of one chain.
        let (before, to, logs) = self.logs_of_range(tips, from, to).await?;
        let asked = Asked::Range { from, to };
        let events = check::logs(self.reader.wanted(), asked, &logs, |log| self.reader.decode(log))?;
        drop(logs);
        let mut numbers = check::blocks_of(&events);
        if numbers.last() != Some(&to) {
            numbers.push(to);
        }
        let blocks = self.headers(&numbers, tips).await?;
        check::links(known.cursor.block, &blocks)?;
        check::same_fork(&events, &blocks)?;
        match blocks.last() {
            Some(end) if *end == before => {}
            end => {
                let after = end.map_or(before.parent, |end| end.hash);
                return Err(Untrue::Moved { block: to, before: before.hash, after }.into());
            }
        }
        Ok(apply(known, tips, blocks, events, reference(&before)))
    }

    /// Logs of as much of the range as the node answers at once, and the header of its last block from before.
    async fn logs_of_range(
        &self,
        tips: &Tips,
        from: u64,
        mut to: u64,
    ) -> Result<(BlockFacts, u64, Vec<super::ChainLog>), SourceError> {
        loop {
            let before = match self.headers(&[to], tips).await?.first() {
                Some(header) => *header,
                None => return Err(Untrue::Missing { asked: to, latest: tips.latest.number }.into()),
            };
            let asked = to.saturating_sub(from).saturating_add(1);
            let said = match self.reader.logs(Asked::Range { from, to }).await {
                Ok(logs) if logs.len() <= MAX_LOGS => {
                    self.state().span.answered(asked, logs.len());
                    return Ok((before, to, logs));
                }
                Ok(logs) => format!("{} logs, more than {MAX_LOGS}", logs.len()),
                Err(ReadError::TooMuch { said }) => said,
                Err(error) => return Err(error.into()),
            };
            let mut state = self.state();
            if !state.span.refused(asked) {
                return Err(ReadError::TooMuch { said }.into());
            }
            to = from.saturating_add(state.span.blocks().saturating_sub(1));
        }
    }

    async fn tail(&self, known: &Known, tips: &Tips, from: u64, to: u64) -> Result<Step, SourceError> {
        let numbers: Vec<u64> = (from..=to).collect();
        let blocks = match numbers.as_slice() {
            // The common case at the head: its header is here already.
            [only] if *only == tips.latest.number => vec![tips.latest],
            _ => self.headers(&numbers, tips).await?,
        };
        // A start in the middle of a chain has no block before it to compare with.
        check::links(known.cursor.block, &blocks)?;
        let asked = Asked::Blocks(&blocks);
        let logs = self.reader.logs(asked).await?;
        if logs.len() > MAX_LOGS.saturating_mul(numbers.len()) {
            return Err(ReadError::TooMuch { said: format!("{} logs", logs.len()) }.into());
        }
        let events = check::logs(self.reader.wanted(), asked, &logs, |log| self.reader.decode(log))?;
        let Some(end) = blocks.last().map(reference) else { return Ok(Step::Idle) };
        Ok(apply(known, tips, blocks, events, end))
    }

    async fn fill(&self, known: &Known, tips: &Tips, from: u64, to: u64) -> Result<Step, SourceError> {
        let numbers: Vec<u64> = (from..=to).collect();
        let blocks = self.headers(&numbers, tips).await?;
        check::links(None, &blocks)?;
        let stored = known.window.iter().chain(&known.cursor.block).find(|block| block.number == to);
        match (stored, blocks.last()) {
            (Some(stored), Some(end)) if stored.hash == end.hash => {
                Ok(Step::Apply(Batch { blocks, ..Batch::default() }, known.cursor))
            }
            // The chain changed since the cursor's block was compared: look again.
            _ => Ok(Step::Idle),
        }
    }
}

#[async_trait]
impl<R: ChainReader> EventSource for ChainSource<R> {
    async fn next(&self, known: &Known) -> Result<Step, SourceError> {
        let tips = self.reader.tips().await?;
        self.state().seen = Some(tips);
        let stand = self.stand(known, &tips).await?;
        match stand {
            Stand::Shorter(to) => return Ok(self.shorter(known, &tips, to)),
            Stand::Replaced => return self.search(known, &tips).await,
            Stand::Same | Stand::Ask(_) => {}
        }
        let span = {
            let mut state = self.state();
            state.shorter = 0;
            state.span.blocks()
        };
        match plan(known, &tips, self.config.start, span) {
            Plan::Idle => Ok(Step::Idle),
            Plan::Final(_) => Ok(Step::Apply(Batch::default(), cursor(known, &tips, known.cursor.block))),
            Plan::Range { from, to } => self.range(known, &tips, from, to).await,
            Plan::Tail { from, to } => self.tail(known, &tips, from, to).await,
            Plan::Fill { from, to } => self.fill(known, &tips, from, to).await,
        }
    }
}

fn apply(known: &Known, tips: &Tips, blocks: Vec<BlockFacts>, events: Vec<Located>, end: BlockRef) -> Step {
    Step::Apply(Batch { blocks, events, ..Batch::default() }, cursor(known, tips, Some(end)))
}

fn cursor(known: &Known, tips: &Tips, block: Option<BlockRef>) -> Cursor {
    Cursor { block, final_block: known.cursor.final_block.max(final_block(tips)), ..known.cursor }
}

const fn reference(header: &BlockFacts) -> BlockRef {
    BlockRef { number: header.number, hash: header.hash }
}
