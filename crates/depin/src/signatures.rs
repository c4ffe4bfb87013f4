//! Signature checks apart from the audit they are for: most of its work, independent for each device, so that cores, or instances of a program
//! in a browser, can share it.

use std::collections::{BTreeMap, BTreeSet};

use depin_core::{ChainEvent, NetworkId, TypedKey, cbor};
use depin_identity::{Envelope, KeyEpoch, PublicKey};
use minicbor::{Decode, Encode};

use crate::{
    bundle::{Bundle, BundleError, DeviceSection, open_part},
    each::each,
    entry::Entry,
};

/// What was found right in a bundle: keys that are fit and reports that bear a signature by them. What is not named here was not checked, which says nothing
/// against it: an audit checks it then.
///
/// Whoever hands this to an audit vouches for it. It comes from the same program and the same bytes, or from nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Signatures {
    #[n(0)]
    keys: Vec<TypedKey>,
    /// Who signed the report at a position of the journal.
    #[n(1)]
    reports: BTreeMap<u64, TypedKey>,
}

/// Signatures, arranged for looking them up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    keys: BTreeSet<TypedKey>,
    reports: BTreeMap<u64, TypedKey>,
}

impl Signatures {
    /// Checks every device of `bundle`, on all cores where there are threads.
    pub fn of(bundle: &Bundle) -> Self {
        let network = bundle.header.params.network();
        let mut all = Self::default();
        for found in each(&bundle.devices, |section| of_section(network, section)) {
            all.extend(found);
        }
        all
    }

    /// Checks one of `parts` parts of the devices in the file `bytes`: every `parts`th from number `part` on. Whether the file is intact is for the audit to say.
    ///
    /// # Errors
    /// [`BundleError`], when this is no bundle.
    pub fn of_part(bytes: &[u8], part: usize, parts: usize) -> Result<Self, BundleError> {
        let (header, devices) = open_part(bytes, part, parts)?;
        let network = header.params.network();
        let mut all = Self::default();
        devices.iter().for_each(|section| all.extend(of_section(network, section)));
        Ok(all)
    }

    /// Adds what another part found.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.reports.extend(other.reports);
    }

    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// Reads what [`Signatures::to_bytes`] wrote, any number of them one after the other.
    ///
    /// # Errors
    /// [`cbor::CborError`].
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, cbor::CborError> {
        let mut all = Self::default();
        while !bytes.is_empty() {
            let (first, rest) = bytes.split_at_checked(cbor::first_len(bytes)?).unwrap_or((bytes, &[]));
            all.extend(cbor::from_slice(first)?);
            bytes = rest;
        }
        Ok(all)
    }
}

impl From<Signatures> for Known {
    fn from(Signatures { keys, reports }: Signatures) -> Self {
        Self { keys: keys.into_iter().collect(), reports }
    }
}

impl Known {
    /// Whether `key` was found fit.
    pub(crate) fn is_fit(&self, key: &TypedKey) -> bool {
        self.keys.contains(key)
    }

    /// By whom the report at `index` was found to be signed.
    pub(crate) fn signer(&self, index: u64) -> Option<TypedKey> {
        self.reports.get(&index).copied()
    }
}

/// Checks the keys of one device, and the reports that name one of them.
fn of_section(network: NetworkId, section: &DeviceSection) -> Signatures {
    let carried = section.before.record.iter().flat_map(|record| &record.keys);
    let registered = section.entries.iter().filter_map(|indexed| match &indexed.entry {
        Entry::Chain { located } => match &located.event {
            ChainEvent::DeviceRegistered { device, .. } => Some(*device.key()),
            _ => None,
        },
        _ => None,
    });
    let keys = carried.map(|KeyEpoch { key, .. }| *key).chain(registered);
    let keys: BTreeMap<_, _> =
        keys.filter_map(|key| PublicKey::new(key).ok()).map(|key| (key.id(), key)).collect();
    let mut found =
        Signatures { keys: keys.values().map(PublicKey::typed).collect(), ..Signatures::default() };
    for indexed in &section.entries {
        let Entry::Report { envelope, .. } = &indexed.entry else { continue };
        let Ok(envelope) = Envelope::parse(envelope) else { continue };
        let Some(key) = keys.get(&envelope.key_id()) else { continue };
        if envelope.check_signature(key, network).is_ok() {
            found.reports.insert(indexed.index, key.typed());
        }
    }
    found
}
