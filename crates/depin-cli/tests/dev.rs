//! `depin dev`: what it prints is true, and the same seed gives the same bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;
use support::{Network, Run, amount, count, depin, dev, files, hex, keys, run};

/// What a self-dealer begins with, in base units.
const ALLOWANCE: u128 = 1_000_000 * 10_u128.pow(18);

/// One cheater of each kind.
const ALL_ATTACKS: [&str; 6] =
    ["partial-storage", "replay", "clone", "uptime", "self-dealing", "counterfeit"];

fn bundles(state: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    files(&state.join("bundles"))
}

#[tokio::test]
async fn a_run_says_what_it_did_and_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let arguments = "--sector storage --devices 4 --cheaters 6 --seed 9 --once --json --epochs";
    let first = run(dev(&state, &format!("{arguments} 3"))).await.ok().json();
    check_network(&first["network"]);
    check_epochs(&first["epochs"], 0..3);
    check_honest(&first);
    check_cheaters(&first);
    check_customers(&first);
    check_rejections(&first["rejections"]);
    assert_eq!(keys(&first), ["audit", "customers", "devices", "epochs", "network", "rejections"]);
    assert_eq!(first["audit"], serde_json::json!({ "recomputed": 3, "matching": 3 }));

    let kept = bundles(&state);
    assert_eq!(kept.len(), 3);
    let second = run(dev(&state, &format!("{arguments} 2"))).await.ok().json();
    check_epochs(&second["epochs"], 3..5);
    assert_eq!(second["audit"], serde_json::json!({ "recomputed": 2, "matching": 2 }));
    assert_eq!(second["network"], first["network"]);
    for (before, after) in std::iter::zip(rows(&first, "devices"), rows(&second, "devices")) {
        assert_eq!((&before["did"], &before["owner"]), (&after["did"], &after["owner"]));
        let honest = before["role"] == "honest";
        assert_eq!(
            amount(&after["earned"]) > amount(&before["earned"]),
            honest || before["attack"] == "self-dealing"
        );
        assert_eq!(amount(&after["balance"]) > amount(&before["balance"]), honest);
    }
    check_cheaters(&second);
    check_customers(&second);
    let now = bundles(&state);
    assert_eq!(now.len(), 5);
    assert!(kept.iter().all(|(name, bytes)| now.get(name) == Some(bytes)), "closed epochs stay as they are");
}

fn rows<'v>(report: &'v Value, of: &str) -> impl Iterator<Item = &'v Value> {
    report[of].as_array().unwrap().iter()
}

fn check_network(network: &Value) {
    assert_eq!(keys(network), ["beacon", "chain", "chain_id", "contracts"]);
    assert_eq!(network["chain"], "embedded");
    assert!(count(&network["chain_id"]) > 0);
    assert_eq!(network["beacon"], "seed-test-only");
    let contracts = &network["contracts"];
    assert_eq!(keys(contracts), ["bond", "credits", "distributor", "registry", "token"]);
    let mut addresses: Vec<&str> = keys(contracts).iter().map(|name| hex(&contracts[*name], 20)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 5, "{network}");
}

