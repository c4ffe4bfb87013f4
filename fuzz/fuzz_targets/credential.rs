#![no_main]

use depin_fuzz::papers::{PAPERS, issuing};
use depin_identity::credential::{
    Credential, Documents, Expected, Known, SecuredDocument, VerifiedStatusList, canonicalize,
};
use issuing::{did, maker, root};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(secured) = SecuredDocument::parse(bytes) else { return };
    let canonical = canonicalize(secured.document()).expect("what was read has a canonical form");
    let again: serde_json::Value = serde_json::from_slice(&canonical).expect("which is JSON");
    assert_eq!(again.as_object(), Some(secured.document()));
    let Ok(credential) = Credential::parse(bytes) else { return };
    assert!(VerifiedStatusList::signers(bytes).is_ok());
    let (documents, root, maker) = (Documents::default(), did(&root()), did(&maker()));
    let expected = Expected { issuer: Some(&root), subject: Some(&maker), ..Expected::default() };
    let known = Known { now: issuing::NOW, documents: &documents, lists: &PAPERS.lists };
    if let Ok(verified) = credential.verify(&expected, &known) {
        let mut documents = PAPERS.credentials.iter().filter_map(|signed| signed.as_object()).cloned();
        let signed = documents.any(|mut signed| {
            signed.remove("proof");
            signed == *verified.document()
        });
        assert!(signed, "nobody signed this");
    }
});
