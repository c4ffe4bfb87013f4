//! What a device keeps private: blurred, committed to, opened for whoever it trusts, erased; and an audit that comes out the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use depin::{Bundle, audit_private};
use depin_core::Cell;
use depin_identity::{Opening, PrivateFields, place};
use serde_json::{Value, json};
use support::{Network, depin, dev, run, vouch};
use tokio::time::{sleep, timeout};

/// A house, within half a metre.
const HOUSE: &str = "8f1e15b701a3b2d";

/// The first bundle with a report that commits to something.
async fn committed(state: &Path) -> (PathBuf, Bundle) {
    loop {
        for epoch in 0..1_000 {
            let path = state.join(format!("bundles/{epoch}.bundle"));
            let Ok(bytes) = fs::read(&path) else { break };
            let Ok(bundle) = Bundle::from_bytes(&bytes) else { break };
            let network = bundle.header.params.network();
            if audit_private(network, &bundle.devices, &PrivateFields::default()).withheld > 0 {
                return (path, bundle);
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn audit(bundle: &Path, private: &Path) -> Value {
    let arguments = ["audit", "--json", bundle.to_str().unwrap(), "--private", private.to_str().unwrap()];
    run(depin(arguments)).await.ok().json()
}

#[tokio::test]
async fn an_audit_matches_after_a_place_was_erased_and_counts_what_is_withheld() {
    let dir = tempfile::tempdir().unwrap();
    let (state, own) = (dir.path().join("network"), dir.path().join("own"));
    let network = Network::start(dev(&state, "--devices 1 --seconds-per-epoch 2")).await;
    let (device, url) = (own.to_str().unwrap(), network.url.clone());
    run(depin(["device", "new", "--dir", device])).await.ok();
    vouch(&state, &own).await;
    run(depin(["device", "register", "--dir", device, "--node", &url])).await.ok();
    let at = ["device", "run", "--dir", device, "--node", &url, "--cell"];
    // A country is no place, and what is no cell is none either.
    run(depin([&at[..], &["801ffffffffffff"]].concat())).await.fails(&["resolution 8", "known at 0"]);
    run(depin([&at[..], &["7f1e15b701a3b2d"]].concat())).await.fails(&["7f1e15b701a3b2d"]);
    let mut running = depin([&at[..], &[HOUSE]].concat()).spawn().unwrap();
    let (path, bundle) = timeout(Duration::from_secs(90), committed(&state)).await.expect("a commitment");
    running.kill().await.unwrap();
    network.kill().await;
    assert!(bundle.result.paid.0 > 0, "somebody earned in it");

    // What is kept is the neighbourhood, and neither that nor its salt is in the bundle.
    let (bytes, private) = (bundle.to_bytes(), own.join("private"));
    let house: Cell = HOUSE.parse().unwrap();
    let neighbourhood = place::blur(house, 8).unwrap().0.to_be_bytes();
    for entry in fs::read_dir(&private).unwrap() {
        let opening: Opening = serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        assert_eq!((opening.label.as_str(), opening.value.as_slice()), ("place", &neighbourhood[..]));
        for secret in [&neighbourhood[..], &house.0.to_be_bytes(), &opening.salt] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
    }

    let seen = audit(&path, &private).await;
    assert_eq!((&seen["match"], &seen["values_withheld"]), (&json!(true), &json!(0)));
    // A value that is changed opens nothing, and is named.
    let kept = fs::read_dir(&private).unwrap().next().unwrap().unwrap().path();
    let right = fs::read(&kept).unwrap();
    let mut opening: Opening = serde_json::from_slice(&right).unwrap();
    opening.value[7] ^= 1;
    fs::write(&kept, serde_json::to_vec(&opening).unwrap()).unwrap();
    let arguments = ["audit", path.to_str().unwrap(), "--private", private.to_str().unwrap()];
    run(depin(arguments)).await.fails(&["value, salt, label or network differ"]);
    fs::write(&kept, right).unwrap();

    let erase = ["device", "erase", "--dir", device, "--label"];
    assert!(run(depin([&erase[..], &["serial"]].concat())).await.ok().stdout.contains("erased  0"));
    let all = fs::read_dir(&private).unwrap().count();
    let erased = run(depin([&erase[..], &["place"]].concat())).await.ok().stdout;
    assert!(erased.contains(&format!("erased  {all}")), "{erased}");
    assert_eq!(fs::read_dir(&private).unwrap().count(), 0);

    let after = audit(&path, &private).await;
    assert!(after["values_withheld"].as_u64().unwrap() > 0);
    for same in ["epoch", "digest", "root", "match", "withheld"] {
        assert_eq!(seen[same], after[same], "{same}");
    }
    let said = run(depin(arguments)).await.ok().stdout;
    assert!(
        said.ends_with(&format!("match; private values withheld: {}\n", after["values_withheld"])),
        "{said}"
    );
    // An excerpt says the same of its device.
    let one = bundle.devices.iter().find(|section| {
        audit_private(bundle.header.params.network(), [*section], &PrivateFields::default()).withheld > 0
    });
    let excerpt = dir.path().join("one.excerpt");
    fs::write(&excerpt, bundle.excerpt(&one.unwrap().device).unwrap().to_bytes()).unwrap();
    let excerpt = audit(&excerpt, &private).await;
    assert_eq!((&excerpt["match"], &excerpt["values_withheld"]), (&json!(true), &after["values_withheld"]));
}
