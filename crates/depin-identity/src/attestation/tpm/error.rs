//! Why something of a TPM is refused.

use depin_core::Digest;

use super::wire::Malformed;
use crate::attestation::AttestationChallengeError;

/// Why a key of a TPM is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TpmKeyError {
    /// No TPM2B_PUBLIC.
    #[error("not a TPM2B_PUBLIC: {reason}")]
    Malformed {
        /// What is wrong.
        reason: &'static str,
    },
    /// An algorithm that is not allowed.
    #[error("the TPM's {what} is {found:#06x}; expected {expected}")]
    Algorithm {
        /// What the algorithm is for.
        what: &'static str,
        /// Its TPM_ALG_ID or TPM_ECC_CURVE.
        found: u16,
        /// What is allowed.
        expected: &'static str,
    },
    /// An attestation key whose attributes leave room for forgery.
    #[error("the attestation key has the attributes {found:#010x}; expected {expected} and not decrypt")]
    Attributes {
        /// TPMA_OBJECT found.
        found: u32,
        /// The attributes that must be set.
        expected: &'static str,
    },
    /// An RSA key that is too small or has an odd exponent.
    #[error(
        "the TPM's RSA key has {bits} bits and exponent {exponent}; expected 2048 to 4096 bits and 65537"
    )]
    Rsa {
        /// Bits of the modulus.
        bits: usize,
        /// The exponent.
        exponent: u32,
    },
    /// A certificate that is not for an endorsement key.
    #[error(
        "the certificate is not for an endorsement key: its extended key usage does not have 2.23.133.8.1"
    )]
    NotEndorsement,
    /// A key that cannot be used to tie an attestation key to it.
    #[error(
        "the endorsement key is neither RSA of 2048 bits nor on P-256, the two that TCG's default templates make"
    )]
    Endorsement,
}

/// Why an attestation key is not tied to an endorsement key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// The credential could not be made.
    #[error("no credential can be made for this endorsement key: {reason}")]
    Encrypt {
        /// What failed.
        reason: String,
    },
    /// The device did not find the secret.
    #[error(
        "the secret is not the one sent: the attestation key is not in the TPM of this endorsement key; let the device activate this credential again"
    )]
    WrongSecret,
    /// Another key was activated before.
    #[error("another attestation key was activated before; activate this one")]
    OtherKey,
}

/// Why a quote is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// The challenge is not open.
    #[error(transparent)]
    Challenge(#[from] AttestationChallengeError),
    /// No TPMS_ATTEST or no TPMT_SIGNATURE.
    #[error("the {what} is malformed: {reason}")]
    Malformed {
        /// TPMS_ATTEST or TPMT_SIGNATURE.
        what: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// Not made by a TPM: a restricted key signs nothing from outside that starts like this.
    #[error("TPMS_ATTEST starts with {found:#010x}; expected TPM_GENERATED, 0xff544347")]
    Magic {
        /// What it starts with.
        found: u32,
    },
    /// Another kind of attestation.
    #[error("the attestation is of type {found:#06x}; expected TPM_ST_ATTEST_QUOTE, 0x8018")]
    Type {
        /// TPM_ST found.
        found: u16,
    },
    /// Another algorithm than the key's own.
    #[error(
        "the quote is signed with scheme {found:#06x} and hash {hash:#06x}; the attestation key has {expected:#06x} and {expected_hash:#06x}"
    )]
    Scheme {
        /// Scheme found.
        found: u16,
        /// Hash found.
        hash: u16,
        /// The key's scheme.
        expected: u16,
        /// The key's hash.
        expected_hash: u16,
    },
    /// Not signed by the activated key, or something else was signed.
    #[error("the quote is not signed by the activated attestation key; quote with that one")]
    Signature,
    /// The answer to something else.
    #[error("the quote answers another challenge; expected the nonce {expected} in extraData")]
    Nonce {
        /// The nonce of the challenge.
        expected: Digest,
    },
    /// Other PCRs than those that are expected.
    #[error("the quote is over PCRs {found:#010x} of SHA-256; expected {expected:#010x}, bit n for PCR n")]
    Selection {
        /// PCRs quoted.
        found: u32,
        /// PCRs expected.
        expected: u32,
    },
    /// The platform is in another state.
    #[error("the quoted PCRs do not have the expected values: the platform booted something else")]
    Pcrs,
}

impl From<Malformed> for TpmKeyError {
    fn from(Malformed(reason): Malformed) -> Self {
        Self::Malformed { reason }
    }
}
