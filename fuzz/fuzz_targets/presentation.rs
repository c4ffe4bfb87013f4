#![no_main]

use depin_fuzz::papers::{CHALLENGE, DOMAIN, PAPERS, issuing};
use depin_identity::credential::{Documents, Expected, Known, Presentation};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(presentation) = Presentation::parse(bytes) else { return };
    let documents = Documents::default();
    let known = Known { now: issuing::NOW, documents: &documents, lists: &PAPERS.lists };
    let holder = presentation.holder().clone();
    if let Ok(verified) = presentation.verify(CHALLENGE, DOMAIN, &known) {
        // A did:key of the fuzzer's own making may sign for itself.
        if holder == issuing::did(&issuing::device()) {
            let signed: serde_json::Value = serde_json::from_slice(bytes).expect("it was read as JSON");
            assert_eq!(signed, PAPERS.presentation, "nobody signed this");
        }
        let _ = verified.verify(&Expected { without_status: true, ..Expected::default() }, &known);
    }
});
