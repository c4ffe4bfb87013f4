//! Credentials of issuers whose keys are in an ERC-1056 registry: what is revoked there vouches for nothing from then on.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy::primitives::Address;
use depin_core::{Amount, DeviceId, Millis, Text, Timestamp};
use depin_identity::{
    SoftwareKey,
    credential::{
        ChainError, Credential, CredentialError, DeviceClaim, Documents, Expected, Known, MAKER_TYPE,
        MakerChain, MakerGrant, MakerPolicy, ProofError, ProofOptions, StatusEntry, StatusList, StatusLists,
        StatusPurpose, Suite, Terms, Unsigned, VerifiedStatusList,
    },
    did::{CacheLimits, Did, DidCache, DidError, DidResolver},
};
use serde_json::Value;

use crate::{
    common::GENESIS,
    scene::{Scene, YEAR},
};

/// Valid by the clock on the wall as well, which the resolver looks at.
const CENTURY: u64 = 100 * YEAR;
const KEY: &str = "did/pub/Ed25519/veriKey/hex";
const LIST: &str = "https://status.example/1";
const NOW: Timestamp = Timestamp(GENESIS * 1000);

/// The key that the identity puts into the registry.
fn issuing() -> SoftwareKey {
    SoftwareKey::from_seed([5; 32])
}

fn device() -> SoftwareKey {
    SoftwareKey::from_seed([6; 32])
}

fn root() -> SoftwareKey {
    SoftwareKey::from_seed([7; 32])
}

fn did(key: &SoftwareKey) -> Did {
    Did::from(&key.public().typed())
}

fn terms(issuer: Did, status: Option<StatusEntry>) -> Terms {
    let year = 1000 * YEAR;
    Terms { issuer, valid_from: Timestamp(NOW.0 - year), valid_until: Timestamp(NOW.0 + year), status }
}

fn signed(document: &Value, signer: &SoftwareKey, options: &ProofOptions) -> Vec<u8> {
    let unsigned = Unsigned::new(document, options).unwrap();
    let signature = signer.signature(unsigned.message());
    unsigned.finish(&signature).to_string().into_bytes()
}

/// What a verifier who has resolved the signers says of the credential `bytes` by `issuer`.
async fn verdict(bytes: &[u8], issuer: &Did, resolver: &dyn DidResolver) -> Result<(), CredentialError> {
    let mut documents = Documents::default();
    documents.resolve([issuer], resolver).await.map_err(ProofError::from)?;
    judge(bytes, issuer, &documents)
}

fn judge(bytes: &[u8], issuer: &Did, documents: &Documents) -> Result<(), CredentialError> {
    let expected = Expected { issuer: Some(issuer), without_status: true, ..Expected::default() };
    let known = Known { now: NOW, documents, lists: &StatusLists::default() };
    Credential::parse(bytes)?.verify(&expected, &known).map(drop)
}

impl Scene {
    async fn lists_its_key(&self) -> u64 {
        self.own(self.attribute(KEY, issuing().public().typed().key(), CENTURY)).await
    }

    async fn revokes_its_key(&self) -> u64 {
        self.own(self.unset(KEY, issuing().public().typed().key())).await
    }

    /// What the identity says of the device, under the key that is its `number`th.
    fn credential(&self, number: u32) -> Vec<u8> {
        let claim =
            DeviceClaim { device: did(&device()), serial: 0, kind: "radio".into(), region: "EU".into() };
        let document = terms(self.did(), None).device(&claim).unwrap();
        let method = self.did().url(&format!("delegate-{number}")).unwrap();
        signed(&document, &issuing(), &ProofOptions::new(Suite::EddsaJcs2022, method, NOW))
    }

    async fn judges(&self, credential: &[u8]) -> Result<(), CredentialError> {
        verdict(credential, &self.did(), &self.resolver).await
    }
}

/// The issuer's document does not list the key.
fn is_unlisted(verdict: &Result<(), CredentialError>) -> bool {
    matches!(verdict, Err(CredentialError::Proof(ProofError::Method(DidError::NotFound { .. }))))
}

