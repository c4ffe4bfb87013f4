//! DID documents. One proves nothing by itself: it is compared with what its DID resolves to.

use depin_core::Finding;
use depin_identity::{
    DidDocument, DidError, DidResolver as _,
    did::{MethodKey, MethodRef, Purpose},
};

use super::{
    report::{Checked, fail, pass, skipped},
    trust::Trust,
};

const KIND: &str = "DID document";

pub(super) async fn document(bytes: &[u8], trust: &Trust) -> Checked {
    let document = match DidDocument::from_json(bytes) {
        Ok(document) => document,
        Err(error) => return Checked::new(KIND, "", vec![fail("did.form", "malformed", error)]),
    };
    let mut findings = vec![pass("did.form", format!("{} keys", document.verification_method.len()), "")];
    findings.push(match trust.resolver.resolve(&document.id, None).await {
        Ok(resolution) => compare(&document, &resolution.document),
        Err(error @ (DidError::Unavailable { .. } | DidError::UnsupportedMethod { .. })) => {
            let missing = match document.id.method() {
                "web" if trust.web.is_none() => {
                    format!("the document of {} is at a server: --online asks it", document.id)
                }
                _ => error.to_string(),
            };
            skipped("did.resolution", "unresolved", missing)
        }
        Err(error) => fail("did.resolution", "refused", error),
    });
    Checked::new(KIND, format!("of {}", document.id), findings)
}

/// Whether the document gives a purpose to no key that its DID does not give to it. One that says less is no lie.
fn compare(document: &DidDocument, resolved: &DidDocument) -> Finding {
    for purpose in Purpose::ALL {
        let known: Vec<_> =
            resolved.relationship(purpose).iter().filter_map(|method| key(resolved, method)).collect();
        for method in document.relationship(purpose) {
            if !key(document, method).is_some_and(|key| known.contains(&key)) {
                let name = purpose.name();
                return fail(
                    "did.resolution",
                    "other-key",
                    format!("{} has no such key for {name}", document.id),
                );
            }
        }
    }
    pass("did.resolution", document.id.as_str(), "every key is the DID's")
}

fn key<'a>(document: &'a DidDocument, method: &'a MethodRef) -> Option<&'a MethodKey> {
    let method = match method {
        MethodRef::Embedded(method) => Some(method),
        MethodRef::Reference(id) => document.verification_method.iter().find(|method| method.id == *id),
    };
    method.and_then(|method| method.key.as_ref())
}
