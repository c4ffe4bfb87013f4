//! Writing into the journal what the chain said.

use std::sync::Arc;

use depin_core::{Digest, Located};
use depin_evm::{EventsError, events, final_block, header};
use depin_index::follow::Span;
use tokio::time::timeout;

use super::{Inner, NodeError, follow::STALL, health::Part};
use crate::{entry::Entry, state::Place};

/// Events on their way into the journal.
#[derive(Debug)]
struct ChainStep {
    /// The first block.
    from: u64,
    /// The last block.
    to: u64,
    /// Its hash.
    hash: Digest,
    /// Every event of these blocks.
    located: Vec<Located>,
    /// Whether `to` was the newest final block.
    is_last: bool,
}

impl Inner {
    /// Writes the events of blocks that became final since the last call, in steps: each is written before the next is read, so that a node
    /// that was away for long neither holds everything in memory nor begins anew when it is interrupted.
    pub(super) async fn follow(self: &Arc<Self>) -> Result<(), NodeError> {
        // One at a time: two would read the same blocks.
        let mut span = self.span.lock().await;
        loop {
            let read = match timeout(STALL, self.read_step(&mut span)).await {
                Ok(read) => read,
                // Fewer blocks may be answered in time.
                Err(_) => {
                    let asked = span.blocks();
                    span.refused(asked);
                    Err(NodeError::Stalled(STALL))
                }
            };
            let Some(step) = self.heard(Part::Chain, read)? else { return Ok(()) };
            if self.write_step(step).await? {
                return Ok(());
            }
        }
    }

    /// The events of the next blocks that are final; none if there are no such blocks. Others may have the core meanwhile.
    async fn read_step(&self, span: &mut Span) -> Result<Option<ChainStep>, NodeError> {
        let (client, deployment) = (self.chain.sender().client(), self.chain.deployment());
        let from = self.core.lock().await.next_block.max(deployment.start_block);
        let Some(last) = final_block(client, self.chain.finality()).await? else { return Ok(None) };
        if from > last.number {
            return Ok(None);
        }
        loop {
            let to = from.saturating_add(span.blocks().saturating_sub(1)).min(last.number);
            let asked = to.saturating_sub(from).saturating_add(1);
            let located = match events(client, deployment, from, to).await {
                Err(EventsError::TooMuch { .. }) if span.refused(asked) => continue,
                located => located?,
            };
            span.answered(asked, located.len());
            let hash = match to == last.number {
                true => last.hash,
                false => Digest(header(client, to).await?.hash_slow().0),
            };
            return Ok(Some(ChainStep { from, to, hash, located, is_last: to == last.number }));
        }
    }

    /// Writes the events of a step, unless it does not fit any more. Returns whether there is nothing to read after it.
    async fn write_step(self: &Arc<Self>, step: ChainStep) -> Result<bool, NodeError> {
        let ChainStep { from, to, hash, mut located, is_last } = step;
        let mut core = self.lock().await;
        self.mend(&mut core).await?;
        // Somebody else may have written it, or the core may have gone back to what the journal holds: then blocks before it are missing.
        let next = core.next_block.max(self.chain.deployment().start_block);
        if to < next || from > next {
            return Ok(false);
        }
        // A restart may have gone back to a block that was read in part.
        let known = core.fold.state.chain;
        located.retain(|located| known.is_none_or(|known| Place::of(located) > known));
        if located.is_empty() {
            core.next_block = to.saturating_add(1);
        } else {
            let mut entries: Vec<Entry> =
                located.into_iter().map(|located| Entry::Chain { located }).collect();
            entries.push(Entry::Block { number: to, hash });
            self.write(&mut core, entries).await?;
        }
        self.metrics.recorded(core.next_block);
        Ok(is_last)
    }
}
