//! Presentations: shown by the one the credential is about, to this verifier, now.
#![cfg(feature = "credentials")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // tests

mod common;
mod issuing;

use depin_identity::{
    SoftwareKey,
    credential::{
        CredentialError, Documents, Expected, Presentation, PresentationError, ProofError, ProofOptions,
        StatusLists, Terms, VerifiedCredential,
    },
    did::Purpose,
};
use issuing::*;
use serde_json::{Value, json};

const CHALLENGE: &str = "4f0c5d3e";
const DOMAIN: &str = "https://node.example";

fn device_credential() -> Value {
    sign(&Terms { status: None, ..terms(&maker()) }.device(&claim(&device(), 0)).unwrap(), &maker())
}

fn options(signer: &SoftwareKey) -> ProofOptions {
    let mut options = ProofOptions::of_key(&signer.public().typed(), NOW).unwrap();
    options.purpose = Purpose::Authentication;
    options.challenge = Some(CHALLENGE.to_owned());
    options.domain = Some(DOMAIN.to_owned());
    options
}

fn presented(signer: &SoftwareKey, change: impl FnOnce(&mut ProofOptions)) -> Value {
    let mut options = options(signer);
    change(&mut options);
    sign_as(&Terms::presentation(&did(&device()), vec![device_credential()]), signer, &options)
}

fn verdict(presentation: &[u8]) -> Result<Vec<VerifiedCredential>, PresentationError> {
    let (documents, lists) = (Documents::default(), StatusLists::default());
    let known = known(&documents, &lists);
    let verified = Presentation::parse(presentation)?.verify(CHALLENGE, DOMAIN, &known)?;
    assert_eq!(*verified.holder(), did(&device()));
    let maker = did(&maker());
    let expected = Expected { issuer: Some(&maker), without_status: true, ..Expected::default() };
    Ok(verified.verify(&expected, &known)?)
}

fn of(presentation: &Value) -> Result<Vec<VerifiedCredential>, PresentationError> {
    verdict(presentation.to_string().as_bytes())
}

#[test]
fn what_its_subject_shows_holds() {
    let credentials = of(&presented(&device(), |_| ())).unwrap();
    assert_eq!(credentials.len(), 1);
    assert_eq!(credentials[0].subject(), Some(did(&device()).as_str()));
}

#[test]
fn nobody_else_shows_it() {
    let refused = PresentationError::Holder { holder: did(&device()), found: did(&attacker()) };
    assert_eq!(of(&presented(&attacker(), |_| ())), Err(refused));
    // An attacker as holder of another's credential.
    let stolen = Terms::presentation(&did(&attacker()), vec![device_credential()]);
    let stolen = sign_as(&stolen, &attacker(), &options(&attacker())).to_string();
    let (documents, lists) = (Documents::default(), StatusLists::default());
    let known = known(&documents, &lists);
    let verified = Presentation::parse(stolen.as_bytes()).unwrap().verify(CHALLENGE, DOMAIN, &known).unwrap();
    let subject = did(&device());
    let expected = Expected { subject: Some(&subject), without_status: true, ..Expected::default() };
    let (found, expected_subject) = (Some(did(&device()).to_string()), did(&attacker()));
    assert_eq!(
        verified.verify(&expected, &known),
        Err(CredentialError::Subject { found, expected: expected_subject })
    );
}

#[test]
fn another_challenge_domain_or_purpose_is_refused() {
    let refused = of(&presented(&device(), |options| options.challenge = Some("other".to_owned())));
    assert_eq!(refused, Err(PresentationError::Challenge { found: Some("other".to_owned()) }));
    let refused = of(&presented(&device(), |options| options.challenge = None));
    assert_eq!(refused, Err(PresentationError::Challenge { found: None }));
    let refused =
        of(&presented(&device(), |options| options.domain = Some("https://evil.example".to_owned())));
    assert!(matches!(refused, Err(PresentationError::Domain { .. })));
    let refused = of(&presented(&device(), |options| options.domain = None));
    assert!(matches!(refused, Err(PresentationError::Domain { .. })));
    let refused = of(&presented(&device(), |options| options.purpose = Purpose::AssertionMethod));
    assert!(matches!(refused, Err(PresentationError::Proof(ProofError::Purpose { .. }))));
    // An empty challenge is none.
    let (documents, lists) = (Documents::default(), StatusLists::default());
    let empty = presented(&device(), |options| options.challenge = Some(String::new())).to_string();
    let refused =
        Presentation::parse(empty.as_bytes()).unwrap().verify("", DOMAIN, &known(&documents, &lists));
    assert!(matches!(refused, Err(PresentationError::Challenge { .. })));
}

#[test]
fn a_presentation_has_the_form_of_one() {
    for (property, value) in [
        ("type", json!(["VerifiableCredential"])),
        ("holder", json!("https://device.example")),
        ("verifiableCredential", json!([])),
        ("verifiableCredential", json!(["data:application/vc+jwt,e30"])),
        ("verifiableCredential", json!(vec![device_credential(); 9])),
    ] {
        let mut changed = presented(&device(), |_| ());
        changed[property] = value;
        let refused = of(&changed);
        assert!(
            matches!(refused, Err(PresentationError::Property { property: found, .. }) if found == property),
            "{property}: {refused:?}"
        );
    }
    let mut unsigned = presented(&device(), |_| ());
    unsigned["verifiableCredential"][0].as_object_mut().unwrap().remove("proof");
    assert!(matches!(of(&unsigned), Err(PresentationError::Proof(ProofError::Missing))));
}

#[test]
fn a_flipped_bit_or_a_cut_is_refused() {
    let bytes = presented(&device(), |_| ()).to_string().into_bytes();
    assert!(verdict(&bytes).is_ok());
    common::each_bit_flipped(&bytes, |bit, flipped| assert!(verdict(flipped).is_err(), "bit {bit}"));
    for len in 0..bytes.len() {
        assert!(verdict(&bytes[..len]).is_err(), "{len}");
    }
}
