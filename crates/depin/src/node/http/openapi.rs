//! The OpenAPI document of everything that a node serves: what the index says of itself, and the node's own routes.

use std::sync::LazyLock;

use axum::Json;
use serde_json::{Value, json};

use crate::api::paths;

/// The whole document.
pub(super) async fn document() -> Json<&'static Value> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(whole);
    Json(&DOCUMENT)
}

fn whole() -> Value {
    let mut document = serde_json::to_value(depin_index::http::openapi()).unwrap_or_default();
    let own = [own_intake(), own_reading()];
    if let Some(all) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, methods) in own.into_iter().filter_map(as_object).flatten() {
            // One path may be read from the index and written to the node.
            let known = all.entry(path).or_insert_with(|| json!({}));
            if let (Some(known), Some(methods)) = (known.as_object_mut(), as_object(methods)) {
                known.extend(methods);
            }
        }
    }
    document
}

fn as_object(value: Value) -> Option<serde_json::Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn own_intake() -> Value {
    let receipt = json!({ "type": "object", "required": ["result"], "properties": {
        "result": { "type": "string", "enum": ["accepted", "refused"] },
        "receipt": { "type": "string", "pattern": "^0x([0-9a-f]{2})*$", "description": "the signed receipt, if accepted" },
        "reason": { "type": "string", "description": "the reason in one word, if refused" },
        "observed": { "type": "string" },
        "limit": { "type": "string", "description": "what was expected, and what to do next" },
    }});
    let results = object(&[(
        "results",
        json!({ "type": "array", "items": receipt, "description": "in the order of the reports" }),
    )]);
    let after = json!({ "name": "after", "in": "query", "schema": { "type": "integer", "minimum": 0 },
        "description": "wait, for at most 30 s, until the number exceeds this one" });
    let status = json!({ "type": "object", "required": ["number", "phase", "epoch", "now"], "properties": {
        "number": { "type": "integer", "description": "rises with every phase" },
        "phase": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } },
        "epoch": { "type": "integer" },
        "now": { "type": "integer", "description": "milliseconds since the Unix epoch" },
        "schedule": { "type": ["object", "null"] },
        "beacon": { "type": ["object", "null"] },
    }});
    json!({
        paths::STATUS: { "get": call("The phase of the epoch, its deadlines and its beacon", &[after], None, &status) },
        paths::REPORTS: { "post": call(
            "Reports: one signed envelope, or a CBOR sequence of up to 1024 (RFC 8742). The answer comes when they are durable",
            &[], Some(("application/cbor-seq", json!({ "type": "string", "format": "binary" }))), &results) },
        paths::REGISTRATIONS: { "post": call(
            "A binding of a device to its owner, signed by both, relayed to the registry",
            &[], Some(("application/json", json!({ "type": "object" }))), &object(&[("device", text("^did:key:z"))])) },
        paths::CREDENTIALS: { "post": call(
            "What a device is admitted by: the credentials from a manufacturer's root down to its own, and the status lists they name, by URL",
            &[], Some(("application/json", shown())), &object(&[("device", text("^did:key:z")), ("admitted", json!({ "type": "object" }))])) },
        paths::REVOCATIONS: { "post": call(
            "Evidence that a credential of a device is revoked: the status list, as its issuer publishes it. Anybody may bring it",
            &[], Some(("application/json", object(&[("device", text("^did:key:z")), ("list", json!({ "type": "object" }))]))),
            &object(&[("device", text("^did:key:z")), ("revoked", json!({ "type": "array", "items": { "type": "object" } }))])) },
        paths::DEALS: { "post": call(
            "A deal, signed by its customer",
            &[], Some(("application/json", json!({ "type": "object" }))), &object(&[("deal", text("^0x[0-9a-f]{64}$"))])) },
        format!("{}/{{device}}", paths::WORK): { "get": call(
            "A device as the registry has it, and the deals it is wanted for",
            &[segment("device", "its did:key")], None,
            &object(&[("record", json!({ "type": ["object", "null"] })), ("deals", json!({ "type": "array", "items": { "type": "object" } })),
                ("late", json!({ "type": "array", "items": text("^0x[0-9a-f]{64}$"), "description": "deals that count from the next epoch on" }))])) },
        format!("{}/{{customer}}", paths::CREDIT): { "get": call(
            "What a customer can still spend, in base units",
            &[segment("customer", "its address")], None, &object(&[("available", text("^(0|[1-9][0-9]*)$"))])) },
    })
}

