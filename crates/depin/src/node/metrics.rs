//! What the node counts and measures, for Prometheus: names with units, labels from closed sets.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use depin_core::Text;
use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::health::Part;
use crate::api::ReportResult;

/// Label values that come from outside are kept up to this many; the rest is counted as `other`.
const MAX_REASONS: usize = 64;

type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Gauges<const N: usize> = Family<Labels<N>, Gauge>;

/// The node's metrics. Everything that happens is counted when it happens; what has a size is measured when somebody asks.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reports: Counters<2>,
    refused: Counters<2>,
    reasons: Mutex<Vec<Text>>,
    receipt: Family<Labels<1>, Histogram>,
    batch: Histogram,
    sync: Histogram,
    requests: Counters<2>,
    shed: Counters<2>,
    duration: Family<Labels<1>, Histogram>,
    connections: Gauges<1>,
    mqtt_connected: Gauge,
    mqtt_lost: Counter,
    mqtt_redelivered: Counter,
    chain_errors: Counters<1>,
    journal_block: Gauge,
    /// Set when somebody asks.
    pub(super) gauges: NodeGauges,
}

/// What is measured when somebody asks.
#[derive(Debug, Default)]
pub(super) struct NodeGauges {
    pub(super) queue: Gauge,
    pub(super) queue_bytes: Gauge,
    pub(super) journal_bytes: Gauge,
    pub(super) journal_segments: Gauge,
    pub(super) journal_entries: Gauge,
    pub(super) epoch: Gauge,
    pub(super) phase: Gauges<1>,
    pub(super) head: Gauge,
    pub(super) indexed: Gauge,
    pub(super) finalised: Gauge,
    pub(super) behind: Gauge,
    pub(super) reorgs: Gauge,
    pub(super) status: Gauges<1>,
    pub(super) degraded: Gauges<1>,
    pub(super) ready: Gauge,
}