fn check_epochs(epochs: &Value, expected: std::ops::Range<u64>) {
    let epochs = epochs.as_array().unwrap();
    assert_eq!(
        epochs.iter().map(|epoch| count(&epoch["epoch"])).collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    for epoch in epochs {
        assert_eq!(
            keys(epoch),
            [
                "bundle_digest",
                "burned",
                "dust",
                "epoch",
                "minted",
                "paid",
                "pool",
                "root",
                "root_on_chain",
                "verdicts"
            ]
        );
        let (pool, minted, burned) =
            (amount(&epoch["pool"]), amount(&epoch["minted"]), amount(&epoch["burned"]));
        assert_eq!(amount(&epoch["paid"]) + amount(&epoch["dust"]), pool);
        // Half of each payment is burned, the other half is revenue; at most nine tenths of what burned is minted.
        assert_eq!(minted + burned, pool, "the revenue is as much as what was burned");
        assert!(minted > 0 && minted * 10 <= burned * 9, "{epoch}");
        assert_eq!(hex(&epoch["root"], 32), hex(&epoch["root_on_chain"], 32));
        hex(&epoch["bundle_digest"], 32);
        // Four honest ones and the self-dealer; deleted data, a replay, a mere claim of uptime, and a device without a maker.
        assert_eq!(epoch["verdicts"], serde_json::json!({ "accept": 5, "reject": 4, "inconclusive": 0 }));
    }
}

fn check_honest(report: &Value) {
    let honest: Vec<&Value> = rows(report, "devices").filter(|device| device["role"] == "honest").collect();
    assert_eq!(honest.len(), 4);
    for device in honest {
        assert_eq!(keys(device), ["attack", "balance", "claimed", "did", "earned", "owner", "role", "units"]);
        assert!(device["did"].as_str().unwrap().starts_with("did:key:z6Mk"), "{device}");
        hex(&device["owner"], 20);
        assert!(device["attack"].is_null());
        let earned = amount(&device["earned"]);
        assert!(earned > 0 && amount(&device["units"]) > 0);
        assert_eq!((amount(&device["claimed"]), amount(&device["balance"])), (earned, earned));
    }
}

fn check_cheaters(report: &Value) {
    let cheaters: Vec<&Value> =
        rows(report, "devices").filter(|device| device["role"] == "cheater").collect();
    assert_eq!(
        cheaters.iter().map(|cheater| cheater["attack"].as_str().unwrap()).collect::<Vec<_>>(),
        ALL_ATTACKS
    );
    for cheater in cheaters.iter().filter(|cheater| cheater["attack"] != "self-dealing") {
        for field in ["earned", "claimed", "balance", "units"] {
            assert_eq!(cheater[field], "0", "{cheater}");
        }
    }
    let (clone, victim) = (cheaters[2], &report["devices"][0]);
    assert_eq!(clone["did"], victim["did"], "the clone copies the first device's key");
    assert_ne!(clone["owner"], victim["owner"]);
    assert!(amount(&victim["earned"]) > 0, "the victim is still paid");
    let self_dealer = cheaters[4];
    let (earned, balance) = (amount(&self_dealer["earned"]), amount(&self_dealer["balance"]));
    let paid = rows(report, "customers").find(|customer| customer["address"] == self_dealer["owner"]);
    let paid = amount(&paid.unwrap()["paid"]);
    assert!(earned > 0 && balance < ALLOWANCE, "{self_dealer}");
    assert_eq!(
        balance,
        ALLOWANCE - paid + earned,
        "what it has is what it had, less what it paid, and what it earned"
    );
}

fn check_customers(report: &Value) {
    let customers: Vec<&Value> = rows(report, "customers").collect();
    assert_eq!(customers.len(), 3, "two for eight providers, and the self-dealer");
    for customer in customers {
        assert_eq!(keys(customer), ["address", "burned", "paid"]);
        hex(&customer["address"], 20);
        assert_eq!(amount(&customer["burned"]) * 2, amount(&customer["paid"]));
    }
}

fn check_rejections(rejections: &Value) {
    let mut counts = BTreeMap::new();
    for rejection in rejections.as_array().unwrap() {
        assert_eq!(keys(rejection), ["count", "reason"]);
        counts.insert(rejection["reason"].as_str().unwrap(), count(&rejection["count"]));
    }
    // Once an epoch: the clone's forged answer under the victim's key, and no answer from whoever only claims uptime.
    assert_eq!((counts["key-reuse"], counts["missing"]), (3, 3), "{counts:?}");
    // From the second epoch on there is something to replay.
    assert_eq!(counts["replayed"], 2, "{counts:?}");
    assert!(counts["wrong"] >= 3 && counts["uptime-is-not-work"] >= 3, "{counts:?}");
    // What the counterfeit sends in each epoch: what it keeps, and how it is.
    assert_eq!(counts["not-admitted"], 6, "{counts:?}");
}

#[tokio::test]
async fn a_provider_without_a_maker_is_refused_with_the_reason_on_its_page() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let members = "--devices 1 --cheaters 1 --attack counterfeit --seed 11";
    let report = run(dev(&state, &format!("{members} --epochs 2 --once --json"))).await.ok().json();
    assert_eq!(report["audit"], serde_json::json!({ "recomputed": 2, "matching": 2 }));
    let [honest, counterfeit] = [0, 1].map(|at| report["devices"][at].clone());
    assert!(amount(&honest["earned"]) > 0 && counterfeit["earned"] == "0", "{report}");
    // It was given pieces, and keeps them: what it lacks is a maker's word.
    let kept = files(&state.join("providers/cheater-0-counterfeit/pieces"));
    assert!(!kept.is_empty());
    let log = std::fs::read_to_string(state.join("providers/cheater-0-counterfeit/log")).unwrap();
    assert!(log.contains("the credentials are refused") && log.contains("signed nothing here"), "{log}");
    let network = Network::start(dev(&state, members)).await;
    let http = depin_evm::http_client(false).unwrap().build().unwrap();
    let did = counterfeit["did"].as_str().unwrap();
    let page = http.get(format!("{}/api/v1/devices/{did}/verdicts", network.url)).send().await.unwrap();
    let page = String::from_utf8(page.bytes().await.unwrap().to_vec()).unwrap();
    assert!(page.contains("not-admitted") && page.contains("show credentials that hold"), "{page}");
    network.kill().await;
}

