//! `--online` against a server of the test, which the command itself refuses to reach: it is on this machine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use clap::Parser;
use depin_core::{DeviceId, Timestamp, TypedKey};
use depin_identity::{
    Did, DidDocument, DidUrl, SoftwareKey,
    credential::{DeviceClaim, ProofOptions, StatusEntry, StatusList, StatusPurpose, Suite, Terms, Unsigned},
    did::{AddressRule, CurveKey, Purpose, VerificationMethod},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;

/// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

/// The options that `depin verify` has.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    trust: trust::Given,
}

/// A server on this machine with its certificate, the files it serves by path, and how often it was connected to.
struct Server {
    port: u16,
    root: Vec<u8>,
    files: Arc<std::sync::Mutex<BTreeMap<String, String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
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
        let (files, connections) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let server = Self { port, root, files: Arc::clone(&files), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, SeqCst);
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let body = files.lock().unwrap().get(path).cloned();
                let (status, body) = body.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
                let len = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n"
                );
                let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await;
                let _ = stream.shutdown().await;
            }
        });
        server
    }

    fn put(&self, path: &str, body: String) {
        self.files.lock().unwrap().insert(path.to_owned(), body);
    }

    fn did(&self) -> Did {
        Did::new("web", &format!("localhost%3A{}", self.port)).unwrap()
    }

    fn list(&self) -> String {
        format!("https://localhost:{}/list", self.port)
    }

    /// What `depin verify` finds of `file`, if it may reach this machine.
    async fn judge(&self, file: &Value, options: &[&str], addresses: AddressRule) -> Value {
        let (connect, total) = (Duration::from_secs(30), Duration::from_secs(30));
        let policy = WebPolicy { addresses, connect, total, roots: vec![self.root.clone()] };
        let trusted = self.did().to_string();
        let at = ["verify", "--at", "2026-01-01T00:00:00Z", "--trust", &trusted];
        let line = Line::try_parse_from(at.iter().chain(options)).unwrap();
        let trust = Trust::new(&line.trust, &policy).unwrap();
        let kind = Kind::of(file.to_string().into_bytes());
        serde_json::to_value(check(kind, &Arc::new(trust)).await).unwrap()
    }
}

fn signed(document: &Value, key: &SoftwareKey, method: &DidUrl) -> Value {
    let unsigned =
        Unsigned::new(document, &ProofOptions::new(Suite::EddsaJcs2022, method.clone(), NOW)).unwrap();
    let signature = key.signature(unsigned.message());
    unsigned.finish(&signature)
}

/// A credential by the server's DID, whose document and status list the server has.
fn issue(server: &Server, revoked: bool) -> Value {
    let (key, did) = (SoftwareKey::from_seed([2; 32]), server.did());
    let method = did.url("key").unwrap();
    let typed: TypedKey = key.public().typed();
    let mut document = DidDocument::new(did.clone());
    document.add(
        VerificationMethod::multikey(method.clone(), CurveKey::from(&typed)),
        &[Purpose::AssertionMethod],
    );
    server.put("/.well-known/did.json", document.to_json().unwrap());
    let year = 365 * 86_400_000;
    let entry = StatusEntry { purpose: StatusPurpose::Revocation, list: server.list(), index: 7 };
    let terms = Terms {
        issuer: did,
        valid_from: Timestamp(NOW.0 - year),
        valid_until: Timestamp(NOW.0 + year),
        status: None,
    };
    let mut bits = StatusList::new(1 << 17).unwrap();
    bits.set(7, revoked).unwrap();
    let list = terms.status_list(&server.list(), StatusPurpose::Revocation, &bits).unwrap();
    server.put("/list", signed(&list, &key, &method).to_string());
    let device = DeviceId(SoftwareKey::from_seed([3; 32]).public().typed());
    let (kind, region) = ("radio".to_owned(), "EU".to_owned());
    let claim = DeviceClaim { device: Did::from(&device), serial: 0, kind, region };
    signed(&Terms { status: Some(entry), ..terms }.device(&claim).unwrap(), &key, &method)
}

fn found<'a>(answer: &'a Value, name: &str) -> (&'a str, &'a str, &'a str) {
    let all = answer["findings"].as_array().unwrap();
    let one = all.iter().find(|finding| finding["check"] == name).unwrap();
    let text = |member: &str| one[member].as_str().unwrap();
    (text("result"), text("reason"), text("observed"))
}

#[tokio::test]
async fn online_the_issuer_and_its_status_list_are_asked_for() {
    let server = Server::start().await;
    for (revoked, outcome) in [(false, "valid"), (true, "invalid")] {
        let credential = issue(&server, revoked);
        let before = server.connections.load(SeqCst);
        let answer = server.judge(&credential, &["--online"], AddressRule::PublicAndLoopback).await;
        assert_eq!(answer["outcome"], outcome, "{answer:#}");
        // The document, which is that of both signers, and the list.
        assert_eq!(server.connections.load(SeqCst) - before, 2);
    }
    // A list that is not there is no list without the bit.
    let credential = issue(&server, false);
    server.files.lock().unwrap().remove("/list");
    let answer = server.judge(&credential, &["--online"], AddressRule::PublicAndLoopback).await;
    assert_eq!(answer["outcome"], "not-checked");
    assert_eq!(found(&answer, "credential.status").1, "list-missing");
    assert!(found(&answer, "status-list.fetch").2.contains("404"));
}

#[tokio::test]
async fn offline_nobody_is_asked_and_online_nobody_on_this_machine() {
    let server = Server::start().await;
    let credential = issue(&server, false);
    let offline = server.judge(&credential, &[], AddressRule::PublicAndLoopback).await;
    assert_eq!(offline["outcome"], "not-checked");
    assert!(found(&offline, "credential.proof").2.contains("--online asks"));
    let refused = server.judge(&credential, &["--online"], AddressRule::Public).await;
    assert_eq!(refused["outcome"], "not-checked");
    let (_, _, reason) = found(&refused, "did.resolution");
    assert!(reason.contains("127.0.0.1, which is no public address"), "{reason}");
    assert_eq!(server.connections.load(SeqCst), 0);
}
