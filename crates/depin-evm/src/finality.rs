//! How far the chain can be relied on, and headers whose hash was computed here.

use alloy::{consensus::Header, eips::BlockNumberOrTag, providers::Provider, transports::TransportError};
use depin_core::Digest;

use crate::Client;

/// From when on a block counts as final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finality {
    /// So many blocks were built on it; 0 takes the newest block.
    Depth(u64),
    /// The chain says so: the block it calls `finalized`.
    Finalized,
}

/// A block that is not expected to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinalBlock {
    /// Its number.
    pub number: u64,
    /// Its hash, computed from its header.
    pub hash: Digest,
    /// Its timestamp, in seconds since the Unix epoch.
    pub timestamp: u64,
}

/// Why a header could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The chain cannot be reached.
    #[error("block {block} cannot be read: {source}; ask again or ask another node")]
    Unavailable {
        /// Which block.
        block: BlockNumberOrTag,
        /// What happened.
        source: TransportError,
    },
    /// No such block.
    #[error("the node does not have block {block}; wait for it, or ask another node")]
    Missing {
        /// Which block.
        block: BlockNumberOrTag,
    },
    /// The header is not the one asked for, or does not hash to what the node says.
    #[error("the header of block {block} does not hold: {what}; ask another node")]
    Invalid {
        /// Which block.
        block: BlockNumberOrTag,
        /// What is wrong.
        what: &'static str,
    },
}

/// The newest block that is final; none while the chain is shorter than that.
///
/// # Errors
/// [`HeaderError`].
pub async fn final_block(client: &Client, finality: Finality) -> Result<Option<FinalBlock>, HeaderError> {
    let found = match finality {
        Finality::Finalized => read(client, BlockNumberOrTag::Finalized).await?,
        Finality::Depth(depth) => {
            let head = client
                .provider()
                .get_block_number()
                .await
                .map_err(|source| HeaderError::Unavailable { block: BlockNumberOrTag::Latest, source })?;
            match head.checked_sub(depth) {
                Some(number) => header(client, number).await?,
                None => return Ok(None),
            }
        }
    };
    Ok(Some(FinalBlock {
        number: found.number,
        hash: Digest(found.hash_slow().0),
        timestamp: found.timestamp,
    }))
}

/// The header of block `number`, whose hash was computed here.
///
/// # Errors
/// [`HeaderError`].
pub async fn header(client: &Client, number: u64) -> Result<Header, HeaderError> {
    let block = BlockNumberOrTag::Number(number);
    let found = read(client, block).await?;
    if found.number != number {
        return Err(HeaderError::Invalid { block, what: "it is of another block" });
    }
    Ok(found)
}

pub(crate) async fn read(client: &Client, block: BlockNumberOrTag) -> Result<Header, HeaderError> {
    let found = client
        .provider()
        .get_block_by_number(block)
        .await
        .map_err(|source| HeaderError::Unavailable { block, source })?
        .ok_or(HeaderError::Missing { block })?
        .header;
    if found.inner.hash_slow() != found.hash {
        return Err(HeaderError::Invalid { block, what: "it does not hash to its hash" });
    }
    Ok(found.inner)
}
