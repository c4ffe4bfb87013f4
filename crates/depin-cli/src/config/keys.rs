//! Every key once: its name in the file, from which those of its variable and flag follow, what it means, and how it is read.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use depin::node::{Limits, NodeOptions};
use depin_core::{DeviceId, KeyType};
use depin_identity::grant::Grant;

use super::Config;

/// What a value is in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    List,
}

/// A key.
#[derive(Debug)]
pub(crate) struct Key {
    /// In the file, with its table.
    pub(crate) path: &'static str,
    pub(super) kind: Kind,
    pub(super) value_name: &'static str,
    /// What it is.
    pub(crate) help: &'static str,
    /// What a value must be, for a message.
    pub(super) expected: &'static str,
    /// Takes the value; none if it is not what is expected.
    pub(super) set: fn(&mut Config, &str) -> Option<()>,
    /// The value in TOML; none while there is none.
    pub(super) get: fn(&Config) -> Option<String>,
}

impl Key {
    /// The variable: `DEPIN_` and the path in capitals. The filter of logs has the name that every command knows.
    pub(crate) fn variable(&self) -> String {
        match self.path {
            "log.filter" => "DEPIN_LOG".into(),
            path => format!("DEPIN_{}", path.replace('.', "_").to_uppercase()),
        }
    }

    /// The flag, without dashes before it.
    pub(super) fn flag(&self) -> String {
        self.path.replace(['.', '_'], "-")
    }

    pub(super) fn flag_with_dashes(&self) -> String {
        format!("--{}", self.flag())
    }

    pub(super) fn default_shown(&self) -> String {
        (self.get)(&Config::default()).map_or_else(|| "no default".into(), |text| format!("default {text}"))
    }
}

impl Default for Config {
    fn default() -> Self {
        let limits = Limits::default();
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            state: PathBuf::from("depin-node"),
            keep_epochs: 0,
            rpc_file: None,
            keystore: None,
            keystore_password_file: None,
            finality_depth: 2,
            poll_ms: 1_000,
            blocks_per_request: NodeOptions::default().blocks_per_request,
            intake: local(8600),
            reading: local(8601),
            administration: local(8602),
            connections: limits.connections,
            connections_per_client: limits.connections_per_client,
            requests: limits.requests,
            rate: limits.rate,
            burst: limits.burst,
            proxies: limits.proxies,
            grant_doors: Vec::new(),
            grant_issuers: Vec::new(),
            grants_revoked: Vec::new(),
            mqtt_url: None,
            mqtt_client_id: None,
            mqtt_username: None,
            mqtt_password_file: None,
            mqtt_ca_file: None,
            mqtt_in_flight: 64,
            log_filter: "warn,depin=info".into(),
            log_json: false,
        }
    }
}

const ADDRESS: &str = "an address and a port, for example \"127.0.0.1:8600\"";
const COUNT: &str = "a whole number from 1 to 1000000";
const FILE: &str = "the path of a file";
const PATH: &str = "a path";

/// A key of a value that `$field` of the configuration holds as it is.
macro_rules! key {
    ($path:literal, $kind:ident, $name:literal, $help:literal, $expected:expr, $field:ident, $read:expr, $show:expr) => {
        Key {
            path: $path,
            kind: Kind::$kind,
            value_name: $name,
            help: $help,
            expected: $expected,
            set: |config, text| {
                config.$field = ($read)(text)?;
                Some(())
            },
            get: |config| ($show)(&config.$field),
        }
    };
}

