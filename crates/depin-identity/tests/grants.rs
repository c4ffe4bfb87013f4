//! Grants: what they allow, and that nobody can make them allow more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use std::collections::BTreeSet;

use biscuit_auth::{
    Algorithm, Biscuit, BiscuitBuilder, BlockBuilder, KeyPair, PrivateKey, UnverifiedBiscuit, builder::Scope,
    datalog::SymbolTable,
};
use depin_core::{Address, DeviceId, KeyType, NetworkId, Text, Timestamp, TypedKey};
use depin_identity::{
    SoftwareKey,
    grant::{Grant, GrantError, GrantId, Granted, Holder, Narrowing, Request, Right},
};
use proptest::prelude::*;
use prost::Message as _;

const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn owner() -> SoftwareKey {
    SoftwareKey::from_seed([1; 32])
}

fn device(number: u8) -> DeviceId {
    DeviceId(SoftwareKey::from_seed([number; 32]).public().typed())
}

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn submit(kind: &str) -> Right {
    Right::Submit(text(kind))
}

fn grant() -> Grant {
    Grant {
        network: NetworkId::new(1, [2; 20].into()),
        device: device(7),
        ownership_epoch: 3,
        rights: [submit("storage.set"), submit("storage.proof"), Right::Use(text("vpn")), Right::Claim]
            .into(),
        expires: Timestamp(NOW.0 + 10_000),
        holder: None,
    }
}

fn request(right: Right) -> Request {
    let Grant { network, device, ownership_epoch, .. } = grant();
    Request { network, device, ownership_epoch, right, holder: None, time: NOW }
}

fn issued(grant: &Grant) -> Vec<u8> {
    grant.issue(&owner(), &[9; 32]).unwrap()
}

fn check(token: &[u8], request: &Request) -> Result<Granted, GrantError> {
    Grant::check(token, &[owner().public().typed()], request, &BTreeSet::new())
}

fn narrow(token: &[u8], narrowing: &Narrowing) -> Vec<u8> {
    Grant::narrow(token, narrowing, &[8; 32]).unwrap()
}

#[test]
fn a_grant_allows_what_it_names_until_it_expires() {
    let token = issued(&grant());
    for right in grant().rights {
        let granted = check(&token, &request(right.clone())).unwrap();
        assert_eq!((granted.request().right.clone(), granted.issuer()), (right, owner().public().typed()));
        assert_eq!((granted.expires(), granted.ids().len()), (grant().expires, 1));
    }
    for other in [submit("storage"), submit("storage.set2"), Right::Use(text("proxy")), Right::Administer] {
        let refused = GrantError::NotAllowed { block: 0, requested: other.clone() };
        assert_eq!(check(&token, &request(other)), Err(refused));
    }
    let last = Request { time: grant().expires, ..request(Right::Claim) };
    assert!(check(&token, &last).is_ok());
    let late = Request { time: Timestamp(grant().expires.0 + 1), ..request(Right::Claim) };
    let expired = GrantError::Expired { expired: grant().expires, now: late.time };
    assert_eq!(check(&token, &late), Err(expired));
}

#[test]
fn a_grant_is_for_one_device_one_network_and_one_ownership_epoch() {
    let token = issued(&grant());
    let claim = request(Right::Claim);
    let refused = |request: Request| check(&token, &request).unwrap_err();
    let other = Request { device: device(8), ..claim.clone() };
    assert!(matches!(refused(other), GrantError::Device { .. }));
    let other = Request { network: NetworkId::new(2, [2; 20].into()), ..claim.clone() };
    assert!(matches!(refused(other), GrantError::Network { .. }));
    for ownership_epoch in [0, 2, 4] {
        let other = Request { ownership_epoch, ..claim.clone() };
        assert_eq!(refused(other), GrantError::OwnershipEpoch { expected: ownership_epoch, found: 3 });
    }
}

#[test]
fn a_transfer_ends_a_grant_and_everything_narrowed_from_it() {
    let token = issued(&grant());
    let narrowed = narrow(&token, &Narrowing { rights: Some([Right::Claim].into()), ..Narrowing::default() });
    let before = request(Right::Claim);
    assert!(check(&narrowed, &before).is_ok());
    let after = Request { ownership_epoch: 4, ..before };
    for token in [token, narrowed] {
        assert_eq!(check(&token, &after), Err(GrantError::OwnershipEpoch { expected: 4, found: 3 }));
    }
}

