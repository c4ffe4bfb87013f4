//! Listeners over real sockets: what they let through, what they turn away, and what they say about themselves.

mod stream;

use std::{net::SocketAddr, time::Duration};

use depin::node::{Limits, Part, Readiness, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::*;

/// Longest that anything may take on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

pub(super) async fn listen(node: &Node, router: axum::Router, limits: Limits) -> Listener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task =
        tokio::spawn(serve("test", listener, router, limits, Arc::clone(node.metrics()), stop.clone()));
    Listener { address, stop, task }
}

/// What a server says to `request` from the address 127.0.0.`from`, until it closes the connection.
async fn ask(from: u8, to: SocketAddr, request: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, from], 0))).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let mut answer = Vec::new();
    let talk = async {
        // A server that refuses may close before everything is written.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("no answer");
    String::from_utf8(answer).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back_and_another_is_served() {
    let (_stage, node, _) = ready().await;
    let limits = Limits { rate: 1, burst: 5, ..Limits::default() };
    let listener = listen(&node, node.intake(), limits).await;
    let mut shed = 0;
    for _ in 0..20 {
        let answer = ask(9, listener.address, &get(paths::STATUS)).await;
        match status(&answer) {
            200 => {}
            429 => {
                shed += 1;
                assert!(answer.to_lowercase().contains("retry-after: "), "{answer}");
                assert!(answer.contains("\"next\""), "{answer}");
            }
            other => panic!("{other}"),
        }
    }
    assert!(shed >= 10, "{shed}");
    assert_eq!(status(&ask(10, listener.address, &get(paths::STATUS)).await), 200);
}

#[tokio::test]
async fn only_a_proxy_of_ours_says_who_its_client_is() {
    let (_stage, node, _) = ready().await;
    let limits =
        Limits { rate: 1, burst: 2, proxies: vec!["127.0.0.9".parse().unwrap()], ..Limits::default() };
    let listener = listen(&node, node.intake(), limits).await;
    let as_client = |last: u8| {
        let header = format!("x-forwarded-for: 198.51.100.1, 192.0.2.{last}\r\n\r\n");
        get(paths::STATUS).replace("\r\n\r\n", &format!("\r\n{header}"))
    };
    let mut through_proxy = Vec::new();
    let mut direct = Vec::new();
    for last in 1..7 {
        through_proxy.push(status(&ask(9, listener.address, &as_client(last)).await));
        direct.push(status(&ask(10, listener.address, &as_client(last)).await));
    }
    assert_eq!(through_proxy, [200; 6], "each is another client");
    assert!(direct.contains(&429), "whoever writes the header itself is one client: {direct:?}");
}

#[tokio::test]
async fn a_client_has_so_many_connections_and_no_more() {
    let (_stage, node, _) = ready().await;
    let limits = Limits { connections_per_client: 3, ..Limits::default() };
    let listener = listen(&node, node.intake(), limits).await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(TcpStream::connect(listener.address).await.unwrap());
    }
    assert_eq!(status(&ask(1, listener.address, &get(paths::STATUS)).await), 429);
    assert_eq!(status(&ask(2, listener.address, &get(paths::STATUS)).await), 200);
    drop(idle);
    let mut last = 429;
    for _ in 0..200 {
        last = status(&ask(1, listener.address, &get(paths::STATUS)).await);
        if last == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(last, 200, "places are given back");
}

#[tokio::test]
async fn headers_that_do_not_end_and_bodies_beyond_the_limit_are_cut_off() {
    let (_stage, node, _) = ready().await;
    let limits = Limits { header_time: Duration::from_millis(50), ..Limits::default() };
    let listener = listen(&node, node.intake(), limits).await;
    // It ends, since the server closes the connection: nothing is asked of how soon.
    ask(1, listener.address, "GET / HTTP/1.1\r\nhost: x\r\nslow: ").await;
    let huge = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\n\r\n", paths::REPORTS);
    assert_eq!(status(&ask(1, listener.address, &huge).await), 413);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let (_stage, node, _) = ready().await;
    let limits = Limits { body_time: Duration::from_millis(50), ..Limits::default() };
    for (router, path) in [(node.intake(), paths::REPORTS), (node.reading(), paths::RELAY)] {
        let listener = listen(&node, router, limits.clone()).await;
        let slow = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 90\r\n\r\na little");
        let answer = ask(1, listener.address, &slow).await;
        assert_eq!(status(&answer), 408, "{answer}");
        assert!(answer.contains("did not arrive within 50ms") && answer.contains("\"next\""), "{answer}");
        // Whoever sends all of it is served.
        let whole =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]");
        assert_ne!(status(&ask(1, listener.address, &whole).await), 408);
    }
}

