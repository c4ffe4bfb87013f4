//! Where tests find vectors: real material that others made, kept outside this repository because its licences differ.
//!
//! The folder is `$DEPIN_VECTORS`, else `../shared/vectors` beside the workspace. Where it is absent a test says that it is skipped and
//! passes; with `DEPIN_REQUIRE_VECTORS=1` it fails instead. For tests only: it panics and prints.

pub mod token;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The bytes of one vector file, or nothing when there are no vectors here.
///
/// # Panics
/// When the folder is there but the file is not, or when vectors are required.
pub fn file(path: &str) -> Option<Vec<u8>> {
    let file = root(path)?.join(path);
    Some(std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// Every file below a folder, with its path relative to it, in order; empty when there are no vectors here.
///
/// # Panics
/// When the folder of vectors is there but this one is not, or when vectors are required.
pub fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let Some(root) = root(folder) else { return Vec::new() };
    let folder = root.join(folder);
    let mut found = Vec::new();
    walk(&folder, &folder, &mut found);
    assert!(!found.is_empty(), "{} holds no file", folder.display());
    found.sort();
    found
}

/// Whether the programs and files of other makers that a test needs are on this machine: a name is looked up as a command, a path as a file.
///
/// # Panics
/// When one is missing, and vectors are required.
pub fn installed(wanted: &[&str]) -> bool {
    let found = |name: &str| {
        if name.contains('/') {
            return Path::new(name).exists();
        }
        let run =
            Command::new(name).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok()
    };
    let Some(missing) = wanted.iter().find(|name| !found(name)) else { return true };
    assert!(!required(), "{missing} is required; `cargo xtask test --only system` installs what tests need");
    eprintln!("skipped: no {missing}");
    false
}

fn required() -> bool {
    std::env::var("DEPIN_REQUIRE_VECTORS").is_ok_and(|value| value == "1")
}

fn root(wanted: &str) -> Option<PathBuf> {
    let root = std::env::var_os("DEPIN_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    if root.is_dir() {
        return Some(root);
    }
    assert!(!required(), "vectors are required, but {} is no folder; set DEPIN_VECTORS", root.display());
    eprintln!("skipped: no vectors for {wanted}; set DEPIN_VECTORS");
    None
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
        if path.is_dir() {
            walk(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            found.push((name, bytes));
        }
    }
}
