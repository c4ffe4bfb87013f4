//! Whom and what the user trusts: nothing that was not named.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use depin::Bundle;
use depin_core::{Digest, Finding, Millis, NetworkId, Timestamp, TypedKey, sha256};
use depin_identity::{
    Did, Resolvers,
    attestation::{
        android::RevocationList,
        x509::{Pin, certificates_from_pem},
    },
    credential::{Credential, Documents, Known, StatusClient, StatusLists, VerifiedStatusList},
    did::{CacheLimits, DidCache, KeyMethod, WebMethod, WebPolicy},
};

use super::{
    kind::StatusListFile,
    report::{pass, skipped},
};

/// How long a status list from a server is relied on when it does not say, and how old Google's list of revoked keys may be.
pub(super) const MAX_AGE: Millis = Millis(86_400_000);

#[derive(Debug, clap::Args)]
pub(super) struct Given {
    /// A root of certificates: a file with it, or SHA-256 of its SubjectPublicKeyInfo in hexadecimal.
    #[arg(long, value_name = "FILE|DIGEST")]
    root: Vec<String>,
    /// Who may issue credentials and grants, or make devices, by DID; or the name of an attestation key that was activated before, in hexadecimal.
    #[arg(long, value_name = "DID|NAME")]
    trust: Vec<String>,
    /// The moment to judge at, for example 2026-01-31T12:00:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = crate::commands::moment)]
    at: Option<Timestamp>,
    /// The challenge that was given: hexadecimal for a TPM or Android, text for a presentation.
    #[arg(long)]
    nonce: Option<String>,
    /// The domain that a presentation was asked for.
    #[arg(long)]
    domain: Option<String>,
    /// A bundle of the network, which has the keys of receipts and reports.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The network that a grant or an ownership voucher is of: its id, 64 hexadecimal digits [default: that of --bundle].
    #[arg(long, value_name = "ID")]
    network: Option<Digest>,
    /// Google's list of revoked Android keys, https://android.googleapis.com/attestation/status, fetched within a day.
    #[arg(long, value_name = "FILE")]
    revocations: Option<PathBuf>,
    /// Resolve did:web, and fetch status lists, from public servers.
    #[arg(long)]
    online: bool,
}

pub(super) struct Trust {
    pub(super) at: Timestamp,
    pub(super) nonce: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) bundle: Option<Bundle>,
    network: Option<NetworkId>,
    pub(super) revocations: Option<RevocationList>,
    pub(super) pins: Vec<Pin>,
    /// Roots that were given as files, in DER.
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) issuers: Vec<Did>,
    /// Names of attestation keys.
    pub(super) names: Vec<[u8; 34]>,
    pub(super) resolver: Resolvers,
    /// If servers may be asked.
    pub(super) web: Option<WebMethod>,
    /// Status lists among the files, by the URL they give.
    offered: BTreeMap<String, StatusListFile>,
}

/// What is known of those who sign, and what could not be found out.
pub(super) struct Knowledge {
    pub(super) now: Timestamp,
    pub(super) documents: Documents,
    pub(super) lists: StatusLists,
    pub(super) gaps: Vec<Finding>,
}

impl Trust {
    /// `web` is how `--online` asks.
    pub(super) fn new(arguments: &Given, web: &WebPolicy) -> Result<Self> {
        let at = arguments.at.unwrap_or_else(crate::commands::now);
        let (mut pins, mut roots) = (Vec::new(), Vec::new());
        for root in &arguments.root {
            match root.parse::<Digest>() {
                Ok(digest) => pins.push(Pin::PublicKey(digest)),
                Err(_) => roots.extend(certificates(Path::new(root))?),
            }
        }
        pins.extend(roots.iter().map(|der| Pin::Certificate(sha256(&[der]))));
        let (mut issuers, mut names) = (Vec::new(), Vec::new());
        for trusted in &arguments.trust {
            match name(trusted) {
                Some(name) => names.push(name),
                None => issuers.push(trusted.parse().with_context(|| format!("--trust {trusted:?}"))?),
            }
        }
        let bundle = arguments.bundle.as_deref().map(bundle).transpose()?;
        let revocations = arguments.revocations.as_deref().map(|path| revocations(path, at)).transpose()?;
        let web = if arguments.online { Some(WebMethod::new(web)?) } else { None };
        let resolver = match &web {
            // A document counts for several signatures, and is asked for once.
            Some(web) => {
                let clock = Arc::new(crate::commands::now);
                let cache = DidCache::new(Arc::new(web.clone()), CacheLimits::default(), clock);
                Resolvers::offline().with(Arc::new(cache))
            }
            None => Resolvers::offline(),
        };
        let (nonce, domain, offered) = (arguments.nonce.clone(), arguments.domain.clone(), BTreeMap::new());
        Ok(Self {
            at,
            nonce,
            domain,
            bundle,
            network: arguments.network.map(NetworkId),
            revocations,
            pins,
            roots,
            issuers,
            names,
            resolver,
            web,
            offered,
        })
    }

    /// Takes a status list that is among the files. It has to hold like any other.
    pub(super) fn offer(&mut self, list: &StatusListFile) {
        self.offered.insert(list.url.clone(), list.clone());
    }

