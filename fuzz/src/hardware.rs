//! Evidence of hardware, made without any: a chain of test authorities, a quote and a phone's description signed by keys that are known here.

use std::sync::LazyLock;

use depin_core::{DeviceId, KeyType, NetworkId, Timestamp, TypedKey, sha256};
use depin_identity::{
    SoftwareKey,
    attestation::{
        AttestationChallenge, AttestationChallenges,
        tpm::{ActivatedKey, AttestationKey, EndorsementKey, PcrValues},
        x509::{ChainPolicy, LeafUse, Pin, VerifiedChain, verify_chain},
    },
};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use x509_cert::{
    der::{Encode as _, asn1::BitString},
    ext::pkix::{ExtendedKeyUsage, KeyUsages},
    spki::SubjectPublicKeyInfoOwned,
};

#[allow(dead_code)] // the tests use more of it
#[path = "../../crates/depin-identity/tests/attestation/authority.rs"]
mod authority;

use authority::{
    Key, MIDDLE, NOW, ROOT, Secret, algorithm, extension, oid, p256_spki, raw_extension, sign, unsigned,
    usage,
};

/// Where Android describes a key.
const DESCRIPTION: &str = "1.3.6.1.4.1.11129.2.1.17";

/// The one set of evidence of a run.
pub static HARDWARE: LazyLock<Hardware> = LazyLock::new(Hardware::new);

/// A maker, what it certified, and a challenge that is open.
pub struct Hardware {
    pub leaf: Vec<u8>,
    pub above: [Vec<u8>; 2],
    pub root: Pin,
    pub challenge: AttestationChallenge,
    pub challenges: AttestationChallenges,
    pub endorsement: EndorsementKey,
    /// The TPM2B_PUBLIC of the key below.
    pub public: Vec<u8>,
    pub activated: ActivatedKey,
    pub attest: Vec<u8>,
    pub signature: Vec<u8>,
    pub pcrs: PcrValues,
}

impl Hardware {
    fn new() -> Self {
        let (root, middle, leaf) = (ed25519(1), ed25519(2), ed25519(3));
        let above = [
            sign(unsigned(MIDDLE, &middle.spki, true), ROOT, &root),
            sign(unsigned(ROOT, &root.spki, true), ROOT, &root),
        ];
        let mut tpm = unsigned("CN=EK", &p256_spki(&point(4)), false);
        let purpose = extension(false, &ExtendedKeyUsage(vec![oid("2.23.133.8.1")]));
        tpm.extensions = Some(vec![usage(KeyUsages::KeyAgreement), purpose]);
        let tpm = sign(tpm, MIDDLE, &middle);
        let chain = [tpm.as_slice(), &above[0], &above[1]];
        let policy = ChainPolicy { pins: &[root.pin()], at: NOW, leaf: LeafUse::Encrypt };
        let chain = verify_chain(&chain, &policy).expect("the chain of the EK holds");
        let endorsement = EndorsementKey::from_chain(&chain).expect("it is an EK");

        let public = ecdsa_public(&point(5));
        let key = AttestationKey::parse(&public).expect("it is an AK");
        let name = *key.name();
        let activated = ActivatedKey::activated_before(&endorsement, key, &name).expect("the key is itself");
        let challenge = AttestationChallenge {
            network: NetworkId::new(1, [2; 20].into()),
            device: DeviceId(TypedKey::ed25519(&[9; 32])),
            random: [5; 32],
        };
        let mut challenges = AttestationChallenges::default();
        challenges.open(&challenge, Timestamp(NOW.0 + 60_000), NOW).expect("one challenge can be opened");
        let pcrs: PcrValues = [(0, [1; 32]), (7, [2; 32])].into();
        let attest = attest(&challenge.nonce().0, &pcrs);
        let signer = SoftwareKey::from_secret(KeyType::P256, [5; 32]).expect("5 is a secret key");
        let signature = tpm_signature(&signer.signature(&attest).0);
        Self {
            leaf: sign(unsigned("CN=Leaf", &leaf.spki, false), MIDDLE, &middle),
            above,
            root: root.pin(),
            challenge,
            challenges,
            endorsement,
            public,
            activated,
            attest,
            signature,
            pcrs,
        }
    }

