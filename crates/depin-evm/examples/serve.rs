//! Serves an embedded chain on loopback, with 100 ether for each address named: for wallets, ethers and viem.
//!
//! ```sh
//! cargo run -p depin-evm --features serve --example serve -- 8545 0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1
//! ```
#![allow(clippy::print_stdout)] // a program, not a library

use alloy::primitives::{Address, U256};
use depin_evm::embedded::{Config, EmbeddedChain, serve::serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(8545), |port| port.parse())?;
    let ether = U256::from(10).pow(U256::from(20));
    let accounts: Result<Vec<(Address, U256)>, _> =
        arguments.map(|address| address.parse().map(|address| (address, ether))).collect();
    let chain = EmbeddedChain::open(None, &Config { accounts: accounts?, ..Config::default() })?;
    let served = serve(chain.clone(), port).await?;
    println!("chain {} at {}", chain.chain_id(), served.url());
    std::future::pending::<()>().await;
    Ok(())
}
