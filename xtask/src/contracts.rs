//! The Foundry project in `contracts/`. Its tools are npm packages in its own `node_modules`, and what a build, a test
//! and a check mean is written in its `package.json`.

use std::path::{Path, PathBuf};

use crate::process::{Context, exists};
use crate::runner::Report;

/// Where npm puts forge, anvil and cast.
pub fn programs(context: &Context) -> PathBuf {
    context.contracts().join("node_modules/.bin")
}

/// Installs the packages of each lock file, unless what is there is already of it.
pub fn install(context: &Context) -> Report {
    if !exists("npm") {
        return Report::skipped("no npm, so the contracts are neither built nor tested, nor are the clients");
    }
    let mut report = Report::default();
    let folders = ["contracts", "clients/ethers", "clients/browser", "crates/depin/page"];
    for folder in folders.map(|folder| context.root.join(folder)) {
        if !context.ci && is_installed(&folder) {
            println!("{} is newer than its lock file", folder.join("node_modules").display());
            continue;
        }
        report.check(context.run_in(&folder, "npm").args("ci --ignore-scripts --no-audit --no-fund").show());
    }
    if report.failures.is_empty() { without_forge(context).unwrap_or(report) } else { report }
}

/// Unit, fuzz and invariant tests in Solidity.
pub fn test(context: &Context) -> Report {
    without_forge(context).unwrap_or_else(|| Report::of_tests(context.in_contracts("npm").arg("test").show()))
}

/// The committed artifacts and the gas snapshot equal a fresh build.
pub fn check(context: &Context) -> Report {
    without_forge(context).unwrap_or_else(|| Report::of(context.in_contracts("npm").args("run check").show()))
}

/// The task `artifacts`: compiles everything again and writes the files that depin-evm embeds.
pub fn write_artifacts(context: &Context) -> Result<(), String> {
    let report = install(context);
    if let Some(message) = report.failures.first().or(report.skips.first()) {
        return Err(message.clone());
    }
    let forge = context.in_contracts("forge").with_programs_of(&programs(context));
    forge.args("build --force").show()?;
    context.in_contracts("node").arg("export.mjs").show()?;
    Ok(())
}

/// A report that the tools are missing, if they are.
fn without_forge(context: &Context) -> Option<Report> {
    let forge = programs(context).join("forge");
    if exists("npm") && (forge.is_file() || exists("forge")) {
        return None;
    }
    Some(Report::skipped(
        "no npm or no forge: the step `npm` installs forge on x86-64 Linux; elsewhere put forge 1.7 on the PATH",
    ))
}

/// npm writes a lock file of its own into `node_modules` when it is done.
pub fn is_installed(folder: &Path) -> bool {
    let changed = |path: PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let installed = changed(folder.join("node_modules/.package-lock.json"));
    installed.is_some() && installed >= changed(folder.join("package-lock.json"))
}
