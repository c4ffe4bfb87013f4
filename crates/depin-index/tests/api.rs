//! The API as a client meets it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use depin_core::{Amount, ChainEvent, Digest, Epoch, Located, NetworkId, Timestamp};
use depin_index::{
    Batch, BlockFacts, BlockRef, Cursor, DeviceFilter, EventKind, MemoryStore, Reading, Seek, SqliteStore,
    Store, Terms, Windows,
    conformance::sample,
    http::{not_found, openapi, router},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;

const NETWORK: NetworkId = NetworkId(Digest([7; 32]));

async fn filled() -> (tempfile::TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("index.db"), NETWORK).unwrap();
    let (batch, cursor) = sample::batch(32, 5, 0);
    store.apply(batch, cursor).await.unwrap();
    (folder, Arc::new(store))
}

fn serve(store: Arc<dyn Store>) -> Router {
    router(Reading::new(store, json!({"chain_id": 31337, "name": "test"}))).fallback(not_found)
}

async fn send(app: &Router, method: &str, path: &str) -> (StatusCode, header::HeaderMap, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 64 << 20).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn get(app: &Router, path: &str) -> Value {
    let (status, headers, body) = send(app, "GET", path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    assert_eq!(headers[header::CONTENT_TYPE], "application/json", "{path}");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    body
}

/// The error of a refused request: status and code. Every one says what to do next.
async fn refused(app: &Router, path: &str) -> (u16, String) {
    let (status, _, body) = send(app, "GET", path).await;
    let error = &body["error"];
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{path}: {body}");
    assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{path}: {body}");
    assert!(error["next"].as_str().is_some_and(|text| !text.is_empty()), "{path}: {body}");
    (status.as_u16(), error["code"].as_str().unwrap().to_owned())
}

/// Every route of the document, with its variable filled in.
fn routes() -> Vec<(&'static str, String)> {
    let (did, address) = (sample::device(0), sample::account(1));
    vec![
        ("/api/v1/network", "/api/v1/network".into()),
        ("/api/v1/overview", "/api/v1/overview".into()),
        ("/api/v1/rollups", "/api/v1/rollups".into()),
        ("/api/v1/epochs", "/api/v1/epochs".into()),
        ("/api/v1/epochs/{epoch}", "/api/v1/epochs/3".into()),
        ("/api/v1/epochs/{epoch}/devices", "/api/v1/epochs/3/devices".into()),
        ("/api/v1/roots", "/api/v1/roots".into()),
        ("/api/v1/demand", "/api/v1/demand".into()),
        ("/api/v1/devices", "/api/v1/devices".into()),
        ("/api/v1/devices/{did}", format!("/api/v1/devices/{did}")),
        ("/api/v1/devices/{did}/rollups", format!("/api/v1/devices/{did}/rollups")),
        ("/api/v1/devices/{did}/earnings", format!("/api/v1/devices/{did}/earnings")),
        ("/api/v1/devices/{did}/verdicts", format!("/api/v1/devices/{did}/verdicts")),
        ("/api/v1/devices/{did}/reports", format!("/api/v1/devices/{did}/reports")),
        ("/api/v1/devices/{did}/refusals", format!("/api/v1/devices/{did}/refusals")),
        ("/api/v1/owners", "/api/v1/owners".into()),
        ("/api/v1/owners/{address}", format!("/api/v1/owners/{address}")),
        ("/api/v1/owners/{address}/rollups", format!("/api/v1/owners/{address}/rollups")),
        ("/api/v1/claims/{address}", format!("/api/v1/claims/{address}")),
        ("/api/v1/customers", "/api/v1/customers".into()),
        ("/api/v1/customers/{address}", format!("/api/v1/customers/{address}")),
        ("/api/v1/customers/{address}/epochs", format!("/api/v1/customers/{address}/epochs")),
        ("/api/v1/events", "/api/v1/events".into()),
        ("/api/v1/refusals", "/api/v1/refusals".into()),
        ("/api/v1/reorgs", "/api/v1/reorgs".into()),
        ("/api/v1/health", "/api/v1/health".into()),
        ("/api/v1/openapi.json", "/api/v1/openapi.json".into()),
    ]
}

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

/// What the document says an answer of `route` with `status` looks like.
fn validator(document: &Value, route: &str, status: &str) -> jsonschema::Validator {
    let content = &document["paths"][route]["get"]["responses"][status]["content"]["application/json"];
    let mut schema = content["schema"].clone();
    assert!(schema.is_object(), "{route} {status} has no schema");
    // References lead into the components.
    schema["components"] = document["components"].clone();
    jsonschema::validator_for(&schema).unwrap()
}

#[tokio::test]
async fn the_document_lists_every_route_and_every_route_answers() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let document = document();
    let mut documented: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let routes = routes();
    let mut expected: Vec<&str> = routes.iter().map(|(route, _)| *route).collect();
    // It has no end, and a test of its own.
    expected.push("/api/v1/stream");
    documented.sort();
    expected.sort_unstable();
    assert_eq!(documented, expected);
    for (_, path) in &routes {
        get(&app, path).await;
        let (status, _, body) = send(&app, "POST", path).await;
        assert_eq!((status.as_u16(), &body["error"]["code"]), (405, &json!("method-not-allowed")), "{path}");
    }
    assert_eq!(get(&app, "/api/v1/openapi.json").await, document);
    assert_eq!(get(&app, "/api/v1/network").await["chain_id"], 31337);
    assert_eq!(refused(&app, "/api/v1/nothing").await, (404, "not-found".into()));
}

