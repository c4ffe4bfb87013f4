//! The door: reports, registrations, credentials and deals, taken in batches that are durable before anybody gets an answer.
//!
//! A batch of reports goes through three stages: signatures are checked on all cores, then each report is weighed against what is known and all
//! are made durable by one write, then receipts are signed on all cores. While one batch is written, the next is checked. A signature is checked
//! once: what passed is handed to the fold as a type that nothing else makes. Credentials and status lists are checked before they come here.

use std::{
    borrow::Cow,
    sync::{Arc, Weak},
    time::Duration,
};

use depin_core::{DeviceId, Digest, SignedDeal, sha256};
use depin_identity::{Action, Binding, DeviceRegistry, Envelope, SignedBinding, Status};
use rayon::prelude::*;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{
    Gate, Inner, NodeError,
    core::{Door, Examined},
    receipts::receipt,
    showing::{Revoking, Showing, take_credentials, take_revocation},
    upkeep::stopped,
};
use crate::{
    admission::{Admitted, StatusPlace},
    api::ReportResult,
    check::{check_signature, signer},
    entry::{Entry, Refusal},
    log::{Frontier, leaf_hash},
};

/// Requests that wait for the journal at most; more are told to come back later.
pub(super) const QUEUE: usize = 1024;
/// Kibibytes that wait at most, all requests together: 256 MiB.
pub(super) const ROOM: usize = 256 << 10;
/// Requests in one batch at most.
const BATCH: usize = 1024;
/// Reports in one batch, roughly: more would only make everybody wait longer.
const REPORTS: usize = 4096;
/// How long a batch waits for company where nobody is a member.
const WINDOW: Duration = Duration::from_millis(5);
/// Bytes of the journal that are read at once to give a receipt again.
const AGAIN: usize = 64 << 10;

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
    Reports(Vec<Vec<u8>>, ReportsReply),
    Registration(Box<SignedBinding>, oneshot::Sender<Result<DeviceId, Refused>>),
    Credentials(Box<Showing>, oneshot::Sender<Result<Admitted, Refused>>),
    Revocation(Box<Revoking>, oneshot::Sender<Result<Vec<StatusPlace>, Refused>>),
    Deal(Box<SignedDeal>, oneshot::Sender<Result<Digest, Refused>>),
}

type ReportsReply = oneshot::Sender<Result<Vec<ReportResult>, Refused>>;

/// Why a request failed as a whole.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    pub(super) next: Cow<'static, str>,
}

impl From<Refusal> for Refused {
    fn from(Refusal { reason, observed, limit, .. }: Refusal) -> Self {
        Self { code: reason.to_string().into(), message: observed, next: limit.into() }
    }
}

/// Reports of one request.
#[derive(Debug)]
struct Request<T> {
    member: Option<u32>,
    reports: Vec<T>,
    reply: ReportsReply,
    _room: OwnedSemaphorePermit,
}

impl Item {
    /// The order within a batch: it must not depend on who came first. Each kind comes before those that may
    /// hang on it, reports last.
    fn order(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Registration(binding, _) => (0, binding.binding.device.key().as_bytes().to_vec()),
            Self::Credentials(showing, _) => (1, showing.device().key().as_bytes().to_vec()),
            Self::Revocation(revoking, _) => {
                (2, [revoking.device.key().as_bytes(), sha256(&[&revoking.bytes]).0.as_slice()].concat())
            }
            Self::Deal(deal, _) => (3, deal.deal.id().0.to_vec()),
            Self::Reports(envelopes, _) => {
                let key = envelopes.first().map(|envelope| {
                    let kid = Envelope::parse(envelope).map(|parsed| parsed.key_id().0).unwrap_or_default();
                    [kid.as_slice(), sha256(&[envelope]).0.as_slice()].concat()
                });
                (4, key.unwrap_or_default())
            }
        }
    }

    fn reports(&self) -> usize {
        if let Self::Reports(envelopes, _) = self { envelopes.len() } else { 0 }
    }
}

/// What runs the intake.
#[derive(Debug)]
struct Intake {
    node: Weak<Inner>,
    gate: Arc<Gate>,
    waiting: Vec<Work>,
    /// The batch before, which may still be written.
    before: Option<JoinHandle<()>>,
}

