//! Envelopes: the bytes of `depin-identity` and of coset, for every report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs, clippy::as_conversions)]

use std::{convert::Infallible, fmt};

use coset::{TaggedCborSerializable as _, iana};
use depin_device::{
    Algorithm, Commitment, CommitmentError, NetworkId, PublicKey, Report, ReportError, SignError, Signer,
    SoftwareKey, ToBeSigned,
};
use depin_identity::Opening;
use p256::ecdsa::signature::{Signer as _, Verifier as _, hazmat::PrehashSigner as _};
use proptest::prelude::*;

fn network() -> NetworkId {
    NetworkId([0x42; 32])
}

/// What the host makes of the same report.
fn by_the_host(report: &Report<'_>, seed: [u8; 32], network: NetworkId) -> Vec<u8> {
    let commitments = report.commitments.iter().map(|c| depin_identity::Commitment {
        label: c.label.parse().unwrap(),
        digest: depin_core::Digest(c.digest),
    });
    let host = depin_identity::Report {
        kind: report.kind.parse().unwrap(),
        time: depin_core::Timestamp(report.time),
        boot: report.boot,
        sequence: report.sequence,
        body: report.body.to_vec(),
        commitments: commitments.collect(),
    };
    let key = depin_identity::SoftwareKey::from_seed(seed);
    host.sign_with(&key, depin_core::NetworkId(depin_core::Digest(network.0))).unwrap()
}

/// Numbers of every encoded length, each about as often.
fn any_width() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(value, bits)| value >> bits)
}

fn name() -> impl Strategy<Value = String> {
    "[!-~]{1,64}"
}

/// Bodies around the lengths at which a head grows, and others.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![0..40_usize, 130..280_usize, 65_400..65_700_usize, 0..3000_usize];
    (len, any::<u8>()).prop_map(|(len, first)| (0..len).map(|at| (at as u8).wrapping_add(first)).collect())
}

