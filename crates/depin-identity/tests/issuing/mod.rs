//! What tests of credentials need: a root, a maker, a device, and credentials by them.
#![allow(dead_code, unreachable_pub)] // every test uses some of it

use std::collections::BTreeSet;

use depin_core::{Amount, DeviceId, Millis, Timestamp};
use depin_identity::{
    Did, SoftwareKey,
    credential::{
        DeviceClaim, Documents, Expected, Known, MAKER_TYPE, MakerGrant, MakerPolicy, ProofOptions,
        StatusEntry, StatusList, StatusLists, StatusPurpose, Terms, Unsigned, VerifiedStatusList,
    },
};
use serde_json::Value;

pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub const YEAR: u64 = 365 * 86_400_000;
pub const LIST: &str = "https://status.example/1";

/// The key whose seed is `seed` again and again.
pub fn key(seed: u8) -> SoftwareKey {
    SoftwareKey::from_seed([seed; 32])
}

pub fn root() -> SoftwareKey {
    key(1)
}

pub fn maker() -> SoftwareKey {
    key(2)
}

pub fn device() -> SoftwareKey {
    key(3)
}

pub fn attacker() -> SoftwareKey {
    key(66)
}

pub fn did(key: &SoftwareKey) -> Did {
    Did::from(&key.public().typed())
}

pub fn device_id(key: &SoftwareKey) -> DeviceId {
    DeviceId(key.public().typed())
}

pub fn terms(issuer: &SoftwareKey) -> Terms {
    Terms {
        issuer: did(issuer),
        valid_from: Timestamp(NOW.0 - YEAR),
        valid_until: Timestamp(NOW.0 + YEAR),
        status: Some(StatusEntry { purpose: StatusPurpose::Revocation, list: LIST.to_owned(), index: 7 }),
    }
}

pub fn grant(maker: &SoftwareKey, quota: u32) -> MakerGrant {
    let set = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
    MakerGrant {
        maker: did(maker),
        quota,
        regions: set(&["EU", "US"]),
        kinds: set(&["radio", "storage"]),
        bond: Amount(10 * u128::from(quota)),
    }
}

pub fn claim(device: &SoftwareKey, serial: u32) -> DeviceClaim {
    DeviceClaim { device: did(device), serial, kind: "radio".to_owned(), region: "EU".to_owned() }
}

pub fn policy() -> MakerPolicy {
    MakerPolicy { root: did(&root()), max_makers: 1, bond_per_device: Amount(10), status_issuers: Vec::new() }
}

/// `document` signed by `signer`, as its did:key.
pub fn sign(document: &Value, signer: &SoftwareKey) -> Value {
    sign_as(document, signer, &ProofOptions::of_key(&signer.public().typed(), NOW).unwrap())
}

pub fn sign_as(document: &Value, signer: &SoftwareKey, options: &ProofOptions) -> Value {
    let unsigned = Unsigned::new(document, options).unwrap();
    let signature = signer.signature(unsigned.message());
    unsigned.finish(&signature)
}

/// A maker's credential by the root, not revoked.
pub fn maker_credential() -> Value {
    sign(&terms(&root()).maker(&grant(&maker(), 3)).unwrap(), &root())
}

/// What a verifier of it asks for.
pub fn expected<'a>(issuer: &'a Did, subject: &'a Did) -> Expected<'a> {
    Expected { issuer: Some(issuer), subject: Some(subject), kind: Some(MAKER_TYPE), ..Expected::default() }
}

/// A list by `issuer` with these bits set.
pub fn list(issuer: &SoftwareKey, set: &[u64]) -> Vec<u8> {
    let mut bits = StatusList::new(1 << 17).unwrap();
    set.iter().for_each(|index| bits.set(*index, true).unwrap());
    let terms = Terms { status: None, ..terms(issuer) };
    sign(&terms.status_list(LIST, StatusPurpose::Revocation, &bits).unwrap(), issuer).to_string().into_bytes()
}

pub fn lists(issuer: &SoftwareKey, set: &[u64]) -> StatusLists {
    // At hand since it holds.
    let (begun, age) = (Timestamp(NOW.0 - YEAR), Millis(2 * YEAR));
    let verified =
        VerifiedStatusList::verify(&list(issuer, set), LIST, begun, &Documents::default(), age).unwrap();
    let mut lists = StatusLists::default();
    lists.insert(verified);
    lists
}

/// What a verifier knows for whom did:keys and these lists are enough.
pub fn known<'a>(documents: &'a Documents, lists: &'a StatusLists) -> Known<'a> {
    Known { now: NOW, documents, lists }
}