/// Takes requests until nobody can send any, or until told to stop; what was taken until then is answered.
pub(super) async fn run(
    node: Weak<Inner>,
    gate: Arc<Gate>,
    mut queue: mpsc::Receiver<Work>,
    mut stop: watch::Receiver<bool>,
) {
    let mut intake = Intake { node, gate: Arc::clone(&gate), waiting: Vec::new(), before: None };
    // When the first request that waits has waited long enough.
    let mut window = Instant::now();
    loop {
        // Registered before looking, so that no change in between is missed.
        let changed = gate.changed();
        if intake.is_due() {
            // Whoever is known to have sent something has put it into the queue by now.
            intake.fill(&mut queue, usize::MAX);
            if !intake.take().await {
                break;
            }
            continue;
        }
        let alone = !intake.waiting.is_empty() && !gate.has_members();
        tokio::select! {
            work = queue.recv() => match work {
                Some(work) => {
                    if intake.waiting.is_empty() {
                        window = Instant::now().checked_add(WINDOW).unwrap_or(window);
                    }
                    intake.waiting.push(work);
                }
                None => break,
            },
            () = changed => {}
            () = stopped(&mut stop) => {
                queue.close();
                intake.fill(&mut queue, usize::MAX);
                break;
            }
            () = tokio::time::sleep_until(window), if alone => {
                intake.fill(&mut queue, BATCH);
                if !intake.take().await {
                    break;
                }
            }
        }
    }
    if !intake.waiting.is_empty() {
        intake.take().await;
    }
    intake.settle().await;
}

impl Intake {
    fn fill(&mut self, queue: &mut mpsc::Receiver<Work>, most: usize) {
        while self.waiting.len() < most
            && let Ok(work) = queue.try_recv()
        {
            self.waiting.push(work);
        }
    }

    /// With members, a batch waits until nobody can add to it; a stranger's request waits for nobody.
    fn is_due(&self) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let is_stranger = |work: &Work| !work.member.is_some_and(|member| self.gate.is_member(member));
        let full = self.waiting.len() >= BATCH
            || self.waiting.iter().map(|work| work.item.reports()).fold(0, usize::saturating_add) >= REPORTS;
        let members = self.gate.has_members();
        members
            && (self.waiting.iter().all(is_stranger) || self.gate.is_settled() || self.waiting.len() >= BATCH)
            || !members && full
    }

    /// Handles what waits; false when the node is gone.
    async fn take(&mut self) -> bool {
        // Held no longer than it takes, so that a node ends with its last user.
        let Some(inner) = self.node.upgrade() else { return false };
        let mut batch = std::mem::take(&mut self.waiting);
        batch.sort_by_cached_key(|work| work.item.order());
        let is_registration = |work: &mut Work| matches!(work.item, Item::Registration(..));
        let registrations: Vec<Registration> = batch
            .extract_if(.., is_registration)
            .filter_map(|work| match work.item {
                Item::Registration(binding, reply) => Some((work.member, *binding, reply)),
                _ => None,
            })
            .collect();
        // The order in which members are taken must not depend on how fast the chain is. Nobody else waits for it.
        if self.gate.has_members() {
            register_all(&inner, registrations).await;
        } else if !registrations.is_empty() {
            let inner = Arc::clone(&inner);
            tokio::spawn(async move { register_all(&inner, registrations).await });
        }
        let mut reports = Vec::new();
        for Work { member, item, _room } in batch {
            match item {
                Item::Registration(..) => {}
                Item::Credentials(showing, reply) => {
                    finish(&inner, member, reply, take_credentials(&inner, *showing).await);
                }
                Item::Revocation(revoking, reply) => {
                    finish(&inner, member, reply, take_revocation(&inner, *revoking).await);
                }
                Item::Deal(deal, reply) => finish(&inner, member, reply, take_deal(&inner, *deal).await),
                Item::Reports(reports_of, reply) => {
                    reports.push(Request { member, reports: reports_of, reply, _room });
                }
            }
        }
        if !reports.is_empty() {
            self.take_reports(&inner, reports).await;
        }
        true
    }

    async fn take_reports(&mut self, inner: &Arc<Inner>, requests: Vec<Request<Vec<u8>>>) {
        let examined = examine(inner, requests).await;
        self.settle().await;
        let Some(examined) = examined else { return };
        let writer = Arc::clone(inner);
        self.before = Some(tokio::spawn(async move { write(&writer, examined).await }));
        // What members send next depends on these answers, so everybody has to have one before anybody is heard again.
        if self.gate.has_members() {
            self.settle().await;
        }
    }

    /// Waits for the batch before.
    async fn settle(&mut self) {
        if let Some(before) = self.before.take()
            && let Err(error) = before.await
        {
            tracing::error!(%error, "a batch of reports was given up");
        }
    }
}

