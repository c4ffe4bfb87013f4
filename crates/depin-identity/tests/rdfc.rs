//! The RDFC suites: ours against ssi, and what ssi leaves to its caller.
#![cfg(feature = "ssi")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // tests

mod common;
mod issuing;

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin_identity::{
    SoftwareKey,
    credential::{
        Credential, CredentialError, Documents, Expected, MakerGrant, ProofError, ProofOptions,
        SecuredDocument, StatusLists, Suite, Unsigned, VerifiedCredential,
    },
    did::Purpose,
};
use issuing::*;
use serde_json::{Value, json};
use ssi::{
    JWK,
    claims::{
        VerificationParameters,
        data_integrity::{AnySuite, CryptographicSuite as _, ProofOptions as SsiOptions},
        vc::v2::JsonCredential,
    },
    dids::{DIDKey, DIDResolver as _},
    verification_methods::{AnyMethod, SingleSecretSigner},
};

fn rdfc(signer: &SoftwareKey) -> ProofOptions {
    let options = ProofOptions::of_key(&signer.public().typed(), NOW).unwrap();
    ProofOptions { suite: Suite::EddsaRdfc2022, ..options }
}

fn unsigned() -> Value {
    terms(&root()).maker(&grant(&maker(), 3)).unwrap()
}

fn signed() -> Value {
    sign_as(&unsigned(), &root(), &rdfc(&root()))
}

fn verdict_on(bytes: &[u8]) -> Result<VerifiedCredential, CredentialError> {
    static LISTS: LazyLock<StatusLists> = LazyLock::new(|| lists(&root(), &[]));
    let documents = Documents::default();
    Credential::parse(bytes)?.verify(&expected(&did(&root()), &did(&maker())), &known(&documents, &LISTS))
}

fn verdict(credential: &Value) -> Result<VerifiedCredential, CredentialError> {
    verdict_on(credential.to_string().as_bytes())
}

#[test]
fn a_credential_by_its_issuer_holds() {
    assert_eq!(verdict(&signed()).unwrap().claims().unwrap()["quota"], 3);
}

#[test]
fn a_credential_by_an_attackers_own_key_in_a_manufacturers_name_is_refused() {
    let forged = sign_as(&unsigned(), &attacker(), &rdfc(&attacker()));
    assert!(matches!(verdict(&forged), Err(CredentialError::IssuerDidNotSign { .. })));
}

#[test]
fn flipped_bits_and_every_cut_are_refused() {
    let bytes = signed().to_string().into_bytes();
    assert!(verdict_on(&bytes).is_ok());
    let value = signed()["proof"]["proofValue"].to_string().into_bytes();
    let start = bytes.windows(value.len()).position(|window| window == value).unwrap();
    // Every bit of the signature, and one of each other byte: RDF is not canonicalized eight thousand times in a test.
    common::each_bit_flipped(&bytes, |bit, flipped| {
        let at = bit / 8;
        if (start..start + value.len()).contains(&at) || bit % 8 == at % 8 {
            assert!(verdict_on(flipped).is_err(), "bit {bit}");
        }
    });
    for len in 0..bytes.len() {
        assert!(verdict_on(&bytes[..len]).is_err(), "{len}");
    }
}

/// The verdict on a credential with `change` made to it before the root signs.
fn sign_changed(change: impl FnOnce(&mut Value)) -> Result<Value, String> {
    let mut document = unsigned();
    change(&mut document);
    let unsigned = Unsigned::new(&document, &rdfc(&root())).map_err(|error| error.to_string())?;
    let signature = root().signature(unsigned.message());
    Ok(unsigned.finish(&signature))
}

#[test]
fn what_rdf_would_not_sign_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 12] = [
        ("a name that is no IRI", |vc| vc["id"] = json!("serial-1")),
        ("a status without a right name", |vc| vc["credentialStatus"]["id"] = json!("alice")),
        ("one name for two", |vc| {
            vc["credentialStatus"]["id"] = vc["credentialSubject"]["id"].clone();
        }),
        ("null", |vc| vc["credentialSubject"]["bond"] = json!(null)),
        ("[]", |vc| vc["credentialSubject"]["kinds"] = json!([])),
        ("{}", |vc| vc["credentialSubject"]["kinds"] = json!([{}])),
        ("@value", |vc| vc["credentialSubject"]["bond"] = json!({"@value": "30"})),
        ("@context", |vc| vc["credentialSubject"]["@context"] = json!({"quota": "urn:x"})),
        ("@graph", |vc| vc["@graph"] = json!([{"id": "urn:x"}])),
        ("_:b0", |vc| vc["credentialSubject"]["kinds"] = json!(["_:b0"])),
        ("urn:x", |vc| vc["credentialSubject"]["urn:x"] = json!("y")),
        ("undefined", |vc| vc["credentialSubject"]["undefined"] = json!("term")),
    ];
    for (what, change) in changes {
        let mut later = signed();
        change(&mut later);
        let refused = verdict(&later);
        assert!(matches!(refused, Err(CredentialError::Proof(_))), "{what}: {refused:?}");
        // Nor is it signed in the first place.
        assert!(sign_changed(change).is_err(), "{what}");
    }
}

