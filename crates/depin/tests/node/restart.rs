//! Starting again.

use super::*;
use depin::{audit_succession, node::RestoreError};

/// A whole epoch, started again before the steps in `restarts`. Gives the journal, every receipt and the bundle.
async fn epoch(restarts: &[usize]) -> (Vec<u8>, Vec<Vec<u8>>, Vec<u8>) {
    let stage = Stage::new().await;
    let mut node = stage.open().await;
    let mut device = Device::new("a");
    let deal: SignedDeal =
        signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 2), &device.set);
    let mut receipts = Vec::new();
    for step in 0..9 {
        if restarts.contains(&step) {
            node = stage.reopen(node).await;
        }
        match step {
            0 => register(&node, &device).await,
            1 => stage.pay(10 * PRICE).await,
            2 => {
                node.follow().await.unwrap();
                let (status, body) = post(&node, paths::DEALS, serde_json::to_vec(&deal).unwrap()).await;
                assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
                // The same deal is not made twice.
                let (status, body) = post(&node, paths::DEALS, serde_json::to_vec(&deal).unwrap()).await;
                assert_eq!((status, error(&body).as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "deal"));
            }
            3 => node.open_epoch().await.unwrap(),
            4 => {
                let set = set_of(&node, &mut device);
                receipts.push(accepted(&node, set).await);
                stage.reach(GENESIS + COMMIT).await;
            }
            5 => node.reveal_beacon().await.unwrap(),
            6 => {
                let challenge = challenge(&device, &device.set, Epoch(0), std::slice::from_ref(&deal));
                let answer = prove(&device, &challenge).to_bytes();
                let answer = envelope(&node, &mut device, ANSWER_KIND, answer);
                receipts.push(accepted(&node, answer.clone()).await);
                receipts.push(accepted(&node, answer).await);
                stage.reach(GENESIS + EPOCH).await;
            }
            7 => {
                let bundle = node.close_epoch().await.unwrap();
                assert_eq!(earned(&bundle, &device), EARNED);
            }
            _ => settled(&stage, &node, &device).await,
        }
    }
    let bundle = std::fs::read(bundle_path(stage.dir.path(), Epoch(0))).unwrap();
    (stage.journal(), receipts, bundle)
}

async fn settled(stage: &Stage, node: &Node, device: &Device) {
    for _ in 0..10 {
        let open = node.settle().await.unwrap();
        let Some(epoch) = open.first() else {
            let owner = device.owner.address();
            let balance = credits::balance(&stage.chain.client(), &stage.deployment, owner).await.unwrap();
            assert_eq!(balance, EARNED);
            return;
        };
        if let Some(end) = node.window_end(*epoch).await.unwrap() {
            stage.reach(end * 1000).await;
        }
    }
    panic!("never settled");
}

#[tokio::test]
async fn a_node_that_is_started_again_anywhere_goes_on_as_if_it_had_not_been() {
    let undisturbed = epoch(&[]).await;
    assert_eq!(undisturbed.1[1], undisturbed.1[2], "the same receipt for the same report");
    let bundle = Bundle::from_bytes(&undisturbed.2).unwrap();
    assert_eq!(audit(&bundle, &Catalogue::standard()).unwrap().withheld, 0);
    let named: Vec<_> = undisturbed.1.iter().map(|receipt| ("r".to_owned(), receipt.clone())).collect();
    assert_eq!(audit_receipts(&bundle, &named).unwrap().kept, 3);
    for restart in 1..9 {
        assert_eq!(epoch(&[restart]).await, undisturbed, "started again before step {restart}");
    }
    assert_eq!(epoch(&[1, 2, 3, 4, 5, 6, 7, 8]).await, undisturbed);
}