fn finish<T>(inner: &Inner, member: Option<u32>, reply: oneshot::Sender<T>, result: T) {
    if let Some(member) = member {
        inner.gate.end(member);
    }
    // Whoever asked may be gone; what was done stays done.
    drop(reply.send(result));
}

type Registration = (Option<u32>, SignedBinding, oneshot::Sender<Result<DeviceId, Refused>>);

async fn register_all(inner: &Arc<Inner>, registrations: Vec<Registration>) {
    if registrations.is_empty() {
        return;
    }
    // One after the other, because they share an account on the chain.
    let _turn = inner.registering.lock().await;
    for (member, binding, reply) in registrations {
        let result = register(inner, binding).await;
        finish(inner, member, reply, result);
    }
}

async fn register(inner: &Arc<Inner>, binding: SignedBinding) -> Result<DeviceId, Refused> {
    let device = binding.binding.device;
    let known = inner.lock().await.fold.state.registry.device(&device).map(|record| record.present_key().key);
    let accepted = binding.verify(inner.now(), known.unwrap_or(*device.key())).map_err(|error| Refused {
        code: "binding".into(),
        message: error.to_string(),
        next: "sign the binding again for this network".into(),
    })?;
    let submitted = inner.chain.registry().submit(&accepted).await;
    if let Err(error) = submitted
        && !is_done(inner, &accepted.signed().binding).await
    {
        return Err(Refused {
            code: "registry".into(),
            message: error.to_string(),
            next: "read the device's record, then sign again".into(),
        });
    }
    inner.follow().await.map_err(|error| unavailable(&error))?;
    Ok(device)
}

/// Whether the device stands on chain as `binding` leaves it: whoever did not hear the answer asks again.
async fn is_done(inner: &Inner, binding: &Binding) -> bool {
    let Ok(Some(record)) = inner.chain.registry().device(&binding.device).await else { return false };
    let (status, present) = (record.status(), record.present_key());
    let done = match binding.action {
        Action::Register { active } => {
            record.owner == binding.owner && (status == Status::Active) == active && present.epoch == 0
        }
        Action::Transfer { new_owner, new_key, .. } => record.owner == new_owner && present.key == new_key,
        Action::Rotate { new_key, .. } => present.key == new_key,
        Action::Compromise { key, .. } => record.key(&key).is_some_and(|key| key.compromised.is_some()),
        Action::Activate | Action::Resume => status == Status::Active,
        Action::Suspend => status == Status::Suspended,
        Action::Deactivate => status == Status::Deactivated,
    };
    done && record.next_nonce.checked_sub(1) == Some(binding.nonce)
}

async fn take_deal(inner: &Arc<Inner>, deal: SignedDeal) -> Result<Digest, Refused> {
    let mut core = inner.lock().await;
    inner.mend(&mut core).await.map_err(|error| unavailable(&error))?;
    core.look_at_deal(&inner.network, &deal).map_err(|message| Refused {
        code: "deal".into(),
        message,
        next: "change the terms and sign the deal again".into(),
    })?;
    let id = deal.deal.id();
    let received = inner.time(&core);
    let written = inner.write(&mut core, vec![Entry::Deal { received, deal }]).await;
    written.map_err(|error| unavailable(&error))?;
    Ok(id)
}

/// The first stage: signatures, on all cores, while nobody has to wait for what the node knows.
async fn examine(inner: &Arc<Inner>, requests: Vec<Request<Vec<u8>>>) -> Option<Vec<Request<Examined>>> {
    let core = inner.lock().await;
    let registry = &core.fold.state.registry;
    let signers: Vec<Vec<_>> = requests
        .iter()
        .map(|request| request.reports.iter().map(|envelope| signer(registry, envelope)).collect())
        .collect();
    drop(core);
    let params = inner.network.params();
    let (network, policy) = (params.network(), params.sig_policy);
    let examined = inner.blocking(move || {
        let each = |(request, signers): (Request<Vec<u8>>, Vec<_>)| {
            let Request { member, reports, reply, _room } = request;
            let reports = reports.into_par_iter().zip(signers).map(|(envelope, signer)| Examined {
                digest: sha256(&[&envelope]),
                signed: check_signature(signer, network, policy, &envelope),
                envelope,
            });
            Request { member, reports: reports.collect(), reply, _room }
        };
        Ok(requests.into_par_iter().zip(signers).map(each).collect())
    });
    match examined.await {
        Ok(examined) => Some(examined),
        Err(error) => {
            tracing::error!(%error, "reports could not be examined");
            None
        }
    }
}

