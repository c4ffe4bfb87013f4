//! `depin device grant` and `depin device narrow`: tokens that say who may do what with a device.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin_core::{Address, DeviceId, Digest, NetworkId, Text, Timestamp};
use depin_identity::{
    grant::{Grant, Holder, Narrowing, Right},
    signer::DeviceUrl,
};

/// Bytes of a file with a token at most.
const MAX_BYTES: u64 = 16_384;

#[derive(Debug, clap::Args)]
pub(crate) struct Issue {
    /// The device's key, or one of the network's operator: file:/path/key.pem, or pkcs11:token=…;object=…?module-path=….
    #[arg(long)]
    key: DeviceUrl,
    /// The device.
    #[arg(long)]
    device: DeviceId,
    /// The network's id, 64 hexadecimal digits.
    #[arg(long)]
    network: Digest,
    /// The device's ownership epoch, as the registry has it: when the device changes hands, the grant dies.
    #[arg(long)]
    ownership_epoch: u64,
    /// What may be done: submit:KIND, use:SERVICE, claim or administer; may be given several times.
    #[arg(long = "action", required = true, value_parser = right)]
    actions: Vec<Right>,
    /// The last moment at which it counts, for example 2026-01-31T12:00:00Z.
    #[arg(long, value_parser = super::moment)]
    until: Timestamp,
    /// Who alone may present it: a device's did:key, a wallet's 0x address, or service:NAME [default: anyone who has it].
    #[arg(long, value_parser = holder)]
    holder: Option<Holder>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Narrow {
    /// The file with the grant; - for standard input. Whoever has a grant may use it, so it is no argument.
    grant: PathBuf,
    /// What alone may be done from here on; may be given several times.
    #[arg(long = "action", value_parser = right)]
    actions: Vec<Right>,
    /// The last moment at which it counts from here on.
    #[arg(long, value_parser = super::moment)]
    until: Option<Timestamp>,
    /// Who alone may present it from here on.
    #[arg(long, value_parser = holder)]
    holder: Option<Holder>,
}

pub(crate) async fn issue(arguments: Issue) -> Result<ExitCode> {
    let Issue { key, device, network, ownership_epoch, actions, until, holder } = arguments;
    to_come(until)?;
    let signer = tokio::task::spawn_blocking(move || key.open()).await??;
    let rights = actions.into_iter().collect();
    let grant =
        Grant { network: NetworkId(network), device, ownership_epoch, rights, expires: until, holder };
    let unsigned = grant.prepare(signer.public_key().key_type(), &random()?)?;
    println!("{}", URL_SAFE_NO_PAD.encode(unsigned.sign(signer.as_ref()).await?));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn narrow(arguments: Narrow) -> Result<ExitCode> {
    let Narrow { grant, actions, until, holder } = arguments;
    if actions.is_empty() && until.is_none() && holder.is_none() {
        bail!("say what to take away: --action, --until or --holder");
    }
    until.map_or(Ok(()), to_come)?;
    let text = read(&grant).with_context(|| format!("{} cannot be read", grant.display()))?;
    let token = URL_SAFE_NO_PAD
        .decode(text.trim().trim_end_matches('='))
        .ok()
        .with_context(|| format!("{} holds no grant in base64url", grant.display()))?;
    let rights = (!actions.is_empty()).then(|| actions.into_iter().collect());
    let narrowed = Grant::narrow(&token, &Narrowing { expires: until, holder, rights }, &random()?)?;
    println!("{}", URL_SAFE_NO_PAD.encode(narrowed));
    Ok(ExitCode::SUCCESS)
}

/// That a grant until then is of use to somebody.
fn to_come(until: Timestamp) -> Result<()> {
    let now = super::now();
    if until < now {
        bail!("--until {} is over, it is {}: give a moment to come", until.rfc3339(), now.rfc3339());
    }
    Ok(())
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().take(MAX_BYTES).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("this machine has no randomness: {error}"))?;
    Ok(bytes)
}

fn right(text: &str) -> Result<Right, String> {
    let name = |name: &str| Text::new(name).map_err(|error| error.to_string());
    match text.split_once(':') {
        None if text == "claim" => Ok(Right::Claim),
        None if text == "administer" => Ok(Right::Administer),
        Some(("submit", kind)) => name(kind).map(Right::Submit),
        Some(("use", service)) => name(service).map(Right::Use),
        _ => Err("expected submit:KIND, use:SERVICE, claim or administer".to_owned()),
    }
}

fn holder(text: &str) -> Result<Holder, String> {
    if let Some(name) = text.strip_prefix("service:") {
        return Text::new(name).map(Holder::Service).map_err(|error| error.to_string());
    }
    if text.starts_with("0x") {
        return text.parse::<Address>().map(Holder::Wallet).map_err(|error| error.to_string());
    }
    text.parse().map(Holder::Device).map_err(|_| "expected did:key:…, 0x… or service:NAME".to_owned())
}
