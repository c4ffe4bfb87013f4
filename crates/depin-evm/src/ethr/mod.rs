//! did:ethr, resolved against ERC-1056 registries.

mod document;
mod name;
mod walk;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::primitives::Address;
use async_trait::async_trait;
use depin_core::Text;
use depin_identity::did::{Did, DidError, DidResolver, Resolution};

use crate::Client;
use document::document;
use name::Name;
use walk::Source;

/// did:ethr on the chains it was given a registry for, and on no others.
///
/// A document is read from every change of its identity: the owner, delegates and keys as long as they are valid, what was revoked no more.
/// An identity whose owner was set to zero is deactivated, although the contract then answers with the identity itself. Whatever of the
/// chain's answers does not fit together makes the DID unavailable, never a shorter document.
///
/// Services are not read. Of a delegate or key, the last valid second is the one before its `validTo`, as in the contract.
#[derive(Clone, Debug, Default)]
pub struct EthrDid {
    sources: BTreeMap<u64, Source>,
}

impl EthrDid {
    /// Also resolves the DIDs of `client`'s chain, against the ERC-1056 registry at `registry`.
    #[must_use]
    pub fn on(mut self, client: Client, registry: Address) -> Self {
        self.sources.insert(client.chain_id(), Source { client, registry });
        self
    }

    /// The document of `did` as [`DidResolver::resolve`] gives it, at the moment `now` in seconds since the Unix epoch.
    ///
    /// A version is the number of a block: the document as it was at the end of it, at its time. None is the newest, at `now` or at the
    /// newest block's time, whichever is later.
    ///
    /// # Errors
    /// [`DidError`].
    pub async fn resolve_at(
        &self,
        did: &Did,
        version: Option<&Text>,
        now: u64,
    ) -> Result<Resolution, DidError> {
        let name = Name::parse(did)?;
        let source = self.sources.get(&name.chain_id).ok_or_else(|| {
            let known: Vec<_> = self.sources.keys().map(|id| format!("{id:#x}")).collect();
            DidError::invalid(did.as_str(), format!("a DID on one of the chains {}", known.join(", ")))
        })?;
        let unavailable = |reason| DidError::unavailable(did, reason);
        let mut history = source.history(name.identity).await.map_err(unavailable)?;
        let moment = match version {
            None => history.time.max(now),
            Some(version) => {
                let block = block_number(version).filter(|block| *block <= history.head);
                let block = block
                    .ok_or_else(|| DidError::not_found(&format!("version {} of {did}", version.as_str())))?;
                history.changes.retain(|change| change.block <= block);
                source.time(block).await.map_err(unavailable)?
            }
        };
        let document = Arc::new(document(did, &name, &history.changes, moment)?);
        let last = history.changes.last().map(|change| change.block.to_string());
        Ok(Resolution { document, version: last.and_then(|last| Text::new(last).ok()) })
    }
}

#[async_trait]
impl DidResolver for EthrDid {
    fn methods(&self) -> Vec<&str> {
        vec!["ethr"]
    }

    async fn resolve(&self, did: &Did, version: Option<&Text>) -> Result<Resolution, DidError> {
        // A clock before 1970 leaves the newest block's time.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.resolve_at(did, version, now).await
    }
}

/// The block that a version names, in its one spelling.
fn block_number(version: &Text) -> Option<u64> {
    let number: u64 = version.as_str().parse().ok()?;
    (number.to_string() == version.as_str()).then_some(number)
}
