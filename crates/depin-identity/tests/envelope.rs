//! Reports from outside: what is accepted, and that nothing else is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs, clippy::as_conversions)]

mod common;

use common::{domain, each_bit_flipped, key, network, report};
use coset::{CborSerializable as _, TaggedCborSerializable as _, iana};
use depin_core::{Digest, KeyType, Text, Timestamp, TypedKey, cbor, sha256};
use depin_identity::{
    Commitment, DeviceSigner, Domain, Envelope, EnvelopeError, Report, ReportError, ReportRef, SigPolicy,
    Sign1Error, SignError, Signature, SignatureBatch, SoftwareKey,
};
use proptest::prelude::*;

/// `report()` signed by the seed of 32 sevens, made with Python's `cryptography` and a CBOR writer of its own.
const KNOWN: &str = "d28455a201270450189a63b693b023f967d274a626398b8da05851a6016b73746f726167652e736574021b0000018bcfe568\
    0003030419012c0543010203068182686c6f636174696f6e5820aaeec7da7df388d1e80b01b70f48b3cbca2f2b8baf5f3f583f1262d2f2c9ac40\
    584085771c3047cbaf926fce77b575bfd610f4f4ab3b4f9a22b5e1764bd1c59d7b2e1afa5e5aa497bb666a49c258a114343f0f23a12f786baad1\
    e3221be796a8830b";

fn verify(bytes: &[u8]) -> Result<Report, EnvelopeError> {
    let envelope = Envelope::parse(bytes)?;
    let owned = envelope.verify(key().public(), network(), SigPolicy::Strict);
    let in_place = envelope.verify_in_place(key().public(), network(), SigPolicy::Strict);
    assert_eq!(owned.as_ref().ok().map(|report| report.report().clone()), in_place.ok().map(copied));
    Ok(owned?.into_report())
}

/// A report read in place, taken out of it.
fn copied(report: ReportRef<'_>) -> Report {
    let ReportRef { kind, time, boot, sequence, body, commitments } = report;
    let of = |(label, digest): (&str, Digest)| Commitment { label: Text::new(label).unwrap(), digest };
    let all: Vec<Commitment> = commitments.iter().map(of).collect();
    assert_eq!(u64::try_from(all.len()).unwrap(), commitments.count());
    Report { kind: Text::new(kind).unwrap(), time, boot, sequence, body: body.to_vec(), commitments: all }
}

/// An envelope of our profile over any payload, by coset.
fn foreign(payload: &[u8], kind: &str) -> Vec<u8> {
    let header = coset::HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(key().public().id().0.to_vec())
        .build();
    let aad = [kind.as_bytes(), network().as_bytes()].concat();
    coset::CoseSign1Builder::new()
        .protected(header)
        .payload(payload.to_vec())
        .create_signature(&aad, |message| key().signature(message).0.to_vec())
        .build()
        .to_tagged_vec()
        .unwrap()
}

#[test]
fn a_known_answer() {
    let bytes = hex::decode(KNOWN).unwrap();
    assert_eq!(report().sign_with(&key(), network()).unwrap(), bytes);
    assert_eq!(pollster::block_on(report().sign(&key(), network())).unwrap(), bytes);
    let envelope = Envelope::parse(&bytes).unwrap();
    assert_eq!(envelope.key_id().to_string(), "189a63b693b023f967d274a626398b8d");
    assert_eq!(envelope.as_bytes(), bytes);
    assert_eq!(
        envelope.digest().to_string(),
        "0x852dddfbc3538797e23a3419900fb57f14afcca873f0d7c22f0321e70b7f8e08"
    );
    let verified = envelope.verify(key().public(), network(), SigPolicy::Strict).unwrap();
    assert_eq!(verified.report(), &report());
    assert_eq!(verified.sequence, 300);
    assert_eq!(verified.key_id(), key().public().id());
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = report().sign_with(&key(), network()).unwrap();
    let mut refused = 0;
    each_bit_flipped(&bytes, |bit, flipped| {
        assert!(verify(flipped).is_err(), "bit {bit}");
        refused += 1;
    });
    assert_eq!(refused, hex::decode(KNOWN).unwrap().len() * 8);
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let bytes = report().sign_with(&key(), network()).unwrap();
    for end in 0..bytes.len() {
        assert!(matches!(Envelope::parse(&bytes[..end]), Err(EnvelopeError::Sign1(_))), "{end}");
    }
    for more in 0..=u8::MAX {
        let longer = [bytes.as_slice(), &[more]].concat();
        assert!(matches!(Envelope::parse(&longer), Err(EnvelopeError::Sign1(Sign1Error::Cbor(_)))));
    }
}

