//! `depin device`: make, check, register or run a device, and erase what is private.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use depin::admission::Admitted;
use depin_core::{Cell, DeviceId, KeyType, Text};
use depin_identity::signer::{CheckResult, DeviceCheck, DeviceUrl};
use depin_lab::{
    client::NodeClient,
    device::{self, Device},
    maker::{CREDENTIAL, Maker},
    private,
    provider::{Provider, ProviderConfig},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the keys of a device and of its owner, in a directory; or the key of a device where a URL says.
    New(New),
    /// Say what the key of a device can do: exit code 0 if it is fit, 1 if not, 2 if it could not be looked at.
    Check {
        /// The key: file:/path/key.pem, or pkcs11:token=…;object=…?module-path=….
        url: DeviceUrl,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Grant somebody rights over a device, until a moment or until it changes hands; prints the token.
    Grant(super::grant::Issue),
    /// Take rights away from a grant before passing it on; needs no key. Prints the token.
    Narrow(super::grant::Narrow),
    /// Print what a maker's device shows to be let in, for its credential.json. For makers on this machine, such as that of `depin dev`.
    Vouch {
        /// The maker's directory.
        #[arg(long)]
        maker: PathBuf,
        /// The device.
        #[arg(long)]
        device: DeviceId,
    },
    /// Bind a device to its owner and have that recorded on chain; the node's operator pays the gas. Then show what is in its credential.json,
    /// if the network asks for credentials: again whenever they were issued anew.
    Register(Place),
    /// Run a device that keeps data for customers.
    Run {
        #[command(flatten)]
        place: Place,
        /// Where it is: a cell of the H3 grid. Its reports commit to the cell, blurred as far as the network's policy says; the value stays in the
        /// folder private of its directory.
        #[arg(long, value_name = "CELL")]
        cell: Option<Cell>,
    },
    /// Erase the private values that a device's reports commit to. What was signed stands, and nobody can open it any more.
    Erase {
        /// The device's directory.
        #[arg(long)]
        dir: PathBuf,
        /// Erase only values under this label, for example place.
        #[arg(long, value_parser = label)]
        label: Option<Text>,
    },
}

fn label(text: &str) -> Result<Text, depin_core::TextError> {
    Text::new(text)
}

#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The device's directory. With --key it gets the owner's key alone.
    #[arg(long, required_unless_present = "key")]
    dir: Option<PathBuf>,
    /// Where to make the device's key: file:/path/key.pem, encrypted, or pkcs11:token=…;object=…?module-path=…. The password or PIN comes
    /// from DEPIN_KEY_PASSWORD, or from the file that ?pin-source=file:/… names.
    #[arg(long, requires = "key_type")]
    key: Option<DeviceUrl>,
    /// The type of the key.
    #[arg(long = "type", value_name = "TYPE", requires = "key")]
    key_type: Option<Type>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Type {
    Ed25519,
    P256,
    Secp256k1,
}

impl From<Type> for KeyType {
    fn from(kind: Type) -> Self {
        match kind {
            Type::Ed25519 => Self::Ed25519,
            Type::P256 => Self::P256,
            Type::Secp256k1 => Self::Secp256k1,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// The device's directory.
    #[arg(long)]
    dir: PathBuf,
    /// The device's key, if it is not in its directory.
    #[arg(long)]
    key: Option<DeviceUrl>,
    /// The node.
    #[arg(long, default_value = "http://127.0.0.1:8600", env = "DEPIN_NODE")]
    node: String,
}

pub(crate) async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::New(New { dir, key: Some(url), key_type: Some(kind) }) => new_key(dir, url, kind).await?,
        Command::New(New { dir: Some(dir), .. }) => {
            if dir.join("device.key").exists() {
                bail!("{} holds a device already; name another directory", dir.display());
            }
            let (device, owner) = device::create(&dir, None, "")?;
            println!("device  {device}\nowner   {owner}\nkeys    {}", dir.display());
            eprintln!("next: depin device register --dir {}", dir.display());
        }
        Command::New(_) => bail!("name a directory with --dir, or a key with --key and --type"),
        Command::Check { url, json } => return check(&url, json).await,
        Command::Grant(arguments) => return super::grant::issue(arguments).await,
        Command::Narrow(arguments) => return super::grant::narrow(arguments),
        Command::Vouch { maker, device } => {
            println!("{}", String::from_utf8(Maker::open(&maker)?.vouch(&device)?)?);
        }
        Command::Register(place) => {
            let client = NodeClient::new(&place.node, None)?;
            let status = client.status_now().await?;
            let mut provider = start(&place).await?;
            provider.register(&status).await?;
            println!("registered {} for {}", provider.claimed(), provider.device().owner());
            match provider.show().await? {
                Some(Admitted { root, serial, until, .. }) => {
                    println!("admitted  serial {serial} under {root}, until {}", until.rfc3339());
                }
                None if provider.network().params.admission.is_some() => {
                    let path = place.dir.join(CREDENTIAL);
                    eprintln!(
                        "this network counts a device only by its maker's word: put what the maker gave you (`depin device vouch`) into {}, then register again",
                        path.display()
                    );
                    return Ok(ExitCode::SUCCESS);
                }
                None => {}
            }
            let key = place.key.as_ref().map(|url| format!(" --key '{url}'")).unwrap_or_default();
            eprintln!("next: depin device run --dir {}{key} --node {}", place.dir.display(), place.node);
        }
        Command::Erase { dir, label } => {
            println!("erased  {}", private::erase(&dir, label.as_ref())?);
        }
        Command::Run { place, cell } => {
            let mut provider = start(&place).await?;
            if let Some(cell) = cell {
                provider.commit_to_place(cell)?;
            }
            eprintln!("{} takes pieces at http://{}", provider.claimed(), provider.address());
            tokio::select! {
                result = provider.run() => result?,
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a key at `url`, and the directory of its device with a key of its owner.
async fn new_key(dir: Option<PathBuf>, url: DeviceUrl, kind: Type) -> Result<()> {
    let (url, signer) = tokio::task::spawn_blocking(move || url.create(kind.into())).await??;
    println!("device  {}", DeviceId(signer.public_key()));
    if let Some(dir) = &dir {
        println!("owner   {}", device::create_owner(dir, None, "")?);
    }
    println!("key     {url}");
    eprintln!("next: depin device check '{url}'");
    Ok(())
}

/// The exit code says what was found.
async fn check(url: &DeviceUrl, json: bool) -> Result<ExitCode> {
    let started = Instant::now();
    let found = DeviceCheck::run(url, &|| started.elapsed()).await;
    if json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        for outcome in &found.outcomes {
            let result = match outcome.result {
                CheckResult::Pass => "pass",
                CheckResult::Fail => "FAIL",
                CheckResult::Skip => "skip",
            };
            println!("{result}  {:<11} {}", outcome.check.as_str(), outcome.reason);
        }
    }
    Ok(ExitCode::from(match found.is_fit() {
        Some(true) => 0,
        Some(false) => 1,
        None => 2,
    }))
}

async fn start(place: &Place) -> Result<Provider> {
    let Some(url) = place.key.clone() else { return Ok(Provider::start(config(place)).await?) };
    let signer = tokio::task::spawn_blocking(move || url.open()).await??;
    let device = Device::open_with(&place.dir, Arc::from(signer))?;
    Ok(Provider::start_device(config(place), device).await?)
}

fn config(place: &Place) -> ProviderConfig {
    ProviderConfig {
        dir: place.dir.clone(),
        node: place.node.clone(),
        member: None,
        attack: None,
        victim: None,
        late: false,
    }
}
