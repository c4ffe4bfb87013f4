//! `depin device`: make, register or run a device.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::Subcommand;
use depin_lab::{
    client::NodeClient,
    device,
    provider::{Provider, ProviderConfig},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the keys of a device and of its owner, in a directory.
    New {
        /// The device's directory.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Bind a device to its owner and have that recorded on chain; the node's operator pays the gas.
    Register(Place),
    /// Run a device that keeps data for customers.
    Run(Place),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The device's directory.
    #[arg(long)]
    dir: PathBuf,
    /// The node.
    #[arg(long, default_value = "http://127.0.0.1:8600", env = "DEPIN_NODE")]
    node: String,
}

pub(crate) async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::New { dir } => {
            if dir.join("device.key").exists() {
                bail!("{} holds a device already; name another directory", dir.display());
            }
            let (device, owner) = device::create(&dir, None, "")?;
            println!("device  {device}\nowner   {owner}\nkeys    {}", dir.display());
            eprintln!("next: depin device register --dir {}", dir.display());
        }
        Command::Register(place) => {
            let client = NodeClient::new(&place.node, None)?;
            let status = client.status_now().await?;
            let mut provider = Provider::start(config(&place)).await?;
            provider.register(&status).await?;
            println!("registered {} for {}", provider.claimed(), provider.device().owner());
            eprintln!("next: depin device run --dir {} --node {}", place.dir.display(), place.node);
        }
        Command::Run(place) => {
            let mut provider = Provider::start(config(&place)).await?;
            eprintln!("{} takes pieces at http://{}", provider.claimed(), provider.address());
            tokio::select! {
                result = provider.run() => result?,
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn config(place: &Place) -> ProviderConfig {
    ProviderConfig {
        dir: place.dir.clone(),
        node: place.node.clone(),
        member: None,
        attack: None,
        victim: None,
        late: false,
    }
}
