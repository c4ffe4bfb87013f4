//! Keys come from an encrypted file or the environment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

use std::{path::Path, process::Command};

use depin_evm::{KeyError, signer_from_env, signer_from_keystore};

/// The PBKDF2 example of the Web3 Secret Storage definition (ethereum.org): password `testpassword`.
const PBKDF2: &str = r#"{
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3
}"#;
const PBKDF2_KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

/// Written by ethers 6.17 for the key 0x0101…01 and the same password, with scrypt; it spells `crypto` as `Crypto`.
const SCRYPT: &str = r#"{
    "address": "1a642f0e3c3af545e7acbd38b07251b3990914f1",
    "id": "73cf7930-9e8c-4c75-8fe6-7c2122b0fc6f",
    "version": 3,
    "Crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "8908d73f3250da1c6d57a7c03fe9e331"},
        "ciphertext": "56d6ba542ea63c94f693680ef65bb57c1b94e35753b8dc9f47bb6c8ae185a89b",
        "kdf": "scrypt",
        "kdfparams": {
            "salt": "09e74ccfc8de64ed8990be14abba29cd556403336540e733730bb5186ef1b35f",
            "n": 4096, "dklen": 32, "p": 1, "r": 8
        },
        "mac": "f86ab1a0d9ef14d4cd6de1f4754efd46b9488dc790c4bd119c59818bceeb7a4b"
    }
}"#;

/// Set for the child process in which the variables are set: changing the environment of a process with threads is not safe.
const INSIDE: &str = "DEPIN_EVM_TEST_INSIDE";

fn inside(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_keystore_opens_with_its_password_only() {
    if std::env::var_os(INSIDE).is_none() {
        return inside(
            "a_keystore_opens_with_its_password_only",
            &[("RIGHT", "testpassword"), ("WRONG", "letmein")],
        );
    }
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("key.json");
    let ones = "01".repeat(32);
    let scrypt = SCRYPT.replace("Crypto", "crypto");
    for (file, key) in [(PBKDF2, PBKDF2_KEY), (&scrypt, ones.as_str())] {
        std::fs::write(&path, file).unwrap();
        let signer = signer_from_keystore(&path, "RIGHT").unwrap();
        assert_eq!(signer.to_bytes().to_string(), format!("0x{key}"));
    }
    let wrong = signer_from_keystore(&path, "WRONG").unwrap_err();
    assert!(matches!(wrong, KeyError::Keystore { .. }), "{wrong}");
    assert!(matches!(signer_from_keystore(&path, "UNSET").unwrap_err(), KeyError::Missing { .. }));
    let missing = signer_from_keystore(Path::new("/nowhere"), "RIGHT").unwrap_err();
    assert!(matches!(missing, KeyError::Keystore { .. }), "{missing}");
    std::fs::write(&path, &SCRYPT[..SCRYPT.len() / 2]).unwrap();
    assert!(matches!(signer_from_keystore(&path, "RIGHT").unwrap_err(), KeyError::Keystore { .. }));
}

#[test]
fn a_key_in_the_environment_is_read_and_a_bad_one_never_shown() {
    if std::env::var_os(INSIDE).is_none() {
        let digits = "01".repeat(32);
        let prefixed = format!("0x{digits}\n");
        return inside(
            "a_key_in_the_environment_is_read_and_a_bad_one_never_shown",
            &[("PLAIN", &digits), ("PREFIXED", &prefixed), ("SHORT", "0xsecret"), ("ZERO", &"00".repeat(32))],
        );
    }
    let plain = signer_from_env("PLAIN").unwrap();
    assert_eq!(plain.address().to_string(), "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1");
    assert_eq!(signer_from_env("PREFIXED").unwrap().address(), plain.address());
    for variable in ["SHORT", "ZERO"] {
        let error = signer_from_env(variable).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }));
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert!(matches!(signer_from_env("UNSET").unwrap_err(), KeyError::Missing { .. }));
}
