//! The page of a node: its vendored files, types, size and unit tests, the program that it runs, and all of it in a browser.

use std::fs;
use std::path::{Path, PathBuf};

use crate::contracts;
use crate::process::{Context, Failure, exists};
use crate::runner::Report;
use crate::tools;

const TARGET: &str = "wasm32-wasip1";
/// Who built the committed program, and what it is.
const RECORD: &str = "crates/depin-wasm/ARTIFACT";
const PROGRAM: &str = "crates/depin/page/recompute.wasm";

fn folder(context: &Context) -> PathBuf {
    context.root.join("crates/depin/page")
}

/// Vendored files, types and size; unit tests; the program equals what its sources give.
pub fn check(context: &Context) -> Report {
    if !exists("npm") {
        return Report::skipped("no npm, so the page is not checked");
    }
    let npm = |arguments| context.run_in(&folder(context), "npm").args(arguments).show();
    let mut report = Report::of_tests(npm("test"));
    report.check(npm("run check"));
    match fresh(context) {
        Ok(None) => {}
        Ok(Some(note)) => report.notes.push(note),
        Err(message) => report.failures.push(message),
    }
    report
}

/// Compares the committed program with one built now. A note where another compiler built it: other bytes are then to be expected, and the step
/// `browser` compares what both do.
fn fresh(context: &Context) -> Result<Option<String>, String> {
    let built = build(context)?;
    let committed = context.root.join(PROGRAM);
    let bytes = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let (built, committed) = (bytes(&built)?, bytes(&committed)?);
    if built == committed {
        println!("{PROGRAM} is what its sources give: {} bytes", built.len());
        return Ok(None);
    }
    let record =
        fs::read_to_string(context.root.join(RECORD)).map_err(|error| format!("{RECORD}: {error}"))?;
    let compiler = compiler(context)?;
    if record.lines().next() != Some(&compiler) {
        return Ok(Some(format!(
            "{PROGRAM} was built by another compiler than {compiler}: compared by what it does, in the step `browser`"
        )));
    }
    Err(format!("{PROGRAM} is not what its sources give; `cargo xtask page` builds it again"))
}

/// The task `page`: builds the program that recomputes an epoch, and puts it where the page has it.
pub fn write_program(context: &Context) -> Result<(), String> {
    let built = build(context)?;
    let bytes = fs::read(&built).map_err(|error| format!("{}: {error}", built.display()))?;
    let write = |path: &str, bytes: &[u8]| {
        fs::write(context.root.join(path), bytes).map_err(|error| format!("{path}: {error}"))
    };
    write(PROGRAM, &bytes)?;
    write(RECORD, format!("{}\n", compiler(context)?).as_bytes())?;
    println!("{PROGRAM}: {} bytes", bytes.len());
    context.program("node").arg("-e").arg(SIZES).arg(PROGRAM).show()?;
    Ok(())
}

/// What a browser loads.
const SIZES: &str = "const bytes = require('fs').readFileSync(process.argv[1]), zlib = require('zlib'); \
    console.log(`gzip ${zlib.gzipSync(bytes, { level: 9 }).length} bytes, brotli ${zlib.brotliCompressSync(bytes).length} bytes`)";

/// Builds the program so that the same sources and compiler give the same bytes wherever they lie.
fn build(context: &Context) -> Result<PathBuf, String> {
    tools::target(context, TARGET)?;
    let sysroot = context.program("rustc").args("--print sysroot").read()?;
    let home = cargo_home()?;
    let places =
        [(context.root.as_path(), "/depin"), (&home, "/cargo"), (Path::new(sysroot.trim()), "/rust")];
    let mut flags: Vec<String> =
        places.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
    // Every browser has it since 2023; SHA-256 is faster with it.
    flags.push("-Ctarget-feature=+simd128".into());
    let run = context
        .program("cargo")
        .args("build --locked --package depin-wasm --bin recompute --profile wasm --target")
        .arg(TARGET)
        .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags.join(" "));
    run.show()?;
    Ok(target_folder(context)?.join(TARGET).join("wasm/recompute.wasm"))
}

fn cargo_home() -> Result<PathBuf, String> {
    let named = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    named
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .ok_or_else(|| "neither CARGO_HOME nor HOME is set".to_owned())
}

fn target_folder(context: &Context) -> Result<PathBuf, String> {
    let metadata = context.program("cargo").args("metadata --format-version 1 --no-deps").read()?;
    let value: serde_json::Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    value["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target".to_owned())
}

fn compiler(context: &Context) -> Result<String, Failure> {
    Ok(context.program("rustc").arg("--version").read()?.trim().to_owned())
}

/// The page of a running network, in Chromium.
pub fn browser(context: &Context) -> Report {
    let folder = context.root.join("clients/browser");
    if !exists("chromium") || !contracts::is_installed(&folder) {
        return Report::skipped("no chromium, or the packages of clients/browser are not installed");
    }
    // With everything, as the tests before it: then it is built already.
    if let Err(failure) = context.cargo("build").args("--workspace --all-features --bin depin").show() {
        return Report::failed(failure.message);
    }
    match target_folder(context) {
        Ok(target) => {
            let run = context.run_in(&folder, "npm").arg("test").env("DEPIN_BIN", target.join("debug/depin"));
            let run = run.env("DEPIN_RECOMPUTE", target.join(TARGET).join("wasm/recompute.wasm"));
            Report::of_tests(run.show())
        }
        Err(message) => Report::failed(message),
    }
}
