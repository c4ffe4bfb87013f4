//! DIDs, their documents, and the methods that need nothing from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use depin_core::{DeviceId, KeyType};
use depin_identity::{
    Did, DidDocument, DidError, DidResolver, DidUrl, PublicKey, Resolvers,
    did::{Curve, CurveKey, JwkMethod, KeyMethod, MethodKey, MethodRef, MethodType, PkhMethod, Purpose},
};
use pollster::block_on;
use proptest::prelude::*;
use serde_json::{Value, json};

fn did(text: &str) -> Did {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The documents of a file of did:key vectors, by DID.
fn documents(file: &str) -> Option<Vec<(String, Value)>> {
    let bytes = depin_vectors::file(&format!("identity/did-key/test-vectors/{file}.json"))?;
    let all: Value = serde_json::from_slice(&bytes).unwrap();
    let entries = all.as_object().unwrap();
    // One file has the documents themselves, the others have them beside the keys.
    Some(match entries.get("didDocument") {
        Some(documents) => documents.as_object().unwrap().clone().into_iter().collect(),
        None => entries.iter().map(|(did, vector)| (did.clone(), vector["didDocument"].clone())).collect(),
    })
}

#[test]
fn all_22_did_key_documents_have_the_same_ids_keys_and_purposes() {
    let mut found = 0;
    for (file, count) in [("ed25519-x25519", 5), ("x25519", 4), ("nist-curves", 7), ("secp256k1", 6)] {
        let Some(vectors) = documents(file) else { return };
        assert_eq!(vectors.len(), count, "{file}");
        for (name, theirs) in vectors {
            let theirs = DidDocument::from_json(theirs.to_string().as_bytes()).unwrap();
            let ours = KeyMethod::document(&did(&name)).unwrap();
            assert_eq!((ours.id.as_str(), &ours.id), (name.as_str(), &theirs.id));
            assert_eq!(ours.verification_method.len(), theirs.verification_method.len(), "{name}");
            for (ours, theirs) in ours.verification_method.iter().zip(&theirs.verification_method) {
                assert_eq!((&ours.id, &ours.controller), (&theirs.id, &theirs.controller));
                assert_eq!(ours.public_key().unwrap(), theirs.public_key().unwrap());
                assert_eq!(ours.kind, MethodType::Multikey);
            }
            for purpose in Purpose::ALL {
                assert_eq!(ours.relationship(purpose), theirs.relationship(purpose), "{name} {purpose:?}");
            }
            let key = ours.verification_method[0].public_key().unwrap();
            assert_eq!(KeyMethod::did(key).unwrap(), ours.id);
            // Devices have keys of three types.
            let device = name.parse::<DeviceId>().ok();
            let kinds = [Curve::Ed25519, Curve::P256, Curve::Secp256k1];
            assert_eq!(device.is_some(), kinds.contains(&key.curve()), "{name}");
            if let Some(device) = device {
                assert_eq!((Did::from(&device), key.typed().unwrap()), (ours.id, *device.key()));
                if device.key().key_type() == KeyType::Ed25519 {
                    PublicKey::new(*device.key()).unwrap();
                }
            }
            found += 1;
        }
    }
    assert_eq!(found, 22);
}

#[test]
fn documents_of_offline_methods_are_read_back() {
    for name in [
        "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
        "did:pkh:eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a",
        P256_JWK,
        X25519_JWK,
    ] {
        let found = block_on(Resolvers::offline().resolve(&did(name), None)).unwrap();
        assert_eq!((found.document.id.as_str(), &found.version), (name, &None));
        let json = found.document.to_json().unwrap();
        assert_eq!(DidDocument::from_json(json.as_bytes()).unwrap(), *found.document);
        let later = block_on(Resolvers::offline().resolve(&did(name), Some(&"2".into())));
        assert!(matches!(later, Err(DidError::NotFound { .. })));
    }
}

/// The examples of the method's own specification.
const P256_JWK: &str = "did:jwk:eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6OTFQSDZDZEgyVjAiLCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9";
const X25519_JWK: &str = "did:jwk:eyJrdHkiOiJPS1AiLCJjcnYiOiJYMjU1MTkiLCJ1c2UiOiJlbmMiLCJ4IjoiM3A3YmZYdDl3YlRUVzJIQzdPUTFOei1EUThoYmVHZE5yZngtRkctSUswOCJ9";

#[test]
fn a_did_jwk_is_its_key() {
    let document = JwkMethod::document(&did(P256_JWK)).unwrap();
    let json: Value = serde_json::from_str(&document.to_json().unwrap()).unwrap();
    let method = &json["verificationMethod"][0];
    assert_eq!(method["id"], format!("{P256_JWK}#0"));
    assert_eq!(
        method["publicKeyJwk"],
        json!({"kty": "EC", "crv": "P-256", "x": "acbIQiuMs3i8_uszEjJ2tpTtRM4EU3yz91PH6CdH2V0", "y": "_KcyLj9vWMptnmKtm46GqDz8wf74I5LKgrl2GzH3nSE"})
    );
    assert!(Purpose::ALL.iter().all(|purpose| document.relationship(*purpose).len() == 1));
    let document = JwkMethod::document(&did(X25519_JWK)).unwrap();
    for purpose in Purpose::ALL {
        let expected = usize::from(purpose == Purpose::KeyAgreement);
        assert_eq!(document.relationship(purpose).len(), expected, "{purpose:?}");
    }
}

#[test]
fn a_did_jwk_with_a_private_or_impossible_key_is_refused() {
    let x = "acbIQiuMs3i8_uszEjJ2tpTtRM4EU3yz91PH6CdH2V0";
    let y = "_KcyLj9vWMptnmKtm46GqDz8wf74I5LKgrl2GzH3nSE";
    let other = "_KcyLj9vWMptnmKtm46GqDz8wf74I5LKgrl2GzH3nSU";
    let deep = format!(r#"{{"kty":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    for (jwk, expected) in [
        (json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "d": x}).to_string(), "private"),
        (json!({"kty": "EC", "crv": "P-256", "x": x, "y": other}).to_string(), "on the curve"),
        (json!({"kty": "EC", "crv": "secp256k1", "x": x, "y": y}).to_string(), "on the curve"),
        (json!({"kty": "EC", "crv": "P-256", "x": x}).to_string(), "`y`"),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": x, "y": y}).to_string(), "`y`"),
        (json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": y}).to_string(), "full length"),
        (json!({"kty": "RSA", "n": x, "e": "AQAB"}).to_string(), "Ed25519"),
        (json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "any"}).to_string(), "`sig` or `enc`"),
        (format!(r#"{{"kty":"EC","kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#), "twice in one object"),
        (deep, "nests deeper than 16"),
        ("{".to_owned(), "EOF"),
    ] {
        let name = format!("did:jwk:{}", BASE64.encode(&jwk));
        let error = JwkMethod::document(&did(&name)).expect_err(&jwk).to_string();
        assert!(error.contains(expected), "{jwk}: {error}");
    }
}

