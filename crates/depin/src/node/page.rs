//! The page: the files under `page/`, embedded, with the headers that keep a browser from doing anything else.
//!
//! Scripts and styles come from this origin only, nothing is evaluated, no text becomes markup. The document that recomputes an epoch has a policy of its
//! own: it starts a worker and WebAssembly, and may ask the chain that a visitor names.

use axum::{
    Router,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// A file of the page.
struct File {
    /// Path under `page/`.
    name: &'static str,
    /// SHA-256 of `raw`, in hexadecimal.
    sha256: &'static str,
    raw: &'static [u8],
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// The views of the page: each is an address that a browser may open directly, with what it is about as a second segment.
const VIEWS: &[&str] = &["nodes", "owners", "epochs", "customers", "demand", "health"];

const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; object-src 'none'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// A worker's address is a script for Trusted Types, so it needs one policy, `recompute`; a chain's RPC may be anywhere.
const RECOMPUTE_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self' http: https:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types recompute";

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Where in a document the version of the files goes.
const VERSION_MARK: &str = "/assets/@/";

/// The page at `/` and at the address of each view, `/recompute`, and their files under `/assets/{version}/`. Every other address that no API has
/// is for [`lost`].
///
/// Files are asked for under a version that changes with any of them, so a browser keeps them for ever; under `@` they are always the newest.
pub fn router() -> Router {
    let page = get(|headers: HeaderMap| async move { document("index.html", POLICY, &headers) });
    let recompute =
        get(|headers: HeaderMap| async move { document("recompute.html", RECOMPUTE_POLICY, &headers) });
    let mut router = Router::new()
        .route("/", page.clone())
        .route("/overview", page.clone())
        .route("/recompute", recompute)
        .route("/assets/{version}/{*name}", get(asset));
    for view in VIEWS {
        router =
            router.route(&format!("/{view}"), page.clone()).route(&format!("/{view}/{{of}}"), page.clone());
    }
    router
}

fn find(name: &str) -> Option<&'static File> {
    FILES.binary_search_by(|file| file.name.cmp(name)).ok().and_then(|at| FILES.get(at))
}

fn document(name: &str, policy: &'static str, asked: &HeaderMap) -> Response {
    let Some(file) = find(name) else { return missing() };
    let tag = format!("\"{}-{VERSION}\"", file.sha256);
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let mut response = if is_known(asked, &tag) {
        ([cache], StatusCode::NOT_MODIFIED).into_response()
    } else {
        ([cache, (header::CONTENT_TYPE, HTML)], text_of(file)).into_response()
    };
    harden(response.headers_mut(), policy);
    set_tag(response.headers_mut(), &tag);
    response
}

/// A document with the address of each file under its version.
fn text_of(document: &File) -> String {
    String::from_utf8_lossy(document.raw).replace(VERSION_MARK, &format!("/assets/{VERSION}/"))
}

/// The answer for an address that leads nowhere: the page, which says so and leads on. Not kept by a browser, which may ask again after an update.
pub async fn lost() -> Response {
    let Some(file) = find("index.html") else { return missing() };
    let headers =
        [(header::CACHE_CONTROL, HeaderValue::from_static("no-store")), (header::CONTENT_TYPE, HTML)];
    let mut response = (StatusCode::NOT_FOUND, headers, text_of(file)).into_response();
    harden(response.headers_mut(), POLICY);
    response
}

async fn asset(Path((version, name)): Path<(String, String)>, asked: HeaderMap) -> Response {
    let newest = version == "@";
    let Some(file) = find(&name).filter(|_| newest || version == VERSION) else { return missing() };
    let packed = accepts_gzip(&asked);
    let tag = format!("\"{}{}\"", file.sha256, if packed { "-gzip" } else { "" });
    let mut response = if is_known(&asked, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Bytes::from_static(if packed { file.gzip } else { file.raw }).into_response()
    };
    let headers = response.headers_mut();
    let cache = if newest { "no-cache" } else { "public, max-age=31536000, immutable" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(&name)));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // A worker lives under the policy that its own file came with.
    harden(headers, if name.starts_with("recompute") { RECOMPUTE_POLICY } else { POLICY });
    set_tag(headers, &tag);
    response
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

/// Whether gzip is named and not ruled out by `q=0`.
fn accepts_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().trim_start_matches("q=").trim_matches(['0', '.']);
        name.trim().eq_ignore_ascii_case("gzip") && (!weight.is_empty() || !one.contains(';'))
    })
}

/// Whether the browser has this already.
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let values = asked.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().trim_start_matches("W/") == tag)
}

fn set_tag(headers: &mut HeaderMap, tag: &str) {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
}

fn harden(headers: &mut HeaderMap, policy: &'static str) {
    let all: [(HeaderName, &str); 6] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=()",
        ),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn missing() -> Response {
    let mut response =
        (StatusCode::NOT_FOUND, "nothing is here; reload the page: the node may have been updated")
            .into_response();
    harden(response.headers_mut(), POLICY);
    response
}
