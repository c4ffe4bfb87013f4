//! RDF canonicalization of JSON-LD (W3C RDFC-1.0), by ssi, with what ssi leaves to its caller.
//!
//! JSON-LD lets one graph be written as many JSON documents, and what a verifier reads is the JSON. So everything by which the two could part is refused
//! beforehand: keywords, terms without a definition, nulls, names for blank nodes, contexts inside. No context is ever fetched, and the effort
//! for blank nodes that look alike, factorial in their number, is bounded.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use serde_json::Value;
use ssi::{
    json_ld::{
        CompactJsonLd, ContextLoader, Expandable as _, ExpandedDocument, Id, Loader as _, object::FragmentRef,
    },
    rdf::{
        AnyLdEnvironment as _, LdEnvironment, LexicalQuad,
        urdna2015::{self, BlankNodeComponents as _, IdentifierIssuer, NormalizationState},
    },
};

use super::ProofError;

/// The context of the terms that maker credentials use.
pub(crate) const CONTEXT: &str = include_str!("context.json");
/// Blank nodes that nothing but their neighbours tells apart.
const MAX_ALIKE: usize = 5;
/// Blank nodes of a document.
const MAX_BLANK: usize = 64;
/// Contexts of a document: each is processed anew wherever it is named.
const MAX_CONTEXTS: usize = 8;

/// The canonical N-Quads of `document`.
pub(super) fn canonicalize(document: &Value) -> Result<Vec<u8>, ProofError> {
    is_unambiguous(document, true)?;
    let loader = ContextLoader::default()
        .with_context_map_from(HashMap::from([(super::MAKER_CONTEXT.to_owned(), CONTEXT.to_owned())]))
        .map_err(failed)?;
    contexts_are_known(document, &loader)?;
    let (value, _) = json_syntax::Parse::parse_str(&document.to_string()).map_err(failed)?;
    let mut environment = LdEnvironment::default();
    let document = CompactJsonLd(value);
    let expanded = now(document.expand_with(&mut environment, &loader))?.map_err(failed)?;
    names_are_signed(&expanded)?;
    let quads = environment.quads_of(&expanded).map_err(failed)?;
    effort_is_bounded(&quads)?;
    Ok(urdna2015::normalize(quads.iter().map(LexicalQuad::as_lexical_quad_ref)).into_nquads().into_bytes())
}

fn failed(error: impl core::fmt::Display) -> ProofError {
    ProofError::Canonicalization { reason: error.to_string() }
}

/// What `future` gives, which waits for nothing.
fn now<F: Future>(future: F) -> Result<F::Output, ProofError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Ok(output),
        Poll::Pending => Err(failed("a context was about to be fetched")),
    }
}

fn contexts_are_known(document: &Value, loader: &ContextLoader) -> Result<(), ProofError> {
    let contexts = match document.get("@context") {
        Some(Value::Array(contexts)) => contexts.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    let found = contexts.len();
    if found > MAX_CONTEXTS {
        return Err(failed(format_args!("it has {found} contexts; at most {MAX_CONTEXTS} are processed")));
    }
    for context in contexts {
        let unknown =
            || ProofError::UnknownContext { context: context.to_string().chars().take(200).collect() };
        let url = context.as_str().filter(|url| decodes(url));
        let url = url.and_then(|url| ssi::json_ld::Iri::new(url).ok()).ok_or_else(unknown)?;
        now(loader.load(url))?.map_err(|_| unknown())?;
    }
    Ok(())
}

/// That JSON and JSON-LD cannot say different things.
fn is_unambiguous(value: &Value, top: bool) -> Result<(), ProofError> {
    let refused = |found: &str| Err(ProofError::Ambiguous { found: found.chars().take(80).collect() });
    match value {
        Value::Null => refused("null"),
        Value::String(text) if text.starts_with("_:") || !decodes(text) => refused(text),
        Value::Array(all) if all.is_empty() => refused("[]"),
        Value::Array(all) => all.iter().try_for_each(|value| is_unambiguous(value, false)),
        Value::Object(object) if object.is_empty() => refused("{}"),
        Value::Object(object) => object.iter().try_for_each(|(key, value)| match key.as_str() {
            "@context" if top => Ok(()),
            key if key.starts_with('@') || key.contains(':') || !decodes(key) => refused(key),
            _ => is_unambiguous(value, false),
        }),
        _ => Ok(()),
    }
}

/// Whether percent-encodings stand for UTF-8. IRIs in which they do not make ssi panic when it compares them.
fn decodes(text: &str) -> bool {
    let (mut rest, mut decoded) = (text.as_bytes(), Vec::with_capacity(text.len()));
    while let Some((first, after)) = rest.split_first() {
        let mut byte = [*first];
        rest = match after.split_first_chunk::<2>() {
            Some((digits, after)) if *first == b'%' && hex::decode_to_slice(digits, &mut byte).is_ok() => {
                after
            }
            _ => after,
        };
        decoded.extend(byte);
    }
    core::str::from_utf8(&decoded).is_ok()
}

/// That each name in the document is in the graph, and names one object. A name that is no IRI would be left out of what is signed, as if it were not there; two
/// objects of one name would become one, and nobody could say which of them a claim was in.
fn names_are_signed(document: &ExpandedDocument) -> Result<(), ProofError> {
    let mut names = BTreeSet::new();
    for fragment in document.traverse() {
        let node = match fragment {
            FragmentRef::Object(object) => object.as_node(),
            FragmentRef::IndexedObject(object) => object.inner().as_node(),
            FragmentRef::Node(node) => Some(node),
            FragmentRef::IndexedNode(node) => Some(node.inner()),
            _ => None,
        };
        let Some((node, id)) = node.and_then(|node| Some((node, node.id.as_ref()?))) else { continue };
        let taken = !node.properties().is_empty() && !names.insert(id);
        if taken || matches!(id, Id::Invalid(_)) {
            return Err(ProofError::Ambiguous { found: id.to_string().chars().take(80).collect() });
        }
    }
    Ok(())
}

/// Blank nodes that their own quads do not tell apart are told apart by trying all their orders. A handful is plenty for a credential.
fn effort_is_bounded(quads: &[LexicalQuad]) -> Result<(), ProofError> {
    let mut state = NormalizationState {
        blank_node_to_quads: BTreeMap::new(),
        hash_to_blank_nodes: BTreeMap::new(),
        canonical_issuer: IdentifierIssuer::new("_:c14n".to_owned()),
    };
    for quad in quads.iter().map(LexicalQuad::as_lexical_quad_ref) {
        for node in quad.blank_node_components() {
            state.blank_node_to_quads.entry(node).or_default().push(quad);
        }
    }
    let nodes: Vec<_> = state.blank_node_to_quads.keys().copied().collect();
    let blank = nodes.len();
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for node in nodes {
        let count = alike.entry(urdna2015::hash_first_degree_quads(&mut state, node)).or_default();
        *count = count.saturating_add(1);
    }
    let unresolved = alike.values().filter(|count| **count > 1).sum::<usize>();
    if blank > MAX_BLANK || unresolved > MAX_ALIKE {
        let found = format!("{blank} objects without id, {unresolved} of them alike,");
        return Err(ProofError::Ambiguous { found });
    }
    Ok(())
}
