//! Our documents and resolvers where ssi reads them.
#![cfg(feature = "ssi")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

use std::sync::Arc;

use depin_identity::{Resolvers, did::SsiResolver};
use pollster::block_on;
use ssi::dids::{
    DID, DIDJWK, DIDKey, DIDPKH, DIDResolver, DIDURL, Document,
    resolution::{Error, Options},
};

const JWK: &str = "did:jwk:eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6OTFQSDZDZEgyVjAiLCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9";

fn ours() -> SsiResolver {
    SsiResolver(Arc::new(Resolvers::offline()))
}

fn resolve(resolver: &impl DIDResolver, did: &str, format: Option<&str>) -> Document {
    let mut options = Options::default();
    options.parameters.public_key_format = format.map(str::to_owned);
    let output = block_on(resolver.resolve_with(DID::new(did).unwrap(), options)).unwrap();
    output.document.into_document()
}

/// The keys that both list first: ssi's did:key lists no X25519 key.
fn same_key(did: &str, format: Option<&str>, theirs: &impl DIDResolver, member: &str) {
    let (ours, theirs) = (resolve(&ours(), did, format), resolve(theirs, did, format));
    assert_eq!(ours.id, theirs.id);
    let (ours, theirs) = (&ours.verification_method[0], &theirs.verification_method[0]);
    assert_eq!((&ours.id, &ours.type_, &ours.controller), (&theirs.id, &theirs.type_, &theirs.controller));
    assert!(theirs.properties[member].is_string() || theirs.properties[member].is_object());
    // Accounts are compared without the case of their checksum.
    let text = |value: &serde_json::Value| value.to_string().to_lowercase();
    assert_eq!(text(&ours.properties[member]), text(&theirs.properties[member]));
}

#[test]
fn our_documents_have_the_keys_that_ssi_finds() {
    for did in [
        "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
        "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv",
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
        "did:key:z82Lm1MpAkeJcix9K8TMiLd5NMAhnwkjjCBeWHXyu3U4oT2MVJJKXkcVBgjGhnLBn2Kaau9",
    ] {
        same_key(did, None, &DIDKey, "publicKeyMultibase");
    }
    same_key(JWK, Some("JsonWebKey2020"), &DIDJWK, "publicKeyJwk");
    let account = "did:pkh:eip155:1:0xb9c5714089478a327f09197987f16f9e5d936e8a";
    same_key(account, None, &DIDPKH, "blockchainAccountId");
}

#[test]
fn ssi_finds_verification_methods_through_our_resolvers() {
    for url in [
        format!("{JWK}#0"),
        "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw#z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
    ] {
        let found = block_on(ours().dereference(DIDURL::new(&url).unwrap())).unwrap();
        assert_eq!(found.content.as_verification_method().unwrap().id.as_str(), url);
    }
}

#[test]
fn a_did_url_with_a_path_or_query_is_refused_before_ssi_reads_it() {
    let key = "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw";
    for rest in ["?accept=bogus#k", "?service=a&service=b#k", "/path#k", "/path?a=b"] {
        let url = format!("{key}{rest}");
        assert!(block_on(ours().dereference(DIDURL::new(&url).unwrap())).is_err(), "{url}");
    }
}

#[test]
fn methods_that_are_not_on_the_list_do_not_reach_ssi() {
    for did in ["did:ion:EiClkZMDxPKqC9c-umQfTkR8vvZ9JPhl_xLDI9Nfk38w5w", "did:tz:tz1a", "did:web:localhost"]
    {
        let refused = block_on(ours().resolve(DID::new(did).unwrap()));
        assert!(matches!(refused, Err(Error::MethodNotSupported(_))), "{did}");
    }
}
