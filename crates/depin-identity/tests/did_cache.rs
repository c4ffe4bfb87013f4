//! The cache in front of a resolver: bounded in time and size, one question at a time.
#![cfg(feature = "did-cache")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use depin_core::{Millis, Text, Timestamp};
use depin_identity::{
    Did, DidDocument, DidError, DidResolver,
    did::{CacheLimits, DidCache, MethodType, Purpose, Resolution, VerificationMethod},
};
use pollster::block_on;
use proptest::prelude::*;

type Answer = Result<Resolution, DidError>;
type Answers = Box<dyn Fn(&Did) -> Answer + Send>;

/// Answers as told, counts, and can be held up.
struct Behind {
    answer: Mutex<Answers>,
    asked: AtomicUsize,
    gate: tokio::sync::Semaphore,
}

fn live(did: &Did) -> Answer {
    Ok(Resolution { document: Arc::new(DidDocument::new(did.clone())), version: None })
}

fn deactivated(did: &Did) -> Answer {
    Err(DidError::Deactivated { did: did.clone() })
}

fn down(did: &Did) -> Answer {
    Err(DidError::unavailable(did, "no route"))
}

impl Behind {
    fn new(open: bool) -> Arc<Self> {
        let gate = tokio::sync::Semaphore::new(if open { tokio::sync::Semaphore::MAX_PERMITS } else { 0 });
        Arc::new(Self { answer: Mutex::new(Box::new(live)), asked: AtomicUsize::new(0), gate })
    }

    fn answers(&self, answer: impl Fn(&Did) -> Answer + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

#[async_trait]
impl DidResolver for Behind {
    fn methods(&self) -> Vec<&str> {
        vec!["test"]
    }

    async fn resolve(&self, did: &Did, _: Option<&Text>) -> Answer {
        self.asked.fetch_add(1, SeqCst);
        let _held_up = self.gate.acquire().await.unwrap();
        (self.answer.lock().unwrap())(did)
    }
}

const LIMITS: CacheLimits =
    CacheLimits { ttl: Millis(100), negative_ttl: Millis(10), entries: 8, bytes: 1 << 20, questions: 4 };

fn cache(behind: &Arc<Behind>, limits: CacheLimits) -> DidCache {
    DidCache::new(behind.clone(), limits, Arc::new(|| Timestamp(0)))
}

fn did(name: &str) -> Did {
    Did::new("test", name).unwrap()
}

fn at(cache: &DidCache, name: &str, now: u64) -> Answer {
    block_on(cache.resolve_at(&did(name), None, Timestamp(now)))
}

#[test]
fn an_answer_is_given_again_until_its_time_is_over() {
    let behind = Behind::new(true);
    let cache = cache(&behind, LIMITS);
    for (now, asked) in [(1_000, 1), (1_000, 1), (1_099, 1), (1_100, 2), (1_199, 2), (1_200, 3)] {
        assert_eq!(at(&cache, "a", now), live(&did("a")));
        assert_eq!(behind.asked(), asked, "{now}");
    }
    // A clock that jumps back: nothing is known of that time.
    at(&cache, "a", 500).unwrap();
    assert_eq!(behind.asked(), 4);
    // Another version is another answer.
    block_on(cache.resolve_at(&did("a"), Some(&"1".into()), Timestamp(500))).unwrap();
    assert_eq!((behind.asked(), cache.len()), (5, (2, 0)));
}

#[test]
fn a_deactivated_did_is_never_live_beyond_the_time_of_its_document() {
    for gone in [deactivated, down] {
        let behind = Behind::new(true);
        let cache = cache(&behind, LIMITS);
        at(&cache, "a", 0).unwrap();
        behind.answers(gone);
        assert_eq!(at(&cache, "a", 99), live(&did("a")));
        // Also when nobody can say what became of it.
        assert_eq!(at(&cache, "a", 100), gone(&did("a")));
        behind.answers(live);
        assert_eq!(at(&cache, "a", 109), gone(&did("a")));
        assert_eq!((at(&cache, "a", 110), behind.asked()), (live(&did("a")), 3));
    }
}

#[test]
fn the_time_counts_from_the_question_not_from_the_answer() {
    let behind = Behind::new(false);
    let cache = Arc::new(cache(&behind, LIMITS));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let asking = {
        let cache = cache.clone();
        runtime.spawn(async move { cache.resolve_at(&did("a"), None, Timestamp(0)).await })
    };
    while behind.asked() == 0 {
        std::thread::yield_now();
    }
    behind.gate.add_permits(10);
    runtime.block_on(asking).unwrap().unwrap();
    at(&cache, "a", 99).unwrap();
    assert_eq!(behind.asked(), 1);
    at(&cache, "a", 100).unwrap();
    assert_eq!(behind.asked(), 2);
}

#[test]
fn ten_thousand_misses_on_one_did_make_one_question() {
    let behind = Behind::new(false);
    let cache = Arc::new(cache(&behind, LIMITS));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let (cache, begun) = (cache.clone(), begun.clone());
            runtime.spawn(async move {
                begun.fetch_add(1, SeqCst);
                cache.resolve_at(&did("a"), None, Timestamp(0)).await
            })
        })
        .collect();
    // All of them are there before the answer is.
    while begun.load(SeqCst) < 10_000 {
        std::thread::yield_now();
    }
    assert_eq!(cache.len(), (0, 1));
    behind.gate.add_permits(1);
    for caller in callers {
        assert_eq!(runtime.block_on(caller).unwrap(), live(&did("a")));
    }
    assert_eq!((behind.asked(), cache.len()), (1, (1, 0)));
}

