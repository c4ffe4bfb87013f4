//! JSON and PEM.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin_core::Timestamp;
use depin_identity::{
    DidDocument,
    attestation::{android::RevocationList, x509::certificates_from_pem},
    credential::{
        Credential, Documents, Expected, Known, MAX_BYTES, MAX_LIST_BYTES, MakerChain, Presentation,
        StatusLists, VerifiedStatusList,
    },
    did::{Did, JwkMethod, KeyMethod},
    signer::{Password, PemKeyError, decrypt_key},
};
use pkcs8::{
    EncryptedPrivateKeyInfo, LineEnding, SecretDocument,
    der::{Encode as _, pem::PemLabel as _},
    pkcs5::pbes2,
};

use crate::{KIB, MIB, defused, issuing};

/// `part` again and again between `before` and `after`, `len` bytes at most.
fn filled(before: &str, part: &str, after: &str, len: usize) -> Vec<u8> {
    let times = (len - before.len() - after.len()) / part.len();
    [before, &part.repeat(times), after].concat().into_bytes()
}

/// JSON that nests, lists, names, escapes and counts for `len` bytes. `before` leads to a value, `after` ends the document.
fn json(before: &str, after: &str, len: usize) -> Vec<Vec<u8>> {
    let parts = [
        ("", "[", ""),
        ("", r#"{"a":"#, ""),
        ("", r#"[{"":"#, ""),
        ("[", "0,", "0]"),
        ("[", "[],", "0]"),
        ("[", "{},", "0]"),
        ("[", r#""","#, "0]"),
        ("[", r#"{"id":"a"},"#, "0]"),
        ("{", r#""a":0,"#, r#""b":0}"#),
        ("\"", "\\u0000", "\""),
        ("\"", "\\\"", "\""),
        ("\"", "a", ""),
        ("", "9", ""),
        ("0.", "0", "1"),
        ("1e", "9", ""),
        ("", " ", "[0"),
    ];
    let bomb = |(open, part, close): &(&str, &str, &str)| {
        filled(&format!("{before}{open}"), part, &format!("{close}{after}"), len)
    };
    let mut bombs: Vec<_> = parts.iter().map(bomb).collect();
    let times = (len - before.len() - after.len() - 9) / 11;
    let names: String = (0..times).map(|number| format!("\"{number:06}\":0,")).collect();
    bombs.push(format!("{before}{{{names}\"\":0}}{after}").into_bytes());
    bombs
}

#[test]
fn credentials_are_bounded() {
    let (documents, lists) = (Documents::default(), StatusLists::default());
    let known = Known { now: issuing::NOW, documents: &documents, lists: &lists };
    let credential = |bytes: &[u8]| {
        MakerChain::parse(&[bytes, bytes]).is_ok_and(|_| {
            let expected = Expected { without_status: true, ..Expected::default() };
            Credential::parse(bytes).unwrap().verify(&expected, &known).is_ok()
        })
    };
    let presentation = |bytes: &[u8]| {
        Presentation::parse(bytes).is_ok_and(|one| one.verify("challenge", "domain", &known).is_ok())
    };
    let signed = issuing::maker_credential().to_string();
    let more = format!(r#"{},"more":"#, signed.strip_suffix('}').unwrap());
    for before in ["", r#"{"proof":"#, r#"{"@context":"#, &more] {
        let after = if before.is_empty() { "" } else { "}" };
        let bombs = json(before, after, MAX_BYTES);
        defused("credential", MIB, &bombs, credential);
        defused("presentation", MIB, &bombs, presentation);
        defused("status list credential", 16 * MIB, json(before, after, MAX_LIST_BYTES), |bytes| {
            let documents = Documents::default();
            VerifiedStatusList::verify(bytes, issuing::LIST, issuing::NOW, &documents, depin_core::Millis(1))
                .is_ok()
        });
    }
}

#[test]
fn proofs_that_build_on_each_other_are_bounded() {
    let (documents, lists) = (Documents::default(), StatusLists::default());
    let known = Known { now: issuing::NOW, documents: &documents, lists: &lists };
    let mut document = issuing::maker_credential();
    let ids: Vec<String> = (0..8).map(|number| format!("urn:{number}")).collect();
    let proof = |id: &String| {
        let mut proof = document["proof"].clone();
        proof["id"] = id.as_str().into();
        // Each builds on all of them, and carries what makes all of them long.
        proof["previousProof"] = ids.clone().into();
        proof["nonce"] = "a".repeat(7_500).into();
        proof
    };
    let proofs: Vec<_> = ids.iter().map(proof).collect();
    document["proof"] = proofs.into();
    let bytes = document.to_string().into_bytes();
    assert!((60_000..MAX_BYTES).contains(&bytes.len()));
    defused("proofs", MIB, [bytes], |bytes| {
        Credential::parse(bytes).unwrap().verify(&Expected::default(), &known).is_ok()
    });
}

#[test]
fn did_documents_and_keys_are_bounded() {
    let method = r##"{"id":"#k","type":"Multikey","controller":"did:a:b"}"##;
    let long = format!("did:web:{}", "a".repeat(1_000));
    let len = DidDocument::MAX_BYTES;
    let mut bombs = json(r#"{"id":"did:web:a","service":"#, "", len);
    for relationship in ["verificationMethod", "authentication", "controller", "keyAgreement"] {
        let before = format!(r#"{{"id":"{long}","{relationship}":["#);
        for entry in [method, r##""#a""##, r#""did:a:b""#] {
            bombs.push(filled(&before, &format!("{entry},"), "0]}", len));
            bombs.push(filled(&before, &format!("{entry},"), &format!("{entry}]}}"), len));
        }
        bombs.extend(json(before.trim_end_matches('['), "}", len));
    }
    defused("DID document", 2 * MIB, &bombs, |bytes| DidDocument::from_json(bytes).is_ok());
    let jwk = json(r#"{"kty":"#, "}", 700)
        .into_iter()
        .map(|json| format!("did:jwk:{}", URL_SAFE_NO_PAD.encode(json)));
    // The cost of base58 is quadratic.
    let key = ["1", "z", "2"].map(|digit| format!("did:key:z{}", digit.repeat(1_014)));
    defused("did:jwk and did:key", 32 * KIB, jwk.chain(key), |bytes| {
        let did: Did = core::str::from_utf8(bytes).unwrap().parse().unwrap();
        JwkMethod::document(&did).is_ok() || KeyMethod::document(&did).is_ok()
    });
}

#[test]
fn revocation_lists_are_bounded() {
    let entries: Vec<_> =
        (0..=RevocationList::MAX_ENTRIES).map(|number| format!(r#""{number:x}":{{"status":""}}"#)).collect();
    let mut bombs = json(r#"{"entries":"#, "}", RevocationList::MAX_LEN);
    bombs.extend(json(r#"{"entries":{"1":{"status":"#, "}}}", RevocationList::MAX_LEN));
    bombs.extend(json(r#"{"more":"#, "}", RevocationList::MAX_LEN));
    bombs.push(format!(r#"{{"entries":{{{}}}}}"#, entries.join(",")).into_bytes());
    bombs.push(vec![b' '; RevocationList::MAX_LEN + 1]);
    defused("revocation list", 48 * MIB, &bombs, |bytes| RevocationList::parse(bytes, Timestamp(0)).is_ok());
}

#[test]
fn pem_is_bounded() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let texts =
        [pem.repeat(4_000), pem[..28].repeat(9_000), format!("{}{}", &pem[..28], "A".repeat(250 * KIB))];
    defused("PEM", 512 * KIB, texts, |text| {
        certificates_from_pem(core::str::from_utf8(text).unwrap()).is_ok()
    });
}

/// What a key file says of scrypt decides how much memory and time its password costs, so it is looked at first.
#[test]
fn absurd_costs_of_a_password_are_refused_before_they_are_paid() {
    let password = Password::new(b"password".to_vec()).unwrap();
    for (n, r, p) in [
        (1 << 22, 1, 1),
        (1 << 21, 2, 1),
        (1 << 63, u16::MAX, u16::MAX),
        (1 << 20, u16::MAX, 1),
        (2, u16::MAX, u16::MAX),
        (1 << 14, 8, u16::MAX),
        (3, 1, 1),
        (0, 0, 0),
    ] {
        let kdf = pbes2::ScryptParams {
            salt: &[1; 16],
            cost_parameter: n,
            block_size: r,
            parallelization: p,
            key_length: None,
        };
        let encryption = pbes2::EncryptionScheme::Aes256Cbc { iv: &[2; 16] };
        let scheme = pbes2::Parameters { kdf: kdf.into(), encryption };
        let info = EncryptedPrivateKeyInfo { encryption_algorithm: scheme.into(), encrypted_data: &[3; 64] };
        let document = SecretDocument::try_from(info.to_der().unwrap()).unwrap();
        let pem = document.to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, LineEnding::LF).unwrap();
        defused("scrypt", 16 * KIB, [pem.as_bytes()], |text| {
            !matches!(decrypt_key(text, &password), Err(PemKeyError::Cost { .. }))
        });
    }
}
