//! `depin audit`: recompute an epoch.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use depin::{
    Bundle, NetworkParams, audit as recompute, audit_excerpt, audit_private, audit_receipts,
    audit_succession,
    bundle::DeviceSection,
    excerpt::{CheckedExcerpt, Excerpt, is_excerpt},
    node::{bundle_path, catalogue, payout},
};
use depin_core::{B256, DeviceId, Digest, Epoch};
use depin_evm::{
    ContractCallError, ContractError, EvmLedger, Options, PrivateKeySigner, contracts::EpochStatus,
};
use depin_identity::PrivateFields;
use depin_lab::private;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A bundle file, one device's excerpt of it, or the number of an epoch in --state.
    epoch: String,
    /// Show what was said of one device, and fail if it is not in the bundle.
    #[arg(long)]
    device: Option<DeviceId>,
    /// Check that the bundle keeps the promises of the receipts in this directory and below.
    #[arg(long)]
    receipts: Option<PathBuf>,
    /// Open the private values that reports commit to, with what is kept in this directory; `depin device run --cell` keeps them in the device's
    /// folder private.
    #[arg(long)]
    private: Option<PathBuf>,
    /// The network's directory, for epochs by number and for an embedded chain [default: depin-dev].
    #[arg(long)]
    state: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What an audit came to. What could not be determined is null.
