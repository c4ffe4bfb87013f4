//! What a node is told: a file, then the environment, then flags, each overriding the one before.

mod keys;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use depin::node::{GrantOptions, GuardedDoor, Limits, NodeOptions, mqtt::Broker};
use depin_core::{DeviceId, Digest};
use depin_evm::{Options, PrivateKeySigner, open_keystore, signer_from_env};
use depin_identity::grant::GrantId;
use depin_index::StreamLimits;
use toml_edit::{Document, Item, TableLike, Value};

pub(crate) use self::keys::Key;
use self::keys::{KEYS, Kind};

/// The longest value that is repeated in a message.
const MAX_SHOWN: usize = 80;

/// Everything a node can be told. Secrets are not among it: they come from files that it names, or from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) state: PathBuf,
    pub(crate) keep_epochs: u64,
    pub(crate) rpc_file: Option<PathBuf>,
    pub(crate) keystore: Option<PathBuf>,
    pub(crate) keystore_password_file: Option<PathBuf>,
    pub(crate) finality_depth: u64,
    pub(crate) poll_ms: u64,
    pub(crate) blocks_per_request: u64,
    pub(crate) intake: SocketAddr,
    pub(crate) reading: SocketAddr,
    pub(crate) administration: SocketAddr,
    pub(crate) connections: u32,
    pub(crate) connections_per_client: u32,
    pub(crate) requests: u32,
    pub(crate) rate: u32,
    pub(crate) burst: u32,
    pub(crate) proxies: Vec<IpAddr>,
    pub(crate) grant_doors: Vec<GuardedDoor>,
    pub(crate) grant_issuers: Vec<DeviceId>,
    pub(crate) grants_revoked: Vec<Digest>,
    pub(crate) mqtt_url: Option<String>,
    pub(crate) mqtt_client_id: Option<String>,
    pub(crate) mqtt_username: Option<String>,
    pub(crate) mqtt_password_file: Option<PathBuf>,
    pub(crate) mqtt_ca_file: Option<PathBuf>,
    pub(crate) mqtt_in_flight: u16,
    pub(crate) log_filter: String,
    pub(crate) log_json: bool,
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// `file:line`, the variable, or the flag.
    pub(crate) place: String,
    /// The key.
    pub(crate) key: String,
    /// What is there.
    pub(crate) found: String,
    /// What should be.
    pub(crate) expected: String,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: found {}; expected {}", self.place, self.key, self.found, self.expected)
    }
}

/// Where values come from beside the defaults.
#[derive(Debug, Default)]
pub(crate) struct Sources<'a> {
    /// The file's name and text.
    pub(crate) file: Option<(&'a Path, &'a str)>,
    /// The environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Flags by key.
    pub(crate) flags: BTreeMap<&'static str, String>,
}

impl Config {
    /// The configuration, and everything that is wrong with it: a wrong value is left at what it was before.
    pub(crate) fn read(sources: &Sources<'_>) -> (Self, Vec<Wrong>) {
        let (mut config, mut wrong) = (Self::default(), Vec::new());
        if let Some((path, text)) = sources.file {
            config.read_file(path, text, &mut wrong);
        }
        for key in KEYS {
            let variable = key.variable();
            if let Some(text) = sources.environment.get(&variable) {
                config.set(key, text, variable, &mut wrong);
            }
            if let Some(text) = sources.flags.get(key.path) {
                config.set(key, text, key.flag_with_dashes(), &mut wrong);
            }
        }
        config.check_together(sources, &mut wrong);
        (config, wrong)
    }

