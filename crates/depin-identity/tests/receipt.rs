//! Receipts: what a node's word says, and that the log bears it out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

mod common;

use common::{domain, each_bit_flipped, key, network};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use depin_core::{Digest, Epoch, KeyType, Timestamp, cbor, sha256};
use depin_identity::{
    Domain, Head, InclusionError, PublicKey, PublicKeyError, Receipt, ReceiptError, Report, Sign1Error,
    SignError, SoftwareKey, check_inclusion,
};
use proptest::prelude::*;
use sha2::Sha256;

/// The second entry of a log of two, signed by the seed of 32 sevens with Python's `cryptography` and a CBOR writer of its own.
const KNOWN: &str = "d28455a201270450189a63b693b023f967d274a626398b8da0589ea7015820852dddfbc3538797e23a3419900fb57f14af\
    cca873f0d7c22f0321e70b7f8e080201031b0000018bcfe569f40409055820d9c2d66b522c2522728f539ff9f67b85d40defff095fc8a528c994\
    f4f35bb3de06820258202e2c3c156cdbf9297280d605f3dfef812820f6dd5d21a53dd7e3ed2f57a381a00781582020127871bb98506fcb2eb26a\
    b0f726a97fd0407c0314098a4418e31f40ab74a65840f85dc8eaf5de063ddb5e5602d6015f25ec21390a33bdc5af71352a865af735612dfd7b8d\
    3d80a0b0f2e7200bb7bab30abf7b79b46b878f8c0e2c720c798b7b07";

fn receipt() -> Receipt {
    let (leaf, other) = (sha256(&[&[0], b"entry"]), sha256(&[&[0], b"other"]));
    Receipt {
        report: "0x852dddfbc3538797e23a3419900fb57f14afcca873f0d7c22f0321e70b7f8e08".parse().unwrap(),
        index: 1,
        received: Timestamp(1_700_000_000_500),
        epoch: Epoch(9),
        leaf,
        head: Head { size: 2, root: sha256(&[&[1], other.as_bytes(), leaf.as_bytes()]) },
        proof: vec![other],
    }
}

fn read(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
    Receipt::parse_and_verify(bytes, key().public(), network())
}

#[test]
fn a_known_answer() {
    let bytes = hex::decode(KNOWN).unwrap();
    assert_eq!(receipt().sign_with(&key(), network()).unwrap(), bytes);
    assert_eq!(pollster::block_on(receipt().sign(&key(), network())).unwrap(), bytes);
    assert_eq!(read(&bytes).unwrap(), receipt());
    assert_eq!(receipt().check_inclusion(), Ok(()));
}