#[test]
fn holders_narrow_offline_and_never_widen() {
    let token = issued(&grant());
    let wallet = Holder::Wallet(Address::repeat_byte(5));
    let narrowing = Narrowing {
        expires: Some(Timestamp(NOW.0 + 5_000)),
        holder: Some(wallet.clone()),
        rights: Some([submit("storage.set"), Right::Administer].into()),
    };
    let narrowed = narrow(&token, &narrowing);
    let held = Request { holder: Some(wallet.clone()), ..request(submit("storage.set")) };
    let granted = check(&narrowed, &held).unwrap();
    assert_eq!((granted.expires(), granted.ids().len()), (Timestamp(NOW.0 + 5_000), 2));
    // Dropped by the narrowing; and named by it, though never granted.
    let claim = Request { right: Right::Claim, ..held.clone() };
    assert_eq!(check(&narrowed, &claim), Err(GrantError::NotAllowed { block: 1, requested: Right::Claim }));
    let administer = Request { right: Right::Administer, ..held.clone() };
    let refused = GrantError::NotAllowed { block: 0, requested: Right::Administer };
    assert_eq!(check(&narrowed, &administer), Err(refused));
    let late = Request { time: Timestamp(NOW.0 + 5_001), ..held.clone() };
    assert!(matches!(check(&narrowed, &late), Err(GrantError::Expired { .. })));
    for found in [None, Some(Holder::Device(device(7))), Some(Holder::Wallet(Address::repeat_byte(6)))] {
        let other = Request { holder: found.clone(), ..held.clone() };
        assert_eq!(
            check(&narrowed, &other),
            Err(GrantError::Holder { block: 1, expected: wallet.clone(), found })
        );
    }
    // A later block that says more says nothing.
    let wider = Narrowing {
        expires: Some(Timestamp(NOW.0 + 1_000_000)),
        holder: None,
        rights: Some([Right::Administer, Right::Claim, submit("storage.set")].into()),
    };
    let wider = narrow(&narrowed, &wider);
    assert_eq!(check(&wider, &held).unwrap().expires(), Timestamp(NOW.0 + 5_000));
    for refused in [claim, administer, late] {
        assert!(check(&wider, &refused).is_err());
    }
}

#[test]
fn grants_are_for_holders_of_every_kind() {
    for holder in [
        Holder::Device(device(9)),
        Holder::Wallet(Address::repeat_byte(0xab)),
        Holder::Service(text("billing.example")),
    ] {
        let token = issued(&Grant { holder: Some(holder.clone()), ..grant() });
        let claim = request(Right::Claim);
        assert!(check(&token, &Request { holder: Some(holder.clone()), ..claim.clone() }).is_ok());
        let refused = GrantError::Holder { block: 0, expected: holder, found: None };
        assert_eq!(check(&token, &claim), Err(refused));
    }
}

#[test]
fn only_the_keys_that_may_grant_can() {
    let token = issued(&grant());
    let claim = request(Right::Claim);
    let (stranger, operator) = (SoftwareKey::from_seed([2; 32]), SoftwareKey::from_seed([3; 32]));
    let judge = |issuers: &[TypedKey]| Grant::check(&token, issuers, &claim, &BTreeSet::new());
    let keys = [operator.public().typed(), owner().public().typed()];
    assert_eq!(judge(&keys).unwrap().issuer(), owner().public().typed());
    assert_eq!(judge(&[stranger.public().typed()]), Err(GrantError::Issuer { tried: 1 }));
    assert_eq!(judge(&[]), Err(GrantError::Issuer { tried: 0 }));
    assert_eq!(judge(&[keys[0]; 9]), Err(GrantError::Issuers { found: 9, max: 8 }));
    let secp256k1 = TypedKey::new(KeyType::Secp256k1, &[2; 33]).unwrap();
    assert_eq!(judge(&[secp256k1]), Err(GrantError::Key { found: KeyType::Secp256k1 }));
}

