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
    /// More lists at once than are looked at.
    #[error(
        "{max} status lists are asked for at once already; {url} and those after it are left out: ask for fewer"
    )]
    TooMany {
        /// The first URL that was left out.
        url: String,
        /// Lists that one refresh looks at.
        max: usize,
    },
    /// Its signer's document is not to be had.
    #[error(transparent)]
    Signer(#[from] DidError),
    /// What was found is not a status list that holds.
    #[error(transparent)]
    Refused(#[from] CredentialError),
}

/// Lists that a [`StatusClient`] keeps, each of at most 2 MiB of bits.
pub const MAX_LISTS: usize = 64;
/// Lists that one [`StatusClient::refresh`] looks at. Fewer than are kept, so that it never drops what it was asked for.
pub const MAX_REFRESHED: usize = 16;

/// Status lists, fetched when they are needed and kept while they are fresh: at most [`MAX_LISTS`]. One more takes the place of one that no longer counts, or else of the
/// one that was not asked for longest.
#[derive(Debug)]
pub struct StatusClient<S> {
    source: S,
    max_age: Millis,
    lists: StatusLists,
    /// How often [`StatusClient::refresh`] was called.
    refreshes: u64,
    /// Which of these asked last for each of the lists.
    asked: BTreeMap<String, u64>,
}

impl<S: StatusSource> StatusClient<S> {
    /// Relies on a list for at most `max_age` after it was fetched.
    pub fn new(source: S, max_age: Millis) -> Self {
        Self { source, max_age, lists: StatusLists::default(), refreshes: 0, asked: BTreeMap::new() }
    }

    /// The lists at hand. A credential whose list is not among them, or too old, is refused by [`Credential::verify`](super::Credential::verify).
    pub const fn lists(&self) -> &StatusLists {
        &self.lists
    }

    /// Fetches those of the lists at `urls` that do not count at `now`, each once. An older one that could not be fetched again stays until its own end. After
    /// [`MAX_REFRESHED`] lists it stops reading `urls`.
    ///
    /// Gives the failures, by URL; it is for the caller to say them, and for [`Credential::verify`](super::Credential::verify) to fail closed.
    pub async fn refresh(
        &mut self,
        urls: impl IntoIterator<Item = &str> + Send,
        now: Timestamp,
        resolver: &dyn DidResolver,
    ) -> BTreeMap<String, FetchError> {
        self.refreshes = self.refreshes.saturating_add(1);
        let (mut failures, mut wanted) = (BTreeMap::new(), BTreeSet::new());
        for url in urls {
            if wanted.len() >= MAX_REFRESHED && !wanted.contains(url) {
                let left_out = FetchError::TooMany { url: url.to_owned(), max: MAX_REFRESHED };
                failures.insert(url.to_owned(), left_out);
                break;
            }
            wanted.insert(url.to_owned());
        }
        for url in wanted {
            if let Some(asked) = self.asked.get_mut(&url) {
                *asked = self.refreshes;
            }
            if self.lists.get(&url).is_some_and(|list| list.counts_at(now)) {
                continue;
            }
            match self.fetch(&url, now, resolver).await {
                Ok(list) => self.keep(url, list, now),
                Err(error) => drop(failures.insert(url, error)),
            }
        }
        failures
    }

    fn keep(&mut self, url: String, list: VerifiedStatusList, now: Timestamp) {
        if self.lists.get(&url).is_none() && self.lists.len() >= MAX_LISTS {
            let last_asked = |list: &&VerifiedStatusList| {
                (list.counts_at(now), self.asked.get(list.url()).copied().unwrap_or_default())
            };
            if let Some(dropped) = self.lists.iter().min_by_key(last_asked).map(|list| list.url().to_owned())
            {
                self.lists.remove(&dropped);
                self.asked.remove(&dropped);
            }
        }
        self.lists.insert(list);
        self.asked.insert(url, self.refreshes);
    }

    async fn fetch(
        &self,
        url: &str,
        now: Timestamp,
        resolver: &dyn DidResolver,
    ) -> Result<VerifiedStatusList, FetchError> {
        let bytes = self.source.fetch(url, MAX_LIST_BYTES).await?;
        let mut documents = Documents::default();
        documents.resolve(&VerifiedStatusList::signers(&bytes)?, resolver).await?;
        Ok(VerifiedStatusList::verify(&bytes, url, now, &documents, self.max_age)?)
    }
}