/// The second stage and the third: one write and one sync for all reports, and only then the receipts.
async fn write(inner: &Arc<Inner>, requests: Vec<Request<Examined>>) {
    let (replies, reports): (Vec<_>, Vec<_>) = requests
        .into_iter()
        .map(|Request { member, reports, reply, _room }| ((member, reply, _room), reports))
        .unzip();
    match weigh(inner, reports).await {
        Ok(answers) => {
            for ((member, reply, _room), answers) in replies.into_iter().zip(answers) {
                finish(inner, member, reply, Ok(answers));
            }
        }
        Err(error) => {
            for (member, reply, _room) in replies {
                finish(inner, member, reply, Err(unavailable(&error)));
            }
        }
    }
}

async fn weigh(
    inner: &Arc<Inner>,
    requests: Vec<Vec<Examined>>,
) -> Result<Vec<Vec<ReportResult>>, NodeError> {
    let mut core = inner.lock().await;
    inner.mend(&mut core).await?;
    let received = inner.time(&core);
    let (mut core, (doors, entries)) = inner
        .compute(core, move |inner, core| {
            core.forget(&inner.network, received);
            let mut entries = Vec::new();
            let mut weigh = |examined: Examined| {
                let digest = examined.digest;
                match core.admit(&inner.network, examined, received) {
                    Ok((door, bytes)) => {
                        entries.extend(bytes);
                        Ok((digest, door))
                    }
                    Err(error) => {
                        core.ahead = true;
                        Err(NodeError::from(error))
                    }
                }
            };
            let doors: Result<Vec<Vec<_>>, _> =
                requests.into_iter().map(|reports| reports.into_iter().map(&mut weigh).collect()).collect();
            doors.map(|doors| (doors, entries))
        })
        .await
        .and_then(|(core, weighed)| Ok((core, weighed?)))?;
    inner.make_durable(&mut core, entries).await?;
    drop(core);
    for (_, door) in doors.iter().flatten() {
        if let Door::Refuse(refusal, false) = door {
            inner.count_stranger(&refusal.reason);
        }
    }
    let doors = again(inner, doors).await?;
    let signer = Arc::clone(inner);
    inner
        .blocking(move || {
            let answers = |doors: Vec<_>| doors.into_par_iter().map(|door| answer(&signer, door)).collect();
            doors.into_par_iter().map(answers).collect()
        })
        .await
}

/// Finds what receipts of reports need that were acknowledged before: the log as it was at their place.
async fn again(
    inner: &Inner,
    mut doors: Vec<Vec<(Digest, Door)>>,
) -> Result<Vec<Vec<(Digest, Door)>>, NodeError> {
    let mut known: Vec<&mut Door> = doors
        .iter_mut()
        .flatten()
        .map(|(_, door)| door)
        .filter(|door| matches!(door, Door::Known(..)))
        .collect();
    known.sort_by_key(|door| if let Door::Known(place, _) = door { place.index } else { 0 });
    let (mut log, mut ahead): (Frontier, std::collections::VecDeque<Vec<u8>>) = Default::default();
    for door in known {
        let Door::Known(place, edge) = &*door else { continue };
        let place = *place;
        if edge.size() > log.size() || log.size() > place.index {
            log = edge.clone();
            ahead.clear();
        }
        loop {
            if ahead.is_empty() {
                ahead.extend(inner.journal.read(log.size(), AGAIN).await?);
            }
            let gone = || NodeError::Entry { index: place.index, reason: "it is not in the journal".into() };
            let leaf = leaf_hash(ahead.front().ok_or_else(gone)?);
            if log.size() == place.index {
                // Left where it is: the same report may be asked about twice.
                *door = Door::Accept(place, log.clone(), leaf);
                break;
            }
            log.push(leaf);
            ahead.pop_front();
        }
    }
    Ok(doors)
}

fn answer(inner: &Inner, (report, door): (Digest, Door)) -> Result<ReportResult, NodeError> {
    match door {
        Door::Refuse(refusal, _) => {
            let (reason, observed, limit) = (refusal.reason, refusal.observed, refusal.limit);
            Ok(ReportResult::Refused { reason, observed, limit })
        }
        Door::Accept(place, before, leaf) => {
            let receipt = receipt(&inner.key, inner.network.params().network(), report, place, &before, leaf);
            Ok(ReportResult::Accepted { receipt: receipt.map_err(NodeError::from)? })
        }
        Door::Known(place, _) => {
            Err(NodeError::Entry { index: place.index, reason: "it was not looked up".into() })
        }
    }
}

pub(super) fn unavailable(error: &NodeError) -> Refused {
    Refused { code: "unavailable".into(), message: error.to_string(), next: "send it again later".into() }
}
