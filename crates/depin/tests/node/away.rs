//! A chain that is much longer than the network is old, and a node that was away for long.

use std::sync::Mutex;

use alloy::{
    rpc::json_rpc::{ErrorPayload, RequestPacket, ResponsePayload},
    transports::TransportErrorKind,
};
use depin::core::Located;
use depin_index::{Seek, Store};
use serde_json::Value;

use super::{
    between::{Answer, behind},
    *,
};

/// An RPC that remembers which ranges of logs it was asked for, answers only so wide ones, and only so many.
#[derive(Clone)]
struct Rpc {
    widest: u64,
    asked: Arc<Mutex<Vec<(u64, u64)>>>,
    /// How many ranges it still answers.
    answers: Arc<Mutex<usize>>,
}

impl Rpc {
    fn new(widest: u64) -> Self {
        Self { widest, asked: Arc::default(), answers: Arc::new(Mutex::new(usize::MAX)) }
    }

    fn parts(&self, stage: &Stage, start_block: u64) -> NodeParts {
        let rpc = self.clone();
        behind(stage, Deployment { start_block, ..stage.deployment }, move |packet| rpc.refuses(packet))
    }

    /// What becomes of a request for a range of logs; none for any other request.
    fn refuses(&self, packet: &RequestPacket) -> Answer {
        let request = packet.as_single()?;
        let params: Value = serde_json::from_str(request.params()?.get()).unwrap();
        let end = |name: &str| {
            let digits = params[0][name].as_str()?.strip_prefix("0x")?;
            Some(u64::from_str_radix(digits, 16).unwrap())
        };
        let (from, to) = end("fromBlock").zip(end("toBlock"))?;
        self.asked.lock().unwrap().push((from, to));
        if to - from >= self.widest {
            let message = format!("at most {} blocks", self.widest).into();
            return Some(Ok(ResponsePayload::Failure(ErrorPayload { code: -32602, message, data: None })));
        }
        let mut answers = self.answers.lock().unwrap();
        if *answers == 0 {
            return Some(Err(TransportErrorKind::custom_str("the line is cut")));
        }
        *answers -= 1;
        None
    }
}

fn mine(stage: &Stage, blocks: u64) {
    for _ in 0..blocks {
        stage.chain.mine().unwrap();
    }
}

/// The chain's events in the journal, and the blocks up to which they are said to be complete.
async fn journaled(stage: &Stage) -> (Vec<Located>, Vec<u64>) {
    let (mut events, mut blocks) = (Vec::new(), Vec::new());
    for entry in entries(stage).await {
        match entry {
            Entry::Chain { located } => events.push(located),
            Entry::Block { number, .. } => blocks.push(number),
            _ => {}
        }
    }
    (events, blocks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_before_the_deployment_is_not_read() {
    const START: u64 = 500;
    let stage = Stage::new().await;
    mine(&stage, 1_000);
    stage.pay(1_000).await;
    let rpc = Rpc::new(u64::MAX);
    let node = Node::open(rpc.parts(&stage, START)).await.unwrap();
    node.open_epoch().await.unwrap();
    node.caught_up().await.unwrap();
    let asked = rpc.asked.lock().unwrap().clone();
    assert!(asked.iter().all(|(from, _)| *from >= START), "{asked:?}");
    assert!(asked.iter().filter(|(from, _)| *from == START).count() >= 2, "journal and index: {asked:?}");
    assert_eq!(journaled(&stage).await.0.len(), 2, "the payment and the epoch");
    assert_eq!(node.store().events(None, Seek::default()).await.unwrap().items.len(), 2);
    let head = node.following().head.map(|(number, _)| number);
    assert_eq!(node.store().cursor().await.unwrap().block.map(|block| block.number), head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_for_long_catches_up_in_steps_and_loses_none_of_them() {
    let stage = Stage::new().await;
    for amount in 1..=8 {
        mine(&stage, 150);
        stage.pay(amount).await;
    }
    let all = {
        let client = stage.chain.client();
        let head = depin_evm::final_block(&client, Finality::Depth(0)).await.unwrap().unwrap().number;
        depin_evm::events(&client, &stage.deployment, 0, head).await.unwrap()
    };
    assert_eq!(all.len(), 8);
    let rpc = Rpc::new(100);
    let options = NodeOptions { blocks_per_request: 1_000, ..NodeOptions::default() };
    let mut node = Node::open(NodeParts { options, ..rpc.parts(&stage, 0) }).await.unwrap();
    node.caught_up().await.unwrap();
    let mut known = 0;
    let mut interruptions = 0;
    loop {
        *rpc.answers.lock().unwrap() = 3;
        let followed = node.follow().await;
        let (events, blocks) = journaled(&stage).await;
        assert!(events.len() >= known && events == all[..events.len()], "{events:?}");
        assert!(blocks.is_sorted() && blocks.windows(2).all(|pair| pair[0] < pair[1]), "{blocks:?}");
        known = events.len();
        if followed.is_ok() {
            break;
        }
        interruptions += 1;
        if interruptions % 2 == 0 {
            *rpc.answers.lock().unwrap() = usize::MAX;
            drop(node);
            node = stage.reopen_with(|| rpc.parts(&stage, 0)).await;
        }
    }
    assert!(interruptions > 2, "{interruptions}");
    assert_eq!(journaled(&stage).await.0, all);
    let asked = rpc.asked.lock().unwrap();
    assert!(asked.iter().any(|(from, to)| to - from >= 100), "wider ranges were tried: {asked:?}");
}