#[tokio::test]
async fn a_bundle_that_was_lost_is_made_again_from_the_journal() {
    let (stage, node, mut device) = ready().await;
    let set = set_of(&node, &mut device);
    accepted(&node, set).await;
    stage.reach(GENESIS + EPOCH).await;
    node.reveal_beacon().await.unwrap();
    node.close_epoch().await.unwrap();
    let path = bundle_path(stage.dir.path(), Epoch(0));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let node = stage.reopen(node).await;
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(node.epoch().await, Epoch(1));
    let (status, served, _) = call(&node, "GET", &format!("{}/0", paths::BUNDLES), Vec::new()).await;
    assert_eq!((status, served), (StatusCode::OK, bytes.clone()));
    let (status, excerpt, _) =
        call(&node, "GET", &format!("{}/0/devices/{}", paths::BUNDLES, device.id()), Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    let excerpt = Excerpt::open(&excerpt).unwrap();
    assert_eq!(excerpt.digest, Bundle::from_bytes(&bytes).unwrap().digest());
    audit_excerpt(&excerpt, &Catalogue::standard()).unwrap();
    let (status, body, _) = call(&node, "GET", &format!("{}/7", paths::BUNDLES), Vec::new()).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::NOT_FOUND, "unknown-epoch"));
}

#[tokio::test]
async fn an_epoch_is_not_closed_before_its_time() {
    let (stage, node, _) = ready().await;
    stage.reach(GENESIS + COMMIT).await;
    node.reveal_beacon().await.unwrap();
    let before = stage.journal();
    assert!(matches!(node.close_epoch().await, Err(NodeError::Close(_))));
    assert_eq!(stage.journal(), before, "what does not fit does not reach the journal");
    stage.reach(GENESIS + EPOCH).await;
    node.close_epoch().await.unwrap();
}

#[tokio::test]
async fn an_epoch_whose_caps_are_not_final_yet_is_closed_later() {
    let stage = Stage::new().await;
    let chain = Chain::new(stage.sender("operator"), stage.deployment, Finality::Depth(3));
    let node = Node::open(NodeParts { chain, ..stage.parts() }).await.unwrap();
    node.open_epoch().await.unwrap();
    stage.reach(GENESIS + COMMIT).await;
    node.reveal_beacon().await.unwrap();
    stage.reach(GENESIS + EPOCH).await;
    let before = stage.journal();
    for _ in 0..2 {
        let error = node.close_epoch().await.unwrap_err();
        assert!(matches!(error, NodeError::Close(CloseError::NoCaps(Epoch(0)))), "{error}");
        assert!(error.is_temporary());
    }
    assert_eq!(stage.journal(), before, "no cut that nothing can be closed from");
    for _ in 0..3 {
        stage.chain.mine().unwrap();
    }
    assert_eq!(node.close_epoch().await.unwrap().header.epoch, Epoch(0));
    drop(stage.reopen(node).await);
}

#[tokio::test]
async fn one_directory_has_one_node() {
    let (stage, node, _) = ready().await;
    assert!(matches!(Node::open(stage.parts()).await, Err(NodeError::Journal(_))));
    assert!(Path::new(stage.dir.path()).join("journal").exists());
    drop(stage.reopen(node).await);
}

/// Segments of the journal by name.
fn segments(stage: &Stage) -> Vec<String> {
    let names = std::fs::read_dir(stage.dir.path().join("journal")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".seg"));
    names.sort();
    names
}

fn small(stage: &Stage, keep_epochs: Option<u64>) -> NodeParts {
    let options = NodeOptions { keep_epochs, segment_bytes: 1_000, ..NodeOptions::default() };
    NodeParts { options, ..stage.parts() }
}

/// An epoch in which `device` reports once.
async fn quiet(stage: &Stage, node: &Node, device: &mut Device) -> (Bundle, Vec<u8>) {
    node.open_epoch().await.unwrap();
    let opened = node.schedule().await.unwrap();
    let one = envelope(node, device, "storage.telemetry", vec![7; 300]);
    accepted(node, one.clone()).await;
    stage.reach(opened.commit_until.0).await;
    node.reveal_beacon().await.unwrap();
    stage.reach(opened.closes.0).await;
    let bundle = node.close_epoch().await.unwrap();
    settle_all(stage, node).await;
    (bundle, one)
}

