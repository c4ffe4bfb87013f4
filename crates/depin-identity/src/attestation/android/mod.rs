//! Android key attestation: a key made in a phone's TEE or StrongBox, described in an extension of its certificate.
//!
//! The extension counts in the leaf alone. A genuine attested key can sign anything, a certificate with a forged description included, so a chain
//! in which another certificate has one is refused, as is, by [`x509`], an issuer that is no CA.

mod description;
mod revocation;

use depin_core::{Digest, Finding, Millis, Side, Timestamp};
use x509_cert::der::asn1::ObjectIdentifier;

use super::{
    AttestationChallenge, AttestationChallengeError, AttestationChallenges, AttestedKey, Evidence, x509,
};
use description::{Authorizations, Description};
pub use description::{BootState, SecurityLevel};
pub use revocation::{RevocationError, RevocationList};
use x509::{ChainError, ChainPolicy, LeafUse, Pin, VerifiedChain};

/// The attestation extension.
const DESCRIPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.1.17");

/// What is demanded of a phone.
#[derive(Clone, Copy, Debug)]
pub struct AndroidPolicy<'a> {
    /// The roots that are trusted: Google's, by the digests of their keys.
    pub pins: &'a [Pin],
    /// The least that may hold the key and make the statement: the TEE or StrongBox; software is refused always.
    pub security: SecurityLevel,
    /// The oldest security patch level of the system, as YYYYMM.
    pub patch_level: u32,
    /// SHA-256 of certificates that sign the app which must have made the key; any app if empty.
    pub app_signers: &'a [Digest],
    /// Google's list of revoked keys.
    pub revocations: &'a RevocationList,
    /// How old that list may be.
    pub revocations_age: Millis,
}

/// Why Android's word for a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AndroidError {
    /// The challenge is not open.
    #[error(transparent)]
    Challenge(#[from] AttestationChallengeError),
    /// The chain is refused.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A certificate is revoked, or that could not be told.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// A description where none may be.
    #[error(
        "certificate {index} describes a key as well; only the leaf may, for an attested key can sign forged descriptions"
    )]
    DescriptionAbove {
        /// Which certificate; the leaf is 0.
        index: usize,
    },
    /// No description.
    #[error(
        "the leaf has no attestation extension (1.3.6.1.4.1.11129.2.1.17); make the key with setAttestationChallenge"
    )]
    NoDescription,
    /// The description cannot be read.
    #[error("the attestation extension is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: &'static str,
    },
    /// The answer to something else.
    #[error("the attestation answers another challenge; expected the nonce {expected}")]
    Nonce {
        /// The nonce of the challenge.
        expected: Digest,
    },
    /// Too weak a place.
    #[error("the {what} is at security level {found:?}; expected at least {expected:?}")]
    Security {
        /// The key, or what made the statement.
        what: &'static str,
        /// The level found.
        found: SecurityLevel,
        /// The level demanded.
        expected: SecurityLevel,
    },
    /// Hardware does not say what was booted.
    #[error("the hardware does not say what was booted: no rootOfTrust in the hardware-enforced list")]
    NoRootOfTrust,
    /// The bootloader is unlocked.
    #[error("the bootloader is unlocked; lock it")]
    Unlocked,
    /// Another system than the maker's.
    #[error("the boot state is {found:?}; expected Verified")]
    Boot {
        /// The state found.
        found: BootState,
    },
    /// Not made there, or for something else.
    #[error("the key {what}; make it in the hardware, for signing and nothing that attests")]
    Key {
        /// What is wrong.
        what: &'static str,
    },
    /// The system is too old.
    #[error("the security patch level is {found:?}; expected at least {expected}")]
    PatchLevel {
        /// The level found.
        found: Option<u32>,
        /// The level demanded.
        expected: u32,
    },
    /// Another app.
    #[error("the key was made by an app whose signer is not among the allowed ones")]
    App,
}

/// Accepts Android's attestation of a key once: chain, revocations, description, nonce, place, boot, purpose, patch level and app.
///
/// `chain` is what `KeyStore.getCertificateChain` gives, in its order. The challenge is closed when the attestation is accepted.
///
/// # Errors
/// [`AndroidError`].
pub fn attest(
    chain: &[&[u8]],
    challenge: &AttestationChallenge,
    policy: &AndroidPolicy<'_>,
    challenges: &mut AttestationChallenges,
    now: Timestamp,
) -> Result<AttestedKey, AndroidError> {
    challenges.check(challenge, now)?;
    let (chain, findings) = judge(chain, challenge.nonce(), policy, now)?;
    challenges.close(challenge);
    Ok(AttestedKey {
        device: challenge.device,
        network: Some(challenge.network),
        key: chain.leaf().public_key().clone(),
        kind: Evidence::Android,
        evidence: chain.digest(),
        findings,
    })
}

