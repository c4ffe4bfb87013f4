//! The door: reports, registrations and deals, taken in batches that are durable before anybody gets an answer.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use depin_core::{DeviceId, Digest, SignedDeal, Text, sha256};
use depin_identity::{DeviceRegistry, Envelope, SignedBinding};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::Instant,
};

use super::{
    Gate, Inner, NodeError,
    core::{Core, Door, entry_bytes},
};
use crate::{api::ReportResult, entry::Entry};

/// Requests that wait for the journal at most; more are told to come back later.
pub(super) const QUEUE: usize = 1024;
/// Kibibytes that wait at most, all requests together: 256 MiB.
pub(super) const ROOM: usize = 256 << 10;
/// Requests in one batch at most.
const BATCH: usize = 1024;
/// How long a batch waits for company where nobody is a member.
const WINDOW: Duration = Duration::from_millis(5);

/// A request at the door.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) member: Option<u32>,
    pub(super) item: Item,
    /// Its share of the bytes that may wait; given back with it.
    pub(super) _room: OwnedSemaphorePermit,
}

/// What is asked, and where the answer goes.
#[derive(Debug)]
pub(super) enum Item {
    Reports(Vec<Vec<u8>>, oneshot::Sender<Result<Vec<ReportResult>, Refused>>),
    Registration(Box<SignedBinding>, oneshot::Sender<Result<DeviceId, Refused>>),
    Deal(Box<SignedDeal>, oneshot::Sender<Result<Digest, Refused>>),
}

/// Why a request failed as a whole.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) next: &'static str,
}

impl Item {
    /// The order within a batch: it must not depend on who came first. Registrations come before deals, deals before reports.
    fn order(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Registration(binding, _) => (0, binding.binding.device.key().as_bytes().to_vec()),
            Self::Deal(deal, _) => (1, deal.deal.id().0.to_vec()),
            Self::Reports(envelopes, _) => {
                let key = envelopes.first().map(|envelope| {
                    let kid = Envelope::parse(envelope).map(|parsed| parsed.key_id().0).unwrap_or_default();
                    [kid.as_slice(), sha256(&[envelope]).0.as_slice()].concat()
                });
                (2, key.unwrap_or_default())
            }
        }
    }
}

/// Takes requests until nobody can send any.
pub(super) async fn run(node: Weak<Inner>, gate: Arc<Gate>, mut queue: mpsc::Receiver<Work>) {
    let mut waiting = Vec::new();
    // When the first request that waits has waited long enough.
    let mut window = Instant::now();
    loop {
        // Registered before looking, so that no change in between is missed.
        let changed = gate.changed();
        if is_due(&gate, &waiting) {
            // Whoever is known to have sent something has put it into the queue by now.
            while let Ok(work) = queue.try_recv() {
                waiting.push(work);
            }
            if !take(&node, &mut waiting).await {
                return;
            }
            continue;
        }
        tokio::select! {
            work = queue.recv() => match work {
                Some(work) => {
                    if waiting.is_empty() {
                        window = Instant::now().checked_add(WINDOW).unwrap_or(window);
                    }
                    waiting.push(work);
                }
                None => return,
            },
            () = changed => {}
            () = tokio::time::sleep_until(window), if !waiting.is_empty() && !gate.has_members() => {
                while waiting.len() < BATCH && let Ok(work) = queue.try_recv() {
                    waiting.push(work);
                }
                if !take(&node, &mut waiting).await {
                    return;
                }
            }
        }
    }
}

/// Handles what waits; false when the node is gone.
async fn take(node: &Weak<Inner>, waiting: &mut Vec<Work>) -> bool {
    // Held no longer than it takes, so that a node ends with its last user.
    let Some(inner) = node.upgrade() else { return false };
    handle(&inner, std::mem::take(waiting)).await;
    true
}

/// With members, a batch waits until nobody can add to it; a stranger's request waits for nobody.
fn is_due(gate: &Gate, waiting: &[Work]) -> bool {
    if waiting.is_empty() {
        return false;
    }
    let strangers = waiting.iter().all(|work| !work.member.is_some_and(|member| gate.is_member(member)));
    waiting.len() >= BATCH || gate.has_members() && (strangers || gate.is_settled())
}

