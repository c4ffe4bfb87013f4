//! Whatever is asked of the contract and of the fold over its events, in any order: both allow the same, and say the same.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

mod common;

use std::{
    iter,
    sync::atomic::{AtomicU64, Ordering},
};

use alloy::signers::{SignerSync, local::PrivateKeySigner};
use common::{Network, Stage, key};
use depin_core::{Address, DeviceId, Digest, Epoch, Timestamp, TypedKey, sha256};
use depin_evm::EvmRegistry;
use depin_identity::{
    Action, Binding, DeviceRecord, DeviceRegistry, KeyEnd, MemoryRegistry, OwnerSignature, Registry,
    SignedBinding, SoftwareKey, Status, SubmitError,
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

/// What somebody tries.
#[derive(Clone, Copy, Debug)]
enum Try {
    Activate,
    Rotate,
    Recover,
    /// By whoever owns the device now, of whichever key it ever had, or of another device's; so many seconds ago.
    Compromise(prop::sample::Index, u64),
    Sell(u64),
    Suspend,
    Resume,
    Deactivate,
}

fn tries() -> impl Strategy<Value = Try> {
    prop_oneof![
        1 => Just(Try::Activate),
        4 => Just(Try::Rotate),
        3 => Just(Try::Recover),
        8 => (any::<prop::sample::Index>(), 0..40_u64).prop_map(|(which, ago)| Try::Compromise(which, ago)),
        4 => (0..9_u64).prop_map(Try::Sell),
        1 => Just(Try::Suspend),
        1 => Just(Try::Resume),
        1 => Just(Try::Deactivate),
    ]
}

/// A device in both registries, and everybody who signs for it.
struct Hand<'a> {
    chain: &'a EvmRegistry,
    fold: MemoryRegistry,
    now: u64,
    seed: u64,
    /// The keys it was ever to have, those that were refused included: the next one is new.
    made: u64,
    keys: Vec<SoftwareKey>,
    owner: u8,
    /// How many keys it had when its owner got it.
    bought: usize,
}

impl<'a> Hand<'a> {
    fn new(chain: &'a EvmRegistry, now: u64, seed: u64) -> Self {
        let fold = MemoryRegistry::new(Registry::new(chain.domain()), Epoch(0));
        let mut hand = Self { chain, fold, now, seed, made: 0, keys: Vec::new(), owner: 20, bought: 0 };
        let born = hand.new_key();
        hand.keys.push(born);
        hand
    }

    fn new_key(&mut self) -> SoftwareKey {
        self.made += 1;
        SoftwareKey::from_seed(sha256(&[&self.seed.to_be_bytes(), &self.made.to_be_bytes()]).0)
    }

    fn id(&self) -> DeviceId {
        DeviceId(self.keys[0].public().typed())
    }

    /// Asks both for `action`. Gives whether they did it.
    async fn ask(&self, action: Action, new_key: Option<&SoftwareKey>, recovers: bool) -> bool {
        let nonce = self.record().await.map_or(0, |record| record.next_nonce);
        let (device, owner) = (self.id(), key(self.owner).address());
        let deadline = self.now + 10_000;
        let binding = Binding { action, device, owner, domain: self.chain.domain(), nonce, deadline };
        let sign = |by: PrivateKeySigner| {
            OwnerSignature(by.sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes())
        };
        let prove = |key: &SoftwareKey| key.signature(&binding.device_proof_message());
        let rotates = matches!(action, Action::Rotate { .. });
        let by_device = matches!(action, Action::Register { .. } | Action::Transfer { .. });
        let present = self.keys.last().unwrap();
        let signed = SignedBinding {
            owner_signature: (!rotates || recovers).then(|| sign(key(self.owner))),
            new_owner_signature: matches!(action, Action::Transfer { .. }).then(|| sign(key(self.owner + 1))),
            device_proof: (by_device || (rotates && !recovers)).then(|| prove(present)),
            new_key_proof: new_key.map(prove),
            binding,
        };
        let accepted = signed.verify(Timestamp(self.now * 1000), present.public().typed()).unwrap();
        let (chain, fold) = (self.chain.submit(&accepted).await, self.fold.submit(&accepted).await);
        assert!(!matches!(chain, Err(SubmitError::Unavailable { .. })), "{chain:?}");
        assert_eq!(chain.is_ok(), fold.is_ok(), "{action:?}: {chain:?}, {fold:?}");
        chain.is_ok()
    }