#[test]
fn a_did_pkh_is_its_account() {
    let name = "did:pkh:eip155:8453:0xb9c5714089478a327f09197987f16f9e5d936e8a";
    let document = PkhMethod::document(&did(name)).unwrap();
    let address = "0xb9c5714089478a327f09197987f16f9e5d936e8a".parse().unwrap();
    let method = &document.verification_method[0];
    assert_eq!(method.key, Some(MethodKey::Account { chain_id: 8453, address }));
    assert_eq!(method.id.to_string(), format!("{name}#blockchainAccountId"));
    assert!(method.public_key().is_err());
    // Mixed case is a checksum (ERC-55).
    assert!(PkhMethod::document(&did("did:pkh:eip155:1:0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")).is_ok());
    for wrong in [
        "did:pkh:eip155:1:0xFb6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "did:pkh:eip155:1:fb6916095ca1df60bb79ce92ce3ea74c37c5d359",
        "did:pkh:eip155:01:0xb9c5714089478a327f09197987f16f9e5d936e8a",
        "did:pkh:eip155:0:0xb9c5714089478a327f09197987f16f9e5d936e8a",
        "did:pkh:eip155:99999999999999999999:0xb9c5714089478a327f09197987f16f9e5d936e8a",
        "did:pkh:eip155:0xb9c5714089478a327f09197987f16f9e5d936e8a",
        "did:pkh:solana:4sGjMW1sUnHzSxGspuhpqLDx6wiyjNtZ:CKg5d12Jhpej1JqtmxLJgaFqqeYjxgPqToJ4LBdvG9Ev",
    ] {
        assert!(matches!(PkhMethod::document(&did(wrong)), Err(DidError::Invalid { .. })), "{wrong}");
    }
}

