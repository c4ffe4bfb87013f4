//! Whether a node of this configuration would run.

use std::path::Path;

use anyhow::{Context, Result, bail};
use depin::{
    api::NetworkInfo,
    node::{Clock, bind},
};
use depin_core::{Millis, Timestamp};
use depin_evm::{Client, Finality, final_block, header};
use depin_identity::SoftwareKey;
use depin_lab::device;

use super::{super::node, Findings};
use crate::config::Config;

/// Free space below which a disk is too full: some hours of a busy network.
const LEAST_SPACE: u64 = 1 << 30;
/// How far this machine's clock may be behind the chain's newest block.
const AHEAD: Millis = Millis(15_000);
/// How old the newest block may be: chains are slow at times, and some make blocks only when there is something to put into them.
const BEHIND: Millis = Millis(600_000);

/// Every check, each on its own: what is wrong with one hides no other.
pub(super) async fn check(config: &Config, runs: bool, findings: &mut Findings) {
    ports(config, runs, findings).await;
    let writable = writable(&config.state);
    if findings.take("directory", writable).is_some() {
        findings.ok("directory", format!("{} can be written", config.state.display()));
    }
    space(&config.state, findings);
    let secrets =
        [&config.rpc_file, &config.keystore, &config.keystore_password_file, &config.mqtt_password_file];
    for path in secrets.into_iter().flatten() {
        secret(path, findings);
    }
    if let Some(operator) = findings.take("operator", config.operator()) {
        findings.ok("operator", operator.address().to_string());
    }
    let info = findings.take("network", node::network(&config.state));
    if let Some(info) = &info {
        findings.ok("network", info.params.network().to_string());
        let right = key(&config.state, info);
        if findings.take("key", right).is_some() {
            findings.ok("key", "it is the key of this network's node");
        }
    }
    chain(config, info.as_ref(), findings).await;
    broker(config, findings).await;
}

async fn ports(config: &Config, runs: bool, findings: &mut Findings) {
    let listeners =
        [("intake", config.intake), ("reading", config.reading), ("admin", config.administration)];
    for (name, address) in listeners {
        match bind(address).await {
            Ok(_) => findings.ok(name, format!("{address} is free")),
            Err(error) if runs && error.kind() == std::io::ErrorKind::AddrInUse => {
                findings.note(name, format!("{address} is in use, probably by the node that runs"));
            }
            Err(error) => findings.wrong(name, error.to_string()),
        }
        if name == "admin" && !address.ip().is_loopback() {
            let detail = format!("{address} can be reached from elsewhere; keep the public away from it");
            findings.note(name, detail);
        }
    }
}

/// Writes a file and takes it away again.
fn writable(state: &Path) -> Result<()> {
    if !state.is_dir() {
        bail!("{} is no directory; make it, or name another in `state`", state.display());
    }
    let path = state.join(format!("doctor.{}", std::process::id()));
    std::fs::write(&path, b"depin").with_context(|| format!("{} cannot be written", state.display()))?;
    std::fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))
}

fn space(state: &Path, findings: &mut Findings) {
    match rustix::fs::statvfs(state) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let detail = format!("{} MiB are free", free >> 20);
            if free < LEAST_SPACE {
                findings.wrong("disk", format!("{detail}; expected at least {} MiB", LEAST_SPACE >> 20));
            } else {
                findings.ok("disk", detail);
            }
        }
        Err(error) => findings.wrong("disk", format!("{}: {error}", state.display())),
    }
}

/// Nobody but its owner should read a secret; a group is let through, since service managers hand out files so.
fn secret(path: &Path, findings: &mut Findings) {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o007 != 0 => {
            findings.wrong("secret", format!("everybody can read {}; chmod o= it", path.display()));
        }
        Ok(_) => findings.ok("secret", path.display().to_string()),
        Err(error) => findings.wrong("secret", format!("{}: {error}", path.display())),
    }
}

fn key(state: &Path, info: &NetworkInfo) -> Result<()> {
    let path = state.join("node.key");
    let key = SoftwareKey::from_seed(device::read_secret(&path)?);
    if key.public().typed() != info.params.node {
        bail!("{} is not the key of this network's node; restore it from a copy", path.display());
    }
    Ok(())
}

async fn chain(config: &Config, info: Option<&NetworkInfo>, findings: &mut Findings) {
    let Some(client) = findings.take("chain", reach(config, info).await) else { return };
    findings.ok("chain", format!("chain {} answers", client.chain_id()));
    if let Some(info) = info {
        match info.deployment().check(&client).await {
            Ok(()) => findings.ok("contracts", "they are there"),
            Err(error) => findings.wrong("contracts", error.to_string()),
        }
    }
    match newest(&client).await {
        Ok(Some(newest)) => clock(newest, Clock::Wall.now(), findings),
        Ok(None) => findings.note("clock", "the chain has no block to compare with"),
        Err(error) => findings.wrong("clock", format!("{error:#}")),
    }
}

/// The chain, which must be the network's if there is one.
async fn reach(config: &Config, info: Option<&NetworkInfo>) -> Result<Client> {
    let url = config.rpc()?;
    let expected = match info {
        Some(info) => info.params.chain_id,
        None => super::super::chain_id(&url).await?,
    };
    super::super::chain(&url, expected, config.chain()).await
}

/// When the chain's newest block was made.
async fn newest(client: &Client) -> Result<Option<Timestamp>> {
    let Some(last) = final_block(client, Finality::Depth(0)).await? else { return Ok(None) };
    let seconds = header(client, last.number).await?.timestamp;
    Ok(Some(Timestamp(seconds.saturating_mul(1000))))
}

fn clock(newest: Timestamp, now: Timestamp, findings: &mut Findings) {
    let (ahead, behind) = (newest.since(now), now.since(newest));
    if ahead > AHEAD {
        let detail =
            format!("this machine is {} s behind the chain's newest block; set its clock", ahead.0 / 1000);
        findings.wrong("clock", detail);
    } else if behind > BEHIND {
        let detail = "either the chain makes none, or this machine's clock is ahead";
        findings.wrong("clock", format!("the chain's newest block is {} s old; {detail}", behind.0 / 1000));
    } else {
        findings.ok("clock", "it agrees with the chain's newest block");
    }
}

async fn broker(config: &Config, findings: &mut Findings) {
    let Some(broker) = findings.take("mqtt", config.broker()) else { return };
    let Some(broker) = broker else { return findings.note("mqtt", "no broker is named") };
    match broker.probe().await {
        Ok(()) => findings.ok("mqtt", format!("{} lets this user in", broker.url)),
        Err(error) => findings.wrong("mqtt", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_disagrees_with_the_chain_is_wrong_either_way() {
        let result = |newest, now| {
            let mut findings = Findings::default();
            clock(Timestamp(newest), Timestamp(now), &mut findings);
            findings.checks[0].result
        };
        assert_eq!(result(100_000, 100_000), "ok");
        assert_eq!(result(115_000, 100_000), "ok");
        assert_eq!(result(115_001, 100_000), "wrong");
        assert_eq!(result(100_000, 700_000), "ok");
        assert_eq!(result(100_000, 700_001), "wrong");
    }
}