#[test]
fn coset_reads_what_we_write_and_we_read_what_coset_writes() {
    let ours = report().sign_with(&key(), network()).unwrap();
    let read = coset::CoseSign1::from_tagged_slice(&ours).unwrap();
    assert_eq!(read.protected.header.key_id, key().public().id().0);
    assert_eq!(read.protected.header.alg, Some(coset::Algorithm::Assigned(iana::Algorithm::EdDSA)));
    let aad = [b"depin/report/v1".as_slice(), network().as_bytes()].concat();
    read.verify_signature(&aad, |signature, message| {
        key().public().verify(message, &Signature(signature.try_into().unwrap()))
    })
    .unwrap();
    let theirs = foreign(&cbor::to_vec(&report()), "depin/report/v1");
    assert_eq!(theirs, ours);
    assert_eq!(verify(&theirs).unwrap(), report());
}

#[test]
fn a_report_serves_one_network_one_purpose_and_one_key() {
    let bytes = report().sign_with(&key(), network()).unwrap();
    let envelope = Envelope::parse(&bytes).unwrap();
    for domain in [Domain { chain_id: 1, ..domain() }, Domain { contract: [0x12; 20].into(), ..domain() }] {
        assert!(matches!(
            envelope.verify(key().public(), domain.network(), SigPolicy::Strict),
            Err(EnvelopeError::Sign1(Sign1Error::Signature(_)))
        ));
    }
    let receipt = foreign(&cbor::to_vec(&report()), "depin/receipt/v1");
    assert!(matches!(verify(&receipt), Err(EnvelopeError::Sign1(Sign1Error::Signature(_)))));
    let other = SoftwareKey::from_seed([8; 32]);
    assert!(matches!(
        envelope.verify(other.public(), network(), SigPolicy::Strict),
        Err(EnvelopeError::Sign1(Sign1Error::KeyId { .. }))
    ));
}

