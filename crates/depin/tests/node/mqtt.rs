//! Reports over MQTT, through a real Mosquitto.

use std::{
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use depin::node::{
    Part,
    mqtt::{Answers, Broker},
};
use depin_core::KeyId;
use rumqttc::v5::{
    AsyncClient, Event, EventLoop, MqttOptions,
    mqttbytes::{QoS, v5::Packet},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// A broker of our own on a loopback port; it keeps what it holds in its directory.
pub(super) struct Mosquitto {
    child: Child,
    pub(super) port: u16,
    _dir: tempfile::TempDir,
}

impl Mosquitto {
    /// None where there is no Mosquitto; in CI that is a failure.
    pub(super) fn start(test: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\nuser root\n",
            dir.path().display()
        );
        let path = dir.path().join("mosquitto.conf");
        std::fs::write(&path, text).unwrap();
        let mut found = Err(std::io::Error::other("nowhere"));
        for program in ["mosquitto", "/usr/sbin/mosquitto"] {
            found = Command::new(program)
                .arg("-c")
                .arg(&path)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            if found.is_ok() {
                break;
            }
        }
        let Ok(child) = found else {
            assert!(std::env::var("CI").is_err(), "{test}: mosquitto is not installed");
            return None;
        };
        let broker = Self { child, port, _dir: dir };
        for _ in 0..1_000 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(broker);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("mosquitto does not listen");
    }

    pub(super) fn broker(&self) -> Broker {
        Broker {
            url: format!("mqtt://127.0.0.1:{}", self.port),
            client_id: None,
            username: None,
            password: None,
            ca_file: None,
            // Few, so that a broker with more to deliver meets every bound.
            in_flight: 2,
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The node takes reports from `broker` until the token is cancelled.
pub(super) fn take(node: &Node, broker: Broker) -> (CancellationToken, JoinHandle<()>) {
    let (node, stop) = (node.clone(), CancellationToken::new());
    let stopped = stop.clone();
    (stop, tokio::spawn(async move { node.mqtt(&broker, stopped).await.unwrap() }))
}

/// A device's side: it publishes, and reads what became of it.
pub(super) struct Member {
    client: AsyncClient,
    events: EventLoop,
    root: String,
    key: KeyId,
}

impl Member {
    pub(super) async fn connect(broker: &Mosquitto, name: &str, key: KeyId) -> Self {
        let options = MqttOptions::new(name, "127.0.0.1", broker.port);
        let (client, events) = AsyncClient::new(options, 64);
        let root = format!("depin/{}", params().network());
        let mut member = Self { client, events, root, key };
        member.client.subscribe(format!("{}/receipts/{key}", member.root), QoS::AtLeastOnce).await.unwrap();
        member.wait(|packet| matches!(packet, Packet::SubAck(_)).then_some(())).await;
        member
    }

    async fn wait<T>(&mut self, wanted: impl Fn(&Packet) -> Option<T>) -> T {
        let wait = async {
            loop {
                if let Event::Incoming(packet) = self.events.poll().await.unwrap()
                    && let Some(found) = wanted(&packet)
                {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("nothing came")
    }

    pub(super) async fn publish(&mut self, payload: Vec<u8>) {
        let topic = format!("{}/reports/{}", self.root, self.key);
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
    }

    pub(super) async fn answers(&mut self) -> Answers {
        self.wait(|packet| match packet {
            Packet::Publish(publish) => Some(serde_json::from_slice(&publish.payload).unwrap()),
            _ => None,
        })
        .await
    }
}

pub(super) fn key_of(envelope: &[u8]) -> KeyId {
    Envelope::parse(envelope).unwrap().key_id()
}

#[tokio::test]
async fn a_report_over_mqtt_gets_the_receipt_it_would_get_over_http() {
    let Some(broker) = Mosquitto::start("a_report_over_mqtt") else { return };
    let (stage, node, mut device) = ready().await;
    let (stop, task) = take(&node, broker.broker());
    let one = set_of(&node, &mut device);
    let mut member = Member::connect(&broker, "device", key_of(&one)).await;
    // The session of the node may begin after this: what nobody is subscribed to yet is sent again.
    let first = loop {
        member.publish(one.clone()).await;
        if let Ok(answers) = tokio::time::timeout(Duration::from_secs(2), member.answers()).await {
            break answers;
        }
    };
    let [answer] = first.results.as_slice() else { panic!("{first:?}") };
    assert_eq!(answer.report, sha256(&[&one]));
    let over_http = accepted(&node, one.clone()).await;
    assert_eq!(answer.result, ReportResult::Accepted { receipt: over_http });
    member.publish(one).await;
    assert_eq!(member.answers().await, first, "again the same receipt");
    assert_eq!(reports(&stage).await, 1, "and it is there once");
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn what_the_broker_took_while_the_node_was_away_arrives_afterwards() {
    let Some(broker) = Mosquitto::start("what_the_broker_took") else { return };
    let (stage, node, mut device) = ready().await;
    let (stop, task) = take(&node, broker.broker());
    let sets: Vec<Vec<u8>> = (0..20).map(|_| set_of(&node, &mut device)).collect();
    let mut member = Member::connect(&broker, "device", key_of(&sets[0])).await;
    loop {
        member.publish(sets[0].clone()).await;
        if tokio::time::timeout(Duration::from_secs(2), member.answers()).await.is_ok() {
            break;
        }
    }
    stop.cancel();
    task.await.unwrap();
    for set in &sets[1..] {
        member.publish(set.clone()).await;
    }
    let mut acknowledged = 0;
    while acknowledged < 19 {
        member.wait(|packet| matches!(packet, Packet::PubAck(_)).then_some(())).await;
        acknowledged += 1;
    }
    assert_eq!(reports(&stage).await, 1, "nobody was there");
    let (stop, task) = take(&node, broker.broker());
    let mut answered = std::collections::BTreeSet::new();
    while answered.len() < 19 {
        for answer in member.answers().await.results {
            assert!(matches!(answer.result, ReportResult::Accepted { .. }), "{answer:?}");
            answered.insert(answer.report);
        }
    }
    assert_eq!(reports(&stage).await, 20);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_published_and_does_not_hold_up_what_follows() {
    let Some(broker) = Mosquitto::start("a_refusal_is_published") else { return };
    let (_stage, node, mut device) = ready().await;
    let (stop, task) = take(&node, broker.broker());
    let one = set_of(&node, &mut device);
    let mut member = Member::connect(&broker, "device", key_of(&one)).await;
    let refused = loop {
        member.publish(b"no envelope".to_vec()).await;
        if let Ok(answers) = tokio::time::timeout(Duration::from_secs(2), member.answers()).await {
            break answers;
        }
    };
    assert_eq!(reason(&refused.results[0].result), "message");
    // Under this key's topic nobody speaks for another.
    let other = envelope(&node, &mut Device::new("stranger"), SET_KIND, vec![0x80]);
    member.publish(other).await;
    member.publish(one.clone()).await;
    let mut reasons = Vec::new();
    while !reasons.contains(&"accepted".to_owned()) || !reasons.contains(&"topic".to_owned()) {
        let answers = member.answers().await;
        reasons.extend(answers.results.iter().map(|answer| reason(&answer.result).to_owned()));
    }
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_degraded_health_and_no_end() {
    let (_stage, node, _) = ready().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let broker = Broker {
        url: format!("mqtt://127.0.0.1:{port}"),
        client_id: None,
        username: None,
        password: None,
        ca_file: None,
        in_flight: 8,
    };
    let (stop, task) = take(&node, broker);
    let seen = async {
        while node.health().of(Part::Mqtt).is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
    assert!(node.readiness().ready, "reports over HTTP are taken");
    stop.cancel();
    task.await.unwrap();
}
