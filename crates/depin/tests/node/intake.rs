//! What comes in at the door.

use super::*;

#[tokio::test]
async fn a_report_is_acknowledged_by_a_receipt_that_proves_its_place() {
    let (stage, node, mut device) = ready().await;
    let one = set_of(&node, &mut device);
    let receipt = accepted(&node, one.clone()).await;
    let key = node_key();
    let receipt = Receipt::parse_and_verify(&receipt, key.public(), params().network()).unwrap();
    receipt.check_inclusion().unwrap();
    assert_eq!((receipt.report, receipt.epoch), (sha256(&[&one]), Epoch(0)));
    let all = entries(&stage).await;
    let entry = &all[usize::try_from(receipt.index).unwrap()];
    assert_eq!(receipt.leaf, entry.leaf());
    assert!(matches!(entry, Entry::Report { envelope, .. } if **envelope == *one));
    let slots: Vec<_> = all.into_iter().map(depin::close::Slot::Entry).collect();
    assert_eq!(
        receipt.head,
        head_of(&Default::default(), &slots[..=usize::try_from(receipt.index).unwrap()])
    );
}

#[tokio::test]
async fn a_batch_gets_one_answer_for_each_report() {
    let (stage, node, mut device) = ready().await;
    let mut stranger = Device::new("stranger");
    let envelopes = [
        set_of(&node, &mut device),
        envelope(&node, &mut stranger, SET_KIND, vec![0x80]),
        envelope(&node, &mut device, "storage.telemetry", vec![1]),
    ];
    let results = send(&node, envelopes.concat()).await;
    assert_eq!(results.iter().map(reason).collect::<Vec<_>>(), ["accepted", "unknown-device", "accepted"]);
    let single: Vec<u8> = accepted(&node, envelopes[2].clone()).await;
    assert_eq!(results[2], ReportResult::Accepted { receipt: single });
    assert_eq!(reports(&stage).await, 2);
    let key = node_key();
    for result in &results {
        if let ReportResult::Accepted { receipt } = result {
            Receipt::parse_and_verify(receipt, key.public(), params().network())
                .unwrap()
                .check_inclusion()
                .unwrap();
        }
    }
}

#[tokio::test]
async fn sending_again_gives_the_same_receipt_and_leaves_no_trace() {
    let (stage, node, mut device) = ready().await;
    let one = set_of(&node, &mut device);
    let first = accepted(&node, one.clone()).await;
    let other = envelope(&node, &mut device, "storage.telemetry", vec![1]);
    accepted(&node, other).await;
    let before = stage.journal();
    for _ in 0..3 {
        assert_eq!(accepted(&node, one.clone()).await, first);
    }
    // Twice in one body.
    let results = send(&node, [one.clone(), one].concat()).await;
    assert!(results.iter().all(|result| *result == ReportResult::Accepted { receipt: first.clone() }));
    assert_eq!(stage.journal(), before);
}

#[tokio::test]
async fn what_is_no_report_is_refused_and_leaves_no_trace() {
    let (stage, node, mut device) = ready().await;
    let right = set_of(&node, &mut device);
    let before = stage.journal();
    // Nothing, too much, and too many.
    assert_eq!(post(&node, paths::REPORTS, Vec::new()).await.0, StatusCode::BAD_REQUEST);
    let (status, body) =
        post(&node, paths::REPORTS, cbor::to_vec(&minicbor::bytes::ByteVec::from(vec![0; Envelope::MAX])))
            .await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too-large"));
    assert_eq!(post(&node, paths::REPORTS, vec![0; (8 << 20) + 1]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, body) = post(&node, paths::REPORTS, vec![0; 1025]).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::BAD_REQUEST, "bad-request"));
    // Every truncation.
    for end in 1..right.len() {
        let (status, body) = post(&node, paths::REPORTS, right[..end].to_vec()).await;
        assert_eq!((status, error(&body).as_str()), (StatusCode::BAD_REQUEST, "bad-request"), "{end}");
    }
    // Another tag, and none.
    for tagged in [[&[0xd1], &right[1..]].concat(), right[1..].to_vec()] {
        let results = send(&node, tagged).await;
        assert_eq!(results.iter().map(reason).collect::<Vec<_>>(), ["malformed"]);
    }
    assert_eq!(stage.journal(), before);
    assert!(node.strangers().values().sum::<u64>() >= 2);
    accepted(&node, right).await;
}

#[tokio::test]
async fn no_flipped_bit_is_accepted() {
    let (stage, node, mut device) = ready().await;
    let right = envelope(&node, &mut device, SET_KIND, vec![0x80]);
    let before = stage.journal();
    for at in 0..right.len() {
        let mut flipped = right.clone();
        flipped[at] ^= 1 << (at % 8);
        let (status, body) = post(&node, paths::REPORTS, flipped).await;
        if status == StatusCode::OK {
            let results = serde_json::from_slice::<ReportResults>(&body).unwrap().results;
            assert!(
                results.iter().all(|result| matches!(
                    reason(result),
                    "malformed" | "unknown-device" | "wrong-signature"
                )),
                "{at}: {results:?}"
            );
        } else {
            assert_eq!(status, StatusCode::BAD_REQUEST, "{at}");
        }
    }
    assert_eq!(stage.journal(), before, "under no registered key, so nothing is written");
}

