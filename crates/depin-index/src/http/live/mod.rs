//! Telling browsers what changed, as server-sent events: what to read again, never the numbers themselves.
//!
//! A client costs one bit for each of its topics. However often a topic changes while the client does not read, it hears of it once; if it
//! does not read at all, it is let go.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::time::sleep;

use self::changes::{Changes, Client, Pending};
use crate::{Change, Cursor, Listener, Topic};

mod changes;

/// How much the streams may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Most streams at once.
    pub clients: usize,
    /// Most of them from one address.
    pub clients_per_address: usize,
    /// Most topics of one stream; never more than 32.
    pub topics: usize,
    /// How many topics, of the newest changes, are kept for those who come back. Not how many changes: a closed epoch is one for every device.
    pub ring: usize,
    /// How long a client may leave a change unread before it is let go.
    pub patience: Duration,
    /// After how long without a change a comment is sent, so that nobody in between takes the stream for dead.
    pub heartbeat: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            clients: 8_192,
            clients_per_address: 64,
            topics: 32,
            ring: 16_384,
            patience: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
        }
    }
}

/// How well the index follows the chain, as whoever feeds it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Following {
    /// The state.
    pub status: FollowStatus,
    /// The newest block of the chain and its time, if the chain answers.
    pub head: Option<(u64, depin_core::Timestamp)>,
    /// Why it is not live, in words.
    pub reason: Option<String>,
    /// What to do about it.
    pub next: Option<String>,
}

/// The state of an index that follows a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FollowStatus {
    /// It has everything there is.
    #[default]
    Live,
    /// It catches up.
    Backfill,
    /// Something does not answer; it goes on trying.
    Degraded,
    /// It cannot go on by itself.
    Stopped,
}

/// Whom to tell what.
#[derive(Clone, Debug)]
pub struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: StreamLimits,
    state: Mutex<State>,
    following: Mutex<Following>,
}

#[derive(Debug)]
struct State {
    /// Counts changes. It begins with the time, so that no two runs of a process count the same.
    sequence: u64,
    cursor: Cursor,
    next_client: u64,
    clients: HashMap<u64, Arc<Client>>,
    by_topic: BTreeMap<Topic, BTreeSet<u64>>,
    by_address: HashMap<IpAddr, usize>,
    ring: VecDeque<Past>,
    /// What is in the ring, as [`Past::size`] counts.
    kept: usize,
}

/// A change that was told.
#[derive(Debug)]
struct Past {
    id: String,
    topics: BTreeSet<Topic>,
    decided: bool,
    undone: bool,
}

/// Why there is no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crowded {
    /// There are too many.
    All,
    /// There are too many from this address.
    Address,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// Nobody listens yet.
    pub fn new(limits: StreamLimits) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let state = State {
            sequence: u64::try_from(now.as_millis()).unwrap_or_default(),
            cursor: Cursor::default(),
            next_client: 0,
            clients: HashMap::new(),
            by_topic: BTreeMap::new(),
            by_address: HashMap::new(),
            ring: VecDeque::new(),
            kept: 0,
        };
        Self(Arc::new(Shared { limits, state: Mutex::new(state), following: Mutex::default() }))
    }

    /// What to give a store as its listener; keep this handle as long as it shall be told.
    pub fn listener(&self) -> Arc<dyn Listener> {
        Arc::<Shared>::clone(&self.0)
    }

    /// Tells everybody who wants to know that `topics` changed.
    pub fn publish(&self, topics: impl IntoIterator<Item = Topic>) {
        let cursor = lock(&self.0.state).cursor;
        self.0.changed(&Change { topics: topics.into_iter().collect(), cursor, ..Change::default() });
    }

    /// Says how well the index follows.
    pub fn follows(&self, following: Following) {
        *lock(&self.0.following) = following;
        self.publish([Topic::Health]);
    }

    /// How well the index follows, as was said last.
    pub fn following(&self) -> Following {
        lock(&self.0.following).clone()
    }

    /// How many listen.
    pub fn clients(&self) -> usize {
        lock(&self.0.state).clients.len()
    }

    pub(super) fn limits(&self) -> &StreamLimits {
        &self.0.limits
    }

    /// A stream of changes of `topics`, after the one called `last` if that is still known.
    pub(super) fn subscribe(
        &self,
        topics: Vec<Topic>,
        address: Option<IpAddr>,
        last: Option<&str>,
    ) -> Result<Changes, Crowded> {
        let limits = self.0.limits;
        let mut state = lock(&self.0.state);
        if state.clients.len() >= limits.clients {
            return Err(Crowded::All);
        }
        if let Some(address) = address {
            let from_there = state.by_address.entry(address).or_default();
            if *from_there >= limits.clients_per_address {
                return Err(Crowded::Address);
            }
            *from_there = from_there.saturating_add(1);
        }
        let mut pending = Pending { cursor: state.cursor, ..Pending::default() };
        if let Some(last) = last {
            catch_up(&state.ring, last, &topics, &mut pending);
        }
        let id = state.next_client;
        state.next_client = id.saturating_add(1);
        for topic in &topics {
            state.by_topic.entry(*topic).or_default().insert(id);
        }
        let client = Arc::new(Client { topics, address, pending: Mutex::new(pending) });
        state.clients.insert(id, Arc::clone(&client));
        drop(state);
        let heartbeat = Box::pin(sleep(limits.heartbeat));
        Ok(Changes { live: self.clone(), id, client, heartbeat, begun: false })
    }
}

