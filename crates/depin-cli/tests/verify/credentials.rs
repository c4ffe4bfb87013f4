//! Credentials, presentations, maker chains, status lists.

use std::collections::BTreeSet;

use depin_core::{Amount, Timestamp};
use depin_identity::{
    Did, SoftwareKey,
    credential::{
        DeviceClaim, MakerGrant, ProofOptions, StatusEntry, StatusList, StatusPurpose, Terms, Unsigned,
    },
    did::Purpose,
};
use serde_json::json;

use super::*;

/// [`AT`].
const NOW: Timestamp = Timestamp(1_767_225_600_000);
const YEAR: u64 = 365 * 86_400_000;
const LIST: &str = "https://status.example/1";

fn key(seed: u8) -> SoftwareKey {
    SoftwareKey::from_seed([seed; 32])
}

fn did(key: &SoftwareKey) -> Did {
    Did::from(&key.public().typed())
}

/// Manufacturer's root, maker, device, and somebody who is none of them.
fn cast() -> [SoftwareKey; 4] {
    [key(1), key(2), key(3), key(66)]
}

fn terms(issuer: &SoftwareKey, status: bool) -> Terms {
    let entry = StatusEntry { purpose: StatusPurpose::Revocation, list: LIST.to_owned(), index: 7 };
    Terms {
        issuer: did(issuer),
        valid_from: Timestamp(NOW.0 - YEAR),
        valid_until: Timestamp(NOW.0 + YEAR),
        status: status.then_some(entry),
    }
}

fn sign(document: &Value, signer: &SoftwareKey) -> Value {
    sign_as(document, signer, &ProofOptions::of_key(&signer.public().typed(), NOW).unwrap())
}

fn sign_as(document: &Value, signer: &SoftwareKey, options: &ProofOptions) -> Value {
    let unsigned = Unsigned::new(document, options).unwrap();
    let signature = signer.signature(unsigned.message());
    unsigned.finish(&signature)
}

fn device_credential(status: bool) -> Value {
    let [_, maker, device, _] = cast();
    let (kind, region) = ("radio".to_owned(), "EU".to_owned());
    terms(&maker, status).device(&DeviceClaim { device: did(&device), serial: 0, kind, region }).unwrap()
}

fn maker_credential(quota: u32) -> Value {
    let [root, maker, ..] = cast();
    let set = |one: &str| BTreeSet::from([one.to_owned()]);
    let (regions, kinds, bond) = (set("EU"), set("radio"), Amount(0));
    terms(&root, true).maker(&MakerGrant { maker: did(&maker), quota, regions, kinds, bond }).unwrap()
}

/// A list by `issuer`; without an end if it does not end.
fn list(issuer: &SoftwareKey, revoked: bool, ends: bool) -> String {
    let mut bits = StatusList::new(1 << 17).unwrap();
    bits.set(7, revoked).unwrap();
    let mut document = terms(issuer, false).status_list(LIST, StatusPurpose::Revocation, &bits).unwrap();
    if !ends {
        document.as_object_mut().unwrap().remove("validUntil");
    }
    sign(&document, issuer).to_string()
}

#[tokio::test]
async fn a_credential_needs_an_issuer_that_is_trusted() {
    let desk = Desk::new();
    let [root, maker, _, attacker] = cast();
    desk.put("right", sign(&device_credential(false), &maker).to_string());
    let trust = did(&maker).to_string();
    let answer = desk.judge(&["right", "--trust", &trust], VALID).await;
    for check in ["form", "proof", "issuer", "time", "trust"] {
        assert_eq!(finding(&answer, &format!("credential.{check}")), ("pass", "ok"));
    }
    assert_eq!(finding(&answer, "credential.status"), ("warning", "none"));
    // Nobody is trusted by default, and not whoever else is trusted.
    for trust in [&[][..], &["--trust", did(&root).as_str()]] {
        let answer = desk.judge(&[&["right"], trust].concat(), NOT_CHECKED).await;
        assert_eq!(finding(&answer, "credential.trust"), ("skipped", "untrusted"));
    }
    assert!(desk.verify(&["right"]).await.stdout.contains(&format!("--trust {trust}")));
    // In the maker's name, with a key of one's own.
    desk.put("forged", sign(&device_credential(false), &attacker).to_string());
    let attacker = did(&attacker).to_string();
    let answer = desk.judge(&["forged", "--trust", &trust, "--trust", &attacker], INVALID).await;
    assert_eq!(finding(&answer, "credential.proof"), ("pass", "ok"));
    assert_eq!(finding(&answer, "credential.issuer"), ("fail", "not-signed"));
    // Before and after its time.
    for (at, code) in [
        ("2024-12-31T23:59:59Z", INVALID),
        ("2026-12-31T00:00:00Z", VALID),
        ("2027-01-02T00:00:00Z", INVALID),
    ] {
        let run = run(depin([
            "verify",
            "--json",
            "--at",
            at,
            "--trust",
            &trust,
            desk.path().join("right").to_str().unwrap(),
        ]))
        .await;
        assert_eq!(run.code, Some(code), "{at}");
    }
    // Whose document is elsewhere.
    let mut elsewhere = device_credential(false);
    elsewhere["issuer"] = json!("did:web:maker.example");
    let options = ProofOptions::of_key(&maker.public().typed(), NOW).unwrap();
    let options = ProofOptions { method: "did:web:maker.example#key".parse().unwrap(), ..options };
    desk.put("elsewhere", sign_as(&elsewhere, &maker, &options).to_string());
    let answer = desk.judge(&["elsewhere", "--trust", "did:web:maker.example"], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "credential.proof"), ("skipped", "unresolved"));
}

