//! From a manufacturer's root to a device, and how many devices.
#![cfg(feature = "credentials")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // tests

mod common;
mod issuing;

use depin_core::{Amount, Timestamp};
use depin_identity::{
    Did, SoftwareKey,
    credential::{
        ChainError, CredentialError, DeviceClaim, Documents, MakerChain, MakerGrant, MakerPolicy, ProofError,
        ProofOptions, StatusError, StatusLists, Terms, VouchedDevice,
    },
};
use issuing::*;
use serde_json::Value;

const RICH: Amount = Amount(1_000_000);

fn grants(issuer: &SoftwareKey, grant: &MakerGrant) -> Value {
    sign(&terms(issuer).maker(grant).unwrap(), issuer)
}

fn vouches(issuer: &SoftwareKey, claim: &DeviceClaim) -> Value {
    sign(&Terms { status: None, ..terms(issuer) }.device(claim).unwrap(), issuer)
}

fn verify_at(
    chain: &[Value],
    policy: &MakerPolicy,
    device: &SoftwareKey,
    lists: &StatusLists,
    now: Timestamp,
) -> Result<VouchedDevice, ChainError> {
    let texts: Vec<_> = chain.iter().map(Value::to_string).collect();
    let bytes: Vec<_> = texts.iter().map(String::as_bytes).collect();
    let documents = Documents::default();
    let known = depin_identity::credential::Known { now, ..known(&documents, lists) };
    MakerChain::parse(&bytes)?.verify(policy, &device_id(device), &known, |_| RICH)
}

fn verify(chain: &[Value], device: &SoftwareKey) -> Result<VouchedDevice, ChainError> {
    verify_at(chain, &policy(), device, &lists(&root(), &[]), NOW)
}

/// Root, maker with a quota of 3, the device with `serial`.
fn chain(device: &SoftwareKey, serial: u32) -> [Value; 2] {
    [grants(&root(), &grant(&maker(), 3)), vouches(&maker(), &claim(device, serial))]
}

