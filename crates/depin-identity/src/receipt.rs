//! Receipts: what a node signs for a report it has made durable, so that leaving it out later can be proved.

use alloc::vec::Vec;

use depin_core::{
    Digest, Epoch, KeyType, NetworkId, Timestamp, TypedKey,
    cbor::{self, CborError},
    sha256,
};
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::{Deserialize, Serialize};

use crate::{
    DeviceSigner, PublicKey, SigPolicy, Sign1Error, SignError, SoftwareKey,
    bytes::{array_of, map_key, map_of},
    key::NODE_KEYS,
    sign1::{self, Context, Sign1},
};

/// Size and root of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Head {
    /// Number of entries.
    #[n(0)]
    pub size: u64,
    /// Root of the Merkle tree over them (RFC 9162, 2.1.1).
    #[n(1)]
    pub root: Digest,
}

/// A node's word that a report is in its journal, at this position, under this head.
///
/// Signed as a COSE_Sign1 with the external AAD `"depin/receipt/v1"` and the network id. The payload is the CBOR map
/// `{1: report, 2: index, 3: received, 4: epoch, 5: leaf, 6: [size, root], 7: [hash, …]}` with every field present. The signature binds the
/// size of the head, which a root alone does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// SHA-256 of the envelope as received.
    pub report: Digest,
    /// Position of its entry in the journal, from 0.
    pub index: u64,
    /// When the node received it.
    pub received: Timestamp,
    /// The epoch it counts for.
    pub epoch: Epoch,
    /// The leaf hash of its entry (RFC 9162, 2.1.1: SHA-256 of a zero byte and the entry).
    pub leaf: Digest,
    /// A head that covers the entry.
    pub head: Head,
    /// The inclusion proof of the leaf under the head, from the leaf upwards; at most 64 hashes.
    pub proof: Vec<Digest>,
}

/// Why bytes are no receipt of the expected node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not our COSE profile, or not by this key.
    #[error(transparent)]
    Sign1(#[from] Sign1Error),
    /// Signed by the key, but not a receipt.
    #[error("the signed payload is no receipt: {0}")]
    Payload(#[from] CborError),
}

/// Why a leaf is not shown to be under a head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InclusionError {
    /// A position beyond the head.
    #[error("the entry {index} is not among the {size} entries of the head; ask for a later head")]
    Index {
        /// The position.
        index: u64,
        /// Entries under the head.
        size: u64,
    },
    /// A proof of another length than position and size demand.
    #[error("the inclusion proof has {found} hashes, which does not fit the entry {index} of {size}")]
    Length {
        /// Hashes found.
        found: usize,
        /// The position.
        index: u64,
        /// Entries under the head.
        size: u64,
    },
    /// The proof leads to another root.
    #[error(
        "the inclusion proof leads to {found}; the head's root is {expected}: keep the receipt as evidence"
    )]
    Root {
        /// The head's root.
        expected: Digest,
        /// Where the proof leads.
        found: Digest,
    },
}

impl Receipt {
    /// Most hashes of a proof: a log of 2^64 entries needs no more.
    pub const MAX_PROOF: usize = 64;
    /// Most bytes of a signed receipt.
    pub const MAX: usize = 4096;

    /// The receipt, signed by a node for `network`.
    ///
    /// # Errors
    /// [`SignError`] when the proof is too long, the key not Ed25519, or the signer fails.
    pub async fn sign(&self, signer: &dyn DeviceSigner, network: NetworkId) -> Result<Vec<u8>, SignError> {
        self.check_signer(signer.public_key())?;
        sign1::sign(signer, context(network), &cbor::to_vec(self)).await
    }

    /// The same with a key in memory.
    ///
    /// # Errors
    /// [`SignError`] when the proof is too long or the key not Ed25519.
    pub fn sign_with(&self, key: &SoftwareKey, network: NetworkId) -> Result<Vec<u8>, SignError> {
        self.check_signer(key.public().typed())?;
        sign1::sign_with(key, context(network), &cbor::to_vec(self))
    }

