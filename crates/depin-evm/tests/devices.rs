//! The device registry on the embedded chain and on anvil with the rules of the OP Stack.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

#[macro_use]
mod common;

use alloy::{
    eips::BlockId,
    primitives::{Bytes, U256},
    providers::Provider,
    signers::SignerSync,
};
use common::{Network, Stage, key};
use depin_core::{ChainEvent, DeviceId, Digest, Epoch, KeyType, Timestamp};
use depin_evm::{
    EvmRegistry, Sender,
    contracts::{
        DeviceRegistry::{self as Contract, DeviceRegistryErrors as ContractError},
        Reverted,
    },
    events,
};
use depin_identity::{
    AcceptedBinding, Action, Binding, DeviceRegistry, OwnerSignature, Registry, RegistryError, SignedBinding,
    SoftwareKey, Status, SubmitError, conformance::RegistryRules,
};

facts!(
    the_registry_keeps_the_rules_of_its_seam,
    a_p256_device_needs_nobodys_leave_in_its_whole_life,
    what_cannot_be_checked_on_chain_needs_a_registrar,
    no_registrar_lends_a_p256_device_a_proof,
    a_device_that_did_not_consent_is_not_read,
    what_a_guardian_suspended_its_owner_cannot_resume,
    refused_bindings_say_why,
);

/// Who signs.
const OWNER: u8 = 11;
const BUYER: u8 = 12;

fn p256(secret: u8) -> SoftwareKey {
    SoftwareKey::from_secret(KeyType::P256, [secret; 32]).unwrap()
}

/// A device in the eyes of whoever signs for it.
struct Hand<'a> {
    stage: &'a Stage,
    registry: EvmRegistry,
    device: DeviceId,
    owner: u8,
    present: SoftwareKey,
    nonce: u64,
}

/// Who signs besides those who always do.
#[derive(Default)]
struct Others<'a> {
    new_owner: Option<u8>,
    new_key: Option<&'a SoftwareKey>,
    recovers: bool,
}

impl<'a> Hand<'a> {
    fn new(stage: &'a Stage, network: &Network, by: &Sender, key: SoftwareKey) -> Self {
        let registry = EvmRegistry::new(by.clone(), &network.deployment);
        let device = DeviceId(key.public().typed());
        Self { stage, registry, device, owner: OWNER, present: key, nonce: 0 }
    }

    async fn sign(&self, action: Action, others: Others<'_>) -> SignedBinding {
        let deadline = self.stage.now().await + 1_000;
        let (device, owner) = (self.device, key(self.owner).address());
        let (domain, nonce) = (self.registry.domain(), self.nonce);
        let binding = Binding { action, device, owner, domain, nonce, deadline };
        let sign = |owner: u8| {
            OwnerSignature(key(owner).sign_hash_sync(&binding.signing_hash()).unwrap().as_bytes())
        };
        let prove = |key: &SoftwareKey| key.signature(&binding.device_proof_message());
        let rotates = matches!(action, Action::Rotate { .. });
        let by_device = matches!(action, Action::Register { .. } | Action::Transfer { .. });
        SignedBinding {
            owner_signature: (!rotates || others.recovers).then(|| sign(self.owner)),
            new_owner_signature: others.new_owner.map(sign),
            device_proof: (by_device || (rotates && !others.recovers)).then(|| prove(&self.present)),
            new_key_proof: others.new_key.map(prove),
            binding,
        }
    }

    async fn accept(&self, action: Action, others: Others<'_>) -> AcceptedBinding {
        let now = Timestamp(self.stage.now().await * 1000);
        self.sign(action, others).await.verify(now, self.present.public().typed()).unwrap()
    }

    /// Carries `action` out.
    async fn act(&mut self, action: Action, others: Others<'_>) {
        let accepted = self.accept(action, others).await;
        self.registry.submit(&accepted).await.unwrap();
        self.nonce += 1;
    }

    async fn status(&self) -> Status {
        let record = self.registry.device(&self.device).await.unwrap().unwrap();
        assert_eq!(record.next_nonce, self.nonce);
        assert_eq!(record.present_key().key, self.present.public().typed());
        record.status()
    }
}

fn rotate(to: &SoftwareKey) -> Action {
    Action::Rotate { new_key: to.public().typed(), last_boot: 3, last_sequence: 77 }
}

