//! The claim tree is OpenZeppelin's.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a test that fails should stop where it fails"
)]

use alloy_primitives::{Address, B256, address, b256, keccak256};
use depin_core::Amount;
use depin_rewards::{
    ClaimError, ClaimTree,
    claim::{MAX_PROOF, leaf_hash, verify},
};
use proptest::prelude::*;

/// `address = keccak256("acct" || i)[12..]`, `amount = (i + 1) * 1000000007 * 10^9`.
fn generated(count: u128) -> Vec<(Address, Amount)> {
    (0..count)
        .map(|i| {
            let account = Address::from_word(keccak256(format!("acct{i}")));
            (account, Amount((i + 1) * 1_000_000_007 * 1_000_000_000))
        })
        .collect()
}

#[test]
fn roots_equal_openzeppelins() {
    let readme = vec![
        (Address::repeat_byte(0x11), Amount(5_000_000_000_000_000_000)),
        (Address::repeat_byte(0x22), Amount(2_500_000_000_000_000_000)),
    ];
    for (payouts, root) in [
        (readme, b256!("d4dee0beab2d53f2cc83e567171bd2820e49898130a22622b10ead383e90bd77")),
        (generated(3), b256!("9c8c86944e80cd1bb54a950a2df09bf769bac1c05de05a91706af0d8849404c9")),
        (generated(1_000), b256!("21abe9df2e9d77f578f3931de80246bf71378a64b0a22f084f2eed1f2af0178a")),
    ] {
        assert_eq!(ClaimTree::new(payouts).unwrap().root(), root);
    }
}

#[test]
fn the_dump_equals_openzeppelins() {
    // JSON.stringify(StandardMerkleTree.of(values, ["address", "uint256"]).dump()) of npm @openzeppelin/merkle-tree 1.0.8.
    let expected = concat!(
        r#"{"format":"standard-v1","leafEncoding":["address","uint256"],"tree":["#,
        r#""0xd673f832e8ae578ea16450035956e30f27212b91d6cd26edbef07c90546302ff","#,
        r#""0x8d00bd8d33bd92e6ade0ba2d87958d59727515200df528502b93c99dd3fa0256","#,
        r#""0xeb02c421cfa48976e66dfb29120745909ea3a0f843456c263cf8f1253483e283","#,
        r#""0xc3d2e29c8ded2ca4aa700f83273d097a3fb1683f4b5f291a8ee7d74ff26fc6b3","#,
        r#""0xb92c48e9d7abe27fd8dfd6b5dfdbfb1c9a463f80c712b66f3a5180a090cccafc"],"values":["#,
        r#"{"value":["0x1111111111111111111111111111111111111111","5000000000000000000"],"treeIndex":2},"#,
        r#"{"value":["0x2222222222222222222222222222222222222222","2500000000000000000"],"treeIndex":4},"#,
        r#"{"value":["0x3333333333333333333333333333333333333333","1"],"treeIndex":3}]}"#,
    );
    let tree = ClaimTree::new(vec![
        (Address::repeat_byte(0x33), Amount(1)),
        (Address::repeat_byte(0x11), Amount(5_000_000_000_000_000_000)),
        (Address::repeat_byte(0x22), Amount(2_500_000_000_000_000_000)),
    ])
    .unwrap();
    assert_eq!(tree.to_openzeppelin_json().unwrap(), expected);
    let (amount, proof) = tree.proof(Address::repeat_byte(0x11)).unwrap();
    assert_eq!(amount, Amount(5_000_000_000_000_000_000));
    assert_eq!(proof, [b256!("8d00bd8d33bd92e6ade0ba2d87958d59727515200df528502b93c99dd3fa0256")]);
}

#[test]
fn one_account_is_its_own_root() {
    let account = address!("0000000000000000000000000000000000000001");
    let tree = ClaimTree::new(vec![(account, Amount::MAX)]).unwrap();
    assert_eq!(tree.root(), leaf_hash(account, Amount::MAX));
    assert_eq!(tree.proof(account), Some((Amount::MAX, vec![])));
    assert!(verify(tree.root(), account, Amount::MAX, &[]));
}

#[test]
fn nobody_and_somebody_twice_are_refused() {
    assert_eq!(ClaimTree::new(vec![]), Err(ClaimError::Empty));
    let account = Address::repeat_byte(7);
    let other = (Address::repeat_byte(8), Amount(1));
    let twice = vec![(account, Amount(1)), other, (account, Amount(2))];
    assert_eq!(ClaimTree::new(twice), Err(ClaimError::Duplicate { account }));
}

