//! Whatever dies, and at whatever moment: what was acknowledged is counted, and counted once.

use super::*;
use crate::disk::{Fault, SimDisk};
use depin::node::{Health, Part};
use depin_core::Digest;
use depin_rewards::{PayoutLedger, PayoutStatus};

/// What is left after a run.
#[derive(Debug, PartialEq)]
struct Outcome {
    bundle: Vec<u8>,
    /// The digest that the chain was told.
    posted: Option<Digest>,
    receipts: Vec<Vec<u8>>,
}

/// A node on a disk that fails, and whoever starts it again.
struct Run {
    stage: Stage,
    disk: SimDisk,
    node: Option<Node>,
    reboot: u64,
}

impl Run {
    async fn node(&mut self) -> Node {
        for _ in 0..200 {
            if self.disk.is_down() {
                self.node = None;
                self.reboot += 1;
                self.disk.reboot(self.reboot);
            }
            if let Some(node) = &self.node {
                return node.clone();
            }
            let options = NodeOptions {
                disk: Arc::new(self.disk.clone()),
                segment_bytes: 1_500,
                ..NodeOptions::default()
            };
            match Node::open(NodeParts { options, ..self.stage.parts() }).await {
                Ok(node) => self.node = Some(node),
                Err(error @ (NodeError::Journal(_) | NodeError::Io { .. })) => {
                    let broken = matches!(
                        &error,
                        NodeError::Journal(
                            JournalError::Corrupt { .. }
                                | JournalError::Missing { .. }
                                | JournalError::Foreign { .. }
                                | JournalError::Format { .. }
                        )
                    );
                    assert!(!broken, "{error}");
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the node does not start again");
    }

    /// Sends until there is a receipt.
    async fn send(&mut self, envelope: Vec<u8>) -> Vec<u8> {
        for _ in 0..100 {
            let node = self.node().await;
            let (status, body) = post(&node, paths::REPORTS, envelope.clone()).await;
            if status != StatusCode::OK {
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
                continue;
            }
            match serde_json::from_slice::<ReportResults>(&body).unwrap().results.as_slice() {
                [ReportResult::Accepted { receipt }] => return receipt.clone(),
                other => panic!("{other:?}"),
            }
        }
        panic!("never acknowledged");
    }

    async fn reach(&self, moment: u64) {
        self.stage.reach(moment).await;
    }

    async fn register(&mut self, device: &Device) {
        for _ in 0..100 {
            let node = self.node().await;
            let (_, body, _) =
                call(&node, "GET", &format!("{}/{}", paths::WORK, device.id()), Vec::new()).await;
            if serde_json::from_slice::<Work>(&body).unwrap().record.is_some() {
                return;
            }
            // Registered on chain already, perhaps, but the journal has not heard of it.
            if node.follow().await.is_ok() {
                let (_, body, _) =
                    call(&node, "GET", &format!("{}/{}", paths::WORK, device.id()), Vec::new()).await;
                if serde_json::from_slice::<Work>(&body).unwrap().record.is_none() {
                    try_register(&node, device).await;
                }
            }
        }
        panic!("never registered");
    }

    async fn offer(&mut self, deal: &SignedDeal) {
        let mut last = String::new();
        for _ in 0..100 {
            let node = self.node().await;
            if node.follow().await.is_err() {
                continue;
            }
            let (status, body) = post(&node, paths::DEALS, serde_json::to_vec(deal).unwrap()).await;
            last = String::from_utf8_lossy(&body).into_owned();
            if status == StatusCode::OK || last.contains("made before") {
                return;
            }
        }
        panic!("never taken: {last}");
    }
}

/// A whole epoch of one device, on a disk that fails at `fault`.
async fn epoch(fault: Option<(u64, Fault)>) -> (Outcome, u64) {
    let mut run = Run { stage: Stage::new().await, disk: SimDisk::default(), node: None, reboot: 0 };
    if let Some((step, fault)) = fault {
        run.reboot = if let Fault::Power(seed) = fault { seed } else { 0 };
        run.disk.fail(step, fault);
    }
    let mut device = Device::new("a");
    run.register(&device).await;
    run.stage.pay(10 * PRICE).await;
    let deal = signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 2), &device.set);
    run.offer(&deal).await;
    while !run.node().await.progress().await.0 {
        drop(run.node().await.open_epoch().await);
    }
    let mut receipts = Vec::new();
    let node = run.node().await;
    let mut sent = vec![set_of(&node, &mut device)];
    for count in 0..4 {
        sent.push(envelope(&node, &mut device, "storage.telemetry", vec![count; 200]));
    }
    drop(node);
    for one in &sent {
        receipts.push(run.send(one.clone()).await);
    }
    run.reach(GENESIS + COMMIT).await;
    while !run.node().await.progress().await.1 {
        drop(run.node().await.reveal_beacon().await);
    }
    let challenge = challenge(&device, &device.set, Epoch(0), std::slice::from_ref(&deal));
    let answer = prove(&device, &challenge).to_bytes();
    let answer = envelope(&run.node().await, &mut device, ANSWER_KIND, answer);
    receipts.push(run.send(answer.clone()).await);
    // Everything once more: the same receipts, and no trace.
    for (one, receipt) in sent.iter().chain([&answer]).zip(receipts.clone()) {
        assert_eq!(run.send(one.clone()).await, receipt);
    }
    run.reach(GENESIS + EPOCH).await;
    for _ in 0..100 {
        if run.node().await.epoch().await > Epoch(0) {
            break;
        }
        drop(run.node().await.close_epoch().await);
    }
    for _ in 0..100 {
        let node = run.node().await;
        match node.settle().await.as_deref() {
            Ok([]) if node.bundle(Epoch(0)).is_ok() => break,
            _ => {
                if let Ok(Some(end)) = node.window_end(Epoch(0)).await {
                    run.reach(end * 1000).await;
                }
                if node.health().of(Part::Bundles).is_some() {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
    let node = run.node().await;
    assert_eq!(node.health(), Health::default());
    let bundle = node.bundle(Epoch(0)).unwrap();
    let named: Vec<_> = receipts.iter().map(|receipt| ("r".to_owned(), receipt.clone())).collect();
    assert_eq!(audit_receipts(&bundle, &named).unwrap().kept, 6);
    assert_eq!((bundle.devices.len(), earned(&bundle, &device)), (1, EARNED));
    assert_eq!(audit(&bundle, &Catalogue::standard()).unwrap().digest, bundle.digest());
    let posted = match node.chain().ledger().status(Epoch(0)).await.unwrap() {
        PayoutStatus::Final(payout) => Some(payout.bundle_digest),
        other => panic!("{other:?}"),
    };
    assert_eq!(posted, Some(bundle.digest()));
    node.shutdown().await.unwrap();
    (Outcome { bundle: bundle.to_bytes(), posted, receipts }, run.disk.steps())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Walks every step of an undisturbed run with `fault`.
fn walk(fault: impl Fn(u64) -> Fault + Sync) {
    let (undisturbed, steps) = block_on(epoch(None));
    assert!(steps > 50, "{steps}");
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                loop {
                    let step = next.fetch_add(1, Ordering::SeqCst);
                    if step >= steps {
                        return;
                    }
                    let (disturbed, _) = block_on(epoch(Some((step, fault(step)))));
                    assert_eq!(disturbed.posted, undisturbed.posted, "{:?} at step {step}", fault(step));
                    assert!(disturbed == undisturbed, "{:?} at step {step}", fault(step));
                }
            });
        }
    });
}

#[test]
fn a_power_failure_at_any_step_changes_nothing() {
    for seed in 0..3 {
        walk(|step| Fault::Power(seed * 1_000 + step));
    }
}

#[test]
fn a_full_disk_at_any_step_changes_nothing() {
    walk(|step| Fault::Full(1 + u32::try_from(step % 7).unwrap()));
}

#[test]
fn a_disk_that_fails_at_any_step_and_then_lies_changes_nothing() {
    walk(|_| Fault::Broken);
}
