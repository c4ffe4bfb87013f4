#![no_main]

use std::sync::LazyLock;

use depin_fuzz::papers::{PAPERS, issuing, options, without_proof};
use depin_identity::credential::{Credential, Documents, Expected, Known, MakerGrant, Suite};
use issuing::root;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

// A document without its proof, which is made to fit: ssi expands and canonicalizes it before any signature is checked.
fuzz_target!(|bytes: &[u8]| {
    static SIGNED: LazyLock<Value> = LazyLock::new(|| {
        let document = without_proof(&PAPERS.credentials[0]);
        issuing::sign_as(&document, &root(), &options(&root(), Suite::EddsaRdfc2022))
    });
    let Ok(Value::Object(mut document)) = serde_json::from_slice(bytes) else { return };
    document.insert("proof".to_owned(), SIGNED["proof"].clone());
    let Ok(credential) = Credential::parse(Value::Object(document).to_string().as_bytes()) else { return };
    let documents = Documents::default();
    let known = Known { now: issuing::NOW, documents: &documents, lists: &PAPERS.lists };
    let Ok(verified) = credential.verify(&Expected::default(), &known) else { return };
    // RDF signs neither order nor repetition, nor contexts that change nothing. What is read of it is what was signed.
    let read = |document: &Value| -> Option<MakerGrant> {
        serde_json::from_value(document.get("credentialSubject")?.clone()).ok()
    };
    let grant = verified.claims().cloned().and_then(|claims| serde_json::from_value(claims.into()).ok());
    assert!(grant.is_none() || grant == read(&SIGNED), "nobody signed this");
    let text = |name: &str| SIGNED[name].as_str();
    assert_eq!(Some(verified.issuer().as_str()), text("issuer"));
    assert_eq!(verified.subject(), SIGNED["credentialSubject"]["id"].as_str());
    assert!(verified.types().iter().all(|kind| SIGNED["type"].to_string().contains(kind)));
    assert!(verified.valid_from().is_some() && verified.valid_until().is_some());
});
