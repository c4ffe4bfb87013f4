//! What is read out about the chain.

use depin_core::{Address, ChainEvent, Digest, Epoch, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
use crate::http::schema;
use crate::{BlockRef, RootStep, page::row};

/// An event and where on the chain it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct EventRow {
    /// Number of its block.
    pub block: u64,
    /// Hash of its block.
    #[cfg_attr(feature = "http", schema(schema_with = schema::digest))]
    pub block_hash: Digest,
    /// Time of its block, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub time: Timestamp,
    /// Position among the logs of the block.
    pub log_index: u64,
    /// The event.
    #[cfg_attr(feature = "http", schema(schema_with = schema::event))]
    pub event: ChainEvent,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(EventRow, (u64, u64), block, log_index);

/// A step of a root on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct RootRow {
    /// Number of its block.
    pub block: u64,
    /// Time of its block, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub time: Timestamp,
    /// Position among the logs of the block.
    pub log_index: u64,
    /// The epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub epoch: Epoch,
    /// The step.
    pub what: RootStep,
    /// The claim root, where the chain names it: when it is proposed and when it becomes final.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub root: Option<Digest>,
    /// The digest of the bundle beside it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub bundle: Option<Digest>,
    /// The id of the candidate that was challenged, supported or revived: Keccak-256 of the epoch and what was proposed, ABI-encoded.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_digest, required))]
    pub candidate: Option<Digest>,
    /// Who challenged, supported or revived it.
    #[cfg_attr(feature = "http", schema(schema_with = schema::maybe_address, required))]
    pub by: Option<Address>,
    /// Which round was contested, revived into, or ended; from 0.
    #[cfg_attr(feature = "http", schema(required))]
    pub round: Option<u32>,
    /// Whether it reads the same at the final block.
    #[serde(rename = "final")]
    pub decided: bool,
}
row!(RootRow, (u64, u64), block, log_index);

impl RootRow {
    /// The step that an event is; none if it is not about a root.
    pub(crate) fn of(row: EventRow) -> Option<Self> {
        let EventRow { block, time, log_index, event, decided, .. } = row;
        let step = |what, epoch: &Epoch| Self {
            block,
            time,
            log_index,
            epoch: *epoch,
            what,
            root: None,
            bundle: None,
            candidate: None,
            by: None,
            round: None,
            decided,
        };
        let of_root = |what, epoch, root: &Digest, bundle: &Digest| Self {
            root: Some(*root),
            bundle: Some(*bundle),
            ..step(what, epoch)
        };
        let by = |what, epoch, candidate: &Digest, who: &Address| Self {
            candidate: Some(*candidate),
            by: Some(*who),
            ..step(what, epoch)
        };
        Some(match &event {
            ChainEvent::RootProposed { epoch, root, bundle } => {
                of_root(RootStep::Proposed, epoch, root, bundle)
            }
            ChainEvent::RootFinal { epoch, root, bundle, .. } => {
                of_root(RootStep::Finalised, epoch, root, bundle)
            }
            ChainEvent::RootChallenged { epoch, candidate, challenger } => {
                by(RootStep::Challenged, epoch, candidate, challenger)
            }
            ChainEvent::RootSupported { epoch, candidate, supporter, .. } => {
                by(RootStep::Supported, epoch, candidate, supporter)
            }
            ChainEvent::RootRevived { epoch, candidate, proposer, round } => {
                Self { round: Some(*round), ..by(RootStep::Revived, epoch, candidate, proposer) }
            }
            ChainEvent::EpochContested { epoch, round } => {
                Self { round: Some(*round), ..step(RootStep::Contested, epoch) }
            }
            ChainEvent::RootVoided { epoch, round, .. } => {
                Self { round: Some(*round), ..step(RootStep::Voided, epoch) }
            }
            ChainEvent::RootUndecided { epoch, round, .. } => {
                Self { round: Some(*round), ..step(RootStep::Undecided, epoch) }
            }
            _ => return None,
        })
    }
}

/// A reorganisation that was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct ReorgRow {
    /// Counts up from 1.
    pub id: u64,
    /// When it was noticed, in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "http", schema(value_type = u64))]
    pub seen: Timestamp,
    /// How many blocks were undone.
    pub depth: u64,
    /// The newest block before.
    pub old: BlockRef,
    /// The newest block that both chains have.
    pub common: BlockRef,
    /// How many events were undone.
    pub events: u64,
}
row!(ReorgRow, u64, id);
