use std::collections::BTreeMap;

use depin_core::{Amount, DeviceId, Outcome, Text, Timestamp};
use depin_identity::{
    Did,
    admission::{AdmissionPolicy, Applicant, CredentialHolder, Maker, ShownCredential},
    credential::{
        CREDENTIAL_TYPE, ChainError, Credential, CredentialError, Documents, MakerChain, MakerPolicy,
        ProofError, SignedChain, StatusError, StatusLists, StatusPurpose, VerifiedStatusList, VouchedDevice,
    },
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{AdmissionParams, Admitted, CHAIN, MAX_LISTS, MAX_SHOWN, StatusPlace};
use crate::{check::refusal, entry::Refusal};

/// What a chain that holds comes to. Only [`AdmissionParams::vouch`] makes one, so whoever has it need not check the chain again before
/// [`Admitted::until`].
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    /// The device.
    pub(crate) device: DeviceId,
    pub(crate) admitted: Admitted,
    /// Quota of each of [`Admitted::makers`], at most the policy's.
    pub(crate) quotas: Vec<u32>,
    _checked: Checked,
}

/// Nobody else can make one.
#[derive(Clone, Copy, Debug)]
struct Checked;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown<'a> {
    #[serde(borrow)]
    credentials: Vec<&'a RawValue>,
    #[serde(borrow, default, rename = "statusLists")]
    lists: BTreeMap<String, &'a RawValue>,
}

/// What to do next about its lists.
const LISTS: &str =
    "status lists by their issuers, in force, and none besides those that the credentials name";
/// What to do next about what cannot be read.
const MALFORMED: &str = "show an object with `credentials` and `statusLists`, of at most 65,536 bytes";

/// The device that the last of the credentials in `shown` is about, if they can be read. Nothing is checked.
///
/// # Errors
/// The refusal.
#[cfg(feature = "node")]
pub(crate) fn device_of(shown: &[u8]) -> Result<DeviceId, Refusal> {
    #[derive(Deserialize)]
    struct Vouching {
        #[serde(rename = "credentialSubject")]
        subject: Subject,
    }
    #[derive(Deserialize)]
    struct Subject {
        id: String,
    }
    let refuse = |observed: String| refusal(None, "credential-malformed", observed, MALFORMED);
    let shown = Shown::read(shown).map_err(refuse)?;
    let last = shown.credentials.last().ok_or_else(|| refuse("no credential".into()))?;
    let last: Vouching = serde_json::from_str(last.get()).map_err(|error| refuse(error.to_string()))?;
    last.subject.id.parse().map_err(|error: depin_core::KeyError| refuse(error.to_string()))
}

impl<'a> Shown<'a> {
    fn read(shown: &'a [u8]) -> Result<Self, String> {
        if shown.len() > MAX_SHOWN {
            return Err(format!("{} bytes", shown.len()));
        }
        let shown: Self = serde_json::from_slice(shown).map_err(|error| error.to_string())?;
        match shown.lists.len() {
            0..=MAX_LISTS => Ok(shown),
            lists => Err(format!("{lists} status lists, at most {MAX_LISTS} are read")),
        }
    }
}

