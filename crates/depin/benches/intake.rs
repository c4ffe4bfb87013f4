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
#![allow(clippy::as_conversions, clippy::float_arithmetic, dead_code)] // for people, and parts shared with tests

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/node/stage.rs"]
mod stage;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::*;
use depin::{api::paths, node::Node};
use depin_identity::Envelope;
use rayon::prelude::*;
use stage::*;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

const DEVICES: usize = 64;
/// Reports of one request.
const BATCH: usize = 256;
/// Requests of one round.
const REQUESTS: usize = 96;
/// Requests under way at once.
const CLIENTS: usize = 8;
const ROUNDS: usize = 5;

/// Every request is of one device. All rounds together stay within what one device may send in an epoch.
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

/// One connection that is kept open: no client library, whose work would be on these cores as well.
struct Connection(tokio::io::BufReader<tokio::net::TcpStream>);

impl Connection {
    async fn post(&mut self, body: &[u8]) -> Vec<u8> {
        let head =
            format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", paths::REPORTS, body.len());
        self.0.write_all(head.as_bytes()).await.unwrap();
        self.0.write_all(body).await.unwrap();
        let (mut line, mut length, mut first) = (String::new(), 0, true);
        loop {
            line.clear();
            self.0.read_line(&mut line).await.unwrap();
            if std::mem::take(&mut first) {
                assert!(line.starts_with("HTTP/1.1 200"), "{line}");
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).await.unwrap();
        answer
    }
}

/// Reports a second, and how long each request took.
async fn intake(address: std::net::SocketAddr, bodies: Vec<Vec<u8>>) -> (f64, Vec<Duration>) {
    let queue = Arc::new(std::sync::Mutex::new(bodies));
    let begun = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let queue = Arc::clone(&queue);
        clients.push(tokio::spawn(async move {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut connection = Connection(tokio::io::BufReader::new(stream));
            let mut took = Vec::new();
            loop {
                let Some(body) = queue.lock().unwrap().pop() else { return took };
                let sent = Instant::now();
                let answer = connection.post(&body).await;
                took.push(sent.elapsed());
                let refused = answer.windows(9).position(|window| window == b"\"refused\"");
                assert!(
                    refused.is_none(),
                    "{}",
                    String::from_utf8_lossy(&answer[refused.unwrap_or(0)..][..200])
                );
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
    let (network, policy) = (params().network(), params().sig_policy);
    let keys: Vec<_> = devices.iter().map(|device| *device.key.public()).collect();
    let each: Vec<_> = envelopes
        .iter()
        .enumerate()
        .flat_map(|(request, list)| list.iter().map(move |one| (request, one)))
        .collect();
    let begun = Instant::now();
    each.par_iter().for_each(|(request, envelope)| {
        Envelope::parse(envelope).unwrap().verify(&keys[request % DEVICES], network, policy).unwrap();
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
        let address = listener.local_addr().unwrap();
        let router = node.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (mut rates, mut raws, mut took) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let envelopes = tokio::task::block_in_place(|| bodies(&node, &mut devices));
            let checked = tokio::task::block_in_place(|| raw(&envelopes, &devices));
            let (rate, times) = intake(address, envelopes.iter().map(|list| list.concat()).collect()).await;
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