    /// What each public listener takes.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            connections: self.connections,
            connections_per_client: self.connections_per_client,
            requests: self.requests,
            rate: self.rate,
            burst: self.burst,
            proxies: self.proxies.clone(),
            ..Limits::default()
        }
    }

    /// How the chain is waited for. A transaction counts as sent with its first block: whether a root stands is looked at again, and a claim that a
    /// reorganisation takes away is made again after the next start, or by its owner.
    pub(crate) fn chain(&self) -> Options {
        Options::remote().confirmations(1).poll(Duration::from_millis(self.poll_ms))
    }

    /// How the node keeps its files, follows its chain and tells what changed. A stream is a connection: whoever may have the one may have the
    /// other.
    pub(crate) fn options(&self) -> NodeOptions {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let streams = StreamLimits {
            clients: count(self.connections),
            clients_per_address: count(self.connections_per_client),
            ..StreamLimits::default()
        };
        NodeOptions {
            keep_epochs: Some(self.keep_epochs).filter(|epochs| *epochs > 0),
            blocks_per_request: self.blocks_per_request,
            streams,
            grants: self.grants(),
            ..NodeOptions::default()
        }
    }

    fn grants(&self) -> GrantOptions {
        GrantOptions {
            doors: self.grant_doors.iter().copied().collect(),
            issuers: self.grant_issuers.iter().map(|issuer| *issuer.key()).collect(),
            revoked: self.grants_revoked.iter().copied().map(GrantId).collect(),
        }
    }

    /// The broker, if there is one.
    pub(crate) fn broker(&self) -> Result<Option<Broker>> {
        let Some(url) = &self.mqtt_url else { return Ok(None) };
        Ok(Some(Broker {
            client_id: self.mqtt_client_id.clone(),
            username: self.mqtt_username.clone(),
            password: secret(self.mqtt_password_file.as_deref(), "DEPIN_MQTT_PASSWORD")?,
            ca_file: self.mqtt_ca_file.clone(),
            in_flight: self.mqtt_in_flight,
            ..broker(url)
        }))
    }

    /// The operator's key.
    pub(crate) fn operator(&self) -> Result<PrivateKeySigner> {
        let Some(path) = &self.keystore else { return Ok(signer_from_env("DEPIN_CHAIN_KEY")?) };
        let password = secret(self.keystore_password_file.as_deref(), "DEPIN_KEYSTORE_PASSWORD")?;
        let how = "the keystore's password is missing; set DEPIN_KEYSTORE_PASSWORD, or name a file in chain.password_file";
        Ok(open_keystore(path, &password.context(how)?)?)
    }

    /// The URL of the chain.
    pub(crate) fn rpc(&self) -> Result<String> {
        let url = secret(self.rpc_file.as_deref(), crate::commands::RPC_VARIABLE)?;
        let how = || {
            format!(
                "{} is not set; set it to the URL of the chain, or name a file in chain.rpc_file",
                crate::commands::RPC_VARIABLE
            )
        };
        url.with_context(how)
    }

    fn set(&mut self, key: &Key, text: &str, place: String, wrong: &mut Vec<Wrong>) {
        if (key.set)(self, text).is_none() {
            let (found, expected) = (shown(text), key.expected.to_owned());
            wrong.push(Wrong { place, key: key.path.into(), found, expected });
        }
    }

    fn read_file(&mut self, path: &Path, text: &str, wrong: &mut Vec<Wrong>) {
        let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count().saturating_add(1);
        let place = |at: Option<std::ops::Range<usize>>| match at {
            Some(at) => format!("{}:{}", path.display(), line(at.start)),
            None => path.display().to_string(),
        };
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let (found, expected) = (error.message().to_owned(), "a file in TOML".to_owned());
                return wrong.push(Wrong {
                    place: place(error.span()),
                    key: "syntax".into(),
                    found,
                    expected,
                });
            }
        };
        let mut values = Vec::new();
        flatten("", document.as_table(), &mut values);
        for (name, item) in values {
            let place = place(item.span());
            let Some(key) = KEYS.iter().find(|key| key.path == name) else {
                wrong.push(unknown(place, &name));
                continue;
            };
            match as_text(key.kind, item) {
                Some(text) => self.set(key, &text, place, wrong),
                None => {
                    let found = format!("a value of type {}", item.type_name());
                    wrong.push(Wrong { place, key: name, found, expected: key.expected.into() });
                }
            }
        }
    }

    /// What no single value shows.
    fn check_together(&self, sources: &Sources<'_>, wrong: &mut Vec<Wrong>) {
        let listeners = [
            ("intake.listen", self.intake),
            ("reading.listen", self.reading),
            ("admin.listen", self.administration),
        ];
        for (index, (key, address)) in listeners.iter().enumerate() {
            let same =
                listeners.iter().take(index).find(|(_, other)| other == address && address.port() != 0);
            if let Some((other, _)) = same {
                let expected = format!("another address than that of {other}");
                wrong.push(Wrong {
                    place: place_of(sources, key),
                    key: (*key).into(),
                    found: address.to_string(),
                    expected,
                });
            }
        }
        if self.mqtt_url.is_some() && self.grant_doors.contains(&GuardedDoor::Reports) {
            let key = "grants.doors";
            wrong.push(Wrong {
                place: place_of(sources, key),
                key: key.into(),
                found: "reports".into(),
                expected: "other doors, since reports over MQTT bring no grant".into(),
            });
        }
        let needs_url =
            self.mqtt_username.is_some() || self.mqtt_password_file.is_some() || self.mqtt_ca_file.is_some();
        if needs_url && self.mqtt_url.is_none() {
            let expected = "the broker's URL, since other keys of mqtt are given".to_owned();
            let key = "mqtt.url";
            wrong.push(Wrong {
                place: place_of(sources, key),
                key: key.into(),
                found: "nothing".into(),
                expected,
            });
        }
    }
}

