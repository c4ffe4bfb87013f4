//! `depin claim`: take what an owner earned.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use depin_core::{Address, Amount, DeviceId};
use depin_index::RootStatus;
use depin_lab::{client::NodeClient, device};
use depin_rewards::ClaimRequest;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The owner who is paid. Anybody may claim for anybody; the node's operator pays the gas.
    owner: Address,
    /// The node.
    #[arg(long, default_value = "http://127.0.0.1:8600", env = "DEPIN_NODE")]
    node: String,
    /// The device that the grant is about; the claims are for its owner.
    #[arg(long, requires = "grant")]
    device: Option<DeviceId>,
    /// A file with a grant to claim, for a node that asks for one.
    #[arg(long, value_name = "FILE", requires = "device")]
    grant: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let grant = arguments.grant.as_deref().map(device::read_grant).transpose()?.flatten();
    let client = NodeClient::new(&arguments.node, None)?.with_grant(grant);
    let claims = client.claims(arguments.owner).await?;
    let open = claims.into_iter().filter(|claim| !claim.claimed && claim.status == RootStatus::Final);
    let account = arguments.owner;
    let requests: Vec<ClaimRequest> = open
        .map(|claim| ClaimRequest { epoch: claim.epoch, account, amount: claim.amount, proof: claim.proof })
        .collect();
    let mut taken = Vec::new();
    for some in requests.chunks(100) {
        taken.extend(client.relay(some, arguments.device.as_ref()).await?);
    }
    let Ok(amount) = Amount::sum(taken.iter().map(|claim| claim.amount)) else {
        bail!("the claims exceed 2^128")
    };
    let epochs: Vec<u64> = taken.iter().map(|claim| claim.epoch.0).collect();
    if arguments.json {
        println!("{}", serde_json::json!({ "owner": arguments.owner, "claimed": amount, "epochs": epochs }));
    } else if epochs.is_empty() {
        println!("nothing to claim for {}", arguments.owner);
    } else {
        println!("claimed {amount} base units for {} from epochs {epochs:?}", arguments.owner);
    }
    Ok(ExitCode::SUCCESS)
}
