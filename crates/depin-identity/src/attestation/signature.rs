//! The public keys and signature algorithms that evidence may use: an allow-list, nothing else.

use depin_core::{Digest, KeyType, TypedKey, sha256};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_cert::{
    der::{
        Encode as _,
        asn1::ObjectIdentifier,
        oid::db::{rfc5912, rfc8410},
    },
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
};

/// A public key found in evidence, in a form that is allowed: Ed25519, P-256, P-384, or RSA of 2048 to 8192 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectPublicKey {
    /// Ed25519 (RFC 8032).
    Ed25519([u8; 32]),
    /// P-256, uncompressed SEC1 point.
    P256([u8; 65]),
    /// P-384, uncompressed SEC1 point.
    P384([u8; 97]),
    /// RSA: the DER of `RSAPublicKey` (RFC 8017, A.1.1).
    Rsa(Vec<u8>),
}

/// A hash function of a signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Ecdsa(Hash),
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ed25519,
}

/// The algorithm is not allowed, or not with this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAllowed;

impl SubjectPublicKey {
    /// The key as a device's key, if it is of a type that devices have. Whether its point is on the curve is decided where it registers.
    pub fn typed(&self) -> Option<TypedKey> {
        match self {
            Self::Ed25519(key) => Some(TypedKey::ed25519(key)),
            Self::P256([_, point @ ..]) => {
                let (x, y) = point.split_at_checked(32)?;
                let mut compressed = vec![2 | (y.last()? & 1)];
                compressed.extend_from_slice(x);
                TypedKey::new(KeyType::P256, &compressed).ok()
            }
            Self::P384(_) | Self::Rsa(_) => None,
        }
    }

