//! What of an identity's changes becomes its document.

use alloy::primitives::{Address, bytes};
use alloy::sol_types::SolCall;
use depin_core::Text;
use depin_evm::EthrDid;
use depin_identity::did::{
    Curve, Did, DidDocument, DidError, DidResolver, MethodKey, MethodRef, MethodType, Purpose, Resolvers,
};

use crate::{
    common::key,
    scene::{Scene, YEAR},
};

/// The fragments of the keys for `purpose`, in their order.
fn keys(document: &DidDocument, purpose: Purpose) -> Vec<&str> {
    let entries = document.relationship(purpose).iter();
    entries
        .map(|entry| match entry {
            MethodRef::Reference(id) => id.fragment().unwrap(),
            MethodRef::Embedded(_) => panic!("an embedded method"),
        })
        .collect()
}

/// The account behind the method `fragment`.
fn account(document: &DidDocument, fragment: &str) -> Option<Address> {
    let method = document.verification_method.iter().find(|method| method.id.fragment() == Some(fragment))?;
    assert_eq!(method.kind, MethodType::EcdsaSecp256k1RecoveryMethod2020);
    match method.key {
        Some(MethodKey::Account { address, .. }) => Some(address),
        _ => None,
    }
}

const WHO: Address = Address::repeat_byte(0x77);
const SIGNS: Purpose = Purpose::AssertionMethod;
const LOGS_IN: Purpose = Purpose::Authentication;

#[tokio::test]
async fn an_identity_that_never_changed_is_its_own_account() {
    let scene = Scene::new().await;
    let found = scene.at(0).await.unwrap();
    assert_eq!(found.version, None);
    assert_eq!(found.document.id, scene.did());
    assert_eq!(account(&found.document, "controller"), Some(scene.me()));
    assert_eq!(keys(&found.document, LOGS_IN), ["controller"]);
    assert_eq!(keys(&found.document, SIGNS), ["controller"]);
    let key = &found.document.verification_method[0].key;
    let chain_id = scene.stage.client.chain_id();
    assert_eq!(*key, Some(MethodKey::Account { chain_id, address: scene.me() }));
    // What the tests ask and what the seam gives is one.
    assert_eq!(scene.resolver.resolve(&scene.did(), None).await.unwrap(), found);
    let listed = Resolvers::default().with(std::sync::Arc::new(scene.resolver.clone()));
    assert_eq!(listed.resolve(&scene.did(), None).await.unwrap(), found);
}

#[tokio::test]
async fn the_owner_controls_and_the_identity_no_more() {
    let scene = Scene::new().await;
    let block = scene.own(scene.owner(scene.other.address())).await;
    let found = scene.at(0).await.unwrap();
    assert_eq!(found.version, Some(Text::new(block.to_string()).unwrap()));
    assert_eq!(account(&found.document, "controller"), Some(scene.other.address()));
    assert_eq!(found.document.verification_method.len(), 1);
    scene.send(&scene.other, scene.owner(WHO)).await;
    assert_eq!(account(&scene.document().await, "controller"), Some(WHO));
}

#[tokio::test]
async fn the_key_of_a_name_speaks_only_while_its_account_owns_it() {
    let scene = Scene::new().await;
    let point = key(1).credential().verifying_key().to_encoded_point(true);
    let hex = alloy::hex::encode(point.as_bytes());
    let did: Did = format!("did:ethr:{:#x}:0x{hex}", scene.stage.client.chain_id()).parse().unwrap();
    let document = scene.resolver.resolve_at(&did, None, 0).await.unwrap().document;
    assert_eq!(document.id, did);
    assert_eq!(account(&document, "controller"), Some(scene.me()));
    assert_eq!(keys(&document, LOGS_IN), ["controller", "controllerKey"]);
    let method = &document.verification_method[1];
    assert_eq!(method.kind, MethodType::EcdsaSecp256k1VerificationKey2019);
    assert_eq!(method.public_key().unwrap().bytes(), point.as_bytes());
    scene.own(scene.owner(WHO)).await;
    let document = scene.resolver.resolve_at(&did, None, 0).await.unwrap().document;
    assert_eq!(keys(&document, SIGNS), ["controller"]);
}

