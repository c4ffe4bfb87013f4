//! `depin doctor`: check this machine and a network's directory.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use depin::{
    Bundle,
    node::{
        FileJournal,
        journal::{Journal, JournalError},
    },
};
use depin_evm::anvil::Anvil;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A network's directory.
    #[arg(long)]
    state: Option<PathBuf>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut wrong = 0_u32;
    let mut say = |good: bool, what: &str, detail: String| {
        println!("{} {what:<10} {detail}", if good { "ok   " } else { "wrong" });
        wrong = wrong.saturating_add(u32::from(!good));
    };
    say(true, "chain", "embedded: nothing to install".into());
    match Anvil::find() {
        Some(path) => say(true, "anvil", path.display().to_string()),
        None => println!("note  anvil      not found; only --chain anvil needs it (npm ci in contracts/)"),
    }
    if let Some(state) = &arguments.state {
        let path = state.join("journal");
        let journal = if path.is_file() { Some(FileJournal::open(&path)) } else { None };
        match journal {
            None => say(
                false,
                "journal",
                format!("{} is not there; is this a network's directory?", path.display()),
            ),
            Some(Ok(journal)) => say(true, "journal", format!("{} entries", journal.size().await?)),
            Some(Err(JournalError::Busy { .. })) => {
                say(
                    true,
                    "journal",
                    "in use by a node that runs; stop it to have the journal checked".into(),
                );
            }
            Some(Err(error)) => say(false, "journal", error.to_string()),
        }
        let mut bundles: Vec<PathBuf> = std::fs::read_dir(state.join("bundles"))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        bundles.sort();
        for path in bundles {
            match super::read(&path).map(|bytes| Bundle::from_bytes(&bytes)) {
                Ok(Ok(bundle)) => {
                    say(true, "bundle", format!("epoch {}, digest {}", bundle.header.epoch, bundle.digest()))
                }
                Ok(Err(error)) => say(false, "bundle", format!("{}: {error}", path.display())),
                Err(error) => say(false, "bundle", error.to_string()),
            }
        }
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
