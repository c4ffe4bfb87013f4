//! From a leaf to a pinned root.

use depin_core::{Digest, Finding, Timestamp, sha256};
use x509_cert::{
    der::asn1::ObjectIdentifier,
    der::oid::db::rfc5280,
    ext::pkix::{BasicConstraints, KeyUsage},
};

use super::{Certificate, ChainError};

/// A root that is trusted. Which ones is the policy of a network: the chain's own word for it counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pin {
    /// SHA-256 of the DER of a certificate, which may be a root, an intermediate, or a leaf alone. Its dates are checked as well.
    Certificate(Digest),
    /// SHA-256 of the SubjectPublicKeyInfo of a root. The certificate around it must be signed with this very key; its dates are not looked
    /// at, since the pin names a key and keys do not expire (RFC 5280, 6.1.1 d).
    PublicKey(Digest),
}

/// What the key of a leaf must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafUse {
    /// Sign: `digitalSignature`.
    Sign,
    /// Take secrets: `keyEncipherment` or `keyAgreement`.
    Encrypt,
}

/// What is demanded of a chain.
#[derive(Clone, Copy, Debug)]
pub struct ChainPolicy<'a> {
    /// The roots that are trusted.
    pub pins: &'a [Pin],
    /// The moment it is judged at.
    pub at: Timestamp,
    /// What the leaf's key is for.
    pub leaf: LeafUse,
}

/// A chain that leads to a pinned root. Only [`verify_chain`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedChain {
    certificates: Vec<Certificate>,
    leaf: Certificate,
    digest: Digest,
    pin: Pin,
    at: Timestamp,
    leaf_use: LeafUse,
}

impl VerifiedChain {
    /// Certificates of a chain that are read at most, the root included.
    pub const MAX_CERTIFICATES: usize = 8;

    /// The leaf.
    pub const fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// All of them, the leaf first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// SHA-256 over the digests of the certificates, the leaf's first: a name for this evidence.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The root it leads to.
    pub const fn pin(&self) -> Pin {
        self.pin
    }

    /// The moment it was judged at.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// What the leaf's key was found to be for.
    pub const fn leaf_use(&self) -> LeafUse {
        self.leaf_use
    }

    /// What was seen, for a policy and for people.
    pub(crate) fn finding(&self) -> Finding {
        let root = self.certificates.last().map(Certificate::subject).unwrap_or_default();
        let observed = format!("{} certificates up to {root:?}", self.certificates.len());
        Finding::pass("attestation.chain", observed, format!("leads to {:?}", self.pin))
    }
}

/// Verifies a chain: the leaf first, each certificate signed by the next, the last one pinned.
///
/// Beyond RFC 5280, a certificate that issued another must have basicConstraints and `keyCertSign`, names must agree byte by byte, only the last
/// certificate may be issued by itself, and a leaf must not be a CA.
///
/// # Errors
/// [`ChainError`], one for each cause.
pub fn verify_chain(chain: &[&[u8]], policy: &ChainPolicy<'_>) -> Result<VerifiedChain, ChainError> {
    let max = VerifiedChain::MAX_CERTIFICATES;
    if chain.is_empty() || chain.len() > max {
        return Err(ChainError::Count { found: chain.len(), max });
    }
    let certificates: Vec<Certificate> = chain
        .iter()
        .enumerate()
        .map(|(index, der)| Certificate::parse(index, der))
        .collect::<Result<_, _>>()?;
    let ([leaf, ..], [issued @ .., root]) = (certificates.as_slice(), certificates.as_slice()) else {
        return Err(ChainError::Count { found: chain.len(), max });
    };
    // Cheap and decisive: nobody has signatures checked without a root that is known here.
    let pin = pinned(root, policy.pins)?;
    if let Some(certificate) = issued.iter().find(|certificate| certificate.is_self_issued()) {
        return Err(ChainError::SelfIssued { index: certificate.index });
    }
    for certificate in &certificates {
        let carrier = certificate.index == root.index && matches!(pin, Pin::PublicKey(_));
        if !carrier {
            check_dates(certificate, policy.at)?;
        }
        check_critical(certificate)?;
        if certificate.index > 0 {
            check_issuer(certificate)?;
        }
    }
    check_leaf(leaf, policy.leaf)?;
    for (certificate, issuer) in certificates.iter().zip(certificates.iter().skip(1)) {
        certificate.check_issued_by(issuer)?;
    }
    if matches!(pin, Pin::PublicKey(_)) {
        root.check_issued_by(root)?;
    }
    let digests: Vec<_> = certificates.iter().map(Certificate::digest).collect();
    let digest = sha256(&digests.iter().map(|digest| digest.as_bytes().as_slice()).collect::<Vec<_>>());
    let leaf = leaf.clone();
    Ok(VerifiedChain { certificates, leaf, digest, pin, at: policy.at, leaf_use: policy.leaf })
}