/// What a device shows.
fn shown() -> Value {
    let credential = json!({ "type": "object" });
    json!({ "type": "object", "required": ["credentials"], "properties": {
        "credentials": { "type": "array", "items": credential, "minItems": 2, "description": "the root's for a maker first, the device's own last" },
        "statusLists": { "type": "object", "additionalProperties": credential },
    }})
}

fn own_reading() -> Value {
    let claims = json!({ "type": "array", "maxItems": 100, "items": { "type": "object" } });
    let bundle = |what: &str, parameters: &[Value]| {
        let mut call = call(what, parameters, None, &json!({}));
        if let Some(content) = call.pointer_mut("/responses/200/content") {
            *content = json!({ "application/cbor": { "schema": { "type": "string", "format": "binary" } } });
        }
        call
    };
    let epoch = segment("epoch", "its number");
    json!({
        paths::RELAY: { "post": call(
            "Claims, as they are read, for the node to relay to the distributor",
            &[], Some(("application/json", claims.clone())), &object(&[("claimed", claims)])) },
        format!("{}/{{epoch}}", paths::BUNDLES): { "get": bundle("The bundle of a closed epoch", std::slice::from_ref(&epoch)) },
        format!("{}/{{epoch}}/devices/{{device}}", paths::BUNDLES): { "get": bundle(
            "One device's part of a bundle, with the proof that it is one", &[epoch.clone(), segment("device", "its did:key")]) },
    })
}

fn call(summary: &str, parameters: &[Value], body: Option<(&str, Value)>, answer: &Value) -> Value {
    let error = json!({ "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ErrorBody" } } } });
    let described = |what: &str| {
        let mut error = error.clone();
        if let Some(fields) = error.as_object_mut() {
            fields.insert("description".into(), what.into());
        }
        error
    };
    let mut call = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "it was done", "content": { "application/json": { "schema": answer } } },
            "400": described("it cannot be read"),
            "422": described("it was refused as a whole; `next` says what to do"),
            "429": described("too much at once; send it again after the time in Retry-After"),
            "503": described("not now; send it again after the time in Retry-After"),
        },
    });
    if let (Some((kind, schema)), Some(fields)) = (body, call.as_object_mut()) {
        let content = json!({ kind: { "schema": schema } });
        fields.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    call
}

fn segment(name: &str, what: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "description": what, "schema": { "type": "string" } })
}

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

/// An object that has all of these fields.
fn object(fields: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": names, "properties": properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_routes_of_index_and_node() {
        let document = whole();
        let paths = document["paths"].as_object().unwrap();
        let has =
            |path: &str, method: &str| paths.get(path).is_some_and(|methods| methods.get(method).is_some());
        for path in [
            paths::REPORTS,
            paths::REGISTRATIONS,
            paths::CREDENTIALS,
            paths::REVOCATIONS,
            paths::DEALS,
            paths::RELAY,
        ] {
            assert!(has(path, "post"), "{path}");
        }
        for path in [
            "/api/v1/status",
            "/api/v1/work/{device}",
            "/api/v1/credit/{customer}",
            "/api/v1/bundles/{epoch}",
        ] {
            assert!(has(path, "get"), "{path}");
        }
        assert!(has("/api/v1/bundles/{epoch}/devices/{device}", "get"));
        assert!(has("/api/v1/epochs", "get"), "what the index has stays");
        // What is referred to is there.
        let schema = document.pointer("/components/schemas/ErrorBody");
        assert!(schema.is_some());
    }
}