#[test]
fn a_caller_that_goes_away_takes_nobody_with_it() {
    let behind = Behind::new(false);
    let cache = Arc::new(cache(&behind, LIMITS));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ask = |cache: Arc<DidCache>| async move { cache.resolve_at(&did("a"), None, Timestamp(0)).await };
    let first = runtime.spawn(ask(cache.clone()));
    while behind.asked() == 0 {
        std::thread::yield_now();
    }
    let second = runtime.spawn(ask(cache.clone()));
    first.abort();
    assert!(runtime.block_on(first).unwrap_err().is_cancelled());
    behind.gate.add_permits(1);
    assert_eq!(runtime.block_on(second).unwrap(), live(&did("a")));
    assert_eq!(behind.asked(), 1);
}

#[test]
fn a_resolver_that_panics_is_unavailable_and_asked_again() {
    let behind = Behind::new(true);
    let cache = cache(&behind, LIMITS);
    behind.answers(|_| panic!("on a document of a stranger"));
    assert!(matches!(at(&cache, "a", 0), Err(DidError::Unavailable { .. })));
    // The lock of the test's resolver is poisoned; another one stands for its repair.
    assert!(matches!(at(&cache, "a", 9), Err(DidError::Unavailable { .. })));
    assert_eq!((behind.asked(), cache.len()), (1, (1, 0)));
    assert!(matches!(at(&cache, "a", 10), Err(DidError::Unavailable { .. })));
    assert_eq!(behind.asked(), 2);
}

#[test]
fn questions_under_way_are_bounded_and_abandoned_ones_make_room() {
    let behind = Behind::new(false);
    let cache = Arc::new(cache(&behind, LIMITS));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ask = |name: String| {
        let cache = cache.clone();
        runtime.spawn(async move { cache.resolve_at(&did(&name), None, Timestamp(0)).await })
    };
    let waiting: Vec<_> = (0..4).map(|n| ask(format!("n{n}"))).collect();
    while behind.asked() < 4 {
        std::thread::yield_now();
    }
    let refused = runtime.block_on(ask("one-more".into())).unwrap().unwrap_err();
    assert!(refused.to_string().contains("too many"), "{refused}");
    for task in waiting {
        task.abort();
        assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    }
    behind.gate.add_permits(1);
    runtime.block_on(ask("one-more".into())).unwrap().unwrap();
    assert_eq!(cache.len(), (1, 0));
}

#[test]
fn other_methods_are_refused_without_a_question() {
    let behind = Behind::new(true);
    let cache = cache(&behind, LIMITS);
    let other = "did:other:a".parse().unwrap();
    let refused = block_on(cache.resolve(&other, None));
    assert!(matches!(refused, Err(DidError::UnsupportedMethod { .. })));
    assert_eq!((behind.asked(), cache.len()), (0, (0, 0)));
}

