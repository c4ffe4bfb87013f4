//! Credentials: what holds, and every way in which one does not.
#![cfg(feature = "credentials")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // tests

mod common;
mod issuing;

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use depin_core::{Text, Timestamp};
use depin_identity::{
    Did, DidDocument, DidError, DidResolver, SoftwareKey, VerificationMethod,
    credential::{
        Credential, CredentialError, Documents, Expected, JsonError, Known, ProofError, ProofOptions,
        StatusLists, Suite, Terms, Unsigned, VerifiedCredential,
    },
    did::{KeyMethod, Purpose, Resolution},
};
use issuing::*;
use serde_json::{Value, json};

/// The verdict of somebody who trusts the root about the maker.
fn verdict(credential: &Value) -> Result<VerifiedCredential, CredentialError> {
    verdict_on(credential.to_string().as_bytes())
}

fn verdict_on(bytes: &[u8]) -> Result<VerifiedCredential, CredentialError> {
    static LISTS: LazyLock<StatusLists> = LazyLock::new(|| lists(&root(), &[]));
    let documents = Documents::default();
    Credential::parse(bytes)?.verify(&expected(&did(&root()), &did(&maker())), &known(&documents, &LISTS))
}

fn unsigned() -> Value {
    terms(&root()).maker(&grant(&maker(), 3)).unwrap()
}

#[test]
fn a_credential_by_an_attackers_own_key_in_a_manufacturers_name_is_refused() {
    let forged = sign(&unsigned(), &attacker());
    let method = did(&attacker()).url(did(&attacker()).id()).unwrap();
    let expected =
        CredentialError::IssuerDidNotSign { issuer: did(&root()).to_string(), signers: vec![method.clone()] };
    // The signature itself is right: it only says who made it.
    let signers = Credential::parse(forged.to_string().as_bytes()).unwrap();
    let signers = signers.secured().verify(Purpose::AssertionMethod, NOW, &Documents::default());
    assert_eq!(signers, Ok(vec![method]));
    assert_eq!(verdict(&forged), Err(expected.clone()));
    // Nor does it help to leave the issuer open.
    let (documents, lists) = (Documents::default(), lists(&root(), &[]));
    let anybody = Credential::parse(forged.to_string().as_bytes()).unwrap();
    assert_eq!(anybody.verify(&Expected::default(), &known(&documents, &lists)), Err(expected));
}

#[test]
fn a_method_in_the_issuers_name_with_an_attackers_key_is_refused() {
    // The DID is the root's, the fragment is the attacker's key.
    let method = did(&root()).url(did(&attacker()).id()).unwrap();
    let forged = sign_as(&unsigned(), &attacker(), &ProofOptions::new(Suite::EddsaJcs2022, method, NOW));
    assert!(matches!(
        verdict(&forged),
        Err(CredentialError::Proof(ProofError::Method(DidError::NotFound { .. })))
    ));
    // The method is the root's own.
    let method = did(&root()).url(did(&root()).id()).unwrap();
    let forged =
        sign_as(&unsigned(), &attacker(), &ProofOptions::new(Suite::EddsaJcs2022, method.clone(), NOW));
    assert_eq!(verdict(&forged), Err(CredentialError::Proof(ProofError::Signature { method })));
}

#[test]
fn a_credential_by_its_issuer_holds() {
    let verified = verdict(&maker_credential()).unwrap();
    assert_eq!(*verified.issuer(), did(&root()));
    assert_eq!(verified.subject(), Some(did(&maker()).as_str()));
    assert_eq!(verified.claims().unwrap()["quota"], 3);
    assert_eq!(verified.types(), ["VerifiableCredential", "MakerCredential"]);
    assert_eq!(verified.valid_until(), Some(Timestamp(NOW.0 + YEAR)));
}

