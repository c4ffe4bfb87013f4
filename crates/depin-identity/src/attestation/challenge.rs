//! Nonces that tie evidence to one verifier, one device and one use.

use std::collections::BTreeMap;

use depin_core::{DeviceId, Digest, NetworkId, Timestamp, sha256};

/// What a device is asked to attest to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttestationChallenge {
    /// The network that asks.
    pub network: NetworkId,
    /// The device that is asked.
    pub device: DeviceId,
    /// 32 random bytes, never used before.
    pub random: [u8; 32],
}

/// The challenges that nobody has answered yet. They need not survive a restart: devices ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttestationChallenges {
    /// By nonce, the last moment at which an answer counts.
    open: BTreeMap<Digest, Timestamp>,
}

/// Why a challenge was not opened or not redeemed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationChallengeError {
    /// Too many are open.
    #[error("{max} challenges are open already; let the device ask again later")]
    Full {
        /// How many may be.
        max: usize,
    },
    /// The same one is open.
    #[error("the challenge was opened before; draw 32 random bytes for each")]
    Repeated,
    /// Not ours, or answered before.
    #[error(
        "no such challenge is open: it was answered before, or never given; let the device ask for another"
    )]
    NotOpen,
    /// Too late.
    #[error(
        "the challenge expired at {} and is answered at {}; let the device ask for another", .deadline.rfc3339(), .now.rfc3339()
    )]
    Expired {
        /// The last moment at which it was good.
        deadline: Timestamp,
        /// The moment of the answer.
        now: Timestamp,
    },
}

impl AttestationChallenge {
    /// What goes into a quote's `extraData` or Android's `attestationChallenge`.
    pub fn nonce(&self) -> Digest {
        // Every part has one length, so the concatenation reads one way.
        let Self { network, device, random } = self;
        sha256(&[b"depin/attestation/v1", network.as_bytes(), device.key().as_bytes(), random])
    }
}

impl AttestationChallenges {
    /// AttestationChallenges that are open at most.
    pub const MAX: usize = 65_536;

    /// Opens a challenge until `deadline`; forgets those that expired before `now`. Gives its nonce.
    ///
    /// # Errors
    /// [`AttestationChallengeError::Full`] and [`AttestationChallengeError::Repeated`].
    pub fn open(
        &mut self,
        challenge: &AttestationChallenge,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<Digest, AttestationChallengeError> {
        if self.open.len() >= Self::MAX {
            self.open.retain(|_, deadline| *deadline >= now);
        }
        if self.open.len() >= Self::MAX {
            return Err(AttestationChallengeError::Full { max: Self::MAX });
        }
        let nonce = challenge.nonce();
        if self.open.contains_key(&nonce) {
            return Err(AttestationChallengeError::Repeated);
        }
        self.open.insert(nonce, deadline);
        Ok(nonce)
    }

    /// Whether an answer would count at `now`.
    ///
    /// # Errors
    /// [`AttestationChallengeError::NotOpen`] and [`AttestationChallengeError::Expired`].
    pub fn check(
        &self,
        challenge: &AttestationChallenge,
        now: Timestamp,
    ) -> Result<(), AttestationChallengeError> {
        let deadline = *self.open.get(&challenge.nonce()).ok_or(AttestationChallengeError::NotOpen)?;
        if now > deadline { Err(AttestationChallengeError::Expired { deadline, now }) } else { Ok(()) }
    }

    /// Closes a challenge that was answered rightly. Wrong answers leave it open, else a stranger could close it.
    pub(crate) fn close(&mut self, challenge: &AttestationChallenge) {
        self.open.remove(&challenge.nonce());
    }
}
