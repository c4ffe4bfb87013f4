//! The tools that the steps need, and getting those that are missing: Debian packages as root, a Rust target, and
//! `cargo-deny`. Elsewhere a missing tool is named and what needs it is skipped.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::process::{Context, exists};
use crate::runner::Report;

/// A program that some step runs, the Debian package that has it, and what it is for.
struct Program {
    name: &'static str,
    package: &'static str,
    purpose: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program { name: "cc", package: "gcc libc6-dev", purpose: "crates that build C" },
    Program { name: "c++", package: "g++", purpose: "the engine of the fuzz targets" },
    Program { name: "git", package: "git", purpose: "tests that read the files of this repository" },
    Program {
        name: "node",
        package: "nodejs",
        purpose: "the Solidity compiler, scripts of contracts/ and clients/",
    },
    Program { name: "mosquitto", package: "mosquitto", purpose: "the tests of reports over MQTT" },
    Program { name: "openssl", package: "openssl", purpose: "the tests of key files" },
    Program { name: "softhsm2-util", package: "softhsm2", purpose: "the tests of keys on tokens" },
    Program { name: "chromium", package: "chromium", purpose: "the tests of the page" },
    Program { name: "swtpm", package: "swtpm", purpose: "the tests of TPM quotes" },
    Program { name: "tpm2_quote", package: "tpm2-tools", purpose: "the tests of TPM quotes" },
    Program { name: "npm", package: "npm", purpose: "the packages of contracts/, clients/ and the page" },
];

const CARGO_DENY: &str = "0.20.2";
const WASM: &str = "wasm32-unknown-unknown";

/// The first step: everything that comes from the system is there.
pub fn system(context: &Context) -> Report {
    let missing: Vec<&Program> = PROGRAMS.iter().filter(|program| !exists(program.name)).collect();
    if missing.is_empty() {
        return Report::default();
    }
    if !is_debian_root(context) {
        let mut report = Report::default();
        for Program { name, package, purpose } in missing {
            report.skips.push(format!("no `{name}` (Debian package {package}), needed for {purpose}"));
        }
        return report;
    }
    let packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
    let apt = || context.program("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
    let mut report = Report::of(apt().args("update -q").show());
    report.check(apt().args("install -q -y --no-install-recommends").args(&packages.join(" ")).show());
    report
}

/// Makes sure that the compiler can build for WebAssembly.
pub fn wasm_target(context: &Context) -> Result<(), String> {
    target(context, WASM)
}

/// Makes sure that the compiler can build for `target`.
pub fn target(context: &Context, target: &str) -> Result<(), String> {
    let sysroot = context.program("rustc").args("--print sysroot").read()?;
    if Path::new(sysroot.trim()).join("lib/rustlib").join(target).is_dir() {
        return Ok(());
    }
    context.program("rustup").args("target add").arg(target).show()?;
    Ok(())
}

/// Makes sure that `cargo deny` runs. Building it takes minutes, so it is done unasked only in CI or as Debian's root.
pub fn cargo_deny(context: &Context) -> Result<(), Report> {
    if exists("cargo-deny") {
        return Ok(());
    }
    if !context.ci && !is_debian_root(context) {
        let how = format!("`cargo install --locked cargo-deny@{CARGO_DENY}` installs it");
        return Err(Report::skipped(format!("cargo-deny is not installed; {how}")));
    }
    let install = context.program("cargo").args("install --locked").arg(format!("cargo-deny@{CARGO_DENY}"));
    install.show().map_err(|failure| Report::failed(failure.message))?;
    Ok(())
}

/// Whether a host answers on its HTTPS port within a few seconds.
pub fn answers(host: &str) -> bool {
    let Ok(addresses) = (host, 443).to_socket_addrs() else { return false };
    addresses.take(2).any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok())
}

fn is_debian_root(context: &Context) -> bool {
    Path::new("/etc/debian_version").exists()
        && context.program("id").arg("-u").read().is_ok_and(|user| user.trim() == "0")
}
