//! `depin dev`: a whole network on this machine.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;
use depin::api::Phase;
use depin_core::Amount;
use depin_lab::{
    attack::Attack,
    dev::{ChainChoice, DevConfig, DevError, DeviceReport, Operator, Progress, Report, run as run_dev},
};
use indicatif::{ProgressBar, ProgressStyle};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the network's devices do.
    #[arg(long, value_enum, default_value_t = Sector::Storage)]
    sector: Sector,
    /// Honest devices; cheaters come on top.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=200))]
    devices: u16,
    /// Cheaters on top of them: deletes data, replays, clones a key, claims uptime, deals with itself, has no maker; then from the start.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=100))]
    cheaters: u16,
    /// Epochs to run [default: 3 with --once, otherwise until stopped].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: Option<u64>,
    /// Run the epochs, settle, audit, and end.
    #[arg(long)]
    once: bool,
    /// Print one JSON object with everything that happened.
    #[arg(long)]
    json: bool,
    /// Derive keys, data and time from this number: the same seed gives the same bundles.
    #[arg(long)]
    seed: Option<u64>,
    /// Length of an epoch.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds_per_epoch: u64,
    /// Where the node listens on 127.0.0.1; 0 for any free port [default: 8600, with --once any].
    #[arg(long)]
    port: Option<u16>,
    /// The network's directory; started again on it, the network goes on [default: with --once a new one that is removed, otherwise ./depin-dev].
    #[arg(long)]
    state: Option<PathBuf>,
    /// The chain: `embedded`, `anvil`, or the URL of one that runs. A URL's account is paid from the key in DEPIN_CHAIN_KEY.
    #[arg(long, default_value = "embedded")]
    chain: ChainChoice,
    /// The data customers want kept: a directory of at most 256 MiB, of which .gitignore is respected [default: 8 MiB made from the seed].
    #[arg(long)]
    data: Option<PathBuf>,
    /// The operator: `honest`, `drops` a device's answer, or `backdates` a friend's.
    #[arg(long, default_value = "honest")]
    operator: Operator,
    /// The attacks that cheaters take up in turn, instead of each: partial-storage, replay, clone, uptime, self-dealing, counterfeit.
    #[arg(long, value_name = "ATTACK")]
    attack: Vec<Attack>,
    /// Leave claims to their owners, or to whoever claims for them; otherwise the node claims for everybody.
    #[arg(long)]
    no_relay: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sector {
    Storage,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let Sector::Storage = arguments.sector;
    let temporary = match (&arguments.state, arguments.once) {
        (None, true) => Some(Temporary::new()?),
        _ => None,
    };
    let state = match (&arguments.state, &temporary) {
        (Some(state), _) => state.clone(),
        (None, Some(temporary)) => temporary.0.clone(),
        (None, None) => PathBuf::from("depin-dev"),
    };
    let config = DevConfig {
        devices: arguments.devices.into(),
        cheaters: arguments.cheaters.into(),
        epochs: arguments.epochs.or(arguments.once.then_some(3)),
        seed: arguments.seed,
        seconds_per_epoch: arguments.seconds_per_epoch,
        port: arguments.port.unwrap_or(if arguments.once { 0 } else { 8600 }),
        state,
        data: arguments.data,
        chain: arguments.chain,
        operator: arguments.operator,
        attacks: arguments.attack,
        relay: !arguments.no_relay,
        program: std::env::current_exe().context("this program cannot find itself")?,
    };
    let watcher = Watcher::new(config.epochs);
    let report = run_dev(config, |progress| watcher.see(&progress), super::stopped()).await;
    watcher.bar.finish_and_clear();
    let report = match report {
        Err(DevError::Stopped) => {
            eprintln!("stopped; run it again with the same --state and it goes on");
            return Ok(ExitCode::SUCCESS);
        }
        other => other?,
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    for problem in &report.problems {
        eprintln!("inconsistent: {problem}");
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A directory that is removed with this.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Self> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let path =
            std::env::temp_dir().join(format!("depin-dev-{}-{}", std::process::id(), since.as_nanos()));
        std::fs::create_dir(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} cannot be removed: {error}", self.0.display());
        }
    }
}

