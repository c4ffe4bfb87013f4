//! Deals and signatures for tests.

use alloy_primitives::{Address, B256, Signature};
use depin_core::{Amount, Deal, DeviceId, Epoch, KeyType, NetworkId, SignedDeal, TypedKey, Units, sha256};
use k256::ecdsa::SigningKey;

pub(crate) const CHAIN: u64 = 84_532;
pub(crate) const REGISTRY: Address = Address::repeat_byte(0x11);

pub(crate) fn device(byte: u8) -> DeviceId {
    DeviceId(TypedKey::new(KeyType::Ed25519, &[byte; 32]).unwrap())
}

pub(crate) fn key(byte: u8) -> SigningKey {
    SigningKey::from_slice(&[byte; 32]).unwrap()
}

pub(crate) fn address(key: &SigningKey) -> Address {
    Address::from_public_key(key.verifying_key())
}

/// The deal whose EIP-712 hash and signature ethers made.
pub(crate) fn deal() -> Deal {
    Deal {
        network: NetworkId::new(CHAIN, REGISTRY),
        customer: address(&key(0x42)),
        device: device(0xab),
        service: "storage".into(),
        subject: sha256(&[b"subject bytes"]),
        full: Units::new("byte-seconds".into(), u128::MAX),
        price: Amount(1_000_000_000_000_000_000),
        first: Epoch(7),
        epochs: 30,
        nonce: u64::MAX,
    }
}

pub(crate) fn sign(key: &SigningKey, hash: B256) -> Vec<u8> {
    Signature::from(key.sign_prehash_recoverable(hash.as_slice()).unwrap()).as_bytes().to_vec()
}

pub(crate) fn signed(deal: Deal) -> SignedDeal {
    let hash = depin_rewards::deal_signing_hash(&deal, CHAIN, REGISTRY);
    SignedDeal { deal, subject: b"subject bytes".to_vec(), signature: sign(&key(0x42), hash) }
}
