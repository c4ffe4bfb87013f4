//! Chains of certificates, and what Android says in them.

use depin_core::{Finding, Timestamp, sha256};
use depin_identity::attestation::{
    android::{self, AndroidError, AndroidPolicy, RevocationError, SecurityLevel},
    x509::{ChainError, ChainPolicy, LeafUse, Pin, VerifiedChain, verify_chain},
};

use super::{
    report::{Checked, fail, pass, skipped, warning},
    trust::{MAX_AGE, Trust},
};

const CHAIN: &str = "certificate chain";
const ANDROID: &str = "Android attestation";
/// What the leaf of a chain may be for.
const USES: [(LeafUse, &str); 2] = [(LeafUse::Sign, "signatures"), (LeafUse::Encrypt, "encryption")];

pub(super) fn chain(chain: &[Vec<u8>], trust: &Trust) -> Checked {
    let (verified, findings) = judge(&complete(chain, trust), &USES, trust);
    let summary = verified.map(|chain| format!("of {}", chain.leaf().subject())).unwrap_or_default();
    Checked::new(CHAIN, summary, findings)
}

/// Certificates that could not be taken out of a text.
pub(super) fn of_text(error: &ChainError) -> Checked {
    let next = format!("{error}; leave the blocks from BEGIN to END alone in the file, the leaf's first");
    Checked::new(CHAIN, "", vec![fail("x509.form", "malformed", next)])
}

/// The chain, with a trusted root put under it if it lacks one.
pub(super) fn complete<'a>(chain: &'a [Vec<u8>], trust: &'a Trust) -> Vec<&'a [u8]> {
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    if !matches!(verify(&chain, &trust.pins, &USES, trust.at), Err(ChainError::NotPinned { .. })) {
        return chain;
    }
    for root in &trust.roots {
        let longer = [chain.as_slice(), &[root.as_slice()]].concat();
        match verify(&longer, &trust.pins, &USES, trust.at) {
            // It issued something else, or the chain ends in a root of its own.
            Err(ChainError::Names { index, .. } | ChainError::SelfIssued { index })
                if index.saturating_add(1) == chain.len() => {}
            _ => return longer,
        }
    }
    chain
}

/// Checks a chain for one of `uses`.
///
/// Without a trusted root it is still checked up to its own end, whose word counts for nothing: what is wrong is wrong under any root.
pub(super) fn judge(
    chain: &[&[u8]],
    uses: &[(LeafUse, &str)],
    trust: &Trust,
) -> (Option<VerifiedChain>, Vec<Finding>) {
    match verify(chain, &trust.pins, uses, trust.at) {
        Ok((verified, purpose)) => {
            let seen = format!("{} certificates, for {purpose}", chain.len());
            let pin = format!("{:?}", verified.pin());
            let findings = vec![
                pass("x509.chain", seen, "each signed by the next, in force"),
                pass("x509.root", pin, "named by --root"),
            ];
            (Some(verified), findings)
        }
        Err(ChainError::NotPinned { certificate, public_key }) => {
            let own: Vec<_> = chain.last().map(|der| Pin::Certificate(sha256(&[der]))).into_iter().collect();
            let held = match verify(chain, &own, uses, trust.at) {
                Ok((_, purpose)) => {
                    let seen = format!("{} certificates, for {purpose}", chain.len());
                    pass("x509.chain", seen, "holds up to its own end")
                }
                Err(error) => of_chain(&error),
            };
            let gap = format!(
                "it ends in the certificate {certificate} with the key {public_key}, which nobody said is to be trusted: give --root"
            );
            (None, vec![held, skipped("x509.root", "untrusted", gap)])
        }
        Err(error) => (None, vec![of_chain(&error)]),
    }
}

/// What an error means: that the chain is wrong, or that it uses what is not checked here.
fn of_chain(error: &ChainError) -> Finding {
    match error {
        ChainError::Algorithm { .. } | ChainError::Key { .. } => {
            skipped("x509.chain", "unknown-algorithm", error)
        }
        _ => fail("x509.chain", "refused", error),
    }
}

/// The first use that the leaf is for; the error of the last.
fn verify<'a>(
    chain: &[&[u8]],
    pins: &[Pin],
    uses: &[(LeafUse, &'a str)],
    at: Timestamp,
) -> Result<(VerifiedChain, &'a str), ChainError> {
    let mut outcome = Err(ChainError::Count { found: chain.len(), max: VerifiedChain::MAX_CERTIFICATES });
    for (leaf, name) in uses {
        outcome = verify_chain(chain, &ChainPolicy { pins, at, leaf: *leaf }).map(|chain| (chain, *name));
        if !matches!(outcome, Err(ChainError::KeyUsage { index: 0, .. })) {
            break;
        }
    }
    outcome
}

/// An attestation by Android's hardware. The least it has to come from is a TEE of any patch level; which apps and patches do is a policy's to say.
pub(super) fn android(chain: &[Vec<u8>], trust: &Trust) -> Checked {
    let chain = complete(chain, trust);
    let (verified, mut findings) = judge(&chain, &[(LeafUse::Sign, "signatures")], trust);
    let Some(verified) = verified else { return Checked::new(ANDROID, "", findings) };
    let summary = format!("of the key {}", verified.leaf().public_key().fingerprint());
    let (Some(nonce), Some(revocations)) = (trust.challenge(), &trust.revocations) else {
        if trust.challenge().is_none() {
            let missing = "an old attestation may be shown again: give the challenge, --nonce with 64 hexadecimal digits";
            findings.push(skipped("attestation.challenge", "not-given", missing));
        }
        if trust.revocations.is_none() {
            let missing = "a revoked phone may be behind it: fetch https://android.googleapis.com/attestation/status, and give --revocations";
            findings.push(skipped("attestation.android.revocation", "not-given", missing));
        }
        return Checked::new(ANDROID, summary, findings);
    };
    let policy = AndroidPolicy {
        pins: &trust.pins,
        security: SecurityLevel::TrustedEnvironment,
        patch_level: 0,
        app_signers: &[],
        revocations,
        revocations_age: MAX_AGE,
    };
    match android::check(&chain, nonce, &policy, trust.at) {
        Ok(all) => findings.extend(all),
        Err(error) => findings.push(of_android(&error)),
    }
    findings.push(warning(
        "attestation.android.policy",
        "any",
        "any patch level and any app: compare both with what you ask for",
    ));
    Checked::new(ANDROID, summary, findings)
}

fn of_android(error: &AndroidError) -> Finding {
    match error {
        AndroidError::Revocation(RevocationError::Stale { .. }) => {
            skipped("attestation.android.revocation", "stale", error)
        }
        AndroidError::Revocation(_) => fail("attestation.android.revocation", "revoked", error),
        AndroidError::Nonce { .. } => fail("attestation.challenge", "other", error),
        AndroidError::Chain(error) => of_chain(error),
        _ => fail("attestation.android", "refused", error),
    }
}