#[test]
fn other_cose_forms_are_refused_with_a_reason() {
    let good = report().sign_with(&key(), network()).unwrap();
    let (payload, signature) = (&good[25..good.len() - 66], &good[good.len() - 66..]);
    let protected = &good[2..24];
    let form = |parts: &[&[u8]]| parts.concat();
    let cases = [
        ("no tag", form(&[&[0x84], &good[2..]])),
        ("tag 17", form(&[&[0xd1, 0x84], &good[2..]])),
        ("tag 98", form(&[&[0xd8, 98, 0x84], &good[2..]])),
        ("tag 18 twice", form(&[&[0xd2], &good])),
        ("array of 3", form(&[&[0xd2, 0x83], protected, &[0xa0], payload])),
        ("array of 5", form(&[&[0xd2, 0x85], protected, &[0xa0], payload, signature, &[0xf6]])),
        ("unprotected kid", form(&[&[0xd2, 0x84], protected, &[0xa1, 0x04, 0x41, 0x31], payload, signature])),
        ("nil payload", form(&[&[0xd2, 0x84], protected, &[0xa0], &[0xf6], signature])),
        ("text payload", form(&[&[0xd2, 0x84], protected, &[0xa0], &[0x61, 0x61], signature])),
        ("signature of 63", form(&[&[0xd2, 0x84], protected, &[0xa0], payload, &[0x58, 63], &[0; 63]])),
        ("empty protected", form(&[&[0xd2, 0x84, 0x40, 0xa0], payload, signature])),
        ("protected map", form(&[&[0xd2, 0x84], &protected[1..], &[0xa0], payload, signature])),
        (
            "ES384",
            form(&[&[0xd2, 0x84, 0x56, 0xa2, 1, 0x38, 0x22], &protected[4..], &[0xa0], payload, signature]),
        ),
        ("ESP256", form(&[&[0xd2, 0x84, 0x55, 0xa2, 1, 0x28], &protected[4..], &[0xa0], payload, signature])),
        (
            "kid of 15",
            form(&[&[0xd2, 0x84, 0x54, 0xa2, 1, 0x27, 4, 0x4f], &[9; 15], &[0xa0], payload, signature]),
        ),
        ("no kid", form(&[&[0xd2, 0x84, 0x43, 0xa1, 1, 0x27, 0xa0], payload, signature])),
        (
            "critical header",
            form(&[
                &[0xd2, 0x84, 0x58, 24, 0xa3],
                &protected[2..5],
                &[2, 0x80],
                &protected[5..],
                &[0xa0],
                payload,
                signature,
            ]),
        ),
        ("indefinite array", form(&[&[0xd2, 0x9f], &good[2..], &[0xff]])),
        ("long tag", form(&[&[0xd8, 18, 0x84], &good[2..]])),
        ("long protected", form(&[&[0xd2, 0x84, 0x58, 21], &good[3..]])),
    ];
    assert!(Envelope::parse(&form(&[&[0xd2, 0x84], protected, &[0xa0], payload, signature])).is_ok());
    for (name, bytes) in cases {
        match Envelope::parse(&bytes) {
            Err(EnvelopeError::Sign1(Sign1Error::Profile { .. } | Sign1Error::Cbor(_))) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_signed_payload_is_read_strictly() {
    let good = cbor::to_vec(&report());
    assert!(verify(&foreign(&good, "depin/report/v1")).is_ok());
    let swap = |from: &str, to: &str| {
        let (from, to) = (hex::decode(from).unwrap(), hex::decode(to).unwrap());
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        [&good[..at], &to, &good[at + from.len()..]].concat()
    };
    let cases = [
        ("nothing", Vec::new()),
        ("not a map", vec![0x80]),
        ("a field more", [&[0xa7], &good[1..], &[7, 0]].concat()),
        ("a field less", [&[0xa5], &good[1..good.len() - 45]].concat()),
        ("another key", swap("0543010203", "0743010203")),
        ("an integer in a longer form", swap("0303", "031803")),
        ("a kind with a space", swap("6b73746f726167652e736574", "6b73746f7261676520736574")),
        ("an empty kind", swap("6b73746f726167652e736574", "60")),
        ("a boot beyond 32 bits", swap("0303", "031b0000000100000000")),
        ("a negative sequence", swap("0419012c", "0420")),
        ("a float for time", swap("021b0000018bcfe56800", "02fb0000018bcfe56800")),
        ("a text body", swap("0543010203", "0563010203")),
        ("a commitment of three", swap("068182", "068183")),
        ("trailing bytes", [good.as_slice(), &[0]].concat()),
    ];
    for (name, payload) in cases {
        let result = verify(&foreign(&payload, "depin/report/v1"));
        assert!(matches!(result, Err(EnvelopeError::Payload(_))), "{name}: {result:?}");
    }
}

fn commitments(labels: &[&str]) -> Vec<Commitment> {
    labels.iter().map(|label| Commitment { label: Text::new(*label).unwrap(), digest: sha256(&[]) }).collect()
}

#[test]
fn limits_hold_for_writer_and_reader() {
    let body = |len| Report { body: vec![0; len], ..report() };
    let labels: Vec<String> = (10..43).map(|n| format!("{n}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let with = |labels: &[&str]| Report { commitments: commitments(labels), ..report() };
    for good in [body(0), body(Report::MAX_BODY), with(&[]), with(&labels[..32]), with(&["a", "b"])] {
        assert_eq!(verify(&good.sign_with(&key(), network()).unwrap()).unwrap(), good);
    }
    for (bad, error) in [
        (body(Report::MAX_BODY + 1), ReportError::Body { found: 1_048_577 }),
        (with(&labels), ReportError::Commitments { found: 33 }),
        (with(&["b", "a"]), ReportError::Labels { label: "a".into() }),
        (with(&["a", "a"]), ReportError::Labels { label: "a".into() }),
    ] {
        assert_eq!(bad.sign_with(&key(), network()), Err(SignError::Report(error.clone())));
        assert_eq!(pollster::block_on(bad.sign(&key(), network())), Err(SignError::Report(error)));
        let forged = foreign(&cbor::to_vec(&bad), "depin/report/v1");
        assert!(matches!(verify(&forged), Err(EnvelopeError::Payload(_))));
    }
}

#[test]
fn the_largest_report_fits_and_one_byte_beyond_the_envelope_does_not() {
    let label = |n: usize| Text::new(format!("{n:064}")).unwrap();
    let largest = Report {
        kind: Text::new("k".repeat(64)).unwrap(),
        time: Timestamp(u64::MAX),
        boot: u32::MAX,
        sequence: u64::MAX,
        body: vec![0xff; Report::MAX_BODY],
        commitments: (0..32).map(|n| Commitment { label: label(n), digest: Digest([0xff; 32]) }).collect(),
    };
    let bytes = largest.sign_with(&key(), network()).unwrap();
    assert_eq!(verify(&bytes).unwrap(), largest);
    assert!(matches!(
        Envelope::parse(&vec![0xd2; Envelope::MAX + 1]),
        Err(EnvelopeError::Sign1(Sign1Error::TooLarge { found, max })) if found == max + 1
    ));
}

/// A signer that is out of reach.
struct Gone;

#[async_trait::async_trait]
impl DeviceSigner for Gone {
    fn public_key(&self) -> TypedKey {
        key().public_key()
    }

    async fn sign(&self, _: &[u8]) -> Result<Signature, SignError> {
        Err(SignError::Unavailable { reason: "the session is closed".to_owned() })
    }
}

#[test]
fn a_signer_out_of_reach_is_an_error() {
    let signed = pollster::block_on(report().sign(&Gone, network()));
    assert!(matches!(signed, Err(SignError::Unavailable { .. })));
}

#[test]
fn each_type_of_key_signs_under_its_own_algorithm_and_no_other() {
    let heads = [(KeyType::Ed25519, "27"), (KeyType::P256, "26"), (KeyType::Secp256k1, "382e")];
    for (key_type, algorithm) in heads {
        let key = SoftwareKey::from_secret(key_type, [7; 32]).unwrap();
        let bytes = report().sign_with(&key, network()).unwrap();
        assert_eq!(pollster::block_on(report().sign(&key, network())).unwrap(), bytes);
        let envelope = Envelope::parse(&bytes).unwrap();
        assert_eq!((envelope.algorithm(), envelope.key_id()), (key_type, key.public().id()));
        for policy in [SigPolicy::Strict, SigPolicy::Zip215] {
            let verified = envelope.verify(key.public(), network(), policy).unwrap();
            assert_eq!(verified.report(), &report());
        }
        // Any COSE library reads it and comes to the same bytes to be signed.
        let read = coset::CoseSign1::from_tagged_slice(&bytes).unwrap();
        let aad = [b"depin/report/v1".as_slice(), network().as_bytes()].concat();
        assert_eq!(read.signature, key.signature(&read.tbs_data(&aad)).0);
        each_bit_flipped(&bytes, |bit, flipped| {
            let verified = Envelope::parse(flipped)
                .and_then(|envelope| envelope.verify(key.public(), network(), SigPolicy::Strict));
            assert!(verified.is_err(), "{key_type:?} bit {bit}");
        });
        // The header alone never decides: the same key id, and the algorithm of another key.
        for (other, name) in heads.into_iter().filter(|(other, _)| *other != key_type) {
            let (from, to) = (format!("a201{algorithm}04"), format!("a201{name}04"));
            let mut renamed = hex::encode(&bytes).replacen(&from, &to, 1);
            let (long, short) = ("d28456a2", "d28455a2");
            renamed = if name.len() > 2 {
                renamed.replacen(short, long, 1)
            } else {
                renamed.replacen(long, short, 1)
            };
            let renamed = hex::decode(renamed).unwrap();
            let envelope = Envelope::parse(&renamed).unwrap();
            assert_eq!(envelope.algorithm(), other);
            let refused = envelope.verify(key.public(), network(), SigPolicy::Strict);
            assert!(
                matches!(
                    refused,
                    Err(EnvelopeError::Sign1(Sign1Error::Algorithm { found, expected }))
                        if (found, expected) == (other, key_type)
                ),
                "{refused:?}"
            );
            let mut batch = SignatureBatch::new(SigPolicy::Strict);
            assert!(envelope.check_signature_later(key.public(), network(), &mut batch).is_err());
            assert!(batch.is_empty());
        }
    }
}

fn any_report() -> impl Strategy<Value = Report> {
    let text = "[!-~]{1,64}";
    let commitments = prop::collection::btree_map(text, any::<[u8; 32]>(), 0..=32);
    (text, any::<(u64, u32, u64)>(), prop::collection::vec(any::<u8>(), 0..2000), commitments).prop_map(
        |(kind, (time, boot, sequence), body, commitments)| Report {
            kind: Text::new(kind).unwrap(),
            time: Timestamp(time),
            boot,
            sequence,
            body,
            commitments: commitments
                .into_iter()
                .map(|(label, digest)| Commitment {
                    label: Text::new(label).unwrap(),
                    digest: Digest(digest),
                })
                .collect(),
        },
    )
}

#[test]
fn what_nobody_signed_is_read_as_a_claim_and_never_as_a_verified_report() {
    let mut forged = report().sign_with(&key(), network()).unwrap();
    let last = forged.last_mut().unwrap();
    *last ^= 1;
    let envelope = Envelope::parse(&forged).unwrap();
    assert_eq!(envelope.unverified_report().unwrap(), report());
    let refused = envelope.verify(key().public(), network(), SigPolicy::Strict);
    assert!(matches!(refused, Err(EnvelopeError::Sign1(Sign1Error::Signature(_)))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_report_is_read_back(report in any_report(), seed: [u8; 32]) {
        let key = SoftwareKey::from_seed(seed);
        let bytes = report.sign_with(&key, network()).unwrap();
        let envelope = Envelope::parse(&bytes).unwrap();
        prop_assert_eq!(envelope.digest(), sha256(&[&bytes]));
        let verified = envelope.verify(key.public(), network(), SigPolicy::Strict).unwrap();
        prop_assert_eq!(verified.report(), &report);
        let read = coset::CoseSign1::from_tagged_slice(&bytes).unwrap();
        prop_assert_eq!(read.to_tagged_vec().unwrap(), bytes);
        let json = serde_json::to_string(&report).unwrap();
        prop_assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn both_readers_accept_the_same_bytes(report in any_report(), at: prop::sample::Index, value: u8, cut in 0..3_usize) {
        let mut payload = cbor::to_vec(&report);
        let at = at.index(payload.len());
        payload[at] = value;
        payload.truncate(payload.len() - cut);
        let bytes = foreign(&payload, "depin/report/v1");
        let envelope = Envelope::parse(&bytes).unwrap();
        let in_place = envelope.unverified_report_in_place();
        let owned = envelope.unverified_report();
        prop_assert_eq!(owned.is_ok(), in_place.is_ok());
        prop_assert_eq!(owned.ok(), in_place.ok().map(copied));
    }

    #[test]
    fn random_bytes_and_random_damage_never_panic(bytes: Vec<u8>, at: prop::sample::Index, value: u8) {
        let _ = Envelope::parse(&bytes);
        let good = report().sign_with(&key(), network()).unwrap();
        let mut damaged = good.clone();
        let at = at.index(damaged.len());
        damaged[at] = value;
        prop_assert_eq!(verify(&damaged).is_ok(), damaged == good);
        // What we accept, coset accepts.
        if Envelope::parse(&damaged).is_ok() {
            prop_assert!(coset::CoseSign1::from_tagged_slice(&damaged).is_ok());
        }
        let _ = coset::CoseSign1::from_slice(&bytes);
    }
}
