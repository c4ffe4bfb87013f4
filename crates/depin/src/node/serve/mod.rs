//! Listeners: sockets with limits. Whoever is beyond them is told when to come back, and costs nothing more.

mod body;
mod budget;
mod guard;
mod quiet;

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(super) use self::{body::Late, quiet::Quiet};
use self::{budget::block, guard::Guard};
use super::Metrics;

/// Longest that requests under way are waited for when a listener stops.
const FAREWELL: Duration = Duration::from_secs(10);
/// Longest wait after a connection could not be accepted, for example because all file handles are in use.
const RECOVER: Duration = Duration::from_millis(100);

/// What a listener takes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: u32,
    /// Connections at once of one client: an IPv4 address, or a /64 of IPv6.
    pub connections_per_client: u32,
    /// Requests at once; those that wait for news (`status?after=`) are counted apart, up to `connections`.
    pub requests: u32,
    /// Requests a second of one client.
    pub rate: u32,
    /// Requests of one client at once after it was quiet.
    pub burst: u32,
    /// Longest that the headers of a request may take, and that a connection may be idle.
    pub header_time: Duration,
    /// Longest that the body of a request may take.
    pub body_time: Duration,
    /// Longest that a client may not read what it asked for.
    pub write_time: Duration,
    /// Addresses of reverse proxies: for a connection from there the client is the last entry of `X-Forwarded-For`. Anybody else's header
    /// of that name is ignored.
    pub proxies: Vec<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_client: 128,
            requests: 512,
            rate: 100,
            burst: 400,
            header_time: Duration::from_secs(15),
            body_time: Duration::from_secs(30),
            write_time: Duration::from_secs(30),
            proxies: Vec::new(),
        }
    }
}

/// Serves `router` on `listener` within `limits` until `stop` is cancelled; requests under way are finished then. `name` is what metrics and
/// logs call the listener.
pub async fn serve(
    name: &'static str,
    listener: TcpListener,
    router: Router,
    limits: Limits,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let guard = Arc::new(Guard::new(name, limits, metrics, stop.clone()));
    let router = guard::protect(router, Arc::clone(&guard));
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let quiet = Quiet::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(place) = Place::take(&guard, peer.ip()) {
                    tasks.spawn(connection(stream, peer, router.clone(), place, graceful.watcher()));
                } else {
                    guard.metrics.shed(name, "connections");
                    refuse(&guard, stream);
                }
            }
            Err(error) => {
                quiet.say(
                    |more| tracing::warn!(listener = name, %error, more, "a connection cannot be accepted"),
                );
                tokio::time::sleep(RECOVER).await;
            }
        }
    }
    drop(listener);
    // What still runs after this time is cut off with its task.
    let _ = tokio::time::timeout(FAREWELL, graceful.shutdown()).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    place: Place,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let limits = &place.guard.limits;
    // The end of a long answer does not wait until its beginning has arrived.
    let _ = stream.set_nodelay(true);
    hold_back(&stream);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_time));
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_headers(64)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    // A client that goes away or talks nonsense is no event.
    if let Err(error) = watcher.watch(connection).await {
        tracing::trace!(listener = place.guard.name, %error, "a connection ended");
    }
}

/// Lets the system take no more than a little ahead of what is on its way. Otherwise it takes megabytes for a client that does not read, who
/// hears old news for minutes and is not seen to be slow.
#[cfg(target_os = "linux")]
fn hold_back(stream: &TcpStream) {
    const UNSENT: u32 = 32 << 10;
    // Without it the client is served as well, only more memory of the system waits for it.
    let _ = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}

#[cfg(not(target_os = "linux"))]
const fn hold_back(_: &TcpStream) {}

/// Answers 429 without reading what was asked.
fn refuse(guard: &Guard, mut stream: TcpStream) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    // Into the empty buffer of a new socket this fits at once; if not, the client learns nothing.
    let _ = stream.try_write(ANSWER);
    // Dropped with unread data, a socket takes the answer with it; so a few are closed in order. In a flood of connections that is not owed.
    let Ok(farewell) = Arc::clone(&guard.farewells).try_acquire_owned() else { return };
    tokio::spawn(async move {
        let close = async {
            let _ = stream.shutdown().await;
            let mut sink = [0; 1024];
            while let Ok(1..) = stream.read(&mut sink).await {}
        };
        let _ = tokio::time::timeout(RECOVER, close).await;
        drop(farewell);
    });
}

/// A connection's place among those of its client; given back when dropped.
struct Place {
    guard: Arc<Guard>,
    client: IpAddr,
}

/// Connections by client: as many entries as there are connections at most.
#[derive(Debug, Default)]
struct Connections {
    total: u32,
    by_client: HashMap<IpAddr, u32>,
}

impl Place {
    fn take(guard: &Arc<Guard>, peer: IpAddr) -> Option<Self> {
        let client = block(peer);
        let is_proxy = guard.limits.proxies.contains(&peer.to_canonical());
        let mut connections = guard.connections();
        let own = connections.by_client.get(&client).copied().unwrap_or_default();
        let full = connections.total >= guard.limits.connections;
        if full || own >= guard.limits.connections_per_client && !is_proxy {
            return None;
        }
        connections.by_client.insert(client, own.saturating_add(1));
        connections.total = connections.total.saturating_add(1);
        guard.metrics.connections(guard.name, connections.total);
        drop(connections);
        Some(Self { guard: Arc::clone(guard), client })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.guard.connections();
        connections.total = connections.total.saturating_sub(1);
        self.guard.metrics.connections(self.guard.name, connections.total);
        if let Some(count) = connections.by_client.get_mut(&self.client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                connections.by_client.remove(&self.client);
            }
        }
    }
}

/// A listener at `address`.
///
/// # Errors
/// What the system says, with the address and what to do.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let next = match error.kind() {
            io::ErrorKind::AddrInUse => "something listens there already: stop it, or choose another port",
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose another port",
            _ => "choose another address",
        };
        io::Error::new(error.kind(), format!("{address}: {error}; {next}"))
    })
}
