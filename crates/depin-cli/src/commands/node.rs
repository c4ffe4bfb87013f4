//! `depin node`: the node of a network that is deployed.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The node's directory.
    #[arg(long)]
    state: PathBuf,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    bail!("{}", arguments.state.display())
}
