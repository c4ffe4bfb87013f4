//! What the targets share: a small network whose keys are known, and everything that was ever signed in it. Whatever a target sees verified must
//! be among that.

use std::sync::LazyLock;

use depin::{Bundle, excerpt::Excerpt, log::Checkpoint};
use depin_core::{Amount, Digest, Epoch, KeyType, SignedDeal, Timestamp, cbor};
use depin_identity::{
    Action, Commitment, Domain, Head, OwnerSignature, Receipt, Registry, ReplayMarks, Report, Signature,
    SignedBinding, SoftwareKey,
};
use depin_proof::possession::{Answer, Challenge};

use alloy::signers::SignerSync as _;

#[path = "../../crates/depin/tests/common/mod.rs"]
pub mod common;
#[path = "../../crates/depin-device/tests/flash/mod.rs"]
pub mod flash;
pub mod hardware;
pub mod keyfile;
pub mod papers;

use common::{Device, World, node_key, params, signed, terms, wallet};

/// Everything that was signed, or made honestly.
pub struct Fixture {
    pub device: Device,
    pub envelopes: Vec<Vec<u8>>,
    pub receipts: Vec<Vec<u8>>,
    pub bindings: Vec<SignedBinding>,
    pub deals: Vec<SignedDeal>,
    pub notes: Vec<String>,
    pub heads: Vec<Head>,
    pub challenge: Challenge,
    pub answer: Answer,
    pub bundles: Vec<Bundle>,
    pub registry: Registry,
    pub marks: Vec<ReplayMarks>,
}

/// The one fixture of a run.
pub static FIXTURE: LazyLock<Fixture> = LazyLock::new(Fixture::new);

impl Fixture {
    fn new() -> Self {
        let mut device = Device::new("device");
        device.keep(&[7; 5_000]);
        let mut second = Device::new("second");
        let customer = wallet("customer");
        let mut world = World::of(&customer, &[&device, &second], 3);
        let deals = world.deals.clone();
        let first = world.honest(&mut [&mut device, &mut second]);
        world.open();
        world.commit(&mut device);
        world.beacon();
        let challenge = world.challenge(&device);
        let answer = world.proof(&device);
        world.answer(&mut device);
        world.send(&mut second, "storage.heartbeat", vec![1, 2, 3]);
        let second_bundle = world.end();
        let heads: Vec<Head> = world.bundles.iter().map(|bundle| bundle.header.journal_after).collect();
        Self {
            envelopes: envelopes(&device),
            receipts: receipts(),
            bindings: bindings(&device),
            notes: heads.iter().map(|head| common::checkpoint(&params(), &node_key(), *head)).collect(),
            deals,
            heads,
            challenge,
            answer,
            bundles: vec![first, second_bundle],
            registry: world.state.registry.clone(),
            marks: marks(),
            device,
        }
    }
}

fn envelopes(device: &Device) -> Vec<Vec<u8>> {
    let report = |body: Vec<u8>, labels: &[&'static str]| Report {
        kind: "storage.set".into(),
        time: Timestamp(common::GENESIS),
        boot: 3,
        sequence: 1 << 40,
        body,
        commitments: labels
            .iter()
            .map(|label| Commitment { label: (*label).into(), digest: Digest([9; 32]) })
            .collect(),
    };
    let reports = [report(Vec::new(), &[]), report(vec![1; 300], &["cell", "serial"])];
    let network = params().network();
    let sign = |key: SoftwareKey| reports.clone().map(|report| report.sign_with(&key, network));
    signers(device).into_iter().flat_map(sign).flatten().collect()
}

/// A key of each type, the device's own first.
pub fn signers(device: &Device) -> [SoftwareKey; 3] {
    let other = |kind| SoftwareKey::from_secret(kind, [7; 32]).expect("7 is a secret key");
    [device.key.clone(), other(KeyType::P256), other(KeyType::Secp256k1)]
}

fn receipts() -> Vec<Vec<u8>> {
    [0_usize, 3, Receipt::MAX_PROOF]
        .into_iter()
        .filter_map(|hashes| {
            let receipt = Receipt {
                report: Digest([1; 32]),
                index: 5,
                received: Timestamp(common::GENESIS),
                epoch: Epoch(2),
                leaf: Digest([2; 32]),
                head: Head { size: 6, root: Digest([3; 32]) },
                proof: vec![Digest([4; 32]); hashes],
            };
            receipt.sign_with(&node_key(), params().network()).ok()
        })
        .collect()
}

