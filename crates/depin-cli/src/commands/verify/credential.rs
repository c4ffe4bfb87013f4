//! Credentials, chains of them, and status lists.

use depin_core::{Amount, DeviceId, Finding, Millis};
use depin_identity::{
    Did, DidError,
    credential::{
        ChainError, Credential, CredentialError, Expected, MakerChain, MakerPolicy, ProofError, StatusError,
        VerifiedStatusList,
    },
    did::Purpose,
};

use super::{
    kind::StatusListFile,
    report::{Checked, fail, pass, skipped, warning},
    trust::{Knowledge, MAX_AGE, Trust},
};

const CREDENTIAL: &str = "credential";
const MAKER_CHAIN: &str = "maker chain";
const STATUS_LIST: &str = "status list";
/// Makers of a chain at most.
const MAX_MAKERS: usize = 8;

pub(super) async fn credential(bytes: &[u8], trust: &Trust) -> Checked {
    let credential = match Credential::parse(bytes) {
        Ok(credential) => credential,
        Err(error) => return Checked::new(CREDENTIAL, "", vec![of_credential(&error)]),
    };
    let mut knowledge = trust.know(&[&credential], &[]).await;
    let mut findings = judge(&credential, None, &knowledge, trust);
    findings.append(&mut knowledge.gaps);
    Checked::new(CREDENTIAL, format!("issued by {}", credential.issuer()), findings)
}

/// Every check of one credential, about `subject` if that is given.
pub(super) fn judge(
    credential: &Credential,
    subject: Option<&Did>,
    knowledge: &Knowledge,
    trust: &Trust,
) -> Vec<Finding> {
    let mut findings = vec![pass("credential.form", "W3C Verifiable Credentials 2.0", "")];
    match credential.secured().verify(Purpose::AssertionMethod, knowledge.now, &knowledge.documents) {
        Ok(signers) => {
            let signers: Vec<_> = signers.iter().map(ToString::to_string).collect();
            findings.push(pass(
                "credential.proof",
                signers.join(", "),
                "signed by keys that their DID documents list for this",
            ));
        }
        Err(error) => {
            findings.push(of_proof(&error));
            return findings;
        }
    }
    let expected =
        Expected { subject, status_issuers: &trust.issuers, without_status: true, ..Expected::default() };
    match credential.verify(&expected, &knowledge.known()) {
        Ok(verified) => {
            findings.push(pass("credential.issuer", verified.issuer().as_str(), "signed itself"));
            findings.push(pass("credential.time", knowledge.now.rfc3339().to_string(), "in force"));
            findings.push(match credential.status().len() {
                0 => warning("credential.status", "none", "it has no status, so nobody can revoke it"),
                count => pass("credential.status", format!("{count} entries"), "not revoked, not suspended"),
            });
            findings.push(trust.judge("credential.trust", verified.issuer()));
        }
        Err(error) => findings.push(of_credential(&error)),
    }
    findings
}

/// What an error means: that the credential is wrong, or that something to judge it by is missing.
pub(super) fn of_credential(error: &CredentialError) -> Finding {
    match error {
        CredentialError::Proof(error) => of_proof(error),
        CredentialError::NotYetValid { .. } | CredentialError::Expired { .. } => {
            fail("credential.time", "not-in-force", error)
        }
        CredentialError::IssuerDidNotSign { .. } => fail("credential.issuer", "not-signed", error),
        CredentialError::Issuer { .. } => fail("credential.issuer", "other", error),
        CredentialError::Subject { .. } => fail("credential.subject", "other", error),
        CredentialError::Status(StatusError::ListMissing { list }) => skipped(
            "credential.status",
            "list-missing",
            format!("the status list {list} is not at hand: give a file of it as well; --online asks for it"),
        ),
        CredentialError::Status(StatusError::Issuer { list, found, .. }) => skipped(
            "credential.status",
            "list-untrusted",
            format!(
                "the status list {list} at hand is by {found}: add --trust {found} if that may revoke it"
            ),
        ),
        CredentialError::Status(StatusError::Stale { .. } | StatusError::NotYet { .. }) => {
            skipped("credential.status", "list-stale", error)
        }
        CredentialError::Status(_) => fail("credential.status", "refused", error),
        _ => fail("credential.form", "malformed", error),
    }
}