#[tokio::test]
async fn refusals_under_a_registered_key_are_written_down_within_bounds() {
    let (stage, node, mut device) = ready().await;
    let report = device.report(SET_KIND, vec![0x80], Timestamp(0));
    let late = device.sign(&report);
    let results = send(&node, late.clone()).await;
    assert_eq!(reason(&results[0]), "clock");
    assert_eq!(refused(&stage).await, 1);
    // Anybody who has seen it can send it again, and again.
    for _ in 0..4 {
        let results = send(&node, late.repeat(100)).await;
        assert!(results.iter().all(|result| reason(result) == "clock"));
    }
    assert_eq!(refused(&stage).await, 256);
    assert_eq!(node.strangers()[&text("clock")], 401 - 256);
    let right = envelope(&node, &mut device, SET_KIND, vec![0x80]);
    accepted(&node, right).await;
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let (_stage, node, mut device) = ready().await;
    let right = envelope(&node, &mut device, SET_KIND, vec![0x80]);
    // On one thread nobody empties the queue before every request has been looked at.
    let answers = join_all((0..1_030).map(|_| call(&node, "POST", paths::REPORTS, right.clone()))).await;
    let busy: Vec<_> =
        answers.iter().filter(|(status, ..)| *status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert_eq!(busy.len(), 1_030 - 1_024);
    for (_, body, retry) in busy {
        assert_eq!((error(body).as_str(), retry.as_deref()), ("busy", Some("1")));
    }
    let taken: Vec<_> = answers.iter().filter(|(status, ..)| *status == StatusCode::OK).collect();
    assert_eq!(taken.len(), 1_024);
    assert!(taken.iter().all(|(_, body, _)| *body == taken[0].1), "the same receipt for the same report");
    accepted(&node, right).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_long_for_company() {
    let (_stage, node, mut device) = ready().await;
    let start = std::time::Instant::now();
    let envelopes: Vec<_> = (0..100).map(|_| envelope(&node, &mut device, SET_KIND, vec![0x80])).collect();
    let mut tasks = Vec::new();
    // One request every other millisecond: a window that starts anew with each would wait for all of them.
    for one in envelopes {
        let node = node.clone();
        tasks.push(tokio::spawn(async move {
            accepted(&node, one).await;
            std::time::Instant::now()
        }));
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let sent = start.elapsed();
    let mut answered: Vec<_> =
        join_all(tasks).await.into_iter().map(|moment| moment.unwrap() - start).collect();
    answered.sort();
    assert!(answered[0] < sent / 2, "the first waited {:?} of {sent:?}", answered[0]);
}

#[tokio::test]
async fn a_registration_is_relayed_once_and_shown() {
    let (stage, node, device) = ready().await;
    let (_, body, _) = call(&node, "GET", &format!("{}/{}", paths::WORK, device.id()), Vec::new()).await;
    let work: Work = serde_json::from_slice(&body).unwrap();
    assert_eq!(work.record.unwrap().owner, device.owner.address());
    let (status, body) = post(&node, paths::REGISTRATIONS, b"{}".to_vec()).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::BAD_REQUEST, "bad-request"));
    // Whoever did not hear the answer asks again, with the same binding.
    let before = entries(&stage).await;
    register(&node, &device).await;
    assert_eq!(entries(&stage).await, before);
    // The thief who copied the key signs with an own wallet.
    let clone = Device { owner: wallet("thief"), ..device.clone() };
    let binding = clone.binding(Action::Register { active: true }, 0);
    let binding = depin_identity::Binding { deadline: GENESIS, ..binding };
    let signed = SignedBinding {
        binding,
        owner_signature: Some(OwnerSignature(
            clone.owner.sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes(),
        )),
        new_owner_signature: None,
        device_proof: Some(clone.key.signature(&binding.device_proof_message())),
        new_key_proof: None,
    };
    let (status, body) = post(&node, paths::REGISTRATIONS, serde_json::to_vec(&signed).unwrap()).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "registry"));
    // And a binding nobody signed as it is.
    let mut wrong = signed.clone();
    wrong.binding.owner = wallet("other").address();
    let (status, body) = post(&node, paths::REGISTRATIONS, serde_json::to_vec(&wrong).unwrap()).await;
    assert_eq!((status, error(&body).as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "binding"));
}

#[tokio::test]
async fn a_node_takes_reports_while_it_waits_for_an_epoch() {
    let stage = Stage::new().await;
    let clock = Clock::Wall;
    let now = clock.now().0;
    // An epoch that opens in an hour, by the clock on the wall.
    let later = NetworkParams { genesis: Timestamp(now + 3_600_000), ..stage.params() };
    let network = Network::new(later, &Catalogue::standard()).unwrap();
    let node = Node::open(NodeParts { network, clock, ..stage.parts() }).await.unwrap();
    let mut device = Device::new("a");
    register_until(&node, &device, u64::MAX).await;
    let waiting = node.clone();
    let waiting = tokio::spawn(async move { waiting.open_epoch().await });
    tokio::task::yield_now().await;
    let set = set_of(&node, &mut device);
    let taken = tokio::time::timeout(std::time::Duration::from_secs(20), accepted(&node, set)).await;
    assert!(taken.is_ok() && !waiting.is_finished());
    waiting.abort();
}