fn bindings(device: &Device) -> Vec<SignedBinding> {
    let next = wallet("next");
    let next_key = SoftwareKey::from_seed([8; 32]);
    let new_key = next_key.public().typed();
    let actions = [
        Action::Register { active: true },
        Action::Rotate { new_key, last_boot: 1, last_sequence: 2 },
        Action::Compromise { key: device.id().key().id(), since: 1 },
        Action::Transfer { new_owner: next.address(), new_key, cut_over: Epoch(3), voucher: Digest([5; 32]) },
        Action::Suspend,
        Action::Deactivate,
    ];
    actions
        .into_iter()
        .map(|action| {
            let binding = device.binding(action, 0);
            let hash = binding.signing_hash();
            let sign = |wallet: &alloy::signers::local::PrivateKeySigner| {
                wallet.sign_hash_sync(&hash).ok().map(|signature| OwnerSignature(signature.as_bytes()))
            };
            let new_owner_signature =
                if matches!(action, Action::Transfer { .. }) { sign(&next) } else { None };
            let message = binding.device_proof_message();
            let by_keys =
                matches!(action, Action::Register { .. } | Action::Rotate { .. } | Action::Transfer { .. });
            let device_proof: Option<Signature> = by_keys.then(|| device.key.signature(&message));
            let new_key_proof = action.new_key().map(|_| next_key.signature(&message));
            let by_owner = !matches!(action, Action::Rotate { .. });
            let owner_signature = if by_owner { sign(&device.owner) } else { None };
            SignedBinding { binding, owner_signature, new_owner_signature, device_proof, new_key_proof }
        })
        .collect()
}

fn marks() -> Vec<ReplayMarks> {
    let mut marks = ReplayMarks::default();
    let mut all = vec![marks.clone()];
    for boot in [1, 5, 6, 200, u32::MAX] {
        for sequence in [0, 7, 1_000, 5_000_u64] {
            let _ = marks.admit(boot, sequence);
        }
        all.push(marks.clone());
        marks.settle();
        all.push(marks.clone());
    }
    all
}

/// A second deal of the same customer, at another price: for seeds.
pub fn another_deal(fixture: &Fixture) -> SignedDeal {
    let mut deal = terms(&wallet("customer"), &fixture.device, 1, 5);
    deal.price = Amount(1);
    signed(&wallet("customer"), deal, &fixture.device.set)
}

/// The registry of the fixture.
pub fn domain() -> Domain {
    Domain { chain_id: common::CHAIN, contract: common::registry_address() }
}

/// Opens a signed note of the fixture's node.
pub fn open(note: &str) -> Option<Checkpoint> {
    let (params, key) = (params(), node_key());
    let verify =
        |message: &[u8], signature: &[u8; 64]| key.public().verify(message, &Signature(*signature)).is_ok();
    Checkpoint::open(note, &params.log_origin(), &params.node, verify).ok()
}

/// Asserts that a value which `bytes` decode to encodes to the same bytes.
pub fn same<T>(bytes: &[u8]) -> Option<T>
where
    T: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()>,
{
    let value: T = cbor::from_slice(bytes).ok()?;
    assert!(cbor::check(bytes).is_ok());
    assert_eq!(cbor::first_len(bytes).ok(), Some(bytes.len()));
    assert_eq!(cbor::to_vec(&value), bytes);
    Some(value)
}

/// The sections of a bundle as the fuzzer changes them: without hashes, which it could not guess.
pub fn sections(bundle: &Bundle) -> Vec<u8> {
    let mut sections: Vec<Vec<u8>> =
        vec![cbor::to_vec(&bundle.header), cbor::to_vec(&bundle.ledger), cbor::to_vec(&bundle.customers)];
    sections.extend(bundle.devices.iter().map(cbor::to_vec));
    sections.push(cbor::to_vec(&bundle.result));
    let sections: Vec<minicbor::bytes::ByteVec> = sections.into_iter().map(Into::into).collect();
    cbor::to_vec(&sections)
}

/// The bundle file made of `sections`, its hashes and digest right.
pub fn file(sections: &[u8]) -> Option<Vec<u8>> {
    let sections: Vec<minicbor::bytes::ByteVec> = cbor::from_slice(sections).ok()?;
    let hashes: Vec<Digest> = sections.iter().map(|section| depin::log::leaf_hash(section)).collect();
    let mut tree = depin::log::Tree::default();
    hashes.iter().for_each(|hash| tree.push(*hash));
    let head = tree.head(tree.size())?;
    let digest = depin_core::sha256(&[
        depin::bundle::FORMAT.as_bytes(),
        &head.size.to_be_bytes(),
        head.root.as_bytes(),
    ]);
    Some(cbor::to_vec(&(depin::bundle::FORMAT, digest, hashes, sections)))
}

/// The excerpt of the fixture's device from its first bundle.
pub fn excerpt(fixture: &Fixture) -> Option<Excerpt> {
    fixture.bundles.first()?.excerpt(&fixture.device.id())
}