/// From the specification of did:key.
const P384: &str = "z82Lm1MpAkeJcix9K8TMiLd5NMAhnwkjjCBeWHXyu3U4oT2MVJJKXkcVBgjGhnLBn2Kaau9";

#[tokio::test]
async fn a_curve_that_is_not_checked_here_says_nothing_of_the_credential() {
    let desk = Desk::new();
    let [_, maker, ..] = cast();
    // 96 bytes, as its signatures have.
    let value = format!("z{}", "1".repeat(96));
    let mut credential = sign(&device_credential(false), &maker);
    let did = format!("did:key:{P384}");
    credential["issuer"] = json!(did);
    for suite in ["ecdsa-jcs-2019", "ecdsa-rdfc-2019"] {
        let method = format!("{did}#{P384}");
        credential["proof"]["verificationMethod"] = json!(method);
        credential["proof"]["cryptosuite"] = json!(suite);
        credential["proof"]["proofValue"] = json!(value);
        desk.put("p384", credential.to_string());
        let answer = desk.judge(&["p384", "--trust", &did], NOT_CHECKED).await;
        assert_eq!(finding(&answer, "credential.proof"), ("skipped", "unknown-curve"), "{suite}");
        assert!(desk.verify(&["p384"]).await.stdout.contains("P-256"));
        // With a key that is checked, such a signature is none; nor is it one of Ed25519.
        let p256 = SoftwareKey::from_secret(depin_core::KeyType::P256, [5; 32]).unwrap();
        let did = self::did(&p256);
        credential["proof"]["verificationMethod"] = json!(format!("{did}#{}", did.id()));
        desk.put("long", credential.to_string());
        assert_eq!(finding(&desk.judge(&["long"], INVALID).await, "credential.proof"), ("fail", "refused"));
        credential["proof"]["cryptosuite"] = json!(suite.replace("ecdsa", "eddsa").replace("2019", "2022"));
        credential["proof"]["verificationMethod"] = json!(method);
        desk.put("other", credential.to_string());
        desk.judge(&["other"], INVALID).await;
    }
}

#[tokio::test]
async fn a_credential_with_a_status_needs_its_list() {
    let desk = Desk::new();
    let [_, maker, _, attacker] = cast();
    desk.put("credential", sign(&device_credential(true), &maker).to_string());
    for (name, by, revoked, ends) in [
        ("good", &maker, false, true),
        ("bad", &maker, true, true),
        ("foreign", &attacker, false, true),
        ("endless", &maker, false, false),
    ] {
        desk.put(name, list(by, revoked, ends));
    }
    let trust = did(&maker).to_string();
    let judge = |lists: &'static [&'static str], code| {
        let arguments = [&["credential", "--trust", trust.as_str()], lists].concat();
        let desk = &desk;
        async move { desk.judge(&arguments, code).await }
    };
    assert_eq!(finding(&judge(&[], NOT_CHECKED).await, "credential.status"), ("skipped", "list-missing"));
    assert_eq!(finding(&judge(&["good"], VALID).await, "credential.status"), ("pass", "ok"));
    assert_eq!(finding(&judge(&["bad"], INVALID).await, "credential.status"), ("fail", "refused"));
    // A list by somebody else says nothing, unless that one may revoke.
    let answer = judge(&["foreign"], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "credential.status"), ("skipped", "list-untrusted"));
    let other = did(&attacker).to_string();
    desk.judge(&["credential", "foreign", "--trust", &trust, "--trust", &other], VALID).await;
    // It may be of any age.
    assert_eq!(finding(&judge(&["endless"], NOT_CHECKED).await, "status-list.age"), ("skipped", "no-end"));
    // The lists themselves.
    desk.judge(&["good", "--trust", &trust], VALID).await;
    assert_eq!(
        finding(&desk.judge(&["good"], NOT_CHECKED).await, "status-list.trust"),
        ("skipped", "untrusted")
    );
    desk.put("changed", list(&maker, true, true).replace("revocation", "suspension"));
    assert_eq!(
        finding(&desk.judge(&["changed", "--trust", &trust], INVALID).await, "credential.proof"),
        ("fail", "refused")
    );
}

