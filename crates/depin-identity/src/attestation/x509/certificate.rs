//! One certificate, read from its bytes.

use depin_core::{Digest, sha256};
use x509_cert::{
    Certificate as Decoded, Version,
    der::{Decode as _, Encode as _, asn1::ObjectIdentifier, oid::AssociatedOid, pem},
    ext::{Extension, pkix},
};

use super::ChainError;
use crate::attestation::{
    signature::{NotAllowed, Scheme, SubjectPublicKey},
    tlv::{Malformed, Reader, Tag},
};

/// One certificate of a verified chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub(super) index: usize,
    decoded: Decoded,
    /// The bytes that are signed, as received.
    signed: Vec<u8>,
    key: SubjectPublicKey,
    digest: Digest,
    spki_digest: Digest,
}

impl Certificate {
    /// Bytes of a certificate that are read at most.
    pub const MAX_LEN: usize = 16 * 1024;

    /// Reads DER. Nothing about it is believed yet.
    pub(super) fn parse(index: usize, der: &[u8]) -> Result<Self, ChainError> {
        if der.len() > Self::MAX_LEN {
            return Err(ChainError::TooLarge { index, found: der.len(), max: Self::MAX_LEN });
        }
        let malformed = |reason: String| ChainError::Malformed { index, reason };
        let signed = signed_part(der).map_err(|error| malformed(error.to_string()))?.to_vec();
        let decoded = Decoded::from_der(der).map_err(|error| malformed(error.to_string()))?;
        let tbs = &decoded.tbs_certificate;
        if tbs.version != Version::V3 {
            return Err(ChainError::Version { index });
        }
        if tbs.signature != decoded.signature_algorithm {
            return Err(ChainError::AlgorithmMismatch { index });
        }
        if tbs.issuer.is_empty() {
            return Err(malformed("its issuer has no name".into()));
        }
        let spki = &tbs.subject_public_key_info;
        let key = SubjectPublicKey::from_spki(spki)
            .ok_or_else(|| ChainError::Key { index, oid: spki.algorithm.oid.to_string() })?;
        let spki = spki.to_der().map_err(|error| malformed(error.to_string()))?;
        let (digest, spki_digest) = (sha256(&[der]), sha256(&[&spki]));
        let certificate = Self { index, decoded, signed, key, digest, spki_digest };
        certificate.no_repeated_extension()?;
        Ok(certificate)
    }

    /// SHA-256 of the DER.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// SHA-256 of its SubjectPublicKeyInfo, as pins name keys.
    pub const fn public_key_digest(&self) -> Digest {
        self.spki_digest
    }

    /// The key it certifies.
    pub const fn public_key(&self) -> &SubjectPublicKey {
        &self.key
    }

    /// Its serial number: lower-case hexadecimal without leading zeros.
    pub fn serial(&self) -> String {
        let digits = hex::encode(self.decoded.tbs_certificate.serial_number.as_bytes());
        digits.trim_start_matches('0').into()
    }

    /// Its subject (RFC 4514). Whoever issued it wrote this: hostile when shown.
    pub fn subject(&self) -> String {
        self.decoded.tbs_certificate.subject.to_string()
    }