fn pinned(root: &Certificate, pins: &[Pin]) -> Result<Pin, ChainError> {
    let is_it = |pin: &&Pin| match pin {
        Pin::Certificate(digest) => *digest == root.digest(),
        Pin::PublicKey(digest) => *digest == root.public_key_digest(),
    };
    pins.iter().find(is_it).copied().ok_or_else(|| ChainError::NotPinned {
        certificate: root.digest(),
        public_key: root.public_key_digest(),
    })
}

fn check_dates(certificate: &Certificate, at: Timestamp) -> Result<(), ChainError> {
    let (index, (from, until), now) = (certificate.index, certificate.validity(), at.0.div_euclid(1000));
    if now < from {
        Err(ChainError::NotYetValid { index, from, at })
    } else if now > until {
        Err(ChainError::Expired { index, until, at })
    } else {
        Ok(())
    }
}

/// Refuses critical extensions that are not acted upon. Names are not used for anything, so a critical alternative name is understood.
fn check_critical(certificate: &Certificate) -> Result<(), ChainError> {
    const UNDERSTOOD: [ObjectIdentifier; 4] = [
        rfc5280::ID_CE_BASIC_CONSTRAINTS,
        rfc5280::ID_CE_KEY_USAGE,
        rfc5280::ID_CE_EXT_KEY_USAGE,
        rfc5280::ID_CE_SUBJECT_ALT_NAME,
    ];
    let unknown = |id: &ObjectIdentifier| !UNDERSTOOD.contains(id);
    let mut extensions = certificate.extensions().iter();
    match extensions.find(|extension| extension.critical && unknown(&extension.extn_id)) {
        Some(extension) => {
            let (index, oid) = (certificate.index, extension.extn_id.to_string());
            Err(ChainError::CriticalExtension { index, oid })
        }
        None => Ok(()),
    }
}

/// Whether a certificate above the leaf may issue what is below it.
fn check_issuer(certificate: &Certificate) -> Result<(), ChainError> {
    let index = certificate.index;
    let constraints = certificate.known::<BasicConstraints>()?.filter(|constraints| constraints.ca);
    let constraints = constraints.ok_or(ChainError::NotCa { index })?;
    let usage = certificate.known::<KeyUsage>()?;
    if !usage.is_some_and(|usage| usage.key_cert_sign()) {
        return Err(ChainError::KeyUsage { index, needed: "keyCertSign" });
    }
    // Between it and the leaf, which does not count.
    let found = index.saturating_sub(1);
    match constraints.path_len_constraint {
        Some(max) if found > usize::from(max) => Err(ChainError::PathLength { index, max, found }),
        _ => Ok(()),
    }
}

fn check_leaf(leaf: &Certificate, purpose: LeafUse) -> Result<(), ChainError> {
    if leaf.known::<BasicConstraints>()?.is_some_and(|constraints| constraints.ca) {
        return Err(ChainError::LeafIsCa);
    }
    let usage = leaf.known::<KeyUsage>()?;
    let (allowed, needed) = match purpose {
        LeafUse::Sign => (usage.is_some_and(|usage| usage.digital_signature()), "digitalSignature"),
        LeafUse::Encrypt => (
            usage.is_some_and(|usage| usage.key_encipherment() || usage.key_agreement()),
            "keyEncipherment or keyAgreement",
        ),
    };
    if allowed { Ok(()) } else { Err(ChainError::KeyUsage { index: 0, needed }) }
}
