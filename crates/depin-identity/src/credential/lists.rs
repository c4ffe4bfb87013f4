//! Status lists as credentials, and what they say of others (Bitstring Status List v1.0, 2 and 3).

use std::collections::BTreeMap;

use depin_core::{Millis, Timestamp};
use serde_json::Value;

use super::{
    Credential, CredentialError, Documents, Expected, Known, SecuredDocument, StatusError, StatusList,
    json::Object,
};
use crate::did::Did;

/// Bytes of a credential that holds a status list: as many as the largest list needs when it does not compress.
pub const MAX_LIST_BYTES: usize = 3 << 20;
/// Status entries of one credential.
const MAX_ENTRIES: usize = 4;
/// Bytes of a list's URL.
const MAX_URL: usize = 2_048;

/// Where a credential's status is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusEntry {
    /// What a set bit means.
    pub purpose: StatusPurpose,
    /// URL of the list's credential.
    pub list: String,
    /// Which bit.
    pub index: u64,
}

/// What a set bit of a status list means. Lists with other meanings, or with more than one bit an entry, are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StatusPurpose {
    /// Gone for ever.
    Revocation,
    /// Not now.
    Suspension,
}

impl StatusPurpose {
    /// Its name in entries and lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
        }
    }
}

/// A status list that its issuer signed, and from when until when it is to be relied on. Only [`VerifiedStatusList::verify`] and
/// [`VerifiedStatusList::of`] make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedStatusList {
    url: String,
    issuer: Did,
    purposes: Vec<String>,
    from: Timestamp,
    until: Timestamp,
    list: StatusList,
}

/// The status lists a verifier has at hand, by URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusLists(BTreeMap<String, VerifiedStatusList>);

impl StatusEntry {
    /// Reads `credentialStatus`: none, one, or an array of them.
    pub(super) fn read_all(value: Option<&Value>) -> Result<Vec<Self>, StatusError> {
        match value {
            None => Ok(Vec::new()),
            Some(Value::Array(all)) if all.is_empty() || all.len() > MAX_ENTRIES => Err(StatusError::Entry {
                property: "credentialStatus",
                expected: "array of one to four entries",
            }),
            Some(Value::Array(all)) => all.iter().map(Self::read).collect(),
            Some(one) => Ok(vec![Self::read(one)?]),
        }
    }

    fn read(value: &Value) -> Result<Self, StatusError> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let wrong = |property, expected| StatusError::Entry { property, expected };
        if text("type") != Some("BitstringStatusListEntry") {
            return Err(wrong("type", "BitstringStatusListEntry"));
        }
        if value.get("statusSize").is_some_and(|size| size.as_u64() != Some(1)) {
            return Err(wrong("statusSize", "1"));
        }
        let purpose = [StatusPurpose::Revocation, StatusPurpose::Suspension]
            .into_iter()
            .find(|known| text("statusPurpose") == Some(known.name()))
            .ok_or_else(|| wrong("statusPurpose", "`revocation` or `suspension`"))?;
        let list = text("statusListCredential")
            .filter(|url| url.len() <= MAX_URL)
            .ok_or_else(|| wrong("statusListCredential", "URL of at most 2,048 bytes"))?;
        // One spelling of a number, as decimal digits in a text.
        let index = text("statusListIndex")
            .and_then(|digits| digits.parse::<u64>().ok().filter(|index| index.to_string() == digits))
            .ok_or_else(|| wrong("statusListIndex", "text of decimal digits"))?;
        Ok(Self { purpose, list: list.to_owned(), index })
    }

    /// The entry as a credential writes it.
    pub fn to_value(&self) -> Value {
        let members = [
            ("type", "BitstringStatusListEntry".to_owned()),
            ("statusPurpose", self.purpose.name().to_owned()),
            ("statusListIndex", self.index.to_string()),
            ("statusListCredential", self.list.clone()),
        ];
        Value::Object(
            members.into_iter().map(|(name, text)| (name.to_owned(), Value::String(text))).collect(),
        )
    }
}

impl VerifiedStatusList {
    /// Checks the credential that was found at `url` at the moment `now`. It is relied on from then on, until its own end or that of a proof, until its `ttl` has passed, or
    /// for `max_age`, whichever is first. A clock that was put back would make it count for longer than that, so before `now` it does not count at all.
    ///
    /// # Errors
    /// [`CredentialError`]. A list whose credential names another URL as its id was put there by somebody else.
    pub fn verify(
        bytes: &[u8],
        url: &str,
        now: Timestamp,
        documents: &Documents,
        max_age: Millis,
    ) -> Result<Self, CredentialError> {
        let credential = Credential::new(SecuredDocument::parse_up_to(bytes, MAX_LIST_BYTES)?)?;
        let found = Self::of(&credential, url, now, documents)?;
        let claims = credential.secured().document().get("credentialSubject");
        let ttl = match claims.and_then(|claims| claims.get("ttl")) {
            None => max_age,
            Some(ttl) => Millis(ttl.as_u64().ok_or(CredentialError::Property {
                property: "credentialSubject.ttl",
                expected: "number of milliseconds",
            })?),
        };
        let fresh = Timestamp(now.0.saturating_add(ttl.min(max_age).0));
        Ok(Self { until: found.until.min(fresh), ..found })
    }

