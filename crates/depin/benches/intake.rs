//! Reports over HTTP on loopback to durable receipts, beside what the same cores do when they check signatures and nothing else.
//!
//! `cargo bench -p depin --features node --bench intake`. It prints both rates, their ratio, and how long a request takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)] // a bench
#![allow(clippy::as_conversions, clippy::float_arithmetic, unused_imports, dead_code)] // for people, and parts shared with tests

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/node/stage.rs"]
mod stage;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{primitives::U256, signers::SignerSync};
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use common::*;
use depin::{
    Catalogue, Network, NetworkParams,
    api::{ApiError, Contracts, NetworkInfo, ReportResult, ReportResults, paths},
    entry::Entry,
    evm::{
        DeployConfig, Deployment, Finality, Sender,
        contracts::NetworkToken,
        credits, deploy,
        embedded::{self, EmbeddedChain},
    },
    node::{Chain, Clock, FileJournal, Node, NodeError, NodeOptions, NodeParts, journal::Journal},
};
use depin_core::{Amount, Timestamp, cbor};
use depin_identity::{Action, Envelope, OwnerSignature, SignedBinding};
use depin_proof::possession::SET_KIND;
use rayon::prelude::*;
use stage::*;
use tower::ServiceExt;

const DEVICES: usize = 32;
/// Reports of one request.
const BATCH: usize = 256;
/// Requests of one round.
const REQUESTS: usize = 96;
/// Requests under way at once.
const CLIENTS: usize = 8;
const ROUNDS: usize = 5;

/// Every request is one device's, so that no quota is reached.
fn bodies(node: &Node, devices: &mut [Device]) -> Vec<Vec<Vec<u8>>> {
    let now = node.clock().now();
    (0..REQUESTS)
        .map(|request| {
            let device = &mut devices[request % DEVICES];
            let reports: Vec<_> =
                (0..BATCH).map(|_| device.report("storage.telemetry", vec![7; 64], now)).collect();
            let device = &*device;
            reports.par_iter().map(|report| device.sign(report)).collect()
        })
        .collect()
}

/// Reports a second, and how long each request took.
async fn intake(client: &reqwest::Client, url: &str, bodies: Vec<Vec<u8>>) -> (f64, Vec<Duration>) {
    let queue = Arc::new(std::sync::Mutex::new(bodies));
    let begun = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let (client, url, queue) = (client.clone(), url.to_owned(), Arc::clone(&queue));
        clients.push(tokio::spawn(async move {
            let mut took = Vec::new();
            loop {
                let Some(body) = queue.lock().unwrap().pop() else { return took };
                let sent = Instant::now();
                let response = client.post(&url).body(body).send().await.unwrap();
                assert_eq!(response.status().as_u16(), 200);
                let answer = response.bytes().await.unwrap();
                took.push(sent.elapsed());
                assert!(!answer.windows(7).any(|window| window == b"refused"));
            }
        }));
    }
    let mut took = Vec::new();
    for client in clients {
        took.extend(client.await.unwrap());
    }
    ((REQUESTS * BATCH) as f64 / begun.elapsed().as_secs_f64(), took)
}

/// Signatures a second, checked on all cores.
fn raw(envelopes: &[Vec<Vec<u8>>], devices: &[Device]) -> f64 {
    let network = params().network();
    let keys: Vec<_> = devices.iter().map(|device| *device.key.public()).collect();
    let each: Vec<_> = envelopes
        .iter()
        .enumerate()
        .flat_map(|(request, list)| list.iter().map(move |one| (request, one)))
        .collect();
    let begun = Instant::now();
    each.par_iter().for_each(|(request, envelope)| {
        Envelope::parse(envelope).unwrap().verify(&keys[request % DEVICES], network).unwrap();
    });
    each.len() as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut list: Vec<f64>) -> f64 {
    list.sort_by(f64::total_cmp);
    list[list.len() / 2]
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stage = Stage::new().await;
        let node = stage.open().await;
        let mut devices: Vec<_> = (0..DEVICES).map(|at| Device::empty(&format!("device {at}"))).collect();
        for device in &devices {
            register(&node, device).await;
        }
        node.open_epoch().await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{}", listener.local_addr().unwrap(), paths::REPORTS);
        let router = node.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = reqwest::Client::new();
        let (mut rates, mut raws, mut took) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let envelopes = tokio::task::block_in_place(|| bodies(&node, &mut devices));
            let checked = tokio::task::block_in_place(|| raw(&envelopes, &devices));
            let (rate, times) =
                intake(&client, &url, envelopes.iter().map(|list| list.concat()).collect()).await;
            // The first round warms up.
            if round > 0 {
                println!(
                    "round {round}: {rate:.0} reports/s, {checked:.0} signatures/s, ratio {:.2}",
                    rate / checked
                );
                rates.push(rate);
                raws.push(checked);
                took.extend(times);
            }
        }
        took.sort();
        let at = |share: usize| took[(took.len() - 1) * share / 100];
        let (rate, checked) = (median(rates), median(raws));
        println!("intake to durable receipt  {rate:.0} reports/s, {BATCH} a request, {CLIENTS} clients");
        println!("checking signatures alone  {checked:.0} a second");
        println!("ratio                      {:.2}", rate / checked);
        println!("request                    p50 {:?}, p99 {:?}", at(50), at(99));
        node.shutdown().await.unwrap();
    });
}