#[tokio::test]
async fn a_maker_chain_leads_from_a_trusted_root_to_a_device() {
    let desk = Desk::new();
    let [root, maker, ..] = cast();
    let chain = |quota| {
        json!([sign(&maker_credential(quota), &root), sign(&device_credential(false), &maker)]).to_string()
    };
    desk.put("right", chain(3));
    desk.put("used-up", chain(0));
    desk.put("list", list(&root, false, true));
    desk.put("revoked", list(&root, true, true));
    desk.put("no-chain", json!([device_credential(false)]).to_string());
    let trust = did(&root).to_string();
    let answer = desk.judge(&["right", "list", "--trust", &trust], VALID).await;
    assert_eq!(finding(&answer, "maker-chain.links"), ("pass", "ok"));
    let answer = desk.judge(&["right", "list"], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "maker-chain.trust"), ("skipped", "untrusted"));
    let answer = desk.judge(&["right", "--trust", &trust], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "credential.status"), ("skipped", "list-missing"));
    desk.judge(&["right", "revoked", "--trust", &trust], INVALID).await;
    let answer = desk.judge(&["used-up", "list", "--trust", &trust], INVALID).await;
    assert_eq!(finding(&answer, "maker-chain.links"), ("fail", "refused"));
    desk.judge(&["no-chain", "--trust", &trust], INVALID).await;
}

#[tokio::test]
async fn a_presentation_answers_one_challenge_and_shows_what_is_about_its_holder() {
    let desk = Desk::new();
    let [_, maker, device, attacker] = cast();
    let credential = sign(&device_credential(false), &maker);
    let present = |holder: &SoftwareKey| {
        let options = ProofOptions::of_key(&holder.public().typed(), NOW).unwrap();
        let options = ProofOptions {
            purpose: Purpose::Authentication,
            challenge: Some("tell me".to_owned()),
            domain: Some("node.example".to_owned()),
            ..options
        };
        sign_as(&Terms::presentation(&did(holder), vec![credential.clone()]), holder, &options).to_string()
    };
    desk.put("right", present(&device));
    desk.put("stolen", present(&attacker));
    let trust = did(&maker).to_string();
    let asked = ["--trust", &trust, "--nonce", "tell me", "--domain", "node.example"];
    desk.judge(&[&["right"], asked.as_slice()].concat(), VALID).await;
    let answer = desk.judge(&["right", "--trust", &trust], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "presentation.challenge"), ("skipped", "not-given"));
    let answer = desk.judge(&["right", "--nonce", "tell me", "--domain", "node.example"], NOT_CHECKED).await;
    assert_eq!(finding(&answer, "credential.trust"), ("skipped", "untrusted"));
    for (nonce, domain) in [("tell us", "node.example"), ("tell me", "elsewhere.example")] {
        let answer =
            desk.judge(&["right", "--trust", &trust, "--nonce", nonce, "--domain", domain], INVALID).await;
        assert_eq!(finding(&answer, "presentation.challenge"), ("fail", "other"));
    }
    let answer = desk.judge(&[&["stolen"], asked.as_slice()].concat(), INVALID).await;
    assert_eq!(finding(&answer, "credential.subject"), ("fail", "other"));
}

/// Every bit, and every length.
#[tokio::test]
async fn no_flipped_bit_and_no_cut_is_valid_or_panics() {
    let desk = Desk::new();
    let [_, maker, ..] = cast();
    let bytes = sign(&device_credential(false), &maker).to_string().into_bytes();
    let trust = did(&maker).to_string();
    let mut names = vec!["intact".to_owned()];
    desk.put("intact", &bytes);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            names.push(format!("{at}.{bit}"));
            desk.put(names.last().unwrap(), flipped);
        }
        names.push(format!("{at}"));
        desk.put(names.last().unwrap(), &bytes[..at]);
    }
    let mut checked = 0;
    for names in names.chunks(1_000) {
        let arguments: Vec<&str> =
            ["--trust", &trust].into_iter().chain(names.iter().map(String::as_str)).collect();
        let run = desk.verify(&[&["--json"], arguments.as_slice()].concat()).await;
        assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
        for file in run.json()["files"].as_array().unwrap() {
            let intact = file["file"] == "intact";
            assert_eq!(file["outcome"] == "valid", intact, "{file}");
            assert!(!file.to_string().contains("broke-off"), "{file}");
            checked += 1;
        }
    }
    assert_eq!(checked, 9 * bytes.len() + 1);
}
