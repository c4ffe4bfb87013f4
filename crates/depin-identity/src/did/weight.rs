//! How much memory an answer takes: about, and never much less than it does.

use super::{
    Did, DidDocument, DidError, DidUrl, MethodKey, MethodRef, MethodType, Resolution, VerificationMethod,
};

/// Bytes of `answer`, those it points to included.
pub(super) fn of_answer(answer: &Result<Resolution, DidError>) -> usize {
    let inner = match answer {
        Ok(Resolution { document, version }) => of_document(document)
            .saturating_add(size_of::<DidDocument>())
            .saturating_add(version.as_ref().map_or(0, |version| version.as_str().len())),
        Err(error) => of_error(error),
    };
    inner.saturating_add(size_of::<Result<Resolution, DidError>>())
}

/// Bytes that `did` points to.
pub(super) fn of_did(did: &Did) -> usize {
    did.as_str().len()
}

fn of_error(error: &DidError) -> usize {
    match error {
        DidError::Invalid { subject, expected } => subject.len().saturating_add(expected.len()),
        DidError::UnsupportedMethod { found, allowed } => {
            sum(allowed, |method| method.len().saturating_add(size_of::<String>()))
                .saturating_add(found.len())
        }
        DidError::NotFound { subject } => subject.len(),
        DidError::Deactivated { did } => of_did(did),
        DidError::Unavailable { did, reason } => of_did(did).saturating_add(reason.len()),
    }
}

fn of_document(document: &DidDocument) -> usize {
    let DidDocument {
        id,
        controller,
        verification_method,
        authentication,
        assertion_method,
        key_agreement,
        capability_invocation,
        capability_delegation,
    } = document;
    let relationships =
        [authentication, assertion_method, key_agreement, capability_invocation, capability_delegation];
    [
        of_did(id),
        sum(controller, |did| of_did(did).saturating_add(size_of::<Did>())),
        sum(verification_method, |method| of_method(method).saturating_add(size_of::<VerificationMethod>())),
        sum(relationships, |entries| {
            sum(entries, |entry| of_entry(entry).saturating_add(size_of::<MethodRef>()))
        }),
    ]
    .into_iter()
    .fold(0, usize::saturating_add)
}

fn of_entry(entry: &MethodRef) -> usize {
    match entry {
        MethodRef::Reference(url) => of_url(url),
        MethodRef::Embedded(method) => of_method(method),
    }
}

fn of_method(method: &VerificationMethod) -> usize {
    let VerificationMethod { id, kind, controller, key } = method;
    let kind = if let MethodType::Other(name) = kind { name.len() } else { 0 };
    let key = match key {
        Some(MethodKey::Public(key)) => key.heap_len(),
        Some(MethodKey::Account { .. }) | None => 0,
    };
    [of_url(id), kind, of_did(controller), key].into_iter().fold(0, usize::saturating_add)
}

fn of_url(url: &DidUrl) -> usize {
    let parts = [Some(url.did().as_str()), Some(url.path()), url.query(), url.fragment()];
    sum(parts.into_iter().flatten(), str::len)
}

fn sum<T>(items: impl IntoIterator<Item = T>, weight: impl Fn(T) -> usize) -> usize {
    items.into_iter().map(weight).fold(0, usize::saturating_add)
}
