//! The page as the node serves it: what a browser may do with it, what it keeps, what it is told when a file is not there.
#![cfg(feature = "node")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use depin::node::page;
use tower::ServiceExt;

async fn get(path: &str, headers: &[(header::HeaderName, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let response = page::router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, to_bytes(body, 64 << 20).await.unwrap().to_vec())
}

/// The address under which the document asks for a file.
async fn versioned(file: &str) -> String {
    let (_, _, html) = get("/", &[]).await;
    let html = String::from_utf8(html).unwrap();
    let end = html.find(&format!("/{file}\"")).unwrap();
    let start = html[..end].rfind("/assets/").unwrap();
    format!("{}/{file}", &html[start..end])
}

#[tokio::test]
async fn every_view_is_an_address_of_its_own() {
    let (_, _, first) = get("/", &[]).await;
    for path in [
        "/overview",
        "/nodes",
        "/nodes/did:key:z6Mk",
        "/owners/0x00",
        "/epochs/5",
        "/customers",
        "/demand",
        "/health",
    ] {
        let (status, headers, body) = get(path, &[]).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache", "{path}");
        assert_eq!(body, first, "{path}");
    }
    assert_eq!(get("/what", &[]).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get("/nodes/a/b", &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_may_ask_nobody_else_and_evaluate_nothing() {
    let (_, headers, _) = get("/", &[]).await;
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    for rule in [
        "default-src 'self'",
        "script-src 'self';",
        "style-src 'self';",
        "connect-src 'self';",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(rule), "{rule} in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
}

#[tokio::test]
async fn only_the_recompute_document_and_its_worker_may_reach_a_chain() {
    for path in ["/recompute", "/assets/@/recompute-worker.js"] {
        let (status, headers, _) = get(path, &[]).await;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(policy.contains("connect-src 'self' http: https:"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{path}: {policy}");
    }
    let (_, headers, _) = get("/assets/@/main.js", &[]).await;
    assert!(!headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("http"));
}

#[tokio::test]
async fn files_under_their_version_are_kept_for_ever_and_under_no_other() {
    let path = versioned("main.js").await;
    assert!(!path.contains('@'), "{path}");
    let (status, headers, body) = get(&path, &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    assert_eq!(headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    let (_, newest, same) = get("/assets/@/main.js", &[]).await;
    assert_eq!(newest[header::CACHE_CONTROL], "no-cache");
    assert_eq!(same, body);
    assert_eq!(get("/assets/0123456789abcdef/main.js", &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    for path in ["/".to_owned(), versioned("base.css").await] {
        let (_, headers, body) = get(&path, &[]).await;
        let tag = headers[header::ETAG].to_str().unwrap().to_owned();
        let (status, headers, again) =
            get(&path, &[(header::IF_NONE_MATCH, &format!("\"x\", W/{tag}"))]).await;
        assert!(!body.is_empty());
        assert_eq!((status, again.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        assert_eq!(headers[header::ETAG].to_str().unwrap(), tag);
        assert_eq!(get(&path, &[(header::IF_NONE_MATCH, "\"x\"")]).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn gzip_is_sent_to_those_who_take_it() {
    for (accepted, packed) in [
        ("gzip, br", true),
        ("br;q=1.0, GZIP;q=0.5", true),
        ("gzip;q=0", false),
        ("gzip;q=0.0", false),
        ("br", false),
    ] {
        let (_, headers, body) = get("/assets/@/parts.css", &[(header::ACCEPT_ENCODING, accepted)]).await;
        assert_eq!(headers.contains_key(header::CONTENT_ENCODING), packed, "{accepted}");
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), packed, "{accepted}");
        assert_eq!(headers[header::VARY], "accept-encoding");
    }
}

#[tokio::test]
async fn tools_tests_and_what_lies_elsewhere_are_not_served() {
    for name in [
        "package.json",
        "test/format.test.js",
        "tools/size.mjs",
        "node_modules/preact/dist/preact.mjs",
        "vendor/MANIFEST",
        "../Cargo.toml",
        "..%2FCargo.toml",
        "",
    ] {
        assert_eq!(get(&format!("/assets/@/{name}"), &[]).await.0, StatusCode::NOT_FOUND, "{name}");
    }
}