/// What happened after `last`; everything, if nobody knows any more.
fn catch_up(ring: &VecDeque<Past>, last: &str, topics: &[Topic], pending: &mut Pending) {
    let Some(at) = ring.iter().position(|past| past.id == last) else {
        pending.resync = true;
        pending.id = ring.back().map(|past| past.id.clone()).unwrap_or_default();
        return;
    };
    for past in ring.iter().skip(at.saturating_add(1)) {
        pending.topics |= mask(topics, past.decided, |topic| past.topics.contains(topic));
        pending.resync |= past.undone;
        pending.id.clone_from(&past.id);
    }
}

/// The bits of those `topics` that changed.
fn mask(topics: &[Topic], decided: bool, changed: impl Fn(&Topic) -> bool) -> u32 {
    let concerns = |topic: &Topic| {
        changed(topic) || (decided && matches!(topic, Topic::Device(_) | Topic::Owner(_) | Topic::Epochs))
    };
    let bits = topics.iter().zip(0_u32..32).filter(|(topic, _)| concerns(topic));
    bits.fold(0, |mask, (_, bit)| mask | 1_u32.wrapping_shl(bit))
}

impl Listener for Shared {
    fn changed(&self, change: &Change) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.sequence = state.sequence.saturating_add(1);
        state.cursor = change.cursor;
        let block = change.cursor.block.map_or(0, |block| block.number);
        let id = format!("{}-{block}-{}", change.cursor.journal, state.sequence);
        let told: BTreeSet<u64> = if change.undone || change.decided {
            state.clients.keys().copied().collect()
        } else {
            change.topics.iter().filter_map(|topic| state.by_topic.get(topic)).flatten().copied().collect()
        };
        let mut slow = Vec::new();
        for number in told {
            let Some(client) = state.clients.get(&number) else { continue };
            let mut pending = lock(&client.pending);
            let topics = mask(&client.topics, change.decided, |topic| change.topics.contains(topic));
            if topics == 0 && !change.undone {
                continue;
            }
            pending.topics |= topics;
            pending.resync |= change.undone;
            pending.id.clone_from(&id);
            pending.cursor = change.cursor;
            let waits = now.saturating_duration_since(*pending.since.get_or_insert(now));
            if waits > self.limits.patience {
                pending.gone = true;
                slow.push(number);
            }
            if let Some(waker) = pending.waker.take() {
                waker.wake();
            }
        }
        for number in slow {
            state.remove(number);
        }
        let (topics, decided, undone) = (change.topics.clone(), change.decided, change.undone);
        state.keep(Past { id, topics, decided, undone }, self.limits.ring);
    }
}

impl Past {
    fn size(&self) -> usize {
        self.topics.len().max(1)
    }
}

