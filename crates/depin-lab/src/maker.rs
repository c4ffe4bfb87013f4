//! A maker on this machine: its key, what its manufacturer's root says of it, and which devices it vouched for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use depin_core::{Amount, DeviceId, Timestamp};
use depin_identity::{
    Did, SoftwareKey,
    credential::{
        DeviceClaim, IssueError, MIN_ENTRIES, MakerGrant, ProofOptions, StatusEntry, StatusList,
        StatusListError, StatusPurpose, Terms, Unsigned,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::device::{self, DeviceError};

/// What the devices made here are, and for where.
const KIND: &str = "storage";
const REGION: &str = "lab";

/// The name of what a device shows, in its directory.
pub const CREDENTIAL: &str = "credential.json";

/// Where a root of the lab keeps the list of makers it revoked. Nobody asks there: devices bring the list along.
const STATUS_LIST: &str = "https://lab.invalid/makers";
/// A maker's directory: `maker.key`; `credential.json`, what its root gave it to show; and `devices`, a line for each in the order of their serials.
#[derive(Debug)]
pub struct Maker {
    dir: PathBuf,
    key: SoftwareKey,
    /// As a device shows it, without the device.
    shown: Shown,
    valid: Validity,
}

/// What a device shows, as [`depin::admission`] describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Shown {
    credentials: Vec<Value>,
    status_lists: BTreeMap<String, Value>,
}

/// From when until when a credential holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}

/// Why a maker did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakerError {
    /// Its directory.
    #[error(transparent)]
    Files(#[from] DeviceError),
    /// A credential that cannot be signed.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A status list that cannot be made.
    #[error(transparent)]
    List(#[from] StatusListError),
    /// It made as many devices as it may.
    #[error("this maker vouched for all {quota} devices it may make; have its root grant it more")]
    Quota {
        /// How many it may.
        quota: u32,
    },
}

impl Maker {
    /// Makes the maker in `dir`, unless it is there: its key, derived from `seed` or random, and the credential from `root`, which says that it put
    /// up `bond_per_device` for each of `quota` devices.
    ///
    /// # Errors
    /// [`MakerError`].
    pub fn create(
        dir: &Path,
        seed: Option<&[u8; 32]>,
        root: &SoftwareKey,
        quota: u32,
        bond_per_device: Amount,
        valid: Validity,
    ) -> Result<Self, MakerError> {
        fs::create_dir_all(dir).map_err(|error| DeviceError::Io { path: dir.to_owned(), error })?;
        device::make_key(&dir.join("maker.key"), seed, "maker")?;
        let path = dir.join(CREDENTIAL);
        if !path.exists() {
            let key = SoftwareKey::from_seed(device::read_secret(&dir.join("maker.key"))?);
            let bond = Amount(bond_per_device.0.saturating_mul(quota.into()));
            let shown = granted(root, did(root), &did(&key), quota, bond, valid)?;
            device::replace(&path, &shown.to_bytes())?;
        }
        Self::open(dir)
    }

    /// Opens the maker in `dir`.
    ///
    /// # Errors
    /// [`MakerError::Files`].
    pub fn open(dir: &Path) -> Result<Self, MakerError> {
        let key = SoftwareKey::from_seed(device::read_secret(&dir.join("maker.key"))?);
        let path = dir.join(CREDENTIAL);
        let bytes = fs::read(&path).map_err(|error| DeviceError::Io { path: path.clone(), error })?;
        let no_credential = || DeviceError::Content { path: path.clone(), expected: "credential of a maker" };
        let shown: Shown = serde_json::from_slice(&bytes).map_err(|_| no_credential())?;
        let moment = |name: &str| {
            let text = shown.credentials.last()?.get(name)?.as_str()?;
            let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
            u64::try_from(moment.unix_timestamp()).ok()?.checked_mul(1000)
        };
        let (from, until) = moment("validFrom").zip(moment("validUntil")).ok_or_else(no_credential)?;
        let valid = Validity { from: Timestamp(from), until: Timestamp(until) };
        Ok(Self { dir: dir.to_owned(), key, shown, valid })
    }

    /// What `device` shows to be let in: the maker's credential and one for the device, with the next serial; again with the serial it had before.
    ///
    /// # Errors
    /// [`MakerError`].
    pub fn vouch(&self, device: &DeviceId) -> Result<Vec<u8>, MakerError> {
        let serial = self.serial(device)?;
        let own = vouched(&self.key, Did::from(device), serial, self.valid)?;
        let mut shown = self.shown.clone();
        shown.credentials.push(own);
        Ok(shown.to_bytes())
    }

    /// The serial of `device`, written down before anybody sees it.
    fn serial(&self, device: &DeviceId) -> Result<u32, MakerError> {
        let path = self.dir.join("devices");
        let mut text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| DeviceError::Io { path: path.clone(), error })?,
        };
        let name = device.to_string();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        if let Some(serial) = text.lines().position(|line| line == name) {
            return Ok(count(serial));
        }
        let quota = self.shown.credentials.last();
        let quota = quota.and_then(|maker| maker.pointer("/credentialSubject/quota")?.as_u64());
        let quota = u32::try_from(quota.unwrap_or_default()).unwrap_or(u32::MAX);
        let serial = count(text.lines().count());
        if serial >= quota {
            return Err(MakerError::Quota { quota });
        }
        text.push_str(&name);
        text.push('\n');
        device::replace(&path, text.as_bytes())?;
        Ok(serial)
    }
}

