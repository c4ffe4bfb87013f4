//! One module for each verb.

pub(crate) mod audit;
pub(crate) mod claim;
pub(crate) mod dev;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod grant;
pub(crate) mod lab;
pub(crate) mod node;
pub(crate) mod verify;

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use depin_core::Timestamp;
use depin_evm::{
    Client, Options, Url, connect,
    embedded::{Clock, EmbeddedChain},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The environment variable with the URL of a chain. A URL may hold a secret, so it has no flag that takes one by value.
pub(crate) const RPC_VARIABLE: &str = "DEPIN_RPC";

/// The chain at `url`, which must be the chain `chain_id`.
pub(crate) async fn chain(url: &str, chain_id: u64, options: Options) -> Result<Client> {
    let url: Url = url.parse().with_context(|| format!("{RPC_VARIABLE} is no URL"))?;
    connect(&[url], chain_id, options).await.with_context(|| {
        format!("{RPC_VARIABLE} should name the chain of this network, {chain_id}; set it to that one, or unset it")
    })
}

/// Which chain the node at `url` serves.
pub(crate) async fn chain_id(url: &str) -> Result<u64> {
    let url: Url = url.parse().with_context(|| format!("{RPC_VARIABLE} is no URL"))?;
    Ok(depin_lab::dev::ask_chain_id(&url).await?)
}

/// The moment that `text` names (RFC 3339), in whole milliseconds, rounded down.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok();
    let millis = moment.map(|moment| moment.unix_timestamp_nanos().div_euclid(1_000_000));
    let millis = millis.and_then(|millis| u64::try_from(millis).ok());
    millis
        .map(Timestamp)
        .ok_or_else(|| "expected a moment since 1970, for example 2026-01-31T12:00:00Z".to_owned())
}

/// This moment, by the machine's clock.
pub(crate) fn now() -> Timestamp {
    timestamp(SystemTime::now())
}

pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Reads a file, naming it when that fails.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// The embedded chain of a network's directory, which must not be in use.
pub(crate) fn embedded(state: &Path, chain_id: u64) -> Result<Client> {
    let chain = EmbeddedChain::resume(&state.join("chain"), Clock::Wall).with_context(|| {
        format!(
            "if this network runs, set {RPC_VARIABLE} to the URL of its chain, which it shows when it starts"
        )
    })?;
    if chain.chain_id() != chain_id {
        bail!("{} holds chain {}, expected {chain_id}", state.display(), chain.chain_id());
    }
    Ok(chain.client())
}

/// Ends when the user or the system asks this program to stop.
pub(crate) async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
