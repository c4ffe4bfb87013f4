//! ECDSA over P-256, as secure elements speak it.
#![cfg(feature = "credentials")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // tests

mod common;
mod issuing;

use depin_core::KeyType;
use depin_identity::{
    SoftwareKey,
    credential::{Credential, CredentialError, Documents, ProofError, ProofOptions, Suite},
};
use issuing::*;
use serde_json::json;

#[test]
fn a_suite_goes_with_the_type_of_the_key() {
    let p256 = SoftwareKey::from_secret(KeyType::P256, [5; 32]).unwrap();
    for (signer, right, wrong) in
        [(root(), Suite::EddsaJcs2022, Suite::EcdsaJcs2019), (p256, Suite::EcdsaJcs2019, Suite::EddsaJcs2022)]
    {
        let document = terms(&signer).maker(&grant(&maker(), 3)).unwrap();
        let method = did(&signer).url(did(&signer).id()).unwrap();
        let judge = |suite| {
            let options = ProofOptions::new(suite, method.clone(), NOW);
            let (documents, lists) = (Documents::default(), lists(&signer, &[]));
            let credential = sign_as(&document, &signer, &options).to_string();
            Credential::parse(credential.as_bytes())
                .unwrap()
                .verify(&expected(&did(&signer), &did(&maker())), &known(&documents, &lists))
        };
        assert!(judge(right).is_ok());
        assert!(matches!(judge(wrong), Err(CredentialError::Proof(ProofError::KeyType { .. }))));
    }
}

#[test]
fn either_of_the_two_ecdsa_signatures_holds_and_no_third() {
    let p256 = SoftwareKey::from_secret(KeyType::P256, [5; 32]).unwrap();
    let signed = sign(&terms(&p256).maker(&grant(&maker(), 3)).unwrap(), &p256);
    let value = signed["proof"]["proofValue"].as_str().unwrap();
    let bytes = bs58::decode(&value[1..]).into_vec().unwrap();
    let low = p256::ecdsa::Signature::from_slice(&bytes).unwrap();
    let high = p256::ecdsa::Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).unwrap();
    let (documents, lists) = (Documents::default(), lists(&p256, &[]));
    let judge = |signature: &[u8]| {
        let mut signed = signed.clone();
        signed["proof"]["proofValue"] = json!(format!("z{}", bs58::encode(signature).into_string()));
        Credential::parse(signed.to_string().as_bytes())?
            .verify(&expected(&did(&p256), &did(&maker())), &known(&documents, &lists))
    };
    assert!(judge(&low.to_bytes()).is_ok() && judge(&high.to_bytes()).is_ok());
    assert!(judge(&[0; 64]).is_err() && judge(&[0xff; 64]).is_err() && judge(&[1; 64]).is_err());
    assert!(judge(&low.to_bytes()[..63]).is_err() && judge(low.to_der().as_bytes()).is_err());
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let p256 = SoftwareKey::from_secret(KeyType::P256, [5; 32]).unwrap();
    let bytes = sign(&terms(&p256).maker(&grant(&maker(), 3)).unwrap(), &p256).to_string().into_bytes();
    let (documents, lists) = (Documents::default(), lists(&p256, &[]));
    let (issuer, subject) = (did(&p256), did(&maker()));
    let judge = |bytes: &[u8]| {
        Credential::parse(bytes)?.verify(&expected(&issuer, &subject), &known(&documents, &lists))
    };
    assert!(judge(&bytes).is_ok());
    common::each_bit_flipped(&bytes, |bit, flipped| assert!(judge(flipped).is_err(), "bit {bit}"));
    for len in 0..bytes.len() {
        assert!(judge(&bytes[..len]).is_err(), "{len}");
    }
}