/// What a counterfeit shows: a chain in the name of `root`, signed by the device's own key.
///
/// # Errors
/// [`MakerError`].
pub fn counterfeit(root: &Did, key: &SoftwareKey, valid: Validity) -> Result<Vec<u8>, MakerError> {
    let mut shown = granted(key, root.clone(), &did(key), 1, Amount(u128::MAX), valid)?;
    shown.credentials.push(vouched(key, did(key), 0, valid)?);
    Ok(shown.to_bytes())
}

/// What `key` lets a maker show, in the name of `issuer`: its credential, and the list in which it is not revoked.
fn granted(
    key: &SoftwareKey,
    issuer: Did,
    maker: &Did,
    quota: u32,
    bond: Amount,
    valid: Validity,
) -> Result<Shown, MakerError> {
    let set = |text: &str| BTreeSet::from([text.to_owned()]);
    let grant = MakerGrant { maker: maker.clone(), quota, regions: set(REGION), kinds: set(KIND), bond };
    let status = StatusEntry { purpose: StatusPurpose::Revocation, list: STATUS_LIST.into(), index: 0 };
    let list = Terms { issuer, ..terms(key, valid) };
    let bits = StatusList::new(MIN_ENTRIES)?;
    let list_of_root = sign(&list.status_list(STATUS_LIST, StatusPurpose::Revocation, &bits)?, key, valid)?;
    let credential = sign(&Terms { status: Some(status), ..list }.maker(&grant)?, key, valid)?;
    Ok(Shown { credentials: vec![credential], status_lists: [(STATUS_LIST.into(), list_of_root)].into() })
}

fn vouched(maker: &SoftwareKey, device: Did, serial: u32, valid: Validity) -> Result<Value, IssueError> {
    let claim = DeviceClaim { device, serial, kind: KIND.into(), region: REGION.into() };
    sign(&terms(maker, valid).device(&claim)?, maker, valid)
}

impl Shown {
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The did:key of a key.
pub fn did(key: &SoftwareKey) -> Did {
    Did::from(&key.public().typed())
}

fn terms(issuer: &SoftwareKey, valid: Validity) -> Terms {
    Terms { issuer: did(issuer), valid_from: valid.from, valid_until: valid.until, status: None }
}

/// Signs at the moment from which on the credential holds, so that the same seed makes the same bytes.
fn sign(document: &Value, key: &SoftwareKey, valid: Validity) -> Result<Value, IssueError> {
    let unsigned = Unsigned::new(document, &ProofOptions::of_key(&key.public().typed(), valid.from)?)?;
    let signature = key.signature(unsigned.message());
    Ok(unsigned.finish(&signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: Validity =
        Validity { from: Timestamp(1_767_225_600_000), until: Timestamp(1_798_761_600_000) };

    fn maker(dir: &Path, quota: u32) -> Maker {
        Maker::create(dir, Some(&[1; 32]), &SoftwareKey::from_seed([2; 32]), quota, Amount(1), VALID).unwrap()
    }

    fn device(number: u8) -> DeviceId {
        DeviceId(SoftwareKey::from_seed([number; 32]).public().typed())
    }

    #[test]
    fn a_device_keeps_its_serial_and_none_is_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = {
            let maker = maker(dir.path(), 2);
            (maker.vouch(&device(3)).unwrap(), maker.vouch(&device(4)).unwrap())
        };
        let maker = maker(dir.path(), 9);
        assert_eq!(maker.valid, VALID);
        assert_eq!((maker.vouch(&device(4)).unwrap(), maker.vouch(&device(3)).unwrap()), (second, first));
        let refused = maker.vouch(&device(5)).unwrap_err();
        assert!(matches!(refused, MakerError::Quota { quota: 2 }), "its credential says how many: {refused}");
    }
}