    /// SHA-256 over type and key: a name for logs and for findings.
    pub fn fingerprint(&self) -> Digest {
        match self {
            Self::Ed25519(key) => sha256(&[b"ed25519", key]),
            Self::P256(key) => sha256(&[b"p256", key]),
            Self::P384(key) => sha256(&[b"p384", key]),
            Self::Rsa(key) => sha256(&[b"rsa", key]),
        }
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5480, RFC 8410, RFC 4055).
    pub(crate) fn from_spki(spki: &SubjectPublicKeyInfoOwned) -> Option<Self> {
        let key = spki.subject_public_key.as_bytes()?;
        let AlgorithmIdentifierOwned { oid, parameters } = &spki.algorithm;
        match *oid {
            rfc8410::ID_ED_25519 if parameters.is_none() => key.try_into().ok().map(Self::Ed25519),
            rfc5912::RSA_ENCRYPTION if is_null(&spki.algorithm) => Some(Self::Rsa(key.to_vec())),
            rfc5912::ID_EC_PUBLIC_KEY => {
                let curve: ObjectIdentifier = parameters.as_ref()?.decode_as().ok()?;
                let uncompressed = key.first() == Some(&4);
                match curve {
                    rfc5912::SECP_256_R_1 if uncompressed => key.try_into().ok().map(Self::P256),
                    rfc5912::SECP_384_R_1 if uncompressed => key.try_into().ok().map(Self::P384),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Checks a signature in the encoding that X.509 uses: DER for ECDSA. RSA below 2048 bits is refused, PSS salts are as long as the hash.
    pub(crate) fn verify(
        &self,
        scheme: Scheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, NotAllowed> {
        use Hash::{Sha256, Sha384, Sha512};
        let (algorithm, key): (&dyn VerificationAlgorithm, &[u8]) = match (self, scheme) {
            (Self::Ed25519(key), Scheme::Ed25519) => return Ok(verify_ed25519(key, message, signature)),
            (Self::P256(key), Scheme::Ecdsa(Sha256)) => (&signature::ECDSA_P256_SHA256_ASN1, key),
            (Self::P256(key), Scheme::Ecdsa(Sha384)) => (&signature::ECDSA_P256_SHA384_ASN1, key),
            (Self::P384(key), Scheme::Ecdsa(Sha256)) => (&signature::ECDSA_P384_SHA256_ASN1, key),
            (Self::P384(key), Scheme::Ecdsa(Sha384)) => (&signature::ECDSA_P384_SHA384_ASN1, key),
            (Self::Rsa(key), Scheme::RsaPkcs1(Sha256)) => (&signature::RSA_PKCS1_2048_8192_SHA256, key),
            (Self::Rsa(key), Scheme::RsaPkcs1(Sha384)) => (&signature::RSA_PKCS1_2048_8192_SHA384, key),
            (Self::Rsa(key), Scheme::RsaPkcs1(Sha512)) => (&signature::RSA_PKCS1_2048_8192_SHA512, key),
            (Self::Rsa(key), Scheme::RsaPss(Sha256)) => (&signature::RSA_PSS_2048_8192_SHA256, key),
            (Self::Rsa(key), Scheme::RsaPss(Sha384)) => (&signature::RSA_PSS_2048_8192_SHA384, key),
            (Self::Rsa(key), Scheme::RsaPss(Sha512)) => (&signature::RSA_PSS_2048_8192_SHA512, key),
            _ => return Err(NotAllowed),
        };
        Ok(UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok())
    }
}

impl Scheme {
    /// Reads the AlgorithmIdentifier of a signature; parameters must be exactly what its standard says.
    pub(crate) fn from_identifier(identifier: &AlgorithmIdentifierOwned) -> Option<Self> {
        let absent = identifier.parameters.is_none();
        let null = is_null(identifier);
        match identifier.oid {
            rfc8410::ID_ED_25519 if absent => Some(Self::Ed25519),
            rfc5912::ECDSA_WITH_SHA_256 if absent => Some(Self::Ecdsa(Hash::Sha256)),
            rfc5912::ECDSA_WITH_SHA_384 if absent => Some(Self::Ecdsa(Hash::Sha384)),
            rfc5912::SHA_256_WITH_RSA_ENCRYPTION if null => Some(Self::RsaPkcs1(Hash::Sha256)),
            rfc5912::SHA_384_WITH_RSA_ENCRYPTION if null => Some(Self::RsaPkcs1(Hash::Sha384)),
            rfc5912::SHA_512_WITH_RSA_ENCRYPTION if null => Some(Self::RsaPkcs1(Hash::Sha512)),
            rfc5912::ID_RSASSA_PSS => {
                let parameters = identifier.parameters.as_ref()?.to_der().ok()?;
                let hash = [Hash::Sha256, Hash::Sha384, Hash::Sha512]
                    .into_iter()
                    .find(|hash| parameters == hash.pss_parameters());
                hash.map(Self::RsaPss)
            }
            _ => None,
        }
    }
}

impl Hash {
    /// `RSASSA-PSS-params` with this hash, MGF1 over it and a salt of its length (RFC 4055, 3.1): the one form that is accepted.
    fn pss_parameters(self) -> Vec<u8> {
        let (hash, salt) = match self {
            Self::Sha256 => (1, 32),
            Self::Sha384 => (2, 48),
            Self::Sha512 => (3, 64),
        };
        let mut sha = vec![0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash];
        sha.extend_from_slice(&[0x05, 0x00]);
        let mut bytes = vec![0x30, 0x34, 0xa0, 0x0f];
        bytes.extend_from_slice(&sha);
        bytes.extend_from_slice(&[0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09]);
        bytes.extend_from_slice(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08]);
        bytes.extend_from_slice(&sha);
        bytes.extend_from_slice(&[0xa2, 0x03, 0x02, 0x01, salt]);
        bytes
    }
}

fn is_null(identifier: &AlgorithmIdentifierOwned) -> bool {
    identifier.parameters.as_ref().is_some_and(|any| any.is_null())
}

fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key);
    let signature = ed25519_dalek::Signature::from_slice(signature);
    key.is_ok_and(|key| signature.is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()))
}