    /// Whether `did` is trusted as an issuer.
    pub(super) fn judge(&self, check: &'static str, did: &Did) -> Finding {
        if self.issuers.contains(did) {
            return pass(check, did.as_str(), "named by --trust");
        }
        skipped(
            check,
            "untrusted",
            format!("nobody said that {did} is to be trusted: add --trust {did} if it is"),
        )
    }

    /// The keys of the trusted did:keys.
    pub(super) fn keys(&self) -> Vec<TypedKey> {
        let methods = self.issuers.iter().filter_map(|did| {
            let document = KeyMethod::document(did).ok()?;
            document.verification_method.first()?.typed_key().ok()
        });
        methods.collect()
    }

    /// The network, if one was named.
    pub(super) fn network(&self) -> Option<NetworkId> {
        self.network.or_else(|| self.bundle.as_ref().map(|bundle| bundle.header.params.network()))
    }

    /// The nonce as hardware was given it.
    pub(super) fn challenge(&self) -> Option<Digest> {
        self.nonce.as_deref().and_then(|nonce| nonce.parse().ok())
    }

    /// Finds out what a check of `credentials` needs, signed documents of `others` included. What is missing leaves a gap, and the check says what that means.
    pub(super) async fn know(&self, credentials: &[&Credential], others: &[Did]) -> Knowledge {
        let mut knowledge = Knowledge {
            now: self.at,
            documents: Documents::default(),
            lists: StatusLists::default(),
            gaps: Vec::new(),
        };
        let mut signers: Vec<&Did> = others.iter().collect();
        credentials.iter().for_each(|credential| signers.extend(credential.signers()));
        for did in signers {
            self.resolve(did, &mut knowledge).await;
        }
        let mut urls: Vec<&str> = Vec::new();
        credentials
            .iter()
            .for_each(|credential| urls.extend(credential.status().iter().map(|entry| entry.list.as_str())));
        let mut fetch: Vec<&str> = Vec::new();
        for url in urls {
            match self.offered.get(url) {
                Some(list) => self.take(list, &mut knowledge).await,
                None => fetch.push(url),
            }
        }
        if let Some(web) = &self.web {
            let mut client = StatusClient::new(web.clone(), MAX_AGE);
            let failures = client.refresh(fetch.iter().copied(), self.at, &self.resolver).await;
            knowledge
                .gaps
                .extend(failures.values().map(|error| skipped("status-list.fetch", "unavailable", error)));
            let fetched = fetch.iter().filter_map(|url| client.lists().get(url));
            fetched.for_each(|list| knowledge.lists.insert(list.clone()));
        }
        knowledge
    }

    async fn resolve(&self, did: &Did, knowledge: &mut Knowledge) {
        // Offline, the check itself says whose document is missing.
        if self.web.is_none() && did.method() == "web" {
            return;
        }
        if let Err(error) = knowledge.documents.resolve([did], &self.resolver).await {
            knowledge.gaps.push(skipped("did.resolution", "unresolved", error));
        }
    }

    /// A list from a file may be old, so it counts only until the end it gives itself.
    async fn take(&self, list: &StatusListFile, knowledge: &mut Knowledge) {
        let StatusListFile { bytes, url, ends } = list;
        if !ends {
            let gap = format!(
                "the status list {url} does not say until when it is good, so a file of it may be old: fetch it with --online"
            );
            knowledge.gaps.push(skipped("status-list.age", "no-end", gap));
            return;
        }
        for did in VerifiedStatusList::signers(bytes).unwrap_or_default() {
            self.resolve(&did, knowledge).await;
        }
        match VerifiedStatusList::verify(bytes, url, self.at, &knowledge.documents, Millis(u64::MAX)) {
            Ok(list) => knowledge.lists.insert(list),
            Err(error) => {
                knowledge.gaps.push(skipped("status-list.file", "refused", format!("{url}: {error}")))
            }
        }
    }
}

impl Knowledge {
    pub(super) fn known(&self) -> Known<'_> {
        Known { now: self.now, documents: &self.documents, lists: &self.lists }
    }
}

/// The name of a TPM's key: 0x000b, SHA-256, and a digest.
fn name(text: &str) -> Option<[u8; 34]> {
    let mut bytes = [0; 34];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).ok()?;
    Some(bytes)
}

fn bundle(path: &Path) -> Result<Bundle> {
    Bundle::from_bytes(&super::read(path, super::MAX_BYTES)?).with_context(|| path.display().to_string())
}

/// Certificates of a file, PEM or DER.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = super::read(path, 1 << 20).context("--root names a file, or 64 hexadecimal digits")?;
    match std::str::from_utf8(&bytes).map(certificates_from_pem) {
        Ok(found) => {
            let found = found.with_context(|| path.display().to_string())?;
            if found.is_empty() {
                bail!("{} holds no certificate", path.display());
            }
            Ok(found)
        }
        Err(_) => Ok(vec![bytes]),
    }
}

/// A list is as old as its file. One from after `at` says at least as much.
fn revocations(path: &Path, at: Timestamp) -> Result<RevocationList> {
    let context = || path.display().to_string();
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).with_context(context)?;
    let max = u64::try_from(RevocationList::MAX_LEN)?;
    RevocationList::parse(&super::read(path, max)?, crate::commands::timestamp(modified).min(at))
        .with_context(context)
}
