//! Doors that take grants.

use std::collections::BTreeSet;

use alloy::signers::local::PrivateKeySigner;
use axum::{Router, http::HeaderMap};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use depin::node::{GrantOptions, GuardedDoor};
use depin_core::{DeviceId, Text};
use depin_identity::{
    SoftwareKey,
    grant::{self, Grant, GrantId, Holder, Narrowing, Right},
};
use depin_rewards::ClaimRequest;

use super::*;

const TELEMETRY: &str = "storage.telemetry";

/// A node of which these doors take grants, with a registered device in an open epoch.
async fn guarded(doors: &[GuardedDoor], change: impl FnOnce(&mut GrantOptions)) -> (Stage, Node, Device) {
    let stage = Stage::new().await;
    let mut parts = stage.parts();
    let issuers = vec![operator().public().typed()];
    parts.options.grants =
        GrantOptions { doors: doors.iter().copied().collect(), issuers, revoked: BTreeSet::new() };
    change(&mut parts.options.grants);
    let node = Node::open(parts).await.unwrap();
    let device = Device::new("a");
    register(&node, &device).await;
    node.open_epoch().await.unwrap();
    (stage, node, device)
}

fn operator() -> SoftwareKey {
    SoftwareKey::from_seed([77; 32])
}

fn grant(device: DeviceId, rights: impl IntoIterator<Item = Right>) -> Grant {
    let expires = Timestamp(GENESIS + 10 * EPOCH);
    let rights = rights.into_iter().collect();
    Grant { network: params().network(), device, ownership_epoch: 0, rights, expires, holder: None }
}

/// What lets `device` submit its telemetry.
fn telemetry(device: &Device) -> Grant {
    grant(device.id(), [Right::Submit(TELEMETRY.into())])
}

fn issue(grant: &Grant, issuer: &SoftwareKey) -> String {
    bearer(&grant.issue(issuer, &[5; 32]).unwrap())
}

fn bearer(token: &[u8]) -> String {
    format!("Bearer {}", URL_SAFE_NO_PAD.encode(token))
}

/// The block by which a grant for `device` is revoked.
fn first_block(token: &[u8], device: &Device) -> GrantId {
    let request = grant::Request {
        network: params().network(),
        device: device.id(),
        ownership_epoch: 0,
        right: Right::Submit(SET_KIND.into()),
        holder: None,
        time: Timestamp(GENESIS),
    };
    Grant::check(token, &[operator().public().typed()], &request, &BTreeSet::new()).unwrap().ids()[0]
}