#[test]
fn a_signer_behind_the_async_seam_signs_the_same() {
    let options = ProofOptions::of_key(&root().public().typed(), NOW).unwrap();
    let signed = pollster::block_on(Unsigned::new(&unsigned(), &options).unwrap().sign(&root())).unwrap();
    assert_eq!(signed, maker_credential());
}

/// A document of `did:web:maker.example` with `key`, listed for `purposes` and controlled by `controller`.
fn web_document(key: &SoftwareKey, purposes: &[Purpose], controller: Option<Did>) -> DidDocument {
    let did: Did = "did:web:maker.example".parse().unwrap();
    let own = KeyMethod::document(&issuing::did(key)).unwrap();
    let method = &own.verification_method[0];
    let controller = controller.unwrap_or_else(|| did.clone());
    let method = VerificationMethod { id: did.url("key-1").unwrap(), controller, ..method.clone() };
    let mut document = DidDocument::new(did);
    document.add(method, purposes);
    document
}

#[test]
fn a_key_counts_only_as_its_owners_document_lists_it() {
    let web: Did = "did:web:maker.example".parse().unwrap();
    let method = web.url("key-1").unwrap();
    let terms = Terms { issuer: web.clone(), status: None, ..terms(&root()) };
    let options = ProofOptions::new(Suite::EddsaJcs2022, method, NOW);
    let signed = sign_as(&terms.maker(&grant(&maker(), 3)).unwrap(), &root(), &options).to_string();
    let credential = Credential::parse(signed.as_bytes()).unwrap();
    let expected = Expected { issuer: Some(&web), without_status: true, ..Expected::default() };
    let judge = |document: Option<DidDocument>| {
        let documents: Documents = document.into_iter().collect();
        credential.verify(&expected, &known(&documents, &StatusLists::default()))
    };
    let assertion = [Purpose::AssertionMethod];
    assert_eq!(*judge(Some(web_document(&root(), &assertion, None))).unwrap().issuer(), web);
    assert_eq!(judge(None), Err(CredentialError::Proof(ProofError::Unresolved { did: web.clone() })));
    // Listed, but to log in; listed, but controlled by another; another key under the same name.
    let authentication = web_document(&root(), &[Purpose::Authentication], None);
    assert!(matches!(
        judge(Some(authentication)),
        Err(CredentialError::Proof(ProofError::Method(DidError::NotFound { .. })))
    ));
    let foreign = web_document(&root(), &assertion, Some(did(&attacker())));
    assert!(matches!(
        judge(Some(foreign)),
        Err(CredentialError::Proof(ProofError::Method(DidError::Invalid { .. })))
    ));
    let rotated = web_document(&key(9), &assertion, None);
    assert!(matches!(judge(Some(rotated)), Err(CredentialError::Proof(ProofError::Signature { .. }))));
}

/// A resolver of did:web that counts how often it is asked.
#[derive(Default)]
struct Web(AtomicUsize);

#[async_trait]
impl DidResolver for Web {
    fn methods(&self) -> Vec<&str> {
        ["web"].to_vec()
    }

    async fn resolve(&self, did: &Did, _: Option<&Text>) -> Result<Resolution, DidError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let document = web_document(&root(), &[Purpose::AssertionMethod], None);
        if document.id == *did {
            Ok(Resolution { document: Arc::new(document), version: None })
        } else {
            Err(DidError::unavailable(did, "no such host"))
        }
    }
}

#[test]
fn each_signer_is_resolved_once_and_a_did_key_never() {
    let (web, mut documents) = (Web::default(), Documents::default());
    let known: Did = "did:web:maker.example".parse().unwrap();
    let dids = [known.clone(), did(&root()), known];
    let resolve = |documents: &mut Documents, dids: &[Did]| pollster::block_on(documents.resolve(dids, &web));
    assert_eq!(resolve(&mut documents, &dids), Ok(()));
    assert_eq!(resolve(&mut documents, &dids), Ok(()));
    assert_eq!(web.0.load(Ordering::SeqCst), 1);
    let stranger = ["did:web:stranger.example".parse().unwrap()];
    assert!(matches!(resolve(&mut documents, &stranger), Err(DidError::Unavailable { .. })));
}

