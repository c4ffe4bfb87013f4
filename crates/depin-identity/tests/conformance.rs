//! The conformance suites pass for what is right and fail, with the rule's name, for what is broken on purpose.
#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // tests fail by panicking
#![allow(missing_docs)]

mod common;

use std::sync::Mutex;

use async_trait::async_trait;
use common::{NOW, domain, key};
use depin_core::{Address, DeviceId, Digest, Epoch, KeyId, KeyType, Text, Timestamp, TypedKey};
use depin_identity::{
    AcceptedBinding, Action, Binding, DeviceRecord, DeviceRegistry, DeviceSigner, Did, DidDocument, DidError,
    DidResolver, Domain, MemoryRegistry, OwnerSignature, ReadError, Registry, Resolvers, SignError,
    Signature, SignedBinding, SoftwareKey, SubmitError,
    conformance::{RegistryRules, Violation, device_signer, did_resolver},
    did::{KeyMethod, Resolution},
};

fn judge(registry: &dyn DeviceRegistry) -> Result<(), Violation> {
    pollster::block_on(RegistryRules::new(registry, [1; 32], NOW).all())
}

fn memory() -> MemoryRegistry {
    MemoryRegistry::new(Registry::new(domain()), Epoch(0))
}

#[test]
fn the_registry_in_memory_conforms_also_when_it_goes_on_from_a_snapshot() {
    let registry = memory();
    judge(&registry).unwrap();
    let bytes = registry.state().to_snapshot();
    assert!(registry.state().devices().len() >= 6);
    let again = MemoryRegistry::new(Registry::from_snapshot(&bytes).unwrap(), Epoch(0));
    // The same devices are there now; others make the rules hold again.
    assert!(judge(&again).is_err());
    pollster::block_on(RegistryRules::new(&again, [2; 32], NOW).all()).unwrap();
}

/// What is broken in [`Broken`].
#[derive(Clone, Copy, Debug)]
enum Fault {
    ForgetsKeys,
    IgnoresNonces,
    IgnoresDomains,
    IgnoresOwners,
    Resurrects,
    ShowsNothing,
    LosesOwnershipEpochs,
    ActivatesAtOnce,
    KeepsTheOldKey,
    GivesKeysBack,
    TrustsStolenKeys,
    BlamesSellers,
    WearsOut,
    NeverPauses,
    TellsNoTime,
    IsDown,
}

/// A registry that writes down whatever it is told, but for what `fault` breaks checks it by a right one.
struct Broken {
    right: MemoryRegistry,
    wrong: Mutex<Vec<DeviceRecord>>,
    fault: Fault,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self { right: memory(), wrong: Mutex::new(Vec::new()), fault }
    }

    /// Writes `binding` down as something happened to it that should not have.
    fn force(&self, binding: &AcceptedBinding, record: Option<DeviceRecord>) {
        let binding = binding.binding();
        let fresh = || DeviceRecord::registered(binding.device, binding.owner, true, NOW);
        let mut record = record.unwrap_or_else(fresh);
        record.next_nonce += 1;
        self.wrong.lock().unwrap().push(record);
    }

    /// How `fault` shows a record.
    fn shown(&self, mut record: DeviceRecord) -> DeviceRecord {
        match self.fault {
            Fault::LosesOwnershipEpochs => record.ownership_epoch = 0,
            Fault::ActivatesAtOnce => record.activated = record.activated.or(Some(record.registered)),
            Fault::TellsNoTime => record.registered = Timestamp(0),
            Fault::KeepsTheOldKey => {
                if let Some(past) = &mut record.past {
                    past.keys.truncate(1);
                }
            }
            Fault::NeverPauses => {
                if let Some(past) = &mut record.past {
                    past.pauses.clear();
                }
            }
            _ => {}
        }
        record
    }
}

#[async_trait]
impl DeviceRegistry for Broken {
    fn domain(&self) -> Domain {
        domain()
    }

    async fn device(&self, device: &DeviceId) -> Result<Option<DeviceRecord>, ReadError> {
        let wrong = self.wrong.lock().unwrap().iter().rfind(|record| record.device == *device).cloned();
        let record = self.right.device(device).await?;
        Ok(match self.fault {
            Fault::ShowsNothing => None,
            _ => wrong.or(record).map(|record| self.shown(record)),
        })
    }

    async fn by_key(&self, id: &KeyId) -> Result<Option<DeviceRecord>, ReadError> {
        match self.fault {
            Fault::ForgetsKeys => Ok(None),
            _ => Ok(self.right.by_key(id).await?.map(|record| self.shown(record))),
        }
    }

