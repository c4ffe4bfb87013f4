//! Proof sets and chains, and the status of credentials.
#![cfg(feature = "credentials")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // tests

mod common;
mod issuing;

use std::sync::LazyLock;

use depin_core::Timestamp;
use depin_identity::credential::{
    Credential, CredentialError, Documents, Expected, ProofError, ProofOptions, StatusError, StatusLists,
    Unsigned, VerifiedCredential,
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

/// What `change` makes of it, signed by the root.
fn signed_with(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = unsigned();
    change(&mut document);
    sign(&document, &root())
}

#[test]
fn every_proof_of_a_set_has_to_hold() {
    let both = sign(&maker_credential(), &key(8));
    let verified = verdict(&both).unwrap();
    assert_eq!(verified.signers().len(), 2);
    for at in [0, 1] {
        let mut bad = both.clone();
        bad["proof"][at]["created"] = json!("2023-01-01T00:00:00Z");
        assert!(matches!(verdict(&bad), Err(CredentialError::Proof(ProofError::Signature { .. }))));
    }
    // A cosigner that was asked for and left out.
    let (documents, lists) = (Documents::default(), lists(&root(), &[]));
    let cosigners = [did(&key(8))];
    let judge = |credential: &Value| {
        let expected = Expected { cosigners: &cosigners, ..expected(&cosigners[0], &cosigners[0]) };
        let expected = Expected { issuer: None, subject: None, ..expected };
        Credential::parse(credential.to_string().as_bytes())?.verify(&expected, &known(&documents, &lists))
    };
    assert!(judge(&both).is_ok());
    let cosigner = did(&key(8));
    assert_eq!(judge(&maker_credential()), Err(CredentialError::CosignerMissing { cosigner }));
    let mut crowd = maker_credential();
    let one = crowd["proof"].clone();
    crowd["proof"] = json!(vec![one; 9]);
    assert_eq!(verdict(&crowd), Err(CredentialError::Proof(ProofError::TooMany { found: 9, max: 8 })));
    crowd["proof"] = json!([]);
    assert_eq!(verdict(&crowd), Err(CredentialError::Proof(ProofError::Missing)));
    crowd.as_object_mut().unwrap().remove("proof");
    assert_eq!(verdict(&crowd), Err(CredentialError::Proof(ProofError::Missing)));
}

#[test]
fn a_chain_of_proofs_holds_together() {
    let mut first = ProofOptions::of_key(&root().public().typed(), NOW).unwrap();
    first.id = Some("urn:uuid:1".to_owned());
    let mut second = ProofOptions::of_key(&key(8).public().typed(), NOW).unwrap();
    second.previous = vec!["urn:uuid:1".to_owned()];
    let chain = sign_as(&sign_as(&unsigned(), &root(), &first), &key(8), &second);
    assert_eq!(verdict(&chain).unwrap().signers().len(), 2);
    // The first is gone, renamed, doubled, or made anew without the second.
    let id = "urn:uuid:1".to_owned();
    let missing = CredentialError::Proof(ProofError::PreviousMissing { id: id.clone() });
    let mut cut = chain.clone();
    cut["proof"] = chain["proof"][1].clone();
    assert_eq!(verdict(&cut), Err(missing.clone()));
    let mut renamed = chain.clone();
    renamed["proof"][0]["id"] = json!("urn:uuid:2");
    assert_eq!(verdict(&renamed), Err(missing));
    let mut doubled = chain.clone();
    doubled["proof"] = json!([chain["proof"][0], chain["proof"][0], chain["proof"][1]]);
    assert_eq!(verdict(&doubled), Err(CredentialError::Proof(ProofError::DuplicateId { id })));
    first.created = Timestamp(NOW.0 + 1_000);
    let again = sign_as(&unsigned(), &root(), &first);
    let mut swapped = chain.clone();
    swapped["proof"][0] = again["proof"].clone();
    assert!(matches!(verdict(&swapped), Err(CredentialError::Proof(ProofError::Signature { .. }))));
    let refused = Unsigned::new(&unsigned(), &second);
    assert!(refused.is_err());
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_set_and_of_a_chain_is_refused() {
    let mut first = ProofOptions::of_key(&root().public().typed(), NOW).unwrap();
    first.id = Some("urn:uuid:1".to_owned());
    let mut second = ProofOptions::of_key(&key(8).public().typed(), NOW).unwrap();
    let one = sign_as(&unsigned(), &root(), &first);
    let set = sign_as(&one, &key(8), &second);
    second.previous = vec!["urn:uuid:1".to_owned()];
    let chain = sign_as(&one, &key(8), &second);
    for signed in [set, chain] {
        let bytes = signed.to_string().into_bytes();
        assert!(verdict_on(&bytes).is_ok());
        common::each_bit_flipped(&bytes, |bit, flipped| assert!(verdict_on(flipped).is_err(), "bit {bit}"));
        for len in 0..bytes.len() {
            assert!(verdict_on(&bytes[..len]).is_err(), "{len}");
        }
    }
}

#[test]
fn status_fails_closed() {
    let (issuer, subject, documents) = (did(&root()), did(&maker()), Documents::default());
    let judge = |credential: &Value, lists: &StatusLists| {
        Credential::parse(credential.to_string().as_bytes())?
            .verify(&expected(&issuer, &subject), &known(&documents, lists))
    };
    let list = || LIST.to_owned();
    let refused = |error: StatusError| Err(CredentialError::Status(error));
    let credential = maker_credential();
    assert!(judge(&credential, &lists(&root(), &[6, 8])).is_ok());
    assert_eq!(
        judge(&credential, &lists(&root(), &[7])),
        refused(StatusError::Revoked { list: list(), index: 7 })
    );
    let none = StatusLists::default();
    assert_eq!(judge(&credential, &none), refused(StatusError::ListMissing { list: list() }));
    let (found, expected) = (did(&attacker()), did(&root()));
    assert_eq!(
        judge(&credential, &lists(&attacker(), &[])),
        refused(StatusError::Issuer { list: list(), found, expected })
    );
    let without = signed_with(|vc| drop(vc.as_object_mut().unwrap().remove("credentialStatus")));
    assert_eq!(judge(&without, &none), refused(StatusError::Missing));
    let beyond = signed_with(|vc| vc["credentialStatus"]["statusListIndex"] = json!("131072"));
    assert!(matches!(
        judge(&beyond, &lists(&root(), &[])),
        Err(CredentialError::Status(StatusError::List(_)))
    ));
    let suspended = signed_with(|vc| vc["credentialStatus"]["statusPurpose"] = json!("suspension"));
    assert!(matches!(
        judge(&suspended, &lists(&root(), &[])),
        Err(CredentialError::Status(StatusError::Purpose { .. }))
    ));
    for (property, value) in [
        ("type", json!("RevocationList2020Status")),
        ("statusPurpose", json!("refresh")),
        ("statusSize", json!(2)),
        ("statusListIndex", json!(7)),
        ("statusListIndex", json!("07")),
        ("statusListIndex", json!("-7")),
        ("statusListCredential", json!(null)),
    ] {
        let entry = signed_with(|vc| vc["credentialStatus"][property] = value.clone());
        let refused = judge(&entry, &lists(&root(), &[]));
        assert!(
            matches!(refused, Err(CredentialError::Status(StatusError::Entry { property: found, .. })) if found == property),
            "{property}: {refused:?}"
        );
    }
}
