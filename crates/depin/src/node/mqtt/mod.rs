//! Reports over MQTT 5: the same envelopes, acknowledged to the broker only when they are durable.
//!
//! A device publishes one envelope, or a CBOR sequence of them, with QoS 1 to `depin/<network id>/reports/<key id or did:key>`, and reads what
//! became of them from `depin/<network id>/receipts/<key id>`, where the key id is that of the envelope, as 32 hexadecimal digits. The node's
//! session outlives the node: what the broker took while the node was away arrives afterwards, and what the broker delivers twice gets the same
//! receipt twice.

mod broker;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use depin_core::{DeviceId, Digest, KeyId, Text, sha256};
use depin_identity::Envelope;
use rumqttc::v5::{
    AsyncClient, ConnectionError, Event, MqttOptions,
    mqttbytes::{
        QoS,
        v5::{Packet, Publish, SubscribeReasonCode},
    },
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use self::broker::{Broker, BrokerError};
use super::{
    Inner, Node, Part,
    http::{enter, split},
    intake::Item,
};
use crate::api::ReportResult;

/// Largest message: the largest envelope, its topic and properties.
const MAX_PACKET: u32 = 1_100_000;
/// How long the broker keeps what arrives while the node is away, in seconds: thirty days.
const SESSION: u32 = 2_592_000;
/// Shortest and longest wait before the next attempt to connect.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How many times the messages that may be in flight are put up with: after a pause, Mosquitto 2.0 delivers more than it was told.
const LENIENCE: usize = 4;
/// How long a message waits that the node could not take.
const RETRY: Duration = Duration::from_secs(1);

/// What became of the reports of one message, as the node publishes it in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// In the order of the reports.
    pub results: Vec<Answer>,
}

/// What became of one report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// SHA-256 of the envelope, so that the device knows which.
    pub report: Digest,
    /// The same as over HTTP.
    #[serde(flatten)]
    pub result: ReportResult,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Connection(#[from] Box<ConnectionError>),
    #[error("the broker refuses the subscription to {topic}: {reason}; let this user read it")]
    Subscription { topic: String, reason: String },
    #[error(
        "the broker delivers far more than {0} messages before any is acknowledged, which it was told not to; they are asked for again"
    )]
    Overrun(u16),
}

impl Node {
    /// Takes reports from `broker` until `stop` is cancelled. A connection that is lost is made again, after a pause that grows.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker's description is wrong. That it cannot be reached is no error; the node's health says so.
    pub async fn mqtt(&self, broker: &Broker, stop: CancellationToken) -> Result<(), BrokerError> {
        let network = self.network().params().network();
        let mut options = broker.options(&format!("depin-node-{network}"))?;
        options
            .set_manual_acks(true)
            .set_clean_start(false)
            .set_session_expiry_interval(Some(SESSION))
            .set_receive_maximum(Some(broker.in_flight))
            .set_max_packet_size(Some(MAX_PACKET));
        let mut pause = BACKOFF.0;
        loop {
            let connection = Connection::new(self, &options, broker.in_flight);
            let begun = Instant::now();
            let ended = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ended = connection.run() => ended,
            };
            let inner = &self.0;
            inner.metrics.mqtt(false);
            inner.health.degrade(Part::Mqtt, inner.now(), &ended);
            let progressed = begun.elapsed() > BACKOFF.1 || matches!(ended, Ended::Overrun(_));
            pause = if progressed { BACKOFF.0 } else { pause };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = pause.saturating_mul(2).min(BACKOFF.1);
        }
    }
}

/// One connection. With it go its unsent acknowledgements: an identifier that the broker has given to another message since must not be
/// acknowledged.
struct Connection {
    inner: Arc<Inner>,
    topics: Topics,
    client: AsyncClient,
    events: rumqttc::v5::EventLoop,
    in_flight: u16,
    places: Arc<Semaphore>,
    /// Whether a message was left unacknowledged for want of a place. The broker delivers it again, but only on another connection.
    left: bool,
    handlers: JoinSet<()>,
}

