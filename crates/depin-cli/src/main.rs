//! The command line of depin.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 for yes, 1 for no (a mismatch, a failure), 2 for a wrong command line and for
//! what could not be checked.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is what speaks to the user")]

mod commands;
mod config;

use std::{io::IsTerminal, process::ExitCode};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Decentralized physical infrastructure networks: run one, recompute what it paid, claim from it.
#[derive(Debug, Parser)]
#[command(name = "depin", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole network on this machine: chain, customers, devices, cheaters, audit.
    Dev(commands::dev::Arguments),
    /// Run the node of a network on any chain, and launch one.
    Node(commands::node::Arguments),
    /// Make, register or run a device.
    #[command(subcommand)]
    Device(commands::device::Command),
    /// Recompute an epoch from its bundle, and compare with the chain and with receipts.
    Audit(commands::audit::Arguments),
    /// Claim what an owner earned; anybody may do it for anybody.
    Claim(commands::claim::Arguments),
    /// Find out what files are, and check them.
    Verify(commands::verify::Arguments),
    /// Check this machine and a network's directory, and name what is wrong.
    Doctor(commands::doctor::Arguments),
    /// Members of a simulated network; `dev` starts them.
    #[command(subcommand, hide = true)]
    Lab(commands::lab::Command),
}

/// Logs go to standard error: as a node's configuration says, otherwise as `DEPIN_LOG` does.
fn log(command: &Command) {
    // What is wrong with the configuration is said by the command itself.
    let config = match command {
        Command::Node(arguments) => arguments.settings.collect().ok().map(|(config, _)| config),
        _ => None,
    };
    let filter = match &config {
        Some(config) => EnvFilter::new(&config.log_filter),
        None => EnvFilter::try_from_env("DEPIN_LOG").unwrap_or_else(|_| EnvFilter::new("warn")),
    };
    // Colours are for terminals: a journal would keep them as bytes.
    let colours = std::io::stderr().is_terminal();
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    if config.is_some_and(|config| config.log_json) { logs.json().init() } else { logs.init() }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log(&arguments.command);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Dev(arguments) => commands::dev::run(arguments).await,
            Command::Node(arguments) => commands::node::run(arguments).await,
            Command::Device(command) => commands::device::run(command).await,
            Command::Audit(arguments) => commands::audit::run(arguments).await,
            Command::Claim(arguments) => commands::claim::run(arguments).await,
            Command::Verify(arguments) => commands::verify::run(arguments).await,
            Command::Doctor(arguments) => commands::doctor::run(arguments).await,
            Command::Lab(command) => commands::lab::run(command).await,
        }
    });
    // A blocking read of a child's pipe must not hold the process.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
