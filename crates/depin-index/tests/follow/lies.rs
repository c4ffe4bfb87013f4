//! One lie at a time: it is named, and nothing is stored. And what cannot be undone.

use std::sync::{Arc, Mutex};

use depin_index::{
    AdvanceError, ChainSource, Known, Pump, SourceError, SqliteStore, Store, Untrue, WINDOW, conformance,
};

use super::{
    chain::{Chain, HEADER_LIES, HeaderLie, LOG_LIES, LogLie, Node},
    seeded::{open, source},
};

/// Whether an error is the one that names a lie.
type Named = fn(&Untrue) -> bool;

struct Stage {
    _folder: tempfile::TempDir,
    store: SqliteStore,
    chain: Arc<Mutex<Chain>>,
}

impl Stage {
    /// A store that has followed a chain of `blocks` blocks.
    async fn new(blocks: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().join("index"));
        let chain = Arc::new(Mutex::new(Chain::new(5)));
        chain.lock().unwrap().grow(blocks);
        let stage = Self { _folder: folder, store, chain };
        Pump::new(&stage.honest(), &stage.store).catch_up().await.unwrap();
        stage
    }

    fn honest(&self) -> ChainSource<Node> {
        source(Node::honest(Arc::clone(&self.chain)))
    }

    /// What following this node ends with; whatever was stored before that was true.
    async fn refused(&self, node: Node) -> SourceError {
        let source = source(node);
        let mut pump = Pump::new(&source, &self.store);
        loop {
            let before = (self.store.content_digest().await.unwrap(), Known::of(&self.store).await.unwrap());
            match pump.step().await {
                Ok(_) => {}
                Err(AdvanceError::Source(error)) => {
                    let now =
                        (self.store.content_digest().await.unwrap(), Known::of(&self.store).await.unwrap());
                    assert_eq!(now, before, "something was stored beside {error}");
                    return error;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test]
async fn a_lie_about_logs_is_named_and_nothing_is_stored() {
    let names: [(LogLie, Named); 10] = [
        (LOG_LIES[0], |error| matches!(error, Untrue::Order { .. })),
        (LOG_LIES[1], |error| matches!(error, Untrue::Order { .. })),
        (LOG_LIES[2], |error| matches!(error, Untrue::Removed { .. })),
        (LOG_LIES[3], |error| matches!(error, Untrue::OtherFork { .. })),
        (LOG_LIES[4], |error| matches!(error, Untrue::NotAsked { found: u64::MAX, .. })),
        (LOG_LIES[5], |error| matches!(error, Untrue::NoPlace)),
        (LOG_LIES[6], |error| matches!(error, Untrue::Contract { .. })),
        (LOG_LIES[7], |error| matches!(error, Untrue::Topic { found: None, .. })),
        (LOG_LIES[8], |error| matches!(error, Untrue::Log { .. })),
        (LOG_LIES[9], |error| matches!(error, Untrue::Large { .. })),
    ];
    // Block by block, and by range.
    for blocks in [60, 900] {
        for (number, (lie, named)) in names.iter().enumerate() {
            let stage = Stage::new(20).await;
            stage.chain.lock().unwrap().grow(blocks);
            let node = Node { log_lie: Some(*lie), ..Node::honest(Arc::clone(&stage.chain)) };
            match stage.refused(node).await {
                SourceError::Untrue(error) => assert!(named(&error), "lie {number} of {blocks}: {error}"),
                error => panic!("lie {number} of {blocks}: {error}"),
            }
            // The truth is taken afterwards.
            Pump::new(&stage.honest(), &stage.store).catch_up().await.unwrap();
            let latest = stage.chain.lock().unwrap().latest().number;
            assert_eq!(stage.store.cursor().await.unwrap().block.unwrap().number, latest);
        }
    }
}

#[tokio::test]
async fn a_lie_about_headers_is_named_and_nothing_is_stored() {
    let names: [(HeaderLie, Named); 4] = [
        (HEADER_LIES[0], |error| matches!(error, Untrue::Headers { .. })),
        (HEADER_LIES[1], |error| matches!(error, Untrue::Number { .. })),
        (HEADER_LIES[2], |error| matches!(error, Untrue::Missing { .. })),
        (HEADER_LIES[3], |error| matches!(error, Untrue::Unlinked { .. })),
    ];
    for (number, (lie, named)) in names.iter().enumerate() {
        let stage = Stage::new(20).await;
        stage.chain.lock().unwrap().grow(60);
        let node = Node { header_lie: Some(*lie), ..Node::honest(Arc::clone(&stage.chain)) };
        match stage.refused(node).await {
            SourceError::Untrue(error) => assert!(named(&error), "lie {number}: {error}"),
            error => panic!("lie {number}: {error}"),
        }
    }
}

#[tokio::test]
async fn the_deepest_reorganisation_of_the_window_is_undone() {
    let stage = Stage::new(600).await;
    stage.chain.lock().unwrap().tear(WINDOW);
    stage.chain.lock().unwrap().grow(WINDOW + 1);
    Pump::new(&stage.honest(), &stage.store).catch_up().await.unwrap();
    let reorgs = stage.store.reorgs(Default::default()).await.unwrap().items;
    assert_eq!(reorgs.iter().map(|row| row.depth).collect::<Vec<_>>(), [WINDOW]);
}

#[tokio::test]
async fn a_reorganisation_deeper_than_the_window_stops_and_says_what_to_do() {
    let stage = Stage::new(2_000).await;
    // Blocks without events are forgotten below the window, those with events are not.
    stage.chain.lock().unwrap().tear(1_990);
    stage.chain.lock().unwrap().grow(2_000);
    let error = stage.refused(Node::honest(Arc::clone(&stage.chain))).await;
    assert!(error.is_fatal(), "{error}");
    assert!(matches!(error, SourceError::TooDeep { found: 2_000, .. }), "{error:?}");
    assert!(error.to_string().contains("delete the index"), "{error}");
}

#[tokio::test]
async fn a_reorganisation_below_the_final_block_stops_and_says_what_to_do() {
    let stage = Stage::new(100).await;
    stage.chain.lock().unwrap().final_block = 95;
    Pump::new(&stage.honest(), &stage.store).catch_up().await.unwrap();
    stage.chain.lock().unwrap().tear(10);
    stage.chain.lock().unwrap().grow(20);
    let error = stage.refused(Node::honest(Arc::clone(&stage.chain))).await;
    assert!(matches!(error, SourceError::FinalReplaced { final_block: 95, common: 90 }), "{error:?}");
    assert!(error.is_fatal() && error.to_string().contains("delete the index"), "{error}");
}

#[tokio::test]
async fn a_node_that_is_behind_undoes_nothing_that_is_final() {
    let stage = Stage::new(100).await;
    stage.chain.lock().unwrap().final_block = 100;
    Pump::new(&stage.honest(), &stage.store).catch_up().await.unwrap();
    stage.chain.lock().unwrap().tear(3);
    let honest = stage.honest();
    for _ in 0..8 {
        Pump::new(&honest, &stage.store).catch_up().await.unwrap();
    }
    assert_eq!(stage.store.cursor().await.unwrap().block.unwrap().number, 100);
}

#[tokio::test]
async fn a_followed_chain_is_a_source_that_conforms() {
    let chain = Arc::new(Mutex::new(Chain::new(9)));
    chain.lock().unwrap().grow(1_000);
    assert!(chain.lock().unwrap().events() > 100);
    conformance::source(&source(Node { limit: 37, ..Node::honest(chain) })).await.unwrap();
}
