//! A cache in front of a resolver, by (DID, version): bounded in time and size, with one question at a time per DID.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use depin_core::{Millis, Text, Timestamp};
use futures_util::{FutureExt as _, future::Shared};

use super::{Did, DidError, DidResolver, Resolution, weight};

/// How long and how much a [`DidCache`] remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// How long a document is given out, from the moment it was asked for. No deactivation goes unnoticed for longer.
    pub ttl: Millis,
    /// How long a refusal is given out, outages included.
    pub negative_ttl: Millis,
    /// Most answers kept. The longest unused are dropped first.
    pub entries: usize,
    /// Most bytes of memory that answers and what they are kept under take, about. Likewise the longest unused are dropped first. An answer that takes more than half of this is
    /// given out and not kept.
    pub bytes: usize,
    /// Most questions under way; beyond them a resolution is refused as unavailable.
    pub questions: usize,
}

impl Default for CacheLimits {
    /// Five minutes, thirty seconds for refusals, 10,000 answers in 32 MiB, 256 questions.
    fn default() -> Self {
        let (ttl, negative_ttl) = (Millis(300_000), Millis(30_000));
        Self { ttl, negative_ttl, entries: 10_000, bytes: 32 << 20, questions: 256 }
    }
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

type Answer = Result<Resolution, DidError>;
type Key = (Did, Option<Text>);
type Question = Shared<Pin<Box<dyn Future<Output = Answer> + Send>>>;

/// A [`DidResolver`] that remembers what another one answered.
///
/// Callers that miss on the same (DID, version) at the same time share one question, whichever of them goes away. A document is never
/// given out beyond its time, also when the resolver behind is out of reach. A clock that jumps back makes answers from its future unknown.
pub struct DidCache {
    behind: Arc<dyn DidResolver>,
    methods: Vec<String>,
    limits: CacheLimits,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Answers used since the last turn.
    young: Kept,
    /// Answers not used since. When `young` fills half of the cache, these are dropped and `young` takes their place.
    old: Kept,
    questions: HashMap<Key, (Timestamp, Question)>,
}

/// Answers, and how many bytes they take.
#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    bytes: usize,
}

struct Entry {
    /// When it was asked for.
    at: Timestamp,
    answer: Answer,
    /// What it and its key take.
    bytes: usize,
}

impl DidCache {
    /// A cache in front of `behind`.
    pub fn new(behind: Arc<dyn DidResolver>, limits: CacheLimits, clock: Clock) -> Self {
        let methods = behind.methods().into_iter().map(str::to_owned).collect();
        Self { behind, methods, limits, clock, state: Mutex::default() }
    }

    /// What `did` resolves to at `now`, by what is remembered or by asking.
    ///
    /// # Errors
    /// Those of the resolver behind; [`DidError::Unavailable`] when too many questions are under way.
    pub async fn resolve_at(&self, did: &Did, version: Option<&Text>, now: Timestamp) -> Answer {
        if !self.methods.iter().any(|method| method == did.method()) {
            return Err(DidError::unsupported(did, &self.methods()));
        }
        let key = (did.clone(), version.cloned());
        if let Some(answer) = self.state().fresh(&key, now, &self.limits) {
            return answer;
        }
        // In a box of its own, so that an answer that is there needs no room for the question.
        Box::pin(self.miss(key, now)).await
    }

    /// Joins the question that is under way, or asks.
    async fn miss(&self, key: Key, now: Timestamp) -> Answer {
        let (asked, question) = {
            let mut state = self.state();
            // It may have been answered since.
            if let Some(answer) = state.fresh(&key, now, &self.limits) {
                return answer;
            }
            match state.questions.get(&key) {
                Some((asked, question)) if is_within(*asked, now, self.limits.ttl) => {
                    (*asked, question.clone())
                }
                _ => {
                    // What nobody waits for any more makes room.
                    state.questions.retain(|_, (_, question)| question.strong_count().is_some_and(|n| n > 1));
                    if state.questions.len() >= self.limits.questions {
                        let reason = "too many resolutions are under way: try again";
                        return Err(DidError::unavailable(&key.0, reason));
                    }
                    let question = self.ask(&key);
                    state.questions.insert(key.clone(), (now, question.clone()));
                    (now, question)
                }
            }
        };
        let answer = question.clone().await;
        self.state().settle(key, asked, &question, &answer, &self.limits);
        answer
    }

