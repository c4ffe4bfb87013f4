//! did:web against a server of the test, and each way it can go wrong.
#![cfg(feature = "did-web")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use depin_identity::{
    Did, DidDocument, DidError, DidResolver,
    did::{AddressRule, WebMethod, WebPolicy},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// A server on this machine, its root certificate, and how often it was connected to.
struct Server {
    port: u16,
    root: Vec<u8>,
    connections: Arc<AtomicUsize>,
}

/// What a server does with the path of a request: bytes, and whether it then falls silent.
type Reply = fn(&str, &Did) -> (Vec<u8>, bool);

async fn serve(tls: bool, reply: Reply) -> Server {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let root = certified.cert.der().to_vec();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if tls {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream, reply, port).await;
                    }
                } else {
                    answer(stream, reply, port).await;
                }
            });
        }
    });
    Server { port, root, connections }
}

async fn answer(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    reply: Reply,
    port: u16,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let did = Did::new("web", &format!("localhost%3A{port}")).unwrap();
    let (bytes, silent) = reply(path, &did);
    // The other side may have had enough.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    if silent {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let _ = stream.shutdown().await;
}

fn ok(kind: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn document(did: &Did) -> String {
    DidDocument::new(did.clone()).to_json().unwrap()
}

impl Server {
    fn did(&self) -> Did {
        Did::new("web", &format!("localhost%3A{}", self.port)).unwrap()
    }

    fn policy(&self) -> WebPolicy {
        WebPolicy {
            addresses: AddressRule::PublicAndLoopback,
            connect: Duration::from_secs(30),
            total: Duration::from_secs(30),
            roots: vec![self.root.clone()],
        }
    }

    async fn resolve(&self, policy: &WebPolicy) -> Result<Arc<DidDocument>, DidError> {
        let method = WebMethod::new(policy).unwrap();
        method.resolve(&self.did(), None).await.map(|found| found.document)
    }
}

async fn refused(reply: Reply) -> DidError {
    let server = serve(true, reply).await;
    let error = server.resolve(&server.policy()).await.unwrap_err();
    assert_eq!(server.connections.load(SeqCst), 1, "{error}");
    error
}

fn unavailable(error: &DidError, expected: &str) {
    assert!(matches!(error, DidError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

fn invalid(error: &DidError, expected: &str) {
    assert!(matches!(error, DidError::Invalid { .. }), "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn a_document_is_read_from_where_the_did_says() {
    let server = serve(true, |path, did| {
        let did = match path {
            "/.well-known/did.json" => did.clone(),
            "/user/alice/did.json" => Did::new("web", &format!("{}:user:alice", did.id())).unwrap(),
            other => panic!("{other}"),
        };
        (ok("application/did+ld+json; charset=utf-8", &document(&did)), false)
    })
    .await;
    let method = WebMethod::new(&server.policy()).unwrap();
    for name in [server.did(), Did::new("web", &format!("{}:user:alice", server.did().id())).unwrap()] {
        let found = method.resolve(&name, None).await.unwrap();
        assert_eq!((&found.document.id, found.version), (&name, None));
        let versioned = method.resolve(&name, Some(&"1".into())).await;
        assert!(matches!(versioned, Err(DidError::NotFound { .. })));
    }
    assert_eq!(server.connections.load(SeqCst), 2);
    #[cfg(feature = "conformance")]
    depin_identity::conformance::did_resolver(&method, &server.did()).await.unwrap();
}

#[tokio::test]
async fn a_private_address_is_not_asked() {
    let server = serve(true, |_, did| (ok("application/json", &document(did)), false)).await;
    let policy = WebPolicy { addresses: AddressRule::Public, ..server.policy() };
    unavailable(&server.resolve(&policy).await.unwrap_err(), "which is no public address");
    assert_eq!(server.connections.load(SeqCst), 0);
    // The same server, where it is allowed.
    assert_eq!(server.resolve(&server.policy()).await.unwrap().id, server.did());
}

#[tokio::test]
async fn a_server_nobody_vouches_for_is_not_believed() {
    let server = serve(true, |_, did| (ok("application/json", &document(did)), false)).await;
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let policy = WebPolicy { roots: vec![other.cert.der().to_vec()], ..server.policy() };
    unavailable(&server.resolve(&policy).await.unwrap_err(), "certificate");
    assert!(WebMethod::new(&WebPolicy { roots: vec![vec![0; 9]], ..server.policy() }).is_err());
}

#[tokio::test]
async fn plain_http_is_not_spoken_not_even_to_this_machine() {
    let server = serve(false, |_, did| (ok("application/json", &document(did)), false)).await;
    let policy = WebPolicy { total: Duration::from_secs(1), ..server.policy() };
    assert!(matches!(server.resolve(&policy).await, Err(DidError::Unavailable { .. })));
    assert_eq!(server.connections.load(SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let replies: [Reply; 2] = [
        |_, _| (b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_vec(), false),
        |_, _| {
            (
                b"HTTP/1.1 301 Moved\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
                    .to_vec(),
                false,
            )
        },
    ];
    for reply in replies {
        unavailable(&refused(reply).await, "redirects");
    }
}

#[tokio::test]
async fn a_slow_server_is_given_up() {
    let replies: [Reply; 2] = [
        |_, _| (Vec::new(), true),
        |_, _| {
            (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{".to_vec(),
                true,
            )
        },
    ];
    for reply in replies {
        let server = serve(true, reply).await;
        let policy = WebPolicy { total: Duration::from_secs(1), ..server.policy() };
        unavailable(&server.resolve(&policy).await.unwrap_err(), "timed out");
    }
    // One that does not even finish the handshake.
    let server = serve(false, |_, _| (Vec::new(), true)).await;
    let policy = WebPolicy { connect: Duration::from_millis(500), ..server.policy() };
    assert!(matches!(server.resolve(&policy).await, Err(DidError::Unavailable { .. })));
}

#[tokio::test]
async fn a_large_answer_is_not_read_to_its_end() {
    let stated = |_: &str, did: &Did| {
        (ok("application/json", &format!("{}{}", document(did), " ".repeat(DidDocument::MAX_BYTES))), false)
    };
    invalid(&refused(stated).await, "bytes");
    // In chunks without end, so that no length is stated.
    let chunked = |_: &str, _: &Did| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        (format!("{head}{}", chunk.repeat(64)).into_bytes(), true)
    };
    invalid(&refused(chunked).await, "bytes");
}

#[tokio::test]
async fn an_answer_of_another_kind_is_refused() {
    invalid(&refused(|_, did| (ok("text/html", &document(did)), false)).await, "content type");
    let zipped = |_: &str, _: &Did| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n";
        ([head.as_slice(), &[0x1f, 0x8b]].concat(), false)
    };
    invalid(&refused(zipped).await, "compressed");
    invalid(&refused(|_, _| (ok("application/json", "<html>"), false)).await, "DID document");
    let other = |_: &str, _: &Did| {
        (ok("application/json", &document(&"did:web:example.com".parse().unwrap())), false)
    };
    invalid(&refused(other).await, "`id` must be that DID");
    let replies: [(Reply, bool); 5] = [
        (|_, _| (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(), false), true),
        (|_, _| (b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n".to_vec(), false), true),
        (|_, _| (b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n".to_vec(), false), false),
        (|_, _| (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), false), false),
        (|_, _| (b"SSH-2.0-OpenSSH\r\n".to_vec(), false), false),
    ];
    for (reply, missing) in replies {
        let error = refused(reply).await;
        assert_eq!(matches!(error, DidError::NotFound { .. }), missing, "{error}");
        assert_eq!(matches!(error, DidError::Unavailable { .. }), !missing, "{error}");
    }
}

#[test]
fn a_did_names_one_place_on_a_host_with_a_name() {
    for (did, url) in [
        ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
        ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
        ("did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"),
        ("did:web:example.com%3a3000", "https://example.com:3000/.well-known/did.json"),
    ] {
        assert_eq!(WebMethod::url(&did.parse().unwrap()).unwrap().as_str(), url);
    }
    for wrong in [
        // Addresses, in all the forms that parsers of URLs know.
        "did:web:127.0.0.1",
        "did:web:2130706433",
        "did:web:0x7f.1",
        "did:web:127.1",
        "did:web:017700000001",
        "did:web:%5B%3A%3A1%5D",
        "did:web:1.2.3.4%3A80",
        // Hosts that are none, and what could make one part of a URL into another.
        "did:web:Example.com",
        "did:web:example.com%2Fpath",
        "did:web:user%40example.com",
        "did:web:a_b.com",
        "did:web:%65xample.com",
        "did:web:.",
        "did:web:example..com%23",
        // Ports.
        "did:web:example.com%3A",
        "did:web:example.com%3A0",
        "did:web:example.com%3A65536",
        "did:web:example.com%3A080",
        "did:web:example.com%3A80%3A80",
        // Paths that leave their place.
        "did:web:example.com:..:secret",
        "did:web:example.com:.",
        "did:web:example.com:a::b",
        "did:web:example.com:%2e%2e",
        "did:web:example.com:a%2Fb",
        "did:web:example.com:a%3Fb",
        "did:web:example.com:%00",
    ] {
        assert!(matches!(WebMethod::url(&wrong.parse().unwrap()), Err(DidError::Invalid { .. })), "{wrong}");
    }
    assert!(matches!(
        WebMethod::url(&"did:key:z6Mk".parse().unwrap()),
        Err(DidError::UnsupportedMethod { .. })
    ));
}

#[cfg(feature = "credentials")]
#[tokio::test]
async fn a_status_list_is_asked_for_as_guardedly_as_a_document() {
    use depin_identity::credential::{FetchError, StatusSource as _};
    let server = serve(true, |path, _| match path {
        "/list" => (ok("application/vc", "0123456789"), false),
        "/moved" => (b"HTTP/1.1 302 Found\r\nlocation: /list\r\ncontent-length: 0\r\n\r\n".to_vec(), false),
        _ => (Vec::new(), true),
    })
    .await;
    let policy = WebPolicy { total: Duration::from_secs(2), ..server.policy() };
    let method = WebMethod::new(&policy).unwrap();
    let url = |path: &str| format!("https://localhost:{}/{path}", server.port);
    assert_eq!(method.fetch(&url("list"), 10).await.unwrap(), b"0123456789");
    let long = method.fetch(&url("list"), 9).await.unwrap_err();
    assert!(long.to_string().contains("longer than 9 bytes"), "{long}");
    for (path, expected) in [("moved", "302"), ("silent", "timed out")] {
        let error = method.fetch(&url(path), 10).await.unwrap_err();
        assert!(
            matches!(error, FetchError::Unavailable { .. }) && error.to_string().contains(expected),
            "{error}"
        );
    }
    let asked = server.connections.load(SeqCst);
    let port = server.port;
    for wrong in [
        format!("http://localhost:{port}/list"),
        // Nothing is looked up for these, so that the rule for addresses would not be asked.
        format!("https://127.0.0.1:{port}/list"),
        format!("https://[::1]:{port}/list"),
        format!("https://2130706433:{port}/list"),
        format!("https://user@localhost:{port}/list"),
        "file:///etc/passwd".to_owned(),
        "list".to_owned(),
        String::new(),
    ] {
        let error = method.fetch(&wrong, 10).await.unwrap_err();
        assert!(matches!(error, FetchError::Unavailable { .. }), "{wrong}: {error}");
    }
    let public = WebMethod::new(&WebPolicy { addresses: AddressRule::Public, ..policy }).unwrap();
    assert!(public.fetch(&url("list"), 10).await.is_err());
    assert_eq!(server.connections.load(SeqCst), asked);
}