    /// The moment of everything.
    pub const fn now(&self) -> Timestamp {
        NOW
    }

    /// The verdict on `leaf` under the maker.
    pub fn issued(&self, leaf: &[u8]) -> Option<VerifiedChain> {
        let chain = [leaf, &self.above[0], &self.above[1]];
        verify_chain(&chain, &ChainPolicy { pins: &[self.root], at: NOW, leaf: LeafUse::Sign }).ok()
    }

    /// `leaf` pinned itself, so that no signature stands before the parser.
    pub fn pinned(&self, leaf: &[u8]) -> Option<VerifiedChain> {
        let pin = Pin::Certificate(sha256(&[leaf]));
        verify_chain(&[leaf], &ChainPolicy { pins: &[pin], at: NOW, leaf: LeafUse::Sign }).ok()
    }

    pub fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        let quote =
            [&[u8::try_from(self.signature.len()).unwrap_or(0)], &*self.signature, &self.attest].concat();
        let mut seeds = vec![
            ("x509", self.leaf.clone()),
            ("x509", self.above[0].clone()),
            ("x509", self.above[1].clone()),
            ("x509", phone(&description(self))),
            ("android", description(self)),
            ("tpm_quote", quote),
            ("tpm_public", self.public.clone()),
            ("revocation", br#"{"entries":{}}"#.to_vec()),
            ("revocation", br#"{"entries":{"00c35747a084470c":{"status":"REVOKED","expires":"2028-01-01","reason":"KEY_COMPROMISE"},"AB":{"status":"SUSPENDED"}}}"#.to_vec()),
        ];
        for (scheme, hash, last) in [(0x0014, 0x000b, 1), (0x0016, 0x000c, 1), (0x0016, 0x000d, 2)] {
            seeds.push(("tpm_public", rsa_public(scheme, hash, last)));
        }
        seeds
    }
}

/// The key of authorities: Ed25519, so that every process signs the same.
fn ed25519(seed: u8) -> Key {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("any seed is a key");
    let spki = SubjectPublicKeyInfoOwned {
        algorithm: algorithm("1.3.101.112", None),
        subject_public_key: BitString::from_bytes(pair.public_key().as_ref()).expect("whole bytes"),
    };
    Key { secret: Secret::Ed25519(pair), algorithm: algorithm("1.3.101.112", None), spki }
}

fn point(secret: u8) -> Vec<u8> {
    let key = p256::SecretKey::from_slice(&[secret; 32]).expect("small numbers are secret keys");
    key.public_key().to_encoded_point(false).as_bytes().to_vec()
}

/// A TPM2B.
fn buffer(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("a short buffer");
    [&len.to_be_bytes(), bytes].concat()
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// fixedTPM, fixedParent, sensitiveDataOrigin, restricted and sign.
const ATTRIBUTES: [u16; 2] = [0b101, 1 << 5 | 1 << 4 | 1 << 1];

fn ecdsa_public(point: &[u8]) -> Vec<u8> {
    let head = words(&[0x0023, 0x000b, ATTRIBUTES[0], ATTRIBUTES[1], 0]);
    let parameters = words(&[0x0010, 0x0018, 0x000b, 0x0003, 0x0010]);
    buffer(&[head, parameters, buffer(&point[1..33]), buffer(&point[33..])].concat())
}

/// A modulus that is a number of 2048 bits and perhaps nothing better.
fn rsa_public(scheme: u16, hash: u16, last: u8) -> Vec<u8> {
    let modulus: Vec<u8> = (0..8_u8).flat_map(|block| sha256(&[b"modulus", &[block]]).0).collect();
    let modulus = [&[0xff], &modulus[1..255], &[last]].concat();
    let head = words(&[0x0001, 0x000b, ATTRIBUTES[0], ATTRIBUTES[1], 0]);
    let parameters = words(&[0x0010, scheme, hash, 2048, 0, 0]);
    buffer(&[head, parameters, buffer(&modulus)].concat())
}

/// TPMS_ATTEST of a quote.
fn attest(nonce: &[u8], pcrs: &PcrValues) -> Vec<u8> {
    let values: Vec<u8> = pcrs.values().flatten().copied().collect();
    [
        0xff54_4347_u32.to_be_bytes().to_vec(),
        words(&[0x8018]),
        buffer(&[0x0b; 34]),
        buffer(nonce),
        77_u64.to_be_bytes().to_vec(),
        [0, 0, 0, 1, 0, 0, 0, 2, 1].to_vec(),
        0x0001_0002_0003_0004_u64.to_be_bytes().to_vec(),
        [0, 0, 0, 1, 0, 0x0b, 3, 0x81, 0, 0].to_vec(),
        buffer(&sha256(&[&values]).0),
    ]
    .concat()
}

/// TPMT_SIGNATURE with r and s.
fn tpm_signature(signature: &[u8; 64]) -> Vec<u8> {
    [words(&[0x0018, 0x000b]), buffer(&signature[..32]), buffer(&signature[32..])].concat()
}

/// A phone's certificate with this description. Nobody signed it: it is for those who pin it.
pub fn phone(description: &[u8]) -> Vec<u8> {
    static TEMPLATE: LazyLock<(x509_cert::TbsCertificate, Key)> = LazyLock::new(|| {
        let key = ed25519(6);
        let mut tbs = unsigned("CN=Phone", &key.spki, false);
        tbs.issuer = MIDDLE.parse().expect("a name");
        tbs.signature = key.algorithm.clone();
        (tbs, key)
    });
    let (mut tbs, signature_algorithm) = (TEMPLATE.0.clone(), TEMPLATE.1.algorithm.clone());
    let extensions = tbs.extensions.get_or_insert_default();
    extensions.push(raw_extension(oid(DESCRIPTION), false, description));
    let signature = BitString::from_bytes(&[0; 64]).expect("whole bytes");
    let certificate = x509_cert::Certificate { tbs_certificate: tbs, signature_algorithm, signature };
    certificate.to_der().expect("a certificate has a DER form")
}

fn element(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(value.len()).expect("a short value");
    let length: &[u8] = if len < 0x80 { &[len] } else { &[0x81, len] };
    [tag, length, value].concat()
}

/// `KeyDescription` of a key in the TEE of a phone as it should be.
fn description(hardware: &Hardware) -> Vec<u8> {
    let octets = |bytes: &[u8]| element(&[4], bytes);
    let explicit = |number: u16, value: &[u8]| {
        let [high, low] = ((number << 1 & 0x7f00) | (number & 0x7f)).to_be_bytes();
        element(&[0xbf, 0x80 | high, low], value)
    };
    let app = [
        element(&[0x31], &element(&[0x30], &[octets(b"app"), element(&[2], &[1])].concat())),
        element(&[0x31], &octets(&[7; 32])),
    ];
    let software = explicit(709, &octets(&element(&[0x30], &app.concat())));
    let boot = [octets(&[1; 32]), element(&[1], &[0xff]), element(&[10], &[0]), octets(&[2; 32])];
    let enforced = [
        element(&[0xa1], &element(&[0x31], &element(&[2], &[2]))),
        explicit(702, &element(&[2], &[0])),
        explicit(704, &element(&[0x30], &boot.concat())),
        explicit(706, &element(&[2], &[0x03, 0x17, 0x10])),
    ];
    let parts = [
        element(&[2], &[3]),
        element(&[10], &[1]),
        element(&[2], &[4]),
        element(&[10], &[1]),
        octets(&hardware.challenge.nonce().0),
        octets(&[]),
        element(&[0x30], &software),
        element(&[0x30], &enforced.concat()),
    ];
    // Longer than one byte of length says.
    let body = parts.concat();
    let len = u16::try_from(body.len()).expect("a short description").to_be_bytes();
    let head: &[u8] = if body.len() < 256 { &[0x30, 0x81, len[1]] } else { &[0x30, 0x82, len[0], len[1]] };
    [head, &body].concat()
}
