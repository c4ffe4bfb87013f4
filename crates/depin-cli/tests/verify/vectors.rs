//! Files that others made, every one through `depin verify`.

use std::collections::BTreeMap;

use super::*;

/// W3C's signed documents: how many keys signed each, or why its proof is not checked here.
const W3C: [(&str, Result<usize, &str>); 11] = [
    ("eddsa/TestVectors/Ed25519Signature2020/signedEdSig.json", Err("unknown-suite")),
    ("eddsa/TestVectors/eddsa-jcs-2022/signedJCS.json", Ok(1)),
    ("eddsa/TestVectors/eddsa-rdfc-2022/employ/signedDataInt.json", Err("unknown-context")),
    ("eddsa/TestVectors/eddsa-rdfc-2022/signedDataInt.json", Ok(1)),
    ("eddsa/TestVectors/proof-set-chain/signedProofChain1.json", Ok(3)),
    ("eddsa/TestVectors/proof-set-chain/signedProofChain2.json", Ok(4)),
    ("eddsa/TestVectors/proof-set-chain/signedProofSet1.json", Ok(1)),
    ("eddsa/TestVectors/proof-set-chain/signedProofSet2.json", Ok(2)),
    ("ecdsa/TestVectors/ecdsa-jcs-2019-p256/signedJCSECDSAP256.json", Ok(1)),
    ("ecdsa/TestVectors/ecdsa-rdfc-2019-p256/employ/signedECDSAP256.json", Err("unknown-context")),
    ("ecdsa/TestVectors/ecdsa-rdfc-2019-p256/signedECDSAP256.json", Ok(1)),
];

/// Every signature is right; their issuer is a web page that signed nothing, so none of them is a credential by it.
#[tokio::test]
async fn every_proof_of_w3c_verifies_and_none_is_by_its_issuer() {
    let desk = Desk::new();
    let mut files = BTreeMap::new();
    for suite in ["eddsa", "ecdsa"] {
        for (name, bytes) in depin_vectors::files(&format!("identity/w3c-vc-di-{suite}")) {
            if name.rsplit('/').next().is_some_and(|file| file.starts_with("signed")) {
                files.insert(format!("{suite}/{name}"), bytes);
            }
        }
    }
    if files.is_empty() {
        return;
    }
    // No file of theirs is left out.
    assert_eq!(files.len(), W3C.len());
    let mut signers = 0;
    for (path, expected) in W3C {
        let bytes = &files[path];
        desk.put("signed", bytes);
        let Ok(count) = expected else {
            let answer = desk.judge(&["signed"], NOT_CHECKED).await;
            assert_eq!(finding(&answer, "credential.proof"), ("skipped", expected.unwrap_err()), "{path}");
            continue;
        };
        let answer = desk.judge(&["signed"], INVALID).await;
        assert_eq!(finding(&answer, "credential.proof"), ("pass", "ok"), "{path}");
        assert_eq!(finding(&answer, "credential.issuer"), ("fail", "not-signed"), "{path}");
        let proofs = answer["files"][0]["findings"].as_array().unwrap();
        let proof = proofs.iter().find(|finding| finding["check"] == "credential.proof").unwrap();
        assert_eq!(proof["observed"].as_str().unwrap().split(", ").count(), count, "{path}");
        signers += count;
        let changed = std::str::from_utf8(bytes).unwrap().replacen("Alumni", "Another", 1);
        assert!(changed.contains("Another"), "{path}");
        desk.put("changed", changed);
        let answer = desk.judge(&["changed"], INVALID).await;
        assert_eq!(finding(&answer, "credential.proof"), ("fail", "refused"), "{path}");
    }
    assert_eq!(signers, 14);
}

/// The documents are those of their DIDs; with the keys of the next document they are not.
#[tokio::test]
async fn all_22_documents_of_did_key_are_what_their_dids_say() {
    let desk = Desk::new();
    let mut documents = Vec::new();
    for (file, count) in [("ed25519-x25519", 5), ("x25519", 4), ("nist-curves", 7), ("secp256k1", 6)] {
        let Some(bytes) = depin_vectors::file(&format!("identity/did-key/test-vectors/{file}.json")) else {
            return;
        };
        let vectors: Value = serde_json::from_slice(&bytes).unwrap();
        // One file has the documents themselves, the others have them beside the keys.
        let found: Vec<Value> = match vectors.get("didDocument") {
            Some(documents) => documents.as_object().unwrap().values().cloned().collect(),
            None => vectors.as_object().unwrap().values().map(|it| it["didDocument"].clone()).collect(),
        };
        assert_eq!(found.len(), count, "{file}");
        documents.extend(found);
    }
    let names: Vec<String> = (0..documents.len()).map(|number| number.to_string()).collect();
    for (name, document) in names.iter().zip(&documents) {
        desk.put(name, document.to_string());
    }
    assert_eq!(outcomes(&desk, &names, AT).await, ["valid"; 22]);
    let next = documents.iter().cycle().skip(1);
    for (name, (document, next)) in names.iter().zip(documents.iter().zip(next)) {
        // Each key under its own name, but of somebody else.
        let mut swapped = next.to_string();
        let (id, other) = (document["id"].as_str().unwrap(), next["id"].as_str().unwrap());
        swapped = swapped.replace(&format!("{other}#"), &format!("{id}#"));
        desk.put(name, swapped.replace(&format!("\"{other}\""), &format!("\"{id}\"")));
    }
    assert_eq!(outcomes(&desk, &names, AT).await, ["invalid"; 22]);
}

