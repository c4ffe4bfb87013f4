//! What a node says must fit together: with what was asked, with itself, and with what is stored.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use depin_core::{ChainEvent, Digest, Located};

use super::{Asked, ChainLog, Tips, Wanted};
use crate::{BlockFacts, BlockRef};

/// Most logs in one answer.
pub const MAX_LOGS: usize = 200_000;

/// Most bytes of data in one log: many times what any of our events has.
pub const MAX_DATA: usize = 64 * 1024;

/// What a node said that cannot be true. Nothing of that answer is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrue {
    /// Another number of answers than of questions.
    #[error("the node was asked for {asked} headers and gave {found}; ask another node")]
    Headers {
        /// How many were asked for.
        asked: usize,
        /// How many came.
        found: usize,
    },
    /// A header of another block.
    #[error("the node was asked for block {asked} and gave the header of block {found}; ask another node")]
    Number {
        /// The number asked for.
        asked: u64,
        /// The number that came.
        found: u64,
    },
    /// No header below the head.
    #[error("the node says the chain goes up to block {latest} and has no block {asked}; ask another node")]
    Missing {
        /// The number asked for.
        asked: u64,
        /// The head it named.
        latest: u64,
    },
    /// A header that does not continue the one before.
    #[error(
        "the node says that block {block} follows {found}, and the block before it is {expected}: it lies, or the chain changed meanwhile; ask again"
    )]
    Unlinked {
        /// The number of the block.
        block: u64,
        /// The hash of the block before it.
        expected: Digest,
        /// The parent it names.
        found: Digest,
    },
    /// The chain at the end of a range, before and after its logs were read.
    #[error(
        "block {block} was {before} before its logs were read and {after} after: the chain changed meanwhile; ask again"
    )]
    Moved {
        /// The number of the block.
        block: u64,
        /// Its hash before.
        before: Digest,
        /// Its hash after.
        after: Digest,
    },
    /// A log that the node takes back.
    #[error("the node gave a log of block {block:?} that it marks as removed; ask another node")]
    Removed {
        /// The number of its block, if said.
        block: Option<u64>,
    },
    /// A log without its place.
    #[error("the node gave a log without block number, block hash or position; ask another node")]
    NoPlace,
    /// A log of a block that was not asked for.
    #[error(
        "the node was asked for logs of the blocks {from} to {to} and gave one of block {found}; ask another node"
    )]
    NotAsked {
        /// The first block asked for.
        from: u64,
        /// The last block asked for.
        to: u64,
        /// The block of the log.
        found: u64,
    },
    /// A log of another fork.
    #[error(
        "the node says log {index} of block {block} is of the block {found}, whose hash is {expected}; ask another node"
    )]
    OtherFork {
        /// The number of its block.
        block: u64,
        /// Its position.
        index: u64,
        /// The hash of the block's header.
        expected: Digest,
        /// The hash the log names.
        found: Digest,
    },
    /// Logs that do not ascend: out of order, or twice.
    #[error(
        "the node gave log {index} of block {block} after log {after_index} of block {after}; ask another node"
    )]
    Order {
        /// The number of its block.
        block: u64,
        /// Its position.
        index: u64,
        /// The block of the log before.
        after: u64,
        /// The position of the log before.
        after_index: u64,
    },
    /// A log of another contract.
    #[error(
        "log {index} of block {block} is of the contract {found}, which was not asked for; ask another node"
    )]
    Contract {
        /// The number of its block.
        block: u64,
        /// Its position.
        index: u64,
        /// The contract.
        found: Address,
    },
    /// A log of another event.
    #[error(
        "log {index} of block {block} has the signature {found:?}, which was not asked for; ask another node"
    )]
    Topic {
        /// The number of its block.
        block: u64,
        /// Its position.
        index: u64,
        /// The signature, if it has one.
        found: Option<B256>,
    },
    /// A log larger than any.
    #[error("log {index} of block {block} has {found} bytes, at most {MAX_DATA} are read; ask another node")]
    Large {
        /// The number of its block.
        block: u64,
        /// Its position.
        index: u64,
        /// Its bytes.
        found: usize,
    },
    /// A log that is not of its event.
    #[error("log {index} of block {block} does not hold: {what}; ask another node")]
    Log {
        /// The number of its block.
        block: u64,
        /// Its position.
        index: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// `found` must be the headers of these blocks.
pub(super) fn headers(
    asked: &[u64],
    found: Vec<Option<BlockFacts>>,
    tips: &Tips,
) -> Result<Vec<BlockFacts>, Untrue> {
    let missing = |asked| Untrue::Missing { asked, latest: tips.latest.number };
    maybe_headers(asked, found)?
        .into_iter()
        .zip(asked)
        .map(|(header, asked)| header.ok_or_else(|| missing(*asked)))
        .collect()
}

/// `found` must be the headers of these blocks, as far as there are any.
pub(super) fn maybe_headers(
    asked: &[u64],
    found: Vec<Option<BlockFacts>>,
) -> Result<Vec<Option<BlockFacts>>, Untrue> {
    if asked.len() != found.len() {
        return Err(Untrue::Headers { asked: asked.len(), found: found.len() });
    }
    for (asked, header) in asked.iter().zip(&found) {
        match header {
            Some(header) if header.number != *asked => {
                return Err(Untrue::Number { asked: *asked, found: header.number });
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Each of these headers must continue the one before where their numbers do; the first one the block `before`, if that is known.
pub(super) fn links(before: Option<BlockRef>, headers: &[BlockFacts]) -> Result<(), Untrue> {
    let mut before = before;
    for header in headers {
        if let Some(before) = before
            && before.number.checked_add(1) == Some(header.number)
            && before.hash != header.parent
        {
            let (expected, found) = (before.hash, header.parent);
            return Err(Untrue::Unlinked { block: header.number, expected, found });
        }
        before = Some(BlockRef { number: header.number, hash: header.hash });
    }
    Ok(())
}

/// Checks logs and reads them, and names the blocks they are of.
pub(super) fn logs(
    wanted: &Wanted,
    asked: Asked<'_>,
    logs: &[ChainLog],
    decode: impl Fn(&alloy_primitives::Log) -> Result<ChainEvent, &'static str>,
) -> Result<Vec<Located>, Untrue> {
    let asked = Blocks::of(asked);
    let mut located: Vec<Located> = Vec::with_capacity(logs.len());
    for log in logs {
        let (block, index, hash) = place(log)?;
        asked.check(block, index, hash)?;
        if let Some(before) = located.last() {
            if (before.block, before.log_index) >= (block, index) {
                let (after, after_index) = (before.block, before.log_index);
                return Err(Untrue::Order { block, index, after, after_index });
            }
            if before.block == block && before.block_hash != hash {
                return Err(Untrue::OtherFork { block, index, expected: before.block_hash, found: hash });
            }
        }
        if !wanted.addresses.contains(&log.log.address) {
            return Err(Untrue::Contract { block, index, found: log.log.address });
        }
        let signature = log.log.topics().first().copied();
        if !signature.is_some_and(|signature| wanted.topics.contains(&signature)) {
            return Err(Untrue::Topic { block, index, found: signature });
        }
        let bytes = log.log.data.data.len();
        if bytes > MAX_DATA {
            return Err(Untrue::Large { block, index, found: bytes });
        }
        let event = decode(&log.log).map_err(|what| Untrue::Log { block, index, what })?;
        located.push(Located { block, block_hash: hash, log_index: index, event });
    }
    Ok(located)
}

/// The blocks of `events`, each once, ascending.
pub(super) fn blocks_of(events: &[Located]) -> Vec<u64> {
    events.iter().map(|event| event.block).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Every event must be of the block that has this header; each event's block must be among `headers`.
pub(super) fn same_fork(events: &[Located], headers: &[BlockFacts]) -> Result<(), Untrue> {
    let hashes: BTreeMap<u64, Digest> = headers.iter().map(|header| (header.number, header.hash)).collect();
    for event in events {
        let (block, index, found) = (event.block, event.log_index, event.block_hash);
        match hashes.get(&block) {
            Some(expected) if *expected == found => {}
            Some(expected) => return Err(Untrue::OtherFork { block, index, expected: *expected, found }),
            None => return Err(Untrue::Missing { asked: block, latest: block }),
        }
    }
    Ok(())
}

fn place(log: &ChainLog) -> Result<(u64, u64, Digest), Untrue> {
    if log.removed {
        return Err(Untrue::Removed { block: log.block });
    }
    match (log.block, log.log_index, log.block_hash) {
        (Some(block), Some(index), Some(hash)) => Ok((block, index, hash)),
        _ => Err(Untrue::NoPlace),
    }
}

/// Blocks that were asked for, with their hashes where they are known.
struct Blocks {
    from: u64,
    to: u64,
    hashes: BTreeMap<u64, Digest>,
}

impl Blocks {
    fn of(asked: Asked<'_>) -> Self {
        match asked {
            Asked::Range { from, to } => Self { from, to, hashes: BTreeMap::new() },
            Asked::Blocks(blocks) => Self {
                from: blocks.first().map_or(0, |block| block.number),
                to: blocks.last().map_or(0, |block| block.number),
                hashes: blocks.iter().map(|block| (block.number, block.hash)).collect(),
            },
        }
    }

    fn check(&self, block: u64, index: u64, found: Digest) -> Result<(), Untrue> {
        if !(self.from..=self.to).contains(&block) {
            return Err(Untrue::NotAsked { from: self.from, to: self.to, found: block });
        }
        match self.hashes.get(&block) {
            Some(expected) if *expected != found => {
                Err(Untrue::OtherFork { block, index, expected: *expected, found })
            }
            None if !self.hashes.is_empty() => {
                Err(Untrue::NotAsked { from: self.from, to: self.to, found: block })
            }
            _ => Ok(()),
        }
    }
}
