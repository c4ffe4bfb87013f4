//! The seam to a chain: what a follower asks.

use std::{error::Error, fmt::Debug};

use alloy_primitives::{Address, B256, Log};
use async_trait::async_trait;
use depin_core::{ChainEvent, Digest};

use crate::BlockFacts;

/// A chain that can be read: an RPC node, or a model of one.
///
/// It is asked and not believed: a follower checks every answer. Only hashes are its duty: each header's hash is computed from the header.
#[async_trait]
pub trait ChainReader: Send + Sync + Debug {
    /// What logs are wanted: [`ChainReader::logs`] asks for these and no others.
    fn wanted(&self) -> &Wanted;

    /// The newest block, and how far the chain is final.
    ///
    /// # Errors
    /// [`ReadError`].
    async fn tips(&self) -> Result<Tips, ReadError>;

    /// The headers of these blocks, in this order; none for a block that the chain does not have.
    ///
    /// # Errors
    /// [`ReadError`].
    async fn headers(&self, numbers: &[u64]) -> Result<Vec<Option<BlockFacts>>, ReadError>;

    /// The logs of these blocks, in the order of the chain.
    ///
    /// # Errors
    /// [`ReadError::TooMuch`] when fewer blocks may be answered; [`ReadError::Unknown`] when a block is no longer there.
    async fn logs(&self, asked: Asked<'_>) -> Result<Vec<ChainLog>, ReadError>;

    /// A log as the event it is.
    ///
    /// # Errors
    /// What is wrong with it.
    fn decode(&self, log: &Log) -> Result<ChainEvent, &'static str>;
}

/// Which logs are wanted: of any of these contracts, with any of these first topics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The contracts.
    pub addresses: Vec<Address>,
    /// The signatures of events.
    pub topics: Vec<B256>,
}

/// The ends of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tips {
    /// The newest block.
    pub latest: BlockFacts,
    /// The newest block that is final; none while there is none.
    pub final_block: Option<u64>,
}

/// Blocks whose logs are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// These numbers, both ends included.
    Range {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// These blocks, each by its hash, ascending by number.
    Blocks(&'a [BlockFacts]),
}

/// A log as a node gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLog {
    /// The number of its block, if said.
    pub block: Option<u64>,
    /// The hash of its block, if said.
    pub block_hash: Option<Digest>,
    /// Its position in the block, if said.
    pub log_index: Option<u64>,
    /// Whether the node takes it back.
    pub removed: bool,
    /// Contract, topics and data.
    pub log: Log,
}

/// Why a chain was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Too many blocks or logs for one answer.
    #[error("the node does not answer so much at once: {said}; ask for fewer blocks")]
    TooMuch {
        /// What it said.
        said: String,
    },
    /// A block that was there is gone.
    #[error("the node no longer has block {block}; look at the chain again")]
    Unknown {
        /// Its number.
        block: u64,
    },
    /// Not reached, or refused.
    #[error("the chain cannot be read; see the cause, then ask again")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}
