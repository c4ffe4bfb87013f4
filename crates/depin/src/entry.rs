//! What the journal records: everything from outside that can move a payout, before it is used.

use std::sync::Arc;

use depin_core::{DeviceId, Digest, Epoch, Located, Side, SignedDeal, Text, Timestamp};
use depin_proof::Beacon;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::log::leaf_of;

/// One entry of the journal. Its canonical bytes are a leaf of the Merkle log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Entry {
    /// A report that passed the checks at the door.
    #[n(0)]
    #[cbor(array)]
    Report {
        /// When the node received it.
        #[n(0)]
        received: Timestamp,
        /// The envelope as it came. Most of an epoch's bytes are envelopes, so copies of an entry share it.
        #[n(1)]
        #[cbor(with = "shared")]
        #[serde(with = "shared")]
        envelope: Arc<[u8]>,
    },
    /// A report under a registered key that was refused, in full but for the envelope itself.
    #[n(1)]
    #[cbor(array)]
    Refused {
        /// When the node received it.
        #[n(0)]
        received: Timestamp,
        /// SHA-256 of the envelope.
        #[n(1)]
        report: Digest,
        /// Why.
        #[n(2)]
        refusal: Refusal,
    },
    /// A deal a customer signed.
    #[n(2)]
    #[cbor(array)]
    Deal {
        /// When the node received it.
        #[n(0)]
        received: Timestamp,
        /// The deal.
        #[n(1)]
        deal: SignedDeal,
    },
    /// An event of the network's contracts in a final block.
    #[n(3)]
    #[cbor(array)]
    Chain {
        /// The event and where it is.
        #[n(0)]
        located: Located,
    },
    /// The newest final block that the events so far were read up to.
    #[n(4)]
    #[cbor(array)]
    Block {
        /// Its number.
        #[n(0)]
        number: u64,
        /// Its hash.
        #[n(1)]
        hash: Digest,
    },
    /// An epoch opened. Its deadlines follow from this moment and the network's parameters.
    #[n(5)]
    #[cbor(array)]
    Opened {
        /// The epoch.
        #[n(0)]
        epoch: Epoch,
        /// When.
        #[n(1)]
        at: Timestamp,
        /// Digest of the parameters it is counted by.
        #[n(2)]
        params: Digest,
    },
    /// The beacon of an epoch became known.
    #[n(6)]
    #[cbor(array)]
    Beacon {
        /// When.
        #[n(0)]
        received: Timestamp,
        /// The beacon.
        #[n(1)]
        beacon: Beacon,
    },
    /// The end of an epoch: what comes later belongs to the next.
    #[n(7)]
    #[cbor(array)]
    Cut {
        /// The epoch that ends.
        #[n(0)]
        epoch: Epoch,
        /// When.
        #[n(1)]
        at: Timestamp,
    },
    /// The credentials that a device showed: what admits it, if they hold at this moment.
    #[n(8)]
    #[cbor(array)]
    Presented {
        /// When the node received them.
        #[n(0)]
        received: Timestamp,
        /// The device.
        #[n(1)]
        device: DeviceId,
        /// JSON as it came; see [`crate::admission`].
        #[n(2)]
        #[cbor(with = "shared")]
        #[serde(with = "shared")]
        credentials: Arc<[u8]>,
    },
    /// A status list by which a credential that a device was admitted by is revoked.
    #[n(9)]
    #[cbor(array)]
    Revoked {
        /// When the node received it.
        #[n(0)]
        received: Timestamp,
        /// The device.
        #[n(1)]
        device: DeviceId,
        /// The credential that holds the list, JSON as it came.
        #[n(2)]
        #[cbor(with = "shared")]
        #[serde(with = "shared")]
        list: Arc<[u8]>,
    },
}

/// Shared bytes: a byte string in CBOR, hexadecimal digits in JSON.
mod shared {
    use std::sync::Arc;

    use depin_core::cbor::hex_string;
    use minicbor::{Decoder, Encoder, encode::Write};
    use serde::{Deserializer, Serializer};

    pub(super) fn encode<C, W: Write>(
        bytes: &Arc<[u8]>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(bytes).map(|_| ())
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Arc<[u8]>, minicbor::decode::Error> {
        d.bytes().map(Arc::from)
    }

    pub(super) fn serialize<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        hex_string::serialize(bytes, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
        hex_string::deserialize(deserializer).map(Arc::from)
    }
}

/// Why a report was refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Refusal {
    /// The device whose key it names; none when that key is not registered.
    #[n(0)]
    pub device: Option<DeviceId>,
    /// The reason in one word.
    #[n(1)]
    pub reason: Text,
    /// Whose side it lies on.
    #[n(2)]
    pub side: Side,
    /// What was observed, for people; hostile when shown.
    #[n(3)]
    pub observed: String,
    /// What was expected, and what to do next.
    #[n(4)]
    pub limit: String,
}

/// An entry and its position in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Indexed {
    /// The position, counted from 0 over the life of the journal.
    #[n(0)]
    pub index: u64,
    /// The entry.
    #[n(1)]
    pub entry: Entry,
}

impl Entry {
    /// The entry's leaf in the log.
    pub fn leaf(&self) -> Digest {
        leaf_of(self)
    }

    /// When the node wrote it down, for entries that carry a time.
    pub const fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Report { received, .. }
            | Self::Refused { received, .. }
            | Self::Deal { received, .. }
            | Self::Presented { received, .. }
            | Self::Revoked { received, .. }
            | Self::Beacon { received, .. } => Some(*received),
            Self::Opened { at, .. } | Self::Cut { at, .. } => Some(*at),
            Self::Chain { .. } | Self::Block { .. } => None,
        }
    }
}
