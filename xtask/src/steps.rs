//! The steps of `cargo xtask test`. Everything that compiles uses one profile and all features, so that a step finds
//! what the one before it has built.

use std::fs;

use crate::contracts;
use crate::page;
use crate::process::{Context, exists};
use crate::runner::{Report, Step};
use crate::tools;
use crate::walls;

/// In this order: what is quick comes first, what needs the tools of a former step comes after it.
pub const STEPS: &[Step] = &[
    Step { name: "system", about: "programs that the system provides", run: tools::system },
    Step { name: "fmt", about: "formatting", run: fmt },
    Step { name: "walls", about: "which crate may depend on which", run: dependency_walls },
    Step { name: "vectors", about: "known answers made by others are at hand", run: vectors },
    Step {
        name: "npm",
        about: "packages of contracts/, with forge and anvil, of clients/ and of the page",
        run: contracts::install,
    },
    Step { name: "clippy", about: "lints, warnings denied", run: clippy },
    Step { name: "tests", about: "unit and integration tests with all features", run: tests },
    Step { name: "doctests", about: "examples in the documentation", run: doctests },
    Step { name: "docs", about: "the documentation builds without a warning", run: docs },
    Step { name: "pure", about: "pure crates without default features", run: pure },
    Step { name: "wasm", about: "pure crates without default features, as WebAssembly", run: wasm },
    Step {
        name: "device",
        about: "a firmware for a Cortex-M4 links: no allocator, within its flash and RAM",
        run: device,
    },
    Step { name: "fuzz", about: "the fuzz targets compile", run: fuzz },
    Step { name: "contracts", about: "tests of the contracts", run: contracts::test },
    Step {
        name: "artifacts",
        about: "committed artifacts and gas equal a fresh build",
        run: contracts::check,
    },
    Step {
        name: "page",
        about: "the page's vendored files, types, size and tests; its program equals a fresh build",
        run: page::check,
    },
    Step { name: "browser", about: "the page of a running network, in Chromium", run: page::browser },
    Step { name: "deny", about: "licences, banned crates and sources of dependencies", run: deny },
];

/// The crates that an auditor can run anywhere.
const PURE: &[&str] = &["depin-core", "depin-identity", "depin-proof", "depin-rewards", "depin"];

fn fmt(context: &Context) -> Report {
    Report::of(context.program("cargo").args("fmt --all --check -- --color never").show())
}

fn dependency_walls(context: &Context) -> Report {
    match walls::broken(context) {
        Ok(failures) => Report { failures, ..Report::default() },
        Err(message) => Report::failed(message),
    }
}

fn vectors(context: &Context) -> Report {
    let folder = context.vectors();
    let files = fs::read_dir(&folder).map_or(0, Iterator::count);
    if files == 0 {
        let folder = folder.display();
        return Report::skipped(format!(
            "no vectors in {folder}; set DEPIN_VECTORS; the tests that read them skip"
        ));
    }
    println!("{} has {files} entries", folder.display());
    Report::default()
}

fn clippy(context: &Context) -> Report {
    Report::of(
        context
            .cargo("clippy")
            .args("--workspace --all-targets --all-features --keep-going -- -D warnings")
            .show(),
    )
}

fn tests(context: &Context) -> Report {
    let run = if exists("cargo-nextest") {
        context.cargo("nextest run").args("--workspace --all-features --no-fail-fast")
    } else {
        context.cargo("test").args("--workspace --all-features --lib --bins --tests --no-fail-fast")
    };
    let run = run.with_programs_of(&contracts::programs(context));
    let run = if context.ci { run.env("DEPIN_REQUIRE_VECTORS", "1") } else { run };
    Report::of_tests(run.show())
}

fn doctests(context: &Context) -> Report {
    Report::of_tests(context.cargo("test").args("--doc --workspace --all-features --no-fail-fast").show())
}

fn docs(context: &Context) -> Report {
    let run = context.cargo("doc").args("--workspace --all-features --no-deps");
    Report::of(run.env("RUSTDOCFLAGS", "-D warnings").show())
}

fn pure(context: &Context) -> Report {
    check_pure_crates(context, "")
}

fn wasm(context: &Context) -> Report {
    match tools::wasm_target(context) {
        Ok(()) => check_pure_crates(context, "--target wasm32-unknown-unknown"),
        Err(message) => Report::skipped(format!("no target wasm32-unknown-unknown: {message}")),
    }
}

/// Linked and not only checked: a crate that allocates compiles for any target, and fails to link without an allocator.
fn device(context: &Context) -> Report {
    let target = "thumbv7em-none-eabihf";
    if let Err(message) = tools::target(context, target) {
        return Report::skipped(format!("no target {target}: {message}"));
    }
    let firmware = context.root.join("crates/depin-device/firmware");
    let mut report = Report::of(context.run_in(&firmware, "cargo").args("build --release --locked").show());
    // What checks such reports needs an allocator, and no more of the standard library.
    let identity = "--no-default-features --package depin-identity --target";
    report.check(context.cargo("check").args(identity).arg(target).show());
    report
}

/// A workspace of its own, so nothing else notices when a target falls behind. Its engine is C++.
fn fuzz(context: &Context) -> Report {
    Report::of(context.run_in(&context.root.join("fuzz"), "cargo").args("check --bins --locked").show())
}

/// Each by itself: checked together, one crate would profit from what another asks of a shared dependency.
fn check_pure_crates(context: &Context, target: &str) -> Report {
    let mut report = Report::default();
    for name in PURE {
        report.check(
            context.cargo("check").args("--no-default-features --package").arg(name).args(target).show(),
        );
    }
    report
}

fn deny(context: &Context) -> Report {
    if let Err(report) = tools::cargo_deny(context) {
        return report;
    }
    let check = |what| context.cargo("deny").args("--all-features check").args(what).show();
    let mut report = Report::of(check("licenses bans sources"));
    if tools::answers("github.com") {
        report.check(check("advisories"));
    } else {
        report
            .notes
            .push("advisories were not checked: their database is not reachable from here".to_owned());
    }
    report
}
