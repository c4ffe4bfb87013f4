use std::collections::BTreeMap;

use depin_core::{Amount, DeviceId, Millis, Outcome, Text, Timestamp};
use depin_identity::{
    Did,
    admission::{AdmissionPolicy, Applicant, Credential as ShownCredential, Holder, Maker},
    credential::{
        CREDENTIAL_TYPE, ChainError, Credential, CredentialError, Documents, Known, MakerChain, MakerPolicy,
        ProofError, StatusError, StatusLists, StatusPurpose, VerifiedStatusList, VouchedDevice,
    },
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{AdmissionParams, Admitted, CHAIN, MAX_LISTS, MAX_SHOWN, StatusPlace};
use crate::{check::refusal, entry::Refusal};

/// What a chain that holds comes to.
#[derive(Clone, Debug)]
pub(crate) struct Vouched {
    pub(crate) admitted: Admitted,
    /// Quota of each of [`Admitted::makers`], at most the policy's.
    pub(crate) quotas: Vec<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown<'a> {
    #[serde(borrow)]
    credentials: Vec<&'a RawValue>,
    #[serde(borrow, default, rename = "statusLists")]
    lists: BTreeMap<String, &'a RawValue>,
}

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
        let refused = |error: ChainError| refuse(reason_of(&error), error.to_string(), CHAIN);
        let chain = MakerChain::parse(&credentials).map_err(refused)?;
        let first = chain.credentials().next().map_or("", Credential::issuer);
        let Some(root) = self.roots.iter().find(|root| root.as_str() == first) else {
            return Err(refuse("untrusted-root", format!("the chain begins with {first:?}"), CHAIN));
        };
        let (lists, lasts) = read_lists(&shown.lists, received)
            .map_err(|observed| refuse("status-list", observed, "status lists by their issuers, in force"))?;
        let policy = MakerPolicy {
            root: root.clone(),
            max_makers: usize::from(self.max_makers),
            bond_per_device: self.policy.maker_bond,
            status_issuers: Vec::new(),
        };
        let known = Known { now: received, documents: &Documents::default(), lists: &lists };
        // What a maker put up is what its root says.
        let vouched = chain.verify(&policy, device, &known, |_| Amount(u128::MAX)).map_err(refused)?;
        if let Some(refusal) = self.revoked_maker(device, vouched.makers().iter().map(|grant| &grant.maker)) {
            return Err(refusal);
        }
        self.judge(&vouched, &chain).map_err(|observed| refuse("policy", observed, CHAIN))?;
        Ok(self.vouched(root, &vouched, &chain, lasts))
    }

    /// What the policy says of a chain that holds.
    fn judge(&self, vouched: &VouchedDevice, chain: &MakerChain) -> Result<(), String> {
        let claim = vouched.claim();
        let last = vouched.makers().len();
        let kinds = chain.credentials().enumerate().flat_map(|(link, credential)| {
            let holder = if link == last { Holder::Device } else { Holder::Maker };
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

    fn vouched(&self, root: &Did, vouched: &VouchedDevice, chain: &MakerChain, lasts: Timestamp) -> Vouched {
        let grants = vouched.makers();
        let issuers = std::iter::once(root).chain(grants.iter().map(|grant| &grant.maker));
        let places = chain.credentials().zip(issuers).flat_map(|(credential, issuer)| {
            let entries = credential.status().iter();
            let revoking = entries.filter(|entry| entry.purpose == StatusPurpose::Revocation);
            revoking.map(|entry| StatusPlace {
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
        Vouched { admitted, quotas }
    }
}

/// The lists, and the first moment at which one of them runs out.
fn read_lists(
    shown: &BTreeMap<String, &RawValue>,
    received: Timestamp,
) -> Result<(StatusLists, Timestamp), String> {
    let (mut lists, mut lasts) = (StatusLists::default(), Timestamp(u64::MAX));
    for (url, raw) in shown {
        let bytes = raw.get().as_bytes();
        let list = VerifiedStatusList::verify(bytes, url, received, &Documents::default(), Millis(u64::MAX))
            .map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if value.get("validUntil").is_none() {
            return Err(format!("{url} has no `validUntil`"));
        }
        lasts = lasts.min(list.until());
        lists.insert(list);
    }
    Ok((lists, lasts))
}

fn types(credential: &Credential) -> impl Iterator<Item = &str> {
    let types = credential.secured().document().get("type");
    types.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
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
