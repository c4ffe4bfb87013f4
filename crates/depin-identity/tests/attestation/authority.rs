//! Test authorities: certificates of any shape, right and wrong, signed by keys of every allowed type.

use std::sync::OnceLock;

use depin_core::{Timestamp, sha256};
use depin_identity::attestation::x509::{ChainError, ChainPolicy, LeafUse, Pin, VerifiedChain, verify_chain};
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature as ring_signature,
};
use rsa::pkcs8::EncodePrivateKey as _;
use x509_cert::{
    Certificate, TbsCertificate, Version,
    der::{
        Any, Decode as _, Encode as _,
        asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString},
        oid::AssociatedOid,
    },
    ext::{Extension, pkix},
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time, Validity},
};

/// 2026-01-01, in milliseconds.
pub(crate) const NOW: Timestamp = Timestamp(1_767_225_600_000);
/// Seconds before and after that at which test certificates begin and end.
pub(crate) const LIFE: u64 = 86_400 * 30;

pub(crate) enum Secret {
    P256(ring_signature::EcdsaKeyPair),
    P384(ring_signature::EcdsaKeyPair),
    Ed25519(ring_signature::Ed25519KeyPair),
    Rsa(Box<ring_signature::RsaKeyPair>),
}

/// A key and the algorithm it signs certificates with.
pub(crate) struct Key {
    pub(crate) secret: Secret,
    pub(crate) algorithm: AlgorithmIdentifierOwned,
    pub(crate) spki: SubjectPublicKeyInfoOwned,
}

pub(crate) fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new(text).unwrap()
}

pub(crate) fn algorithm(id: &str, parameters: Option<Any>) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: oid(id), parameters }
}

fn ec(curve: &str, point: &[u8]) -> SubjectPublicKeyInfoOwned {
    let curve = Any::encode_from(&oid(curve)).unwrap();
    SubjectPublicKeyInfoOwned {
        algorithm: algorithm("1.2.840.10045.2.1", Some(curve)),
        subject_public_key: BitString::from_bytes(point).unwrap(),
    }
}

pub(crate) fn p256_spki(point: &[u8]) -> SubjectPublicKeyInfoOwned {
    ec("1.2.840.10045.3.1.7", point)
}

pub(crate) fn rsa_spki(pkcs1: &[u8]) -> SubjectPublicKeyInfoOwned {
    SubjectPublicKeyInfoOwned {
        algorithm: algorithm("1.2.840.113549.1.1.1", Some(Any::null())),
        subject_public_key: BitString::from_bytes(pkcs1).unwrap(),
    }
}

impl Key {
    pub(crate) fn p256() -> Self {
        use ring_signature::KeyPair as _;
        let random = SystemRandom::new();
        let kind = &ring_signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = ring_signature::EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = ring_signature::EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        let spki = p256_spki(pair.public_key().as_ref());
        Self { secret: Secret::P256(pair), algorithm: algorithm("1.2.840.10045.4.3.2", None), spki }
    }

    pub(crate) fn p384() -> Self {
        use ring_signature::KeyPair as _;
        let random = SystemRandom::new();
        let kind = &ring_signature::ECDSA_P384_SHA384_ASN1_SIGNING;
        let document = ring_signature::EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = ring_signature::EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap();
        let spki = ec("1.3.132.0.34", pair.public_key().as_ref());
        Self { secret: Secret::P384(pair), algorithm: algorithm("1.2.840.10045.4.3.3", None), spki }
    }

    pub(crate) fn ed25519() -> Self {
        use ring_signature::KeyPair as _;
        let document = ring_signature::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = ring_signature::Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let spki = SubjectPublicKeyInfoOwned {
            algorithm: algorithm("1.3.101.112", None),
            subject_public_key: BitString::from_bytes(pair.public_key().as_ref()).unwrap(),
        };
        Self { secret: Secret::Ed25519(pair), algorithm: algorithm("1.3.101.112", None), spki }
    }

    /// RSA-2048 that signs with PKCS#1 v1.5; generated once, for it takes a while.
    pub(crate) fn rsa() -> Self {
        use ring_signature::KeyPair as _;
        static DOCUMENT: OnceLock<Vec<u8>> = OnceLock::new();
        let document = DOCUMENT.get_or_init(|| rsa_document(2048));
        let pair = ring_signature::RsaKeyPair::from_pkcs8(document).unwrap();
        let spki = rsa_spki(pair.public_key().as_ref());
        let algorithm = algorithm("1.2.840.113549.1.1.11", Some(Any::null()));
        Self { secret: Secret::Rsa(Box::new(pair)), algorithm, spki }
    }