fn sell(to: u8, new_key: &SoftwareKey) -> Action {
    Action::Transfer {
        new_owner: key(to).address(),
        new_key: new_key.public().typed(),
        cut_over: Epoch(5),
        voucher: Digest([8; 32]),
    }
}

async fn the_registry_keeps_the_rules_of_its_seam(stage: Stage) {
    let network = Network::on(&stage).await;
    let registry = EvmRegistry::new(network.operator.clone(), &network.deployment);
    let now = Timestamp(stage.now().await * 1000);
    RegistryRules::new(&registry, [7; 32], now).all().await.unwrap();
}

async fn a_p256_device_needs_nobodys_leave_in_its_whole_life(stage: Stage) {
    let network = Network::on(&stage).await;
    let (second, third, fourth) = (p256(22), p256(23), p256(24));
    let mut hand = Hand::new(&stage, &network, &network.customer, p256(21));
    let born = hand.present.public().typed();
    hand.act(Action::Register { active: false }, Others::default()).await;
    assert_eq!(hand.status().await, Status::Bound);
    hand.act(Action::Activate, Others::default()).await;
    assert_eq!(hand.status().await, Status::Active);
    hand.act(rotate(&second), Others { new_key: Some(&second), ..Others::default() }).await;
    hand.present = second;
    hand.act(Action::Suspend, Others::default()).await;
    assert_eq!(hand.status().await, Status::Suspended);
    hand.act(Action::Resume, Others::default()).await;
    let compromise = Action::Compromise { key: hand.present.public().id(), since: stage.now().await - 5 };
    hand.act(compromise, Others::default()).await;
    // What the compromised key signs is worth nothing now.
    let stolen = hand.accept(rotate(&third), Others { new_key: Some(&third), ..Others::default() }).await;
    let refused = hand.registry.submit(&stolen).await.unwrap_err();
    assert!(refused.to_string().contains("PresentKeyCompromised"), "{refused}");
    hand.act(rotate(&third), Others { new_key: Some(&third), recovers: true, ..Others::default() }).await;
    hand.present = third;
    let both = Others { new_owner: Some(BUYER), new_key: Some(&fourth), ..Others::default() };
    hand.act(sell(BUYER, &fourth), both).await;
    (hand.present, hand.owner) = (fourth, BUYER);
    assert_eq!(hand.status().await, Status::Active);
    hand.act(Action::Deactivate, Others::default()).await;
    assert_eq!(hand.status().await, Status::Deactivated);

    // The record is what the events say, and every key still leads to it.
    let read = events(&stage.client, &network.deployment, 0, stage.height().await).await.unwrap();
    let mut state = Registry::new(hand.registry.domain());
    for located in &read {
        state.apply(&located.event).unwrap();
        let block = stage.client.provider().get_block(BlockId::number(located.block)).await.unwrap().unwrap();
        assert_eq!(moment(&located.event), Some(Timestamp(block.header.timestamp * 1000)));
    }
    assert_eq!(read.len(), 9);
    let record = hand.registry.device(&hand.device).await.unwrap().unwrap();
    assert_eq!(state.device(&hand.device), Some(&record));
    assert_eq!((record.owner, record.ownership_epoch), (key(BUYER).address(), 1));
    assert_eq!(record.keys().count(), 4);
    assert_eq!(record.keys().next().unwrap().key, born);
    for known in record.keys() {
        let found = hand.registry.by_key(&known.key.id()).await.unwrap();
        assert_eq!(found.as_ref(), Some(&record));
    }
}

/// When an event of the registry says it happened.
fn moment(event: &ChainEvent) -> Option<Timestamp> {
    match event {
        ChainEvent::DeviceRegistered { at, .. }
        | ChainEvent::DeviceActivated { at, .. }
        | ChainEvent::KeyRotated { at, .. }
        | ChainEvent::KeyCompromised { at, .. }
        | ChainEvent::DeviceSuspended { at, .. }
        | ChainEvent::DeviceResumed { at, .. }
        | ChainEvent::DeviceTransferred { at, .. }
        | ChainEvent::DeviceDeactivated { at, .. } => Some(*at),
        _ => None,
    }
}

