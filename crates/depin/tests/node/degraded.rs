//! A chain that is down, an index that somebody else has, a node that stops: it says so, goes on with the rest, and loses nothing.

use alloy::{rpc::json_rpc::RequestPacket, transports::TransportErrorKind};
use depin::node::{Health, Part};
use depin_index::{FollowStatus, Store};

use super::{between::behind, *};

/// How often the chain failed a part of the node, as its metrics say.
async fn errors(node: &Node, part: &str) -> u64 {
    let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
    let response = node.administration().oneshot(request).await.unwrap();
    let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let series = format!("depin_chain_errors_total{{part=\"{part}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0, |count| count.parse().unwrap())
}

async fn until(node: &Node, condition: impl Fn(&Health) -> bool) -> Health {
    for _ in 0..1_000 {
        let health = node.health();
        if condition(&health) {
            return health;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{:?}", node.health());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_is_down_for_an_hour_holds_up_no_report() {
    let stage = Stage::new().await;
    let cut = Arc::new(AtomicBool::new(false));
    let line = Arc::clone(&cut);
    let refuses = move |_: &_| {
        line.load(Ordering::SeqCst).then(|| Err(TransportErrorKind::custom_str("the line is cut")))
    };
    let node = Node::open(behind(&stage, stage.deployment, refuses)).await.unwrap();
    let mut device = Device::new("a");
    register(&node, &device).await;
    node.open_epoch().await.unwrap();
    cut.store(true, Ordering::SeqCst);
    let mut receipts = Vec::new();
    for minute in (0..60).step_by(10) {
        stage.reach(GENESIS + minute * 60_000).await;
        assert!(node.follow().await.unwrap_err().is_temporary());
        assert!(node.close_epoch().await.unwrap_err().is_temporary());
        let one = envelope(&node, &mut device, "storage.telemetry", vec![1]);
        receipts.push(("r".to_owned(), accepted(&node, one).await));
        let health = node.health();
        let chain = health.of(Part::Chain).unwrap();
        assert_eq!((chain.since, health.takes_reports()), (Timestamp(GENESIS), true));
        assert!(chain.reason.contains("the line is cut") && !chain.next.is_empty(), "{chain:?}");
    }
    until(&node, |health| health.of(Part::Index).is_some()).await;
    let following = node.following();
    assert_eq!(following.status, FollowStatus::Degraded, "{following:?}");
    assert!(following.reason.unwrap().contains("the line is cut") && following.next.is_some());
    let indexed = node.store().cursor().await.unwrap().block.unwrap().number;
    cut.store(false, Ordering::SeqCst);
    stage.pay(7).await;
    // Nobody asks for it: the index comes back by itself.
    until(&node, |health| health.of(Part::Index).is_none()).await;
    assert_eq!(node.following().status, FollowStatus::Live);
    assert!(node.store().cursor().await.unwrap().block.unwrap().number > indexed);
    node.follow().await.unwrap();
    assert!(node.health().of(Part::Chain).is_none());
    let (chain, index) = (errors(&node, "chain").await, errors(&node, "index").await);
    assert!(chain >= 12 && index > 0, "{chain} {index}");
    let bundle = node.close_epoch().await.unwrap();
    assert_eq!(audit_receipts(&bundle, &receipts).unwrap().kept, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_are_refused_stay_said_while_the_chain_is_read() {
    let stage = Stage::new().await;
    let broke = Arc::new(AtomicBool::new(true));
    let refused = Arc::clone(&broke);
    let refuses = move |packet: &RequestPacket| {
        let sends = packet.as_single()?.method() == "eth_sendRawTransaction";
        let said = || Err(TransportErrorKind::custom_str("insufficient funds for gas"));
        (sends && refused.load(Ordering::SeqCst)).then(said)
    };
    let node = Node::open(behind(&stage, stage.deployment, refuses)).await.unwrap();
    let since = node.clock().now();
    node.open_epoch().await.unwrap_err();
    stage.reach(GENESIS + 60_000).await;
    node.follow().await.unwrap();
    let health = node.health();
    let transactions = health.of(Part::Transactions).unwrap();
    assert_eq!((transactions.since, health.takes_reports()), (since, true));
    assert!(transactions.reason.contains("insufficient funds"), "{transactions:?}");
    assert!(health.of(Part::Chain).is_none());
    broke.store(false, Ordering::SeqCst);
    node.open_epoch().await.unwrap();
    assert_eq!(node.health().of(Part::Transactions), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_somebody_else_has_is_told_later() {
    let (stage, node, mut device) = ready().await;
    let set = set_of(&node, &mut device);
    accepted(&node, set).await;
    stage.reach(GENESIS + EPOCH).await;
    node.reveal_beacon().await.unwrap();
    let other = rusqlite::Connection::open(stage.dir.path().join("index.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let bundle = node.close_epoch().await.unwrap();
    assert!(bundle_path(stage.dir.path(), Epoch(0)).exists());
    let health = node.health();
    assert!(health.of(Part::Epochs).is_some() && health.takes_reports(), "{health:?}");
    assert!(node.store().epoch(Epoch(0)).await.unwrap().is_none());
    other.execute_batch("ROLLBACK").unwrap();
    for _ in 0..1_000 {
        if node.store().epoch(Epoch(0)).await.unwrap().is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let row = node.store().epoch(Epoch(0)).await.unwrap().unwrap();
    assert_eq!(row.bundle, bundle.digest());
    until(&node, |health| health.of(Part::Epochs).is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_answers_what_it_took_and_lets_go_of_its_directory() {
    let (stage, node, mut device) = ready().await;
    let sent: Vec<_> =
        (0..40).map(|count| envelope(&node, &mut device, "storage.telemetry", vec![count])).collect();
    let first = accepted(&node, sent[0].clone()).await;
    let mut asked = Vec::new();
    for one in sent[1..].iter().cloned() {
        let node = node.clone();
        asked.push(tokio::spawn(async move { post(&node, paths::REPORTS, one).await }));
    }
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    node.shutdown().await.unwrap();
    assert!(!node.health().takes_reports());
    let first = ReportResults { results: vec![ReportResult::Accepted { receipt: first }] };
    let mut acknowledged = vec![(sent[0].clone(), first)];
    for (answer, envelope) in join_all(asked).await.into_iter().zip(&sent[1..]) {
        let (status, body) = answer.unwrap();
        if status == StatusCode::OK {
            acknowledged.push((envelope.clone(), serde_json::from_slice::<ReportResults>(&body).unwrap()));
        }
    }
    let (status, _) = post(&node, paths::REPORTS, sent[39].clone()).await;
    assert_ne!(status, StatusCode::OK, "nothing is taken any more");
    // The old node is still there, and has let go.
    let again = stage.open().await;
    let count = reports(&stage).await;
    assert!(count >= acknowledged.len());
    for (envelope, results) in acknowledged {
        let receipt = accepted(&again, envelope).await;
        assert_eq!(results.results, [ReportResult::Accepted { receipt }]);
    }
    assert_eq!(reports(&stage).await, count);
}
