//! The blocks file: what survives a restart, a crash and damage.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod common;

use std::{fs, path::Path};

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, B256, U256},
    providers::Provider,
    rpc::types::TransactionRequest,
};
use common::{GENESIS, ether, key};
use depin_evm::embedded::{Clock, Config, EmbeddedChain, OpenError};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

const FRAME_HEADER: usize = 40;

fn config() -> Config {
    Config { accounts: vec![(key(1).address(), ether(100))], ..common::config() }
}

fn open(dir: &Path) -> Result<EmbeddedChain, OpenError> {
    EmbeddedChain::open(Some(dir), &config())
}

async fn tip(chain: &EmbeddedChain) -> (u64, B256, U256) {
    let provider = chain.reader();
    let block = provider.get_block_by_number(Default::default()).await.unwrap().unwrap();
    let balance = provider.get_balance(Address::repeat_byte(7)).await.unwrap();
    (block.header.number, block.header.hash, balance)
}

/// A chain of four blocks, one of them after a reorganisation, with a test balance and time that moved.
async fn history(dir: &Path) -> (u64, B256, U256) {
    let chain = open(dir).unwrap();
    let sender = chain.client().sender(key(1));
    let provider = chain.reader();
    for step in 1..=3u64 {
        chain.set_time(GENESIS + step * 10);
        let request =
            TransactionRequest::default().with_to(Address::repeat_byte(7)).with_value(U256::from(step));
        sender.send(request).await.unwrap();
    }
    let _: Value = provider.raw_request("anvil_reorg".into(), json!([1, []])).await.unwrap();
    let _: Value =
        provider.raw_request("anvil_setBalance".into(), json!([key(2).address(), ether(1)])).await.unwrap();
    let to = Address::repeat_byte(7);
    let second = chain.client().sender(key(2));
    second.send(TransactionRequest::default().with_to(to).with_value(U256::from(40))).await.unwrap();
    tip(&chain).await
}

/// Offset and length of every frame.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut frames = Vec::new();
    let mut at = 8;
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let whole = FRAME_HEADER + usize::try_from(len).unwrap();
        frames.push((at, whole));
        at += whole;
    }
    frames
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped() {
    let dir = TempDir::new().unwrap();
    let before = history(dir.path()).await;
    assert_eq!((before.0, before.2), (4, U256::from(43)));
    let chain = open(dir.path()).unwrap();
    assert_eq!(tip(&chain).await, before);
    let sender = chain.client().sender(key(1));
    sender.send(TransactionRequest::default().with_to(Address::ZERO)).await.unwrap();
    let after = tip(&chain).await;
    drop((chain, sender));
    assert_eq!(tip(&open(dir.path()).unwrap()).await, after);
    // Without a time of its own, a directory is opened with the time it has.
    let any_time = Config { genesis_time: None, ..config() };
    assert_eq!(tip(&EmbeddedChain::open(Some(dir.path()), &any_time).unwrap()).await, after);
    assert_eq!(tip(&EmbeddedChain::resume(dir.path(), Clock::Manual).unwrap()).await, after);
}

#[tokio::test]
async fn two_processes_do_not_share_a_directory() {
    let dir = TempDir::new().unwrap();
    let chain = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()).unwrap_err(), OpenError::Busy { .. }));
    drop(chain);
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_kept_aside_and_the_rest_goes_on() {
    let dir = TempDir::new().unwrap();
    history(dir.path()).await;
    let path = dir.path().join("blocks");
    let whole = fs::read(&path).unwrap();
    let frames = frames(&whole);
    let (last, len) = *frames.last().unwrap();
    for cut in 1..len {
        fs::write(&path, &whole[..last + cut]).unwrap();
        let chain = open(dir.path()).unwrap();
        assert_eq!(tip(&chain).await.0, 3, "cut at {cut}");
        drop(chain);
        assert_eq!(fs::read(&path).unwrap(), whole[..last]);
        let aside = dir.path().join(format!("blocks.torn-{last}"));
        assert_eq!(fs::read(&aside).unwrap(), whole[last..last + cut]);
    }
    // What a file system that extends before it writes leaves behind.
    let mut zeros = whole[..last].to_vec();
    zeros.resize(last + 4096, 0);
    fs::write(&path, zeros).unwrap();
    let chain = open(dir.path()).unwrap();
    assert_eq!(tip(&chain).await.0, 3);
    chain.mine().unwrap();
    drop(chain);
    assert_eq!(tip(&open(dir.path()).unwrap()).await.0, 4);
}