#[tokio::test]
async fn a_stop_ends_those_that_wait_for_news() {
    let (_stage, node, _) = ready().await;
    let listener = listen(&node, node.intake(), Limits::default()).await;
    let number = node.gate().status().number;
    let address = listener.address;
    let waits =
        tokio::spawn(
            async move { ask(1, address, &get(&format!("{}?after={number}", paths::STATUS))).await },
        );
    // The request is under way once its connection is counted.
    tokio::time::sleep(Duration::from_millis(200)).await;
    listener.stop.cancel();
    let answer = waits.await.unwrap();
    assert!(answer.is_empty() || status(&answer) == 503, "{answer}");
    tokio::time::timeout(PATIENCE, listener.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn each_router_has_its_own_and_nothing_else() {
    let (_stage, node, _) = ready().await;
    let found = |router: axum::Router, path: &'static str| async move {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert!(response.headers().contains_key("content-security-policy"), "{path}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
        response.status() == StatusCode::OK
    };
    for (path, intake, reading, administration) in [
        ("/api/v1/status", true, false, false),
        ("/api/v1/network", true, true, false),
        ("/api/v1/epochs", false, true, false),
        ("/", false, true, false),
        ("/healthz", false, false, true),
        ("/readyz", false, false, true),
        ("/metrics", false, false, true),
    ] {
        assert_eq!(found(node.intake(), path).await, intake, "{path}");
        assert_eq!(found(node.reading(), path).await, reading, "{path}");
        assert_eq!(found(node.administration(), path).await, administration, "{path}");
    }
}

#[tokio::test]
async fn metrics_are_text_that_prometheus_reads_with_units_in_their_names() {
    let (_stage, node, mut device) = ready().await;
    let one = set_of(&node, &mut device);
    accepted(&node, one).await;
    send(&node, envelope(&node, &mut Device::new("stranger"), SET_KIND, vec![0x80])).await;
    let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
    let response = node.administration().oneshot(request).await.unwrap();
    let text = String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(text.ends_with("# EOF\n"));
    let mut types = std::collections::BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "TYPE", name, kind] => assert!(types.insert(*name, *kind).is_none(), "{name} twice"),
            ["#", "HELP", _, help] => assert!(help.len() > 10, "{line}"),
            ["#", ..] => {}
            _ => {
                let (name, value) = line.rsplit_once(' ').unwrap();
                value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
                let name = name.split('{').next().unwrap();
                assert!(name.starts_with("depin_"), "{line}");
                assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
                let family = ["_total", "_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end).filter(|family| types.contains_key(family)))
                    .unwrap_or(name);
                let kind = types.get(family).unwrap_or_else(|| panic!("no type of {line}"));
                assert_eq!(*kind == "counter", name.ends_with("_total"), "{line}");
            }
        }
    }
    for (name, unit) in
        [("depin_journal_append_duration_seconds", "histogram"), ("depin_journal_size_bytes", "gauge")]
    {
        assert_eq!(types.get(name), Some(&unit), "{name}");
    }
    let value = |series: &str| {
        let line = text.lines().find(|line| line.starts_with(series));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(value("depin_reports_total{way=\"http\",result=\"accepted\"}"), "1");
    assert_eq!(value("depin_reports_refused_total{way=\"http\",reason=\"unknown-device\"}"), "1");
    assert_ne!(value("depin_journal_size_bytes"), "0");
    assert_eq!(value("depin_ready"), "1");
}

#[tokio::test]
async fn a_node_that_stops_is_not_ready() {
    let (_stage, node, _) = ready().await;
    let ask = || async {
        let request = Request::builder().uri("/readyz").body(Body::empty()).unwrap();
        let response = node.administration().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice::<Readiness>(&body).unwrap())
    };
    assert_eq!(ask().await, (StatusCode::OK, Readiness { ready: true, degraded: Vec::new() }));
    node.shutdown().await.unwrap();
    let (status, readiness) = ask().await;
    assert_eq!((status, readiness.ready), (StatusCode::SERVICE_UNAVAILABLE, false));
    assert!(
        readiness
            .degraded
            .iter()
            .any(|degraded| degraded.part == Part::Shutdown && !degraded.next.is_empty())
    );
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Floods a listener from one address, 32 connections at a time, while another is served; for as many seconds as `DEPIN_FLOOD_SECONDS` says.
#[tokio::test]
async fn a_flood_is_turned_away_in_flat_memory() {
    let seconds = std::env::var("DEPIN_FLOOD_SECONDS").map_or(5, |text| text.parse().unwrap());
    let (_stage, node, _) = ready().await;
    let limits = Limits { rate: 50, burst: 50, connections_per_client: 16, ..Limits::default() };
    let listener = listen(&node, node.intake(), limits).await;
    let body = "x".repeat(8_000);
    let address = listener.address;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        paths::REPORTS,
        body.len()
    );
    let wave = async |count: usize| {
        let answers = join_all((0..count).map(|_| ask(9, address, &request))).await;
        answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 429")).count()
    };
    // What is allocated once is there before anything is measured.
    wave(64).await;
    let before = resident();
    let grown = || resident().saturating_sub(before);
    let (begun, mut minute, mut total, mut shed) = (std::time::Instant::now(), 0, 0, 0);
    while total < 640 || begun.elapsed().as_secs() < seconds {
        shed += wave(32).await;
        total += 32;
        let client = u8::try_from(10 + total / 32 % 200).unwrap();
        let normal = ask(client, address, &get(paths::STATUS)).await;
        assert_eq!(status(&normal), 200, "a normal client goes on being served");
        assert!(grown() < 64 << 20, "memory grew by {} bytes over {total} requests", grown());
        if begun.elapsed().as_secs() / 60 > minute {
            minute = begun.elapsed().as_secs() / 60;
            eprintln!("{minute} min: {total} requests, {} KiB more than at the beginning", grown() >> 10);
        }
    }
    assert!(shed > total / 2, "{shed} of {total} were turned away");
}