#[test]
fn what_is_used_stays_and_strangers_push_out_strangers() {
    let behind = Behind::new(true);
    let cache = cache(&behind, LIMITS);
    at(&cache, "mine", 0).unwrap();
    for n in 0..1_000 {
        at(&cache, &format!("stranger{n}"), 0).unwrap();
        // Used at every third stranger, less often than the cache is large.
        if n % 3 == 0 {
            at(&cache, "mine", 0).unwrap();
        }
        assert!(cache.len().0 <= LIMITS.entries);
    }
    assert_eq!(behind.asked(), 1_001);
}

proptest! {
    #[test]
    fn the_cache_never_outgrows_its_limit_nor_answers_for_another(
        entries in 0_usize..9,
        calls in prop::collection::vec((0_u8..20, 0_u64..300), 1..200),
    ) {
        let behind = Behind::new(true);
        let cache = cache(&behind, CacheLimits { entries, ..LIMITS });
        for (name, now) in calls {
            let name = format!("n{name}");
            prop_assert_eq!(at(&cache, &name, now), live(&did(&name)));
            prop_assert!(cache.len().0 <= entries, "{:?}", cache.len());
        }
    }
}

/// A document as large as one may be: every method with a name of its own, as long as names get.
fn large(did: &Did) -> Answer {
    let mut document = DidDocument::new(did.clone());
    for n in 0..DidDocument::MAX_METHODS {
        let id = did.url(&format!("{n:0>1000}")).unwrap();
        let (kind, key) = (MethodType::Other("None".into()), None);
        document.add(VerificationMethod { id, kind, controller: did.clone(), key }, &Purpose::ALL);
    }
    Ok(Resolution { document: Arc::new(document), version: None })
}

#[test]
fn large_documents_are_kept_only_as_far_as_their_bytes_go() {
    let behind = Behind::new(true);
    behind.answers(large);
    let cache = cache(&behind, CacheLimits { entries: 10_000, bytes: 8 << 20, ..LIMITS });
    for n in 0..40 {
        at(&cache, &format!("n{n}"), 0).unwrap();
        assert!(cache.bytes() <= 8 << 20, "{}", cache.bytes());
    }
    // Six names of a thousand bytes for each of 128 methods.
    let each = 6 * 128 * 1_000;
    assert!((2..=(8 << 20) / each).contains(&cache.len().0), "{:?}", cache.len());
    assert!(cache.bytes() >= cache.len().0 * each);
    // Those used last are there.
    assert_eq!(behind.asked(), 40);
    at(&cache, "n39", 0).unwrap();
    assert_eq!(behind.asked(), 40);
}

#[test]
fn an_answer_too_large_to_keep_is_given_out_and_asked_for_again() {
    for answer in [large, |did: &Did| Err(DidError::unavailable(did, "x".repeat(1 << 20)))] {
        let behind = Behind::new(true);
        behind.answers(answer);
        let cache = cache(&behind, CacheLimits { bytes: 1 << 20, ..LIMITS });
        for asked in 1..4 {
            assert_eq!(at(&cache, "a", 0), answer(&did("a")));
            assert_eq!((behind.asked(), cache.len(), cache.bytes()), (asked, (0, 0), 0));
        }
    }
}

#[test]
fn what_is_dropped_or_replaced_gives_its_bytes_back() {
    let behind = Behind::new(true);
    let cache = cache(&behind, LIMITS);
    at(&cache, "a", 0).unwrap();
    let one = cache.bytes();
    for now in 1..1_000 {
        at(&cache, "a", now * 100).unwrap();
        assert_eq!((cache.len(), cache.bytes()), ((1, 0), one));
    }
    for n in 0..1_000 {
        at(&cache, &format!("{}", n % 10), 0).unwrap();
        assert_eq!(cache.bytes(), cache.len().0 * one);
    }
}

#[test]
fn the_clock_is_asked_when_no_time_is_given() {
    let behind = Behind::new(true);
    let now = Arc::new(AtomicU64::new(0));
    let clock = {
        let now = now.clone();
        Arc::new(move || Timestamp(now.load(SeqCst)))
    };
    let cache = DidCache::new(behind.clone(), LIMITS, clock);
    for (time, asked) in [(0, 1), (99, 1), (100, 2)] {
        now.store(time, SeqCst);
        block_on(cache.resolve(&did("a"), None)).unwrap();
        assert_eq!(behind.asked(), asked);
    }
}