#[tokio::test]
async fn damage_before_the_tail_is_an_error_and_nothing_is_lost() {
    let dir = TempDir::new().unwrap();
    history(dir.path()).await;
    let path = dir.path().join("blocks");
    let whole = fs::read(&path).unwrap();
    let frames = frames(&whole);
    let (last, _) = *frames.last().unwrap();
    let config = config();
    // Every seventh bit: each byte, and each place in a byte.
    for bit in (0..last * 8).step_by(7) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        let error = EmbeddedChain::open(Some(dir.path()), &config).unwrap_err();
        assert!(
            matches!(error, OpenError::Damaged { .. } | OpenError::NotBlocks { .. }),
            "bit {bit}: {error}"
        );
        assert_eq!(fs::read(&path).unwrap(), flipped, "bit {bit}: the file is left as it is");
    }
    // Whole frames left out or repeated show as well, unless nothing but one frame follows: that looks like a torn one.
    for (at, len) in &frames[1..frames.len() - 2] {
        let frame = &whole[*at..at + len];
        for changed in [
            [&whole[..*at], &whole[at + len..]].concat(),
            [&whole[..*at], frame, frame, &whole[at + len..]].concat(),
        ] {
            fs::write(&path, changed).unwrap();
            assert!(matches!(open(dir.path()).unwrap_err(), OpenError::Damaged { .. }), "the frame at {at}");
        }
    }
    fs::write(&path, &whole).unwrap();
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn other_networks_versions_and_files_are_named() {
    let dir = TempDir::new().unwrap();
    history(dir.path()).await;
    for (other, what) in [
        (Config { chain_id: 5, ..config() }, "chain id"),
        (Config { genesis_time: Some(GENESIS + 1), ..config() }, "genesis time"),
        (Config { accounts: Vec::new(), ..config() }, "set of accounts funded at genesis"),
    ] {
        match EmbeddedChain::open(Some(dir.path()), &other).unwrap_err() {
            OpenError::OtherNetwork { what: found, .. } => assert_eq!(found, what),
            error => panic!("{error}"),
        }
    }
    let path = dir.path().join("blocks");
    let whole = fs::read(&path).unwrap();
    // The genesis record is [0, [[version, …]]]: the version is its fifth byte.
    let (at, len) = frames(&whole)[0];
    let mut newer = whole.clone();
    assert_eq!(newer[at + FRAME_HEADER + 4], 1);
    newer[at + FRAME_HEADER + 4] = 2;
    let before = depin_core::sha256(&[b"depinevm"]);
    let digest = depin_core::sha256(&[before.as_bytes(), &newer[at + FRAME_HEADER..at + len]]);
    newer[at + 8..at + FRAME_HEADER].copy_from_slice(digest.as_bytes());
    fs::write(&path, newer).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Version { found: 2, supported: 1, .. }), "{error}");
    fs::write(&path, b"something else entirely").unwrap();
    assert!(matches!(open(dir.path()).unwrap_err(), OpenError::NotBlocks { .. }));
    assert_eq!(fs::read(&path).unwrap(), b"something else entirely");

    let empty = TempDir::new().unwrap();
    assert!(matches!(
        EmbeddedChain::resume(empty.path(), Clock::Wall).unwrap_err(),
        OpenError::NotBlocks { .. }
    ));
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "looking leaves nothing behind");
    // A crash between creating the file and its first record.
    fs::write(empty.path().join("blocks"), b"depin").unwrap();
    open(empty.path()).unwrap();
}

/// What is done to a chain.
#[derive(Clone, Debug)]
enum Act {
    Send(u8),
    Mine,
    Reorg(u64),
    Fund(u8),
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => any::<u8>().prop_map(Act::Send),
        1 => Just(Act::Mine),
        2 => (0..6u64).prop_map(Act::Reorg),
        1 => any::<u8>().prop_map(Act::Fund),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Balances after any history, restarts and reorganisations included, are those of the blocks that are left.
    #[test]
    fn the_state_is_that_of_the_blocks_that_are_left(acts in proptest::collection::vec(act(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = TempDir::new().unwrap();
            let config = config();
            let (receiver, funded) = (Address::repeat_byte(7), Address::repeat_byte(8));
            let mut chain = EmbeddedChain::open(Some(dir.path()), &config).unwrap();
            // (received, funded, sent) after each block, and what was funded since the last one.
            let mut model = vec![(0u64, 0u64, 0u64)];
            let mut waiting: Option<u64> = None;
            for act in acts {
                let (received, given, sent) = *model.last().unwrap();
                match act {
                    Act::Send(value) => {
                        let request = TransactionRequest::default()
                            .with_to(receiver)
                            .with_value(U256::from(value));
                        chain.client().sender(key(1)).send(request).await.unwrap();
                        let given = waiting.take().unwrap_or(given);
                        model.push((received + u64::from(value), given, sent + 1));
                    }
                    Act::Mine => {
                        chain.mine().unwrap();
                        model.push((received, waiting.take().unwrap_or(given), sent));
                    }
                    Act::Reorg(depth) => {
                        let depth = depth.min(u64::try_from(model.len()).unwrap() - 1);
                        let done: Result<Value, _> =
                            chain.reader().raw_request("anvil_reorg".into(), json!([depth, []])).await;
                        done.unwrap();
                        waiting = None;
                        let depth = usize::try_from(depth).unwrap();
                        model.truncate(model.len() - depth);
                        let left = *model.last().unwrap();
                        model.extend(vec![left; depth]);
                    }
                    Act::Fund(amount) => {
                        let params = json!([funded, U256::from(amount)]);
                        let _: Value =
                            chain.reader().raw_request("anvil_setBalance".into(), params).await.unwrap();
                        waiting = Some(u64::from(amount));
                    }
                    Act::Reopen => {
                        let before = tip(&chain).await;
                        drop(chain);
                        chain = EmbeddedChain::open(Some(dir.path()), &config).unwrap();
                        assert_eq!(tip(&chain).await, before);
                    }
                }
                let provider = chain.reader();
                let now = waiting.unwrap_or(model.last().unwrap().1);
                assert_eq!(provider.get_balance(funded).await.unwrap(), U256::from(now));
                for (number, (received, given, sent)) in model.iter().enumerate() {
                    let block = u64::try_from(number).unwrap();
                    let is_tip = number + 1 == model.len();
                    let balance = provider.get_balance(receiver).block_id(block.into()).await.unwrap();
                    assert_eq!(balance, U256::from(*received), "block {block}");
                    let nonce = provider.get_transaction_count(key(1).address()).block_id(block.into());
                    assert_eq!(nonce.await.unwrap(), *sent);
                    let given = if is_tip { now } else { *given };
                    let found = provider.get_balance(funded).block_id(block.into()).await.unwrap();
                    assert_eq!(found, U256::from(given), "block {block}");
                }
            }
        });
    }
}
