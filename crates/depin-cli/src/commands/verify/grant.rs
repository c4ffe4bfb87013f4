//! Grants: tokens that say who may do what with a device.

use std::collections::BTreeSet;

use depin_identity::grant::{Grant, GrantError, Holder, Right, SignedGrant};

use super::{
    report::{Checked, fail, pass, skipped, warning},
    trust::Trust,
};

const KIND: &str = "grant";

pub(super) fn check(token: &[u8], trust: &Trust) -> Checked {
    let issuers = trust.keys();
    match Grant::read(token, &issuers) {
        Ok(signed) => judge(&signed, trust),
        Err(GrantError::Issuer { tried: 0 }) => {
            let missing = "a grant does not name its issuer: give --trust with the did:key of the device or of the network's operator";
            Checked::new(KIND, "", vec![skipped("grant.issuer", "not-given", missing)])
        }
        Err(error @ GrantError::Issuer { .. }) => {
            let missing = format!("{error}: give --trust with the did:key of its issuer");
            Checked::new(KIND, "", vec![skipped("grant.issuer", "untrusted", missing)])
        }
        Err(error) => Checked::new(KIND, "", vec![fail("grant.form", "refused", error)]),
    }
}

fn judge(signed: &SignedGrant, trust: &Trust) -> Checked {
    let SignedGrant { grant, narrowings, issuer, ids } = signed;
    let mut rights = grant.rights.clone();
    for narrowed in narrowings.iter().filter_map(|narrowing| narrowing.rights.as_ref()) {
        rights = rights.intersection(narrowed).cloned().collect();
    }
    let names: Vec<_> = rights.iter().map(right).collect();
    let narrowed = narrowings.iter().filter_map(|narrowing| narrowing.holder.as_ref());
    let holders: BTreeSet<&Holder> = grant.holder.iter().chain(narrowed).collect();
    let id = ids.last().map(ToString::to_string).unwrap_or_default();
    let names_of: Vec<String> = holders.iter().map(|holder| who(holder)).collect();
    let holder = if names_of.is_empty() { "anyone".to_owned() } else { names_of.join(" and ") };
    let expires = signed.expires();
    let mut findings = vec![pass("grant.issuer", issuer.to_string(), "named by --trust")];
    findings.push(if names.is_empty() {
        fail("grant.rights", "none", "it was narrowed until nothing was left: ask for it as it was before")
    } else {
        pass("grant.rights", names.join(", "), format!("narrowed {} times; id {id}", narrowings.len()))
    });
    if holders.len() > 1 {
        let nobody = "nobody is all of them: ask for it as it was before";
        findings.push(fail("grant.holder", "several", format!("{holder}: {nobody}")));
    }
    findings.push(if expires < trust.at {
        fail(
            "grant.time",
            "expired",
            format!(
                "it expired at {}, and is judged at {}: ask for a new one",
                expires.rfc3339(),
                trust.at.rfc3339()
            ),
        )
    } else {
        pass("grant.time", trust.at.rfc3339().to_string(), format!("counts until {}", expires.rfc3339()))
    });
    match trust.network() {
        Some(network) if network != grant.network => {
            let error = format!("it is of the network {}, not of {}", grant.network.0, network.0);
            findings.push(fail("grant.network", "other", error));
        }
        Some(network) => findings.push(pass("grant.network", network.0.to_string(), "the one named")),
        None => {}
    }
    let epoch = format!(
        "it counts in the network {} while the device is in ownership epoch {}, and unless it was revoked: the registry says",
        grant.network.0, grant.ownership_epoch
    );
    findings.push(warning("grant.registry", "elsewhere", epoch));
    let summary = format!("of {} for {} to {holder}", names.join(", "), grant.device);
    Checked::new(KIND, summary, findings)
}

fn right(right: &Right) -> String {
    match right {
        Right::Submit(kind) => format!("submit:{}", kind.as_str()),
        Right::Use(service) => format!("use:{}", service.as_str()),
        Right::Claim => "claim".to_owned(),
        Right::Administer => "administer".to_owned(),
    }
}

fn who(holder: &Holder) -> String {
    match holder {
        Holder::Device(device) => device.to_string(),
        Holder::Wallet(address) => address.to_string(),
        Holder::Service(name) => format!("the service {}", name.as_str()),
    }
}