#[test]
fn a_context_that_is_not_built_in_is_never_fetched() {
    for context in
        [json!("https://example.org/context"), json!({"quota": "urn:x"}), json!("not a URL"), json!(7)]
    {
        let refused = sign_changed(|vc| vc["@context"].as_array_mut().unwrap().push(context.clone()));
        assert!(refused.unwrap_err().contains("is not built in"));
        let mut later = signed();
        later["@context"].as_array_mut().unwrap().push(context);
        let refused = verdict(&later);
        assert!(matches!(refused, Err(CredentialError::Proof(ProofError::UnknownContext { .. }))));
    }
}

#[test]
fn percent_encodings_of_no_text_are_refused_without_a_panic() {
    for (path, value) in [
        ("/@context/1", "https://depin-rs.github.io/depin/%ed/v1"),
        ("/issuer", "did:key:z%bD"),
        ("/credentialSubject/id", "did:key:z%bD"),
        ("/credentialStatus/statusListCredential", "https://status.example/%ff"),
        ("/type/1", "https://example.org/%c3%28"),
        ("/proof/verificationMethod", "did:web:a%ff#key"),
    ] {
        let mut changed = signed();
        *changed.pointer_mut(path).unwrap() = json!(value);
        let secured = SecuredDocument::parse(changed.to_string().as_bytes()).unwrap();
        assert!(secured.verify(Purpose::AssertionMethod, NOW, &Documents::default()).is_err(), "{path}");
        // Nor is it signed in the first place.
        changed.as_object_mut().unwrap().remove("proof");
        let mut options = rdfc(&root());
        if path.starts_with("/proof") {
            options.method = value.parse().unwrap();
        }
        assert!(Unsigned::new(&changed, &options).is_err(), "{path}");
    }
    let fine = sign_changed(|vc| vc["credentialSubject"]["kinds"] = json!(["100 % %c3%a9 %z %"]));
    assert!(verdict(&fine.unwrap()).is_ok());
}

/// Of a set RDF signs what is in it, and of contexts what they make of the terms.
#[test]
fn what_rdf_does_not_sign_changes_nothing_that_is_read() {
    type Change = fn(&mut Value);
    let changes: [Change; 4] = [
        |vc| vc["type"].as_array_mut().unwrap().reverse(),
        |vc| vc["credentialSubject"]["kinds"].as_array_mut().unwrap().reverse(),
        |vc| vc["credentialSubject"]["kinds"].as_array_mut().unwrap().push(json!("radio")),
        |vc| vc["@context"].as_array_mut().unwrap().push(json!("https://www.w3.org/ns/credentials/v2")),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = signed();
        change(&mut changed);
        assert_ne!(changed, signed());
        let claims = verdict(&changed).unwrap().claims().unwrap().clone();
        let read: MakerGrant = serde_json::from_value(Value::Object(claims)).unwrap();
        assert_eq!(read, grant(&maker(), 3), "{number}");
    }
}

/// Each is processed where it stands: a thousand names of one context cost as much as a thousand contexts.
#[test]
fn contexts_are_few() {
    let with = |count: usize| {
        let more = vec![json!("https://www.w3.org/ns/credentials/v2"); count];
        sign_changed(|vc| vc["@context"].as_array_mut().unwrap().extend(more))
    };
    assert!(with(6).is_ok());
    for count in [7, 1_300] {
        assert!(with(count).unwrap_err().contains("contexts"), "{count}");
    }
}

/// Canonicalization tries every order of nodes that nothing tells apart: 24 of them would keep it busy for longer than the universe is old.
#[test]
fn nodes_that_are_alike_are_few() {
    let with = |count: usize| {
        sign_changed(|vc| vc["credentialSchema"] = json!(vec![json!({"type": "JsonSchema"}); count]))
    };
    assert!(with(5).is_ok());
    for count in [6, 24, 1_000] {
        assert!(with(count).unwrap_err().contains("alike"), "{count}");
    }
}

const SEEDS: [u8; 3] = [1, 2, 66];

fn jwk(seed: u8) -> JWK {
    let public = URL_SAFE_NO_PAD.encode(key(seed).public().typed().key());
    let secret = URL_SAFE_NO_PAD.encode([seed; 32]);
    serde_json::from_value(json!({"kty": "OKP", "crv": "Ed25519", "x": public, "d": secret})).unwrap()
}

