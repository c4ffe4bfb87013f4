//! A deal counts only if its customer signed exactly this, for exactly here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that fails should stop where it fails"
)]

mod common;

use alloy_primitives::{Address, U256, b256, hex, uint};
use common::{CHAIN, REGISTRY, deal, key, sign, signed};
use depin_core::{Amount, Deal, Epoch, NetworkId, SignedDeal};
use depin_rewards::{
    AcceptedDeal, DealError,
    deal::{MAX_EPOCHS, MAX_PRICE, MAX_SUBJECT},
    deal_signing_hash,
};
use proptest::prelude::*;

fn verify(signed: SignedDeal) -> Result<AcceptedDeal, DealError> {
    AcceptedDeal::verify(signed, CHAIN, REGISTRY)
}

/// A deal with `change`, signed again by its customer.
fn changed(change: impl FnOnce(&mut Deal)) -> Result<AcceptedDeal, DealError> {
    let mut deal = deal();
    change(&mut deal);
    verify(signed(deal))
}

#[test]
fn the_signing_hash_equals_ethers() {
    // ethers 6: TypedDataEncoder.hash(domain, types, value).
    let expected = b256!("f0e7c06fc8019725ab0c76e36f319f56453225a0457a2604ad14e6fe4b224580");
    assert_eq!(deal_signing_hash(&deal(), CHAIN, REGISTRY), expected);
}

#[test]
fn a_signature_made_by_ethers_is_accepted() {
    // ethers 6: new Wallet("0x4242…").signTypedData(domain, types, value).
    let signature = hex!(
        "1fcbc9c7d19bd293235168cd304ff6932f057f581f95f6723c7cba7f2818ca9f2c90b33415f1030a610302ccf81c6f1cf51103be347fa369c29f8f922ed1ef9a1b"
    );
    let accepted = verify(SignedDeal { signature: signature.to_vec(), ..signed(deal()) }).unwrap();
    assert_eq!(accepted.deal(), &deal());
    assert_eq!(accepted.id(), deal().id());
    assert_eq!(accepted.subject(), b"subject bytes");
    assert_eq!(accepted.signed().signature, signature);
}

#[test]
fn a_deal_of_another_network_is_refused() {
    let other = NetworkId::new(CHAIN + 1, REGISTRY);
    assert!(
        matches!(changed(|deal| deal.network = other), Err(DealError::Network { found, .. }) if found == other)
    );
    let refused = AcceptedDeal::verify(signed(deal()), CHAIN, Address::repeat_byte(0x12));
    assert!(matches!(refused, Err(DealError::Network { .. })));
}

#[test]
fn another_subject_than_the_signed_one_is_refused() {
    let refused = verify(SignedDeal { subject: b"subject bytes!".to_vec(), ..signed(deal()) });
    assert!(matches!(refused, Err(DealError::Subject { .. })));
    let refused = verify(SignedDeal { subject: vec![0; MAX_SUBJECT + 1], ..signed(deal()) });
    assert!(matches!(refused, Err(DealError::SubjectLength { found }) if found == MAX_SUBJECT + 1));
}

#[test]
fn terms_without_sense_are_refused() {
    assert!(matches!(changed(|deal| deal.full.quantity = 0), Err(DealError::NothingWanted)));
    assert!(matches!(changed(|deal| deal.price = Amount::ZERO), Err(DealError::NothingPaid)));
    assert!(matches!(changed(|deal| deal.epochs = 0), Err(DealError::Epochs { found: 0 })));
    let beyond = Amount(MAX_PRICE.0 + 1);
    assert!(
        matches!(changed(|deal| deal.price = beyond), Err(DealError::Price { found }) if found == beyond)
    );
    assert!(changed(|deal| deal.price = MAX_PRICE).is_ok());
    assert!(matches!(changed(|deal| deal.epochs = MAX_EPOCHS + 1), Err(DealError::Epochs { .. })));
    let last = Epoch(u64::MAX - 29);
    assert!(
        matches!(changed(|deal| deal.first = last), Err(DealError::LastEpoch { first }) if first == last)
    );
    assert!(changed(|deal| deal.first = Epoch(u64::MAX - 30)).is_ok());
    assert!(changed(|deal| deal.epochs = MAX_EPOCHS).is_ok());
}

#[test]
fn somebody_elses_signature_is_refused() {
    let hash = deal_signing_hash(&deal(), CHAIN, REGISTRY);
    let refused = verify(SignedDeal { signature: sign(&key(0x43), hash), ..signed(deal()) });
    assert!(matches!(refused, Err(DealError::Signer { expected, .. }) if expected == deal().customer));
}

#[test]
fn a_signature_for_another_chain_or_contract_is_refused() {
    for hash in [
        deal_signing_hash(&deal(), CHAIN + 1, REGISTRY),
        deal_signing_hash(&deal(), CHAIN, Address::repeat_byte(0x12)),
    ] {
        let refused = verify(SignedDeal { signature: sign(&key(0x42), hash), ..signed(deal()) });
        assert!(matches!(refused, Err(DealError::Signer { .. })));
    }
}

#[test]
fn a_signature_has_one_spelling() {
    let good = signed(deal());
    let with = |signature: Vec<u8>| verify(SignedDeal { signature, ..good.clone() });

    // (r, n - s, other v) verifies under plain ECDSA, too.
    let order: U256 = uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
    let mut high = good.signature.clone();
    let s = order - U256::from_be_slice(&high[32..64]);
    high[32..64].copy_from_slice(&s.to_be_bytes::<32>());
    high[64] = 55 - high[64];
    assert!(matches!(with(high), Err(DealError::HighS)));

    for v in [0, 1, 26, 29, 35, 36, 255] {
        let mut other = good.signature.clone();
        other[64] = v;
        assert!(matches!(with(other), Err(DealError::RecoveryByte { found }) if found == v));
    }
    for length in [0, 64, 66] {
        let mut other = good.signature.clone();
        other.resize(length, 27);
        assert!(matches!(with(other), Err(DealError::SignatureLength { found }) if found == length));
    }
    let mut zero = vec![0; 65];
    zero[64] = 27;
    assert!(matches!(with(zero), Err(DealError::Unrecoverable(_))));
}

#[test]
fn every_term_is_signed() {
    let good = signed(deal());
    let changes: [fn(&mut Deal); 8] = [
        |deal| deal.customer = Address::repeat_byte(9),
        |deal| deal.device = common::device(0xac),
        |deal| deal.service = "Storage".into(),
        |deal| deal.full.kind = "byte-hours".into(),
        |deal| deal.full.quantity -= 1,
        |deal| deal.price = Amount(1_000_000_000_000_000_001),
        |deal| deal.first = Epoch(8),
        |deal| deal.nonce -= 1,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut other = good.clone();
        change(&mut other.deal);
        assert!(matches!(verify(other), Err(DealError::Signer { .. })), "change {index}");
    }
    let mut longer = good;
    longer.deal.epochs += 1;
    assert!(matches!(verify(longer), Err(DealError::Signer { .. })));
}

proptest! {
    #[test]
    fn no_flipped_bit_of_a_signature_is_accepted(bit in 0usize..65 * 8) {
        let mut flipped = signed(deal());
        flipped.signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify(flipped).is_err());
    }
}
