//! The changes of an identity, found backwards: the registry names the block of the last one, and each event the block of the one before.

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, U256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};

use super::document::{Change, What};
use crate::{Client, header};

#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    missing_debug_implementations,
    clippy::all,
    clippy::indexing_slicing,
    clippy::as_conversions
)] // written by a macro; the standard says what they mean
mod erc1056 {
    alloy::sol! {
        #[sol(rpc)]
        interface Registry {
            event DIDOwnerChanged(address indexed identity, address owner, uint256 previousChange);
            event DIDDelegateChanged(
                address indexed identity, bytes32 delegateType, address delegate, uint256 validTo, uint256 previousChange
            );
            event DIDAttributeChanged(
                address indexed identity, bytes32 name, bytes value, uint256 validTo, uint256 previousChange
            );
            function owners(address identity) external view returns (address);
            function changed(address identity) external view returns (uint256);
        }
    }
}
use erc1056::Registry;

/// An ERC-1056 registry on a chain.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) client: Client,
    pub(super) registry: Address,
}

/// The most blocks with changes of one identity that are read.
const MAX_BLOCKS: usize = 256;
/// The most changes of one identity in one block that are read.
const MAX_CHANGES: usize = 1_024;

/// What is wrong with a chain's answers, in words.
pub(super) type Reason = String;

/// What the chain says of an identity.
pub(super) struct History {
    /// Oldest first.
    pub(super) changes: Vec<Change>,
    /// The newest block that was looked at.
    pub(super) head: u64,
    /// Its time, in seconds since the Unix epoch.
    pub(super) time: u64,
}

impl Source {
    /// Every change of `identity` up to the newest block.
    ///
    /// The logs of a block are read all and in their order, by the hash of its header, which is computed here; that they are all of them,
    /// one node's word decides, except where the registry's own state contradicts it.
    pub(super) async fn history(&self, identity: Address) -> Result<History, Reason> {
        let provider = self.client.provider();
        let head = provider.get_block_number().await.map_err(said)?;
        let newest = header(&self.client, head).await.map_err(said)?;
        let contract = Registry::new(self.registry, provider);
        let at = BlockId::number(head);
        let changed = contract.changed(identity).block(at).call().await.map_err(said)?;
        let mut next = number(changed)?;
        // Found backwards, block by block; the changes of one block forwards.
        let mut blocks: Vec<Vec<Change>> = Vec::new();
        let mut above = head.saturating_add(1);
        while next != 0 {
            if blocks.len() == MAX_BLOCKS {
                return Err(format!("it changed in more than {MAX_BLOCKS} blocks, and no more are read"));
            }
            if next >= above {
                return Err(format!(
                    "its changes lead from block {above} to block {next}, which is not before it"
                ));
            }
            let (changes, previous) = self.block(identity, next).await?;
            blocks.push(changes);
            (above, next) = (next, previous);
        }
        let changes: Vec<Change> = blocks.into_iter().rev().flatten().collect();
        let last = changes.iter().rev().find_map(|change| match &change.what {
            What::Owner(owner) => Some(*owner),
            _ => None,
        });
        let owner = contract.owners(identity).block(at).call().await.map_err(said)?;
        // The registry's state and its events have to agree, or some were left out.
        if owner != last.unwrap_or_default() {
            return Err(format!("its owner is {owner} in the registry and {last:?} by its events"));
        }
        Ok(History { changes, head, time: newest.timestamp })
    }

    /// The time of the block `number`.
    pub(super) async fn time(&self, number: u64) -> Result<u64, Reason> {
        Ok(header(&self.client, number).await.map_err(said)?.timestamp)
    }

    /// The changes in the block `number`, in their order, and the block with the change before.
    async fn block(&self, identity: Address, number: u64) -> Result<(Vec<Change>, u64), Reason> {
        let hash = header(&self.client, number).await.map_err(said)?.hash_slow();
        let filter = Filter::new()
            .at_block_hash(hash)
            .address(self.registry)
            .event_signature(vec![
                Registry::DIDOwnerChanged::SIGNATURE_HASH,
                Registry::DIDDelegateChanged::SIGNATURE_HASH,
                Registry::DIDAttributeChanged::SIGNATURE_HASH,
            ])
            .topic1(identity.into_word());
        let logs = self.client.provider().get_logs(&filter).await.map_err(said)?;
        if logs.is_empty() || logs.len() > MAX_CHANGES {
            return Err(format!("block {number} has {} of its changes, not 1 to {MAX_CHANGES}", logs.len()));
        }
        let mut changes = Vec::with_capacity(logs.len());
        let (mut index, mut before) = (None, None);
        for log in &logs {
            if log.block_hash != Some(hash) || log.removed || log.log_index <= index {
                return Err(format!("the logs of block {number} are not of it or out of order"));
            }
            index = log.log_index;
            let (what, previous) = self.read(identity, log)?;
            match before {
                // The first points to an earlier block, all others to this one.
                None => before = Some(previous),
                Some(_) if previous == number => {}
                Some(_) => {
                    return Err(format!("a log of block {number} is missing: one points to {previous}"));
                }
            }
            changes.push(Change { block: number, what });
        }
        Ok((changes, before.unwrap_or_default()))
    }

    fn read(&self, identity: Address, log: &Log) -> Result<(What, u64), Reason> {
        let topics = log.topics();
        if log.address() != self.registry || topics.get(1) != Some(&identity.into_word()) {
            return Err("a log is of another contract or identity".to_owned());
        }
        let signature = topics.first().copied().unwrap_or_default();
        let (what, previous) = match signature {
            Registry::DIDOwnerChanged::SIGNATURE_HASH => {
                let event = parse::<Registry::DIDOwnerChanged>(log)?;
                (What::Owner(event.owner), event.previousChange)
            }
            Registry::DIDDelegateChanged::SIGNATURE_HASH => {
                let event = parse::<Registry::DIDDelegateChanged>(log)?;
                let (kind, delegate) = (event.delegateType, event.delegate);
                (What::Delegate { kind, delegate, valid_to: seconds(event.validTo) }, event.previousChange)
            }
            Registry::DIDAttributeChanged::SIGNATURE_HASH => {
                let event = parse::<Registry::DIDAttributeChanged>(log)?;
                let (name, value) = (event.name, event.value);
                (What::Attribute { name, value, valid_to: seconds(event.validTo) }, event.previousChange)
            }
            other => return Err(unknown(other)),
        };
        Ok((what, number(previous)?))
    }
}

fn parse<E: SolEvent>(log: &Log) -> Result<E, Reason> {
    E::decode_log_data_validate(&log.inner.data)
        .map_err(|_| "the topics or the data of a log are not those of its event".to_owned())
}

/// A moment beyond 64 bits is as far off as any.
fn seconds(value: U256) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn number(value: U256) -> Result<u64, Reason> {
    u64::try_from(value).map_err(|_| format!("{value} is no block number"))
}

fn unknown(signature: B256) -> Reason {
    format!("a log has the signature {signature}, which was not asked for")
}

fn said(error: impl ToString) -> Reason {
    error.to_string().chars().take(512).collect()
}