#[test]
fn a_method_with_a_path_or_query_is_refused_before_anything_resolves_it() {
    for tail in ["?accept=bogus#k", "?service=a&service=b#k", "/path#k", "", "#"] {
        let mut signed = maker_credential();
        signed["proof"]["verificationMethod"] = json!(format!("{}{tail}", did(&root())));
        let refused = Credential::parse(signed.to_string().as_bytes());
        assert!(matches!(refused, Err(CredentialError::Proof(ProofError::Method(_)))), "{tail}: {refused:?}");
    }
}

/// `document` with `change` made to it, signed by the root.
fn signed_with(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = unsigned();
    change(&mut document);
    sign(&document, &root())
}

#[test]
fn type_subject_issuer_and_form_are_asked_for() {
    let other = signed_with(|vc| vc["type"] = json!(["VerifiableCredential", "DeviceCredential"]));
    assert!(matches!(verdict(&other), Err(CredentialError::Type { .. })));
    let none = signed_with(|vc| vc["type"] = json!(["MakerCredential"]));
    assert!(matches!(verdict(&none), Err(CredentialError::Type { .. })));
    let other = signed_with(|vc| vc["credentialSubject"]["id"] = json!(did(&device())));
    let (found, expected) = (Some(did(&device()).to_string()), did(&maker()));
    assert_eq!(verdict(&other), Err(CredentialError::Subject { found, expected }));
    let nobody = signed_with(|vc| drop(vc["credentialSubject"].as_object_mut().unwrap().remove("id")));
    assert!(matches!(verdict(&nobody), Err(CredentialError::Subject { found: None, .. })));
    let mut other = unsigned();
    other["issuer"] = json!(did(&attacker()));
    let (found, expected) = (did(&attacker()).to_string(), did(&root()));
    assert_eq!(verdict(&sign(&other, &attacker())), Err(CredentialError::Issuer { found, expected }));
    for (property, value) in [
        ("issuer", json!(7)),
        ("issuer", json!({"name": "root"})),
        ("credentialSubject", json!([])),
        ("credentialSubject", json!([{"id": "did:example:a"}])),
        ("credentialSubject", json!({})),
        ("validFrom", json!("yesterday")),
        ("validUntil", json!(null)),
        ("type", json!([["VerifiableCredential"]])),
        ("@context", json!("https://www.w3.org/ns/credentials/v2")),
        ("@context", json!(["https://www.w3.org/2018/credentials/v1"])),
    ] {
        let refused = verdict(&signed_with(|vc| vc[property] = value.clone()));
        assert!(
            matches!(refused, Err(CredentialError::Property { property: found, .. }) if found == property),
            "{property} {value}: {refused:?}"
        );
    }
}

#[test]
fn a_credential_holds_from_its_first_to_its_last_moment() {
    let (documents, lists) = (Documents::default(), lists(&root(), &[]));
    let credential = Credential::parse(maker_credential().to_string().as_bytes()).unwrap();
    let (from, until) = (Timestamp(NOW.0 - YEAR), Timestamp(NOW.0 + YEAR));
    let (issuer, subject) = (did(&root()), did(&maker()));
    let at = |now| {
        let known = Known { now, documents: &documents, lists: &lists };
        credential.verify(&expected(&issuer, &subject), &known)
    };
    assert!(at(from).is_ok() && at(until).is_ok());
    let now = Timestamp(from.0 - 1);
    assert_eq!(at(now), Err(CredentialError::NotYetValid { from, now }));
    let now = Timestamp(until.0 + 1);
    assert_eq!(at(now), Err(CredentialError::Expired { until, now }));
    let mut options = ProofOptions::of_key(&root().public().typed(), NOW).unwrap();
    options.expires = Some(Timestamp(NOW.0 - 1_000));
    let refused = verdict(&sign_as(&unsigned(), &root(), &options));
    assert!(matches!(refused, Err(CredentialError::Proof(ProofError::Expired { .. }))));
}

