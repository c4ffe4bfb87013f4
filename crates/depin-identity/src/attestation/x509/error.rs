//! Why a certificate chain is refused.

use depin_core::{Digest, Timestamp};

/// Why a certificate chain is refused. `index` counts from the leaf, which is 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No certificate, or too many.
    #[error(
        "the chain has {found} certificates; expected 1 to {max}, the leaf first and the pinned root last"
    )]
    Count {
        /// Certificates found.
        found: usize,
        /// Certificates allowed.
        max: usize,
    },
    /// Too many bytes.
    #[error("certificate {index} has {found} bytes; at most {max} are read")]
    TooLarge {
        /// Which certificate.
        index: usize,
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// No PEM that holds certificates and nothing else.
    #[error("not PEM with CERTIFICATE blocks and nothing between them: {reason}")]
    Pem {
        /// What is wrong.
        reason: String,
    },
    /// No DER certificate.
    #[error("certificate {index} is malformed: {reason}; export it again as DER")]
    Malformed {
        /// Which certificate.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// An old version, which has no extensions.
    #[error("certificate {index} is not of version 3; nothing says what its key is for")]
    Version {
        /// Which certificate.
        index: usize,
    },
    /// A signature algorithm that is not allowed, or not with the issuer's key.
    #[error(
        "certificate {index} is signed with {oid}; expected Ed25519, ECDSA or RSA with SHA-256 or better, fit for its issuer's key"
    )]
    Algorithm {
        /// Which certificate.
        index: usize,
        /// The algorithm's object identifier.
        oid: String,
    },
    /// The two places that name the signature algorithm disagree.
    #[error("certificate {index} names two signature algorithms; have it issued again")]
    AlgorithmMismatch {
        /// Which certificate.
        index: usize,
    },
    /// A public key that is not allowed.
    #[error("the key of certificate {index} is of type {oid}; expected Ed25519, P-256, P-384 or RSA")]
    Key {
        /// Which certificate.
        index: usize,
        /// The type's object identifier.
        oid: String,
    },
    /// Not signed by the next certificate.
    #[error(
        "certificate {index} is not signed by the key of certificate {issuer}; give the chain in order, with every intermediate"
    )]
    Signature {
        /// Which certificate.
        index: usize,
        /// The certificate whose key was tried.
        issuer: usize,
    },
    /// The issuer's name is not the next subject's.
    #[error("the issuer of certificate {index} is {issuer:?}; the next certificate is {found:?}")]
    Names {
        /// Which certificate.
        index: usize,
        /// The name it gives.
        issuer: String,
        /// The name of the next one.
        found: String,
    },
    /// Too early.
    #[error("certificate {index} is valid from {}; it was judged at {}", Timestamp::from_seconds(*.from).rfc3339(), .at.rfc3339())]
    NotYetValid {
        /// Which certificate.
        index: usize,
        /// Its first second, since the Unix epoch.
        from: u64,
        /// The moment.
        at: Timestamp,
    },
    /// Too late.
    #[error("certificate {index} expired after {}; it was judged at {}", Timestamp::from_seconds(*.until).rfc3339(), .at.rfc3339())]
    Expired {
        /// Which certificate.
        index: usize,
        /// Its last second, since the Unix epoch.
        until: u64,
        /// The moment.
        at: Timestamp,
    },
    /// An issuer without the right to issue.
    #[error("certificate {index} signs another one but is no CA: what it signed counts for nothing")]
    NotCa {
        /// Which certificate.
        index: usize,
    },
    /// A leaf with the right to issue.
    #[error("the leaf is a CA; attest a key that cannot issue certificates")]
    LeafIsCa,
    /// Its key usage does not say what it is used for here.
    #[error("the key usage of certificate {index} does not have {needed}")]
    KeyUsage {
        /// Which certificate.
        index: usize,
        /// The usage.
        needed: &'static str,
    },
    /// More intermediates below a CA than it allows.
    #[error("certificate {index} allows {max} intermediates below it; there are {found}")]
    PathLength {
        /// Which certificate.
        index: usize,
        /// Intermediates allowed.
        max: u8,
        /// Intermediates found.
        found: usize,
    },
    /// An extension that must be understood and is not.
    #[error("certificate {index} has the critical extension {oid}, which is not understood here")]
    CriticalExtension {
        /// Which certificate.
        index: usize,
        /// The extension.
        oid: String,
    },
    /// The same extension twice.
    #[error("certificate {index} has the extension {oid} twice")]
    RepeatedExtension {
        /// Which certificate.
        index: usize,
        /// The extension.
        oid: String,
    },
    /// A certificate issued by itself that is no pinned root.
    #[error("certificate {index} is issued by itself; only a pinned root may be")]
    SelfIssued {
        /// Which certificate.
        index: usize,
    },
    /// Key identifiers that contradict each other.
    #[error("certificate {index} names another key of its issuer than the next certificate has")]
    KeyIdentifier {
        /// Which certificate.
        index: usize,
    },
    /// The chain ends elsewhere.
    #[error(
        "the chain ends in the certificate {certificate} with the key {public_key}, neither of which is pinned; pin the maker's root"
    )]
    NotPinned {
        /// SHA-256 of the last certificate.
        certificate: Digest,
        /// SHA-256 of its SubjectPublicKeyInfo.
        public_key: Digest,
    },
    /// The chain is of another key than the one asked for.
    #[error(
        "the leaf certifies the key {found}, which is not the device's; give the chain of the device's own key"
    )]
    OtherKey {
        /// The fingerprint of the leaf's key.
        found: Digest,
    },
}
