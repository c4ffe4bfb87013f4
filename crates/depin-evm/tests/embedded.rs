//! The embedded chain as alloy sees it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

use alloy::{
    network::{EthereumWallet, TransactionBuilder},
    primitives::{Address, U256},
    providers::Provider,
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use depin_evm::embedded::{Clock, Config, EmbeddedChain};

fn key(byte: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&[byte; 32].into()).unwrap()
}

fn config() -> Config {
    Config {
        genesis_time: Some(1_700_000_000),
        clock: Clock::Manual,
        accounts: vec![(key(1).address(), U256::from(10).pow(U256::from(20)))],
        ..Config::default()
    }
}

#[tokio::test]
async fn alloys_fillers_send_over_the_embedded_chain() {
    let chain = EmbeddedChain::open(None, &config()).unwrap();
    let provider = chain.provider(EthereumWallet::from(key(1)));
    let to = Address::repeat_byte(7);
    let request = TransactionRequest::default().with_to(to).with_value(U256::from(5));
    let receipt = provider.send_transaction(request).await.unwrap().get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.gas_used, 21_000);
    assert_eq!(provider.get_balance(to).await.unwrap(), U256::from(5));
    assert_eq!(provider.get_block_number().await.unwrap(), 1);
    let block = provider.get_block_by_number(1.into()).full().await.unwrap().unwrap();
    assert_eq!(block.header.hash, block.header.inner.hash_slow());
    assert_eq!(receipt.block_hash, Some(block.header.hash));
}