/// Checks what [`attest`] does, but for the challenge being open: for those who keep challenges elsewhere. Gives every check and what it saw.
///
/// # Errors
/// [`AndroidError`].
pub fn check(
    chain: &[&[u8]],
    nonce: Digest,
    policy: &AndroidPolicy<'_>,
    now: Timestamp,
) -> Result<Vec<Finding>, AndroidError> {
    judge(chain, nonce, policy, now).map(|(_, findings)| findings)
}

fn judge(
    chain: &[&[u8]],
    nonce: Digest,
    policy: &AndroidPolicy<'_>,
    now: Timestamp,
) -> Result<(VerifiedChain, Vec<Finding>), AndroidError> {
    let demands = ChainPolicy { pins: policy.pins, at: now, leaf: LeafUse::Sign };
    let chain = x509::verify_chain(chain, &demands)?;
    for certificate in chain.certificates() {
        policy.revocations.check(certificate, now, policy.revocations_age)?;
    }
    if let Some(index) =
        chain.certificates().iter().skip(1).position(|one| one.extension(DESCRIPTION).is_some())
    {
        return Err(AndroidError::DescriptionAbove { index: index.saturating_add(1) });
    }
    let extension = chain.leaf().extension(DESCRIPTION).ok_or(AndroidError::NoDescription)?;
    let description =
        Description::parse(extension).map_err(|error| AndroidError::Malformed { reason: error.0 })?;
    if description.challenge != nonce.0 {
        return Err(AndroidError::Nonce { expected: nonce });
    }
    check_place(&description, policy.security)?;
    check_key(&description.hardware)?;
    if description.hardware.patch_level.is_none_or(|found| found < policy.patch_level) {
        let (found, expected) = (description.hardware.patch_level, policy.patch_level);
        return Err(AndroidError::PatchLevel { found, expected });
    }
    let known = |signer: &&[u8]| policy.app_signers.iter().any(|allowed| allowed.0 == **signer);
    if !policy.app_signers.is_empty() && !description.software.app_signers.iter().any(known) {
        return Err(AndroidError::App);
    }
    let findings = findings(&chain, &description, policy);
    Ok((chain, findings))
}

fn check_place(description: &Description<'_>, expected: SecurityLevel) -> Result<(), AndroidError> {
    let expected = expected.max(SecurityLevel::TrustedEnvironment);
    for (what, found) in [("attestation", description.attestation_level), ("key", description.key_level)] {
        if found < expected {
            return Err(AndroidError::Security { what, found, expected });
        }
    }
    let root = description.hardware.root_of_trust.ok_or(AndroidError::NoRootOfTrust)?;
    if !root.locked {
        return Err(AndroidError::Unlocked);
    }
    match root.boot {
        BootState::Verified => Ok(()),
        found => Err(AndroidError::Boot { found }),
    }
}

/// The purposes and origins of KeyMint that matter here.
fn check_key(hardware: &Authorizations<'_>) -> Result<(), AndroidError> {
    const SIGN: u32 = 2;
    const ATTEST: u32 = 7;
    const GENERATED: u32 = 0;
    let wrong = |what| Err(AndroidError::Key { what });
    if hardware.origin != Some(GENERATED) {
        return wrong("was not generated in the hardware");
    }
    if !hardware.purposes.contains(&SIGN) {
        return wrong("is not for signing");
    }
    if hardware.purposes.contains(&ATTEST) {
        return wrong("attests other keys");
    }
    if hardware.all_applications {
        return wrong("may be used by every app");
    }
    Ok(())
}

fn findings(
    chain: &VerifiedChain,
    description: &Description<'_>,
    policy: &AndroidPolicy<'_>,
) -> Vec<Finding> {
    let level = format!("{:?}, attestation version {}", description.key_level, description.version);
    let patch = description.hardware.patch_level.unwrap_or_default();
    let app = if policy.app_signers.is_empty() {
        let warning = ("attestation.android.app", "any");
        Finding::warning(
            warning.0,
            warning.1,
            Side::Network,
            "any app may have made the key",
            "pinned signers",
        )
    } else {
        Finding::pass("attestation.android.app", "known signer", "pinned signers")
    };
    vec![
        chain.finding(),
        Finding::pass("attestation.android.security", level, format!("at least {:?}", policy.security)),
        Finding::pass("attestation.android.boot", "verified, locked", "verified, locked"),
        Finding::pass(
            "attestation.android.patch",
            patch.to_string(),
            format!("at least {}", policy.patch_level),
        ),
        app,
    ]
}
