//! Private fields where they are kept: beside what was signed, so that they can be erased.

use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

use depin_core::{Digest, NetworkId, Text};
use zeroize::Zeroize as _;

use crate::{Commitment, CommitmentError, Opening};

/// The openings that a party keeps, by the digest of what they open. What is signed and published holds commitments only.
#[derive(Clone, Default)]
pub struct PrivateFields(BTreeMap<Digest, Opening>);

/// What can be said of a private field.
#[derive(Clone, PartialEq, Eq)]
pub enum Disclosure {
    /// Its value, checked against the commitment.
    Open(Vec<u8>),
    /// Erased, or never held here. Nothing is known, and nothing is wrong.
    Withheld,
}

impl PrivateFields {
    /// Keeps `opening`, and gives the commitment to publish.
    ///
    /// # Errors
    /// Those of [`Opening::commit`].
    pub fn keep(&mut self, opening: Opening, network: NetworkId) -> Result<Commitment, CommitmentError> {
        let commitment = opening.commit(network)?;
        self.0.insert(commitment.digest, opening);
        Ok(commitment)
    }

    /// The value behind `commitment`.
    ///
    /// # Errors
    /// [`CommitmentError`] when what is kept does not open it.
    pub fn read(&self, commitment: &Commitment, network: NetworkId) -> Result<Disclosure, CommitmentError> {
        let Some(opening) = self.0.get(&commitment.digest) else { return Ok(Disclosure::Withheld) };
        commitment.verify(opening, network)?;
        Ok(Disclosure::Open(opening.value.clone()))
    }

    /// Erases the value behind `digest`, and the salt without which nobody can confirm a guess of it. Whether there was one.
    pub fn erase(&mut self, digest: &Digest) -> bool {
        self.0.remove(digest).map(wipe).is_some()
    }

    /// Erases every field `label`. How many there were.
    pub fn erase_all(&mut self, label: &Text) -> usize {
        let erased: Vec<Opening> =
            self.0.extract_if(.., |_, opening| opening.label == *label).map(|(_, o)| o).collect();
        erased.into_iter().map(wipe).count()
    }

    /// How many of `commitments` cannot be opened any more: what an audit prints beside its `match`.
    pub fn withheld<'a>(&self, commitments: impl IntoIterator<Item = &'a Commitment>) -> usize {
        commitments.into_iter().filter(|commitment| !self.0.contains_key(&commitment.digest)).count()
    }
}

fn wipe(mut opening: Opening) {
    opening.salt.zeroize();
    opening.value.zeroize();
}

/// Values are private: they are not for logs.
impl fmt::Debug for PrivateFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateFields").field(&self.0.len()).finish()
    }
}

impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Open(..)",
            Self::Withheld => "Withheld",
        })
    }
}
