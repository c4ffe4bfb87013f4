//! A network by one call.

use depin_index::{RootStatus, Store};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_is_one_call_and_closes_an_epoch_that_audits() {
    let dir = tempfile::tempdir().unwrap();
    let customer = wallet("customer").address();
    let network = Network::dev(dir.path(), [7; 32], 10, &[customer]).await.unwrap();
    assert!(
        credits::balance(network.operator.client(), &network.deployment, customer).await.unwrap()
            > Amount::ZERO
    );
    network.node.open_epoch().await.unwrap();
    let schedule = network.node.schedule().await.unwrap();
    network.reach(schedule.commit_until).await;
    network.node.reveal_beacon().await.unwrap();
    network.reach(schedule.closes).await;
    let bundle = network.node.close_epoch().await.unwrap();
    let audited = audit(&bundle, &Catalogue::standard()).unwrap();
    assert_eq!((audited.digest, bundle.result.paid), (bundle.digest(), Amount::ZERO));
    let end = network.node.window_end(bundle.header.epoch).await.unwrap().unwrap();
    network.reach(Timestamp(end * 1000)).await;
    assert_eq!(network.node.settle().await.unwrap(), []);
    network.node.caught_up().await.unwrap();
    let (cursor, head) = (network.node.store().cursor().await.unwrap(), network.node.following().head);
    assert_eq!(cursor.block.map(|block| block.number), head.map(|(number, _)| number));
    let row = network.node.store().epoch(Epoch(0)).await.unwrap().unwrap();
    assert_eq!((row.status, row.root_on_chain), (RootStatus::Final, Some(bundle.result.root)));
}
