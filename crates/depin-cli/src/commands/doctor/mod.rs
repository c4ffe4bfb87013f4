//! `depin doctor`: check this machine, a network's directory, and a node's configuration.

mod node;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use depin::{
    Bundle,
    node::{
        FileJournal,
        journal::{JournalError, Summary},
    },
};
use depin_evm::anvil::Anvil;
use serde::Serialize;

use crate::config::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: Settings,
    /// Print one JSON object with every check.
    #[arg(long)]
    json: bool,
}

/// What was checked.
#[derive(Debug, Default, Serialize)]
struct Findings {
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    /// `ok`, `wrong`, or `note` for what is neither.
    result: &'static str,
    what: &'static str,
    detail: String,
}

impl Findings {
    fn add(&mut self, result: &'static str, what: &'static str, detail: impl Into<String>) {
        self.checks.push(Check { result, what, detail: detail.into() });
    }

    fn ok(&mut self, what: &'static str, detail: impl Into<String>) {
        self.add("ok", what, detail);
    }

    fn wrong(&mut self, what: &'static str, detail: impl Into<String>) {
        self.add("wrong", what, detail);
    }

    fn note(&mut self, what: &'static str, detail: impl Into<String>) {
        self.add("note", what, detail);
    }

    /// Says of `what` what `result` says; its value if there is one.
    fn take<T>(&mut self, what: &'static str, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.wrong(what, format!("{error:#}"))).ok()
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut findings = Findings::default();
    findings.ok("embedded", "the chain in this program: nothing to install");
    match Anvil::find() {
        Some(path) => findings.ok("anvil", path.display().to_string()),
        None => findings.note("anvil", "not found; only --chain anvil needs it (npm ci in contracts/)"),
    }
    let settings = &arguments.settings;
    if settings.file.is_some() || settings.flags.contains_key("state") {
        let (config, wrong) = settings.collect()?;
        let runs = directory(&config.state, &mut findings).await?;
        if settings.file.is_some() {
            if wrong.is_empty() {
                findings.ok("config", "every value can be used");
            }
            wrong.iter().for_each(|wrong| findings.wrong("config", wrong.to_string()));
            node::check(&config, runs, &mut findings).await;
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        for Check { result, what, detail } in &findings.checks {
            println!("{result:<5} {what:<10} {detail}");
        }
    }
    let wrong = findings.checks.iter().any(|check| check.result == "wrong");
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Checks a network's directory; whether a node uses it.
async fn directory(state: &Path, findings: &mut Findings) -> Result<bool> {
    let path = state.join("journal");
    let mut runs = false;
    if path.exists() {
        match FileJournal::check(&path) {
            Ok(Summary { first, size, segments, .. }) => {
                findings.ok("journal", format!("entries {first} up to {size} in {segments} segments"));
            }
            Err(JournalError::Busy { .. }) => {
                runs = true;
                findings.ok("journal", "in use by a node that runs; stop it to have the journal checked");
            }
            Err(error) => findings.wrong("journal", error.to_string()),
        }
    } else {
        findings.wrong("journal", format!("{} is not there; is this a network's directory?", path.display()));
    }
    let mut bundles: Vec<PathBuf> = std::fs::read_dir(state.join("bundles"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    bundles.sort();
    for path in bundles {
        match super::read(&path).map(|bytes| Bundle::from_bytes(&bytes)) {
            Ok(Ok(bundle)) => {
                findings.ok("bundle", format!("epoch {}, digest {}", bundle.header.epoch, bundle.digest()))
            }
            Ok(Err(error)) => findings.wrong("bundle", format!("{}: {error}", path.display())),
            Err(error) => findings.wrong("bundle", error.to_string()),
        }
    }
    Ok(runs)
}
