//! What every [`DidResolver`] does, whatever its method.

use std::collections::BTreeSet;

use depin_core::Text;

use super::{Did, DidDocument, DidError, DidResolver};
use crate::conformance::{Violation, same, violation};

/// Every rule of a [`DidResolver`], for a DID of its own that exists now.
///
/// # Errors
/// The first [`Violation`].
pub async fn did_resolver(resolver: &dyn DidResolver, existing: &Did) -> Result<(), Violation> {
    methods_are_named(resolver)?;
    the_document_is_the_dids(resolver, existing).await?;
    other_methods_are_refused(resolver).await?;
    nonsense_has_no_document(resolver, existing).await
}

fn methods_are_named(resolver: &dyn DidResolver) -> Result<(), Violation> {
    const RULE: &str = "methods_are_named";
    let methods = resolver.methods();
    let named: BTreeSet<&str> = methods.iter().copied().collect();
    if methods.is_empty() || named.len() != methods.len() {
        return Err(violation(RULE, "at least one method, each once", &methods));
    }
    for method in &methods {
        Did::new(method, "x").map_err(|error| violation(RULE, "names that DIDs can have", error))?;
    }
    same(RULE, &methods, &resolver.methods())
}

async fn the_document_is_the_dids(resolver: &dyn DidResolver, did: &Did) -> Result<(), Violation> {
    const RULE: &str = "the_document_is_the_dids";
    let found = resolver.resolve(did, None).await.map_err(|error| violation(RULE, "a document", error))?;
    same(RULE, did, &found.document.id)?;
    let json =
        found.document.to_json().map_err(|error| violation(RULE, "a document that can be written", error))?;
    let read = DidDocument::from_json(json.as_bytes());
    same(RULE, &Ok(&*found.document), &read.as_ref())?;
    let again = resolver.resolve(did, None).await;
    same(RULE, &Ok(&found), &again.as_ref())?;
    // A version that was named once resolves to the same document ever after.
    if let Some(version) = &found.version {
        let versioned = resolver.resolve(did, Some(version)).await;
        same(RULE, &Ok(&found.document), &versioned.as_ref().map(|found| &found.document))?;
    }
    Ok(())
}

async fn other_methods_are_refused(resolver: &dyn DidResolver) -> Result<(), Violation> {
    const RULE: &str = "other_methods_are_refused";
    for method in ["key", "jwk", "pkh", "web", "ethr", "ion", "conformance0"] {
        if resolver.methods().contains(&method) {
            continue;
        }
        let did = Did::new(method, "x").map_err(|error| violation(RULE, "a DID", error))?;
        match resolver.resolve(&did, None).await {
            Err(DidError::UnsupportedMethod { found, .. }) if found == method => {}
            other => return Err(violation(RULE, "the method refused by name", other)),
        }
    }
    Ok(())
}

async fn nonsense_has_no_document(resolver: &dyn DidResolver, existing: &Did) -> Result<(), Violation> {
    const RULE: &str = "nonsense_has_no_document";
    for method in resolver.methods() {
        for id in ["-", "%00", "..:..", "127.0.0.1", "x%2F..%2Fx"] {
            let did = Did::new(method, id).map_err(|error| violation(RULE, "a DID", error))?;
            if let Ok(found) = resolver.resolve(&did, None).await {
                return Err(violation(RULE, "an error", found));
            }
        }
    }
    match resolver.resolve(existing, Some(&Text::from("no-such-version"))).await {
        Err(DidError::NotFound { .. } | DidError::Invalid { .. }) => Ok(()),
        other => Err(violation(RULE, "no such version", other)),
    }
}
