//! A manufacturer, a maker, and what they vouch for.
#![allow(dead_code)] // shared by several tests, each of which uses a part

use std::collections::BTreeSet;

use depin::{AdmissionParams, FirmwareParams};
use depin_core::{Amount, Timestamp};
use depin_identity::{
    Did, SoftwareKey,
    admission::AdmissionPolicy,
    credential::{
        DeviceClaim, MakerGrant, ProofOptions, StatusEntry, StatusList, StatusPurpose, Terms, Unsigned,
    },
};
use serde_json::{Value, json};

use crate::common::{Device, GENESIS};

pub(crate) const LIST: &str = "https://status.example/1";
pub(crate) const YEAR: u64 = 365 * 86_400_000;

pub(crate) fn root() -> SoftwareKey {
    SoftwareKey::from_seed([91; 32])
}

pub(crate) fn maker() -> SoftwareKey {
    SoftwareKey::from_seed([92; 32])
}

pub(crate) fn did(key: &SoftwareKey) -> Did {
    Did::from(&key.public().typed())
}

pub(crate) fn sign(document: &Value, signer: &SoftwareKey) -> Value {
    sign_as(document, signer, |_| ())
}

pub(crate) fn sign_as(document: &Value, signer: &SoftwareKey, change: fn(&mut ProofOptions)) -> Value {
    let mut options = ProofOptions::of_key(&signer.public().typed(), Timestamp(GENESIS)).unwrap();
    change(&mut options);
    let unsigned = Unsigned::new(document, &options).unwrap();
    let signature = signer.signature(unsigned.message());
    unsigned.finish(&signature)
}

/// In force for `lasts` milliseconds after the network began; the credential of `index` in the list.
pub(crate) fn terms(issuer: &SoftwareKey, lasts: u64, index: Option<u64>) -> Terms {
    Terms {
        issuer: did(issuer),
        valid_from: Timestamp(GENESIS - YEAR),
        valid_until: Timestamp(GENESIS + lasts),
        status: index.map(|index| StatusEntry {
            purpose: StatusPurpose::Revocation,
            list: LIST.to_owned(),
            index,
        }),
    }
}

pub(crate) fn grant(issuer: &SoftwareKey, maker: &SoftwareKey, quota: u32, index: u64) -> Value {
    let set = |text: &str| BTreeSet::from([text.to_owned()]);
    let (regions, kinds) = (set("EU"), set("storage"));
    let bond = Amount(u128::from(quota));
    let grant = MakerGrant { maker: did(maker), quota, regions, kinds, bond };
    sign(&terms(issuer, YEAR, Some(index)).maker(&grant).unwrap(), issuer)
}

pub(crate) fn vouch(maker: &SoftwareKey, device: &Device, serial: u32, lasts: u64) -> Value {
    let device = Did::from(&device.id());
    let claim = DeviceClaim { device, serial, kind: "storage".to_owned(), region: "EU".to_owned() };
    sign(&terms(maker, lasts, None).device(&claim).unwrap(), maker)
}

pub(crate) fn list(issuer: &SoftwareKey, set: &[u64], lasts: u64) -> Value {
    let mut bits = StatusList::new(1 << 17).unwrap();
    set.iter().for_each(|index| bits.set(*index, true).unwrap());
    let terms = terms(issuer, lasts, None);
    sign(&terms.status_list(LIST, StatusPurpose::Revocation, &bits).unwrap(), issuer)
}

/// `credential` after a change, signed anew.
pub(crate) fn changed(credential: &Value, signer: &SoftwareKey, change: impl FnOnce(&mut Value)) -> Value {
    let mut credential = credential.clone();
    credential.as_object_mut().unwrap().remove("proof");
    change(&mut credential);
    sign(&credential, signer)
}

pub(crate) fn shown(credentials: &[Value], list: &Value) -> Vec<u8> {
    json!({ "credentials": credentials, "statusLists": { LIST: list } }).to_string().into_bytes()
}

/// What the device with `serial` of the maker with a quota of 2 shows.
pub(crate) fn chain(device: &Device, serial: u32) -> Vec<u8> {
    let credentials = [grant(&root(), &maker(), 2, 7), vouch(&maker(), device, serial, YEAR)];
    shown(&credentials, &list(&root(), &[], YEAR))
}

pub(crate) fn admission() -> AdmissionParams {
    AdmissionParams {
        roots: vec![did(&root())],
        max_makers: 2,
        policy: AdmissionPolicy { maker_bond: Amount(1), ..AdmissionPolicy::by_makers() },
        revoked_makers: Vec::new(),
        firmware: FirmwareParams::default(),
    }
}
