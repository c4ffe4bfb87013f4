//! The vocabulary of grants, as Datalog: written here, and read back only if it is exactly what would be written.

use std::collections::BTreeSet;

use depin_core::{Address, Digest, NetworkId, Text, Timestamp};

use super::{Grant, GrantError, Holder, Narrowing, Right};

/// The first word of every grant.
const VERSION: &str = "depin/grant/v1";

impl Right {
    /// Action and object, as the two terms of a fact.
    pub(super) fn terms(&self) -> String {
        let (action, object) = match self {
            Self::Submit(kind) => ("submit", kind.as_str()),
            Self::Claim => ("claim", ""),
            Self::Use(service) => ("use", service.as_str()),
            Self::Administer => ("administer", ""),
        };
        format!("\"{action}\", \"{object}\"")
    }

    fn parse(terms: &str) -> Option<Self> {
        let (action, object) = pair(terms)?;
        let name = || Text::new(object).ok();
        match action {
            "submit" => name().map(Self::Submit),
            "use" => name().map(Self::Use),
            "claim" if object.is_empty() => Some(Self::Claim),
            "administer" if object.is_empty() => Some(Self::Administer),
            _ => None,
        }
    }

    fn check_name(&self) -> Result<(), GrantError> {
        match self {
            Self::Submit(name) | Self::Use(name) => check_name(name),
            Self::Claim | Self::Administer => Ok(()),
        }
    }
}

impl Holder {
    /// Kind and name, as the two terms of a fact.
    pub(super) fn terms(&self) -> String {
        match self {
            Self::Device(device) => format!("\"device\", \"{device}\""),
            Self::Wallet(address) => format!("\"wallet\", \"0x{}\"", hex::encode(address)),
            Self::Service(name) => format!("\"service\", \"{}\"", name.as_str()),
        }
    }

    fn parse(terms: &str) -> Option<Self> {
        let (kind, name) = pair(terms)?;
        match kind {
            "device" => name.parse().ok().map(Self::Device),
            "wallet" => name.parse::<Address>().ok().map(Self::Wallet),
            "service" => Text::new(name).ok().map(Self::Service),
            _ => None,
        }
    }

    pub(super) fn check_name(&self) -> Result<(), GrantError> {
        match self {
            Self::Service(name) => check_name(name),
            Self::Device(_) | Self::Wallet(_) => Ok(()),
        }
    }
}

impl Grant {
    /// The issuer's block.
    pub(super) fn to_text(&self) -> Result<String, GrantError> {
        check_rights(&self.rights)?;
        let epoch = number("the ownership epoch", self.ownership_epoch)?;
        let mut lines = vec![
            format!("grant(\"{VERSION}\", hex:{})", hex::encode(self.network.as_bytes())),
            format!("ownership_epoch(\"{}\", {epoch})", self.device),
        ];
        lines.extend(self.rights.iter().map(|right| format!("right({})", right.terms())));
        lines.extend(restrictions(Some(self.expires), self.holder.as_ref())?);
        Ok(joined(&lines))
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(|line| line.strip_suffix(';'));
        let network = lines.next()??.strip_prefix("grant(\"")?.strip_prefix(VERSION)?;
        let network = network.strip_prefix("\", hex:")?.strip_suffix(')')?;
        let network = NetworkId(network.parse::<Digest>().ok()?);
        let epoch = lines.next()??.strip_prefix("ownership_epoch(\"")?.strip_suffix(')')?;
        let (device, epoch) = epoch.split_once("\", ")?;
        let (device, ownership_epoch) = (device.parse().ok()?, epoch.parse().ok()?);
        let (mut rights, mut rest) = (BTreeSet::new(), Narrowing::default());
        for line in lines {
            let line = line?;
            match line.strip_prefix("right(").and_then(|line| line.strip_suffix(')')) {
                Some(terms) => drop(rights.insert(Right::parse(terms)?)),
                None => rest.read(line)?,
            }
        }
        let grant =
            Self { network, device, ownership_epoch, rights, expires: rest.expires?, holder: rest.holder };
        // One text for each meaning: order, repetitions and spelling are as written above, or this is no grant.
        grant.to_text().is_ok_and(|written| written == text).then_some(grant)
    }
}

