use alloc::{boxed::Box, sync::Arc, vec::Vec};

use async_trait::async_trait;
use depin_core::Text;

use super::{Did, DidDocument, DidError, JwkMethod, KeyMethod, PkhMethod};

/// Whatever turns a DID into its document: what the DID itself says, a web server, a chain.
#[async_trait]
pub trait DidResolver: Send + Sync {
    /// The methods it resolves, by name; the same for as long as it lives. Never "any".
    fn methods(&self) -> Vec<&str>;

    /// The document of `did` as it is now, or as it was at `version` (a `versionId` of the method).
    ///
    /// A deactivated DID is an error, never a document, so that nobody can forget to look.
    ///
    /// # Errors
    /// [`DidError`]: `Unavailable` whenever it could not be found out, which is never `NotFound`.
    async fn resolve(&self, did: &Did, version: Option<&Text>) -> Result<Resolution, DidError>;
}

/// What a DID resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The document; its id is the DID. Shared, because many ask for the same one.
    pub document: Arc<DidDocument>,
    /// The version of the document, where the method has versions.
    pub version: Option<Text>,
}

/// An allow-list of methods: one resolver each, all others refused by name.
#[derive(Clone, Default)]
pub struct Resolvers(Vec<Arc<dyn DidResolver>>);

impl Resolvers {
    /// did:key, did:jwk and did:pkh, which say themselves what they resolve to.
    pub fn offline() -> Self {
        Self::default().with(Arc::new(KeyMethod)).with(Arc::new(JwkMethod)).with(Arc::new(PkhMethod))
    }

    /// Allows the methods of `resolver` too. A method that is on the list already stays with its first resolver.
    #[must_use]
    pub fn with(mut self, resolver: Arc<dyn DidResolver>) -> Self {
        self.0.push(resolver);
        self
    }
}

#[async_trait]
impl DidResolver for Resolvers {
    fn methods(&self) -> Vec<&str> {
        self.0.iter().flat_map(|resolver| resolver.methods()).collect()
    }

    async fn resolve(&self, did: &Did, version: Option<&Text>) -> Result<Resolution, DidError> {
        match self.0.iter().find(|resolver| resolver.methods().contains(&did.method())) {
            Some(resolver) => resolver.resolve(did, version).await,
            None => Err(DidError::unsupported(did, &self.methods())),
        }
    }
}

impl core::fmt::Debug for Resolvers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Resolvers").field(&self.methods()).finish()
    }
}
