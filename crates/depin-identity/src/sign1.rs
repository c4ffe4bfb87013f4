//! The one COSE_Sign1 profile (RFC 9052, 4.2) of everything a device or node signs.
//!
//! Tag 18, definite lengths, shortest forms, `[protected, {}, payload, signature]`. Protected is exactly `{1: alg, 4: kid}`: the algorithm of the signer's type
//! of key (-8 EdDSA, -7 ES256, -47 ES256K) and the 16-byte key id. The external AAD is the message type and the network, so that nothing signed for one serves
//! the other.

use alloc::vec::Vec;
use core::convert::Infallible;

use depin_core::{
    KeyId, KeyType, NetworkId,
    cbor::{self, CborError},
};
use minicbor::{
    Decoder, Encoder,
    data::Tag,
    encode::write::{Cursor, EndOfArray},
};

use crate::{
    DeviceSigner, PublicKey, SigPolicy, SignError, Signature, SignatureBatch, SoftwareKey, WrongSignature,
    key::DEVICE_KEYS,
};

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
    /// Names an algorithm that is not the one of the key it was checked against.
    #[error(
        "the message is signed as with a key of type {found:?}; the key's is {expected:?}: sign with its algorithm"
    )]
    Algorithm {
        /// The type of key whose algorithm it names.
        found: KeyType,
        /// The type of the key.
        expected: KeyType,
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
    /// A claim: what is signed with is decided by the key that is registered under the key id.
    pub(crate) algorithm: KeyType,
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
        let (algorithm, key_id) = read_protected(protected)?;
        if !decoder.map().is_ok_and(|len| len == Some(0)) {
            return Err(profile("no unprotected headers"));
        }
        let payload = decoder.bytes().map_err(|_| profile("an attached payload"))?;
        let signature = decoder.bytes().ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        let signature = Signature(signature.ok_or(profile("a signature of 64 bytes"))?);
        Ok(Self { bytes, algorithm, key_id, payload, protected, signature })
    }

    /// Checks key id, algorithm and signature, over the bytes as they were received.
    pub(crate) fn verify(
        &self,
        key: &PublicKey,
        context: Context,
        policy: SigPolicy,
    ) -> Result<(), Sign1Error> {
        self.check_key(key)?;
        let signed = |parts: &[&[u8]]| key.verify_parts(policy, parts, &self.signature);
        Ok(to_be_signed(self.protected, context, self.payload, signed)?)
    }

    /// Checks key id and algorithm and has the signature wait in `batch`.
    pub(crate) fn verify_later(
        &self,
        key: &PublicKey,
        context: Context,
        batch: &mut SignatureBatch,
    ) -> Result<(), Sign1Error> {
        self.check_key(key)?;
        let signed = |parts: &[&[u8]]| batch.push_parts(key, parts, &self.signature);
        to_be_signed(self.protected, context, self.payload, signed);
        Ok(())
    }

    /// Whether `key` is the one that the message names, and signs as it says.
    fn check_key(&self, key: &PublicKey) -> Result<(), Sign1Error> {
        let (found, expected) = (self.key_id, key.id());
        if found != expected {
            return Err(Sign1Error::KeyId { found, expected });
        }
        let (found, expected) = (self.algorithm, key.key_type());
        if found == expected { Ok(()) } else { Err(Sign1Error::Algorithm { found, expected }) }
    }
}

/// Signs `payload` with `signer`.
pub(crate) async fn sign(
    signer: &dyn DeviceSigner,
    context: Context,
    payload: &[u8],
) -> Result<Vec<u8>, SignError> {
    let key = signer.public_key();
    let protected = protected(key.key_type(), key.id())?;
    let message = to_be_signed(&protected, context, payload, |parts| parts.concat());
    Ok(assemble(&protected, payload, &signer.sign(&message).await?))
}

/// Signs `payload` with a key in memory.
pub(crate) fn sign_with(key: &SoftwareKey, context: Context, payload: &[u8]) -> Result<Vec<u8>, SignError> {
    let protected = protected(key.public().key_type(), key.public().id())?;
    let message = to_be_signed(&protected, context, payload, |parts| parts.concat());
    Ok(assemble(&protected, payload, &key.signature(&message)))
}

/// For each type of key `{1: alg, 4: h'` up to the key id, and how long that is.
const HEADS: [(KeyType, &[u8]); 3] = [
    (KeyType::Ed25519, &[0xa2, 0x01, 0x27, 0x04, 0x50]),
    (KeyType::P256, &[0xa2, 0x01, 0x26, 0x04, 0x50]),
    (KeyType::Secp256k1, &[0xa2, 0x01, 0x38, 0x2e, 0x04, 0x50]),
];

fn protected(key_type: KeyType, key: KeyId) -> Result<Vec<u8>, SignError> {
    let head = HEADS.iter().find(|(of, _)| *of == key_type);
    let (_, head) = head.ok_or(SignError::KeyType { found: key_type, expected: DEVICE_KEYS })?;
    Ok([head, key.0.as_slice()].concat())
}

