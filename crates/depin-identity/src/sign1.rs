//! The one COSE_Sign1 profile (RFC 9052, 4.2) of everything a device or node signs.
//!
//! Tag 18, definite lengths, shortest forms, `[protected, {}, payload, signature]`. Protected is exactly `{1: -8, 4: kid}`, EdDSA and the
//! 16-byte key id. The external AAD is the message type and the network, so that nothing signed for one serves the other.

use std::convert::Infallible;

use depin_core::{
    KeyId, KeyType, NetworkId,
    cbor::{self, CborError},
};
use minicbor::{Decoder, Encoder, data::Tag};

use crate::{DeviceSigner, PublicKey, SignError, Signature, SignatureBatch, SoftwareKey, WrongSignature};

/// Why bytes are no message of our profile, or not by the expected key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Sign1Error {
    /// More bytes than this type of message may have.
    #[error("the message has {found} bytes; send at most {max}")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not one deterministically encoded item.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Another structure than COSE_Sign1 in our profile.
    #[error(
        "not a COSE_Sign1 of the depin profile: expected {expected}; sign with depin-identity or see its README"
    )]
    Profile {
        /// The part that differs, as it should be.
        expected: &'static str,
    },
    /// Names another key than the one it was checked against.
    #[error("the message names the key {found}; it was checked against {expected}")]
    KeyId {
        /// The key it names.
        found: KeyId,
        /// The key it was checked against.
        expected: KeyId,
    },
    /// The signature is wrong.
    #[error(transparent)]
    Signature(#[from] WrongSignature),
}

/// COSE_Sign1 (RFC 9052, table 1).
const SIGN1: Tag = Tag::new(18);

/// What a message is for, and where.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    /// The type of message, with its version.
    pub(crate) kind: &'static str,
    /// The network.
    pub(crate) network: NetworkId,
}

/// A message whose form is right. Nothing is known of its signature yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sign1<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) key_id: KeyId,
    pub(crate) payload: &'a [u8],
    protected: &'a [u8],
    signature: Signature,
}

impl<'a> Sign1<'a> {
    /// Checks the form of `bytes`.
    pub(crate) fn parse(bytes: &'a [u8], max: usize) -> Result<Self, Sign1Error> {
        if bytes.len() > max {
            return Err(Sign1Error::TooLarge { found: bytes.len(), max });
        }
        cbor::check(bytes)?;
        let profile = |expected| Sign1Error::Profile { expected };
        let mut decoder = Decoder::new(bytes);
        if !decoder.tag().is_ok_and(|tag| tag == SIGN1) {
            return Err(profile("tag 18"));
        }
        if !decoder.array().is_ok_and(|len| len == Some(4)) {
            return Err(profile("an array of 4"));
        }
        let protected = decoder.bytes().map_err(|_| profile("protected headers in a byte string"))?;
        let key_id = read_protected(protected)?;
        if !decoder.map().is_ok_and(|len| len == Some(0)) {
            return Err(profile("no unprotected headers"));
        }
        let payload = decoder.bytes().map_err(|_| profile("an attached payload"))?;
        let signature = decoder.bytes().ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let signature = Signature(signature.ok_or(profile("a signature of 64 bytes"))?);
        Ok(Self { bytes, key_id, payload, protected, signature })
    }

    /// Checks key id and signature, over the bytes as they were received.
    pub(crate) fn verify(&self, key: &PublicKey, context: Context) -> Result<(), Sign1Error> {
        Ok(key.verify(&self.signed_by(key, context)?, &self.signature)?)
    }

    /// Checks the key id and has the signature wait in `batch`.
    pub(crate) fn verify_later(
        &self,
        key: &PublicKey,
        context: Context,
        batch: &mut SignatureBatch,
    ) -> Result<(), Sign1Error> {
        batch.push(key, &self.signed_by(key, context)?, &self.signature);
        Ok(())
    }

    /// What `key` signed, if it is the key that the message names.
    fn signed_by(&self, key: &PublicKey, context: Context) -> Result<Vec<u8>, Sign1Error> {
        if self.key_id != key.id() {
            return Err(Sign1Error::KeyId { found: self.key_id, expected: key.id() });
        }
        Ok(to_be_signed(self.protected, &context.aad(), self.payload))
    }
}

