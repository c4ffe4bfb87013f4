//! Schemas of values that other crates own.

use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};

const AMOUNT: &str = "^(0|[1-9][0-9]{0,77})$";
const DIGEST: &str = "^0x[0-9a-f]{64}$";
const ADDRESS: &str = "^0x[0-9a-f]{40}$";
const DID: &str = "^did:key:z[1-9A-HJ-NP-Za-km-z]{1,56}$";
const KEY_ID: &str = "^[0-9a-f]{32}$";
const HEX: &str = "^0x([0-9a-f]{2})*$";
const OUTCOMES: [&str; 3] = ["accept", "reject", "inconclusive"];

pub(crate) fn amount() -> Schema {
    text(AMOUNT).into()
}

pub(crate) fn digest() -> Schema {
    text(DIGEST).into()
}

pub(crate) fn maybe_digest() -> Schema {
    nullable(text(DIGEST)).into()
}

pub(crate) fn address() -> Schema {
    text(ADDRESS).into()
}

pub(crate) fn maybe_address() -> Schema {
    nullable(text(ADDRESS)).into()
}

pub(crate) fn did() -> Schema {
    text(DID).into()
}

pub(crate) fn maybe_did() -> Schema {
    nullable(text(DID)).into()
}

pub(crate) fn proof() -> Schema {
    ArrayBuilder::new().items(text(DIGEST)).max_items(Some(crate::MAX_PROOF)).build().into()
}

pub(crate) fn units() -> Schema {
    object(&[("kind", ObjectBuilder::new().schema_type(Type::String).build()), ("quantity", text(AMOUNT))])
        .into()
}

pub(crate) fn outcome() -> Schema {
    words(&OUTCOMES).into()
}

pub(crate) fn maybe_outcome() -> Schema {
    OneOfBuilder::new()
        .item(words(&OUTCOMES))
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .build()
        .into()
}

pub(crate) fn check_result() -> Schema {
    words(&["pass", "fail", "warning", "skipped"]).into()
}

pub(crate) fn side() -> Schema {
    words(&["none", "device", "customer", "network", "stranger"]).into()
}

pub(crate) fn contributions() -> Schema {
    let Schema::Object(units) = units() else { return Schema::default() };
    let contribution = object(&[("deal", text(DIGEST)), ("outcome", words(&OUTCOMES)), ("proved", units)]);
    ArrayBuilder::new().items(contribution).build().into()
}

/// A chain event: `type` decides what else it has.
pub(crate) fn event() -> Schema {
    let binding = || [("nonce", integer()), ("deadline", integer()), ("proof", text(HEX))];
    let candidate = |who| [("epoch", integer()), ("candidate", text(DIGEST)), (who, text(ADDRESS))];
    let round = || [("epoch", integer()), ("round", integer())];
    let root = || [("epoch", integer()), ("root", text(DIGEST)), ("bundle", text(DIGEST))];
    let at = || [("device", text(DIGEST)), ("at", integer())];
    let handover = || {
        [
            ("device", text(DIGEST)),
            ("from", text(ADDRESS)),
            ("to", text(ADDRESS)),
            ("new_key", text(DID)),
            ("new_key_proof", text(HEX)),
            ("cut_over", integer()),
            ("voucher", text(DIGEST)),
            ("at", integer()),
        ]
    };
    let registered = || {
        let active = ObjectBuilder::new().schema_type(Type::Boolean).build();
        [("device", text(DID)), ("owner", text(ADDRESS)), ("active", active), ("at", integer())]
    };
    let rotated = || {
        [
            ("new_key", text(DID)),
            ("last_boot", integer()),
            ("last_sequence", integer()),
            ("nonce", integer()),
            ("deadline", integer()),
            ("old_proof", text(HEX)),
            ("new_proof", text(HEX)),
        ]
    };
    let kinds: [(&str, Vec<(&str, Object)>); 19] = [
        ("device-registered", with(binding(), registered())),
        ("device-transferred", with(binding(), handover())),
        ("device-deactivated", at().to_vec()),
        ("device-activated", at().to_vec()),
        ("device-suspended", at().to_vec()),
        ("device-resumed", at().to_vec()),
        ("key-rotated", with(at(), rotated())),
        ("key-compromised", with(at(), [("key", text(KEY_ID)), ("since", integer())])),
        (
            "credits-paid",
            vec![("customer", text(ADDRESS)), ("amount", text(AMOUNT)), ("burned", text(AMOUNT))],
        ),
        (
            "epoch-started",
            vec![("epoch", integer()), ("mint_cap", text(AMOUNT)), ("revenue_cap", text(AMOUNT))],
        ),
        ("root-proposed", root().to_vec()),
        ("root-final", with(root(), [("total", text(AMOUNT))])),
        ("claimed", vec![("epoch", integer()), ("account", text(ADDRESS)), ("amount", text(AMOUNT))]),
        ("root-challenged", candidate("challenger").to_vec()),
        ("epoch-contested", round().to_vec()),
        ("root-supported", with(candidate("supporter"), [("amount", text(AMOUNT))])),
        ("root-voided", with(round(), [("voids", integer())])),
        ("root-undecided", with(round(), [("generation", integer())])),
        ("root-revived", with(candidate("proposer"), [("round", integer())])),
    ];
    let variants = kinds.into_iter().fold(OneOfBuilder::new(), |all, (kind, fields)| {
        all.item(object(&with(fields, [("type", words(&[kind]))])))
    });
    variants.build().into()
}

fn with<'a>(
    fields: impl IntoIterator<Item = (&'a str, Object)>,
    more: impl IntoIterator<Item = (&'a str, Object)>,
) -> Vec<(&'a str, Object)> {
    fields.into_iter().chain(more).collect()
}

fn text(pattern: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build()
}

fn words(words: &[&str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build()
}

fn integer() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).build()
}

/// A pattern says nothing about null.
fn nullable(mut text: Object) -> Object {
    text.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
    text
}

/// An object with exactly these fields.
fn object(fields: &[(&str, Object)]) -> Object {
    fields
        .iter()
        .fold(ObjectBuilder::new(), |object, (name, schema)| {
            object.property(*name, schema.clone()).required(*name)
        })
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
        .build()
}