#[tokio::test]
async fn a_provider_takes_pieces_from_those_alone_whom_its_device_granted_it() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let network = Network::start(dev(&state, "--devices 2 --seed 12")).await;
    network.phase("commit", 0).await;
    let config = std::fs::read(state.join("customers/customer-0/config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let [own, other] = [0, 1].map(|at| config["orders"][at]["grant"].as_str().unwrap().to_owned());
    assert_ne!(own, other);
    let address = config["orders"][0]["address"].as_str().unwrap();
    let http = depin_evm::http_client(false).unwrap().build().unwrap();
    let put = |grant: Option<&str>| {
        let request = http.put(format!("http://{address}/pieces/nonsense")).body("x");
        let request = match grant {
            Some(grant) => request.bearer_auth(grant),
            None => request,
        };
        async { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(put(None).await, 401);
    assert_eq!(put(Some(&other)).await, 403, "another provider's");
    assert_eq!(put(Some(&own)).await, 400, "let in, and told that this is no piece");
    network.kill().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bundles_with_one_thread_and_with_eight() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for threads in ["1", "8", "8"] {
        let state = dir.path().join(seen.len().to_string());
        let mut command = dev(&state, "--devices 3 --cheaters 5 --epochs 2 --seed 77 --once --json");
        command.env("RAYON_NUM_THREADS", threads).env("TOKIO_WORKER_THREADS", threads);
        let report = run(command).await.ok().stdout;
        seen.push((bundles(&state), report));
    }
    assert_eq!(seen[0].0.len(), 2);
    assert!(seen.iter().all(|(bundles, _)| *bundles == seen[0].0), "the bundles differ");
    assert!(seen.iter().all(|(_, report)| *report == seen[0].1), "the reports differ");
    let other = dir.path().join("other");
    run(dev(&other, "--devices 3 --cheaters 5 --epochs 2 --seed 78 --once --json")).await.ok();
    assert!(
        bundles(&other).iter().all(|(name, bytes)| seen[0].0[name] != *bytes),
        "another seed, other bundles"
    );
}

#[tokio::test]
async fn without_a_seed_the_wall_clock_closes_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let arguments = "--devices 2 --cheaters 2 --epochs 2 --seconds-per-epoch 2 --once --json";
    let report = run(dev(&state, arguments)).await.ok().json();
    assert_eq!(report["audit"], serde_json::json!({ "recomputed": 2, "matching": 2 }));
    assert!(amount(&report["devices"][0]["earned"]) > 0 && amount(&report["devices"][1]["earned"]) > 0);
    assert_eq!(report["devices"][2]["earned"], "0");
    assert_eq!(report["devices"][3]["earned"], "0");
    let other = dir.path().join("other");
    let second = run(dev(&other, arguments)).await.ok().json();
    assert_ne!(report["devices"][0]["did"], second["devices"][0]["did"], "keys are random");
}

#[tokio::test]
async fn whoever_only_deals_with_itself_loses() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = "--devices 1 --cheaters 2 --attack self-dealing --epochs 2 --seed 3 --once --json";
    let report = run(dev(&dir.path().join("network"), arguments)).await.ok().json();
    let dealers: Vec<&Value> =
        rows(&report, "devices").filter(|device| device["role"] == "cheater").collect();
    assert_eq!(dealers.len(), 2);
    for dealer in dealers {
        assert_eq!(dealer["attack"], "self-dealing");
        let lost = ALLOWANCE - amount(&dealer["balance"]);
        let paid = rows(&report, "customers").find(|customer| customer["address"] == dealer["owner"]);
        let paid = amount(&paid.unwrap()["paid"]);
        assert!(
            amount(&dealer["earned"]) > 0 && lost * 20 >= paid,
            "at least 5 % of what it paid is gone: {dealer}"
        );
    }
}

#[tokio::test]
async fn files_of_a_real_directory_are_kept_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    // The network's own directory inside: its keys are nobody's data.
    let (data, state) = (dir.path().join("data"), dir.path().join("data/network"));
    let long: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let wanted: [(&str, &[u8]); 7] = [
        ("readme.txt", b"Some text.\n"),
        ("one-byte", b"x"),
        ("zeros", &[0; 5_000]),
        ("deep/er/nested.bin", &long),
        ("deep/same.txt", b"twice the same"),
        ("copy/same.txt", b"twice the same"),
        ("name with \u{e9} and space.txt", b"names do not matter"),
    ];
    let unwanted: [(&str, &[u8]); 4] = [
        ("empty", b""),
        ("secret.key", b"do not keep this"),
        ("cache/x", b"nor this"),
        ("deep/log.tmp", b"nor that"),
    ];
    for (name, content) in wanted.iter().chain(&unwanted) {
        let path = data.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    std::fs::write(data.join(".gitignore"), "*.key\n/cache/\n").unwrap();
    std::fs::write(data.join("deep/.gitignore"), "*.tmp\n").unwrap();

    for epoch in 0..2 {
        let mut command = dev(&state, "--devices 3 --epochs 1 --seed 5 --once --json --data");
        command.arg(&data);
        let report = run(command).await.ok().json();
        assert_eq!((&report["audit"]["matching"], &report["epochs"][0]["epoch"]), (&1.into(), &epoch.into()));
    }
    let pieces: Vec<Vec<u8>> = files(&state.join("providers"))
        .into_iter()
        .filter(|(path, _)| path.components().any(|part| part.as_os_str() == "pieces"))
        .map(|(_, content)| content)
        .collect();
    for (name, content) in wanted {
        assert!(pieces.iter().any(|piece| piece == content), "{name} is not kept");
    }
    for piece in &pieces {
        assert!(
            wanted.iter().any(|(_, content)| content == piece),
            "somebody keeps {} bytes nobody asked for",
            piece.len()
        );
    }
}

#[tokio::test]
async fn an_operator_who_cheats_is_found_out_by_receipts_only() {
    let dir = tempfile::tempdir().unwrap();
    for (operator, found) in
        [("drops", "and the bundle leaves it out"), ("backdates", "the bundle has it at position")]
    {
        let state = dir.path().join(operator);
        let arguments = format!("--devices 2 --epochs 1 --seed 9 --once --json --operator {operator}");
        let report =
            run(dev(&state, &arguments)).await.fails(&["the node acknowledged report 0x", found]).json();
        assert_eq!(report["audit"], serde_json::json!({ "recomputed": 1, "matching": 0 }));

        let bundle = state.join("bundles/0.bundle").display().to_string();
        let alone = run(depin(["audit", &bundle, "--json"])).await.ok().json();
        assert_eq!(alone["match"], true, "alone, the bundle is consistent");
        let receipts = state.join("providers").display().to_string();
        let audit = run(depin(["audit", &bundle, "--json", "--receipts", &receipts])).await;
        let audit = audit.fails(&["mismatch: ", ".receipt: ", "the node acknowledged report 0x", found]);
        assert_eq!(audit.json()["match"], false);
        if operator == "backdates" {
            let times: Vec<&str> = audit.stderr.split(", time ").skip(1).collect();
            let number = |text: &str| -> u64 {
                let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().unwrap()
            };
            assert!(
                number(times[0]) > number(times[1]),
                "acknowledged late, written down early: {}",
                audit.stderr
            );
        }
    }
}

#[tokio::test]
async fn amounts_are_shown_to_people_without_json() {
    let dir = tempfile::tempdir().unwrap();
    let Run { stdout, .. } =
        run(dev(&dir.path().join("n"), "--devices 1 --epochs 1 --seed 1 --once")).await.ok();
    assert!(stdout.contains("audit: 1 of 1 epochs recomputed match"), "{stdout}");
    assert!(stdout.contains("did:key:z6Mk") && stdout.contains("honest"), "{stdout}");
}
