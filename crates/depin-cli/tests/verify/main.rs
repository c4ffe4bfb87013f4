//! `depin verify`: each kind of file valid, invalid, and not to be checked, with its exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod credentials;
mod files;
mod grants;
mod hardware;
#[path = "../support/mod.rs"]
mod support;
mod vectors;
mod vouchers;

use std::path::Path;

use serde_json::Value;
use support::{Run, depin, run};
use tempfile::TempDir;

const VALID: i32 = 0;
const INVALID: i32 = 1;
const NOT_CHECKED: i32 = 2;

/// The moment that tests judge at.
const AT: &str = "2026-01-01T00:00:00Z";

/// A folder with files to verify.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    /// `depin verify` at [`AT`], in the folder.
    async fn verify(&self, arguments: &[&str]) -> Run {
        let mut command = depin([&["verify", "--at", AT], arguments].concat());
        command.current_dir(self.path());
        run(command).await
    }

    /// The same with `--json`; fails unless it ends with `code`.
    #[track_caller]
    fn judge<'a>(&'a self, arguments: &'a [&'a str], code: i32) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let run = self.verify(&[&["--json"], arguments].concat()).await;
            assert_eq!(run.code, Some(code), "{caller}: {arguments:?}\n{}\n{}", run.stdout, run.stderr);
            let words = ["valid", "invalid", "not-checked"];
            let answer = run.json();
            assert_eq!(answer["outcome"], words[usize::try_from(code).unwrap()], "{caller}");
            answer
        }
    }
}

/// How the check `name` of the first file went, and why.
fn finding<'a>(answer: &'a Value, name: &str) -> (&'a str, &'a str) {
    let findings = answer["files"][0]["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["check"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {findings:#?}"));
    (found["result"].as_str().unwrap(), found["reason"].as_str().unwrap())
}