#[test]
fn a_proof_for_another_purpose_is_refused() {
    let mut options = ProofOptions::of_key(&root().public().typed(), NOW).unwrap();
    options.purpose = Purpose::Authentication;
    let (found, expected) = ("authentication", "assertionMethod");
    let refused = CredentialError::Proof(ProofError::Purpose { found, expected });
    assert_eq!(verdict(&sign_as(&unsigned(), &root(), &options)), Err(refused));
}

#[test]
fn suites_of_the_past_and_strangers_are_refused_by_name() {
    for (member, name) in [
        ("type", "Ed25519Signature2018"),
        ("type", "Ed25519Signature2020"),
        ("type", "JsonWebSignature2020"),
        ("cryptosuite", "eddsa-2022"),
        ("cryptosuite", "none"),
        ("cryptosuite", "EDDSA-JCS-2022"),
        ("cryptosuite", ""),
    ] {
        let mut signed = maker_credential();
        signed["proof"][member] = json!(name);
        let found = name.to_owned();
        assert_eq!(verdict(&signed), Err(CredentialError::Proof(ProofError::Suite { found })));
    }
}

#[test]
fn contexts_of_proof_and_document_are_one() {
    let mut appended = maker_credential();
    appended["@context"].as_array_mut().unwrap().push(json!("https://example.org/more"));
    assert_eq!(verdict(&appended), Err(CredentialError::Proof(ProofError::Context)));
    let mut without = maker_credential();
    without["proof"].as_object_mut().unwrap().remove("@context");
    assert!(matches!(verdict(&without), Err(CredentialError::Proof(ProofError::Signature { .. }))));
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bytes = maker_credential().to_string().into_bytes();
    assert!(verdict_on(&bytes).is_ok());
    // Compact JSON has no white space and no escape to spell otherwise: every single bit counts.
    common::each_bit_flipped(&bytes, |bit, flipped| assert!(verdict_on(flipped).is_err(), "bit {bit}"));
    for len in 0..bytes.len() {
        assert!(verdict_on(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn white_space_order_and_escapes_are_not_signed() {
    let signed = maker_credential();
    let right = verdict(&signed).unwrap();
    let pretty = serde_json::to_string_pretty(&signed).unwrap();
    assert_eq!(verdict_on(pretty.as_bytes()), Ok(right.clone()));
    let escaped = signed.to_string().replace("MakerCredential\"", "\\u004dakerCredential\"");
    assert_ne!(escaped, signed.to_string());
    assert_eq!(verdict_on(escaped.as_bytes()), Ok(right));
}

#[test]
fn json_that_reads_in_two_ways_is_refused() {
    let text = maker_credential().to_string();
    let twice = text.replacen("\"quota\":3", "\"quota\":3,\"quota\":4", 1);
    let key = "quota".to_owned();
    assert_eq!(
        verdict_on(twice.as_bytes()),
        Err(CredentialError::Proof(ProofError::Json(JsonError::DuplicateKey { key })))
    );
    for number in ["3.0", "3e0", "30000000000000000000"] {
        let other = text.replacen("\"quota\":3", &format!("\"quota\":{number}"), 1);
        let refused = verdict_on(other.as_bytes());
        assert!(matches!(refused, Err(CredentialError::Proof(ProofError::Json(JsonError::Number { .. })))));
    }
    let long = format!("{text}{}", " ".repeat(65_536));
    let refused = verdict_on(long.as_bytes());
    assert!(matches!(refused, Err(CredentialError::Proof(ProofError::Json(JsonError::TooLong { .. })))));
    let mut stranger = maker_credential();
    stranger["proof"]["capability"] = json!("urn:x");
    let member = "capability".to_owned();
    assert_eq!(verdict(&stranger), Err(CredentialError::Proof(ProofError::UnknownMember { member })));
}
