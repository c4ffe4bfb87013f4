//! A root that is challenged and voided: what people are told at each step, at the newest block and at the final one.

use depin::{evm::EvmLedger, node::payout};
use serde_json::{Value, json};

use super::*;

/// So many blocks behind the newest one the chain is final.
const DEPTH: u64 = 3;

async fn read(node: &Node, path: &str) -> (StatusCode, Value) {
    let (status, body, _) = call(node, "GET", &format!("/api/v1{path}"), Vec::new()).await;
    (status, serde_json::from_slice(&body).unwrap())
}

async fn get(node: &Node, path: &str) -> Value {
    let (status, body) = read(node, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

/// What is said of the epoch, and that the index has everything.
async fn epoch(node: &Node) -> Value {
    node.caught_up().await.unwrap();
    get(node, "/epochs/0").await
}

/// The steps of roots in their order.
async fn steps(node: &Node, view: &str) -> Vec<String> {
    let rows = get(node, &format!("/roots?at={view}")).await;
    let what = |row: &Value| row["what"].as_str().unwrap().to_owned();
    rows["items"].as_array().unwrap().iter().rev().map(what).collect()
}

/// Makes everything so far final.
async fn bury(stage: &Stage, node: &Node) {
    for _ in 0..DEPTH {
        stage.chain.mine().unwrap();
    }
    node.follow().await.unwrap();
    node.caught_up().await.unwrap();
}

/// A node whose first epoch is closed, with a device that earned in it, and whose root is proposed.
async fn proposed() -> (Stage, Node, Device, Bundle) {
    let stage = Stage::new().await;
    let chain = Chain::new(stage.sender("operator"), stage.deployment, Finality::Depth(DEPTH));
    let node = Node::open(NodeParts { chain, ..stage.parts() }).await.unwrap();
    let mut device = Device::new("a");
    register(&node, &device).await;
    stage.pay(10 * PRICE).await;
    bury(&stage, &node).await;
    let deal: SignedDeal =
        signed(&wallet("customer"), terms(&wallet("customer"), &device, 0, 2), &device.set);
    let (status, body) = post(&node, paths::DEALS, serde_json::to_vec(&deal).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    node.open_epoch().await.unwrap();
    bury(&stage, &node).await;
    let set = set_of(&node, &mut device);
    accepted(&node, set).await;
    stage.reach(GENESIS + COMMIT).await;
    node.reveal_beacon().await.unwrap();
    let challenge = challenge(&device, &device.set, Epoch(0), std::slice::from_ref(&deal));
    let answer = prove(&device, &challenge).to_bytes();
    let answer = envelope(&node, &mut device, ANSWER_KIND, answer);
    accepted(&node, answer).await;
    stage.reach(GENESIS + EPOCH).await;
    let bundle = node.close_epoch().await.unwrap();
    assert_eq!(earned(&bundle, &device), EARNED);
    (stage, node, device, bundle)
}

/// The claim of the device's owner and what of everything it can take.
async fn claim(node: &Node, device: &Device) -> (Value, Value) {
    let owner = device.owner.address();
    let claims = get(node, &format!("/claims/{owner}")).await;
    let owner = get(node, &format!("/owners/{owner}")).await;
    (claims["items"][0].clone(), owner["claimable"].clone())
}

#[tokio::test]
async fn a_challenged_root_is_voided_proposed_again_and_final_and_each_step_is_told() {
    let (stage, node, device, bundle) = proposed().await;
    let row = epoch(&node).await;
    let proposed_at = row["proposed_at"].as_u64().unwrap();
    assert_eq!((&row["status"], &row["final"]), (&json!("proposed"), &json!(false)));
    assert_eq!(row["deadline"], proposed_at / 1000 + 2);
    let windows = json!({ "challenge": 2, "evidence": 2, "resolution": 2, "max_voids": 2 });
    let network = get(&node, "/network").await;
    assert_eq!((&network["windows"], &network["decimals"]), (&windows, &json!(18)), "as the chain says");

    // Somebody who holds a bond disputes it.
    let id = EvmLedger::candidate_id(Epoch(0), &payout(&bundle));
    let ledger = |name: &str| EvmLedger::new(stage.sender(name), &stage.deployment);
    ledger("customer").challenge(Epoch(0), id).await.unwrap();
    let row = epoch(&node).await;
    let contested_at = row["contested_at"].as_u64().unwrap();
    assert_eq!(
        (&row["status"], &row["challenges"], &row["voids"]),
        (&json!("challenged"), &json!(1), &json!(0))
    );
    assert_eq!(row["deadline"], contested_at / 1000 + 2 + 2, "evidence, then the resolver");
    assert_eq!(steps(&node, "latest").await, ["proposed", "challenged", "contested"]);
    assert_eq!(steps(&node, "final").await, [""; 0], "none of it is final yet");
    bury(&stage, &node).await;
    assert_eq!(steps(&node, "final").await, ["proposed", "challenged", "contested"]);
    assert_eq!(read(&node, "/epochs/0?at=final").await.0, StatusCode::NOT_FOUND, "no root of it is final");

    // Nothing of it is paid, however long it takes.
    assert_eq!(node.settle().await.unwrap(), [Epoch(0)]);
    let (row, claimable) = claim(&node, &device).await;
    assert_eq!(
        (&row["status"], &row["claimed"], &row["final"]),
        (&json!("challenged"), &json!(false), &json!(false))
    );
    assert_eq!(claimable, "0");

    // The resolver names none.
    stage.reach(contested_at + 2_000).await;
    ledger("operator").resolve(Epoch(0), None).await.unwrap();
    let row = epoch(&node).await;
    assert_eq!((&row["status"], &row["challenges"], &row["voids"]), (&json!("voided"), &json!(1), &json!(1)));
    assert_eq!((&row["deadline"], &row["contested_at"]), (&Value::Null, &Value::Null));
    assert_eq!(claim(&node, &device).await.0["status"], "voided");

    // The node proposes it again, and this time nobody objects.
    node.settle().await.unwrap();
    let row = epoch(&node).await;
    assert_eq!((&row["status"], &row["voids"]), (&json!("proposed"), &json!(1)));
    assert!(row["proposed_at"].as_u64().unwrap() > proposed_at);
    assert_eq!(row["root_on_chain"], row["root"], "there is only one candidate");
    stage.reach(row["deadline"].as_u64().unwrap() * 1000).await;
    assert_eq!(node.settle().await.unwrap(), []);
    let row = epoch(&node).await;
    assert_eq!(
        (&row["status"], &row["final"]),
        (&json!("final"), &json!(false)),
        "its block can still be replaced"
    );
    let (row, _) = claim(&node, &device).await;
    assert_eq!((&row["claimed"], &row["final"]), (&json!(true), &json!(false)));
    bury(&stage, &node).await;
    let (mut latest, mut decided) = (epoch(&node).await, get(&node, "/epochs/0?at=final").await);
    assert_eq!((&latest["status"], &latest["final"]), (&json!("final"), &json!(true)));
    for row in [&mut latest, &mut decided] {
        row.as_object_mut().unwrap().remove("at");
    }
    assert_eq!(latest, decided);
    assert_eq!(
        steps(&node, "final").await,
        ["proposed", "challenged", "contested", "voided", "revived", "finalised"]
    );
    let (row, claimable) = claim(&node, &device).await;
    assert_eq!((&row["claimed"], &row["final"]), (&json!(true), &json!(true)));
    assert_eq!(claimable, "0");
    let balance = credits::balance(&stage.chain.client(), &stage.deployment, device.owner.address()).await;
    assert_eq!(balance.unwrap(), EARNED);
}
