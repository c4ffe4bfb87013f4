//! Running other programs: their output is shown while they run and kept for whoever counts in it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// Where and under which rules the chores run.
#[derive(Debug)]
pub struct Context {
    /// The root of the workspace.
    pub root: PathBuf,
    /// `CI=true`: a skip is a failure.
    pub ci: bool,
}

impl Context {
    pub fn from_environment() -> Self {
        // From `cargo run` rather than from compile time: two clones may share one target folder, and so this program.
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = Path::new(&manifest);
        Self {
            root: manifest.parent().unwrap_or(manifest).to_path_buf(),
            ci: env::var("CI").is_ok_and(|value| value == "true" || value == "1"),
        }
    }

    /// The Foundry project.
    pub fn contracts(&self) -> PathBuf {
        self.root.join("contracts")
    }

    /// The folder of known answers, by the rule that the tests use.
    pub fn vectors(&self) -> PathBuf {
        match env::var_os("DEPIN_VECTORS") {
            Some(path) => PathBuf::from(path),
            None => self.root.join("../shared/vectors"),
        }
    }

    /// A program at the root of the workspace.
    pub fn program(&self, program: &str) -> Run {
        Run::new(program, &self.root)
    }

    /// `cargo SUBCOMMAND`; in CI with the committed lock file as the last word.
    pub fn cargo(&self, subcommand: &str) -> Run {
        let run = self.program("cargo").args(subcommand);
        if self.ci { run.arg("--locked") } else { run }
    }

    /// A program in `contracts/`.
    pub fn in_contracts(&self, program: &str) -> Run {
        self.run_in(&self.contracts(), program)
    }

    /// A program in a folder of its own.
    pub fn run_in(&self, folder: &Path, program: &str) -> Run {
        Run::new(program, folder)
    }
}

/// One command line.
#[derive(Debug)]
pub struct Run {
    command: Command,
    shown: String,
}

impl Run {
    fn new(program: &str, directory: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(directory).stdin(Stdio::null());
        // `cargo run` describes this package to us. Passed on, it would make build scripts that watch those variables
        // (ring's does) run again each time a chore and a plain `cargo build` alternate.
        for (name, _) in env::vars_os() {
            if describes_this_package(&name) {
                command.env_remove(name);
            }
        }
        Self { command, shown: program.to_owned() }
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{} {}", self.shown, argument.as_ref().to_string_lossy());
        self.command.arg(argument);
        self
    }

    /// Several arguments, separated by spaces.
    pub fn args(self, arguments: &str) -> Self {
        arguments.split_whitespace().fold(self, Self::arg)
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Puts a folder before all others on the `PATH` of the program.
    pub fn with_programs_of(mut self, folder: &Path) -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_path_buf()).chain(env::split_paths(&path));
        if let Ok(joined) = env::join_paths(folders) {
            self.command.env("PATH", joined);
        }
        self
    }

    /// Runs it, shows what it prints, and returns all of that. On failure, `Err` holds what it printed too.
    pub fn show(mut self) -> Result<String, Failure> {
        println!("$ {}", self.shown);
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::not_started(&self.shown, &error))?;
        let (sender, lines) = channel();
        let readers = [
            child.stdout.take().map(|stream| read_lines(stream, sender.clone())),
            child.stderr.take().map(|stream| read_lines(stream, sender.clone())),
        ];
        drop(sender);
        let mut printed = String::new();
        for line in lines {
            println!("{line}");
            printed.push_str(&line);
            printed.push('\n');
        }
        for reader in readers.into_iter().flatten() {
            // A reader that panicked has lost output, not the verdict, which is the exit status.
            let _ = reader.join();
        }
        let status = child.wait().map_err(|error| Failure::not_started(&self.shown, &error))?;
        if status.success() {
            Ok(printed)
        } else {
            Err(Failure { message: format!("`{}` ended with {status}", self.shown), printed })
        }
    }

    /// Runs it silently and returns its standard output.
    pub fn read(mut self) -> Result<String, Failure> {
        let output = self.command.output().map_err(|error| Failure::not_started(&self.shown, &error))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let message = format!("`{}` ended with {}: {}", self.shown, output.status, said.trim());
        Err(Failure { message, printed: stdout })
    }
}

/// A command that could not be started, or that reported a failure.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    pub printed: String,
}

impl Failure {
    fn not_started(shown: &str, error: &std::io::Error) -> Self {
        Self { message: format!("`{shown}` could not be run: {error}"), printed: String::new() }
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.message
    }
}

/// Whether a program of this name is on the `PATH`.
pub fn exists(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn describes_this_package(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
}

fn read_lines(stream: impl Read + Send + 'static, sender: Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    })
}