/// A broker of which only the URL is known.
fn broker(url: &str) -> Broker {
    Broker { url: url.into(), client_id: None, username: None, password: None, ca_file: None, in_flight: 1 }
}

/// A secret from the file that the configuration names, or from the environment; none if neither is there.
pub(crate) fn secret(file: Option<&Path>, variable: &str) -> Result<Option<String>> {
    let text = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Some(text.with_context(|| format!("{} cannot be read", path.display()))?)
        }
        None => std::env::var(variable).ok(),
    };
    Ok(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Where a key was given last; the file if nowhere.
fn place_of(sources: &Sources<'_>, path: &str) -> String {
    let key = KEYS.iter().find(|key| key.path == path);
    let flag = key.filter(|key| sources.flags.contains_key(key.path)).map(Key::flag_with_dashes);
    let variable = key.map(Key::variable).filter(|variable| sources.environment.contains_key(variable));
    let file = || sources.file.map_or("defaults".into(), |(path, _)| path.display().to_string());
    flag.or(variable).unwrap_or_else(file)
}

fn unknown(place: String, name: &str) -> Wrong {
    let nearest = KEYS.iter().min_by_key(|key| strsim::damerau_levenshtein(key.path, name));
    let nearest = nearest.map_or("", |key| key.path);
    let expected = match strsim::damerau_levenshtein(nearest, name) {
        0..=6 => format!("a known key; the nearest is `{nearest}`"),
        _ => "a key that the example packaging/depin.example.toml has".into(),
    };
    // Its value is not repeated: it may be a secret that was put into the wrong place.
    Wrong { place, key: shown(name), found: "an unknown key".into(), expected }
}

/// Every value below `table`, by its dotted path.
fn flatten<'a>(prefix: &str, table: &'a dyn TableLike, values: &mut Vec<(String, &'a Item)>) {
    for (name, item) in table.iter() {
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match item.as_table_like() {
            Some(table) => flatten(&path, table, values),
            None => values.push((path, item)),
        }
    }
}

/// A value as text, if it is of the kind.
fn as_text(kind: Kind, item: &Item) -> Option<String> {
    match (kind, item.as_value()?) {
        (Kind::Text, Value::String(text)) => Some(text.value().clone()),
        (Kind::Number, Value::Integer(number)) => Some(number.value().to_string()),
        (Kind::List, Value::Array(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            Some(texts?.join(","))
        }
        _ => None,
    }
}

/// A value as a message repeats it: short, and without anything that moves a terminal's cursor.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(MAX_SHOWN).collect();
    format!("{short:?}")
}

/// Flags for every key, and `--config`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) file: Option<PathBuf>,
    pub(crate) flags: BTreeMap<&'static str, String>,
}

impl Settings {
    /// The configuration of this process, and what is wrong with it.
    pub(crate) fn collect(&self) -> Result<(Config, Vec<Wrong>)> {
        let text = match &self.file {
            Some(path) => Some(String::from_utf8(crate::commands::read(path)?)?),
            None => None,
        };
        let file = self.file.as_deref().zip(text.as_deref());
        let variables = std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text)));
        let environment = variables.map(|(name, text)| (name, text.to_string_lossy().into_owned())).collect();
        Ok(Config::read(&Sources { file, environment, flags: self.flags.clone() }))
    }

    /// The configuration, which must be right.
    pub(crate) fn load(&self) -> Result<Config> {
        let (config, wrong) = self.collect()?;
        if wrong.is_empty() {
            return Ok(config);
        }
        let lines: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        bail!("the configuration cannot be used:\n{}", lines.join("\n"))
    }
}

impl clap::Args for Settings {
    fn augment_args(command: clap::Command) -> clap::Command {
        let file = clap::Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf));
        let file = file.help("The node's configuration (TOML); the environment and flags go before it");
        KEYS.iter().fold(command.arg(file), |command, key| {
            let help =
                format!("{} [{}, env {}, file {}]", key.help, key.default_shown(), key.variable(), key.path);
            let argument = clap::Arg::new(key.path).long(key.flag()).value_name(key.value_name).help(help);
            command.arg(argument.help_heading("Configuration"))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Settings {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let given = |key: &Key| Some((key.path, matches.get_one::<String>(key.path)?.clone()));
        Ok(Self { file: matches.get_one("config").cloned(), flags: KEYS.iter().filter_map(given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
