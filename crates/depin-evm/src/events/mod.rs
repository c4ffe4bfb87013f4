//! What the contracts said, as the values of `depin-core`. A node is asked and not believed: what it answers must fit together.

pub(crate) mod registry;

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256, Log as ContractLog, U256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
    transports::TransportError,
};
use depin_core::{Amount, ChainEvent, Digest, Epoch, Located};
use depin_index::follow::MAX_LOGS;

use crate::{
    Client, Deployment,
    contracts::{RewardDistributor, ServiceCredits},
    finality::{HeaderError, header},
    follow::{together, too_much},
};

/// Why events could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// The chain cannot be reached, or the node refuses.
    #[error("the events cannot be read: {0}; ask again or ask another node")]
    Unavailable(#[from] TransportError),
    /// Too many blocks or events for one answer.
    #[error("the node does not answer so much at once: {said}; ask for fewer blocks")]
    TooMuch {
        /// What it said.
        said: String,
    },
    /// A header that is missing or does not hold.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The node contradicts itself, or a contract is not ours.
    #[error("the log {index} of block {block} does not hold: {what}; ask another node")]
    Invalid {
        /// Number of the block.
        block: u64,
        /// Position of the log in it.
        index: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The chain changed while it was read.
    #[error("block {block} was replaced while it was read; read again from an earlier block")]
    Reorganised {
        /// Number of the block.
        block: u64,
    },
}

/// Every event of the contracts of `deployment` in the blocks `from..=to` that [`ChainEvent`] knows, in their order on the chain. The node is
/// asked for all of them at once; how many blocks it answers shows when it is asked.
///
/// Each log is of one of the contracts, has the position and the block it should, and its block's header hashes to what the log says.
/// The node must have the block `to`. Whether it left any log out cannot be told from logs; ask two nodes where that matters.
///
/// # Errors
/// [`EventsError`]; after [`EventsError::TooMuch`] fewer blocks may be answered.
pub async fn events(
    client: &Client,
    deployment: &Deployment,
    from: u64,
    to: u64,
) -> Result<Vec<Located>, EventsError> {
    if from > to {
        return Ok(Vec::new());
    }
    let logs = client.provider().get_logs(&filter(deployment, from, to)).await;
    let logs = logs.map_err(|error| match too_much(&error) {
        Some(said) => EventsError::TooMuch { said },
        None => error.into(),
    })?;
    if logs.len() > MAX_LOGS {
        return Err(EventsError::TooMuch { said: format!("{} logs, more than {MAX_LOGS}", logs.len()) });
    }
    let mut located = Vec::with_capacity(logs.len());
    let mut hashes = BTreeMap::new();
    for log in logs {
        let found = read(deployment, &log, from, to, located.last())?;
        hashes.insert(found.block, found.block_hash);
        located.push(found);
    }
    // A node that is behind answers as if the blocks it lacks were empty.
    header(client, to).await?;
    let headers = together(hashes.keys().map(|block| header(client, *block)).collect()).await?;
    for ((block, hash), header) in hashes.into_iter().zip(headers) {
        if Digest(header.hash_slow().0) != hash {
            return Err(EventsError::Reorganised { block });
        }
    }
    Ok(located)
}

/// The contracts and the events that count.
fn filter(deployment: &Deployment, from: u64, to: u64) -> Filter {
    Filter::new()
        .from_block(from)
        .to_block(to)
        .address(contracts(deployment).to_vec())
        .event_signature(signatures())
}

/// The contracts whose events count.
pub(crate) const fn contracts(deployment: &Deployment) -> [Address; 3] {
    [deployment.registry, deployment.credits, deployment.distributor]
}

/// The signatures of the events that count.
pub(crate) fn signatures() -> Vec<B256> {
    [registry::SIGNATURES.as_slice(), &OTHERS].concat()
}

/// Those of the credits and of the distributor.
const OTHERS: [B256; 11] = [
    ServiceCredits::Paid::SIGNATURE_HASH,
    RewardDistributor::EpochStarted::SIGNATURE_HASH,
    RewardDistributor::RootProposed::SIGNATURE_HASH,
    RewardDistributor::RootFinal::SIGNATURE_HASH,
    RewardDistributor::Claimed::SIGNATURE_HASH,
    RewardDistributor::RootChallenged::SIGNATURE_HASH,
    RewardDistributor::EpochContested::SIGNATURE_HASH,
    RewardDistributor::RootSupported::SIGNATURE_HASH,
    RewardDistributor::RootVoided::SIGNATURE_HASH,
    RewardDistributor::RootUndecided::SIGNATURE_HASH,
    RewardDistributor::RootRevived::SIGNATURE_HASH,
];

/// Checks one log's place and reads it.
fn read(
    deployment: &Deployment,
    log: &Log,
    from: u64,
    to: u64,
    previous: Option<&Located>,
) -> Result<Located, EventsError> {
    let (block, index) = (log.block_number.unwrap_or_default(), log.log_index.unwrap_or_default());
    let invalid = |what| EventsError::Invalid { block, index, what };
    if log.removed {
        return Err(EventsError::Reorganised { block });
    }
    let (Some(_), Some(_), Some(hash)) = (log.block_number, log.log_index, log.block_hash) else {
        return Err(invalid("it has no place on the chain"));
    };
    if !(from..=to).contains(&block) {
        return Err(invalid("its block was not asked for"));
    }
    if let Some(before) = previous {
        if (before.block, before.log_index) >= (block, index) {
            return Err(invalid("it is out of order"));
        }
        if before.block == block && before.block_hash != Digest(hash.0) {
            return Err(EventsError::Reorganised { block });
        }
    }
    let event = decode(deployment, &log.inner).map_err(invalid)?;
    Ok(Located { block, block_hash: Digest(hash.0), log_index: index, event })
}

/// Reads a log by its contract and its signature, with every topic and value checked for its type.
pub(crate) fn decode(deployment: &Deployment, log: &ContractLog) -> Result<ChainEvent, &'static str> {
    let signature = *log.topics().first().ok_or("it has no signature")?;
    match log.address {
        address if address == deployment.registry => registry::decode(log, signature),
        address if address == deployment.credits => credits(log, signature),
        address if address == deployment.distributor => distributor(log, signature),
        _ => Err("it is of another contract"),
    }
}