    /// The value of an extension.
    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        let mut extensions = self.extensions().iter();
        extensions.find(|extension| extension.extn_id == oid).map(|extension| extension.extn_value.as_bytes())
    }

    /// An extension of a known form.
    pub(crate) fn known<'a, T: x509_cert::der::Decode<'a> + AssociatedOid>(
        &'a self,
    ) -> Result<Option<T>, ChainError> {
        self.extension(T::OID).map(T::from_der).transpose().map_err(|error| {
            let reason = format!("extension {}: {error}", T::OID);
            ChainError::Malformed { index: self.index, reason }
        })
    }

    pub(super) fn extensions(&self) -> &[Extension] {
        self.decoded.tbs_certificate.extensions.as_deref().unwrap_or_default()
    }

    /// First and last second of its life, since the Unix epoch.
    pub(super) fn validity(&self) -> (u64, u64) {
        let validity = &self.decoded.tbs_certificate.validity;
        (validity.not_before.to_unix_duration().as_secs(), validity.not_after.to_unix_duration().as_secs())
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.decoded.tbs_certificate.issuer == self.decoded.tbs_certificate.subject
    }

    /// Whether `issuer` issued this: names, key identifiers and the signature over the bytes as received.
    pub(super) fn check_issued_by(&self, issuer: &Self) -> Result<(), ChainError> {
        let (tbs, theirs) = (&self.decoded.tbs_certificate, &issuer.decoded.tbs_certificate);
        let index = self.index;
        if tbs.issuer != theirs.subject {
            let (issuer, found) = (tbs.issuer.to_string(), theirs.subject.to_string());
            return Err(ChainError::Names { index, issuer, found });
        }
        if let Some(named) = self.known::<pkix::AuthorityKeyIdentifier>()? {
            let theirs_id = issuer.known::<pkix::SubjectKeyIdentifier>()?;
            let other_key =
                named.key_identifier.zip(theirs_id).is_some_and(|(named, theirs)| named != theirs.0);
            let serial = named.authority_cert_serial_number;
            if other_key || serial.is_some_and(|serial| serial != theirs.serial_number) {
                return Err(ChainError::KeyIdentifier { index });
            }
        }
        let algorithm = &self.decoded.signature_algorithm;
        let refused = || ChainError::Algorithm { index, oid: algorithm.oid.to_string() };
        let scheme = Scheme::from_identifier(algorithm).ok_or_else(refused)?;
        let signature = self.decoded.signature.as_bytes().unwrap_or_default();
        match issuer.key.verify(scheme, &self.signed, signature) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ChainError::Signature { index, issuer: issuer.index }),
            Err(NotAllowed) => Err(refused()),
        }
    }

    fn no_repeated_extension(&self) -> Result<(), ChainError> {
        let mut oids: Vec<_> = self.extensions().iter().map(|extension| extension.extn_id).collect();
        oids.sort_unstable();
        let twice = oids.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(one.to_string()),
            _ => None,
        });
        twice.map_or(Ok(()), |oid| Err(ChainError::RepeatedExtension { index: self.index, oid }))
    }
}

/// The first element of a certificate, tag and length included: what its issuer signed.
fn signed_part(der: &[u8]) -> Result<&[u8], Malformed> {
    let mut inner = Reader(Reader(der).only(Tag::SEQUENCE)?);
    Ok(inner.expect(Tag::SEQUENCE)?.whole)
}

/// The DER of each certificate in a text of PEM blocks (RFC 7468), in order. Between blocks there may be white space and nothing else.
///
/// # Errors
/// [`ChainError::Pem`], [`ChainError::Count`] and [`ChainError::TooLarge`].
pub fn certificates_from_pem(text: &str) -> Result<Vec<Vec<u8>>, ChainError> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    // Base64 and its line ends take less than twice the bytes.
    let max = super::VerifiedChain::MAX_CERTIFICATES.saturating_mul(Certificate::MAX_LEN).saturating_mul(2);
    if text.len() > max {
        return Err(ChainError::TooLarge { index: 0, found: text.len(), max });
    }
    let wrong = |reason: String| ChainError::Pem { reason };
    let (mut rest, mut found) = (text.trim(), Vec::new());
    while !rest.is_empty() {
        if found.len() == super::VerifiedChain::MAX_CERTIFICATES {
            return Err(ChainError::Count { found: found.len().saturating_add(1), max: found.len() });
        }
        if !rest.starts_with(BEGIN) {
            return Err(wrong("something else than a certificate begins".into()));
        }
        let (block, after) = rest.split_once(END).ok_or_else(|| wrong("a block has no end".into()))?;
        let whole = format!("{block}{END}");
        let (_, der) = pem::decode_vec(whole.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        found.push(der);
        rest = after.trim_start();
    }
    Ok(found)
}