fn credential_error(error: &ChainError) -> (usize, &CredentialError) {
    match error {
        ChainError::Credential { link, source } => (*link, source),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_of_a_maker_of_the_root_is_vouched_for() {
    let vouched = verify(&chain(&device(), 0), &device()).unwrap();
    assert_eq!(*vouched.device(), device_id(&device()));
    assert_eq!(vouched.makers(), [grant(&maker(), 3)]);
    assert_eq!((vouched.claim().serial, vouched.claim().kind.as_str()), (0, "radio"));
    assert_eq!(vouched.until(), Timestamp(NOW.0 + YEAR));
}

#[test]
fn a_serial_is_below_the_quota() {
    assert_eq!(verify(&chain(&device(), 2), &device()).unwrap().claim().serial, 2);
    assert_eq!(verify(&chain(&device(), 3), &device()), Err(ChainError::Serial { serial: 3, quota: 3 }));
}

#[test]
fn revoking_a_maker_voids_its_devices() {
    let chain = chain(&device(), 0);
    assert!(verify(&chain, &device()).is_ok());
    let error = verify_at(&chain, &policy(), &device(), &lists(&root(), &[7]), NOW).unwrap_err();
    let (link, source) = credential_error(&error);
    assert_eq!(link, 0);
    assert!(matches!(source, CredentialError::Status(StatusError::Revoked { index: 7, .. })));
    // As does a list that nobody has, or that a maker keeps for itself.
    for lists in [StatusLists::default(), lists(&maker(), &[])] {
        let error = verify_at(&chain, &policy(), &device(), &lists, NOW).unwrap_err();
        assert!(matches!(credential_error(&error), (0, CredentialError::Status(_))));
    }
}

#[test]
fn a_makers_grant_has_a_status_and_an_end() {
    let eternal = |link: usize| {
        let mut chain = chain(&device(), 0);
        let signer = if link == 0 { root() } else { maker() };
        let object = chain[link].as_object_mut().unwrap();
        object.remove("proof");
        object.remove("validUntil");
        chain[link] = sign(&chain[link], &signer);
        chain
    };
    for link in [0, 1] {
        assert_eq!(verify(&eternal(link), &device()), Err(ChainError::NoExpiry { link }));
    }
    let no_status = Terms { status: None, ..terms(&root()) };
    let irrevocable = sign(&no_status.maker(&grant(&maker(), 3)).unwrap(), &root());
    let error = verify(&[irrevocable, vouches(&maker(), &claim(&device(), 0))], &device()).unwrap_err();
    assert_eq!(credential_error(&error), (0, &CredentialError::Status(StatusError::Missing)));
    let late = Timestamp(NOW.0 + YEAR + 1);
    let error =
        verify_at(&chain(&device(), 0), &policy(), &device(), &lists(&root(), &[]), late).unwrap_err();
    assert!(matches!(credential_error(&error), (0, CredentialError::Expired { .. })));
}

#[test]
fn a_chain_lasts_no_longer_than_any_proof_in_it() {
    let soon = Timestamp(NOW.0 + 60_000);
    let good = chain(&device(), 0);
    for (link, signer) in [(0, root()), (1, maker())] {
        let mut chain = good.clone();
        chain[link].as_object_mut().unwrap().remove("proof");
        let options = ProofOptions::of_key(&signer.public().typed(), NOW).unwrap();
        chain[link] = sign_as(&chain[link], &signer, &ProofOptions { expires: Some(soon), ..options });
        assert_eq!(verify(&chain, &device()).unwrap().until(), soon);
        let late = Timestamp(soon.0 + 1);
        let error = verify_at(&chain, &policy(), &device(), &lists(&root(), &[]), late).unwrap_err();
        let (found, source) = credential_error(&error);
        assert!(found == link && matches!(source, CredentialError::Proof(ProofError::Expired { .. })));
        // It makes up for no end of the credential's own.
        chain[link].as_object_mut().unwrap().remove("validUntil");
        chain[link].as_object_mut().unwrap().remove("proof");
        let options = ProofOptions::of_key(&signer.public().typed(), NOW).unwrap();
        chain[link] = sign_as(&chain[link], &signer, &ProofOptions { expires: Some(soon), ..options });
        assert_eq!(verify(&chain, &device()), Err(ChainError::NoExpiry { link }));
    }
}

#[test]
fn each_link_is_by_the_one_above() {
    let root_grant = grants(&root(), &grant(&maker(), 3));
    // A root that nobody trusts; a maker that the root does not know; a maker's name without its key; another's device.
    let own_root = [grants(&attacker(), &grant(&attacker(), 3)), vouches(&attacker(), &claim(&device(), 0))];
    let stranger = [root_grant.clone(), vouches(&attacker(), &claim(&device(), 0))];
    let named =
        sign(&Terms { status: None, ..terms(&maker()) }.device(&claim(&device(), 0)).unwrap(), &attacker());
    let other = [root_grant.clone(), vouches(&maker(), &claim(&key(9), 0))];
    for (chain, link) in [(own_root, 0), (stranger, 1), ([root_grant.clone(), named], 1), (other, 1)] {
        let error = verify(&chain, &device()).unwrap_err();
        assert_eq!(credential_error(&error).0, link, "{error:?}");
    }
    // The two swapped, the root itself as maker, nothing, too much.
    let mut swapped = chain(&device(), 0);
    swapped.reverse();
    assert!(verify(&swapped, &device()).is_err());
    let direct = [vouches(&root(), &claim(&device(), 0))];
    assert_eq!(verify(&direct, &device()), Err(ChainError::Length { found: 0, max: 8 }));
    assert_eq!(verify(&[], &device()), Err(ChainError::Length { found: 0, max: 8 }));
    let long = vec![root_grant; 10];
    assert_eq!(verify(&long, &device()), Err(ChainError::Length { found: 9, max: 8 }));
}

#[test]
fn what_a_maker_passes_on_is_no_more_than_it_has() {
    let (sub, deep) = (key(4), MakerPolicy { max_makers: 2, ..policy() });
    let status = |issuer: &SoftwareKey| Terms { issuer: did(issuer), ..terms(&root()) };
    let keepers = MakerPolicy { status_issuers: vec![did(&root())], ..deep };
    let run = |sub_grant: &MakerGrant, policy: &MakerPolicy| {
        let chain = [
            grants(&root(), &grant(&maker(), 3)),
            sign(&status(&maker()).maker(sub_grant).unwrap(), &maker()),
            vouches(&sub, &claim(&device(), 0)),
        ];
        verify_at(&chain, policy, &device(), &lists(&root(), &[]), NOW)
    };
    let narrow = grant(&sub, 2);
    let vouched = run(&narrow, &keepers).unwrap();
    assert_eq!(vouched.makers().len(), 2);
    assert_eq!(
        run(&narrow, &MakerPolicy { max_makers: 1, ..keepers.clone() }),
        Err(ChainError::Length { found: 2, max: 1 })
    );
    let wider = |change: fn(&mut MakerGrant)| {
        let mut sub_grant = grant(&key(4), 2);
        change(&mut sub_grant);
        run(&sub_grant, &keepers)
    };
    let widened = |what| Err(ChainError::Widened { link: 1, what });
    assert_eq!(wider(|grant| grant.quota = 4), widened("quota"));
    assert_eq!(wider(|grant| grant.regions.extend(["XX".to_owned()])), widened("regions"));
    assert_eq!(wider(|grant| grant.kinds.extend(["oracle".to_owned()])), widened("kinds"));
}

#[test]
fn a_bond_is_as_large_as_the_quota_asks_for_and_put_up() {
    let texts = chain(&device(), 0).map(|credential| credential.to_string());
    let parsed = MakerChain::parse(&texts.each_ref().map(|text| text.as_bytes())).unwrap();
    let (documents, lists) = (Documents::default(), lists(&root(), &[]));
    let judge = |per_device, put_up| {
        let policy = MakerPolicy { bond_per_device: Amount(per_device), ..policy() };
        let bonded = |maker: &Did| if *maker == did(&issuing::maker()) { Amount(put_up) } else { Amount(0) };
        parsed.verify(&policy, &device_id(&device()), &known(&documents, &lists), bonded)
    };
    let short = |found, expected| {
        Err(ChainError::Bond { maker: did(&maker()), found: Amount(found), expected: Amount(expected) })
    };
    assert!(judge(10, 30).is_ok());
    assert_eq!(judge(10, 29), short(29, 30));
    assert_eq!(judge(10, 0), short(0, 30));
    // The root's credential speaks of 30, whatever more was put up.
    assert_eq!(judge(11, 1_000), short(30, 33));
    assert_eq!(judge(u128::MAX, 1_000), short(30, u128::MAX));
}

#[test]
fn kind_region_and_claims_are_within_the_grant() {
    let run = |change: fn(&mut DeviceClaim)| {
        let mut claim = claim(&device(), 0);
        change(&mut claim);
        verify(&[grants(&root(), &grant(&maker(), 3)), vouches(&maker(), &claim)], &device())
    };
    let outside = |what, found: &str| Err(ChainError::OutOfScope { what, found: found.to_owned() });
    assert_eq!(run(|claim| claim.kind = "oracle".to_owned()), outside("kind", "oracle"));
    assert_eq!(run(|claim| claim.region = String::new()), outside("region", ""));
    let mut stranger = Terms { status: None, ..terms(&maker()) }.device(&claim(&device(), 0)).unwrap();
    stranger["credentialSubject"]["owner"] = "0x00".into();
    let chain = [grants(&root(), &grant(&maker(), 3)), sign(&stranger, &maker())];
    assert!(matches!(verify(&chain, &device()), Err(ChainError::Claims { link: 1, .. })));
}

#[test]
fn every_flipped_bit_and_every_cut_of_any_link_is_refused() {
    let good = chain(&device(), 0).map(|credential| credential.to_string().into_bytes());
    let (documents, lists) = (Documents::default(), lists(&root(), &[]));
    let judge = |chain: [&[u8]; 2]| {
        MakerChain::parse(&chain)?.verify(
            &policy(),
            &device_id(&device()),
            &known(&documents, &lists),
            |_| RICH,
        )
    };
    assert!(judge([&good[0], &good[1]]).is_ok());
    for link in [0, 1] {
        let with = |changed: &[u8]| {
            let mut chain = [&*good[0], &*good[1]];
            chain[link] = changed;
            judge(chain).is_ok()
        };
        common::each_bit_flipped(&good[link], |bit, flipped| {
            assert!(!with(flipped), "link {link}, bit {bit}")
        });
        for len in 0..good[link].len() {
            assert!(!with(&good[link][..len]), "link {link}, {len} bytes");
        }
    }
}