impl Connection {
    fn new(node: &Node, options: &MqttOptions, in_flight: u16) -> Self {
        // Every message leads to an acknowledgement and, rarely more than one, answers.
        let waiting = usize::from(in_flight).saturating_mul(2).saturating_add(1);
        let (client, events) = AsyncClient::new(options.clone(), waiting);
        Self {
            inner: Arc::clone(&node.0),
            topics: Topics { root: format!("depin/{}", node.network().params().network()) },
            client,
            events,
            in_flight,
            places: Arc::new(Semaphore::new(usize::from(in_flight).saturating_mul(LENIENCE))),
            left: false,
            handlers: JoinSet::new(),
        }
    }

    /// Handles messages until the connection is lost.
    async fn run(mut self) -> Ended {
        loop {
            let event = match self.events.poll().await {
                Ok(event) => event,
                Err(error) => return Box::new(error).into(),
            };
            while self.handlers.try_join_next().is_some() {}
            if self.left && self.handlers.is_empty() {
                return Ended::Overrun(self.in_flight);
            }
            let Event::Incoming(packet) = event else { continue };
            let topic = self.topics.reports();
            match packet {
                // Subscribing again changes nothing where the session was kept.
                Packet::ConnAck(_) if self.client.try_subscribe(&topic, QoS::AtLeastOnce).is_err() => {
                    return Ended::Subscription { topic, reason: "nothing could be sent".into() };
                }
                Packet::SubAck(answer) => {
                    let refused =
                        |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
                    if let Some(code) = answer.return_codes.iter().find(refused) {
                        return Ended::Subscription { topic, reason: format!("{code:?}") };
                    }
                    tracing::info!(topic, "connected with the MQTT broker");
                    self.inner.metrics.mqtt(true);
                    self.inner.health.recover(Part::Mqtt);
                }
                Packet::Publish(publish) => self.take(publish),
                _ => {}
            }
        }
    }

    fn take(&mut self, publish: Publish) {
        if publish.dup {
            self.inner.metrics.mqtt_redelivered();
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            // With QoS 0 nothing was promised, and nothing is delivered again.
            self.left |= publish.qos != QoS::AtMostOnce;
            return;
        };
        let handler = Handler {
            inner: Arc::clone(&self.inner),
            topics: self.topics.clone(),
            client: self.client.clone(),
        };
        self.handlers.spawn(handler.handle(publish, place));
    }
}

/// Handles one message.
struct Handler {
    inner: Arc<Inner>,
    topics: Topics,
    client: AsyncClient,
}

impl Handler {
    async fn handle(self, publish: Publish, place: OwnedSemaphorePermit) {
        let begun = Instant::now();
        let answers = match self.topics.sender(&publish.topic) {
            Some(sender) => self.answers(&sender, &publish.payload, begun).await,
            None => BTreeMap::new(),
        };
        for (key, results) in answers {
            let Ok(text) = serde_json::to_vec(&Answers { results }) else { continue };
            // Sent before the acknowledgement and on the same connection: a broker that has the one has the other.
            let sent = self.client.publish(self.topics.receipts(&key), QoS::AtLeastOnce, false, text).await;
            if sent.is_err() {
                return;
            }
        }
        // Given back first: as soon as the broker has the acknowledgement, it may deliver the next.
        drop(place);
        // A connection that is gone takes its acknowledgements with it; the broker delivers again.
        let _ = self.client.ack(&publish).await;
    }