fn credits(log: &ContractLog, signature: B256) -> Result<ChainEvent, &'static str> {
    match signature {
        ServiceCredits::Paid::SIGNATURE_HASH => {
            let event = parse::<ServiceCredits::Paid>(log)?;
            Ok(ChainEvent::CreditsPaid {
                customer: event.customer,
                amount: amount(event.amount)?,
                burned: amount(event.burned)?,
            })
        }
        _ => Err("the credits contract has no such event"),
    }
}

fn distributor(log: &ContractLog, signature: B256) -> Result<ChainEvent, &'static str> {
    match signature {
        RewardDistributor::EpochStarted::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::EpochStarted>(log)?;
            Ok(ChainEvent::EpochStarted {
                epoch: Epoch(number(event.epoch)?),
                mint_cap: amount(event.mintCap)?,
                revenue_cap: amount(event.revenueCap)?,
            })
        }
        RewardDistributor::RootProposed::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::RootProposed>(log)?;
            Ok(ChainEvent::RootProposed {
                epoch: Epoch(number(event.epoch)?),
                root: Digest(event.candidate.root.0),
                bundle: Digest(event.candidate.bundleDigest.0),
            })
        }
        RewardDistributor::RootFinal::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::RootFinal>(log)?;
            Ok(ChainEvent::RootFinal {
                epoch: Epoch(number(event.epoch)?),
                root: Digest(event.root.0),
                bundle: Digest(event.bundleDigest.0),
                total: amount(event.total)?,
            })
        }
        RewardDistributor::Claimed::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::Claimed>(log)?;
            Ok(ChainEvent::Claimed {
                epoch: Epoch(number(event.epoch)?),
                account: event.account,
                amount: amount(event.amount)?,
            })
        }
        _ => dispute(log, signature),
    }
}

fn dispute(log: &ContractLog, signature: B256) -> Result<ChainEvent, &'static str> {
    match signature {
        RewardDistributor::RootChallenged::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::RootChallenged>(log)?;
            Ok(ChainEvent::RootChallenged {
                epoch: Epoch(number(event.epoch)?),
                candidate: Digest(event.candidateId.0),
                challenger: event.challenger,
            })
        }
        RewardDistributor::EpochContested::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::EpochContested>(log)?;
            Ok(ChainEvent::EpochContested { epoch: Epoch(number(event.epoch)?), round: event.round })
        }
        RewardDistributor::RootSupported::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::RootSupported>(log)?;
            // The weight follows from the stakes and their times, and may exceed what an amount holds.
            Ok(ChainEvent::RootSupported {
                epoch: Epoch(number(event.epoch)?),
                candidate: Digest(event.candidateId.0),
                supporter: event.supporter,
                amount: amount(event.amount)?,
            })
        }
        RewardDistributor::RootVoided::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::RootVoided>(log)?;
            Ok(ChainEvent::RootVoided {
                epoch: Epoch(number(event.epoch)?),
                round: event.round,
                voids: event.voids,
            })
        }
        RewardDistributor::RootUndecided::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::RootUndecided>(log)?;
            Ok(ChainEvent::RootUndecided {
                epoch: Epoch(number(event.epoch)?),
                round: event.round,
                generation: event.generation,
            })
        }
        RewardDistributor::RootRevived::SIGNATURE_HASH => {
            let event = parse::<RewardDistributor::RootRevived>(log)?;
            Ok(ChainEvent::RootRevived {
                epoch: Epoch(number(event.epoch)?),
                candidate: Digest(event.candidateId.0),
                proposer: event.proposer,
                round: event.round,
            })
        }
        _ => Err("the distributor has no such event"),
    }
}

/// Decodes an event from topics and data; anything that is not its exact encoding is refused.
fn parse<E: SolEvent>(log: &ContractLog) -> Result<E, &'static str> {
    E::decode_log_data_validate(&log.data).map_err(|_| "its topics or its data are not those of its event")
}

fn number(value: U256) -> Result<u64, &'static str> {
    u64::try_from(value).map_err(|_| "a number exceeds 64 bits")
}

fn amount(value: U256) -> Result<Amount, &'static str> {
    Amount::try_from(value).map_err(|_| "an amount exceeds 128 bits")
}