#[test]
fn a_method_that_is_not_listed_is_refused_by_name() {
    for name in ["did:ion:abc", "did:web:example.com", "did:ethr:0x1:0x2"] {
        match block_on(Resolvers::offline().resolve(&did(name), None)) {
            Err(DidError::UnsupportedMethod { found, allowed }) => {
                assert_eq!(
                    (found.as_str(), allowed),
                    (did(name).method(), ["key", "jwk", "pkh"].map(str::to_owned).to_vec())
                );
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(block_on(Resolvers::default().resolve(&did(P256_JWK), None)).is_err());
    // A resolver asked for another's DID says so too.
    assert!(matches!(KeyMethod::document(&did(P256_JWK)), Err(DidError::UnsupportedMethod { .. })));
}

#[test]
fn dids_are_parsed_as_the_standard_writes_them() {
    let web = did("did:web:example.com%3A3000:user:alice");
    assert_eq!((web.method(), web.id()), ("web", "example.com%3A3000:user:alice"));
    assert_eq!(did("did:a:b::c").id(), "b::c");
    let long = format!("did:key:{}", "a".repeat(Did::MAX));
    for wrong in [
        "",
        "did",
        "did:",
        "did:key",
        "did:key:",
        "did::a",
        "DID:key:a",
        "did:Key:a",
        "did:ke-y:a",
        "did:web:a%",
        "did:web:a%2",
        "did:web:a%2g",
        "did:web:a:",
        "did:web:a/b",
        "did:web:a?b",
        "did:web:a#b",
        "did:web:a b",
        "did:web:\u{e9}",
        " did:web:a",
        "did:web:a\n",
        &long,
    ] {
        assert!(matches!(wrong.parse::<Did>(), Err(DidError::Invalid { .. })), "{wrong:?}");
    }
}

#[test]
fn did_urls_with_path_or_query_name_no_verification_method() {
    let url: DidUrl = "did:web:a.b:c/d/e?service=f&accept=bogus#g?/h".parse().unwrap();
    assert_eq!((url.did().as_str(), url.path()), ("did:web:a.b:c", "/d/e"));
    assert_eq!((url.query(), url.fragment()), (Some("service=f&accept=bogus"), Some("g?/h")));
    assert_eq!(url.to_string(), "did:web:a.b:c/d/e?service=f&accept=bogus#g?/h");
    let key = KeyMethod::document(&did("did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw")).unwrap();
    let id = key.id.id();
    assert!(key.authorized(Purpose::Authentication, &key.id.url(id).unwrap()).is_ok());
    for (wrong, rest) in [("?accept=bogus#", id), ("/#", id), ("?#", id), ("#", ""), ("", "")] {
        let url: DidUrl = format!("{}{wrong}{rest}", key.id).parse().unwrap();
        let refused = key.authorized(Purpose::Authentication, &url);
        assert!(matches!(refused, Err(DidError::Invalid { .. })), "{url}");
    }
    for wrong in [
        "did:web:a#b#c",
        "did:web:a#%",
        "did:web:a?{}",
        "did:web:a/\u{e9}",
        "did:web:#a",
        "#a",
        "did:web:a:/b",
    ] {
        assert!(wrong.parse::<DidUrl>().is_err(), "{wrong}");
    }
}

fn subject() -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": "did:web:example.com",
        "controller": "did:web:example.org",
        "alsoKnownAs": ["https://example.com/"],
        "service": [{"id": "#s", "type": "X", "serviceEndpoint": {"priority": 1.5}}],
        "verificationMethod": [
            {"id": "#a", "type": "Multikey", "controller": "did:web:example.com", "publicKeyMultibase": "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"},
            {"id": "#b", "type": "Multikey", "controller": "did:web:example.org", "publicKeyMultibase": "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"},
            {"id": "#rsa", "type": "JsonWebKey", "controller": "did:web:example.com", "publicKeyJwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
            {"id": "#new", "type": "MlDsaKey2099", "controller": "did:web:example.com", "publicKeyHex": "00"}
        ],
        "authentication": ["#a", "did:web:example.com#b",
            {"id": "#only", "type": "Ed25519VerificationKey2020", "controller": "did:web:example.com", "publicKeyMultibase": "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"}],
        "assertionMethod": ["#a", "#rsa", "#missing", "did:web:example.org#a"]
    })
}

fn read(document: &Value) -> Result<DidDocument, DidError> {
    DidDocument::from_json(document.to_string().as_bytes())
}

#[test]
fn a_key_speaks_only_for_what_its_document_allows_it() {
    let document = read(&subject()).unwrap();
    assert_eq!(document.controller, [did("did:web:example.org")]);
    let authorized =
        |purpose, fragment: &str| document.authorized(purpose, &document.id.url(fragment).unwrap());
    let (login, assert) = (Purpose::Authentication, Purpose::AssertionMethod);
    for (purpose, fragment) in [(login, "a"), (login, "only"), (assert, "a")] {
        authorized(purpose, fragment).unwrap().typed_key().unwrap();
    }
    // Embedded for another purpose, listed but not allowed, referred to but not there.
    for (purpose, fragment) in
        [(assert, "only"), (assert, "b"), (assert, "missing"), (login, "new"), (login, "nobody")]
    {
        let refused = authorized(purpose, fragment);
        assert!(matches!(refused, Err(DidError::NotFound { .. })), "{fragment}: {refused:?}");
    }
    // Somebody else's key in the document, and a key of somebody else's document.
    assert!(matches!(authorized(login, "b"), Err(DidError::Invalid { .. })));
    let foreign = "did:web:example.org#a".parse().unwrap();
    assert!(matches!(document.authorized(assert, &foreign), Err(DidError::Invalid { .. })));
    // What nobody here can check with is listed without a key.
    assert!(authorized(assert, "rsa").unwrap().public_key().is_err());
    let MethodRef::Embedded(only) = &document.authentication[2] else { panic!("{document:?}") };
    assert_eq!(only.kind, MethodType::Ed25519VerificationKey2020);
    assert_eq!(DidDocument::from_json(document.to_json().unwrap().as_bytes()).unwrap(), document);
}

#[test]
fn a_document_of_another_form_is_refused() {
    type Change = fn(&mut Value);
    let changes: [Change; 11] = [
        |d| d["id"] = json!("example.com"),
        |d| drop(d.as_object_mut().unwrap().remove("id")),
        |d| d["verificationMethod"][0]["id"] = json!("#b"),
        |d| d["authentication"][2]["id"] = json!("#a"),
        |d| d["verificationMethod"][0]["publicKeyMultibase"] = json!("uAQID"),
        |d| d["verificationMethod"][0]["publicKeyBase58"] = json!("1111"),
        // A P-256 key under a type for Ed25519.
        |d| {
            d["authentication"][2]["publicKeyMultibase"] =
                json!("zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv")
        },
        |d| d["verificationMethod"][2]["publicKeyJwk"]["d"] = json!("AQAB"),
        |d| d["authentication"] = json!("#a"),
        |d| d["authentication"] = json!([1]),
        |d| d["controller"] = json!([["did:web:example.org"]]),
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut document = subject();
        change(&mut document);
        assert!(matches!(read(&document), Err(DidError::Invalid { .. })), "{at}: {document}");
    }
    let twice = subject().to_string().replacen('{', r#"{"id":"did:web:evil.example","#, 1);
    assert!(
        DidDocument::from_json(twice.as_bytes()).unwrap_err().to_string().contains("twice in one object")
    );
}

#[test]
fn bombs_are_bounded() {
    let refused = |document: &Value, expected: &str| {
        let error = read(document).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let mut large = subject();
    large["padding"] = json!("x".repeat(DidDocument::MAX_BYTES));
    refused(&large, "bytes");
    let mut many = subject();
    many["authentication"] = json!(vec!["#a"; DidDocument::MAX_METHODS + 1]);
    refused(&many, "entries");
    let mut methods = subject();
    methods["verificationMethod"] = (0..=DidDocument::MAX_METHODS)
        .map(|n| json!({"id": format!("#{n}"), "type": "X", "controller": "did:web:a"}))
        .collect();
    refused(&methods, "methods");
    let mut owners = subject();
    owners["controller"] = json!(vec!["did:web:a"; 17]);
    refused(&owners, "controllers");
    for open in ["[", r#"{"a":"#] {
        let bomb = format!(r#"{{"id":"did:web:a","b":{}"#, open.repeat(9_000));
        assert!(
            DidDocument::from_json(bomb.as_bytes()).unwrap_err().to_string().contains("nests deeper than 16")
        );
    }
    // Two readers of a member that is there twice may read two things, also of one that nobody here reads.
    let twice = r#"{"id":"did:web:a","service":[{"a":1,"b":{"c":1,"\u0063":2}}]}"#;
    assert!(
        DidDocument::from_json(twice.as_bytes()).unwrap_err().to_string().contains("twice in one object")
    );
    // A number is whatever it is: nothing here reads one.
    let number = r#"{"id":"did:web:a","service":[{"weight":1.5e300}]}"#;
    DidDocument::from_json(number.as_bytes()).unwrap();
    let mut wide = subject();
    wide["padding"] = json!(vec![0; DidDocument::MAX_VALUES]);
    assert!(
        DidDocument::from_json(wide.to_string().as_bytes())
            .unwrap_err()
            .to_string()
            .contains("more than 8192 values")
    );
    // Brackets in a text nest nothing.
    let mut text = subject();
    text["padding"] = json!("[{\"\\".repeat(100));
    assert!(read(&text).is_ok());
    let base58 = format!("did:key:z{}", "1".repeat(1_000));
    assert!(KeyMethod::document(&did(&base58)).is_err());
}

#[test]
fn a_key_off_its_form_or_curve_has_no_document() {
    for (curve, bytes) in [
        (Curve::Ed25519, vec![7; 31]),
        (Curve::P256, vec![2; 32]),
        (Curve::P256, vec![4; 33]),
        (Curve::P384, vec![2; 33]),
        (Curve::P521, vec![1; 67]),
    ] {
        assert!(CurveKey::new(curve, &bytes).is_err(), "{curve:?}");
    }
    let mut off = [0; 32];
    off[0] = 2;
    let name = KeyMethod::did(&CurveKey::new(Curve::Ed25519, &off).unwrap()).unwrap();
    assert!(KeyMethod::document(&name).is_err());
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics_and_what_is_read_is_written_alike(text in "(did:)?[a-z]{0,3}:?[a-zA-Z0-9.:%/?#_@ -]{0,24}") {
        if let Ok(did) = text.parse::<Did>() {
            prop_assert_eq!(did.to_string(), text.as_str());
            prop_assert_eq!(Did::new(did.method(), did.id()).unwrap(), did);
        }
        if let Ok(url) = text.parse::<DidUrl>() {
            prop_assert_eq!(url.to_string(), text.as_str());
        }
    }

    #[test]
    fn a_changed_document_never_panics(at in 0_usize..2_000, byte: u8, cut: bool) {
        let mut json = subject().to_string().into_bytes();
        let at = at % json.len();
        if cut { json.truncate(at) } else { json[at] = byte }
        let read = DidDocument::from_json(&json);
        prop_assert!(!cut || read.is_err());
    }

    #[test]
    fn every_key_is_read_back(at in 0_usize..6, bytes in prop::collection::vec(any::<u8>(), 66), odd: bool) {
        let curve = Curve::ALL[at];
        let key = match curve {
            Curve::Ed25519 | Curve::X25519 => bytes[..32].to_vec(),
            Curve::P256 | Curve::Secp256k1 => [&[2 + u8::from(odd)], &bytes[..32]].concat(),
            Curve::P384 => [&[2 + u8::from(odd)], &bytes[..48]].concat(),
            _ => [&[2 + u8::from(odd)], &bytes[..]].concat(),
        };
        let key = CurveKey::new(curve, &key).unwrap();
        prop_assert_eq!(CurveKey::from_multibase(&key.to_multibase()).unwrap(), key.clone());
        // Only a JWK says both coordinates.
        prop_assert_eq!(key.to_jwk().is_some(), matches!(curve, Curve::Ed25519 | Curve::X25519));
    }
}
