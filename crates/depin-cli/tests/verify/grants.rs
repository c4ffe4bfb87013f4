//! Grants, from the key to the verdict.

use depin_core::{DeviceId, KeyType};
use depin_identity::{
    Did, SoftwareKey,
    signer::{Password, create_key_file},
};

use super::*;

const NETWORK: &str = "0x2222222222222222222222222222222222222222222222222222222222222222";

async fn device(desk: &Desk, arguments: &[&str]) -> Run {
    let mut command = depin([&["device"], arguments].concat());
    command.current_dir(desk.path()).env("DEPIN_KEY_PASSWORD", "correct horse");
    run(command).await
}

#[tokio::test]
async fn a_grant_is_issued_narrowed_and_verified() {
    for kind in [KeyType::Ed25519, KeyType::P256] {
        let desk = Desk::new();
        let owner = SoftwareKey::from_secret(kind, [5; 32]).unwrap();
        let path = desk.path().join("owner.pem");
        create_key_file(&path, &owner, &Password::new(b"correct horse".to_vec()).unwrap()).unwrap();
        let url = format!("file:{}", path.display());
        let did = DeviceId(SoftwareKey::from_seed([7; 32]).public().typed()).to_string();
        let grant = [
            ["grant", "--key", &url, "--device", &did, "--network", NETWORK].as_slice(),
            &["--ownership-epoch", "3", "--action", "submit:storage.proof", "--action", "claim"],
            &["--until", "2099-06-30T00:00:00Z"],
        ]
        .concat();
        desk.put("grant", device(&desk, &grant).await.ok().stdout);
        let narrowing = [
            "narrow",
            "grant",
            "--action",
            "claim",
            "--until",
            "2099-02-01T00:00:00Z",
            "--holder",
            "service:payer",
        ];
        desk.put("narrow", device(&desk, &narrowing).await.ok().stdout);
        let trust = Did::from(&owner.public().typed()).to_string();
        let answer = desk.judge(&["grant", "--trust", &trust], VALID).await;
        let said = answer["files"][0]["summary"].as_str().unwrap();
        assert!(
            said.contains("submit:storage.proof, claim")
                && said.ends_with("to anyone")
                && said.contains(&did),
            "{said}"
        );
        let answer = desk.judge(&["narrow", "--trust", &trust], VALID).await;
        let said = answer["files"][0]["summary"].as_str().unwrap();
        assert!(said.starts_with("of claim for ") && said.ends_with("to the service payer"), "{said}");
        assert_eq!(finding(&answer, "grant.registry"), ("warning", "elsewhere"));
        // Its parts have nothing in common.
        let nothing = device(&desk, &["narrow", "narrow", "--action", "submit:storage.proof"]).await.ok();
        desk.put("nothing", nothing.stdout);
        let answer = desk.judge(&["nothing", "--trust", &trust], INVALID).await;
        assert_eq!(finding(&answer, "grant.rights"), ("fail", "none"));
        // What is for one holder and then for another is for nobody.
        let to = |name: &'static str| ["narrow", name, "--holder", "service:gateway"];
        desk.put("first", device(&desk, &to("grant")).await.ok().stdout);
        let second = device(&desk, &["narrow", "first", "--holder", "service:relay"]).await.ok();
        desk.put("second", second.stdout);
        desk.judge(&["first", "--trust", &trust], VALID).await;
        let answer = desk.judge(&["second", "--trust", &trust], INVALID).await;
        assert_eq!(finding(&answer, "grant.holder").0, "fail");
        // It is of one network.
        let other = NETWORK.replace("22", "23");
        for (network, code) in [(NETWORK, VALID), (&other, INVALID)] {
            desk.judge(&["grant", "--trust", &trust, "--network", network], code).await;
        }
        // Nobody is trusted by default, nor is somebody else.
        let other = Did::from(&SoftwareKey::from_seed([9; 32]).public().typed()).to_string();
        let answer = desk.judge(&["grant"], NOT_CHECKED).await;
        assert_eq!(finding(&answer, "grant.issuer"), ("skipped", "not-given"));
        let answer = desk.judge(&["grant", "--trust", &other], NOT_CHECKED).await;
        assert_eq!(finding(&answer, "grant.issuer"), ("skipped", "untrusted"));
        // Past its end, and each past its own.
        for (at, narrow, whole) in
            [("2099-03-01T00:00:00Z", INVALID, VALID), ("2099-07-01T00:00:00Z", INVALID, INVALID)]
        {
            for (file, code) in [("narrow", narrow), ("grant", whole)] {
                let file = desk.path().join(file).display().to_string();
                assert_eq!(
                    run(depin(["verify", &file, "--at", at, "--trust", &trust])).await.code,
                    Some(code),
                    "{at}"
                );
            }
        }
        no_changed_character_is_valid(&desk, &trust).await;
    }
}

async fn no_changed_character_is_valid(desk: &Desk, trust: &str) {
    let text = std::fs::read_to_string(desk.path().join("narrow")).unwrap();
    let text = text.trim();
    let mut names = Vec::new();
    for at in 0..text.len() {
        for other in ["A", "z", "-"] {
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            if changed != text {
                names.push(format!("{at}{other}"));
                desk.put(names.last().unwrap(), changed);
            }
        }
    }
    let arguments: Vec<&str> =
        ["--trust", trust].into_iter().chain(names.iter().map(String::as_str)).collect();
    let answer = desk.verify(&[&["--json"], arguments.as_slice()].concat()).await.json();
    for file in answer["files"].as_array().unwrap() {
        assert!(file["outcome"] != "valid" && !file.to_string().contains("broke-off"), "{file}");
    }
}

#[tokio::test]
async fn what_cannot_be_granted_or_narrowed_is_said() {
    let desk = Desk::new();
    desk.put("grant", "something else");
    let refused = |arguments: &'static [&'static str], code, word: &'static str| {
        let desk = &desk;
        async move {
            let run = device(desk, arguments).await;
            assert_eq!(run.code, Some(code), "{arguments:?}: {run:?}");
            assert!(run.stderr.contains(word), "no {word:?} in {}", run.stderr);
        }
    };
    refused(&["narrow", "grant"], 1, "--action, --until or --holder").await;
    refused(&["narrow", "grant", "--action", "claim"], 1, "no grant in base64url").await;
    refused(&["narrow", "nowhere", "--action", "claim"], 1, "nowhere cannot be read").await;
    refused(&["narrow", "grant", "--action", "everything"], 2, "submit:KIND").await;
    refused(&["narrow", "grant", "--until", "soon"], 2, "2026-01-31T12:00:00Z").await;
    refused(&["narrow", "grant", "--holder", "me"], 2, "service:NAME").await;
    // What is over before it begins: no key is opened for it.
    let over = "--until 2026-01-31T12:00:00Z is over";
    refused(&["narrow", "grant", "--until", "2026-01-31T12:00:00Z"], 1, over).await;
    const OVER: [&str; 13] = [
        "grant",
        "--key",
        "file:/nowhere.pem",
        "--device",
        "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        "--network",
        NETWORK,
        "--ownership-epoch",
        "0",
        "--action",
        "claim",
        "--until",
        "2026-01-31T12:00:00Z",
    ];
    refused(&OVER, 1, over).await;
}
