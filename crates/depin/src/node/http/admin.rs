//! What operators and their monitoring ask.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use depin_core::Timestamp;
use depin_index::{Limit, Seek, Store};
use serde::{Deserialize, Serialize};

use crate::node::{
    Inner, Metrics, Node,
    health::{Degraded, Health, Part},
    intake,
};

/// How long a part that intake can do without may be degraded while the node still counts as ready, in milliseconds: an RPC that is
/// restarted should not take the node out of service.
const GRACE: u64 = 300_000;
/// Files of the journal that are counted at most.
const MAX_SEGMENTS: usize = 100_000;
/// Longest that a scrape waits for the index.
const PATIENCE: Duration = Duration::from_secs(1);
/// What Prometheus expects of this format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the node is ready, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it acknowledges reports, and nothing else has been degraded for longer than five minutes.
    pub ready: bool,
    /// Everything that is degraded.
    pub degraded: Vec<Degraded>,
}

impl Readiness {
    /// How ready a node of this health is at `now`.
    pub fn of(health: Health, now: Timestamp) -> Self {
        let lasts = |degraded: &Degraded| {
            let bounded = matches!(
                degraded.part,
                Part::Chain | Part::Transactions | Part::Index | Part::Epochs | Part::Beacon | Part::Bundles
            );
            bounded && now.since(degraded.since).0 > GRACE
        };
        let ready = health.takes_reports() && !health.degraded.iter().any(lasts);
        Self { ready, degraded: health.degraded }
    }
}

impl Node {
    /// Whether it is ready, as `/readyz` has it.
    pub fn readiness(&self) -> Readiness {
        Readiness::of(self.0.health.health(), self.0.now())
    }

    /// What it counts and measures.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }
}

pub(super) async fn alive() -> &'static str {
    "alive\n"
}

pub(super) async fn ready(State(inner): State<Arc<Inner>>) -> Response {
    let readiness = Readiness::of(inner.health.health(), inner.now());
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

pub(super) async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "see /healthz, /readyz and /metrics\n").into_response()
}

pub(super) async fn metrics(State(inner): State<Arc<Inner>>) -> Response {
    // Whoever is slow to answer keeps its last value: what watches must not wait for what it watches.
    if tokio::time::timeout(PATIENCE, measure_index(&inner)).await.is_err() {
        tracing::debug!("the index is slow to answer");
    }
    let measured = tokio::task::spawn_blocking(move || {
        measure(&inner);
        inner.metrics.text()
    });
    match measured.await {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Sets the gauges of what has to be asked for.
async fn measure_index(inner: &Inner) {
    let gauges = &inner.metrics.gauges;
    let following = inner.follower.live.following();
    let head = following.head.map(|(number, _)| number);
    gauges.status.clear();
    let status = format!("{:?}", following.status).to_lowercase();
    gauges.status.get_or_create(&[("status", status)]).set(1);
    if let Ok(cursor) = inner.store.cursor().await {
        let indexed = cursor.block.map(|block| block.number);
        gauges.indexed.set(count(indexed.unwrap_or_default()));
        gauges.finalised.set(count(cursor.final_block.unwrap_or_default()));
        gauges.head.set(count(head.max(indexed).unwrap_or_default()));
        let behind = head.unwrap_or_default().saturating_sub(indexed.unwrap_or_default());
        gauges.behind.set(count(behind));
    }
    let newest = Seek { after: None, limit: Limit::new(1).unwrap_or_default() };
    if let Ok(reorgs) = inner.store.reorgs(newest).await {
        // Each has the number after that of the one before.
        gauges.reorgs.set(count(reorgs.items.first().map_or(0, |row| row.id)));
    }
    if let Ok(entries) = inner.journal.size().await {
        gauges.journal_entries.set(count(entries));
    }
}

/// Sets the gauges to what is so now.
fn measure(inner: &Inner) {
    let gauges = &inner.metrics.gauges;
    let waiting = inner.intake.max_capacity().saturating_sub(inner.intake.capacity());
    gauges.queue.set(count(waiting));
    let room = intake::ROOM.saturating_sub(inner.room.available_permits());
    gauges.queue_bytes.set(count(room.saturating_mul(1024)));
    let (segments, bytes) = on_disk(&inner.dir.join("journal"));
    gauges.journal_segments.set(count(segments));
    gauges.journal_bytes.set(count(bytes));
    let status = inner.gate.status();
    gauges.epoch.set(count(status.epoch.0));
    let name = serde_json::to_value(status.phase).ok();
    let name = name.as_ref().and_then(|phase| phase.get("name")?.as_str()).unwrap_or("unknown");
    gauges.phase.clear();
    gauges.phase.get_or_create(&[("phase", name.into())]).set(1);
    let readiness = Readiness::of(inner.health.health(), inner.now());
    gauges.ready.set(i64::from(readiness.ready));
    gauges.degraded.clear();
    for degraded in readiness.degraded {
        gauges.degraded.get_or_create(&[("part", degraded.part.as_str().into())]).set(1);
    }
}

/// Files and bytes of the journal.
fn on_disk(path: &Path) -> (usize, u64) {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map_or((0, 0), |metadata| (1, metadata.len()));
    };
    let sizes = entries.flatten().take(MAX_SEGMENTS).filter_map(|entry| Some(entry.metadata().ok()?.len()));
    sizes.fold((0, 0), |(files, bytes), size| (files.saturating_add(1), bytes.saturating_add(size)))
}

/// A gauge is a signed number.
fn count<T: TryInto<i64>>(value: T) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(part: Part, since: u64) -> Health {
        let (reason, next) = ("down".into(), "look".into());
        Health { degraded: vec![Degraded { part, reason, since: Timestamp(since), next }] }
    }

    #[test]
    fn a_chain_that_is_down_for_a_moment_does_not_take_the_node_out_of_service() {
        let (since, now) = (1_000, |more| Timestamp(1_000 + GRACE + more));
        for part in [Part::Chain, Part::Transactions, Part::Index, Part::Beacon, Part::Bundles] {
            assert!(Readiness::of(health(part, since), now(0)).ready, "{part:?}");
            let late = Readiness::of(health(part, since), now(1));
            assert!(!late.ready && late.degraded.len() == 1, "{part:?}");
        }
    }

    #[test]
    fn a_node_that_acknowledges_nothing_is_not_ready() {
        for part in [Part::Journal, Part::Shutdown] {
            assert!(!Readiness::of(health(part, 1_000), Timestamp(1_000)).ready, "{part:?}");
        }
        assert!(Readiness::of(Health::default(), Timestamp(0)).ready);
    }
}
