//! Key files: made once, read by nobody else, and understood by openssl.
#![cfg(feature = "keystore")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use depin_core::KeyType;
use depin_identity::{
    Signature, SoftwareKey,
    signer::{
        Check, CheckResult, DeviceCheck, DeviceUrl, KeyFileError, OpenError, Password, PasswordSource,
        PemKeyError, create_key_file, open_key_file,
    },
};

const PASSWORD: &str = "correct horse";

fn password() -> Password {
    Password::new(PASSWORD.into()).unwrap()
}

fn key(kind: KeyType) -> SoftwareKey {
    SoftwareKey::from_secret(kind, [0x42; 32]).unwrap()
}

/// Runs openssl in `dir`, which must succeed, and returns what it prints.
fn openssl(dir: &Path, arguments: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .env("PASSWORD", PASSWORD)
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// How openssl generates each type of key.
const GENERATED: [(KeyType, &str); 3] = [
    (KeyType::Ed25519, "-algorithm ed25519"),
    (KeyType::P256, "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
    (KeyType::Secp256k1, "-algorithm EC -pkeyopt ec_paramgen_curve:secp256k1"),
];

#[test]
fn a_key_file_is_made_once_for_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    create_key_file(&path, &key(KeyType::Ed25519), &password()).unwrap();
    let first = fs::read(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let link = dir.path().join("link.pem");
        std::os::unix::fs::symlink(dir.path().join("nowhere"), &link).unwrap();
        let linked = create_key_file(&link, &key(KeyType::Ed25519), &password());
        assert!(matches!(linked, Err(KeyFileError::Exists { .. })));
    }
    let again = create_key_file(&path, &key(KeyType::P256), &password());
    assert!(matches!(again, Err(KeyFileError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), first);
    assert_eq!(open_key_file(&path, &password()).unwrap().public(), key(KeyType::Ed25519).public());
    // Salt and IV are new each time.
    let other = dir.path().join("other.pem");
    create_key_file(&other, &key(KeyType::Ed25519), &password()).unwrap();
    assert_ne!(fs::read(&other).unwrap(), first);
}

#[test]
fn a_file_that_is_missing_or_a_directory_or_without_end_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = open_key_file(&dir.path().join("none"), &password());
    assert!(matches!(missing, Err(KeyFileError::Missing { .. })));
    assert!(matches!(open_key_file(dir.path(), &password()), Err(KeyFileError::Io { .. })));
    let endless = open_key_file(Path::new("/dev/zero"), &password());
    assert!(matches!(endless, Err(KeyFileError::Content { error: PemKeyError::TooLarge { .. }, .. })));
    let no_directory = create_key_file(&dir.path().join("a/b"), &key(KeyType::Ed25519), &password());
    assert!(matches!(no_directory, Err(KeyFileError::Io { .. })));
}

#[test]
fn openssl_reads_our_files() {
    if !depin_vectors::installed(&["openssl"]) {
        return;
    }
    for kind in KeyType::ALL {
        let dir = tempfile::tempdir().unwrap();
        create_key_file(&dir.path().join("key.pem"), &key(kind), &password()).unwrap();
        let compressed = if kind == KeyType::Ed25519 { "" } else { "-ec_conv_form compressed" };
        let public = openssl(
            dir.path(),
            &format!("pkey -in key.pem -passin env:PASSWORD {compressed} -pubout -outform DER"),
        );
        let ours = key(kind).public().typed();
        assert!(public.ends_with(ours.key()), "{kind:?}");
    }
}

#[test]
fn files_made_by_openssl_are_read_and_sign_what_it_verifies() {
    if !depin_vectors::installed(&["openssl"]) {
        return;
    }
    for (kind, options) in GENERATED {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), &format!("genpkey {options} -out plain.pem"));
        openssl(dir.path(), "pkcs8 -topk8 -scrypt -in plain.pem -out key.pem -passout env:PASSWORD");
        let key = open_key_file(&dir.path().join("key.pem"), &password()).unwrap();
        assert_eq!(key.public().typed().key_type(), kind);
        let signature = key.signature(b"a message");
        key.public().verify(b"a message", &signature).unwrap();
        fs::write(dir.path().join("message"), "a message").unwrap();
        fs::write(dir.path().join("signature"), encoded(kind, &signature)).unwrap();
        let raw = if kind == KeyType::Ed25519 { "-rawin" } else { "-rawin -digest sha256" };
        openssl(
            dir.path(),
            &format!("pkeyutl -verify -inkey plain.pem {raw} -in message -sigfile signature"),
        );
    }
}