    /// How many answers are kept, and how many questions are under way.
    pub fn len(&self) -> (usize, usize) {
        let state = self.state();
        let kept = state.young.entries.len().saturating_add(state.old.entries.len());
        (kept, state.questions.len())
    }

    /// How many bytes of memory the answers take, about.
    pub fn bytes(&self) -> usize {
        let state = self.state();
        state.young.bytes.saturating_add(state.old.bytes)
    }

    fn ask(&self, key: &Key) -> Question {
        let (behind, (did, version)) = (self.behind.clone(), key.clone());
        let future = async move {
            let answer = AssertUnwindSafe(behind.resolve(&did, version.as_ref())).catch_unwind().await;
            // A library that panics on a stranger's document must not take the cache with it.
            answer.unwrap_or_else(|_| Err(DidError::unavailable(&did, "the resolver panicked")))
        };
        future.boxed().shared()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is complete by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The answer to `key`, if it may be given out at `now`.
    fn fresh(&mut self, key: &Key, now: Timestamp, limits: &CacheLimits) -> Option<Answer> {
        let fits = |entry: &Entry| {
            let ttl = if entry.answer.is_ok() { limits.ttl } else { limits.negative_ttl };
            is_within(entry.at, now, ttl)
        };
        if let Some(entry) = self.young.entries.get(key) {
            return fits(entry).then(|| entry.answer.clone());
        }
        let entry = self.old.remove(key).filter(fits)?;
        let answer = entry.answer.clone();
        self.keep(key.clone(), entry, limits);
        Some(answer)
    }

    /// Keeps what was answered, once for all who waited.
    fn settle(
        &mut self,
        key: Key,
        at: Timestamp,
        question: &Question,
        answer: &Answer,
        limits: &CacheLimits,
    ) {
        if self.questions.get(&key).is_some_and(|(_, current)| current.ptr_eq(question)) {
            self.questions.remove(&key);
            self.old.remove(&key);
            self.keep(key.clone(), Entry::new(&key, at, answer.clone()), limits);
        }
    }

    fn keep(&mut self, key: Key, entry: Entry, limits: &CacheLimits) {
        // What it replaces is of a time that is over.
        self.young.remove(&key);
        // One entry has no second half.
        let half = (limits.entries / 2).max(limits.entries.min(1));
        let half_bytes = limits.bytes / 2;
        if half == 0 || entry.bytes > half_bytes {
            return;
        }
        let is_full = self.young.entries.len() >= half;
        if is_full || self.young.bytes.saturating_add(entry.bytes) > half_bytes {
            self.old = std::mem::take(&mut self.young);
        }
        if limits.entries < 2 {
            self.old = Kept::default();
        }
        self.young.insert(key, entry);
    }
}

impl Kept {
    fn insert(&mut self, key: Key, entry: Entry) {
        self.remove(&key);
        self.bytes = self.bytes.saturating_add(entry.bytes);
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(entry)
    }
}

impl Entry {
    fn new(key: &Key, at: Timestamp, answer: Answer) -> Self {
        let (did, version) = key;
        // An entry of a table, and the two bytes or so by which the table finds it.
        let own = size_of::<(Key, Self)>()
            .saturating_add(2)
            .saturating_add(weight::of_did(did))
            .saturating_add(version.as_ref().map_or(0, |version| version.as_str().len()));
        let bytes = own.saturating_add(weight::of_answer(&answer));
        Self { at, answer, bytes }
    }
}

fn is_within(from: Timestamp, now: Timestamp, span: Millis) -> bool {
    now.0.checked_sub(from.0).is_some_and(|age| age < span.0)
}

#[async_trait]
impl DidResolver for DidCache {
    fn methods(&self) -> Vec<&str> {
        self.methods.iter().map(String::as_str).collect()
    }

    async fn resolve(&self, did: &Did, version: Option<&Text>) -> Answer {
        self.resolve_at(did, version, (self.clock)()).await
    }
}

impl fmt::Debug for DidCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DidCache")
            .field("methods", &self.methods())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