async fn handle(inner: &Inner, mut batch: Vec<Work>) {
    batch.sort_by_cached_key(|work| work.item.order());
    let mut core = inner.core.lock().await;
    let mut reports = Vec::new();
    for work in batch {
        match work.item {
            Item::Registration(binding, reply) => {
                let result = register(inner, &mut core, *binding).await;
                finish(inner, work.member, reply, result);
            }
            Item::Deal(deal, reply) => {
                let result = take_deal(inner, &mut core, *deal).await;
                finish(inner, work.member, reply, result);
            }
            Item::Reports(envelopes, reply) => reports.push((work.member, envelopes, reply)),
        }
    }
    take_reports(inner, &mut core, reports).await;
}

fn finish<T>(inner: &Inner, member: Option<u32>, reply: oneshot::Sender<T>, result: T) {
    if let Some(member) = member {
        inner.gate.end(member);
    }
    // Whoever asked may be gone; what was done stays done.
    drop(reply.send(result));
}

async fn register(inner: &Inner, core: &mut Core, binding: SignedBinding) -> Result<DeviceId, Refused> {
    let device = binding.binding.device;
    let accepted = binding.verify(inner.now()).map_err(|error| Refused {
        code: "binding",
        message: error.to_string(),
        next: "sign the binding again for this network",
    })?;
    inner.chain.registry().submit(&accepted).await.map_err(|error| Refused {
        code: "registry",
        message: error.to_string(),
        next: "read the device's record, then sign again",
    })?;
    inner.follow(core).await.map_err(|error| unavailable(&error))?;
    Ok(device)
}

async fn take_deal(inner: &Inner, core: &mut Core, deal: SignedDeal) -> Result<Digest, Refused> {
    core.look_at_deal(&inner.network, &deal).map_err(|message| Refused {
        code: "deal",
        message,
        next: "change the terms and sign the deal again",
    })?;
    let id = deal.deal.id();
    inner
        .write(core, vec![Entry::Deal { received: inner.time(core), deal }])
        .await
        .map_err(|error| unavailable(&error))?;
    Ok(id)
}

type ReportsReply = oneshot::Sender<Result<Vec<ReportResult>, Refused>>;

/// Takes reports: one write and one sync for all of them, and only then the receipts.
async fn take_reports(inner: &Inner, core: &mut Core, batch: Vec<(Option<u32>, Vec<Vec<u8>>, ReportsReply)>) {
    if batch.is_empty() {
        return;
    }
    if let Err(error) = inner.mend(core).await {
        for (member, _, reply) in batch {
            finish(inner, member, reply, Err(unavailable(&error)));
        }
        return;
    }
    let received = inner.time(core);
    let mut entries = Vec::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    for (member, envelopes, reply) in batch {
        let mut outcome = Vec::with_capacity(envelopes.len());
        for envelope in &envelopes {
            let door = core.look(&inner.network, envelope, received);
            let entry = match &door {
                Door::Accept(entry) | Door::Refuse(Some(entry), _) => Some(entry.clone()),
                Door::Known | Door::Refuse(None, _) => None,
            };
            if let Some(entry) = entry {
                let bytes = entry_bytes(&entry);
                match core.take(&inner.network, entry) {
                    Ok(()) => entries.push(bytes),
                    // What was just looked at fits; should it not, it gets no receipt.
                    Err(error) => tracing::error!(%error, "an entry does not fit the journal"),
                }
            }
            if let Door::Refuse(None, refusal) = &door {
                inner.count_stranger(&refusal.reason);
            }
            outcome.push((sha256(&[envelope]), door));
        }
        outcomes.push((member, outcome, reply));
    }
    let durable = inner.make_durable(core, entries).await;
    for (member, outcome, reply) in outcomes {
        let result = match &durable {
            Err(error) => Err(unavailable(error)),
            Ok(()) => {
                Ok(outcome.into_iter().map(|(digest, door)| answer(inner, core, &digest, door)).collect())
            }
        };
        finish(inner, member, reply, result);
    }
}

fn answer(inner: &Inner, core: &Core, digest: &Digest, door: Door) -> ReportResult {
    let refusal = match door {
        Door::Refuse(_, refusal) => refusal,
        Door::Accept(_) | Door::Known => match core.receipt(&inner.network, &inner.key, digest) {
            Some(receipt) => return ReportResult::Accepted { receipt },
            None => {
                return ReportResult::Refused {
                    reason: Text::from("unavailable"),
                    observed: "no receipt could be made".into(),
                    limit: "send the report again".into(),
                };
            }
        },
    };
    ReportResult::Refused { reason: refusal.reason, observed: refusal.observed, limit: refusal.limit }
}

fn unavailable(error: &NodeError) -> Refused {
    Refused { code: "unavailable", message: error.to_string(), next: "send it again later" }
}
