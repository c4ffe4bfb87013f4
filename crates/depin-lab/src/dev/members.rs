//! Devices and customers: who they are, and the processes they run in.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use depin::node::Node;
use depin_core::{Address, Amount, DeviceId};
use depin_identity::grant::GrantError;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::Notify,
};

use super::{
    DevConfig, DevError, Operator,
    factory::{self, Factory},
};
use crate::{
    attack::Attack,
    customer::{CustomerConfig, Order},
    data,
    device::{self, DeviceError},
    provider::ProviderConfig,
};

/// What a customer pays for keeping a byte for an epoch, in base units: some ten tokens for a mebibyte.
const PRICE_PER_BYTE: Amount = Amount(10_000_000_000_000);
/// For how many epochs a deal is made.
const DEAL_EPOCHS: u32 = 1_000_000;
/// How long a process may take to come up.
const START_TIME: Duration = Duration::from_secs(60);

/// Why devices or customers do not do their part.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MembersError {
    /// A process that cannot be started.
    #[error("{program} cannot be started: {error}")]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A process that did not come up.
    #[error("{name} did not come up: {reason}; see {log}")]
    Silent {
        /// Who.
        name: String,
        /// What happened.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// A process that ended.
    #[error("{name} ended before the network did ({reason}); see {log}")]
    Gone {
        /// Who.
        name: String,
        /// How.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// A file.
    #[error(transparent)]
    Files(#[from] DeviceError),
    /// What lets a customer hand pieces to a provider.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

/// Everybody in a simulated network.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) providers: Vec<ProviderRole>,
    pub(super) customers: Vec<CustomerRole>,
    /// Wallets that pay, in order.
    pub(super) wallets: Vec<Address>,
}

#[derive(Clone, Debug)]
pub(super) struct ProviderRole {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    /// The device it claims to be.
    pub(super) device: DeviceId,
    pub(super) owner: Address,
    pub(super) attack: Option<Attack>,
    victim: Option<PathBuf>,
    late: bool,
}

#[derive(Clone, Debug)]
pub(super) struct CustomerRole {
    pub(super) name: String,
    dir: PathBuf,
    wallet: PathBuf,
    /// Providers by number, each with the files it is to keep.
    orders: Vec<(usize, Vec<PathBuf>)>,
}

/// What a provider's process says when it is ready, as one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// The device it claims to be.
    pub device: DeviceId,
    /// Where it takes pieces.
    pub address: std::net::SocketAddr,
}

/// Makes everybody's keys and data, unless they are there.
pub(super) fn cast(config: &DevConfig, seed: Option<&[u8; 32]>, factory: &Factory) -> Result<Cast, DevError> {
    let mut providers = Vec::new();
    for number in 0..config.devices {
        providers.push(provider(config, seed, factory, format!("device-{number}"), None)?);
    }
    for number in 0..config.cheaters {
        let attack = Attack::of_cheater(number, &config.attacks);
        let mut cheater =
            provider(config, seed, factory, format!("cheater-{number}-{attack}"), Some(attack))?;
        if attack == Attack::Clone {
            // Nobody honest to copy from: then the first cheater is the victim.
            let victim = providers.first().map(|victim| (victim.dir.clone(), victim.device));
            if let Some((dir, device)) = victim {
                cheater.device = device;
                cheater.victim = Some(dir);
            }
        }
        providers.push(cheater);
    }
    if config.operator == Operator::Backdates
        && let Some(friend) = providers.first_mut()
    {
        friend.late = true;
    }
    let seed = match seed {
        Some(seed) => *seed,
        None => {
            let path = config.state.join("data.seed");
            device::make_key(&path, None, "data")?;
            device::read_secret(&path)?
        }
    };
    let mut customers = customers(config, &seed, &providers)?;
    for (number, cheater) in providers.iter().enumerate() {
        if cheater.attack == Some(Attack::SelfDealing) {
            let dir = cheater.dir.join("made-up");
            data::make(&dir, &seed, &cheater.name, 2, data::MADE_DATA / 8)?;
            customers.push(CustomerRole {
                name: format!("{}-as-customer", cheater.name),
                wallet: cheater.dir.join("owner.key"),
                orders: vec![(number, data::files(&dir, &config.state)?)],
                dir,
            });
        }
    }
    let wallets: Result<Vec<Address>, DeviceError> =
        customers.iter().map(|customer| Ok(device::wallet(&customer.wallet)?.address())).collect();
    Ok(Cast { providers, customers, wallets: wallets? })
}

fn provider(
    config: &DevConfig,
    seed: Option<&[u8; 32]>,
    factory: &Factory,
    name: String,
    attack: Option<Attack>,
) -> Result<ProviderRole, DevError> {
    let dir = config.state.join("providers").join(&name);
    let (device, owner) = device::create(&dir, seed, &name)?;
    factory.equip(&dir, &device, attack)?;
    Ok(ProviderRole { name, dir, device, owner, attack, victim: None, late: false })
}

/// One customer for every four providers. Each file goes to one provider, in turn.
fn customers(
    config: &DevConfig,
    seed: &[u8; 32],
    providers: &[ProviderRole],
) -> Result<Vec<CustomerRole>, DevError> {
    let keepers: Vec<usize> = providers
        .iter()
        .enumerate()
        .filter(|(_, provider)| !matches!(provider.attack, Some(Attack::Clone | Attack::SelfDealing)))
        .map(|(number, _)| number)
        .collect();
    let files = match &config.data {
        Some(folder) => data::files(folder, &config.state)?,
        None => {
            let folder = config.state.join("data");
            let count = u64::try_from(keepers.len().max(1)).unwrap_or(u64::MAX).saturating_mul(2);
            data::make(&folder, seed, "piece", count, data::MADE_DATA)?;
            data::files(&folder, &config.state)?
        }
    };
    let mut shares: Vec<(usize, Vec<PathBuf>)> = keepers.iter().map(|number| (*number, Vec::new())).collect();
    let count = shares.len().max(1);
    for (at, file) in files.into_iter().enumerate() {
        if let Some((_, share)) = shares.get_mut(at % count) {
            share.push(file);
        }
    }
    let mut customers = Vec::new();
    for (number, some) in shares.chunks(4).enumerate() {
        let name = format!("customer-{number}");
        let dir = config.state.join("customers").join(&name);
        std::fs::create_dir_all(&dir).map_err(|error| DeviceError::Io { path: dir.clone(), error })?;
        let wallet = dir.join("wallet.key");
        device::make_key(&wallet, config.seed.is_some().then_some(seed), &name)?;
        customers.push(CustomerRole { name, dir, wallet, orders: some.to_vec() });
    }
    Ok(customers)
}

/// The processes of a simulated network. They end with this.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) cast: Cast,
    running: Arc<Mutex<Vec<Running>>>,
    failed: Arc<Notify>,
}

