//! The parameters of a network. They are part of every bundle, so that an auditor needs nothing else.

use depin_core::{
    Address, Bounds, Bps, Digest, Millis, NetworkId, OutOfBounds, Text, Timestamp, TypedKey, UnitKind, cbor,
    sha256,
};
use depin_identity::SigPolicy;
use depin_proof::Schedule;
use depin_rewards::{CurveParams, DemandParams};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::admission::AdmissionParams;

/// The parameters of a network.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(map)]
pub struct NetworkParams {
    /// Rises with every change.
    #[n(0)]
    pub version: u32,
    /// The chain that holds the contracts.
    #[n(1)]
    pub chain_id: u64,
    /// The device registry.
    #[n(2)]
    #[cbor(with = "cbor::address")]
    pub registry: Address,
    /// The reward distributor.
    #[n(3)]
    #[cbor(with = "cbor::address")]
    pub distributor: Address,
    /// The node's key: it signs receipts and the heads of the journal.
    #[n(4)]
    pub node: TypedKey,
    /// When epoch 0 may open at the earliest.
    #[n(5)]
    pub genesis: Timestamp,
    /// Length of an epoch.
    #[n(6)]
    pub epoch_length: Millis,
    /// Where in the epoch the beacon becomes known: until then devices commit.
    #[n(7)]
    pub commit: Bps,
    /// Where in the epoch answers end.
    #[n(8)]
    pub answer: Bps,
    /// How far a device's clock may be off. Device time decides nothing; a clock far off is a fault worth naming.
    #[n(9)]
    pub clock_skew: Millis,
    /// The emission schedule.
    #[n(10)]
    pub curve: CurveParams,
    /// How payments back emission.
    #[n(11)]
    pub demand: DemandParams,
    /// The services and who judges them, ordered by service.
    #[n(12)]
    pub services: Vec<ServiceParams>,
    /// Where randomness comes from.
    #[n(13)]
    pub beacon: BeaconParams,
    /// After how many epochs a period that could not be judged stops waiting.
    #[n(14)]
    pub open_limit: u32,
    /// The one kind of unit that is paid from the network's pool.
    #[n(15)]
    pub unit: UnitKind,
    /// How Ed25519 signatures of reports are judged.
    #[n(16)]
    pub sig_policy: SigPolicy,
    /// For how long after a rotation the reports that the key before had signed may still arrive.
    #[n(17)]
    pub rotation_grace: Millis,
    /// Whose devices count; none for a network that is open to all.
    #[n(18)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<AdmissionParams>,
}

/// A kind of beacon and its trust anchor.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct BeaconParams {
    /// The kind, for example `seed-test-only`.
    #[n(0)]
    pub kind: Text,
    /// What it is checked against: a public key, or the seed of a test.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "cbor::hex_string")]
    pub anchor: Vec<u8>,
}

/// A service and its verifier.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
pub struct ServiceParams {
    /// The service that deals name, for example `storage`.
    #[n(0)]
    pub service: Text,
    /// The verifier and its version, for example `depin.storage.possession/1`.
    #[n(1)]
    pub verifier: Text,
    /// The verifier's parameters in canonical bytes.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    #[serde(with = "cbor::hex_string")]
    pub params: Vec<u8>,
}

impl NetworkParams {
    /// The network these parameters belong to.
    pub fn network(&self) -> NetworkId {
        NetworkId::new(self.chain_id, self.registry)
    }

    /// The name of the network's journal, as its checkpoints have it.
    pub fn log_origin(&self) -> String {
        format!("depin/{}", self.network())
    }

    /// SHA-256 of the canonical bytes.
    pub fn digest(&self) -> Digest {
        sha256(&[&cbor::to_vec(self)])
    }

    /// The deadlines of an epoch that opened at `opens`.
    pub fn schedule(&self, opens: Timestamp) -> Schedule {
        let share = |bps: Bps| {
            let millis = bps.floor_of(depin_core::Amount(u128::from(self.epoch_length.0))).0;
            opens.saturating_add(Millis(u64::try_from(millis).unwrap_or(u64::MAX)))
        };
        Schedule {
            opens,
            commit_until: share(self.commit),
            answer_until: share(self.answer),
            closes: opens.saturating_add(self.epoch_length),
        }
    }

    /// Checks every parameter against its bounds.
    ///
    /// # Errors
    /// The first that lies outside.
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let day = 86_400_000_u128;
        Bounds::new("network.epoch-length-ms", 100, 31 * day).check(self.epoch_length.0)?;
        Bounds::new("network.clock-skew-ms", 1_000, day).check(self.clock_skew.0)?;
        Bounds::new("network.commit-bps", 1, 9_998).check(self.commit.value())?;
        Bounds::new("network.answer-bps", u128::from(self.commit.value()).saturating_add(1), 9_999)
            .check(self.answer.value())?;
        Bounds::new("network.open-limit-epochs", 0, 64).check(self.open_limit)?;
        Bounds::new("network.rotation-grace-ms", 0, 31 * day).check(self.rotation_grace.0)?;
        Bounds::new("network.services", 1, 64)
            .check(u128::try_from(self.services.len()).unwrap_or(u128::MAX))?;
        self.admission.as_ref().map_or(Ok(()), AdmissionParams::check)
    }
}