pub(super) const KEYS: &[Key] = &[
    key!(
        "state",
        Text,
        "DIR",
        "The node's directory: journal, bundles, index, key, and the network it serves",
        PATH,
        state,
        path,
        shown_path
    ),
    key!(
        "keep_epochs",
        Number,
        "EPOCHS",
        "Closed epochs whose journal entries are kept once their bundle is final on chain; 0 keeps all",
        "a whole number; 0 keeps all",
        keep_epochs,
        number::<u64, 0, 1_000_000>,
        shown
    ),
    key!(
        "chain.rpc_file",
        Text,
        "FILE",
        "A file with the URL of the chain, which may hold a secret; without it the URL is in DEPIN_RPC",
        FILE,
        rpc_file,
        some_path,
        shown_some_path
    ),
    key!(
        "chain.keystore",
        Text,
        "FILE",
        "An encrypted keystore file with the operator's key; without it the key is in DEPIN_CHAIN_KEY",
        FILE,
        keystore,
        some_path,
        shown_some_path
    ),
    key!(
        "chain.password_file",
        Text,
        "FILE",
        "A file with the keystore's password; without it the password is in DEPIN_KEYSTORE_PASSWORD",
        FILE,
        keystore_password_file,
        some_path,
        shown_some_path
    ),
    key!(
        "chain.finality_depth",
        Number,
        "BLOCKS",
        "How many blocks make an event final",
        "a whole number of blocks up to 100000",
        finality_depth,
        number::<u64, 0, 100_000>,
        shown
    ),
    key!(
        "chain.poll_ms",
        Number,
        "MILLISECONDS",
        "How often the chain is asked for news",
        "a whole number of milliseconds from 10 to 60000",
        poll_ms,
        number::<u64, 10, 60_000>,
        shown
    ),
    key!(
        "chain.blocks_per_request",
        Number,
        "BLOCKS",
        "The most blocks that one eth_getLogs asks for; what the RPC refuses is asked for in smaller parts",
        COUNT,
        blocks_per_request,
        number::<u64, 1, 1_000_000>,
        shown
    ),
    key!(
        "intake.listen",
        Text,
        "ADDRESS",
        "Where devices and customers send",
        ADDRESS,
        intake,
        parse,
        shown_text
    ),
    key!(
        "reading.listen",
        Text,
        "ADDRESS",
        "Where everybody reads: the page, the index, bundles",
        ADDRESS,
        reading,
        parse,
        shown_text
    ),
    key!(
        "admin.listen",
        Text,
        "ADDRESS",
        "Where monitoring asks: /healthz, /readyz, /metrics; not for the public",
        ADDRESS,
        administration,
        parse,
        shown_text
    ),
    key!(
        "limits.connections",
        Number,
        "COUNT",
        "Connections at once, of each listener; streams are among them",
        COUNT,
        connections,
        count,
        shown
    ),
    key!(
        "limits.connections_per_client",
        Number,
        "COUNT",
        "Connections at once of one client (an IPv4 address, a /64 of IPv6), of each listener",
        COUNT,
        connections_per_client,
        count,
        shown
    ),
    key!(
        "limits.requests",
        Number,
        "COUNT",
        "Requests at once, of each listener",
        COUNT,
        requests,
        count,
        shown
    ),
    key!("limits.rate", Number, "COUNT", "Requests a second of one client", COUNT, rate, count, shown),
    key!(
        "limits.burst",
        Number,
        "COUNT",
        "Requests at once of a client that was quiet",
        COUNT,
        burst,
        count,
        shown
    ),
    key!(
        "limits.proxies",
        List,
        "ADDRESSES",
        "Addresses of your reverse proxies, whose X-Forwarded-For is believed",
        "a list of addresses, for example [\"127.0.0.1\"]",
        proxies,
        list,
        shown_list
    ),
    key!(
        "grants.doors",
        List,
        "DOORS",
        "Doors that take grants: reports, claims, reading, admin; none of them without",
        "a list of reports, claims, reading and admin",
        grant_doors,
        list,
        shown_list
    ),
    key!(
        "grants.issuers",
        List,
        "DIDS",
        "Keys that may grant for every device and for the node, as did:keys; the node's own always may, and a device's for itself",
        "a list of at most 6 did:keys of type Ed25519 or P-256",
        grant_issuers,
        issuers,
        shown_list
    ),
    key!(
        "grants.revoked",
        List,
        "IDS",
        "Ids of grants that no longer count, as `depin verify` shows them",
        "a list of ids, 64 hexadecimal digits each",
        grants_revoked,
        list,
        shown_list
    ),
    key!(
        "mqtt.url",
        Text,
        "URL",
        "A broker to take reports from: mqtt://host:port, or mqtts:// for TLS",
        "mqtt://host:port or mqtts://host:port, without user or path",
        mqtt_url,
        broker,
        shown_some
    ),
    key!(
        "mqtt.client_id",
        Text,
        "ID",
        "The client id, which names the session that outlives the node; without it depin-node- and the network's id",
        "1 to 128 printable characters",
        mqtt_client_id,
        word,
        shown_some
    ),
    key!(
        "mqtt.username",
        Text,
        "NAME",
        "The user at the broker",
        "1 to 128 printable characters",
        mqtt_username,
        word,
        shown_some
    ),
    key!(
        "mqtt.password_file",
        Text,
        "FILE",
        "A file with the user's password; without it the password is in DEPIN_MQTT_PASSWORD",
        FILE,
        mqtt_password_file,
        some_path,
        shown_some_path
    ),
    key!(
        "mqtt.ca_file",
        Text,
        "FILE",
        "Certificates (PEM) that sign the broker's, instead of those the system trusts",
        FILE,
        mqtt_ca_file,
        some_path,
        shown_some_path
    ),
    key!(
        "mqtt.in_flight",
        Number,
        "COUNT",
        "Messages that the broker may deliver before the first is acknowledged",
        "a whole number from 1 to 1000",
        mqtt_in_flight,
        number::<u16, 1, 1000>,
        shown
    ),
    key!(
        "log.filter",
        Text,
        "FILTER",
        "What is logged to standard error",
        "a filter of tracing, for example \"warn,depin=debug\"",
        log_filter,
        filter,
        shown_text
    ),
    key!(
        "log.format",
        Text,
        "FORMAT",
        "How: text for people, json for programs",
        "\"text\" or \"json\"",
        log_json,
        format,
        shown_format
    ),
];

fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A number within bounds, in digits.
fn number<T: TryFrom<u64>, const MIN: u64, const MAX: u64>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (MIN..=MAX).contains(number))?;
    T::try_from(number).ok()
}

fn count(text: &str) -> Option<u32> {
    number::<u32, 1, 1_000_000>(text)
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
}

fn some_path(text: &str) -> Option<Option<PathBuf>> {
    path(text).map(Some)
}

fn word(text: &str) -> Option<Option<String>> {
    let printable = text.chars().all(|character| !character.is_control());
    (printable && (1..=128).contains(&text.len())).then(|| Some(text.to_owned()))
}

fn broker(text: &str) -> Option<Option<String>> {
    super::broker(text).address().ok()?;
    Some(Some(text.to_owned()))
}

fn list<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(parse).collect()
}

/// With the node's own key and the device's, no more than are tried.
fn issuers(text: &str) -> Option<Vec<DeviceId>> {
    let fits = |issuer: &DeviceId| issuer.key().key_type() != KeyType::Secp256k1;
    list(text)
        .filter(|issuers| issuers.len() <= Grant::MAX_ISSUERS.saturating_sub(2) && issuers.iter().all(fits))
}

fn filter(text: &str) -> Option<String> {
    tracing_subscriber::EnvFilter::try_new(text).ok()?;
    Some(text.to_owned())
}

fn format(text: &str) -> Option<bool> {
    match text {
        "text" => Some(false),
        "json" => Some(true),
        _ => None,
    }
}

fn shown(value: &impl ToString) -> Option<String> {
    Some(value.to_string())
}

fn shown_text(value: &impl ToString) -> Option<String> {
    Some(std::format!("{:?}", value.to_string()))
}

fn shown_some(value: &Option<String>) -> Option<String> {
    value.as_ref().and_then(shown_text)
}

fn shown_path(value: &Path) -> Option<String> {
    shown_text(&value.display())
}

fn shown_some_path(value: &Option<PathBuf>) -> Option<String> {
    value.as_deref().and_then(shown_path)
}

fn shown_list<T: ToString>(value: &[T]) -> Option<String> {
    let texts: Vec<String> = value.iter().filter_map(shown_text).collect();
    Some(std::format!("[{}]", texts.join(", ")))
}

fn shown_format(json: &bool) -> Option<String> {
    shown_text(&if *json { "json" } else { "text" })
}
