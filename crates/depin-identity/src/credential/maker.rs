//! Who may make devices, and which ones it made: a manufacturer's root, makers, devices.

use std::collections::BTreeSet;

use depin_core::{Amount, DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Credential, CredentialError, Documents, Expected, Known, StatusEntry, StatusLists, VerifiedCredential,
};
use crate::did::Did;

/// Type of a credential by which a root, or a maker, lets another make devices.
pub const MAKER_TYPE: &str = "MakerCredential";
/// Type of a credential by which a maker vouches for a device.
pub const DEVICE_TYPE: &str = "DeviceCredential";
/// Makers that a chain is read with at most, whatever a policy says.
const MAX_MAKERS: usize = 8;

/// What a maker may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakerGrant {
    /// The maker.
    #[serde(rename = "id")]
    pub maker: Did,
    /// Devices it may ever vouch for, those of makers under it included.
    pub quota: u32,
    /// Regions its devices may be made for, as the network names them.
    pub regions: BTreeSet<String>,
    /// Kinds of device it may make.
    pub kinds: BTreeSet<String>,
    /// What it puts up as a bond.
    pub bond: Amount,
}

/// What a maker says of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceClaim {
    /// The did:key that the device was born with.
    #[serde(rename = "id")]
    pub device: Did,
    /// Its number with its maker: below the maker's quota, and never given twice.
    pub serial: u32,
    /// Its kind.
    pub kind: String,
    /// The region it was made for.
    pub region: String,
}

/// Which chains a network accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakerPolicy {
    /// The root that lets makers make.
    pub root: Did,
    /// Makers between root and device: 1 forbids a maker to let others make.
    pub max_makers: usize,
    /// Bond per device of a quota, in base units.
    pub bond_per_device: Amount,
    /// Who may keep status lists besides the issuers themselves.
    pub status_issuers: Vec<Did>,
}

/// Credentials from the root down: one per maker, and the device's. Read, and not believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakerChain {
    makers: Vec<Credential>,
    device: Credential,
}

/// A device whose chain holds. Only [`MakerChain::verify`] makes one. Whether a quota has room for it hangs on other devices, and is not said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VouchedDevice {
    device: DeviceId,
    claim: DeviceClaim,
    makers: Vec<MakerGrant>,
    until: Timestamp,
}

/// A chain whose every link is signed by the one above and in force. Whether one was revoked is not said. Only [`MakerChain::verify_signed`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedChain {
    links: Vec<VerifiedCredential>,
    vouched: VouchedDevice,
}

/// Why a chain is refused. Links are counted from 0, the one the root signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No maker, or too many.
    #[error("the chain has {found} makers; expected 1 to {max}")]
    Length {
        /// Makers found.
        found: usize,
        /// Makers allowed.
        max: usize,
    },
    /// A credential that does not hold.
    #[error("link {link} of the chain: {source}")]
    Credential {
        /// Which.
        link: usize,
        /// Why.
        source: CredentialError,
    },
    /// Claims that are not those of a maker or device.
    #[error("the claims of link {link} are no {expected}: {reason}")]
    Claims {
        /// Which.
        link: usize,
        /// What they should be.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A credential without an end.
    #[error("link {link} never expires; have it issued with `validUntil`")]
    NoExpiry {
        /// Which.
        link: usize,
    },
    /// A maker that passes on more than it has.
    #[error("link {link} passes on more {what} than its issuer has; narrow it")]
    Widened {
        /// Which.
        link: usize,
        /// Of what.
        what: &'static str,
    },
    /// A bond too small for the quota.
    #[error("{maker} has a bond of {found}; its quota needs {expected}: raise the bond, or lower the quota")]
    Bond {
        /// The maker.
        maker: Did,
        /// The smaller of what its credential says and what it put up.
        found: Amount,
        /// What the policy asks for.
        expected: Amount,
    },
    /// A number that the maker's quota does not reach.
    #[error("serial {serial} is not below the quota of {quota}; ask the root for a larger quota")]
    Serial {
        /// The device's number.
        serial: u32,
        /// The maker's quota.
        quota: u32,
    },
    /// A kind or region that the maker has no say in.
    #[error("its maker may make nothing for the {what} {found:?}")]
    OutOfScope {
        /// Kind or region.
        what: &'static str,
        /// The device's.
        found: String,
    },
}

