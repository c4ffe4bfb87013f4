//! Google's list of attestation keys that are revoked or suspended, <https://android.googleapis.com/attestation/status>.

use std::collections::BTreeMap;
use std::fmt;

use depin_core::{Millis, Timestamp};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::attestation::x509::Certificate;

/// The list, and when it was true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// Status by serial number: lower-case hexadecimal without leading zeros.
    entries: BTreeMap<String, String>,
    as_of: Timestamp,
}

/// Why a certificate is taken for revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// The list cannot be read.
    #[error("the revocation list is unreadable: {reason}; fetch it again")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// The list is too old to say that something is not revoked.
    #[error("the revocation list is of {}, judged at {}; at most {max_age} old counts: fetch it again", .as_of.rfc3339(), .now.rfc3339())]
    Stale {
        /// When it was true.
        as_of: Timestamp,
        /// The moment.
        now: Timestamp,
        /// The age allowed.
        max_age: Millis,
    },
    /// On the list.
    #[error("the certificate with serial {serial} is on the revocation list as {status:?}")]
    Revoked {
        /// Its serial number.
        serial: String,
        /// REVOKED or SUSPENDED; whatever else it says counts the same.
        status: String,
    },
}

impl RevocationList {
    /// Bytes of a list that are read at most.
    pub const MAX_LEN: usize = 8 << 20;
    /// Entries of a list that are read at most.
    pub const MAX_ENTRIES: usize = 100_000;

    /// Reads the list as Google serves it; `as_of` is when it was fetched.
    ///
    /// # Errors
    /// [`RevocationError::Malformed`]: a list that is understood in part is not understood.
    pub fn parse(json: &[u8], as_of: Timestamp) -> Result<Self, RevocationError> {
        let malformed = |reason: String| RevocationError::Malformed { reason };
        if json.len() > Self::MAX_LEN {
            return Err(malformed(format!("{} bytes; at most {} are read", json.len(), Self::MAX_LEN)));
        }
        let file: File = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        Ok(Self { entries: file.entries.0, as_of })
    }

    /// Passes a certificate that is not on the list.
    ///
    /// # Errors
    /// [`RevocationError::Revoked`], and [`RevocationError::Stale`] for a list that is too old or of a time to come.
    pub fn check(
        &self,
        certificate: &Certificate,
        now: Timestamp,
        max_age: Millis,
    ) -> Result<(), RevocationError> {
        let as_of = self.as_of;
        if as_of > now || as_of.saturating_add(max_age) < now {
            return Err(RevocationError::Stale { as_of, now, max_age });
        }
        let serial = certificate.serial();
        match self.entries.get(&serial) {
            Some(status) => Err(RevocationError::Revoked { serial, status: status.clone() }),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct File {
    entries: Entries,
}

#[derive(Deserialize)]
struct Entry {
    status: String,
}

struct Entries(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with an entry per serial number")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((serial, Entry { status })) = map.next_entry::<String, Entry>()? {
                    let digits = serial.bytes().all(|byte| byte.is_ascii_hexdigit());
                    if !digits || serial.is_empty() || serial.len() > 64 || status.len() > 32 {
                        return Err(A::Error::custom("a serial number or status is none"));
                    }
                    let serial = serial.to_ascii_lowercase().trim_start_matches('0').to_owned();
                    if entries.len() == RevocationList::MAX_ENTRIES
                        || entries.insert(serial, status).is_some()
                    {
                        return Err(A::Error::custom("a serial number comes twice, or there are too many"));
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Map)
    }
}
