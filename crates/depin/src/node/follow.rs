//! Keeping the index at the head of its chain, beside everything else the node does.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use depin_evm::{ContractCallError, DisputeWindows, EvmReader, contracts::NetworkToken};
use depin_index::{
    AdvanceError, ChainSource, FollowConfig, FollowStatus, Following, Live, Progress, Pump, SqliteStore,
    StreamLimits, Terms, Topic, Windows,
};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    Chain, Inner, Metrics, Node, NodeError,
    health::{Part, causes},
};

/// After which time a step counts as hanging.
pub(super) const STALL: Duration = Duration::from_secs(120);
/// The wait after the first failure; it doubles with each one.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
/// The longest wait: also that of an index that has stopped, which goes on by itself should the chain come back to what is stored.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// So many blocks behind its chain an index still counts as live.
const LIVE: u64 = 16;

/// What follows the chain for the index.
#[derive(Debug)]
pub(super) struct Follower {
    source: ChainSource<EvmReader>,
    /// How often the chain is looked at when nothing else says that it changed.
    poll: Duration,
    /// Held by whoever takes steps.
    turn: Mutex<()>,
    /// Whom to tell.
    pub(super) live: Live,
    /// What the contracts were deployed with, once the chain has said so.
    pub(super) terms: Arc<OnceLock<Terms>>,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Advance(#[from] AdvanceError),
    #[error("no answer for {} s", STALL.as_secs())]
    Stalled,
}

impl StepError {
    const fn is_fatal(&self) -> bool {
        matches!(self, Self::Advance(AdvanceError::Source(error)) if error.is_fatal())
    }

    /// Whether the chain is what failed, and not the store.
    const fn is_of_chain(&self) -> bool {
        !matches!(self, Self::Advance(AdvanceError::Store(_)))
    }

    const fn next(&self) -> &'static str {
        match self {
            _ if self.is_fatal() => {
                "check that the RPC is of the right chain; if it is, stop the node, delete index.sqlite in its directory and start it again: \
                 the index is rebuilt from the chain and the bundles"
            }
            Self::Advance(AdvanceError::Store(_)) => {
                "see who else has the index open, and whether the disk has room; the node tries again by itself"
            }
            _ => {
                "check the RPC URL and whether the chain is up, or name another node; this one tries again by itself"
            }
        }
    }
}

impl Follower {
    pub(super) fn new(chain: &Chain, max_span: u64, streams: StreamLimits) -> Self {
        let config =
            FollowConfig { start: chain.deployment().start_block, max_span, ..FollowConfig::default() };
        let client = chain.sender().client();
        let reader = EvmReader::new(client.clone(), *chain.deployment(), chain.finality());
        Self {
            source: ChainSource::new(reader, config),
            poll: client.options().poll,
            turn: Mutex::new(()),
            live: Live::new(streams),
            terms: Arc::default(),
        }
    }

    /// Takes steps until the index has everything, and says after each how far it is.
    async fn catch_up(&self, store: &SqliteStore) -> Result<(), StepError> {
        let _turn = self.turn.lock().await;
        let mut pump = Pump::new(&self.source, store);
        loop {
            let progress = timeout(STALL, pump.step()).await.map_err(|_| StepError::Stalled)??;
            let indexed = match progress {
                Progress::Idle => {
                    self.say(FollowStatus::Live, None);
                    return Ok(());
                }
                Progress::Rewound(cursor) => {
                    tracing::warn!(to = ?cursor.block, "the chain was reorganised; the index went back");
                    cursor.block
                }
                Progress::Stored(cursor) => cursor.block,
            };
            let head = self.source.seen().map_or(0, |tips| tips.latest.number);
            let behind = head.saturating_sub(indexed.map_or(0, |block| block.number));
            self.say(if behind > LIVE { FollowStatus::Backfill } else { FollowStatus::Live }, None);
        }
    }

    /// Asks the chain once what the contracts were deployed with. Nothing but what is shown depends on it.
    async fn ask_terms(&self, chain: &Chain) {
        if self.terms.get().is_some() {
            return;
        }
        match timeout(STALL, read_terms(chain)).await {
            Ok(Ok(terms)) => {
                // Whoever was faster read the same.
                self.terms.get_or_init(|| terms);
                self.live.publish([Topic::Epochs, Topic::Overview]);
            }
            Ok(Err(error)) => tracing::debug!(%error, "decimals and windows are asked for again later"),
            Err(_) => {
                tracing::debug!(
                    "the contracts did not say decimals and windows; they are asked for again later"
                )
            }
        }
    }

    fn say(&self, status: FollowStatus, why: Option<(String, &str)>) {
        let head = self.source.seen().map(|tips| (tips.latest.number, tips.latest.time));
        let (reason, next) = why.map(|(reason, next)| (reason, next.to_owned())).unzip();
        let following = Following { status, head, reason, next };
        if self.live.following() != following {
            self.live.follows(following);
        }
    }

    fn failed(&self, error: &StepError, metrics: &Metrics) {
        if error.is_of_chain() {
            metrics.chain_error(Part::Index);
        }
        let status = if error.is_fatal() { FollowStatus::Stopped } else { FollowStatus::Degraded };
        self.say(status, Some((causes(error), error.next())));
    }
}

async fn read_terms(chain: &Chain) -> Result<Terms, ContractCallError> {
    let client = chain.sender().client();
    let DisputeWindows { challenge, evidence, resolution, max_voids } =
        DisputeWindows::read(client, chain.deployment()).await?;
    let decimals = NetworkToken::new(chain.deployment().token, client.provider()).decimals().call().await?;
    Ok(Terms { decimals, windows: Windows { challenge, evidence, resolution, max_voids } })
}

/// Follows the chain until the node is gone.
pub(super) async fn run(node: Weak<Inner>) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let Some(inner) = node.upgrade() else { return };
        let follower = &inner.follower;
        let caught_up = follower.catch_up(&inner.store).await;
        if caught_up.is_ok() {
            follower.ask_terms(&inner.chain).await;
        }
        inner.health.note(Part::Index, inner.now(), &caught_up);
        let changed = inner.chain.sender().client().changed();
        let wait = match caught_up {
            Ok(()) => {
                backoff = FIRST_BACKOFF;
                follower.poll
            }
            Err(error) => {
                follower.failed(&error, &inner.metrics);
                tracing::warn!(error = causes(&error), "the index does not follow the chain");
                backoff =
                    if error.is_fatal() { MAX_BACKOFF } else { backoff.saturating_mul(2).min(MAX_BACKOFF) };
                backoff
            }
        };
        // The node may end while this waits.
        drop(inner);
        tokio::select! {
            () = sleep(wait) => {}
            () = changed.notified() => {}
        }
    }
}

impl Node {
    /// Waits until the index has everything up to the chain's newest block.
    ///
    /// # Errors
    /// [`NodeError::Follow`]; the node itself goes on, and so does following.
    pub async fn caught_up(&self) -> Result<(), NodeError> {
        let inner = &self.0;
        inner.follower.catch_up(&inner.store).await.map_err(|error| {
            inner.follower.failed(&error, &inner.metrics);
            NodeError::Follow(causes(&error))
        })?;
        inner.follower.ask_terms(&inner.chain).await;
        Ok(())
    }

    /// How well the index follows its chain.
    pub fn following(&self) -> Following {
        self.0.follower.live.following()
    }
}