async fn ended(node: Node) {
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_node_goes_on_from_its_latest_bundle_without_the_segments_before_it() {
    let stage = Stage::new().await;
    let mut node = Node::open(small(&stage, Some(1))).await.unwrap();
    let mut device = Device::new("a");
    register(&node, &device).await;
    let mut bundles = Vec::new();
    for _ in 0..4 {
        bundles.push(quiet(&stage, &node, &mut device).await.0);
    }
    assert_eq!(segments(&stage)[0], format!("{:020}.seg", 0), "every report may still come again");
    // Longer than any report could come again.
    stage.reach(GENESIS + 20 * EPOCH).await;
    let (bundle, report) = quiet(&stage, &node, &mut device).await;
    bundles.push(bundle);
    let kept = segments(&stage);
    assert_ne!(kept[0], format!("{:020}.seg", 0));
    let receipt = accepted(&node, report.clone()).await;
    for _ in 0..2 {
        ended(node).await;
        node = Node::open(small(&stage, Some(1))).await.unwrap();
        assert_eq!(accepted(&node, report.clone()).await, receipt);
        bundles.push(quiet(&stage, &node, &mut device).await.0);
    }
    for pair in bundles.windows(2) {
        audit_succession(&pair[0], &pair[1]).unwrap();
        audit(&pair[1], &Catalogue::standard()).unwrap();
    }
    // Without its bundles, a journal without a beginning is no journal.
    ended(node).await;
    std::fs::remove_dir_all(stage.dir.path().join("bundles")).unwrap();
    let error = Node::open(small(&stage, Some(1))).await.unwrap_err();
    assert!(matches!(error, NodeError::Restore(RestoreError::NoBundle { .. })), "{error}");
}

#[tokio::test]
async fn a_start_from_a_bundle_gives_what_a_start_from_the_first_entry_gives() {
    let stage = Stage::new().await;
    let mut node = Node::open(small(&stage, None)).await.unwrap();
    let mut device = Device::new("a");
    register(&node, &device).await;
    let mut reports = Vec::new();
    for _ in 0..3 {
        reports.push(quiet(&stage, &node, &mut device).await.1);
    }
    let path = |epoch| bundle_path(stage.dir.path(), Epoch(epoch));
    let before: Vec<_> = (0..3).map(|epoch| std::fs::read(path(epoch)).unwrap()).collect();
    let receipts = join_all(reports.iter().map(|report| accepted(&node, report.clone()))).await;
    for lost in [vec![], vec![2], vec![1], vec![0], vec![0, 1, 2]] {
        ended(node).await;
        lost.iter().for_each(|epoch| std::fs::remove_file(path(*epoch)).unwrap());
        node = Node::open(small(&stage, None)).await.unwrap();
        assert_eq!(node.epoch().await, Epoch(3));
        let after: Vec<_> = (0..3).map(|epoch| std::fs::read(path(epoch)).unwrap()).collect();
        assert_eq!(after, before, "lost {lost:?}");
        for (report, receipt) in reports.iter().zip(&receipts) {
            assert_eq!(accepted(&node, report.clone()).await, *receipt);
        }
    }
}

#[tokio::test]
async fn a_bundle_that_does_not_belong_to_the_journal_is_reported_and_kept() {
    let stage = Stage::new().await;
    let node = Node::open(small(&stage, None)).await.unwrap();
    let mut device = Device::new("a");
    register(&node, &device).await;
    for _ in 0..2 {
        quiet(&stage, &node, &mut device).await;
    }
    ended(node).await;
    let path = bundle_path(stage.dir.path(), Epoch(1));
    let right = std::fs::read(&path).unwrap();
    let mut wrong = right.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    std::fs::write(&path, &wrong).unwrap();
    let error = Node::open(small(&stage, None)).await.unwrap_err();
    assert!(matches!(error, NodeError::Bundle { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), wrong);
    std::fs::write(&path, &right).unwrap();
    // A journal that was put back to an older copy.
    for name in segments(&stage).iter().skip(2) {
        std::fs::remove_file(stage.dir.path().join("journal").join(name)).unwrap();
    }
    let error = Node::open(small(&stage, None)).await.unwrap_err();
    assert!(matches!(error, NodeError::Restore(RestoreError::Short { .. })), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), right);
}