/// Signs `payload` with `signer`.
pub(crate) async fn sign(
    signer: &dyn DeviceSigner,
    context: Context,
    payload: &[u8],
) -> Result<Vec<u8>, SignError> {
    let key = signer.public_key();
    if key.key_type() != KeyType::Ed25519 {
        return Err(SignError::KeyType { found: key.key_type() });
    }
    let protected = protected(key.id());
    let signature = signer.sign(&to_be_signed(&protected, &context.aad(), payload)).await?;
    Ok(assemble(&protected, payload, &signature))
}

/// Signs `payload` with a key in memory.
pub(crate) fn sign_with(key: &SoftwareKey, context: Context, payload: &[u8]) -> Vec<u8> {
    let protected = protected(key.public().id());
    let signature = key.signature(&to_be_signed(&protected, &context.aad(), payload));
    assemble(&protected, payload, &signature)
}

impl Context {
    fn aad(self) -> Vec<u8> {
        [self.kind.as_bytes(), self.network.as_bytes()].concat()
    }
}

/// `{1: -8, 4: h'` up to the key id, and how long that is.
const PROTECTED_HEAD: [u8; 5] = [0xa2, 0x01, 0x27, 0x04, 0x50];

fn protected(key: KeyId) -> Vec<u8> {
    [PROTECTED_HEAD.as_slice(), &key.0].concat()
}

fn read_protected(protected: &[u8]) -> Result<KeyId, Sign1Error> {
    protected.strip_prefix(&PROTECTED_HEAD).and_then(|id| <[u8; 16]>::try_from(id).ok()).map(KeyId).ok_or(
        Sign1Error::Profile {
            expected: "protected headers {1: -8, 4: a key id of 16 bytes} and nothing else",
        },
    )
}

/// `Sig_structure` of RFC 9052, 4.4: `["Signature1", protected, external_aad, payload]`.
fn to_be_signed(protected: &[u8], aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len().saturating_add(128));
    let _: Written = Encoder::new(&mut bytes)
        .array(4)
        .and_then(|e| e.str("Signature1"))
        .and_then(|e| e.bytes(protected))
        .and_then(|e| e.bytes(aad))
        .and_then(|e| e.bytes(payload))
        .map(|_| ());
    bytes
}

fn assemble(protected: &[u8], payload: &[u8], signature: &Signature) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len().saturating_add(128));
    let _: Written = Encoder::new(&mut bytes)
        .tag(SIGN1)
        .and_then(|e| e.array(4))
        .and_then(|e| e.bytes(protected))
        .and_then(|e| e.map(0))
        .and_then(|e| e.bytes(payload))
        .and_then(|e| e.bytes(&signature.0))
        .map(|_| ());
    bytes
}

/// Writing to a `Vec` cannot fail: its error type is `Infallible`.
type Written = Result<(), minicbor::encode::Error<Infallible>>;

#[cfg(test)]
mod tests {
    use super::*;
    use depin_core::TypedKey;

    #[test]
    fn what_is_signed_is_the_sig_structure_of_the_cose_examples() {
        let Some(file) = depin_vectors::file("identity/cose-wg/eddsa-examples/eddsa-sig-01.json") else {
            return;
        };
        let example: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let bytes = |value: &serde_json::Value| hex::decode(value.as_str().unwrap()).unwrap();
        let message = bytes(&example["output"]["cbor"]);
        let read: coset::CoseSign1 = coset::TaggedCborSerializable::from_tagged_slice(&message).unwrap();
        let protected = read.protected.original_data.unwrap();
        let signed = to_be_signed(&protected, b"", b"This is the content.");
        assert_eq!(signed, bytes(&example["intermediates"]["ToBeSign_hex"]));
        let key = bytes(&example["input"]["sign0"]["key"]["x_hex"]).try_into().unwrap();
        let key = PublicKey::new(TypedKey::ed25519(&key)).unwrap();
        key.verify(&signed, &Signature(read.signature.try_into().unwrap())).unwrap();
    }

    #[test]
    fn a_cose_example_verifies_once_it_is_put_into_our_profile() {
        let Some(file) = depin_vectors::file("identity/cose-wg/eddsa-examples/eddsa-sig-01.json") else {
            return;
        };
        let example: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let seed = hex::decode(example["input"]["sign0"]["key"]["d_hex"].as_str().unwrap()).unwrap();
        let key = SoftwareKey::from_seed(seed.try_into().unwrap());
        assert_eq!(hex::encode(key.public().typed().key()), example["input"]["sign0"]["key"]["x_hex"]);
        let context = Context { kind: "", network: NetworkId::new(1, [0; 20].into()) };
        let message = sign_with(&key, context, b"This is the content.");
        Sign1::parse(&message, 1024).unwrap().verify(key.public(), context).unwrap();
    }
}