    /// The same key, signing with PSS.
    pub(crate) fn rsa_pss() -> Self {
        let parameters = hex::decode(concat!(
            "3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648016503040201",
            "0500a203020120"
        ));
        let parameters = Any::from_der(&parameters.unwrap()).unwrap();
        Self { algorithm: algorithm("1.2.840.113549.1.1.10", Some(parameters)), ..Self::rsa() }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.secret {
            Secret::P256(pair) | Secret::P384(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Secret::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Secret::Rsa(pair) => {
                let pss = self.algorithm.oid == oid("1.2.840.113549.1.1.10");
                let padding: &dyn ring_signature::RsaEncoding =
                    if pss { &ring_signature::RSA_PSS_SHA256 } else { &ring_signature::RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    pub(crate) fn pin(&self) -> Pin {
        Pin::PublicKey(sha256(&[&self.spki.to_der().unwrap()]))
    }

    /// The SEC1 point or whatever else the key's bytes are.
    pub(crate) fn public_bytes(&self) -> &[u8] {
        self.spki.subject_public_key.as_bytes().unwrap()
    }
}

pub(crate) fn rsa_document(bits: usize) -> Vec<u8> {
    let key = rsa::RsaPrivateKey::new(&mut Entropy, bits).unwrap();
    key.to_pkcs8_der().unwrap().as_bytes().to_vec()
}

struct Entropy;

impl rsa::rand_core::RngCore for Entropy {
    fn next_u32(&mut self) -> u32 {
        rsa::rand_core::impls::next_u32_via_fill(self)
    }
    fn next_u64(&mut self) -> u64 {
        rsa::rand_core::impls::next_u64_via_fill(self)
    }
    fn fill_bytes(&mut self, to: &mut [u8]) {
        SystemRandom::new().fill(to).unwrap();
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(to);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Entropy {}

pub(crate) fn seconds(seconds: u64) -> Time {
    let time = GeneralizedTime::from_unix_duration(std::time::Duration::from_secs(seconds)).unwrap();
    Time::GeneralTime(time)
}

pub(crate) fn extension<T: AssociatedOid + x509_cert::der::Encode>(critical: bool, value: &T) -> Extension {
    raw_extension(T::OID, critical, &value.to_der().unwrap())
}

pub(crate) fn raw_extension(extn_id: ObjectIdentifier, critical: bool, value: &[u8]) -> Extension {
    Extension { extn_id, critical, extn_value: OctetString::new(value).unwrap() }
}

pub(crate) fn constraints(ca: bool, path_len_constraint: Option<u8>) -> Extension {
    extension(true, &pkix::BasicConstraints { ca, path_len_constraint })
}

pub(crate) fn usage(usage: impl Into<x509_cert::der::flagset::FlagSet<pkix::KeyUsages>>) -> Extension {
    extension(true, &pkix::KeyUsage(usage.into()))
}

/// An unsigned certificate of version 3 with what a CA or a leaf needs.
pub(crate) fn unsigned(subject: &str, spki: &SubjectPublicKeyInfoOwned, ca: bool) -> TbsCertificate {
    let now = NOW.0 / 1000;
    let extensions = if ca {
        vec![constraints(true, None), usage(pkix::KeyUsages::KeyCertSign)]
    } else {
        vec![usage(pkix::KeyUsages::DigitalSignature)]
    };
    TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&sha256(&[subject.as_bytes()]).0[..8]).unwrap(),
        signature: algorithm("1.2.3", None),
        issuer: Name::default(),
        validity: Validity { not_before: seconds(now - LIFE), not_after: seconds(now + LIFE) },
        subject: subject.parse().unwrap(),
        subject_public_key_info: spki.clone(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    }
}

/// Signs `tbs` in the name of `issuer`.
pub(crate) fn sign(mut tbs: TbsCertificate, issuer: &str, key: &Key) -> Vec<u8> {
    tbs.issuer = issuer.parse().unwrap();
    tbs.signature = key.algorithm.clone();
    seal(tbs, key)
}

/// Signs `tbs` as it is.
pub(crate) fn seal(tbs: TbsCertificate, key: &Key) -> Vec<u8> {
    let signature = key.sign(&tbs.to_der().unwrap());
    let signature_algorithm = key.algorithm.clone();
    let signature = BitString::from_bytes(&signature).unwrap();
    Certificate { tbs_certificate: tbs, signature_algorithm, signature }.to_der().unwrap()
}

/// Root, one intermediate, leaf: what most tests bend.
pub(crate) struct Authority {
    pub(crate) root: Key,
    pub(crate) root_certificate: Vec<u8>,
    pub(crate) middle: Key,
    pub(crate) middle_certificate: Vec<u8>,
}

pub(crate) const ROOT: &str = "CN=Test Root";
pub(crate) const MIDDLE: &str = "CN=Test Maker";

impl Authority {
    pub(crate) fn new() -> Self {
        Self::with(Key::p384(), Key::p256())
    }

    pub(crate) fn with(root: Key, middle: Key) -> Self {
        let root_certificate = sign(unsigned(ROOT, &root.spki, true), ROOT, &root);
        let middle_certificate = sign(unsigned(MIDDLE, &middle.spki, true), ROOT, &root);
        Self { root, root_certificate, middle, middle_certificate }
    }

    /// The chain of a leaf.
    pub(crate) fn chain(&self, leaf: TbsCertificate) -> Vec<Vec<u8>> {
        vec![sign(leaf, MIDDLE, &self.middle), self.middle_certificate.clone(), self.root_certificate.clone()]
    }

    pub(crate) fn pins(&self) -> [Pin; 1] {
        [self.root.pin()]
    }
}

pub(crate) fn slices(chain: &[Vec<u8>]) -> Vec<&[u8]> {
    chain.iter().map(Vec::as_slice).collect()
}

pub(crate) fn verify(chain: &[Vec<u8>], pins: &[Pin]) -> Result<VerifiedChain, ChainError> {
    verify_chain(&slices(chain), &ChainPolicy { pins, at: NOW, leaf: LeafUse::Sign })
}