proptest! {
    #[test]
    fn bytes_are_those_of_the_host(
        seed: [u8; 32],
        network: [u8; 32],
        kind in name(),
        (time, boot, sequence) in (any_width(), any_width(), any_width()),
        body in body(),
        labels in prop::collection::btree_map(name(), any::<[u8; 32]>(), 0..=32),
    ) {
        let commitments: Vec<_> =
            labels.iter().map(|(label, digest)| Commitment { label, digest: *digest }).collect();
        let report = Report {
            kind: &kind, time, boot: boot as u32, sequence, body: &body, commitments: &commitments,
        };
        let expected = by_the_host(&report, seed, NetworkId(network));
        let mut key = SoftwareKey::from_seed(&seed);
        // Exactly as much memory as the envelope has bytes, and not one less.
        let mut buffer = vec![0xa5; report.envelope_len(Algorithm::EdDsa)];
        prop_assert_eq!(buffer.len(), expected.len());
        prop_assert_eq!(report.sign(&mut key, &NetworkId(network), &mut buffer).unwrap(), &expected);
        let short = report.sign(&mut key, &NetworkId(network), &mut buffer[1..]);
        let (found, needed) = (expected.len() - 1, expected.len());
        prop_assert_eq!(short, Err(SignError::Report(ReportError::Buffer { found, needed })));
    }

    #[test]
    fn commitments_are_those_of_the_host(
        label in name(),
        salt in prop::collection::vec(any::<u8>(), 0..40),
        value: Vec<u8>,
        network: [u8; 32],
    ) {
        let opening = Opening { label: label.parse().unwrap(), salt: salt.clone(), value: value.clone() };
        let expected = opening.commit(depin_core::NetworkId(depin_core::Digest(network))).ok().map(|c| c.digest.0);
        let found = Commitment::new(&label, &salt, &value, &NetworkId(network)).ok().map(|c| c.digest);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn ecdsa_signatures_have_one_form_whichever_the_hardware_gives(seed in 1..=u128::MAX, body: Vec<u8>) {
        let mut secret = [0; 32];
        secret[16..].copy_from_slice(&seed.to_be_bytes());
        let signing = p256::ecdsa::SigningKey::from_slice(&secret).unwrap();
        let report = Report {
            kind: "k", time: 0, boot: 0, sequence: 0, body: &body, commitments: &[],
        };
        let [mut low, mut high] = [false, true].map(|high| Element { signing: signing.clone(), high });
        let (mut one, mut other) = (vec![0; 2000], vec![0; 2000]);
        let envelope = report.sign(&mut low, &network(), &mut one).unwrap();
        prop_assert_eq!(envelope, report.sign(&mut high, &network(), &mut other).unwrap());
        prop_assert_eq!(envelope.len(), report.envelope_len(Algorithm::Es256));
        let read = coset::CoseSign1::from_tagged_slice(envelope).unwrap();
        let signature = p256::ecdsa::Signature::from_slice(&read.signature).unwrap();
        prop_assert!(signature.normalize_s().is_none(), "s is in the lower half");
    }
}

/// A secure element with P-256 that signs digests, and does not care which half of the order s is in.
#[derive(Clone)]
struct Element {
    signing: p256::ecdsa::SigningKey,
    high: bool,
}

impl Element {
    fn point(&self) -> [u8; 33] {
        self.signing.verifying_key().to_encoded_point(true).as_bytes().try_into().unwrap()
    }
}

impl Signer for Element {
    type Error = Infallible;

    fn public_key(&self) -> PublicKey {
        PublicKey::p256(&self.point())
    }

    fn sign(&mut self, message: ToBeSigned<'_>) -> Result<[u8; 64], Infallible> {
        let signature: p256::ecdsa::Signature =
            self.signing.sign_prehash(&message.digest().unwrap()).unwrap();
        // The digest is that of the message.
        let whole: p256::ecdsa::Signature = self.signing.sign(message.message());
        assert_eq!(signature, whole);
        let low = signature.normalize_s().unwrap_or(signature);
        let (r, s) = low.split_scalars();
        let given = if self.high { p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap() } else { low };
        Ok(given.to_bytes().into())
    }
}

#[test]
fn a_p256_envelope_is_a_cose_sign1_with_es256() {
    let signing = p256::ecdsa::SigningKey::from_slice(&[9; 32]).unwrap();
    let mut element = Element { signing, high: true };
    let body = [7; 300];
    let report = Report { kind: "k", time: 5, boot: 6, sequence: u64::MAX, body: &body, commitments: &[] };
    let mut buffer = [0; 600];
    let envelope = report.sign(&mut element, &network(), &mut buffer).unwrap();
    let read = coset::CoseSign1::from_tagged_slice(envelope).unwrap();
    let typed = depin_core::TypedKey::new(depin_core::KeyType::P256, &element.point()).unwrap();
    let header = coset::HeaderBuilder::new().algorithm(iana::Algorithm::ES256).key_id(typed.id().0.to_vec());
    assert_eq!(read.protected.header, header.build());
    assert!(read.unprotected.is_empty());
    let aad = [b"depin/report/v1".as_slice(), &network().0].concat();
    read.verify_signature(&aad, |signature, message| {
        let signature = p256::ecdsa::Signature::from_slice(signature)?;
        element.signing.verifying_key().verify(message, &signature)
    })
    .unwrap();
    assert_eq!(read.to_tagged_vec().unwrap(), envelope, "shortest forms throughout");
}

#[test]
fn key_ids_are_those_of_the_host() {
    use depin_core::{KeyType, TypedKey};
    let [ed25519, p256, secp256k1] = [KeyType::Ed25519, KeyType::P256, KeyType::Secp256k1]
        .map(|kind| TypedKey::new(kind, &vec![3; kind.key_len()]).unwrap().id().0);
    assert_eq!(PublicKey::ed25519(&[3; 32]).id(), &ed25519);
    assert_eq!(PublicKey::p256(&[3; 33]).id(), &p256);
    assert_eq!(PublicKey::secp256k1(&[3; 33]).id(), &secp256k1);
}

#[test]
fn a_signature_in_two_steps_is_the_same() {
    let mut key = SoftwareKey::from_seed(&[1; 32]);
    let report = Report { kind: "k", time: 0, boot: 1, sequence: 2, body: b"b", commitments: &[] };
    let (mut one, mut two) = ([0; 300], [0; 300]);
    let at_once = report.sign(&mut key, &network(), &mut one).unwrap();
    let unsigned = report.prepare(&key.public_key(), &network(), &mut two).unwrap();
    assert_eq!(unsigned.to_be_signed().digest(), None, "Ed25519 signs messages, not digests");
    let signature = key.sign(unsigned.to_be_signed()).unwrap();
    assert_eq!(unsigned.assemble(signature), at_once);
}

#[test]
fn secp256k1_has_its_number_and_its_order() {
    let key = PublicKey::secp256k1(&[2; 33]);
    let report = Report { kind: "k", time: 0, boot: 0, sequence: 0, body: b"", commitments: &[] };
    let mut buffer = [0; 300];
    // s = order - 1, whose other form is 1.
    let mut signature = [0xff; 64];
    signature[32..].copy_from_slice(&[
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
        0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x40,
    ]);
    let envelope = report.prepare(&key, &network(), &mut buffer).unwrap().assemble(signature);
    assert_eq!(envelope.len(), report.envelope_len(Algorithm::Es256K));
    let read = coset::CoseSign1::from_tagged_slice(envelope).unwrap();
    let expected = Some(coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::ES256K));
    assert_eq!(read.protected.header.alg, expected);
    assert_eq!(read.signature[32..63], [0; 31]);
    assert_eq!(read.signature[63], 1);
    // Above the order there is no other form, and nothing is made up.
    let envelope = report.prepare(&key, &network(), &mut buffer).unwrap().assemble([0xff; 64]);
    assert!(envelope.ends_with(&[0xff; 64]));
}