#[tokio::test]
async fn a_delegate_signs_or_logs_in_until_its_time_is_over() {
    let scene = Scene::new().await;
    scene.own(scene.delegate("veriKey", WHO, 100)).await;
    let block = scene.own(scene.delegate("sigAuth", scene.other.address(), 200)).await;
    // What contracts alone understand is counted, and listed nowhere.
    scene.own(scene.delegate("attestor", WHO, YEAR)).await;
    scene.own(scene.delegate("veriKey", Address::repeat_byte(9), YEAR)).await;
    let document = scene.document().await;
    assert_eq!(keys(&document, SIGNS), ["controller", "delegate-1", "delegate-2", "delegate-4"]);
    assert_eq!(keys(&document, LOGS_IN), ["controller", "delegate-2"]);
    assert_eq!(account(&document, "delegate-1"), Some(WHO));
    assert_eq!(account(&document, "delegate-2"), Some(scene.other.address()));

    let until = depin_evm::header(&scene.stage.client, block).await.unwrap().timestamp + 200;
    let last = scene.at(until - 1).await.unwrap().document;
    assert_eq!(keys(&last, SIGNS), ["controller", "delegate-2", "delegate-4"]);
    let over = scene.at(until).await.unwrap().document;
    assert_eq!(keys(&over, SIGNS), ["controller", "delegate-4"]);
    assert_eq!(keys(&over, LOGS_IN), ["controller"]);
    // Or when the chain's own clock says so.
    scene.stage.reach(until).await;
    assert_eq!(*scene.at(0).await.unwrap().document, *over);
}

#[tokio::test]
async fn a_revoked_delegate_is_gone_at_once_and_its_number_with_it() {
    let scene = Scene::new().await;
    scene.own(scene.delegate("sigAuth", WHO, YEAR)).await;
    scene.own(scene.revoke("sigAuth", WHO)).await;
    let document = scene.document().await;
    assert_eq!(keys(&document, SIGNS), ["controller"]);
    assert_eq!(keys(&document, LOGS_IN), ["controller"]);
    assert_eq!(document.verification_method.len(), 1);
    scene.own(scene.delegate("sigAuth", WHO, YEAR)).await;
    assert_eq!(keys(&scene.document().await, SIGNS), ["controller", "delegate-3"]);
}

#[tokio::test]
async fn the_last_word_about_a_delegate_counts() {
    let scene = Scene::new().await;
    scene.own(scene.delegate("veriKey", WHO, YEAR)).await;
    scene.own(scene.delegate("veriKey", WHO, 50)).await;
    assert_eq!(keys(&scene.document().await, SIGNS), ["controller", "delegate-2"]);
    let later = scene.stage.now().await + 50;
    assert_eq!(keys(&scene.at(later).await.unwrap().document, SIGNS), ["controller"]);
}