/// Intel's chains: of the keys that quotes in SGX and TDX are signed with, and of those that sign what goes with them.
#[tokio::test]
async fn the_chains_of_intel_lead_to_its_root_and_to_no_other() {
    const FOLDER: &str = "proof/tee-dcap-qvl";
    // When all of them were in force.
    const WHEN: &str = "2026-03-01T00:00:00Z";
    let desk = Desk::new();
    let Some(root) = depin_vectors::file(&format!("{FOLDER}/TrustedRootCA.der")) else { return };
    desk.put("root.der", root);
    let (mut names, mut issuing) = (Vec::new(), Vec::new());
    for quote in ["sgx_quote", "tdx_quote", "tdx_quote_outdated"] {
        let bytes = depin_vectors::file(&format!("{FOLDER}/{quote}")).unwrap();
        desk.put(&format!("{quote}.pem"), certificates(&String::from_utf8_lossy(&bytes)));
        names.push(format!("{quote}.pem"));
        let collateral = depin_vectors::file(&format!("{FOLDER}/{quote}_collateral.json")).unwrap();
        let collateral: Value = serde_json::from_slice(&collateral).unwrap();
        for chain in ["tcb_info_issuer_chain", "qe_identity_issuer_chain"] {
            desk.put(&format!("{quote}.{chain}"), certificates(collateral[chain].as_str().unwrap()));
            names.push(format!("{quote}.{chain}"));
        }
        let chain = certificates(collateral["pck_crl_issuer_chain"].as_str().unwrap());
        desk.put(&format!("{quote}.issuer"), chain);
        issuing.push(format!("{quote}.issuer"));
    }
    let rooted = |names: &[String]| [names, &["--root".to_owned(), "root.der".to_owned()]].concat();
    assert_eq!(outcomes(&desk, &rooted(&names), WHEN).await, ["valid"; 9]);
    assert_eq!(outcomes(&desk, &names, WHEN).await, ["not-checked"; 9]);
    // They expired, or were not issued yet.
    for when in ["2017-01-01T00:00:00Z", "2040-01-01T00:00:00Z"] {
        assert_eq!(outcomes(&desk, &rooted(&names), when).await, ["invalid"; 9]);
    }
    // These end in an authority, whose key signs certificates and nothing else.
    assert_eq!(outcomes(&desk, &rooted(&issuing), WHEN).await, ["invalid"; 3]);
}

/// The certificates in `text`, and nothing else.
fn certificates(text: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    let mut found = String::new();
    for part in text.split_inclusive(END) {
        if let (Some(at), true) = (part.find("-----BEGIN"), part.ends_with(END)) {
            found += &format!("{}\n", &part[at..]);
        }
    }
    found
}

/// COSE of other profiles than ours, whoever signed it.
#[tokio::test]
async fn none_of_the_12_messages_of_cose_is_a_report() {
    let desk = Desk::new();
    let mut examples = depin_vectors::files("identity/cose-wg/eddsa-examples");
    examples.extend(depin_vectors::files("identity/cose-wg/ecdsa-examples"));
    if examples.is_empty() {
        return;
    }
    let mut names = Vec::new();
    for (name, bytes) in examples {
        let example: Value = serde_json::from_slice(&bytes).unwrap();
        let hexadecimal = example["output"]["cbor"].as_str().unwrap();
        let bytes = (0..hexadecimal.len()).step_by(2);
        let bytes: Vec<u8> =
            bytes.map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect();
        desk.put(&name, bytes);
        names.push(name);
    }
    assert_eq!(outcomes(&desk, &names, AT).await, ["invalid"; 12]);
}

/// What each file came to.
async fn outcomes(desk: &Desk, arguments: &[String], at: &str) -> Vec<String> {
    let all = ["verify", "--json", "--at", at].into_iter().chain(arguments.iter().map(String::as_str));
    let mut command = depin(all);
    command.current_dir(desk.path());
    let answer = run(command).await.json();
    let files = answer["files"].as_array().unwrap();
    assert!(!answer.to_string().contains("broke-off"), "{answer}");
    files.iter().map(|file| file["outcome"].as_str().unwrap().to_owned()).collect()
}