#[derive(Debug)]
struct Running {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Members {
    /// Starts everybody; the node waits for each from now on.
    pub(super) async fn start(
        config: &DevConfig,
        cast: Cast,
        node: &Node,
        url: &str,
        rpc: &str,
    ) -> Result<Self, MembersError> {
        let mut running = Vec::new();
        let mut addresses = Vec::new();
        let mut member = 0_u32;
        let mut waiting = Vec::new();
        for provider in &cast.providers {
            member = member.saturating_add(1);
            node.gate().join(member);
            let settings = ProviderConfig {
                dir: provider.dir.clone(),
                node: url.to_owned(),
                member: Some(member),
                attack: provider.attack,
                victim: provider.victim.clone(),
                late: provider.late,
            };
            let path = provider.dir.join("config.json");
            let mut process =
                spawn(&config.program, "provider", &provider.name, &provider.dir, &path, &settings, &[])?;
            waiting.push((process.name.clone(), process.log.clone(), process.child.stdout.take()));
            running.push(process);
        }
        for (name, log, stdout) in waiting {
            let ready = ready(stdout).await.map_err(|reason| MembersError::Silent { name, reason, log })?;
            addresses.push(ready.address);
        }
        for (turn, customer) in (0..).zip(&cast.customers) {
            member = member.saturating_add(1);
            node.gate().join(member);
            let mut orders = Vec::new();
            for (number, files) in &customer.orders {
                let to = cast.providers.get(*number).zip(addresses.get(*number));
                if let Some((ProviderRole { device, dir, .. }, address)) = to {
                    let grant = factory::entry(node, dir, *device)?;
                    orders.push(Order { device: *device, address: *address, files: files.clone(), grant });
                }
            }
            let settings = CustomerConfig {
                wallet: customer.wallet.clone(),
                node: url.to_owned(),
                member: Some(member),
                turn,
                price_per_byte: PRICE_PER_BYTE,
                epochs: DEAL_EPOCHS,
                orders,
            };
            let path = customer.dir.join("config.json");
            // A URL may hold a secret, so it does not go onto the command line.
            let environment = [("DEPIN_RPC", rpc)];
            let name = &customer.name;
            running.push(spawn(
                &config.program,
                "customer",
                name,
                &customer.dir,
                &path,
                &settings,
                &environment,
            )?);
        }
        let members = Self { cast, running: Arc::new(Mutex::new(running)), failed: Arc::new(Notify::new()) };
        members.guard();
        Ok(members)
    }