#[tokio::test]
async fn a_revoked_key_makes_its_credentials_invalid_from_then_on() {
    let scene = Scene::new().await;
    let credential = scene.credential(1);
    assert!(is_unlisted(&scene.judges(&credential).await), "not before it is listed");
    let listed = scene.lists_its_key().await;
    assert_eq!(scene.judges(&credential).await, Ok(()));
    let revoked = scene.revokes_its_key().await;
    assert!(is_unlisted(&scene.judges(&credential).await));
    // What was so before can still be told.
    for (block, held) in [(listed - 1, false), (listed, true), (revoked - 1, true), (revoked, false)] {
        let version = Text::new(block.to_string()).unwrap();
        let at = scene.resolver.resolve(&scene.did(), Some(&version)).await.unwrap();
        let mut documents = Documents::default();
        documents.insert(at.document);
        let verdict = judge(&credential, &scene.did(), &documents);
        assert_eq!((verdict.is_ok(), is_unlisted(&verdict)), (held, !held), "block {block}");
    }
    // The same key comes back under another name, and does not bring back what it signed under the old one.
    scene.lists_its_key().await;
    assert!(is_unlisted(&scene.judges(&credential).await));
    assert_eq!(scene.judges(&scene.credential(3)).await, Ok(()));
}

#[tokio::test]
async fn an_issuer_without_owner_vouches_for_nothing() {
    let scene = Scene::new().await;
    scene.lists_its_key().await;
    let credential = scene.credential(1);
    assert_eq!(scene.judges(&credential).await, Ok(()));
    scene.own(scene.owner(Address::ZERO)).await;
    let deactivated = DidError::Deactivated { did: scene.did() };
    assert_eq!(scene.judges(&credential).await, Err(ProofError::Method(deactivated).into()));
    // Nor does a verifier believe it who goes on without the document.
    let unresolved = ProofError::Unresolved { did: scene.did() };
    assert_eq!(judge(&credential, &scene.did(), &Documents::default()), Err(unresolved.into()));
}

#[tokio::test]
async fn a_revocation_is_unnoticed_for_no_longer_than_documents_are_remembered() {
    let scene = Scene::new().await;
    scene.lists_its_key().await;
    let credential = scene.credential(1);
    let now = Arc::new(AtomicU64::new(NOW.0));
    let limits = CacheLimits { ttl: Millis(60_000), ..CacheLimits::default() };
    let clock = Arc::clone(&now);
    let clock = Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)));
    let cache = DidCache::new(Arc::new(scene.resolver.clone()), limits, clock);
    assert_eq!(verdict(&credential, &scene.did(), &cache).await, Ok(()));
    scene.revokes_its_key().await;
    assert_eq!(verdict(&credential, &scene.did(), &cache).await, Ok(()), "it remembers");
    now.fetch_add(60_000, Ordering::SeqCst);
    assert!(is_unlisted(&verdict(&credential, &scene.did(), &cache).await));
}

/// The root's credential for the identity as a maker, and the root's list, on which nobody is.
fn root_says(maker: Did) -> (Vec<u8>, StatusLists) {
    let one = |word: &str| [word.to_owned()].into();
    let grant = MakerGrant { maker, quota: 3, regions: one("EU"), kinds: one("radio"), bond: Amount(30) };
    let options = ProofOptions::of_key(&root().public().typed(), NOW).unwrap();
    let status = StatusEntry { purpose: StatusPurpose::Revocation, list: LIST.to_owned(), index: 7 };
    let credential = terms(did(&root()), Some(status)).credential(MAKER_TYPE, &grant).unwrap();
    let bits = StatusList::new(1 << 17).unwrap();
    let list = terms(did(&root()), None).status_list(LIST, StatusPurpose::Revocation, &bits).unwrap();
    let list = signed(&list, &root(), &options);
    let documents = Documents::default();
    let list = VerifiedStatusList::verify(&list, LIST, NOW, &documents, Millis(2_000 * YEAR)).unwrap();
    let mut lists = StatusLists::default();
    lists.insert(list);
    (signed(&credential, &root(), &options), lists)
}

#[tokio::test]
async fn a_maker_whose_key_was_revoked_has_no_devices() {
    let scene = Scene::new().await;
    scene.lists_its_key().await;
    let (maker, lists) = root_says(scene.did());
    let chain = MakerChain::parse(&[maker.as_slice(), scene.credential(1).as_slice()]).unwrap();
    let policy = MakerPolicy {
        root: did(&root()),
        max_makers: 1,
        bond_per_device: Amount(10),
        status_issuers: Vec::new(),
    };
    let vouched = async || {
        let mut documents = Documents::default();
        documents.resolve([&scene.did()], &scene.resolver).await.unwrap();
        let known = Known { now: NOW, documents: &documents, lists: &lists };
        let device = DeviceId(device().public().typed());
        chain.verify(&policy, &device, &known, |_| Amount(30)).map(|vouched| vouched.claim().device.clone())
    };
    assert_eq!(vouched().await, Ok(did(&device())));
    scene.revokes_its_key().await;
    match vouched().await {
        Err(ChainError::Credential { link: 1, source }) => assert!(is_unlisted(&Err(source))),
        other => panic!("{other:?}"),
    }
}
