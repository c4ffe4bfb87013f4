use std::collections::BTreeSet;

use depin_core::{Digest, NetworkId, cbor};
use depin_identity::{Challenge, Disclosure, Envelope, PrivateFields, Report};

use crate::{bundle::DeviceSection, entry::Entry};

/// What could be seen of the private values that reports commit to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivateAudit {
    /// Values that were opened.
    pub opened: u64,
    /// Values that were erased, or never shown here.
    pub withheld: u64,
}

/// Counts the private values behind the commitments of `sections`, and which of them `fields` opens.
///
/// A commitment is signed with its report, whose every byte is in the bundle and in the journal's tree. The value behind it is in neither, and no
/// verifier is given it: what an epoch pays recomputes from the bundle alone, whether the value is there, was erased, or never was. The challenges by
/// which devices without a clock date their reports are commitments too, to nothing private, and are not counted.
pub fn audit_private<'a>(
    network: NetworkId,
    sections: impl IntoIterator<Item = &'a DeviceSection>,
    fields: &PrivateFields,
) -> PrivateAudit {
    let (mut found, mut seen) = (PrivateAudit::default(), BTreeSet::<Digest>::new());
    for indexed in sections.into_iter().flat_map(|section| &section.entries) {
        let Entry::Report { envelope, .. } = &indexed.entry else { continue };
        let parsed = Envelope::parse(envelope).ok();
        let report = parsed.and_then(|parsed| cbor::from_slice::<Report>(parsed.payload()).ok());
        for commitment in report.into_iter().flat_map(|report| report.commitments) {
            if commitment.label == Challenge::LABEL || !seen.insert(commitment.digest) {
                continue;
            }
            let count = match fields.read(&commitment, network) {
                Ok(Disclosure::Open(_)) => &mut found.opened,
                // A label that the value was not kept under opens nothing.
                Ok(Disclosure::Withheld) | Err(_) => &mut found.withheld,
            };
            *count = count.saturating_add(1);
        }
    }
    found
}