fn read_protected(protected: &[u8]) -> Result<(KeyType, KeyId), Sign1Error> {
    let read = |(key_type, head): &(KeyType, &[u8])| {
        let id = protected.strip_prefix(*head)?.try_into().ok()?;
        Some((*key_type, KeyId(id)))
    };
    HEADS.iter().find_map(read).ok_or(Sign1Error::Profile {
        expected: "protected headers {1: -8, -7 or -47, 4: a key id of 16 bytes} and nothing else",
    })
}

/// Hands `read` the pieces of `Sig_structure` (RFC 9052, 4.4): `["Signature1", protected, external_aad, payload]`. Joined they are what is signed.
fn to_be_signed<T>(
    protected: &[u8],
    Context { kind, network }: Context,
    payload: &[u8],
    read: impl FnOnce(&[&[u8]]) -> T,
) -> T {
    let (kind, network) = (kind.as_bytes(), network.as_bytes());
    let aad = kind.len().saturating_add(network.len());
    let head = Head::new(|e| e.array(4)?.str("Signature1")?.bytes_len(wide(protected.len())));
    let before_aad = Head::new(|e| e.bytes_len(wide(aad)));
    let before_payload = Head::new(|e| e.bytes_len(wide(payload.len())));
    read(&[head.bytes(), protected, before_aad.bytes(), kind, network, before_payload.bytes(), payload])
}

/// The beginning of an item, on the stack.
struct Head(Cursor<[u8; 32]>);

type Heading<'e> = &'e mut Encoder<Cursor<[u8; 32]>>;

impl Head {
    fn new(
        write: impl FnOnce(Heading<'_>) -> Result<Heading<'_>, minicbor::encode::Error<EndOfArray>>,
    ) -> Self {
        let mut encoder = Encoder::new(Cursor::new([0; 32]));
        // Three heads and ten characters fit.
        let _: Result<(), _> = write(&mut encoder).map(|_| ());
        Self(encoder.into_writer())
    }

    fn bytes(&self) -> &[u8] {
        self.0.get_ref().get(..self.0.position()).unwrap_or_default()
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
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

    fn example(name: &str) -> Option<serde_json::Value> {
        let file = depin_vectors::file(&format!("identity/cose-wg/{name}.json"))?;
        Some(serde_json::from_slice(&file).unwrap())
    }

    fn bytes(value: &serde_json::Value) -> Vec<u8> {
        hex::decode(value.as_str().unwrap()).unwrap()
    }

    /// The bytes that an example signs, made by us, and its signature.
    fn signed(example: &serde_json::Value) -> (Vec<u8>, Signature) {
        let message = bytes(&example["output"]["cbor"]);
        let read: coset::CoseSign1 = coset::TaggedCborSerializable::from_tagged_slice(&message).unwrap();
        let protected = read.protected.original_data.unwrap();
        let none = Context { kind: "", network: NetworkId::new(1, [0; 20].into()) };
        let signed = to_be_signed(&protected, none, b"This is the content.", |parts| parts.concat());
        // Without external AAD, which every message of ours has.
        let aad = [&[0x58, 32], none.network.as_bytes().as_slice()].concat();
        let at = signed.windows(aad.len()).position(|window| window == aad).unwrap();
        let signed = [&signed[..at], &[0x40], &signed[at + aad.len()..]].concat();
        assert_eq!(signed, bytes(&example["intermediates"]["ToBeSign_hex"]));
        (signed, Signature(read.signature.try_into().unwrap()))
    }

    /// Once it is put into our profile.
    fn fits(key: &SoftwareKey) {
        let context = Context { kind: "", network: NetworkId::new(1, [0; 20].into()) };
        let message = sign_with(key, context, b"This is the content.").unwrap();
        Sign1::parse(&message, 1024).unwrap().verify(key.public(), context, SigPolicy::Strict).unwrap();
    }

    #[test]
    fn the_eddsa_example_of_cose_verifies_over_the_bytes_we_make() {
        let Some(example) = example("eddsa-examples/eddsa-sig-01") else { return };
        let (message, signature) = signed(&example);
        let key = &example["input"]["sign0"]["key"];
        let secret = SoftwareKey::from_seed(bytes(&key["d_hex"]).try_into().unwrap());
        assert_eq!(secret.public().typed().key(), bytes(&key["x_hex"]));
        secret.public().verify(&message, &signature).unwrap();
        // Ed25519 takes no randomness.
        assert_eq!(secret.signature(&message), signature);
        fits(&secret);
    }

    #[test]
    fn the_es256_example_of_cose_verifies_over_the_bytes_we_make_once_its_s_is_low() {
        let Some(example) = example("ecdsa-examples/ecdsa-sig-01") else { return };
        let (message, signature) = signed(&example);
        let key = &example["input"]["sign0"]["key"];
        let field = |name: &str| {
            use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
            URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap()
        };
        let secret = SoftwareKey::from_secret(KeyType::P256, field("d").try_into().unwrap()).unwrap();
        assert_eq!(secret.public().typed().key()[1..], field("x"));
        assert!(secret.public().verify(&message, &signature).is_err());
        let low = p256::ecdsa::Signature::from_slice(&signature.0).unwrap().normalize_s().unwrap();
        secret.public().verify(&message, &Signature(low.to_bytes().into())).unwrap();
        fits(&secret);
    }
}
