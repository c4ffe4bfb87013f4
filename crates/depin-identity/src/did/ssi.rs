//! Our resolvers where ssi wants one of its own.

use std::{fmt, sync::Arc};

use ssi::dids::{
    DID, DIDResolver, PrimaryDIDURL,
    document::Metadata as DocumentMetadata,
    resolution::{DerefError, DerefOutput, Error, Metadata, Options, Output, PrimaryContent},
};

use super::{Did, DidError, DidResolver};

/// A [`DidResolver`] as ssi's: the methods of our allow-list, with our bounds, and nothing of ssi's own.
///
/// DID URLs with a path or a query are refused before ssi reads them, which some make panic.
#[derive(Clone)]
pub struct SsiResolver(pub Arc<dyn DidResolver>);

impl DIDResolver for SsiResolver {
    async fn resolve_representation<'a>(
        &'a self,
        did: &'a DID,
        _: Options,
    ) -> Result<Output<Vec<u8>>, Error> {
        let did: Did = did.as_str().parse().map_err(error)?;
        let found = self.0.resolve(&did, None).await.map_err(error)?;
        let json = found.document.to_json().map_err(error)?;
        let metadata = Metadata::from_content_type(Some("application/did+ld+json".to_owned()));
        Ok(Output::new(json.into_bytes(), DocumentMetadata { deactivated: Some(false) }, metadata))
    }

    async fn dereference_primary_with<'a>(
        &'a self,
        url: &'a PrimaryDIDURL,
        options: Options,
    ) -> Result<DerefOutput<PrimaryContent>, DerefError> {
        if url.as_str() != url.did().as_str() {
            return Err(Error::InvalidOptions.into());
        }
        let output = self.resolve_with(url.did(), options).await?;
        Ok(DerefOutput {
            content: PrimaryContent::Document(Box::new(output.document)),
            content_metadata: output.document_metadata,
            metadata: output.metadata,
        })
    }
}

fn error(error: DidError) -> Error {
    match error {
        DidError::UnsupportedMethod { found, .. } => Error::MethodNotSupported(found),
        DidError::NotFound { .. } => Error::NotFound,
        DidError::Invalid { .. } => Error::InvalidMethodSpecificId(error.to_string()),
        DidError::Deactivated { .. } | DidError::Unavailable { .. } => Error::Internal(error.to_string()),
    }
}

impl fmt::Debug for SsiResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SsiResolver").field(&self.0.methods()).finish()
    }
}
