//! Public randomness that nobody knew when the evidence was fixed.

use async_trait::async_trait;
use depin_core::{Epoch, Text, cbor, sha256};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Longest proof of a beacon in bytes.
pub const MAX_BEACON_PROOF: usize = 4096;

/// The randomness of one epoch, with what shows where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct Beacon {
    /// What kind of beacon it is: decides the [`BeaconRule`]. A bundle shows it, so a test beacon is seen to be one.
    #[n(0)]
    pub kind: Text,
    /// The epoch it is for.
    #[n(1)]
    pub epoch: Epoch,
    /// The round of its source: a drand round, a block number.
    #[n(2)]
    pub round: u64,
    /// The random value.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "hex32")]
    pub value: [u8; 32],
    /// What the value is derived from, in the kind's own encoding: a signature, a block header. At most [`MAX_BEACON_PROOF`] bytes.
    #[n(4)]
    #[cbor(with = "bounded")]
    #[serde(with = "cbor::hex_string")]
    pub proof: Vec<u8>,
}

/// Why a beacon could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeaconError {
    /// The source cannot be reached, or answers with something else.
    #[error("the {kind} beacon is unavailable: {reason}; ask again or configure another source")]
    Unavailable {
        /// The kind of beacon.
        kind: Text,
        /// What happened.
        reason: String,
    },
    /// The source answered with a beacon that its own rule refuses.
    #[error("the source gave a beacon that does not hold: {0}; configure another source")]
    Invalid(#[from] BeaconCheckError),
}

/// Why a beacon does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeaconCheckError {
    /// Another kind of beacon than this network uses.
    #[error("the beacon is of kind {found}; this network uses {expected}")]
    Kind {
        /// The kind found.
        found: Text,
        /// The kind the rule is for.
        expected: Text,
    },
    /// A beacon for another epoch.
    #[error("the beacon is for epoch {found}; ask for epoch {expected}")]
    Epoch {
        /// The epoch found.
        found: Epoch,
        /// The epoch asked about.
        expected: Epoch,
    },
    /// A proof longer than [`MAX_BEACON_PROOF`].
    #[error("the proof has {found} bytes; at most {MAX_BEACON_PROOF} are read")]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// The proof shows nothing.
    #[error("the proof does not hold: {reason}; fetch the beacon again")]
    Proof {
        /// What is wrong with it.
        reason: String,
    },
    /// The value is not what the proof gives.
    #[error("the value is not derived from the proof; fetch the beacon again")]
    Value,
}

/// How one kind of beacon is checked: pure, so that everyone who recomputes an epoch checks it too. Holds the trust anchor, for example a
/// public key.
pub trait BeaconRule: Send + Sync {
    /// The kind it is for.
    fn kind(&self) -> Text;

    /// The one value that `proof` gives for this epoch and round.
    ///
    /// # Errors
    /// [`BeaconCheckError::Proof`] when it shows nothing.
    fn derive(&self, epoch: Epoch, round: u64, proof: &[u8]) -> Result<[u8; 32], BeaconCheckError>;
}

/// Where beacons come from.
#[async_trait]
pub trait BeaconSource: Send + Sync {
    /// The beacon of `epoch`; none while it is not known yet. Once known it never changes.
    ///
    /// # Errors
    /// [`BeaconError`] when the source fails; that says nothing about any device.
    async fn beacon(&self, epoch: Epoch) -> Result<Option<Beacon>, BeaconError>;
}

impl Beacon {
    /// Checks that this is the beacon of `epoch` under `rule`: its kind and epoch, and that its value is what its proof gives.
    ///
    /// # Errors
    /// [`BeaconCheckError`].
    pub fn check(&self, rule: &dyn BeaconRule, epoch: Epoch) -> Result<(), BeaconCheckError> {
        if self.kind != rule.kind() {
            return Err(BeaconCheckError::Kind { found: self.kind.clone(), expected: rule.kind() });
        }
        if self.epoch != epoch {
            return Err(BeaconCheckError::Epoch { found: self.epoch, expected: epoch });
        }
        if self.proof.len() > MAX_BEACON_PROOF {
            return Err(BeaconCheckError::TooLong { found: self.proof.len() });
        }
        if rule.derive(epoch, self.round, &self.proof)? == self.value {
            Ok(())
        } else {
            Err(BeaconCheckError::Value)
        }
    }
}

/// Beacons derived from a seed: **for tests and development only**, because whoever knows the seed knows every beacon in advance. Kind
/// `seed-test-only`; the value is SHA-256 of `depin/beacon/seed-test-only/v1`, the seed and the epoch (8 bytes, big-endian); the round is the
/// epoch; the proof is the seed.
#[derive(Clone, Copy, Debug)]
pub struct SeedBeacon {
    seed: [u8; 32],
}

impl SeedBeacon {
    /// The kind of these beacons.
    pub const KIND: &'static str = "seed-test-only";

    /// Beacons derived from `seed`.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed }
    }

    /// The beacon of `epoch`, without waiting for anything.
    pub fn at(&self, epoch: Epoch) -> Beacon {
        Beacon {
            kind: Self::KIND.into(),
            epoch,
            round: epoch.0,
            value: self.value(epoch),
            proof: self.seed.to_vec(),
        }
    }

    fn value(&self, epoch: Epoch) -> [u8; 32] {
        sha256(&[b"depin/beacon/seed-test-only/v1", &self.seed, &epoch.0.to_be_bytes()]).0
    }
}

impl BeaconRule for SeedBeacon {
    fn kind(&self) -> Text {
        Self::KIND.into()
    }

    fn derive(&self, epoch: Epoch, round: u64, proof: &[u8]) -> Result<[u8; 32], BeaconCheckError> {
        if proof != self.seed {
            return Err(BeaconCheckError::Proof { reason: "the seed is another one".into() });
        }
        if round != epoch.0 {
            return Err(BeaconCheckError::Proof { reason: format!("round {round}, expected {epoch}") });
        }
        Ok(self.value(epoch))
    }
}

#[async_trait]
impl BeaconSource for SeedBeacon {
    async fn beacon(&self, epoch: Epoch) -> Result<Option<Beacon>, BeaconError> {
        Ok(Some(self.at(epoch)))
    }
}

/// 32 bytes as hexadecimal digits after `0x`.
mod hex32 {
    use depin_core::Digest;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        Digest(*bytes).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        Digest::deserialize(deserializer).map(|digest| digest.0)
    }
}

/// Bytes with a bound.
mod bounded {
    use minicbor::{Decoder, Encoder, decode::Error as Refused, encode::Error, encode::Write};

    pub(super) fn encode<C, W: Write>(
        bytes: &[u8],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Error<W::Error>> {
        e.bytes(bytes)?.ok()
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Vec<u8>, Refused> {
        let at = d.position();
        let bytes = d.bytes()?;
        if bytes.len() > super::MAX_BEACON_PROOF {
            return Err(Refused::message("a proof of at most 4096 bytes").at(at));
        }
        Ok(bytes.to_vec())
    }
}