impl MakerChain {
    /// Reads a chain: the root's credential for a maker first, the device's last.
    ///
    /// # Errors
    /// [`ChainError::Length`], [`ChainError::Credential`].
    pub fn parse(chain: &[&[u8]]) -> Result<Self, ChainError> {
        let found = chain.len().saturating_sub(1);
        let length = ChainError::Length { found, max: MAX_MAKERS };
        let Some((device, makers)) = chain.split_last().filter(|_| (1..=MAX_MAKERS).contains(&found)) else {
            return Err(length);
        };
        let parse = |(link, bytes): (usize, &&[u8])| {
            Credential::parse(bytes).map_err(|source| ChainError::Credential { link, source })
        };
        let makers = makers.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { makers, device: parse((found, device))? })
    }

    /// The credentials, from the root down: what to resolve and fetch before [`MakerChain::verify`].
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.makers.iter().chain([&self.device])
    }

    /// Checks every link: issued by the one above, in force and not revoked now, no more passed on than there was, bonds as large as the quota asks for.
    /// A revoked maker takes every device below it along. `bonded` says what a maker has put up; a chain knows.
    ///
    /// # Errors
    /// [`ChainError`]: the first link that does not hold.
    pub fn verify(
        &self,
        policy: &MakerPolicy,
        device: &DeviceId,
        known: &Known<'_>,
        bonded: impl Fn(&Did) -> Amount,
    ) -> Result<VouchedDevice, ChainError> {
        let signed = self.verify_signed(policy, device, known.now, known.documents, bonded)?;
        signed.check_status(&policy.status_issuers, known.lists, known.now)
    }

    /// As [`MakerChain::verify`], but for what status lists say: which ones are needed, and by whom, is certain only after it.
    ///
    /// # Errors
    /// [`ChainError`]: the first link that does not hold.
    pub fn verify_signed(
        &self,
        policy: &MakerPolicy,
        device: &DeviceId,
        now: Timestamp,
        documents: &Documents,
        bonded: impl Fn(&Did) -> Amount,
    ) -> Result<SignedChain, ChainError> {
        let (found, max) = (self.makers.len(), policy.max_makers);
        if found > max {
            return Err(ChainError::Length { found, max });
        }
        let mut makers: Vec<MakerGrant> = Vec::new();
        let (mut until, mut links) = (Timestamp(u64::MAX), Vec::new());
        for (link, credential) in self.makers.iter().enumerate() {
            let issuer = makers.last().map_or(&policy.root, |above| &above.maker);
            let verified = policy.link(link, credential, issuer, None, now, documents)?;
            let grant: MakerGrant = claims(link, &verified, MAKER_TYPE)?;
            grant.is_within(link, makers.last())?;
            policy.is_bonded(&grant, bonded(&grant.maker))?;
            until = until.min(end(link, &verified)?);
            makers.push(grant);
            links.push(verified);
        }
        let maker = makers.last().ok_or(ChainError::Length { found, max })?;
        let subject = Did::from(device);
        let verified = policy.link(found, &self.device, &maker.maker, Some(&subject), now, documents)?;
        let claim: DeviceClaim = claims(found, &verified, DEVICE_TYPE)?;
        claim.is_covered(maker)?;
        until = until.min(end(found, &verified)?);
        links.push(verified);
        Ok(SignedChain { links, vouched: VouchedDevice { device: *device, claim, makers, until } })
    }
}

impl SignedChain {
    /// The status lists that are needed, and who has to keep each.
    pub fn statuses(&self) -> impl Iterator<Item = (&StatusEntry, &Did)> {
        self.links.iter().flat_map(|link| link.status().iter().map(|entry| (entry, link.issuer())))
    }

