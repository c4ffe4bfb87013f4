//! `depin verify`: find out what a file is, and check it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use depin::{
    Bundle, audit,
    excerpt::{EXCERPT_FORMAT, Excerpt},
    node::catalogue,
};
use depin_core::cbor;
use depin_identity::{Envelope, PublicKey, Receipt, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A bundle, an excerpt of one, a receipt or a report.
    file: PathBuf,
    /// A bundle of the network, which has the keys: with it the signature of a receipt or of a report is checked.
    #[arg(long)]
    bundle: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let bytes = super::read(&arguments.file)?;
    let what = if contains(&bytes, depin::bundle::FORMAT) {
        bundle(&bytes)
    } else if contains(&bytes, EXCERPT_FORMAT) {
        excerpt(&bytes)
    } else {
        let keys = arguments.bundle.as_deref().map(open).transpose()?;
        signed(&bytes, keys.as_ref())
    };
    let name = arguments.file.display();
    println!("{name}: {}", what.with_context(|| name.to_string())?);
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Path) -> Result<Bundle> {
    Bundle::from_bytes(&super::read(path)?).with_context(|| path.display().to_string())
}

fn bundle(bytes: &[u8]) -> Result<String> {
    let audit = audit(&Bundle::from_bytes(bytes)?, &catalogue())?;
    let withheld = match audit.withheld {
        0 => "recomputed".to_owned(),
        count => format!("of which {count} entries are withheld and cannot be checked"),
    };
    Ok(format!("bundle of epoch {}, {withheld}; digest {}, root {}", audit.epoch, audit.digest, audit.root))
}

fn excerpt(bytes: &[u8]) -> Result<String> {
    let excerpt = Excerpt::open(bytes)?;
    let (epoch, device) = (excerpt.header.epoch, &excerpt.device);
    Ok(format!(
        "excerpt of epoch {epoch} for {}, intact; earned {}, bundle digest {}",
        device.device, device.earned, excerpt.digest
    ))
}

/// A receipt or a report. Whose signature it bears, only the network's keys tell.
fn signed(bytes: &[u8], keys: Option<&Bundle>) -> Result<String> {
    let envelope = Envelope::parse(bytes).context("this is no bundle, excerpt, receipt or report")?;
    let word = if keys.is_some() { "signature checked" } else { "signature not checked: give --bundle" };
    if let Ok(receipt) = cbor::from_slice::<Receipt>(envelope.payload()) {
        if let Some(bundle) = keys {
            let params = &bundle.header.params;
            Receipt::parse_and_verify(bytes, &PublicKey::of_node(params.node)?, params.network())?;
        }
        receipt.check_inclusion()?;
        let Receipt { report, index, received, epoch, .. } = receipt;
        return Ok(format!(
            "receipt for report {report}, position {index}, time {received}, epoch {epoch}; {word}"
        ));
    }
    let report: Report =
        cbor::from_slice(envelope.payload()).context("what is signed is no receipt and no report")?;
    if let Some(bundle) = keys {
        let key = bundle
            .devices
            .iter()
            .filter_map(|section| section.record.as_ref())
            .flat_map(|record| record.keys())
            .find(|known| known.key.id() == envelope.key_id());
        let Some(key) = key else { bail!("no device of this bundle has the key {}", envelope.key_id()) };
        let params = &bundle.header.params;
        envelope.verify(&PublicKey::new(key.key)?, params.network(), params.sig_policy)?;
    }
    let Report { kind, boot, sequence, .. } = report;
    let id = envelope.key_id();
    Ok(format!("report {kind} by key {id}, boot {boot}, sequence {sequence}; {word}"))
}

/// The format stands near the beginning.
fn contains(bytes: &[u8], format: &str) -> bool {
    let start = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    start.windows(format.len()).any(|window| window == format.as_bytes())
}