async fn what_cannot_be_checked_on_chain_needs_a_registrar(stage: Stage) {
    let network = Network::on(&stage).await;
    let stranger = EvmRegistry::new(network.customer.clone(), &network.deployment);
    let unauthorized = |refused: SubmitError| {
        assert!(refused.to_string().contains("AccessControlUnauthorizedAccount"), "{refused}");
    };
    let other_kinds =
        [SoftwareKey::from_seed([31; 32]), SoftwareKey::from_secret(KeyType::Secp256k1, [32; 32]).unwrap()];
    for (number, other) in (0_u8..).zip(other_kinds) {
        // Born with such a key.
        let mut hand = Hand::new(&stage, &network, &network.operator, other);
        let register = hand.accept(Action::Register { active: true }, Others::default()).await;
        unauthorized(stranger.submit(&register).await.unwrap_err());
        hand.act(Action::Register { active: true }, Others::default()).await;
        // Away from it, to one that the contract can check.
        let next = p256(40 + number);
        let away = hand.accept(rotate(&next), Others { new_key: Some(&next), ..Others::default() }).await;
        unauthorized(stranger.submit(&away).await.unwrap_err());
        hand.registry.submit(&away).await.unwrap();
        (hand.present, hand.nonce) = (next, 2);
        assert_eq!(hand.status().await, Status::Active);
        // And back to such a key, with a new owner.
        let last = SoftwareKey::from_seed([50 + number; 32]);
        let both = || Others { new_owner: Some(BUYER), new_key: Some(&last), ..Others::default() };
        let sale = hand.accept(sell(BUYER, &last), both()).await;
        unauthorized(stranger.submit(&sale).await.unwrap_err());
        hand.act(sell(BUYER, &last), both()).await;
    }
}

async fn no_registrar_lends_a_p256_device_a_proof(stage: Stage) {
    let network = Network::on(&stage).await;
    let hand = Hand::new(&stage, &network, &network.operator, p256(21));
    let mut signed = hand.sign(Action::Register { active: true }, Others::default()).await;
    let contract = hand.registry.contract();
    for wrong in
        [signed.device_proof.unwrap().0, p256(22).signature(&signed.binding.device_proof_message()).0]
    {
        let mut wrong = wrong;
        wrong[63] ^= u8::from(wrong == signed.device_proof.unwrap().0);
        let terms = Contract::Registration {
            deviceKey: Bytes::copy_from_slice(hand.device.key().as_bytes()),
            owner: signed.binding.owner,
            active: true,
            deadline: U256::from(signed.binding.deadline),
        };
        let owner = Bytes::from(signed.owner_signature.as_ref().unwrap().0);
        let request = contract.register(terms, owner, Bytes::from(wrong)).into_transaction_request();
        let refused = network.operator.send(request).await.unwrap_err();
        match refused.reverted().unwrap() {
            Reverted::Registry(ContractError::BadDeviceProof(error)) => {
                assert_eq!(error.keyId.0, hand.device.key().id().0);
                assert_eq!(error.digest, signed.binding.signing_hash(), "contract and crate hash the same");
            }
            other => panic!("{other}"),
        }
    }
    // Nor a key that is no point of the curve.
    let mut key = *hand.device.key().as_bytes();
    key[2..].fill(0);
    key[33] = 1;
    signed.binding.device = DeviceId(depin_core::TypedKey::from_bytes(&key).unwrap());
    let hash = signed.binding.signing_hash();
    let terms = Contract::Registration {
        deviceKey: Bytes::copy_from_slice(&key),
        owner: signed.binding.owner,
        active: true,
        deadline: U256::from(signed.binding.deadline),
    };
    let owner = Bytes::from(common::key(OWNER).sign_hash_sync(&hash).unwrap().as_bytes());
    let request = contract.register(terms, owner, Bytes::from([1; 64])).into_transaction_request();
    let refused = network.operator.send(request).await.unwrap_err();
    assert!(
        matches!(refused.reverted().unwrap(), Reverted::Registry(ContractError::NotOnCurve(_))),
        "{refused}"
    );
}

async fn a_device_that_did_not_consent_is_not_read(stage: Stage) {
    let network = Network::on(&stage).await;
    let hand = Hand::new(&stage, &network, &network.operator, SoftwareKey::from_seed([33; 32]));
    let signed = hand.sign(Action::Register { active: true }, Others::default()).await;
    let terms = Contract::Registration {
        deviceKey: Bytes::copy_from_slice(hand.device.key().as_bytes()),
        owner: signed.binding.owner,
        active: true,
        deadline: U256::from(signed.binding.deadline),
    };
    let owner = Bytes::from(signed.owner_signature.as_ref().unwrap().0);
    // A registrar can say so; whoever reads the event sees that it is not so.
    let contract = hand.registry.contract();
    let request = contract.register(terms, owner, Bytes::from([7; 64])).into_transaction_request();
    network.operator.send(request).await.unwrap();
    let id = hand.device.on_chain().0.into();
    assert!(hand.registry.contract().isActive(id).call().await.unwrap());
    assert_eq!(hand.registry.device(&hand.device).await.unwrap(), None);
    assert_eq!(hand.registry.by_key(&hand.device.key().id()).await.unwrap(), None);
}