    /// That no link is revoked or suspended. Each list is kept by the issuer of the link, or by one of `also`.
    ///
    /// # Errors
    /// [`ChainError::Credential`]: the first link that is.
    pub fn check_status(
        self,
        also: &[Did],
        lists: &StatusLists,
        now: Timestamp,
    ) -> Result<VouchedDevice, ChainError> {
        for (link, credential) in self.links.iter().enumerate() {
            credential
                .check_status(also, lists, now)
                .map_err(|error| ChainError::Credential { link, source: error.into() })?;
        }
        Ok(self.vouched)
    }
}

impl MakerPolicy {
    fn link(
        &self,
        link: usize,
        credential: &Credential,
        issuer: &Did,
        subject: Option<&Did>,
        now: Timestamp,
        documents: &Documents,
    ) -> Result<VerifiedCredential, ChainError> {
        let expected = Expected {
            issuer: Some(issuer),
            subject,
            kind: Some(if subject.is_some() { DEVICE_TYPE } else { MAKER_TYPE }),
            // What a maker says of a device falls with the maker; what a root says of a maker has to fall alone.
            without_status: subject.is_some(),
            ..Expected::default()
        };
        let verified = credential.verify_signed(&expected, now, documents);
        verified.map_err(|source| ChainError::Credential { link, source })
    }

    fn is_bonded(&self, grant: &MakerGrant, bonded: Amount) -> Result<(), ChainError> {
        let expected = Amount(self.bond_per_device.0.saturating_mul(u128::from(grant.quota)));
        let found = bonded.min(grant.bond);
        if found < expected {
            return Err(ChainError::Bond { maker: grant.maker.clone(), found, expected });
        }
        Ok(())
    }
}

impl MakerGrant {
    fn is_within(&self, link: usize, above: Option<&Self>) -> Result<(), ChainError> {
        let Some(above) = above else { return Ok(()) };
        let wider = [
            ("quota", self.quota > above.quota),
            ("regions", !self.regions.is_subset(&above.regions)),
            ("kinds", !self.kinds.is_subset(&above.kinds)),
        ];
        match wider.into_iter().find(|(_, wider)| *wider) {
            Some((what, _)) => Err(ChainError::Widened { link, what }),
            None => Ok(()),
        }
    }
}

impl DeviceClaim {
    fn is_covered(&self, maker: &MakerGrant) -> Result<(), ChainError> {
        if self.serial >= maker.quota {
            return Err(ChainError::Serial { serial: self.serial, quota: maker.quota });
        }
        let scopes = [("kind", &self.kind, &maker.kinds), ("region", &self.region, &maker.regions)];
        match scopes.into_iter().find(|(_, found, allowed)| !allowed.contains(*found)) {
            Some((what, found, _)) => Err(ChainError::OutOfScope { what, found: found.clone() }),
            None => Ok(()),
        }
    }
}

impl VouchedDevice {
    /// The device.
    pub const fn device(&self) -> &DeviceId {
        &self.device
    }

    /// What its maker says of it.
    pub const fn claim(&self) -> &DeviceClaim {
        &self.claim
    }

    /// Its makers, the one that the root knows first, the one that made it last.
    pub fn makers(&self) -> &[MakerGrant] {
        &self.makers
    }

    /// The last moment at which the whole chain is in force.
    pub const fn until(&self) -> Timestamp {
        self.until
    }
}

fn claims<T: for<'de> Deserialize<'de>>(
    link: usize,
    credential: &VerifiedCredential,
    expected: &'static str,
) -> Result<T, ChainError> {
    let claims = credential.claims().cloned().unwrap_or_default();
    serde_json::from_value(Value::Object(claims)).map_err(|error| ChainError::Claims {
        link,
        expected,
        reason: error.to_string(),
    })
}

fn end(link: usize, credential: &VerifiedCredential) -> Result<Timestamp, ChainError> {
    // A proof that ends does not make up for a credential that does not.
    credential.valid_until().and(credential.until()).ok_or(ChainError::NoExpiry { link })
}
