//! Every intermediate value of W3C's vectors.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{SecuredDocument, Suite, canonicalize, time};
use depin_core::Timestamp;

const EDDSA: &str = "identity/w3c-vc-di-eddsa/TestVectors";
const ECDSA: &str = "identity/w3c-vc-di-ecdsa/TestVectors";

fn text(path: &str) -> Option<String> {
    depin_vectors::file(path).map(|bytes| String::from_utf8(bytes).unwrap().trim_end_matches('\n').to_owned())
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A folder of vectors: canonical forms, hashes, what is signed and the signature, all as they come out here. How many were compared.
fn intermediates(folder: &str, tail: &str, suite: Suite, canonical: impl Fn(&Value) -> Vec<u8>) -> usize {
    let read = |name: &str, ext: &str| text(&format!("{folder}/{name}{tail}.{ext}"));
    let Some(signed) = read("signed", "json") else { return 0 };
    let secured = SecuredDocument::parse(signed.as_bytes()).unwrap();
    let [proof] = secured.proofs() else { panic!("{folder}: one proof") };
    assert_eq!(proof.suite, suite);
    let mut options = proof.options();
    options.insert("@context".to_owned(), secured.document()["@context"].clone());
    let config: Value = serde_json::from_str(&read("proofConfig", "json").unwrap()).unwrap();
    assert_eq!(Value::Object(options.clone()), config);
    let document = canonical(&Value::Object(secured.document().clone()));
    let options = canonical(&Value::Object(options));
    let both = suite.hash_data(&proof.options(), secured.document()).unwrap();
    let (canon_doc, canon_proof) = (read("canonDoc", "txt").unwrap(), read("proofCanon", "txt").unwrap());
    assert_eq!(String::from_utf8(document.clone()).unwrap().trim_end(), canon_doc);
    assert_eq!(String::from_utf8(options.clone()).unwrap().trim_end(), canon_proof);
    assert_eq!(hash(&document), read("docHash", "txt").unwrap());
    assert_eq!(hash(&options), read("proofHash", "txt").unwrap());
    assert_eq!(hex::encode(both), read("combinedHash", "txt").unwrap());
    assert_eq!(hex::encode(proof.signature.unwrap().0), read("sigHex", "txt").unwrap());
    assert_eq!(proof.object["proofValue"], read("sigBTC58", "txt").unwrap());
    8
}

#[test]
fn jcs_intermediates_are_those_of_w3c() {
    let jcs = |value: &Value| canonicalize(value).unwrap();
    let compared = intermediates(&format!("{EDDSA}/eddsa-jcs-2022"), "JCS", Suite::EddsaJcs2022, jcs)
        + intermediates(&format!("{ECDSA}/ecdsa-jcs-2019-p256"), "JCSECDSAP256", Suite::EcdsaJcs2019, jcs);
    assert!(matches!(compared, 0 | 16), "{compared} of 16");
}

#[cfg(feature = "ssi")]
#[test]
fn rdfc_intermediates_are_those_of_w3c() {
    let rdfc = |value: &Value| super::rdfc::canonicalize(value).unwrap();
    let compared = intermediates(&format!("{EDDSA}/eddsa-rdfc-2022"), "DataInt", Suite::EddsaRdfc2022, rdfc)
        + intermediates(&format!("{ECDSA}/ecdsa-rdfc-2019-p256"), "ECDSAP256", Suite::EcdsaRdfc2019, rdfc);
    assert!(matches!(compared, 0 | 16), "{compared} of 16");
}

/// The canonical form of these documents needs a context that is not built in. What follows from the canonical form does not.
#[cfg(feature = "ssi")]
#[test]
fn what_follows_a_foreign_context_is_that_of_w3c() {
    let folders = [(EDDSA, "eddsa-rdfc-2022", "DataInt"), (ECDSA, "ecdsa-rdfc-2019-p256", "ECDSAP256")];
    for (root, suite, tail) in folders {
        let read = |name: &str, ext: &str| text(&format!("{root}/{suite}/employ/{name}{tail}.{ext}"));
        let Some(signed) = read("signed", "json") else { return };
        let secured = SecuredDocument::parse(signed.as_bytes()).unwrap();
        let [proof] = secured.proofs() else { panic!("one proof") };
        let refused = proof.suite.hash_data(&proof.options(), secured.document());
        let context = "\"https://w3id.org/citizenship/v4rc1\"".to_owned();
        assert_eq!(refused, Err(super::ProofError::UnknownContext { context }));
        let line = |text: String| format!("{text}\n");
        let both = [line(read("proofCanon", "txt").unwrap()), line(read("canonDoc", "txt").unwrap())]
            .map(|canonical| Sha256::digest(canonical.as_bytes()))
            .concat();
        assert_eq!(hex::encode(&both), read("combinedHash", "txt").unwrap());
        let key = super::Documents::default().get(proof.method.did()).unwrap();
        let key = key.authorized(proof.purpose, &proof.method).unwrap().typed_key().unwrap();
        let key = crate::PublicKey::new(key).unwrap();
        assert!(proof.suite.verify(&key, &both.try_into().unwrap(), &proof.signature.unwrap()));
    }
}

#[test]
fn moments_are_read_and_written_as_rfc_3339_has_them() {
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2023-02-24T23:36:38Z", Some(1_677_281_798_000)),
        ("2023-02-25T00:36:38+01:00", Some(1_677_281_798_000)),
        ("2023-02-24T23:36:38.9999Z", Some(1_677_281_798_999)),
        ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
        ("2023-02-29T00:00:00Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("2023-02-24", None),
        ("2023-02-24T23:36:38", None),
        ("", None),
    ] {
        assert_eq!(time::read(text), expected.map(Timestamp), "{text}");
    }
    assert_eq!(time::write(Timestamp(1_677_281_798_000)).unwrap(), "2023-02-24T23:36:38Z");
    assert_eq!(time::write(Timestamp(253_402_300_800_000)), None);
}

/// A verdict must not hang on a feature of `serde_json` that another crate of a workspace has switched on.
#[test]
fn numbers_and_reserved_keys_are_judged_on_the_text() {
    use super::{JsonError, json::read};
    for number in ["1.0", "1e0", "-0", "9007199254740992", "123456789012345678901234567890", "1E400"] {
        let refused = read(format!("{{\"a\":[{number}]}}").as_bytes(), 100);
        assert!(matches!(refused, Err(JsonError::Number { .. })), "{number}: {refused:?}");
    }
    for number in ["0", "-1", "9007199254740991", "-9007199254740991"] {
        assert_eq!(read(format!("{{\"a\":{number}}}").as_bytes(), 100).unwrap()["a"].to_string(), number);
    }
    for key in ["$serde_json::private::Number", "\\u0024serde_json::private::Number"] {
        let refused = read(format!("{{\"a\":{{\"{key}\":\"1\"}}}}").as_bytes(), 100);
        assert!(matches!(refused, Err(JsonError::ReservedKey { .. })), "{key}: {refused:?}");
    }
}

#[test]
fn json_is_bounded_before_it_is_built() {
    use super::{JsonError, MAX_DEPTH, MAX_VALUES, json::read};
    let deep = |levels: usize| format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert!(read(deep(MAX_DEPTH).as_bytes(), 1 << 20).is_ok());
    for levels in [MAX_DEPTH + 1, 100_000] {
        assert_eq!(read(deep(levels).as_bytes(), 1 << 20), Err(JsonError::TooDeep { max: MAX_DEPTH }));
    }
    assert_eq!(read("[".repeat(1 << 20).as_bytes(), 1 << 20), Err(JsonError::TooDeep { max: MAX_DEPTH }));
    let wide = |count: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(count));
    assert!(read(wide(MAX_VALUES - 4).as_bytes(), 1 << 20).is_ok());
    assert_eq!(read(wide(MAX_VALUES).as_bytes(), 1 << 20), Err(JsonError::TooMany { max: MAX_VALUES }));
    assert_eq!(read(b"{\"a\":0}", 6), Err(JsonError::TooLong { found: 7, max: 6 }));
    for twice in ["{\"a\":0,\"a\":0}", "{\"b\":[{\"a\":{\"a\":0},\"\\u0061\":1}]}"] {
        assert_eq!(read(twice.as_bytes(), 100), Err(JsonError::DuplicateKey { key: "a".to_owned() }));
    }
    for not in
        [&b"\xff"[..], b"{\"\xc3\":0}", b"[]", b"{", b"{\"a\":\"", b"{\"a\" 0}", b"{a:0}", b"{\"a\":0}x", b""]
    {
        assert!(matches!(read(not, 100), Err(JsonError::Syntax { .. })), "{not:?}");
    }
}