/// The places of every field in `value`, one element of each list.
fn fields(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                found.push((at.to_owned(), key.clone()));
                fields(inner, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(list) => {
            if let Some(first) = list.first() {
                fields(first, &format!("{at}/0"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn answers_are_what_the_document_says_and_no_field_can_be_missing() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let document = document();
    let mut checked = 0;
    for (route, path) in routes() {
        let validator = validator(&document, route, "200");
        let body = get(&app, &path).await;
        if let Some(error) = validator.iter_errors(&body).next() {
            panic!("{path}: {error} at {}", error.instance_path());
        }
        // What the node says about itself and the document are free in form.
        if route.ends_with("/network") || route.ends_with("/openapi.json") {
            continue;
        }
        let mut places = Vec::new();
        fields(&body, "", &mut places);
        for (at, key) in places {
            let mut less = body.clone();
            less.pointer_mut(&at).unwrap().as_object_mut().unwrap().remove(&key);
            assert!(!validator.is_valid(&less), "{path}: {at}/{key} may be missing");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[tokio::test]
async fn every_type_of_event_is_in_the_document() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let document = document();
    let validator = validator(&document, "/api/v1/events", "200");
    for kind in EventKind::ALL {
        let body = get(&app, &format!("/api/v1/events?type={kind}&limit=1000")).await;
        let items = body["items"].as_array().unwrap();
        assert!(
            !items.is_empty() && items.iter().all(|item| item["event"]["type"] == kind.as_str()),
            "{kind}"
        );
        assert!(validator.is_valid(&body), "{kind}: {:?}", validator.iter_errors(&body).next());
    }
    let (mut other, whole) = (get(&app, "/api/v1/events?limit=1").await, "/items/0/event/type");
    *other.pointer_mut(whole).unwrap() = json!("unheard-of");
    assert!(!validator.is_valid(&other));
}

#[tokio::test]
async fn errors_are_what_the_document_says() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let document = document();
    let (_, _, body) = send(&app, "GET", "/api/v1/epochs?limit=0").await;
    assert!(validator(&document, "/api/v1/epochs", "400").is_valid(&body), "{body}");
    let (_, _, body) = send(&app, "GET", "/api/v1/epochs/99").await;
    assert!(validator(&document, "/api/v1/epochs/{epoch}", "404").is_valid(&body), "{body}");
    assert!(!validator(&document, "/api/v1/epochs", "400").is_valid(&json!({"error": {"code": "x"}})));
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_a_next_step() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let unknown = sample::device(999);
    for (path, status, code) in [
        ("epochs?limit=0", 400, "bad-limit"),
        ("epochs?limit=1001", 400, "bad-limit"),
        ("epochs?limit=65536", 400, "bad-query"),
        ("epochs?limit=-1", 400, "bad-query"),
        ("epochs?limit=1.5", 400, "bad-query"),
        ("epochs?limit=1&limit=2", 400, "bad-query"),
        ("epochs?page=2", 400, "bad-query"),
        ("epochs?Limit=2", 400, "bad-query"),
        ("epochs/1?limit=2", 400, "bad-query"),
        ("network?x=1", 400, "bad-query"),
        ("openapi.json?x=1", 400, "bad-query"),
        ("epochs?cursor=", 400, "bad-cursor"),
        ("epochs?cursor=AAAA", 400, "bad-cursor"),
        ("epochs?cursor=%00", 400, "bad-cursor"),
        ("epochs/-1", 400, "bad-epoch"),
        ("epochs/+1", 400, "bad-epoch"),
        ("epochs/1e3", 400, "bad-epoch"),
        ("epochs/18446744073709551616", 400, "bad-epoch"),
        ("epochs/18446744073709551615", 404, "not-found"),
        ("epochs/%ff", 400, "bad-path"),
        ("devices/did:web:example.com", 400, "bad-device"),
        ("devices/did:key:z6Mk'%20OR%201=1", 400, "bad-device"),
        ("devices?status=asleep", 400, "bad-status"),
        ("devices?prefix=%25", 400, "bad-prefix"),
        ("devices?prefix=did%3Akey%3Az6Mk'%3B--", 400, "bad-prefix"),
        ("owners/0x12", 400, "bad-address"),
        ("owners/1234567890123456789012345678901234567890", 400, "bad-address"),
        ("claims/0xzz34567890123456789012345678901234567890", 400, "bad-address"),
        ("events?type=everything", 400, "bad-type"),
        ("events?type=Claimed", 400, "bad-type"),
    ] {
        assert_eq!(refused(&app, &format!("/api/v1/{path}")).await, (status, code.into()), "{path}");
    }
    let found = refused(&app, &format!("/api/v1/devices/{unknown}")).await;
    assert_eq!(found, (404, "not-found".into()));
    let long = format!("/api/v1/devices?prefix={}", "z".repeat(65));
    assert_eq!(refused(&app, &long).await, (400, "bad-prefix".into()));
    let long = format!("/api/v1/epochs?cursor={}", "A".repeat(257));
    assert_eq!(refused(&app, &long).await, (400, "bad-cursor".into()));
    let hostile = format!("/api/v1/epochs?{}=1", "%E2%80%AE%1b");
    let (_, _, body) = send(&app, "GET", &hostile).await;
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("\\u{202e}") && !message.contains('\u{202e}'), "{message}");
}

#[tokio::test]
async fn amounts_arrive_as_the_digits_that_were_fed() {
    for (number, amount) in (0..).zip(sample::EDGES) {
        let store = Arc::new(MemoryStore::default());
        let mut facts = sample::epoch(number, 1);
        (facts.pool, facts.devices[0].earned, facts.units.quantity) = (amount, amount, amount.0);
        let mut claim = sample::claims(number).remove(0);
        (claim.account, claim.amount) = (sample::account(0), amount);
        let events = [
            ChainEvent::Claimed { epoch: Epoch(number), account: sample::account(0), amount },
            ChainEvent::CreditsPaid { customer: sample::account(0), amount, burned: Amount(1) },
        ];
        let place = |(log, event)| sample::located(sample::block(1, 0), log, event);
        let events = (0..).zip(events).map(place).collect();
        let blocks = vec![sample::header(1, 0)];
        let batch = Batch { blocks, events, epochs: vec![facts], claims: vec![claim], ..Batch::default() };
        store.apply(batch, Cursor::default()).await.unwrap();
        let app = serve(store);
        let digits = Value::String(amount.0.to_string());
        let (did, owner) = (sample::device(0), sample::account(0));
        for (path, place) in [
            (format!("epochs/{number}"), "/pool"),
            (format!("epochs/{number}"), "/units/quantity"),
            (format!("devices/{did}"), "/earned"),
            (format!("devices/{did}/earnings"), "/items/0/earned"),
            (format!("owners/{owner}"), "/earned"),
            (format!("owners/{owner}"), "/claimed"),
            (format!("claims/{owner}"), "/items/0/amount"),
            ("customers".to_owned(), "/items/0/paid"),
            ("events?type=claimed".to_owned(), "/items/0/event/amount"),
        ] {
            let body = get(&app, &format!("/api/v1/{path}")).await;
            // The sample has more customers; the one who paid is among them.
            let customer = |body: &Value| {
                let items = body["items"].as_array().unwrap().clone();
                items.into_iter().find(|item| item["address"] == json!(owner)).unwrap()["paid"].clone()
            };
            let found =
                if path == "customers" { customer(&body) } else { body.pointer(place).unwrap().clone() };
            assert_eq!(found, digits, "{path}{place}");
        }
    }
}

#[tokio::test]
async fn a_claim_has_all_it_takes_to_be_taken() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let body = get(&app, &format!("/api/v1/claims/{}", sample::account(3))).await;
    let items = body["items"].as_array().unwrap();
    assert_eq!(items.len(), 5);
    for (item, epoch) in items.iter().zip([4, 3, 2, 1, 0]) {
        assert_eq!(item["epoch"], epoch);
        assert_eq!(item["amount"], json!(sample::EDGES[3]));
        assert_eq!(item["proof"], json!(sample::claims(epoch)[3].proof));
        // The sample chain pays account n in epoch n.
        assert_eq!(item["claimed"], json!(epoch == 3), "{item}");
        let status = match epoch {
            4 => "challenged",
            3 => "voided",
            _ => "final",
        };
        assert_eq!(item["status"], status);
    }
}

#[tokio::test]
async fn a_dispute_shows_with_its_steps_and_its_deadline() {
    let (_folder, store) = filled().await;
    let reading = Reading::new(store, json!({ "chain": "test" }));
    let terms = Arc::clone(&reading.terms);
    let app = router(reading);
    let row = get(&app, "/api/v1/epochs/4").await;
    assert_eq!((&row["status"], &row["challenges"]), (&json!("challenged"), &json!(1)));
    assert_eq!(row["deadline"], Value::Null, "the chain did not say how long it waits");
    let untold = json!({ "chain": "test", "decimals": null, "windows": null });
    assert_eq!(get(&app, "/api/v1/network").await, untold);
    let windows = Windows { challenge: 100, evidence: 30, resolution: 7, max_voids: 2 };
    terms.set(Terms { decimals: 6, windows }).unwrap();
    let windows = json!({ "challenge": 100, "evidence": 30, "resolution": 7, "max_voids": 2 });
    let told = json!({ "chain": "test", "decimals": 6, "windows": windows });
    assert_eq!(get(&app, "/api/v1/network").await, told);
    let row = get(&app, "/api/v1/epochs/4").await;
    assert_eq!(row["deadline"], row["contested_at"].as_u64().unwrap() / 1000 + 37);
    let row = get(&app, "/api/v1/epochs/3").await;
    assert_eq!((&row["status"], &row["voids"]), (&json!("voided"), &json!(2)));
    assert_eq!((&row["deadline"], &row["contested_at"]), (&Value::Null, &Value::Null));

    let roots = get(&app, "/api/v1/roots?limit=1000").await;
    let steps: Vec<_> = roots["items"].as_array().unwrap().iter().rev().collect();
    let of_4: Vec<_> =
        steps.iter().filter(|row| row["epoch"] == 4).map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!(of_4, ["proposed", "challenged", "contested", "supported"]);
    for row in steps {
        let (what, named) = (row["what"].as_str().unwrap(), |field: &str| !row[field].is_null());
        assert_eq!(named("root"), matches!(what, "proposed" | "finalised"), "{row}");
        assert_eq!(named("by"), matches!(what, "challenged" | "supported" | "revived"), "{row}");
        assert_eq!(named("candidate"), named("by"), "{row}");
        assert_eq!(named("round"), matches!(what, "contested" | "voided" | "undecided" | "revived"), "{row}");
    }
}

#[tokio::test]
async fn hostile_text_leaves_as_harmless_text_and_every_finding_in_words() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let body = get(&app, &format!("/api/v1/devices/{}/verdicts?limit=1", sample::device(0))).await;
    let findings = body["items"][0]["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2);
    assert_eq!(
        findings[0]["words"],
        "possession.leaves failed (missing): \\u{202e}gpj.exe\\u{0}\\u{1b}[2J'); DROP TABLE events; \
         --<script>alert(1)</script>\\u{2066}; expected 459 leaves; on the device's side"
    );
    assert_eq!(findings[1]["words"], "possession.place was not done (no-witness): no witness nearby");
    assert_eq!((&findings[0]["result"], &findings[0]["side"]), (&json!("fail"), &json!("device")));
}

/// Follows cursors through the whole list, feeding more blocks between pages.
async fn walk(app: &Router, store: &Arc<dyn Store>, list: &str, limit: u16, grow: bool) -> Vec<Value> {
    let separator = if list.contains('?') { '&' } else { '?' };
    let (mut items, mut cursor, mut blocks) = (Vec::new(), String::new(), 32);
    loop {
        let mut body = get(app, &format!("/api/v1/{list}{separator}limit={limit}{cursor}")).await;
        let page = std::mem::take(body["items"].as_array_mut().unwrap());
        assert!(page.len() <= usize::from(limit));
        items.extend(page);
        let Some(next) = body["next"].as_str() else { return items };
        assert!(
            next.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
            "{next}"
        );
        cursor = format!("&cursor={next}");
        if grow {
            blocks += 1;
            let (batch, next) = sample::batch(blocks, 5, 0);
            store.apply(batch, next).await.unwrap();
        }
    }
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_the_index_grows() {
    let (_folder, store) = filled().await;
    let app = serve(store.clone());
    let before = walk(&app, &store, "events", 1000, false).await;
    assert_eq!(before.len(), 64);
    assert_eq!(walk(&app, &store, "events", 3, true).await, before);
    let (did, address) = (sample::device(1), sample::account(1));
    for list in [
        "epochs".to_owned(),
        "devices".to_owned(),
        "devices?status=active".to_owned(),
        format!("devices/{did}/earnings"),
        format!("devices/{did}/verdicts"),
        format!("claims/{address}"),
        "customers".to_owned(),
        "events?type=claimed".to_owned(),
        "refusals".to_owned(),
    ] {
        let whole = walk(&app, &store, &list, 1000, false).await;
        assert!(whole.len() > 2, "{list}");
        assert_eq!(walk(&app, &store, &list, 1, false).await, whole, "{list}");
        assert_eq!(walk(&app, &store, &list, 2, false).await, whole, "{list}");
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let did = sample::device(1);
    let earnings = get(&app, &format!("/api/v1/devices/{did}/earnings?limit=1")).await;
    let cursor = earnings["next"].as_str().unwrap();
    get(&app, &format!("/api/v1/devices/{did}/earnings?cursor={cursor}")).await;
    for list in ["epochs", "devices", "events", "customers", "refusals"] {
        let found = refused(&app, &format!("/api/v1/{list}?cursor={cursor}")).await;
        assert_eq!(found, (400, "bad-cursor".into()), "{list}");
    }
    // Bits flipped, ends cut off, padding added: another cursor of the list, or refused; never a failure.
    for at in 0..cursor.len() {
        for other in ["A", "z", "_", "=", "+"] {
            let path = format!(
                "/api/v1/devices/{did}/earnings?cursor={}{other}{}",
                &cursor[..at],
                &cursor[at + 1..]
            );
            let (status, _, body) = send(&app, "GET", &path).await;
            assert!(status == StatusCode::OK || body["error"]["code"] == "bad-cursor", "{path}: {body}");
        }
        let cut = refused(&app, &format!("/api/v1/devices/{did}/earnings?cursor={}", &cursor[..at])).await;
        assert_eq!(cut, (400, "bad-cursor".into()));
    }
}

#[tokio::test]
async fn a_client_reads_back_the_rows_of_the_store() {
    let (_folder, store) = filled().await;
    let app = serve(store.clone());
    let (did, address) = (sample::device(0), sample::account(1));
    macro_rules! same {
        ($path:expr, $page:expr) => {{
            let stored = $page.await.unwrap().items;
            let body = get(&app, &format!("/api/v1/{}", $path)).await;
            let mut read = stored.clone();
            read.clone_from(&serde_json::from_value(body["items"].clone()).unwrap());
            assert!(!stored.is_empty() && read == stored, "{body}");
        }};
    }
    same!("epochs", store.epochs(Seek::default()));
    same!("devices", store.devices(DeviceFilter::default(), Seek::default()));
    same!(format!("devices/{did}/earnings"), store.earnings(did, Seek::default()));
    same!(format!("devices/{did}/verdicts"), store.verdicts(did, Seek::default()));
    same!(format!("claims/{address}"), store.claims(address, Seek::default()));
    same!("customers", store.customers(Seek::default()));
    same!("events", store.events(None, Seek::default()));
    same!("refusals", store.refusals(None, Seek::default()));
}

#[tokio::test]
async fn it_merges_with_the_routes_of_a_node() {
    let (_folder, store) = filled().await;
    let intake = Router::new().route("/api/v1/reports", axum::routing::post(async || StatusCode::ACCEPTED));
    let app = intake.merge(router(Reading::new(store, json!({})))).fallback(not_found);
    assert_eq!(send(&app, "POST", "/api/v1/reports").await.0, StatusCode::ACCEPTED);
    get(&app, "/api/v1/epochs").await;
    assert_eq!(refused(&app, "/elsewhere").await, (404, "not-found".into()));
}

#[tokio::test]
async fn a_store_that_fails_is_told_without_its_secrets() {
    let (folder, store) = filled().await;
    let other = rusqlite::Connection::open(folder.path().join("index.db")).unwrap();
    other.execute_batch("UPDATE events SET body = x'00'").unwrap();
    let app = serve(store);
    assert_eq!(refused(&app, "/api/v1/events").await, (500, "internal".into()));
    let (_, _, body) = send(&app, "GET", "/api/v1/events").await;
    assert!(!body.to_string().contains("index.db") && !body.to_string().contains("body"), "{body}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_makes_it_fail(path in "(epochs|devices|owners|claims|events|customers|refusals)(/[ -~]{0,30})?", query in "[ -~]{0,40}") {
        let path: String = path.replace(['?', '#', ' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'], "");
        let query: String = query.replace(['#', ' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'], "");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let app = serve(Arc::new(MemoryStore::default()));
        let path = format!("/api/v1/{path}?{query}");
        let (status, _, body) = runtime.block_on(send(&app, "GET", &path));
        prop_assert!(status.as_u16() < 500, "{}: {} {}", path, status, body);
        prop_assert!(status == StatusCode::OK || body["error"]["next"].is_string(), "{}: {} {}", path, status, body);
    }
}

/// The next piece of a stream, as text.
async fn piece(body: &mut axum::body::BodyDataStream) -> String {
    let bytes = futures_util::StreamExt::next(body).await.unwrap().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_stream_tells_what_to_read_again() {
    let (_folder, store) = filled().await;
    let app = serve(Arc::clone(&store));
    let device = sample::device(1);
    let open = async |path: &str, last: Option<&str>| {
        let request = Request::builder().uri(path);
        let request = last.map_or(Request::builder().uri(path), |last| request.header("last-event-id", last));
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    };
    let path = format!("/api/v1/stream?topics=events,device:{device}");
    let response = open(&path, None).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body().into_data_stream();
    assert!(piece(&mut body).await.starts_with("retry: "));
    let (batch, cursor) = sample::batch(40, 6, 0);
    store.apply(batch, cursor).await.unwrap();
    let text = piece(&mut body).await;
    assert_eq!(text.matches("event: changed").count(), 2, "{text}");
    let data: Value =
        serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    assert_eq!(data["at"], json!({"block": 40, "journal": 6}), "{text}");
    assert!(text.contains(&device.to_string()), "{text}");
    store.rewind(sample::block(33, 0), Timestamp(1)).await.unwrap();
    assert!(piece(&mut body).await.starts_with("event: resync"));
    let mut again = open(&path, Some("1-2-3")).await.into_body().into_data_stream();
    assert!(piece(&mut again).await.starts_with("event: resync"));
    for topics in ["", "everything", "device:x", "owner:0x12", "events,,health"] {
        let found = refused(&app, &format!("/api/v1/stream?topics={topics}")).await;
        assert_eq!(found, (400, "bad-topics".into()), "{topics}");
    }
    assert_eq!(refused(&app, "/api/v1/stream").await, (400, "bad-query".into()));
}

#[tokio::test]
async fn a_list_comes_as_csv_page_by_page() {
    let (_folder, store) = filled().await;
    let app = serve(store);
    let whole = get(&app, "/api/v1/epochs").await;
    let (mut path, mut lines) = ("/api/v1/epochs?format=csv&limit=2".to_owned(), Vec::new());
    loop {
        let request = Request::builder().uri(&path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/csv"));
        let link = response.headers().get(header::LINK).map(|link| link.to_str().unwrap().to_owned());
        let text =
            String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
        let mut page = text.lines().map(str::to_owned);
        let header = page.next().unwrap();
        assert!(header.split(',').any(|column| column == "units.quantity"), "{header}");
        lines.extend(page);
        let Some(link) = link else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(lines.len(), whole["items"].as_array().unwrap().len());
    assert_eq!(refused(&app, "/api/v1/epochs?format=xml").await, (400, "bad-format".into()));
}

async fn csv(app: &Router, path: &str) -> (header::HeaderMap, String) {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    assert_eq!(parts.status, StatusCode::OK, "{path}");
    (parts.headers, String::from_utf8(to_bytes(body, 64 << 20).await.unwrap().to_vec()).unwrap())
}

/// The column `name` of a text without quoted cells before it.
fn column(text: &str, name: &str) -> Vec<String> {
    let mut lines = text.lines();
    let at = lines.next().unwrap().split(',').position(|column| column == name).unwrap();
    lines.map(|line| line.split(',').nth(at).unwrap().to_owned()).collect()
}

#[tokio::test]
async fn csv_without_a_limit_is_the_whole_list() {
    const BLOCKS: u64 = 1_700;
    let store = MemoryStore::default();
    let header = |number: u64| {
        let hash = |number: u64| Digest(depin_core::sha256(&[&number.to_be_bytes()]).0);
        BlockFacts { number, hash: hash(number), parent: hash(number - 1), time: Timestamp(number * 1_000) }
    };
    let paid = |number: u64| {
        let customer = depin_core::Address::left_padding_from(&number.to_be_bytes());
        let event = ChainEvent::CreditsPaid { customer, amount: Amount(5), burned: Amount(2) };
        Located { block: number, block_hash: header(number).hash, log_index: 0, event }
    };
    let batch = Batch {
        blocks: (1..=BLOCKS).map(header).collect(),
        events: (1..=BLOCKS).map(paid).collect(),
        ..Batch::default()
    };
    let block = Some(BlockRef { number: BLOCKS, hash: header(BLOCKS).hash });
    store.apply(batch, Cursor { block, final_block: None, journal: 0 }).await.unwrap();
    let app = serve(Arc::new(store));
    let (headers, text) = csv(&app, "/api/v1/events?format=csv").await;
    assert!(!headers.contains_key(header::LINK), "there is nothing more");
    let blocks = column(&text, "block");
    let expected: Vec<String> = (1..=BLOCKS).rev().map(|number| number.to_string()).collect();
    assert_eq!(blocks, expected);
    assert_eq!(text.matches("block_hash").count(), 1, "the names of the columns come once");
    // From a cursor on, and a list whose rows are made of others.
    let page = get(&app, "/api/v1/customers?limit=10").await;
    let (_, rest) =
        csv(&app, &format!("/api/v1/customers?format=csv&cursor={}", page["next"].as_str().unwrap())).await;
    assert_eq!(rest.lines().count(), 1_691);
    let (_, none) = csv(&app, "/api/v1/demand?format=csv").await;
    assert_eq!(none.lines().count(), 1);
    assert_eq!(refused(&app, "/api/v1/events?format=csv&cursor=x").await, (400, "bad-cursor".into()));
}

#[tokio::test]
async fn what_is_not_final_is_left_out_where_only_what_is_final_is_asked_for() {
    let (_folder, store) = filled().await;
    let (batch, cursor) = sample::batch(32, 5, 0);
    store.apply(batch, Cursor { final_block: Some(20), ..cursor }).await.unwrap();
    let app = serve(store);
    let events = get(&app, "/api/v1/events?at=final").await;
    assert_eq!(events["items"].as_array().unwrap().len(), 40);
    assert_eq!((&events["at"]["block"], &events["at"]["final"]), (&json!(20), &json!(true)));
    let events = get(&app, "/api/v1/events?limit=1").await;
    assert_eq!((&events["items"][0]["final"], &events["at"]["block"]), (&json!(false), &json!(32)));
    let (latest, decided) = (get(&app, "/api/v1/epochs").await, get(&app, "/api/v1/epochs?at=final").await);
    let finals =
        |body: &Value| body["items"].as_array().unwrap().iter().filter(|row| row["final"] == true).count();
    assert!(finals(&decided) > 0 && finals(&latest) == finals(&decided), "{latest} {decided}");
    assert!(latest["items"].as_array().unwrap().len() > decided["items"].as_array().unwrap().len());
    assert_eq!(refused(&app, "/api/v1/overview?at=now").await, (400, "bad-at".into()));
    let overview = get(&app, "/api/v1/overview").await;
    let card = |name: &str| {
        let cards = overview["cards"].as_array().unwrap().clone();
        cards.into_iter().find(|card| card["name"] == name).unwrap()
    };
    assert_eq!(
        (&card("epochs_closed")["now"], &card("epochs_closed")["final"]),
        (&json!("5"), &json!(false))
    );
}
