//! Signatures as values, shown in hexadecimal; and strict reading of signed arrays and maps.

use alloc::string::String;
use core::{fmt, str::FromStr};

use minicbor::{Decode, Encode};

/// A signature by a device or node, 64 bytes: for Ed25519 R and S (RFC 8032), for ECDSA r and the lower s, big-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Signature(#[cbor(with = "minicbor::bytes")] pub [u8; 64]);

/// An owner's secp256k1 signature over an EIP-712 hash: r, s, v, 65 bytes. v is 27 or 28; 0 and 1 are read as those.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct OwnerSignature(#[cbor(with = "minicbor::bytes")] pub [u8; 65]);

macro_rules! shown_in_hexadecimal {
    ($($type:ident: $len:literal),+) => {$(
        impl $type {
            /// Bytes of a signature.
            pub const LEN: usize = $len;
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", hex::encode(self.0))
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $type {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

shown_in_hexadecimal!(Signature: 64, OwnerSignature: 65);

/// Begins an array that must have exactly `len` items: what is signed has no room for anything else.
pub(crate) fn array_of(d: &mut minicbor::Decoder<'_>, len: u64) -> Result<(), minicbor::decode::Error> {
    let at = d.position();
    match d.array()? {
        Some(found) if found == len => Ok(()),
        _ => Err(minicbor::decode::Error::message(format_args!("an array of {len} items")).at(at)),
    }
}

/// Begins a map that must have exactly the keys 1 to `len`.
pub(crate) fn map_of(d: &mut minicbor::Decoder<'_>, len: u64) -> Result<(), minicbor::decode::Error> {
    let at = d.position();
    match d.map()? {
        Some(found) if found == len => Ok(()),
        _ => Err(minicbor::decode::Error::message(format_args!("a map of {len} fields")).at(at)),
    }
}

/// Reads the key `expected` of a map.
pub(crate) fn map_key(d: &mut minicbor::Decoder<'_>, expected: u8) -> Result<(), minicbor::decode::Error> {
    let at = d.position();
    if d.u8()? == expected {
        Ok(())
    } else {
        Err(minicbor::decode::Error::message(format_args!("the field {expected}")).at(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use depin_core::cbor;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn signatures_are_read_back(device: [u8; 64], owner: [u8; 65]) {
            let (device, owner) = (Signature(device), OwnerSignature(owner));
            prop_assert_eq!(device.to_string().parse::<Signature>().unwrap(), device);
            prop_assert_eq!(cbor::from_slice::<OwnerSignature>(&cbor::to_vec(&owner)).unwrap(), owner);
            let json = serde_json::to_string(&(device, owner)).unwrap();
            prop_assert_eq!(serde_json::from_str::<(Signature, OwnerSignature)>(&json).unwrap(), (device, owner));
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let long = Signature([7; 64]).to_string();
        assert!(long[..128].parse::<Signature>().is_err());
        assert!(long.parse::<OwnerSignature>().is_err());
        assert!(cbor::from_slice::<Signature>(&cbor::to_vec(&OwnerSignature([7; 65]))).is_err());
    }
}