#[tokio::test]
async fn keys_are_read_from_attributes() {
    let scene = Scene::new().await;
    let ed25519 = bytes!("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let secp256k1 = bytes!("0379be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    let p256 = bytes!("802402e2534a3532d08fbba02dde659ee62bd0031fe2db785596ef509302446b030852");
    scene.own(scene.attribute("did/pub/Ed25519/veriKey/base64", &ed25519, YEAR)).await;
    scene.own(scene.attribute("did/pub/Secp256k1/sigAuth/hex", &secp256k1, YEAR)).await;
    scene.own(scene.attribute("did/pub/X25519/enc/base64", &ed25519, YEAR)).await;
    scene.own(scene.attribute("did/pub/Multikey/veriKey", &p256, YEAR)).await;
    scene.own(scene.attribute("did/pub/Rsa/veriKey/pem", b"anything", YEAR)).await;
    // No key, no name of a key, no key at all: the last three have no numbers.
    scene.own(scene.attribute("did/pub/Ed25519/veriKey", &ed25519[..31], YEAR)).await;
    scene.own(scene.attribute("did/pub/", &ed25519, YEAR)).await;
    scene.own(scene.attribute("did/svc/Hub", b"https://example.com", YEAR)).await;
    scene.own(scene.attribute("did/pub/Ed25519/veriKey/hex/x", &ed25519, YEAR)).await;
    scene.own(scene.delegate("veriKey", WHO, YEAR)).await;
    let document = scene.document().await;
    assert_eq!(
        keys(&document, SIGNS),
        ["controller", "delegate-1", "delegate-2", "delegate-4", "delegate-5", "delegate-7"]
    );
    assert_eq!(keys(&document, LOGS_IN), ["controller", "delegate-2"]);
    assert_eq!(keys(&document, Purpose::KeyAgreement), ["delegate-3"]);
    let methods = &document.verification_method;
    let found: Vec<_> = methods[1..5].iter().map(|method| method.public_key().unwrap()).collect();
    assert_eq!((found[0].curve(), found[0].bytes()), (Curve::Ed25519, ed25519.as_ref()));
    assert_eq!((found[1].curve(), found[1].bytes()), (Curve::Secp256k1, secp256k1.as_ref()));
    assert_eq!((found[2].curve(), found[2].bytes()), (Curve::X25519, ed25519.as_ref()));
    assert_eq!((found[3].curve(), found[3].bytes()), (Curve::P256, &p256[2..]));
    assert_eq!((&methods[5].kind, &methods[5].key), (&MethodType::Other("Rsa".into()), &None));
    serde_json::to_string(&document).unwrap();

    scene.own(scene.unset("did/pub/X25519/enc/base64", &ed25519)).await;
    scene.own(scene.unset("did/pub/Secp256k1/sigAuth/hex", &secp256k1)).await;
    let document = scene.document().await;
    assert_eq!(keys(&document, Purpose::KeyAgreement), [""; 0]);
    assert_eq!(keys(&document, LOGS_IN), ["controller"]);
    assert_eq!(
        keys(&document, SIGNS),
        ["controller", "delegate-1", "delegate-4", "delegate-5", "delegate-7"]
    );
}

#[tokio::test]
async fn every_change_of_a_block_counts_in_its_order() {
    let scene = Scene::new().await;
    let other = scene.other.address();
    scene.own(scene.delegate("veriKey", other, YEAR)).await;
    // Revoked and set again, set and revoked, a new owner: in one block.
    let block = scene
        .together(vec![
            scene.revoke("veriKey", other).abi_encode(),
            scene.delegate("veriKey", other, YEAR).abi_encode(),
            scene.delegate("sigAuth", WHO, YEAR).abi_encode(),
            scene.revoke("sigAuth", WHO).abi_encode(),
            scene.attribute("did/pub/Ed25519/sigAuth/hex", &[7; 32], YEAR).abi_encode(),
            scene.owner(other).abi_encode(),
        ])
        .await;
    let found = scene.at(0).await.unwrap();
    assert_eq!(found.version, Some(Text::new(block.to_string()).unwrap()));
    assert_eq!(keys(&found.document, SIGNS), ["controller", "delegate-3", "delegate-6"]);
    assert_eq!(keys(&found.document, LOGS_IN), ["controller", "delegate-6"]);
    assert_eq!(account(&found.document, "controller"), Some(other));
    // The walk goes on before that block, and after it.
    scene.send(&scene.other, scene.revoke("veriKey", other)).await;
    assert_eq!(keys(&scene.document().await, SIGNS), ["controller", "delegate-6"]);
}

#[tokio::test]
async fn an_identity_without_owner_is_deactivated_for_ever() {
    let scene = Scene::new().await;
    let before = scene.own(scene.delegate("veriKey", WHO, YEAR)).await;
    scene.own(scene.owner(Address::ZERO)).await;
    let contract = scene.contract();
    // The contract falls back to the identity itself; nobody else may.
    assert_eq!(contract.identityOwner(scene.me()).call().await.unwrap(), scene.me());
    let refused = scene.at(0).await.unwrap_err();
    assert_eq!(refused, DidError::Deactivated { did: scene.did() });
    assert_eq!(scene.resolver.resolve(&scene.did(), None).await.unwrap_err(), refused);
    // So the identity can still change things; it stays what it is.
    scene.own(scene.owner(scene.other.address())).await;
    assert_eq!(scene.at(0).await.unwrap_err(), refused);
    // Of before, there is a document.
    let document = scene.version(before).await.unwrap().document;
    assert_eq!(keys(&document, SIGNS), ["controller", "delegate-1"]);
}

#[tokio::test]
async fn a_version_is_the_document_of_a_block() {
    let scene = Scene::new().await;
    let start = scene.stage.height().await;
    let first = scene.own(scene.delegate("veriKey", WHO, 100)).await;
    let later = scene.stage.now().await + 500;
    scene.stage.reach(later).await;
    let second = scene.own(scene.owner(WHO)).await;
    let found = scene.version(start).await.unwrap();
    assert_eq!((found.version, keys(&found.document, SIGNS)), (None, vec!["controller"]));
    let found = scene.version(first).await.unwrap();
    assert_eq!(keys(&found.document, SIGNS), ["controller", "delegate-1"]);
    assert_eq!(account(&found.document, "controller"), Some(scene.me()));
    // Between changes, the version is that of the last one; the delegate has expired by then.
    let found = scene.version(second - 1).await.unwrap();
    assert_eq!(found.version, Some(Text::new(first.to_string()).unwrap()));
    assert_eq!(keys(&found.document, SIGNS), ["controller"]);
    assert_eq!(account(&scene.version(second).await.unwrap().document, "controller"), Some(WHO));
    for nonsense in [(second + 100).to_string(), "latest".into(), "+1".into(), "01".into()] {
        let version = Text::new(nonsense).unwrap();
        let refused = scene.resolver.resolve_at(&scene.did(), Some(&version), 0).await.unwrap_err();
        assert!(matches!(refused, DidError::NotFound { .. }), "{refused}");
    }
}

#[tokio::test]
async fn another_chain_or_method_is_refused() {
    let scene = Scene::new().await;
    for text in [format!("did:ethr:{}", scene.me()), format!("did:ethr:0x5:{}", scene.me())] {
        let refused = scene.resolver.resolve(&text.parse().unwrap(), None).await.unwrap_err();
        assert!(matches!(refused, DidError::Invalid { .. }), "{refused}");
        assert!(refused.to_string().contains("one of the chains"), "{refused}");
    }
    let refused = scene.resolver.resolve(&"did:web:example.com".parse().unwrap(), None).await.unwrap_err();
    assert!(matches!(refused, DidError::UnsupportedMethod { .. }), "{refused}");
}

#[tokio::test]
async fn a_registry_that_is_none_says_nothing_of_an_identity() {
    let scene = Scene::new().await;
    let resolver = EthrDid::default().on(scene.stage.client.clone(), Address::repeat_byte(5));
    let refused = resolver.resolve(&scene.did(), None).await.unwrap_err();
    assert!(matches!(refused, DidError::Unavailable { .. }), "{refused}");
}

#[tokio::test]
async fn an_identity_that_changed_too_often_is_not_read() {
    let scene = Scene::new().await;
    for _ in 0..256 {
        scene.own(scene.attribute("did/svc/Hub", b"x", 1)).await;
    }
    scene.at(0).await.unwrap();
    scene.own(scene.attribute("did/svc/Hub", b"x", 1)).await;
    let refused = scene.at(0).await.unwrap_err();
    assert!(matches!(&refused, DidError::Unavailable { reason, .. } if reason.contains("256")), "{refused}");
}
