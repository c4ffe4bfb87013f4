//! What devices show at the door, and what takes it away from them again.

use depin::{
    AdmissionParams,
    api::{Admission, Revocations},
};
use depin_core::Digest;
use depin_identity::{Firmware, SoftwareKey};
use serde_json::{Value, json};

use super::*;
use crate::credentials::*;

fn parts(stage: &Stage, admission: AdmissionParams) -> NodeParts {
    let mut parts = stage.parts();
    parts.info.params.admission = Some(admission);
    parts.network = Network::new(parts.info.params.clone(), &Catalogue::standard()).unwrap();
    parts
}

/// An open epoch of a network that admits devices, with these.
async fn admitting(devices: &[&Device]) -> (Stage, Node) {
    let stage = Stage::new().await;
    let node = Node::open(parts(&stage, admission())).await.unwrap();
    for device in devices {
        register(&node, device).await;
    }
    node.open_epoch().await.unwrap();
    (stage, node)
}

/// Why what is posted is refused, and that it leaves no trace.
async fn refusal(stage: &Stage, node: &Node, path: &str, body: Vec<u8>) -> String {
    let before = stage.journal();
    let (status, body) = post(node, path, body).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{}", String::from_utf8_lossy(&body));
    assert_eq!(stage.journal(), before);
    error(&body)
}

async fn show(node: &Node, shown: Vec<u8>) -> Admission {
    let (status, body) = post(node, paths::CREDENTIALS, shown).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

async fn work(node: &Node, device: &Device) -> Work {
    let (status, body, _) = call(node, "GET", &format!("{}/{}", paths::WORK, device.id()), Vec::new()).await;
    assert_eq!(status, StatusCode::OK);
    serde_json::from_slice(&body).unwrap()
}

fn revocation(device: &Device, list: &Value) -> Vec<u8> {
    json!({ "device": device.id(), "list": list }).to_string().into_bytes()
}

#[tokio::test]
async fn a_device_that_shows_its_chain_is_heard_from_then_on_and_its_page_says_why_it_was_not() {
    let mut device = Device::new("a");
    let (stage, node) = admitting(&[&device]).await;
    let early = set_of(&node, &mut device);
    let results = send(&node, early).await;
    let [ReportResult::Refused { reason, limit, .. }] = results.as_slice() else { panic!("{results:?}") };
    assert!(reason.as_str() == "not-admitted" && limit.contains("depin device register"), "{limit}");
    let Admission { device: named, admitted } = show(&node, chain(&device, 0)).await;
    assert_eq!((named, admitted.serial, admitted.makers.len()), (device.id(), 0, 1));
    let set = set_of(&node, &mut device);
    accepted(&node, set).await;
    // Shown again it says nothing new.
    let before = stage.journal();
    assert_eq!(show(&node, chain(&device, 0)).await.admitted, admitted);
    assert_eq!(stage.journal(), before);
    assert_eq!(work(&node, &device).await.admitted.as_ref(), Some(&admitted));
    stage.reach(GENESIS + COMMIT).await;
    node.reveal_beacon().await.unwrap();
    stage.reach(GENESIS + EPOCH).await;
    let bundle = node.close_epoch().await.unwrap();
    assert_eq!(audit(&bundle, &Catalogue::standard()).unwrap().digest, bundle.digest());
    let (_, page, _) =
        call(&node, "GET", &format!("/api/v1/devices/{}/verdicts", device.id()), Vec::new()).await;
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("not-admitted") && page.contains("depin device register"), "{page}");
    // What was shown lasts.
    drop(node);
    let node = stage.reopen_with(|| parts(&stage, admission())).await;
    assert_eq!(work(&node, &device).await.admitted, Some(admitted));
    node.open_epoch().await.unwrap();
    let set = set_of(&node, &mut device);
    accepted(&node, set).await;
}