/// From a tenth of a millisecond to some 13 s.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 18))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("depin"),
            reports: Family::default(),
            refused: Family::default(),
            reasons: Mutex::default(),
            receipt: Family::new_with_constructor(times),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            sync: times(),
            requests: Family::default(),
            shed: Family::default(),
            duration: Family::new_with_constructor(times),
            connections: Family::default(),
            mqtt_connected: Gauge::default(),
            mqtt_lost: Counter::default(),
            mqtt_redelivered: Counter::default(),
            chain_errors: Family::default(),
            journal_block: Gauge::default(),
            gauges: NodeGauges::default(),
        };
        metrics.register();
        metrics.gauges.register(&mut metrics.registry);
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "reports",
            "Reports that were answered, by how they came and what became of them",
            self.reports.clone(),
        );
        registry.register(
            "reports_refused",
            "Refused reports, by how they came and why",
            self.refused.clone(),
        );
        registry.register_with_unit(
            "report_receipt_duration",
            "From the last byte of a request with reports to its answer, by how it came",
            Unit::Seconds,
            self.receipt.clone(),
        );
        registry.register("journal_batch_entries", "Entries written and synced at once", self.batch.clone());
        registry.register_with_unit(
            "journal_append_duration",
            "Writing a batch to the journal until it is durable",
            Unit::Seconds,
            self.sync.clone(),
        );
        registry.register(
            "http_requests",
            "Answered requests, by listener and class of status",
            self.requests.clone(),
        );
        registry.register(
            "http_shed",
            "Requests and connections turned away with 429, by listener and limit",
            self.shed.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From a request's headers to its answer's, by listener",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register("http_connections", "Open connections, by listener", self.connections.clone());
        registry.register(
            "mqtt_connected",
            "Whether the node is connected with its MQTT broker",
            self.mqtt_connected.clone(),
        );
        registry.register(
            "mqtt_connections_lost",
            "Connections with the MQTT broker that ended",
            self.mqtt_lost.clone(),
        );
        registry.register(
            "mqtt_redelivered",
            "Messages that the MQTT broker delivered again",
            self.mqtt_redelivered.clone(),
        );
        registry.register(
            "chain_errors",
            "Reads and transactions that the chain did not answer as it should, by the part of the node that asked",
            self.chain_errors.clone(),
        );
        registry.register(
            "journal_block",
            "The newest block whose events are in the journal",
            self.journal_block.clone(),
        );
    }

    /// The text that Prometheus reads.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }

    /// Reports were answered after `took`. `way` is `http` or `mqtt`.
    pub(super) fn answered(&self, way: &'static str, results: &[ReportResult], took: Duration) {
        self.receipt.get_or_create(&[("way", way.into())]).observe(took.as_secs_f64());
        for result in results {
            let word = match result {
                ReportResult::Accepted { .. } => "accepted",
                ReportResult::Refused { reason, .. } => {
                    let reason = self.known(reason);
                    self.refused.get_or_create(&[("way", way.into()), ("reason", reason)]).inc();
                    "refused"
                }
            };
            self.reports.get_or_create(&[("way", way.into()), ("result", word.into())]).inc();
        }
    }

    /// Reasons come from our own checks, but a verifier of a third party may invent them: only so many become labels.
    fn known(&self, reason: &Text) -> String {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        if !reasons.contains(reason) {
            if reasons.len() >= MAX_REASONS {
                return "other".into();
            }
            reasons.push(reason.clone());
        }
        reason.to_string()
    }

    /// A batch of entries became durable after `took`.
    pub(super) fn appended(&self, entries: u32, took: Duration) {
        self.batch.observe(f64::from(entries));
        self.sync.observe(took.as_secs_f64());
    }

    /// A request was answered.
    pub(super) fn request(&self, listener: &'static str, status: u16, took: Duration) {
        let class = match status {
            0..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create(&[("listener", listener.into()), ("status", class.into())]).inc();
        self.duration.get_or_create(&[("listener", listener.into())]).observe(took.as_secs_f64());
    }

    /// Something was turned away because of `limit`.
    pub(super) fn shed(&self, listener: &'static str, limit: &'static str) {
        self.shed.get_or_create(&[("listener", listener.into()), ("limit", limit.into())]).inc();
    }

    /// A listener has so many connections now.
    pub(super) fn connections(&self, listener: &'static str, count: u32) {
        self.connections.get_or_create(&[("listener", listener.into())]).set(i64::from(count));
    }

    /// The MQTT connection came or went.
    pub(super) fn mqtt(&self, connected: bool) {
        if !connected && self.mqtt_connected.get() == 1 {
            self.mqtt_lost.inc();
        }
        self.mqtt_connected.set(i64::from(connected));
    }

    /// The chain did not answer `part` as it should.
    pub(super) fn chain_error(&self, part: Part) {
        self.chain_errors.get_or_create(&[("part", part.as_str().into())]).inc();
    }

    /// The events of all blocks before `next` are in the journal.
    pub(super) fn recorded(&self, next: u64) {
        self.journal_block.set(i64::try_from(next.saturating_sub(1)).unwrap_or(i64::MAX));
    }

    /// The broker delivered a message again.
    pub(super) fn mqtt_redelivered(&self) {
        self.mqtt_redelivered.inc();
    }
}

impl NodeGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("intake_queue_requests", "Requests that wait for the journal", self.queue.clone());
        registry.register_with_unit(
            "intake_queue",
            "Room taken by requests that wait for the journal",
            Unit::Bytes,
            self.queue_bytes.clone(),
        );
        registry.register_with_unit(
            "journal_size",
            "The journal on disk",
            Unit::Bytes,
            self.journal_bytes.clone(),
        );
        registry.register("journal_segments", "Files of the journal", self.journal_segments.clone());
        registry.register(
            "journal_entries",
            "Entries of the journal since the network began",
            self.journal_entries.clone(),
        );
        registry.register("epoch", "The current epoch", self.epoch.clone());
        registry.register("epoch_phase", "1 for the phase that the epoch is in", self.phase.clone());
        registry.register(
            "chain_head_block",
            "The newest block of the chain that the node has seen",
            self.head.clone(),
        );
        registry.register("index_block", "The newest block in the index", self.indexed.clone());
        registry.register("chain_final_block", "The newest final block", self.finalised.clone());
        registry.register(
            "index_lag_blocks",
            "Blocks of the chain that are not in the index yet",
            self.behind.clone(),
        );
        registry.register(
            "index_status",
            "1 for how the index follows the chain: live, backfill, degraded or stopped",
            self.status.clone(),
        );
        registry.register(
            "index_reorgs_seen",
            "Reorganisations of the chain that the index undid since it was made",
            self.reorgs.clone(),
        );
        registry.register("degraded", "1 for each part that is degraded", self.degraded.clone());
        registry.register("ready", "Whether /readyz says that the node is ready", self.ready.clone());
    }
}