    /// What becomes of the reports in `payload`, by key. It returns once they are durable or refused, however long that takes.
    async fn answers(&self, sender: &Sender, payload: &[u8], begun: Instant) -> BTreeMap<KeyId, Vec<Answer>> {
        let envelopes = match split(payload) {
            Ok(envelopes) => envelopes,
            Err(failure) => {
                let result =
                    refuse("message", failure.message(), "publish one envelope, or a CBOR sequence of them");
                self.inner.metrics.answered("mqtt", std::slice::from_ref(&result), begun.elapsed());
                let answer = Answer { report: sha256(&[payload]), result };
                return sender.key().map(|key| (key, vec![answer])).into_iter().collect();
            }
        };
        let keys: Vec<Option<KeyId>> = envelopes
            .iter()
            .map(|bytes| Envelope::parse(bytes).ok().map(|envelope| envelope.key_id()))
            .collect();
        let digests: Vec<Digest> = envelopes.iter().map(|bytes| sha256(&[bytes])).collect();
        // A broker lets a user write to topics of its own only; under those, nobody gets others an answer.
        let results = if keys.iter().flatten().all(|key| sender.may_send(key)) {
            self.submit(envelopes).await
        } else {
            let result =
                refuse("topic", "an envelope of another key", "publish under the key id of the envelope");
            vec![result; envelopes.len()]
        };
        self.inner.metrics.answered("mqtt", &results, begun.elapsed());
        let mut answers: BTreeMap<KeyId, Vec<Answer>> = BTreeMap::new();
        for ((key, report), result) in keys.into_iter().zip(digests).zip(results) {
            let reader = key.filter(|key| sender.may_send(key)).or_else(|| sender.key());
            if let Some(reader) = reader {
                answers.entry(reader).or_default().push(Answer { report, result });
            }
        }
        answers
    }

    /// Hands envelopes to the door until it takes them. Meanwhile the broker keeps the message, and its share of what may be in flight.
    async fn submit(&self, envelopes: Vec<Vec<u8>>) -> Vec<ReportResult> {
        let size = envelopes.iter().fold(0_usize, |size, envelope| size.saturating_add(envelope.len()));
        let size = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
        loop {
            if let Ok(room) = Arc::clone(&self.inner.room).acquire_many_owned(size).await {
                match enter(&self.inner, None, room, |reply| Item::Reports(envelopes.clone(), reply)).await {
                    Ok(results) => return results,
                    Err(failure) => tracing::debug!(reason = failure.message(), "a message waits"),
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

fn refuse(reason: &'static str, observed: &str, limit: &str) -> ReportResult {
    ReportResult::Refused { reason: Text::from(reason), observed: observed.into(), limit: limit.into() }
}

/// The topics of a network.
#[derive(Clone, Debug)]
struct Topics {
    root: String,
}

/// Who published, as the topic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Key(KeyId),
    Device,
}

impl Topics {
    fn reports(&self) -> String {
        format!("{}/reports/+", self.root)
    }

    fn receipts(&self, key: &KeyId) -> String {
        format!("{}/receipts/{key}", self.root)
    }

    /// Who published to `topic`; none if it is no topic for reports.
    fn sender(&self, topic: &[u8]) -> Option<Sender> {
        let rest = std::str::from_utf8(topic).ok()?.strip_prefix(&self.root)?.strip_prefix("/reports/")?;
        match rest.parse::<KeyId>() {
            Ok(key) => Some(Sender::Key(key)),
            Err(_) => rest.parse::<DeviceId>().ok().map(|_| Sender::Device),
        }
    }
}

impl Sender {
    /// Under its did:key a device may use whichever of its keys is current.
    fn may_send(self, key: &KeyId) -> bool {
        match self {
            Self::Key(own) => own == *key,
            Self::Device => true,
        }
    }

    /// Where answers go that belong to no envelope.
    const fn key(self) -> Option<KeyId> {
        match self {
            Self::Key(key) => Some(key),
            Self::Device => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_its_sender_or_nobody() {
        let topics = Topics { root: "depin/ab".into() };
        let key = KeyId([7; 16]);
        let named = format!("depin/ab/reports/{key}");
        assert_eq!(topics.sender(named.as_bytes()), Some(Sender::Key(key)));
        let did = "depin/ab/reports/did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        assert_eq!(topics.sender(did.as_bytes()), Some(Sender::Device));
        for other in
            ["depin/ab/reports/", "depin/ac/reports/07", "depin/ab/receipts/x", "depin/ab/reports/a/b", ""]
        {
            assert_eq!(topics.sender(other.as_bytes()), None, "{other}");
        }
        assert_eq!(topics.sender(&[0xff]), None);
        assert_eq!(topics.receipts(&key), format!("depin/ab/receipts/{}", "07".repeat(16)));
    }

    #[test]
    fn nobody_sends_under_the_topic_of_another_key() {
        let sender = Sender::Key(KeyId([1; 16]));
        assert!(sender.may_send(&KeyId([1; 16])) && !sender.may_send(&KeyId([2; 16])));
    }
}
