//! W3C's vectors through the public API, and RFC 8785.
#![cfg(feature = "credentials")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // tests

mod issuing;

use depin_identity::{
    credential::{
        Credential, CredentialError, Documents, Expected, ProofError, SecuredDocument, StatusLists,
        canonicalize,
    },
    did::Purpose,
};
use issuing::{NOW, known};
use proptest::prelude::*;
use serde_json::{Value, json};

const EDDSA: &str = "identity/w3c-vc-di-eddsa/TestVectors";
const ECDSA: &str = "identity/w3c-vc-di-ecdsa/TestVectors";

/// Who signed: the verdict on the proofs of a vector. None when there are no vectors here.
fn proofs(path: &str) -> Option<Result<usize, ProofError>> {
    let bytes = depin_vectors::file(path)?;
    let signers = SecuredDocument::parse(&bytes)
        .and_then(|secured| secured.verify(Purpose::AssertionMethod, NOW, &Documents::default()));
    Some(signers.map(|signers| signers.len()))
}

/// Every bit of a signature and some of the document matter.
fn changed_ones_do_not_verify(path: &str) {
    let Some(bytes) = depin_vectors::file(path) else { return };
    let signed: Value = serde_json::from_slice(&bytes).unwrap();
    for (member, value) in
        [("name", json!("Another")), ("issuer", json!("did:example:another")), ("new", json!(1))]
    {
        let mut changed = signed.clone();
        changed[member] = value;
        let secured = SecuredDocument::parse(changed.to_string().as_bytes()).unwrap();
        let refused = secured.verify(Purpose::AssertionMethod, NOW, &Documents::default());
        assert!(refused.is_err(), "{path} {member}");
    }
}

#[test]
fn every_jcs_proof_of_w3c_verifies() {
    let paths = [
        format!("{EDDSA}/eddsa-jcs-2022/signedJCS.json"),
        format!("{ECDSA}/ecdsa-jcs-2019-p256/signedJCSECDSAP256.json"),
    ];
    let verified = paths.iter().filter_map(|path| proofs(path)).map(Result::unwrap).sum::<usize>();
    assert!(matches!(verified, 0 | 2), "{verified} of 2");
    paths.iter().for_each(|path| changed_ones_do_not_verify(path));
}

#[cfg(feature = "ssi")]
#[test]
fn every_rdfc_proof_of_w3c_verifies() {
    let paths = [
        (format!("{EDDSA}/eddsa-rdfc-2022/signedDataInt.json"), 1),
        (format!("{ECDSA}/ecdsa-rdfc-2019-p256/signedECDSAP256.json"), 1),
        (format!("{EDDSA}/proof-set-chain/signedProofSet1.json"), 1),
        (format!("{EDDSA}/proof-set-chain/signedProofSet2.json"), 2),
        (format!("{EDDSA}/proof-set-chain/signedProofChain1.json"), 3),
        (format!("{EDDSA}/proof-set-chain/signedProofChain2.json"), 4),
    ];
    let mut verified = 0;
    for (path, count) in &paths {
        let Some(found) = proofs(path) else { return };
        assert_eq!(found, Ok(*count), "{path}");
        verified += count;
        changed_ones_do_not_verify(path);
    }
    assert_eq!(verified, 12);
}

#[cfg(feature = "ssi")]
#[test]
fn a_context_that_is_not_built_in_is_said_to_be_unknown() {
    for path in [
        format!("{EDDSA}/eddsa-rdfc-2022/employ/signedDataInt.json"),
        format!("{ECDSA}/ecdsa-rdfc-2019-p256/employ/signedECDSAP256.json"),
    ] {
        let context = "\"https://w3id.org/citizenship/v4rc1\"".to_owned();
        let Some(found) = proofs(&path) else { return };
        assert_eq!(found, Err(ProofError::UnknownContext { context }));
    }
}

#[cfg(not(feature = "ssi"))]
#[test]
fn a_suite_that_is_not_built_in_is_said_to_be_missing() {
    let Some(found) = proofs(&format!("{EDDSA}/eddsa-rdfc-2022/signedDataInt.json")) else { return };
    assert_eq!(found, Err(ProofError::SuiteNotBuilt { suite: "eddsa-rdfc-2022" }));
}

#[test]
fn the_suite_of_2020_is_refused_by_name() {
    let Some(found) = proofs(&format!("{EDDSA}/Ed25519Signature2020/signedEdSig.json")) else { return };
    assert_eq!(found, Err(ProofError::Suite { found: "Ed25519Signature2020".to_owned() }));
}

/// The vectors name a web page as issuer and are signed by a did:key: right signatures by nobody in particular.
#[test]
fn a_right_signature_is_not_yet_a_credential() {
    let Some(bytes) = depin_vectors::file(&format!("{EDDSA}/eddsa-jcs-2022/signedJCS.json")) else { return };
    let (documents, lists) = (Documents::default(), StatusLists::default());
    let expected = Expected { without_status: true, ..Expected::default() };
    let refused = Credential::parse(&bytes).unwrap().verify(&expected, &known(&documents, &lists));
    assert!(
        matches!(refused, Err(CredentialError::IssuerDidNotSign { issuer, .. }) if issuer == "https://vc.example/issuers/5678")
    );
}

#[test]
fn canonical_forms_are_those_of_rfc_8785() {
    let mut equal = 0;
    for (name, input) in depin_vectors::files("identity/rfc8785-jcs/testdata/input") {
        let output = depin_vectors::file(&format!("identity/rfc8785-jcs/testdata/output/{name}")).unwrap();
        let value: Value = serde_json::from_slice(&input).unwrap();
        assert_eq!(
            String::from_utf8(canonicalize(&value).unwrap()).unwrap(),
            String::from_utf8(output).unwrap(),
            "{name}"
        );
        equal += 1;
    }
    assert!(matches!(equal, 0 | 6), "{equal} of 6");
}

/// Texts of characters that escapes and sorting treat differently: those around the surrogates are where sorting by code point goes wrong.
fn text() -> impl Strategy<Value = String> {
    const CHARS: [char; 16] = [
        '\0',
        '\u{8}',
        '\n',
        '\u{1f}',
        ' ',
        '"',
        '\\',
        '/',
        'a',
        '\u{7f}',
        'é',
        '\u{2028}',
        '\u{d7ff}',
        '\u{fb33}',
        '\u{ffff}',
        '\u{1f600}',
    ];
    let one = prop_oneof![proptest::sample::select(CHARS.as_slice()), any::<char>()];
    proptest::collection::vec(one, 0..4).prop_map(|chars| chars.into_iter().collect())
}

fn json_value() -> impl Strategy<Value = Value> {
    let finite = any::<f64>().prop_map(|number| if number.is_finite() { json!(number) } else { json!(0.1) });
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        finite,
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..4)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn our_canonical_form_is_that_of_another_implementation(value in json_value()) {
        let ours = canonicalize(&value).unwrap();
        prop_assert_eq!(&ours, &serde_jcs::to_vec(&value).unwrap());
        // It is a fixed point.
        let again: Value = serde_json::from_slice(&ours).unwrap();
        prop_assert_eq!(ours, canonicalize(&again).unwrap());
    }
}