impl Narrowing {
    /// A further block.
    pub(super) fn to_text(&self) -> Result<String, GrantError> {
        let mut lines = restrictions(self.expires, self.holder.as_ref())?;
        if let Some(rights) = &self.rights {
            check_rights(rights)?;
            let requested: Vec<String> =
                rights.iter().map(|right| format!("requested({})", right.terms())).collect();
            lines.push(format!("check if {}", requested.join(" or ")));
        }
        Ok(joined(&lines))
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        let mut narrowing = Self::default();
        for line in text.lines() {
            narrowing.read(line.strip_suffix(';')?)?;
        }
        narrowing.to_text().is_ok_and(|written| written == text).then_some(narrowing)
    }

    /// Reads one check.
    fn read(&mut self, line: &str) -> Option<()> {
        let check = line.strip_prefix("check if ")?;
        if let Some(time) = check.strip_prefix("time($time), $time <= ") {
            self.expires = Some(Timestamp(time.parse().ok()?));
        } else if let Some(terms) = check.strip_prefix("holder(") {
            self.holder = Some(Holder::parse(terms.strip_suffix(')')?)?);
        } else {
            let right = |query: &str| Right::parse(query.strip_prefix("requested(")?.strip_suffix(')')?);
            self.rights = Some(check.split(" or ").map(right).collect::<Option<_>>()?);
        }
        Some(())
    }
}

fn restrictions(expires: Option<Timestamp>, holder: Option<&Holder>) -> Result<Vec<String>, GrantError> {
    let mut lines = Vec::new();
    if let Some(expires) = expires {
        let expires = number("the expiry in milliseconds", expires.0)?;
        lines.push(format!("check if time($time), $time <= {expires}"));
    }
    if let Some(holder) = holder {
        holder.check_name()?;
        lines.push(format!("check if holder({})", holder.terms()));
    }
    Ok(lines)
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line};\n")).collect()
}

/// A number as Datalog has them: 64 bits with a sign.
pub(super) fn number(what: &'static str, found: u64) -> Result<i64, GrantError> {
    i64::try_from(found).map_err(|_| GrantError::Number { what, found })
}

fn check_rights(rights: &BTreeSet<Right>) -> Result<(), GrantError> {
    let (found, max) = (rights.len(), Grant::MAX_RIGHTS);
    if rights.is_empty() || found > max {
        return Err(GrantError::Rights { found, max });
    }
    rights.iter().try_for_each(Right::check_name)
}

/// Only what needs no escape, so that a text reads one way.
fn check_name(name: &Text) -> Result<(), GrantError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    if name.as_str().bytes().all(plain) {
        Ok(())
    } else {
        Err(GrantError::Name { name: name.as_str().into() })
    }
}

/// The two strings of `"a", "b"`.
fn pair(terms: &str) -> Option<(&str, &str)> {
    terms.strip_prefix('"')?.strip_suffix('"')?.split_once("\", \"")
}

/// What is known when a request is judged, and when it is allowed.
pub(super) fn authorizer(request: &super::Request) -> Result<String, GrantError> {
    let mut lines = vec![
        format!("network(hex:{})", hex::encode(request.network.as_bytes())),
        format!(
            "registered(\"{}\", {})",
            request.device,
            number("the ownership epoch", request.ownership_epoch)?
        ),
        format!("time({})", number("the time in milliseconds", request.time.0)?),
        format!("requested({})", request.right.terms()),
    ];
    request.right.check_name()?;
    if let Some(holder) = &request.holder {
        holder.check_name()?;
        lines.push(format!("holder({})", holder.terms()));
    }
    lines.push(format!(
        "allow if grant(\"{VERSION}\", $network), network($network), ownership_epoch($device, $epoch), \
         registered($device, $epoch), requested($action, $object), right($action, $object)"
    ));
    Ok(joined(&lines))
}