#[tokio::test]
async fn what_does_not_hold_is_refused_with_the_reason_and_leaves_no_trace() {
    let devices = ["a", "b", "c"].map(Device::new);
    let [a, b, c] = &devices;
    let (stage, node) = admitting(&[a, b, c]).await;
    let stranger = SoftwareKey::from_seed([66; 32]);
    let good = list(&root(), &[], YEAR);
    let mut endless = good.clone();
    for member in ["proof", "validUntil"] {
        endless.as_object_mut().unwrap().remove(member);
    }
    let honest = [grant(&root(), &maker(), 2, 7), vouch(&maker(), a, 0, YEAR)];
    let cases = [
        ("untrusted-root", shown(&[grant(&stranger, &maker(), 2, 7), honest[1].clone()], &good)),
        ("credential-revoked", shown(&honest, &list(&root(), &[7], YEAR))),
        ("status-list", shown(&honest, &sign(&endless, &root()))),
        ("credential-refused", shown(&honest[1..], &good)),
        ("quota", chain(a, 2)),
        ("unknown-device", chain(&Device::new("unknown"), 0)),
        ("credential-malformed", vec![b' '; depin::admission::MAX_SHOWN + 1]),
        ("credential-malformed", b"[".repeat(60_000)),
        ("credential-malformed", br#"{"credentials":[]}"#.to_vec()),
    ];
    for (reason, shown) in cases {
        assert_eq!(refusal(&stage, &node, paths::CREDENTIALS, shown).await, reason);
    }
    let right = chain(a, 0);
    for end in (0..right.len()).step_by(97) {
        refusal(&stage, &node, paths::CREDENTIALS, right[..end].to_vec()).await;
    }
    for at in (0..right.len()).step_by(59) {
        let mut flipped = right.clone();
        flipped[at] ^= 1;
        refusal(&stage, &node, paths::CREDENTIALS, flipped).await;
    }
    // One number for two, and the one after the last of the quota.
    show(&node, right).await;
    assert_eq!(refusal(&stage, &node, paths::CREDENTIALS, chain(b, 0)).await, "serial-taken");
    show(&node, chain(b, 1)).await;
    assert_eq!(refusal(&stage, &node, paths::CREDENTIALS, chain(c, 2)).await, "quota");
    let (_open, open, device) = ready().await;
    let (_, body) = post(&open, paths::CREDENTIALS, chain(&device, 0)).await;
    assert_eq!(error(&body), "open-network");
}

#[tokio::test]
async fn whoever_has_the_list_that_revokes_may_bring_it() {
    let mut device = Device::new("a");
    let (stage, node) = admitting(&[&device]).await;
    let revoking = revocation(&device, &list(&root(), &[7], YEAR));
    assert_eq!(refusal(&stage, &node, paths::REVOCATIONS, revoking.clone()).await, "not-admitted");
    show(&node, chain(&device, 0)).await;
    for nothing in [list(&root(), &[8], YEAR), list(&maker(), &[7], YEAR), json!({}), json!([])] {
        let body = revocation(&device, &nothing);
        assert_eq!(refusal(&stage, &node, paths::REVOCATIONS, body).await, "nothing-revoked");
    }
    assert_eq!(post(&node, paths::REVOCATIONS, b"{}".to_vec()).await.0, StatusCode::BAD_REQUEST);
    let set = set_of(&node, &mut device);
    accepted(&node, set).await;
    for _ in 0..2 {
        let (status, body) = post(&node, paths::REVOCATIONS, revoking.clone()).await;
        let answer: Revocations = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, answer.revoked.len()), (StatusCode::OK, 1));
    }
    let lists = |entry: &&Entry| matches!(entry, Entry::Revoked { .. });
    assert_eq!(entries(&stage).await.iter().filter(lists).count(), 1);
    let later = envelope(&node, &mut device, "storage.telemetry", vec![1]);
    assert_eq!(reason(&send(&node, later).await[0]), "credential-revoked");
    assert_eq!(refusal(&stage, &node, paths::CREDENTIALS, chain(&device, 0)).await, "credential-revoked");
}

#[tokio::test]
async fn whoever_shows_the_credentials_of_a_device_again_and_again_keeps_nobody_out() {
    let mut device = Device::new("a");
    let (stage, node) = admitting(&[&device]).await;
    let newer = |more: u64| {
        let credentials = [grant(&root(), &maker(), 2, 7), vouch(&maker(), &device, 0, EPOCH * 9 + more)];
        shown(&credentials, &list(&root(), &[], YEAR))
    };
    for more in 1..=8 {
        show(&node, newer(more)).await;
    }
    assert_eq!(refusal(&stage, &node, paths::CREDENTIALS, newer(9)).await, "quota");
    // What says nothing new is answered as before, its reports count, and it can still be revoked.
    show(&node, newer(8)).await;
    let set = set_of(&node, &mut device);
    accepted(&node, set).await;
    let body = revocation(&device, &list(&root(), &[7], YEAR));
    assert_eq!(post(&node, paths::REVOCATIONS, body).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_older_firmware_than_before_is_refused_at_the_door() {
    let mut device = Device::new("a");
    let (_stage, node) = admitting(&[&device]).await;
    show(&node, chain(&device, 0)).await;
    let state = async |device: &mut Device, version, digest| {
        let firmware = Firmware { version, digest: Digest([digest; 32]) };
        let report = envelope(&node, device, Firmware::KIND, firmware.to_bytes());
        reason(&send(&node, report).await[0]).to_owned()
    };
    assert_eq!(state(&mut device, 7, 1).await, "accepted");
    assert_eq!(state(&mut device, 6, 2).await, "firmware-rollback");
    assert_eq!(state(&mut device, 7, 2).await, "firmware-rollback");
    assert_eq!(state(&mut device, 8, 2).await, "accepted");
    assert_eq!(work(&node, &device).await.firmware.map(|firmware| firmware.version), Some(8));
}