#[test]
fn ids_are_unique_and_revoke_what_was_narrowed() {
    let token = |random| grant().issue(&owner(), &[random; 32]).unwrap();
    let ids = |token: &[u8]| check(token, &request(Right::Claim)).unwrap().ids().to_vec();
    // The same grant twice: two ids.
    assert_ne!(ids(&token(1)), ids(&token(2)));
    assert_eq!(token(1), token(1));
    let narrowing = Narrowing { expires: Some(Timestamp(NOW.0 + 1)), ..Narrowing::default() };
    let (one, other) = (
        Grant::narrow(&token(1), &narrowing, &[1; 32]).unwrap(),
        Grant::narrow(&token(1), &narrowing, &[2; 32]).unwrap(),
    );
    assert_eq!(ids(&one)[0], ids(&other)[0]);
    assert_ne!(ids(&one)[1], ids(&other)[1]);
    let judge = |token: &[u8], revoked: GrantId| {
        let keys = [owner().public().typed()];
        Grant::check(token, &keys, &request(Right::Claim), &[revoked].into()).map(drop)
    };
    // One narrowing revoked: the other one and the grant itself still count.
    let id = ids(&one)[1];
    assert_eq!(judge(&one, id), Err(GrantError::Revoked { id }));
    assert_eq!((judge(&other, id), judge(&token(1), id)), (Ok(()), Ok(())));
    assert_eq!(judge(&narrow(&one, &narrowing), id), Err(GrantError::Revoked { id }));
    // The grant revoked: everything is.
    let id = ids(&one)[0];
    for token in [token(1), one, other] {
        assert_eq!(judge(&token, id), Err(GrantError::Revoked { id }));
    }
    assert_eq!(judge(&token(2), id), Ok(()));
}

/// The issuer's block as other tools would write it.
const ISSUED: &str = "grant(\"depin/grant/v1\", hex:NETWORK);\nownership_epoch(\"DEVICE\", 3);\nright(\"claim\", \"\");\n\
                      check if time($time), $time <= 1767225610000;\n";

fn issued_text() -> String {
    let network = hex::encode(grant().network.as_bytes());
    ISSUED.replace("NETWORK", &network).replace("DEVICE", &grant().device.to_string())
}

fn root() -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(&[1; 32], Algorithm::Ed25519).unwrap())
}

fn token_of(text: &str) -> Vec<u8> {
    BiscuitBuilder::new().code(text).unwrap().build(&root()).unwrap().to_vec().unwrap()
}

#[test]
fn any_biscuit_tool_can_issue_and_narrow() {
    let token = token_of(&issued_text());
    assert!(check(&token, &request(Right::Claim)).is_ok());
    let narrowed = UnverifiedBiscuit::from(&token).unwrap();
    let block = BlockBuilder::new().code("check if time($time), $time <= 1767225600001").unwrap();
    let narrowed = narrowed.append(block).unwrap().to_vec().unwrap();
    assert_eq!(check(&narrowed, &request(Right::Claim)).unwrap().expires(), Timestamp(NOW.0 + 1));
}

#[test]
fn issuers_blocks_outside_the_vocabulary_are_refused() {
    let text = issued_text();
    for wrong in [
        format!("{text}right($a, $b) <- requested($a, $b);\n"),
        format!("{text}right(\"administer\", \"everything\");\n"),
        format!("{text}right(\"fly\", \"\");\n"),
        format!("{text}check if true;\n"),
        format!("{text}check if time($t), $t <= 9;\n"),
        format!("{text}check all time($time), $time <= 9;\n"),
        format!("{text}check if time($time), $time <= 1767225610000;\n"),
        text.replace("check if time($time), $time <= 1767225610000;\n", ""),
        text.replace("right(\"claim\", \"\");\n", ""),
        text.replace("depin/grant/v1", "depin/grant/v2"),
        text.replace(", 3)", ", -3)"),
        text.replace("<= 1767225610000", "<= -1"),
        text.replace("<= 1767225610000", "> 1767225610000"),
    ] {
        let verdict = check(&token_of(&wrong), &request(Right::Claim));
        assert!(matches!(verdict, Err(GrantError::Vocabulary { block: 0, .. })), "{wrong}: {verdict:?}");
    }
    let builder = || BiscuitBuilder::new().code(&text).unwrap();
    for wrong in [builder().scope(Scope::Previous), builder().context("see also".into())] {
        let token = wrong.build(&root()).unwrap().to_vec().unwrap();
        let verdict = check(&token, &request(Right::Claim));
        assert!(matches!(verdict, Err(GrantError::Vocabulary { block: 0, .. })), "{verdict:?}");
    }
}