    /// Checks `credential`, found at `url`, at the moment `now`. It is relied on from then on until its own end, and its `ttl` is not looked at: that says when to
    /// fetch it again, and here nothing is fetched.
    ///
    /// # Errors
    /// As of [`VerifiedStatusList::verify`].
    pub fn of(
        credential: &Credential,
        url: &str,
        now: Timestamp,
        documents: &Documents,
    ) -> Result<Self, CredentialError> {
        let lists = StatusLists::default();
        let expected = Expected {
            kind: Some("BitstringStatusListCredential"),
            without_status: true,
            ..Expected::default()
        };
        let verified = credential.verify(&expected, &Known { now, documents, lists: &lists })?;
        let wrong = |property, expected| CredentialError::Property { property, expected };
        if verified.document().get("id").and_then(Value::as_str) != Some(url) {
            return Err(wrong("id", "URL that the list was found at"));
        }
        let claims = verified.claims().ok_or_else(|| wrong("credentialSubject", "status list"))?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("type") != Some("BitstringStatusList") {
            return Err(wrong("credentialSubject.type", "BitstringStatusList"));
        }
        if claims.get("statusSize").is_some_and(|size| size.as_u64() != Some(1)) {
            return Err(wrong("credentialSubject.statusSize", "1"));
        }
        let purposes = purposes(claims)
            .ok_or_else(|| wrong("credentialSubject.statusPurpose", "text or array of texts"))?;
        let until = verified.until().unwrap_or(Timestamp(u64::MAX));
        let encoded =
            text("encodedList").ok_or_else(|| wrong("credentialSubject.encodedList", "multibase text"))?;
        let list = StatusList::decode(encoded).map_err(StatusError::from)?;
        let (url, issuer) = (url.to_owned(), verified.issuer().clone());
        Ok(Self { url, issuer, purposes, from: now, until, list })
    }

    /// Whose documents [`VerifiedStatusList::verify`] needs.
    ///
    /// # Errors
    /// [`CredentialError`]: the form of the credential.
    pub fn signers(bytes: &[u8]) -> Result<Vec<Did>, CredentialError> {
        let credential = Credential::new(SecuredDocument::parse_up_to(bytes, MAX_LIST_BYTES)?)?;
        Ok(credential.signers().cloned().collect())
    }

    /// Where it was found.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who signed it.
    pub const fn issuer(&self) -> &Did {
        &self.issuer
    }

    /// The first moment at which it is relied on: the one it was verified at.
    pub const fn verified_at(&self) -> Timestamp {
        self.from
    }

    /// The last moment at which it is relied on.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether it is relied on at `now`.
    pub fn counts_at(&self, now: Timestamp) -> bool {
        (self.from..=self.until).contains(&now)
    }
}

impl StatusLists {
    /// Adds a list, in place of an older one from the same URL.
    pub fn insert(&mut self, list: VerifiedStatusList) {
        self.0.insert(list.url.clone(), list);
    }

    /// Takes out the list from `url`.
    pub(super) fn remove(&mut self, url: &str) {
        self.0.remove(url);
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &VerifiedStatusList> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list from `url`.
    pub fn get(&self, url: &str) -> Option<&VerifiedStatusList> {
        self.0.get(url)
    }

    /// That `entry` of a credential by `issuer` is neither revoked nor suspended. The list is kept by `issuer`, or by one of `also`.
    ///
    /// # Errors
    /// [`StatusError`]; what cannot be known is an error.
    pub fn check(
        &self,
        entry: &StatusEntry,
        issuer: &Did,
        also: &[Did],
        now: Timestamp,
    ) -> Result<(), StatusError> {
        let StatusEntry { purpose, list: url, index } = entry;
        let found = self.get(url).ok_or_else(|| StatusError::ListMissing { list: url.clone() })?;
        if found.issuer != *issuer && !also.contains(&found.issuer) {
            let (found, expected) = (found.issuer.clone(), issuer.clone());
            return Err(StatusError::Issuer { list: url.clone(), found, expected });
        }
        if !found.purposes.iter().any(|kept| kept == purpose.name()) {
            let (found, expected) = (found.purposes.clone(), purpose.name());
            return Err(StatusError::Purpose { list: url.clone(), found, expected });
        }
        if now < found.from {
            return Err(StatusError::NotYet { list: url.clone(), from: found.from, now });
        }
        if now > found.until {
            return Err(StatusError::Stale { list: url.clone(), until: found.until, now });
        }
        match (found.list.get(*index)?, purpose) {
            (false, _) => Ok(()),
            (true, StatusPurpose::Revocation) => {
                Err(StatusError::Revoked { list: url.clone(), index: *index })
            }
            (true, StatusPurpose::Suspension) => {
                Err(StatusError::Suspended { list: url.clone(), index: *index })
            }
        }
    }
}

/// `statusPurpose` of a list: one or several.
fn purposes(claims: &Object) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match claims.get("statusPurpose")? {
        Value::Array(all) => all.iter().map(text).collect(),
        one => text(one).map(|one| vec![one]),
    }
}