    /// How many customers there are.
    pub(super) fn customers(&self) -> u32 {
        u32::try_from(self.cast.customers.len()).unwrap_or(u32::MAX)
    }

    /// Looks after the processes.
    fn guard(&self) {
        let (running, failed) = (Arc::downgrade(&self.running), Arc::clone(&self.failed));
        tokio::spawn(async move {
            while let Some(running) = running.upgrade() {
                if first_gone(&running).is_some() {
                    failed.notify_waiters();
                }
                drop(running);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }

    /// Whether everybody still runs.
    pub(super) fn check(&self) -> Result<(), MembersError> {
        first_gone(&self.running).map_or(Ok(()), Err)
    }

    /// Ends when somebody has ended before the network did.
    pub(super) async fn failure(&self) -> MembersError {
        loop {
            let failed = self.failed.notified();
            if let Some(error) = first_gone(&self.running) {
                return error;
            }
            failed.await;
        }
    }
}

fn first_gone(running: &Mutex<Vec<Running>>) -> Option<MembersError> {
    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
    running.iter_mut().find_map(|process| {
        let reason = match process.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Some(MembersError::Gone { name: process.name.clone(), reason, log: process.log.clone() })
    })
}

/// Starts `depin lab ROLE --config PATH`. What it says goes into a log in its directory.
fn spawn(
    program: &Path,
    role: &str,
    name: &str,
    dir: &Path,
    path: &Path,
    settings: &impl Serialize,
    environment: &[(&str, &str)],
) -> Result<Running, MembersError> {
    device::replace(path, &serde_json::to_vec_pretty(settings).unwrap_or_default())?;
    let log = dir.join("log");
    let file = std::fs::File::create(&log).map_err(|error| DeviceError::Io { path: log.clone(), error })?;
    let child = Command::new(program)
        .args(["lab", role, "--config"])
        .arg(path)
        .envs(environment.iter().copied())
        // Held open for as long as this process lives: when it closes, the child ends, however this process died.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(file)
        // Not in the terminal's group: Ctrl-C is for the network, which ends them.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| MembersError::Start { program: program.to_owned(), error })?;
    Ok(Running { name: name.to_owned(), log, child })
}

/// Waits for the line in which a provider says where it listens.
async fn ready(stdout: Option<tokio::process::ChildStdout>) -> Result<Ready, String> {
    let stdout = stdout.ok_or("it has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(START_TIME, lines.next_line())
        .await
        .map_err(|_| "it takes too long".to_owned())?;
    let line = line.map_err(|error| error.to_string())?.ok_or("it ended")?;
    serde_json::from_str(&line).map_err(|error| error.to_string())
}
