//! What thousands of listeners to the event stream cost a node: its memory, and its time.
//!
//! `cargo bench -p depin --features node --bench stream -- [CLIENTS] [SECONDS]`. The server and the clients are two processes; both need more open
//! files than clients (`ulimit -n`). Clients come from many loopback addresses, so that only the number of connections differs from the usual limits.
#![allow(
    clippy::unwrap_used,
    clippy::float_arithmetic,
    clippy::as_conversions,
    clippy::panic,
    reason = "a bench measures"
)]
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use depin::{
    core::Address,
    index::{Live, MemoryStore, Reading, StreamLimits, Topic},
    node::{Limits, Metrics, serve},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
};
use tokio_util::sync::CancellationToken;

/// Changes a second.
const RATE: u64 = 20;
/// Clients that never read.
const IDLE: usize = 50;
/// Clients of one address.
const FROM_ONE: usize = 50;
/// Topics that each client names beside its own owner.
const COMMON: [Topic; 4] = [Topic::Overview, Topic::Epochs, Topic::Events, Topic::Health];

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

fn owner(number: usize) -> Topic {
    let mut bytes = [0; 20];
    bytes.get_mut(12..).unwrap().copy_from_slice(&(number as u64).to_be_bytes());
    Topic::Owner(Address::from(bytes))
}

/// The other process. Each line it reads is an order, and it answers with one line.
fn server() {
    let runtime = runtime(2);
    let live = Live::new(StreamLimits::default());
    let reading = Reading {
        live: live.clone(),
        ..Reading::new(Arc::new(MemoryStore::default()), serde_json::Value::Null)
    };
    let limits = Limits { connections: 8_192, ..Limits::default() };
    let (metrics, stop) = (Arc::new(Metrics::default()), CancellationToken::new());
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    println!("{}", listener.local_addr().unwrap());
    runtime.spawn(serve("reading", listener, depin::index::router(reading), limits, metrics, stop));
    for order in std::io::stdin().lines() {
        match order.unwrap().as_str() {
            "go" => {
                runtime.spawn(publish(live.clone()));
                println!("going");
            }
            _ => println!("{}", live.clients()),
        }
        std::io::stdout().flush().unwrap();
    }
}

/// All common topics and a thousand owners, as a closed epoch of a large network would.
async fn publish(live: Live) {
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / RATE));
    for turn in 0_usize.. {
        ticks.tick().await;
        live.publish(COMMON.into_iter().chain((0..1_000).map(|one| owner(turn * 1_000 % 6_000 + one))));
    }
}

/// The server as the clients' process sees it.
struct Server {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        answers.read_line(&mut address).unwrap();
        Self { child, orders, answers, address: address.trim().parse().unwrap() }
    }

    fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    fn clients(&mut self) -> usize {
        self.ask("clients").parse().unwrap()
    }

    /// Waits until so many are connected.
    fn reach(&mut self, clients: usize) {
        for _ in 0..1_200 {
            if self.clients() == clients {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{} clients, not {clients}", self.clients());
    }

    /// Resident memory in KiB, and that part of it that is its own.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Processor time so far, in hundredths of a second.
    fn time(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn subscribe(number: usize, to: SocketAddr, reads: bool) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if !reads {
        socket.set_recv_buffer_size(4 << 10).unwrap();
    }
    let from = u8::try_from(number / FROM_ONE + 1).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 1, from], 0))).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let topics: Vec<String> =
        COMMON.into_iter().chain([owner(number)]).map(|topic| topic.to_string()).collect();
    let request = format!("GET /api/v1/stream?topics={} HTTP/1.1\r\nhost: x\r\n\r\n", topics.join(","));
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Counts events until the stream ends.
async fn listen(mut stream: TcpStream, events: Arc<AtomicU64>) {
    let mut part = [0; 2048];
    while let Ok(count @ 1..) = stream.read(&mut part).await {
        // A browser would look for the end of each event as well.
        let ends = part.get(..count).unwrap().windows(2).filter(|pair| pair == b"\n\n").count();
        events.fetch_add(ends as u64, Ordering::Relaxed);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize, usual: usize| arguments.get(at).map_or(usual, |text| text.parse().unwrap());
    if arguments.first().is_some_and(|argument| argument == "server") {
        return server();
    }
    let (clients, seconds) = (number(0, 5_000), number(1, 60));
    let runtime = runtime(1);
    let mut server = Server::start();
    let events = Arc::new(AtomicU64::new(0));
    // What is allocated once is there before anything is measured.
    let first = runtime.block_on(subscribe(clients, server.address, true));
    server.reach(1);
    drop(first);
    server.reach(0);
    let before = server.memory();
    for one in 0..clients {
        let stream = runtime.block_on(subscribe(one, server.address, true));
        runtime.spawn(listen(stream, Arc::clone(&events)));
    }
    server.reach(clients);
    let connected = server.memory();
    let idle: Vec<TcpStream> =
        (0..IDLE).map(|one| runtime.block_on(subscribe(clients + one, server.address, false))).collect();
    server.reach(clients + IDLE);
    let (begun, spent) = (events.load(Ordering::Relaxed), server.time());
    server.ask("go");
    let mut most = 0;
    for second in 1..=seconds {
        std::thread::sleep(Duration::from_secs(1));
        most = most.max(server.memory());
        if second % 10 == 0 {
            println!("{second} s: {} KiB, {} clients", server.memory(), server.clients());
        }
    }
    let heard = events.load(Ordering::Relaxed) - begun;
    let busy = (server.time() - spent) as f64 / 100.0 / seconds as f64;
    println!("{clients} clients, {RATE} changes of {} topics a second for {seconds} s", COMMON.len() + 1_000);
    println!(
        "server: {before} KiB before, {connected} KiB with all connected, {most} KiB at most: grown by {} MiB",
        (most - before) >> 10
    );
    println!("{:.0} events a second heard, {busy:.2} of a core busy", heard as f64 / seconds as f64);
    println!("{IDLE} clients did not read; {} of them were let go", clients + IDLE - server.clients());
    drop(idle);
}
