//! `depin verify`: find out what files are, and check them.

mod certificate;
mod credential;
mod did;
mod grant;
mod kind;
mod network;
mod presentation;
mod quote;
mod report;
#[cfg(test)]
mod tests;
mod trust;
mod voucher;

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, bail};

use depin_identity::did::WebPolicy;
use kind::Kind;
use report::{Checked, Outcome, Report};
use trust::Trust;

/// Bytes of a file that are read at most; a bundle is the longest there is. Each kind has a smaller limit of its own.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Files of the network (bundle, excerpt, receipt, report), DID documents, credentials, presentations, maker chains, status lists, chains of
    /// certificates, grants, ownership vouchers; or a directory with a TPM quote.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    trust: trust::Given,
    /// Print one JSON object, with every finding.
    #[arg(long)]
    json: bool,
}

/// The exit code is that of the worst file: 0 valid, 1 invalid, 2 not checked.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut trust = match Trust::new(&arguments.trust, &WebPolicy::default()) {
        Ok(trust) => trust,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    let files: Vec<(PathBuf, Result<Kind>)> =
        arguments.files.into_iter().map(|path| (path.clone(), open(&path))).collect();
    for (_, kind) in &files {
        if let Ok(Kind::StatusList(list)) = kind {
            trust.offer(list);
        }
    }
    let trust = Arc::new(trust);
    let mut report = Report::default();
    for (path, kind) in files {
        let checked = match kind {
            Ok(kind) => check(kind, &trust).await,
            Err(error) => Checked::unreadable(&format!("{error:#}")),
        };
        report.add(&path, checked);
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(ExitCode::from(match report.outcome() {
        Outcome::Valid => 0,
        Outcome::Invalid => 1,
        Outcome::NotChecked => 2,
    }))
}

/// Checks in a task of its own: should a library fall over a stranger's file, nothing is known of that file, and the others are still checked.
async fn check(kind: Kind, trust: &Arc<Trust>) -> Checked {
    let trust = Arc::clone(trust);
    let name = kind.name();
    let task = tokio::spawn(async move {
        match kind {
            Kind::Bundle(bytes) => network::bundle(&bytes),
            Kind::Excerpt(bytes) => network::excerpt(&bytes),
            Kind::Signed(bytes) => network::signed(&bytes, trust.bundle.as_ref()),
            Kind::DidDocument(bytes) => did::document(&bytes, &trust).await,
            Kind::Credential(bytes) => credential::credential(&bytes, &trust).await,
            Kind::MakerChain(all) => credential::maker_chain(&all, &trust).await,
            Kind::StatusList(list) => credential::status_list(&list, &trust).await,
            Kind::Presentation(bytes) => presentation::check(&bytes, &trust).await,
            Kind::Certificates(chain) => certificate::chain(&chain, &trust),
            Kind::Android(chain) => certificate::android(&chain, &trust),
            Kind::Quote(parts) => quote::check(&parts, &trust),
            Kind::Grant(token) => grant::check(&token, &trust),
            Kind::Voucher(bytes) => voucher::check(&bytes, &trust),
            Kind::Text(error) => certificate::of_text(&error),
            Kind::Empty => Checked::empty(),
            Kind::Unknown => Checked::unknown(),
        }
    });
    task.await.unwrap_or_else(|_| Checked::broke_off(name))
}

fn open(path: &Path) -> Result<Kind> {
    if path.is_dir() {
        return quote::open(path).map(Kind::Quote);
    }
    Ok(Kind::of(read(path, MAX_BYTES)?))
}

/// At most `max` bytes.
fn read(path: &Path, max: u64) -> Result<Vec<u8>> {
    let context = || format!("{} cannot be read", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(context)?;
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).with_context(context)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        bail!("{} has more than {max} bytes", path.display());
    }
    Ok(bytes)
}
