//! What a customer wants, and pays for.

use alloc::vec::Vec;

use alloy_primitives::Address;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{Amount, DeviceId, Digest, Epoch, NetworkId, Text, Units, cbor};

/// The terms of a deal: a customer wants work from a device, at a price, for some epochs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Deal {
    /// The network it belongs to.
    #[n(0)]
    pub network: NetworkId,
    /// Who pays.
    #[n(1)]
    #[cbor(with = "address_cbor")]
    pub customer: Address,
    /// Who works.
    #[n(2)]
    pub device: DeviceId,
    /// The service, for example `storage`. It decides which verifier judges.
    #[n(3)]
    pub service: Text,
    /// SHA-256 of the subject: the bytes in which the service describes what is wanted.
    #[n(4)]
    pub subject: Digest,
    /// Full delivery in one epoch.
    #[n(5)]
    pub full: Units,
    /// The price of full delivery in one epoch; less delivery costs proportionally less.
    #[n(6)]
    pub price: Amount,
    /// First epoch.
    #[n(7)]
    pub first: Epoch,
    /// How many epochs.
    #[n(8)]
    pub epochs: u32,
    /// Tells apart deals that are otherwise equal.
    #[n(9)]
    pub nonce: u64,
}

/// A deal with the customer's EIP-712 signature and its subject.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct SignedDeal {
    /// The terms.
    #[n(0)]
    pub deal: Deal,
    /// The bytes whose SHA-256 is `deal.subject`.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "hex_string")]
    pub subject: Vec<u8>,
    /// The customer's signature: r, s, v.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "hex_string")]
    pub signature: Vec<u8>,
}

impl Deal {
    /// The id of the deal: SHA-256 of its canonical bytes.
    pub fn id(&self) -> Digest {
        cbor::sha256(&[], self)
    }

    /// Whether the deal covers `epoch`.
    pub fn covers(&self, epoch: Epoch) -> bool {
        epoch.0.checked_sub(self.first.0).is_some_and(|since| since < u64::from(self.epochs))
    }
}

/// An Ethereum address as a byte string of 20 bytes, for `#[cbor(with = "…")]`.
pub mod address_cbor {
    use alloy_primitives::Address;
    use minicbor::{Decoder, Encoder};

    /// Encodes `address`.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn encode<C, W: minicbor::encode::Write>(
        address: &Address,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(address.as_slice())?.ok()
    }

    /// Decodes 20 bytes.
    ///
    /// # Errors
    /// Anything else.
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Address, minicbor::decode::Error> {
        let at = d.position();
        Address::try_from(d.bytes()?)
            .map_err(|_| minicbor::decode::Error::message("an address of 20 bytes").at(at))
    }
}

/// Bytes as hexadecimal digits after `0x`, for `#[serde(with = "…")]`.
pub mod hex_string {
    use alloc::{format, string::String, vec::Vec};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Serializes `bytes`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(bytes)))
    }

    /// Deserializes hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// Anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text.strip_prefix("0x").unwrap_or(&text)).map_err(D::Error::custom)
    }
}
