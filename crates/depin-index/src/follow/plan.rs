//! What to do next: values in, values out.

use std::collections::BTreeMap;

use crate::{Batch, BlockRef, Cursor, SourceError, WINDOW};

use super::Tips;

/// What a store knows of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// How far it has read.
    pub cursor: Cursor,
    /// The newest blocks whose hashes it keeps, newest first.
    pub window: Vec<BlockRef>,
}

/// Where the block of the cursor stands on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// On it; or there is no cursor yet.
    Same,
    /// The chain ends below it, at this block, which the store knows.
    Shorter(BlockRef),
    /// The chain has another block there, or had: the last common one must be searched for.
    Replaced,
    /// It takes the chain's header of this block to say.
    Ask(u64),
}

/// The next step of a store whose block is on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing to do.
    Idle,
    /// Only the final block moved: to this one.
    Final(u64),
    /// Read logs by range: far below the head.
    Range {
        /// The first block.
        from: u64,
        /// The last block.
        to: u64,
    },
    /// Read header by header, and logs by block hash.
    Tail {
        /// The first block.
        from: u64,
        /// The last block.
        to: u64,
    },
    /// Read headers only, below the ones that are known: a rewind shortened the window.
    Fill {
        /// The first block.
        from: u64,
        /// The last block: it is known, and the others must lead up to it.
        to: u64,
    },
}

/// Blocks of one [`Plan::Tail`].
const TAIL: u64 = 64;

/// Where the store's block stands on a chain with these ends. `here` is the chain's block at the number asked for by [`Stand::Ask`]:
/// `None` before it was asked, `Some(None)` when the chain has none.
pub fn stand(known: &Known, tips: &Tips, here: Option<Option<BlockRef>>) -> Stand {
    let Some(block) = known.cursor.block else { return Stand::Same };
    let latest = BlockRef { number: tips.latest.number, hash: tips.latest.hash };
    let on_chain = |same| if same { Stand::Same } else { Stand::Replaced };
    if latest.number < block.number {
        return if known.window.contains(&latest) { Stand::Shorter(latest) } else { Stand::Replaced };
    }
    if latest.number == block.number {
        return on_chain(latest == block);
    }
    if latest.number == block.number.saturating_add(1) {
        return on_chain(tips.latest.parent == block.hash);
    }
    match here {
        None => Stand::Ask(block.number),
        Some(found) => on_chain(found == Some(block)),
    }
}

/// What to do when the store's block is on the chain. `start` is the first block that can hold an event, `span` the width of a range.
pub fn plan(known: &Known, tips: &Tips, start: u64, span: u64) -> Plan {
    let latest = tips.latest.number;
    let from = known.cursor.block.map_or(start, |block| block.number.saturating_add(1));
    let deep = latest.saturating_sub(WINDOW);
    if latest > WINDOW && from <= deep {
        let to = from.saturating_add(span.max(1).saturating_sub(1)).min(deep);
        return Plan::Range { from, to };
    }
    // A reorganisation may come at any time: the window is made whole before it is extended.
    if let Some(fill) = fill(known, deep) {
        return fill;
    }
    if from <= latest {
        return Plan::Tail { from, to: from.saturating_add(TAIL.saturating_sub(1)).min(latest) };
    }
    match final_block(tips) {
        Some(number) if known.cursor.final_block.is_none_or(|known| known < number) => Plan::Final(number),
        _ => Plan::Idle,
    }
}

/// The final block as far as it can be: a chain does not end below it.
pub(super) fn final_block(tips: &Tips) -> Option<u64> {
    tips.final_block.map(|number| number.min(tips.latest.number))
}

/// Headers that are missing between `deep` and the unbroken run of known blocks that ends with the cursor.
fn fill(known: &Known, deep: u64) -> Option<Plan> {
    let cursor = known.cursor.block?.number;
    let mut oldest = cursor;
    for block in known.window.iter().skip_while(|block| block.number >= cursor) {
        if block.number.checked_add(1) != Some(oldest) {
            break;
        }
        oldest = block.number;
    }
    (oldest > deep).then_some(Plan::Fill { from: deep, to: oldest })
}

/// The search for the last block that store and chain have in common. Every block above a replaced one is replaced and every block below a
/// common one is common, so that halving finds it.
#[derive(Clone, Debug)]
pub struct Search {
    /// Newest first.
    blocks: Vec<BlockRef>,
    /// Blocks before this position are replaced.
    replaced: usize,
    /// The block at this position is common; the length when none is known to be.
    common: usize,
    cursor: u64,
    final_block: Option<u64>,
}

impl Search {
    /// Begins with what the store knows.
    pub fn new(known: &Known) -> Self {
        let cursor = known.cursor.block.map_or(0, |block| block.number);
        let blocks: Vec<_> = known.window.iter().filter(|block| block.number <= cursor).copied().collect();
        let common = blocks.len();
        Self { blocks, replaced: 0, common, cursor, final_block: known.cursor.final_block }
    }

    /// The block to compare next; none when the search is over.
    pub fn ask(&self) -> Option<BlockRef> {
        if self.replaced >= self.common {
            return None;
        }
        self.blocks.get(self.middle()).copied()
    }

    /// Whether the chain has the block that was to be compared.
    pub fn hear(&mut self, common: bool) {
        let middle = self.middle();
        if common {
            self.common = middle;
        } else {
            self.replaced = middle.saturating_add(1);
        }
    }

    /// The last common block.
    ///
    /// # Errors
    /// [`SourceError::TooDeep`] when there is none, [`SourceError::FinalReplaced`] when it lies below what was final.
    pub fn end(&self) -> Result<BlockRef, SourceError> {
        let Some(common) = self.blocks.get(self.common) else {
            let oldest = self.blocks.last().map_or(self.cursor, |block| block.number);
            return Err(SourceError::TooDeep { found: self.cursor, oldest });
        };
        match self.final_block {
            Some(final_block) if common.number < final_block.min(self.cursor) => {
                Err(SourceError::FinalReplaced { final_block, common: common.number })
            }
            _ => Ok(*common),
        }
    }

    /// Most reorganisations are shallow, so the newest blocks are asked about first, at growing distances.
    const fn middle(&self) -> usize {
        let half = self.replaced.saturating_add(self.common.saturating_sub(self.replaced) / 2);
        let near = self.replaced.saturating_mul(2);
        if near < half { near } else { half }
    }
}

impl Known {
    /// What a store knows after this batch.
    #[must_use]
    pub fn then(&self, batch: &Batch, cursor: Cursor) -> Self {
        let known = self.window.iter().copied();
        let new = batch.blocks.iter().map(|block| BlockRef { number: block.number, hash: block.hash });
        let by_number: BTreeMap<u64, BlockRef> =
            known.chain(new).map(|block| (block.number, block)).collect();
        let newest = usize::try_from(WINDOW).unwrap_or(usize::MAX).saturating_add(1);
        Self { cursor, window: by_number.into_values().rev().take(newest).collect() }
    }
}