/// A credential in the terms of the examples' context, which has a definition for every term.
fn example(issuer: &SoftwareKey, name: &str, number: u64) -> Value {
    json!({
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://www.w3.org/ns/credentials/examples/v2"],
        "id": format!("urn:uuid:00000000-0000-4000-8000-{number:012}"),
        "type": ["VerifiableCredential", "AlumniCredential"],
        "issuer": did(issuer),
        "name": name,
        "validFrom": "2023-01-01T00:00:00Z",
        "credentialSubject": {"id": did(&maker()), "alumniOf": name, "number": number},
    })
}

/// Signed by ssi with the key of `seed`.
async fn sign_by_ssi(document: Value, seed: u8) -> Value {
    let resolver = DIDKey.into_vm_resolver::<AnyMethod>();
    let credential: JsonCredential = serde_json::from_value(document).unwrap();
    let method = DIDKey::generate_url(&jwk(seed)).unwrap().into_iri();
    let signer = SingleSecretSigner::new(jwk(seed)).into_local();
    let options = SsiOptions::from_method(method.into());
    let signed = AnySuite::EdDsaRdfc2022.sign(credential, &resolver, signer, options).await.unwrap();
    serde_json::to_value(&signed).unwrap()
}

/// What ssi says of the signature.
async fn ssi_accepts(credential: &Value) -> bool {
    let resolver = DIDKey.into_vm_resolver::<AnyMethod>();
    let bytes = credential.to_string();
    let parsed = ssi::claims::data_integrity::from_json_slice::<JsonCredential, AnySuite>(bytes.as_bytes());
    let Ok(parsed) = parsed else { return false };
    parsed.verify(VerificationParameters::from_resolver(&resolver)).await.is_ok_and(|verdict| verdict.is_ok())
}

/// What we say of the signature.
fn we_accept(credential: &Value) -> bool {
    SecuredDocument::parse(credential.to_string().as_bytes())
        .and_then(|secured| secured.verify(Purpose::AssertionMethod, NOW, &Documents::default()))
        .is_ok()
}

#[test]
fn ssi_and_we_agree_on_signatures() {
    pollster::block_on(async {
        let mut accepted = 0;
        for (number, seed) in (0..).zip(SEEDS.into_iter().cycle().take(12)) {
            let names = ["plain", "\u{1f600} \u{fb33}", "tab\t\"quote\" \\ \u{7f}\u{0}", ""];
            let document = example(&key(seed), names[number % 4], u64::try_from(number).unwrap());
            let theirs = sign_by_ssi(document.clone(), seed).await;
            let ours = sign_as(&document, &key(seed), &rdfc(&key(seed)));
            for credential in [&theirs, &ours] {
                assert!(ssi_accepts(credential).await && we_accept(credential), "{credential}");
                accepted += 1;
                for (path, value) in [
                    ("/name", json!("Another")),
                    ("/issuer", json!(did(&key(77)))),
                    ("/credentialSubject/number", json!(1_000)),
                    ("/credentialSubject/id", json!("did:example:b")),
                    ("/proof/created", json!("2023-01-01T00:00:01Z")),
                    ("/proof/verificationMethod", json!(rdfc(&key(77)).method)),
                    ("/proof/proofPurpose", json!("authentication")),
                    ("/proof/cryptosuite", json!("ecdsa-rdfc-2019")),
                ] {
                    let mut changed = credential.clone();
                    *changed.pointer_mut(path).unwrap() = value;
                    assert!(!ssi_accepts(&changed).await && !we_accept(&changed), "{path}");
                }
            }
        }
        assert_eq!(accepted, 24);
    });
}

/// The reason for the checks on top: to ssi, any right signature is a right credential.
#[test]
fn what_ssi_accepts_of_an_attacker_is_refused_here() {
    let forged = pollster::block_on(sign_by_ssi(example(&root(), "forged", 1), 66));
    assert!(pollster::block_on(ssi_accepts(&forged)));
    let (documents, lists) = (Documents::default(), StatusLists::default());
    let expected = Expected { without_status: true, ..Expected::default() };
    let judge = |credential: &Value| {
        Credential::parse(credential.to_string().as_bytes())?.verify(&expected, &known(&documents, &lists))
    };
    assert!(matches!(judge(&forged), Err(CredentialError::IssuerDidNotSign { .. })));
    let right = pollster::block_on(sign_by_ssi(example(&root(), "right", 1), 1));
    assert_eq!(*judge(&right).unwrap().issuer(), did(&root()));
}

#[test]
fn both_families_in_one_set_have_to_hold() {
    let both = sign(&signed(), &root());
    assert_eq!(verdict(&both).unwrap().signers().len(), 2);
    let mut bad = both.clone();
    bad["proof"][0]["created"] = json!("2023-01-01T00:00:00Z");
    assert!(matches!(verdict(&bad), Err(CredentialError::Proof(ProofError::Signature { .. }))));
}
