//! Whose devices count: what a network asks of them, and what a device showed.
//!
//! A device shows one JSON object: `credentials`, an array from the root's credential for a maker down to the device's own, and `statusLists`, an
//! object with the credential of every status list they name, and of no other, by its URL. Everything is checked again by whoever audits, at the
//! moment it was received, and nothing is looked up: roots, makers and devices are did:keys, and lists come along. A list without `validUntil` is
//! refused, for it could be shown for ever; the device shows its credentials again once the first of them, of the lists, or of their proofs, has run out.
//!
//! What does not come out the same in every program that audits is refused whatever this one was built with: proofs of other suites than the JCS ones.

mod codec;
mod shown;
mod standing;

use depin_core::{Bounds, Digest, OutOfBounds};
use depin_identity::{
    Did,
    admission::{AdmissionPolicy, CredentialHolder},
};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

pub(crate) use shown::Vouched;
#[cfg(feature = "node")]
pub(crate) use shown::device_of;
pub(crate) use standing::CheckedList;
pub use standing::{Admitted, StatusPlace};

/// Bytes of what a device shows, and of a list that revokes.
pub const MAX_SHOWN: usize = 65_536;
/// Status lists that a device shows at most: each takes room when it is unpacked.
const MAX_LISTS: usize = 16;
/// How often a device shows something new in one epoch. It takes up no part of what its reports may fill: anybody may show it.
pub(crate) const MAX_SHOWINGS: usize = 8;
/// Makers between root and device that are ever allowed.
const MAX_MAKERS: u128 = 8;
/// Entries of a list of parameters.
const MAX_LISTED: u128 = 4_096;

/// Whose devices count. What is changed here takes effect with the epoch that opens under it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(deny_unknown_fields)]
pub struct AdmissionParams {
    /// Manufacturers' roots, as did:keys: who lets makers make.
    #[n(0)]
    #[cbor(with = "codec::dids")]
    pub roots: Vec<Did>,
    /// Makers between root and device: 1 forbids a maker to let others make.
    #[n(1)]
    pub max_makers: u8,
    /// What is asked of each device. A journal holds no bonds of devices, no reputation and no cells, so a policy that asks for them is
    /// refused; a maker's bond is what its root says it put up. `cell.resolution` is how far devices blur their place before they commit to it.
    #[n(2)]
    pub policy: AdmissionPolicy,
    /// Makers whose devices do not count any more.
    #[n(3)]
    #[cbor(with = "codec::dids")]
    pub revoked_makers: Vec<Did>,
    /// What firmware devices run.
    #[n(4)]
    pub firmware: FirmwareParams,
}

/// What firmware devices run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cbor(array)]
#[serde(deny_unknown_fields)]
pub struct FirmwareParams {
    /// Digests of images under which nothing counts.
    #[n(0)]
    #[cbor(with = "depin_core::cbor::list")]
    pub revoked: Vec<Digest>,
    /// Whether a device has to state its firmware before anything counts.
    #[n(1)]
    pub required: bool,
}

/// What to do next about a chain that does not hold.
const CHAIN: &str = "a chain of credentials from a root that the network trusts down to the device";
/// What to do next about one that is missing or old.
const SHOW: &str = "show credentials that hold, with `depin device register` or at /api/v1/credentials";

impl AdmissionParams {
    /// Checks that the parameters can be applied from a journal alone.
    ///
    /// # Errors
    /// [`OutOfBounds`].
    pub fn check(&self) -> Result<(), OutOfBounds> {
        let count = |len: usize| u128::try_from(len).unwrap_or(u128::MAX);
        let Self { roots, max_makers, policy, revoked_makers, firmware } = self;
        policy.check()?;
        Bounds::new("admission.roots", 1, 64).check(count(roots.len()))?;
        let by_key = roots.iter().filter(|root| root.method() == "key").count();
        Bounds::new("admission.roots-by-did-key", count(roots.len()), count(roots.len()))
            .check(count(by_key))?;
        Bounds::new("admission.max-makers", 1, MAX_MAKERS).check(*max_makers)?;
        Bounds::new("admission.revoked-makers", 0, MAX_LISTED).check(count(revoked_makers.len()))?;
        Bounds::new("admission.firmware.revoked", 0, MAX_LISTED).check(count(firmware.revoked.len()))?;
        // Nothing in a journal says these.
        Bounds::new("admission.policy.device-bond", 0, 0).check(policy.device_bond.0)?;
        Bounds::new("admission.policy.min-reputation", 0, 0).check(policy.min_reputation)?;
        // Places stay private: how far they are blurred can be said, and not how many devices share one.
        let any = u128::from(u32::MAX);
        let devices = policy.cell.map_or(u32::MAX, |rule| rule.devices);
        Bounds::new("admission.policy.cell.devices", any, any).check(devices)?;
        let owners = policy.credentials.iter().filter(|rule| rule.holder == CredentialHolder::Owner).count();
        Bounds::new("admission.policy.owner-credentials", 0, 0).check(count(owners))?;
        Ok(())
    }
}