impl AdmissionParams {
    /// Checks what `device` showed, but for what other devices have.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn vouch(
        &self,
        device: &DeviceId,
        received: Timestamp,
        shown: &[u8],
    ) -> Result<Vouched, Refusal> {
        let refuse = |reason, observed: String, limit: &str| refusal(Some(*device), reason, observed, limit);
        let shown = Shown::read(shown).map_err(|error| refuse("credential-malformed", error, MALFORMED))?;
        let credentials: Vec<&[u8]> = shown.credentials.iter().map(|raw| raw.get().as_bytes()).collect();
        let refused = |error: ChainError| refuse(reason_of(&error), words_of_chain(&error), CHAIN);
        let chain = MakerChain::parse(&credentials).map_err(refused)?;
        let first = chain.credentials().next().map_or("", Credential::issuer);
        let Some(root) = self.roots.iter().find(|root| root.as_str() == first) else {
            return Err(refuse("untrusted-root", format!("the chain begins with {first:?}"), CHAIN));
        };
        can_be_judged(&chain).map_err(|observed| refuse("credential-refused", observed, CHAIN))?;
        let policy = MakerPolicy {
            root: root.clone(),
            max_makers: usize::from(self.max_makers),
            bond_per_device: self.policy.maker_bond,
            status_issuers: Vec::new(),
        };
        // What a maker put up is what its root says.
        let bonded = |_: &Did| Amount(u128::MAX);
        let signed =
            chain.verify_signed(&policy, device, received, &Documents::default(), bonded).map_err(refused)?;
        // Only now is it known whose lists are needed.
        let (lists, lasts) = read_lists(&shown.lists, &signed, received)
            .map_err(|observed| refuse("status-list", observed, LISTS))?;
        let vouched = signed.check_status(&[], &lists, received).map_err(refused)?;
        if let Some(refusal) = self.revoked_maker(device, vouched.makers().iter().map(|grant| &grant.maker)) {
            return Err(refusal);
        }
        self.judge(&vouched, &chain).map_err(|observed| refuse("policy", observed, CHAIN))?;
        let (admitted, quotas) = self.admitted(root, &vouched, &chain, lasts);
        Ok(Vouched { device: *device, admitted, quotas, _checked: Checked })
    }

    /// What the policy says of a chain that holds.
    fn judge(&self, vouched: &VouchedDevice, chain: &MakerChain) -> Result<(), String> {
        let claim = vouched.claim();
        let last = vouched.makers().len();
        let kinds = chain.credentials().enumerate().flat_map(|(link, credential)| {
            let holder = if link == last { CredentialHolder::Device } else { CredentialHolder::Maker };
            let kinds = types(credential).filter(|kind| *kind != CREDENTIAL_TYPE);
            kinds.filter_map(move |kind| Some((Text::new(kind).ok()?, holder)))
        });
        let shown = kinds.map(|(kind, holder)| ShownCredential { kind, holder, verified: Outcome::Accept });
        let applicant = Applicant {
            region: Text::new(claim.region.as_str()).ok(),
            credentials: Some(shown.collect()),
            // Every serial below the quota belongs to one device, so the serial counts them.
            maker: vouched.makers().last().map(|maker| Maker {
                quota: maker.quota,
                admitted: claim.serial,
                bond: maker.bond,
            }),
            bond: Some(Amount::ZERO),
            ..Applicant::default()
        };
        // Where the device is, nobody is told.
        let policy = AdmissionPolicy { cell: None, ..self.policy.clone() };
        let verdict = policy.admit(&applicant);
        match verdict.reasons.first() {
            None => Ok(()),
            Some(reason) => Err(reason.to_string()),
        }
    }

    /// What is kept of a chain that holds, and its makers' quotas.
    fn admitted(
        &self,
        root: &Did,
        vouched: &VouchedDevice,
        chain: &MakerChain,
        lasts: Timestamp,
    ) -> (Admitted, Vec<u32>) {
        let grants = vouched.makers();
        let issuers = std::iter::once(root).chain(grants.iter().map(|grant| &grant.maker));
        let places = chain.credentials().zip(issuers).flat_map(|(credential, issuer)| {
            credential.status().iter().map(|entry| StatusPlace {
                issuer: issuer.clone(),
                list: entry.list.clone(),
                index: entry.index,
            })
        });
        let claim = vouched.claim();
        let admitted = Admitted {
            root: root.clone(),
            makers: grants.iter().map(|grant| grant.maker.clone()).collect(),
            serial: claim.serial,
            kind: claim.kind.clone(),
            region: claim.region.clone(),
            until: vouched.until().min(lasts),
            statuses: places.collect(),
            revoked: Vec::new(),
        };
        let quotas = grants.iter().map(|grant| grant.quota.min(self.policy.maker_quota)).collect();
        (admitted, quotas)
    }
}

/// The lists, and the first moment at which one of them runs out. A list that no credential names, or that is not kept by the issuer of one that does,
/// is not looked into: anybody can sign such a list.
fn read_lists(
    shown: &BTreeMap<String, &RawValue>,
    chain: &SignedChain,
    received: Timestamp,
) -> Result<(StatusLists, Timestamp), String> {
    let (mut lists, mut lasts) = (StatusLists::default(), Timestamp(u64::MAX));
    for (url, raw) in shown {
        let mut keepers =
            chain.statuses().filter(|(entry, _)| entry.list == *url).map(|(_, by)| by).peekable();
        if keepers.peek().is_none() {
            return Err(format!("no credential names {url}"));
        }
        let list = Credential::parse(raw.get().as_bytes()).map_err(|error| error.to_string())?;
        if !keepers.any(|keeper| keeper.as_str() == list.issuer()) {
            return Err(format!("{url} is by {:?}, which issued no credential that names it", list.issuer()));
        }
        if list.valid_until().is_none() {
            return Err(format!("{url} has no `validUntil`"));
        }
        let list = check_list(&list, url, received)?;
        lasts = lasts.min(list.until());
        lists.insert(list);
    }
    Ok((lists, lasts))
}

