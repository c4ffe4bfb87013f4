//! Signature checks apart from the audit they are for: most of its work, independent for each device, so that cores, or instances of a program
//! in a browser, can share it.

use std::{borrow::Borrow, collections::BTreeMap};

use depin_core::{ChainEvent, Digest, NetworkId, TypedKey, cbor, sha256};
use depin_identity::{Envelope, KeyEpoch, PublicKey, SignatureBatch};
use minicbor::{Decode, Encode};

use crate::{
    bundle::{Bundle, BundleError, DeviceSection, open_part},
    each::each,
    entry::Entry,
};

/// Signatures that are checked together.
const BATCH: usize = 4096;
/// Devices whose reports one core checks at a time.
const CHUNK: usize = 1024;

/// Reports of a bundle with the key that signed each. What is not named here was not checked, which says nothing against it.
///
/// Whoever hands this to an audit vouches for it. It comes from the same program and the same bytes, or from nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Signatures {
    /// Who signed the report at a position of the journal.
    #[n(0)]
    reports: BTreeMap<u64, TypedKey>,
}

/// What a fold goes by instead of checking a signature.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// These were checked. Any other is checked where it is needed.
    Checked(Signatures),
    /// Every signature is taken for right; these are the ones that were needed.
    Assumed(Signatures),
}

impl Signatures {
    /// Checks every device of `bundle`, on all cores where there are threads.
    pub fn of(bundle: &Bundle) -> Self {
        let network = bundle.header.params.network();
        let mut all = Self::default();
        let chunks: Vec<_> = bundle.devices.chunks(CHUNK).collect();
        for found in each(&chunks, |devices| of_devices(network, devices.iter())) {
            all.extend(found);
        }
        all
    }

    /// Checks one of `parts` parts of the devices in the file `bytes`: every `parts`th from number `part` on.
    ///
    /// # Errors
    /// [`BundleError`], when this is no bundle, or one of these devices was changed in it.
    pub fn of_part(bytes: &[u8], part: usize, parts: usize) -> Result<Self, BundleError> {
        let (header, devices) = open_part(bytes, part, parts)?;
        Ok(of_devices(header.params.network(), devices))
    }

    /// Adds what another part found.
    pub fn extend(&mut self, other: Self) {
        self.reports.extend(other.reports);
    }

    /// Canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// SHA-256 of the canonical bytes: equal exactly when the signatures are.
    pub fn digest(&self) -> Digest {
        sha256(&[&self.to_bytes()])
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

impl Default for Known {
    fn default() -> Self {
        Self::Checked(Signatures::default())
    }
}

impl Known {
    /// Whether the report at `index` counts as signed by `key` without a look at its signature.
    pub(crate) fn is_signed(&mut self, index: u64, key: &TypedKey) -> bool {
        match self {
            Self::Checked(known) => known.reports.get(&index) == Some(key),
            Self::Assumed(needed) => {
                needed.reports.insert(index, *key);
                true
            }
        }
    }
}

/// Checks the reports of devices that name one of their keys.
fn of_devices<S: Borrow<DeviceSection>>(network: NetworkId, sections: impl Iterator<Item = S>) -> Signatures {
    let (mut found, mut waiting) = (Signatures::default(), Waiting::default());
    for section in sections {
        waiting.add(network, section.borrow());
        if waiting.batch.len() >= BATCH {
            waiting.decide(&mut found);
        }
    }
    waiting.decide(&mut found);
    found
}

/// Reports whose signatures are checked together.
#[derive(Default)]
struct Waiting {
    reports: Vec<(u64, TypedKey)>,
    batch: SignatureBatch,
}

impl Waiting {
    fn add(&mut self, network: NetworkId, section: &DeviceSection) {
        let carried = section.before.record.iter().flat_map(|record| &record.keys);
        let registered = section.entries.iter().filter_map(|indexed| match &indexed.entry {
            Entry::Chain { located } => match &located.event {
                ChainEvent::DeviceRegistered { device, .. } => Some(*device.key()),
                _ => None,
            },
            _ => None,
        });
        let keys = carried.map(|KeyEpoch { key, .. }| *key).chain(registered);
        // Whether a key is fit is decided where it is registered; here is asked what it signed.
        let keys: BTreeMap<_, _> =
            keys.filter_map(|key| PublicKey::checked_before(key).ok()).map(|key| (key.id(), key)).collect();
        for indexed in &section.entries {
            let Entry::Report { envelope, .. } = &indexed.entry else { continue };
            let Ok(envelope) = Envelope::parse(envelope) else { continue };
            let Some(key) = keys.get(&envelope.key_id()) else { continue };
            if envelope.check_signature_later(key, network, &mut self.batch).is_ok() {
                self.reports.push((indexed.index, key.typed()));
            }
        }
    }

    fn decide(&mut self, found: &mut Signatures) {
        let right = std::mem::take(&mut self.batch).verify();
        let reports = self.reports.drain(..).zip(right);
        found.reports.extend(reports.filter_map(|(report, right)| right.then_some(report)));
    }
}
