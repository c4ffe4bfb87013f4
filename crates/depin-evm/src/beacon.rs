//! A beacon from the chain: the first final block at or after a moment.

use std::sync::Mutex;

use alloy::{
    consensus::Header,
    rlp::{Decodable, Encodable},
};
use async_trait::async_trait;
use depin_core::{Epoch, Text, Timestamp, cbor, sha256};
use depin_proof::{Beacon, BeaconCheckError, BeaconError, BeaconRule, BeaconSource};
use minicbor::{Decode, Encode};

use crate::{Client, Finality, HeaderError, final_block, header};

/// The kind of these beacons.
pub const BLOCK_BEACON: &str = "block";

/// When each epoch's beacon falls: `first + epoch * length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    /// The moment of epoch 0.
    pub first: Timestamp,
    /// From one moment to the next, in milliseconds.
    pub length: depin_core::Millis,
}

impl Moments {
    /// The moment of `epoch` in the chain's unit, seconds, rounded up; none beyond the end of time.
    fn seconds(&self, epoch: Epoch) -> Option<u64> {
        let offset = self.length.0.checked_mul(epoch.0)?;
        Some(self.first.0.checked_add(offset)?.div_ceil(1000))
    }
}

/// What shows that a block is the first one at or after a moment: its header and its parent's, as RLP.
#[derive(Encode, Decode)]
#[cbor(array)]
struct Proof {
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    parent: Vec<u8>,
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    header: Vec<u8>,
}

/// The rule of block beacons: the value is SHA-256 of `depin/beacon/block/v1` and the hash of the block; the round is its number.
///
/// It shows that block and parent fit the moment and each other. That they are on the chain is what the node read there, and what the
/// journal recorded. Whoever builds the block can choose among a few hashes, and a reorganisation deeper than the finality that was
/// waited for changes it.
#[derive(Clone, Copy, Debug)]
pub struct BlockBeaconRule {
    /// When each beacon falls.
    pub moments: Moments,
}

impl BeaconRule for BlockBeaconRule {
    fn kind(&self) -> Text {
        BLOCK_BEACON.into()
    }

    fn derive(&self, epoch: Epoch, round: u64, proof: &[u8]) -> Result<[u8; 32], BeaconCheckError> {
        let refused = |reason: &str| BeaconCheckError::Proof { reason: reason.to_owned() };
        let proof: Proof = cbor::from_slice(proof).map_err(|error| refused(&error.to_string()))?;
        let header = decode(&proof.header).ok_or_else(|| refused("no block header"))?;
        let parent = decode(&proof.parent).ok_or_else(|| refused("no parent header"))?;
        let moment = self.moments.seconds(epoch).ok_or_else(|| refused("an epoch beyond the end of time"))?;
        if header.number != round || parent.number.checked_add(1) != Some(round) {
            return Err(refused("headers of other blocks than the round says"));
        }
        if header.parent_hash != parent.hash_slow() {
            return Err(refused("the parent is another block's"));
        }
        if header.timestamp < moment || parent.timestamp >= moment {
            return Err(refused("not the first block at or after the moment"));
        }
        Ok(sha256(&[b"depin/beacon/block/v1", header.hash_slow().as_slice()]).0)
    }
}

/// Decodes a header that encodes to the same bytes again, so that it has one proof only.
fn decode(bytes: &[u8]) -> Option<Header> {
    let mut rest = bytes;
    let header = Header::decode(&mut rest).ok()?;
    (rest.is_empty() && alloy::rlp::encode(&header) == bytes).then_some(header)
}

/// Block beacons of a chain.
#[derive(Debug)]
pub struct BlockBeacon {
    client: Client,
    finality: Finality,
    rule: BlockBeaconRule,
    /// The block of the last beacon found: later moments are searched from there.
    floor: Mutex<Floor>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    number: u64,
    timestamp: u64,
}

impl BlockBeacon {
    /// Beacons from `client`, of blocks that are final by `finality`.
    pub fn new(client: Client, finality: Finality, moments: Moments) -> Self {
        Self { client, finality, rule: BlockBeaconRule { moments }, floor: Mutex::default() }
    }

    /// The rule that checks these beacons.
    pub const fn rule(&self) -> BlockBeaconRule {
        self.rule
    }

    /// The number of the first block at or after `moment`, if it is final. Timestamps never fall, so it is found by halving.
    async fn first_at(&self, moment: u64) -> Result<Option<u64>, HeaderError> {
        let Some(head) = final_block(&self.client, self.finality).await? else { return Ok(None) };
        if head.timestamp < moment {
            return Ok(None);
        }
        let floor = self.floor();
        // Invariant: the block `low` is before the moment (or is genesis), the block `high` is not.
        let mut low = if floor.timestamp < moment && floor.number < head.number { floor.number } else { 0 };
        let mut high = head.number;
        while low.saturating_add(1) < high {
            let middle = low.midpoint(high);
            let found = header(&self.client, middle).await?;
            if found.timestamp < moment { low = middle } else { high = middle }
        }
        Ok((high > 0).then_some(high))
    }

    fn floor(&self) -> Floor {
        *self.floor.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl BeaconSource for BlockBeacon {
    async fn beacon(&self, epoch: Epoch) -> Result<Option<Beacon>, BeaconError> {
        let unavailable = |error: HeaderError| BeaconError::Unavailable {
            kind: BLOCK_BEACON.into(),
            reason: error.to_string(),
        };
        let Some(moment) = self.rule.moments.seconds(epoch) else { return Ok(None) };
        let Some(round) = self.first_at(moment).await.map_err(unavailable)? else { return Ok(None) };
        let block = header(&self.client, round).await.map_err(unavailable)?;
        let parent = header(&self.client, round.saturating_sub(1)).await.map_err(unavailable)?;
        let proof = cbor::to_vec(&Proof { parent: rlp(&parent), header: rlp(&block) });
        let value = self.rule.derive(epoch, round, &proof)?;
        *self.floor.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Floor { number: parent.number, timestamp: parent.timestamp };
        Ok(Some(Beacon { kind: BLOCK_BEACON.into(), epoch, round, value, proof }))
    }
}

fn rlp(header: &Header) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(header.length());
    header.encode(&mut bytes);
    bytes
}