/// As openssl has it: ECDSA signatures in DER.
fn encoded(kind: KeyType, signature: &Signature) -> Vec<u8> {
    match kind {
        KeyType::P256 => {
            p256::ecdsa::Signature::from_slice(&signature.0).unwrap().to_der().as_bytes().to_vec()
        }
        KeyType::Secp256k1 => {
            k256::ecdsa::Signature::from_slice(&signature.0).unwrap().to_der().as_bytes().to_vec()
        }
        _ => signature.0.to_vec(),
    }
}

#[test]
fn files_of_openssl_that_are_something_else_are_refused_with_the_reason() {
    if !depin_vectors::installed(&["openssl"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let refused = |name: &str| match open_key_file(&dir.path().join(name), &password()) {
        Err(KeyFileError::Content { error, .. }) => error,
        other => panic!("{name}: {other:?}"),
    };
    let encrypt = |from: &str, to: &str, how: &str| {
        openssl(dir.path(), &format!("pkcs8 -topk8 {how} -in {from} -out {to} -passout env:PASSWORD"));
    };
    openssl(dir.path(), "genpkey -algorithm ed25519 -out plain.pem");
    openssl(dir.path(), "genpkey -algorithm x25519 -out x25519.pem");
    openssl(dir.path(), "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.pem");
    openssl(dir.path(), "ecparam -genkey -name prime256v1 -noout -out sec1.pem");
    openssl(dir.path(), "pkey -in plain.pem -pubout -out public.pem");
    assert_eq!(refused("plain.pem"), PemKeyError::Unencrypted);
    assert_eq!(refused("sec1.pem"), PemKeyError::Unencrypted);
    assert_eq!(refused("public.pem"), PemKeyError::Label { found: "PUBLIC KEY".into() });
    // PBKDF2, the default of openssl, and weak ciphers.
    for how in ["", "-v2 aes-128-cbc -scrypt", "-v2 des3"] {
        encrypt("plain.pem", "foreign.pem", how);
        assert!(matches!(refused("foreign.pem"), PemKeyError::Encryption { .. }), "{how}");
    }
    for (name, oid) in [("x25519.pem", "1.3.101.110"), ("p384.pem", "1.3.132.0.34")] {
        encrypt(name, "other.pem", "-scrypt");
        assert_eq!(refused("other.pem"), PemKeyError::KeyType { found: oid.into() });
    }
    encrypt("plain.pem", "costly.pem", "-scrypt -scrypt_N 1024 -scrypt_r 8 -scrypt_p 260");
    assert_eq!(refused("costly.pem"), PemKeyError::Cost { n: 1024, r: 8, p: 260 });
}

#[test]
fn a_check_says_what_a_key_in_a_file_can_do() {
    let dir = tempfile::tempdir().unwrap();
    let (path, pin) = (dir.path().join("key.pem"), dir.path().join("password"));
    fs::write(&pin, PASSWORD).unwrap();
    let url = DeviceUrl::File { path: path.clone(), password: PasswordSource::File(pin.clone()) };
    let clock = || Duration::ZERO;
    let check = || pollster::block_on(DeviceCheck::run(&url, &clock));
    let outcome = |found: &DeviceCheck, wanted| {
        found.outcomes.iter().find(|outcome| outcome.check == wanted).map(|outcome| outcome.result)
    };
    assert_eq!(check().is_fit(), Some(false));
    let (same, key) = url.create(KeyType::Secp256k1).unwrap();
    assert_eq!(same, url);
    assert_eq!(url.open().unwrap().public_key(), key.public_key());
    let found = check();
    assert_eq!(found.is_fit(), Some(true), "{found:?}");
    assert_eq!(outcome(&found, Check::Secret), Some(CheckResult::Skip));
    assert_eq!(found.outcomes.len(), 9);
    assert_eq!(serde_json::from_str::<DeviceCheck>(&serde_json::to_string(&found).unwrap()).unwrap(), found);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let found = check();
        assert_eq!(outcome(&found, Check::FileMode), Some(CheckResult::Fail));
        assert_eq!(found.is_fit(), Some(false));
    }
    fs::write(&pin, "wrong").unwrap();
    assert_eq!(check().is_fit(), None);
    assert!(matches!(url.create(KeyType::P256).err(), Some(OpenError::File(KeyFileError::Exists { .. }))));
}
