//! `depin device`: keys made and checked where a URL says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use depin_vectors::token::{CONFIG, PIN, Token};
use serde_json::Value;
use support::{Run, depin, run};

const TYPES: [&str; 3] = ["ed25519", "p256", "secp256k1"];
const PASSWORD: &str = "correct horse battery";

async fn with_password(arguments: &[&str]) -> Run {
    let mut command = depin(["device"]);
    command.args(arguments).env("DEPIN_KEY_PASSWORD", PASSWORD);
    run(command).await
}

/// What a check found under each name.
fn result<'a>(found: &'a Value, check: &str) -> (&'a str, &'a str) {
    let outcome = found["outcomes"].as_array().unwrap().iter().find(|outcome| outcome["check"] == check);
    let outcome = outcome.unwrap_or_else(|| panic!("no {check} in {found}"));
    (outcome["result"].as_str().unwrap(), outcome["reason"].as_str().unwrap())
}

fn url(path: &Path) -> String {
    format!("file:{}", path.display())
}

#[tokio::test]
async fn a_key_file_is_made_once_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    for kind in TYPES {
        let path = dir.path().join(kind);
        let made = with_password(&["new", "--key", &url(&path), "--type", kind]).await.ok();
        let did = made.stdout.split_whitespace().nth(1).unwrap().to_owned();
        assert!(fs::read_to_string(&path).unwrap().starts_with(&did));
        let again = with_password(&["new", "--key", &url(&path), "--type", kind]).await;
        again.fails(&["exists", "not overwritten"]);
        let checked = with_password(&["check", &url(&path), "--json"]).await.ok().json();
        for check in ["key", "type", "public-key", "signs", "verifies", "nonce", "file-mode", "latency"] {
            assert_eq!(result(&checked, check).0, "pass", "{checked}");
        }
        assert_eq!(result(&checked, "secret").0, "skip");
        assert_eq!(result(&checked, "public-key").1, did);
        assert_eq!(result(&checked, "nonce").1, "deterministic");
        assert!(with_password(&["check", &url(&path)]).await.ok().stdout.contains(&did));
    }
}

#[tokio::test]
async fn the_exit_code_tells_an_unfit_key_from_one_that_could_not_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    let key = url(&path);
    let missing = with_password(&["check", &key, "--json"]).await;
    assert_eq!((missing.code, result(&missing.json(), "key").0), (Some(1), "fail"));
    with_password(&["new", "--key", &key, "--type", "p256"]).await.ok();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let readable = with_password(&["check", &key, "--json"]).await;
    assert_eq!((readable.code, result(&readable.json(), "file-mode")), (Some(1), ("fail", "0644")));
    let mut wrong = depin(["device", "check", &key, "--json"]);
    wrong.env("DEPIN_KEY_PASSWORD", "wrong");
    let wrong = run(wrong).await;
    assert_eq!((wrong.code, result(&wrong.json(), "key").0), (Some(2), "skip"));
    let unset = run(depin(["device", "check", &key])).await;
    assert_eq!(unset.code, Some(2));
    assert!(unset.stdout.contains("DEPIN_KEY_PASSWORD is not set"));
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("ENCRYPTED ", "")).unwrap();
    let plain = with_password(&["check", &key]).await;
    assert_eq!(plain.code, Some(1));
    assert!(plain.stdout.contains("not encrypted"));
    for nonsense in ["key.pem", "https://key", "pkcs11:token=a", "pkcs11:?pin-value=1&module-path=/m"] {
        assert_eq!(with_password(&["check", nonsense]).await.code, Some(2), "{nonsense}");
    }
}

#[tokio::test]
async fn a_secret_is_no_argument() {
    let refused = with_password(&["check", "pkcs11:token=a?module-path=/m&pin-value=1234"]).await;
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("pin-value puts a secret where every user"), "{refused:?}");
}

#[tokio::test]
async fn a_key_is_made_on_a_token_and_stays_there() {
    let Some(token) = Token::new() else { return };
    let on_token = async |arguments: &[&str]| {
        let mut command = depin(["device"]);
        command.args(arguments).env(CONFIG, token.config());
        run(command).await
    };
    for kind in TYPES {
        let named = token.url(kind);
        let home: PathBuf = token.path().join(format!("device-{kind}"));
        let home = home.to_str().unwrap();
        let made = on_token(&["new", "--dir", home, "--key", &named, "--type", kind]).await.ok();
        assert!(fs::metadata(Path::new(home).join("owner.key")).is_ok());
        assert!(fs::metadata(Path::new(home).join("device.key")).is_err(), "the key is on the token alone");
        // The URL with the identifier that it got.
        let exact = made.stdout.lines().find_map(|line| line.strip_prefix("key     ")).unwrap();
        assert!(exact.contains(";id="), "{exact}");
        for key in [&named, exact] {
            let checked = on_token(&["check", key, "--json"]).await.ok().json();
            assert_eq!(result(&checked, "secret"), ("pass", "made on the token and never outside"));
            assert_eq!(result(&checked, "file-mode").0, "skip");
            assert!(made.stdout.contains(result(&checked, "public-key").1));
        }
        on_token(&["new", "--key", &named, "--type", kind])
            .await
            .fails(&["holds a private key of this name"]);
    }
    let absent = on_token(&["check", &token.url("none"), "--json"]).await;
    assert_eq!(absent.code, Some(1));
    fs::write(token.path().join("pin"), "000000").unwrap();
    let refused = on_token(&["check", &token.url("p256"), "--json"]).await;
    assert_eq!((refused.code, result(&refused.json(), "key").0), (Some(2), "skip"));
    for said in [&absent, &refused] {
        assert!(!format!("{said:?}").contains(PIN));
    }
}

#[tokio::test]
async fn the_commands_of_the_documentation_work() {
    let Some(token) = Token::new() else { return };
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/keys.md")).unwrap();
    let folder = token.path().to_str().unwrap();
    let (mut ran, mut made) = (0, 0);
    for line in page.lines().filter(|line| line.starts_with("depin device ")) {
        // Without what the shell does.
        let line = line.split(['|', '>']).next().unwrap();
        made += usize::from(line.contains("new --key \"$KEY\""));
        let key = token.url(&format!("device-{made}"));
        let words = line.split_whitespace().skip(1).map(|word| match word {
            "\"$KEY\"" => key.clone(),
            word => word.replace("/etc/depin", folder).replace("/var/lib", folder),
        });
        let mut command = depin(words);
        // There is no node to talk to.
        if !line.contains(" new ") && !line.contains(" check ") {
            command.arg("--help");
        }
        command.env("DEPIN_KEY_PASSWORD", PASSWORD).env(CONFIG, token.config());
        run(command).await.ok();
        ran += 1;
    }
    assert_eq!((ran, made), (8, 2));
}