async fn what_a_guardian_suspended_its_owner_cannot_resume(stage: Stage) {
    let network = Network::on(&stage).await;
    let mut hand = Hand::new(&stage, &network, &network.operator, p256(21));
    hand.act(Action::Register { active: true }, Others::default()).await;
    // The resolver of the test network is its guardian as well.
    let guardian = EvmRegistry::new(network.resolver.clone(), &network.deployment);
    let refused = hand.registry.suspend(&hand.device).await.unwrap_err();
    assert!(
        matches!(refused.reverted().unwrap(), Reverted::Registry(ContractError::NotOwner(_))),
        "{refused}"
    );
    guardian.suspend(&hand.device).await.unwrap();
    hand.nonce = 2;
    assert_eq!(hand.status().await, Status::Suspended);
    let resume = hand.accept(Action::Resume, Others::default()).await;
    let refused = hand.registry.submit(&resume).await.unwrap_err();
    assert!(refused.to_string().contains("HeldByGuardian"), "{refused}");
    guardian.resume(&hand.device).await.unwrap();
    hand.nonce = 3;
    assert_eq!(hand.status().await, Status::Active);
    hand.act(Action::Suspend, Others::default()).await;
    assert!(guardian.resume(&hand.device).await.is_err());
}

async fn refused_bindings_say_why(stage: Stage) {
    let network = Network::on(&stage).await;
    let mut hand = Hand::new(&stage, &network, &network.operator, SoftwareKey::from_seed([3; 32]));
    let register = Action::Register { active: true };
    let signed = hand.sign(register, Others::default()).await;

    // The contract checks the owner's signature itself: sent past our own checks, a false one is refused.
    let terms = Contract::Registration {
        deviceKey: Bytes::copy_from_slice(signed.binding.device.key().as_bytes()),
        owner: signed.binding.owner,
        active: true,
        deadline: U256::from(signed.binding.deadline),
    };
    let forged = Bytes::from(key(BUYER).sign_hash_sync(&signed.binding.signing_hash()).unwrap().as_bytes());
    let contract = hand.registry.contract();
    let request = contract.register(terms, forged, Bytes::from([0; 64])).into_transaction_request();
    let refused = network.operator.send(request).await.unwrap_err();
    match refused.reverted().unwrap() {
        Reverted::Registry(ContractError::BadSignature(error)) => {
            assert_eq!(error.signer, key(OWNER).address());
            assert_eq!(error.digest, signed.binding.signing_hash(), "contract and crate hash the same");
        }
        other => panic!("{other}"),
    }

    let accepted = hand.accept(register, Others::default()).await;
    let early = hand.accept(Action::Deactivate, Others::default()).await;
    let refused = hand.registry.submit(&early).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Refused(RegistryError::Unknown { .. })), "{refused}");
    hand.registry.submit(&accepted).await.unwrap();
    let again = hand.registry.submit(&accepted).await.unwrap_err();
    assert!(matches!(again, SubmitError::Refused(RegistryError::Known { .. })), "{again}");
    hand.nonce = 1;
    let resume = hand.accept(Action::Resume, Others::default()).await;
    let refused = hand.registry.submit(&resume).await.unwrap_err();
    assert!(refused.to_string().contains("WrongStatus"), "{refused}");
    hand.act(Action::Deactivate, Others::default()).await;
    let late = hand.accept(Action::Deactivate, Others::default()).await;
    let refused = hand.registry.submit(&late).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Refused(RegistryError::Deactivated { .. })), "{refused}");

    // In time when it was judged, too late when it arrives.
    let hand = Hand::new(&stage, &network, &network.operator, SoftwareKey::from_seed([4; 32]));
    let late = hand.accept(register, Others::default()).await;
    stage.reach(late.binding().deadline + 1).await;
    let refused = hand.registry.submit(&late).await.unwrap_err();
    assert!(refused.to_string().contains("SignatureExpired"), "{refused}");
}
