//! Addresses that lead nowhere: the page for people, JSON for programs.

use super::*;

async fn get(router: axum::Router, path: &str) -> (StatusCode, String, Vec<u8>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let kind = parts.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    (parts.status, kind, to_bytes(body, 1 << 20).await.unwrap().to_vec())
}

#[tokio::test]
async fn an_unknown_address_is_the_page_for_a_browser_and_json_under_the_api() {
    let stage = Stage::new().await;
    let node = stage.open().await;
    for router in [node.router(), node.reading()] {
        let (_, _, page) = get(router.clone(), "/").await;
        for path in ["/nothing", "/nodes/a/b", "/apiary", "/favicon.ico"] {
            let (status, kind, body) = get(router.clone(), path).await;
            assert_eq!(
                (status, kind.as_str()),
                (StatusCode::NOT_FOUND, "text/html; charset=utf-8"),
                "{path}"
            );
            assert_eq!(body, page, "{path}: the page says so itself");
        }
        for path in ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/epochs"] {
            let (status, kind, body) = get(router.clone(), path).await;
            assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "application/json"), "{path}");
            assert_eq!(error(&body), "not-found", "{path}");
        }
    }
    let (status, kind, _) = get(node.intake(), "/nothing").await;
    assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "application/json"), "no page is there");
}
