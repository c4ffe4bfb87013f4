//! An index that follows contracts on a real node, through reorganisations.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::as_conversions)] // tests fail by panicking

mod common;

use common::{Network, Stage};
use depin_core::{Digest, Epoch, NetworkId};
use depin_evm::{Deployment, EvmReader, Finality};
use depin_index::{
    ChainSource, FollowConfig, Known, MemoryStore, Pump, Seek, SqliteStore, Store, conformance,
};
use serde_json::json;

fn source(stage: &Stage, deployment: Deployment, finality: Finality) -> ChainSource<EvmReader> {
    let config = FollowConfig { patience: 1, ..FollowConfig::default() };
    ChainSource::new(EvmReader::new(stage.client.clone(), deployment, finality), config)
}

fn open(folder: &tempfile::TempDir, name: &str) -> SqliteStore {
    SqliteStore::open(folder.path().join(name), NetworkId(Digest([1; 32]))).unwrap()
}

async fn every_event_of_the_contracts(stage: Stage) {
    let network = Network::on(&stage).await;
    network.pay(500).await;
    network.run_epoch(&stage, Epoch(0)).await;
    let source = source(&stage, network.deployment, Finality::Depth(2));
    conformance::source(&source).await.unwrap();
    let store = MemoryStore::default();
    Pump::new(&source, &store).catch_up().await.unwrap();
    assert_eq!(store.events(None, Seek::default()).await.unwrap().items.len(), 2);
    let cursor = store.cursor().await.unwrap();
    let height = stage.height().await;
    assert_eq!((cursor.block.unwrap().number, cursor.final_block), (height, Some(height - 2)));
    assert_eq!(Known::of(&store).await.unwrap().window.len() as u64, height + 1);
}

#[tokio::test]
async fn the_embedded_chain_is_followed() {
    every_event_of_the_contracts(Stage::embedded().await.unwrap()).await;
}

#[tokio::test]
async fn anvil_is_followed() {
    if let Some(stage) = Stage::anvil().await {
        every_event_of_the_contracts(stage).await;
    }
}

#[tokio::test]
async fn anvil_reorganises_and_the_index_is_as_a_fresh_one() {
    let Some(stage) = Stage::anvil().await else { return };
    let network = Network::on(&stage).await;
    // The deployment stays: what is replaced lies above it.
    stage.rpc("anvil_mine", json!([300])).await;
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(&folder, "followed");
    let mut source = source(&stage, network.deployment, Finality::Depth(400));
    let mut reorgs = 0;
    for (number, depth) in [1_u64, 2, 5, 64, 200, 256].into_iter().enumerate() {
        for amount in 1..=4 {
            network.pay(amount * 10).await;
        }
        Pump::new(&source, &store).catch_up().await.unwrap();
        if number % 2 == 1 {
            // While the index is closed.
            drop(store);
            stage.rpc("anvil_reorg", json!([depth, []])).await;
            store = open(&folder, "followed");
            source = self::source(&stage, network.deployment, Finality::Depth(400));
        } else {
            stage.rpc("anvil_reorg", json!([depth, []])).await;
        }
        network.pay(7).await;
        Pump::new(&source, &store).catch_up().await.unwrap();
        let fresh = open(&folder, &format!("fresh-{depth}"));
        Pump::new(&source, &fresh).catch_up().await.unwrap();
        assert_eq!(
            store.content_digest().await.unwrap(),
            fresh.content_digest().await.unwrap(),
            "depth {depth}"
        );
        assert_eq!(Known::of(&store).await.unwrap(), Known::of(&fresh).await.unwrap(), "depth {depth}");
        let rows = store.reorgs(Seek::default()).await.unwrap().items;
        reorgs += 1;
        assert_eq!((rows.len(), rows[0].depth), (reorgs, depth));
    }
}