#[test]
fn a_key_that_fails_is_passed_on() {
    struct Broken;
    impl Signer for Broken {
        type Error = &'static str;
        fn public_key(&self) -> PublicKey {
            PublicKey::p256(&[2; 33])
        }
        fn sign(&mut self, _: ToBeSigned<'_>) -> Result<[u8; 64], &'static str> {
            Err("no answer on the bus")
        }
    }
    let report = Report { kind: "k", time: 0, boot: 0, sequence: 0, body: b"", commitments: &[] };
    let mut buffer = [0; 300];
    let failed = report.sign(&mut Broken, &network(), &mut buffer);
    assert_eq!(failed, Err(SignError::Signer("no answer on the bus")));
}

#[test]
fn what_the_host_would_refuse_is_not_signed() {
    let mut key = SoftwareKey::from_seed(&[1; 32]);
    let good = Report { kind: "k", time: 0, boot: 0, sequence: 0, body: b"", commitments: &[] };
    let mut refused = |report: Report<'_>| match report
        .sign(&mut key, &network(), &mut vec![0; 1 << 21])
        .map(|_| ())
        .unwrap_err()
    {
        SignError::Report(error) => error,
        other => panic!("{other}"),
    };
    for (kind, found) in [("", 0), ("a b", 3), ("é", 2), (&*"x".repeat(65), 65)] {
        assert_eq!(refused(Report { kind, ..good }), ReportError::Name { found });
    }
    let body = vec![0; Report::MAX_BODY + 1];
    assert_eq!(refused(Report { body: &body, ..good }), ReportError::Body { found: body.len() });
    let of = |label| Commitment { label, digest: [0; 32] };
    let many: Vec<String> = (10..43).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(|label| of(label)).collect();
    assert_eq!(refused(Report { commitments: &many, ..good }), ReportError::Commitments { found: 33 });
    for (commitments, at) in [([of("b"), of("a")], 1), ([of("a"), of("a")], 1)] {
        assert_eq!(refused(Report { commitments: &commitments, ..good }), ReportError::Labels { at });
    }
    assert_eq!(refused(Report { commitments: &[of("")], ..good }), ReportError::Name { found: 0 });
    let salt = [0; 16];
    assert_eq!(
        Commitment::new("", &salt, b"", &network()),
        Err(CommitmentError::Label(ReportError::Name { found: 0 }))
    );
    assert_eq!(
        Commitment::new("a", &salt, &[0; 65_537], &network()),
        Err(CommitmentError::Value { found: 65_537 })
    );
}

#[test]
fn secrets_are_not_shown() {
    fn shown(value: impl fmt::Debug) -> String {
        format!("{value:?}")
    }
    let seed = [0xcd; 32];
    let key = SoftwareKey::from_seed(&seed);
    assert_eq!(shown(&key), format!("SoftwareKey({})", shown(key.public_key())));
    assert_eq!(key.to_public_bytes(), depin_identity::SoftwareKey::from_seed(seed).public().typed().key());
}
