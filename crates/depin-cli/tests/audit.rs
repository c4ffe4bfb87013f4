//! `depin audit` and `depin verify`: whoever holds the files can check them, and one changed byte shows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::path::{Path, PathBuf};

use depin::{Bundle, entry::Entry};
use depin_core::{Amount, Digest, cbor};
use serde_json::{Value, json};
use support::{Network, Run, depin, dev, files, keys, run};

/// A network that has ended, and what it said of itself.
async fn ended(dir: &Path, arguments: &str) -> (PathBuf, Value) {
    let state = dir.join(arguments.replace(' ', ""));
    let report = run(dev(&state, &format!("{arguments} --once --json"))).await.ok().json();
    (state, report)
}

async fn audit(arguments: &[&str]) -> Run {
    run(depin([&["audit", "--json"], arguments].concat())).await
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn an_epoch_matches_its_chain_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (state, report) = ended(dir.path(), "--devices 2 --cheaters 1 --epochs 2 --seed 31").await;
    let bundle = state.join("bundles/1.bundle");
    let expected = &report["epochs"][1];

    let by_number = audit(&["1", "--state", text(&state)]).await.ok();
    assert_eq!(by_number.stderr, "");
    let by_number = by_number.json();
    assert_eq!(
        keys(&by_number),
        ["digest", "epoch", "match", "root", "root_on_chain", "values_withheld", "withheld"]
    );
    let (digest, root) = (&expected["bundle_digest"], &expected["root"]);
    let all = json!({ "epoch": 1, "digest": digest, "root": root, "root_on_chain": root, "match": true, "withheld": 0, "values_withheld": 0 });
    assert_eq!(by_number, all, "the chain in the directory was asked");
    let by_path = audit(&[text(&bundle)]).await.ok().json();
    assert_eq!(by_path["root_on_chain"], Value::Null, "no chain was asked");
    assert_eq!((&by_path["match"], &by_path["digest"]), (&json!(true), digest));
    assert_eq!(audit(&[text(&bundle), "--state", text(&state)]).await.ok().json(), all);

    for (number, role) in [(0, "accept"), (2, "reject")] {
        let device = report["devices"][number]["did"].as_str().unwrap();
        audit(&["1", "--state", text(&state), "--device", device]).await.ok();
        let shown = run(depin(["audit", "1", "--state", text(&state), "--device", device])).await.ok().stdout;
        for word in [device, "earned", "match"] {
            assert!(shown.contains(word), "no {word} in {shown}");
        }
        assert!(shown.to_lowercase().contains(&format!("verdict {role}")), "{shown}");
    }
    let stranger = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    audit(&["1", "--state", text(&state), "--device", stranger])
        .await
        .fails(&[stranger, "not in this bundle"]);
    audit(&["7", "--state", text(&state)]).await.fails(&["7.bundle"]);

    // The same keys and so the same addresses, but another history.
    let (twin, _) = ended(dir.path(), "--devices 1 --epochs 2 --seed 31").await;
    let other = audit(&[text(&bundle), "--state", text(&twin)])
        .await
        .fails(&["mismatch: digest: the chain has"])
        .json();
    assert_eq!((&other["match"], &other["root"]), (&json!(false), root));
    assert_ne!(&other["root_on_chain"], root);
    // Other keys, so that there is no such contract.
    let (foreign, _) = ended(dir.path(), "--devices 1 --epochs 1 --seed 32").await;
    let other =
        audit(&[text(&bundle), "--state", text(&foreign)]).await.fails(&["of another network"]).json();
    assert_eq!((&other["match"], &other["root_on_chain"]), (&json!(false), &Value::Null));

    let running = Network::start(dev(&state, "--devices 2 --cheaters 1 --seed 31")).await;
    audit(&["1", "--state", text(&state)]).await.fails(&["DEPIN_RPC"]);
    let mut command = depin(["audit", "1", "--json", "--state", text(&state)]);
    command.env("DEPIN_RPC", &running.rpc);
    assert_eq!(run(command).await.ok().json(), all, "a running chain is asked where it listens");
    running.kill().await;
}

#[tokio::test]
async fn a_changed_byte_in_any_part_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (state, _) = ended(dir.path(), "--devices 1 --cheaters 1 --epochs 1 --seed 33").await;
    let intact = std::fs::read(state.join("bundles/0.bundle")).unwrap();
    let bundle = Bundle::from_bytes(&intact).unwrap();
    let path = dir.path().join("changed.bundle");
    let path = text(&path);
    let sections = [
        ("header", cbor::to_vec(&bundle.header)),
        ("ledger", cbor::to_vec(&bundle.ledger)),
        ("customers", cbor::to_vec(&bundle.customers)),
        ("devices[0]", cbor::to_vec(&bundle.devices[0])),
        ("devices[1]", cbor::to_vec(&bundle.devices[1])),
        ("result", cbor::to_vec(&bundle.result)),
    ];
    for (name, section) in sections {
        let start = intact.windows(section.len()).position(|window| window == section).unwrap();
        for at in [start, start + section.len() / 2, start + section.len() - 1] {
            let mut changed = intact.clone();
            changed[at] ^= 0x40;
            std::fs::write(path, &changed).unwrap();
            let answer =
                audit(&[path]).await.fails(&[&format!("mismatch: section {name} was changed")]).json();
            assert_eq!(
                answer,
                json!({ "epoch": null, "digest": null, "root": null, "root_on_chain": null, "match": false, "withheld": null, "values_withheld": null })
            );
        }
        let said = run(depin(["verify", path])).await;
        assert_eq!(said.code, Some(1));
        assert!(said.stdout.contains(&format!("section {name} was changed")), "{}", said.stdout);
    }
    for step in 0..12 {
        let mut changed = intact.clone();
        changed[step * 7] ^= 1;
        std::fs::write(path, &changed).unwrap();
        assert_eq!(audit(&[path]).await.fails(&["mismatch: "]).json()["match"], false, "byte {}", step * 7);
        std::fs::write(path, &intact[..intact.len() * step / 12]).unwrap();
        assert_eq!(audit(&[path]).await.fails(&["mismatch: "]).json()["match"], false, "cut to {step}/12");
    }
    std::fs::write(path, [intact.clone(), vec![0]].concat()).unwrap();
    audit(&[path]).await.fails(&["mismatch: "]);
    audit(&["no-such-file"]).await.fails(&["no-such-file cannot be read"]);
}