#[test]
fn holders_cannot_add_facts_rules_or_costly_checks() {
    let token = UnverifiedBiscuit::from(token_of(&issued_text())).unwrap();
    let long = "x".repeat(200);
    let deep = format!("check if {}true{}", "(".repeat(8), ")".repeat(8));
    let many: Vec<String> = (0..20).map(|number| format!("requested(\"submit\", \"k{number}\")")).collect();
    for wrong in [
        "right(\"administer\", \"\")",
        "ownership_epoch(\"someone\", 4)",
        "right($a, $b) <- requested($a, $b)",
        "check if right($a, $b), right($c, $d), right($e, $f)",
        "check if requested($a, $b), $b.matches(\"(a+)+\")",
        "check if requested($a, $b), [1, 2, 3].all($x -> $x > 0)",
        "check if time($time), $time <= 1 || true",
        "check if requested(\"claim\", \"\") trusting authority",
        "check if requested(\"claim\", \"\") trusting previous",
        "reject if requested(\"administer\", \"\")",
        "check if true",
        "check if holder(\"wallet\", \"0xAB00000000000000000000000000000000000000\")",
        "check if holder(\"robot\", \"r2\")",
        "check if requested(\"submit\", \"b\") or requested(\"submit\", \"a\")",
        "check if requested(\"submit\", \"a\"); check if requested(\"submit\", \"a\")",
        &format!("check if requested(\"submit\", \"{long}\")"),
        &format!("check if {}", many.join(" or ")),
        &deep,
    ] {
        let block = BlockBuilder::new().code(wrong).unwrap_or_else(|error| panic!("{wrong}: {error}"));
        let token = token.append(block).unwrap().to_vec().unwrap();
        let verdict = check(&token, &request(Right::Claim));
        assert!(matches!(verdict, Err(GrantError::Vocabulary { block: 1, .. })), "{wrong}: {verdict:?}");
    }
}

#[test]
fn blocks_of_third_parties_are_refused() {
    let token = issued(&grant());
    let biscuit = Biscuit::from(&token, root().public()).unwrap();
    let third = KeyPair::from(&PrivateKey::from_bytes(&[6; 32], Algorithm::Ed25519).unwrap());
    let block = BlockBuilder::new().code("right(\"administer\", \"\")").unwrap();
    let signed = biscuit.third_party_request().unwrap().create_block(&third.private(), block).unwrap();
    let token = biscuit.append_third_party(third.public(), signed).unwrap().to_vec().unwrap();
    for right in [Right::Administer, Right::Claim] {
        assert_eq!(check(&token, &request(right)), Err(GrantError::ThirdParty { block: 1 }));
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    let narrowing = Narrowing { expires: Some(Timestamp(NOW.0 + 1)), ..Narrowing::default() };
    let token = narrow(&issued(&grant()), &narrowing);
    let claim = request(Right::Claim);
    assert!(check(&token, &claim).is_ok());
    for bit in 0..token.len() * 8 {
        let mut changed = token.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&changed, &claim).is_err(), "bit {bit}");
    }
    for len in 0..token.len() {
        assert!(check(&token[..len], &claim).is_err(), "{len} bytes");
    }
    let longer = [token.as_slice(), &[0x98, 0x06, 0x01]].concat();
    assert!(matches!(check(&longer, &claim), Err(GrantError::Malformed { .. })));
}