impl State {
    /// Keeps a change, and forgets the oldest until there is room. One that is larger than all the room is not kept either: whoever missed it reads
    /// everything again.
    fn keep(&mut self, past: Past, room: usize) {
        self.kept = self.kept.saturating_add(past.size());
        self.ring.push_back(past);
        while self.kept > room
            && let Some(oldest) = self.ring.pop_front()
        {
            self.kept = self.kept.saturating_sub(oldest.size());
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(client) = self.clients.remove(&number) else { return };
        for topic in &client.topics {
            if let Some(clients) = self.by_topic.get_mut(topic) {
                clients.remove(&number);
                if clients.is_empty() {
                    self.by_topic.remove(topic);
                }
            }
        }
        if let Some(address) = client.address
            && let Some(count) = self.by_address.get_mut(&address)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    fn limits() -> StreamLimits {
        StreamLimits { clients: 3, clients_per_address: 2, ring: 4, ..StreamLimits::default() }
    }

    fn here() -> Option<IpAddr> {
        Some(IpAddr::from([127, 0, 0, 1]))
    }

    async fn next(changes: &mut Changes) -> String {
        String::from_utf8(changes.next().await.unwrap().unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn however_often_a_topic_changes_a_slow_client_hears_of_it_once() {
        let live = Live::new(limits());
        let mut changes = live.subscribe(vec![Topic::Overview, Topic::Events], here(), None).unwrap();
        assert_eq!(next(&mut changes).await, "retry: 2000\n\n");
        for _ in 0..10_000 {
            live.publish([Topic::Events, Topic::Health]);
        }
        let text = next(&mut changes).await;
        assert_eq!(text.matches("event: changed").count(), 1, "{text}");
        assert!(text.contains("\"topic\":\"events\""), "{text}");
        live.publish([Topic::Overview]);
        assert!(next(&mut changes).await.contains("\"topic\":\"overview\""));
    }

    #[tokio::test]
    async fn who_comes_back_hears_what_was_missed_or_that_all_must_be_read_again() {
        let live = Live::new(limits());
        let mut changes = live.subscribe(vec![Topic::Events], None, None).unwrap();
        next(&mut changes).await;
        live.publish([Topic::Events]);
        let text = next(&mut changes).await;
        let id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
        drop(changes);
        live.publish([Topic::Overview]);
        live.publish([Topic::Events]);
        let mut again = live.subscribe(vec![Topic::Events], None, Some(&id)).unwrap();
        let text = next(&mut again).await;
        assert!(text.contains("event: changed") && !text.contains("overview"), "{text}");
        for _ in 0..4 {
            live.publish([Topic::Status]);
        }
        for unknown in [id.as_str(), "", "0-0-0", "nonsense"] {
            let mut again = live.subscribe(vec![Topic::Events], None, Some(unknown)).unwrap();
            assert!(next(&mut again).await.starts_with("event: resync"), "{unknown}");
        }
    }

    #[tokio::test]
    async fn a_change_of_more_topics_than_are_kept_leaves_nothing_behind() {
        let live = Live::new(limits());
        let mut changes = live.subscribe(vec![Topic::Events], None, None).unwrap();
        next(&mut changes).await;
        live.publish([Topic::Events]);
        let text = next(&mut changes).await;
        let id = text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
        live.publish((0..5).map(|one| Topic::Owner(depin_core::Address::repeat_byte(one))));
        assert!(lock(&live.0.state).ring.is_empty());
        let mut again = live.subscribe(vec![Topic::Events], None, Some(&id)).unwrap();
        assert!(next(&mut again).await.starts_with("event: resync"));
        live.publish([Topic::Events]);
        assert_eq!(lock(&live.0.state).kept, 1);
    }

    #[tokio::test]
    async fn what_is_undone_must_be_read_again_and_what_is_decided_concerns_every_device() {
        let live = Live::new(limits());
        let owner = Topic::Owner(depin_core::Address::repeat_byte(7));
        let mut changes = live.subscribe(vec![Topic::Status, owner], None, None).unwrap();
        next(&mut changes).await;
        live.listener().changed(&Change { decided: true, ..Change::default() });
        let text = next(&mut changes).await;
        assert!(text.contains(&owner.to_string()) && !text.contains("status"), "{text}");
        live.listener().changed(&Change { undone: true, ..Change::default() });
        assert!(next(&mut changes).await.starts_with("event: resync"));
    }

    #[tokio::test]
    async fn there_are_no_more_streams_than_the_limits_say_and_places_become_free_again() {
        let live = Live::new(limits());
        let subscribe = |address| live.subscribe(vec![Topic::Events], address, None);
        let first = subscribe(here()).unwrap();
        let _second = subscribe(here()).unwrap();
        assert_eq!(subscribe(here()).unwrap_err(), Crowded::Address);
        let _third = subscribe(None).unwrap();
        assert_eq!(subscribe(None).unwrap_err(), Crowded::All);
        drop(first);
        assert_eq!(live.clients(), 2);
        let _again = subscribe(here()).unwrap();
    }

    #[tokio::test]
    async fn who_does_not_read_is_let_go() {
        let live = Live::new(StreamLimits { patience: Duration::ZERO, ..limits() });
        let mut changes = live.subscribe(vec![Topic::Events], here(), None).unwrap();
        next(&mut changes).await;
        live.publish([Topic::Events]);
        std::thread::sleep(Duration::from_millis(2));
        live.publish([Topic::Events]);
        assert!(changes.next().await.is_none());
        assert_eq!(live.clients(), 0);
    }
}
