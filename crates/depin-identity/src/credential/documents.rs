//! The DID documents that a check may rely on.

use std::{collections::BTreeMap, sync::Arc};

use super::ProofError;
use crate::did::{Did, DidDocument, DidError, DidResolver, JwkMethod, KeyMethod};

/// Resolved DID documents, by DID. A did:key or did:jwk need not be in it: it says itself what it resolves to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents(BTreeMap<Did, Arc<DidDocument>>);

impl Documents {
    /// Adds a document that a resolver gave, in place of an older one.
    pub fn insert(&mut self, document: impl Into<Arc<DidDocument>>) {
        let document = document.into();
        self.0.insert(document.id.clone(), document);
    }

    /// Resolves those of `dids` that are not known yet.
    ///
    /// # Errors
    /// The first [`DidError`]; what was resolved until then stays.
    pub async fn resolve(
        &mut self,
        dids: impl IntoIterator<Item = &Did> + Send,
        resolver: &dyn DidResolver,
    ) -> Result<(), DidError> {
        let dids: Vec<_> = dids.into_iter().collect();
        for did in dids {
            if self.get(did).is_err() {
                self.insert(resolver.resolve(did, None).await?.document);
            }
        }
        Ok(())
    }

    /// The document of `did`.
    pub(crate) fn get(&self, did: &Did) -> Result<Arc<DidDocument>, ProofError> {
        match (self.0.get(did), did.method()) {
            (Some(document), _) => Ok(Arc::clone(document)),
            (None, "key") => Ok(Arc::new(KeyMethod::document(did)?)),
            (None, "jwk") => Ok(Arc::new(JwkMethod::document(did)?)),
            (None, _) => Err(ProofError::Unresolved { did: did.clone() }),
        }
    }
}

impl FromIterator<DidDocument> for Documents {
    fn from_iter<I: IntoIterator<Item = DidDocument>>(documents: I) -> Self {
        let mut all = Self::default();
        documents.into_iter().for_each(|document| all.insert(document));
        all
    }
}