    /// Reads a receipt that the node with the key `node` signed for `network`.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn parse_and_verify(
        bytes: &[u8],
        node: &PublicKey,
        network: NetworkId,
    ) -> Result<Self, ReceiptError> {
        let message = Sign1::parse(bytes, Self::MAX)?;
        if node.key_type() != KeyType::Ed25519 {
            let (found, expected) = (node.key_type(), KeyType::Ed25519);
            return Err(Sign1Error::Algorithm { found, expected }.into());
        }
        message.verify(node, context(network), SigPolicy::Strict)?;
        Ok(cbor::from_slice(message.payload)?)
    }

    /// Checks that the leaf is under the head, at the position the receipt names.
    ///
    /// # Errors
    /// [`InclusionError`]; the signed receipt is then evidence against the node.
    pub fn check_inclusion(&self) -> Result<(), InclusionError> {
        check_inclusion(self.leaf, self.index, &self.proof, &self.head)
    }

    fn check_signer(&self, node: TypedKey) -> Result<(), SignError> {
        if node.key_type() != KeyType::Ed25519 {
            return Err(SignError::KeyType { found: node.key_type(), expected: NODE_KEYS });
        }
        self.check()
    }

    fn check(&self) -> Result<(), SignError> {
        if self.proof.len() > Self::MAX_PROOF {
            return Err(SignError::Proof { found: self.proof.len(), max: Self::MAX_PROOF });
        }
        Ok(())
    }
}

/// Checks that the leaf with this leaf hash is entry `index` under `head` (RFC 9162, 2.1.3.2). The size is only as good as the signature
/// that states it.
///
/// # Errors
/// [`InclusionError`].
pub fn check_inclusion(
    leaf: Digest,
    index: u64,
    proof: &[Digest],
    head: &Head,
) -> Result<(), InclusionError> {
    let size = head.size;
    let last = size.checked_sub(1).filter(|last| index <= *last);
    let mut last = last.ok_or(InclusionError::Index { index, size })?;
    let wrong_length = InclusionError::Length { found: proof.len(), index, size };
    let mut node = index;
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            hash = sha256(&[&[1], sibling.as_bytes(), hash.as_bytes()]);
            // A node without a sibling rises until it is a right child.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = sha256(&[&[1], hash.as_bytes(), sibling.as_bytes()]);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if hash != head.root {
        return Err(InclusionError::Root { expected: head.root, found: hash });
    }
    Ok(())
}

const fn context(network: NetworkId) -> Context {
    Context { kind: "depin/receipt/v1", network }
}

impl<C> Encode<C> for Receipt {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.map(7)?;
        self.report.encode(e.u8(1)?, ctx)?;
        e.u8(2)?.u64(self.index)?;
        self.received.encode(e.u8(3)?, ctx)?;
        self.epoch.encode(e.u8(4)?, ctx)?;
        self.leaf.encode(e.u8(5)?, ctx)?;
        e.u8(6)?.array(2)?.u64(self.head.size)?;
        self.head.root.encode(e, ctx)?;
        self.proof.encode(e.u8(7)?, ctx)
    }
}

/// Signed, so read strictly: the seven fields and nothing else.
impl<'b, C> Decode<'b, C> for Receipt {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        map_of(d, 7)?;
        map_key(d, 1)?;
        let report = Digest::decode(d, ctx)?;
        map_key(d, 2)?;
        let index = d.u64()?;
        map_key(d, 3)?;
        let received = Timestamp::decode(d, ctx)?;
        map_key(d, 4)?;
        let epoch = Epoch::decode(d, ctx)?;
        map_key(d, 5)?;
        let leaf = Digest::decode(d, ctx)?;
        map_key(d, 6)?;
        array_of(d, 2)?;
        let head = Head { size: d.u64()?, root: Digest::decode(d, ctx)? };
        map_key(d, 7)?;
        let proof = Vec::decode(d, ctx)?;
        let receipt = Self { report, index, received, epoch, leaf, head, proof };
        receipt.check().map_err(minicbor::decode::Error::message)?;
        Ok(receipt)
    }
}