#[derive(Debug, Default, Serialize)]
struct Answer {
    epoch: Option<Epoch>,
    digest: Option<Digest>,
    root: Option<Digest>,
    root_on_chain: Option<Digest>,
    #[serde(rename = "match")]
    matches: bool,
    /// Entries of the journal that cannot be seen. Any of them could decide what is paid: above zero it is no match.
    withheld: Option<u64>,
    /// Private values that reports commit to and nobody showed. They are no input of anything that is paid.
    values_withheld: Option<u64>,
    /// The first thing that differs.
    #[serde(skip)]
    problem: Option<String>,
    /// Whether a chain was asked.
    #[serde(skip)]
    asked: bool,
    #[serde(skip)]
    section: Option<DeviceSection>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let path = match arguments.epoch.parse::<u64>() {
        Ok(epoch) => {
            let state = arguments.state.clone().unwrap_or_else(|| PathBuf::from("depin-dev"));
            bundle_path(&state, Epoch(epoch))
        }
        Err(_) => PathBuf::from(&arguments.epoch),
    };
    let bytes = super::read(&path).context("name a bundle's file, or an epoch and the network's --state")?;
    let mut answer = Answer::default();
    if is_excerpt(&bytes) {
        match Excerpt::open(&bytes) {
            Ok(excerpt) => audit_one(&arguments, &excerpt, &mut answer).await?,
            Err(error) => answer.problem = Some(error.to_string()),
        }
    } else {
        match Bundle::from_bytes(&bytes) {
            Ok(bundle) => {
                audit_all(&arguments, &bundle, &mut answer).await?;
                audit_predecessor(&path, &bundle, &mut answer)?;
            }
            Err(error) => answer.problem = Some(error.to_string()),
        }
    }
    answer.matches = answer.problem.is_none() && answer.withheld.is_none_or(|withheld| withheld == 0);
    if arguments.json {
        println!("{}", serde_json::to_string(&answer)?);
    } else {
        print(&answer);
    }
    if let Some(problem) = &answer.problem {
        eprintln!("mismatch: {problem}");
    }
    Ok(if answer.matches { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Recomputes a whole bundle.
async fn audit_all(arguments: &Arguments, bundle: &Bundle, answer: &mut Answer) -> Result<()> {
    answer.epoch = Some(bundle.header.epoch);
    answer.digest = Some(bundle.digest());
    answer.root = Some(bundle.result.root);
    match recompute(bundle, &catalogue()) {
        Ok(audit) => answer.withheld = Some(audit.withheld),
        Err(error) => answer.problem = Some(error.to_string()),
    }
    open_private(arguments, &bundle.header.params, &bundle.devices, answer)?;
    if let Some(folder) = &arguments.receipts {
        match audit_receipts(bundle, &receipts(folder)?) {
            Ok(kept) => tracing::info!(kept = kept.kept, other = kept.other, "receipts"),
            Err(error) => answer.problem = answer.problem.take().or(Some(error.to_string())),
        }
    }
    if let Some(device) = arguments.device {
        let section = bundle.devices.iter().find(|section| section.device == device);
        answer.section = Some(section.with_context(|| format!("{device} is not in this bundle"))?.clone());
    }
    let expected = EvmLedger::candidate_id(bundle.header.epoch, &payout(bundle));
    compare_with_chain(arguments, &bundle.header.params, Some(expected), answer).await
}

/// Checks that the bundle goes on where the one before it ended, if that lies beside it: one bundle alone cannot show what it starts from.
fn audit_predecessor(path: &Path, bundle: &Bundle, answer: &mut Answer) -> Result<()> {
    let epoch = bundle.header.epoch;
    let name = |epoch: Epoch| format!("{epoch}.bundle");
    let Some(before) = epoch.previous().filter(|_| path.ends_with(name(epoch))) else { return Ok(()) };
    let path = path.with_file_name(name(before));
    if !path.exists() {
        return Ok(());
    }
    let problem = match Bundle::from_bytes(&super::read(&path)?) {
        Ok(previous) => audit_succession(&previous, bundle).err().map(|error| error.to_string()),
        Err(error) => Some(format!("the bundle before, {}: {error}", path.display())),
    };
    answer.problem = answer.problem.take().or(problem);
    Ok(())
}

/// Recomputes what concerns one device.
async fn audit_one(arguments: &Arguments, excerpt: &CheckedExcerpt, answer: &mut Answer) -> Result<()> {
    if arguments.receipts.is_some() {
        bail!("receipts are checked against a whole bundle; give the bundle instead of an excerpt");
    }
    if let Some(device) = arguments.device.filter(|device| *device != excerpt.device.device) {
        bail!("this excerpt is for {}, not {device}", excerpt.device.device);
    }
    answer.epoch = Some(excerpt.header.epoch);
    answer.digest = Some(excerpt.digest);
    answer.root = Some(excerpt.result.root);
    match audit_excerpt(excerpt, &catalogue()) {
        Ok(_) => answer.withheld = Some(0),
        Err(error) => answer.problem = Some(error.to_string()),
    }
    let section = std::slice::from_ref(&excerpt.device);
    open_private(arguments, &excerpt.header.params, section, answer)?;
    answer.section = Some(excerpt.device.clone());
    compare_with_chain(arguments, &excerpt.header.params, None, answer).await
}

/// Counts the private values that nobody can see any more.
fn open_private(
    arguments: &Arguments,
    params: &NetworkParams,
    sections: &[DeviceSection],
    answer: &mut Answer,
) -> Result<()> {
    let network = params.network();
    let fields = match &arguments.private {
        Some(folder) if !folder.is_dir() => bail!("{} is no directory", folder.display()),
        Some(folder) => private::read(folder, network)?,
        None => PrivateFields::default(),
    };
    let found = audit_private(network, sections, &fields);
    tracing::info!(opened = found.opened, withheld = found.withheld, "private values");
    answer.values_withheld = Some(found.withheld);
    Ok(())
}

/// Asks the chain named in the environment, or the embedded chain in --state, what is final for the epoch. `expected` is the candidate that
/// the whole bundle makes.
async fn compare_with_chain(
    arguments: &Arguments,
    params: &NetworkParams,
    expected: Option<B256>,
    answer: &mut Answer,
) -> Result<()> {
    let client = match (std::env::var(super::RPC_VARIABLE), &arguments.state) {
        (Ok(url), _) => super::chain(&url, params.chain_id, Options::remote()).await?,
        (Err(_), Some(state)) if state.join("chain").is_dir() => super::embedded(state, params.chain_id)?,
        _ => return Ok(()),
    };
    answer.asked = true;
    let Some(epoch) = answer.epoch else { return Ok(()) };
    // Only read through: the key signs nothing, and the other contracts are not asked.
    let deployment = depin_evm::Deployment {
        token: Default::default(),
        registry: params.registry,
        credits: Default::default(),
        distributor: params.distributor,
        bond: Default::default(),
        start_block: 0,
    };
    let ledger = EvmLedger::new(client.sender(PrivateKeySigner::random()), &deployment);
    let state = match ledger.state(epoch).await {
        Err(ContractCallError::Read(error)) if matches!(*error, ContractError::ZeroData(..)) => {
            let problem = format!(
                "the chain has no distributor at {}: this file is of another network",
                params.distributor
            );
            answer.problem = answer.problem.take().or(Some(problem));
            return Ok(());
        }
        other => other?,
    };
    let problem = if state.status == EpochStatus::Final {
        let found = ledger.contract().candidate(state.leading).call().await?;
        let (root, digest) = (Digest(found.root.0), Digest(found.bundleDigest.0));
        answer.root_on_chain = Some(root);
        match (answer.digest, answer.root) {
            (Some(ours), _) if ours != digest => {
                Some(format!("digest: the chain has {digest}, this file {ours}"))
            }
            (_, Some(ours)) if ours != root => Some(format!("root: the chain has {root}, this file {ours}")),
            _ if expected.is_some_and(|expected| expected != state.leading) => {
                Some("the chain has another total, journal or predecessor than this bundle".to_owned())
            }
            _ => None,
        }
    } else {
        Some(format!("the chain has no final root for epoch {epoch} yet"))
    };
    answer.problem = answer.problem.take().or(problem);
    Ok(())
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

fn print(answer: &Answer) {
    let show = |value: Option<Digest>| value.map_or("unknown".to_owned(), |digest| digest.to_string());
    if let Some(epoch) = answer.epoch {
        println!("epoch   {epoch}\ndigest  {}\nroot    {}", show(answer.digest), show(answer.root));
        match (answer.asked, answer.root_on_chain) {
            (_, Some(root)) => println!("chain   {root}"),
            (true, None) => println!("chain   no final root yet"),
            (false, None) => {
                println!("chain   not asked; set {} to its URL, or give --state", super::RPC_VARIABLE)
            }
        }
    }
    if let Some(section) = &answer.section {
        print_section(section);
    }
    match (answer.matches, answer.withheld) {
        (true, _) => match answer.values_withheld {
            None | Some(0) => println!("match"),
            Some(values) => println!("match; private values withheld: {values}"),
        },
        (false, None | Some(0)) => println!("mismatch"),
        (false, Some(withheld)) => println!("withheld: {withheld} entries cannot be seen"),
    }
}

fn print_section(section: &DeviceSection) {
    println!("device  {}\nearned  {}", section.device, section.earned);
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