#[test]
fn grants_are_bounded() {
    let claim = request(Right::Claim);
    assert_eq!(check(&[0; 4097], &claim), Err(GrantError::TooLarge { found: 4097, max: 4096 }));
    let mut token = issued(&grant());
    for _ in 0..7 {
        token = narrow(&token, &Narrowing { expires: Some(Timestamp(NOW.0)), ..Narrowing::default() });
    }
    assert!(check(&token, &claim).is_ok());
    let more = Grant::narrow(&token, &Narrowing::default(), &[8; 32]);
    assert_eq!(more, Err(GrantError::Blocks { found: 9, max: 8 }));
    let token =
        UnverifiedBiscuit::from(&token).unwrap().append(BlockBuilder::new()).unwrap().to_vec().unwrap();
    assert_eq!(check(&token, &claim), Err(GrantError::Blocks { found: 9, max: 8 }));
    let issue = |grant: Grant| grant.issue(&owner(), &[9; 32]).unwrap_err();
    assert_eq!(issue(Grant { rights: [].into(), ..grant() }), GrantError::Rights { found: 0, max: 16 });
    let rights: BTreeSet<Right> = (0..17).map(|number| submit(&format!("kind{number}"))).collect();
    assert_eq!(issue(Grant { rights, ..grant() }), GrantError::Rights { found: 17, max: 16 });
    let most: BTreeSet<Right> = (0..16).map(|number| submit(&format!("{number:064}"))).collect();
    assert!(
        check(&issued(&Grant { rights: most.clone(), ..grant() }), &request(most.first().unwrap().clone()))
            .is_ok()
    );
    for name in ["a\"b", "a\\b", "a\",\"b", "a;b", "$a", "{a}"] {
        assert_eq!(
            issue(Grant { rights: [submit(name)].into(), ..grant() }),
            GrantError::Name { name: name.into() }
        );
        assert_eq!(check(&issued(&grant()), &request(submit(name))).unwrap_err(), {
            GrantError::NotAllowed { block: 0, requested: submit(name) }
        });
    }
    let beyond = Grant { ownership_epoch: u64::MAX, ..grant() };
    assert!(matches!(issue(beyond), GrantError::Number { .. }));
}

#[test]
fn p256_owners_grant_too_and_their_other_signature_is_revoked_as_well() {
    let root = KeyPair::from(&PrivateKey::from_bytes(&[5; 32], Algorithm::Secp256r1).unwrap());
    let issuer = TypedKey::new(KeyType::P256, &root.public().to_bytes()).unwrap();
    let next = KeyPair::from(&PrivateKey::from_bytes(&[6; 32], Algorithm::Ed25519).unwrap());
    let builder = BiscuitBuilder::new().code(issued_text()).unwrap();
    let token = builder.build_with_key_pair(&root, SymbolTable::new(), &next).unwrap();
    let judge = |token: &[u8], revoked: &BTreeSet<GrantId>| {
        Grant::check(token, &[issuer], &request(Right::Claim), revoked)
    };
    let granted = judge(&token.to_vec().unwrap(), &BTreeSet::new()).unwrap();
    let mut second = token.container().to_proto();
    second.authority.signature = with_other_s(&second.authority.signature);
    let second = second.encode_to_vec();
    assert_ne!(second, token.to_vec().unwrap());
    assert_eq!(judge(&second, &BTreeSet::new()).unwrap().ids(), granted.ids());
    let id = granted.ids()[0];
    for token in [second, token.to_vec().unwrap()] {
        assert_eq!(judge(&token, &[id].into()), Err(GrantError::Revoked { id }));
    }
}

/// A key in hardware signs what [`Grant::prepare`] gives it; the token is what it would be had the library had the key.
#[test]
fn a_grant_is_signed_wherever_its_issuers_key_is() {
    for kind in [KeyType::Ed25519, KeyType::P256] {
        let signer = SoftwareKey::from_secret(kind, [5; 32]).unwrap();
        let issuers = [signer.public().typed()];
        let token = pollster::block_on(grant().prepare(kind, &[9; 32]).unwrap().sign(&signer)).unwrap();
        assert_eq!(token, grant().issue(&signer, &[9; 32]).unwrap());
        Grant::check(&token, &issuers, &request(Right::Claim), &BTreeSet::new()).unwrap();
        let read = Grant::read(&token, &issuers).unwrap();
        assert_eq!((read.grant, read.issuer, read.narrowings.len()), (grant(), issuers[0], 0));
        let unsigned = grant().prepare(kind, &[9; 32]).unwrap();
        let other = SoftwareKey::from_secret(kind, [6; 32]).unwrap().signature(unsigned.message());
        let refused = Grant::read(&unsigned.finish(&other).unwrap(), &issuers);
        assert_eq!(refused, Err(GrantError::Issuer { tried: 1 }));
    }
}

