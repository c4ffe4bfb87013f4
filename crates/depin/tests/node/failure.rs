//! What happens when the disk fails or the clock is set back.

use super::*;
use depin::log::Frontier;

/// A journal that fails when told to.
struct Frail {
    inner: FileJournal,
    unwritable: AtomicBool,
    unreadable: AtomicBool,
}

fn failure() -> JournalError {
    let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
    JournalError::Io { path: "journal".into(), error }
}

#[async_trait]
impl Journal for Frail {
    async fn append(&self, entries: Vec<Vec<u8>>) -> Result<(), JournalError> {
        if self.unwritable.load(Ordering::SeqCst) { Err(failure()) } else { self.inner.append(entries).await }
    }

    async fn read(&self, from: u64, bytes: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        if self.unreadable.load(Ordering::SeqCst) {
            Err(failure())
        } else {
            self.inner.read(from, bytes).await
        }
    }

    async fn size(&self) -> Result<u64, JournalError> {
        self.inner.size().await
    }

    async fn starts(&self) -> Result<Vec<Frontier>, JournalError> {
        self.inner.starts().await
    }

    async fn prune(&self, before: u64) -> Result<(), JournalError> {
        self.inner.prune(before).await
    }
}

async fn frail() -> (Stage, Arc<Frail>, Node, Device) {
    let stage = Stage::new().await;
    let journal = Arc::new(Frail {
        inner: FileJournal::open(&stage.dir.path().join("journal"), params().network()).unwrap(),
        unwritable: AtomicBool::new(false),
        unreadable: AtomicBool::new(false),
    });
    let shared: Arc<dyn Journal> = journal.clone();
    let node = Node::open_on(stage.parts(), shared).await.unwrap();
    let device = Device::new("a");
    register(&node, &device).await;
    node.open_epoch().await.unwrap();
    (stage, journal, node, device)
}

#[tokio::test]
async fn what_cannot_be_written_is_not_acknowledged() {
    let (stage, journal, node, mut device) = frail().await;
    let kept = set_of(&node, &mut device);
    let receipt = accepted(&node, kept.clone()).await;
    let before = stage.journal();
    let lost = envelope(&node, &mut device, "storage.telemetry", vec![1]);
    for unreadable in [false, true] {
        journal.unwritable.store(true, Ordering::SeqCst);
        journal.unreadable.store(unreadable, Ordering::SeqCst);
        for _ in 0..3 {
            let (status, body, retry) = call(&node, "POST", paths::REPORTS, lost.clone()).await;
            assert_eq!((status, error(&body).as_str()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
            assert!(retry.is_some());
        }
        assert!(node.reveal_beacon().await.is_err());
        assert_eq!(stage.journal(), before);
    }
    // Writable again, but it cannot be known what is in it: nothing is acknowledged.
    journal.unwritable.store(false, Ordering::SeqCst);
    let (status, _) = post(&node, paths::REPORTS, lost.clone()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(stage.journal(), before);
    journal.unreadable.store(false, Ordering::SeqCst);
    assert_eq!(accepted(&node, kept).await, receipt);
    let late = accepted(&node, lost).await;
    let key = node_key();
    let late = Receipt::parse_and_verify(&late, key.public(), params().network()).unwrap();
    late.check_inclusion().unwrap();
    assert_eq!(reports(&stage).await, 2);
    assert!(matches!(&entries(&stage).await[usize::try_from(late.index).unwrap()], Entry::Report { .. }));
}

#[tokio::test]
async fn a_clock_set_back_does_not_set_the_journal_back() {
    let (stage, node, mut device) = ready().await;
    stage.reach(GENESIS + 500).await;
    let one = envelope(&node, &mut device, SET_KIND, vec![0x80]);
    accepted(&node, one).await;
    let Clock::Manual(now) = &stage.clock else { panic!() };
    now.store(GENESIS + 100, Ordering::SeqCst);
    let two = envelope(&node, &mut device, "storage.telemetry", vec![1]);
    let receipt = accepted(&node, two.clone()).await;
    assert_eq!(reports(&stage).await, 2);
    let node = stage.reopen(node).await;
    assert_eq!(accepted(&node, two).await, receipt);
}

#[tokio::test]
async fn a_torn_write_of_chain_events_is_completed_and_nothing_counts_twice() {
    let stage = Stage::new().await;
    let node = stage.open().await;
    let events = stage.journal().len();
    stage.pay(1_000).await;
    stage.pay(2_000).await;
    node.follow().await.unwrap();
    let whole = stage.journal();
    node.shutdown().await.unwrap();
    let path = stage.segment();
    // As a crash would leave it that came in the middle of that write.
    for end in (events..whole.len()).step_by(5) {
        std::fs::write(&path, &whole[..end]).unwrap();
        let node = stage.open().await;
        node.follow().await.unwrap();
        assert_eq!(credit(&node).await, Amount(3_000), "{end}");
        node.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn events_that_could_not_be_written_are_read_again() {
    let (stage, journal, node, _) = frail().await;
    stage.pay(1_000).await;
    journal.unwritable.store(true, Ordering::SeqCst);
    journal.unreadable.store(true, Ordering::SeqCst);
    assert!(node.follow().await.is_err());
    stage.pay(2_000).await;
    journal.unwritable.store(false, Ordering::SeqCst);
    journal.unreadable.store(false, Ordering::SeqCst);
    // What it took for written was not: it must not go on after it.
    node.follow().await.unwrap();
    assert_eq!(credit(&node).await, Amount(3_000));
}

/// What the customer can spend.
async fn credit(node: &Node) -> Amount {
    let path = format!("{}/{}", paths::CREDIT, wallet("customer").address());
    let (_, body, _) = call(node, "GET", &path, Vec::new()).await;
    serde_json::from_slice::<depin::api::Credit>(&body).unwrap().available
}

#[tokio::test]
async fn a_cut_that_cannot_be_written_closes_nothing() {
    let (stage, journal, node, _) = frail().await;
    stage.reach(GENESIS + COMMIT).await;
    node.reveal_beacon().await.unwrap();
    stage.reach(GENESIS + EPOCH).await;
    journal.unwritable.store(true, Ordering::SeqCst);
    assert!(matches!(node.close_epoch().await, Err(NodeError::Journal(_))));
    assert_eq!(node.epoch().await, Epoch(0));
    assert!(!bundle_path(stage.dir.path(), Epoch(0)).exists());
    journal.unwritable.store(false, Ordering::SeqCst);
    node.close_epoch().await.unwrap();
    assert_eq!(node.epoch().await, Epoch(1));
    assert!(bundle_path(stage.dir.path(), Epoch(0)).exists());
}
