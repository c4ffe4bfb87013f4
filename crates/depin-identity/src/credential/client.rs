//! Keeping status lists at hand: bounded, and never better informed than it says.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use depin_core::{Millis, Timestamp};

use super::{CredentialError, Documents, MAX_LIST_BYTES, StatusLists, VerifiedStatusList};
use crate::did::{DidError, DidResolver};

/// Where status lists come from.
#[async_trait]
pub trait StatusSource: Send + Sync {
    /// The bytes at `url`, which was written by whoever issued a credential: hostile until proved otherwise. It reads at most `max` bytes, waits a bounded time, and reaches
    /// nothing that is not public.
    ///
    /// # Errors
    /// [`FetchError`].
    async fn fetch(&self, url: &str, max: usize) -> Result<Vec<u8>, FetchError>;
}

/// Why a status list is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Not reached, too slow, or too long.
    #[error("{url} could not be fetched: {reason}")]
    Unavailable {
        /// The URL.
        url: String,
        /// What happened.
        reason: String,
    },
    /// No more lists are kept.
    #[error("{max} status lists are kept already; {url} is not fetched")]
    TooMany {
        /// The URL.
        url: String,
        /// Lists kept.
        max: usize,
    },
    /// Its signer's document is not to be had.
    #[error(transparent)]
    Signer(#[from] DidError),
    /// What was found is not a status list that holds.
    #[error(transparent)]
    Refused(#[from] CredentialError),
}

/// Status lists, fetched when they are needed and kept while they are fresh.
#[derive(Debug)]
pub struct StatusClient<S> {
    source: S,
    max_age: Millis,
    max_lists: usize,
    lists: StatusLists,
}

impl<S: StatusSource> StatusClient<S> {
    /// Relies on a list for at most `max_age` after it was fetched, and keeps at most `max_lists`.
    pub fn new(source: S, max_age: Millis, max_lists: usize) -> Self {
        Self { source, max_age, max_lists, lists: StatusLists::default() }
    }

    /// The lists at hand. A credential whose list is not among them, or too old, is refused by [`Credential::verify`](super::Credential::verify).
    pub const fn lists(&self) -> &StatusLists {
        &self.lists
    }

    /// Fetches those of the lists at `urls` that are not fresh at `now`, each once. An older one that could not be fetched again stays until its own end.
    ///
    /// Gives the failures, by URL; it is for the caller to say them, and for [`Credential::verify`](super::Credential::verify) to fail closed.
    pub async fn refresh(
        &mut self,
        urls: impl IntoIterator<Item = &str> + Send,
        now: Timestamp,
        resolver: &dyn DidResolver,
    ) -> BTreeMap<String, FetchError> {
        let fresh = |url: &&str| self.lists.get(url).is_some_and(|list| now <= list.until());
        let wanted: BTreeSet<String> =
            urls.into_iter().filter(|url| !fresh(url)).map(str::to_owned).collect();
        let mut failures = BTreeMap::new();
        for url in wanted {
            match self.fetch(&url, now, resolver).await {
                Ok(list) => self.lists.insert(list),
                Err(error) => drop(failures.insert(url, error)),
            }
        }
        failures
    }

    async fn fetch(
        &self,
        url: &str,
        now: Timestamp,
        resolver: &dyn DidResolver,
    ) -> Result<VerifiedStatusList, FetchError> {
        if self.lists.get(url).is_none() && self.lists.len() >= self.max_lists {
            return Err(FetchError::TooMany { url: url.to_owned(), max: self.max_lists });
        }
        let bytes = self.source.fetch(url, MAX_LIST_BYTES).await?;
        let mut documents = Documents::default();
        documents.resolve(&VerifiedStatusList::signers(&bytes)?, resolver).await?;
        Ok(VerifiedStatusList::verify(&bytes, url, now, &documents, self.max_age)?)
    }
}
