//! What hardware says about a key: evidence in, an [`AttestedKey`] or a reason out.
//!
//! | evidence | says |
//! |---|---|
//! | [`x509`]: a certificate chain, as secure elements carry it from their maker | this key was made in a part of this maker |
//! | [`tpm`]: a TPM 2.0 quote, its attestation key tied to an endorsement key | this platform booted what these PCRs say |
//! | [`android`]: Android key attestation | this key lives in the TEE or StrongBox of a locked, verified phone |
//!
//! Everything is pure: roots, moments, nonces and revocation lists are arguments. A quote or an Android attestation answers an [`AttestationChallenge`] that
//! names network and device, so that the evidence of one device says nothing about another, and [`AttestationChallenges`] redeem each challenge once.

pub mod android;
mod challenge;
mod signature;
mod tlv;
pub mod tpm;
pub mod x509;

use depin_core::{DeviceId, Digest, Finding, NetworkId};

pub use challenge::{AttestationChallenge, AttestationChallengeError, AttestationChallenges};
pub use signature::SubjectPublicKey;

use x509::{ChainError, VerifiedChain};

/// What kind of evidence there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Evidence {
    /// A certificate chain.
    X509,
    /// A quote of a TPM 2.0.
    TpmQuote,
    /// Android key attestation.
    Android,
}

/// A key that evidence was accepted for. Only the checks of this module make one; whether it is enough is a policy's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestedKey {
    device: DeviceId,
    network: Option<NetworkId>,
    key: SubjectPublicKey,
    kind: Evidence,
    evidence: Digest,
    findings: Vec<Finding>,
}

impl AttestedKey {
    /// The device that the evidence was given for.
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// The network that the evidence was given to; none where the evidence answers nobody.
    pub const fn network(&self) -> Option<NetworkId> {
        self.network
    }

    /// The key that the hardware holds: the device's own, or one that vouches for it.
    pub const fn key(&self) -> &SubjectPublicKey {
        &self.key
    }

    /// Whether the hardware holds the device's own key, and not one beside it.
    pub fn is_device_key(&self) -> bool {
        self.key.typed() == Some(*self.device.key())
    }

    /// The kind of the evidence.
    pub const fn kind(&self) -> Evidence {
        self.kind
    }

    /// SHA-256 of the evidence.
    pub const fn evidence(&self) -> Digest {
        self.evidence
    }

    /// Every check and what it saw.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl VerifiedChain {
    /// The chain as evidence about `device`, whose own key the leaf must certify. That somebody holds the secret is shown where it registers.
    ///
    /// # Errors
    /// [`ChainError::OtherKey`].
    pub fn attest(&self, device: DeviceId) -> Result<AttestedKey, ChainError> {
        let key = self.leaf().public_key();
        if key.typed() != Some(*device.key()) {
            return Err(ChainError::OtherKey { found: key.fingerprint() });
        }
        Ok(AttestedKey {
            device,
            network: None,
            key: key.clone(),
            kind: Evidence::X509,
            evidence: self.digest(),
            findings: vec![self.finding()],
        })
    }
}