/// Checks the signature of a list, and unpacks it.
pub(super) fn check_list(
    list: &Credential,
    url: &str,
    received: Timestamp,
) -> Result<VerifiedStatusList, String> {
    is_jcs(list).map_err(|suite| format!("{url} has a proof by {suite}; sign it with a JCS suite"))?;
    VerifiedStatusList::of(list, url, received, &Documents::default()).map_err(|error| words_of(&error))
}

/// That the verdict does not hang on what a program was built with: only some check the suites over RDF.
fn is_jcs(credential: &Credential) -> Result<(), &'static str> {
    let mut suites = credential.secured().proofs().iter().map(|proof| proof.suite);
    suites.find(|suite| !suite.is_jcs()).map_or(Ok(()), |other| Err(other.name()))
}

/// That every credential can be judged here: by its suites, and by what its status lists mean.
fn can_be_judged(chain: &MakerChain) -> Result<(), String> {
    for (link, credential) in chain.credentials().enumerate() {
        is_jcs(credential)
            .map_err(|suite| format!("link {link} has a proof by {suite}; sign it with a JCS suite"))?;
        let mut purposes = credential.status().iter().map(|entry| entry.purpose);
        if let Some(other) = purposes.find(|purpose| *purpose != StatusPurpose::Revocation) {
            return Err(format!("link {link} has a status for {}; only revocation is kept", other.name()));
        }
    }
    Ok(())
}

fn types(credential: &Credential) -> impl Iterator<Item = &str> {
    let types = credential.secured().document().get("type");
    types.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// What a bundle says of a chain that does not hold.
fn words_of_chain(error: &ChainError) -> String {
    match error {
        ChainError::Credential { link, source } => {
            format!("link {link} of the chain: {}", words_of(source))
        }
        _ => error.to_string(),
    }
}

/// What a bundle says of a credential that does not hold. Whoever audits it comes to the same bytes, so its moments stay what moments in bundles are, milliseconds,
/// however errors show them to people.
fn words_of(error: &CredentialError) -> String {
    match error {
        CredentialError::NotYetValid { from, now } => {
            format!("the credential is valid from {from} ms; it is {now} ms")
        }
        CredentialError::Expired { until, now } => {
            format!("the credential expired at {until} ms; it is {now} ms: have it issued again")
        }
        CredentialError::Proof(ProofError::Expired { expires, now }) => {
            format!("a proof expired at {expires} ms; it is {now} ms: sign again")
        }
        CredentialError::Status(StatusError::Stale { list, until, now }) => {
            format!("the status list {list} is good until {until} ms; it is {now} ms: fetch it again")
        }
        _ => error.to_string(),
    }
}

const fn reason_of(error: &ChainError) -> &'static str {
    match error {
        ChainError::Serial { .. } => "quota",
        ChainError::Credential { source, .. } => match source {
            CredentialError::Expired { .. } => "credential-expired",
            CredentialError::Proof(ProofError::Expired { .. }) => "credential-expired",
            CredentialError::Status(StatusError::Revoked { .. }) => "credential-revoked",
            CredentialError::Status(StatusError::Suspended { .. }) => "credential-revoked",
            _ => "credential-refused",
        },
        _ => "credential-refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_bundles_are_milliseconds_whatever_errors_show() {
        let (at, now) = (Timestamp(1_767_225_600_000), Timestamp(1_767_225_600_001));
        let expired =
            "the credential expired at 1767225600000 ms; it is 1767225600001 ms: have it issued again";
        for (error, words) in [
            (CredentialError::Expired { until: at, now }, expired),
            (
                CredentialError::NotYetValid { from: now, now: at },
                "the credential is valid from 1767225600001 ms; it is 1767225600000 ms",
            ),
            (
                ProofError::Expired { expires: at, now }.into(),
                "a proof expired at 1767225600000 ms; it is 1767225600001 ms: sign again",
            ),
            (
                StatusError::Stale { list: "https://a.example/1".into(), until: at, now }.into(),
                "the status list https://a.example/1 is good until 1767225600000 ms; it is 1767225600001 ms: fetch it again",
            ),
            (StatusError::Missing.into(), &StatusError::Missing.to_string()),
        ] {
            assert_eq!(words_of(&error), words);
            let link = ChainError::Credential { link: 1, source: error };
            assert_eq!(words_of_chain(&link), format!("link 1 of the chain: {words}"));
        }
        let shown = CredentialError::Expired { until: at, now }.to_string();
        assert!(
            shown.contains("2026-01-01T00:00:00Z") && shown.contains("2026-01-01T00:00:00.001Z"),
            "{shown}"
        );
    }
}
