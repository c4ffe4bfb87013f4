//! Merkle claims: OpenZeppelin's `standard-v1` tree over (address, uint256).

use alloy_primitives::{Address, B256, keccak256};
use depin_core::Amount;
#[cfg(feature = "parallel")]
use rayon::prelude::*;
use serde::Serialize;

use hash::{Block, Times, hash_all};

mod hash;
#[cfg(all(feature = "simd", target_arch = "x86_64"))]
mod wide;

/// Longest proof accepted: a tree of 2^64 leaves.
pub const MAX_PROOF: usize = 64;

/// Leaves or nodes hashed by one task.
#[cfg(feature = "parallel")]
const GRAIN: usize = 1024;

/// The payouts of an epoch as a Merkle tree, the same as npm `@openzeppelin/merkle-tree` 1.0.8 builds with
/// `StandardMerkleTree.of(values, ["address", "uint256"])`.
///
/// A leaf is `keccak256(keccak256(abi.encode(account, amount)))`, a node the hash of its two children in ascending order. The
/// nodes are a complete binary heap of `2n - 1` places, root first, with the ascending leaves from its end backwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimTree {
    /// In ascending order of accounts.
    payouts: Vec<(Address, Amount)>,
    nodes: Vec<B256>,
}

/// Why there is no claim tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// No payouts.
    #[error("there are no payouts; post no root for an epoch that pays nobody")]
    Empty,
    /// An account twice.
    #[error("{account} has two payouts; add them up, a claim is taken once per epoch")]
    Duplicate {
        /// The account.
        account: Address,
    },
}

impl ClaimTree {
    /// The tree over `payouts` (account, base units), in any order.
    ///
    /// # Errors
    /// [`ClaimError`].
    pub fn new(mut payouts: Vec<(Address, Amount)>) -> Result<Self, ClaimError> {
        sort_by_account(&mut payouts);
        if let Some((one, _)) = payouts.iter().zip(payouts.iter().skip(1)).find(|(one, next)| one.0 == next.0)
        {
            return Err(ClaimError::Duplicate { account: one.0 });
        }
        if payouts.is_empty() {
            return Err(ClaimError::Empty);
        }
        let inner = payouts.len().saturating_sub(1);
        let mut nodes = vec![B256::ZERO; inner.saturating_add(payouts.len())];
        write_descending_leaves(&payouts, nodes.get_mut(inner..).unwrap_or_default());
        hash_inner_nodes(&mut nodes, inner);
        Ok(Self { payouts, nodes })
    }

    /// The root.
    pub fn root(&self) -> B256 {
        self.nodes.first().copied().unwrap_or_default()
    }

    /// The payouts (account, base units), in ascending order of accounts.
    pub fn payouts(&self) -> &[(Address, Amount)] {
        &self.payouts
    }

    /// The sum of the payouts, or `None` when it exceeds 2^128 - 1.
    pub fn total(&self) -> Option<Amount> {
        Amount::sum(self.payouts.iter().map(|(_, amount)| *amount)).ok()
    }

    /// What `account` is owed, and the proof of it: the siblings from its leaf up to the root. `None` if it is owed nothing.
    pub fn proof(&self, account: Address) -> Option<(Amount, Vec<B256>)> {
        let at = self.payouts.binary_search_by_key(&account, |(account, _)| *account).ok()?;
        let (_, amount) = self.payouts.get(at)?;
        let mut index = self.leaf_index(account, *amount)?;
        let mut proof = Vec::new();
        while index > 0 {
            // Of two siblings the left one has the odd index.
            let sibling = if index & 1 == 1 { index.checked_add(1)? } else { index.checked_sub(1)? };
            proof.push(*self.nodes.get(sibling)?);
            index = index.checked_sub(1)? >> 1;
        }
        Some((*amount, proof))
    }

    /// The tree as npm `StandardMerkleTree.load` reads it, values in ascending order of accounts.
    ///
    /// # Errors
    /// Those of the serializer; none is known.
    pub fn to_openzeppelin_json(&self) -> Result<String, serde_json::Error> {
        let values = self
            .payouts
            .iter()
            .filter_map(|(account, amount)| {
                Some(DumpValue {
                    value: (*account, *amount),
                    tree_index: self.leaf_index(*account, *amount)?,
                })
            })
            .collect();
        serde_json::to_string(&Dump {
            format: "standard-v1",
            leaf_encoding: ["address", "uint256"],
            tree: &self.nodes,
            values,
        })
    }

