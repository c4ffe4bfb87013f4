//! `depin audit`: recompute an epoch.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use depin::{
    Bundle, audit as recompute, audit_receipts,
    node::{bundle_path, catalogue, payout},
};
use depin_core::{DeviceId, Digest, Epoch};
use depin_evm::{EvmLedger, contracts::EpochStatus};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A bundle file, or the number of an epoch in --state.
    epoch: String,
    /// Audit what concerns one device.
    #[arg(long)]
    device: Option<DeviceId>,
    /// Check that the bundle keeps the promises of the receipts in this directory and below.
    #[arg(long)]
    receipts: Option<PathBuf>,
    /// The network's directory, for epochs by number and for an embedded chain.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What an audit came to.
#[derive(Debug, Serialize)]
struct Answer {
    epoch: Epoch,
    digest: Digest,
    root: Digest,
    root_on_chain: Option<Digest>,
    #[serde(rename = "match")]
    matches: bool,
    withheld: u64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let path = match arguments.epoch.parse::<u64>() {
        Ok(epoch) => {
            let state = arguments.state.clone().unwrap_or_else(|| PathBuf::from("depin-dev"));
            bundle_path(&state, Epoch(epoch))
        }
        Err(_) => PathBuf::from(&arguments.epoch),
    };
    let bundle = Bundle::from_bytes(&super::read(&path)?).with_context(|| path.display().to_string())?;
    let mut problem = None;
    let withheld = match recompute(&bundle, &catalogue()) {
        Ok(audit) => audit.withheld,
        Err(error) => {
            problem = Some(error.to_string());
            0
        }
    };
    if let (None, Some(folder)) = (&problem, &arguments.receipts) {
        match audit_receipts(&bundle, &receipts(folder)?) {
            Ok(kept) => tracing::info!(kept = kept.kept, other = kept.other, "receipts"),
            Err(error) => problem = Some(error.to_string()),
        }
    }
    let on_chain = on_chain(&arguments, &bundle).await?;
    if let (None, Some(found)) = (&problem, &on_chain) {
        problem = found.problem.clone();
    }
    let answer = Answer {
        epoch: bundle.header.epoch,
        digest: bundle.digest(),
        root: bundle.result.root,
        root_on_chain: on_chain.as_ref().and_then(|found| found.root),
        matches: problem.is_none() && withheld == 0,
        withheld,
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&answer)?);
    } else {
        print(&answer, &bundle, &arguments, on_chain.is_some())?;
    }
    if let Some(problem) = &problem {
        eprintln!("mismatch: {problem}");
    }
    Ok(if answer.matches { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the chain says of the bundle.
struct OnChain {
    root: Option<Digest>,
    problem: Option<String>,
}

/// Asks the chain named in the environment, or the embedded chain in --state; none when there is neither.
async fn on_chain(arguments: &Arguments, bundle: &Bundle) -> Result<Option<OnChain>> {
    let params = &bundle.header.params;
    let client = match (std::env::var(super::RPC_VARIABLE), &arguments.state) {
        (Ok(url), _) => super::chain(&url, params.chain_id).await?,
        (Err(_), Some(state)) if state.join("chain").is_dir() => super::embedded(state, params.chain_id)?,
        _ => return Ok(None),
    };
    let deployment = depin_evm::Deployment {
        token: Default::default(),
        registry: params.registry,
        credits: Default::default(),
        distributor: params.distributor,
    };
    let ledger =
        EvmLedger::new(client.sender(alloy::signers::local::PrivateKeySigner::random()), &deployment);
    let state = ledger.state(bundle.header.epoch).await?;
    let expected = EvmLedger::candidate_id(bundle.header.epoch, &payout(bundle));
    if state.status != EpochStatus::Final {
        let problem = format!("the chain has no final root for epoch {} yet", bundle.header.epoch);
        return Ok(Some(OnChain { root: None, problem: Some(problem) }));
    }
    let found = ledger.contract().candidate(state.leading).call().await?;
    let root = Digest(found.root.0);
    let digest = Digest(found.bundleDigest.0);
    let problem = if digest != bundle.digest() {
        Some(format!("digest: the chain has {digest}, this bundle {}", bundle.digest()))
    } else if root != bundle.result.root {
        Some(format!("root: the chain has {root}, this bundle {}", bundle.result.root))
    } else if state.leading != expected {
        Some("the chain has another total, journal or predecessor than this bundle".to_owned())
    } else {
        None
    };
    Ok(Some(OnChain { root: Some(root), problem }))
}

/// Every `.receipt` file of a directory and below.
fn receipts(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("{} cannot be read", folder.display()))?;
            let path = entry.path();
            let kind = entry.file_type().with_context(|| format!("{} cannot be read", path.display()))?;
            if kind.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "receipt") {
                found.push((path.display().to_string(), super::read(&path)?));
            }
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("{} holds no receipts; expected files that end in .receipt", folder.display());
    }
    Ok(found)
}

fn print(answer: &Answer, bundle: &Bundle, arguments: &Arguments, asked: bool) -> Result<()> {
    println!("epoch   {}", answer.epoch);
    println!("digest  {}", answer.digest);
    println!("root    {}", answer.root);
    match (asked, answer.root_on_chain) {
        (_, Some(root)) => println!("chain   {root}"),
        (true, None) => println!("chain   no final root yet"),
        (false, None) => {
            println!("chain   not asked; set {} to its URL, or give --state", super::RPC_VARIABLE)
        }
    }
    if let Some(device) = arguments.device {
        let section = bundle.devices.iter().find(|section| section.device == device);
        let section = section.with_context(|| format!("{device} is not in this bundle"))?;
        println!("device  {device}");
        println!("earned  {}", section.earned);
        for verdict in &section.verdicts {
            println!("verdict {:?} by {}", verdict.outcome, verdict.verifier);
            for finding in &verdict.findings {
                println!(
                    "  {:<28} {:<8} {:<16} {} (expected: {})",
                    finding.check.to_string(),
                    format!("{:?}", finding.result).to_lowercase(),
                    finding.reason.to_string(),
                    finding.observed.escape_debug(),
                    finding.limit.escape_debug(),
                );
            }
        }
    }
    let word = match (answer.matches, answer.withheld) {
        (true, _) => "match".to_owned(),
        (false, 0) => "mismatch".to_owned(),
        (false, withheld) => format!("withheld: {withheld} entries cannot be seen"),
    };
    println!("{word}");
    Ok(())
}