#[test]
fn a_node_signs_with_ed25519_alone() {
    for key_type in [KeyType::P256, KeyType::Secp256k1] {
        let node = SoftwareKey::from_secret(key_type, [7; 32]).unwrap();
        let refused = Err(SignError::KeyType { found: key_type, expected: "Ed25519" });
        assert_eq!(receipt().sign_with(&node, network()), refused);
        assert_eq!(pollster::block_on(receipt().sign(&node, network())), refused);
        assert!(matches!(
            Receipt::parse_and_verify(&hex::decode(KNOWN).unwrap(), node.public(), network()),
            Err(ReceiptError::Sign1(Sign1Error::Algorithm { found, expected: KeyType::Ed25519 }))
                if found == key_type
        ));
        let refused = PublicKeyError::Type { found: key_type, expected: "Ed25519" };
        assert_eq!(PublicKey::of_node(node.public().typed()), Err(refused));
    }
    assert_eq!(PublicKey::of_node(key().public().typed()).as_ref(), Ok(key().public()));
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let bytes = hex::decode(KNOWN).unwrap();
    each_bit_flipped(&bytes, |bit, flipped| assert!(read(flipped).is_err(), "bit {bit}"));
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "{end}");
    }
    assert!(read(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_receipt_is_of_one_node_one_network_and_no_report() {
    let bytes = hex::decode(KNOWN).unwrap();
    let other = SoftwareKey::from_seed([8; 32]);
    let foreign = Receipt::parse_and_verify(&bytes, other.public(), network());
    assert!(matches!(foreign, Err(ReceiptError::Sign1(Sign1Error::KeyId { .. }))));
    let elsewhere = Domain { chain_id: 1, ..domain() }.network();
    let foreign = Receipt::parse_and_verify(&bytes, key().public(), elsewhere);
    assert!(matches!(foreign, Err(ReceiptError::Sign1(Sign1Error::Signature(_)))));
    let report: Report = common::report();
    let report = report.sign_with(&key(), network()).unwrap();
    assert!(matches!(read(&report), Err(ReceiptError::Sign1(Sign1Error::Signature(_)))));
}

#[test]
fn proofs_and_receipts_are_bounded() {
    let with = |len| Receipt { proof: vec![Digest([0xff; 32]); len], index: u64::MAX, ..receipt() };
    let longest = with(Receipt::MAX_PROOF);
    assert_eq!(read(&longest.sign_with(&key(), network()).unwrap()).unwrap(), longest);
    let error = Err(SignError::Proof { found: 65, max: 64 });
    assert_eq!(with(65).sign_with(&key(), network()), error);
    assert!(cbor::from_slice::<Receipt>(&cbor::to_vec(&with(65))).is_err());
    let large = vec![0xd2; Receipt::MAX + 1];
    assert!(matches!(
        read(&large),
        Err(ReceiptError::Sign1(Sign1Error::TooLarge { found: 4097, max: 4096 }))
    ));
}

#[test]
fn a_proof_that_does_not_lead_to_the_root_names_why() {
    let good = receipt();
    let wrong = |changed: Receipt| changed.check_inclusion().unwrap_err();
    assert_eq!(wrong(Receipt { index: 2, ..good.clone() }), InclusionError::Index { index: 2, size: 2 });
    assert_eq!(
        wrong(Receipt { proof: Vec::new(), ..good.clone() }),
        InclusionError::Length { found: 0, index: 1, size: 2 }
    );
    let long = Receipt { proof: vec![good.leaf; 2], ..good.clone() };
    assert_eq!(wrong(long), InclusionError::Length { found: 2, index: 1, size: 2 });
    assert!(matches!(wrong(Receipt { leaf: good.report, ..good.clone() }), InclusionError::Root { .. }));
    assert!(matches!(wrong(Receipt { index: 0, ..good.clone() }), InclusionError::Root { .. }));
    let empty = Head { size: 0, root: sha256(&[]) };
    assert_eq!(wrong(Receipt { head: empty, index: 0, ..good }), InclusionError::Index { index: 0, size: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_proof_of_ct_merkle_is_right_and_no_other(size in 1..150_u64, at: prop::sample::Index, other: prop::sample::Index, bit in 0..256_usize) {
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        for n in 0..size {
            tree.push(n.to_be_bytes().to_vec());
        }
        let count = usize::try_from(size).unwrap();
        let (index, other) = (at.index(count), other.index(count));
        let root = Digest(tree.root().as_bytes().as_slice().try_into().unwrap());
        let proof: Vec<Digest> = tree
            .prove_inclusion(index)
            .as_bytes()
            .chunks(32)
            .map(|hash| Digest(hash.try_into().unwrap()))
            .collect();
        let leaf = |n: usize| sha256(&[&[0], &u64::try_from(n).unwrap().to_be_bytes()]);
        let position = |n: usize| u64::try_from(n).unwrap();
        let head = Head { size, root };
        prop_assert_eq!(check_inclusion(leaf(index), position(index), &proof, &head), Ok(()));
        if other != index {
            prop_assert!(check_inclusion(leaf(other), position(index), &proof, &head).is_err());
            prop_assert!(check_inclusion(leaf(index), position(other), &proof, &head).is_err());
        }
        for hash in 0..proof.len() {
            let mut damaged = proof.clone();
            damaged[hash].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(check_inclusion(leaf(index), position(index), &damaged, &head).is_err());
        }
    }

    #[test]
    fn every_receipt_is_read_back(report: [u8; 32], numbers: (u64, u64, u64, u64), hashes in prop::collection::vec(any::<[u8; 32]>(), 0..=64)) {
        let (index, received, epoch, size) = numbers;
        let receipt = Receipt {
            report: Digest(report),
            index,
            received: Timestamp(received),
            epoch: Epoch(epoch),
            head: Head { size, root: Digest(report) },
            proof: hashes.into_iter().map(Digest).collect(),
            ..receipt()
        };
        prop_assert_eq!(&read(&receipt.sign_with(&key(), network()).unwrap()).unwrap(), &receipt);
        let json = serde_json::to_string(&receipt).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Receipt>(&json).unwrap(), &receipt);
        // Sizes up to the end of time make no trouble.
        let _ = receipt.check_inclusion();
    }
}
