//! Chains that are not in the process: anvil, an OP chain at a URL, and what is no chain at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use depin_evm::anvil::Anvil;
use serde_json::{Value, json};
use support::{amount, depin, dev, files, run, skip};

const ABSENT: &str = "anvil was not found; run `npm ci` in contracts/";

fn check(report: &Value, chain: &str, chain_id: u64) {
    assert_eq!(
        (&report["network"]["chain"], &report["network"]["chain_id"]),
        (&json!(chain), &json!(chain_id))
    );
    let epochs = report["epochs"].as_array().unwrap();
    assert_eq!(report["audit"], json!({ "recomputed": epochs.len(), "matching": epochs.len() }));
    for epoch in epochs {
        assert!(amount(&epoch["paid"]) > 0 && epoch["root"] == epoch["root_on_chain"], "{epoch}");
    }
    for device in report["devices"].as_array().unwrap() {
        let honest = device["role"] == "honest";
        assert_eq!(amount(&device["earned"]) > 0, honest, "{device}");
        assert_eq!(device["claimed"], device["earned"]);
        assert_eq!(device["balance"], device["earned"]);
    }
}

#[tokio::test]
async fn a_network_runs_on_anvil() {
    if Anvil::find().is_none() {
        return skip("a_network_runs_on_anvil", ABSENT);
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let arguments = "--devices 2 --cheaters 3 --epochs 2 --seed 6 --once --json --chain anvil";
    check(&run(dev(&state, arguments)).await.ok().json(), "anvil", 31_337);
    // That chain is gone, so the network cannot go on; what it left can still be audited.
    let kept = files(&state);
    run(dev(&state, arguments)).await.fails(&["whose chain, an anvil, ended with it", "--chain"]);
    assert!(files(&state) == kept, "nothing was changed");
    let bundle = state.join("bundles/1.bundle").display().to_string();
    run(depin(["audit", &bundle])).await.ok();
}

#[tokio::test]
async fn a_network_runs_on_an_op_chain_and_goes_on_there_only() {
    const TEST: &str = "a_network_runs_on_an_op_chain_and_goes_on_there_only";
    let Some(binary) = Anvil::find() else { return skip(TEST, ABSENT) };
    let anvil = Anvil::new().optimism(84_532).spawn().await.unwrap();
    let url = anvil.url().to_string().trim_end_matches('/').to_owned();
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let arguments = format!("--devices 2 --cheaters 1 --seconds-per-epoch 3 --once --json --chain {url}");
    let first = run(dev(&state, &format!("{arguments} --epochs 2"))).await.ok().json();
    check(&first, &url, 84_532);
    let second = run(dev(&state, &format!("{arguments} --epochs 1"))).await.ok().json();
    check(&second, &url, 84_532);
    assert_eq!(second["epochs"][0]["epoch"], 2, "it goes on where it stopped");

    let state_name = state.to_str().unwrap();
    let mut audit = depin(["audit", "2", "--json", "--state", state_name]);
    let answer = run({
        audit.env("DEPIN_RPC", &url);
        audit
    })
    .await
    .ok()
    .json();
    assert_eq!(answer["root_on_chain"], second["epochs"][0]["root"]);

    // Another chain where this one was.
    drop(anvil);
    let port = url.rsplit(':').next().unwrap();
    run(dev(&state, &arguments)).await.fails(&[&url, "check the URL given with --chain"]);
    for (id, words) in
        [("1234", ["this network lives on chain 84532", "1234"]), ("84532", ["there is no", "0x"])]
    {
        let mut other = tokio::process::Command::new(&binary);
        other
            .args(["--silent", "--port", port, "--chain-id", id])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut other = other.kill_on_drop(true).spawn().unwrap();
        for _ in 0..100 {
            if std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        run(dev(&state, &arguments)).await.fails(&words);
        let mut audit = depin(["audit", "2", "--json", "--state", state_name]);
        let refused = run({
            audit.env("DEPIN_RPC", &url);
            audit
        })
        .await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        other.kill().await.unwrap();
    }
    assert_eq!(files(&state.join("bundles")).len(), 3, "nothing was lost");
}

#[tokio::test]
async fn what_is_no_chain_is_named_and_another_can_be_given() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("network");
    let arguments = "--devices 1 --epochs 1 --once --seed 8 --json --chain";
    refused(&state, arguments, "http://127.0.0.1:1", &["http://127.0.0.1:1", "--chain"]).await;

    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", web.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in web.incoming() {
            let page = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            std::io::Write::write_all(&mut stream.unwrap(), page.as_bytes()).unwrap();
        }
    });
    refused(&state, arguments, &url, &[&url, "does not answer as a chain does"]).await;

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://secret:word@{}", silent.local_addr().unwrap());
    let said = refused(&state, arguments, &url, &["does not answer as a chain does"]).await;
    assert!(!said.contains("secret") && !said.contains("word"), "a URL may hold a secret: {said}");

    let said =
        refused(&state, arguments, "http://127.0.0.1:1/v2/secret?key=word", &["http://127.0.0.1:1"]).await;
    assert!(!said.contains("secret") && !said.contains("word"), "nor does a path stay between us: {said}");

    // A mistyped URL does not cost the directory.
    let report = run(dev(&state, &format!("{arguments} embedded"))).await.ok().json();
    assert_eq!(report["audit"]["matching"], 1);
}

async fn refused(state: &Path, arguments: &str, url: &str, words: &[&str]) -> String {
    run(dev(state, &format!("{arguments} {url}"))).await.fails(words).stderr
}
