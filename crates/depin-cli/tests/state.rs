//! The directory of a network: it survives whatever kills the process, and is not taken for another's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::{path::Path, time::Duration};

use support::{Network, amount, count, depin, dev, files, run};

const MEMBERS: &str = "--devices 3 --cheaters 3 --seed 21";

#[tokio::test]
async fn a_network_killed_in_any_phase_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    // From the first second on: while deploying, while registering, and in each part of an epoch.
    for wait in [150, 600] {
        let mut child = dev(&state, MEMBERS).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        child.kill().await.unwrap();
    }
    let mut epoch = 0;
    for phase in ["deal", "pay", "commit", "answer", "report"] {
        let network = Network::start(dev(&state, MEMBERS)).await;
        network.phase(phase, epoch).await;
        epoch = network.client().status_now().await.unwrap().epoch.0;
        let members = network.members();
        assert!(members.len() >= 6, "{members:?}");
        network.kill().await;
        nobody_is_left(&members).await;
    }
    // In the middle of closing an epoch, or of posting it.
    for wait in [5, 30] {
        let network = Network::start(dev(&state, MEMBERS)).await;
        network.phase("report", epoch).await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        network.kill().await;
    }
    // Closed and posted, and not settled yet.
    let mut network = Network::start(dev(&state, MEMBERS)).await;
    network.line("epoch ").await;
    network.kill().await;
    let report = run(dev(&state, &format!("{MEMBERS} --epochs 2 --once --json"))).await.ok().json();
    assert_eq!(report["audit"], serde_json::json!({ "recomputed": 2, "matching": 2 }));
    let last = count(&report["epochs"][1]["epoch"]);
    assert!(last >= 2, "epochs went on: {last}");
    for device in report["devices"].as_array().unwrap() {
        assert_eq!(amount(&device["earned"]) > 0, device["role"] == "honest", "{device}");
        assert_eq!(device["claimed"], device["earned"]);
    }
    every_epoch_matches(&state, last).await;
}

/// What the network started is gone soon after it, however it died.
async fn nobody_is_left(members: &[u32]) {
    let running = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // A zombie waits for whoever adopted it, and does nothing any more.
        !stat.is_empty() && !stat.contains(") Z ")
    };
    for _ in 0..100 {
        if !members.iter().any(running) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("still running: {:?}", members.iter().filter(|id| running(id)).collect::<Vec<_>>());
}

async fn every_epoch_matches(state: &Path, last: u64) {
    let receipts = state.join("providers").display().to_string();
    let state = state.display().to_string();
    for epoch in 0..=last {
        let epoch = epoch.to_string();
        let audit = run(depin(["audit", &epoch, "--state", &state, "--receipts", &receipts, "--json"])).await;
        let audit = audit.ok().json();
        assert_eq!(audit["root"], audit["root_on_chain"]);
    }
}

#[tokio::test]
async fn killed_in_the_middle_of_an_epoch_by_the_wall_clock_a_network_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let arguments = "--devices 2 --seconds-per-epoch 6";
    let network = Network::start(dev(&state, arguments)).await;
    network.phase("answer", 0).await;
    network.kill().await;
    let report = run(dev(&state, &format!("{arguments} --epochs 2 --once --json"))).await.ok().json();
    assert_eq!(report["epochs"][0]["epoch"], 0, "the epoch that was open is closed");
    assert_eq!(report["audit"], serde_json::json!({ "recomputed": 2, "matching": 2 }));
    assert!(amount(&report["devices"][0]["earned"]) > 0 && amount(&report["devices"][1]["earned"]) > 0);
}

#[tokio::test]
async fn a_directory_of_something_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let arguments = "--devices 1 --seed 4 --epochs 1 --once --json";
    run(dev(&state, arguments)).await.ok();
    let before = files(&state);
    let others = [
        ("--devices 1 --seed 5 --epochs 1 --once", "--seed 4"),
        ("--devices 2 --seed 4 --epochs 1 --once", "--devices 1"),
        ("--devices 1 --cheaters 1 --seed 4 --epochs 1 --once", "--cheaters 0"),
        ("--devices 1 --epochs 1 --once", "--seed none"),
        ("--devices 1 --seed 4 --epochs 1 --once --chain anvil", "--chain embedded"),
        ("--devices 1 --seed 4 --epochs 1 --once --seconds-per-epoch 7", "--seconds-per-epoch 6"),
    ];
    for (other, word) in others {
        let refused =
            run(dev(&state, other)).await.fails(&["holds another network", word, "choose another directory"]);
        assert_eq!(refused.stdout, "");
        assert!(files(&state) == before, "{other} changed the directory");
    }

    let damaged = [
        ("network.json", r#"{"version":3,"anything":"else"}"#, "is of version 3, newer than 2; update depin"),
        ("network.json", r#"{"version":1,"anything":"else"}"#, "is of version 1, made by an older depin"),
        ("network.json", "{", "holds a network.json that cannot be read"),
        ("network.json", r#"{"version":2}"#, "holds a damaged network.json"),
        (
            "journal/00000000000000000000.seg",
            "depin-journal/2\nfrom the future",
            "is no journal of this version",
        ),
        ("chain/blocks", "depinevm from the future, or something else altogether", "blocks"),
        ("node.key", "no key", "holds no key of 32 bytes"),
    ];
    for (name, content, word) in damaged {
        let path = state.join(name);
        let intact = std::fs::read(&path).unwrap();
        std::fs::write(&path, content).unwrap();
        let kept = files(&state);
        run(dev(&state, arguments)).await.fails(&[word]);
        for (file, bytes) in kept {
            // The index is derived; SQLite keeps notes of its own beside it.
            if !file.to_string_lossy().starts_with("index.sqlite") {
                assert!(
                    std::fs::read(state.join(&file)).unwrap() == bytes,
                    "{name}: {} was changed",
                    file.display()
                );
            }
        }
        std::fs::write(&path, intact).unwrap();
    }
    let report = run(dev(&state, arguments)).await.ok().json();
    assert_eq!(report["epochs"][0]["epoch"], 1, "nothing was lost");

    let foreign = dir.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    run(dev(&foreign, arguments)).await.fails(&["holds files but no network", "--state"]);
    assert_eq!(files(&foreign).len(), 1);
    let file = foreign.join("thesis.txt");
    run(dev(&file, arguments)).await.fails(&["thesis.txt"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "years of work");
}

#[tokio::test]
async fn a_busy_port_and_a_busy_directory_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let arguments = "--devices 1 --seed 4 --epochs 1 --once --json";
    let mut command = depin(["dev", "--port", &port, "--state"]);
    command.arg(&state).args(arguments.split(' '));
    run(command).await.fails(&[&format!("port {port} on 127.0.0.1"), "--port"]);
    drop(listener);

    let network = Network::start(dev(&state, "--devices 1 --seed 4")).await;
    run(dev(&state, arguments)).await.fails(&["is in use by a network that runs", "--state"]);
    let doctor = run(depin(["doctor", "--state", &state.display().to_string()])).await;
    assert!(doctor.stdout.contains("in use"), "{doctor:?}");
    network.kill().await;
    let report = run(dev(&state, arguments)).await.ok().json();
    assert_eq!(report["audit"]["matching"], 1);
}