pub(super) fn of_proof(error: &ProofError) -> Finding {
    match error {
        ProofError::Unresolved { did } => {
            let next = if did.method() == "web" {
                "--online asks its server"
            } else {
                "its method is not resolved here"
            };
            skipped("credential.proof", "unresolved", format!("the document of {did} is not at hand; {next}"))
        }
        ProofError::Method(DidError::Unavailable { .. } | DidError::UnsupportedMethod { .. }) => {
            skipped("credential.proof", "unresolved", error)
        }
        ProofError::Curve { .. } => skipped("credential.proof", "unknown-curve", error),
        ProofError::UnknownContext { .. } => skipped("credential.proof", "unknown-context", error),
        ProofError::Suite { .. } | ProofError::SuiteNotBuilt { .. } => {
            skipped("credential.proof", "unknown-suite", error)
        }
        ProofError::Expired { .. } => fail("credential.time", "not-in-force", error),
        _ => fail("credential.proof", "refused", error),
    }
}

/// An array of credentials: for each maker one, the root's word first, and the device's last.
pub(super) async fn maker_chain(all: &[Vec<u8>], trust: &Trust) -> Checked {
    let slices: Vec<_> = all.iter().map(Vec::as_slice).collect();
    let chain = match MakerChain::parse(&slices) {
        Ok(chain) => chain,
        Err(error) => return Checked::new(MAKER_CHAIN, "", vec![of_chain(&error)]),
    };
    let credentials: Vec<_> = chain.credentials().collect();
    let root = credentials.first().and_then(|first| first.issuer().parse::<Did>().ok());
    let device = credentials.last().and_then(|last| subject(last)?.parse::<DeviceId>().ok());
    let (Some(root), Some(device)) = (root, device) else {
        let error = "it begins with no DID as issuer, or ends with no did:key of a device as subject";
        return Checked::new(MAKER_CHAIN, "", vec![fail("maker-chain.form", "malformed", error)]);
    };
    let mut knowledge = trust.know(&credentials, &[]).await;
    let policy = MakerPolicy {
        root: root.clone(),
        max_makers: MAX_MAKERS,
        bond_per_device: Amount(0),
        status_issuers: trust.issuers.clone(),
    };
    let mut findings = match chain.verify(&policy, &device, &knowledge.known(), |_| Amount(u128::MAX)) {
        Ok(vouched) => vec![
            pass(
                "maker-chain.links",
                format!("{} makers", vouched.makers().len()),
                "each within what the one above may do",
            ),
            warning(
                "maker-chain.bond",
                "elsewhere",
                "bonds, and how much of a quota is used up, are for the registry to say",
            ),
            trust.judge("maker-chain.trust", &root),
        ],
        Err(error) => vec![of_chain(&error)],
    };
    findings.append(&mut knowledge.gaps);
    Checked::new(MAKER_CHAIN, format!("from {root} to {device}"), findings)
}

fn subject(credential: &Credential) -> Option<&str> {
    credential.secured().document().get("credentialSubject")?.get("id")?.as_str()
}

fn of_chain(error: &ChainError) -> Finding {
    match error {
        ChainError::Credential { link, source } => {
            let mut finding = of_credential(source);
            finding.observed = format!("link {link}: {}", finding.observed);
            finding
        }
        _ => fail("maker-chain.links", "refused", error),
    }
}

pub(super) async fn status_list(list: &StatusListFile, trust: &Trust) -> Checked {
    let StatusListFile { bytes, url, .. } = list;
    let signers = match VerifiedStatusList::signers(bytes) {
        Ok(signers) => signers,
        Err(error) => return Checked::new(STATUS_LIST, "", vec![of_credential(&error)]),
    };
    let mut knowledge = trust.know(&[], &signers).await;
    let age = Millis(MAX_AGE.0);
    let mut findings = match VerifiedStatusList::verify(bytes, url, trust.at, &knowledge.documents, age) {
        Ok(list) => vec![
            pass("status-list.proof", list.issuer().as_str(), "signed by its issuer"),
            trust.judge("status-list.trust", list.issuer()),
        ],
        Err(error) => vec![of_credential(&error)],
    };
    findings.append(&mut knowledge.gaps);
    Checked::new(STATUS_LIST, format!("to be served at {url}"), findings)
}
