//! The event stream over real sockets: hundreds who listen, and some who do not read.

use std::collections::BTreeMap;

use depin::{
    index::{Live, MemoryStore, Reading, StreamLimits, Topic},
    node::Metrics,
};

use super::*;

/// A listener with nothing but an index behind it, and who tells its streams what changed.
async fn open(streams: StreamLimits, limits: Limits) -> (Listener, Live) {
    let live = Live::new(streams);
    let store = Arc::new(MemoryStore::default());
    let router =
        depin::index::router(Reading { live: live.clone(), ..Reading::new(store, serde_json::Value::Null) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let task =
        tokio::spawn(serve("test", listener, router, limits, Arc::new(Metrics::default()), stop.clone()));
    (Listener { address, stop, task }, live)
}

/// Asks for a stream from the address 127.0.1.`from`. `buffer` is how many bytes the system may keep for a client that does not read.
async fn subscribe(from: u8, to: SocketAddr, topics: &str, buffer: Option<u32>) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    socket.bind(SocketAddr::from(([127, 0, 1, from], 0))).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let request = format!("GET /api/v1/stream?topics={topics} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until `mark` was there or the stream ends; what was read.
async fn read_until(stream: &mut TcpStream, mark: &str) -> String {
    let mut text = String::new();
    let mut part = vec![0; 64 << 10];
    let read = async {
        while !text.contains(mark) {
            match stream.read(&mut part).await {
                Ok(1..) if text.len() > 64 << 20 => panic!("no {mark} in {} bytes", text.len()),
                Ok(count @ 1..) => text.push_str(std::str::from_utf8(&part[..count]).unwrap()),
                _ => break,
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("no {mark}"));
    text
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let wait = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} never came"));
}

/// 32 topics with long names, and their names.
fn many() -> (Vec<Topic>, String) {
    let topics: Vec<Topic> = (0..31)
        .map(|one| Topic::Owner(depin::core::Address::repeat_byte(one)))
        .chain([Topic::Status])
        .collect();
    let names: Vec<String> = topics.iter().map(ToString::to_string).collect();
    (topics, names.join(","))
}

/// How often each topic was named.
fn times(text: &str) -> BTreeMap<&str, usize> {
    let mut times = BTreeMap::new();
    for topic in text.split("\"topic\":\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        *times.entry(topic).or_default() += 1;
    }
    times
}

#[tokio::test]
async fn hundreds_of_clients_hear_what_changed() {
    const CLIENTS: usize = 300;
    let (listener, live) = open(StreamLimits::default(), Limits::default()).await;
    let address = listener.address;
    let listening = (0..CLIENTS).map(|number| {
        let from = u8::try_from(number / 30 + 1).unwrap();
        tokio::spawn(async move {
            let mut stream = subscribe(from, address, "overview,events", None).await;
            let mut text = read_until(&mut stream, "retry: 2000").await;
            text.push_str(&read_until(&mut stream, "\"topic\":\"overview\"").await);
            text
        })
    });
    let listening: Vec<_> = listening.collect();
    until("everybody", || live.clients() == CLIENTS).await;
    for _ in 0..50 {
        live.publish([Topic::Events, Topic::Health]);
        tokio::task::yield_now().await;
    }
    live.publish([Topic::Overview]);
    for client in listening {
        let text = client.await.unwrap();
        let times = times(&text);
        assert!((1..=50).contains(&times["events"]), "{times:?}");
        assert!(!times.contains_key("health"), "nobody asked for it: {times:?}");
    }
    until("the end of all streams", || live.clients() == 0).await;
}

#[tokio::test]
async fn who_reads_late_hears_of_each_topic_once_more_and_not_of_every_change() {
    const CHANGES: usize = 2_000;
    let (listener, live) = open(StreamLimits::default(), Limits::default()).await;
    let (topics, names) = many();
    let mut slow = subscribe(1, listener.address, &names, Some(4 << 10)).await;
    until("the client", || live.clients() == 1).await;
    for _ in 0..CHANGES {
        live.publish(topics.iter().take(31).copied());
        // Long enough for a server that would send each of them.
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
    live.publish([Topic::Status]);
    let text = read_until(&mut slow, "\"topic\":\"status\"").await;
    let times = times(&text);
    assert_eq!(times["status"], 1, "{times:?}");
    let most = times.values().max().copied().unwrap();
    // What the system and the server had taken for it before it was seen to be slow: far less than megabytes.
    assert!(most > 1 && most < CHANGES / 4, "{most} of {CHANGES} changes");
    assert_eq!(live.clients(), 1, "it is still served");
    live.publish([Topic::Status]);
    assert!(read_until(&mut slow, "\"topic\":\"status\"").await.contains("event: changed"));
}

#[tokio::test]
async fn who_does_not_read_at_all_is_let_go_and_the_others_stay() {
    let limits = Limits { write_time: Duration::from_millis(100), ..Limits::default() };
    let (listener, live) = open(StreamLimits::default(), limits).await;
    let (topics, names) = many();
    let mut reads = subscribe(1, listener.address, "overview", None).await;
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(subscribe(2, listener.address, &names, Some(4 << 10)).await);
    }
    until("all of them", || live.clients() == 6).await;
    until("their end", || {
        live.publish(topics.iter().copied());
        live.clients() == 1
    })
    .await;
    live.publish([Topic::Overview]);
    assert!(read_until(&mut reads, "\"topic\":\"overview\"").await.contains("event: changed"));
    for mut stream in idle {
        // It ends, whatever was still on its way.
        read_until(&mut stream, "no such text").await;
    }
}

#[tokio::test]
async fn an_address_has_so_many_streams_and_no_more() {
    let streams = StreamLimits { clients_per_address: 2, ..StreamLimits::default() };
    let (listener, live) = open(streams, Limits::default()).await;
    let first = subscribe(1, listener.address, "events", None).await;
    let _second = subscribe(1, listener.address, "events", None).await;
    until("two", || live.clients() == 2).await;
    let refused = read_until(&mut subscribe(1, listener.address, "events", None).await, "}").await;
    assert_eq!(status(&refused), 429, "{refused}");
    let mut elsewhere = subscribe(2, listener.address, "events", None).await;
    assert!(read_until(&mut elsewhere, "retry: 2000").await.starts_with("HTTP/1.1 200"));
    drop((first, elsewhere));
    until("their places", || live.clients() == 1).await;
    let mut again = subscribe(1, listener.address, "events", None).await;
    assert!(read_until(&mut again, "retry: 2000").await.starts_with("HTTP/1.1 200"));
}
