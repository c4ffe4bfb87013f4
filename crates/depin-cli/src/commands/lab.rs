//! Members of a simulated network: `depin dev` starts these.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Subcommand;
use depin_evm::Options;
use depin_lab::{
    client::NodeClient,
    customer::{Customer, CustomerConfig},
    dev::Ready,
    provider::{Provider, ProviderConfig},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A storage provider.
    Provider(Settings),
    /// A customer.
    Customer(Settings),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// Its settings, as `depin dev` writes them.
    #[arg(long)]
    config: PathBuf,
}

pub(crate) async fn run(command: Command) -> Result<ExitCode> {
    end_with_parent();
    match command {
        Command::Provider(settings) => {
            let config: ProviderConfig = serde_json::from_slice(&super::read(&settings.config)?)?;
            let mut provider = Provider::start(config).await?;
            println!(
                "{}",
                serde_json::to_string(&Ready { device: provider.claimed(), address: provider.address() })?
            );
            provider.run().await?;
        }
        Command::Customer(settings) => {
            let config: CustomerConfig = serde_json::from_slice(&super::read(&settings.config)?)?;
            let url = std::env::var(super::RPC_VARIABLE).context("DEPIN_RPC is not set")?;
            let info = NodeClient::new(&config.node, config.member)?.network().await?;
            let chain = super::chain(&url, info.params.chain_id, Options::local()).await?;
            Customer::start(config, chain).await?.run().await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends this process when standard input closes, which whoever started it holds open: however `depin dev` dies, nobody is left behind.
fn end_with_parent() {
    std::thread::spawn(|| {
        // A read that fails means the same as one that ends.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(1);
    });
}