    async fn submit(&self, binding: &AcceptedBinding) -> Result<(), SubmitError> {
        use depin_identity::RegistryError::{
            Deactivated, KeyIdTaken, KeyOfFormerOwner, KeysKeptForOwner, Known, Nonce, Owner,
            PresentKeyCompromised,
        };
        let record = self.device(&binding.binding().device).await.unwrap();
        match (self.fault, self.right.submit(binding).await) {
            (Fault::IsDown, _) => Err(SubmitError::Unavailable { reason: "no route".to_owned() }),
            (Fault::IgnoresNonces, Err(SubmitError::Refused(Nonce { .. })))
            | (Fault::GivesKeysBack, Err(SubmitError::Refused(KeyIdTaken { .. })))
            | (Fault::TrustsStolenKeys, Err(SubmitError::Refused(PresentKeyCompromised { .. })))
            | (Fault::BlamesSellers, Err(SubmitError::Refused(KeyOfFormerOwner { .. })))
            | (Fault::WearsOut, Err(SubmitError::Refused(KeysKeptForOwner { .. })))
            | (Fault::IgnoresDomains, Err(SubmitError::Domain { .. })) => {
                self.force(binding, record);
                Ok(())
            }
            (Fault::IgnoresOwners, Err(SubmitError::Refused(Owner { .. })))
                if record.as_ref().is_some_and(|record| record.next_nonce == binding.binding().nonce) =>
            {
                self.force(binding, record);
                Ok(())
            }
            (Fault::Resurrects, Err(SubmitError::Refused(Known { .. } | Deactivated { .. })))
                if record.as_ref().is_some_and(|record| record.deactivated().is_some()) =>
            {
                self.force(binding, record);
                Ok(())
            }
            (_, result) => result,
        }
    }
}

#[test]
fn every_broken_registry_is_caught_by_the_rule_it_breaks() {
    for (fault, rule) in [
        (Fault::ForgetsKeys, "a_registration_shows"),
        (Fault::ShowsNothing, "a_registration_shows"),
        (Fault::TellsNoTime, "a_registration_shows"),
        (Fault::IgnoresDomains, "another_domain_is_refused"),
        (Fault::LosesOwnershipEpochs, "a_transfer_shows"),
        (Fault::IgnoresNonces, "a_nonce_serves_once"),
        (Fault::IgnoresOwners, "only_the_owner_disposes"),
        (Fault::ActivatesAtOnce, "an_activation_shows"),
        (Fault::GivesKeysBack, "a_key_id_stays_taken"),
        (Fault::TrustsStolenKeys, "a_compromised_key_proves_nothing"),
        (Fault::BlamesSellers, "a_sold_key_stays_as_it_is"),
        (Fault::WearsOut, "the_last_keys_are_the_owners"),
        (Fault::NeverPauses, "a_suspension_shows_and_ends"),
        (Fault::Resurrects, "deactivation_is_for_ever"),
        // A registry that is down has not refused anything.
        (Fault::IsDown, "unknown_devices_are_absent"),
    ] {
        let violation = judge(&Broken::new(fault)).expect_err(rule);
        assert_eq!(violation.rule, rule, "{fault:?}: {violation}");
    }
    // A transfer brings a key as well.
    let forgetful = Broken::new(Fault::KeepsTheOldKey);
    let rules = RegistryRules::new(&forgetful, [1; 32], NOW);
    assert_eq!(pollster::block_on(rules.a_rotation_shows()).unwrap_err().rule, "a_rotation_shows");
    assert_eq!(pollster::block_on(rules.a_transfer_shows()).unwrap_err().rule, "a_transfer_shows");
}

/// Signs something else, or with another key than it names.
struct BadSigner {
    names: TypedKey,
    signs: Sign,
}

type Sign = fn(&[u8]) -> Result<Signature, SignError>;

#[async_trait]
impl DeviceSigner for BadSigner {
    fn public_key(&self) -> TypedKey {
        self.names
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        (self.signs)(message)
    }
}

#[test]
fn the_software_key_conforms_and_broken_signers_do_not() {
    pollster::block_on(device_signer(&key())).unwrap();
    let p256 = TypedKey::new(KeyType::P256, &[2; 33]).unwrap();
    let right = |message: &[u8]| Ok(key().signature(message));
    let cut = |message: &[u8]| Ok(key().signature(&message[..message.len().min(64)]));
    let down = |_: &[u8]| Err(SignError::Unavailable { reason: "locked".to_owned() });
    let other = SoftwareKey::from_seed([9; 32]).public_key();
    let mine = key().public_key();
    let broken: [(TypedKey, Sign); 4] = [(p256, right), (other, right), (mine, cut), (mine, down)];
    for (names, signs) in broken {
        assert!(pollster::block_on(device_signer(&BadSigner { names, signs })).is_err());
    }
}

