//! Operators that cheat.

use std::{fmt, str::FromStr};

use depin::{
    Network,
    close::{EpochInput, Slot},
    entry::Entry,
    log::Checkpoint,
    node::Tamper,
};
use depin_core::Timestamp;
use depin_identity::{Envelope, SoftwareKey};
use depin_proof::possession;

/// Whether and how the operator of a simulated network cheats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operator {
    /// Does what it should.
    #[default]
    Honest,
    /// Acknowledges a device's answer and leaves it out of the bundle.
    Drops,
    /// Lets a friend answer late and writes that it was in time.
    Backdates,
}

/// No such operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no operator {0:?}; use honest, drops or backdates")]
pub struct UnknownOperator(String);

impl FromStr for Operator {
    type Err = UnknownOperator;

    fn from_str(name: &str) -> Result<Self, UnknownOperator> {
        match name {
            "honest" => Ok(Self::Honest),
            "drops" => Ok(Self::Drops),
            "backdates" => Ok(Self::Backdates),
            _ => Err(UnknownOperator(name.to_owned())),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Honest => "honest",
            Self::Drops => "drops",
            Self::Backdates => "backdates",
        })
    }
}

impl Operator {
    /// What it does to an epoch before closing it.
    pub(super) fn tamper(self) -> Option<Tamper> {
        match self {
            Self::Honest => None,
            Self::Drops => Some(Box::new(|network, key, input| forge(network, key, input, drop_an_answer))),
            Self::Backdates => Some(Box::new(|network, key, input| forge(network, key, input, backdate))),
        }
    }
}

/// Changes the entries and signs a head over the result, as if the journal had always been so.
fn forge(
    network: &Network,
    key: &SoftwareKey,
    mut input: EpochInput,
    change: impl Fn(&Network, &mut Vec<Slot>),
) -> EpochInput {
    change(network, &mut input.entries);
    let mut frontier = input.state.frontier.clone();
    for slot in &input.entries {
        frontier.push(match slot {
            Slot::Entry(entry) => entry.leaf(),
            Slot::Withheld(leaf) => *leaf,
        });
    }
    let checkpoint = Checkpoint { origin: network.params().log_origin(), head: frontier.head() };
    let signature = key.signature(checkpoint.text().as_bytes());
    input.checkpoint = checkpoint.note(&key.public().typed(), &signature.0);
    input
}

fn is_answer(entry: &Entry) -> bool {
    let Entry::Report { envelope, .. } = entry else { return false };
    let Ok(parsed) = Envelope::parse(envelope) else { return false };
    let kind = possession::ANSWER_KIND.as_bytes();
    parsed.payload().windows(kind.len()).any(|window| window == kind)
}

fn drop_an_answer(_: &Network, entries: &mut Vec<Slot>) {
    if let Some(at) = entries.iter().position(|slot| matches!(slot, Slot::Entry(entry) if is_answer(entry))) {
        entries.remove(at);
    }
}

/// Sets every late answer, and whatever stands before it, to the end of the answering time.
#[expect(clippy::ptr_arg, reason = "one signature for all that an operator does")]
fn backdate(network: &Network, entries: &mut Vec<Slot>) {
    let opened = entries.iter().find_map(|slot| match slot {
        Slot::Entry(Entry::Opened { at, .. }) => Some(*at),
        _ => None,
    });
    let Some(opened) = opened else { return };
    let deadline = network.params().schedule(opened).answer_until;
    let late = |slot: &Slot| matches!(slot, Slot::Entry(entry @ Entry::Report { received, .. }) if *received > deadline && is_answer(entry));
    let Some(last) = entries.iter().rposition(late) else { return };
    for slot in entries.iter_mut().take(last.saturating_add(1)) {
        let Slot::Entry(entry) = slot else { continue };
        let time: Option<&mut Timestamp> = match entry {
            Entry::Report { received, .. }
            | Entry::Refused { received, .. }
            | Entry::Deal { received, .. } => Some(received),
            _ => None,
        };
        if let Some(time) = time {
            *time = (*time).min(deadline);
        }
    }
}