#[test]
fn what_is_read_of_a_grant_ends_when_its_first_block_does() {
    let earlier = Narrowing { expires: Some(Timestamp(NOW.0 + 5)), ..Narrowing::default() };
    let token = narrow(&issued(&grant()), &earlier);
    let read = Grant::read(&token, &[owner().public().typed()]).unwrap();
    assert_eq!((read.expires(), read.narrowings, read.ids.len()), (Timestamp(NOW.0 + 5), vec![earlier], 2));
}

/// The DER of (r, n - s).
fn with_other_s(der: &[u8]) -> Vec<u8> {
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let r_len = usize::from(der[3]);
    let r = &der[2..4 + r_len];
    let s = &der[6 + r_len..];
    let mut padded = vec![0; 32 - s.len().min(32)];
    padded.extend_from_slice(&s[s.len().saturating_sub(32)..]);
    let (mut other, mut borrow) = (vec![0; 32], 0_i16);
    for index in (0..32).rev() {
        let digit = i16::from(order[index]) - i16::from(padded[index]) - borrow;
        borrow = i16::from(digit < 0);
        other[index] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    let mut other: Vec<u8> = other.into_iter().skip_while(|byte| *byte == 0).collect();
    if other[0] >= 0x80 {
        other.insert(0, 0);
    }
    let body = [r, &[2, u8::try_from(other.len()).unwrap()], &other].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

fn any_right() -> impl Strategy<Value = Right> {
    prop_oneof![
        "[a-c]".prop_map(|kind| submit(&kind)),
        "[a-c]".prop_map(|service| Right::Use(text(&service))),
        Just(Right::Claim),
        Just(Right::Administer),
    ]
}

fn any_rights() -> impl Strategy<Value = BTreeSet<Right>> {
    proptest::collection::btree_set(any_right(), 1..6)
}

fn any_holder() -> impl Strategy<Value = Option<Holder>> {
    proptest::option::of((1_u8..3).prop_map(|byte| Holder::Wallet(Address::repeat_byte(byte))))
}

fn any_narrowing() -> impl Strategy<Value = Narrowing> {
    let expires = proptest::option::of((0_u64..4).prop_map(|ms| Timestamp(NOW.0 + ms)));
    (expires, any_holder(), proptest::option::of(any_rights()))
        .prop_map(|(expires, holder, rights)| Narrowing { expires, holder, rights })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_request_is_granted_exactly_if_every_block_allows_it(
        rights in any_rights(),
        holder in any_holder(),
        narrowings in proptest::collection::vec(any_narrowing(), 0..4),
        right in any_right(),
        presented in any_holder(),
        ms in 0_u64..4,
    ) {
        let grant = Grant { rights, holder, expires: Timestamp(NOW.0 + 2), ..grant() };
        let mut token = issued(&grant);
        for narrowing in &narrowings {
            token = narrow(&token, narrowing);
        }
        let time = Timestamp(NOW.0 + ms);
        let expected = grant.rights.contains(&right)
            && time <= grant.expires
            && (grant.holder.is_none() || grant.holder == presented)
            && narrowings.iter().all(|narrowing| {
                narrowing.rights.as_ref().is_none_or(|rights| rights.contains(&right))
                    && narrowing.expires.is_none_or(|expires| time <= expires)
                    && (narrowing.holder.is_none() || narrowing.holder == presented)
            });
        let request = Request { holder: presented, time, ..request(right) };
        let verdict = check(&token, &request);
        prop_assert_eq!(verdict.is_ok(), expected, "{:?}", verdict);
        // The library's own judgement and ours never differ.
        let refused = matches!(verdict, Err(GrantError::Refused { .. }));
        prop_assert!(!refused, "{:?}", verdict);
    }
}