/// Somebody who changes a bundle and makes its hashes fit is found by recomputing.
#[tokio::test]
async fn a_bundle_that_lies_consistently_does_not_match() {
    let dir = tempfile::tempdir().unwrap();
    let (state, _) = ended(dir.path(), "--devices 1 --cheaters 1 --epochs 1 --seed 34").await;
    let intact = Bundle::from_bytes(&std::fs::read(state.join("bundles/0.bundle")).unwrap()).unwrap();
    type Lie = (&'static str, fn(&mut Bundle));
    let lies: [Lie; 7] = [
        ("devices[0].earned", |bundle| bundle.devices[0].earned = Amount(1)),
        ("result.paid", |bundle| bundle.result.paid = Amount(bundle.result.paid.0 + 1)),
        ("result.root", |bundle| bundle.result.root = Digest([7; 32])),
        ("header.state_after", |bundle| bundle.header.state_after = Digest([7; 32])),
        ("header.state_before", |bundle| bundle.header.state_before = Digest([7; 32])),
        ("journal", |bundle| drop(bundle.devices[0].entries.pop())),
        ("devices[1].verdicts[0]", |bundle| {
            let accepted = bundle.devices[0].verdicts[0].clone();
            let rejected = &mut bundle.devices[1].verdicts[0];
            let swapped = if rejected.outcome == accepted.outcome {
                &mut bundle.devices[0].verdicts[0]
            } else {
                rejected
            };
            swapped.findings.clear();
        }),
    ];
    let path = dir.path().join("lie.bundle");
    for (part, lie) in lies {
        let mut bundle = intact.clone();
        lie(&mut bundle);
        std::fs::write(&path, bundle.to_bytes()).unwrap();
        let audit = audit(&[text(&path)]).await.fails(&["mismatch: ", part]);
        let answer = audit.json();
        assert_eq!((&answer["match"], &answer["epoch"]), (&json!(false), &json!(0)));
        assert_eq!(answer["digest"], json!(bundle.digest()));
    }
}

#[tokio::test]
async fn a_file_is_recognised_and_what_is_wrong_with_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (state, report) = ended(dir.path(), "--devices 1 --epochs 1 --seed 35").await;
    let bundle_path = state.join("bundles/0.bundle");
    let bundle = Bundle::from_bytes(&std::fs::read(&bundle_path).unwrap()).unwrap();
    let device = &bundle.devices[0];
    let verify = async |path: &Path, keys: bool| {
        let keys: &[&str] = if keys { &["--bundle", text(&bundle_path)] } else { &[] };
        run(depin([&["verify", text(path)], keys].concat())).await
    };
    let said = verify(&bundle_path, false).await.ok().stdout;
    let digest = report["epochs"][0]["bundle_digest"].as_str().unwrap();
    assert!(said.contains("bundle of epoch 0, recomputed") && said.contains(digest), "{said}");

    let excerpt = dir.path().join("excerpt");
    std::fs::write(&excerpt, bundle.excerpt(&device.device).unwrap().to_bytes()).unwrap();
    let said = verify(&excerpt, false).await.ok().stdout;
    assert!(said.contains("excerpt of epoch 0 for did:key:") && said.contains(digest), "{said}");
    let answer = audit(&[text(&excerpt), "--state", text(&state)]).await.ok().json();
    assert_eq!((&answer["match"], &answer["root_on_chain"]), (&json!(true), &report["epochs"][0]["root"]));

    let envelope = device.entries.iter().find_map(|indexed| match &indexed.entry {
        Entry::Report { envelope, .. } => Some(envelope.clone()),
        _ => None,
    });
    let reported = dir.path().join("report");
    std::fs::write(&reported, envelope.unwrap()).unwrap();
    let said = verify(&reported, false).await;
    assert_eq!(said.code, Some(2), "nobody can tell whose signature it bears");
    assert!(said.stdout.contains("report.signature") && said.stdout.contains("--bundle"), "{}", said.stdout);
    let said = verify(&reported, true).await.ok().stdout;
    assert!(said.contains("valid: report storage."), "{said}");

    let receipt = dir.path().join("receipt");
    let kept = files(&state.join("providers"))
        .into_iter()
        .find(|(name, _)| name.extension().is_some_and(|end| end == "receipt"));
    std::fs::write(&receipt, kept.unwrap().1).unwrap();
    assert_eq!(verify(&receipt, false).await.code, Some(2));
    let said = verify(&receipt, true).await.ok().stdout;
    assert!(said.contains("valid: receipt for report 0x") && said.contains("epoch 0"), "{said}");

    for path in [&excerpt, &reported, &receipt] {
        let intact = std::fs::read(path).unwrap();
        for at in (0..intact.len()).step_by(intact.len() / 6) {
            let mut changed = intact.clone();
            changed[at] ^= 2;
            std::fs::write(path, changed).unwrap();
            assert_eq!(verify(path, true).await.code, Some(1), "{} {at}", text(path));
        }
        std::fs::write(path, &intact[..intact.len() - 1]).unwrap();
        assert_eq!(verify(path, true).await.code, Some(1), "{}", text(path));
    }
}