/// Sells `device`, which then signs with `key`.
async fn sell(node: &Node, device: &mut Device, key: SoftwareKey) {
    let buyer = wallet("buyer");
    let (new_owner, new_key) = (buyer.address(), key.public().typed());
    let action = Action::Transfer { new_owner, new_key, cut_over: Epoch(1), voucher: sha256(&[b"voucher"]) };
    let binding = depin_identity::Binding { deadline: GENESIS, ..device.binding(action, 1) };
    let (hash, message) = (binding.signing_hash(), binding.device_proof_message());
    let by = |owner: &PrivateKeySigner| Some(OwnerSignature(owner.sign_hash_sync(&hash).unwrap().as_bytes()));
    let signed = SignedBinding {
        binding,
        owner_signature: by(&device.owner),
        new_owner_signature: by(&buyer),
        device_proof: Some(device.key.signature(&message)),
        new_key_proof: Some(key.signature(&message)),
    };
    let (status, body) = post(node, paths::REGISTRATIONS, serde_json::to_vec(&signed).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    device.key = key;
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// Refused with a reason in words and a next step.
    fn refused(&self, status: u16, says: &str) {
        assert_eq!((self.status, error(&self.body).as_str()), (status, "grant"), "{}", self.text());
        assert!(self.text().contains(says), "{}", self.text());
        let challenge = self.headers.get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
        assert_eq!(challenge, (status == 401).then_some("Bearer"));
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

async fn ask(router: Router, method: &str, path: &str, authorization: Option<&str>, body: Vec<u8>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let response = router.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: to_bytes(response.into_body(), 1 << 24).await.unwrap().to_vec() }
}

async fn report(node: &Node, device: &mut Device, kind: &'static str, authorization: Option<&str>) -> Answer {
    let body = envelope(node, device, kind, vec![1]);
    ask(node.router(), "POST", paths::REPORTS, authorization, body).await
}

#[tokio::test]
async fn a_report_comes_in_with_a_grant_of_its_device_and_kind_alone() {
    let (stage, node, mut device) = guarded(&[GuardedDoor::Reports], |_| {}).await;
    let other = Device::new("b");
    register(&node, &other).await;
    let right = issue(&telemetry(&device), &operator());
    report(&node, &mut device, TELEMETRY, None).await.refused(401, "brings none");
    report(&node, &mut device, TELEMETRY, Some("Basic YTpi")).await.refused(401, "`Bearer`");
    report(&node, &mut device, TELEMETRY, Some("Bearer ?")).await.refused(401, "base64url");
    let long = format!("Bearer {}", "A".repeat(6_000));
    report(&node, &mut device, TELEMETRY, Some(&long)).await.refused(401, "too long");
    report(&node, &mut device, SET_KIND, Some(&right)).await.refused(403, "does not allow");
    let of_other = issue(&telemetry(&other), &operator());
    report(&node, &mut device, TELEMETRY, Some(&of_other)).await.refused(403, "the grant is for");
    let stranger = issue(&telemetry(&device), &SoftwareKey::from_seed([78; 32]));
    report(&node, &mut device, TELEMETRY, Some(&stranger)).await.refused(403, "not signed by any");
    // Not all that was sent: the whole request is refused, and nothing of it is written.
    let mut one_of_other = Device::new("b");
    let both = [
        envelope(&node, &mut device, TELEMETRY, vec![1]),
        envelope(&node, &mut one_of_other, TELEMETRY, vec![1]),
    ];
    ask(node.router(), "POST", paths::REPORTS, Some(&right), both.concat())
        .await
        .refused(403, "the grant is for");
    let mut unknown = Device::new("unknown");
    report(&node, &mut unknown, TELEMETRY, Some(&right)).await.refused(403, "no registered key");
    assert_eq!(reports(&stage).await + refused(&stage).await, 0);
    assert_eq!(report(&node, &mut device, TELEMETRY, Some(&right)).await.status, 200);
    // The device may grant for itself, and for itself alone.
    let own = issue(&telemetry(&device), &device.key);
    assert_eq!(report(&node, &mut device, TELEMETRY, Some(&own)).await.status, 200);
    report(&node, &mut one_of_other, TELEMETRY, Some(&issue(&telemetry(&other), &device.key)))
        .await
        .refused(403, "not signed by any");
    assert_eq!(reports(&stage).await, 2);
    // It does not make up for a signature.
    let mut forged = envelope(&node, &mut device, TELEMETRY, vec![1]);
    *forged.last_mut().unwrap() ^= 1;
    let answer = ask(node.router(), "POST", paths::REPORTS, Some(&right), forged).await;
    assert!(answer.status == 200 && answer.text().contains("wrong-signature"), "{}", answer.text());
}

#[tokio::test]
async fn a_grant_counts_for_whom_it_names_until_it_ends() {
    let revoked = grant(Device::new("a").id(), [Right::Submit(SET_KIND.into())]);
    let revoked = revoked.issue(&operator(), &[6; 32]).unwrap();
    let id = first_block(&revoked, &Device::new("a"));
    let doors = [GuardedDoor::Reports];
    let (stage, node, mut device) = guarded(&doors, |options| options.revoked = [id].into()).await;
    report(&node, &mut device, SET_KIND, Some(&bearer(&revoked))).await.refused(403, "revoked");
    let mut submit = telemetry(&device);
    submit.holder = Some(Holder::Device(device.id()));
    let token = submit.issue(&operator(), &[7; 32]).unwrap();
    assert_eq!(
        report(&node, &mut device, TELEMETRY, Some(&bearer(&token))).await.status,
        200,
        "its own report"
    );
    let narrowing =
        Narrowing { holder: Some(Holder::Service(Text::from("gateway"))), ..Narrowing::default() };
    let narrowed = Grant::narrow(&token, &narrowing, &[8; 32]).unwrap();
    report(&node, &mut device, TELEMETRY, Some(&bearer(&narrowed))).await.refused(403, "is for Service");
    let narrowing = Narrowing { expires: Some(Timestamp(GENESIS + 500)), ..Narrowing::default() };
    let short = bearer(&Grant::narrow(&token, &narrowing, &[8; 32]).unwrap());
    assert_eq!(report(&node, &mut device, TELEMETRY, Some(&short)).await.status, 200);
    stage.reach(GENESIS + 501).await;
    report(&node, &mut device, TELEMETRY, Some(&short)).await.refused(403, "expired");
    assert_eq!(report(&node, &mut device, TELEMETRY, Some(&bearer(&token))).await.status, 200);
}

#[tokio::test]
async fn a_sale_ends_every_grant_at_the_door() {
    let (stage, node, mut device) = guarded(&[GuardedDoor::Reports], |_| {}).await;
    let token = telemetry(&device).issue(&operator(), &[9; 32]).unwrap();
    let narrowing = Narrowing { expires: Some(Timestamp(GENESIS + 5 * EPOCH)), ..Narrowing::default() };
    let narrowed = bearer(&Grant::narrow(&token, &narrowing, &[1; 32]).unwrap());
    let before = [bearer(&token), narrowed, issue(&telemetry(&device), &device.key)];
    for token in &before {
        assert_eq!(report(&node, &mut device, TELEMETRY, Some(token)).await.status, 200);
    }
    let seller = device.key.clone();
    sell(&node, &mut device, SoftwareKey::from_seed([3; 32])).await;
    for token in &before {
        report(&node, &mut device, TELEMETRY, Some(token)).await.refused(403, "");
    }
    let taken = reports(&stage).await;
    let after = Grant { ownership_epoch: 1, ..telemetry(&device) };
    report(&node, &mut device, TELEMETRY, Some(&issue(&after, &seller)))
        .await
        .refused(403, "not signed by any");
    for issuer in [operator(), device.key.clone()] {
        let answer = report(&node, &mut device, TELEMETRY, Some(&issue(&after, &issuer))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(reports(&stage).await, taken, "the new key counts from the cut-over on");
}

#[tokio::test]
async fn a_private_index_is_read_with_a_grant_of_the_node() {
    let (_stage, node, device) = guarded(&[GuardedDoor::Reading], |_| {}).await;
    let of_node = grant(DeviceId(node_key().public().typed()), [Right::Use(Text::from("index"))]);
    for path in ["/api/v1/epochs", "/api/v1/bundles/0", "/", "/recompute"] {
        ask(node.reading(), "GET", path, None, Vec::new()).await.refused(401, "brings none");
        ask(node.router(), "GET", path, None, Vec::new()).await.refused(401, "brings none");
    }
    let another = grant(device.id(), [Right::Use(Text::from("index"))]);
    for token in [issue(&another, &operator()), issue(&of_node, &device.key)] {
        assert_eq!(ask(node.reading(), "GET", "/api/v1/epochs", Some(&token), Vec::new()).await.status, 403);
    }
    for issuer in [operator(), node_key()] {
        let token = issue(&of_node, &issuer);
        assert_eq!(ask(node.reading(), "GET", "/api/v1/epochs", Some(&token), Vec::new()).await.status, 200);
        assert_eq!(ask(node.reading(), "GET", "/", Some(&token), Vec::new()).await.status, 200);
    }
    // What devices need is another door.
    let status = ask(node.intake(), "GET", paths::STATUS, None, Vec::new()).await;
    assert_eq!(status.status, 200);
}

#[tokio::test]
async fn administration_takes_a_grant_to_administer_the_node() {
    let (_stage, node, _) = guarded(&[GuardedDoor::Administration], |_| {}).await;
    let node_itself = DeviceId(node_key().public().typed());
    ask(node.administration(), "GET", "/metrics", None, Vec::new()).await.refused(401, "brings none");
    let reader = issue(&grant(node_itself, [Right::Use(Text::from("index"))]), &node_key());
    ask(node.administration(), "GET", "/metrics", Some(&reader), Vec::new())
        .await
        .refused(403, "does not allow");
    let administrator = issue(&grant(node_itself, [Right::Administer]), &node_key());
    let answer = ask(node.administration(), "GET", "/healthz", Some(&administrator), Vec::new()).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "alive\n"));
}

#[tokio::test]
async fn claims_are_relayed_for_the_owner_of_the_device_that_the_grant_is_about() {
    let (_stage, node, device) = guarded(&[GuardedDoor::Claims], |_| {}).await;
    let claim = |account| {
        let claim = ClaimRequest { epoch: Epoch(0), account, amount: Amount(1), proof: Vec::new() };
        serde_json::to_vec(&[claim]).unwrap()
    };
    let about = format!("{}?device={}", paths::RELAY, device.id());
    let token = issue(&grant(device.id(), [Right::Claim]), &operator());
    let (own, other) = (claim(device.owner.address()), claim(wallet("other").address()));
    ask(node.reading(), "POST", &about, None, own.clone()).await.refused(401, "brings none");
    ask(node.reading(), "POST", &about, Some(&token), other).await.refused(403, "did not own");
    let submit = issue(&telemetry(&device), &operator());
    ask(node.reading(), "POST", &about, Some(&submit), own.clone()).await.refused(403, "does not allow");
    let nameless = ask(node.reading(), "POST", paths::RELAY, Some(&token), own.clone()).await;
    assert_eq!((nameless.status, error(&nameless.body).as_str()), (400, "bad-request"));
    // The door lets it through; that there is nothing to claim is the ledger's word.
    let through = ask(node.reading(), "POST", &about, Some(&token), own).await;
    assert_eq!((through.status, error(&through.body).as_str()), (422, "claim"));
}

#[tokio::test]
async fn without_a_word_about_grants_every_door_is_as_open_as_before() {
    let (_stage, node, mut device) = ready().await;
    assert_eq!(report(&node, &mut device, TELEMETRY, None).await.status, 200);
    assert_eq!(report(&node, &mut device, TELEMETRY, Some("Bearer nonsense")).await.status, 200);
    for (router, path) in [(node.reading(), "/api/v1/epochs"), (node.administration(), "/healthz")] {
        assert_eq!(ask(router, "GET", path, None, Vec::new()).await.status, 200, "{path}");
    }
}
