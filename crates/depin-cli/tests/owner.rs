//! What a stranger does with a running network: a device of one's own, and claims.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Network, amount, depin, dev, files, hex, keys, run, script, skip, vouch};
use tokio::time::sleep;

/// Waits until `owner` has a claim on a final root that nobody took.
async fn open_claim(network: &Network, owner: &str) -> u128 {
    let client = network.client();
    for _ in 0..600 {
        let claims = client.claims(owner.parse().unwrap()).await.unwrap();
        let open =
            claims.iter().filter(|claim| !claim.claimed && claim.status == depin_index::RootStatus::Final);
        let amounts: u128 = open.map(|claim| claim.amount.0).sum();
        if amounts > 0 {
            return amounts;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("no final claim for {owner}");
}

/// The owner of a device of the network, from what its directory says.
async fn owner_of(state: &std::path::Path, member: &str) -> String {
    let dir = state.join("providers").join(member).display().to_string();
    depin_lab::device::Device::open(dir.as_ref()).unwrap().owner().to_string()
}

#[tokio::test]
async fn whoever_has_a_device_takes_part_and_whoever_earned_claims() {
    let dir = tempfile::tempdir().unwrap();
    let (state, own) = (dir.path().join("network"), dir.path().join("own"));
    let own = own.to_str().unwrap();
    let network = Network::start(dev(&state, "--devices 1 --seconds-per-epoch 2 --no-relay")).await;
    let url = network.url.clone();
    // Its listener is that of a node, with everything that stands before a request there.
    let http = depin_evm::http_client(false).unwrap().build().unwrap();
    let status = http.get(format!("{url}/api/v1/status")).send().await.unwrap();
    assert!(status.headers().contains_key("x-request-id"), "{:?}", status.headers());

    run(depin(["device", "register", "--dir", own, "--node", &url])).await.fails(&["depin device new --dir"]);
    let made = run(depin(["device", "new", "--dir", own])).await.ok();
    assert!(made.stderr.contains("depin device register --dir"), "{made:?}");
    let word = |name: &str| -> String {
        let line = made.stdout.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let (did, owner) = (word("device"), word("owner"));
    let keys_before = files(own.as_ref());
    run(depin(["device", "new", "--dir", own])).await.fails(&["holds a device already"]);
    assert!(files(own.as_ref()) == keys_before, "a key is never replaced");
    run(depin(["device", "register", "--dir", own, "--node", "http://127.0.0.1:1"]))
        .await
        .fails(&["http://127.0.0.1:1", "cannot be reached"]);

    let registered = run(depin(["device", "register", "--dir", own, "--node", &url])).await.ok();
    assert!(
        !registered.stdout.contains("admitted") && registered.stderr.contains("credential.json"),
        "{registered:?}"
    );
    vouch(&state, own.as_ref()).await;
    for _ in 0..2 {
        let registered = run(depin(["device", "register", "--dir", own, "--node", &url])).await.ok();
        assert!(
            registered.stdout.contains(&did) && registered.stdout.contains("admitted"),
            "asking again changes nothing: {registered:?}"
        );
    }
    let work = network.client().work(&did.parse().unwrap()).await.unwrap();
    assert_eq!(work.record.unwrap().owner, owner.parse::<depin_core::Address>().unwrap());

    let mut receipts = 0;
    for boot in ["first", "second"] {
        let mut device = depin(["device", "run", "--dir", own, "--node", &url]).spawn().unwrap();
        let more = async {
            while files(own.as_ref()).keys().filter(|name| name.starts_with("receipts")).count() <= receipts {
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), more)
            .await
            .unwrap_or_else(|_| panic!("no receipt, {boot} boot"));
        receipts = files(own.as_ref()).keys().filter(|name| name.starts_with("receipts")).count();
        device.kill().await.unwrap();
    }

    let member = owner_of(&state, "device-0").await;
    let open = open_claim(&network, &member).await;
    let claimed = run(depin(["claim", &member, "--node", &url, "--json"])).await.ok().json();
    assert_eq!(keys(&claimed), ["claimed", "epochs", "owner"]);
    assert_eq!(claimed["owner"], member.to_lowercase());
    assert!(amount(&claimed["claimed"]) >= open, "{claimed}");
    let again = run(depin(["claim", &member, "--node", &url, "--json"])).await.ok().json();
    let epochs = |claimed: &Value| -> Vec<u64> { serde_json::from_value(claimed["epochs"].clone()).unwrap() };
    assert!(epochs(&again).iter().all(|epoch| !epochs(&claimed).contains(epoch)), "nothing is taken twice");
    let nothing = run(depin(["claim", &owner, "--node", &url])).await.ok().stdout;
    assert!(nothing.contains("nothing to claim"), "{nothing}");
    run(depin(["claim", &member, "--node", "http://127.0.0.1:1"])).await.fails(&["cannot be reached"]);

    network.kill().await;
    let report =
        run(dev(&state, "--devices 1 --seconds-per-epoch 2 --epochs 1 --once --json")).await.ok().json();
    assert_eq!(report["audit"]["matching"], 1);
    assert_eq!(report["devices"][0]["claimed"], report["devices"][0]["earned"], "relayed after all");
    // The network kept what it promised to the stranger's device.
    for epoch in 0..report["epochs"][0]["epoch"].as_u64().unwrap() {
        let state = state.to_str().unwrap();
        run(depin(["audit", &epoch.to_string(), "--state", state, "--receipts", own])).await.ok();
    }
}

#[tokio::test]
async fn ethers_submits_a_claim_from_the_api() {
    const TEST: &str = "ethers_submits_a_claim_from_the_api";
    let claim = match script("clients/ethers", "claim.mjs").await {
        Ok(path) => path,
        Err(why) => return skip(TEST, &why),
    };
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let network = Network::start(dev(&state, "--devices 2 --seconds-per-epoch 2 --no-relay")).await;
    let key = std::fs::read_to_string(state.join("customers/customer-0/wallet.key")).unwrap();
    let url = network.url.clone();
    let node = |owner: &str| {
        let mut command = tokio::process::Command::new("node");
        command.arg(&claim).args([&url, owner]).env("CLAIM_KEY", key.trim()).kill_on_drop(true);
        command
    };
    for member in ["device-0", "device-1"] {
        let owner = owner_of(&state, member).await;
        let open = open_claim(&network, &owner).await;
        let said = run(node(&owner)).await.ok().json();
        assert_eq!(keys(&said), ["after", "before", "claimed", "epochs", "owner", "transaction"]);
        let claimed = amount(&said["claimed"]);
        assert!(claimed >= open && claimed > u128::from(u64::MAX), "more than a double can count: {said}");
        assert_eq!((amount(&said["before"]), amount(&said["after"])), (0, claimed));
        hex(&said["transaction"], 32);
    }
    let nobody = "0x00000000000000000000000000000000000000aa";
    run(node(nobody)).await.fails(&["there is nothing to claim"]);
    network.kill().await;
    run(node(nobody)).await.fails(&["does not answer as a node does"]);
}