    async fn step(&mut self, step: Try) -> bool {
        let next = self.new_key();
        let new_key = next.public().typed();
        let rotate = Action::Rotate { new_key, last_boot: 3, last_sequence: 77 };
        let done = match step {
            Try::Activate => self.ask(Action::Activate, None, false).await,
            Try::Rotate => self.ask(rotate, Some(&next), false).await,
            Try::Recover => self.ask(rotate, Some(&next), true).await,
            Try::Compromise(which, ago) => {
                let key = self.keys.get(self.which(which)).unwrap_or(&next).public().id();
                self.ask(Action::Compromise { key, since: self.now - ago }, None, false).await
            }
            Try::Sell(cut_over) => {
                let (new_owner, voucher) = (key(self.owner + 1).address(), Digest([8; 32]));
                let cut_over = Epoch(cut_over);
                let sale = Action::Transfer { new_owner, new_key, cut_over, voucher };
                let sold = self.ask(sale, Some(&next), false).await;
                if sold {
                    self.owner += 1;
                    self.bought = self.keys.len();
                }
                sold
            }
            Try::Suspend => self.ask(Action::Suspend, None, false).await,
            Try::Resume => self.ask(Action::Resume, None, false).await,
            Try::Deactivate => self.ask(Action::Deactivate, None, false).await,
        };
        if done && matches!(step, Try::Rotate | Try::Recover | Try::Sell(_)) {
            self.keys.push(next);
        }
        done
    }

    /// One of its keys, or one beyond them.
    fn which(&self, index: prop::sample::Index) -> usize {
        index.index(self.keys.len() + 1)
    }

    /// Whether `step` names a key of an owner before.
    fn is_of_a_seller(&self, step: Try) -> bool {
        matches!(step, Try::Compromise(index, _) if self.which(index) < self.bought)
    }

    fn is_at_the_owners_keys(&self) -> bool {
        self.keys.len() >= DeviceRecord::MAX_KEYS - DeviceRecord::KEPT_FOR_OWNER
    }

    async fn record(&self) -> Option<DeviceRecord> {
        self.fold.device(&self.id()).await.unwrap()
    }

    /// The contract's own words, and the fold over its events, are those of the other fold.
    async fn compare(&self) {
        let mine = self.record().await.unwrap();
        let read = self.chain.device(&self.id()).await.unwrap().unwrap();
        assert_eq!(said(&read), said(&mine));
        let contract = self.chain.contract();
        let id = self.id().on_chain().0.into();
        let info = contract.deviceInfo(id).call().await.unwrap();
        assert_eq!((info.owner, info.ownershipEpoch), (mine.owner, mine.ownership_epoch));
        assert_eq!(info.keyCompromised, mine.present_key().compromised.is_some());
        for known in mine.keys() {
            let since = contract.compromisedSince(known.key.id().0.into()).call().await.unwrap();
            let since = since.compromised.then(|| Timestamp(since.since * 1000));
            assert_eq!(since, known.compromised, "{}", known.key.id());
        }
    }
}

type Said = (Address, u32, u64, Status, Vec<(Address, Epoch)>, Vec<(TypedKey, Epoch, u8, Option<Timestamp>)>);

/// What a record says, without the moments of the clocks.
fn said(record: &DeviceRecord) -> Said {
    let keys = record.keys().map(|key| {
        let end = match key.end {
            None => 0,
            Some(KeyEnd::Rotated { .. }) => 1,
            Some(KeyEnd::Transferred { .. }) => 2,
        };
        (key.key, key.from, end, key.compromised)
    });
    let owners = record.owners().map(|tenure| (tenure.owner, tenure.from)).collect();
    (record.owner, record.ownership_epoch, record.next_nonce, record.status(), owners, keys.collect())
}

/// How often what is never allowed was asked for.
#[derive(Default)]
struct Asked {
    sold: AtomicU64,
    kept: AtomicU64,
}

impl Asked {
    /// One device, which begins with so many rotations.
    async fn live(&self, mut hand: Hand<'_>, active: bool, rotations: usize, steps: Vec<Try>) {
        assert!(hand.ask(Action::Register { active }, None, false).await);
        for step in iter::repeat_n(Try::Rotate, rotations).chain(steps) {
            let sold = hand.is_of_a_seller(step);
            let kept = matches!(step, Try::Rotate) && hand.is_at_the_owners_keys();
            let done = hand.step(step).await;
            assert!(!done || !(sold || kept), "{step:?}");
            self.sold.fetch_add(u64::from(sold), Ordering::Relaxed);
            self.kept.fetch_add(u64::from(kept), Ordering::Relaxed);
        }
        hand.compare().await;
    }
}

#[test]
fn the_contract_and_the_fold_allow_the_same_in_every_order() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stage, network) = runtime.block_on(async {
        let stage = Stage::embedded().await.unwrap();
        let network = Network::on(&stage).await;
        (stage, network)
    });
    let now = runtime.block_on(stage.now());
    let chain = EvmRegistry::new(network.operator.clone(), &network.deployment);
    let (asked, devices) = (Asked::default(), AtomicU64::new(0));
    let rotations = prop_oneof![3 => Just(0_usize), 1 => 50..60_usize];
    let histories = (any::<bool>(), rotations, prop::collection::vec(tries(), 1..40));
    let config = ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() };
    // Always the same ones, so that both questions below come up.
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let ran = TestRunner::new_with_rng(config, random).run(&histories, |(active, rotations, steps)| {
        let hand = Hand::new(&chain, now, devices.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(asked.live(hand, active, rotations, steps));
        Ok(())
    });
    ran.unwrap();
    assert!(asked.sold.load(Ordering::Relaxed) > 0);
    assert!(asked.kept.load(Ordering::Relaxed) > 0);
}
