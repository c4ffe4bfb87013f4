//! Signature checks apart from the audit they are for: most of its work, independent for each device, so that cores, or instances of a program
//! in a browser, can share it.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
};

use depin_core::{ChainEvent, Digest, NetworkId, TypedKey, cbor, sha256};
use depin_identity::{Envelope, PublicKey, SignatureBatch};
use minicbor::{Decode, Encode};

use crate::{
    bundle::{Bundle, BundleError, DeviceSection, open_part},
    each::each,
    entry::Entry,
    params::NetworkParams,
};

/// Signatures that are checked together.
const BATCH: usize = 4096;
/// Devices whose keys are checked together.
const DEVICES: usize = 4096;

/// What was found right in a bundle: keys that are fit, and reports with the key that signed each. What is not named here was not checked, which says nothing
/// against it.
///
/// Whoever hands this to an audit vouches for it. It comes from the same program and the same bytes, or from nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Signatures {
    /// Keys that devices had before the epoch.
    #[n(0)]
    keys: BTreeSet<TypedKey>,
    /// Who signed the report at a position of the journal.
    #[n(1)]
    reports: BTreeMap<u64, TypedKey>,
}

/// What an audit goes by instead of checking keys and signatures.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// These were checked. Any other is checked where it is needed.
    Checked(Signatures),
    /// Every key is taken for fit and every signature for right; these are the ones that were needed.
    Assumed(Signatures),
}

impl Signatures {
    /// Checks every device of `bundle`, on all cores where there are threads.
    pub fn of(bundle: &Bundle) -> Self {
        let params = &bundle.header.params;
        let mut all = Self::default();
        // Several pieces for each core, and each large enough to be worth checking together.
        let piece = (bundle.devices.len() / 16).clamp(256, DEVICES);
        let chunks: Vec<_> = bundle.devices.chunks(piece).collect();
        for found in each(&chunks, |devices| of_devices(params, devices.iter())) {
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
        Ok(of_devices(&header.params, devices))
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
    /// Whether `key`, which a device had before the epoch, counts as fit without a look at it.
    pub(crate) fn is_fit(&mut self, key: &TypedKey) -> bool {
        match self {
            Self::Checked(known) => known.keys.contains(key),
            Self::Assumed(needed) => {
                needed.keys.insert(*key);
                true
            }
        }
    }

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

/// Checks the keys of devices, and the reports that name one of them, some devices at a time.
fn of_devices<S: Borrow<DeviceSection>>(
    params: &NetworkParams,
    sections: impl Iterator<Item = S>,
) -> Signatures {
    let (mut found, mut together) = (Signatures::default(), Vec::new());
    for section in sections {
        together.push(section);
        if together.len() >= DEVICES {
            found.extend(of_these(params, &together));
            together.clear();
        }
    }
    found.extend(of_these(params, &together));
    found
}

fn of_these<S: Borrow<DeviceSection>>(params: &NetworkParams, sections: &[S]) -> Signatures {
    let carried = |section: &S| {
        let record = section.borrow().before.record.as_ref();
        record.into_iter().flat_map(|record| record.keys()).map(|known| known.key).collect::<Vec<_>>()
    };
    let registered = |section: &S| {
        let events = section.borrow().entries.iter().filter_map(|indexed| match &indexed.entry {
            Entry::Chain { located } => Some(&located.event),
            _ => None,
        });
        let keys = events.filter_map(|event| match event {
            ChainEvent::DeviceRegistered { device, .. } => Some(*device.key()),
            ChainEvent::KeyRotated { new_key, .. } | ChainEvent::DeviceTransferred { new_key, .. } => {
                Some(*new_key)
            }
            _ => None,
        });
        keys.collect::<Vec<_>>()
    };
    let keys: Vec<_> = sections.iter().map(|section| (carried(section), registered(section))).collect();
    let all = keys.iter().flat_map(|(carried, registered)| carried.iter().chain(registered)).copied();
    let mut fit = PublicKey::new_all(all).into_iter();
    let (mut found, mut waiting) = (Signatures::default(), Waiting::new(params));
    for (section, (carried, registered)) in sections.iter().zip(keys) {
        let carried: Vec<_> = fit.by_ref().take(carried.len()).flatten().collect();
        found.keys.extend(carried.iter().map(PublicKey::typed));
        let registered = fit.by_ref().take(registered.len()).flatten();
        let keys: BTreeMap<_, _> = carried.into_iter().chain(registered).map(|key| (key.id(), key)).collect();
        for indexed in &section.borrow().entries {
            let Entry::Report { envelope, .. } = &indexed.entry else { continue };
            let Ok(envelope) = Envelope::parse(envelope) else { continue };
            let Some(key) = keys.get(&envelope.key_id()) else { continue };
            waiting.add(indexed.index, key, envelope, &mut found);
        }
    }
    waiting.decide(&mut found);
    found
}

/// Reports whose signatures are checked together.
struct Waiting {
    network: NetworkId,
    reports: Vec<(u64, TypedKey)>,
    batch: SignatureBatch,
}

impl Waiting {
    fn new(params: &NetworkParams) -> Self {
        let batch = SignatureBatch::new(params.sig_policy);
        Self { network: params.network(), reports: Vec::new(), batch }
    }

    fn add(&mut self, index: u64, key: &PublicKey, envelope: Envelope<'_>, found: &mut Signatures) {
        if envelope.check_signature_later(key, self.network, &mut self.batch).is_ok() {
            self.reports.push((index, key.typed()));
        }
        if self.batch.len() >= BATCH {
            self.decide(found);
        }
    }

    fn decide(&mut self, found: &mut Signatures) {
        let right = self.batch.verify();
        let reports = self.reports.drain(..).zip(right);
        found.reports.extend(reports.filter_map(|(report, right)| right.then_some(report)));
    }
}