/// A resolver that is wrong in one way.
#[derive(Clone, Copy, Debug)]
enum WrongDid {
    NamesNothing,
    AnyMethod,
    OthersDocument,
    Forgets,
    InventsVersions,
}

struct WrongResolver(WrongDid);

#[async_trait]
impl DidResolver for WrongResolver {
    fn methods(&self) -> Vec<&str> {
        if matches!(self.0, WrongDid::NamesNothing) { Vec::new() } else { vec!["key"] }
    }

    async fn resolve(&self, did: &Did, version: Option<&Text>) -> Result<Resolution, DidError> {
        let right = match (self.0, version) {
            (WrongDid::InventsVersions, _) => KeyMethod.resolve(did, None).await,
            _ => KeyMethod.resolve(did, version).await,
        };
        let empty = |did: Did| Ok(Resolution { document: DidDocument::new(did).into(), version: None });
        match (self.0, right) {
            (WrongDid::AnyMethod, Err(DidError::UnsupportedMethod { .. })) => empty(did.clone()),
            (WrongDid::OthersDocument, Ok(_)) => empty("did:key:other".parse().unwrap()),
            (WrongDid::Forgets, Err(DidError::Invalid { .. })) => empty(did.clone()),
            (_, right) => right,
        }
    }
}

#[test]
fn every_wrong_resolver_is_caught_by_the_rule_it_breaks() {
    let did = Did::from(&key().public_key());
    pollster::block_on(did_resolver(&KeyMethod, &did)).unwrap();
    pollster::block_on(did_resolver(&Resolvers::offline(), &did)).unwrap();
    for (wrong, rule) in [
        (WrongDid::NamesNothing, "methods_are_named"),
        (WrongDid::OthersDocument, "the_document_is_the_dids"),
        (WrongDid::AnyMethod, "other_methods_are_refused"),
        (WrongDid::Forgets, "nonsense_has_no_document"),
        (WrongDid::InventsVersions, "nonsense_has_no_document"),
    ] {
        let violation = pollster::block_on(did_resolver(&WrongResolver(wrong), &did)).expect_err(rule);
        assert_eq!(violation.rule, rule, "{wrong:?}: {violation}");
    }
}

/// Owner and new owner consent to whatever hash.
fn consent(secret: u8, binding: &Binding) -> (Address, OwnerSignature) {
    let key = k256::ecdsa::SigningKey::from_slice(&[secret; 32]).unwrap();
    let signed = key.sign_prehash_recoverable(binding.signing_hash().as_slice()).unwrap();
    (Address::from_private_key(&key), OwnerSignature(alloy_primitives::Signature::from(signed).as_bytes()))
}

#[test]
fn a_transfer_in_memory_reaches_no_epoch_before_the_present_one() {
    let next = SoftwareKey::from_seed([8; 32]);
    let device = DeviceId(key().public().typed());
    let owner = consent(1, &bare(device, Action::Activate)).0;
    let buyer = consent(2, &bare(device, Action::Activate)).0;
    let deadline = NOW.0 / 1_000 + 60;
    for (entered, cut_over, counts_from) in [(0, 9, 9), (12, 9, 12), (12, 15, 15)] {
        let registry = MemoryRegistry::new(Registry::new(domain()), Epoch(3));
        registry.enter(Epoch(entered));
        // No way back.
        registry.enter(Epoch(1));
        let new_key = next.public().typed();
        let voucher = Digest([0x55; 32]);
        let register = Action::Register { active: true };
        let transfer = Action::Transfer { new_owner: buyer, new_key, cut_over: Epoch(cut_over), voucher };
        for (nonce, action) in [(0, register), (1, transfer)] {
            let sells = nonce == 1;
            let binding = Binding { owner, nonce, deadline, ..bare(device, action) };
            let message = binding.device_proof_message();
            let signed = SignedBinding {
                binding,
                owner_signature: Some(consent(1, &binding).1),
                new_owner_signature: sells.then(|| consent(2, &binding).1),
                device_proof: Some(key().signature(&message)),
                new_key_proof: sells.then(|| next.signature(&message)),
            };
            let accepted = signed.verify(NOW, key().public().typed()).unwrap();
            pollster::block_on(registry.submit(&accepted)).unwrap();
        }
        let state = registry.state();
        let record = state.device(&device).unwrap();
        assert_eq!((record.owner, record.present_key().from), (buyer, Epoch(counts_from)));
    }
}

fn bare(device: DeviceId, action: Action) -> Binding {
    Binding { action, device, owner: Address::ZERO, domain: domain(), nonce: 0, deadline: 0 }
}
