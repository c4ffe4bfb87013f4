#![no_main]

//! Everything a dishonest operator can put into a bundle and sign: hashes, heads and digests are made right, so that the audit goes on to what
//! the bundle says.

use depin::{
    Bundle, Catalogue,
    audit::{AuditError, audit, audit_excerpt, audit_receipts, audit_succession},
    excerpt::Excerpt,
};
use depin_fuzz::{
    FIXTURE,
    common::{checkpoint, node_key, params},
    file,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(file) = file(bytes) else { return };
    let Ok(mut bundle) = Bundle::from_bytes(&file) else { return };
    assert_eq!(bundle.to_bytes(), file);
    let (catalogue, key) = (Catalogue::standard(), node_key());
    bundle.header.params.node = key.public().typed();
    for _ in 0..3 {
        bundle.header.checkpoint = checkpoint(&bundle.header.params, &key, bundle.header.journal_after);
        let Err(AuditError::Differs { path, recomputed, .. }) = audit(&bundle, &catalogue) else { break };
        let Ok(digest) = recomputed.trim_matches('"').parse() else { break };
        match path.as_str() {
            "header.journal_after.root" => bundle.header.journal_after.root = digest,
            "header.state_before" => bundle.header.state_before = digest,
            _ => break,
        }
    }
    if let Some(bundle_before) = FIXTURE.bundles.first() {
        let _ = audit_succession(bundle_before, &bundle);
    }
    if bundle.header.params.network() == params().network() {
        let receipts: Vec<_> = FIXTURE.receipts.iter().map(|bytes| (String::new(), bytes.clone())).collect();
        let _ = audit_receipts(&bundle, &receipts);
    }
    for section in &bundle.devices {
        let Some(excerpt) = bundle.excerpt(&section.device) else { continue };
        let opened = Excerpt::open(&excerpt.to_bytes()).expect("an excerpt of a bundle can be opened");
        assert_eq!(opened.digest, bundle.digest());
        let _ = audit_excerpt(&opened, &catalogue);
    }
});