/// Shows what happens: a bar on a terminal, lines elsewhere.
struct Watcher {
    bar: ProgressBar,
    terminal: bool,
}

impl Watcher {
    fn new(epochs: Option<u64>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        if !terminal {
            return Self { bar: ProgressBar::hidden(), terminal };
        }
        let bar = ProgressBar::new(epochs.unwrap_or_default());
        let template = if epochs.is_some() {
            "{spinner} epoch {pos}/{len} [{bar:24}] {wide_msg}"
        } else {
            "{spinner} {pos} epochs closed  {wide_msg}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, terminal }
    }

    fn see(&self, progress: &Progress) {
        match progress {
            Progress::Step(step) => self.say(step),
            Progress::Ready { url, rpc } => {
                self.line(&format!("node   {url}\nchain  {rpc}"));
            }
            Progress::Phase { epoch, phase } => {
                self.bar.set_message(format!("epoch {epoch}: {}", words(*phase)))
            }
            Progress::Closed(bundle) => {
                self.bar.inc(1);
                let verdicts = bundle.verdict_counts();
                self.line(&format!(
                    "epoch {} closed: {} accepted, {} rejected, {} paid to {} owners, bundle {}",
                    bundle.header.epoch,
                    verdicts.accept,
                    verdicts.reject,
                    tokens(bundle.result.paid),
                    bundle.result.claims,
                    bundle.digest(),
                ));
            }
            _ => {}
        }
    }

    fn say(&self, step: &str) {
        if self.terminal { self.bar.set_message(step.to_owned()) } else { eprintln!("{step}") }
    }

    fn line(&self, text: &str) {
        if self.terminal { self.bar.println(text) } else { eprintln!("{text}") }
    }
}

const fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Register { .. } => "devices register",
        Phase::Deal { .. } => "customers hand over their data",
        Phase::Pay { .. } => "customers pay",
        Phase::Commit => "devices say what they keep",
        Phase::Answer => "the beacon is known, devices answer",
        Phase::Report => "devices report",
        Phase::Finished => "settling",
        _ => "starting",
    }
}

/// An amount in tokens with four decimals, cut and not rounded.
fn tokens(amount: Amount) -> String {
    let (whole, rest) = (amount.0.div_euclid(10_u128.pow(18)), amount.0.rem_euclid(10_u128.pow(18)));
    format!("{whole}.{:04}", rest.div_euclid(10_u128.pow(14)))
}

/// What the owner has more than at the start: less than what it earned if it paid for its own earnings.
fn net(device: &DeviceReport) -> String {
    match device.balance.checked_sub(device.start) {
        Ok(gain) => tokens(gain),
        Err(_) => format!("-{}", tokens(device.start.saturating_sub(device.balance))),
    }
}

fn print(report: &Report) {
    println!("\n{:<58} {:<8} {:<16} {:>14} {:>14}", "device", "role", "attack", "earned", "net");
    for device in &report.devices {
        println!(
            "{:<58} {:<8} {:<16} {:>14} {:>14}",
            device.did.to_string(),
            device.role,
            device.attack.map_or("", |attack| attack.name()),
            tokens(device.earned),
            net(device),
        );
    }
    println!("\n{:<44} {:>14} {:>14}", "customer", "paid", "burned");
    for customer in &report.customers {
        println!(
            "{:<44} {:>14} {:>14}",
            customer.address.to_string(),
            tokens(customer.paid),
            tokens(customer.burned)
        );
    }
    if !report.rejections.is_empty() {
        println!("\n{:<24} {:>6}", "refused or noted", "times");
        for rejection in &report.rejections {
            println!("{:<24} {:>6}", rejection.reason, rejection.count);
        }
    }
    println!("\naudit: {} of {} epochs recomputed match", report.audit.matching, report.audit.recomputed);
}
