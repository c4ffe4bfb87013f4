//! A chain as an index follows it: what a node answers, in the words of `depin-index`, which checks it.

use std::future::Future;

use alloy::{
    consensus::Header,
    eips::BlockNumberOrTag,
    primitives::Log as ContractLog,
    providers::Provider,
    rpc::{
        json_rpc::{ErrorPayload, RpcError},
        types::{Filter, Log},
    },
    transports::{TransportError, TransportErrorKind},
};
use async_trait::async_trait;
use depin_core::{ChainEvent, Digest, Timestamp};
use depin_index::{Asked, BlockFacts, ChainLog, ChainReader, ReadError, Tips, Wanted};
use futures_util::{StreamExt, stream};

use crate::{
    Client, Deployment, Finality, HeaderError,
    connect::TooLarge,
    events::{contracts, decode, signatures},
    finality::{header, read},
};

/// Requests under way at once.
const CONCURRENT: usize = 8;

/// The events of a deployment, for [`depin_index::ChainSource`]. Each header's hash is computed here.
#[derive(Clone, Debug)]
pub struct EvmReader {
    client: Client,
    deployment: Deployment,
    finality: Finality,
    wanted: Wanted,
}

impl EvmReader {
    /// Reads the contracts of `deployment` through `client`.
    pub fn new(client: Client, deployment: Deployment, finality: Finality) -> Self {
        let wanted = Wanted { addresses: contracts(&deployment).to_vec(), topics: signatures() };
        Self { client, deployment, finality, wanted }
    }

    fn filter(&self) -> Filter {
        Filter::new().address(self.wanted.addresses.clone()).event_signature(self.wanted.topics.clone())
    }

    async fn header(&self, number: u64) -> Result<Option<BlockFacts>, ReadError> {
        match header(&self.client, number).await {
            Ok(found) => Ok(Some(facts(&found))),
            Err(HeaderError::Missing { .. }) => Ok(None),
            Err(error) => Err(ReadError::Failed(Box::new(error))),
        }
    }

    async fn logs_of(&self, block: &BlockFacts) -> Result<Vec<Log>, ReadError> {
        let filter = self.filter().at_block_hash(block.hash.0);
        self.client.provider().get_logs(&filter).await.map_err(|error| match error {
            // Nodes word it differently; what they refuse about one block named by its hash is the block.
            RpcError::ErrorResp(payload) if !is_about_us(&payload) => {
                tracing::debug!(block = block.number, %payload, "no logs of a block");
                ReadError::Unknown { block: block.number }
            }
            error => ReadError::Failed(Box::new(error)),
        })
    }
}

#[async_trait]
impl ChainReader for EvmReader {
    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    async fn tips(&self) -> Result<Tips, ReadError> {
        let failed = |error| ReadError::Failed(Box::new(error));
        let latest = facts(&read(&self.client, BlockNumberOrTag::Latest).await.map_err(failed)?);
        let final_block = match self.finality {
            Finality::Depth(depth) => latest.number.checked_sub(depth),
            Finality::Finalized => match read(&self.client, BlockNumberOrTag::Finalized).await {
                Ok(found) => Some(found.number),
                Err(HeaderError::Missing { .. }) => None,
                Err(error) => return Err(failed(error)),
            },
        };
        Ok(Tips { latest, final_block })
    }

    async fn headers(&self, numbers: &[u64]) -> Result<Vec<Option<BlockFacts>>, ReadError> {
        together(numbers.iter().map(|number| self.header(*number)).collect()).await
    }

    async fn logs(&self, asked: Asked<'_>) -> Result<Vec<ChainLog>, ReadError> {
        let found = match asked {
            Asked::Range { from, to } => {
                let filter = self.filter().from_block(from).to_block(to);
                self.client.provider().get_logs(&filter).await.map_err(refused)?
            }
            Asked::Blocks(blocks) => {
                together(blocks.iter().map(|block| self.logs_of(block)).collect()).await?.concat()
            }
        };
        Ok(found.into_iter().map(log).collect())
    }

    fn decode(&self, log: &ContractLog) -> Result<ChainEvent, &'static str> {
        decode(&self.deployment, log)
    }
}

/// Some answers at a time, in the order of the questions.
pub(crate) async fn together<T, E>(
    requests: Vec<impl Future<Output = Result<T, E>> + Send>,
) -> Result<Vec<T>, E> {
    let mut answers = Vec::with_capacity(requests.len());
    let mut under_way = stream::iter(requests).buffered(CONCURRENT);
    while let Some(answer) = under_way.next().await {
        answers.push(answer?);
    }
    Ok(answers)
}

fn facts(header: &Header) -> BlockFacts {
    BlockFacts {
        number: header.number,
        hash: Digest(header.hash_slow().0),
        parent: Digest(header.parent_hash.0),
        time: Timestamp(header.timestamp.saturating_mul(1_000)),
    }
}

fn log(log: Log) -> ChainLog {
    ChainLog {
        block: log.block_number,
        block_hash: log.block_hash.map(|hash| Digest(hash.0)),
        log_index: log.log_index,
        removed: log.removed,
        log: log.inner,
    }
}

/// What a node says to a range of logs.
fn refused(error: TransportError) -> ReadError {
    match too_much(&error) {
        Some(said) => ReadError::TooMuch { said },
        None => ReadError::Failed(Box::new(error)),
    }
}

/// What a node says when it may answer fewer blocks; none when it would not. Each names its limits in other words and codes, so whatever it
/// answers about the request, rather than about who asks, is tried again with fewer; at one block it is taken as it is.
pub(crate) fn too_much(error: &TransportError) -> Option<String> {
    let too_much = match error {
        RpcError::ErrorResp(payload) => !is_about_us(payload),
        RpcError::Transport(TransportErrorKind::HttpError(http)) => http.status == 413,
        RpcError::Transport(TransportErrorKind::Custom(cause)) => {
            cause.is::<TooLarge>() || cause.downcast_ref().is_some_and(reqwest::Error::is_timeout)
        }
        _ => false,
    };
    too_much.then(|| error.to_string().chars().take(512).collect())
}

/// Whether a node refuses whoever asks, or the method, and not what was asked for.
fn is_about_us(payload: &ErrorPayload) -> bool {
    let message = payload.message.to_ascii_lowercase();
    // Not -32005: some mean too many requests by it, others too many logs.
    matches!(payload.code, -32601 | 401 | 403 | 429)
        || ["rate limit", "too many requests", "unauthorized", "api key"]
            .iter()
            .any(|words| message.contains(words))
}
