//! Where payouts are posted and claimed.

use alloy_primitives::B256;
use async_trait::async_trait;
use depin_core::{Address, Amount, Digest, Epoch};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::claim::MAX_PROOF;

mod memory;

pub use memory::MemoryLedger;

/// What is posted for an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Payout {
    /// The root of the epoch's claim tree.
    #[n(0)]
    pub root: Digest,
    /// The sum of its claims.
    #[n(1)]
    pub total: Amount,
    /// The part of `total` that is service revenue; the rest is emission.
    #[n(2)]
    pub revenue: Amount,
    /// SHA-256 of the epoch's bundle.
    #[n(3)]
    pub bundle_digest: Digest,
    /// Length of the bundle in bytes.
    #[n(4)]
    pub bundle_length: u64,
    /// Root of the journal at its cut.
    #[n(5)]
    pub journal_root: Digest,
    /// Entries of the journal at its cut.
    #[n(6)]
    pub journal_size: u64,
    /// SHA-256 of the bundle before; zeros for the first.
    #[n(7)]
    pub previous_digest: Digest,
}

/// A payout taken with a Merkle proof.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct ClaimRequest {
    /// The epoch.
    #[n(0)]
    pub epoch: Epoch,
    /// Who is paid, whoever sends the claim.
    #[n(1)]
    #[cbor(with = "depin_core::cbor::address")]
    pub account: Address,
    /// How much.
    #[n(2)]
    pub amount: Amount,
    /// The siblings from the leaf up to the root; at most [`MAX_PROOF`].
    #[n(3)]
    #[cbor(with = "proof_cbor")]
    #[serde(deserialize_with = "deserialize_proof")]
    pub proof: Vec<B256>,
}

/// Whether posting changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Posted {
    /// The payout was posted now.
    Now,
    /// The same payout had been posted before; nothing was done.
    Before,
}

/// Where an epoch's payout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(flat)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PayoutStatus {
    /// Nothing is posted.
    #[n(0)]
    Missing,
    /// Posted; its dispute window is open.
    #[n(1)]
    Pending(#[n(0)] Payout),
    /// Disputed; a ruling or a deadline decides.
    #[n(2)]
    Contested,
    /// Final: it can be claimed, for ever.
    #[n(3)]
    Final(#[n(0)] Payout),
}

/// Why a ledger did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Nothing was set aside for the epoch.
    #[error("epoch {epoch} has not started on the ledger; start it, so that its caps are set aside")]
    NotStarted {
        /// The epoch.
        epoch: Epoch,
    },
    /// Another payout stands.
    #[error(
        "epoch {epoch} has another payout, with root {found} instead of {expected}; audit both bundles, then challenge or yield"
    )]
    Rival {
        /// The epoch.
        epoch: Epoch,
        /// The root that was to be posted.
        expected: Digest,
        /// The root that stands.
        found: Digest,
    },
    /// More than was set aside.
    #[error("epoch {epoch} pays {found} and {cap} was set aside; recompute it under its caps")]
    Cap {
        /// The epoch.
        epoch: Epoch,
        /// What was set aside.
        cap: Amount,
        /// What it would pay.
        found: Amount,
    },
    /// Claimed too early.
    #[error("the payout of epoch {epoch} is not final; claim when its window has passed")]
    NotFinal {
        /// The epoch.
        epoch: Epoch,
    },
    /// Claimed before.
    #[error("{account} has taken its payout of epoch {epoch}; leave it out")]
    AlreadyClaimed {
        /// The epoch.
        epoch: Epoch,
        /// The account.
        account: Address,
    },
    /// A proof of something else.
    #[error(
        "the proof does not show that epoch {epoch} pays {amount} to {account}; take amount and proof from the epoch's bundle"
    )]
    Proof {
        /// The epoch.
        epoch: Epoch,
        /// The account.
        account: Address,
        /// The amount claimed.
        amount: Amount,
    },
    /// The ledger cannot be reached or does not answer as it should.
    #[error("the ledger cannot be used: {0}")]
    Unavailable(#[source] Box<dyn core::error::Error + Send + Sync>),
}

/// Where payouts are posted and claimed: a distributor contract, or memory.
///
/// Every implementation runs [`crate::conformance`].
#[async_trait]
pub trait PayoutLedger: Send + Sync {
    /// Posts the payout of `epoch`. Posting the same one again does nothing, so it is safe to repeat after any failure.
    ///
    /// # Errors
    /// [`LedgerError`]; [`LedgerError::Rival`] when another payout is final, and, where the ledger lets nobody contest, when another
    /// one is pending.
    async fn post(&self, epoch: Epoch, payout: &Payout) -> Result<Posted, LedgerError>;

    /// Where the payout of `epoch` stands.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn status(&self, epoch: Epoch) -> Result<PayoutStatus, LedgerError>;

    /// Pays every claim to its account, or none of them.
    ///
    /// # Errors
    /// [`LedgerError`] for the first claim that cannot be paid.
    async fn claim(&self, claims: &[ClaimRequest]) -> Result<(), LedgerError>;

    /// Whether `account` has taken its payout of `epoch`.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    async fn claimed(&self, epoch: Epoch, account: Address) -> Result<bool, LedgerError>;
}

/// A bounded array of byte strings of 32 bytes.
mod proof_cbor {
    use alloy_primitives::B256;
    use minicbor::{Decoder, Encoder};

    use super::MAX_PROOF;

    pub(super) fn encode<C, W: minicbor::encode::Write>(
        proof: &[B256],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let len =
            u64::try_from(proof.len()).map_err(|_| minicbor::encode::Error::message("too many nodes"))?;
        e.array(len)?;
        proof.iter().try_for_each(|node| e.bytes(node.as_slice())?.ok())
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Vec<B256>, minicbor::decode::Error> {
        let at = d.position();
        let refused = || minicbor::decode::Error::message("a proof of at most 64 nodes of 32 bytes").at(at);
        let len = d.array()?.and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= MAX_PROOF);
        (0..len.ok_or_else(refused)?).map(|_| B256::try_from(d.bytes()?).map_err(|_| refused())).collect()
    }
}

fn deserialize_proof<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<B256>, D::Error> {
    let proof = Vec::<B256>::deserialize(deserializer)?;
    if proof.len() > MAX_PROOF {
        return Err(serde::de::Error::invalid_length(proof.len(), &"a proof of at most 64 nodes"));
    }
    Ok(proof)
}