    /// Where a leaf stands among the nodes. The leaves descend, so it is found by bisection.
    fn leaf_index(&self, account: Address, amount: Amount) -> Option<usize> {
        let leaf = leaf_hash(account, amount);
        let inner = self.payouts.len().checked_sub(1)?;
        let at = self.nodes.get(inner..)?.binary_search_by(|node| leaf.cmp(node)).ok()?;
        inner.checked_add(at)
    }
}

/// Whether `proof` shows that `root` pays `amount` base units to `account`.
pub fn verify(root: B256, account: Address, amount: Amount, proof: &[B256]) -> bool {
    proof.len() <= MAX_PROOF
        && proof
            .iter()
            .fold(leaf_hash(account, amount), |node, sibling| keccak256(pair_block(&node, sibling)))
            == root
}

/// `keccak256(keccak256(abi.encode(account, amount)))`. Hashed twice, so that no inner node can pass for a leaf.
pub fn leaf_hash(account: Address, amount: Amount) -> B256 {
    keccak256(keccak256(leaf_block(account, amount)))
}

/// `abi.encode(account, amount)`.
fn leaf_block(account: Address, amount: Amount) -> Block {
    let mut block = [0; 64];
    block[12..32].copy_from_slice(account.as_slice());
    block[48..].copy_from_slice(&amount.0.to_be_bytes());
    block
}

fn pair_block(a: &B256, b: &B256) -> Block {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut block = [0; 64];
    block[..32].copy_from_slice(low.as_slice());
    block[32..].copy_from_slice(high.as_slice());
    block
}

fn sort_by_account(payouts: &mut [(Address, Amount)]) {
    // The order is total only without duplicates, and those are refused next.
    #[cfg(feature = "parallel")]
    payouts.par_sort_unstable_by_key(|payout| payout.0);
    #[cfg(not(feature = "parallel"))]
    payouts.sort_unstable_by_key(|payout| payout.0);
}

/// Fills `leaves`, one for each payout, and sorts them.
fn write_descending_leaves(payouts: &[(Address, Amount)], leaves: &mut [B256]) {
    let hash = |(payouts, leaves): (&[(Address, Amount)], &mut [B256])| {
        let blocks = payouts.iter().map(|(account, amount)| leaf_block(*account, *amount));
        hash_all(blocks, Times::Twice, leaves);
    };
    #[cfg(feature = "parallel")]
    {
        payouts.par_chunks(GRAIN).zip(leaves.par_chunks_mut(GRAIN)).for_each(hash);
        leaves.par_sort_unstable_by(|a, b| b.cmp(a));
    }
    #[cfg(not(feature = "parallel"))]
    {
        hash((payouts, leaves));
        leaves.sort_unstable_by(|a, b| b.cmp(a));
    }
}

/// Fills the first `inner` nodes, from the last one up: the children of node `i` are `2i + 1` and `2i + 2`.
fn hash_inner_nodes(nodes: &mut [B256], inner: usize) {
    let mut end = inner;
    while end > 0 {
        // The children of every node from `start` on lie at `end` or beyond, so these can be hashed at once.
        let start = end >> 1;
        let (parents, children) = nodes.split_at_mut(end);
        let parents = parents.get_mut(start..).unwrap_or_default();
        // 2 * start + 1 - end: 1 if `end` is even, 0 if it is odd.
        let children = children.get(usize::from(end & 1 == 0)..).unwrap_or_default();
        let (pairs, _) = children.as_chunks::<2>();
        hash_level(parents, pairs);
        end = start;
    }
}

fn hash_level(parents: &mut [B256], pairs: &[[B256; 2]]) {
    let hash = |(parents, pairs): (&mut [B256], &[[B256; 2]])| {
        hash_all(pairs.iter().map(|[left, right]| pair_block(left, right)), Times::Once, parents);
    };
    #[cfg(feature = "parallel")]
    parents.par_chunks_mut(GRAIN).zip(pairs.par_chunks(GRAIN)).for_each(hash);
    #[cfg(not(feature = "parallel"))]
    hash((parents, pairs));
}

/// OpenZeppelin's dump format.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dump<'a> {
    format: &'static str,
    leaf_encoding: [&'static str; 2],
    tree: &'a [B256],
    values: Vec<DumpValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DumpValue {
    value: (Address, Amount),
    tree_index: usize,
}