#[test]
fn an_inner_node_does_not_pass_for_a_leaf() {
    let tree = ClaimTree::new(generated(2)).unwrap();
    let [(first, one), (second, two)] = [tree.payouts()[0], tree.payouts()[1]];
    // The 64 bytes under the root, read as (account, amount), would need an account of 32 bytes; hashed once they give the root.
    let mut leaves = [leaf_hash(first, one), leaf_hash(second, two)];
    leaves.sort();
    assert_eq!(keccak256([leaves[0], leaves[1]].concat()), tree.root());
    assert_ne!(keccak256(keccak256([leaves[0], leaves[1]].concat())), tree.root());
}

#[test]
fn a_proof_is_bounded() {
    let account = Address::repeat_byte(1);
    let proof = vec![B256::ZERO; MAX_PROOF + 1];
    let root = proof.iter().fold(leaf_hash(account, Amount(1)), |node, sibling| {
        let mut pair = [node, *sibling];
        pair.sort();
        keccak256(pair.concat())
    });
    assert!(!verify(root, account, Amount(1), &proof));
}

#[test]
fn the_total_is_exact_or_none() {
    let pair =
        |a, b| ClaimTree::new(vec![(Address::repeat_byte(1), a), (Address::repeat_byte(2), b)]).unwrap();
    assert_eq!(pair(Amount::MAX, Amount(0)).total(), Some(Amount::MAX));
    assert_eq!(pair(Amount::MAX, Amount(1)).total(), None);
}

/// The tree from its definition: pairs from the end of a heap, one at a time.
fn textbook_root(payouts: &[(Address, Amount)]) -> B256 {
    let mut leaves: Vec<B256> =
        payouts.iter().map(|(account, amount)| leaf_hash(*account, *amount)).collect();
    leaves.sort();
    let mut nodes = vec![B256::ZERO; leaves.len() - 1];
    nodes.extend(leaves.into_iter().rev());
    for i in (0..payouts.len() - 1).rev() {
        let mut pair = [nodes[2 * i + 1], nodes[2 * i + 2]];
        pair.sort();
        nodes[i] = keccak256(pair.concat());
    }
    nodes[0]
}

#[test]
fn every_size_of_tree_equals_the_textbook() {
    // Around the powers of two the last level is full, empty or one leaf long; beyond 2,048 the levels are hashed in parallel.
    for count in (1..70).chain([255, 256, 257, 1023, 1025, 2047, 2049, 4095, 4096, 4097, 5000]) {
        let payouts = generated(count);
        assert_eq!(
            ClaimTree::new(payouts.clone()).unwrap().root(),
            textbook_root(&payouts),
            "{count} accounts"
        );
    }
}

proptest! {
    #[test]
    fn every_proof_verifies_and_no_other(
        amounts in proptest::collection::vec(any::<u128>(), 1..60),
        pick: prop::sample::Index,
        bit in 0usize..256,
    ) {
        let payouts: Vec<_> = generated(amounts.len() as u128).iter().zip(&amounts)
            .map(|((account, _), amount)| (*account, Amount(*amount))).collect();
        let tree = ClaimTree::new(payouts.clone()).unwrap();
        for (account, amount) in &payouts {
            let (found, proof) = tree.proof(*account).unwrap();
            prop_assert_eq!(found, *amount);
            prop_assert!(verify(tree.root(), *account, *amount, &proof));
        }
        let (account, amount) = payouts[pick.index(payouts.len())];
        let (_, proof) = tree.proof(account).unwrap();
        prop_assert!(!verify(tree.root(), account, Amount(amount.0 ^ (1 << (bit % 128))), &proof));
        let mut other = account;
        other[bit % 20] ^= 1 << (bit % 8);
        prop_assert!(!verify(tree.root(), other, amount, &proof));
        let mut root = tree.root();
        root[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!verify(root, account, amount, &proof));
        for at in 0..proof.len() {
            let mut flipped = proof.clone();
            flipped[at][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!verify(tree.root(), account, amount, &flipped));
            prop_assert!(!verify(tree.root(), account, amount, &proof[..at]));
        }
    }

    #[test]
    fn order_does_not_matter(count in 1u128..200, turn: prop::sample::Index) {
        let payouts = generated(count);
        let mut turned = payouts.clone();
        turned.rotate_left(turn.index(payouts.len()));
        prop_assert_eq!(ClaimTree::new(payouts).unwrap(), ClaimTree::new(turned).unwrap());
    }

    #[test]
    fn a_stranger_has_no_proof(count in 1u128..50) {
        prop_assert_eq!(ClaimTree::new(generated(count)).unwrap().proof(Address::repeat_byte(0xfe)), None);
    }
}
